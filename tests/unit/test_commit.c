#include <CUnit/CUnit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "catalog/catalog.h"
#include "tape/error.h"
#include "tests/unit/living.h"

#define ROOT  LIVE_ROOT
#define MANY  300
#define LARGE 200000
#define DEEP  50000

static struct living v;

static int begin(void)
{
	living_begin(&v, "exclude *.tmp\nexclude cache/\n");
	return 0;
}

static int end(void)
{
	living_end(&v);
	return 0;
}

/* What a snapshot has under a path. */
static int look(uint32_t session, const char *path, struct inode_row *inode)
{
	struct catalog *c;
	struct entry_row e;
	int error;

	CU_ASSERT_EQUAL_FATAL(catalog_open_reader(v.set, &c), 0);
	error = tree_resolve(c, session, path, strlen(path), &e);
	*inode = e.inode;
	inode->target = NULL;
	catalog_close(c);
	return error;
}

static bool has(uint32_t session, const char *path)
{
	struct inode_row i;

	return !look(session, path, &i);
}

/* ---- what becomes of a commit ---- */

static void numbers_stay(void)
{
	uint64_t d = living_directory(&v, ROOT, "kept");
	uint64_t id = living_file(&v, d, "file", "one", 3);
	ino_t ino = living_stat(&v, id).st_ino;
	ino_t dino = living_stat(&v, d).st_ino;
	uint32_t first = living_commit(&v, NULL);
	struct inode_row i;

	CU_ASSERT_NOT_EQUAL_FATAL(first, 0);
	CU_ASSERT_EQUAL(v.last.added, 3); /* and the root */
	CU_ASSERT_EQUAL(living_dirty(&v), 0);
	CU_ASSERT_EQUAL(living_find(&v, ROOT, "kept"), d);
	CU_ASSERT_EQUAL(living_find(&v, d, "file"), id);
	CU_ASSERT(living_has(&v, id, "one", 3));
	CU_ASSERT_EQUAL(living_commit(&v, NULL), 0);
	CU_ASSERT_EQUAL(living_write(&v, id, 0, "two", 3), 0);
	CU_ASSERT_EQUAL(living_commit(&v, NULL), first + 1);
	CU_ASSERT_EQUAL(v.last.changed, 1);
	CU_ASSERT_EQUAL(v.last.added, 0);
	CU_ASSERT_EQUAL(living_find(&v, d, "file"), id);
	living_again(&v);
	CU_ASSERT_EQUAL(living_spooled(&v), 0);
	d = living_find(&v, ROOT, "kept");
	id = living_find(&v, d, "file");
	CU_ASSERT(living_has(&v, id, "two", 3));
	CU_ASSERT_EQUAL(living_stat(&v, id).st_ino, ino);
	CU_ASSERT_EQUAL(living_stat(&v, d).st_ino, dino);
	CU_ASSERT_EQUAL(look(first, "kept/file", &i), 0);
	CU_ASSERT_EQUAL(i.size, 3);
}

/* A directory that was renamed is one dirty row, and all of it elsewhere. */
static void renamed_directory(void)
{
	uint64_t d = living_directory(&v, ROOT, "many");
	char name[24];
	uint32_t session;

	for (int n = 0; n < 50; n++) {
		snprintf(name, sizeof(name), "f%d", n);
		living_file(&v, d, name, name, strlen(name));
	}
	CU_ASSERT_NOT_EQUAL(living_commit(&v, NULL), 0);
	CU_ASSERT_EQUAL(live_rename(v.live, ROOT, "many", ROOT, "all", 0), 0);
	CU_ASSERT(living_dirty(&v) <= 4);
	session = living_commit(&v, NULL);
	CU_ASSERT(!has(session, "many"));
	CU_ASSERT(!has(session, "many/f49"));
	CU_ASSERT(has(session, "all/f49"));
	CU_ASSERT(has(session - 1, "many/f49"));
	CU_ASSERT_EQUAL(v.last.unique_bytes, 0);
	CU_ASSERT_EQUAL(living_find(&v, ROOT, "all"), d);
}

static void recognised(void)
{
	uint8_t bytes[LARGE];
	uint32_t session;
	struct inode_row a, b;

	living_bytes(7, bytes, sizeof(bytes));
	living_file(&v, ROOT, "new", bytes, sizeof(bytes));
	CU_ASSERT_NOT_EQUAL(living_commit(&v, NULL), 0);
	CU_ASSERT_EQUAL(v.last.unique_bytes, LARGE);
	CU_ASSERT_EQUAL(live_unlink(v.live, ROOT, "new"), 0);
	CU_ASSERT_NOT_EQUAL(living_commit(&v, NULL), 0);
	/* it comes back, twice */
	living_file(&v, ROOT, "old", bytes, sizeof(bytes));
	living_file(&v, ROOT, "older", bytes, sizeof(bytes));
	session = living_commit(&v, NULL);
	CU_ASSERT_EQUAL(v.last.unique_bytes, 0);
	CU_ASSERT_EQUAL(look(session, "old", &a), 0);
	CU_ASSERT_EQUAL(look(session, "older", &b), 0);
	CU_ASSERT_EQUAL(a.content, b.content);
	CU_ASSERT_NOT_EQUAL(a.id, b.id);
	CU_ASSERT(living_has(&v, living_find(&v, ROOT, "older"), bytes, LARGE));
}

/* ---- rules ---- */

static bool is_excluded(uint64_t id)
{
	uint64_t content;
	bool excluded = false;

	CU_ASSERT_EQUAL(live_whereabouts(v.live, id, &content, &excluded), 0);
	return excluded;
}

static void excluded(void)
{
	uint64_t one = living_file(&v, ROOT, "one.tmp", "1", 1);
	uint64_t two = living_file(&v, ROOT, "two.tmp", "2", 1);
	uint64_t cache = living_directory(&v, ROOT, "cache");
	uint64_t below = living_directory(&v, cache, "below");
	uint64_t file = living_file(&v, below, "file", "3", 1);
	uint32_t session;

	CU_ASSERT_EQUAL(live_rename(v.live, ROOT, "two.tmp", ROOT, "doc", 0),
			0);
	CU_ASSERT(!is_excluded(one));
	session = living_commit(&v, NULL);
	CU_ASSERT_EQUAL(v.last.excluded, 2);
	CU_ASSERT(!has(session, "one.tmp"));
	CU_ASSERT(!has(session, "cache"));
	CU_ASSERT(has(session, "doc"));
	CU_ASSERT(is_excluded(one));
	CU_ASSERT(is_excluded(cache));
	CU_ASSERT(is_excluded(file));
	CU_ASSERT(!is_excluded(two));
	/* it works like any other, and is nothing to commit */
	CU_ASSERT(living_has(&v, one, "1", 1));
	CU_ASSERT_EQUAL(living_commit(&v, NULL), 0);
	/* its name is judged, whatever it was */
	CU_ASSERT_EQUAL(live_rename(v.live, ROOT, "one.tmp", ROOT, "one", 0),
			0);
	CU_ASSERT_EQUAL(live_rename(v.live, cache, "below", ROOT, "up", 0), 0);
	session = living_commit(&v, NULL);
	CU_ASSERT(has(session, "one"));
	CU_ASSERT(has(session, "up/file"));
	CU_ASSERT(!has(session, "cache"));
	/* what only rules leave out lives as long as the mount */
	living_file(&v, ROOT, "late.tmp", "4", 1);
	session = living_commit(&v, NULL); /* the root's time changed */
	CU_ASSERT_EQUAL(v.last.changed, 1);
	CU_ASSERT(!has(session, "late.tmp"));
	living_again(&v);
	CU_ASSERT_EQUAL(living_find(&v, ROOT, "late.tmp"), 0);
	CU_ASSERT_EQUAL(living_find(&v, ROOT, "cache"), 0);
	CU_ASSERT_EQUAL(living_spooled(&v), 0);
	CU_ASSERT(living_has(&v, living_find(&v, ROOT, "one"), "1", 1));
}

/* No stack is deep enough for so many directories in one another, made from
 * the innermost on: the numbers of those above are greater. */
static void excluded_deep(void)
{
	uint64_t cache = living_directory(&v, ROOT, "cache"), above;
	uint64_t d = living_directory(&v, cache, "d");
	uint32_t session;
	int failed = 0;

	living_file(&v, d, "file", "5", 1);
	for (int n = 0; n < DEEP; n++) {
		above = living_directory(&v, cache, "above");
		failed |= live_rename(v.live, cache, "d", above, "d", 0);
		failed |= live_rename(v.live, cache, "above", cache, "d", 0);
	}
	CU_ASSERT_EQUAL(failed, 0);
	session = living_commit(&v, NULL);
	CU_ASSERT(!has(session, "cache"));
	CU_ASSERT(is_excluded(cache));
	CU_ASSERT(is_excluded(d));
	living_again(&v);
	CU_ASSERT_EQUAL(living_find(&v, ROOT, "cache"), 0);
	CU_ASSERT_EQUAL(living_spooled(&v), 0);
}

/* ---- one instant ---- */

static void frozen(void)
{
	uint64_t id = living_file(&v, ROOT, "frozen", "before", 6), file;
	struct live_frozen f = {0}, other = {0};
	struct spool_entry e;
	struct spool_node n;
	char got[8] = "";
	int fd;

	CU_ASSERT_EQUAL_FATAL(live_freeze(v.live, &f), 0);
	CU_ASSERT_EQUAL(live_freeze(v.live, &other), REEL_ELOCKED);
	CU_ASSERT_EQUAL(living_write(&v, id, 0, "after!!", 7), 0);
	CU_ASSERT_EQUAL(live_unlink(v.live, ROOT, "frozen"), 0);
	living_file(&v, ROOT, "late", "", 0);
	CU_ASSERT_EQUAL(spool_lookup(f.view, ROOT, "late", 4, &e), REEL_ENOENT);
	CU_ASSERT_EQUAL(spool_lookup(f.view, ROOT, "frozen", 6, &e), 0);
	CU_ASSERT_EQUAL(e.node, id);
	CU_ASSERT_EQUAL_FATAL(spool_get(f.view, id, &n), 0);
	CU_ASSERT_EQUAL(n.size, 6);
	file = n.file;
	spool_node_release(&n);
	fd = spool_open_file(f.view, file);
	CU_ASSERT_FATAL(fd >= 0);
	CU_ASSERT_EQUAL(pread(fd, got, 8, 0), 6);
	CU_ASSERT_STRING_EQUAL(got, "before");
	close(fd);
	/* a commit that failed: what it read goes, what came stays */
	CU_ASSERT_EQUAL(live_thaw(v.live, &f, 0, NULL, 0), 0);
	CU_ASSERT_NOT_EQUAL(living_find(&v, ROOT, "late"), 0);
	CU_ASSERT_EQUAL(living_find(&v, ROOT, "frozen"), 0);
	living_again(&v);
	CU_ASSERT_EQUAL(living_spooled(&v), 0);
	CU_ASSERT_NOT_EQUAL(living_commit(&v, NULL), 0);
}

struct meddling {
	uint64_t d, last;
	bool done;
};

/* While the first names are stored, all the rest changes. */
static void meddle(void *context, const struct commit_progress *p)
{
	struct meddling *m = context;

	if (m->done)
		return;
	m->done = true;
	CU_ASSERT(p->names < p->names_total);
	CU_ASSERT_EQUAL(living_write(&v, m->last, 0, "changed", 7), 0);
	CU_ASSERT_EQUAL(live_unlink(v.live, m->d, "f298"), 0);
	CU_ASSERT_EQUAL(live_rename(v.live, m->d, "f297", ROOT, "gone", 0), 0);
	living_file(&v, m->d, "new", "new", 3);
}

static void one_instant(void)
{
	struct meddling m = {.d = living_directory(&v, ROOT, "instant")};
	const struct commit_options o = {.progress = meddle, .context = &m};
	struct inode_row i;
	uint32_t session;
	char name[24];

	for (int n = 0; n < MANY; n++) {
		snprintf(name, sizeof(name), "f%03d", n);
		m.last = living_file(&v, m.d, name, name, strlen(name));
	}
	session = living_commit(&v, &o);
	CU_ASSERT(m.done);
	CU_ASSERT_EQUAL(v.last.added, MANY + 1);
	CU_ASSERT_EQUAL(look(session, "instant/f299", &i), 0);
	CU_ASSERT_EQUAL(i.size, 4);
	CU_ASSERT(has(session, "instant/f298"));
	CU_ASSERT(has(session, "instant/f297"));
	CU_ASSERT(!has(session, "gone"));
	CU_ASSERT(!has(session, "instant/new"));
	CU_ASSERT(living_has(&v, m.last, "changed", 7));
	CU_ASSERT_EQUAL(living_find(&v, m.d, "f298"), 0);
	/* what changed meanwhile is the next commit's */
	session = living_commit(&v, NULL);
	CU_ASSERT_EQUAL(look(session, "instant/f299", &i), 0);
	CU_ASSERT_EQUAL(i.size, 7);
	CU_ASSERT(!has(session, "instant/f298"));
	CU_ASSERT(!has(session, "instant/f297"));
	CU_ASSERT(has(session, "gone"));
	CU_ASSERT(has(session, "instant/new"));
	living_again(&v);
	CU_ASSERT_EQUAL(living_spooled(&v), 0);
}

/* M2: the session counts, but the spool did not hear of it. */
static void unheard(void)
{
	char command[200];
	uint32_t session;

	living_file(&v, ROOT, "unheard", "of", 2);
	CU_ASSERT_EQUAL(living_dirty(&v), 2);
	live_close(v.live);
	snprintf(command, sizeof(command), "cp -a %s/spool/current %s/kept",
		 v.path, v.path);
	CU_ASSERT_EQUAL(system(command), 0);
	CU_ASSERT_EQUAL_FATAL(live_open(v.set, v.library, "/mnt", &v.live), 0);
	session = living_commit(&v, NULL);
	CU_ASSERT(has(session, "unheard"));
	live_close(v.live);
	snprintf(command, sizeof(command),
		 "cd %s && rm -r spool/current && mv kept spool/current",
		 v.path);
	CU_ASSERT_EQUAL(system(command), 0);
	CU_ASSERT_EQUAL_FATAL(live_open(v.set, v.library, "/mnt", &v.live), 0);
	CU_ASSERT_EQUAL(living_dirty(&v), 2);
	CU_ASSERT_EQUAL(living_commit(&v, NULL), 0);
	CU_ASSERT_EQUAL(living_dirty(&v), 0);
	CU_ASSERT(living_has(&v, living_find(&v, ROOT, "unheard"), "of", 2));
	living_again(&v);
	CU_ASSERT_EQUAL(living_spooled(&v), 0);
}

void suite_commit(void);
void suite_commit(void)
{
	CU_pSuite suite = CU_add_suite("commit", begin, end);

	CU_add_test(suite, "numbers stay", numbers_stay);
	CU_add_test(suite, "renamed directory", renamed_directory);
	CU_add_test(suite, "recognised", recognised);
	CU_add_test(suite, "excluded", excluded);
	CU_add_test(suite, "excluded, deep", excluded_deep);
	CU_add_test(suite, "frozen", frozen);
	CU_add_test(suite, "one instant", one_instant);
	CU_add_test(suite, "unheard", unheard);
}
