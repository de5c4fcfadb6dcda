#include <CUnit/CUnit.h>
#include <stdio.h>
#include <string.h>
#include "fs/groups.h"

static bool has_path(const struct link_group *one, const char *path)
{
	struct buffer got = {0};
	bool has = !groups_path(one, &got) && got.length == strlen(path) &&
		   !memcmp(got.data, path, got.length);

	buffer_release(&got);
	return has;
}

static void test_found_until_all_names_were_seen(void)
{
	struct link_groups g = {0};
	struct link_group like = {.device = 3, .source = 7, .inode = 70};

	CU_ASSERT_PTR_NULL(groups_find(&g, 3, 7));
	CU_ASSERT_EQUAL(groups_add(&g, &like, 3, "a/b", 3), 0);
	struct link_group *one = groups_find(&g, 3, 7);
	CU_ASSERT_PTR_NOT_NULL_FATAL(one);
	CU_ASSERT(has_path(one, "a/b"));
	CU_ASSERT_PTR_NULL(groups_find(&g, 4, 7));
	groups_seen(&g, one);
	CU_ASSERT_PTR_EQUAL(groups_find(&g, 3, 7), one);
	groups_seen(&g, one);
	CU_ASSERT_PTR_NULL(groups_find(&g, 3, 7));
	CU_ASSERT_EQUAL(g.count, 0);
	groups_release(&g);
}

static void test_many_groups_stay_apart(void)
{
	struct link_groups g = {0};
	char path[32];

	for (uint64_t n = 0; n < 5000; n++) {
		struct link_group like = {
			.device = n % 3, .source = n, .inode = n + 1};
		int length = snprintf(path, sizeof(path), "%u/x/%u",
				      (unsigned)n / 7, (unsigned)n);

		CU_ASSERT_EQUAL(groups_add(&g, &like, 2, path, (size_t)length),
				0);
	}
	for (uint64_t n = 0; n < 5000; n++) {
		struct link_group *one = groups_find(&g, n % 3, n);

		CU_ASSERT_PTR_NOT_NULL_FATAL(one);
		CU_ASSERT_EQUAL(one->inode, n + 1);
		snprintf(path, sizeof(path), "%u/x/%u", (unsigned)n / 7,
			 (unsigned)n);
		CU_ASSERT(has_path(one, path));
		/* a directory stays for those that are left in it */
		if (n % 7 != 6)
			groups_seen(&g, one);
	}
	CU_ASSERT_EQUAL(g.count, 5000 / 7);
	CU_ASSERT(has_path(groups_find(&g, 4990 % 3, 4990), "712/x/4990"));
	CU_ASSERT_EQUAL(groups_add(&g, &(struct link_group){.source = 9999}, 2,
				   "top", 3),
			0);
	CU_ASSERT(has_path(groups_find(&g, 0, 9999), "top"));
	groups_release(&g);
	CU_ASSERT_PTR_NULL(groups_find(&g, 0, 0));
}

void suite_groups(void);
void suite_groups(void)
{
	CU_pSuite s = CU_add_suite("groups", NULL, NULL);

	CU_add_test(s, "found until all names were seen",
		    test_found_until_all_names_were_seen);
	CU_add_test(s, "many groups stay apart", test_many_groups_stay_apart);
}
