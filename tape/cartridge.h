/* What stands on a cartridge beside the volumes (FORMAT.md, "Cartridges"):
 *
 *     tape file 0      the label: who the cartridge is
 *     then in pairs    a volume's bytes, in blocks of the label's block size,
 *                      the last one as long as it is; and its table
 *
 * Each is ended by a filemark; label and tables are small pax archives. A table
 * lists every cartridge and every volume of the set and where it lies, as far
 * as was known when it was written, so the last table of the newest cartridge
 * tells where everything is. A session's index and its end member are a volume
 * of their own (the session's last), so that a rebuild hops from filemark to
 * filemark. The table behind it has the end member's fields, too.
 *
 * K1 A volume counts once the table behind it and that table's filemark are
 *    flushed; a session counts once its last volume does.
 * K2 Only what lies behind the last table that lists nothing but volumes of
 *    committed sessions may be written over. Whether a session was committed is
 *    known from its last cartridge alone; while that is not at hand and the
 *    catalogue does not know the session, nothing is written over.
 * K3 A label is written on a cartridge that is blank, or that the caller named
 *    by its present label; never otherwise. */
#ifndef REEL_TAPE_CARTRIDGE_H
#define REEL_TAPE_CARTRIDGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "tape/buffer.h"
#include "tape/frame.h"
#include "tape/trailer.h"

#define CARTRIDGE_NAME	      64 /* with NUL; "SETNAME-0002" */
#define CARTRIDGE_BARCODE     33
#define CARTRIDGE_BLOCK	      (256u << 10) /* default block size */
#define CARTRIDGE_BLOCK_MIN   512u
#define CARTRIDGE_BLOCK_LIMIT (16u << 20)
#define CARTRIDGE_TABLE_LIMIT (256u << 20)
#define CARTRIDGE_LIMIT	      1000000 /* of one set */
/* A set's own cartridges have the numbers 1 to CARTRIDGE_LINE; those of a copy
 * the next so many, of another copy the next. */
#define CARTRIDGE_LINE 100000

struct cartridge_label {
	uint8_t set[16];		 /* uuid */
	uint8_t uuid[16];		 /* of the cartridge */
	uint32_t number;		 /* in the set, from 1 */
	char name[CARTRIDGE_NAME];	 /* printable, no blanks */
	char barcode[CARTRIDGE_BARCODE]; /* the same; "" when not known */
	uint32_t block_size;		 /* bytes */
	int64_t time;			 /* ns; when it was written */
	/* what a new machine must know of the set */
	char *set_name; /* heap */
	uint64_t seed;
	enum compression compression;
};

void cartridge_label_release(struct cartridge_label *l);
/* "NAME-0002": the set's name as far as it is plain, and the number. */
void cartridge_make_name(const char *set_name, uint32_t number,
			 char name[CARTRIDGE_NAME]);
/* The first number of the line that a number is of. */
uint32_t cartridge_line(uint32_t number);
/* The bytes of tape file 0: a pax archive, a multiple of 512. */
int cartridge_label_encode(const struct cartridge_label *l, struct buffer *out);
/* 0; REEL_ENOENT: a readable archive or other data, but no label of reel;
 * REEL_EDAMAGED, REEL_EVERSION. Hostile input. */
int cartridge_label_decode(const void *data, size_t length,
			   struct cartridge_label *out);

/* Where a volume lies, or a part of it. One volume may lie on several
 * cartridges: as copies, and, where a copy's cartridges are smaller than the
 * volume, in parts, each on another cartridge. */
struct place {
	uint32_t volume;
	uint32_t cartridge; /* number in the set */
	uint64_t object;    /* of its first block, in partition 0 */
	uint64_t file;	    /* its tape file */
	uint32_t block_size;
	uint64_t size; /* bytes; what follows in its tape file is padding */
	uint32_t session;
	int64_t session_time; /* ns: tells sessions of one number apart */
	bool last;	      /* its session ends here */
	uint64_t begin;	      /* bytes of the volume before this part */
	uint64_t behind;      /* and behind it: both 0 for a whole volume */
};

/* Bytes of the volume that it is, or is a part of. */
static inline uint64_t place_total(const struct place *p)
{
	return p->begin + p->size + p->behind;
}

static inline bool place_is_part(const struct place *p)
{
	return p->begin || p->behind;
}

/* Whether byte `at` of the volume lies here. */
static inline bool place_has(const struct place *p, uint64_t at)
{
	return at >= p->begin && at - p->begin < p->size;
}

struct cartridge_table {
	struct cartridge_label *cartridges; /* all of the set, by number; their
					       set_name is borrowed from
					       the first */
	size_t cartridge_count;		    /* one at least */
	struct place *places;		    /* by volume, then cartridge */
	size_t place_count;
	bool has_end; /* the volume before it ends a session */
	struct trailer end;
};

void cartridge_table_release(struct cartridge_table *t);
int cartridge_table_encode(const struct cartridge_table *t, struct buffer *out);
/* REEL_ENOENT: no table of reel; REEL_EDAMAGED, REEL_EVERSION. Hostile. */
int cartridge_table_decode(const void *data, size_t length,
			   struct cartridge_table *out);

/* By volume, then cartridge: for qsort. */
int place_compare(const void *a, const void *b);

#endif
