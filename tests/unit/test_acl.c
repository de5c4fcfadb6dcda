#include <CUnit/CUnit.h>
#include <string.h>
#include "fs/acl.h"
#include "tape/error.h"

/* linux/posix_acl_xattr.h: version, then tag, permissions, id each. */
#define HEAD	    2, 0, 0, 0
#define ENTRY(t, p) t, 0, p, 0, 255, 255, 255, 255
#define NAMED(t, p) t, 0, p, 0, 232, 3, 0, 0
static const unsigned char plain[] = {HEAD, ENTRY(1, 6), ENTRY(4, 4),
				      ENTRY(32, 0)};
static const unsigned char named[] = {HEAD,	   ENTRY(1, 7),	 NAMED(2, 6),
				      ENTRY(4, 5), ENTRY(16, 6), ENTRY(32, 1)};

static void modes(void)
{
	mode_t mode = 0100000 | 04777;
	bool is_plain = false;

	CU_ASSERT_EQUAL(acl_to_mode(plain, sizeof(plain), &mode, &is_plain), 0);
	CU_ASSERT_EQUAL(mode, 0104640);
	CU_ASSERT(is_plain);
	CU_ASSERT_EQUAL(acl_to_mode(named, sizeof(named), &mode, &is_plain), 0);
	CU_ASSERT_EQUAL(mode, 0104761); /* the mask is the group's */
	CU_ASSERT_FALSE(is_plain);
}

static void chmods(void)
{
	unsigned char acl[sizeof(named)];
	mode_t mode = 0;
	bool is_plain;

	memcpy(acl, named, sizeof(acl));
	CU_ASSERT_EQUAL(acl_chmod(acl, sizeof(acl), 0640), 0);
	CU_ASSERT_EQUAL(acl_to_mode(acl, sizeof(acl), &mode, &is_plain), 0);
	CU_ASSERT_EQUAL(mode, 0640);
	CU_ASSERT_EQUAL(acl[4 + 2 * 8 + 2], 5); /* not the group itself */
	CU_ASSERT_EQUAL(acl[4 + 8 + 2], 6);	/* nor who is named */
}

static void inherits(void)
{
	struct buffer access = {0};
	mode_t mode = 0100666;

	CU_ASSERT_EQUAL(acl_inherit(named, sizeof(named), &mode, &access), 0);
	CU_ASSERT_EQUAL(mode, 0100660);
	CU_ASSERT_EQUAL(access.length, sizeof(named));
	mode = 0100777;
	CU_ASSERT_EQUAL(acl_inherit(plain, sizeof(plain), &mode, &access), 0);
	CU_ASSERT_EQUAL(mode, 0100640);
	CU_ASSERT_EQUAL(access.length, 0);
	buffer_release(&access);
}

/* What no kernel would write. */
static void hostile(void)
{
	static const unsigned char no_mask[] = {HEAD, ENTRY(1, 7), NAMED(2, 6),
						ENTRY(4, 5), ENTRY(32, 1)};
	static const unsigned char twice[] = {HEAD, ENTRY(1, 7), ENTRY(1, 7),
					      ENTRY(32, 1)};
	unsigned char acl[sizeof(named)];
	mode_t mode = 0;
	bool is_plain;

	for (size_t n = 0; n < sizeof(named); n++)
		CU_ASSERT_NOT_EQUAL(acl_to_mode(named, n, &mode, &is_plain), 0);
	CU_ASSERT_EQUAL(acl_to_mode(no_mask, sizeof(no_mask), &mode, &is_plain),
			REEL_EINVAL);
	CU_ASSERT_EQUAL(acl_to_mode(twice, sizeof(twice), &mode, &is_plain),
			REEL_EINVAL);
	for (size_t n = 0; n < 4; n++) {
		memcpy(acl, named, sizeof(acl));
		acl[n] ^= 1;
		CU_ASSERT_EQUAL(acl_to_mode(acl, sizeof(acl), &mode, &is_plain),
				REEL_EINVAL);
	}
	memcpy(acl, named, sizeof(acl));
	acl[4] = 64;
	CU_ASSERT_EQUAL(acl_to_mode(acl, sizeof(acl), &mode, &is_plain),
			REEL_EINVAL);
	acl[4] = 1;
	acl[6] = 8;
	CU_ASSERT_EQUAL(acl_to_mode(acl, sizeof(acl), &mode, &is_plain),
			REEL_EINVAL);
}

void suite_acl(void);
void suite_acl(void)
{
	CU_pSuite suite = CU_add_suite("acl", NULL, NULL);

	CU_add_test(suite, "modes", modes);
	CU_add_test(suite, "chmods", chmods);
	CU_add_test(suite, "inherits", inherits);
	CU_add_test(suite, "hostile", hostile);
}
