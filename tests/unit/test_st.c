#include <CUnit/CUnit.h>
#include <string.h>
#include "tape/drive.h"
#include "tape/error.h"
#include "tests/unit/st_kernel.h"

static uint8_t block[SCSI_TAPE_BLOCK];

/* Two tape files of two blocks, and one block that no filemark ends. */
static struct drive *filled(struct scsi_tape *t, bool simple)
{
	struct drive *d = NULL;

	scsi_tape_init(t);
	t->simple = simple;
	st_kernel_attach(t);
	for (int n = 0; n < 7; n++)
		t->objects[0][n] = (struct scsi_object){
			n % 3 == 2 ? 0 : 1000u + (uint32_t)n, (uint8_t)n};
	t->counts[0] = 7;
	CU_ASSERT_EQUAL_FATAL(drive_open(ST_KERNEL_NAME, NULL, &d), 0);
	return d;
}

static void done(struct drive *d)
{
	drive_close(d);
	st_kernel_attach(NULL);
}

static void finds(struct drive *d, enum drive_found found, size_t length)
{
	struct drive_read r;

	CU_ASSERT_EQUAL(drive_read(d, block, sizeof(block), &r), 0);
	CU_ASSERT_EQUAL(r.found, found);
	CU_ASSERT_EQUAL(r.length, length);
}

static void passes(struct drive *d, int64_t count, enum drive_found found)
{
	struct drive_moved m;

	CU_ASSERT_EQUAL(drive_space(d, DRIVE_FILEMARKS, count, &m), 0);
	CU_ASSERT_EQUAL(m.found, found);
}

static void read_all(struct drive *d)
{
	for (unsigned n = 0; n < 7; n++)
		finds(d, n % 3 == 2 ? DRIVE_FILEMARK : DRIVE_BLOCK,
		      n % 3 == 2 ? 0 : 1000 + n);
	finds(d, DRIVE_END, 0);
	finds(d, DRIVE_END, 0);
}

/* Over the end of the data, with and without a filemark before it. */
static void space_past_end(bool simple)
{
	struct scsi_tape t;
	struct drive *d = filled(&t, simple);

	passes(d, 1, DRIVE_BLOCK);
	passes(d, 1, DRIVE_BLOCK);
	passes(d, 1, DRIVE_END);
	finds(d, DRIVE_END, 0);
	passes(d, 1, DRIVE_END);
	CU_ASSERT_EQUAL(drive_rewind(d, false), 0);
	passes(d, 20, DRIVE_END);
	CU_ASSERT_EQUAL(drive_rewind(d, false), 0);
	read_all(d);
	t.counts[0] = 6; /* now it ends with a filemark */
	CU_ASSERT_EQUAL(drive_rewind(d, false), 0);
	passes(d, 2, DRIVE_BLOCK);
	passes(d, 1, DRIVE_END);
	CU_ASSERT_EQUAL(drive_rewind(d, false), 0);
	passes(d, 2, DRIVE_BLOCK);
	finds(d, DRIVE_END, 0);
	done(d);
}

static void past_the_end(void)
{
	space_past_end(false);
	space_past_end(true);
}

static void blank(void)
{
	for (int simple = 0; simple < 2; simple++) {
		struct scsi_tape t;
		struct drive *d = filled(&t, simple);

		t.counts[0] = 0;
		finds(d, DRIVE_END, 0);
		finds(d, DRIVE_END, 0);
		passes(d, 1, DRIVE_END);
		CU_ASSERT_EQUAL(drive_rewind(d, false), 0);
		passes(d, 1, DRIVE_END);
		CU_ASSERT_EQUAL(drive_rewind(d, false), 0);
		CU_ASSERT_EQUAL(drive_write(d, block, 1000, NULL), 0);
		CU_ASSERT_EQUAL(drive_mark(d, DRIVE_MARK_FILE, 1, false, NULL),
				0);
		CU_ASSERT_EQUAL(t.counts[0], 2);
		done(d);
	}
}

/* A block as long as the largest, at an end that the drive tells of while it
 * reads, is one when the tape went on behind it. */
static void largest_block(void)
{
	struct scsi_tape t;
	struct drive *d = filled(&t, false);

	t.counts[0] = 2;
	t.early = 0;
	t.reports = true;
	t.objects[0][0].length = t.objects[0][1].length = sizeof(block);
	finds(d, DRIVE_BLOCK, sizeof(block));
	finds(d, DRIVE_BLOCK, sizeof(block));
	finds(d, DRIVE_END, 0);
	done(d);
}

/* A move that fails elsewhere is no end. */
static void failing_move(void)
{
	struct scsi_tape t;
	struct drive *d = filled(&t, true);
	struct drive_moved m;

	scsi_tape_arm(&t, 0, false, SCSI_MEDIUM_ERROR, 0x1100);
	CU_ASSERT_EQUAL(drive_space(d, DRIVE_FILEMARKS, 1, &m), REEL_EIO);
	CU_ASSERT_EQUAL(drive_space(d, DRIVE_FILEMARKS, 1, &m), REEL_ERESET);
	done(d);
}

/* L1 */
static void end_of_medium(void)
{
	struct scsi_tape t;
	struct drive *d = filled(&t, true);
	unsigned before = 0, taken = 0;
	bool early = false;
	int error;

	t.early = 20;
	t.capacity = 24;
	while (!(error = drive_write(d, block, 1000, &early)) && taken < 100) {
		taken++;
		before += !early;
	}
	CU_ASSERT_EQUAL(error, REEL_ENOSPC);
	CU_ASSERT_EQUAL(taken, 24);
	CU_ASSERT(before >= 20 && before <= 21);
	done(d);
	CU_ASSERT_EQUAL(t.counts[0], 24);
}

void suite_st(void);
void suite_st(void)
{
	CU_pSuite s = CU_add_suite("st", NULL, NULL);

	CU_add_test(s, "past the end of the data", past_the_end);
	CU_add_test(s, "blank", blank);
	CU_add_test(s, "largest block", largest_block);
	CU_add_test(s, "a move that fails", failing_move);
	CU_add_test(s, "the end of the medium", end_of_medium);
}
