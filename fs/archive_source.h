/* Where the bytes of a content that is stored come from: memory (small files),
 * an open file, dense or sparse, or a content that the set has (commits). Its
 * "stored bytes" are the bytes as the archive holds them: of a sparse file its
 * map, then its runs. */
#ifndef REEL_FS_ARCHIVE_SOURCE_H
#define REEL_FS_ARCHIVE_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "fs/archive.h"

struct source {
	const uint8_t *data; /* small files */
	int fd;
	const uint8_t *map; /* sparse; NULL else */
	size_t map_bytes;
	struct sparse_run *runs; /* heap */
	size_t run_count;
	uint64_t stored;    /* bytes in all */
	size_t run;	    /* of the last read, for going on */
	uint64_t run_start; /* stored offset of that run */
	bool shrank;
	struct content_row stored_row; /* a content of the set; id 0: none */
	bool has_sha256;
	struct sha256 sha256; /* of the stored bytes */
};

/* Encodes the header of the item's member into a->header, where a map lies,
 * too; so one source at a time. To be released in any case. */
int source_open(struct archive *a, struct item *i, struct member *m,
		struct source *s);
void source_release(struct source *s);
/* Stored bytes [at, at + length), all within `stored`. What a file has lost at
 * its end since is zeros, and `shrank`. */
int source_read(struct archive *a, struct source *s, uint64_t at, uint8_t *to,
		size_t length);
/* Of a content that the set or this session has, up to `length` stored bytes:
 * how many or an error, *bytes where they lie, in a->block or elsewhere. */
int64_t source_view_stored(struct archive *a, const struct content_row *row,
			   uint64_t at, size_t length, const uint8_t **bytes);

#endif
