/* Inside restore: the target's directories and the work on one entry.
 *
 * A place is a directory of the target that is being restored, held open by
 * the walk and by every entry that has yet to be written into it. When the
 * last of them lets go, its metadata is set (so times come last and modes
 * never lock us out) and it is closed: post-order, with memory only for what
 * is in work.
 *
 * P1 Names are single components, checked by place_name_valid; a directory is
 *    opened from its parent's descriptor and never through a symlink.
 * P2 A place that workers may use has fd >= 0. Only the walk, with no jobs
 *    under way, closes and reopens descriptors of far ancestors. */
#ifndef REEL_FS_RESTORE_PLACE_H
#define REEL_FS_RESTORE_PLACE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include "catalog/beneath.h"
#include "catalog/tree.h"
#include "fs/restore.h"

enum restore_problem {
	PROBLEM_OWNER,
	PROBLEM_MODE,
	PROBLEM_XATTR,
	PROBLEM_TIME,
	PROBLEM_FLAGS,
	PROBLEM_OTHER, /* always said */
	PROBLEM_KINDS,
};

struct restore_clones;

/* What every part of one run shares. */
struct restore {
	const struct restore_options *options;
	struct set *set;
	struct library *library;
	struct restore_clones *clones;
	int root; /* fd of the target; -1 in a dry run that finds none */
	uid_t uid;
	gid_t gid;
	mode_t umask;
	atomic_ullong files, directories, bytes, same, problems;
	atomic_ullong kinds[PROBLEM_KINDS];
	atomic_int helpers; /* of restore_pour */
	atomic_int error;   /* first REEL_EDAMAGED, REEL_EMEDIUM, REEL_ENOSPC */
};

/* One entry's metadata, with memory of its own. */
struct restore_entry {
	struct inode_row inode; /* target stands behind `target` */
	char *target;		/* symlinks; heap, NUL-terminated */
	uint8_t *xattrs;	/* packed; heap */
	size_t xattrs_length;
	struct content_row content;
};
void restore_entry_release(struct restore_entry *e);

struct place {
	struct place *up;
	atomic_uint refs;
	int fd;
	unsigned depth;
	bool fresh; /* made by this run: nothing to replace in it */
	bool adorn; /* set the metadata at the end */
	bool acl;   /* has a default ACL that new names would inherit */
	gid_t gid;  /* which new names get */
	uint64_t node;
	struct restore_entry entry;
	size_t name_length;
	char name[];
};

/* The target itself; takes over fd and *e. */
int place_root(struct restore *r, int fd, bool fresh, struct restore_entry *e,
	       struct place **out);
/* Opens or makes the directory `name` in `up`; takes over *e on success. */
int place_enter(struct restore *r, struct place *up, const char *name,
		size_t length, struct restore_entry *e, struct place **out);
bool place_name_valid(const char *name, size_t length);
struct place *place_get(struct place *p);
void place_put(struct restore *r, struct place *p);
/* Closing and opening again, see P2. */
void place_shut(struct place *p);
int place_reopen(struct place *p);
/* Path of a name in a place, relative to the target; heap. */
char *place_path(const struct place *p, const char *name);

/* Counts a problem and says it; of one kind only the first are said. */
void restore_problem(struct restore *r, enum restore_problem kind,
		     const struct place *p, const char *name, const char *what,
		     int err);

/* restore_meta.c: sets owner, mode, xattrs, times. `now`: what the file has
 * at present, NULL when it was just made with mode `made` and the owner
 * (r->uid, p->gid). */
void meta_apply(struct restore *r, const struct place *p, const char *name,
		int fd, const struct restore_entry *e, const struct stat *now,
		mode_t made);
/* The same for what has no descriptor: symlinks, devices, fifos. */
void meta_apply_at(struct restore *r, const struct place *p, const char *name,
		   const struct restore_entry *e);
/* Inode flags: last of all, since they forbid the rest. */
void meta_flags(struct restore *r, const struct place *p, const char *name,
		int fd, const struct restore_entry *e);
/* Flags of a file by its name: after it got that name, and all its links. */
void meta_flags_at(struct restore *r, const struct place *p, const char *name,
		   const struct restore_entry *e);
struct timespec meta_time(int64_t ns);

/* restore_write.c: brings one entry that is no directory into being. */
void write_entry(struct restore *r, const struct place *p, const char *name,
		 const struct restore_entry *e);
/* A further name of a file that stands at `first`, a path below the target. */
void write_link(struct restore *r, const struct place *p, const char *name,
		const char *first, const struct restore_entry *e);

/* restore_pour.c: stream bytes [offset, +length) to `at` of the file. */
int restore_pour(struct restore *r, int fd, uint32_t session, uint64_t offset,
		 uint64_t length, uint64_t at);
int restore_write_all(int fd, const uint8_t *data, size_t length, uint64_t at);

/* restore_clone.c: where large contents were restored, for FICLONE. */
int clones_new(struct restore_clones **out);
void clones_free(struct restore_clones *c);
/* True when `fd` now has the content. */
bool clones_try(struct restore *r, int fd, const struct content_row *content);
void clones_note(struct restore *r, int fd, const struct place *p,
		 const char *name, const struct content_row *content);

/* restore_pool.c: threads that write entries. */
struct restore_pool;
int pool_new(struct restore *r, int threads, struct restore_pool **out);
/* Waits for all. */
void pool_free(struct restore_pool *q);
/* Takes over *e; keeps a reference on `p` until it is written. */
int pool_add(struct restore_pool *q, struct place *p, const char *name,
	     size_t length, struct restore_entry *e);
void pool_drain(struct restore_pool *q);

#endif
