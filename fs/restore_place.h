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
 *    under way, closes and reopens descriptors of far ancestors. A place that
 *    is delayed is not there yet and has none; nor has one of a dry run.
 * P3 A place is fresh when this run made it and nobody else can enter it: ours,
 *    for its owner only until its metadata are set. Only there are files made
 * under their own names and looked up by name again. P4 What is being made has
 * the mode RESTORE_UNFINISHED (_DIRECTORY) until all else is right: what a
 * killed restore leaves behind is known by it. P5 Metadata are changed in place
 * only on files that have no other name, and through a descriptor: another name
 * may lie outside the target. */
#ifndef REEL_FS_RESTORE_PLACE_H
#define REEL_FS_RESTORE_PLACE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include "catalog/beneath.h"
#include "catalog/tree.h"
#include "fs/busy.h"
#include "fs/delay.h"
#include "fs/restore.h"

#define RESTORE_UNFINISHED	     (S_ISVTX | 0600)
#define RESTORE_UNFINISHED_DIRECTORY (S_ISVTX | 0700)

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

/* Directories that are held open at a time, see place_budget. */
struct place_budget {
	unsigned walk;	   /* by the walk: those nearest to it */
	unsigned reopened; /* by place_reopen */
	unsigned window;   /* by each of the pool's two windows */
	unsigned all;	   /* by these and what is above them */
};

/* A file or directory that is let alone, see restore_border.c. */
struct restore_border {
	dev_t device;
	ino_t inode;
	const char *why; /* static */
};

/* What every part of one run shares. */
struct restore {
	const struct restore_options *options;
	struct set *set;
	struct library *library;
	struct restore_clones *clones;
	struct busy *busy; /* NULL: no rule asks */
	const struct rule *busy_rule;
	struct delay *delay;
	struct restore_border *borders; /* heap */
	size_t border_count;
	int root; /* fd of the target; -1 in a dry run that finds none */
	uid_t uid;
	gid_t gid;
	mode_t umask;
	struct place_budget open;
	atomic_uint places;    /* that are open */
	int threads;	       /* that write; of a tape one, so that it is
				* not moved to and fro */
	uint64_t seed;	       /* of the names of temporary files */
	struct timespec begun; /* by the clock of the machine */
	bool ruled;	       /* some rule is for restoring names */
	bool alone;	       /* no other restore writes to this target */
	atomic_ullong files, directories, bytes, same, problems;
	atomic_ullong shared, shared_bytes;
	atomic_ullong told[PLAN_ACTIONS];
	atomic_ullong kinds[PROBLEM_KINDS];
	atomic_uint serial; /* of temporary files */
	atomic_int helpers; /* of restore_pour */
	atomic_bool system; /* a directory of the operating system changed */
	atomic_int error;   /* first REEL_EDAMAGED, REEL_EMEDIUM */
	pthread_mutex_t telling;
	pthread_mutex_t naming; /* see rename_apart */
};

/* One entry's metadata, with memory of its own. */
struct restore_entry {
	struct inode_row inode; /* target stands behind `target` */
	char *target;		/* symlinks; heap, NUL-terminated */
	uint8_t *xattrs;	/* packed; heap */
	size_t xattrs_length;
	struct content_row content;
	struct plan_opinion opinion;
	bool unlisted; /* its directory had no such name before */
	bool named;    /* by the user, maybe more than once */
};
void restore_entry_release(struct restore_entry *e);

struct place {
	struct place *up;
	struct place *down; /* scratch of place_reopen */
	atomic_uint refs;
	int fd;
	unsigned depth;
	bool fresh;   /* see P3: nothing to replace in it */
	bool delayed; /* will be made at the next boot */
	bool lost;    /* cannot be made: walked only to name what is in it */
	bool system;  /* of the operating system, see restore_system */
	bool adorn;   /* set the metadata at the end */
	bool acl;     /* has a default ACL that new names would inherit */
	gid_t gid;    /* which new names get */
	ino_t inode;
	uint64_t node;
	struct plan_place plan; /* for the names in it */
	struct restore_entry entry;
	size_t name_length;
	char name[];
};

/* The target itself; takes over fd and *e. */
int place_root(struct restore *r, int fd, bool fresh, struct restore_entry *e,
	       struct place **out);
enum place_way {
	PLACE_OPEN,    /* it is there */
	PLACE_MAKE,    /* it is not */
	PLACE_REPLACE, /* a file is there, which goes */
	PLACE_DELAY,   /* it will be made at the next boot */
	PLACE_LOST,    /* it cannot be made */
};
/* Opens or makes the directory `name` in `up`; takes over *e on success. Its
 * metadata are set at the end unless `adorn` is changed. */
int place_enter(struct restore *r, struct place *up, const char *name,
		size_t length, enum place_way way, struct restore_entry *e,
		struct place **out);
bool place_name_valid(const char *name, size_t length);
struct place *place_get(struct place *p);
void place_put(struct restore *r, struct place *p);
/* Asks for many descriptors and shares out those that the process gets and its
 * threads leave. */
void place_budget(int threads, struct place_budget *out);
/* Closing and opening again, see P2: with a place some above it, that the walk
 * comes back to next. */
void place_shut(struct restore *r, struct place *p);
int place_reopen(struct restore *r, struct place *p);
/* Path of a name in a place, relative to the target; heap. */
char *place_path(const struct place *p, const char *name);

/* restore_report.c: counts a problem and says it; of one kind only the first
 * are said. */
void restore_problem(struct restore *r, enum restore_problem kind,
		     const struct place *p, const char *name, const char *what,
		     int err);
/* Counts what was decided and tells it. */
void restore_tell(struct restore *r, const struct place *p, const char *name,
		  const struct plan_verdict *v);
void restore_tell_path(struct restore *r, const char *path,
		       const struct plan_verdict *v);
/* A name in a lost place, and how many there were in all below it. */
void restore_lost(struct restore *r, const struct place *p, const char *name);
void restore_lost_below(const struct place *p, unsigned long long count);
/* Something was changed in a place. */
void restore_touched(struct restore *r, const struct place *p,
		     const char *name);

/* A name's file at the target: what plan_decide asks. */
struct look {
	struct stat st;
	struct plan_subject subject;
};
/* restore_look.c */
void look_at(struct restore *r, const struct place *p, const char *name,
	     const struct restore_entry *e, struct look *out);
/* A directory of the snapshot. */
void look_at_directory(const struct place *p, const char *name,
		       const struct inode_row *i, struct look *out);
/* The rules' opinion about a name in a place, and for what lies below it. */
int look_opinion(struct restore *r, const struct place *p, const char *name,
		 mode_t wanted, struct plan_opinion *out,
		 struct plan_place *below);
/* plan_decide, and whether the file is in use. */
void look_decide(struct restore *r, const struct place *p, const char *name,
		 const struct plan_opinion *o, const struct look *l,
		 struct plan_verdict *out);

/* restore_border.c */
int borders_find(struct restore *r);
void borders_release(struct restore *r);
/* Says that the target itself lies in one. */
int borders_check(const struct restore *r);
/* NULL, or why what stands at a path (relative to the target) stays. */
const char *border_at(const struct restore *r, const char *path,
		      const struct stat *st);
const char *border_in(const struct restore *r, const struct place *p,
		      const char *name, const struct look *l);

/* restore_alias.c: filesystems that take two names for one (FILE and file,
 * name. and name). Finds the name by which the directory lists what stands at
 * `name`. False: by that name, or nothing stands there. */
bool alias_find(int directory, const char *name,
		char other[TREE_NAME_LIMIT + 1]);
/* Whether two names are one there: their file has no third. */
bool alias_is(int directory, const char *name, const char *other);
/* Counts and says that `name` is not restored, since at the target something
 * stands there that was not there before: the file of another name, mostly. */
void alias_problem(struct restore *r, const struct place *p, const char *name);
/* The same when that name is known. */
void alias_problem_with(struct restore *r, const struct place *p,
			const char *name, const char *other);

/* restore_temporary.c: names that only this set makes in this directory. */
#define TEMPORARY_ROOM 40
void temporary_name(struct restore *r, const struct place *p,
		    char name[TEMPORARY_ROOM]);
bool temporary_is(struct restore *r, const struct place *p, const char *name,
		  size_t length);

/* restore_meta.c: sets owner, xattrs, times, mode. `now`: what the file has at
 * present, NULL when it was just made in a fresh place with mode `made` and
 * the owner (r->uid, p->gid). */
void meta_apply(struct restore *r, const struct place *p, const char *name,
		int fd, const struct restore_entry *e, const struct stat *now,
		mode_t made);
/* Whether it has them all already. */
bool meta_matches(struct restore *r, int fd, const struct restore_entry *e,
		  const struct stat *now);
/* The same for what has no descriptor: symlinks, devices, fifos. It stands at
 * `at` in `directory` and is called `name` in messages. */
void meta_apply_at(struct restore *r, int directory, const char *at, bool fresh,
		   const struct place *p, const char *name,
		   const struct restore_entry *e);
/* Inode flags: last of all, since they forbid the rest. */
void meta_flags(struct restore *r, const struct place *p, const char *name,
		int fd, const struct restore_entry *e);
/* Flags of a file by its name: after it got that name, and all its links. It
 * must be the file `inode`. */
void meta_flags_at(struct restore *r, const struct place *p, const char *name,
		   ino_t inode, const struct restore_entry *e);
uint32_t meta_flags_wanted(const struct restore_entry *e);
struct timespec meta_time(int64_t ns);

/* restore_pour.c: bytes out of the frames into a file: all are written, or,
 * to patch, those units that differ from what the file has. */
struct sink {
	int fd;
	bool patch;
	atomic_ullong written; /* by patching: bytes */
};
/* Stream bytes [offset, +length) to `at` of the file. */
int restore_pour(struct restore *r, struct sink *s, uint32_t session,
		 uint64_t offset, uint64_t length, uint64_t at);
int restore_write_all(int fd, const uint8_t *data, size_t length, uint64_t at);

/* restore_data.c: the content of a file. */
int data_fill(struct restore *r, int fd, const struct restore_entry *e);
/* The same into a file that shares the extents of what is to be replaced:
 * only what differs is written. *written: bytes. */
int data_patch(struct restore *r, int fd, const struct restore_entry *e,
	       uint64_t *written);
/* 1 when the file has the content, 0, or an error. */
int data_compare(struct restore *r, int fd, const struct restore_entry *e);

/* restore_write.c: brings one entry that is no directory into being. */
struct written {
	bool here;    /* the name has what the snapshot has */
	ino_t inode;  /* then */
	char *staged; /* or it waits there: a path; heap */
};
/* `out` may be NULL. */
void write_entry(struct restore *r, const struct place *p, const char *name,
		 const struct restore_entry *e, struct written *out);
/* A further name of a file that stands at `first`, a path below the target. */
void write_link(struct restore *r, const struct place *p, const char *name,
		const char *first, ino_t inode, const struct restore_entry *e);
/* Renames a finished file over what stands at `name`. */
int write_over(struct restore *r, const struct place *p, const char *from,
	       const char *name, const struct plan_verdict *v);
/* A hard link to `from` in `directory`, which must be `inode`. */
int write_link_over(struct restore *r, int directory, const char *from,
		    ino_t inode, const struct place *p, const char *name,
		    const struct plan_verdict *v);
/* restore_stage.c: the same at the next boot. */
void stage_entry(struct restore *r, const struct place *p, const char *name,
		 const struct restore_entry *e, struct plan_verdict *v,
		 bool clear, struct written *out);
void stage_link(struct restore *r, const struct place *p, const char *name,
		const char *first, ino_t inode, const struct restore_entry *e,
		struct plan_verdict *v, bool clear);
int stage_directory(struct restore *r, const struct place *p, const char *name,
		    const struct restore_entry *e);
/* Makes one entry at `at` in `directory`; see meta_apply_at. *fd: of a regular
 * file, to be closed by the caller; -1 for others. */
int write_create(struct restore *r, int directory, const char *at, bool fresh,
		 const struct place *p, const char *name,
		 const struct restore_entry *e, int *fd);

/* restore_sweep.c: names of the target that the snapshot does not have. */
struct sweep_names {
	char *text; /* each with a NUL behind it */
	uint32_t *at;
	bool *met; /* the snapshot has it, too, or it is gone */
	size_t count;
	size_t next; /* not yet passed by the walk */
	bool known;  /* no name is missing */
	bool wanted; /* the snapshot has something here */
	enum { FOLD_UNKNOWN, FOLD_NO, FOLD_YES } fold;
};
/* The names of a directory, in byte order. */
int sweep_list(int directory, struct sweep_names *out);
void sweep_release(struct sweep_names *n);
/* The walk comes to `name`: what comes before it is extra, and is removed now
 * or, where it may be another name's file, at the end. Whether it is there. */
bool sweep_upto(struct restore *r, const struct place *p, struct sweep_names *n,
		const char *name, size_t length);
/* The walk is at the end. */
void sweep_rest(struct restore *r, const struct place *p,
		struct sweep_names *n);
/* A name is that of a file of the snapshot: false, it was before, or it is not
 * among these names. */
bool sweep_claim(struct sweep_names *n, const char *name);
/* Whether something in a directory that is in the way is in use, so that it
 * goes at the next boot only. */
bool sweep_waits(struct restore *r, const struct place *p, const char *name);
/* Removes a directory that is in the way, and what is in it: 0, REEL_EEXIST
 * when something has to stay. `delayed`: at the next boot. */
int sweep_clear(struct restore *r, const struct place *p, const char *name,
		bool delayed);
bool sweep_is_directory(const struct place *p, const char *name);
/* Whether a directory has anything in it. */
bool sweep_is_full(const struct place *p, const char *name);

/* restore_clone.c: where contents were restored, so that copies share their
 * extents, or become links. */
int clones_new(struct restore *r, struct restore_clones **out);
void clones_free(struct restore_clones *c);
/* Of threads that restore one content the second waits until the first has
 * noted where it stands. What is held (or NULL) is let go of in the end. */
pthread_mutex_t *clones_hold(struct restore *r, const struct restore_entry *e);
/* True when `fd` now has the content. */
bool clones_try(struct restore *r, int fd, const struct content_row *content);
/* True when `fd` now has what `name` has, if that may be worth it. */
bool clones_base(struct restore *r, int fd, const struct place *p,
		 const char *name, const struct content_row *content);
/* True when `name` is now a link to an equal file. */
bool clones_link(struct restore *r, const struct place *p, const char *name,
		 const struct restore_entry *e, const struct plan_verdict *v);
/* `fd` stands complete at `name`. */
void clones_note(struct restore *r, int fd, const struct place *p,
		 const char *name, const struct restore_entry *e);

/* restore_system.c: the id of the last restore of a system. */
bool system_name(const char *name, size_t length);
int system_note(struct restore *r);

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
