/* restore/: the live target, and over it what programs did there that the
 * rules keep out or put off. Knows no FUSE.
 *
 * Where the rules (plan.h) let a change come, it is made in the target at
 * once, under the name that the program uses; a rename is judged by the final
 * name. Else a shadow is made: the program sees what it did, the target stays.
 *
 *     SET/kept/TIME/PATH     what shadows show: files with all that belongs
 *                            to them, directories that hold shadows
 *     SET/kept/.TIME         who made it: locked while the mount lives; the
 *                            target, and the temporary name being made there
 *
 * A name is one of
 *     plain     as the target has it
 *     hidden    the target has it, the view does not
 *     object    it is in the area. `over`: the target's shows through, of a
 *               file the bytes, of a directory the names that have no shadow;
 *               only the metadata are the shadow's
 *
 * D1 Nothing outside the target is reached: every path is opened beneath it,
 *    through no symlink, onto no filesystem that was not named. What is below
 *    it at a name that is acted upon is what the path led to at that moment.
 * D2 What a program was told to be written is in the target or the area. In
 *    the area it is durable (file, then each directory above) before its
 *    close, fsync, rename or link returns, unless the set holds the content,
 *    or the file is empty. Of a symlink the text counts as content.
 * D3 A content is removed from the area only when the set holds it (size and
 *    digest, then the bytes), the journal of delayed operations has taken it,
 *    a program removed or replaced it, or it was put into the target, durably.
 * D4 A name that has a shadow keeps its verdict while the mount lives; below a
 *    directory that is all shadow everything is, with its verdict: but below a
 *    delayed one rules keep names out.
 * D5 A file of the target that has other names, which were not all made here,
 *    is not changed in place: it is replaced by a copy first, since the other
 *    names may lie outside, or be kept. Of an xattr, drop_peers.c.
 * D6 What was made here is not there already: `merge` and `delay busy` do not
 *    keep programs from finishing it.
 * D7 `turn` is held by who changes names, states or metadata; `lock` for a
 *    moment by who looks at nodes; `catalogue` by who asks it. In this order.
 *    Bytes are read and written under neither. */
#ifndef REEL_FS_DROP_H
#define REEL_FS_DROP_H

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include "fs/content.h"
#include "fs/plan.h"
#include "tape/buffer.h"

#define DROP_ROOT     UINT64_C(1)
#define DROP_QUIET    5 /* seconds after which what is delayed is handed over */
#define DROP_AREA     "kept"
#define DROP_KEPT     "user.reel.kept"	  /* the rule that keeps a name */
#define DROP_DELAYED  "user.reel.delayed" /* that puts it off */
#define DROP_EXCLUDED "user.reel.excluded"
/* Of the root: lines of `key value`, drop_status.c; and, a part each, lines of
 * `ACTION TAB PATH TAB RULE`, from part 0 until one is empty. */
#define DROP_STATUS "user.reel.restore"
#define DROP_NAMES  "user.reel.restore."

struct drop;
struct drop_file;
struct drop_list;

struct drop_options {
	const char *target;
	const char *const *filesystems; /* that lie below it, by their place */
	size_t filesystem_count;
	const char *mountpoint; /* nothing is restored below it */
	bool strict;		/* REEL_EREFUSED instead of shadows */
};

/* Who asks. */
struct drop_user {
	uid_t uid;
	gid_t gid;
	mode_t umask;
};

struct drop_entry {
	uint64_t id;
	struct stat st;
	bool settled; /* plain: it may be remembered for a moment */
};

/* Says what is wrong. Set and library outlive it. */
int drop_open(struct set *set, struct library *library,
	      const struct drop_options *o, struct drop **out);
/* Hands over what is delayed, clears the area, tells what was kept out. No
 * request may be under way. Accepts NULL. */
void drop_close(struct drop *d);

/* Whether a change of a name in a directory, or of a file's metadata, is only
 * that now: no rules are asked, no shadow is made durable, nothing is copied,
 * and nobody else is at it. */
bool drop_is_short(struct drop *d, uint64_t id);

/* ---- names ---- */

/* *hidden: REEL_ENOENT, but the target has it. */
int drop_lookup(struct drop *d, uint64_t parent, const char *name,
		struct drop_entry *out, bool *hidden);
void drop_forget(struct drop *d, uint64_t id, uint64_t times);
struct drop_make {
	const char *name;
	mode_t mode; /* with the type */
	dev_t rdev;
	const char *target; /* symlinks */
};
/* `file` (regular files): also opens it; else NULL. */
int drop_make(struct drop *d, uint64_t parent, const struct drop_make *what,
	      const struct drop_user *user, struct drop_entry *out,
	      struct drop_file **file);
int drop_link(struct drop *d, uint64_t id, uint64_t parent, const char *name,
	      struct drop_entry *out);
int drop_unlink(struct drop *d, uint64_t parent, const char *name);
int drop_rmdir(struct drop *d, uint64_t parent, const char *name);
/* flags of renameat2(2). REEL_EXDEV: of a directory, when rules or shadows
 * are below it. */
int drop_rename(struct drop *d, uint64_t from, const char *name, uint64_t to,
		const char *new_name, unsigned flags);

/* ---- attributes ---- */

enum drop_change {
	DROP_MODE = 1,
	DROP_UID = 2,
	DROP_GID = 4,
	DROP_SIZE = 8,
	DROP_ATIME = 16,
	DROP_MTIME = 32,
	DROP_ATIME_NOW = 64,
	DROP_MTIME_NOW = 128,
};

int drop_stat(struct drop *d, uint64_t id, struct drop_entry *out);
/* file: NULL, or the one that a program changes. */
int drop_set(struct drop *d, uint64_t id, struct drop_file *file,
	     const struct stat *to, unsigned changes,
	     const struct drop_user *user, struct drop_entry *out);
int drop_readlink(struct drop *d, uint64_t id, struct buffer *out);
/* The value appended; REEL_ENODATA. */
int drop_xattr(struct drop *d, uint64_t id, const char *name,
	       struct buffer *out);
/* All names, a NUL behind each, appended; `trusted.*` only with `all`. */
int drop_xattrs(struct drop *d, uint64_t id, bool all, struct buffer *out);
/* flags of setxattr(2). */
int drop_set_xattr(struct drop *d, uint64_t id, const char *name,
		   const void *value, size_t length, int flags);
int drop_remove_xattr(struct drop *d, uint64_t id, const char *name);
/* DROP_KEPT and the like, appended; REEL_ENODATA. */
int drop_verdict(struct drop *d, uint64_t id, const char *name,
		 struct buffer *out);

/* ---- bytes ---- */

/* flags of open(2); *same: nobody changed it since it was opened last. */
int drop_file_open(struct drop *d, uint64_t id, int flags,
		   const struct drop_user *user, struct drop_file **out,
		   bool *same);
void drop_file_close(struct drop *d, struct drop_file *f);
int64_t drop_read(struct drop *d, struct drop_file *f, uint64_t offset,
		  void *to, size_t length);
/* Bytes written, or an error. */
int64_t drop_write(struct drop *d, struct drop_file *f, uint64_t offset,
		   const void *from, size_t length,
		   const struct drop_user *user);
/* mode of fallocate(2). */
int drop_allocate(struct drop *d, struct drop_file *f, int mode,
		  uint64_t offset, uint64_t length,
		  const struct drop_user *user);
/* lseek SEEK_DATA / SEEK_HOLE: the offset, or REEL_ENOENT (ENXIO). */
int64_t drop_seek(struct drop *d, struct drop_file *f, uint64_t offset,
		  int whence);
int64_t drop_copy_range(struct drop *d, struct drop_file *from,
			uint64_t from_offset, struct drop_file *to,
			uint64_t to_offset, uint64_t length,
			const struct drop_user *user);
/* A program closes a descriptor of it (D2). */
int drop_flush(struct drop *d, struct drop_file *f);
int drop_sync(struct drop *d, struct drop_file *f, bool data_only);
int drop_sync_directory(struct drop *d, uint64_t id);

/* ---- listing ---- */

int drop_list_open(struct drop *d, uint64_t id, struct drop_list **out);
void drop_list_close(struct drop_list *l); /* accepts NULL */
/* Whether the view has anything in it. */
bool drop_list_is_full(struct drop *d, struct drop_list *l);
/* `each` gets the entries behind `offset`, until it returns non-zero. With
 * `plus` each but "." and ".." counts as looked up, once `each` took it. */
typedef int (*drop_each)(void *context, const char *name,
			 const struct drop_entry *e, uint64_t next);
int drop_list_step(struct drop *d, struct drop_list *l, uint64_t offset,
		   bool plus, drop_each each, void *context);

/* ---- the whole ---- */

int drop_statfs(struct drop *d, struct statvfs *out);
/* Hands over what is delayed and has been quiet; called each second. */
void drop_tend(struct drop *d);
/* DROP_STATUS and the parts of DROP_NAMES, appended; what is delayed is handed
 * over first. REEL_ENODATA: no such name. */
int drop_status(struct drop *d, const char *name, struct buffer *out);

#endif
