/* Building one session's rows. They go into the session's own index, a fresh
 * database in SET/spool/, and reach the catalogue only by ingesting that index
 * after the session is published. One thread.
 *
 * Ids (node, inode, content, xattrs) go on from the catalogue's. */
#ifndef REEL_CATALOG_BUILDER_H
#define REEL_CATALOG_BUILDER_H

#include <stdbool.h>
#include "catalog/tree.h"

struct builder;

/* Starts session newest + 1 of `c` (open for writing). full: a new epoch, in
 * which no content and no live entry of before is used. */
int builder_new(struct catalog *c, struct set *set, bool full,
		struct builder **out);
void builder_free(struct builder *b); /* removes the index file */
uint32_t builder_session(const struct builder *b);
uint32_t builder_epoch(const struct builder *b);

/* Adds an inode version; *id is its new number (inode->id is ignored). */
int builder_inode(struct builder *b, const struct inode_row *inode,
		  uint64_t *id);
/* Writes an inode of this session anew, under the same number. */
int builder_change_inode(struct builder *b, const struct inode_row *inode);
/* The name now stands for `inode` (and, directories, `node`). An entry that
 * was alive under this name is ended. `node` 0 for non-directories. */
int builder_entry(struct builder *b, uint64_t parent, const char *name,
		  size_t length, uint64_t node, uint64_t inode);
/* The same for a file's name that this session may have given already. */
int builder_entry_again(struct builder *b, uint64_t parent, const char *name,
			size_t length, uint64_t inode);
uint64_t builder_new_node(struct builder *b);
/* The name (and all below it, when a directory) is gone. */
int builder_remove(struct builder *b, uint64_t parent, const char *name,
		   size_t length);
/* The number of a packed set of xattrs, stored once. */
int builder_xattrs(struct builder *b, const void *packed, size_t length,
		   uint64_t *id);
int builder_owner(struct builder *b, bool group, uint32_t id, const char *name);
/* Adds a content (row->id ignored). `home` is the path that holds it in this
 * session's archive: what later copies in this session link to. */
int builder_content(struct builder *b, const struct content_row *row,
		    const char *home, size_t home_length, uint64_t *id);
/* The next candidate with this size and digest in this epoch, after content
 * `after` (0: first); also those of this session. REEL_ENOENT. *out is
 * released by the caller. */
int builder_candidate(struct builder *b, uint64_t size,
		      const struct digest *digest, uint64_t after,
		      struct content_row *out);
/* Whether any content of this size exists in this epoch. */
int builder_has_size(struct builder *b, uint64_t size, bool *has);

/* Where a copy can link to in this session's archive. */
struct content_home {
	char *path; /* heap; a path written in this session, or NULL */
	size_t path_length;
	uint32_t links; /* names linked to it so far */
	bool kept;	/* has a name in the reserved folder */
	uint16_t look;	/* as the caller set it; 0: not set */
};
/* REEL_ENOENT when nothing is known of it in this session and it is not
 * kept. */
int builder_home(struct builder *b, uint64_t content, struct content_home *out);
/* One more link to the home (counts), or a new home (links restart at 0). */
int builder_home_linked(struct builder *b, uint64_t content);
int builder_home_set(struct builder *b, uint64_t content, const char *path,
		     size_t length);
/* What the caller wants to know of the home again; for contents of this
 * session only. A new home has none. */
void builder_home_look(struct builder *b, uint64_t content, uint16_t look);
/* Records that the content got its reserved name in this session. */
int builder_keep(struct builder *b, uint64_t content);
/* A path alive before this session that holds the content and was neither
 * replaced nor removed in this session so far, appended to *path;
 * REEL_ENOENT. */
struct buffer;
int builder_live_path(struct builder *b, uint64_t content, struct buffer *path);
/* The same for an inode version, no directory. */
int builder_live_name(struct builder *b, uint64_t inode, struct buffer *path);

/* For the first session of a set whose names were given to something else, or
 * to one inode more than one: sets every nlink and the snapshot's counts by
 * what the names stand for in the end. Before builder_finish. */
int builder_count_names(struct builder *b);
/* All names in directory `from` are in `to` then; the first session only. */
int builder_move_names(struct builder *b, uint64_t from, uint64_t to);

/* Ends the index: session row, runs of `frames`, and appends the whole
 * database, packed (frame_pack), to *packed (unless it is NULL). row->id,
 * epoch, files, directories and bytes are filled in by the builder (it counts
 * what was added and ended against the session before). */
int builder_finish(struct builder *b, const struct session_row *row,
		   const struct frame *frames, size_t count,
		   struct buffer *packed);
/* After the session is published: puts it into the catalogue. */
int builder_ingest(struct builder *b);

#endif
