/* A blob of several packed frames (frame_pack), unpacked one at a time, as a
 * source of bytes. Zero-initialise, then set data, length and limit. */
#ifndef REEL_TAPE_UNPACK_H
#define REEL_TAPE_UNPACK_H

#include <stdint.h>
#include "tape/buffer.h"

struct unpack {
	const uint8_t *data; /* borrowed */
	size_t length;
	uint64_t limit; /* of one frame's content, bytes */
	size_t at;
	struct buffer plain;
	size_t given; /* of plain */
};

/* member_source: bytes, short only at the end, or REEL_EDAMAGED. */
int64_t unpack_read(void *context, void *to, size_t length);
void unpack_release(struct unpack *u);

#endif
