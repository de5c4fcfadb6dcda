/* Where a set's volumes lie and how their bytes are read: files of a directory
 * (medium_dir.c) or tape files on cartridges (medium_tape.c).
 *
 * A volume is a row of bytes with a number, from 1 through the life of the set;
 * what lies in it is the same on every medium (FORMAT.md), so a copy of it
 * elsewhere is the same volume, and a place in it (volume, byte) stays true.
 *
 * Safe for any number of threads. Functions return 0 or an error; a volume that
 * is not there is REEL_EMEDIUM: of a directory the caller says so (it knows
 * what it wanted), of a tape it was said, with the cartridge and what to do. */
#ifndef REEL_TAPE_MEDIUM_H
#define REEL_TAPE_MEDIUM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "tape/error.h"
#include "tape/frame.h"

#define MEDIUM_NAME 128 /* of a volume in messages, with NUL */

struct medium_volume {
	uint32_t number;
	enum compression compression;
	bool partial;  /* being written, or left by an interrupted backup */
	uint64_t size; /* bytes */
};

enum medium_news {
	MEDIUM_HEALED,	  /* it is damaged there; another has it well */
	MEDIUM_ELSEWHERE, /* others are damaged; this one may be well */
};

struct medium;

struct medium_ops {
	/* All volumes, ascending, partial ones last among equals; *out is the
	 * caller's to free. Of a tape: those that the catalogue has places of.
	 */
	int (*list)(struct medium *m, struct medium_volume **out,
		    size_t *count);
	int (*size)(struct medium *m, uint32_t volume, uint64_t *size);
	/* Up to `length` bytes; fewer only at the volume's end. Bytes or an
	 * error. Of a tape: waits for cartridge and drive; *stop (may be NULL)
	 * set by another thread ends the wait: REEL_ESTOPPED. */
	int64_t (*read)(struct medium *m, uint32_t volume, uint64_t at,
			void *to, size_t length, const volatile int *stop);
	/* For messages: "000003.tar.zst", "daily-0002 (barcode REEL02L8)",
	 * where byte `at` of the volume lies. */
	void (*name)(struct medium *m, uint32_t volume, uint64_t at,
		     char *name);
	/* These may be NULL: each byte is there once. Exactly `length` bytes
	 * from the Nth cartridge that has them, from 0, if it is at hand:
	 * REEL_EMEDIUM; REEL_ENOENT: there are no so many. */
	int (*read_copy)(struct medium *m, uint32_t volume, uint64_t at,
			 void *to, size_t length, size_t n,
			 const volatile int *stop);
	/* Says something of what lies on the Nth, once. */
	void (*tell)(struct medium *m, uint32_t volume, uint64_t at, size_t n,
		     enum medium_news news);
	/* Volumes were removed or replaced: what was kept of them goes. */
	void (*forget)(struct medium *m);
	void (*close)(struct medium *m);
};

struct medium {
	const struct medium_ops *ops;
	enum compression compression;
	bool tape; /* reading may take minutes and a person's hand */
	atomic_uint_least64_t healed; /* places that were told of so */
};

/* The files NNNNNN.tar[.zst] of a directory (borrowed). Keeps descriptors of
 * those read last, so that a read is one system call. */
int medium_dir_new(int directory, enum compression c, struct medium **out);

static inline void medium_close(struct medium *m)
{
	if (m)
		m->ops->close(m);
}

static inline int64_t medium_read(struct medium *m, uint32_t volume,
				  uint64_t at, void *to, size_t length,
				  const volatile int *stop)
{
	return m->ops->read(m, volume, at, to, length, stop);
}

/* Exactly `length` bytes: REEL_EDAMAGED when the volume ends before. */
static inline int medium_read_all(struct medium *m, uint32_t volume,
				  uint64_t at, void *to, size_t length,
				  const volatile int *stop)
{
	int64_t n = m->ops->read(m, volume, at, to, length, stop);

	return n < 0 ? (int)n : (size_t)n < length ? REEL_EDAMAGED : 0;
}

static inline int medium_list(struct medium *m, struct medium_volume **out,
			      size_t *count)
{
	return m->ops->list(m, out, count);
}

static inline int medium_size(struct medium *m, uint32_t volume, uint64_t *size)
{
	return m->ops->size(m, volume, size);
}

static inline void medium_name(struct medium *m, uint32_t volume, uint64_t at,
			       char name[MEDIUM_NAME])
{
	m->ops->name(m, volume, at, name);
}

/* A frame, read into `stored` (of frame.stored bytes) and decoded; from
 * whichever cartridge has it well. REEL_EDAMAGED: none of those at hand. */
int medium_frame(struct medium *m, struct frame_codec *k, const struct frame *f,
		 void *stored, void *plain, const volatile int *stop);
/* seek_table_read of a volume. */
int medium_seek_table(struct medium *m, uint32_t volume, struct frame **frames,
		      size_t *count, bool *rebuilt);

#endif
