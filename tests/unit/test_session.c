#include <CUnit/CUnit.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "tape/error.h"
#include "tests/unit/sample.h"

static struct sample s;

static int begin(void)
{
	sample_make(&s);
	return 0;
}

static int end(void)
{
	sample_end(&s);
	return 0;
}

static void rows(void)
{
	struct session_row row;
	uint32_t newest = 0;
	int count = 0;

	CU_ASSERT_EQUAL(catalog_newest(s.catalog, &newest), 0);
	CU_ASSERT_EQUAL(newest, 3);
	CU_ASSERT_EQUAL_FATAL(catalog_session(s.catalog, 1, &row), 0);
	CU_ASSERT_EQUAL(row.id, 1);
	CU_ASSERT_EQUAL(row.epoch, 1);
	CU_ASSERT_EQUAL(row.time, SAMPLE_TIME);
	CU_ASSERT_EQUAL(row.finished, SAMPLE_TIME + 1000);
	CU_ASSERT_STRING_EQUAL(row.label, "first");
	CU_ASSERT_STRING_EQUAL(row.host, "host");
	CU_ASSERT_EQUAL(row.first_volume, 10);
	CU_ASSERT_EQUAL(row.stream, 12 * SAMPLE_FRAME);
	session_row_release(&row);
	CU_ASSERT_EQUAL_FATAL(catalog_session(s.catalog, 2, &row), 0);
	CU_ASSERT_PTR_NULL(row.label);
	CU_ASSERT_EQUAL(row.epoch, 1);
	session_row_release(&row);
	CU_ASSERT_EQUAL(catalog_session(s.catalog, 4, &row), REEL_ENOENT);
	CU_ASSERT_EQUAL(catalog_session(s.catalog, 0, &row), REEL_ENOENT);
	while (catalog_session_after(s.catalog, (uint32_t)count, &row) == 1) {
		count++;
		CU_ASSERT_EQUAL(row.id, (uint32_t)count);
		session_row_release(&row);
	}
	CU_ASSERT_EQUAL(count, 3);
}

static void check_totals(uint32_t id, uint64_t files, uint64_t directories,
			 uint64_t bytes)
{
	struct session_row row;

	CU_ASSERT_EQUAL_FATAL(catalog_session(s.catalog, id, &row), 0);
	CU_ASSERT_EQUAL(row.files, files);
	CU_ASSERT_EQUAL(row.directories, directories);
	CU_ASSERT_EQUAL(row.bytes, bytes);
	session_row_release(&row);
}

/* Of the snapshots, not of what changed. */
static void totals(void)
{
	/* a b dup n* thing to d/x deep; the root, d, sub */
	check_totals(1, 27, 3, 24 * SAMPLE_SIZE);
	/* a d dup n* to thing/in; the root, thing */
	check_totals(2, 25, 2, 23 * SAMPLE_SIZE);
	/* a dup even ones, thing to d/x; the root, d */
	check_totals(3, 15, 2, 13 * SAMPLE_SIZE);
}

static void names(void)
{
	char name[40];

	CU_ASSERT_EQUAL(catalog_session_name(s.catalog, 1, name), 0);
	CU_ASSERT_STRING_EQUAL(name, "20261122T101500Z");
	CU_ASSERT_EQUAL(catalog_session_name(s.catalog, 2, name), 0);
	CU_ASSERT_STRING_EQUAL(name, "20261122T101500Z.2");
	CU_ASSERT_EQUAL(catalog_session_name(s.catalog, 3, name), 0);
	CU_ASSERT_STRING_EQUAL(name, "20261122T111500Z");
	CU_ASSERT_EQUAL(catalog_session_name(s.catalog, 4, name), REEL_ENOENT);
}

static void check_find(const char *text, uint32_t want)
{
	uint32_t id = 0;
	int error = catalog_find_session(s.catalog, text, &id);

	CU_ASSERT_EQUAL(error, want ? 0 : REEL_ENOENT);
	CU_ASSERT_EQUAL(error ? 0 : id, want);
	if ((error ? 0 : id) != want)
		fprintf(stderr, "%s: %u\n", text, (unsigned)id);
}

static void finding(void)
{
	check_find("latest", 3);
	check_find("1", 1);
	check_find("3", 3);
	check_find("0", 0);
	check_find("4", 0);
	check_find("first", 1);
	check_find("third", 3);
	check_find("fir", 0);
	check_find("20261122T101500Z", 1);
	check_find("20261122T101500Z.2", 2);
	check_find("20261122T101500Z.3", 0);
	check_find("20261122T111500Z", 3);
	check_find("20261122T1015", 2);
	check_find("20261122T11", 3);
	check_find("2026-11-22 10:15", 2);
	check_find("2026-11-22", 3);
	check_find("2026", 3);
	check_find("2025", 0);
	check_find("20261123", 0);
	check_find("", 0);
	check_find("nonsense", 0);
	check_find("99999999999999999999", 0);
	check_find("-1", 0);
	check_find("' OR 1", 0);
}

struct seen {
	unsigned frames;
	uint64_t next;
};

static int see(void *context, const struct frame *f)
{
	struct seen *seen = context;

	CU_ASSERT_EQUAL(f->stream, seen->next);
	CU_ASSERT_EQUAL(f->checksum, seen->frames);
	CU_ASSERT_EQUAL(f->volume, 10 + seen->frames / 5);
	seen->frames++;
	seen->next += f->length;
	return seen->frames == 100 ? 7 : 0;
}

static void frames(void)
{
	struct seen seen = {0, 0};
	struct frame f;

	CU_ASSERT_EQUAL(catalog_each_frame(s.catalog, 1, see, &seen), 0);
	CU_ASSERT_EQUAL(seen.frames, 12);
	for (uint64_t n = 0; n < 12; n++) {
		uint64_t at = (n * 7 % 12) * SAMPLE_FRAME;

		CU_ASSERT_EQUAL(catalog_find_frame(s.catalog, 1, at, &f), 0);
		CU_ASSERT_EQUAL(f.stream, at);
		CU_ASSERT_EQUAL(catalog_find_frame(s.catalog, 1,
						   at + SAMPLE_FRAME - 1, &f),
				0);
		CU_ASSERT_EQUAL(f.stream, at);
		CU_ASSERT_EQUAL(f.position, n * 7 % 12 % 5 * 100);
	}
	CU_ASSERT_EQUAL(catalog_find_frame(s.catalog, 1, 12 * SAMPLE_FRAME, &f),
			REEL_ENOENT);
	CU_ASSERT_EQUAL(catalog_find_frame(s.catalog, 3, 0, &f), 0);
	CU_ASSERT_EQUAL(f.volume, 30);
	CU_ASSERT_EQUAL(catalog_find_frame(s.catalog, 4, 0, &f), REEL_ENOENT);
	CU_ASSERT_EQUAL(catalog_find_frame(s.catalog, 0, 0, &f), REEL_ENOENT);
	seen = (struct seen){99, 0};
	CU_ASSERT_EQUAL(catalog_each_frame(s.catalog, 9, see, &seen), 0);
	CU_ASSERT_EQUAL(seen.frames, 99);
}

/* Thousands of frames: several runs of one volume. */
static void many_frames(void)
{
	struct sample other;
	struct builder *b;
	struct seen seen = {0, 0};
	struct frame f;

	sample_begin(&other);
	CU_ASSERT_EQUAL_FATAL(builder_new(other.catalog, other.set, false, &b),
			      0);
	sample_root(b);
	sample_finish(b, SAMPLE_TIME, NULL, 3000);
	CU_ASSERT_EQUAL(catalog_find_frame(other.catalog, 1,
					   2999 * (uint64_t)SAMPLE_FRAME, &f),
			0);
	CU_ASSERT_EQUAL(f.checksum, 2999);
	CU_ASSERT_EQUAL(catalog_each_frame(other.catalog, 1, see, &seen), 7);
	sample_end(&other);
}

static void empty(void)
{
	struct sample other;
	struct session_row row;
	uint32_t id = 9;

	sample_begin(&other);
	CU_ASSERT_EQUAL(catalog_newest(other.catalog, &id), 0);
	CU_ASSERT_EQUAL(id, 0);
	CU_ASSERT_EQUAL(catalog_session_after(other.catalog, 0, &row), 0);
	CU_ASSERT_EQUAL(catalog_find_session(other.catalog, "latest", &id),
			REEL_ENOENT);
	CU_ASSERT_EQUAL(catalog_find_session(other.catalog, "2026", &id),
			REEL_ENOENT);
	sample_end(&other);
}

void suite_session(void);
void suite_session(void)
{
	CU_pSuite suite = CU_add_suite("session", begin, end);

	CU_add_test(suite, "rows", rows);
	CU_add_test(suite, "totals", totals);
	CU_add_test(suite, "names", names);
	CU_add_test(suite, "finding", finding);
	CU_add_test(suite, "frames", frames);
	CU_add_test(suite, "many frames", many_frames);
	CU_add_test(suite, "empty", empty);
}
