#include <CUnit/CUnit.h>
#include <stdlib.h>
#include <string.h>
#include "tape/error.h"
#include "tape/trailer.h"

static struct trailer sample(void)
{
	struct trailer t = {.session = 7,
			    .epoch = 3,
			    .first_volume = 11,
			    .last_volume = 12,
			    .index_offset = UINT64_C(123456789012),
			    .index_length = 4096};

	for (unsigned n = 0; n < 16; n++)
		t.set[n] = (uint8_t)(n * 17);
	for (unsigned n = 0; n < DIGEST_SIZE; n++)
		t.index_digest.b[n] = (uint8_t)(255 - n);
	return t;
}

static void check(const struct trailer *got, const struct trailer *want)
{
	CU_ASSERT_EQUAL(memcmp(got->set, want->set, 16), 0);
	CU_ASSERT_EQUAL(got->session, want->session);
	CU_ASSERT_EQUAL(got->epoch, want->epoch);
	CU_ASSERT_EQUAL(got->first_volume, want->first_volume);
	CU_ASSERT_EQUAL(got->last_volume, want->last_volume);
	CU_ASSERT_EQUAL(got->index_offset, want->index_offset);
	CU_ASSERT_EQUAL(got->index_length, want->index_length);
	CU_ASSERT_EQUAL(
		memcmp(&got->index_digest, &want->index_digest, DIGEST_SIZE),
		0);
}

static void round_trip(void)
{
	uint8_t block[TRAILER_SIZE];
	struct trailer t = sample(), got;

	trailer_encode(&t, block);
	CU_ASSERT_PTR_NULL(memchr(block, '\0', sizeof(block)));
	CU_ASSERT_EQUAL(block[TRAILER_SIZE - 1], '\n');
	CU_ASSERT_EQUAL_FATAL(trailer_decode(block, &got), 0);
	check(&got, &t);
	memset(&t, 0xff, sizeof(t));
	trailer_encode(&t, block);
	CU_ASSERT_EQUAL_FATAL(trailer_decode(block, &got), 0);
	check(&got, &t);
	memset(&t, 0, sizeof(t));
	trailer_encode(&t, block);
	CU_ASSERT_EQUAL_FATAL(trailer_decode(block, &got), 0);
	check(&got, &t);
}

static void flips(void)
{
	uint8_t block[TRAILER_SIZE];
	struct trailer t = sample(), got = {.session = 99};

	trailer_encode(&t, block);
	for (size_t at = 0; at < sizeof(block); at++)
		for (unsigned mask = 1; mask < 256; mask++) {
			block[at] ^= (uint8_t)mask;
			if (trailer_decode(block, &got) >= 0)
				CU_FAIL("a flip went unnoticed");
			block[at] ^= (uint8_t)mask;
		}
	CU_ASSERT_EQUAL(got.session, 99);
	CU_ASSERT_EQUAL(trailer_decode(block, &got), 0);
}

static void versions(void)
{
	uint8_t block[TRAILER_SIZE];
	struct trailer t = sample();
	char *digit;

	trailer_encode(&t, block);
	digit = memchr(block, '1', TRAILER_SIZE);
	CU_ASSERT_PTR_NOT_NULL_FATAL(digit);
	CU_ASSERT_EQUAL(memcmp(block, "REEL end ", 9), 0);
	CU_ASSERT_PTR_EQUAL(digit, (char *)block + 9);
	*digit = '2';
	CU_ASSERT_EQUAL(trailer_decode(block, &t), REEL_EVERSION);
	*digit = '0';
	CU_ASSERT_EQUAL(trailer_decode(block, &t), REEL_EDAMAGED);
}

static void garbage(void)
{
	uint8_t block[TRAILER_SIZE];
	struct trailer t;

	memset(block, 0, sizeof(block));
	CU_ASSERT_EQUAL(trailer_decode(block, &t), REEL_EDAMAGED);
	memset(block, 0xff, sizeof(block));
	CU_ASSERT_EQUAL(trailer_decode(block, &t), REEL_EDAMAGED);
	memset(block, '9', sizeof(block));
	memcpy(block, "REEL end ", 9);
	CU_ASSERT(trailer_decode(block, &t) < 0);
}

void suite_trailer(void);
void suite_trailer(void)
{
	CU_pSuite s = CU_add_suite("trailer", NULL, NULL);

	CU_add_test(s, "round trip", round_trip);
	CU_add_test(s, "flips", flips);
	CU_add_test(s, "versions", versions);
	CU_add_test(s, "garbage", garbage);
}
