#include <CUnit/CUnit.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "tape/drive.h"
#include "tape/error.h"

static char directory[] = "/tmp/reel-fault.XXXXXX";
static char path[64];

static int begin(void)
{
	if (!mkdtemp(directory))
		return -1;
	snprintf(path, sizeof(path), "%s/a.tap", directory);
	return 0;
}

static void clean(void)
{
	char conf[80];

	snprintf(conf, sizeof(conf), "%s.conf", path);
	unlink(path);
	unlink(conf);
}

static int end(void)
{
	clean();
	return rmdir(directory);
}

static struct drive *with(const char *rules, const char *options)
{
	const struct drive_options o = {.create = true};
	struct drive *d = NULL;
	char name[256];

	snprintf(name, sizeof(name), "fault:%s:%s%s", rules, path, options);
	CU_ASSERT_EQUAL_FATAL(drive_open(name, &o, &d), 0);
	return d;
}

static int put(struct drive *d, int byte, bool *early)
{
	uint8_t block[1000];

	memset(block, byte, sizeof(block));
	return drive_write(d, block, sizeof(block), early);
}

static int get(struct drive *d, struct drive_read *r)
{
	uint8_t block[2000] = {0};

	return drive_read(d, block, sizeof(block), r);
}

/* Blocks on the medium. */
static unsigned blocks(void)
{
	struct drive_options o = {.read_only = true};
	struct drive_read r;
	struct drive *d;
	unsigned count = 0;

	CU_ASSERT_EQUAL_FATAL(drive_open(path, &o, &d), 0);
	while (!get(d, &r) && r.found != DRIVE_END)
		count += r.found == DRIVE_BLOCK;
	drive_close(d);
	return count;
}

static int flushed(struct drive *d)
{
	return drive_mark(d, DRIVE_MARK_FILE, 1, false, NULL);
}

static void without_faults(void)
{
	struct drive *d = with("", "");
	struct drive_position p;
	struct drive_read r;

	for (int n = 0; n < 5; n++)
		CU_ASSERT_EQUAL(put(d, n, NULL), 0);
	CU_ASSERT_EQUAL(drive_tell(d, &p), 0);
	CU_ASSERT(p.object == 5 && p.file == 0 && p.block == 5);
	CU_ASSERT_EQUAL(flushed(d), 0);
	CU_ASSERT_EQUAL(drive_tell(d, &p), 0);
	CU_ASSERT(p.object == 6 && p.file == 1 && p.block == 0);
	p = (struct drive_position){.object = 4, .block = 4};
	CU_ASSERT_EQUAL(drive_seek(d, &p), 0);
	CU_ASSERT_EQUAL(get(d, &r), 0);
	CU_ASSERT_EQUAL(r.length, 1000);
	CU_ASSERT_EQUAL(drive_tell(d, &p), 0);
	CU_ASSERT(p.object == 5 && p.file == 0 && p.block == 5);
	CU_ASSERT_EQUAL(get(d, &r), 0);
	CU_ASSERT_EQUAL(r.found, DRIVE_FILEMARK);
	CU_ASSERT_EQUAL(drive_tell(d, &p), 0);
	CU_ASSERT(p.object == 6 && p.file == 1 && p.block == 0);
	CU_ASSERT_EQUAL(drive_close(d), 0);
	CU_ASSERT_EQUAL(blocks(), 5);
	clean();
}

static void hard_error(void)
{
	struct drive *d = with("write@3=error", "");
	struct drive_read r;

	CU_ASSERT_EQUAL(put(d, 1, NULL), 0);
	CU_ASSERT_EQUAL(put(d, 2, NULL), 0);
	CU_ASSERT_EQUAL(put(d, 3, NULL), REEL_EIO);
	/* D3: nothing is written until the position is known again */
	CU_ASSERT_EQUAL(put(d, 4, NULL), REEL_ERESET);
	CU_ASSERT_EQUAL(flushed(d), REEL_ERESET);
	CU_ASSERT_EQUAL(drive_flush(d), REEL_ERESET);
	CU_ASSERT_EQUAL(get(d, &r), REEL_ERESET);
	CU_ASSERT_EQUAL(drive_rewind(d, false), 0);
	CU_ASSERT_EQUAL(get(d, &r), 0);
	drive_close(d);
	clean();
}

static void lost_buffer(const char *rules, int error)
{
	struct drive *d = with(rules, "");

	CU_ASSERT_EQUAL(put(d, 1, NULL), 0);
	CU_ASSERT_EQUAL(flushed(d), 0);
	CU_ASSERT_EQUAL(put(d, 2, NULL), 0);
	CU_ASSERT_EQUAL(put(d, 3, NULL), 0);
	CU_ASSERT_EQUAL(flushed(d), error);
	drive_close(d);
	CU_ASSERT_EQUAL(blocks(), 1);
	clean();
}

static void unflushed_is_lost(void)
{
	lost_buffer("mark@2=late", REEL_EIO);
	lost_buffer("mark@2=cut", REEL_EIO);
	lost_buffer("any@5=reset", REEL_ERESET);
	lost_buffer("any@5=gone", REEL_EMEDIUM);
}

static void power(void)
{
	struct drive *d = with("write@2=cut", "");
	struct drive_status s;

	CU_ASSERT_EQUAL(put(d, 1, NULL), 0);
	CU_ASSERT_EQUAL(put(d, 2, NULL), REEL_EIO);
	CU_ASSERT_EQUAL(drive_rewind(d, false), REEL_EIO);
	CU_ASSERT_EQUAL(drive_status(d, &s), REEL_EIO);
	drive_close(d);
	CU_ASSERT_EQUAL(blocks(), 0);
	clean();
}

static void plug(void)
{
	int status = 0;
	pid_t child = fork();

	if (!child) {
		struct drive *d = with("write@4=kill", "");

		put(d, 1, NULL);
		flushed(d);
		for (int n = 0; n < 5; n++)
			put(d, n, NULL);
		_exit(0);
	}
	CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
	CU_ASSERT(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	CU_ASSERT_EQUAL(blocks(), 1);
	clean();
}

static void reads(void)
{
	struct drive *d = with("read@2=short,read@3=damaged,read@5+=error", "");
	struct drive_read r;

	for (int n = 0; n < 6; n++)
		put(d, n, NULL);
	flushed(d);
	drive_rewind(d, false);
	CU_ASSERT_EQUAL(get(d, &r), 0);
	CU_ASSERT_EQUAL(r.length, 1000);
	CU_ASSERT_EQUAL(get(d, &r), 0);
	CU_ASSERT_EQUAL(r.length, 500);
	CU_ASSERT_EQUAL(get(d, &r), REEL_EDAMAGED);
	CU_ASSERT_EQUAL(get(d, &r), 0);
	CU_ASSERT_EQUAL(get(d, &r), REEL_EIO);
	drive_rewind(d, false);
	CU_ASSERT_EQUAL(get(d, &r), REEL_EIO);
	drive_close(d);
	clean();
}

static void ends(void)
{
	struct drive *d = with("write@2=early,write@4=eom", "");
	bool early;

	CU_ASSERT_EQUAL(put(d, 1, &early), 0);
	CU_ASSERT(!early);
	CU_ASSERT_EQUAL(put(d, 2, &early), 0);
	CU_ASSERT(early);
	CU_ASSERT_EQUAL(put(d, 3, &early), 0);
	CU_ASSERT_EQUAL(put(d, 4, &early), REEL_ENOSPC);
	CU_ASSERT_EQUAL(put(d, 4, &early), REEL_ENOSPC);
	CU_ASSERT_EQUAL(flushed(d), 0);
	drive_close(d);
	CU_ASSERT_EQUAL(blocks(), 3);
	clean();
}

/* What the buffer has taken fits on the medium. */
static void capacity(void)
{
	struct drive *d = with("", "?capacity=500K&early=100K");
	unsigned taken = 0, before = 0;
	bool early = false;
	int error;

	while (!(error = put(d, 1, &early)) && taken < 1000) {
		taken++;
		before += !early;
	}
	CU_ASSERT_EQUAL(error, REEL_ENOSPC);
	CU_ASSERT_EQUAL(drive_flush(d), 0);
	CU_ASSERT_EQUAL(flushed(d), 0);
	drive_close(d);
	CU_ASSERT_EQUAL(blocks(), taken);
	CU_ASSERT_EQUAL(taken, 512000 / 1008);
	CU_ASSERT(before > 380 && before < 420);
	clean();
}

static void resets(void)
{
	struct drive *d = with("any@3=reset", "");
	struct drive_status s;

	put(d, 1, NULL);
	flushed(d);
	CU_ASSERT_EQUAL(put(d, 1, NULL), REEL_ERESET);
	CU_ASSERT_EQUAL(drive_status(d, &s), 0);
	CU_ASSERT(s.changed && !s.known);
	CU_ASSERT_EQUAL(put(d, 1, NULL), REEL_ERESET);
	CU_ASSERT_EQUAL(
		drive_space(d, DRIVE_TO_END, 0, &(struct drive_moved){0}), 0);
	CU_ASSERT_EQUAL(put(d, 1, NULL), 0);
	CU_ASSERT_EQUAL(drive_close(d), 0);
	CU_ASSERT_EQUAL(blocks(), 2);
	clean();
}

static void misuse(void)
{
	static const char *const wrong[] = {"fault:",
					    "fault:x:a.tap",
					    "fault:write@0=error:a.tap",
					    "fault:write@1=what:a.tap",
					    "fault:write@1error:a.tap",
					    "fault::nothing"};
	struct drive *d;

	for (size_t n = 0; n < sizeof(wrong) / sizeof(wrong[0]); n++)
		CU_ASSERT_EQUAL(drive_open(wrong[n], NULL, &d), REEL_EINVAL);
}

void suite_fault(void);
void suite_fault(void)
{
	CU_pSuite s = CU_add_suite("fault", begin, end);

	CU_add_test(s, "without faults", without_faults);
	CU_add_test(s, "hard error", hard_error);
	CU_add_test(s, "unflushed is lost", unflushed_is_lost);
	CU_add_test(s, "power", power);
	CU_add_test(s, "plug", plug);
	CU_add_test(s, "reads", reads);
	CU_add_test(s, "ends", ends);
	CU_add_test(s, "capacity", capacity);
	CU_add_test(s, "resets", resets);
	CU_add_test(s, "misuse", misuse);
}
