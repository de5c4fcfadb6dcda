#include "tape/frame_reader.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>
#include <zstd_errors.h>
#include "tape/bytes.h"
#include "tape/error.h"

#define CHUNK (128u << 10)

struct frame_reader {
	int fd;
	uint64_t at; /* in the file, behind the chunk */
	ZSTD_DCtx *decoder;
	ZSTD_inBuffer in;
	bool within; /* a frame */
	int error;   /* sticky */
	uint8_t chunk[CHUNK];
};

bool frame_reader_knows(const uint8_t *data, size_t length)
{
	struct le32 magic;

	if (length < sizeof(magic))
		return false;
	memcpy(&magic, data, sizeof(magic));
	return le32_get(magic) == ZSTD_MAGICNUMBER ||
	       (le32_get(magic) & ~15u) == ZSTD_MAGIC_SKIPPABLE_START;
}

int frame_reader_new(int fd, struct frame_reader **out)
{
	struct frame_reader *r = calloc(1, sizeof(*r));

	if (r)
		r->decoder = ZSTD_createDCtx();
	if (!r || !r->decoder) {
		free(r);
		return REEL_ENOMEM;
	}
	ZSTD_DCtx_setParameter(r->decoder, ZSTD_d_windowLogMax,
			       FRAME_WINDOW_LOG);
	r->fd = fd;
	r->in.src = r->chunk;
	*out = r;
	return 0;
}

void frame_reader_free(struct frame_reader *r)
{
	if (!r)
		return;
	ZSTD_freeDCtx(r->decoder);
	free(r);
}

static int fill(struct frame_reader *r)
{
	ssize_t n;

	do
		n = pread(r->fd, r->chunk, CHUNK, (off_t)r->at);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return error_from_errno(errno);
	r->at += (uint64_t)n;
	r->in.pos = 0;
	r->in.size = (size_t)n;
	return 0;
}

/* Some more; 0 when the file has ended where a frame does. */
static int step(struct frame_reader *r, ZSTD_outBuffer *out)
{
	size_t left, before = out->pos;
	int error = r->in.pos == r->in.size ? fill(r) : 0;

	if (error)
		return error;
	if (r->in.size == 0 && !r->within)
		return 0;
	left = ZSTD_decompressStream(r->decoder, out, &r->in);
	if (ZSTD_isError(left))
		return ZSTD_getErrorCode(left) ==
				       ZSTD_error_frameParameter_windowTooLarge
			       ? REEL_ERANGE
			       : REEL_EDAMAGED;
	r->within = left != 0;
	return left && !r->in.size && out->pos == before ? REEL_EDAMAGED : 1;
}

int64_t frame_reader_read(struct frame_reader *r, void *to, size_t length)
{
	ZSTD_outBuffer out = {to, length, 0};
	int more = 1;

	while (!r->error && more > 0 && out.pos < length)
		more = step(r, &out);
	if (more < 0)
		r->error = more;
	return out.pos || !r->error ? (int64_t)out.pos : r->error;
}
