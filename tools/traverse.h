/* A snapshot's tree from the top down, in the byte order of names, a
 * directory before what is in it. Memory grows with the depth alone, by a few
 * bytes for each level; far levels give their cursors up.
 *
 * A catalogue is untrusted: a directory is entered only from the one place
 * that it says it is at, so what is walked is a tree, whatever the rows say,
 * and names are single components. */
#ifndef REEL_TOOLS_TRAVERSE_H
#define REEL_TOOLS_TRAVERSE_H

#include "catalog/tree.h"
#include "tape/buffer.h"

struct traverse_level;

struct traverse {
	struct catalog *catalog; /* borrowed */
	uint32_t session;
	struct traverse_level *levels;
	size_t depth, room;
	uint64_t top;		/* node of the start */
	bool first;		/* the start itself is still to come */
	bool enter;		/* the last entry is a directory to go into */
	struct entry_row entry; /* the last one; target is ours */
	struct buffer path;	/* its path, NUL-terminated behind length */
	struct buffer target;
};

/* Begins at a path as target_path makes it: the first entry is the start
 * itself (but not a set's root, which may have none), then all below it.
 * REEL_ENOENT, REEL_ENOTDIR. */
int traverse_init(struct traverse *t, struct catalog *c, uint32_t session,
		  const char *path);
void traverse_release(struct traverse *t);
/* 1: t->entry and t->path are the next; 0 at the end; REEL_EDAMAGED … */
int traverse_next(struct traverse *t);
/* Does not go into the directory that was last. */
void traverse_skip(struct traverse *t);
/* The last component of t->path. */
const char *traverse_name(const struct traverse *t);

#endif
