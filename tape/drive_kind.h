/* Inside the drives: what a kind of drive brings. drive.c counts the position,
 * keeps D1-D4 of drive.h and names what an operation lacks; a kind does one
 * command at a time and says what went wrong with drive_fail(). */
#ifndef REEL_TAPE_DRIVE_KIND_H
#define REEL_TAPE_DRIVE_KIND_H

#include "tape/drive.h"
#include "tape/error.h"

/* Contracts are those of the drive_ functions with the same name. */
struct drive_operations {
	const char *kind;
	/* Releases the drive's own struct, too. */
	int (*close)(struct drive *d);
	int (*status)(struct drive *d, struct drive_status *s);
	int (*parameters)(struct drive *d, struct drive_parameters *p);
	int (*read)(struct drive *d, void *to, size_t room,
		    struct drive_read *r);
	int (*write)(struct drive *d, const void *data, size_t length,
		     bool *early);
	int (*mark)(struct drive *d, enum drive_mark kind, uint32_t count,
		    bool immediate, bool *early);
	int (*space)(struct drive *d, enum drive_unit unit, int64_t count,
		     struct drive_moved *m);
	int (*rewind)(struct drive *d, bool immediate);

	/* Optional. What stands behind is done without it. */
	int (*flush)(struct drive *d); /* mark, no mark, not immediate */
	/* By object. Moves over filemarks and blocks. */
	int (*locate)(struct drive *d, uint32_t partition, uint64_t object);
	/* Sets what it knows of *p, which has what was counted. REEL_EMEDIUM
	 * (not said). Counted alone. */
	int (*tell)(struct drive *d, struct drive_position *p);
	/* The others: REEL_ENOTSUP, and said so. */
	int (*select)(struct drive *d, uint32_t partition);
	int (*prepare)(struct drive *d, enum drive_preparation what,
		       bool immediate);
	int (*erase)(struct drive *d, enum drive_erasure how, bool immediate);
	int (*partition)(struct drive *d, const struct drive_partitioning *p);
	int (*set)(struct drive *d, enum drive_parameter what, uint64_t value);
	int (*attribute)(struct drive *d, uint16_t id, void *to,
			 size_t *length);
	int (*set_attribute)(struct drive *d, uint16_t id, const void *data,
			     size_t length);
	int (*alerts)(struct drive *d, uint64_t *flags); /* those new */
};

/* The first member of each kind's own struct. */
struct drive {
	const struct drive_operations *op;
	char *name;
	struct drive_options options;
	struct drive_position at; /* as counted */
	bool lost;		  /* D3 */
	bool dirty;		  /* written since the last flush */
	bool early;
	bool at_mark, at_end; /* where the last move or read ended */
	uint64_t alerts;
};

/* Says "NAME: ..." and returns `error`. */
int drive_fail(const struct drive *d, int error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* Says that the drive cannot do this ("lock the cartridge"): REEL_ENOTSUP. */
int drive_lacks(const struct drive *d, const char *what);

/* D3: says so and returns REEL_ERESET when the position is lost. */
int drive_known(struct drive *d, const char *what);
/* D3: returns `error`, and notes whether the position is still known. */
int drive_after(struct drive *d, int error);
/* What was passed forward; DRIVE_UNKNOWN: not told how many. */
void drive_passed_blocks(struct drive *d, uint64_t count);
void drive_passed_marks(struct drive *d, bool file, uint64_t count);
void drive_at_begin(struct drive *d, uint32_t partition);

/* The kinds. `name` is what drive_open got, without "fault:RULES:". While
 * it opens, a kind sets name and options of its struct for its messages; on
 * success drive.c sets all but `op`. */
int drive_image_open(const char *name, const struct drive_options *o,
		     struct drive **d);
int drive_st_open(const char *name, const struct drive_options *o,
		  struct drive **d);
int drive_iscsi_open(const char *name, const struct drive_options *o,
		     struct drive **d);
/* `name` with "fault:". */
int drive_fault_open(const char *name, const struct drive_options *o,
		     struct drive **d);

#endif
