/* Writing what is dirty in current/ to the media as a new session.
 *
 * A commit is a snapshot of one instant: the living tree is frozen (live.h),
 * goes on living, and what is dirty in the frozen one flows through the same
 * archive as a backup. Only directories with something dirty in them are
 * walked, and directories that came to another path: the media know paths, so
 * a directory that was renamed has a member for each file below it.
 *
 * M1 The media decide: the session counts once its last volume has its name
 *    (stream.h, S2). Only after that rows of the spool become clean, in one
 *    go, durable before a file of the spool is removed.
 * M2 Cut in between, the spool is still dirty, and its next commit finds all
 *    of it in the newest snapshot: it writes nothing.
 * M3 Any failure leaves the spool as it was; the next commit begins anew. */
#ifndef REEL_FS_COMMIT_H
#define REEL_FS_COMMIT_H

#include "fs/live.h"

struct commit_progress {
	uint64_t names, names_total;
	uint64_t bytes, bytes_total;
};

struct commit_options {
	const char *label;
	bool wait; /* for the set's lock */
	void (*progress)(void *context, const struct commit_progress *p);
	/* a name that a rule leaves out, with its rule */
	void (*excluded)(void *context, const char *path, const char *rule);
	void *context;
	const volatile int *stop;
};

struct commit_result {
	uint32_t session; /* 0: there was nothing to commit */
	char name[40];
	uint64_t added, changed, removed;
	uint64_t excluded; /* with all below them */
	uint64_t problems;
	uint64_t stored;    /* bytes on volumes */
	uint64_t new_bytes; /* logical, of files that were stored */
	uint64_t unique_bytes;
};

/* Logs what went wrong. */
int commit_run(struct live *live, const char *set,
	       const struct commit_options *o, struct commit_result *result);

#endif
