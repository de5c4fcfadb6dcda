/* Inside foreign: what its parts share.
 *
 * N1 A name is found by the node of its directory, so each component of a path
 *    is looked up once, and memory is 24 bytes a name.
 * N2 As in an extraction the last member of a name wins; but what has once been
 *    a directory stays one, and a name that has to be one becomes one.
 * N3 Nothing is entered before its data were passed: a member whose data are
 * cut off is not shown. */
#ifndef REEL_CATALOG_FOREIGN_STATE_H
#define REEL_CATALOG_FOREIGN_STATE_H

#include "catalog/builder.h"
#include "catalog/foreign.h"
#include "tape/frame_reader.h"
#include "tape/medium_blocks.h"
#include "tape/member.h"
#include "tape/stream.h"

#define FOREIGN_CHUNK (256u << 10)

/* ---- where the bytes come from ---- */

enum foreign_kind {
	FOREIGN_PLAIN,	  /* read where they are wanted */
	FOREIGN_SEEKABLE, /* zstd with a seek table */
	FOREIGN_PACKED,	  /* other zstd: copied while it is read */
	FOREIGN_TAPE,	  /* a tape file, from its first block on */
};

/* One archive's bytes, on their way through the decoder of members. */
struct foreign_source {
	enum foreign_kind kind;
	int fd;
	const volatile int *stop;
	uint64_t size;	/* of the archive, bytes; not of FOREIGN_PACKED */
	uint64_t at;	/* in it: of what is read next */
	uint8_t *data;	/* bytes of it */
	uint64_t begin; /* of data */
	size_t length, room;
	/* FOREIGN_SEEKABLE; of FOREIGN_PACKED what was written */
	struct frame *frames;
	size_t count;
	struct frame_codec *codec;
	uint8_t *stored;
	/* FOREIGN_TAPE */
	struct medium *medium; /* medium_blocks.h; borrowed */
	uint32_t volume;
	/* FOREIGN_PACKED */
	struct frame_reader *reader;
	struct stream_writer *copy;
	int error; /* what ended it, 0: its end */
};

/* Looks at the file's first bytes. REEL_EINVAL: no archive, said with `name`.
 */
int foreign_source_open(struct foreign_source *s, const char *name, int fd,
			const volatile int *stop);
/* Begins volume `volume` of a tape. REEL_ENOENT: it has none. REEL_EINVAL: it
 * is empty or no archive (not said); foreign_source_pass() leads to the next.
 */
int foreign_source_tape(struct foreign_source *s, struct medium *m,
			uint32_t volume, const volatile int *stop);
/* Reads on to the end of a tape file, whose size it then is. */
int foreign_source_pass(struct foreign_source *s, uint64_t *size);
/* FOREIGN_PACKED: where the copy goes; before the first read. */
int foreign_source_copy(struct foreign_source *s, int directory);
void foreign_source_close(struct foreign_source *s);
/* Whether it begins as an archive does; before the first read. */
bool foreign_source_begins(struct foreign_source *s);
int64_t foreign_source_read(void *context, void *to, size_t length);
int foreign_source_skip(void *context, uint64_t length);
/* The frames of all of it, for volume 1; *frames are the caller's to free. Not
 * of a tape. */
int foreign_source_frames(struct foreign_source *s, struct frame **frames,
			  size_t *count);

/* ---- names ---- */

struct foreign_name {
	uint64_t hash;	/* 0: free */
	uint64_t inode; /* 0: free */
	uint64_t node;	/* of directories */
};

struct foreign_names {
	uint64_t seed;
	struct foreign_name *slots;
	size_t count, room; /* room: a power of two */
};

void foreign_names_release(struct foreign_names *n);
/* NULL: not there. Borrowed until the next add. */
struct foreign_name *foreign_names_find(const struct foreign_names *n,
					uint64_t parent, const char *name,
					size_t length);
/* Finds or adds; NULL: out of memory. */
struct foreign_name *foreign_names_add(struct foreign_names *n, uint64_t parent,
				       const char *name, size_t length);

/* ---- members to rows ---- */

struct foreign_scan {
	const char *name; /* of the archive, for messages */
	struct builder *builder;
	struct foreign_names names;
	uint64_t base;	     /* node of the archive's own root */
	uint64_t base_inode; /* its inode */
	uint64_t stream;     /* where the archive begins in the session */
	int64_t time;	     /* ns; of directories that have no member */
	struct session_row row;
	uint64_t members, left_out;
	bool changed; /* names were replaced or linked */
};

/* The root; `base` is set to it. */
int foreign_scan_begin(struct foreign_scan *s);
/* `base` is a new directory of the root from here on. `move`: what the root has
 * goes into it first. */
int foreign_scan_base(struct foreign_scan *s, const char *name, bool move);
/* All members of one archive below `base`. What is damaged is said. */
int foreign_scan_archive(struct foreign_scan *s, member_source source,
			 member_skipper skipper, void *context);
void foreign_scan_release(struct foreign_scan *s);

#endif
