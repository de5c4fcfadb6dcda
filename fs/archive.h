/* Writing one session: single instance, members, lists, index, trailer.
 *
 * Invariants of the archive (FORMAT.md has the format):
 * A1 Each path has at most one member in a session, and perhaps a gap
 *    (member.h) before it, or a reading of the file that it had to withdraw:
 *    the file changed meanwhile and was read once more (MEMBER_AGAIN). A
 *    withdrawn reading is a content, so that contents are numbered as they
 *    lie, but no name's and nothing is linked to it.
 * A2 A link member's target holds the linked content when the sessions are
 *    extracted in order: it is a path written earlier in this session, a path
 *    that this walk has met unchanged, or a reserved name (keep).
 * A3 A reserved name is linked to a path from before this session, before
 *    that path is overwritten; lists are applied outside the extraction.
 * A4 No member links two names that already share an inode in a plain
 *    extraction: a name whose content stays gets no link member at all, its
 *    metadata stand in the lists.
 * A5 A content is single-instanced only after its bytes were compared with
 *    the stored ones. What cannot be read back is stored again. */
#ifndef REEL_FS_ARCHIVE_H
#define REEL_FS_ARCHIVE_H

#include "catalog/builder.h"
#include "fs/content.h"
#include "fs/item.h"
#include "fs/groups.h"
#include "tape/stream.h"

/* Names linked to one file before the content is stored again: ext4 has
 * 65,000 for all, and tars lose files beyond. */
#define ARCHIVE_LINK_LIMIT 32000
/* Contents below this are stored again: a link's own records cost more. */
#define ARCHIVE_COPY_LEAST 160
/* A content of this size gets a reserved name before its path is lost. */
#define ARCHIVE_KEEP_LEAST (64u << 10)

/* Modes and owners remembered. */
#define ARCHIVE_LOOKS 256

struct archive {
	struct set *set;
	struct catalog *catalog;
	struct builder *builder;
	struct stream_writer *stream;
	struct volumes *volumes;   /* of a tape set; the stream's */
	const volatile int *stop;  /* ends waits for cartridges */
	uint64_t buffer;	   /* bytes of a tape's ring; 0: default */
	const char *overwrite;	   /* label of a cartridge to be begun anew */
	struct library *library;   /* contents of earlier sessions */
	struct link_groups groups; /* hard links of this walk */
	uint32_t session;
	bool atime;
	int64_t time;
	const char *label;
	struct buffer header; /* scratch */
	struct trail trail;   /* to the present item's name or folder */
	uint8_t *block;	      /* scratch, ARCHIVE_BLOCK bytes */
	uint8_t *other;
	/* the lists, spooled */
	struct archive_list {
		int fd;
		struct buffer tail;
		uint64_t length;
	} replaced, deleted, copies, meta;
	struct buffer carriers; /* of meta, not yet packed */
	struct folder *root;	/* held */
	uint64_t added, changed, removed, problems;
	uint64_t new_files, new_bytes, unique_bytes, copied;
	/* mode and owner of homes, so that copies that look alike need only
	 * say their time */
	struct archive_look {
		uint32_t mode, uid, gid;
	} looks[ARCHIVE_LOOKS];
	unsigned look_count;
	char comment[32]; /* of a file that is read once more */
	char owner_names[128][33];
	uint64_t owner_ids[128]; /* id + 1; users, then groups */
};

#define ARCHIVE_BLOCK (1u << 20)

/* `overwrite`, `buffer` and `stop` are set before, when wanted. */
int archive_open(struct archive *a, struct set *set, struct catalog *c,
		 bool full);
void archive_close(struct archive *a);
/* Takes one item in (does not free it). */
int archive_item(struct archive *a, struct item *i);
/* Lists, index, trailer, publish, ingest. *session as written; after an error
 * its id alone when the session is on the volumes all the same. */
int archive_finish(struct archive *a, struct session_row *session);

/* archive_write.c: members and lists */
int archive_put_member(struct archive *a, struct member *m);
int archive_put_padding(struct archive *a, uint64_t stored);
int archive_put_data(struct archive *a, const char *path, const void *data,
		     size_t length);
int archive_begin(struct archive *a);
int archive_list_line(struct archive_list *l, int spool, const char *verb,
		      const char *path, size_t length, const char *target,
		      size_t target_length);
int archive_list_bytes(struct archive_list *l, int spool, const void *data,
		       size_t length);
void archive_list_release(struct archive_list *l);
/* Makes sure that a folder has a member in this session. Here and below a
 * folder is one that the trail goes through. */
int archive_need_folder(struct archive *a, struct folder *f);
/* A carrier of metadata for a file, and its folders. */
int archive_carrier(struct archive *a, struct folder *f, struct member *m);
int archive_meta_folder(struct archive *a, struct folder *f);
/* Fills the metadata of a member from an inode row. */
void archive_fill(struct archive *a, struct member *m,
		  const struct inode_row *row, const struct buffer *xattrs);
int archive_put_lists(struct archive *a);
int archive_keep_path(struct archive *a, uint64_t content, struct buffer *out);

/* The number of a member's mode and owner, when they and its time are all of
 * its metadata; else 0. */
uint16_t archive_look(struct archive *a, const struct member *m);

/* archive.c: the row of an item's metadata. */
void archive_row(struct inode_row *row, const struct item *i, bool atime);

/* archive_names.c */
int archive_take_name(struct archive *a, struct item *i);
/* The item's name stands for this inode. */
int archive_enter(struct archive *a, struct item *i, uint64_t inode);
/* A link is about to be written under a name that is not alive: see
 * MEMBER_GAP. */
int archive_put_gap(struct archive *a, struct item *i, uint64_t content);
/* The old bytes under the item's name (a->trail) are about to be written over
 * by content `content` (0: anything else): gives them a reserved name first
 * where that pays, clears the way where the type changes. */
int archive_lose_old(struct archive *a, struct item *i, uint64_t content);

/* archive_lost.c. A line with the present name (a->trail) and what it leads to.
 */
int archive_list_name(struct archive *a, struct archive_list *l,
		      const char *verb, const char *target, size_t length);
/* Gives a content its reserved name, linked to `path`, which has held it since
 * before this session (A3). */
int archive_keep(struct archive *a, uint64_t content, const char *path,
		 size_t length);
/* The old side of an item whose path is that of a->trail goes. */
int archive_lose(struct archive *a, const struct item *i);
/* The same, and a directory gives way to something else, or something else to
 * one: the recipe clears the way before it extracts. */
int archive_replaced(struct archive *a, const struct item *i);

/* archive_links.c */
uint64_t archive_device(const struct statx *st);
/* The first name of a hard-link group was written. */
int archive_remember(struct archive *a, struct item *i, struct link_group *g,
		     uint64_t inode, uint64_t content);
/* `first`: the path of the group's first name. */
int archive_put_link(struct archive *a, struct item *i, struct link_group *g,
		     const struct buffer *first);
/* REEL_ENOENT: it is to be written as any other. */
int archive_put_moved(struct archive *a, struct item *i);

/* archive_content.c: single instance */
struct stored_content {
	uint64_t id;   /* 0: empty file */
	bool existing; /* not stored by this call */
};
/* Finds or stores the content of a file and, when it stores, writes the
 * member *m with it. A file that changes while it is read is read once more:
 * then i->again is set, i->st and *m are as it was found then. */
int archive_content(struct archive *a, struct item *i, struct member *m,
		    struct stored_content *out);
/* Writes *m as a data member although its content is known; *content is
 * another one when the file has changed since. */
int archive_store_again(struct archive *a, struct item *i, struct member *m,
			uint64_t *content);

#endif
