#include <CUnit/CUnit.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "tape/digest.h"
#include "tape/error.h"
#include "tape/frame.h"
#include "tape/noise.h"

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

#define FRAMES 5
#define LENGTH 3000

static void pattern(uint8_t *to, size_t length, unsigned seed)
{
	for (size_t i = 0; i < length; i++)
		to[i] = (uint8_t)((i / 16) * 31 + seed * 7 + (i & 3));
}

/* A volume of FRAMES frames in *out, described by frames[]. */
static void make_volume(struct buffer *out, struct frame *frames)
{
	struct frame_codec *k;
	uint8_t data[LENGTH];

	CU_ASSERT_EQUAL_FATAL(frame_codec_new(COMPRESSION_ZSTD, 3, &k), 0);
	for (unsigned i = 0; i < FRAMES; i++) {
		size_t bound = frame_bound(COMPRESSION_ZSTD, LENGTH);
		int64_t n;

		pattern(data, LENGTH, i);
		CU_ASSERT_EQUAL_FATAL(buffer_reserve(out, bound), 0);
		n = frame_encode(k, FRAME_MIXED, data, LENGTH,
				 out->data + out->length, bound);
		CU_ASSERT_FATAL(n > 0);
		frames[i] = (struct frame){
			.stream = (uint64_t)i * LENGTH,
			.position = out->length,
			.stored = (uint32_t)n,
			.length = LENGTH,
			.checksum = digest_checksum32(data, LENGTH)};
		out->length += (size_t)n;
	}
	CU_ASSERT_EQUAL_FATAL(seek_table_encode(frames, FRAMES, out), 0);
	frame_codec_free(k);
}

/* What `level` makes of a frame; it comes back as it was. */
static int64_t encoded(struct frame_codec *k, enum frame_matter matter,
		       const uint8_t *data, struct buffer *out)
{
	size_t bound = frame_bound(COMPRESSION_ZSTD, FRAME_SIZE);
	struct frame f = {.length = FRAME_SIZE,
			  .checksum = digest_checksum32(data, FRAME_SIZE)};
	uint8_t *back = malloc(FRAME_SIZE);
	int64_t n;

	out->length = 0;
	CU_ASSERT_EQUAL_FATAL(buffer_reserve(out, bound), 0);
	n = frame_encode(k, matter, data, FRAME_SIZE, out->data, bound);
	CU_ASSERT_FATAL(n > 0 && back);
	f.stored = (uint32_t)n;
	CU_ASSERT_EQUAL(frame_decode(k, &f, out->data, back), 0);
	CU_ASSERT_EQUAL(memcmp(data, back, FRAME_SIZE), 0);
	free(back);
	return n;
}

/* Level 0 takes less trouble with large contents, and goes back to more; a
 * level that was asked for holds for all. */
static void efforts(void)
{
	struct buffer mixed = {0}, large = {0}, again = {0};
	uint8_t *data = malloc(FRAME_SIZE);
	struct frame_codec *k;
	unsigned x = 1;

	CU_ASSERT_FATAL(data != NULL);
	for (size_t i = 0; i < FRAME_SIZE; i++) {
		x = x * 1103515245 + 12345;
		data[i] = (uint8_t)("aeinorst"[x >> 29] + (i % 97 == 0));
	}
	for (int level = 0; level <= 5; level += 5) {
		CU_ASSERT_EQUAL_FATAL(
			frame_codec_new(COMPRESSION_ZSTD, level, &k), 0);
		int64_t m = encoded(k, FRAME_MIXED, data, &mixed);
		int64_t l = encoded(k, FRAME_LARGE, data, &large);
		int64_t a = encoded(k, FRAME_MIXED, data, &again);

		CU_ASSERT_EQUAL_FATAL(m, a);
		CU_ASSERT_EQUAL(memcmp(mixed.data, again.data, m), 0);
		CU_ASSERT_EQUAL(m == l && !memcmp(mixed.data, large.data, m),
				level != 0);
		frame_codec_free(k);
	}
	buffer_release(&mixed);
	buffer_release(&large);
	buffer_release(&again);
	free(data);
}

static unsigned number(unsigned *x)
{
	return (*x = *x * 1103515245 + 12345) >> 24;
}

/* Noise and text in turn, each for `length` bytes. */
static void in_turn(uint8_t *data, size_t length)
{
	unsigned x = 1;

	for (size_t i = 0; i < FRAME_SIZE; i++)
		data[i] = i / length % 2 ? (uint8_t) "aeinorst"[number(&x) >> 5]
					 : (uint8_t)number(&x);
}

/* However often noise begins and ends, a frame has room, and a search that
 * found nothing for one frame does not end what comes behind it. */
static void noise(void)
{
	struct buffer out = {0}, plain = {0};
	uint8_t *data = malloc(FRAME_SIZE);
	struct frame_codec *k, *five;
	bool noisy = false;

	CU_ASSERT_FATAL(data != NULL);
	CU_ASSERT_EQUAL_FATAL(frame_codec_new(COMPRESSION_ZSTD, 0, &k), 0);
	CU_ASSERT_EQUAL_FATAL(frame_codec_new(COMPRESSION_ZSTD, 5, &five), 0);
	for (size_t length = 512; length <= FRAME_SIZE; length *= 2) {
		in_turn(data, length);
		for (int n = 0; n < 3; n++)
			encoded(k, FRAME_MIXED, data, &out);
	}
	in_turn(data, 8192);
	CU_ASSERT_EQUAL(noise_run(data, FRAME_SIZE, &noisy), 8192);
	CU_ASSERT_FALSE(noisy);
	CU_ASSERT_EQUAL(noise_run(data + 8192, FRAME_SIZE - 8192, &noisy),
			8192);
	CU_ASSERT_TRUE(noisy);
	CU_ASSERT_EQUAL(noise_run(data, 511, &noisy), 511);
	CU_ASSERT_EQUAL(noise_run(data, 0, &noisy), 0);
	int64_t apart = encoded(k, FRAME_MIXED, data, &out);
	int64_t mixed = encoded(five, FRAME_MIXED, data, &plain);
	CU_ASSERT(apart < mixed * 99 / 100);
	frame_codec_free(k);
	frame_codec_free(five);
	buffer_release(&out);
	buffer_release(&plain);
	free(data);
}

static int file_of(const void *data, size_t length)
{
	int fd = memfd_create("volume", MFD_CLOEXEC);

	CU_ASSERT_FATAL(fd >= 0);
	CU_ASSERT_EQUAL_FATAL(write(fd, data, length), (ssize_t)length);
	return fd;
}

static void check_frames(const struct frame *got, const struct frame *want,
			 size_t count)
{
	for (size_t i = 0; i < count; i++) {
		CU_ASSERT_EQUAL(got[i].stream, want[i].stream);
		CU_ASSERT_EQUAL(got[i].position, want[i].position);
		CU_ASSERT_EQUAL(got[i].stored, want[i].stored);
		CU_ASSERT_EQUAL(got[i].length, want[i].length);
		CU_ASSERT_EQUAL(got[i].checksum, want[i].checksum);
	}
}

static void codec(enum compression c)
{
	uint8_t data[LENGTH], back[LENGTH], stored[2 * LENGTH];
	struct frame_codec *k;
	struct frame f = {.length = LENGTH};
	int64_t n;

	pattern(data, LENGTH, 1);
	CU_ASSERT_EQUAL_FATAL(frame_codec_new(c, 3, &k), 0);
	n = frame_encode(k, FRAME_MIXED, data, LENGTH, stored, sizeof(stored));
	CU_ASSERT_FATAL(n > 0);
	f.stored = (uint32_t)n;
	f.checksum = digest_checksum32(data, LENGTH);
	CU_ASSERT_EQUAL(frame_decode(k, &f, stored, back), 0);
	CU_ASSERT_EQUAL(memcmp(data, back, LENGTH), 0);
	CU_ASSERT(frame_encode(k, FRAME_MIXED, data, LENGTH, stored, 10) < 0);
	CU_ASSERT_EQUAL_FATAL(frame_encode(k, FRAME_MIXED, data, LENGTH, stored,
					   sizeof(stored)),
			      n);
	for (size_t i = 0; i < f.stored; i++) {
		stored[i] ^= 0x20;
		/* Some bits of a zstd header mean nothing; then the content
		 * must be right. */
		if (frame_decode(k, &f, stored, back) == 0)
			CU_ASSERT_EQUAL(memcmp(data, back, LENGTH), 0);
		stored[i] ^= 0x20;
	}
	f.checksum ^= 1;
	CU_ASSERT_EQUAL(frame_decode(k, &f, stored, back), REEL_EDAMAGED);
	f.checksum ^= 1;
	f.length--;
	CU_ASSERT_EQUAL(frame_decode(k, &f, stored, back), REEL_EDAMAGED);
	f.length = FRAME_LIMIT + 1;
	CU_ASSERT_EQUAL(frame_decode(k, &f, stored, back), REEL_EDAMAGED);
	frame_codec_free(k);
	frame_codec_free(NULL);
}

static void codec_none(void)
{
	codec(COMPRESSION_NONE);
}

static void codec_zstd(void)
{
	codec(COMPRESSION_ZSTD);
}

static void packing(void)
{
	static const uint8_t zeros[100000];
	struct buffer packed = {0}, back = {0};

	CU_ASSERT_EQUAL(frame_pack(zeros, sizeof(zeros), 0, &packed), 0);
	CU_ASSERT_EQUAL(
		frame_unpack(packed.data, packed.length, sizeof(zeros), &back),
		0);
	CU_ASSERT_EQUAL(back.length, sizeof(zeros));
	back.length = 0;
	CU_ASSERT_EQUAL(frame_unpack(packed.data, packed.length,
				     sizeof(zeros) - 1, &back),
			REEL_ERANGE);
	for (size_t n = 0; n < packed.length; n++)
		CU_ASSERT_EQUAL(
			frame_unpack(packed.data, n, sizeof(zeros), &back),
			REEL_EDAMAGED);
	CU_ASSERT_EQUAL(frame_unpack("garbage!", 8, 1000, &back),
			REEL_EDAMAGED);
	CU_ASSERT_EQUAL(back.length, 0);
	packed.length = 0;
	CU_ASSERT_EQUAL(frame_pack("", 0, 1, &packed), 0);
	CU_ASSERT_EQUAL(frame_unpack(packed.data, packed.length, 0, &back), 0);
	CU_ASSERT_EQUAL(back.length, 0);
	buffer_release(&packed);
	buffer_release(&back);
}

static void table(void)
{
	struct buffer volume = {0};
	struct frame want[FRAMES], *got;
	bool rebuilt = true;
	size_t count;
	int fd;

	make_volume(&volume, want);
	fd = file_of(volume.data, volume.length);
	CU_ASSERT_EQUAL_FATAL(read_table(fd, &got, &count, &rebuilt), 0);
	CU_ASSERT_FALSE(rebuilt);
	CU_ASSERT_EQUAL_FATAL(count, FRAMES);
	check_frames(got, want, count);
	free(got);
	close(fd);
	buffer_release(&volume);
}

/* Whatever is cut off, the frames that are whole are found. */
static void cut_tables(void)
{
	struct buffer volume = {0};
	struct frame want[FRAMES], *got;
	size_t end;

	make_volume(&volume, want);
	end = want[FRAMES - 1].position + want[FRAMES - 1].stored;
	for (size_t n = 0; n < volume.length; n += n < end ? 17 : 1) {
		int fd = file_of(volume.data, n);
		bool rebuilt = false;
		size_t count = 0, whole = 0;
		int error = read_table(fd, &got, &count, &rebuilt);

		while (whole < FRAMES &&
		       want[whole].position + want[whole].stored <= n)
			whole++;
		CU_ASSERT_EQUAL(error, whole ? 0 : REEL_EDAMAGED);
		CU_ASSERT_EQUAL(count, whole);
		if (!error) {
			CU_ASSERT_TRUE(rebuilt);
			check_frames(got, want, count);
			free(got);
		}
		close(fd);
	}
	buffer_release(&volume);
}

/* A flipped bit in the table never crashes, and a sound answer adds up. */
static void damaged_tables(void)
{
	struct buffer volume = {0};
	struct frame want[FRAMES], *got;
	size_t end;

	make_volume(&volume, want);
	end = want[FRAMES - 1].position + want[FRAMES - 1].stored;
	for (size_t at = end; at < volume.length; at++) {
		bool rebuilt = false;
		size_t count = 0;
		int fd;

		volume.data[at] ^= 0x81;
		fd = file_of(volume.data, volume.length);
		if (!read_table(fd, &got, &count, &rebuilt)) {
			CU_ASSERT_EQUAL(count, FRAMES);
			if (rebuilt)
				check_frames(got, want, count);
			free(got);
		}
		close(fd);
		volume.data[at] ^= 0x81;
	}
	buffer_release(&volume);
}

/* Without a table and with a damaged frame, the others are found in place. */
static void gaps(void)
{
	struct buffer volume = {0};
	struct frame want[FRAMES], *got = NULL;

	make_volume(&volume, want);
	for (size_t i = 0; i < want[2].stored; i++) {
		size_t at = want[2].position + i;
		bool rebuilt = false;
		size_t count = 0;
		int fd;

		volume.data[at] ^= 0x10;
		fd = file_of(volume.data, volume.length - 9);
		CU_ASSERT_EQUAL_FATAL(read_table(fd, &got, &count, &rebuilt),
				      0);
		CU_ASSERT_TRUE(rebuilt);
		CU_ASSERT_EQUAL_FATAL(count, FRAMES);
		check_frames(got, want, 2);
		for (size_t k = 2; k < FRAMES; k++) {
			CU_ASSERT_EQUAL(got[k].position, want[k].position);
			CU_ASSERT_EQUAL(got[k].stored, want[k].stored);
			if (k > 2)
				CU_ASSERT_EQUAL(got[k].checksum,
						want[k].checksum);
			if (i > 7)
				CU_ASSERT_EQUAL(got[k].stream, want[k].stream);
		}
		free(got);
		close(fd);
		volume.data[at] ^= 0x10;
	}
	buffer_release(&volume);
}

static void hostile_tables(void)
{
	static const uint8_t huge[] = {0xff, 0xff, 0xff, 0xff, 0x80,
				       0xb1, 0xea, 0x92, 0x8f};
	static const uint8_t none[] = {0x5e, 0x2a, 0x4d, 0x18, 9,   0,
				       0,    0,	   0,	 0,    0,   0,
				       0x80, 0xb1, 0xea, 0x92, 0x8f};
	/* a skippable frame that claims more than there is */
	static const uint8_t skip[] = {0x5e, 0x2a, 0x4d, 0x18,
				       0xff, 0xff, 0xff, 0xff};
	static const struct {
		const uint8_t *data;
		size_t length;
	} cases[] = {{huge, sizeof(huge)},
		     {none, sizeof(none)},
		     {skip, sizeof(skip)},
		     {huge, 0}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int fd = file_of(cases[i].data, cases[i].length);
		struct frame *got;
		size_t count;
		bool rebuilt;

		CU_ASSERT_EQUAL(read_table(fd, &got, &count, &rebuilt),
				REEL_EDAMAGED);
		close(fd);
	}
}

void suite_frame(void);
void suite_frame(void)
{
	CU_pSuite s = CU_add_suite("frame", NULL, NULL);

	CU_add_test(s, "none", codec_none);
	CU_add_test(s, "zstd", codec_zstd);
	CU_add_test(s, "efforts", efforts);
	CU_add_test(s, "noise", noise);
	CU_add_test(s, "packing", packing);
	CU_add_test(s, "table", table);
	CU_add_test(s, "cut tables", cut_tables);
	CU_add_test(s, "damaged tables", damaged_tables);
	CU_add_test(s, "gaps", gaps);
	CU_add_test(s, "hostile tables", hostile_tables);
}
