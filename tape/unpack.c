#include "tape/unpack.h"

#include <string.h>
#include <zstd.h>
#include "tape/error.h"
#include "tape/frame.h"

static int next_frame(struct unpack *u)
{
	size_t n = ZSTD_findFrameCompressedSize(u->data + u->at,
						u->length - u->at);
	int error;

	if (ZSTD_isError(n) || n == 0 || n > u->length - u->at)
		return REEL_EDAMAGED;
	u->plain.length = 0;
	u->given = 0;
	error = frame_unpack(u->data + u->at, n, u->limit, &u->plain);
	u->at += n;
	return error;
}

int64_t unpack_read(void *context, void *to, size_t length)
{
	struct unpack *u = context;
	size_t done = 0;

	while (done < length) {
		size_t n = u->plain.length - u->given;

		if (n == 0) {
			int error;

			if (u->at == u->length)
				break;
			error = next_frame(u);
			if (error)
				return error;
			continue;
		}
		if (n > length - done)
			n = length - done;
		memcpy((uint8_t *)to + done, u->plain.data + u->given, n);
		u->given += n;
		done += n;
	}
	return (int64_t)done;
}

void unpack_release(struct unpack *u)
{
	buffer_release(&u->plain);
}
