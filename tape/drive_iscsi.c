#include "tape/drive_scsi.h"

int drive_iscsi_open(const char *name, const struct drive_options *o,
		     struct drive **d)
{
	struct scsi_transport *t;
	int error = scsi_iscsi_open(name, o->stop, o->quiet, &t);

	return error ? error : drive_scsi_open(name, o, t, d);
}
