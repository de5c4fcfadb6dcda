/* What a mount shows, without FUSE: the views above the snapshots, and the
 * numbers of nodes.
 *
 *     1                            the mount's root
 *     file                         its inode (tree.h), >= 2
 *     session << 43 | node         a directory as a snapshot has it
 *     1 << 63 | VIEW_…             snapshots/, versions/, restore/
 *     1 << 63 | 1 << 60 | session  latest, while it leads to that session
 *     1 << 63 | 1 << 61 | n        versions/PATH, remembered while looked at
 *     3 << 62 | node               a directory in current/
 *
 * V1 Whatever lies below a snapshot never changes: `fixed`. What changes with
 *    each session is `told`: whoever remembers it is told of a new session
 *    (mount.c), and asks again after VIEW_TOLD_SECONDS at the latest. The rest
 *    is looked up again each time.
 * V2 A directory has one place only, since the kernel allows but one: what
 *    would be a second is a symlink (versions/DIR/@N-TIME) or has a number of
 *    its own (current/). */
#ifndef REEL_FS_VIEW_H
#define REEL_FS_VIEW_H

#include <stdbool.h>
#include <sys/stat.h>
#include "catalog/tree.h"
#include "fs/places.h"
#include "fs/versions.h"

#define VIEW_ROOT	   UINT64_C(1)
#define VIEW_BIT	   (UINT64_C(1) << 63)
#define VIEW_CURRENT_BIT   (UINT64_C(1) << 62)
#define VIEW_SNAPSHOTS	   (VIEW_BIT | 1)
#define VIEW_VERSIONS	   (VIEW_BIT | 2)
#define VIEW_RESTORE	   (VIEW_BIT | 3)
#define VIEW_LATEST_FIRST  (VIEW_BIT | UINT64_C(1) << 60)
#define VIEW_VERSION_FIRST (VIEW_BIT | UINT64_C(1) << 61)

#define VIEW_TOLD_SECONDS 1.0

struct view {
	struct set *set;
	uint32_t only; /* -o snapshot: this one is the root; 0: the views */
	uid_t uid;     /* of what is not in any snapshot */
	gid_t gid;
	struct timespec began;
	bool writable; /* something is mounted on current/ */
	bool restores; /* and on restore/, which is there only then */
	struct versions versions;
	struct places places;
};

struct view_entry {
	uint64_t id; /* 0: a name to be looked up on its own */
	struct stat st;
	uint64_t content; /* of a file of a snapshot; 0: none */
	bool fixed;	  /* the name always leads here */
	bool fixed_stat;  /* what it leads to never changes */
	bool told;	  /* neither changes but with a session */
};

int view_init(struct view *v, struct set *set, uint32_t only);
void view_release(struct view *v);

/* All of these may be called by many threads, each with its connection. */
int view_stat(struct view *v, struct catalog *c, uint64_t id,
	      struct view_entry *out);
/* A remembered id counts as looked up once more. REEL_ENOENT. */
int view_lookup(struct view *v, struct catalog *c, uint64_t parent,
		const char *name, struct view_entry *out);
void view_forget(struct view *v, uint64_t id, uint64_t times);
/* The text of a symlink, appended. */
int view_readlink(struct view *v, struct catalog *c, uint64_t id,
		  struct buffer *out);
/* The number of a node's set of xattrs, 0 for none. */
int view_xattrs(struct view *v, struct catalog *c, uint64_t id, uint64_t *set);
/* The names of a directory behind `offset` (0: all, beginning with "." and
 * ".."). Calls `each` with the offset behind each name until it returns
 * non-zero: then that name does not count as given. */
typedef int (*view_each)(void *context, const char *name,
			 const struct view_entry *e, uint64_t next);
int view_list(struct view *v, struct catalog *c, uint64_t id, uint64_t offset,
	      view_each each, void *context);

/* Whether the id is a directory of a snapshot. */
bool view_is_fixed(const struct view *v, uint64_t id);

static inline bool view_is_file(uint64_t id)
{
	return id > VIEW_ROOT && !(id >> TREE_ID_BITS);
}

#endif
