#include <CUnit/CUnit.h>
#include <stdlib.h>
#include <string.h>
#include "tape/error.h"
#include "tape/xattrs.h"

static void round_trip(void)
{
	struct buffer set = {0};
	struct xattr x;
	struct xattr_cursor c;

	CU_ASSERT_EQUAL(xattr_append(&set, "user.a", 6, "one", 3), 0);
	CU_ASSERT_EQUAL(xattr_append(&set, "user.b", 6, NULL, 0), 0);
	CU_ASSERT_EQUAL(xattr_append(&set, "user.c", 6, "\0\xff", 2), 0);
	c = xattr_cursor(set.data, set.length);
	CU_ASSERT_EQUAL_FATAL(xattr_next(&c, &x), 1);
	CU_ASSERT_EQUAL(x.name_length, 6);
	CU_ASSERT_EQUAL(memcmp(x.name, "user.a", 6), 0);
	CU_ASSERT_EQUAL(x.value_length, 3);
	CU_ASSERT_EQUAL_FATAL(xattr_next(&c, &x), 1);
	CU_ASSERT_EQUAL(x.value_length, 0);
	CU_ASSERT_EQUAL_FATAL(xattr_next(&c, &x), 1);
	CU_ASSERT_EQUAL(xattr_next(&c, &x), 0);
	CU_ASSERT_EQUAL(xattr_next(&c, &x), 0);
	CU_ASSERT_EQUAL(xattr_find(set.data, set.length, "user.c", 6, &x), 1);
	CU_ASSERT_EQUAL(memcmp(x.value, "\0\xff", 2), 0);
	CU_ASSERT_EQUAL(xattr_find(set.data, set.length, "user.", 5, &x), 0);
	buffer_release(&set);
	c = xattr_cursor(NULL, 0);
	CU_ASSERT_EQUAL(xattr_next(&c, &x), 0);
}

static void limits(void)
{
	struct buffer set = {0};
	char name[256];
	uint8_t *value = calloc(1, XATTR_VALUE_LIMIT + 1);
	int error = 0;

	memset(name, 'n', sizeof(name));
	CU_ASSERT_EQUAL(xattr_append(&set, name, 0, "", 0), REEL_EINVAL);
	CU_ASSERT_EQUAL(xattr_append(&set, name, 256, "", 0), REEL_ERANGE);
	CU_ASSERT_EQUAL(
		xattr_append(&set, name, 1, value, XATTR_VALUE_LIMIT + 1),
		REEL_ERANGE);
	CU_ASSERT_EQUAL(xattr_append(&set, name, 1, value, SIZE_MAX),
			REEL_ERANGE);
	CU_ASSERT_EQUAL(set.length, 0);
	for (int i = 0; i < 100 && !error; i++)
		error = xattr_append(&set, name, 255, value, XATTR_VALUE_LIMIT);
	CU_ASSERT_EQUAL(error, REEL_ERANGE);
	CU_ASSERT(set.length <= XATTR_SET_LIMIT);
	buffer_release(&set);
	free(value);
}

/* Every cut, in memory of exactly that size, ends with an error or in order. */
static void cuts(void)
{
	struct buffer set = {0};

	CU_ASSERT_EQUAL(xattr_append(&set, "user.a", 6, "one", 3), 0);
	CU_ASSERT_EQUAL(xattr_append(&set, "user.b", 6, "two", 3), 0);
	for (size_t n = 0; n < set.length; n++) {
		uint8_t *copy = malloc(n ? n : 1);
		struct xattr_cursor c = xattr_cursor(copy, n);
		struct xattr x;
		int got;

		memcpy(copy, set.data, n);
		while ((got = xattr_next(&c, &x)) > 0)
			;
		CU_ASSERT_EQUAL(got, n == 0 || n == 15 ? 0 : REEL_EDAMAGED);
		if (got)
			CU_ASSERT_EQUAL(xattr_next(&c, &x), 0);
		free(copy);
	}
	buffer_release(&set);
}

static void hostile(void)
{
	static const uint8_t empty_name[] = {0, 0, 0, 0, 0, 0};
	static const uint8_t zero_in_name[] = {2, 0, 0, 0, 0, 0, 'a', 0};
	static const uint8_t huge[] = {1, 0, 0xff, 0xff, 0xff, 0xff, 'a'};
	static const uint8_t long_name[] = {0xff, 0xff, 0, 0, 0, 0, 'a'};
	struct xattr x;

	CU_ASSERT_EQUAL(xattr_find(empty_name, sizeof(empty_name), "a", 1, &x),
			REEL_EDAMAGED);
	CU_ASSERT_EQUAL(
		xattr_find(zero_in_name, sizeof(zero_in_name), "a", 1, &x),
		REEL_EDAMAGED);
	CU_ASSERT_EQUAL(xattr_find(huge, sizeof(huge), "a", 1, &x),
			REEL_EDAMAGED);
	CU_ASSERT_EQUAL(xattr_find(long_name, sizeof(long_name), "a", 1, &x),
			REEL_EDAMAGED);
}

void suite_xattrs(void);
void suite_xattrs(void)
{
	CU_pSuite s = CU_add_suite("xattrs", NULL, NULL);

	CU_add_test(s, "round trip", round_trip);
	CU_add_test(s, "limits", limits);
	CU_add_test(s, "cuts", cuts);
	CU_add_test(s, "hostile", hostile);
}
