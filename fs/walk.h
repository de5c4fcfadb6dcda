/* Listing a source tree: names and stats, no contents, no catalogue. */
#ifndef REEL_FS_WALK_H
#define REEL_FS_WALK_H

#include "fs/exclusion.h"
#include "fs/folder_pool.h"
#include "fs/item.h"

struct walk {
	/* what to walk */
	const char *directory; /* relative paths start here */
	const char *const *paths;
	int path_count;
	bool one_file_system;
	dev_t avoid_dev; /* this directory (the set's own) is left out */
	ino_t avoid_ino;
	const char *reserved;	    /* the set's reserved name */
	struct exclusion exclusion; /* below what is named */
	const volatile int *stop;
	/* where it goes */
	struct folder_pool *folders;
	struct outlet out;
	bool whole_root; /* the root itself is named */
	bool met;	 /* something that was named is there */
	/* results, valid after the queue has ended */
	uint64_t problems;
	uint64_t excluded; /* names, with all below them */
	int error;
};

/* Walks everything, then ends the queue. Returns w->error: REEL_ENOENT when
 * nothing that was named is there. */
int walk_run(struct walk *w);

#endif
