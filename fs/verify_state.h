/* Inside verify: what its parts share. One thread, beside the reader's. */
#ifndef REEL_FS_VERIFY_STATE_H
#define REEL_FS_VERIFY_STATE_H

#include "catalog/contents.h"
#include "fs/verify.h"
#include "fs/verify_reader.h"
#include "tape/digest.h"
#include "tape/member.h"

#define VERIFY_TAIL 4096 /* last bytes of the stream, kept */

/* A run of stream bytes that were not read as they were written. */
struct bad_range {
	uint64_t begin, end;
	uint32_t volume;
	uint64_t position; /* of `begin`'s frame in the volume */
	int error;
	bool lost;
	bool named; /* some file or part of the session was blamed for it */
	const char *what;
};

struct hurt_content {
	uint64_t content;
	uint32_t session;
	uint32_t volume;
	uint64_t position;
	bool named;
};

struct verify {
	struct set *set;
	struct catalog *catalog;
	const struct verify_options *options;
	struct verify_result *result;
	struct verify_progress progress;
	uint32_t missing; /* a volume; 0: none */
	uint64_t missing_at;
	bool said_partial;
	struct hurt_content *hurt; /* of all sessions */
	size_t hurt_count, hurt_room;

	/* of the session that is being read */
	uint32_t session;
	bool session_missing;
	bool partial; /* the catalogue lacks sessions that it builds upon */
	bool headers_hurt; /* some header was lost or wrong */
	bool astray;	   /* not sure that a header is one of ours */
	struct verify_reader *reader;
	struct piece piece;
	size_t piece_at;
	uint64_t position; /* in the stream: what the source gave so far */
	bool ended;
	int error;
	struct bad_range *bad;
	size_t bad_count, bad_room;

	/* the content that is passing by */
	struct content_cursor *contents;
	struct content_row content;
	bool have_content, content_lost;
	struct digester *digester;

	/* members met: hashes of their paths */
	uint64_t *seen;
	size_t seen_count, seen_room;

	/* a file's member that differs from the catalogue: named unless its
	 * second one follows (MEMBER_AGAIN) */
	struct buffer withdrawn; /* its path */
	bool have_withdrawn;
	uint64_t withdrawn_begin, withdrawn_end;

	/* the directory of the last member */
	struct buffer parent_path;
	struct buffer parents; /* uint64_t: nodes of those on the way to it */

	/* behind the frames that the catalogue knows */
	uint64_t covered; /* stream bytes before */
	int64_t time;	  /* of the session, ns */
	uint8_t tail[VERIFY_TAIL];
	size_t tail_length;
	bool tail_wrong, tail_said, end_seen;

	/* what the end member must say */
	bool index_seen;
	uint64_t index_offset, index_length;
	struct digest index_digest;
	struct buffer meta; /* the carriers, packed */
};

/* verify_stream.c */
int64_t verify_source(void *context, void *to, size_t length);
int verify_drain(struct verify *v);
int verify_stream_open(struct verify *v, struct catalog *reader,
		       uint32_t first_volume, uint32_t last_volume);
void verify_stream_close(struct verify *v);
/* Ends the checks of contents when the stream has ended. */
int verify_stream_finish(struct verify *v);
/* The first bad range that touches [begin, end), or NULL. */
struct bad_range *verify_bad(struct verify *v, uint64_t begin, uint64_t end);
/* Where to look for stream byte `offset`. */
void verify_locate(struct verify *v, uint64_t begin, uint64_t end,
		   uint32_t *volume, uint64_t *position);
void verify_say(struct verify *v, const char *path, uint32_t session,
		uint32_t volume, uint64_t position, const char *what);

/* verify_member.c */
int verify_member(struct verify *v, struct member_decoder *d,
		  const struct member *m);
/* The last member had no second one. */
int verify_settle(struct verify *v);
uint64_t verify_hash(const struct verify *v, const char *path, size_t length);
/* The carriers of metadata in meta.tar.zst. */
int verify_meta(struct verify *v);

/* verify_tail.c */
void verify_tail_keep(struct verify *v, const uint8_t *data, size_t length);
/* The header that was just read must be that of an index of this size. */
int verify_tail_index(struct verify *v, uint64_t size);
/* The stream has ended: was its end what it can only be? */
int verify_tail(struct verify *v);

/* verify_names.c */
/* Names of this session whose headers were not met. */
int verify_name_unseen(struct verify *v);
/* Names of all hurt contents. */
int verify_name_hurt(struct verify *v);

#endif
