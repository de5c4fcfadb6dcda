/* What is dirty in a frozen tree, as the items of a backup (item.h): compared
 * with what the newest snapshot has under the same paths. */
#ifndef REEL_FS_COMMIT_WALK_H
#define REEL_FS_COMMIT_WALK_H

#include "catalog/rules.h"
#include "fs/commit.h"
#include "fs/item.h"

struct commit_walk {
	struct live *live;
	const struct live_frozen *frozen;
	struct set *set;
	struct catalog *catalog; /* a reader of this thread's own */
	struct library *library;
	const struct rules *rules; /* sealed */
	uint32_t newest;
	const struct commit_options *options;
	struct outlet out;
	/* results */
	uint64_t excluded;
	int error;
	struct buffer later; /* struct item * each */
	struct visits *visits;
	struct trail trail; /* to the name being judged */
};

/* Walks, then ends the queue. Returns w->error. */
int commit_walk_run(struct commit_walk *w);

#endif
