#include <CUnit/CUnit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "tape/error.h"
#include "tests/unit/living.h"

#define ROOT  LIVE_ROOT
#define LARGE 300000

static struct living v;
static uint8_t large[LARGE];

/* What the base has for these tests: a directory with two files, one of them
 * with two names; another directory, empty. */
static int begin(void)
{
	struct live_entry e;
	uint64_t d;

	living_begin(&v, "");
	living_bytes(1, large, sizeof(large));
	d = living_directory(&v, ROOT, "d");
	living_file(&v, d, "large", large, sizeof(large));
	living_file(&v, d, "small", "small", 5);
	live_link(v.live, living_find(&v, d, "small"), ROOT, "link", &e);
	living_directory(&v, ROOT, "empty");
	return living_commit(&v, NULL) == 1 ? 0 : -1;
}

static int end(void)
{
	living_end(&v);
	return 0;
}

static bool lists(uint64_t id, const char *names)
{
	char all[400];

	living_list(&v, id, all, sizeof(all));
	return !strcmp(all, names);
}

/* Back to what the base has: the spool is thrown away. */
static void drop(void)
{
	char command[120];

	live_close(v.live);
	v.live = NULL;
	snprintf(command, sizeof(command), "rm -rf %s/spool/current", v.path);
	CU_ASSERT_EQUAL(system(command), 0);
	CU_ASSERT_EQUAL_FATAL(live_open(v.set, v.library, "/mnt", &v.live), 0);
	CU_ASSERT(lists(ROOT, " d empty link"));
}

/* ---- names ---- */

static int make(uint64_t parent, const char *name, mode_t mode)
{
	const struct live_make what = {
		.name = name, .mode = mode, .target = "to"};
	struct live_entry e;

	return live_make(v.live, parent, &what, &living_user, &e);
}

static void names(void)
{
	uint64_t d = living_find(&v, ROOT, "d"), new;
	char longest[TREE_NAME_LIMIT + 2];

	CU_ASSERT_EQUAL(make(ROOT, "link", S_IFREG), REEL_EEXIST);
	CU_ASSERT_EQUAL(make(d, "large", S_IFDIR), REEL_EEXIST);
	CU_ASSERT_EQUAL(make(living_find(&v, d, "large"), "x", S_IFREG),
			REEL_ENOTDIR);
	memset(longest, 'x', sizeof(longest));
	longest[TREE_NAME_LIMIT + 1] = '\0';
	CU_ASSERT_EQUAL(make(ROOT, longest, S_IFREG), REEL_ENAMETOOLONG);
	longest[TREE_NAME_LIMIT] = '\0';
	CU_ASSERT_EQUAL(make(d, longest, S_IFREG), 0);
	CU_ASSERT_EQUAL(live_unlink(v.live, d, longest), 0);
	CU_ASSERT_EQUAL(make(ROOT, v.set->reserved, S_IFDIR), REEL_EPERM);
	CU_ASSERT_EQUAL(make(d, v.set->reserved, S_IFDIR), 0);
	CU_ASSERT_EQUAL(live_rmdir(v.live, d, v.set->reserved), 0);
	CU_ASSERT_EQUAL(living_stat(&v, d).st_nlink, 2);
	new = living_directory(&v, d, "new");
	CU_ASSERT_EQUAL(living_stat(&v, d).st_nlink, 3);
	CU_ASSERT_EQUAL(living_stat(&v, new).st_mode, S_IFDIR | 0755);
	CU_ASSERT_EQUAL(make(new, "to", S_IFLNK), 0);
	CU_ASSERT_EQUAL(living_stat(&v, living_find(&v, new, "to")).st_size, 2);
	CU_ASSERT_EQUAL(live_rmdir(v.live, d, "new"), REEL_ENOTEMPTY);
	CU_ASSERT_EQUAL(live_rmdir(v.live, ROOT, "d"), REEL_ENOTEMPTY);
	CU_ASSERT_EQUAL(live_rmdir(v.live, ROOT, "link"), REEL_ENOTDIR);
	CU_ASSERT_EQUAL(live_unlink(v.live, ROOT, "empty"), REEL_EISDIR);
	CU_ASSERT_EQUAL(live_unlink(v.live, ROOT, "none"), REEL_ENOENT);
	CU_ASSERT_EQUAL(live_unlink(v.live, new, "to"), 0);
	CU_ASSERT_EQUAL(live_rmdir(v.live, d, "new"), 0);
	CU_ASSERT_EQUAL(living_stat(&v, d).st_nlink, 2);
	CU_ASSERT_EQUAL(make(new, "late", S_IFREG), REEL_ENOENT);
	drop();
}

/* Names of the spool over names of the base, both sorted. */
static void listing(void)
{
	uint64_t d = living_find(&v, ROOT, "d");

	CU_ASSERT(lists(d, " large small"));
	living_file(&v, d, "aaa", "", 0);
	living_file(&v, d, "larger", "", 0);
	living_file(&v, d, "zzz", "", 0);
	CU_ASSERT(lists(d, " aaa large larger small zzz"));
	CU_ASSERT_EQUAL(live_unlink(v.live, d, "small"), 0);
	CU_ASSERT_EQUAL(live_unlink(v.live, d, "zzz"), 0);
	CU_ASSERT(lists(d, " aaa large larger"));
	living_again(&v);
	d = living_find(&v, ROOT, "d");
	CU_ASSERT(lists(d, " aaa large larger"));
	CU_ASSERT_EQUAL(living_find(&v, d, "small"), 0);
	living_file(&v, d, "small", "", 0);
	CU_ASSERT(lists(d, " aaa large larger small"));
	CU_ASSERT(lists(ROOT, " d empty link"));
	drop();
}

static void links(void)
{
	uint64_t d = living_find(&v, ROOT, "d"), id;
	struct live_entry e;

	id = living_find(&v, ROOT, "link");
	CU_ASSERT_EQUAL(id, living_find(&v, d, "small"));
	CU_ASSERT_EQUAL(living_stat(&v, id).st_nlink, 2);
	CU_ASSERT_EQUAL(live_link(v.live, d, ROOT, "x", &e), REEL_EPERM);
	CU_ASSERT_EQUAL(live_link(v.live, id, d, "large", &e), REEL_EEXIST);
	CU_ASSERT_EQUAL(live_link(v.live, id, d, "third", &e), 0);
	CU_ASSERT_EQUAL(e.st.st_nlink, 3);
	/* what is written through one name is under all, the base's too */
	CU_ASSERT_EQUAL(living_write(&v, id, 0, "SMALL", 5), 0);
	living_again(&v);
	d = living_find(&v, ROOT, "d");
	CU_ASSERT(living_has(&v, living_find(&v, d, "small"), "SMALL", 5));
	CU_ASSERT(living_has(&v, living_find(&v, ROOT, "link"), "SMALL", 5));
	CU_ASSERT(living_has(&v, living_find(&v, d, "third"), "SMALL", 5));
	CU_ASSERT_EQUAL(live_unlink(v.live, ROOT, "link"), 0);
	CU_ASSERT_EQUAL(live_unlink(v.live, d, "small"), 0);
	id = living_find(&v, d, "third");
	CU_ASSERT_EQUAL(living_stat(&v, id).st_nlink, 1);
	CU_ASSERT(living_has(&v, id, "SMALL", 5));
	drop();
}

/* ---- renaming ---- */

static int move(uint64_t from, const char *name, uint64_t to, const char *new,
		unsigned flags)
{
	return live_rename(v.live, from, name, to, new, flags);
}

static void renaming(void)
{
	uint64_t d = living_find(&v, ROOT, "d");
	uint64_t id = living_find(&v, d, "large");

	CU_ASSERT_EQUAL(move(d, "large", ROOT, "link", RENAME_NOREPLACE),
			REEL_EEXIST);
	CU_ASSERT_EQUAL(move(ROOT, "link", ROOT, "empty", 0), REEL_EISDIR);
	CU_ASSERT_EQUAL(move(ROOT, "empty", ROOT, "link", 0), REEL_ENOTDIR);
	CU_ASSERT_EQUAL(move(ROOT, "empty", ROOT, "d", 0), REEL_ENOTEMPTY);
	CU_ASSERT_EQUAL(move(d, "large", ROOT, v.set->reserved, 0), REEL_EPERM);
	CU_ASSERT_EQUAL(move(ROOT, "none", d, "x", 0), REEL_ENOENT);
	CU_ASSERT_EQUAL(living_dirty(&v), 0);
	/* two names of one file: nothing happens */
	CU_ASSERT_EQUAL(move(ROOT, "link", d, "small", 0), 0);
	CU_ASSERT(lists(ROOT, " d empty link"));
	/* over a file: its other name stays */
	CU_ASSERT_EQUAL(move(d, "large", ROOT, "link", 0), 0);
	CU_ASSERT(lists(d, " small"));
	CU_ASSERT_EQUAL(living_find(&v, ROOT, "link"), id);
	CU_ASSERT(living_has(&v, id, large, LARGE));
	CU_ASSERT_EQUAL(living_stat(&v, living_find(&v, d, "small")).st_nlink,
			1);
	/* over an empty directory */
	CU_ASSERT_EQUAL(move(ROOT, "d", ROOT, "empty", 0), 0);
	living_again(&v);
	CU_ASSERT(lists(ROOT, " empty link"));
	CU_ASSERT(lists(living_find(&v, ROOT, "empty"), " small"));
	CU_ASSERT_EQUAL(living_stat(&v, ROOT).st_nlink, 3);
	CU_ASSERT_EQUAL(living_spooled(&v), 0);
	drop();
}

static void exchange(void)
{
	uint64_t d = living_find(&v, ROOT, "d");
	uint64_t small = living_find(&v, d, "small");
	uint64_t empty = living_find(&v, ROOT, "empty");

	CU_ASSERT_EQUAL(move(ROOT, "empty", d, "none", RENAME_EXCHANGE),
			REEL_ENOENT);
	CU_ASSERT_EQUAL(move(ROOT, "empty", d, "small", RENAME_EXCHANGE), 0);
	CU_ASSERT_EQUAL(living_find(&v, d, "small"), empty);
	CU_ASSERT_EQUAL(living_find(&v, ROOT, "empty"), small);
	CU_ASSERT_EQUAL(living_stat(&v, ROOT).st_nlink, 3);
	CU_ASSERT_EQUAL(living_stat(&v, d).st_nlink, 3);
	CU_ASSERT_EQUAL(living_stat(&v, small).st_nlink, 2);
	CU_ASSERT_EQUAL(make(empty, "in", S_IFREG | 0600), 0);
	living_again(&v);
	d = living_find(&v, ROOT, "d");
	CU_ASSERT(lists(living_find(&v, d, "small"), " in"));
	CU_ASSERT(living_has(&v, living_find(&v, ROOT, "empty"), "small", 5));
	CU_ASSERT_EQUAL(living_stat(&v, d).st_nlink, 3);
	drop();
}

/* ---- bytes ---- */

/* Only what changes the bytes makes a file of the spool. */
static void copy_up(void)
{
	const struct stat to = {.st_mode = 0600, .st_uid = 5};
	uint64_t d = living_find(&v, ROOT, "d"), content, same;
	uint64_t id = living_find(&v, d, "large");
	uint8_t *want = malloc(LARGE);
	struct live_entry e;
	bool excluded;

	CU_ASSERT_PTR_NOT_NULL_FATAL(want);
	live_whereabouts(v.live, id, &content, &excluded);
	CU_ASSERT_NOT_EQUAL(content, 0);
	CU_ASSERT_EQUAL(live_set(v.live, id, &to, LIVE_MODE | LIVE_UID,
				 &living_user, &e),
			0);
	CU_ASSERT_EQUAL(move(d, "large", ROOT, "moved", 0), 0);
	CU_ASSERT_EQUAL(live_set_xattr(v.live, id, "user.x", "y", 1, 0), 0);
	live_whereabouts(v.live, id, &same, &excluded);
	CU_ASSERT_EQUAL(same, content);
	CU_ASSERT_EQUAL(living_spooled(&v), 0);
	CU_ASSERT_EQUAL(living_write(&v, id, 200000, "changed", 7), 0);
	CU_ASSERT_EQUAL(living_spooled(&v), 1);
	live_whereabouts(v.live, id, &same, &excluded);
	CU_ASSERT_EQUAL(same, 0);
	memcpy(want, large, LARGE);
	memcpy(want + 200000, "changed", 7);
	living_again(&v);
	id = living_find(&v, ROOT, "moved");
	CU_ASSERT(living_has(&v, id, want, LARGE));
	CU_ASSERT_EQUAL(living_stat(&v, id).st_mode, S_IFREG | 0600);
	CU_ASSERT_EQUAL(living_stat(&v, id).st_uid, 5);
	free(want);
	drop();
}

static int resize(uint64_t id, off_t size)
{
	const struct stat to = {.st_size = size};
	struct live_entry e;

	return live_set(v.live, id, &to, LIVE_SIZE, &living_user, &e);
}

/* What was cut off never shows again. */
static void truncation(void)
{
	uint64_t d = living_find(&v, ROOT, "d");
	uint64_t id = living_find(&v, d, "large");
	uint8_t *want = calloc(1, 5000);

	CU_ASSERT_PTR_NOT_NULL_FATAL(want);
	memcpy(want, large, 1000);
	CU_ASSERT_EQUAL(resize(id, 1000), 0);
	CU_ASSERT(living_has(&v, id, want, 1000));
	CU_ASSERT_EQUAL(resize(id, 5000), 0);
	CU_ASSERT(living_has(&v, id, want, 5000));
	CU_ASSERT_EQUAL(living_write(&v, id, 4999, "!", 1), 0);
	want[4999] = '!';
	living_again(&v);
	d = living_find(&v, ROOT, "d");
	id = living_find(&v, d, "large");
	CU_ASSERT(living_has(&v, id, want, 5000));
	CU_ASSERT_EQUAL(resize(id, 0), 0);
	CU_ASSERT(living_has(&v, id, want, 0));
	CU_ASSERT_EQUAL(resize(id, -1), REEL_EFBIG);
	free(want);
	drop();
}

static void unlink_while_open(void)
{
	uint64_t d = living_find(&v, ROOT, "d");
	uint64_t id = living_find(&v, d, "large");
	struct live_file *f;
	struct live_entry e;
	char got[8];

	CU_ASSERT_EQUAL_FATAL(live_file_open(v.live, id, &f), 0);
	CU_ASSERT_EQUAL(live_unlink(v.live, d, "large"), 0);
	CU_ASSERT_EQUAL(living_find(&v, d, "large"), 0);
	CU_ASSERT_EQUAL(living_stat(&v, id).st_nlink, 0);
	CU_ASSERT_EQUAL(live_link(v.live, id, d, "again", &e), REEL_ENOENT);
	CU_ASSERT_EQUAL(live_read(v.live, f, 100, got, 8), 8);
	CU_ASSERT_EQUAL(memcmp(got, large + 100, 8), 0);
	CU_ASSERT_EQUAL(live_write(v.live, f, 104, "dead", 4, NULL), 0);
	CU_ASSERT_EQUAL(live_read(v.live, f, 100, got, 8), 8);
	CU_ASSERT_EQUAL(memcmp(got, large + 100, 4), 0);
	CU_ASSERT_EQUAL(memcmp(got + 4, "dead", 4), 0);
	CU_ASSERT_EQUAL(living_spooled(&v), 1);
	/* another file of the name has nothing to do with it */
	living_file(&v, d, "large", "new", 3);
	live_file_close(v.live, f);
	live_forget(v.live, id);
	CU_ASSERT(living_has(&v, living_find(&v, d, "large"), "new", 3));
	living_again(&v);
	CU_ASSERT_EQUAL(living_spooled(&v), 1);
	drop();
}

/* Content that the set has takes no room, whatever its name. */
static void recognised(void)
{
	uint64_t d = living_find(&v, ROOT, "d"), content, other;
	uint8_t *bytes = malloc(LARGE);
	bool excluded;
	uint64_t id;

	CU_ASSERT_PTR_NOT_NULL_FATAL(bytes);
	memcpy(bytes, large, LARGE);
	live_whereabouts(v.live, living_find(&v, d, "large"), &content,
			 &excluded);
	id = living_file(&v, ROOT, "copy", bytes, LARGE);
	live_whereabouts(v.live, id, &other, &excluded);
	CU_ASSERT_EQUAL(other, content);
	bytes[LARGE - 1] ^= 1;
	id = living_file(&v, ROOT, "like", bytes, LARGE);
	live_whereabouts(v.live, id, &other, &excluded);
	CU_ASSERT_EQUAL(other, 0);
	living_again(&v);
	CU_ASSERT_EQUAL(living_spooled(&v), 1);
	CU_ASSERT(living_has(&v, living_find(&v, ROOT, "copy"), large, LARGE));
	CU_ASSERT(living_has(&v, living_find(&v, ROOT, "like"), bytes, LARGE));
	free(bytes);
	drop();
}

/* ---- numbers ---- */

static void numbers(void)
{
	uint64_t d = living_find(&v, ROOT, "d");
	uint64_t id = living_find(&v, d, "large");
	ino_t ino = living_stat(&v, id).st_ino;
	ino_t dino = living_stat(&v, d).st_ino;

	CU_ASSERT_EQUAL(living_write(&v, id, 0, "1", 1), 0);
	CU_ASSERT_EQUAL(move(d, "large", ROOT, "moved", 0), 0);
	CU_ASSERT_EQUAL(move(ROOT, "d", ROOT, "e", 0), 0);
	CU_ASSERT_EQUAL(living_find(&v, ROOT, "moved"), id);
	CU_ASSERT_EQUAL(living_find(&v, ROOT, "e"), d);
	living_again(&v);
	id = living_find(&v, ROOT, "moved");
	CU_ASSERT_EQUAL(living_stat(&v, id).st_ino, ino);
	CU_ASSERT_EQUAL(living_stat(&v, living_find(&v, ROOT, "e")).st_ino,
			dino);
	drop();
}

void suite_live(void);
void suite_live(void)
{
	CU_pSuite suite = CU_add_suite("live", begin, end);

	CU_add_test(suite, "names", names);
	CU_add_test(suite, "listing", listing);
	CU_add_test(suite, "links", links);
	CU_add_test(suite, "renaming", renaming);
	CU_add_test(suite, "exchange", exchange);
	CU_add_test(suite, "copy-up", copy_up);
	CU_add_test(suite, "truncation", truncation);
	CU_add_test(suite, "unlink while open", unlink_while_open);
	CU_add_test(suite, "recognised", recognised);
	CU_add_test(suite, "numbers", numbers);
}
