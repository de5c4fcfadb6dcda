/* SIMH magnetic tape images, the container under image drives (Supnik, "SIMH
 * Magtape Representation and Handling", 2017; the classes of Bryan's 2020
 * proposal are read).
 *
 * A row of 32-bit little-endian words with data between:
 *
 *     length data [pad] length   a block; class 0 good, 8 bad. The class is the
 *                                top 4 bits, the length the other 28. Data of
 *                                odd length have a pad byte, except in
 *                                images of E11, which are recognised
 *     00000000                   a filemark
 *     FFFFFFFF, end of file      the end of data
 *     FFFFFFFE                   erase gap, skipped
 *     70000001                   a setmark (class 7 is private; written only
 *                                when a drive with setmarks was asked for)
 *     other classes              skipped by their length (1-6, 9-E), 7 and F
 *                                are single words and skipped
 *
 * Opening walks over all lengths once.
 * T1  What is whole at the beginning of the file stays readable whatever
 *     follows. A last block that is cut short (the writer died) is the end of
 *     data; its bytes go with the next write there.
 * T2  Anything else that is not a row of objects is damage: it ends what can be
 *     read, and nothing is written there unless the image is opened for repair.
 * T3  Nothing is changed by opening.
 * T4  What merely might be an image is none: no block is whole, and what stands
 *     behind the marks there are is damage, or torn and not of a length that
 *     labels and tar give blocks (a multiple of 512). Marks in a row beyond
 *     TAP_MARKS_LIMIT are damage (a file of zeros may be large and cost
 *     nothing).
 * T5  A wrong length of a block (of even length) is mended by the other one:
 *     that in front counts when a whole block stands behind where it ends,
 *     perhaps with a few marks between; else that behind, looked for at each
 *     multiple of 512, when a whole block or the end of the file follows. The
 *     first write puts them right, since what follows may be written over.
 *     More than 64 such blocks are damage. */
#ifndef REEL_TAPE_TAP_H
#define REEL_TAPE_TAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TAP_BLOCK_LIMIT ((1u << 24) - 1) /* the most that all readers take */
#define TAP_MARKS_LIMIT (1u << 20)	 /* in a row */

enum tap_object {
	TAP_BLOCK,
	TAP_BAD, /* a block its writer marked as unreadable */
	TAP_FILEMARK,
	TAP_SETMARK,
	TAP_END,
	TAP_DAMAGE,
};

struct tap_place {
	uint64_t offset; /* bytes */
	uint64_t object; /* blocks and marks before it */
	uint64_t file;	 /* filemarks before it */
	uint64_t block;	 /* objects since the last filemark */
	uint64_t run;	 /* blocks since the last mark of either kind */
	uint64_t marks;	 /* since the last block */
};

struct tap {
	int fd;
	struct tap_place end;  /* of the data */
	bool torn;	       /* T1: bytes of a block behind the end */
	bool damaged;	       /* T2: what lies at the end is damage */
	uint32_t mended;       /* T5: blocks */
	bool padded, unpadded; /* which, once a block of odd length decided */
	uint64_t size;	       /* of the file */
	/* Places every `stride` objects, ascending. */
	struct tap_place *places;
	size_t count, room;
	uint64_t stride;
	uint32_t expected; /* length of the next block, a guess */
	uint64_t written_back;
};

/* Takes the descriptor, which tap_release closes; on failure it does not.
 * REEL_EDAMAGED: not an image (T4; nothing is said). */
int tap_init(struct tap *t, int fd, bool repair);
void tap_release(struct tap *t);

/* The object at p; *length of a block. Errors: REEL_EIO. */
int tap_peek(struct tap *t, const struct tap_place *p, enum tap_object *what,
	     uint32_t *length);
/* Likewise; *p moves behind it (not over the end or damage). */
int tap_step(struct tap *t, struct tap_place *p, enum tap_object *what);
/* The object at *p, which moves behind it (not over the end or damage). A block
 * larger than `room` is not read and not passed: REEL_ERANGE with *length. */
int tap_read(struct tap *t, struct tap_place *p, void *to, size_t room,
	     enum tap_object *what, uint32_t *length);
/* At *p, which becomes the end. REEL_ENOSPC, REEL_EIO: *p is the end, and
 * nothing was written; other errors of the system likewise. */
int tap_write(struct tap *t, struct tap_place *p, const void *data,
	      uint32_t length);
/* All or none of them. REEL_ERANGE: too many in a row. */
int tap_mark(struct tap *t, struct tap_place *p, bool setmark, uint32_t count);
/* Whether T2 forbids to write there. */
bool tap_is_barred(const struct tap *t, const struct tap_place *p);
/* *p is the end; what lay behind it is gone. */
int tap_cut(struct tap *t, const struct tap_place *p);

/* The place of an object, or of the end (REEL_ENOENT when it is behind). */
int tap_find_object(struct tap *t, uint64_t object, struct tap_place *p);
/* The place of the filemark that ends file number `file`; REEL_ENOENT. */
int tap_find_mark(struct tap *t, uint64_t file, struct tap_place *p);
/* Bytes that a block takes. */
uint64_t tap_footprint(const struct tap *t, uint32_t length);

#endif
