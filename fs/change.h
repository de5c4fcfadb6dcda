/* What of a walked tree differs from the newest snapshot, and the bytes of
 * small files that do.
 *
 * Unchanged means: same type, size, mtime, ctime and inode number, and a
 * ctime older than the read that stored it by more than the clock's
 * granularity (INODE_RACY says when it was not). */
#ifndef REEL_FS_CHANGE_H
#define REEL_FS_CHANGE_H

#include "fs/item.h"

struct change {
	struct queue *in;
	struct outlet out;
	struct catalog *catalog; /* a reader of this thread's own */
	uint32_t newest;	 /* snapshot to compare with; 0: none */
	uint64_t seed;
	bool reread;
	bool atime;
	const volatile int *stop;
	/* results */
	uint64_t unchanged, problems;
	atomic_uint_fast64_t entries, files, bytes; /* for progress */
	int error;
};

int change_run(struct change *c);

/* Times as the catalogue has them: 1677 to 2262, beyond that the nearest. */
static inline int64_t statx_ns(struct statx_timestamp t)
{
	const int64_t limit = INT64_MAX / 1000000000 - 1;

	if (t.tv_sec > limit)
		return limit * 1000000000;
	if (t.tv_sec < -limit)
		return -limit * 1000000000;
	return t.tv_sec * 1000000000 + t.tv_nsec;
}

#endif
