/* Tape drives that take SCSI commands, whatever carries them. drive_scsi.c
 * opens, reads and writes; drive_scsi_move.c finds places; drive_scsi_tell.c
 * asks; drive_scsi_medium.c sets and prepares. Drives of Linux (drive_st.c)
 * use the latter two as well. */
#ifndef REEL_TAPE_DRIVE_SCSI_H
#define REEL_TAPE_DRIVE_SCSI_H

#include "tape/drive_kind.h"
#include "tape/scsi.h"

struct scsi_drive {
	struct drive base;
	struct scsi_transport *transport;
	unsigned generation; /* of the connection that knows the position */
	bool changed;	     /* unit attention since the last status */
	bool locked;
	bool needs_cleaning;
	bool has_tell, has_long; /* READ POSITION short, and long */
	bool has_locate;
	uint32_t block_min, block_max;
	uint32_t block; /* 0 variable */
	struct scsi_inquiry inquiry;
};

/* Takes the transport, also when it fails. */
int drive_scsi_open(const char *name, const struct drive_options *o,
		    struct scsi_transport *t, struct drive **d);

static inline struct scsi_drive *scsi_drive_of(struct drive *d)
{
	return (struct scsi_drive *)d;
}

/* What a command is to the position. */
enum scsi_sort {
	SCSI_ASKS,     /* nothing */
	SCSI_RELATIVE, /* it counts from there: never after a reset */
	SCSI_ABSOLUTE, /* it finds its own, on the cartridge that was there */
	SCSI_FRESH,    /* on whatever cartridge is there now */
};

/* Runs it, waits while the drive is busy or getting ready, and again after unit
 * attentions that `sort` allows. 0 also with s->filemark, eom and ili. Says
 * nothing about what the drive answered (drive_scsi_failed does). */
int drive_scsi_run(struct scsi_drive *d, struct scsi_command *c,
		   enum scsi_sort sort, struct scsi_sense *s);
/* Says that the drive cannot `what`, because of *s; returns `error`. */
int drive_scsi_failed(struct scsi_drive *d, int error, const char *what,
		      const struct scsi_sense *s);
/* The two in one. */
int drive_scsi_do(struct scsi_drive *d, struct scsi_command *c,
		  enum scsi_sort sort, const char *what);
/* TEST UNIT READY, until it is or the time is up. */
int drive_scsi_ready(struct scsi_drive *d, unsigned seconds,
		     struct scsi_sense *s);
/* What a newly loaded cartridge is like; rewinds unless keep. */
int drive_scsi_begin(struct scsi_drive *d, bool keep);

/* MODE SENSE(6) into `data` (255 bytes). */
#define SCSI_MODE_ROOM 255
int drive_scsi_mode(struct scsi_drive *d, uint8_t page, uint8_t subpage,
		    uint8_t *data, struct scsi_mode *m);

int drive_scsi_space(struct drive *d, enum drive_unit unit, int64_t count,
		     struct drive_moved *m);
int drive_scsi_space_raw(struct scsi_drive *d, uint8_t code, int64_t count,
			 struct scsi_sense *s);
bool drive_scsi_has_setmarks(struct scsi_drive *d);
int drive_scsi_rewind(struct drive *d, bool immediate);
int drive_scsi_locate(struct drive *d, uint32_t partition, uint64_t object);
int drive_scsi_select(struct drive *d, uint32_t partition);
int drive_scsi_tell(struct drive *d, struct drive_position *p);
/* Asks for it; false when the drive does not tell. */
bool drive_scsi_position(struct scsi_drive *d, struct scsi_position *p);
/* Finds out how the drive tells and seeks. At the beginning of a tape. */
void drive_scsi_probe(struct scsi_drive *d);
/* The same without moving: one that tells is taken for one that seeks. */
void drive_scsi_look(struct scsi_drive *d);

int drive_scsi_status(struct drive *d, struct drive_status *s);
int drive_scsi_parameters(struct drive *d, struct drive_parameters *p);
int drive_scsi_set(struct drive *d, enum drive_parameter what, uint64_t value);
int drive_scsi_prepare(struct drive *d, enum drive_preparation what,
		       bool immediate);
int drive_scsi_erase(struct drive *d, enum drive_erasure how, bool immediate);
int drive_scsi_partition(struct drive *d, const struct drive_partitioning *p);
int drive_scsi_attribute(struct drive *d, uint16_t id, void *to,
			 size_t *length);
int drive_scsi_set_attribute(struct drive *d, uint16_t id, const void *data,
			     size_t length);
int drive_scsi_alerts(struct drive *d, uint64_t *flags);

#endif
