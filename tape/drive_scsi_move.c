/* SCSI drives: moving about. */
#include "tape/drive_scsi.h"

#define SPACE_LIMIT    0x7fffff /* of a SPACE(6), either way */
#define SPACE_BLOCKS   0
#define SPACE_MARKS    1
#define SPACE_ROW      2
#define SPACE_END      3
#define SPACE_SETS     4
#define SPACE_SETS_ROW 5
#define CHANGE	       0x02 /* LOCATE changes the partition */
#define LONG_FORM      6

/* ---- spacing ---- */

int drive_scsi_space_raw(struct scsi_drive *d, uint8_t code, int64_t count,
			 struct scsi_sense *s)
{
	bool large = count > SPACE_LIMIT || count < -SPACE_LIMIT;
	struct scsi_command c;

	scsi_begin(&c, large ? SCSI_SPACE_16 : SCSI_SPACE, SCSI_TIME_MOVE);
	c.cdb[1] = code;
	if (large)
		scsi_put64(c.cdb + 4, (uint64_t)count);
	else
		scsi_put24(c.cdb + 2, (uint32_t)count & 0xffffff);
	return drive_scsi_run(
		d, &c, code == SPACE_END ? SCSI_ABSOLUTE : SCSI_RELATIVE, s);
}

/* By a move over none: some drives (of tgt) write filemarks when they are asked
 * for setmarks. */
bool drive_scsi_has_setmarks(struct scsi_drive *d)
{
	struct scsi_sense s;

	return !drive_scsi_space_raw(d, SPACE_SETS, 0, &s);
}

static uint8_t space_code(enum drive_unit unit)
{
	switch (unit) {
	case DRIVE_BLOCKS:
		return SPACE_BLOCKS;
	case DRIVE_FILEMARKS:
		return SPACE_MARKS;
	case DRIVE_SEQUENTIAL_FILEMARKS:
		return SPACE_ROW;
	case DRIVE_SETMARKS:
		return SPACE_SETS;
	case DRIVE_SEQUENTIAL_SETMARKS:
		return SPACE_SETS_ROW;
	case DRIVE_TO_END:
		return SPACE_END;
	}
	return SPACE_BLOCKS;
}

static const char *const unit_names[] = {"move over blocks",
					 "move over filemarks",
					 "move over filemarks in a row",
					 "move over setmarks",
					 "move over setmarks in a row",
					 "find the end of the data"};

/* How far it came: INFORMATION is what was left. Drives without it (tgt) do not
 * tell. */
static uint64_t passed(const struct scsi_sense *s, int64_t count)
{
	uint64_t many =
		count < 0 ? (uint64_t)0 - (uint64_t)count : (uint64_t)count;
	uint64_t left;

	if (!s->informed)
		return DRIVE_UNKNOWN;
	left = s->information < 0 ? (uint64_t)0 - (uint64_t)s->information
				  : (uint64_t)s->information;
	return left <= many ? many - left : DRIVE_UNKNOWN;
}

/* tgt says no more of the end of the data than that it is the end. */
static bool at_end(const struct scsi_sense *s, int64_t count)
{
	return count > 0 && s->eom && !s->filemark && !s->informed;
}

static bool at_beginning(const struct scsi_sense *s, int64_t count)
{
	return count < 0 && (s->eom || s->code == 0x0004 || s->code == 0x3b01);
}

int drive_scsi_space(struct drive *base, enum drive_unit unit, int64_t count,
		     struct drive_moved *m)
{
	struct scsi_drive *d = scsi_drive_of(base);
	struct scsi_sense s;
	int error;

	if (unit == DRIVE_TO_END)
		count = 0;
	error = drive_scsi_space_raw(d, space_code(unit), count, &s);
	if (unit == DRIVE_TO_END && error == REEL_ENOENT)
		return 0;
	if (s.deferred || (error && error != REEL_ENOENT &&
			   !at_beginning(&s, count) && !s.filemark)) {
		if (error == REEL_EINVAL && unit != DRIVE_BLOCKS &&
		    unit != DRIVE_FILEMARKS)
			error = REEL_ENOTSUP;
		return drive_scsi_failed(d, error ? error : REEL_EIO,
					 unit_names[unit], &s);
	}
	m->count = count < 0 ? (uint64_t)0 - (uint64_t)count : (uint64_t)count;
	if (at_beginning(&s, count))
		m->found = DRIVE_BEGIN;
	else if (error == REEL_ENOENT || at_end(&s, count))
		m->found = DRIVE_END;
	else if (s.filemark)
		m->found = s.code == 0x0003 ? DRIVE_SETMARK : DRIVE_FILEMARK;
	if (m->found != DRIVE_BLOCK)
		m->count = passed(&s, count);
	return 0;
}

int drive_scsi_rewind(struct drive *base, bool immediate)
{
	struct scsi_command c;

	scsi_begin(&c, SCSI_REWIND, SCSI_TIME_MOVE);
	c.cdb[1] = immediate;
	return drive_scsi_do(scsi_drive_of(base), &c, SCSI_FRESH, "rewind");
}

/* ---- places ---- */

static int locate_raw(struct scsi_drive *d, bool change, uint32_t partition,
		      uint64_t object, struct scsi_sense *s)
{
	bool large = object > UINT32_MAX;
	struct scsi_command c;

	scsi_begin(&c, large ? SCSI_LOCATE_16 : SCSI_LOCATE, SCSI_TIME_MOVE);
	c.cdb[1] = change ? CHANGE : 0;
	if (large) {
		c.cdb[3] = (uint8_t)partition;
		scsi_put64(c.cdb + 4, object);
	} else {
		scsi_put32(c.cdb + 3, (uint32_t)object);
		c.cdb[8] = (uint8_t)partition;
	}
	return drive_scsi_run(d, &c, SCSI_ABSOLUTE, s);
}

int drive_scsi_locate(struct drive *base, uint32_t partition, uint64_t object)
{
	struct scsi_drive *d = scsi_drive_of(base);
	bool change = partition != base->at.partition;
	struct scsi_sense s;
	int error = locate_raw(d, change, partition, object, &s);

	if (!error || error == REEL_ENOENT)
		return error;
	/* some say so when the place is behind the end of the data */
	if (error == REEL_EDAMAGED && (s.code == 0x1400 || s.code == 0x1403))
		return REEL_ENOENT;
	if (error == REEL_EINVAL && change)
		return drive_fail(base, error, "there is no partition %u",
				  (unsigned)partition);
	return drive_scsi_failed(d, error, "find a place on the tape", &s);
}

int drive_scsi_select(struct drive *base, uint32_t partition)
{
	struct scsi_drive *d = scsi_drive_of(base);

	if (!d->has_locate)
		return drive_lacks(base, "have more than one partition");
	return drive_scsi_locate(base, partition, 0);
}

static bool ask(struct scsi_drive *d, uint8_t form, struct scsi_position *p)
{
	uint8_t data[32] = {0};
	struct scsi_command c;
	struct scsi_sense s;

	scsi_begin(&c, SCSI_READ_POSITION, SCSI_TIME_SHORT);
	c.cdb[1] = form;
	c.in = data;
	c.length = form == LONG_FORM ? 32 : 20;
	if (drive_scsi_run(d, &c, SCSI_RELATIVE, &s))
		return false;
	if (form == LONG_FORM)
		return scsi_parse_position_long(data, c.transferred, p);
	return scsi_parse_position(data, c.transferred, p);
}

bool drive_scsi_position(struct scsi_drive *d, struct scsi_position *p)
{
	struct scsi_position brief, whole;

	if (!d->has_tell || !ask(d, 0, &brief) || !brief.known)
		return false;
	*p = brief;
	/* believed where it agrees with the short form */
	if (d->has_long && ask(d, LONG_FORM, &whole) && whole.known &&
	    whole.partition == brief.partition &&
	    (uint32_t)whole.object == (uint32_t)brief.object)
		*p = whole;
	return true;
}

int drive_scsi_tell(struct drive *base, struct drive_position *p)
{
	struct scsi_drive *d = scsi_drive_of(base);
	struct scsi_position now;

	if (!drive_scsi_position(d, &now))
		return 0; /* what was counted stands */
	if (p->object != now.object || p->partition != now.partition)
		p->block = DRIVE_UNKNOWN;
	p->partition = now.partition;
	p->object = now.object;
	if (now.file != UINT64_MAX)
		p->file = now.file;
	else if (p->block == DRIVE_UNKNOWN)
		p->file = DRIVE_UNKNOWN;
	if (!p->object)
		p->file = p->block = 0;
	return 0;
}

void drive_scsi_probe(struct scsi_drive *d)
{
	struct scsi_position p;
	struct scsi_sense s;

	d->has_tell = ask(d, 0, &p) && p.known && !p.object;
	d->has_long =
		d->has_tell && ask(d, LONG_FORM, &p) && p.known && !p.object;
	d->has_locate = d->has_tell && !locate_raw(d, false, 0, 0, &s);
}

void drive_scsi_look(struct scsi_drive *d)
{
	struct scsi_position p;

	d->has_tell = ask(d, 0, &p) && p.known;
	d->has_long = d->has_locate = d->has_tell;
}
