/* Restoring to a directory: snapshot -> filesystem, in the order of the
 * medium, each file written beside its target and renamed over. Never follows
 * a symlink out of the target. What happens with a name is decided by plan.h,
 * from the rules and what the target has.
 *
 * Whenever it ends, killed or not, the next run goes on: what matches is not
 * written again, what was left unfinished is removed or replaced. */
#ifndef REEL_FS_RESTORE_H
#define REEL_FS_RESTORE_H

#include <stdbool.h>
#include <stdint.h>
#include "catalog/catalog.h"
#include "fs/content.h"
#include "fs/plan.h"

struct restore_progress {
	uint64_t entries, entries_total;
	uint64_t bytes, bytes_total;
	const char *path;
};

/* What was (dry run: would be) done with one name. */
struct restore_event {
	enum plan_action action;
	const char *path;	 /* relative to the target */
	const struct rule *rule; /* that decided, or NULL */
	const char *why;	 /* NULL when the rule says it */
};

struct restore_options {
	uint32_t session;
	const char *const *paths; /* inside the snapshot; none = all */
	int path_count;
	const char *to;	     /* directory; made when missing */
	const char *delayed; /* directory of the journal; NULL: in the target */
	struct plan plan;
	bool dry_run;
	bool delete;   /* extras */
	bool verify;   /* read back what was written */
	bool checksum; /* size and mtime are not enough to be the same */
	bool link_duplicates;
	bool no_devices; /* device nodes are left out */
	bool no_suid;	 /* suid, sgid and capabilities of files are */
	int threads;	 /* 0: processors */
	void (*progress)(void *context, const struct restore_progress *p);
	/* From any thread, one at a time. New, same and changed names are told
	 * when `every` is set; the others always. */
	void (*event)(void *context, const struct restore_event *e);
	bool every;
	void *context;
	const volatile int *stop;
};

struct restore_result {
	uint64_t files, directories, bytes, same, problems;
	uint64_t kept, delayed, excluded, extra;
	uint64_t shared, shared_bytes; /* files that share extents, or links */
	bool system;		       /* a new last-restore-id was written */
};

int restore_run(struct set *set, struct catalog *c, struct library *l,
		const struct restore_options *o, struct restore_result *result);

#endif
