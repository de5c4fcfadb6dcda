/* The last member of a session's archive, `.reel-XXXXXXXX/sNNNNNN/end`:
 * says where the session's index lies. It is one block of text, so that the
 * last 2,048 bytes of the stream are its header, its data, and the two zero
 * blocks that end the archive. Format: FORMAT.md, "The end member". */
#ifndef REEL_TAPE_TRAILER_H
#define REEL_TAPE_TRAILER_H

#include <stddef.h>
#include <stdint.h>
#include "tape/digest.h"

#define TRAILER_SIZE 512
#define TRAILER_TAIL 2048 /* bytes from its header to the end of stream */

struct trailer {
	uint8_t set[16]; /* uuid */
	uint32_t session;
	uint32_t epoch;
	uint32_t first_volume;
	uint32_t last_volume;
	uint64_t index_offset; /* of the packed index in the stream, bytes */
	uint64_t index_length;
	struct digest index_digest; /* digest_bytes with seed 0 */
};

void trailer_encode(const struct trailer *t, uint8_t out[TRAILER_SIZE]);
/* 0, REEL_EDAMAGED, REEL_EVERSION. Its own checksum is checked. */
int trailer_decode(const uint8_t in[TRAILER_SIZE], struct trailer *out);

#endif
