/* Inside live: what its files share. live.c nodes, live_names.c names,
 * live_attributes.c attributes, live_bytes.c bytes, live_own.c how they become
 * a file's own, live_recognise.c and live_copy.c what need not be stored again,
 * live_list.c listings, live_commit.c commits. */
#ifndef REEL_FS_LIVE_STATE_H
#define REEL_FS_LIVE_STATE_H

#include <stdatomic.h>
#include "fs/live.h"

#define LIVE_SLOTS  4096 /* of the table of nodes */
#define LIVE_CACHED 8192 /* nodes that nobody uses, kept in memory */

struct live_node {
	struct spool_node row;
	unsigned pins;		/* requests and files that use it; under lock */
	unsigned opens;		/* open files; under lock */
	bool stored;		/* has a row in the spool, or `changed` */
	bool changed;		/* its row is to be written */
	uint64_t xattrs;	/* the base's set, not yet loaded into row */
	bool written;		/* since content was last looked for */
	bool forgotten;		/* dead, and the kernel knows it no more */
	pthread_mutex_t bytes;	/* of `written`, and the file's bytes; what
				 * says where they are (fd, row.file,
				 * row.content, row.size) changes under both
				 * locks as long as anybody has it open */
	int fd;			/* of row.file; -1 */
	struct live_node *next; /* in its slot */
	struct live_node *newer, *older; /* those that nobody uses */
	struct live_node *next_changed;
};

struct live {
	struct set *set;
	struct library *library;
	pthread_rwlock_t freeze;
	pthread_mutex_t lock;
	struct spool *spool;
	struct catalog *catalog;
	uint32_t epoch;	   /* of the base */
	bool touched;	   /* the spool has or will have rows */
	bool indexed;	   /* the base finds names of a file fast */
	bool dirty;	   /* something changed since the last commit */
	uint64_t written;  /* bytes, since then */
	bool excluded;	   /* rules left something out */
	bool replaced;	   /* L6: bytes that are not synced took a name */
	atomic_int failed; /* why the spool cannot be written; said once */
	struct live_node *slots[LIVE_SLOTS];
	struct live_node *newest, *oldest;
	struct live_node *first_changed;
	size_t idle;
	/* a commit runs (L3) */
	bool committing;
	uint64_t frozen_file;
	uint64_t *broken; /* files it still reads, whose nodes have others */
	size_t broken_count, broken_room;
	int64_t synced_at; /* monotonic, ns */
};

struct live_file {
	struct live_node *node;
	struct content_row content; /* of a node without a file; id 0: none */
};

/* live_nodes.c. What the base says of a node; *r is the caller's to release. */
int live_fill(struct spool_node *r, uint64_t id, const struct inode_row *i,
	      uint64_t base, uint64_t parent);

/* live_nodes.c; all under lock. */
int node_get(struct live *l, uint64_t id, struct live_node **out);
void node_put(struct live *l, struct live_node *n); /* accepts NULL */
/* A new node, held; in no row yet. */
int node_new(struct live *l, struct live_node **out);
bool node_is_loaded(struct live *l, uint64_t id);
/* Lets go of all that nobody uses. */
void node_forget_idle(struct live *l);
/* Its row will be written. The first change of a file of the base gives all
 * its names an entry. */
int node_touch(struct live *l, struct live_node *n);
/* live_commit.c. What rules left out is dirty again. */
int live_include_all(struct live *l);
/* node_touch, and ctime is now. */
int node_change(struct live *l, struct live_node *n);
int node_load_xattrs(struct live *l, struct live_node *n);
/* Set-id bits of a file whose owner or bytes change. */
void node_drop_set_id(struct live_node *n);
void node_stat(const struct live_node *n, struct live_entry *out);
/* The base's directory behind a node; 0: none. */
uint64_t node_base_directory(const struct live_node *n);
/* Rows of changed nodes into the spool; ends its transaction. */
int live_flush(struct live *l);
/* At the end, all. */
void nodes_free(struct live *l);

/* live.c */
int live_load_epoch(struct live *l);

/* live_names.c; under lock. The node of a name: REEL_ENOENT. */
int name_find(struct live *l, struct live_node *parent, const char *name,
	      size_t length, uint64_t *id);
/* Whether the base has the name. */
int name_in_base(struct live *l, const struct live_node *parent,
		 const char *name, size_t length, struct entry_row *e);
static inline uint64_t live_id(const struct entry_row *e)
{
	if (!e->node)
		return e->inode.id;
	return e->node == TREE_ROOT ? LIVE_ROOT : LIVE_DIR | e->node;
}

/* live_rebase.c; under lock. Another snapshot is the base: what is clean is as
 * that has it. */
int live_rebase(struct live *l, uint32_t session);
/* A regular file as the version that is its base has it. */
int live_restore_file(struct live *l, struct spool_node *r);

/* live_commit.c. A file of the spool that no node has any more. */
void live_drop_file(struct live *l, uint64_t file);

/* live_bytes.c. Whether the spool has room for so many bytes, and for the log;
 * under lock. Names and bytes that go make room and need not ask. */
int live_may_change(struct live *l, uint64_t length);
/* The same without any lock, for bytes. */
int bytes_check_room(struct live *l, uint64_t length);
/* Nobody needs the node's bytes any more; under lock. */
void bytes_drop(struct live *l, struct live_node *n);
/* Under freeze; takes the other locks. */
int bytes_truncate(struct live *l, struct live_node *n, uint64_t size,
		   const struct live_user *user);
/* live_own.c; under the node's lock. Its file of the spool is open, if it has
 * one. */
int bytes_open(struct live *l, struct live_node *n);
/* Makes the bytes from `from` on the node's own to change: a file of the
 * spool that no commit reads there (L3). `keep`: bytes that stay. */
int bytes_own(struct live *l, struct live_node *n, uint64_t from,
	      uint64_t keep);
/* All of them, or an error. */
int bytes_put(int fd, const uint8_t *from, size_t length, uint64_t offset);
/* The row of a content, unless *row has it already; under lock. */
int bytes_load_content(struct live *l, uint64_t id, struct content_row *row);
/* Bytes of a content; of an uncompressed frame that fails most contents are as
 * they should be. */
int64_t bytes_of_content(struct live *l, const struct content_row *row,
			 uint64_t offset, void *to, size_t length);

/* live_recognise.c. Its last file was closed. */
void bytes_recognise(struct live *l, struct live_node *n);

#endif
