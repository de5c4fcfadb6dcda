#include <CUnit/CUnit.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "catalog/beneath.h"
#include "catalog/delayed_list.h"
#include "catalog/delayed_state.h"
#include "catalog/fold.h"
#include "catalog/ntstatus.h"
#include "fs/delayed_run.h"
#include "tape/error.h"

static char top[64];

static int begin(void)
{
	strcpy(top, "/tmp/reel-delayed-XXXXXX");
	return mkdtemp(top) ? 0 : 1;
}

static int end(void)
{
	char command[100];

	snprintf(command, sizeof(command), "rm -rf %s", top);
	return system(command) != 0;
}

/* A target of its own. */
static const char *target(const char *name)
{
	static char path[400];

	snprintf(path, sizeof(path), "%s/%s", top, name);
	CU_ASSERT_EQUAL_FATAL(mkdir(path, 0755), 0);
	return path;
}

static struct delayed *open_one(const char *root, enum delayed_access access)
{
	struct delayed *d = NULL;

	CU_ASSERT_EQUAL_FATAL(delayed_open(root, NULL, access, &d), 0);
	return d;
}

static void add_move(struct delayed *d, const char *path, const char *text)
{
	struct delayed_stage s;
	int fd;

	CU_ASSERT_EQUAL_FATAL(delayed_stage(d, path, &s), 0);
	fd = openat(s.directory, s.name, O_WRONLY | O_CREAT | O_EXCL, 0600);
	CU_ASSERT_FATAL(fd >= 0);
	CU_ASSERT_EQUAL(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
	CU_ASSERT_EQUAL(delayed_move(d, &s, path, NULL, 0), 0);
}

static void paths_are(const struct delayed *d, const char *wanted)
{
	char have[1000] = "";

	for (size_t n = 0; n < delayed_count(d); n++) {
		strncat(have, &"-+~"[delayed_at(d, n)->kind], 1);
		strcat(have, delayed_at(d, n)->path);
		strcat(have, " ");
	}
	CU_ASSERT_STRING_EQUAL(have, wanted);
}

static void order(void)
{
	const char *root = target("order");
	struct delayed *d = open_one(root, DELAYED_WRITE);

	CU_ASSERT_EQUAL(delayed_delete(d, "a"), 0);
	CU_ASSERT_EQUAL(delayed_short_name(d, "b", "B~1"), 0);
	add_move(d, "b/c", "1");
	add_move(d, "b", "2");
	CU_ASSERT_EQUAL(delayed_delete(d, "a/b/c"), 0);
	CU_ASSERT_EQUAL(delayed_delete(d, "a/b"), 0);
	CU_ASSERT_EQUAL(delayed_delete(d, "b/c"), 0);
	CU_ASSERT_EQUAL(delayed_delete(d, "a-"), 0);
	CU_ASSERT_EQUAL(delayed_count(d), 0);
	CU_ASSERT_EQUAL(delayed_commit(d), 0);
	paths_are(d, "-b/c -a/b/c -a/b -a- -a +b ~b ");
	add_move(d, "a", "3");
	CU_ASSERT_EQUAL(delayed_commit(d), 0);
	paths_are(d, "-b/c -a/b/c -a/b -a- +a +b ~b ");
	delayed_close(d);
	d = open_one(root, DELAYED_READ);
	paths_are(d, "-b/c -a/b/c -a/b -a- +a +b ~b ");
	CU_ASSERT_EQUAL(delayed_at(d, 4)->content.size, 1);
	CU_ASSERT(delayed_at(d, 4)->checked);
	delayed_close(d);
}

static void refused(void)
{
	static const char *const bad[] = {"",
					  "/a",
					  "a/",
					  "a//b",
					  "..",
					  "a/.",
					  "./a",
					  "a/../b",
					  "var/lib/reel/delayed",
					  "var/lib/reel/delayed/journal"};
	struct delayed *d = open_one(target("refused"), DELAYED_WRITE);
	struct delayed_stage s;

	for (size_t n = 0; n < sizeof(bad) / sizeof(bad[0]); n++) {
		CU_ASSERT_EQUAL(delayed_delete(d, bad[n]), REEL_EINVAL);
		CU_ASSERT_EQUAL(delayed_stage(d, bad[n], &s), REEL_EINVAL);
	}
	CU_ASSERT_EQUAL(delayed_short_name(d, "a", "b/c"), REEL_EINVAL);
	CU_ASSERT_EQUAL(delayed_cancel(d, 1, NULL), REEL_ENOENT);
	delayed_close(d);
}

static void access_rules(void)
{
	const char *root = target("access");
	struct delayed *d = NULL, *other = NULL;

	CU_ASSERT_EQUAL(delayed_open(root, NULL, DELAYED_RUN, &d), REEL_ENOENT);
	d = open_one(root, DELAYED_READ);
	CU_ASSERT_EQUAL(delayed_count(d), 0);
	delayed_close(d);
	d = open_one(root, DELAYED_WRITE);
	CU_ASSERT_EQUAL(delayed_open(root, NULL, DELAYED_WRITE, &other),
			REEL_ELOCKED);
	other = open_one(root, DELAYED_READ);
	delayed_close(other);
	delayed_close(d);
}

static struct delayed_journal parsed(const struct buffer *text, int wanted)
{
	struct delayed_journal j = {0};

	CU_ASSERT_EQUAL(delayed_journal_parse(text->data, text->length, &j),
			wanted);
	return j;
}

static void damage(void)
{
	struct delayed *d = open_one(target("damage"), DELAYED_WRITE);
	struct buffer text = {0};
	struct delayed_journal j;

	add_move(d, "a", "1");
	CU_ASSERT_EQUAL(delayed_delete(d, "b\n\\\t"), 0);
	CU_ASSERT_EQUAL(delayed_commit(d), 0);
	CU_ASSERT_EQUAL(
		delayed_read(d->directory, DELAYED_JOURNAL, 1 << 20, &text), 0);
	j = parsed(&text, 0);
	CU_ASSERT_EQUAL(j.count, 2);
	CU_ASSERT_STRING_EQUAL(j.records[0].path, "b\n\\\t");
	delayed_journal_release(&j);
	for (size_t n = 0; n < text.length; n++) {
		text.data[n] ^= 1;
		j = parsed(&text, REEL_EDAMAGED);
		text.data[n] ^= 1;
	}
	while (text.length--)
		j = parsed(&text, REEL_EDAMAGED);
	text.length = 0;
	buffer_release(&text);
	delayed_close(d);
}

/* Progress counts up to the first torn byte. */
static void progress(void)
{
	struct delayed *d = open_one(target("progress"), DELAYED_WRITE);
	struct delayed_journal *j = &d->journal;
	struct buffer text = {0};
	size_t applied, first, whole;

	CU_ASSERT_EQUAL(delayed_delete(d, "a"), 0);
	CU_ASSERT_EQUAL(delayed_delete(d, "b"), 0);
	CU_ASSERT_EQUAL(delayed_commit(d), 0);
	CU_ASSERT_EQUAL(delayed_progress_begin(j, &text), 0);
	CU_ASSERT_EQUAL(delayed_progress_started(&j->records[0], &text), 0);
	first = text.length;
	CU_ASSERT_EQUAL(delayed_progress_ended(&j->records[0], &text), 0);
	whole = text.length;
	for (size_t n = 0; n <= whole; n++) {
		j->records[0].state = DELAYED_WAITING;
		CU_ASSERT_EQUAL(
			delayed_progress_apply(j, text.data, n, &applied), 0);
		CU_ASSERT(applied <= n);
		CU_ASSERT_EQUAL(j->records[0].state, n == whole ? DELAYED_DONE
						     : n >= first
							     ? DELAYED_STARTED
							     : DELAYED_WAITING);
	}
	j->records[0].state = DELAYED_WAITING;
	j->sum.b[0] ^= 1;
	CU_ASSERT_EQUAL(delayed_progress_apply(j, text.data, whole, &applied),
			0);
	CU_ASSERT_EQUAL(applied, 0);
	CU_ASSERT_EQUAL(j->records[0].state, DELAYED_WAITING);
	CU_ASSERT_EQUAL(j->records[1].state, DELAYED_WAITING);
	buffer_release(&text);
	delayed_close(d);
}

static void run_and_outcome(void)
{
	static const struct delayed_run_options options = {0};
	const char *root = target("run");
	struct delayed *d = open_one(root, DELAYED_WRITE);
	struct delayed_run_report report;
	struct delayed_outcome o;

	for (int n = 0; n < 200; n++) {
		char name[20];

		snprintf(name, sizeof(name), "f%03d", n);
		add_move(d, name, name);
	}
	CU_ASSERT_EQUAL(delayed_short_name(d, "f000", "F~1"), 0);
	CU_ASSERT_EQUAL(delayed_commit(d), 0);
	CU_ASSERT_EQUAL(delayed_outcome(d, &o), REEL_ENOENT);
	delayed_close(d);
	d = open_one(root, DELAYED_RUN);
	CU_ASSERT_EQUAL_FATAL(delayed_run(d, &options, &report), 0);
	CU_ASSERT_EQUAL(report.done, 200);
	CU_ASSERT_EQUAL(report.failed, 1);
	CU_ASSERT(!report.stopped && !report.absent);
	CU_ASSERT_EQUAL(delayed_finish(d, DELAYED_COMPLETE), 0);
	CU_ASSERT_EQUAL(delayed_count(d), 0);
	CU_ASSERT_EQUAL_FATAL(delayed_outcome(d, &o), 0);
	CU_ASSERT_EQUAL(o.count, 201);
	CU_ASSERT_NOT_EQUAL(o.result, 0);
	CU_ASSERT_EQUAL(o.details, 201);
	CU_ASSERT_EQUAL(o.records[0].state, DELAYED_DONE);
	CU_ASSERT_EQUAL(o.records[200].state, DELAYED_FAILED);
	delayed_outcome_release(&o);
	delayed_close(d);
	CU_ASSERT_EQUAL(delayed_open(root, NULL, DELAYED_RUN, &d), REEL_ENOENT);
}

static void windows_paths(void)
{
	static const struct srdelayed_map all[] = {{"C:", "mnt/c"}, {"d:", ""}};
	static const struct srdelayed_maps maps = {all, 2}, none = {NULL, 0};
	static const struct {
		const char *windows, *path;
	} rows[] = {
		{"\\??\\C:\\a\\b", "mnt/c/a/b"},
		{"\\\\??\\c:\\a", "mnt/c/a"},
		{"\\\\?\\D:\\a b", "a b"},
		{"D:\\x", "x"},
		{"\\??\\E:\\a", NULL},
		{"\\??\\C:a", NULL},
		{"\\??\\C:\\a\\..\\b", NULL},
		{"\\??\\C:\\a/b", NULL},
		{"\\??\\C:\\", NULL},
		{"a", NULL},
	};
	struct buffer out = {0};

	for (size_t n = 0; n < sizeof(rows) / sizeof(rows[0]); n++) {
		out.length = 0;
		CU_ASSERT_EQUAL(
			srdelayed_path_in(&maps, rows[n].windows, &out) == 0,
			rows[n].path != NULL);
		if (rows[n].path)
			CU_ASSERT_STRING_EQUAL((char *)out.data, rows[n].path);
	}
	out.length = 0;
	CU_ASSERT_EQUAL(
		srdelayed_path_out(&maps, "\\\\??\\", "mnt/c/a/b", &out), 0);
	CU_ASSERT_STRING_EQUAL((char *)out.data, "\\\\??\\C:\\a\\b");
	out.length = 0;
	CU_ASSERT_EQUAL(srdelayed_path_out(&none, "\\??\\", "a", &out), 0);
	CU_ASSERT_STRING_EQUAL((char *)out.data, "\\??\\C:\\a");
	CU_ASSERT_EQUAL(srdelayed_path_out(&none, "\\??\\", "a:b", &out),
			REEL_EINVAL);
	buffer_release(&out);
}

static void folding(void)
{
	CU_ASSERT(fold_equal("README", "readme"));
	CU_ASSERT(fold_equal("Žluťoučký ÄÖ", "žLUŤOUČKÝ äö"));
	CU_ASSERT(fold_equal("ΑΒΓ Дом Ё", "αβγ дОМ ё"));
	CU_ASSERT(!fold_equal("a", "ab"));
	CU_ASSERT(!fold_equal("a", "b"));
	CU_ASSERT(!fold_equal("×", "÷"));
}

static void statuses(void)
{
	CU_ASSERT_EQUAL(ntstatus_from_errno(0), 0);
	CU_ASSERT_EQUAL(ntstatus_from_errno(ENOENT), 0xC0000034);
	CU_ASSERT_EQUAL(ntstatus_from_errno(EPERM), 0xC0000022);
	CU_ASSERT_EQUAL(ntstatus_from_errno(EIO), 0xC0000185);
	CU_ASSERT_EQUAL(ntstatus_from_errno(ECHILD), 0xC0000001);
	CU_ASSERT_STRING_EQUAL(ntstatus_text(0), "done");
}

void suite_delayed(void);
void suite_delayed(void)
{
	CU_pSuite s = CU_add_suite("delayed", begin, end);

	CU_add_test(s, "order and duplicates", order);
	CU_add_test(s, "paths that are refused", refused);
	CU_add_test(s, "who may have it", access_rules);
	CU_add_test(s, "each flipped bit, each length", damage);
	CU_add_test(s, "progress, torn anywhere", progress);
	CU_add_test(s, "a run of several batches", run_and_outcome);
	CU_add_test(s, "Windows paths", windows_paths);
	CU_add_test(s, "case", folding);
	CU_add_test(s, "status codes", statuses);
}
