/* Inside the decoder of members: what its parts share. */
#ifndef REEL_TAPE_MEMBER_STATE_H
#define REEL_TAPE_MEMBER_STATE_H

#include "tape/member.h"
#include "tape/ustar.h"

#define MEMBER_SKIP 65536
/* Seconds before and after 1970, so that it all fits 64 bits of ns. */
#define MEMBER_TIME_LIMIT (INT64_MAX / 1000000000 - 1)

struct member_decoder {
	member_source source;
	member_skipper skipper; /* may be NULL */
	bool foreign;
	void *context;
	uint64_t position; /* in the input */
	uint64_t header_offset, data_offset;
	bool astray;	/* a header was damaged: zero blocks may be its data */
	uint64_t left;	/* stored data not yet given */
	size_t padding; /* behind them */
	struct buffer records; /* data of the extended header */
	struct buffer path, link, owner, group, comment;
	struct buffer xattrs;
	struct sparse_run *runs;
	size_t run_count, run_room;
	/* what the extended headers of this member said */
	bool has_path, has_link, has_owner, has_group, has_comment;
	bool has_size, has_uid, has_gid, has_mtime, has_atime, has_acl;
	uint64_t size, uid, gid, real_size;
	struct timespec mtime, atime;
	int sparse_major, sparse_minor; /* -1: not said */
	uint64_t sparse_offset;		/* 0.0: waits for its length */
	bool sparse;
	uint8_t skip[MEMBER_SKIP];
};

/* Exactly `length` bytes of the input; REEL_EDAMAGED at its end. */
int member_take(struct member_decoder *d, void *to, size_t length);
/* An octal field, or base-256 (GNU): 0x80 in the first byte, big endian. */
int member_field(const char *field, size_t size, uint64_t *out);

/* member_records.c: a decimal number. */
int member_number(const uint8_t *text, size_t length, uint64_t *out);
/* The text, with a NUL behind it that does not count. */
int member_hold(struct buffer *b, const void *text, size_t length);
/* What d->records says goes into *d. */
int member_read_records(struct member_decoder *d);

/* member_acl.c: the text of an ACL, appended in the kernel's form; REEL_EINVAL:
 * it is none. Entries of names that nobody has here are left away. */
int member_acl(const uint8_t *text, size_t length, struct buffer *out);

/* member_sparse.c: maps, into d->runs, d->sparse and d->real_size */
int member_add_run(struct member_decoder *d, uint64_t offset, uint64_t length);
/* GNU.sparse.map of version 0.1. */
int member_map_record(struct member_decoder *d, const uint8_t *text,
		      size_t length);
/* Version 1.0: in front of the data. */
int member_map_data(struct member_decoder *d);
/* Typeflag S: in the header and blocks behind it. */
int member_map_header(struct member_decoder *d, const struct ustar *h);
int member_check_map(const struct member_decoder *d, uint64_t size);

#endif
