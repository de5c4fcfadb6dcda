/* The position: counted here, asked of the drive where it can tell, and found
 * again without LOCATE. */
#include <inttypes.h>
#include "tape/drive_kind.h"

/* ---- the counted position ---- */

static void add(uint64_t *number, uint64_t more)
{
	if (*number != DRIVE_UNKNOWN)
		*number =
			more == DRIVE_UNKNOWN ? DRIVE_UNKNOWN : *number + more;
}

static void take(uint64_t *number, uint64_t less)
{
	if (*number == DRIVE_UNKNOWN || less == DRIVE_UNKNOWN || *number < less)
		*number = DRIVE_UNKNOWN;
	else
		*number -= less;
}

void drive_at_begin(struct drive *d, uint32_t partition)
{
	d->at = (struct drive_position){.partition = partition};
	d->lost = d->early = d->at_mark = d->at_end = false;
}

void drive_passed_marks(struct drive *d, bool file, uint64_t count)
{
	if (!count)
		return;
	add(&d->at.object, count);
	if (file) {
		add(&d->at.file, count);
		d->at.block = 0;
	} else {
		add(&d->at.block, count);
	}
	d->at_mark = file;
}

void drive_passed_blocks(struct drive *d, uint64_t count)
{
	add(&d->at.object, count);
	add(&d->at.block, count);
	d->at_mark = false;
}

/* ---- position ---- */

int drive_tell(struct drive *d, struct drive_position *p)
{
	struct drive_position now = d->at;
	int error = drive_known(d, "asking for it");

	if (error)
		return error;
	if (d->op->tell) {
		error = d->op->tell(d, &now);
		if (error == REEL_EMEDIUM)
			return drive_fail(d, error, "no cartridge is loaded");
		if (error)
			return error;
		d->at = now;
	}
	*p = now;
	return 0;
}

int drive_rewind(struct drive *d, bool immediate)
{
	uint32_t partition = d->at.partition;
	int error = d->op->rewind(d, immediate);

	if (error) {
		d->lost = true;
		return error;
	}
	drive_at_begin(d, partition);
	return 0;
}

int drive_select(struct drive *d, uint32_t partition)
{
	int error;

	if (partition == d->at.partition)
		return drive_rewind(d, false);
	if (!d->op->select)
		return drive_lacks(d, "have more than one partition");
	error = d->op->select(d, partition);
	if (error)
		return drive_after(d, error);
	drive_at_begin(d, partition);
	return 0;
}

static void count_forward(struct drive *d, enum drive_unit unit,
			  const struct drive_moved *m)
{
	if (unit == DRIVE_BLOCKS) {
		drive_passed_blocks(d, m->count);
		if (m->found == DRIVE_FILEMARK || m->found == DRIVE_SETMARK)
			drive_passed_marks(d, m->found == DRIVE_FILEMARK, 1);
		return;
	}
	d->at.object = DRIVE_UNKNOWN;
	d->at.block = DRIVE_UNKNOWN;
	if (unit != DRIVE_FILEMARKS) {
		d->at.file = DRIVE_UNKNOWN;
		return;
	}
	add(&d->at.file, m->count);
	d->at_mark = m->found == DRIVE_BLOCK;
	if (d->at_mark)
		d->at.block = 0;
}

static void count_back(struct drive *d, enum drive_unit unit,
		       const struct drive_moved *m)
{
	if (m->found == DRIVE_BEGIN) {
		drive_at_begin(d, d->at.partition);
		return;
	}
	if (unit == DRIVE_BLOCKS) {
		take(&d->at.object, m->count);
		take(&d->at.block, m->count);
		if (m->found == DRIVE_BLOCK)
			return;
		take(&d->at.object, 1);
		d->at.block = DRIVE_UNKNOWN;
		if (m->found == DRIVE_FILEMARK)
			take(&d->at.file, 1);
		return;
	}
	d->at.object = d->at.block = DRIVE_UNKNOWN;
	if (unit == DRIVE_FILEMARKS)
		take(&d->at.file, m->count);
	else
		d->at.file = DRIVE_UNKNOWN;
}

int drive_space(struct drive *d, enum drive_unit unit, int64_t count,
		struct drive_moved *m)
{
	int error = unit == DRIVE_TO_END ? 0 : drive_known(d, "moving");

	*m = (struct drive_moved){0};
	if (error || (!count && unit != DRIVE_TO_END))
		return error;
	error = drive_after(d, d->op->space(d, unit, count, m));
	if (error)
		return error;
	d->at_mark = d->early = false;
	d->at_end = m->found == DRIVE_END || unit == DRIVE_TO_END;
	if (unit == DRIVE_TO_END)
		d->lost = false;
	if (count < 0 && unit != DRIVE_TO_END)
		count_back(d, unit, m);
	else
		count_forward(d, unit, m);
	return 0;
}

/* ---- seeking without LOCATE ---- */

static int move(struct drive *d, enum drive_unit unit, int64_t count)
{
	struct drive_moved m;
	int error = count ? drive_space(d, unit, count, &m) : 0;

	if (error || !count)
		return error;
	return m.found == DRIVE_BLOCK ? 0 : REEL_ENOENT;
}

/* To the first object of a file. What cannot LOCATE is not trusted to count
 * back over marks, either: tgt is off by one there. */
static int to_file(struct drive *d, uint64_t file)
{
	uint64_t now = d->at.file;
	int error;

	if (file > INT32_MAX)
		return REEL_ENOENT;
	if (!file || now == DRIVE_UNKNOWN || d->lost ||
	    (file <= now && !d->op->locate)) {
		error = drive_rewind(d, false);
		now = 0;
	} else if (file <= now) {
		error = move(d, DRIVE_FILEMARKS, -(int64_t)(now - file + 1));
		now = file - 1;
	} else {
		error = 0;
	}
	return error ? error : move(d, DRIVE_FILEMARKS, (int64_t)(file - now));
}

static int walk(struct drive *d, const struct drive_position *p)
{
	struct drive_position now;
	int error = 0;

	if (p->block > INT32_MAX)
		return REEL_ENOENT;
	if (!d->lost && !drive_tell(d, &now) && now.file == p->file &&
	    now.block != DRIVE_UNKNOWN)
		return move(d, DRIVE_BLOCKS,
			    (int64_t)p->block - (int64_t)now.block);
	error = to_file(d, p->file);
	return error ? error : move(d, DRIVE_BLOCKS, (int64_t)p->block);
}

static int locate(struct drive *d, const struct drive_position *p)
{
	int error = d->op->locate(d, p->partition, p->object);

	if (error) {
		/* the end is a place of its own; all else is uncertain */
		if (error == REEL_ENOENT)
			d->at = (struct drive_position){
				p->partition, DRIVE_UNKNOWN, DRIVE_UNKNOWN,
				DRIVE_UNKNOWN};
		d->lost = error != REEL_ENOENT;
		return error;
	}
	drive_at_begin(d, p->partition);
	d->at = *p;
	return 0;
}

static int seek(struct drive *d, const struct drive_position *p)
{
	int error = 0;

	if (p->object != DRIVE_UNKNOWN && d->op->locate)
		return locate(d, p);
	if (p->file == DRIVE_UNKNOWN || p->block == DRIVE_UNKNOWN) {
		if (p->object == 0)
			return drive_select(d, p->partition);
		return drive_lacks(d, "seek by a block's number alone; give "
				      "the file's number and the block's "
				      "in it");
	}
	if (p->partition != d->at.partition)
		error = drive_select(d, p->partition);
	return error ? error : walk(d, p);
}

int drive_seek(struct drive *d, const struct drive_position *p)
{
	int error = seek(d, p);

	if (error != REEL_ENOENT)
		return error;
	if (p->object != DRIVE_UNKNOWN)
		return drive_fail(d, error,
				  "there is no block %" PRIu64
				  ": the data end before it",
				  p->object);
	return drive_fail(d, error,
			  "there is no block %" PRIu64 " in file %" PRIu64,
			  p->block, p->file);
}
