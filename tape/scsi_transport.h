/* What carries SCSI commands to a device. */
#ifndef REEL_TAPE_SCSI_TRANSPORT_H
#define REEL_TAPE_SCSI_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SCSI_CDB_LIMIT	 16
#define SCSI_SENSE_LIMIT 252

struct scsi_command {
	uint8_t cdb[SCSI_CDB_LIMIT];
	uint8_t cdb_length;
	unsigned timeout; /* seconds */
	void *in;	  /* or */
	const void *out;
	size_t length; /* of either */

	/* The answer. */
	uint8_t status;
	uint8_t sense[SCSI_SENSE_LIMIT];
	size_t sense_length;
	size_t transferred; /* bytes of `length` */
};

struct scsi_transport {
	/* 0: the device answered. REEL_EIO it did not, and the connection is
	 * begun anew with the next command; REEL_ESTOPPED; REEL_ENOTSUP the
	 * transport cannot carry this. Says what is wrong. */
	int (*run)(struct scsi_transport *t, struct scsi_command *c);
	void (*close)(struct scsi_transport *t);
	const char *name;	  /* borrowed */
	const volatile int *stop; /* may be NULL */
	unsigned generation;	  /* of the connection */
	size_t limit;		  /* bytes of one command; 0: none */
};

/* Over iSCSI: iscsi://[user%password@]host[:port]/target/lun. Without libiscsi
 * in the build: REEL_ENOTSUP. `stop` may be NULL. `quiet`: that another program
 * uses it was said before. */
int scsi_iscsi_open(const char *url, const volatile int *stop, bool quiet,
		    struct scsi_transport **t);
/* Through Linux (SG_IO), a /dev/sg, /dev/sch or /dev/nst. */
int scsi_sg_open(const char *path, const volatile int *stop,
		 struct scsi_transport **t);
/* The same on a descriptor of the caller's, in memory of the caller's; needs
 * no closing. */
struct scsi_sg {
	struct scsi_transport base;
	int fd;
	bool owned;
};
void scsi_sg_init(struct scsi_sg *g, int fd, const char *name);

#endif
