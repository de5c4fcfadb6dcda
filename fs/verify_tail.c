/* The tail of a session, from its index on. The catalogue has no checksums of
 * its frames, but nothing in it is open: the headers, the padding and the zero
 * blocks can only be what this program writes. */
#include <stdio.h>
#include <string.h>
#include "fs/verify_state.h"
#include "tape/error.h"
#include "tape/trailer.h"

void verify_tail_keep(struct verify *v, const uint8_t *data, size_t length)
{
	size_t over;

	if (v->position <= v->covered)
		return;
	if (length > VERIFY_TAIL) {
		data += length - VERIFY_TAIL;
		length = VERIFY_TAIL;
	}
	over = v->tail_length + length > VERIFY_TAIL
		       ? v->tail_length + length - VERIFY_TAIL
		       : 0;
	memmove(v->tail, v->tail + over, v->tail_length - over);
	v->tail_length -= over;
	memcpy(v->tail + v->tail_length, data, length);
	v->tail_length += length;
}

/* The header that a member of the reserved folder has. */
static int expected_header(const struct verify *v, const char *name,
			   uint64_t size, struct buffer *out)
{
	char path[80];
	size_t map;
	int n = snprintf(path, sizeof(path), "%s/s%06u/%s", v->set->reserved,
			 v->session, name);
	struct member m = {.type = MEMBER_FILE,
			   .path = path,
			   .path_length = (size_t)n,
			   .mode = 0644,
			   .size = size,
			   .mtime.tv_sec = v->time / 1000000000};

	return member_encode(&m, out, &map);
}

int verify_tail_index(struct verify *v, uint64_t size)
{
	struct buffer header = {0};
	int error = expected_header(v, "index.zst", size, &header);

	if (!error && (v->tail_length < header.length ||
		       memcmp(v->tail + v->tail_length - header.length,
			      header.data, header.length) != 0))
		v->tail_wrong = true;
	buffer_release(&header);
	return error;
}

static bool all_zero(const uint8_t *data, size_t length)
{
	for (size_t n = 0; n < length; n++)
		if (data[n])
			return false;
	return true;
}

int verify_tail(struct verify *v)
{
	size_t padding = member_padding(v->index_length);
	size_t length = padding + TRAILER_TAIL;
	const uint8_t *at = v->tail + v->tail_length - length;
	struct buffer header = {0};
	uint32_t volume;
	uint64_t position;
	int error;

	if (v->session_missing || verify_bad(v, v->covered, v->position))
		return 0; /* said already */
	error = expected_header(v, "end", TRAILER_SIZE, &header);
	if (error)
		return error;
	if (!v->end_seen || v->tail_length < length || !all_zero(at, padding) ||
	    memcmp(at + padding, header.data, MEMBER_BLOCK) != 0 ||
	    !all_zero(at + padding + 2 * MEMBER_BLOCK, 2 * MEMBER_BLOCK))
		v->tail_wrong = true;
	buffer_release(&header);
	if (!v->tail_wrong || v->tail_said)
		return 0;
	verify_locate(v, v->covered ? v->covered - 1 : 0, v->covered, &volume,
		      &position);
	verify_say(v, NULL, v->session, volume, position,
		   "the end of the session is damaged");
	return 0;
}
