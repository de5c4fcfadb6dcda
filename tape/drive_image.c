/* Image drives: a .tap file for each partition (tap.h), settings beside it
 * (image_conf.h). One program writes an image, or several read it: flock(2) on
 * the first partition's file.
 *
 * A block that does not fit into the capacity is refused whole; marks have a
 * reserve behind it, as tapes do. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include "tape/bytes.h"
#include "tape/drive_kind.h"
#include "tape/image_conf.h"
#include "tape/log.h"
#include "tape/tap.h"

#define MARK_RESERVE (64u << 10) /* bytes behind the capacity */
#define EARLY_SHARE  64		 /* of the capacity, when not set */
#define CONF_END     ".conf"
#define ZEROS	     (256u << 10)

struct image {
	struct drive base;
	struct image_conf conf;	 /* with the options behind the name */
	struct image_conf saved; /* without */
	char *path;		 /* of the first partition */
	char *conf_path;
	int lock;	/* the first partition, flocked */
	bool writable;	/* the files can be written */
	bool present;	/* a cartridge is loaded: tap is open */
	struct tap tap; /* of the partition */
	uint32_t partition;
	struct tap_place at;
};

static struct image *image_of(struct drive *d)
{
	return (struct image *)d;
}

/* ---- files ---- */

static char *text(const char *front, size_t length, const char *end)
{
	size_t more = strlen(end) + 1;
	char *made = malloc(length + more);

	if (!made)
		return NULL;
	memcpy(made, front, length);
	memcpy(made + length, end, more);
	return made;
}

static char *partition_path(const struct image *i, uint32_t partition)
{
	char end[16] = "";

	if (partition)
		snprintf(end, sizeof(end), ".p%u", (unsigned)partition);
	return text(i->path, strlen(i->path), end);
}

static int cannot(struct image *i, const char *what, int err)
{
	return drive_fail(&i->base, error_from_errno(err), "cannot %s: %s",
			  what, strerror(err));
}

static int open_file(struct image *i, const char *path, bool create, int *fd)
{
	int flags = O_CLOEXEC | (i->writable ? O_RDWR : O_RDONLY);
	struct stat st;

	if (create && i->writable)
		flags |= O_CREAT;
	*fd = open(path, flags, 0666);
	if (*fd < 0)
		return error_from_errno(errno);
	if (fstat(*fd, &st) || !S_ISREG(st.st_mode)) {
		close(*fd);
		return REEL_EINVAL;
	}
	return 0;
}

/* The first file decides whether the image can be written at all. */
static int open_first(struct image *i, const struct drive_options *o)
{
	int error;

	i->writable = !o->read_only;
	error = open_file(i, i->path, o->create, &i->lock);
	if (i->writable && (error == REEL_EPERM || error == REEL_EROFS)) {
		i->writable = false;
		error = open_file(i, i->path, false, &i->lock);
	}
	if (error == REEL_EINVAL)
		return drive_fail(&i->base, error, "not a regular file");
	if (error)
		return drive_fail(&i->base, error, "cannot be opened: %s",
				  error_text(error));
	if (!flock(i->lock, (i->writable ? LOCK_EX : LOCK_SH) | LOCK_NB))
		return 0;
	error = errno == EWOULDBLOCK ? REEL_EBUSY : error_from_errno(errno);
	return drive_fail(&i->base, error,
			  error == REEL_EBUSY
				  ? "another program uses it; try again when "
				    "it has ended"
				  : "cannot be locked");
}

/* ---- the cartridge ---- */

static int refuse_content(struct image *i, int error)
{
	if (error == REEL_EDAMAGED)
		return drive_fail(&i->base, error,
				  "not a tape image: it does not begin with a "
				  "block or a filemark");
	return drive_fail(&i->base, error, "cannot be read: %s",
			  error_text(error));
}

static void say_tail(const struct image *i)
{
	if (i->tap.torn)
		log_warning("%s: the last block is not whole (its writer was "
			    "cut short); the data end before it, at byte "
			    "%" PRIu64,
			    i->path, i->tap.end.offset);
	if (i->tap.damaged)
		log_warning("%s: damaged at byte %" PRIu64
			    "; what lies behind it cannot be read",
			    i->path, i->tap.end.offset);
}

static int insert(struct image *i, uint32_t partition)
{
	char *path = partition_path(i, partition);
	struct tap tap;
	int fd, error;

	if (!path)
		return REEL_ENOMEM;
	error = open_file(i, path, partition != 0, &fd);
	free(path);
	if (error)
		return drive_fail(&i->base, error,
				  "partition %u cannot be opened: %s",
				  (unsigned)partition, error_text(error));
	error = tap_init(&tap, fd, i->conf.repair);
	if (error) {
		close(fd);
		return refuse_content(i, error);
	}
	if (i->present)
		tap_release(&i->tap);
	i->tap = tap;
	i->present = true;
	i->partition = partition;
	i->at = (struct tap_place){0};
	say_tail(i);
	return 0;
}

static void eject(struct image *i)
{
	if (i->present)
		tap_release(&i->tap);
	i->present = false;
}

static int needs_cartridge(struct image *i)
{
	if (i->present)
		return 0;
	return drive_fail(&i->base, REEL_EMEDIUM,
			  "no cartridge is loaded; `reel tape load` loads it");
}

static bool write_protected(const struct image *i)
{
	return i->conf.is_protected || !i->writable;
}

static int may_write(struct image *i)
{
	int error = needs_cartridge(i);

	if (!error && write_protected(i))
		return drive_fail(&i->base, REEL_EROFS,
				  "the cartridge is write-protected");
	return error;
}

/* ---- open and close ---- */

static const struct drive_operations image_operations;
static const struct drive_operations walking_operations;

static int configure(struct image *i, const char *options)
{
	const char *wrong = NULL;
	int error = image_conf_load(&i->saved, i->conf_path);

	i->conf = i->saved;
	if (error || !*options)
		return error;
	options++;
	if (!image_conf_parse(&i->conf, options, strlen(options), true, &wrong))
		return 0;
	return drive_fail(&i->base, REEL_EINVAL, "not understood: ?%.*s",
			  (int)strcspn(wrong, "&"), wrong);
}

static int close_image(struct drive *d)
{
	struct image *i = image_of(d);

	eject(i);
	if (i->lock >= 0)
		close(i->lock);
	free(i->path);
	free(i->conf_path);
	free(i);
	return 0;
}

static int begin(struct image *i, const char *name,
		 const struct drive_options *o)
{
	size_t length = strcspn(name, "?");
	bool made;
	int error;

	image_conf_init(&i->saved);
	i->path = text(name, length, "");
	i->conf_path = text(name, length, CONF_END);
	if (!i->path || !i->conf_path)
		return REEL_ENOMEM;
	error = configure(i, name + length);
	if (error)
		return error;
	made = o->create && access(i->path, F_OK) != 0;
	error = open_first(i, o);
	if (error)
		return error;
	if (made && name[length]) {
		i->saved = i->conf;
		error = image_conf_save(&i->saved, i->conf_path);
	}
	if (error || !i->conf.loaded)
		return error;
	return insert(i, 0);
}

int drive_image_open(const char *name, const struct drive_options *o,
		     struct drive **d)
{
	struct image *i = calloc(1, sizeof(*i));
	int error;

	if (!i)
		return REEL_ENOMEM;
	i->lock = -1;
	i->base.name = (char *)(uintptr_t)name;
	i->base.options = *o;
	error = begin(i, name, o);
	i->base.op = i->conf.locate ? &image_operations : &walking_operations;
	if (error) {
		close_image(&i->base);
		return error;
	}
	*d = &i->base;
	return 0;
}

/* ---- reading ---- */

static int read_image(struct drive *d, void *to, size_t room,
		      struct drive_read *r)
{
	struct image *i = image_of(d);
	enum tap_object what = TAP_END;
	uint32_t length = 0;
	int error = needs_cartridge(i);

	if (error)
		return error;
	error = tap_read(&i->tap, &i->at, to, room, &what, &length);
	r->length = length;
	if (error == REEL_ERANGE)
		return error;
	if (error)
		return drive_fail(d, error, "cannot be read at byte %" PRIu64,
				  i->at.offset);
	switch (what) {
	case TAP_BLOCK:
		r->found = DRIVE_BLOCK;
		return 0;
	case TAP_BAD:
		return drive_fail(d, REEL_EDAMAGED,
				  "block %" PRIu64
				  " is marked as unreadable by its writer",
				  i->at.object - 1);
	case TAP_FILEMARK:
		r->found = DRIVE_FILEMARK;
		break;
	case TAP_SETMARK:
		r->found = DRIVE_SETMARK;
		break;
	default:
		r->found = DRIVE_END;
	}
	r->length = 0;
	if (what != TAP_DAMAGE)
		return 0;
	return drive_fail(d, REEL_EDAMAGED,
			  "damaged at byte %" PRIu64
			  "; what lies behind it cannot be read",
			  i->at.offset);
}

/* ---- writing ---- */

static uint64_t capacity(const struct image *i)
{
	return i->conf.capacity[i->partition];
}

static uint64_t early_size(const struct image *i)
{
	if (i->conf.early != DRIVE_UNKNOWN)
		return i->conf.early;
	return capacity(i) / EARLY_SHARE;
}

static bool is_early(const struct image *i)
{
	uint64_t limit = capacity(i);

	return limit && i->at.offset + early_size(i) >= limit;
}

static bool fits(const struct image *i, uint64_t bytes, uint64_t reserve)
{
	uint64_t limit = capacity(i);

	return !limit || i->at.offset + bytes <= limit + reserve;
}

static int wrote(struct image *i, int error, bool *early)
{
	*early = is_early(i);
	switch (error) {
	case 0:
		return 0;
	case REEL_ENOSPC:
		log_warning("%s: the disk is full", i->path);
		return error;
	case REEL_EDAMAGED:
		return drive_fail(&i->base, error,
				  "damaged at byte %" PRIu64
				  ": nothing is written over it; `?repair` "
				  "behind its name allows that",
				  i->tap.end.offset);
	default:
		return drive_fail(&i->base, error,
				  "cannot be written at byte %" PRIu64 ": %s",
				  i->at.offset, error_text(error));
	}
}

static int write_image(struct drive *d, const void *data, size_t length,
		       bool *early)
{
	struct image *i = image_of(d);
	int error = may_write(i);

	if (error)
		return error;
	if (!length || length > TAP_BLOCK_LIMIT)
		return drive_fail(d, REEL_ERANGE,
				  "a block has 1 to %u bytes, not %zu",
				  TAP_BLOCK_LIMIT, length);
	if (i->conf.block && length != i->conf.block)
		return drive_fail(d, REEL_ERANGE,
				  "its blocks have %u bytes, not %zu",
				  (unsigned)i->conf.block, length);
	if (!fits(i, tap_footprint(&i->tap, (uint32_t)length), 0)) {
		*early = true;
		return REEL_ENOSPC;
	}
	error = tap_write(&i->tap, &i->at, data, (uint32_t)length);
	return wrote(i, error, early);
}

static int sync_image(struct image *i)
{
	if (i->base.options.no_sync || !fdatasync(i->tap.fd))
		return 0;
	return cannot(i, "be flushed", errno);
}

static int flush_image(struct drive *d)
{
	struct image *i = image_of(d);
	int error = needs_cartridge(i);

	return error ? error : sync_image(i);
}

static int mark_image(struct drive *d, enum drive_mark kind, uint32_t count,
		      bool immediate, bool *early)
{
	struct image *i = image_of(d);
	bool setmark = kind == DRIVE_MARK_SET;
	int error = may_write(i);

	if (error)
		return error;
	if (setmark && !i->conf.setmarks)
		return drive_lacks(d, "write setmarks");
	if (!fits(i, 4ull * count, MARK_RESERVE)) {
		*early = true;
		return REEL_ENOSPC;
	}
	error = wrote(i, tap_mark(&i->tap, &i->at, setmark, count), early);
	if (!error && !immediate)
		error = sync_image(i);
	return error;
}

/* ---- position ---- */

static int rewind_image(struct drive *d, bool immediate)
{
	struct image *i = image_of(d);
	int error = needs_cartridge(i);

	(void)immediate;
	if (!error)
		i->at = (struct tap_place){0};
	return error;
}

static int select_image(struct drive *d, uint32_t partition)
{
	struct image *i = image_of(d);
	int error = needs_cartridge(i);

	if (error)
		return error;
	if (partition >= i->conf.partitions)
		return drive_fail(d, REEL_EINVAL,
				  "there is no partition %u, only 0 to %u",
				  (unsigned)partition,
				  (unsigned)i->conf.partitions - 1);
	return insert(i, partition);
}

static int locate_image(struct drive *d, uint32_t partition, uint64_t object)
{
	struct image *i = image_of(d);
	int error = needs_cartridge(i);

	if (!error && partition != i->partition)
		error = select_image(d, partition);
	if (error)
		return error;
	error = tap_find_object(&i->tap, object, &i->at);
	if (error && error != REEL_ENOENT)
		return drive_fail(d, error, "cannot be read");
	return error;
}

static int tell_image(struct drive *d, struct drive_position *p)
{
	const struct image *i = image_of(d);

	if (!i->present)
		return needs_cartridge(image_of(d));
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

/* One object on; it is not passed when it is the end. */
static int step(struct image *i, enum tap_object *what)
{
	struct tap_place next;
	uint32_t length;
	int error = tap_peek(&i->tap, &i->at, what, &length);

	if (error || *what == TAP_END || *what == TAP_DAMAGE)
		return error;
	error = tap_find_object(&i->tap, i->at.object + 1, &next);
	if (!error)
		i->at = next;
	return error;
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
		error = back ? step_back(i, &what) : step(i, &what);
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
	m->count = have;
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

static int space_image(struct drive *d, enum drive_unit unit, int64_t count,
		       struct drive_moved *m)
{
	struct image *i = image_of(d);
	bool back = count < 0;
	uint64_t many = back ? (uint64_t)0 - (uint64_t)count : (uint64_t)count;
	int error = needs_cartridge(i);

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

/* ---- what it is like ---- */

static int status_image(struct drive *d, struct drive_status *s)
{
	const struct image *i = image_of(d);

	s->locked = i->conf.locked;
	if (!i->present) {
		s->state = DRIVE_EMPTY;
		return 0;
	}
	s->state = DRIVE_READY;
	s->write_protected = write_protected(i);
	s->end = i->at.object == i->tap.end.object;
	s->early = is_early(i);
	if (i->tap.damaged)
		snprintf(s->text, sizeof(s->text), "damaged at byte %" PRIu64,
			 i->tap.end.offset);
	return 0;
}

static uint64_t remaining(const struct image *i)
{
	uint64_t limit = capacity(i), used = i->tap.end.offset;
	struct statvfs fs;

	if (limit)
		return used < limit ? limit - used : 0;
	if (fstatvfs(i->lock, &fs))
		return DRIVE_UNKNOWN;
	return (uint64_t)fs.f_bavail * fs.f_frsize;
}

static void barcode_of(const struct image *i, char *to)
{
	const struct image_attribute *a =
		image_conf_find(&i->conf, DRIVE_ATTRIBUTE_BARCODE);
	size_t length = a ? a->length : 0;

	if (length >= DRIVE_TEXT)
		length = DRIVE_TEXT - 1;
	while (length && a->data[length - 1] == ' ')
		length--;
	if (length)
		memcpy(to, a->data, length);
	to[length] = '\0';
}

static int parameters_image(struct drive *d, struct drive_parameters *p)
{
	const struct image *i = image_of(d);

	snprintf(p->vendor, sizeof(p->vendor), "reel");
	snprintf(p->product, sizeof(p->product), "SIMH image");
	p->features = DRIVE_HAS_FIXED | DRIVE_HAS_VARIABLE |
		      DRIVE_HAS_SEQUENTIAL | DRIVE_HAS_PARTITIONS |
		      DRIVE_HAS_EARLY_SIZE | DRIVE_HAS_ERASE_SHORT |
		      DRIVE_HAS_ERASE_LONG | DRIVE_HAS_LOAD | DRIVE_HAS_LOCK |
		      DRIVE_HAS_TENSION | DRIVE_HAS_FORMAT |
		      DRIVE_HAS_ATTRIBUTES | DRIVE_HAS_REMAINING;
	if (i->conf.locate)
		p->features |= DRIVE_HAS_LOCATE | DRIVE_HAS_TELL;
	if (i->conf.setmarks)
		p->features |= DRIVE_HAS_SETMARKS;
	p->block_min = 1;
	p->block_max = TAP_BLOCK_LIMIT;
	p->block_size = i->conf.block;
	if (i->conf.block)
		p->block_min = p->block_max = i->conf.block;
	p->partitions_max = DRIVE_PARTITIONS;
	p->report_setmarks = i->conf.setmarks && i->conf.report;
	if (!i->present)
		return 0;
	p->partitions = i->conf.partitions;
	p->partition = i->partition;
	p->write_protected = write_protected(i);
	barcode_of(i, p->barcode);
	p->remaining = remaining(i);
	if (capacity(i)) {
		p->features |= DRIVE_HAS_CAPACITY;
		p->capacity = capacity(i);
		p->early_size = early_size(i);
	}
	return 0;
}

/* ---- changing it ---- */

static int save(struct image *i)
{
	if (!i->writable)
		return drive_fail(&i->base, REEL_EROFS,
				  "it cannot be changed: opened for reading, "
				  "or its file is read-only");
	return image_conf_save(&i->saved, i->conf_path);
}

static int set_image(struct drive *d, enum drive_parameter what, uint64_t value)
{
	struct image *i = image_of(d);

	switch (what) {
	case DRIVE_SET_BLOCK_SIZE:
		if (value > TAP_BLOCK_LIMIT)
			return drive_fail(d, REEL_ERANGE,
					  "a block has at most %u bytes",
					  TAP_BLOCK_LIMIT);
		i->conf.block = i->saved.block = (uint32_t)value;
		break;
	case DRIVE_SET_EARLY_SIZE:
		i->conf.early = i->saved.early = value;
		break;
	case DRIVE_SET_REPORT_SETMARKS:
		if (!i->conf.setmarks)
			return REEL_ENOTSUP;
		i->conf.report = i->saved.report = value != 0;
		break;
	default:
		return REEL_ENOTSUP;
	}
	return save(i);
}

static int attribute_image(struct drive *d, uint16_t id, void *to,
			   size_t *length)
{
	struct image *i = image_of(d);
	const struct image_attribute *a = image_conf_find(&i->conf, id);
	int error = needs_cartridge(i);

	if (error)
		return error;
	if (!a)
		return REEL_ENOENT;
	if (a->length < *length)
		*length = a->length;
	memcpy(to, a->data, *length);
	return 0;
}

static int set_attribute_image(struct drive *d, uint16_t id, const void *data,
			       size_t length)
{
	struct image *i = image_of(d);
	int error = may_write(i);

	if (!error)
		error = image_conf_put(&i->conf, id, data, length);
	if (!error)
		error = image_conf_put(&i->saved, id, data, length);
	if (error == REEL_ERANGE || error == REEL_ENOSPC)
		return drive_fail(d, error,
				  "attribute %04x does not fit into the "
				  "cartridge's memory",
				  id);
	return error ? error : save(i);
}

static int lay_out(struct image *i, uint32_t count, const uint64_t *sizes)
{
	static const struct tap_place start;
	int error = 0;

	for (uint32_t n = count > i->saved.partitions ? count
						      : i->saved.partitions;
	     n-- > 0 && !error;) {
		char *path = partition_path(i, n);

		if (!path)
			return REEL_ENOMEM;
		if (n >= count)
			unlink(path);
		else if (n && truncate(path, 0) && errno != ENOENT)
			error = cannot(i, "empty a partition", errno);
		free(path);
	}
	if (!error)
		error = insert(i, 0);
	if (!error)
		error = tap_cut(&i->tap, &start);
	if (error)
		return error;
	i->saved.partitions = i->conf.partitions = count;
	memcpy(i->saved.capacity, sizes, count * sizeof(*sizes));
	memcpy(i->conf.capacity, sizes, count * sizeof(*sizes));
	return save(i);
}

static uint64_t whole_capacity(const struct image *i)
{
	uint64_t sum = 0;

	for (uint32_t n = 0; n < i->conf.partitions; n++) {
		if (!i->conf.capacity[n])
			return 0;
		sum += i->conf.capacity[n];
	}
	return sum;
}

static int partition_image(struct drive *d, const struct drive_partitioning *p)
{
	struct image *i = image_of(d);
	uint64_t sizes[DRIVE_PARTITIONS] = {0}, rest = whole_capacity(i), sum;
	uint32_t count = p->layout == DRIVE_LAYOUT_FIXED ? 1 : p->count;
	bool limited = rest != 0;
	int error = may_write(i);

	if (error)
		return error;
	sum = rest;
	for (uint32_t n = 0; n < count; n++) {
		if (p->layout == DRIVE_LAYOUT_SIZES)
			sizes[n] = p->sizes[n];
		else
			sizes[n] = sum / count;
		if (limited && sizes[n] > rest)
			return drive_fail(d, REEL_ENOSPC,
					  "the partitions are larger than the "
					  "medium");
		rest -= limited ? sizes[n] : 0;
	}
	for (uint32_t n = 0; n < count; n++) {
		if (!sizes[n])
			sizes[n] = rest;
	}
	return lay_out(i, count, sizes);
}

static int format_image(struct image *i)
{
	uint64_t whole = whole_capacity(i);
	int error = may_write(i);

	return error ? error : lay_out(i, 1, &whole);
}

static int unload_image(struct image *i)
{
	if (i->conf.locked)
		return drive_fail(&i->base, REEL_EBUSY,
				  "the cartridge is locked; `reel tape unlock` "
				  "releases it");
	eject(i);
	i->conf.loaded = i->saved.loaded = false;
	return save(i);
}

static int load_image(struct image *i)
{
	int error = 0;

	if (!i->present)
		error = insert(i, 0);
	i->at = (struct tap_place){0};
	if (error || (i->saved.loaded && i->partition == 0))
		return error;
	if (i->partition)
		error = insert(i, 0);
	i->conf.loaded = i->saved.loaded = true;
	return error ? error : save(i);
}

static int prepare_image(struct drive *d, enum drive_preparation what,
			 bool immediate)
{
	struct image *i = image_of(d);
	int error;

	(void)immediate;
	switch (what) {
	case DRIVE_LOAD:
		return load_image(i);
	case DRIVE_UNLOAD:
		return unload_image(i);
	case DRIVE_LOCK:
	case DRIVE_UNLOCK:
		error = needs_cartridge(i);
		i->conf.locked = i->saved.locked = what == DRIVE_LOCK;
		return error ? error : save(i);
	case DRIVE_TENSION:
		return rewind_image(d, false);
	case DRIVE_FORMAT:
		return format_image(i);
	}
	return REEL_ENOTSUP;
}

static int overwrite(struct image *i)
{
	uint8_t *zeros = calloc(1, ZEROS);
	uint64_t at = i->at.offset;
	int error = zeros ? 0 : REEL_ENOMEM;

	while (!error && at < i->tap.size) {
		size_t now = i->tap.size - at < ZEROS
				     ? (size_t)(i->tap.size - at)
				     : ZEROS;
		ssize_t n = pwrite(i->tap.fd, zeros, now, (off_t)at);

		if (n < 0 && errno != EINTR)
			error = cannot(i, "be erased", errno);
		at += n > 0 ? (uint64_t)n : 0;
	}
	free(zeros);
	return error ? error : sync_image(i);
}

static int erase_image(struct drive *d, enum drive_erasure how, bool immediate)
{
	struct image *i = image_of(d);
	bool early;
	int error = may_write(i);

	(void)immediate;
	if (!error && how == DRIVE_ERASE_LONG)
		error = overwrite(i);
	if (!error)
		error = wrote(i, tap_cut(&i->tap, &i->at), &early);
	return error ? error : sync_image(i);
}

#define COMMON                                                                 \
	.kind = "tape image", .close = close_image, .status = status_image,    \
	.parameters = parameters_image, .read = read_image,                    \
	.write = write_image, .mark = mark_image, .space = space_image,        \
	.rewind = rewind_image, .flush = flush_image, .select = select_image,  \
	.prepare = prepare_image, .erase = erase_image,                        \
	.partition = partition_image, .set = set_image,                        \
	.attribute = attribute_image, .set_attribute = set_attribute_image

static const struct drive_operations image_operations = {
	COMMON, .locate = locate_image, .tell = tell_image};

/* `?locate=no`: as drives that count for themselves only. */
static const struct drive_operations walking_operations = {COMMON};
