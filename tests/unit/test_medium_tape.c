#include <CUnit/CUnit.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "tape/error.h"
#include "tape/medium_tape.h"
#include "tape/stop.h"

#define BLOCK	65536u
#define CACHE	(16u << 20)
#define VOLUMES 2
#define COPY	3 /* cartridge 3 has volume 1, too */

static char directory[] = "/tmp/reel-medium.XXXXXX";
static char path[3][64];
static const char *const names[3] = {path[0], path[1], path[2]};
static const uint64_t sizes[VOLUMES] = {9000001, 40000000};

static int begin(void)
{
	if (!mkdtemp(directory))
		return -1;
	for (int n = 0; n < 3; n++)
		snprintf(path[n], sizeof(path[n]), "%s/%d.tap", directory, n);
	return 0;
}

static int end(void)
{
	for (int n = 0; n < 3; n++)
		unlink(path[n]);
	return rmdir(directory);
}

static uint8_t byte_of(uint32_t volume, uint64_t at)
{
	return (uint8_t)(volume + at + at / 251 + at / 65521);
}

static struct cartridge_label label(uint32_t number)
{
	struct cartridge_label l = {.set = {7},
				    .uuid = {(uint8_t)number, 1},
				    .number = number,
				    .block_size = BLOCK};

	cartridge_make_name("daily", number, l.name);
	l.set_name = strdup("daily");
	return l;
}

static int mark(struct drive *d)
{
	return drive_mark(d, DRIVE_MARK_FILE, 1, true, NULL);
}

static void write_volume(struct drive *d, uint32_t volume)
{
	static uint8_t block[BLOCK];

	for (uint64_t at = 0; at < sizes[volume - 1]; at += BLOCK) {
		size_t n = sizes[volume - 1] - at < BLOCK
				   ? (size_t)(sizes[volume - 1] - at)
				   : BLOCK;

		for (size_t k = 0; k < n; k++)
			block[k] = byte_of(volume, at + k);
		CU_ASSERT_EQUAL_FATAL(drive_write(d, block, n, NULL), 0);
	}
	CU_ASSERT_EQUAL(mark(d), 0);
}

static void make_cartridge(int n, uint32_t number, uint32_t volume)
{
	const struct drive_options o = {.create = true};
	struct cartridge_label l = label(number);
	struct buffer b = {0};
	struct drive *d;

	unlink(path[n]);
	CU_ASSERT_EQUAL_FATAL(drive_open(path[n], &o, &d), 0);
	CU_ASSERT_EQUAL_FATAL(cartridge_label_encode(&l, &b), 0);
	CU_ASSERT_EQUAL(drive_write(d, b.data, b.length, NULL), 0);
	CU_ASSERT_EQUAL(mark(d), 0);
	write_volume(d, volume);
	CU_ASSERT_EQUAL(drive_close(d), 0);
	buffer_release(&b);
	cartridge_label_release(&l);
}

/* ---- the catalogue's part ---- */

#define IN_PARTS 100

static bool with_copy; /* volume 1 lies on cartridge COPY, too */

/* A volume in parts: what is volume 1, and what is volume 2. */
static int parts_of(struct place **out, size_t *count)
{
	*out = calloc(2, sizeof(**out));
	*count = 2;
	for (uint32_t n = 0; n < 2; n++)
		(*out)[n] = (struct place){.volume = IN_PARTS,
					   .cartridge = n + 1,
					   .object = 2,
					   .file = 1,
					   .block_size = BLOCK,
					   .size = sizes[n],
					   .session = 1,
					   .session_time = 1,
					   .begin = n ? sizes[0] : 0,
					   .behind = n ? 0 : sizes[1]};
	return 0;
}

static int places(void *context, uint32_t volume, struct place **out,
		  size_t *count)
{
	(void)context;
	if (volume == IN_PARTS)
		return parts_of(out, count);
	if (!volume || volume > VOLUMES)
		return REEL_ENOENT;
	*out = calloc(2, sizeof(**out));
	*count = with_copy && volume == 1 ? 2 : 1;
	for (size_t n = 0; n < *count; n++)
		(*out)[n] = (struct place){.volume = volume,
					   .cartridge = n ? COPY : volume,
					   .object = 2,
					   .file = 1,
					   .block_size = BLOCK,
					   .size = sizes[volume - 1],
					   .session = volume,
					   .session_time = 1};
	return 0;
}

static int cartridge(void *context, uint32_t number,
		     struct cartridge_label *out)
{
	(void)context;
	*out = label(number);
	return 0;
}

struct rig {
	struct station *station;
	struct medium *medium;
};

static struct rig with(size_t drives, unsigned timeout)
{
	const struct station_options s = {
		.drives = names, .drive_count = drives, .timeout = timeout};
	struct medium_tape_options m = {.directory = -1,
					.cache = CACHE,
					.places = places,
					.cartridge = cartridge};
	struct rig r = {0};

	CU_ASSERT_EQUAL_FATAL(station_open(&s, &r.station), 0);
	m.station = r.station;
	CU_ASSERT_EQUAL_FATAL(medium_tape_new(&m, &r.medium), 0);
	return r;
}

static void release(struct rig *r)
{
	medium_close(r->medium);
	station_close(r->station);
}

/* Whether these bytes are read, and are right. */
static bool reads(struct medium *m, uint32_t volume, uint64_t at, size_t length)
{
	uint8_t *to = malloc(length + 1);
	bool good = !medium_read_all(m, volume, at, to, length, NULL);

	for (size_t n = 0; good && n < length; n++)
		good = to[n] == byte_of(volume, at + n);
	free(to);
	return good;
}

/* ---- the tests ---- */

static void in_order(void)
{
	struct rig r;
	uint8_t byte;

	make_cartridge(0, 1, 1);
	r = with(1, 0);
	for (uint64_t at = 0; at < sizes[0]; at += 30011) {
		size_t n =
			sizes[0] - at < 30011 ? (size_t)(sizes[0] - at) : 30011;

		CU_ASSERT_TRUE_FATAL(reads(r.medium, 1, at, n));
	}
	CU_ASSERT_TRUE(reads(r.medium, 1, 100, 5000000));
	CU_ASSERT_EQUAL(medium_read(r.medium, 1, sizes[0], &byte, 1, NULL), 0);
	CU_ASSERT_EQUAL(medium_tape_moves(r.medium), 1);
	release(&r);
}

/* The reader is far ahead and not woken for each piece: its drive is kept, and
 * the tape stays where it is. */
static void slowly(void)
{
	const struct timespec pause = {.tv_nsec = 150000000};
	struct rig r;

	make_cartridge(1, 2, 2);
	r = with(2, 0);
	for (uint64_t at = 0; at < 20 * 262144; at += 262144) {
		CU_ASSERT_TRUE_FATAL(reads(r.medium, 2, at, 5000));
		nanosleep(&pause, NULL);
	}
	CU_ASSERT_EQUAL(medium_tape_moves(r.medium), 1);
	release(&r);
}

/* A thousand small files in any order, of a volume that the cache holds, and of
 * one that it does not hold. */
static void in_any_order(void)
{
	struct rig r;
	unsigned seed = 7;
	uint64_t moves;

	make_cartridge(0, 1, 1);
	make_cartridge(1, 2, 2);
	r = with(2, 0);
	for (int n = 0; n < 1000; n++) {
		uint64_t at = (uint64_t)rand_r(&seed) % (sizes[0] - 5000);

		CU_ASSERT_TRUE_FATAL(reads(r.medium, 1, at, 5000));
	}
	moves = medium_tape_moves(r.medium);
	CU_ASSERT_TRUE(moves <= 6);
	for (int n = 0; n < 100; n++) {
		uint64_t at = (uint64_t)rand_r(&seed) % (sizes[1] - 5000);

		CU_ASSERT_TRUE_FATAL(reads(r.medium, 2, at, 5000));
	}
	/* local disorder: files of a directory, shuffled a bit */
	moves = medium_tape_moves(r.medium);
	for (uint64_t near = 0; near < 30000000; near += 30000) {
		uint64_t at = near + (uint64_t)rand_r(&seed) % 2000000;

		CU_ASSERT_TRUE_FATAL(reads(r.medium, 2, at, 5000));
	}
	CU_ASSERT_TRUE(medium_tape_moves(r.medium) - moves <= 5);
	release(&r);
}

struct reading {
	struct medium *medium;
	uint32_t volume;
	unsigned seed;
	bool good;
};

static void *read_some(void *context)
{
	struct reading *r = context;

	r->good = true;
	for (int n = 0; r->good && n < 200; n++) {
		uint64_t size = sizes[r->volume - 1];
		uint64_t at = (uint64_t)rand_r(&r->seed) % (size - 300000);

		r->good = reads(r->medium, r->volume, at, 1 + at % 300000);
	}
	return NULL;
}

static void many_threads(void)
{
	struct reading some[6];
	pthread_t threads[6];
	struct rig r;

	make_cartridge(0, 1, 1);
	make_cartridge(1, 2, 2);
	r = with(2, 0);
	for (unsigned n = 0; n < 6; n++) {
		some[n] = (struct reading){r.medium, 1 + n % 2, n, false};
		pthread_create(&threads[n], NULL, read_some, &some[n]);
	}
	for (unsigned n = 0; n < 6; n++) {
		pthread_join(threads[n], NULL);
		CU_ASSERT_TRUE(some[n].good);
	}
	release(&r);
}

struct stopper {
	struct medium *medium;
	volatile int stop;
	int64_t answer;
};

static void *read_one(void *context)
{
	struct stopper *s = context;
	uint8_t byte;

	s->answer = medium_read(s->medium, 2, 0, &byte, 1, &s->stop);
	return NULL;
}

static void waits_and_stops(void)
{
	struct stopper s = {0};
	struct rig r;
	pthread_t t;

	make_cartridge(0, 1, 1);
	r = with(1, STATION_FOREVER);
	s.medium = r.medium;
	pthread_create(&t, NULL, read_one, &s);
	usleep(200000);
	CU_ASSERT_TRUE(reads(r.medium, 1, 5, 1000)); /* others go on */
	stop_set(&s.stop, 1);
	pthread_join(t, NULL);
	CU_ASSERT_EQUAL(s.answer, REEL_ESTOPPED);
	station_set_patience(r.station, 0, false, NULL);
	s.stop = 0;
	read_one(&s);
	CU_ASSERT_EQUAL(s.answer, REEL_EMEDIUM);
	release(&r);
}

/* Who wants the drive for something else gets it. */
static void gives_its_drive(void)
{
	struct cartridge_label l = label(1);
	struct drive *d = NULL;
	struct rig r;

	make_cartridge(0, 1, 1);
	r = with(1, 0);
	CU_ASSERT_TRUE(reads(r.medium, 1, 5, 1000));
	CU_ASSERT_EQUAL_FATAL(station_get(r.station, &l, NULL, &d), 0);
	station_put(r.station, d);
	CU_ASSERT_TRUE(reads(r.medium, 1, 8000000, 1000));
	release(&r);
	cartridge_label_release(&l);
}

static void copies(void)
{
	struct rig r;

	make_cartridge(0, 1, 1);
	unlink(path[0]); /* the first is lost */
	make_cartridge(1, 2, 2);
	make_cartridge(2, COPY, 1);
	r = with(3, 0);
	with_copy = false;
	CU_ASSERT_FALSE(reads(r.medium, 1, 5, 1000));
	with_copy = true;
	CU_ASSERT_TRUE(reads(r.medium, 1, 5, 1000));
	with_copy = false;
	release(&r);
}

/* Verify would say nothing of a cartridge whose copy was read meanwhile: the
 * copy is another volume here, so that one sees which is read. */
static void own_comes_before_a_copy_in_use(void)
{
	uint8_t byte;
	struct rig r;

	make_cartridge(0, 1, 1);
	make_cartridge(2, COPY, 2);
	r = with(3, 0);
	with_copy = true;
	CU_ASSERT_TRUE(reads(r.medium, 1, 5, 1000));
	/* the first's reader ends meanwhile */
	for (int n = 0; n < 15; n++) {
		CU_ASSERT_EQUAL(r.medium->ops->read_copy(r.medium, 1, 0, &byte,
							 1, 1, NULL),
				0);
		CU_ASSERT_EQUAL(byte, byte_of(2, 0));
		r.medium->ops->forget(r.medium);
		usleep(100000);
	}
	CU_ASSERT_TRUE(reads(r.medium, 1, 8000000, 1000));
	with_copy = false;
	release(&r);
}

static void in_parts(void)
{
	const uint64_t total = sizes[0] + sizes[1], from = sizes[0] - 700;
	uint8_t to[1500];
	uint64_t size = 0;
	struct rig r;

	make_cartridge(0, 1, 1);
	make_cartridge(1, 2, 2);
	r = with(2, 0);
	CU_ASSERT_EQUAL(medium_size(r.medium, IN_PARTS, &size), 0);
	CU_ASSERT_EQUAL(size, total);
	CU_ASSERT_EQUAL(
		medium_read(r.medium, IN_PARTS, from, to, sizeof(to), NULL),
		(int64_t)sizeof(to));
	for (size_t n = 0; n < sizeof(to); n++)
		CU_ASSERT_EQUAL(to[n], n < 700 ? byte_of(1, from + n)
					       : byte_of(2, n - 700));
	/* a frame is never in two parts; the first alone has not all of it */
	CU_ASSERT_EQUAL(r.medium->ops->read_copy(r.medium, IN_PARTS, from, to,
						 sizeof(to), 0, NULL),
			REEL_EDAMAGED);
	CU_ASSERT_EQUAL(r.medium->ops->read_copy(r.medium, IN_PARTS, from, to,
						 700, 0, NULL),
			0);
	CU_ASSERT_EQUAL(r.medium->ops->read_copy(r.medium, IN_PARTS, from, to,
						 700, 1, NULL),
			REEL_ENOENT);
	CU_ASSERT_EQUAL(
		medium_read(r.medium, IN_PARTS, total - 5, to, 10, NULL), 5);
	CU_ASSERT_EQUAL(medium_read(r.medium, IN_PARTS, total, to, 10, NULL),
			0);
	release(&r);
}

void suite_medium_tape(void);
void suite_medium_tape(void)
{
	CU_pSuite s = CU_add_suite("medium_tape", begin, end);

	CU_add_test(s, "in order", in_order);
	CU_add_test(s, "slowly", slowly);
	CU_add_test(s, "in any order", in_any_order);
	CU_add_test(s, "many threads", many_threads);
	CU_add_test(s, "waits and stops", waits_and_stops);
	CU_add_test(s, "gives its drive", gives_its_drive);
	CU_add_test(s, "copies", copies);
	CU_add_test(s, "own comes before a copy in use",
		    own_comes_before_a_copy_in_use);
	CU_add_test(s, "a volume in parts", in_parts);
}
