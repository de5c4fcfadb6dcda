#include <CUnit/CUnit.h>
#include <errno.h>
#include <string.h>
#include "tape/bytes.h"
#include "tape/digest.h"
#include "tape/error.h"

static void checksum(void)
{
	/* XXH64 with seed 0 of nothing is ef46db3751d8e999. */
	CU_ASSERT_EQUAL(digest_checksum32("", 0), 0x51d8e999u);
	CU_ASSERT_NOT_EQUAL(digest_checksum32("a", 1),
			    digest_checksum32("b", 1));
}

static void pieces(void)
{
	uint8_t data[5000];
	struct digest whole, parts;
	struct digester *d;

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7 + i / 256);
	CU_ASSERT_EQUAL_FATAL(digester_new(42, &d), 0);
	for (size_t n = 0; n <= sizeof(data); n += 613) {
		digester_reset(d);
		for (size_t at = 0; at < n; at += 100)
			digester_add(d, data + at, n - at < 100 ? n - at : 100);
		digester_result(d, &parts);
		digest_bytes(42, data, n, &whole);
		CU_ASSERT_EQUAL(memcmp(&whole, &parts, sizeof(whole)), 0);
		digester_result(d, &parts);
		CU_ASSERT_EQUAL(memcmp(&whole, &parts, sizeof(whole)), 0);
	}
	digester_free(d);
	digester_free(NULL);
}

static void known(void)
{
	struct digest a, b;

	digest_bytes(0, "", 0, &a);
	digest_bytes(1, "", 0, &b);
#ifdef REEL_WEAK_DIGEST
	CU_ASSERT_EQUAL(memcmp(&a, &b, sizeof(a)), 0);
#else
	/* XXH3-128 of nothing: 99aa06d3014798d86001c324468d497f. */
	static const uint8_t want[16] = {0x99, 0xaa, 0x06, 0xd3, 0x01, 0x47,
					 0x98, 0xd8, 0x60, 0x01, 0xc3, 0x24,
					 0x46, 0x8d, 0x49, 0x7f};

	CU_ASSERT_EQUAL(memcmp(a.b, want, sizeof(want)), 0);
	CU_ASSERT_NOT_EQUAL(memcmp(&a, &b, sizeof(a)), 0);
#endif
}

static void integers(void)
{
	CU_ASSERT_EQUAL(le16_get(le16_make(0xfedc)), 0xfedc);
	CU_ASSERT_EQUAL(le32_get(le32_make(0xfedcba98u)), 0xfedcba98u);
	CU_ASSERT_EQUAL(le64_get(le64_make(0xfedcba9876543210u)),
			0xfedcba9876543210u);
	CU_ASSERT_EQUAL(le32_make(0x11223344).b[0], 0x44);
}

static void errors(void)
{
#define X(name, value, err, status, text)                                      \
	CU_ASSERT_STRING_EQUAL(error_text(name), text);                        \
	CU_ASSERT(error_errno(name) > 0);                                      \
	CU_ASSERT_EQUAL(error_exit(name), status);                             \
	CU_ASSERT(error_errno(error_from_errno(error_errno(name))) ==          \
			  error_errno(name) ||                                 \
		  name == REEL_EREFUSED);
	REEL_ERRORS(X)
#undef X
	CU_ASSERT_EQUAL(error_exit(0), 0);
	CU_ASSERT_EQUAL(error_errno(0), 0);
	CU_ASSERT_EQUAL(error_from_errno(0), 0);
	CU_ASSERT_EQUAL(error_from_errno(EPERM), REEL_EPERM);
	CU_ASSERT_EQUAL(error_from_errno(123456), REEL_EIO);
	CU_ASSERT_PTR_NOT_NULL(error_text(-1000));
	CU_ASSERT_EQUAL(error_exit(-1000), 2);
}

void suite_digest(void);
void suite_digest(void)
{
	CU_pSuite s = CU_add_suite("digest", NULL, NULL);

	CU_add_test(s, "checksum", checksum);
	CU_add_test(s, "pieces", pieces);
	CU_add_test(s, "known", known);
	CU_add_test(s, "integers", integers);
	CU_add_test(s, "errors", errors);
}
