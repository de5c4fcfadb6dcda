/* A tape that other programs wrote: volume N is tape file N - 1, and its bytes
 * are those of its blocks, which may have any sizes. What is where is learned
 * while it is read for the first time, so the first reader goes from the
 * beginning on, volume after volume. */
#ifndef REEL_TAPE_MEDIUM_BLOCKS_H
#define REEL_TAPE_MEDIUM_BLOCKS_H

#include "tape/drive.h"
#include "tape/medium.h"

/* The drive is the medium's from here on, also when this fails. ops->size of a
 * volume that was not read to its end is REEL_EINVAL, of one behind the end of
 * data REEL_ENOENT. */
int medium_blocks_new(struct drive *d, struct medium **out);
/* Bytes of the volume that are known so far. A read of them that failed with
 * REEL_EDAMAGED met a bad block; the block behind it may be whole. */
uint64_t medium_blocks_known(struct medium *m, uint32_t volume);
/* The bytes of the first bad block of a known volume that ends behind `from`.
 * False: none is known. */
bool medium_blocks_gap(struct medium *m, uint32_t volume, uint64_t from,
		       uint64_t *begin, uint64_t *end);

#endif
