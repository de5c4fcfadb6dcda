/* Inside restore: the walk through the snapshot, see restore_walk.c. */
#ifndef REEL_FS_RESTORE_WALK_H
#define REEL_FS_RESTORE_WALK_H

#include "fs/restore_place.h"

struct restore_links;
struct level;

struct restore_walk {
	struct restore *r;
	struct catalog *c;
	struct restore_pool *pool;
	struct restore_links *links;
	struct level *levels;
	size_t depth, room;
	unsigned long long lost; /* names in lost places, till now */
	size_t shut; /* levels below this (but the first 16) have no fd */
	uint64_t xattrs_id; /* the last set that was read */
	struct buffer xattrs;
	struct restore_progress progress;
	int64_t reported;
	bool system; /* a new last-restore-id was written */
};

/* Everything about the entry that the catalogue knows; released by the
 * caller. */
int walk_load(struct restore_walk *w, const struct inode_row *i,
	      struct restore_entry *e);
/* Opens or makes a directory as rules and options say. 0 and *out NULL: it is
 * left out, and what lies below it. `leading`: it is only on the way to what
 * is restored; `named`: on the command line, so that no exclude counts;
 * `unlisted`: the directory had no such name before. */
struct walk_way {
	bool leading, named, unlisted;
};
int walk_enter(struct restore_walk *w, struct place *up, const char *name,
	       size_t length, const struct entry_row *row, struct walk_way way,
	       struct place **out);
/* An entry that is no directory. */
int walk_file(struct restore_walk *w, struct place *p, const char *name,
	      size_t length, const struct entry_row *row, struct walk_way way);
/* The directory `p` (taken over) and all below it. */
int walk_descend(struct restore_walk *w, struct place *p);
void walk_report(struct restore_walk *w, bool force);
void walk_release(struct restore_walk *w);

#endif
