#include <CUnit/CUnit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "catalog/index.h"
#include "tape/buffer.h"
#include "tape/error.h"
#include "tape/member.h"
#include "tests/unit/sample.h"

static struct builder *start(struct sample *s, bool full)
{
	struct builder *b = NULL;

	CU_ASSERT_EQUAL_FATAL(builder_new(s->catalog, s->set, full, &b), 0);
	return b;
}

static int candidate(struct builder *b, char letter, uint64_t after,
		     uint64_t *id)
{
	struct content_row want = sample_content(letter), got;
	int error =
		builder_candidate(b, SAMPLE_SIZE, &want.digest, after, &got);

	if (!error) {
		*id = got.id;
		CU_ASSERT_EQUAL(got.size, SAMPLE_SIZE);
		CU_ASSERT_EQUAL(memcmp(&got.digest, &want.digest, DIGEST_SIZE),
				0);
		content_row_release(&got);
	}
	return error;
}

static uint64_t add(struct builder *b, char letter, const char *home)
{
	struct content_row row = sample_content(letter);
	uint64_t id = 0;

	CU_ASSERT_EQUAL_FATAL(builder_content(b, &row, home, strlen(home), &id),
			      0);
	return id;
}

/* Contents with one digest are all candidates, those of before first. */
static void collisions(void)
{
	struct sample s;
	struct builder *b;
	uint64_t one, two, id = 0;
	bool has = true;

	sample_make(&s);
	b = start(&s, false);
	CU_ASSERT_EQUAL(builder_session(b), 4);
	CU_ASSERT_EQUAL(builder_epoch(b), 1);
	CU_ASSERT_EQUAL(candidate(b, 'A', 0, &id), 0);
	CU_ASSERT_EQUAL(id, s.a);
	CU_ASSERT_EQUAL(candidate(b, 'A', id, &id), REEL_ENOENT);
	one = add(b, 'A', "one");
	two = add(b, 'A', "two");
	CU_ASSERT(one > s.x && two > one);
	CU_ASSERT_EQUAL(candidate(b, 'A', 0, &id), 0);
	CU_ASSERT_EQUAL(id, s.a);
	CU_ASSERT_EQUAL(candidate(b, 'A', id, &id), 0);
	CU_ASSERT_EQUAL(id, one);
	CU_ASSERT_EQUAL(candidate(b, 'A', id, &id), 0);
	CU_ASSERT_EQUAL(id, two);
	CU_ASSERT_EQUAL(candidate(b, 'A', id, &id), REEL_ENOENT);
	CU_ASSERT_EQUAL(candidate(b, 'Q', 0, &id), REEL_ENOENT);
	CU_ASSERT_EQUAL(builder_has_size(b, SAMPLE_SIZE, &has), 0);
	CU_ASSERT_TRUE(has);
	CU_ASSERT_EQUAL(builder_has_size(b, SAMPLE_SIZE + 1, &has), 0);
	CU_ASSERT_FALSE(has);
	builder_free(b);
	sample_end(&s);
}

/* More than the tables begin with. */
static void many_contents(void)
{
	struct sample s;
	struct builder *b;
	char home[20];

	sample_begin(&s);
	b = start(&s, false);
	for (uint32_t n = 0; n < 10000; n++) {
		struct content_row row = {.size = 100 + n};
		uint64_t id;

		memcpy(row.digest.b, &n, 4);
		snprintf(home, sizeof(home), "home/%u", (unsigned)n);
		CU_ASSERT_EQUAL_FATAL(
			builder_content(b, &row, home, strlen(home), &id), 0);
		CU_ASSERT_EQUAL(id, n + 1);
	}
	for (uint32_t n = 0; n < 10000; n += 7) {
		struct content_row got;
		struct digest d = {{0}};
		struct content_home h;
		bool has = false;

		memcpy(d.b, &n, 4);
		CU_ASSERT_EQUAL_FATAL(
			builder_candidate(b, 100 + n, &d, 0, &got), 0);
		CU_ASSERT_EQUAL(got.id, n + 1);
		content_row_release(&got);
		CU_ASSERT_EQUAL(builder_candidate(b, 99 + n, &d, 0, &got),
				REEL_ENOENT);
		CU_ASSERT_EQUAL(builder_has_size(b, 100 + n, &has), 0);
		CU_ASSERT_TRUE(has);
		CU_ASSERT_EQUAL_FATAL(builder_home(b, n + 1, &h), 0);
		snprintf(home, sizeof(home), "home/%u", (unsigned)n);
		CU_ASSERT_STRING_EQUAL(h.path, home);
		CU_ASSERT_EQUAL(h.path_length, strlen(home));
		free(h.path);
	}
	builder_free(b);
	sample_end(&s);
}

static void homes(void)
{
	struct sample s;
	struct builder *b;
	struct content_home h;
	uint64_t id;

	sample_make(&s);
	b = start(&s, false);
	id = add(b, 'N', "new");
	CU_ASSERT_EQUAL(builder_home_linked(b, id), 0);
	CU_ASSERT_EQUAL(builder_home_linked(b, id), 0);
	CU_ASSERT_EQUAL_FATAL(builder_home(b, id, &h), 0);
	CU_ASSERT_STRING_EQUAL(h.path, "new");
	CU_ASSERT_EQUAL(h.links, 2);
	CU_ASSERT_FALSE(h.kept);
	free(h.path);
	CU_ASSERT_EQUAL(builder_home_set(b, id, "other", 5), 0);
	CU_ASSERT_EQUAL_FATAL(builder_home(b, id, &h), 0);
	CU_ASSERT_STRING_EQUAL(h.path, "other");
	CU_ASSERT_EQUAL(h.links, 0);
	free(h.path);
	/* of before: unknown until this session says something */
	CU_ASSERT_EQUAL(builder_home(b, s.a, &h), REEL_ENOENT);
	CU_ASSERT_EQUAL(builder_home_set(b, s.a, "again", 5), 0);
	CU_ASSERT_EQUAL(builder_home_linked(b, s.a), 0);
	CU_ASSERT_EQUAL_FATAL(builder_home(b, s.a, &h), 0);
	CU_ASSERT_STRING_EQUAL(h.path, "again");
	CU_ASSERT_EQUAL(h.links, 1);
	CU_ASSERT_FALSE(h.kept);
	free(h.path);
	/* kept in session 1; one name is alive */
	CU_ASSERT_EQUAL_FATAL(builder_home(b, s.x, &h), 0);
	CU_ASSERT_PTR_NULL(h.path);
	CU_ASSERT_TRUE(h.kept);
	CU_ASSERT_EQUAL(h.links, 1);
	CU_ASSERT_EQUAL(builder_keep(b, s.b), 0);
	CU_ASSERT_EQUAL_FATAL(builder_home(b, s.b, &h), 0);
	CU_ASSERT_TRUE(h.kept);
	free(h.path);
	builder_free(b);
	sample_end(&s);
}

static int live(struct builder *b, uint64_t content, char path[100])
{
	struct buffer at = {0};
	int error = builder_live_path(b, content, &at);

	memset(path, 0, 100);
	if (!error && at.length < 100)
		memcpy(path, at.data, at.length);
	buffer_release(&at);
	return error;
}

static void live_paths(void)
{
	struct sample s;
	struct builder *b;
	char path[100];

	sample_make(&s);
	b = start(&s, false);
	CU_ASSERT_EQUAL(live(b, s.x, path), 0);
	CU_ASSERT_STRING_EQUAL(path, "d/x");
	CU_ASSERT_EQUAL(live(b, s.b, path), 0);
	CU_ASSERT_STRING_EQUAL(path, "a");
	CU_ASSERT_EQUAL(live(b, 999, path), REEL_ENOENT);
	/* replaced, removed with its directory */
	sample_file(b, TREE_ROOT, "a", 0);
	CU_ASSERT_EQUAL(live(b, s.b, path), REEL_ENOENT);
	CU_ASSERT_EQUAL(builder_remove(b, TREE_ROOT, "d", 1), 0);
	CU_ASSERT_EQUAL(live(b, s.x, path), REEL_ENOENT);
	/* eleven names: gone one by one */
	for (int n = 0; n < 11; n++) {
		CU_ASSERT_EQUAL_FATAL(live(b, s.a, path), 0);
		CU_ASSERT_EQUAL_FATAL(
			builder_remove(b, TREE_ROOT, path, strlen(path)), 0);
	}
	CU_ASSERT_EQUAL(live(b, s.a, path), REEL_ENOENT);
	builder_free(b);
	sample_end(&s);
}

static void xattrs(void)
{
	struct sample s;
	struct builder *b;
	uint64_t one = 0, two = 0, again = 0;
	char text[20];

	sample_make(&s);
	b = start(&s, false);
	CU_ASSERT_EQUAL(builder_xattrs(b, "packed", 6, &one), 0);
	CU_ASSERT_EQUAL(one, s.xattrs);
	CU_ASSERT_EQUAL(builder_xattrs(b, "other", 5, &two), 0);
	CU_ASSERT_NOT_EQUAL(one, two);
	for (int n = 0; n < 1000; n++) {
		int length = snprintf(text, sizeof(text), "set %d", n);

		CU_ASSERT_EQUAL(builder_xattrs(b, text, (size_t)length, &one),
				0);
		CU_ASSERT_EQUAL(builder_xattrs(b, text, (size_t)length, &again),
				0);
		CU_ASSERT_EQUAL(one, again);
	}
	CU_ASSERT_EQUAL(builder_xattrs(b, "other", 5, &again), 0);
	CU_ASSERT_EQUAL(two, again);
	builder_free(b);
	sample_end(&s);
}

static void check_totals(struct sample *s, uint32_t id, uint64_t files,
			 uint64_t directories, uint64_t bytes)
{
	struct session_row row;

	CU_ASSERT_EQUAL_FATAL(catalog_session(s->catalog, id, &row), 0);
	CU_ASSERT_EQUAL(row.files, files);
	CU_ASSERT_EQUAL(row.directories, directories);
	CU_ASSERT_EQUAL(row.bytes, bytes);
	session_row_release(&row);
}

/* A name that goes and comes again in one session, one that stays as it was,
 * and one that is changed after it was given. */
static void removed_and_back(void)
{
	struct sample s;
	struct builder *b;
	struct entry_row e;
	struct inode_row row;

	sample_make(&s);
	b = start(&s, false);
	CU_ASSERT_EQUAL(builder_remove(b, TREE_ROOT, "a", 1), 0);
	sample_file(b, TREE_ROOT, "a", s.b);
	CU_ASSERT_EQUAL(builder_remove(b, TREE_ROOT, "d", 1), 0);
	uint64_t d = sample_directory(b, TREE_ROOT, "d");
	sample_file(b, d, "x", s.x);
	CU_ASSERT_EQUAL(builder_remove(b, TREE_ROOT, "none", 4), REEL_ENOENT);
	CU_ASSERT_EQUAL_FATAL(tree_resolve(s.catalog, 3, "dup", 3, &e), 0);
	sample_entry(b, TREE_ROOT, "dup", 0, e.inode.id);
	row = e.inode;
	row.id = sample_file(b, TREE_ROOT, "late", s.a);
	row.mode = S_IFREG | 0400;
	CU_ASSERT_EQUAL(builder_change_inode(b, &row), 0);
	sample_finish(b, SAMPLE_TIME, NULL, 1);
	check_totals(&s, 4, 16, 2, 14 * SAMPLE_SIZE);
	CU_ASSERT_EQUAL_FATAL(tree_resolve(s.catalog, 4, "dup", 3, &e), 0);
	CU_ASSERT_EQUAL(e.since, 1);
	CU_ASSERT_EQUAL_FATAL(tree_resolve(s.catalog, 4, "late", 4, &e), 0);
	CU_ASSERT_EQUAL(e.inode.mode, S_IFREG | 0400);
	CU_ASSERT_EQUAL_FATAL(tree_resolve(s.catalog, 4, "d/x", 3, &e), 0);
	CU_ASSERT_EQUAL(e.parent, d);
	CU_ASSERT_EQUAL_FATAL(tree_resolve(s.catalog, 3, "d/x", 3, &e), 0);
	CU_ASSERT_EQUAL(e.parent, s.new_d);
	sample_end(&s);
}

/* Nothing of before is used or alive, all of it is seen in the past. */
static void full_epoch(void)
{
	struct sample s;
	struct builder *b;
	struct entry_row e;
	uint64_t id = 0, content;
	char path[100];
	bool has = true;

	sample_make(&s);
	b = start(&s, true);
	CU_ASSERT_EQUAL(builder_session(b), 4);
	CU_ASSERT_EQUAL(builder_epoch(b), 4);
	CU_ASSERT_EQUAL(candidate(b, 'A', 0, &id), REEL_ENOENT);
	CU_ASSERT_EQUAL(builder_has_size(b, SAMPLE_SIZE, &has), 0);
	CU_ASSERT_FALSE(has);
	CU_ASSERT_EQUAL(live(b, s.x, path), REEL_ENOENT);
	sample_root(b);
	content = add(b, 'A', "a");
	sample_file(b, TREE_ROOT, "a", content);
	sample_finish(b, SAMPLE_TIME, NULL, 1);
	check_totals(&s, 4, 1, 1, SAMPLE_SIZE);
	CU_ASSERT_EQUAL_FATAL(tree_resolve(s.catalog, 4, "a", 1, &e), 0);
	CU_ASSERT_EQUAL(e.inode.content, content);
	CU_ASSERT_EQUAL(tree_resolve(s.catalog, 4, "dup", 3, &e), REEL_ENOENT);
	CU_ASSERT_EQUAL_FATAL(tree_resolve(s.catalog, 3, "dup", 3, &e), 0);
	CU_ASSERT_EQUAL(e.until, 4);
	CU_ASSERT_EQUAL(tree_resolve(s.catalog, 3, "d/x", 3, &e), 0);
	/* the next one goes on from there */
	b = start(&s, false);
	CU_ASSERT_EQUAL(builder_epoch(b), 4);
	CU_ASSERT_EQUAL(candidate(b, 'A', 0, &id), 0);
	CU_ASSERT_EQUAL(id, content);
	CU_ASSERT_EQUAL(candidate(b, 'X', 0, &id), REEL_ENOENT);
	struct content_home h;
	CU_ASSERT_EQUAL(builder_home(b, s.x, &h), REEL_ENOENT);
	builder_free(b);
	sample_end(&s);
}

/* A session that is given up leaves nothing. */
static void given_up(void)
{
	struct sample s;
	struct builder *b;
	struct entry_row e;
	uint32_t newest = 0;
	char path[100];

	sample_make(&s);
	b = start(&s, false);
	sample_file(b, TREE_ROOT, "fleeting", 0);
	builder_free(b);
	builder_free(NULL);
	snprintf(path, sizeof(path), "%s/spool/index.db", s.path);
	CU_ASSERT_NOT_EQUAL(access(path, F_OK), 0);
	CU_ASSERT_EQUAL(catalog_newest(s.catalog, &newest), 0);
	CU_ASSERT_EQUAL(newest, 3);
	CU_ASSERT_EQUAL(tree_resolve(s.catalog, 3, "fleeting", 8, &e),
			REEL_ENOENT);
	b = start(&s, false);
	CU_ASSERT_EQUAL(builder_session(b), 4);
	builder_free(b);
	sample_end(&s);
}

static void sparse(void)
{
	static struct sparse_run runs[] = {{0, 10}, {4096, 20}, {1 << 20, 5}};
	struct content_row row = {.size = 1 << 21,
				  .offset = 512,
				  .sparse = true,
				  .map_bytes = 512,
				  .runs = runs,
				  .run_count = 3};
	struct content_row got;
	struct sample s;
	struct builder *b;
	uint64_t id = 0;

	sample_begin(&s);
	b = start(&s, false);
	sample_root(b);
	CU_ASSERT_EQUAL(builder_content(b, &row, "s", 1, &id), 0);
	sample_file(b, TREE_ROOT, "s", id);
	sample_finish(b, SAMPLE_TIME, NULL, 1);
	CU_ASSERT_EQUAL_FATAL(tree_content(s.catalog, id, &got), 0);
	CU_ASSERT_TRUE(got.sparse);
	CU_ASSERT_EQUAL_FATAL(got.run_count, 3);
	CU_ASSERT_EQUAL(memcmp(got.runs, runs, sizeof(runs)), 0);
	CU_ASSERT_EQUAL(content_stored(&got), 512 + 35);
	content_row_release(&got);
	sample_end(&s);
}

/* The packed index gives the same rows, or is refused when it is cut. */
static void packed_index(void)
{
	struct sample s;
	struct builder *b;
	struct session_row row = {.time = SAMPLE_TIME, .first_volume = 1};
	struct buffer packed = {0};
	char path[100];

	sample_make(&s);
	b = start(&s, false);
	sample_file(b, TREE_ROOT, "new", add(b, 'N', "new"));
	CU_ASSERT_EQUAL_FATAL(builder_finish(b, &row, NULL, 0, &packed), 0);
	builder_free(b);
	snprintf(path, sizeof(path), "%s/spool/again.db", s.path);
	CU_ASSERT_EQUAL(index_unpack(packed.data, packed.length, path), 0);
	for (size_t n = 0; n < packed.length; n += 7)
		CU_ASSERT_EQUAL(index_unpack(packed.data, n, path),
				REEL_EDAMAGED);
	for (size_t n = 0; n < packed.length; n += 3) {
		packed.data[n] ^= 0x10;
		index_unpack(packed.data, packed.length, path);
		packed.data[n] ^= 0x10;
	}
	CU_ASSERT_EQUAL(index_unpack(packed.data, packed.length, path), 0);
	buffer_release(&packed);
	sample_end(&s);
}

/* As many runs as a file can have, behind some with many. */
static void longest_maps(void)
{
	struct content_row row = {.size = INT64_MAX,
				  .sparse = true,
				  .map_bytes = 512,
				  .run_count = 60000};
	struct session_row session = {.time = SAMPLE_TIME, .first_volume = 1};
	struct buffer packed = {0};
	struct sample s;
	struct builder *b;
	uint64_t id;
	char path[100];

	row.runs = calloc(MEMBER_SPARSE_LIMIT, sizeof(*row.runs));
	CU_ASSERT_PTR_NOT_NULL_FATAL(row.runs);
	for (uint64_t n = 0; n < MEMBER_SPARSE_LIMIT; n++)
		row.runs[n] = (struct sparse_run){2 * n, 1};
	sample_begin(&s);
	b = start(&s, false);
	sample_root(b);
	for (int n = 0; n < 4; n++)
		CU_ASSERT_EQUAL(builder_content(b, &row, "s", 1, &id), 0);
	row.run_count = MEMBER_SPARSE_LIMIT;
	CU_ASSERT_EQUAL(builder_content(b, &row, "s", 1, &id), 0);
	CU_ASSERT_EQUAL_FATAL(builder_finish(b, &session, NULL, 0, &packed), 0);
	builder_free(b);
	snprintf(path, sizeof(path), "%s/spool/again.db", s.path);
	CU_ASSERT_EQUAL(index_unpack(packed.data, packed.length, path), 0);
	free(row.runs);
	buffer_release(&packed);
	sample_end(&s);
}

void suite_builder(void);
void suite_builder(void)
{
	CU_pSuite s = CU_add_suite("builder", NULL, NULL);

	CU_add_test(s, "collisions", collisions);
	CU_add_test(s, "many contents", many_contents);
	CU_add_test(s, "homes", homes);
	CU_add_test(s, "live paths", live_paths);
	CU_add_test(s, "xattrs", xattrs);
	CU_add_test(s, "removed and back", removed_and_back);
	CU_add_test(s, "full epoch", full_epoch);
	CU_add_test(s, "given up", given_up);
	CU_add_test(s, "sparse", sparse);
	CU_add_test(s, "packed index", packed_index);
	CU_add_test(s, "longest maps", longest_maps);
}
