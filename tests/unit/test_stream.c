#include <CUnit/CUnit.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "tape/digest.h"
#include "tape/error.h"
#include "tape/stream.h"
#include "tape/trailer.h"

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

#define LENGTH (3u << 20)

static uint8_t *content;
static char place[64];
static int directory;

static int begin(void)
{
	uint32_t x = 1;

	snprintf(place, sizeof(place), "/tmp/test_stream.XXXXXX");
	content = malloc(LENGTH);
	if (!content || !mkdtemp(place))
		return 1;
	for (size_t i = 0; i < LENGTH; i++) {
		x = x * 1664525 + 1013904223;
		content[i] =
			i / 5000 % 3 ? (uint8_t)(x >> 24) : (uint8_t)(i / 100);
	}
	directory = open(place, O_RDONLY | O_DIRECTORY);
	return directory < 0;
}

static int files(bool unlink_them)
{
	DIR *d = opendir(place);
	struct dirent *e;
	int n = 0;

	while (d && (e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		n++;
		if (unlink_them)
			unlinkat(directory, e->d_name, 0);
	}
	closedir(d);
	return n;
}

static int end(void)
{
	files(true);
	close(directory);
	free(content);
	return rmdir(place) != 0;
}

static struct stream_options options(enum compression c, uint64_t volume_size)
{
	return (struct stream_options){.directory = directory,
				       .compression = c,
				       .level = 1,
				       .threads = 3,
				       .volume_size = volume_size,
				       .first_volume = 7};
}

static uint64_t volume_bytes(uint32_t volume, enum compression c)
{
	struct stat st = {0};
	char name[32];

	volume_name(volume, c, name);
	CU_ASSERT_EQUAL(fstatat(directory, name, &st, 0), 0);
	return (uint64_t)st.st_size;
}

/* Reads every frame from its file; that is the content again. */
static void check_volumes(const struct frame *frames, size_t count,
			  enum compression c, uint64_t length)
{
	uint8_t *stored = malloc(FRAME_LIMIT), *plain = malloc(FRAME_LIMIT);
	struct frame_codec *k;
	uint64_t stream = 0;

	CU_ASSERT_EQUAL_FATAL(frame_codec_new(c, 0, &k), 0);
	for (size_t i = 0; i < count; i++) {
		const struct frame *f = &frames[i];
		char name[32];
		int fd;

		CU_ASSERT_EQUAL(f->stream, stream);
		volume_name(f->volume, c, name);
		fd = openat(directory, name, O_RDONLY);
		CU_ASSERT_FATAL(fd >= 0);
		CU_ASSERT_EQUAL(
			pread(fd, stored, f->stored, (off_t)f->position),
			(ssize_t)f->stored);
		CU_ASSERT_EQUAL(frame_decode(k, f, stored, plain), 0);
		CU_ASSERT_EQUAL(memcmp(plain, content + stream, f->length), 0);
		stream += f->length;
		close(fd);
	}
	CU_ASSERT_EQUAL(stream, length);
	frame_codec_free(k);
	free(stored);
	free(plain);
}

/* The table at the end of a volume says the same as the frames. */
static void check_table(const struct frame *frames, size_t count,
			uint32_t volume)
{
	struct frame *table = NULL;
	size_t n = 0, first = 0, i = 0;
	bool rebuilt = true;
	char name[32];
	int fd;

	volume_name(volume, COMPRESSION_ZSTD, name);
	fd = openat(directory, name, O_RDONLY);
	CU_ASSERT_EQUAL_FATAL(read_table(fd, &table, &n, &rebuilt), 0);
	CU_ASSERT_FALSE(rebuilt);
	while (first < count && frames[first].volume != volume)
		first++;
	for (; first + i < count && frames[first + i].volume == volume; i++) {
		CU_ASSERT_EQUAL_FATAL(i < n, true);
		CU_ASSERT_EQUAL(table[i].position, frames[first + i].position);
		CU_ASSERT_EQUAL(table[i].stored, frames[first + i].stored);
		CU_ASSERT_EQUAL(table[i].checksum, frames[first + i].checksum);
	}
	CU_ASSERT_EQUAL(i, n);
	free(table);
	close(fd);
}

static void write_content(struct stream_writer *w, uint64_t length)
{
	unsigned seed = 5;

	while (stream_offset(w) < length) {
		uint64_t at = stream_offset(w);
		size_t n = (size_t)rand_r(&seed) % 40000;
		void *room;

		if (n > length - at)
			n = (size_t)(length - at);
		if (seed & 1) {
			CU_ASSERT_EQUAL_FATAL(stream_write(w, content + at, n),
					      0);
			continue;
		}
		CU_ASSERT_EQUAL_FATAL(stream_reserve(w, &room, &n), 0);
		CU_ASSERT_FATAL(n > 0);
		if (n > length - at)
			n = (size_t)(length - at);
		memcpy(room, content + at, n);
		CU_ASSERT_EQUAL_FATAL(stream_commit(w, n), 0);
	}
}

static void whole(enum compression c, uint64_t volume_size)
{
	struct stream_options o = options(c, volume_size);
	struct stream_writer *w;
	const struct frame *frames;
	struct frame *copy;
	uint64_t stored = 0;
	size_t count;
	uint32_t last;

	CU_ASSERT_EQUAL_FATAL(stream_open(&o, &w), 0);
	CU_ASSERT_EQUAL(stream_last_volume(w), 7);
	write_content(w, LENGTH - TRAILER_TAIL);
	CU_ASSERT_EQUAL_FATAL(stream_flush(w, &frames, &count), 0);
	last = stream_last_volume(w);
	CU_ASSERT_EQUAL(
		stream_write(w, content + LENGTH - TRAILER_TAIL, TRAILER_TAIL),
		0);
	CU_ASSERT_EQUAL_FATAL(stream_publish(w), 0);
	CU_ASSERT_EQUAL(stream_last_volume(w), last);
	CU_ASSERT_EQUAL_FATAL(stream_flush(w, &frames, &count), 0);
	CU_ASSERT_EQUAL(frames[count - 1].volume, last);
	CU_ASSERT_EQUAL(files(false), (int)(last - 6));
	for (uint32_t v = 7; v <= last; v++) {
		uint64_t size = volume_bytes(v, c);

		stored += size;
		if (volume_size)
			CU_ASSERT(size <= volume_size);
		if (c == COMPRESSION_ZSTD)
			check_table(frames, count, v);
	}
	CU_ASSERT_EQUAL(stored, stream_stored(w));
	copy = malloc(count * sizeof(*copy));
	memcpy(copy, frames, count * sizeof(*copy));
	stream_close(w);
	check_volumes(copy, count, c, LENGTH);
	free(copy);
	files(true);
}

static void one_volume(void)
{
	whole(COMPRESSION_NONE, 0);
	whole(COMPRESSION_ZSTD, 0);
}

static void many_volumes(void)
{
	/* 64 KiB makes more volumes than are kept open. */
	static const uint64_t sizes[] = {64u << 10, 65537,    100000,
					 300000,    1u << 20, 1500001};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		whole(COMPRESSION_NONE, sizes[i]);
		whole(COMPRESSION_ZSTD, sizes[i]);
	}
}

/* The end member lies where stream_last_volume said, however full the volume
 * is. */
static void trailer_place(void)
{
	for (size_t cut = 0; cut < 6000; cut += 250) {
		struct stream_options o = options(COMPRESSION_NONE, 64u << 10);
		struct stream_writer *w;
		const struct frame *f;
		uint32_t last;
		size_t n;

		CU_ASSERT_EQUAL_FATAL(stream_open(&o, &w), 0);
		write_content(w, (64u << 10) - 7000 + cut);
		CU_ASSERT_EQUAL(stream_flush(w, &f, &n), 0);
		write_content(w, stream_offset(w) + 1000);
		CU_ASSERT_EQUAL(stream_flush(w, &f, &n), 0);
		last = stream_last_volume(w);
		write_content(w, stream_offset(w) + TRAILER_TAIL);
		CU_ASSERT_EQUAL(stream_publish(w), 0);
		CU_ASSERT_EQUAL(stream_last_volume(w), last);
		CU_ASSERT(volume_bytes(last, COMPRESSION_NONE) <= 64u << 10);
		stream_close(w);
		files(true);
	}
}

static void read_back(enum compression c, uint64_t volume_size)
{
	struct stream_options o = options(c, volume_size);
	uint8_t *got = malloc(LENGTH);
	struct stream_writer *w;
	const struct frame *f;
	unsigned seed = 9;
	size_t n;

	CU_ASSERT_EQUAL_FATAL(stream_open(&o, &w), 0);
	CU_ASSERT_EQUAL(stream_read_back(w, 0, got, 1), REEL_EINVAL);
	for (uint64_t length = 1; length < LENGTH; length += 150001) {
		write_content(w, length);
		if (length % 4 == 1)
			CU_ASSERT_EQUAL(stream_flush(w, &f, &n), 0);
		for (int i = 0; i < 40; i++) {
			uint64_t at = (uint64_t)rand_r(&seed) % length;
			uint64_t want = (uint64_t)rand_r(&seed) % 9000;

			if (i == 39)
				at = 0, want = length;
			if (want > length - at)
				want = length - at;
			CU_ASSERT_EQUAL(stream_read_back(w, at, got, want), 0);
			CU_ASSERT_EQUAL(memcmp(got, content + at, want), 0);
		}
		CU_ASSERT_EQUAL(stream_read_back(w, length, got, 1),
				REEL_EINVAL);
		CU_ASSERT_EQUAL(stream_read_back(w, 1, got, SIZE_MAX),
				REEL_EINVAL);
	}
	stream_close(w);
	CU_ASSERT_EQUAL(files(true), 0);
	free(got);
}

static void reading_back(void)
{
	read_back(COMPRESSION_NONE, 0);
	read_back(COMPRESSION_ZSTD, 0);
	read_back(COMPRESSION_NONE, 64u << 10);
	read_back(COMPRESSION_ZSTD, 64u << 10);
}

static void nothing(void)
{
	struct stream_options o = options(COMPRESSION_ZSTD, 65535);
	struct stream_writer *w;

	CU_ASSERT_EQUAL(stream_open(&o, &w), REEL_EINVAL);
	o.volume_size = 0;
	CU_ASSERT_EQUAL_FATAL(stream_open(&o, &w), 0);
	CU_ASSERT_EQUAL(stream_publish(w), 0);
	stream_close(w);
	stream_close(NULL);
	CU_ASSERT_EQUAL(files(false), 0);
}

/* A name that stands already is not overwritten, and what was renamed before
 * it goes away again. */
static void taken_name(void)
{
	struct stream_options o = options(COMPRESSION_NONE, 1u << 20);
	struct stream_writer *w;
	int fd = openat(directory, "000009.tar", O_CREAT | O_WRONLY, 0600);

	CU_ASSERT_EQUAL(write(fd, "mine", 4), 4);
	close(fd);
	CU_ASSERT_EQUAL_FATAL(stream_open(&o, &w), 0);
	write_content(w, LENGTH);
	CU_ASSERT_EQUAL(stream_publish(w), REEL_EEXIST);
	CU_ASSERT_EQUAL(stream_write(w, "x", 1), REEL_EEXIST);
	CU_ASSERT_EQUAL(stream_publish(w), REEL_EEXIST);
	stream_close(w);
	CU_ASSERT_EQUAL(files(false), 1);
	CU_ASSERT_EQUAL(volume_bytes(9, COMPRESSION_NONE), 4);
	files(true);
}

static void no_directory(void)
{
	struct stream_options o = options(COMPRESSION_ZSTD, 0);
	struct stream_writer *w;
	const struct frame *f;
	int error = 0;
	size_t n;

	o.directory = -1;
	CU_ASSERT_EQUAL_FATAL(stream_open(&o, &w), 0);
	for (int i = 0; i < 100 && !error; i++)
		error = stream_write(w, content, LENGTH);
	CU_ASSERT_EQUAL(error, REEL_EIO);
	CU_ASSERT_EQUAL(stream_flush(w, &f, &n), REEL_EIO);
	CU_ASSERT_EQUAL(stream_read_back(w, 0, &(char){0}, 1), REEL_EIO);
	CU_ASSERT_EQUAL(stream_publish(w), REEL_EIO);
	stream_close(w);
}

static void check_name(const char *name, uint32_t want, enum compression c,
		       bool partial)
{
	uint32_t volume = 0;
	enum compression got;
	bool unfinished;

	CU_ASSERT_EQUAL_FATAL(
		volume_parse_name(name, &volume, &got, &unfinished), 0);
	CU_ASSERT_EQUAL(volume, want);
	CU_ASSERT_EQUAL(got, c);
	CU_ASSERT_EQUAL(unfinished, partial);
}

static void names(void)
{
	static const char *const bad[] = {
		"",
		"1.tar",
		"00001.tar",
		"0000001.tar",
		"000001",
		"000001.tar.",
		"000001.tar.gz",
		"000001.tar.zst.",
		"000001.tar.partialx",
		"000001.zst",
		"x00001.tar",
		"-00001.tar",
		"99999999999.tar",
		"4294967296.tar",
		"000001.tar.partial.zst",
	};
	uint32_t volume;
	enum compression c;
	bool partial;
	char name[32];

	check_name("000001.tar", 1, COMPRESSION_NONE, false);
	check_name("000012.tar.zst", 12, COMPRESSION_ZSTD, false);
	check_name("000012.tar.partial", 12, COMPRESSION_NONE, true);
	check_name("000012.tar.zst.partial", 12, COMPRESSION_ZSTD, true);
	check_name("4294967295.tar", UINT32_MAX, COMPRESSION_NONE, false);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CU_ASSERT_EQUAL(
			volume_parse_name(bad[i], &volume, &c, &partial),
			REEL_EINVAL);
	volume_name(UINT32_MAX, COMPRESSION_ZSTD, name);
	check_name(name, UINT32_MAX, COMPRESSION_ZSTD, false);
}

void suite_stream(void);
void suite_stream(void)
{
	CU_pSuite s = CU_add_suite("stream", begin, end);

	CU_add_test(s, "one volume", one_volume);
	CU_add_test(s, "many volumes", many_volumes);
	CU_add_test(s, "trailer's place", trailer_place);
	CU_add_test(s, "reading back", reading_back);
	CU_add_test(s, "nothing", nothing);
	CU_add_test(s, "taken name", taken_name);
	CU_add_test(s, "no directory", no_directory);
	CU_add_test(s, "names", names);
}
