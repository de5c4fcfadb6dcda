#include <CUnit/CUnit.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "fs/drop_state.h"
#include "tape/error.h"
#include "tests/unit/sample.h"

/* restore/ without FUSE, on a set of its own. */
struct view {
	struct sample sample;
	struct library *library;
	char target[64];
	struct drop *drop;
};

static const struct drop_user me = {0};

static void put_file(const char *directory, const char *name, const char *text)
{
	char path[512];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	f = fopen(path, "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	fputs(text, f);
	fclose(f);
}

static bool has_text(const char *directory, const char *name, const char *text)
{
	char path[512], read[64] = "";
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	f = fopen(path, "r");
	if (!f)
		return !text;
	if (!fgets(read, sizeof(read), f))
		*read = '\0';
	fclose(f);
	return text && !strcmp(read, text);
}

static void view_init(struct view *v, const char *rules, bool strict)
{
	struct drop_options o = {.target = v->target,
				 .mountpoint = "/nowhere",
				 .strict = strict};

	memset(v, 0, sizeof(*v));
	sample_make(&v->sample);
	put_file(v->sample.path, "rules", rules);
	strcpy(v->target, "/tmp/reel-drop-XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(v->target));
	put_file(v->target, "f", "old");
	CU_ASSERT_FATAL(!library_open(v->sample.set, 1 << 20, &v->library));
	CU_ASSERT_FATAL(!drop_open(v->sample.set, v->library, &o, &v->drop));
}

static void view_end(struct view *v)
{
	char command[128];

	drop_close(v->drop);
	library_close(v->library);
	sample_end(&v->sample);
	snprintf(command, sizeof(command), "rm -rf %s", v->target);
	CU_ASSERT(system(command) == 0);
}

static uint64_t find(struct view *v, const char *name)
{
	struct drop_entry e = {0};
	bool hidden;
	int error = drop_lookup(v->drop, DROP_ROOT, name, &e, &hidden);

	return error ? 0 : e.id;
}

/* Writes as a program does, and closes; its end. */
static int write_file(struct view *v, const char *name, const char *text)
{
	struct drop_make what = {.name = name, .mode = S_IFREG | 0644};
	struct drop_user user = {geteuid(), getegid(), 022};
	struct drop_file *f = NULL;
	struct drop_entry e;
	uint64_t id = find(v, name);
	bool same;
	int64_t n;
	int error;

	error = id ? drop_file_open(v->drop, id, O_WRONLY | O_TRUNC, &user, &f,
				    &same)
		   : drop_make(v->drop, DROP_ROOT, &what, &user, &e, &f);
	if (error)
		return error;
	n = drop_write(v->drop, f, 0, text, strlen(text), &me);
	error = n < 0 ? (int)n : drop_flush(v->drop, f);
	drop_file_close(v->drop, f);
	return error;
}

static bool shows(struct view *v, const char *name, const char *text)
{
	uint64_t id = find(v, name);
	struct drop_file *f;
	char read[64] = "";
	bool same;

	if (!id || drop_file_open(v->drop, id, O_RDONLY, &me, &f, &same))
		return !id && !text;
	drop_read(v->drop, f, 0, read, sizeof(read) - 1);
	drop_file_close(v->drop, f);
	return text && !strcmp(read, text);
}

static void comes(void)
{
	struct view v;

	view_init(&v, "# none\n", false);
	CU_ASSERT_EQUAL(write_file(&v, "f", "new"), 0);
	CU_ASSERT_EQUAL(write_file(&v, "g", "more"), 0);
	CU_ASSERT(has_text(v.target, "f", "new"));
	CU_ASSERT(has_text(v.target, "g", "more"));
	CU_ASSERT_EQUAL(drop_rename(v.drop, DROP_ROOT, "g", DROP_ROOT, "f", 0),
			0);
	CU_ASSERT(has_text(v.target, "f", "more"));
	CU_ASSERT(shows(&v, "f", "more"));
	CU_ASSERT_EQUAL(drop_unlink(v.drop, DROP_ROOT, "f"), 0);
	CU_ASSERT(has_text(v.target, "f", NULL));
	view_end(&v);
}

static void kept(void)
{
	struct buffer b = {0};
	struct view v;
	char area[256];

	view_init(&v, "preserve /f\n", false);
	CU_ASSERT_EQUAL(write_file(&v, "f", "only here"), 0);
	CU_ASSERT(shows(&v, "f", "only here"));
	CU_ASSERT(has_text(v.target, "f", "old"));
	snprintf(area, sizeof(area), "%s/" DROP_AREA "/%s", v.sample.path,
		 v.drop->stamp);
	CU_ASSERT(has_text(area, "f", "only here"));
	CU_ASSERT_EQUAL(drop_verdict(v.drop, find(&v, "f"), DROP_KEPT, &b), 0);
	CU_ASSERT(b.length && !memcmp(b.data, "preserve /f", 11));
	b.length = 0;
	CU_ASSERT_EQUAL(drop_status(v.drop, DROP_NAMES "0", &b), 0);
	CU_ASSERT(b.length && !memcmp(b.data, "kept\tf\tpreserve", 15));
	CU_ASSERT_EQUAL(drop_unlink(v.drop, DROP_ROOT, "f"), 0);
	CU_ASSERT(shows(&v, "f", NULL));
	CU_ASSERT(has_text(v.target, "f", "old"));
	CU_ASSERT(has_text(area, "f", NULL));
	/* a temporary name is judged by the last */
	CU_ASSERT_EQUAL(write_file(&v, "tmp", "again"), 0);
	CU_ASSERT(has_text(v.target, "tmp", "again"));
	CU_ASSERT_EQUAL(
		drop_rename(v.drop, DROP_ROOT, "tmp", DROP_ROOT, "f", 0), 0);
	CU_ASSERT(has_text(v.target, "tmp", NULL));
	CU_ASSERT(has_text(v.target, "f", "old"));
	CU_ASSERT(has_text(area, "f", "again"));
	buffer_release(&b);
	view_end(&v);
}

static void strict(void)
{
	struct view v;

	view_init(&v, "preserve /f\n", true);
	CU_ASSERT_EQUAL(write_file(&v, "f", "new"), REEL_EREFUSED);
	CU_ASSERT_EQUAL(drop_unlink(v.drop, DROP_ROOT, "f"), REEL_EREFUSED);
	CU_ASSERT(has_text(v.target, "f", "old"));
	CU_ASSERT(shows(&v, "f", "old"));
	view_end(&v);
}

static void names(void)
{
	struct drop_entry e;
	struct view v;
	bool hidden;

	view_init(&v, "merge /f\n", false);
	CU_ASSERT_EQUAL(drop_lookup(v.drop, DROP_ROOT, "..", &e, &hidden),
			REEL_EINVAL);
	CU_ASSERT_EQUAL(drop_lookup(v.drop, DROP_ROOT, "a/b", &e, &hidden),
			REEL_EINVAL);
	CU_ASSERT_EQUAL(drop_lookup(v.drop, DROP_ROOT, "none", &e, &hidden),
			REEL_ENOENT);
	CU_ASSERT(!hidden);
	CU_ASSERT_EQUAL(drop_unlink(v.drop, DROP_ROOT, "f"), 0);
	CU_ASSERT_EQUAL(drop_lookup(v.drop, DROP_ROOT, "f", &e, &hidden),
			REEL_ENOENT);
	CU_ASSERT(hidden);
	view_end(&v);
}

static void inodes(void)
{
	struct drop_inodes s = {0};
	unsigned wrong = 0;
	struct stat st = {.st_dev = 7};

	for (st.st_ino = 1; st.st_ino < 5000; st.st_ino++)
		drop_inodes_set(&s, &st, (unsigned)st.st_ino);
	for (st.st_ino = 1; st.st_ino < 5000; st.st_ino += 3)
		drop_inodes_set(&s, &st, 0);
	for (st.st_ino = 1; st.st_ino < 5000; st.st_ino++)
		wrong += drop_inodes_get(&s, &st) !=
			 (st.st_ino % 3 == 1 ? 0 : (unsigned)st.st_ino);
	CU_ASSERT_EQUAL(wrong, 0);
	st.st_dev = 8;
	st.st_ino = 2;
	CU_ASSERT_EQUAL(drop_inodes_get(&s, &st), 0);
	free(s.table);
}

void suite_drop(void);
void suite_drop(void)
{
	CU_pSuite s = CU_add_suite("drop", NULL, NULL);

	CU_add_test(s, "what comes", comes);
	CU_add_test(s, "what is kept", kept);
	CU_add_test(s, "strict", strict);
	CU_add_test(s, "names", names);
	CU_add_test(s, "inodes", inodes);
}
