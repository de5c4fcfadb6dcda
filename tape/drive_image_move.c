/* Image drives: moving about. */
#include "tape/drive_image.h"

/* ---- position ---- */

int image_rewind(struct drive *d, bool immediate)
{
	struct image *i = image_of(d);
	int error = image_needs_cartridge(i);

	(void)immediate;
	if (!error)
		i->at = (struct tap_place){0};
	return error;
}

int image_select(struct drive *d, uint32_t partition)
{
	struct image *i = image_of(d);
	int error = image_needs_cartridge(i);

	if (error)
		return error;
	if (partition >= i->conf.partitions)
		return drive_fail(d, REEL_EINVAL,
				  "there is no partition %u, only 0 to %u",
				  (unsigned)partition,
				  (unsigned)i->conf.partitions - 1);
	return image_insert(i, partition);
}

int image_locate(struct drive *d, uint32_t partition, uint64_t object)
{
	struct image *i = image_of(d);
	int error = image_needs_cartridge(i);

	if (!error && partition != i->partition)
		error = image_select(d, partition);
	if (error)
		return error;
	error = tap_find_object(&i->tap, object, &i->at);
	if (error && error != REEL_ENOENT)
		return drive_fail(d, error, "cannot be read");
	return error;
}

int image_tell(struct drive *d, struct drive_position *p)
{
	const struct image *i = image_of(d);

	if (!i->present)
		return REEL_EMEDIUM;
	*p = (struct drive_position){i->partition, i->at.object, i->at.file,
				     i->at.block};
	return 0;
}

/* ---- spacing ---- */

static bool stops(const struct image *i, enum tap_object what)
{
	return what == TAP_FILEMARK || (what == TAP_SETMARK && i->conf.report);
}

static enum drive_found found_of(enum tap_object what)
{
	switch (what) {
	case TAP_FILEMARK:
		return DRIVE_FILEMARK;
	case TAP_SETMARK:
		return DRIVE_SETMARK;
	case TAP_END:
	case TAP_DAMAGE:
		return DRIVE_END;
	default:
		return DRIVE_BLOCK;
	}
}

static int step_back(struct image *i, enum tap_object *what)
{
	uint32_t length;
	int error = tap_find_object(&i->tap, i->at.object - 1, &i->at);

	return error ? error : tap_peek(&i->tap, &i->at, what, &length);
}

/* What `unit` counts. */
static bool counts(enum drive_unit unit, enum tap_object what)
{
	switch (unit) {
	case DRIVE_FILEMARKS:
	case DRIVE_SEQUENTIAL_FILEMARKS:
		return what == TAP_FILEMARK;
	case DRIVE_SETMARKS:
	case DRIVE_SEQUENTIAL_SETMARKS:
		return what == TAP_SETMARK;
	default:
		return what == TAP_BLOCK || what == TAP_BAD;
	}
}

/* What ends a move before it is complete. */
static bool blocks_way(const struct image *i, enum drive_unit unit,
		       enum tap_object what)
{
	if (unit == DRIVE_BLOCKS)
		return stops(i, what);
	return unit == DRIVE_FILEMARKS && what == TAP_SETMARK && i->conf.report;
}

/* Object by object, for all units. */
static int space_steps(struct image *i, enum drive_unit unit, uint64_t count,
		       bool back, struct drive_moved *m)
{
	bool row = unit == DRIVE_SEQUENTIAL_FILEMARKS ||
		   unit == DRIVE_SEQUENTIAL_SETMARKS;
	uint64_t have = 0;

	while (have < count) {
		enum tap_object what;
		int error;

		if (back && !i->at.object) {
			m->found = DRIVE_BEGIN;
			break;
		}
		error = back ? step_back(i, &what)
			     : tap_step(&i->tap, &i->at, &what);
		if (error)
			return error;
		m->found = found_of(what);
		if (m->found == DRIVE_END)
			break;
		if (counts(unit, what))
			have++;
		else if (blocks_way(i, unit, what))
			break;
		else if (row)
			have = 0;
		m->found = DRIVE_BLOCK;
	}
	m->count = row && have < count ? 0 : have;
	return 0;
}

/* Over filemarks where no setmarks can be in the way. */
static int space_marks(struct image *i, uint64_t count, bool back,
		       struct drive_moved *m)
{
	struct tap *t = &i->tap;
	int error;

	if (back && count > i->at.file) {
		*m = (struct drive_moved){i->at.file, DRIVE_BEGIN};
		i->at = (struct tap_place){0};
		return 0;
	}
	if (back) {
		m->count = count;
		return tap_find_mark(t, i->at.file - count, &i->at);
	}
	if (count > t->end.file - i->at.file) {
		*m = (struct drive_moved){t->end.file - i->at.file, DRIVE_END};
		i->at = t->end;
		return 0;
	}
	m->count = count;
	error = tap_find_mark(t, i->at.file + count - 1, &i->at);
	return error ? error : tap_find_object(t, i->at.object + 1, &i->at);
}

/* Back over blocks alone; all the other moves go step by step. */
static int space_blocks_back(struct image *i, uint64_t count,
			     struct drive_moved *m)
{
	if (count > i->at.run)
		return space_steps(i, DRIVE_BLOCKS, count, true, m);
	m->count = count;
	return tap_find_object(&i->tap, i->at.object - count, &i->at);
}

int image_space(struct drive *d, enum drive_unit unit, int64_t count,
		struct drive_moved *m)
{
	struct image *i = image_of(d);
	bool back = count < 0;
	uint64_t many = back ? (uint64_t)0 - (uint64_t)count : (uint64_t)count;
	int error = image_needs_cartridge(i);

	if (error)
		return error;
	if (unit == DRIVE_TO_END) {
		i->at = i->tap.end;
		return 0;
	}
	if (!i->conf.setmarks &&
	    (unit == DRIVE_SETMARKS || unit == DRIVE_SEQUENTIAL_SETMARKS))
		return drive_lacks(d, "move over setmarks");
	if (unit == DRIVE_FILEMARKS && !i->conf.setmarks)
		error = space_marks(i, many, back, m);
	else if (unit == DRIVE_BLOCKS && back)
		error = space_blocks_back(i, many, m);
	else
		error = space_steps(i, unit, many, back, m);
	if (error)
		return drive_fail(d, error, "cannot be read");
	return 0;
}
