/* Inside scan: one session made out again from its archive alone.
 *
 * The archive is read twice. The first pass takes what stands at its end but
 * is needed from the start: the lists, the carriers of metadata, how many
 * names each hard-link group has. The second feeds the builder.
 *
 * N1 A link is resolved to what its target holds at that point: a file of
 *    this session, else the snapshot before, else a reserved name.
 * N2 Content numbers come out as they were, since contents are numbered in
 *    the order of the archive. Where damage has shifted them, reserved names
 *    of later sessions no longer resolve, and the copies are reported as
 *    lost: never a wrong content. */
#ifndef REEL_CATALOG_SCAN_STATE_H
#define REEL_CATALOG_SCAN_STATE_H

#include "catalog/builder.h"
#include "tape/buffer.h"
#include "tape/member.h"

/* The stream of a session out of its volumes, without a catalogue. */
struct scan_source {
	struct set *set;
	uint32_t first_volume, last_volume;
	struct frame *frames; /* all of the session's */
	size_t count, room;
	struct frame_codec *codec;
	uint8_t *stored, *data; /* FRAME_LIMIT each at most */
	size_t stored_room, data_room;
	size_t next;	   /* frame to be decoded next */
	size_t at, length; /* in data */
	uint64_t damaged;  /* frames that could not be decoded */
};

int scan_source_open(struct scan_source *s, struct set *set,
		     uint32_t first_volume, uint32_t last_volume);
void scan_source_close(struct scan_source *s);
/* Cuts an uncompressed stream's frame in two at a stream byte. */
int scan_source_split(struct scan_source *s, uint64_t at);
void scan_source_rewind(struct scan_source *s);
int64_t scan_source_read(void *context, void *to, size_t length);
static inline bool scan_source_ended(const struct scan_source *s)
{
	return s->next == s->count && s->at == s->length;
}

/* What a path stands for in this session, by the hash of the path. */
struct scan_path {
	uint64_t hash;	/* 0: a free slot */
	uint64_t names; /* further names that link to it */
	uint64_t node;	/* directories */
	uint64_t inode; /* in this session; 0: not met yet */
	uint64_t content;
	uint64_t size;
	bool linked; /* some link needs it */
	bool copy;   /* entered by a link that is a copy */
	bool again;  /* its first member stands for nothing */
	bool timed;  /* a copy whose time stands in its line */
	int64_t mtime;
	bool gone; /* in `replaced`: what was there does not count */
};

struct scan_paths {
	struct scan_path *slots;
	size_t count, room; /* room: a power of two */
};

void scan_paths_release(struct scan_paths *p);
struct scan_path *scan_paths_find(const struct scan_paths *p, uint64_t hash);
/* Finds or adds; NULL when out of memory. Borrowed until the next add. */
struct scan_path *scan_paths_add(struct scan_paths *p, uint64_t hash);

struct scan {
	struct catalog *catalog;
	struct set *set;
	struct builder *builder;
	struct scan_source source;
	uint32_t session; /* the number the archive says */
	uint32_t epoch;
	int64_t time;
	char *label;
	bool known; /* the global header was read */
	bool full;
	struct scan_paths paths;
	struct buffer replaced, deleted, copies, meta;
	uint64_t *members; /* hashes of the paths of members, sorted */
	size_t member_count, member_room;
	uint64_t stream; /* bytes before the index */
	uint64_t lost;	 /* paths that could not be recovered */
	bool shifted;	 /* N2 */
	struct session_row row;
};

uint64_t scan_hash(const struct scan *s, const char *path, size_t length);
/* scan_lists.c: the first pass */
int scan_prepare(struct scan *s);
bool scan_has_member(const struct scan *s, const char *path, size_t length);
/* Calls `each` with every line of a list, unescaped; `target` NULL when the
 * line has none. `verb` is 0 for lists without. */
int scan_lines(struct scan *s, const struct buffer *list, bool verbs,
	       int (*each)(struct scan *s, char verb, const struct buffer *path,
			   const struct buffer *target));

/* scan_content.c: contents and what links to them */
int scan_file(struct scan *s, struct member_decoder *d, const struct member *m);
int scan_copy(struct scan *s, const struct member *m);
/* A name in the reserved folder; `want` is the number in it. */
int scan_keep(struct scan *s, const struct member *m, uint64_t want);
/* The number in R/keep/C, 0 when the path is no such name. */
uint64_t scan_keep_number(const struct scan *s, const char *path,
			  size_t length);
/* A further name of an inode that was entered in this session. */
int scan_join(struct scan *s, const char *path, size_t length,
	      const char *target, size_t target_length);

/* scan_tree.c: the second pass */
/* The entry of a path in the snapshot before; REEL_ENOENT in a new epoch. */
int scan_before(struct scan *s, const char *path, size_t length,
		struct entry_row *e);
/* The same, but REEL_ENOENT also when the path or something above it was
 * replaced. */
int scan_old(struct scan *s, const char *path, size_t length,
	     struct entry_row *e);
/* The directory that holds a path; made up when its member was lost. */
int scan_parent(struct scan *s, const char *path, size_t length,
		uint64_t *parent, const char **name, size_t *name_length);
/* The path now stands for a new inode with this row. */
int scan_enter(struct scan *s, const char *path, size_t length,
	       struct inode_row *row, uint64_t node);
int scan_member(struct scan *s, struct member_decoder *d,
		const struct member *m);
/* Changes of metadata alone: names that have a carrier but no member. */
int scan_carriers(struct scan *s);
/* A root whose member the archive does not have. */
int scan_root(struct scan *s);
int scan_apply_replaced(struct scan *s);
int scan_apply_links(struct scan *s);
int scan_apply_deleted(struct scan *s);
void scan_lose(struct scan *s, const char *path, size_t length,
	       const char *what);

#endif
