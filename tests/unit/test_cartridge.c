#include <CUnit/CUnit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tape/cartridge.h"
#include "tape/error.h"
#include "tape/member.h"

#define PLACES 3

static struct cartridge_label sample(uint32_t number)
{
	struct cartridge_label l = {.number = number,
				    .block_size = CARTRIDGE_BLOCK,
				    .time = INT64_C(1764000000123456789),
				    .set_name = (char *)"a set\nof two lines",
				    .seed = UINT64_C(0x0123456789abcdef),
				    .compression = COMPRESSION_ZSTD};

	for (unsigned n = 0; n < 16; n++) {
		l.set[n] = (uint8_t)(n * 17);
		l.uuid[n] = (uint8_t)(number + n);
	}
	cartridge_make_name(l.set_name, number, l.name);
	snprintf(l.barcode, sizeof(l.barcode), "RIG%03uL8", (unsigned)number);
	return l;
}

static void check_label(const struct cartridge_label *got,
			const struct cartridge_label *want)
{
	CU_ASSERT_EQUAL(memcmp(got->set, want->set, 16), 0);
	CU_ASSERT_EQUAL(memcmp(got->uuid, want->uuid, 16), 0);
	CU_ASSERT_EQUAL(got->number, want->number);
	CU_ASSERT_STRING_EQUAL(got->name, want->name);
	CU_ASSERT_STRING_EQUAL(got->barcode, want->barcode);
	CU_ASSERT_EQUAL(got->block_size, want->block_size);
	CU_ASSERT_EQUAL(got->time, want->time);
	CU_ASSERT_STRING_EQUAL(got->set_name, want->set_name);
	CU_ASSERT_EQUAL(got->seed, want->seed);
	CU_ASSERT_EQUAL(got->compression, want->compression);
}

static void names(void)
{
	char name[CARTRIDGE_NAME], longest[200];

	cartridge_make_name("daily", 2, name);
	CU_ASSERT_STRING_EQUAL(name, "daily-0002");
	cartridge_make_name("my set/ä", 12345, name);
	CU_ASSERT_STRING_EQUAL(name, "my_set___-12345");
	cartridge_make_name("", 1, name);
	CU_ASSERT_STRING_EQUAL(name, "set-0001");
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	cartridge_make_name(longest, UINT32_MAX, name);
	CU_ASSERT(strlen(name) < CARTRIDGE_NAME);
	CU_ASSERT_PTR_NOT_NULL(strstr(name, "-4294967295"));
}

static void labels(void)
{
	struct cartridge_label l = sample(7), got;
	struct buffer b = {0};

	CU_ASSERT_EQUAL_FATAL(cartridge_label_encode(&l, &b), 0);
	CU_ASSERT_EQUAL(b.length % MEMBER_BLOCK, 0);
	CU_ASSERT(b.length <= 4096);
	CU_ASSERT_EQUAL_FATAL(cartridge_label_decode(b.data, b.length, &got),
			      0);
	check_label(&got, &l);
	cartridge_label_release(&got);
	b.length = 0;
	l.barcode[0] = '\0';
	l.compression = COMPRESSION_NONE;
	CU_ASSERT_EQUAL_FATAL(cartridge_label_encode(&l, &b), 0);
	CU_ASSERT_EQUAL_FATAL(cartridge_label_decode(b.data, b.length, &got),
			      0);
	check_label(&got, &l);
	cartridge_label_release(&got);
	buffer_release(&b);
}

/* A flipped bit may hit what does not matter (a time, a checksum of the
 * header); what is given out is right all the same. */
static void flipped_labels(void)
{
	struct cartridge_label l = sample(7), got;
	struct buffer b = {0};
	unsigned refused = 0;

	CU_ASSERT_EQUAL_FATAL(cartridge_label_encode(&l, &b), 0);
	for (size_t at = 0; at < b.length; at++) {
		b.data[at] ^= 4;
		if (cartridge_label_decode(b.data, b.length, &got)) {
			refused++;
		} else {
			check_label(&got, &l);
			cartridge_label_release(&got);
		}
		b.data[at] ^= 4;
	}
	CU_ASSERT(refused > 300);
	for (size_t n = 0; n < b.length - 1024; n += 100) {
		int error = cartridge_label_decode(b.data, n, &got);

		CU_ASSERT(error == REEL_ENOENT || error == REEL_EDAMAGED);
	}
	buffer_release(&b);
}

static struct cartridge_table table_sample(struct cartridge_label *labels_of,
					   struct place *places)
{
	struct cartridge_table t = {.cartridges = labels_of,
				    .cartridge_count = 2,
				    .places = places,
				    .place_count = PLACES,
				    .has_end = true,
				    .end = {.session = 4,
					    .epoch = 1,
					    .first_volume = 8,
					    .last_volume = 9,
					    .index_offset = 1 << 20,
					    .index_length = 77}};

	labels_of[0] = sample(1);
	labels_of[1] = sample(2);
	memcpy(t.end.set, labels_of[0].set, 16);
	for (unsigned n = 0; n < PLACES; n++)
		places[n] = (struct place){.volume = 8 + n / 2,
					   .cartridge = 1 + n % 2,
					   .object = UINT64_C(5000000000) + n,
					   .file = 3 + n,
					   .block_size = CARTRIDGE_BLOCK,
					   .size = 123456 * n,
					   .session = 4,
					   .session_time = -5,
					   .last = n == 2};
	return t;
}

static void tables(void)
{
	struct cartridge_label l[2];
	struct place places[PLACES];
	struct cartridge_table t = table_sample(l, places), got;
	struct buffer b = {0};

	CU_ASSERT_EQUAL_FATAL(cartridge_table_encode(&t, &b), 0);
	CU_ASSERT_EQUAL(b.length % MEMBER_BLOCK, 0);
	CU_ASSERT_EQUAL_FATAL(cartridge_table_decode(b.data, b.length, &got),
			      0);
	CU_ASSERT_EQUAL_FATAL(got.cartridge_count, 2);
	check_label(&got.cartridges[0], &l[0]);
	check_label(&got.cartridges[1], &l[1]);
	CU_ASSERT_EQUAL_FATAL(got.place_count, PLACES);
	for (int n = 0; n < PLACES; n++) {
		CU_ASSERT_EQUAL(place_compare(&got.places[n], &places[n]), 0);
		CU_ASSERT_EQUAL(got.places[n].object, places[n].object);
		CU_ASSERT_EQUAL(got.places[n].file, places[n].file);
		CU_ASSERT_EQUAL(got.places[n].size, places[n].size);
		CU_ASSERT_EQUAL(got.places[n].session_time, -5);
		CU_ASSERT_EQUAL(got.places[n].last, n == 2);
	}
	CU_ASSERT(got.has_end);
	CU_ASSERT_EQUAL(got.end.session, 4);
	CU_ASSERT_EQUAL(got.end.index_length, 77);
	cartridge_table_release(&got);
	b.length = 0;
	t.has_end = false;
	t.place_count = 0;
	CU_ASSERT_EQUAL_FATAL(cartridge_table_encode(&t, &b), 0);
	CU_ASSERT_EQUAL_FATAL(cartridge_table_decode(b.data, b.length, &got),
			      0);
	CU_ASSERT(!got.has_end);
	CU_ASSERT_EQUAL(got.place_count, 0);
	cartridge_table_release(&got);
	buffer_release(&b);
}

static void parts(void)
{
	struct cartridge_label l[2];
	struct place places[PLACES];
	struct cartridge_table t = table_sample(l, places), got;
	struct buffer b = {0};

	places[0].behind = places[1].size = 1000;
	places[1].begin = places[0].size = 512;
	places[2].begin = UINT64_C(5000000000);
	CU_ASSERT_EQUAL_FATAL(cartridge_table_encode(&t, &b), 0);
	CU_ASSERT_PTR_NOT_NULL(memmem(b.data, b.length, "\npart 8 1 ", 10));
	CU_ASSERT_EQUAL_FATAL(cartridge_table_decode(b.data, b.length, &got),
			      0);
	CU_ASSERT_EQUAL_FATAL(got.place_count, PLACES);
	for (int n = 0; n < PLACES; n++) {
		CU_ASSERT_EQUAL(got.places[n].begin, places[n].begin);
		CU_ASSERT_EQUAL(got.places[n].size, places[n].size);
		CU_ASSERT_EQUAL(got.places[n].behind, places[n].behind);
	}
	CU_ASSERT_EQUAL(place_total(&got.places[0]), 1512);
	CU_ASSERT_EQUAL(place_total(&got.places[1]), 1512);
	CU_ASSERT(place_has(&got.places[0], 511));
	CU_ASSERT(!place_has(&got.places[0], 512));
	CU_ASSERT(!place_has(&got.places[1], 511));
	CU_ASSERT(place_has(&got.places[1], 1511));
	CU_ASSERT(!place_has(&got.places[1], 1512));
	cartridge_table_release(&got);
	/* more than there can be */
	places[2].begin = INT64_MAX;
	places[2].behind = 1;
	b.length = 0;
	CU_ASSERT_EQUAL_FATAL(cartridge_table_encode(&t, &b), 0);
	CU_ASSERT_EQUAL(cartridge_table_decode(b.data, b.length, &got),
			REEL_EDAMAGED);
	buffer_release(&b);
}

static void bad_tables(void)
{
	struct cartridge_label l[2];
	struct place places[PLACES];
	struct cartridge_table t = table_sample(l, places), got;
	struct buffer b = {0};

	places[1] = places[0]; /* twice the same */
	CU_ASSERT_EQUAL_FATAL(cartridge_table_encode(&t, &b), 0);
	CU_ASSERT_EQUAL(cartridge_table_decode(b.data, b.length, &got),
			REEL_EDAMAGED);
	t = table_sample(l, places);
	l[1].number = 1;
	b.length = 0;
	CU_ASSERT_EQUAL_FATAL(cartridge_table_encode(&t, &b), 0);
	CU_ASSERT_EQUAL(cartridge_table_decode(b.data, b.length, &got),
			REEL_EDAMAGED);
	t = table_sample(l, places);
	t.end.set[3] ^= 1; /* an end of another set */
	b.length = 0;
	CU_ASSERT_EQUAL_FATAL(cartridge_table_encode(&t, &b), 0);
	CU_ASSERT_EQUAL(cartridge_table_decode(b.data, b.length, &got),
			REEL_EDAMAGED);
	/* a label is no table, nor is anything else */
	b.length = 0;
	CU_ASSERT_EQUAL_FATAL(cartridge_label_encode(&l[0], &b), 0);
	CU_ASSERT_EQUAL(cartridge_table_decode(b.data, b.length, &got),
			REEL_ENOENT);
	memset(b.data, 0x5a, b.length);
	CU_ASSERT_EQUAL(cartridge_table_decode(b.data, b.length, &got),
			REEL_ENOENT);
	CU_ASSERT_EQUAL(cartridge_table_decode("", 0, &got), REEL_ENOENT);
	buffer_release(&b);
}

static void newer(void)
{
	struct cartridge_label l = sample(1), got;
	struct buffer b = {0};
	char *at;

	CU_ASSERT_EQUAL_FATAL(cartridge_label_encode(&l, &b), 0);
	at = memmem(b.data, b.length, "cartridge 1\n", 12);
	CU_ASSERT_PTR_NOT_NULL_FATAL(at);
	at[10] = '2';
	CU_ASSERT_EQUAL(cartridge_label_decode(b.data, b.length, &got),
			REEL_EVERSION);
	buffer_release(&b);
}

static void lines(void)
{
	CU_ASSERT_EQUAL(cartridge_line(0), 1);
	CU_ASSERT_EQUAL(cartridge_line(1), 1);
	CU_ASSERT_EQUAL(cartridge_line(CARTRIDGE_LINE), 1);
	CU_ASSERT_EQUAL(cartridge_line(CARTRIDGE_LINE + 1), CARTRIDGE_LINE + 1);
	CU_ASSERT_EQUAL(cartridge_line(CARTRIDGE_LIMIT),
			CARTRIDGE_LIMIT - CARTRIDGE_LINE + 1);
}

void suite_cartridge(void);
void suite_cartridge(void)
{
	CU_pSuite s = CU_add_suite("cartridge", NULL, NULL);

	CU_add_test(s, "names", names);
	CU_add_test(s, "labels", labels);
	CU_add_test(s, "flipped labels", flipped_labels);
	CU_add_test(s, "tables", tables);
	CU_add_test(s, "parts of volumes", parts);
	CU_add_test(s, "bad tables", bad_tables);
	CU_add_test(s, "of a newer version", newer);
	CU_add_test(s, "lines of numbers", lines);
}
