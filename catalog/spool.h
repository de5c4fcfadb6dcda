/* The spool: what was written through a mount and is not yet on a volume.
 *
 *     SET/spool/current/lock      held by whoever has the spool open
 *     SET/spool/current/spool.db  what differs from a snapshot, the `base`
 *     SET/spool/current/files/N   the bytes of files that were written
 *
 * spool.db is an SQLite database of its own, the spool's log: a node for each
 * file and directory that was touched, an entry for each name. A name without
 * an entry is as the base has it; an entry with node 0 is a name that is gone.
 * Node numbers are those of a mount of current/ (fs/live.h).
 *
 * States of a node and of an entry: CLEAN (as the base has it; the row only
 * remembers which number the kernel knows), DIRTY (to be committed),
 * EXCLUDED (entries: a rule leaves it out; for this mount only).
 *
 * P1 Changes are gathered in one transaction. spool_flush ends it: what then
 *    happens to the process, the rows are in the log. spool_sync makes all
 *    that was flushed durable against a power cut.
 * P2 fsync of a file: its bytes are synced, then (a new file) the directory
 *    files/, then the log. So a durable row never names bytes that are not.
 *    The log is put into its database only then, never on its own.
 * P3 Rows are also made durable now and then, behind a syncfs of files/. In
 *    between the log may reach the disk before the bytes do; so a row tells
 *    whether its bytes were synced, and after a power cut (another boot_id)
 *    those that never were are looked at: bytes that are missing or, where the
 *    digest is known, others, make the node as the base has it, or nothing
 *    (its names are gone then). It is said by name. Bytes that were synced once
 *    stay, up to where the disk has them, since they may have been written to
 *    behind the row; a copy that takes their place is synced before a row names
 *    it.
 * P4 A file that a durable row may name is not removed before a later row is
 *    durable: spool_drop notes it, after spool_sync it is spool_removable.
 * P5 Numbers of files, nodes and changes only grow while the spool lives. What
 *    a commit reads was frozen: files up to a number do not change (live.h).
 * P6 Opening: rows that are CLEAN are dropped when nothing is DIRTY, names
 *    that are EXCLUDED always, with what only they lead to; files that no row
 *    names are removed.
 * P7 A flush that fails (no room) loses nothing while the process lives: what
 *    SQLite rolls back is done again from memory, and the next flush tries
 *    anew. */
#ifndef REEL_CATALOG_SPOOL_H
#define REEL_CATALOG_SPOOL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "catalog/set.h"
#include "tape/buffer.h"
#include "tape/digest.h"

struct spool;

enum spool_state { SPOOL_CLEAN, SPOOL_DIRTY, SPOOL_EXCLUDED };
enum spool_synced { SPOOL_UNSYNCED, SPOOL_SYNCED, SPOOL_SYNCED_ONCE };

struct spool_node {
	uint64_t id;
	uint64_t inode;	 /* st_ino in current/, which stays */
	uint64_t base;	 /* its inode version, a directory's node; 0: none */
	uint64_t parent; /* directories */
	enum spool_state state;
	uint64_t change; /* number of the last change */
	mode_t mode;
	uint32_t uid, gid;
	uint64_t nlink;
	uint64_t size;
	uint64_t blocks; /* of what is not in a file of the spool */
	uint32_t major, minor;
	int64_t mtime, atime, ctime; /* ns */
	uint32_t flags;		     /* INODE_* */
	uint64_t content;	     /* of the catalogue; 0: none */
	uint64_t file;		     /* of the spool; 0: none */
	enum spool_synced synced;    /* the file's bytes (P3) */
	bool has_digest;
	struct digest digest; /* of the file's bytes, at its last close */
	struct buffer xattrs; /* packed */
	struct buffer target; /* symlinks */
};
void spool_node_release(struct spool_node *n);

struct spool_entry {
	uint64_t parent;
	uint64_t node; /* 0: the name is gone */
	enum spool_state state;
	uint64_t change;
	const char *name; /* borrowed until the next step */
	size_t name_length;
};

/* Opens or makes the spool and takes its lock: REEL_ELOCKED (logged, names the
 * holder) when another has it. `owner`: the mountpoint, for who finds it
 * locked. */
int spool_open(struct set *set, const char *owner, struct spool **out);
/* Flushes and syncs. Accepts NULL. */
void spool_close(struct spool *s);
/* Another connection that sees the spool as it was at the last flush, for one
 * thread, until it is closed; reads only. */
int spool_view(struct spool *s, struct spool **out);
/* Whether SET has a spool with something dirty in it, or with files, without
 * opening it; or whether that cannot be told, which opening it then does. */
bool spool_pending(struct set *set);
/* The owner of a locked spool, heap; NULL when nobody holds it. */
char *spool_owner(struct set *set);

/* The base snapshot; 0 before the first. */
uint32_t spool_base(const struct spool *s);
int spool_set_base(struct spool *s, uint32_t session);
uint64_t spool_new_inode(struct spool *s);
uint64_t spool_new_change(struct spool *s);
uint64_t spool_last_change(const struct spool *s);

/* REEL_ENOENT: no row. *out is the caller's to release. */
int spool_get(struct spool *s, uint64_t id, struct spool_node *out);
int spool_put(struct spool *s, const struct spool_node *n);
int spool_forget(struct spool *s, uint64_t id);

/* REEL_ENOENT: no row. name is not set. */
int spool_lookup(struct spool *s, uint64_t parent, const char *name,
		 size_t length, struct spool_entry *out);
int spool_enter(struct spool *s, uint64_t parent, const char *name,
		size_t length, uint64_t node, enum spool_state state,
		uint64_t change);
int spool_leave(struct spool *s, uint64_t parent, const char *name,
		size_t length);

/* An entry that leads to a node: *parent, the name appended. REEL_ENOENT.
 * Takes long. */
int spool_name_of(struct spool *s, uint64_t node, uint64_t *parent,
		  struct buffer *name);

/* Entries of a directory in byte order of names, behind `after`. One cursor a
 * time and connection; 1 and *out, 0 at the end. */
int spool_list(struct spool *s, uint64_t parent, const char *after,
	       size_t length);
int spool_step(struct spool *s, struct spool_entry *out);
void spool_list_end(struct spool *s);
/* The same for all entries, each with its node (NULL: it has no row), which
 * `each` may empty into its own; until it returns non-zero. */
int spool_each_entry(struct spool *s, uint64_t parent,
		     int (*each)(void *context, const struct spool_entry *e,
				 struct spool_node *n),
		     void *context);

/* Calls `each` for every directory in which something is dirty (or excluded),
 * and every directory that is dirty itself; until it returns non-zero. */
int spool_each_dirty(struct spool *s,
		     int (*each)(void *context, uint64_t directory),
		     void *context);
/* How many names and directories are dirty, and the bytes of their files. */
int spool_count(struct spool *s, uint64_t *names, uint64_t *bytes);
/* After a commit: the node's base is this; unless it changed since `change` it
 * is clean, its bytes are the content's. 1 when it became clean, else 0. */
int spool_node_committed(struct spool *s, uint64_t id, uint64_t base,
			 uint64_t content, uint64_t change);
/* After a commit: entries that were dirty and not changed since are clean. */
int spool_entries_committed(struct spool *s, uint64_t change);
/* Marks an entry as left out by a rule, unless it changed since. */
int spool_entry_excluded(struct spool *s, uint64_t parent, const char *name,
			 size_t length, uint64_t change);
/* All in a directory was synced (P3): their names stay. */
int spool_names_synced(struct spool *s, uint64_t directory);
/* What rules left out is dirty again. */
int spool_include_all(struct spool *s);

/* Rows that are clean, one by one: the first behind `after`; REEL_ENOENT at
 * the end. Numbers are signed here: SPOOL_FIRST is before all. */
#define SPOOL_FIRST (UINT64_C(1) << 63)
int spool_next_clean(struct spool *s, uint64_t after, uint64_t *id);
/* *parent and *name: behind which (SPOOL_FIRST and an empty name at first),
 * and then which. */
int spool_next_clean_entry(struct spool *s, uint64_t *parent,
			   struct buffer *name, uint64_t *node);

/* Files of bytes. */
int spool_files(const struct spool *s); /* fd of files/, borrowed */
uint64_t spool_new_file(struct spool *s);
uint64_t spool_last_file(const struct spool *s);
/* fd, or an error. */
int spool_open_file(const struct spool *s, uint64_t file);
int spool_make_file(struct spool *s, uint64_t file);
void spool_drop(struct spool *s, uint64_t file);
/* Numbers of dropped files that may be removed now, `limit` at most; the
 * caller does so, which takes no lock. */
size_t spool_removable(struct spool *s, uint64_t *files, size_t limit);
void spool_remove_file(const struct spool *s, uint64_t file);
/* The names of files made so far are durable. */
int spool_sync_names(struct spool *s);
/* After a power cut files whose last bytes are lost are as the base has them:
 * their content is 0, and the caller's to look up. The first such node behind
 * `after` (SPOOL_FIRST); REEL_ENOENT. */
int spool_next_mended(struct spool *s, uint64_t after, uint64_t *id);

/* P1. After spool_flush further changes begin a new transaction. */
int spool_flush(struct spool *s);
/* Flushes first; durable; what was dropped before may be removed (P4). */
int spool_sync(struct spool *s);
/* Changes since the last flush; and bytes of dropped files since the sync. */
bool spool_unflushed(const struct spool *s);
size_t spool_dropped(const struct spool *s);

#endif
