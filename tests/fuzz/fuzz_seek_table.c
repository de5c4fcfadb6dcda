/* A volume of arbitrary bytes: its seek table, or what is found without. */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include "tape/error.h"
#include "tape/frame.h"
#include "tests/fuzz/fuzz.h"

static int64_t read_file(void *context, uint64_t at, void *to, size_t length)
{
	return pread(*(int *)context, to, length, (off_t)at);
}

static int read_table(int fd, struct frame **frames, size_t *count,
		      bool *rebuilt)
{
	struct frame_source s = {
		.read = read_file,
		.context = &fd,
		.size = (uint64_t)lseek(fd, 0, SEEK_END),
	};

	return seek_table_read(&s, frames, count, rebuilt);
}

static void check_frames(const struct frame *f, size_t count, size_t size)
{
	uint64_t position = 0, stream = 0;

	FUZZ_CHECK(count && count <= FRAME_COUNT_LIMIT);
	for (size_t n = 0; n < count; n++) {
		FUZZ_CHECK(f[n].position >= position);
		FUZZ_CHECK(f[n].stream == stream);
		FUZZ_CHECK(f[n].stored <= FRAME_LIMIT);
		FUZZ_CHECK(f[n].length <= FRAME_LIMIT);
		position = f[n].position + f[n].stored;
		stream += f[n].length;
	}
	FUZZ_CHECK(position <= size);
}

static void decode(const struct frame *f, const uint8_t *data)
{
	struct frame_codec *k;
	uint8_t *to = malloc(f->length ? f->length : 1);

	if (to && !frame_codec_new(COMPRESSION_ZSTD, 1, &k)) {
		frame_decode(k, f, data + f->position, to);
		frame_codec_free(k);
	}
	free(to);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int fd = -1;
	struct frame *frames = NULL;
	struct buffer plain = {0};
	size_t count = 0;
	bool rebuilt = false;
	int error;

	if (fd < 0)
		fd = memfd_create("volume", MFD_CLOEXEC);
	if (fd < 0 || ftruncate(fd, 0) ||
	    pwrite(fd, data, size, 0) != (ssize_t)size)
		return 0;
	error = read_table(fd, &frames, &count, &rebuilt);
	FUZZ_CHECK(!error || error == REEL_EDAMAGED);
	if (!error) {
		check_frames(frames, count, size);
		seek_table_ends_with(data, size, frames, count);
		for (size_t n = 0; n < count && n < 4; n++)
			decode(&frames[n], data);
		free(frames);
	}
	FUZZ_CHECK(frame_whole(data, size) <= size);
	if (size >= SEEK_TABLE_FOOT)
		seek_table_length(data + size - SEEK_TABLE_FOOT);
	if (!frame_unpack(data, size, 1 << 20, &plain))
		FUZZ_CHECK(plain.length <= 1 << 20);
	buffer_release(&plain);
	return 0;
}
