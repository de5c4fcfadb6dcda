#include <CUnit/CUnit.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "tape/error.h"
#include "tape/recall.h"
#include "tape/stream.h"

#define LENGTH	(4u << 20)
#define READERS 4

/* One session on volumes in a directory of its own. */
struct fixture {
	char place[64];
	int directory;
	struct medium *medium;
	enum compression compression;
	uint8_t *content;
	struct frame *frames;
	size_t count;
	atomic_uint finds;
	bool foul; /* find answers nonsense */
};

static int find(void *context, uint32_t session, uint64_t offset,
		struct frame *out)
{
	struct fixture *x = context;
	size_t i = 0;

	atomic_fetch_add(&x->finds, 1);
	if (session != 3)
		return REEL_ENOENT;
	while (i < x->count &&
	       x->frames[i].stream + x->frames[i].length <= offset)
		i++;
	if (i == x->count)
		return REEL_ENOENT;
	*out = x->frames[i];
	if (x->foul)
		out->stream = UINT64_MAX - 5;
	return 0;
}

static void fixture_init(struct fixture *x, enum compression c,
			 uint64_t volume_size)
{
	struct stream_options o = {.compression = c,
				   .level = 1,
				   .threads = 1,
				   .volume_size = volume_size,
				   .first_volume = 1};
	const struct frame *frames;
	struct stream_writer *w;
	uint32_t seed = 3;

	memset(x, 0, sizeof(*x));
	x->compression = c;
	snprintf(x->place, sizeof(x->place), "/tmp/test_recall.XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(x->place));
	x->directory = open(x->place, O_RDONLY | O_DIRECTORY);
	CU_ASSERT_EQUAL_FATAL(medium_dir_new(x->directory, c, &x->medium), 0);
	o.directory = x->directory;
	x->content = malloc(LENGTH);
	for (size_t i = 0; i < LENGTH; i++) {
		seed = seed * 1664525 + 1013904223;
		x->content[i] = (uint8_t)(seed >> 29);
	}
	CU_ASSERT_EQUAL_FATAL(stream_open(&o, &w), 0);
	/* A flush in between, so that frames are not aligned. */
	CU_ASSERT_EQUAL(stream_write(w, x->content, 100001), 0);
	CU_ASSERT_EQUAL(stream_flush(w, &frames, &x->count), 0);
	CU_ASSERT_EQUAL(stream_write(w, x->content + 100001, LENGTH - 100001),
			0);
	CU_ASSERT_EQUAL_FATAL(stream_publish(w), 0);
	CU_ASSERT_EQUAL_FATAL(stream_flush(w, &frames, &x->count), 0);
	x->frames = malloc(x->count * sizeof(*frames));
	memcpy(x->frames, frames, x->count * sizeof(*frames));
	stream_close(w);
}

static void fixture_release(struct fixture *x)
{
	for (size_t i = 0; i < x->count; i++) {
		char name[32];

		volume_name(x->frames[i].volume, x->compression, name);
		unlinkat(x->directory, name, 0);
	}
	medium_close(x->medium);
	close(x->directory);
	CU_ASSERT_EQUAL(rmdir(x->place), 0);
	free(x->content);
	free(x->frames);
}

static struct recall *fixture_recall(struct fixture *x, size_t cache)
{
	struct recall_options o = {.medium = x->medium,
				   .cache = cache,
				   .find = find,
				   .context = x};
	struct recall *r = NULL;

	CU_ASSERT_EQUAL_FATAL(recall_new(&o, &r), 0);
	return r;
}

static void read_randomly(struct fixture *x, struct recall *r, unsigned seed)
{
	uint8_t *got = malloc(400000);

	for (int i = 0; i < 300; i++) {
		uint64_t at = (uint64_t)rand_r(&seed) % LENGTH;
		size_t n = (size_t)rand_r(&seed) % (i % 8 ? 9000 : 400000);

		if (n > LENGTH - at)
			n = (size_t)(LENGTH - at);
		if (i % 5 == 0)
			recall_ahead(r, 3, at + n);
		if (recall_read(r, 3, at, got, n) ||
		    memcmp(got, x->content + at, n) != 0)
			abort();
	}
	free(got);
}

static void reads(enum compression c, uint64_t volume_size, size_t cache)
{
	struct fixture x;
	struct recall *r;
	uint8_t byte;

	fixture_init(&x, c, volume_size);
	r = fixture_recall(&x, cache);
	read_randomly(&x, r, 1);
	CU_ASSERT_EQUAL(recall_read(r, 3, LENGTH, &byte, 1), REEL_ENOENT);
	CU_ASSERT_EQUAL(recall_read(r, 3, UINT64_MAX, &byte, 1), REEL_ENOENT);
	CU_ASSERT_EQUAL(recall_read(r, 2, 0, &byte, 1), REEL_ENOENT);
	CU_ASSERT_EQUAL(recall_read(r, 2, 0, &byte, 0), 0);
	recall_free(r);
	recall_free(NULL);
	fixture_release(&x);
}

static void reading(void)
{
	reads(COMPRESSION_NONE, 0, 1u << 20);
	reads(COMPRESSION_ZSTD, 0, 1u << 20);
	reads(COMPRESSION_ZSTD, 0, 0);
	/* more volumes than are kept open */
	reads(COMPRESSION_NONE, 64u << 10, 1u << 20);
	reads(COMPRESSION_ZSTD, 64u << 10, 16u << 20);
}

struct reader {
	struct fixture *x;
	struct recall *r;
	unsigned seed;
};

static void *run_reader(void *context)
{
	struct reader *t = context;

	read_randomly(t->x, t->r, t->seed);
	return NULL;
}

static void together(void)
{
	struct reader readers[READERS];
	pthread_t threads[READERS];
	struct fixture x;
	struct recall *r;

	fixture_init(&x, COMPRESSION_ZSTD, 300000);
	r = fixture_recall(&x, 1u << 20);
	for (unsigned i = 0; i < READERS; i++) {
		readers[i] = (struct reader){&x, r, i / 2};
		CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL,
						     run_reader, &readers[i]),
				      0);
	}
	for (unsigned i = 0; i < READERS; i++)
		pthread_join(threads[i], NULL);
	recall_free(r);
	fixture_release(&x);
}

/* A held frame stays though the cache has no room; a cached one needs no
 * look-up. */
static void holding(void)
{
	struct recalled first, other;
	struct fixture x;
	struct recall *r;
	unsigned finds;

	fixture_init(&x, COMPRESSION_ZSTD, 0);
	r = fixture_recall(&x, 0);
	CU_ASSERT_EQUAL_FATAL(recall_get(r, 3, 5, &first), 0);
	CU_ASSERT_EQUAL(first.frame.stream, 0);
	CU_ASSERT_EQUAL(first.frame.length, 100001);
	for (size_t i = 1; i < x.count; i++) {
		CU_ASSERT_EQUAL_FATAL(
			recall_get(r, 3, x.frames[i].stream, &other), 0);
		CU_ASSERT_EQUAL(memcmp(other.data,
				       x.content + other.frame.stream,
				       other.frame.length),
				0);
		recall_put(r, &other);
		recall_put(r, &other);
	}
	CU_ASSERT_EQUAL(memcmp(first.data, x.content, 100001), 0);
	finds = x.finds;
	CU_ASSERT_EQUAL_FATAL(recall_get(r, 3, 100000, &other), 0);
	CU_ASSERT_PTR_EQUAL(other.data, first.data);
	CU_ASSERT_EQUAL(x.finds, finds);
	recall_put(r, &other);
	recall_put(r, &first);
	recall_free(r);
	fixture_release(&x);
}

/* Only the frame that a flipped bit lies in is refused. */
static void flip(enum compression c)
{
	uint8_t *got = malloc(LENGTH);
	struct fixture x;
	struct recall *r;
	uint8_t byte;
	int fd;

	fixture_init(&x, c, 0);
	fd = openat(x.directory,
		    c == COMPRESSION_ZSTD ? "000001.tar.zst" : "000001.tar",
		    O_RDWR);
	CU_ASSERT_EQUAL(pread(fd, &byte, 1, (off_t)x.frames[3].position + 1000),
			1);
	byte ^= 4;
	CU_ASSERT_EQUAL(
		pwrite(fd, &byte, 1, (off_t)x.frames[3].position + 1000), 1);
	r = fixture_recall(&x, 1u << 20);
	for (size_t i = 0; i < x.count; i++) {
		const struct frame *f = &x.frames[i];

		CU_ASSERT_EQUAL(recall_read(r, 3, f->stream, got, f->length),
				i == 3 ? REEL_EDAMAGED : 0);
	}
	CU_ASSERT_EQUAL(recall_read(r, 3, 0, got, LENGTH), REEL_EDAMAGED);
	/* cut off: what lay behind the end is damaged as well */
	CU_ASSERT_EQUAL(ftruncate(fd, (off_t)x.frames[9].position + 1), 0);
	recall_free(r);
	r = fixture_recall(&x, 1u << 20);
	CU_ASSERT_EQUAL(recall_read(r, 3, x.frames[8].stream, got, 10), 0);
	CU_ASSERT_EQUAL(recall_read(r, 3, x.frames[9].stream, got, 10),
			REEL_EDAMAGED);
	x.foul = true;
	CU_ASSERT_EQUAL(recall_read(r, 3, 0, got, 10), REEL_EDAMAGED);
	recall_free(r);
	close(fd);
	fixture_release(&x);
	free(got);
}

static void damage(void)
{
	flip(COMPRESSION_NONE);
	flip(COMPRESSION_ZSTD);
}

static void missing(void)
{
	struct fixture x;
	struct recall *r;
	uint8_t byte;

	fixture_init(&x, COMPRESSION_NONE, 1u << 20);
	r = fixture_recall(&x, 1u << 20);
	CU_ASSERT_EQUAL(
		renameat(x.directory, "000002.tar", x.directory, "away"), 0);
	CU_ASSERT_EQUAL(recall_read(r, 3, 3u << 19, &byte, 1), REEL_EMEDIUM);
	CU_ASSERT_EQUAL(recall_read(r, 3, 3u << 19, &byte, 1), REEL_EMEDIUM);
	CU_ASSERT_EQUAL(recall_read(r, 3, 0, &byte, 1), 0);
	CU_ASSERT_EQUAL(
		renameat(x.directory, "away", x.directory, "000002.tar"), 0);
	CU_ASSERT_EQUAL(recall_read(r, 3, 3u << 19, &byte, 1), 0);
	recall_free(r);
	fixture_release(&x);
}

void suite_recall(void);
void suite_recall(void)
{
	CU_pSuite s = CU_add_suite("recall", NULL, NULL);

	CU_add_test(s, "reading", reading);
	CU_add_test(s, "together", together);
	CU_add_test(s, "holding", holding);
	CU_add_test(s, "damage", damage);
	CU_add_test(s, "missing", missing);
}
