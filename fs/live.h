/* current/: a tree that lives. What it shows is a snapshot, the base, with
 * what the spool (catalog/spool.h) says lies over it. Knows no FUSE.
 *
 * Nodes:
 *     1                       the root
 *     inode version           a file that the base has
 *     1 << 62 | node          a directory that the base has
 *     1 << 63 | st_ino        made here
 * A node keeps its number as long as the mount lives, over changes and
 * commits; st_ino is another number (spool_node.inode), which stays for good:
 * a commit notes it in the new version (INODE_LIVING).
 *
 * L1 All is under `lock` but the bytes of files, which are under their node's
 *    own. Order: freeze (shared), a node's, `lock`.
 * L2 Whoever changes bytes holds `freeze` shared, so that a commit, which
 *    takes it alone for a moment, meets no write half done.
 * L3 While a commit runs, files up to `frozen_file` are its: bytes that it
 *    will read are not changed. Who writes before their frozen end gets a copy
 *    first. Names that go leave their mark (SPOOL_DIRTY, node 0), since the
 *    commit may be about to store them.
 * L4 What is in no row of the spool is unchanged. Rows of nodes in memory are
 *    written when the spool is flushed, at the latest LIVE_FLUSH seconds after
 *    the change; made durable LIVE_SYNC seconds after, or when a program asks.
 * L5 The base stays while anything is dirty, whatever sessions come from
 *    elsewhere; a commit applies what is dirty to the newest snapshot.
 * L6 Bytes that were never synced may have taken the name of others by rename,
 *    as programs save that do not sync: they are on the disk before the log
 *    says so. The names of a directory that is synced have their bytes, too. */
#ifndef REEL_FS_LIVE_H
#define REEL_FS_LIVE_H

#include <pthread.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include "catalog/spool.h"
#include "catalog/tree.h"
#include "fs/content.h"

#define LIVE_ROOT UINT64_C(1)
#define LIVE_DIR  (UINT64_C(1) << 62)
#define LIVE_NEW  (UINT64_C(1) << 63)

#define LIVE_FLUSH 1  /* seconds */
#define LIVE_SYNC  15 /* seconds */

struct live;
struct live_node;

/* Who asks. */
struct live_user {
	uid_t uid;
	gid_t gid;
	mode_t umask;
};

struct live_entry {
	uint64_t id;
	struct stat st;
};

/* Opens the spool: REEL_ELOCKED when another mount or commit has it. The set
 * may be open for reading; set and library outlive it. `owner` is the
 * mountpoint. */
int live_open(struct set *set, struct library *library, const char *owner,
	      struct live **out);
/* Makes all durable. No request may be under way. Accepts NULL. */
void live_close(struct live *l);

/* The set that it was opened with. */
const struct set *live_home(const struct live *l);

/* ---- names ---- */

int live_lookup(struct live *l, uint64_t parent, const char *name,
		struct live_entry *out);
struct live_make {
	const char *name;
	mode_t mode; /* with the type */
	dev_t rdev;
	const char *target; /* symlinks */
};
int live_make(struct live *l, uint64_t parent, const struct live_make *what,
	      const struct live_user *user, struct live_entry *out);
int live_link(struct live *l, uint64_t id, uint64_t parent, const char *name,
	      struct live_entry *out);
int live_unlink(struct live *l, uint64_t parent, const char *name);
int live_rmdir(struct live *l, uint64_t parent, const char *name);
/* flags of renameat2(2): RENAME_NOREPLACE, RENAME_EXCHANGE. */
int live_rename(struct live *l, uint64_t from, const char *name, uint64_t to,
		const char *new_name, unsigned flags);
/* The kernel knows the node no more. */
void live_forget(struct live *l, uint64_t id);
/* A path of a node, without a slash in front; REEL_ENOENT. */
int live_path(struct live *l, uint64_t id, struct buffer *out);

/* ---- attributes ---- */

enum live_change {
	LIVE_MODE = 1,
	LIVE_UID = 2,
	LIVE_GID = 4,
	LIVE_SIZE = 8,
	LIVE_ATIME = 16,
	LIVE_MTIME = 32,
	LIVE_ATIME_NOW = 64,
	LIVE_MTIME_NOW = 128,
};

int live_stat(struct live *l, uint64_t id, struct live_entry *out);
/* Set-id bits go with the owner, and with the size unless root sets it. */
int live_set(struct live *l, uint64_t id, const struct stat *to,
	     unsigned changes, const struct live_user *user,
	     struct live_entry *out);
int live_readlink(struct live *l, uint64_t id, struct buffer *out);
/* Where a file's bytes are: its content in the set, 0 when it has none or they
 * are in the spool; and whether a rule left it out of the last commit. */
int live_whereabouts(struct live *l, uint64_t id, uint64_t *content,
		     bool *excluded);
/* The value appended; REEL_ENODATA. */
int live_xattr(struct live *l, uint64_t id, const char *name,
	       struct buffer *out);
/* All names, a NUL behind each, appended; `trusted.*` only with `all`. */
int live_xattrs(struct live *l, uint64_t id, bool all, struct buffer *out);
/* flags of setxattr(2). */
int live_set_xattr(struct live *l, uint64_t id, const char *name,
		   const void *value, size_t length, int flags);
int live_remove_xattr(struct live *l, uint64_t id, const char *name);

/* ---- bytes ---- */

struct live_file;

int live_file_open(struct live *l, uint64_t id, struct live_file **out);
/* The last one recognises content that the set has. */
void live_file_close(struct live *l, struct live_file *f);
/* Bytes read, or an error. */
int64_t live_read(struct live *l, struct live_file *f, uint64_t offset,
		  void *to, size_t length);
/* All or nothing. user may be NULL: set-id bits stay then. */
int live_write(struct live *l, struct live_file *f, uint64_t offset,
	       const void *from, size_t length, const struct live_user *user);
/* mode of fallocate(2). */
int live_allocate(struct live *l, struct live_file *f, int mode,
		  uint64_t offset, uint64_t length);
/* lseek SEEK_DATA / SEEK_HOLE: the offset, or REEL_ENOENT (ENXIO). */
int64_t live_seek(struct live *l, struct live_file *f, uint64_t offset,
		  bool hole);
/* Bytes copied, or an error; a whole content of the set is shared. */
int64_t live_copy(struct live *l, struct live_file *from, uint64_t from_offset,
		  struct live_file *to, uint64_t to_offset, uint64_t length);
int live_sync(struct live *l, struct live_file *f);
int live_sync_directory(struct live *l, uint64_t id);

/* ---- listing ---- */

struct live_list;

int live_list_open(struct live *l, uint64_t id, struct live_list **out);
void live_list_close(struct live_list *d); /* accepts NULL */
/* `each` gets the entries behind `offset`, until it returns non-zero. With
 * `plus` their stat is whole, else only type and number. */
typedef int (*live_each)(void *context, const char *name,
			 const struct live_entry *e, uint64_t next);
int live_list_step(struct live *l, struct live_list *d, uint64_t offset,
		   bool plus, live_each each, void *context);

/* ---- commit ---- */

/* The tree as it stands at this instant, for the commit's thread. */
struct live_frozen {
	struct spool *view;
	uint32_t base;
	uint64_t change; /* the last one in it */
	uint32_t newest; /* set by the commit: what it was compared with */
};
int live_freeze(struct live *l, struct live_frozen *out);

/* What a commit made of a node. */
struct live_result {
	uint64_t id;
	uint64_t base;	  /* inode version, a directory's node */
	uint64_t content; /* 0: none */
	uint64_t file;	  /* of the spool, that it was read from; 0: none */
};
/* The commit is `session` now; results may be NULL and session 0 when it
 * failed. Releases the frozen state. */
int live_thaw(struct live *l, struct live_frozen *f, uint32_t session,
	      const struct live_result *results, size_t count);
/* A rule left a name out in this commit; nothing of it was stored. */
int live_excluded(struct live *l, uint64_t parent, const char *name,
		  size_t length, uint64_t id, uint64_t change);

/* What can still be written: room that is kept for the log is not free. */
int live_statfs(struct live *l, struct statvfs *out);
/* A session came from elsewhere: follows it when nothing is dirty. */
int live_follow(struct live *l);
struct live_count {
	uint64_t names; /* to be committed */
	uint64_t bytes;
	uint32_t base;
};
int live_count(struct live *l, struct live_count *out);
/* Whether anything changed since the last commit, and about how many bytes
 * were written; costs nothing. */
bool live_is_dirty(struct live *l, uint64_t *written);
/* The time that changes get: ns since 1970. */
int64_t live_now(void);
/* Flushes, and syncs when it is time; called each LIVE_FLUSH seconds. */
void live_tend(struct live *l);

#endif
