/* Inside copy: where the volumes of a session go. */
#ifndef REEL_CATALOG_COPY_STATE_H
#define REEL_CATALOG_COPY_STATE_H

#include "catalog/copy.h"
#include "catalog/media.h"

struct copy_sink;

/* Volumes one after the other: begin, write ..., end; at last commit. Errors
 * are said. But REEL_ENOSPC of write and end is not where there is `again`: it
 * clears the way for beginning this volume once more, or says why not. */
struct copy_sink_ops {
	int (*begin)(struct copy_sink *k, const struct session_row *row,
		     uint32_t volume, uint64_t size);
	int (*write)(struct copy_sink *k, const void *data, size_t length);
	/* `end` (NULL: the session goes on) when its session ends here. */
	int (*end)(struct copy_sink *k, const struct media_session *end);
	/* The rest may be NULL. */
	int (*again)(struct copy_sink *k);
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
