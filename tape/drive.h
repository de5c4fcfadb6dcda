/* A tape drive and the cartridge in it. One interface for all kinds:
 *
 *     /dev/nst0                     a drive of Linux (drive_st.c)
 *     iscsi://host:port/target/lun  a SCSI drive over iSCSI (drive_iscsi.c)
 *     file.tap                      an image (drive_image.c); what may follow
 *                                   its name is said there
 *     fault:RULES:DEVICE            any of them, failing on purpose
 *                                   (drive_fault.c)
 *
 * A medium has partitions (one at least, numbered from 0). A partition is a
 * row of objects: blocks of any size, filemarks, on some drives setmarks;
 * behind the last one is the end of data. Writing anywhere makes what is
 * written the last object: all that lay behind is gone.
 *
 * Invariants, kept by drive.c for every kind:
 * D1  A block is written whole or not at all, and read whole or not at all.
 * D2  What was written is safe when drive_flush(), or a drive_mark() that is
 *     not immediate, has returned 0; until then an error of any later call
 *     may mean that it is gone.
 * D3  Once the position is not known for certain (an error while writing, a
 *     reset, another cartridge) nothing is read or written until a call that
 *     sets it anew has succeeded: drive_rewind, drive_seek, drive_space to
 *     the end, drive_prepare(DRIVE_LOAD). Refused with REEL_ERESET.
 * D4  A program that has written ends with a mark before it moves or closes:
 *     Linux writes a filemark there otherwise.
 *
 * Functions return 0 or an error and say what went wrong (log.h), with the
 * drive's name; what they do not say is noted. One thread at a time. */
#ifndef REEL_TAPE_DRIVE_H
#define REEL_TAPE_DRIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DRIVE_UNKNOWN	   UINT64_MAX
#define DRIVE_TEXT	   64 /* of what drives say of themselves, with NUL */
#define DRIVE_PARTITIONS   64
#define DRIVE_BLOCK_LIMIT  (16u << 20) /* no kind takes a larger block */
#define DRIVE_DEFAULT_SIZE (256u << 10)

/* ---- opening ---- */

struct drive_options {
	bool read_only;
	bool create;   /* an image that is not there is made */
	bool no_sync;  /* an image's flush leaves the bytes to the system */
	bool quiet;    /* that it is in use was said before */
	bool keep;     /* the tape stays where the last program left it */
	unsigned wait; /* seconds for a cartridge that is still loading */
	const volatile int *stop; /* NULL, or ends long waits: REEL_ESTOPPED */
};

struct drive;

/* `o` may be NULL. The position is the beginning of partition 0 when a
 * cartridge is loaded (with `keep`: what the drive tells, its numbers may be
 * DRIVE_UNKNOWN); a drive without a cartridge opens, too. Parameters
 * (drive_set) are those that the last program left. Errors: REEL_ENOENT no such
 * device, REEL_EBUSY another program has it, REEL_EINVAL not a drive's name,
 * REEL_EROFS (images), REEL_EDAMAGED not an image. */
int drive_open(const char *name, const struct drive_options *o,
	       struct drive **d);
/* True for names that drive_open takes: no look at whether it is there. */
bool drive_is_name(const char *name);
/* Takes NULL. The error of the last bytes, if they were not flushed. */
int drive_close(struct drive *d);
const char *drive_name(const struct drive *d);
const char *drive_kind(const struct drive *d); /* "tape image" ... */

/* ---- blocks and marks ---- */

enum drive_found {
	DRIVE_BLOCK = 0,
	DRIVE_FILEMARK,
	DRIVE_SETMARK,
	DRIVE_END,   /* of data; the position is there */
	DRIVE_BEGIN, /* of the partition */
};

struct drive_read {
	enum drive_found found;
	size_t length; /* of a block */
};

/* The next object. A mark is passed over, the end of data is not.
 * REEL_ERANGE (not said): the block is larger than `room`; the position is
 * before it again, r->length is its size when the drive tells, else 0. With
 * `room` DRIVE_BLOCK_LIMIT (or drive_parameters.block_max) any block fits.
 * REEL_EDAMAGED: this block is unreadable, the position is behind it; with
 * r->found DRIVE_END nothing behind it can be read either, and the position is
 * before it. */
int drive_read(struct drive *d, void *to, size_t room, struct drive_read *r);

/* A block. *early (may be NULL): it is on the medium, or in the drive's
 * buffer, and the end of the medium is near. REEL_ENOSPC (not said): the end;
 * this block is not on the medium, the earlier ones are once drive_flush
 * returns 0. REEL_EROFS write-protected, REEL_ERANGE not a size that the drive
 * takes. Any other error: D2, D3. */
int drive_write(struct drive *d, const void *data, size_t length, bool *early);

enum drive_mark {
	DRIVE_MARK_FILE,
	DRIVE_MARK_SET,
	DRIVE_MARK_SHORT_FILE, /* 8 mm drives; no kind has them */
	DRIVE_MARK_LONG_FILE,
};

/* `count` marks; immediate: does not wait for the buffer (D2). Errors as of
 * drive_write. */
int drive_mark(struct drive *d, enum drive_mark kind, uint32_t count,
	       bool immediate, bool *early);
/* All of it is on the medium. */
int drive_flush(struct drive *d);

/* ---- position ---- */

/* Each number may be DRIVE_UNKNOWN. What is written is known by both, so keep
 * both: drives without LOCATE find a place by `file` and `block` alone. */
struct drive_position {
	uint32_t partition;
	uint64_t object; /* blocks and marks before it, in its partition */
	uint64_t file;	 /* filemarks before it */
	uint64_t block;	 /* objects since the last filemark */
};

/* REEL_ERESET: not known (D3). */
int drive_tell(struct drive *d, struct drive_position *p);
/* To a place; by `object` where the drive can and it is known, else by `file`
 * and `block`. REEL_ENOENT: it lies behind the end of data, where the position
 * is now. REEL_ENOTSUP: the drive cannot, by these numbers. */
int drive_seek(struct drive *d, const struct drive_position *p);
/* To the beginning of the partition. */
int drive_rewind(struct drive *d, bool immediate);
/* To the beginning of another one. */
int drive_select(struct drive *d, uint32_t partition);

enum drive_unit {
	DRIVE_BLOCKS,
	DRIVE_FILEMARKS,
	DRIVE_SEQUENTIAL_FILEMARKS, /* `count` of them in a row */
	DRIVE_SETMARKS,
	DRIVE_SEQUENTIAL_SETMARKS,
	DRIVE_TO_END, /* of data; `count` does not matter */
};

struct drive_moved {
	uint64_t count;		/* passed; DRIVE_UNKNOWN: not told */
	enum drive_found found; /* what stopped it early, else DRIVE_BLOCK */
};

/* Moves over `count` units (negative: back). Blocks stop at a mark, filemarks
 * at a setmark and all at either end; the mark that stops is passed over (back:
 * the position is before it). That is no error: see *m. After a move
 * over filemarks forward the position is behind the last one, after one back
 * before it. */
int drive_space(struct drive *d, enum drive_unit unit, int64_t count,
		struct drive_moved *m);

/* ---- cartridge ---- */

enum drive_preparation {
	DRIVE_LOAD,
	DRIVE_UNLOAD,
	DRIVE_LOCK, /* the cartridge cannot be taken out */
	DRIVE_UNLOCK,
	DRIVE_TENSION,
	DRIVE_FORMAT, /* all data is lost; one partition */
};

/* immediate: begins it and does not wait. */
int drive_prepare(struct drive *d, enum drive_preparation what, bool immediate);

enum drive_erasure {
	DRIVE_ERASE_SHORT, /* ends the data here */
	DRIVE_ERASE_LONG,  /* and overwrites what lies behind; may take hours */
};

int drive_erase(struct drive *d, enum drive_erasure how, bool immediate);

enum drive_layout {
	DRIVE_LAYOUT_FIXED,  /* the drive's own */
	DRIVE_LAYOUT_SELECT, /* `count` partitions, sizes by the drive */
	DRIVE_LAYOUT_SIZES,  /* `count` partitions of `sizes` */
};

struct drive_partitioning {
	enum drive_layout layout;
	uint32_t count;
	/* Bytes; 0 is the rest, at most once. */
	uint64_t sizes[DRIVE_PARTITIONS];
};

/* All data on the medium is lost. */
int drive_partition(struct drive *d, const struct drive_partitioning *p);

/* ---- what the drive says ---- */

enum drive_state {
	DRIVE_READY,
	DRIVE_EMPTY,   /* no cartridge */
	DRIVE_LOADING, /* or calibrating, rewinding ...: not ready yet */
	DRIVE_FAILED,
};

struct drive_status {
	enum drive_state state;
	bool write_protected;
	bool begin;    /* at the beginning of the partition */
	bool end;      /* at the end of data, as far as is known */
	bool filemark; /* the last move or read ended at one */
	bool early;    /* past the early warning */
	bool locked;   /* by drive_prepare */
	bool needs_cleaning;
	bool changed; /* reset or another cartridge since the last status */
	bool known;   /* the position is (D3) */
	char text[DRIVE_TEXT]; /* more about the state, or "" */
};

/* REEL_EIO: the drive does not answer. No cartridge is a state, no error. */
int drive_status(struct drive *d, struct drive_status *s);

enum drive_feature {
	DRIVE_HAS_FIXED = 1 << 0, /* blocks of one size (parameter) */
	DRIVE_HAS_VARIABLE = 1 << 1,
	DRIVE_HAS_LOCATE = 1 << 2, /* seeks by `object` */
	DRIVE_HAS_TELL = 1 << 3,   /* knows its position itself */
	DRIVE_HAS_SETMARKS = 1 << 4,
	DRIVE_HAS_SEQUENTIAL = 1 << 5, /* spaces over marks in a row */
	DRIVE_HAS_PARTITIONS = 1 << 6,
	DRIVE_HAS_COMPRESSION = 1 << 7,
	DRIVE_HAS_ECC = 1 << 8,
	DRIVE_HAS_PADDING = 1 << 9,
	DRIVE_HAS_EARLY_SIZE = 1 << 10, /* the early warning can be set */
	DRIVE_HAS_ERASE_SHORT = 1 << 11,
	DRIVE_HAS_ERASE_LONG = 1 << 12,
	DRIVE_HAS_LOAD = 1 << 13,
	DRIVE_HAS_LOCK = 1 << 14,
	DRIVE_HAS_TENSION = 1 << 15,
	DRIVE_HAS_FORMAT = 1 << 16,
	DRIVE_HAS_IMMEDIATE = 1 << 17,
	DRIVE_HAS_CAPACITY = 1 << 18,
	DRIVE_HAS_REMAINING = 1 << 19,
	DRIVE_HAS_ATTRIBUTES = 1 << 20, /* memory in the cartridge */
	DRIVE_HAS_ALERTS = 1 << 21,
	DRIVE_HAS_DENSITY = 1 << 22,
	DRIVE_HAS_WORM = 1 << 23, /* the cartridge can only be appended to */
};

struct drive_parameters {
	char vendor[DRIVE_TEXT], product[DRIVE_TEXT];
	char revision[DRIVE_TEXT], serial[DRIVE_TEXT];
	char barcode[DRIVE_TEXT], medium_serial[DRIVE_TEXT];
	char density_name[DRIVE_TEXT]; /* "" when not told */
	uint32_t features;	       /* enum drive_feature */
	/* Bytes; what a drive_write takes, unless `block_size` is set. */
	uint32_t block_min, block_max;
	uint32_t block_size; /* of all blocks; 0: variable */
	uint32_t partitions, partitions_max;
	uint32_t partition; /* the present one */
	uint8_t density;    /* code; 0 not told */
	bool compression, ecc, padding, report_setmarks;
	bool write_protected;
	/* Bytes of the present partition, or DRIVE_UNKNOWN. */
	uint64_t capacity, remaining, early_size;
};

/* Works without a cartridge, with what is known then. */
int drive_parameters(struct drive *d, struct drive_parameters *p);

enum drive_parameter {
	DRIVE_SET_BLOCK_SIZE, /* bytes; 0 variable */
	DRIVE_SET_COMPRESSION,
	DRIVE_SET_ECC,
	DRIVE_SET_PADDING,
	DRIVE_SET_REPORT_SETMARKS,
	DRIVE_SET_EARLY_SIZE, /* bytes before the end */
	DRIVE_SET_DENSITY,
};

/* An image that was opened for reading has it for as long as it is open. */
int drive_set(struct drive *d, enum drive_parameter what, uint64_t value);
/* Takes off the block size that another program may have left, where the drive
 * has blocks of any size. */
int drive_take_any(struct drive *d);

#define DRIVE_ATTRIBUTE_LIMIT	4096
#define DRIVE_ATTRIBUTE_BARCODE 0x0806

/* An attribute of the cartridge's memory (SPC-4, medium auxiliary memory).
 * *length: in, the room; out, its length. REEL_ENOENT (not said): it has no
 * such attribute. */
int drive_attribute(struct drive *d, uint16_t id, void *to, size_t *length);
int drive_set_attribute(struct drive *d, uint16_t id, const void *data,
			size_t length);

/* TapeAlert: bit N is flag N (1..63). Reading clears them in the drive, so
 * they are kept: *flags has all since the drive was opened. */
int drive_alerts(struct drive *d, uint64_t *flags);

#endif
