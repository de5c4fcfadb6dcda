/* Reading trees out of the catalogue.
 *
 * A directory is named by its node, which stays through changes of its
 * metadata; everything else by its inode, one immutable version. Where one
 * number must name either (FUSE, st_ino) it is packed:
 *     file:      0 << 43 | inode
 *     directory: session << 43 | node       (session >= 1)
 * so equal numbers always mean equal contents, and nothing is remembered. */
#ifndef REEL_CATALOG_TREE_H
#define REEL_CATALOG_TREE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "catalog/catalog.h"
#include "tape/buffer.h"
#include "tape/digest.h"
#include "tape/member.h"

#define TREE_ROOT	1 /* node of a set's root */
#define TREE_ID_BITS	43
#define TREE_SESSIONS	(1u << 20)
#define TREE_NAME_LIMIT 255

enum inode_flag {
	INODE_RACY = 1,	     /* ctime too close to the read: read it again */
	INODE_IMMUTABLE = 2, /* FS_IMMUTABLE_FL */
	INODE_APPEND = 4,    /* FS_APPEND_FL */
	INODE_NODUMP = 8,    /* FS_NODUMP_FL */
	INODE_CHANGED = 16,  /* changed while it was read */
	INODE_LIVING = 32,   /* `source` is its st_ino in current/ */
};

struct inode_row {
	uint64_t id;
	mode_t mode;
	uint32_t uid, gid;
	uint64_t size;
	int64_t mtime, atime, ctime; /* ns; atime = mtime when not kept */
	bool has_atime;
	uint64_t nlink;
	uint64_t source;
	uint32_t major, minor;
	uint64_t blocks;
	uint32_t flags;
	uint64_t xattrs;    /* 0: none */
	uint64_t content;   /* 0: none */
	const char *target; /* symlinks; borrowed until the next call on c */
	size_t target_length;
};

struct entry_row {
	uint64_t parent;
	const char *name; /* borrowed until the next step; not NUL-terminated */
	size_t name_length;
	uint32_t since;
	uint32_t until; /* 0: alive */
	uint64_t node;	/* 0: not a directory */
	struct inode_row inode;
};

static inline uint64_t tree_pack(uint32_t session, const struct entry_row *e)
{
	return e->node ? (uint64_t)session << TREE_ID_BITS | e->node
		       : e->inode.id;
}

/* The entry of `name` in directory `parent` as snapshot `session` has it:
 * 0, REEL_ENOENT. e->name is not set. */
int tree_lookup(struct catalog *c, uint32_t session, uint64_t parent,
		const char *name, size_t length, struct entry_row *out);
/* The entry of directory `node` itself in that snapshot. */
int tree_directory(struct catalog *c, uint32_t session, uint64_t node,
		   struct entry_row *out);
int tree_inode(struct catalog *c, uint64_t id, struct inode_row *out);
/* Inodes with id > `after`, ascending: for pushing neighbours. Calls `each`
 * for at most `count` of them, until it returns non-zero. */
int tree_inodes_after(struct catalog *c, uint64_t after, int count,
		      int (*each)(void *context, const struct inode_row *i),
		      void *context);
/* A path (no leading slash; "" is the root) in a snapshot. REEL_ENOENT,
 * REEL_ENOTDIR. */
int tree_resolve(struct catalog *c, uint32_t session, const char *path,
		 size_t length, struct entry_row *out);
/* The way to the last path that was asked for: what lies on it is not looked
 * up again for the next one. Zero-initialised is valid. */
struct tree_trail {
	uint32_t session;
	struct buffer path;  /* of the last directory */
	struct buffer steps; /* the directories down to it */
};
/* Path of an entry by its parent and name, appended to *out. */
int tree_path(struct catalog *c, struct tree_trail *t, uint32_t session,
	      uint64_t parent, const char *name, size_t length,
	      struct buffer *out);
void tree_trail_release(struct tree_trail *t);

/* Every name of an inode version (no directory) in a snapshot, until `each`
 * returns non-zero. In a snapshot that is not the newest this takes long. */
int tree_names(struct catalog *c, uint32_t session, uint64_t inode,
	       int (*each)(void *context, uint64_t parent, const char *name,
			   size_t length),
	       void *context);

/* The children of a directory in a snapshot, in byte order of names. Several
 * cursors may be open on one connection. */
struct tree_cursor;
int tree_list(struct catalog *c, uint32_t session, uint64_t parent,
	      struct tree_cursor **out);
/* From the first name greater than `after`. */
int tree_list_after(struct catalog *c, uint32_t session, uint64_t parent,
		    const char *after, size_t length, struct tree_cursor **out);
/* 1 and *out (borrowed until the next step), 0 at the end. */
int tree_step(struct tree_cursor *t, struct entry_row *out);
void tree_end(struct tree_cursor *t); /* accepts NULL */

/* All versions of one name in one directory, oldest first, whatever snapshot:
 * calls `each` until non-zero. e->since, e->until say when. */
int tree_versions(struct catalog *c, uint64_t parent, const char *name,
		  size_t length,
		  int (*each)(void *context, const struct entry_row *e),
		  void *context);

/* The first name greater than `after` that directory `parent` ever had,
 * *name replaced; REEL_ENOENT behind the last. */
int tree_next_name(struct catalog *c, uint64_t parent, const char *after,
		   size_t length, struct buffer *name);

struct content_row {
	uint64_t id;
	uint64_t size;
	struct digest digest;
	uint32_t session;
	uint64_t offset; /* of the stored bytes; sparse: of the map */
	bool sparse;
	uint64_t map_bytes;
	struct sparse_run *runs; /* heap */
	size_t run_count;
	bool has_sha256;
	struct sha256 sha256; /* of the stored bytes */
};
void content_row_release(struct content_row *r);
int tree_content(struct catalog *c, uint64_t id, struct content_row *out);
/* Bytes of a content that lie on the medium (size, or map and runs). */
uint64_t content_stored(const struct content_row *r);
/* Whether a content of this size was stored since session `epoch`. */
int tree_has_size(struct catalog *c, uint64_t size, uint32_t epoch, bool *has);
/* The next content with this size and digest stored since `epoch`, behind
 * content `after`; REEL_ENOENT. A candidate: its bytes must be compared. */
int tree_candidate(struct catalog *c, uint64_t size,
		   const struct digest *digest, uint64_t after, uint32_t epoch,
		   struct content_row *out);
/* How many live names hold a content. */
int tree_content_copies(struct catalog *c, uint64_t id, uint64_t *copies);
/* A packed xattr set, appended to *out. */
int tree_xattrs(struct catalog *c, uint64_t id, struct buffer *out);
/* Whether any inode of the set has xattrs / POSIX ACLs / sparse content. */
int tree_has_xattrs(struct catalog *c, bool *xattrs, bool *acls);
int tree_owner_name(struct catalog *c, bool group, uint32_t id, char **name);

#endif
