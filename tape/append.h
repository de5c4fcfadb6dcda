/* Writing volumes and their tables behind what a cartridge has, cartridge after
 * cartridge. One thread. K1-K3 of cartridge.h.
 *
 *     idle     no drive is held
 *     ready    behind the last table: a volume may begin
 *     volume   blocks of a volume were written
 *     failed   an error other than REEL_ENOSPC: nothing more is written
 *
 * append_begin: idle -> ready -> volume; append_block, append_back: in
 * volume; append_end: volume -> ready; append_next: any but failed -> idle. */
#ifndef REEL_TAPE_APPEND_H
#define REEL_TAPE_APPEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "tape/cartridge.h"
#include "tape/drive.h"
#include "tape/station.h"

struct append_options {
	struct station *station;       /* borrowed */
	struct cartridge_table *table; /* what is known; taken over */
	uint8_t set[16];
	const char *set_name; /* borrowed */
	uint64_t seed;
	enum compression compression;
	uint32_t block_size;
	uint32_t line;	       /* number of the first cartridge; 0: 1 */
	uint32_t first_volume; /* of the session */
	uint32_t session;
	int64_t session_time; /* ns */
	uint32_t after;	      /* cartridges up to this one are full */
	/* Label of a cartridge to be begun anew; said when none was needed. */
	const char *overwrite;
	const volatile int *stop; /* ends waits; may be NULL */
	/* Before anything but a label is written to this cartridge: makes
	 * durable that the session is on it. */
	int (*intend)(void *context, const struct cartridge_label *l,
		      const struct place *session);
	void *context;
};

struct append {
	struct append_options options;
	struct cartridge_table table;  /* grows */
	struct drive *drive;	       /* NULL: idle */
	struct cartridge_label *label; /* of the present one; in table */
	uint32_t after;		       /* cartridges up to this one are full */
	struct drive_position start;   /* of the volume */
	bool early;		       /* the end of the cartridge is near */
	bool written;		       /* since the last mark */
	bool failed;		       /* D3: nothing more is written */
	unsigned volumes;	       /* that it got from us */
};

int append_init(struct append *a, const struct append_options *o);
/* Ends with a mark what was not ended, and gives the drive back. */
void append_release(struct append *a);
/* A cartridge is in a drive, with the position where the volume begins. A new
 * one gets its label. Says what is wrong. */
int append_begin(struct append *a);
/* Up to a block. REEL_ENOSPC (not said): it is not on the cartridge. */
int append_block(struct append *a, const void *data, size_t length);
/* Back to the volume's block number `block`, which is written anew. */
int append_back(struct append *a, uint64_t block);
/* What is to be said of a volume, or of a part of one. */
struct append_volume {
	uint32_t number;
	uint64_t begin, size, behind; /* as in struct place */
};

/* The volume is whole: its filemark and its table, flushed. `end` (may be
 * NULL) when the session ends with it. REEL_ENOSPC (not said): they do not
 * fit, the volume does not count. */
int append_end(struct append *a, const struct append_volume *v,
	       const struct trailer *end);
/* Behind a volume's end: the drive is let go until the next append_begin, which
 * goes on behind it. */
void append_pause(struct append *a);
/* The cartridge is full: the next append_begin takes another. */
int append_next(struct append *a);
/* The number of a cartridge that takes no more, or 0. */
uint32_t append_full(const struct append *a);

/* A tape file, from the present position up to its filemark, which is passed.
 * REEL_ENOENT: there is none, the data end here. REEL_EDAMAGED when a block
 * is unreadable or it is longer than `limit`; not said. */
int append_read_file(struct drive *d, size_t limit, struct buffer *out);

#endif
