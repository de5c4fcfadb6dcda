#include <CUnit/CUnit.h>
#include <string.h>
#include "fs/forecast.h"

#define FAN 5

struct walk {
	struct forecast f;
	unsigned asked, right;
};

/* Children of directory n: n * FAN + 1 ... n * FAN + FAN. */
static void give(struct forecast *f, uint64_t id, unsigned from, unsigned count)
{
	uint64_t below[FAN];

	for (unsigned n = 0; n < count; n++)
		below[n] = id * FAN + 1 + from + n;
	forecast_given(f, below, count);
}

static void visit(struct walk *w, uint64_t id, int depth, bool backward)
{
	w->asked++;
	w->right += forecast_next(&w->f) == id;
	forecast_asked(&w->f, id, true);
	if (depth)
		give(&w->f, id, 0, 2);
	forecast_asked(&w->f, id, false);
	if (depth)
		give(&w->f, id, 2, FAN - 2);
	forecast_asked(&w->f, id, false);
	for (uint64_t n = 0; depth && n < FAN; n++)
		visit(w, id * FAN + 1 + (backward ? FAN - 1 - n : n), depth - 1,
		      backward);
}

static void test_every_directory_of_a_walk_is_foreseen(void)
{
	struct walk w = {0};

	visit(&w, 1, 4, false);
	CU_ASSERT_EQUAL(w.asked, 781);
	CU_ASSERT_EQUAL(w.right, 780); /* not the first */
}

/* Guesses stop when they are wrong, and come back when they are right. */
static void test_credit(void)
{
	struct walk w = {0};

	visit(&w, 1, 4, true);
	CU_ASSERT(w.right < 20);
	CU_ASSERT_EQUAL(forecast_next(&w.f), 0);
	w = (struct walk){.f = w.f};
	visit(&w, 1, 4, false);
	CU_ASSERT(w.right > 700);
}

static void test_what_was_left_out_is_passed(void)
{
	struct forecast f = {0};
	const uint64_t ids[] = {10, 11, 12, 13};

	forecast_asked(&f, 1, true);
	forecast_given(&f, ids, 4);
	CU_ASSERT_EQUAL(forecast_next(&f), 10);
	forecast_asked(&f, 12, true);
	CU_ASSERT_EQUAL(forecast_next(&f), 13);
	forecast_asked(&f, 99, true); /* another walk */
	CU_ASSERT_EQUAL(forecast_next(&f), 0);
}

static void test_bounds(void)
{
	struct forecast f = {0};
	uint64_t ids[FORECAST_COMING];

	for (unsigned n = 0; n < FORECAST_COMING; n++)
		ids[n] = 1000 + n;
	forecast_asked(&f, 1, true);
	forecast_given(&f, ids, FORECAST_COMING);
	forecast_asked(&f, 1, false);
	forecast_given(&f, ids, 7); /* no room: they come last of all */
	CU_ASSERT_EQUAL(f.count, FORECAST_COMING);
	CU_ASSERT_EQUAL(forecast_next(&f), 1000);
	forecast_asked(&f, 1000, true);
	ids[0] = 5;
	ids[1] = 6;
	forecast_given(&f, ids, FORECAST_COMING); /* the others give way */
	CU_ASSERT_EQUAL(f.count, FORECAST_COMING);
	forecast_asked(&f, 5, true);
	CU_ASSERT_EQUAL(forecast_next(&f), 6);
}

void suite_forecast(void);
void suite_forecast(void)
{
	CU_pSuite s = CU_add_suite("forecast", NULL, NULL);

	CU_add_test(s, "every directory of a walk is foreseen",
		    test_every_directory_of_a_walk_is_foreseen);
	CU_add_test(s, "credit", test_credit);
	CU_add_test(s, "what was left out is passed",
		    test_what_was_left_out_is_passed);
	CU_add_test(s, "bounds", test_bounds);
}
