/* One member of a session's archive: pax interchange format, POSIX.1-2017
 * pax "ustar Interchange Format" and "pax Extended Header"; sparse files as
 * GNU.sparse 1.0 (GNU tar manual, "PAX Format, Version 1.0"); long names that
 * are not UTF-8 as GNU L and K records. What we write is in FORMAT.md. */
#ifndef REEL_TAPE_MEMBER_H
#define REEL_TAPE_MEMBER_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>
#include "tape/buffer.h"

#define MEMBER_BLOCK 512

/* Bounds for what is read from a medium. */
#define MEMBER_HEADER_LIMIT (64u << 20) /* bytes of one pax header */
#define MEMBER_PATH_LIMIT   (1u << 20)
#define MEMBER_SPARSE_LIMIT (1u << 22) /* runs of a sparse map */

struct sparse_run {
	uint64_t offset; /* in the file, bytes */
	uint64_t length;
};

/* A member's type is its ustar typeflag. */
enum member_type {
	MEMBER_FILE = '0',
	MEMBER_LINK = '1',
	MEMBER_SYMLINK = '2',
	MEMBER_CHARACTER = '3',
	MEMBER_BLOCK_DEVICE = '4',
	MEMBER_DIRECTORY = '5',
	MEMBER_FIFO = '6',
	MEMBER_GLOBAL = 'g', /* only comment is meaningful */
	MEMBER_OTHER = 'V',  /* no file; of foreign archives only */
	MEMBER_REST = 'M',   /* of a file on volumes before; likewise */
};

/* The S_IFMT bits of a type, and the type of such bits: what is none of the
 * others is a file. */
mode_t member_format(enum member_type type);
enum member_type member_type_of(mode_t mode);

/* Byte strings are borrowed when encoding; when decoding they point into the
 * decoder and live until its next call. `path` never begins with a slash and
 * a directory's has none at its end ("" is the root, written "./"). */
struct member {
	enum member_type type;
	const char *path;
	size_t path_length;
	const char *link; /* target of a link (a path) or symlink (text) */
	size_t link_length;
	mode_t mode; /* permission bits, 07777 */
	uint32_t uid;
	uint32_t gid;
	const char *owner; /* names; may be NULL */
	const char *group;
	uint64_t size;	 /* bytes the file has */
	uint64_t stored; /* bytes of data in the archive after the header,
			    before padding; set by member_encode; for a
			    sparse member it includes the map */
	struct timespec mtime;
	bool has_atime;
	struct timespec atime;
	uint32_t major;
	uint32_t minor;
	const void *xattrs; /* packed, see xattrs.h */
	size_t xattrs_length;
	const char *comment; /* "REEL …"; NULL for none */
	size_t comment_length;
	bool sparse;		       /* map below is meaningful */
	const struct sparse_run *runs; /* ascending, not overlapping */
	size_t run_count;
};

/* Appends the header blocks of *m to *out: extended header where needed, then
 * the ustar header, then (sparse) the map, padded to a block. Sets
 * m->stored. The data (for sparse: of the runs, concatenated) follow, then
 * padding: member_padding(m->stored) zero bytes. The last `*map_bytes` bytes
 * appended are the map, which counts as stored data (0 when not sparse).
 * The result depends on *m alone. REEL_ENOMEM, REEL_ERANGE. */
int member_encode(struct member *m, struct buffer *out, size_t *map_bytes);

static inline size_t member_padding(uint64_t stored)
{
	return (size_t)(-stored & (MEMBER_BLOCK - 1));
}

/* Where the decoder gets its bytes. Returns bytes read (short only at the
 * end), or an error. */
typedef int64_t (*member_source)(void *context, void *to, size_t length);

/* A link that stands for a file of its own with this content, not for one more
 * name of the same file: its `minor` says so, a field that POSIX leaves
 * unspecified for links and that every tar passes over. Its metadata stand
 * in the session's carriers. */
#define MEMBER_COPY 1

static inline bool member_is_copy(const struct member *m)
{
	return m->type == MEMBER_LINK && m->minor == MEMBER_COPY;
}

/* An empty file in front of a link of the same name: what a plain extraction
 * still has there may be the very file that the link is to, and a link to
 * itself is refused by some. Stands for nothing else. */
#define MEMBER_GAP "REEL gap"

static inline bool member_is_gap(const struct member *m)
{
	return m->type == MEMBER_FILE && m->comment &&
	       m->comment_length == sizeof(MEMBER_GAP) - 1 &&
	       !memcmp(m->comment, MEMBER_GAP, sizeof(MEMBER_GAP) - 1);
}

/* Whether an archive may begin with this block. */
bool member_begins(const uint8_t block[MEMBER_BLOCK]);

/* A file's second member, right behind its first: the file changed while it
 * was read, and was read once more. The first stands for nothing. Other
 * records may follow in the comment. */
#define MEMBER_AGAIN "REEL again"

static inline bool member_is_again(const struct member *m)
{
	const size_t length = sizeof(MEMBER_AGAIN) - 1;

	return m->type == MEMBER_FILE && m->comment &&
	       m->comment_length >= length &&
	       !memcmp(m->comment, MEMBER_AGAIN, length) &&
	       (m->comment_length == length || m->comment[length] == ' ');
}

struct member_decoder;

int member_decoder_new(member_source source, void *context,
		       struct member_decoder **out);
void member_decoder_free(struct member_decoder *d);
/* For archives that other programs wrote: types of theirs are no damage then.
 * `skipper` passes over input that is not wanted, and says REEL_EDAMAGED when
 * it ends before; NULL: it is read. */
typedef int (*member_skipper)(void *context, uint64_t length);
void member_decoder_foreign(struct member_decoder *d, member_skipper skipper);
/* The next header: 1 and *out; 0 at the end of the archive (two zero blocks,
 * or end of input on a block border); REEL_EDAMAGED. Unread data of the
 * previous member are skipped by reading. A sparse map is read; the data that
 * follow are out->stored minus the map. After REEL_EDAMAGED the caller may go
 * on: the decoder looks for the next block that is a valid header, one block
 * a call, and then only the end of the input is the end.
 * Understands old tar, ustar, pax, GNU (L, K, sparse 0.0, 0.1, 1.0, base-256).
 */
int member_next(struct member_decoder *d, struct member *out);
/* Up to `length` bytes of the present member's stored data (after the sparse
 * map); 0 at their end. */
int64_t member_data(struct member_decoder *d, void *to, size_t length);
/* The rest of them, `limit` at most (else REEL_ERANGE), in place of what *to
 * has. */
int member_collect(struct member_decoder *d, struct buffer *to, size_t limit);
/* Passes over the rest of them; REEL_EDAMAGED: the input ends before. */
int member_pass(struct member_decoder *d);
/* Position in the input, bytes: of the first header block (extended ones
 * included) of the present member, and of its data. */
uint64_t member_header_offset(const struct member_decoder *d);
uint64_t member_data_offset(const struct member_decoder *d);

#endif
