/* Drives of Linux: the driver's calls, and moving about. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include "tape/drive_st.h"

/* ---- calls ---- */

int st_operate(struct st_drive *d, short what, int count)
{
	struct mtop op = {.mt_op = what, .mt_count = count};

	while (ioctl(d->fd, MTIOCTOP, &op) < 0) {
		if (errno != EINTR)
			return errno;
		if (d->scsi.base.options.stop && *d->scsi.base.options.stop)
			return EINTR;
	}
	d->writing = false;
	return 0;
}

long st_state(const struct st_drive *d)
{
	struct mtget get = {0};

	return ioctl(d->fd, MTIOCGET, &get) < 0 ? 0 : get.mt_gstat;
}

int st_error(int err)
{
	switch (err) {
	case EINTR:
		return REEL_ESTOPPED;
	case ENOMEDIUM:
		return REEL_EMEDIUM;
	case EBUSY:
		return REEL_EBUSY;
	case ENXIO:
	case ENODEV:
		return REEL_ENOENT;
	case EACCES:
		return REEL_EROFS; /* st: the cartridge is write-protected */
	case ENOSYS:
		return REEL_ENOTSUP;
	default:
		return error_from_errno(err);
	}
}

int st_failed(struct st_drive *d, int err, const char *what)
{
	int error = st_error(err);

	if (error == REEL_ESTOPPED)
		return error;
	if (error == REEL_ENOTSUP)
		return drive_lacks(&d->scsi.base, what);
	if (error == REEL_EMEDIUM)
		return drive_fail(&d->scsi.base, error,
				  "no cartridge is loaded");
	if (error == REEL_EROFS)
		return drive_fail(&d->scsi.base, error,
				  "the cartridge is write-protected");
	return drive_fail(&d->scsi.base, error, "cannot %s: %s", what,
			  strerror(err));
}

int st_operate_or_say(struct st_drive *d, short what, int count,
		      const char *name)
{
	int err = st_operate(d, what, count);

	return err ? st_failed(d, err, name) : 0;
}

/* ---- position ---- */

int st_rewind(struct drive *base, bool immediate)
{
	(void)immediate;
	return st_operate_or_say(st_of(base), MTREW, 1, "rewind");
}

int st_select(struct drive *base, uint32_t partition)
{
	struct st_drive *d = st_of(base);
	int err = st_operate(d, MTSETPART, (int)partition);

	if (err == EINVAL)
		return drive_fail(base, REEL_EINVAL,
				  "there is no partition %u, or partitions are "
				  "not enabled for it (mt stoptions)",
				  (unsigned)partition);
	if (!err)
		err = st_operate(d, MTREW, 1);
	return err ? st_failed(d, err, "change the partition") : 0;
}

int st_locate(struct drive *base, uint32_t partition, uint64_t object)
{
	struct st_drive *d = st_of(base);
	int error, err;

	if (object > INT32_MAX)
		return drive_fail(base, REEL_ERANGE,
				  "Linux finds blocks up to number %d",
				  INT32_MAX);
	if (partition != base->at.partition) {
		error = st_select(base, partition);
		if (error)
			return error;
	}
	err = st_operate(d, MTSEEK, (int)object);
	if (err == EIO && GMT_EOD(st_state(d)))
		return REEL_ENOENT;
	return err ? st_failed(d, err, "find a place on the tape") : 0;
}

int st_tell(struct drive *base, struct drive_position *p)
{
	struct st_drive *d = st_of(base);

	return d->writing ? 0 : drive_scsi_tell(base, p);
}

static short space_operation(enum drive_unit unit, bool back)
{
	switch (unit) {
	case DRIVE_BLOCKS:
		return back ? MTBSR : MTFSR;
	case DRIVE_FILEMARKS:
		return back ? MTBSF : MTFSF;
	case DRIVE_SETMARKS:
		return back ? MTBSS : MTFSS;
	default:
		return MTEOM;
	}
}

/* L3. Where it is not the end, the place is lost. */
static bool is_end(struct st_drive *d)
{
	uint8_t *block = malloc(d->scsi.block_max);
	struct drive_read r = {0};
	bool end;

	end = block && !st_read(&d->scsi.base, block, d->scsi.block_max, &r) &&
	      r.found == DRIVE_END;
	free(block);
	return end;
}

/* What stopped a move, and how far it came where the drive tells. */
static int stopped(struct st_drive *d, enum drive_unit unit, bool back,
		   const struct drive_position *was, struct drive_moved *m)
{
	struct drive_position now = *was;
	long flags = st_state(d);
	uint64_t objects;

	if (back && GMT_BOT(flags))
		m->found = DRIVE_BEGIN;
	else if (GMT_EOD(flags))
		m->found = DRIVE_END;
	else if (unit == DRIVE_BLOCKS && GMT_EOF(flags))
		m->found = DRIVE_FILEMARK;
	else if (!back && unit != DRIVE_TO_END && is_end(d))
		m->found = DRIVE_END;
	else
		return REEL_EIO;
	m->count = DRIVE_UNKNOWN;
	now.object = DRIVE_UNKNOWN;
	st_tell(&d->scsi.base, &now);
	if (now.object == DRIVE_UNKNOWN || was->object == DRIVE_UNKNOWN)
		return 0;
	objects = back ? was->object - now.object : now.object - was->object;
	if (unit == DRIVE_BLOCKS)
		m->count = objects - (m->found == DRIVE_FILEMARK);
	else if (now.file != DRIVE_UNKNOWN && was->file != DRIVE_UNKNOWN)
		m->count = back ? was->file - now.file : now.file - was->file;
	return 0;
}

int st_space(struct drive *base, enum drive_unit unit, int64_t count,
	     struct drive_moved *m)
{
	struct st_drive *d = st_of(base);
	struct drive_position was = base->at;
	bool back = count < 0 && unit != DRIVE_TO_END;
	int64_t many = back ? -count : count;
	int err, error;

	if (unit == DRIVE_SEQUENTIAL_FILEMARKS ||
	    unit == DRIVE_SEQUENTIAL_SETMARKS)
		return drive_lacks(base, "move over marks in a row");
	if (many > INT32_MAX)
		return drive_fail(base, REEL_ERANGE,
				  "Linux moves over at most %d at once",
				  INT32_MAX);
	err = st_operate(d, space_operation(unit, back),
			 unit == DRIVE_TO_END ? 1 : (int)many);
	m->count = (uint64_t)many;
	if (!err)
		return 0;
	if (err == EIO && unit == DRIVE_SETMARKS)
		return st_failed(d, ENOSYS, "move over setmarks");
	error = err == EIO ? stopped(d, unit, back, &was, m) : err;
	if (!error)
		return 0;
	return st_failed(d, err,
			 unit == DRIVE_TO_END ? "find the end of the data"
					      : "move");
}
