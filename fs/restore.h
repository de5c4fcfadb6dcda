/* Restoring to a directory: snapshot -> filesystem, in the order of the
 * medium, each file written beside its target and renamed over. Never follows
 * a symlink out of the target. */
#ifndef REEL_FS_RESTORE_H
#define REEL_FS_RESTORE_H

#include <stdbool.h>
#include <stdint.h>
#include "catalog/catalog.h"
#include "fs/content.h"

struct restore_progress {
	uint64_t entries, entries_total;
	uint64_t bytes, bytes_total;
	const char *path;
};

struct restore_options {
	uint32_t session;
	const char *const *paths; /* inside the snapshot; none = all */
	int path_count;
	const char *to; /* directory; made when missing */
	bool dry_run;
	int threads; /* 0: processors */
	void (*progress)(void *context, const struct restore_progress *p);
	void *context;
	const volatile int *stop;
};

struct restore_result {
	uint64_t files, directories, bytes, same, problems;
};

int restore_run(struct set *set, struct catalog *c, struct library *l,
		const struct restore_options *o, struct restore_result *result);

#endif
