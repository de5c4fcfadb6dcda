/* Inside copy: where the volumes of a session go. */
#ifndef REEL_CATALOG_COPY_STATE_H
#define REEL_CATALOG_COPY_STATE_H

#include "catalog/copy.h"
#include "catalog/media.h"

struct copy_sink;

struct copy_volume {
	const struct session_row *session;
	uint32_t number;
	uint64_t size;		   /* bytes */
	bool data_end;		   /* what follows on others is the index */
	struct trailer const *end; /* NULL: the session goes on behind it */
};

/* Volumes one after the other: begin, write ..., end; at last commit. Errors
 * are said. But REEL_ENOSPC of write, cut and end is not where there is
 * `again`. */
struct copy_sink_ops {
	/* `v` is borrowed up to `end`. */
	int (*begin)(struct copy_sink *k, const struct copy_volume *v);
	int (*write)(struct copy_sink *k, const void *data, size_t length);
	int (*end)(struct copy_sink *k);
	/* The rest may be NULL. */
	/* Here the volume may be cut: a frame ends. */
	int (*cut)(struct copy_sink *k);
	/* There was no room: makes some, or says why not. *from: what is
	 * written next is the volume from here on, a place where it may be cut.
	 */
	int (*again)(struct copy_sink *k, uint64_t *from);
	/* All of the session is there, and counts. */
	int (*commit)(struct copy_sink *k);
	/* The session is in the catalogue. */
	int (*taken)(struct copy_sink *k);
	void (*close)(struct copy_sink *k);
};

struct copy_sink {
	const struct copy_sink_ops *ops;
};

/* copy_dir.c: files in the set's volumes/ */
int copy_dir_open(struct set *to, struct copy_sink **out);

/* copy_tape.c: cartridges, for a tape set */
int copy_tape_open(struct catalog *to, const volatile int *stop,
		   struct copy_sink **out);

#endif
