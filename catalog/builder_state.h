/* Inside builder: what its parts share.
 *
 * The index is written in one transaction that ends with the session: until
 * then nothing of it counts. What has to be asked again and again is kept in
 * memory, 8 bytes a content for finding it by its digest and 16 for its home;
 * beyond a limit the index itself is asked. */
#ifndef REEL_CATALOG_BUILDER_STATE_H
#define REEL_CATALOG_BUILDER_STATE_H

#include "catalog/builder.h"
#include "catalog/database.h"

enum builder_statement {
	/* on the index */
	B_INODE,
	B_ENTRY,
	B_PAST,
	B_XATTRS,
	B_OWNER,
	B_CONTENT,
	B_KEEP,
	B_RUN,
	B_SESSION,
	B_META,
	B_GET_INODE,
	B_GET_ENTRY,
	B_GET_PAST,
	B_GET_CONTENT,
	B_SPILLED,
	/* on the catalogue */
	B_OLD_CANDIDATE,
	B_OLD_SIZE,
	B_OLD_KEEP,
	B_OLD_LIVE,
	B_OLD_NAMES,
	B_OLD_XATTRS,
	B_COUNT
};
#define B_FIRST_OLD B_OLD_CANDIDATE

/* By the content's digest: its number, counted from the session's first. */
struct content_slot {
	uint32_t tag; /* of the digest; 0: free */
	uint32_t number;
};

/* Where a content of this session lies: its path in the file of paths. */
struct home_slot {
	uint64_t offset;
	uint32_t length;
	uint16_t links; /* or more */
	uint16_t look;
};
_Static_assert(sizeof(struct home_slot) == 16, "home_slot");

/* A content of an earlier session that this one links to. */
struct old_home {
	uint64_t content; /* 0: free */
	uint64_t offset;
	uint32_t length; /* 0: no path in this session */
	uint32_t links;
	bool kept;
};

struct builder_contents {
	uint64_t first; /* number of the session's first */
	struct content_slot *slots;
	size_t room, count;
	bool spilled; /* the index has an index instead */
	struct home_slot *homes;
	size_t home_room;
	struct old_home *old;
	size_t old_room, old_count;
	uint64_t *sizes; /* 0: free */
	size_t size_room, size_count;
	bool any_size; /* too many: every size may be there */
	int paths;     /* fd of the file of paths */
	uint64_t paths_end;
	struct buffer tail; /* of that file, not yet written */
	struct buffer near; /* of it, as it was read last */
	uint64_t near_begin;
};

struct xattrs_slot {
	struct digest digest;
	uint64_t id; /* 0: free */
};

struct builder {
	struct catalog *catalog;
	struct set *set;
	char *path;
	sqlite3 *db;
	sqlite3_stmt *statements[B_COUNT];
	uint32_t session, epoch;
	bool old;  /* there are earlier sessions in this epoch */
	bool late; /* the catalogue has its late indexes, or: */
	int late_error;
	uint64_t next_node, next_inode, next_xattrs, next_content;
	uint64_t first_node, first_inode;
	int64_t files, directories, bytes; /* of the snapshot */
	struct builder_contents contents;
	struct xattrs_slot *xattrs;
	size_t xattrs_room, xattrs_count;
	uint64_t last_inode;
	uint64_t last_size;
	mode_t last_mode;
	struct tree_trail trail; /* in the snapshot before */
};

/* The statement, reset; NULL: logged. */
sqlite3_stmt *builder_statement(struct builder *b, enum builder_statement s);
/* Runs one that gives no row. */
int builder_step(struct builder *b, sqlite3_stmt *s);
/* Makes the indexes that only single-instancing needs. */
int builder_late_indexes(struct builder *b);

int builder_contents_init(struct builder *b);
void builder_contents_release(struct builder_contents *k);

#endif
