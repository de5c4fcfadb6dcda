#include <CUnit/CUnit.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "tape/drive.h"
#include "tape/error.h"

#define ROOM 4096

static char directory[] = "/tmp/reel-image.XXXXXX";
static char path[64];
static char name[128];

static int begin(void)
{
	if (!mkdtemp(directory))
		return -1;
	snprintf(path, sizeof(path), "%s/a.tap", directory);
	return 0;
}

static int clean(void)
{
	static const char *const ends[] = {"", ".conf", ".p1", ".p2"};
	char file[96];

	for (size_t n = 0; n < 4; n++) {
		snprintf(file, sizeof(file), "%s%s", path, ends[n]);
		unlink(file);
	}
	return 0;
}

static int end(void)
{
	clean();
	return rmdir(directory);
}

static struct drive *with(const char *options)
{
	const struct drive_options o = {.create = true};
	struct drive *d = NULL;

	snprintf(name, sizeof(name), "%s%s", path, options);
	CU_ASSERT_EQUAL_FATAL(drive_open(name, &o, &d), 0);
	return d;
}

static void put(const void *data, size_t length)
{
	FILE *f = fopen(path, "wb");

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	CU_ASSERT_EQUAL(fwrite(data, 1, length, f), length);
	fclose(f);
}

static off_t file_size(void)
{
	struct stat st;

	return stat(path, &st) ? -1 : st.st_size;
}

/* A block whose bytes say which it is. */
static int write_block(struct drive *d, unsigned number, size_t length)
{
	uint8_t block[ROOM];

	memset(block, (int)(number & 0xff), length);
	return drive_write(d, block, length, NULL);
}

static void expect_block(struct drive *d, unsigned number, size_t length)
{
	uint8_t block[ROOM];
	struct drive_read r;

	CU_ASSERT_EQUAL(drive_read(d, block, sizeof(block), &r), 0);
	CU_ASSERT_EQUAL(r.found, DRIVE_BLOCK);
	CU_ASSERT_EQUAL(r.length, length);
	if (r.length == length && length)
		CU_ASSERT(block[0] == (number & 0xff) &&
			  block[length - 1] == (number & 0xff));
}

static void expect(struct drive *d, enum drive_found found)
{
	uint8_t block[ROOM];
	struct drive_read r;

	CU_ASSERT_EQUAL(drive_read(d, block, sizeof(block), &r), 0);
	CU_ASSERT_EQUAL(r.found, found);
}

static void expect_at(struct drive *d, uint64_t object, uint64_t file,
		      uint64_t block)
{
	struct drive_position p;

	CU_ASSERT_EQUAL_FATAL(drive_tell(d, &p), 0);
	CU_ASSERT_EQUAL(p.object, object);
	CU_ASSERT_EQUAL(p.file, file);
	CU_ASSERT_EQUAL(p.block, block);
}

static int mark(struct drive *d, uint32_t count)
{
	return drive_mark(d, DRIVE_MARK_FILE, count, false, NULL);
}

/* Files of `files[n]` blocks, sizes of all parities. */
static void fill(struct drive *d, const unsigned *files, size_t count)
{
	unsigned number = 0;

	for (size_t n = 0; n < count; n++) {
		for (unsigned k = 0; k < files[n]; k++, number++)
			CU_ASSERT_EQUAL(
				write_block(d, number, 1 + number * 7 % 999),
				0);
		CU_ASSERT_EQUAL(mark(d, 1), 0);
	}
}

static void check(struct drive *d, const unsigned *files, size_t count)
{
	unsigned number = 0;

	for (size_t n = 0; n < count; n++) {
		for (unsigned k = 0; k < files[n]; k++, number++)
			expect_block(d, number, 1 + number * 7 % 999);
		expect(d, DRIVE_FILEMARK);
	}
	expect(d, DRIVE_END);
	expect(d, DRIVE_END);
}

static const unsigned files[] = {3, 0, 70, 1, 200};

static void round_trip(void)
{
	struct drive *d = with("");

	fill(d, files, 5);
	CU_ASSERT_EQUAL(drive_rewind(d, false), 0);
	check(d, files, 5);
	CU_ASSERT_EQUAL(drive_close(d), 0);
	d = with("");
	check(d, files, 5);
	drive_close(d);
	clean();
}

/* The format, byte by byte: what SIMH and other tools read. */
static void bytes(void)
{
	static const uint8_t want[] = {3, 0, 0, 0, 7, 7, 7, 0, 3, 0, 0, 0,
				       0, 0, 0, 0, 2, 0, 0, 0, 8, 8, 2, 0,
				       0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
	uint8_t got[sizeof(want) + 1];
	struct drive *d = with("");
	FILE *f;

	write_block(d, 7, 3);
	mark(d, 1);
	write_block(d, 8, 2);
	mark(d, 2);
	drive_close(d);
	f = fopen(path, "rb");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	CU_ASSERT_EQUAL(fread(got, 1, sizeof(got), f), sizeof(want));
	CU_ASSERT_EQUAL(memcmp(got, want, sizeof(want)), 0);
	fclose(f);
	clean();
}

static void overwriting_ends_the_data(void)
{
	struct drive *d = with("");
	struct drive_position p = {.object = 1, .file = 0, .block = 1};

	fill(d, files, 3);
	CU_ASSERT_EQUAL(drive_seek(d, &p), 0);
	CU_ASSERT_EQUAL(write_block(d, 99, 5), 0);
	expect(d, DRIVE_END);
	CU_ASSERT_EQUAL(drive_rewind(d, false), 0);
	expect_block(d, 0, 1);
	expect_block(d, 99, 5);
	expect(d, DRIVE_END);
	drive_close(d);
	clean();
}

static void space(struct drive *d, enum drive_unit unit, int64_t count,
		  uint64_t moved, enum drive_found found)
{
	struct drive_moved m;

	CU_ASSERT_EQUAL(drive_space(d, unit, count, &m), 0);
	CU_ASSERT_EQUAL(m.count, moved);
	CU_ASSERT_EQUAL(m.found, found);
}

static void spacing(void)
{
	struct drive *d = with("");

	fill(d, files, 5); /* marks are objects 3, 4, 75, 77, 278 */
	drive_rewind(d, false);
	space(d, DRIVE_BLOCKS, 2, 2, DRIVE_BLOCK);
	expect_at(d, 2, 0, 2);
	space(d, DRIVE_BLOCKS, 5, 1, DRIVE_FILEMARK);
	expect_at(d, 4, 1, 0);
	space(d, DRIVE_BLOCKS, -1, 0, DRIVE_FILEMARK);
	expect_at(d, 3, 0, 3);
	space(d, DRIVE_BLOCKS, -9, 3, DRIVE_BEGIN);
	expect_at(d, 0, 0, 0);
	space(d, DRIVE_FILEMARKS, 3, 3, DRIVE_BLOCK);
	expect_at(d, 76, 3, 0);
	space(d, DRIVE_FILEMARKS, -1, 1, DRIVE_BLOCK);
	expect_at(d, 75, 2, 70);
	space(d, DRIVE_BLOCKS, -70, 70, DRIVE_BLOCK);
	expect_at(d, 5, 2, 0);
	space(d, DRIVE_FILEMARKS, 9, 3, DRIVE_END);
	expect_at(d, 279, 5, 0);
	space(d, DRIVE_BLOCKS, 1, 0, DRIVE_END);
	space(d, DRIVE_FILEMARKS, -9, 5, DRIVE_BEGIN);
	space(d, DRIVE_SEQUENTIAL_FILEMARKS, 2, 2, DRIVE_BLOCK);
	expect_at(d, 5, 2, 0);
	space(d, DRIVE_SEQUENTIAL_FILEMARKS, 2, 0, DRIVE_END);
	space(d, DRIVE_TO_END, 0, 0, DRIVE_BLOCK);
	expect_at(d, 279, 5, 0);
	drive_close(d);
	clean();
}

/* Every place by every way, with LOCATE and without. */
static void seek_all(const char *options, bool by_object)
{
	struct drive *d = with(options);
	uint64_t object = 0;
	struct drive_position p = {.object = 0};

	fill(d, files, 5);
	srand(1);
	for (unsigned n = 0; n < 400; n++) {
		uint64_t wanted = (uint64_t)rand() % 5;
		struct drive_position now;

		p.file = wanted;
		p.block = (uint64_t)rand() % (files[wanted] + 1);
		object = p.block;
		for (uint64_t k = 0; k < wanted; k++)
			object += files[k] + 1;
		p.object = by_object ? object : DRIVE_UNKNOWN;
		CU_ASSERT_EQUAL(drive_seek(d, &p), 0);
		CU_ASSERT_EQUAL(drive_tell(d, &now), 0);
		CU_ASSERT(now.file == p.file && now.block == p.block);
		CU_ASSERT(now.object == object || now.object == DRIVE_UNKNOWN);
		if (p.block == files[wanted])
			expect(d, DRIVE_FILEMARK);
		else
			expect_block(d, (unsigned)(object - wanted),
				     1 + (object - wanted) * 7 % 999);
	}
	p = (struct drive_position){0, by_object ? 500 : DRIVE_UNKNOWN, 2, 71};
	CU_ASSERT_EQUAL(drive_seek(d, &p), REEL_ENOENT);
	p = (struct drive_position){0, by_object ? 500 : DRIVE_UNKNOWN, 9, 0};
	CU_ASSERT_EQUAL(drive_seek(d, &p), REEL_ENOENT);
	CU_ASSERT_EQUAL(drive_close(d), 0);
	clean();
}

static void seeking(void)
{
	seek_all("", true);
	seek_all("", false);
	seek_all("?locate=no", false);
}

/* A thousand files of 40 blocks: places are kept only for some. */
static void many_places(void)
{
	struct drive *d = with("");

	for (unsigned n = 0; n < 40000; n++) {
		CU_ASSERT_EQUAL(write_block(d, n, 3), 0);
		if (n % 40 == 39)
			drive_mark(d, DRIVE_MARK_FILE, 1, true, NULL);
	}
	drive_close(d);
	d = with("");
	for (unsigned n = 0; n < 1000; n += 37) {
		struct drive_position p = {0, n * 41 + 7, n, 7};

		CU_ASSERT_EQUAL(drive_seek(d, &p), 0);
		expect_block(d, n * 40 + 7, 3);
		expect_at(d, n * 41 + 8, n, 8);
		p = (struct drive_position){0, DRIVE_UNKNOWN, 999 - n, 1};
		CU_ASSERT_EQUAL(drive_seek(d, &p), 0);
		expect_block(d, (999 - n) * 40 + 1, 3);
	}
	drive_close(d);
	clean();
}

static void large_and_small(void)
{
	struct drive *d = with("");
	uint8_t small[10];
	struct drive_read r;

	write_block(d, 1, 100);
	drive_rewind(d, false);
	CU_ASSERT_EQUAL(drive_read(d, small, sizeof(small), &r), REEL_ERANGE);
	CU_ASSERT_EQUAL(r.length, 100);
	expect_at(d, 0, 0, 0);
	expect_block(d, 1, 100);
	CU_ASSERT_EQUAL(drive_write(d, small, 0, NULL), REEL_ERANGE);
	CU_ASSERT_EQUAL(drive_write(d, small, DRIVE_BLOCK_LIMIT, NULL),
			REEL_ERANGE);
	expect_at(d, 1, 0, 1);
	CU_ASSERT_EQUAL(drive_set(d, DRIVE_SET_BLOCK_SIZE, 8), 0);
	CU_ASSERT_EQUAL(write_block(d, 1, 9), REEL_ERANGE);
	CU_ASSERT_EQUAL(write_block(d, 1, 8), 0);
	drive_close(d);
	d = with("");
	CU_ASSERT_EQUAL(write_block(d, 1, 9), REEL_ERANGE);
	drive_close(d);
	clean();
}

static void end_of_medium(void)
{
	struct drive *d = with("?capacity=10K&early=2K");
	struct drive_parameters p;
	struct drive_status s;
	unsigned written = 0, warned = 0;
	uint8_t block[1000] = {0};
	bool early;
	int error;

	do {
		error = drive_write(d, block, sizeof(block), &early);
		written += !error;
		warned += !error && early;
	} while (!error && written < 100);
	CU_ASSERT_EQUAL(error, REEL_ENOSPC);
	CU_ASSERT_EQUAL(written, 10);
	CU_ASSERT_EQUAL(warned, 2);
	CU_ASSERT_EQUAL(drive_write(d, block, sizeof(block), NULL),
			REEL_ENOSPC);
	CU_ASSERT_EQUAL(drive_mark(d, DRIVE_MARK_FILE, 2, false, &early), 0);
	CU_ASSERT(early);
	CU_ASSERT_EQUAL(drive_status(d, &s), 0);
	CU_ASSERT(s.early && s.end && s.known);
	CU_ASSERT_EQUAL(drive_parameters(d, &p), 0);
	CU_ASSERT_EQUAL(p.capacity, 10240);
	CU_ASSERT_EQUAL(p.early_size, 2048);
	CU_ASSERT_EQUAL(p.remaining, 10240 - 10 * 1008 - 8);
	drive_close(d);
	d = with(""); /* what it was made with stays */
	CU_ASSERT_EQUAL(drive_parameters(d, &p), 0);
	CU_ASSERT_EQUAL(p.capacity, 10240);
	drive_close(d);
	clean();
}

static void torn(void)
{
	struct drive *d;
	off_t whole, more;

	d = with("");
	fill(d, files, 1);
	drive_close(d);
	whole = file_size();
	d = with("");
	drive_space(d, DRIVE_TO_END, 0, &(struct drive_moved){0});
	write_block(d, 5, 301);
	drive_close(d);
	more = file_size();
	for (off_t cut = whole + 1; cut < more; cut += 1 + cut % 3) {
		CU_ASSERT_EQUAL(truncate(path, cut), 0);
		d = with("");
		CU_ASSERT_EQUAL(file_size(), cut); /* T3 */
		check(d, files, 1);
		expect_at(d, 4, 1, 0);
		CU_ASSERT_EQUAL(write_block(d, 5, 301), 0);
		CU_ASSERT_EQUAL(file_size(), more);
		drive_close(d);
	}
	clean();
}

static void damage(void)
{
	struct drive *d = with("");
	uint8_t block[ROOM];
	struct drive_read r;
	int fd;

	fill(d, files, 3);
	drive_close(d);
	fd = open(path, O_RDWR);
	CU_ASSERT_EQUAL(pwrite(fd, "\xee", 1, 0), 1); /* the first length */
	close(fd);
	CU_ASSERT_EQUAL(drive_open(path, NULL, &d), REEL_EDAMAGED);
	fd = open(path, O_RDWR);
	CU_ASSERT_EQUAL(pwrite(fd, "\x01", 1, 0), 1);
	CU_ASSERT_EQUAL(pwrite(fd, "\x77", 1, 10), 1); /* the second */
	close(fd);
	d = with("");
	expect_block(d, 0, 1);
	CU_ASSERT_EQUAL(drive_read(d, block, sizeof(block), &r), REEL_EDAMAGED);
	CU_ASSERT_EQUAL(r.found, DRIVE_END);
	expect_at(d, 1, 0, 1);
	CU_ASSERT_EQUAL(write_block(d, 9, 9), REEL_EDAMAGED);
	drive_close(d);
	d = with("?repair");
	drive_space(d, DRIVE_TO_END, 0, &(struct drive_moved){0});
	CU_ASSERT_EQUAL(write_block(d, 9, 9), 0);
	drive_close(d);
	clean();
}

/* Written by others: gaps, bad blocks, unknown classes, E11, end marker. */
static void foreign(void)
{
	static const uint8_t simh[] = {
		0xfe, 0xff, 0xff, 0xff, 2,    0, 0, 0,	  9, 9, 2,    0, 0,
		0,    2,    0,	  0,	0xb0, 1, 2, 2,	  0, 0, 0xb0, 2, 0,
		0,    0x80, 3,	  3,	2,    0, 0, 0x80, 0, 0, 0,    0, 0xff,
		0xff, 0xff, 0xff, 2,	0,    0, 0, 1,	  1, 2, 0,    0, 0};
	static const uint8_t e11[] = {3, 0, 0, 0, 5, 5, 5, 3, 0, 0,
				      0, 1, 0, 0, 0, 6, 1, 0, 0, 0};
	uint8_t block[ROOM];
	struct drive_read r;
	struct drive *d;

	put(simh, sizeof(simh));
	d = with("");
	expect_block(d, 9, 2);
	CU_ASSERT_EQUAL(drive_read(d, block, sizeof(block), &r), REEL_EDAMAGED);
	expect(d, DRIVE_FILEMARK);
	expect(d, DRIVE_END);
	expect_at(d, 3, 1, 0);
	drive_close(d);
	put(e11, sizeof(e11));
	d = with("");
	expect_block(d, 5, 3);
	expect_block(d, 6, 1);
	CU_ASSERT_EQUAL(write_block(d, 7, 5), 0);
	drive_rewind(d, false);
	expect_block(d, 5, 3);
	expect_block(d, 6, 1);
	expect_block(d, 7, 5);
	expect(d, DRIVE_END);
	drive_close(d);
	put("This is a text, and no tape.\n", 29);
	CU_ASSERT_EQUAL(drive_open(path, NULL, &d), REEL_EDAMAGED);
	CU_ASSERT_EQUAL(file_size(), 29);
	clean();
}

static void setmarks(void)
{
	struct drive *d = with("?setmarks");

	write_block(d, 0, 10);
	CU_ASSERT_EQUAL(drive_mark(d, DRIVE_MARK_SET, 1, false, NULL), 0);
	write_block(d, 1, 10);
	mark(d, 1);
	write_block(d, 2, 10);
	drive_mark(d, DRIVE_MARK_SET, 2, false, NULL);
	drive_rewind(d, false);
	space(d, DRIVE_BLOCKS, 2, 1, DRIVE_SETMARK);
	expect_at(d, 2, 0, 2);
	drive_rewind(d, false);
	space(d, DRIVE_FILEMARKS, 1, 0, DRIVE_SETMARK);
	CU_ASSERT_EQUAL(drive_set(d, DRIVE_SET_REPORT_SETMARKS, 0), 0);
	drive_rewind(d, false);
	space(d, DRIVE_FILEMARKS, 1, 1, DRIVE_BLOCK);
	expect_at(d, 4, 1, 0);
	space(d, DRIVE_SETMARKS, -1, 1, DRIVE_BLOCK);
	expect_at(d, 1, 0, 1);
	space(d, DRIVE_SEQUENTIAL_SETMARKS, 2, 2, DRIVE_BLOCK);
	expect_at(d, 7, 1, 3);
	drive_close(d);
	d = with("");
	expect_block(d, 0, 10);
	expect(d, DRIVE_SETMARK);
	drive_close(d);
	clean();
	d = with("");
	CU_ASSERT_EQUAL(drive_mark(d, DRIVE_MARK_SET, 1, false, NULL),
			REEL_ENOTSUP);
	CU_ASSERT_EQUAL(drive_mark(d, DRIVE_MARK_LONG_FILE, 1, false, NULL),
			REEL_ENOTSUP);
	drive_close(d);
	clean();
}

static void partitions(void)
{
	struct drive *d = with("?capacity=3M");
	struct drive_partitioning two = {DRIVE_LAYOUT_SIZES, 2, {1 << 20, 0}};
	struct drive_position p = {.partition = 1, .object = 1};
	struct drive_parameters now;

	write_block(d, 3, 10);
	CU_ASSERT_EQUAL(drive_partition(d, &two), 0);
	expect(d, DRIVE_END);
	write_block(d, 1, 10);
	mark(d, 1);
	CU_ASSERT_EQUAL(drive_select(d, 2), REEL_EINVAL);
	CU_ASSERT_EQUAL(drive_select(d, 1), 0);
	write_block(d, 2, 20);
	write_block(d, 3, 30);
	mark(d, 1);
	CU_ASSERT_EQUAL(drive_parameters(d, &now), 0);
	CU_ASSERT_EQUAL(now.partitions, 2);
	CU_ASSERT_EQUAL(now.partition, 1);
	CU_ASSERT_EQUAL(now.capacity, 2 << 20);
	drive_close(d);
	d = with("");
	expect_block(d, 1, 10);
	CU_ASSERT_EQUAL(drive_seek(d, &p), 0);
	expect_block(d, 3, 30);
	two.sizes[0] = 4 << 20;
	CU_ASSERT_EQUAL(drive_partition(d, &two), REEL_ENOSPC);
	two = (struct drive_partitioning){DRIVE_LAYOUT_SELECT, 3, {0}};
	CU_ASSERT_EQUAL(drive_partition(d, &two), 0);
	CU_ASSERT_EQUAL(drive_select(d, 1), 0);
	expect(d, DRIVE_END);
	CU_ASSERT_EQUAL(drive_prepare(d, DRIVE_FORMAT, false), 0);
	CU_ASSERT_EQUAL(drive_parameters(d, &now), 0);
	CU_ASSERT_EQUAL(now.partitions, 1);
	CU_ASSERT_EQUAL(now.capacity, 3 << 20);
	two = (struct drive_partitioning){DRIVE_LAYOUT_SIZES, 2, {3 << 20, 0}};
	CU_ASSERT_EQUAL(drive_partition(d, &two), REEL_ENOSPC);
	/* what no partition has is the medium's all the same */
	two.sizes[0] = two.sizes[1] = 1 << 20;
	CU_ASSERT_EQUAL(drive_partition(d, &two), 0);
	drive_close(d);
	d = with("");
	CU_ASSERT_EQUAL(drive_prepare(d, DRIVE_FORMAT, false), 0);
	CU_ASSERT_EQUAL(drive_parameters(d, &now), 0);
	CU_ASSERT_EQUAL(now.capacity, 3 << 20);
	drive_close(d);
	clean();
}

static void cartridge(void)
{
	struct drive *d = with("");
	struct drive_status s;
	struct drive_read r;
	uint8_t block[8];

	write_block(d, 1, 8);
	CU_ASSERT_EQUAL(drive_prepare(d, DRIVE_LOCK, false), 0);
	CU_ASSERT_EQUAL(drive_prepare(d, DRIVE_UNLOAD, false), REEL_EBUSY);
	CU_ASSERT_EQUAL(drive_prepare(d, DRIVE_UNLOCK, false), 0);
	CU_ASSERT_EQUAL(drive_prepare(d, DRIVE_UNLOAD, false), 0);
	CU_ASSERT_EQUAL(drive_status(d, &s), 0);
	CU_ASSERT_EQUAL(s.state, DRIVE_EMPTY);
	CU_ASSERT(!s.known);
	CU_ASSERT_EQUAL(drive_read(d, block, 8, &r), REEL_ERESET); /* D3 */
	CU_ASSERT_EQUAL(drive_rewind(d, false), REEL_EMEDIUM);
	drive_close(d);
	d = with("");
	CU_ASSERT_EQUAL(drive_read(d, block, 8, &r), REEL_EMEDIUM);
	CU_ASSERT_EQUAL(drive_prepare(d, DRIVE_LOAD, false), 0);
	expect_block(d, 1, 8);
	drive_close(d);
	d = with("?protected");
	CU_ASSERT_EQUAL(write_block(d, 1, 8), REEL_EROFS);
	CU_ASSERT_EQUAL(drive_erase(d, DRIVE_ERASE_SHORT, false), REEL_EROFS);
	CU_ASSERT_EQUAL(drive_prepare(d, DRIVE_FORMAT, false), REEL_EROFS);
	expect_block(d, 1, 8);
	drive_close(d);
	clean();
}

static void erasing(void)
{
	struct drive *d = with("");

	fill(d, files, 1);
	drive_rewind(d, false);
	expect_block(d, 0, 1);
	CU_ASSERT_EQUAL(drive_erase(d, DRIVE_ERASE_SHORT, false), 0);
	expect(d, DRIVE_END);
	CU_ASSERT_EQUAL(file_size(), 10);
	drive_rewind(d, false);
	CU_ASSERT_EQUAL(drive_erase(d, DRIVE_ERASE_LONG, false), 0);
	CU_ASSERT_EQUAL(file_size(), 0);
	drive_close(d);
	clean();
}

static void attributes(void)
{
	struct drive *d = with("?barcode=REEL01L8");
	char text[40];
	size_t length = sizeof(text);
	struct drive_parameters p;

	CU_ASSERT_EQUAL(
		drive_attribute(d, DRIVE_ATTRIBUTE_BARCODE, text, &length), 0);
	CU_ASSERT_EQUAL(length, 32);
	CU_ASSERT_EQUAL(memcmp(text, "REEL01L8  ", 10), 0);
	CU_ASSERT_EQUAL(drive_parameters(d, &p), 0);
	CU_ASSERT_STRING_EQUAL(p.barcode, "REEL01L8");
	CU_ASSERT_EQUAL(drive_set_attribute(d, 0x0803, "label", 5), 0);
	drive_close(d);
	d = with("");
	length = sizeof(text);
	CU_ASSERT_EQUAL(drive_attribute(d, 0x0803, text, &length), 0);
	CU_ASSERT(length == 5 && !memcmp(text, "label", 5));
	CU_ASSERT_EQUAL(drive_set_attribute(d, 0x0803, NULL, 0), 0);
	CU_ASSERT_EQUAL(drive_attribute(d, 0x0803, text, &length), REEL_ENOENT);
	drive_close(d);
	clean();
}

static void misuse(void)
{
	const struct drive_options reading = {.read_only = true};
	struct drive *d, *e = NULL;

	CU_ASSERT_EQUAL(drive_open(path, NULL, &e), REEL_ENOENT);
	CU_ASSERT_EQUAL(drive_open("/tmp", NULL, &e), REEL_EINVAL);
	CU_ASSERT_EQUAL(drive_open("", NULL, &e), REEL_EINVAL);
	d = with("");
	CU_ASSERT_EQUAL(drive_open(path, NULL, &e), REEL_EBUSY);
	CU_ASSERT_EQUAL(drive_open(path, &reading, &e), REEL_EBUSY);
	drive_close(d);
	snprintf(name, sizeof(name), "%s?capacity=x", path);
	CU_ASSERT_EQUAL(drive_open(name, NULL, &e), REEL_EINVAL);
	snprintf(name, sizeof(name), "%s?what", path);
	CU_ASSERT_EQUAL(drive_open(name, NULL, &e), REEL_EINVAL);
	CU_ASSERT_EQUAL(drive_open(path, &reading, &d), 0);
	CU_ASSERT_EQUAL(drive_open(path, &reading, &e), 0);
	CU_ASSERT_EQUAL(write_block(d, 1, 1), REEL_EROFS);
	drive_close(d);
	drive_close(e);
	CU_ASSERT_EQUAL(drive_close(NULL), 0);
	clean();
}

void suite_image(void);
void suite_image(void)
{
	CU_pSuite s = CU_add_suite("image", begin, end);

	CU_add_test(s, "round trip", round_trip);
	CU_add_test(s, "bytes", bytes);
	CU_add_test(s, "overwriting ends the data", overwriting_ends_the_data);
	CU_add_test(s, "spacing", spacing);
	CU_add_test(s, "seeking", seeking);
	CU_add_test(s, "many places", many_places);
	CU_add_test(s, "large and small", large_and_small);
	CU_add_test(s, "end of medium", end_of_medium);
	CU_add_test(s, "torn", torn);
	CU_add_test(s, "damage", damage);
	CU_add_test(s, "foreign", foreign);
	CU_add_test(s, "setmarks", setmarks);
	CU_add_test(s, "partitions", partitions);
	CU_add_test(s, "cartridge", cartridge);
	CU_add_test(s, "erasing", erasing);
	CU_add_test(s, "attributes", attributes);
	CU_add_test(s, "misuse", misuse);
}
