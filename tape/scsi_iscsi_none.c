#include "tape/error.h"
#include "tape/log.h"
#include "tape/scsi_transport.h"

int scsi_iscsi_open(const char *url, const volatile int *stop, bool quiet,
		    struct scsi_transport **t)
{
	(void)stop;
	(void)quiet;
	(void)t;
	log_error("%s: this reel was built without libiscsi; install "
		  "libiscsi-dev and build it again",
		  url);
	return REEL_ENOTSUP;
}
