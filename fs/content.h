/* The bytes of a file, wherever they lie: content -> frames -> recall. Knows
 * sparse maps; knows no FUSE. Safe for many threads (recall is). */
#ifndef REEL_FS_CONTENT_H
#define REEL_FS_CONTENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "catalog/tree.h"
#include "tape/recall.h"

/* Up to `length` bytes at `offset` of the file (not beyond row->size); holes
 * read as zeros. Bytes read, or REEL_EDAMAGED, REEL_EMEDIUM … */
int64_t content_read(struct recall *r, const struct content_row *row,
		     uint64_t offset, void *to, size_t length);
/* lseek SEEK_DATA / SEEK_HOLE: the offset, or REEL_ENOENT (ENXIO) beyond the
 * end. A dense content is one run of data. */
int64_t content_seek(const struct content_row *row, uint64_t offset, bool hole);

/* A recall over a set with a catalogue connection of its own behind a lock. */
struct library {
	struct set *set;
	struct recall *recall;
	void *finder;
};
int library_open(struct set *set, size_t cache, struct library **out);
void library_close(struct library *l);

/* Whether the first row->size bytes of an open file are these: read back and
 * compared, or, where that would move a tape, by SHA-256. */
bool content_is(struct library *l, const struct content_row *row, int fd);

#endif
