#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "tape/drive_kind.h"
#include "tape/log.h"

#define IMAGE_END ".tap"

int drive_fail(const struct drive *d, int error, const char *format, ...)
{
	char text[512];
	va_list args;

	if (error == REEL_EBUSY && d->options.quiet)
		return error;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	log_error("%s: %s", d->name, text);
	return error;
}

int drive_lacks(const struct drive *d, const char *what)
{
	return drive_fail(d, REEL_ENOTSUP, "this drive (%s) cannot %s",
			  d->op->kind, what);
}

/* ---- opening ---- */

static bool begins(const char *name, const char *with)
{
	return !strncmp(name, with, strlen(with));
}

static bool is_image(const char *name)
{
	size_t length = strcspn(name, "?");
	size_t end = strlen(IMAGE_END);

	return length > end && !memcmp(name + length - end, IMAGE_END, end);
}

static bool is_device(const char *name)
{
	return begins(name, "/dev/nst") || begins(name, "/dev/st") ||
	       begins(name, "/dev/tape/");
}

bool drive_is_name(const char *name)
{
	return begins(name, "fault:") || begins(name, "iscsi://") ||
	       is_device(name) || is_image(name);
}

static int open_kind(const char *name, const struct drive_options *o,
		     struct drive **d)
{
	struct stat st;

	if (begins(name, "fault:"))
		return drive_fault_open(name, o, d);
	if (begins(name, "iscsi://"))
		return drive_iscsi_open(name, o, d);
	if (is_device(name) || (!stat(name, &st) && S_ISCHR(st.st_mode)))
		return drive_st_open(name, o, d);
	if (is_image(name))
		return drive_image_open(name, o, d);
	log_error("%s is no tape drive: name a device such as /dev/nst0, an "
		  "iscsi://HOST/TARGET/LUN, or an image FILE.tap",
		  name);
	return REEL_EINVAL;
}

/* Where the tape is. */
static void find_itself(struct drive *d)
{
	d->at = (struct drive_position){0};
	if (!d->options.keep)
		return;
	d->at = (struct drive_position){0, DRIVE_UNKNOWN, DRIVE_UNKNOWN,
					DRIVE_UNKNOWN};
	if (d->op->tell)
		d->op->tell(d, &d->at);
}

int drive_open(const char *name, const struct drive_options *o,
	       struct drive **d)
{
	const struct drive_options none = {0};
	struct drive *opened;
	char *copy = strdup(name);
	int error;

	if (!copy)
		return REEL_ENOMEM;
	error = open_kind(copy, o ? o : &none, &opened);
	if (error) {
		free(copy);
		return error;
	}
	opened->name = copy;
	opened->options = o ? *o : none;
	find_itself(opened);
	*d = opened;
	return 0;
}

int drive_close(struct drive *d)
{
	char *name;
	int flushed = 0, error;

	if (!d)
		return 0;
	if (d->dirty && !d->lost)
		flushed = drive_flush(d);
	name = d->name;
	error = d->op->close(d);
	free(name);
	return flushed ? flushed : error;
}

const char *drive_name(const struct drive *d)
{
	return d->name;
}

const char *drive_kind(const struct drive *d)
{
	return d->op->kind;
}

/* ---- D3 ---- */

int drive_known(struct drive *d, const char *what)
{
	if (!d->lost)
		return 0;
	return drive_fail(d, REEL_ERESET,
			  "the position is lost; rewind or seek before %s",
			  what);
}

/* D3: which errors leave the position as it was. */
int drive_after(struct drive *d, int error)
{
	switch (error) {
	case 0:
	case REEL_ENOSPC:
	case REEL_EROFS:
	case REEL_ERANGE:
	case REEL_EINVAL:
	case REEL_ENOTSUP:
	case REEL_ENOENT:
	case REEL_EDAMAGED:
		break;
	default:
		d->lost = true;
	}
	return error;
}

/* ---- blocks and marks ---- */

int drive_read(struct drive *d, void *to, size_t room, struct drive_read *r)
{
	int error = drive_known(d, "reading");

	*r = (struct drive_read){0};
	if (error)
		return error;
	error = drive_after(d, d->op->read(d, to, room, r));
	if (error == REEL_EDAMAGED && r->found != DRIVE_END)
		drive_passed_blocks(d, 1);
	if (error)
		return error;
	d->at_end = r->found == DRIVE_END;
	if (r->found == DRIVE_BLOCK)
		drive_passed_blocks(d, 1);
	else if (r->found != DRIVE_END)
		drive_passed_marks(d, r->found == DRIVE_FILEMARK, 1);
	return 0;
}

static int may_write(struct drive *d)
{
	if (d->options.read_only)
		return drive_fail(d, REEL_EROFS, "it was opened for reading");
	return drive_known(d, "writing");
}

int drive_write(struct drive *d, const void *data, size_t length, bool *early)
{
	bool near = false;
	int error = may_write(d);

	if (error)
		return error;
	error = drive_after(d, d->op->write(d, data, length, &near));
	if (error)
		return error;
	drive_passed_blocks(d, 1);
	d->dirty = d->at_end = true;
	d->early = near;
	if (early)
		*early = near;
	return 0;
}

static const char *const mark_names[] = {"write filemarks", "write setmarks",
					 "write short filemarks",
					 "write long filemarks"};

int drive_mark(struct drive *d, enum drive_mark kind, uint32_t count,
	       bool immediate, bool *early)
{
	bool near = false;
	int error = may_write(d);

	if (error)
		return error;
	if (kind == DRIVE_MARK_SHORT_FILE || kind == DRIVE_MARK_LONG_FILE)
		return drive_lacks(d, mark_names[kind]);
	if (!count && !immediate)
		return drive_flush(d);
	error = drive_after(d, d->op->mark(d, kind, count, immediate, &near));
	if (error)
		return error;
	drive_passed_marks(d, kind == DRIVE_MARK_FILE, count);
	d->dirty = immediate;
	d->at_end = true;
	d->early = near;
	if (early)
		*early = near;
	return 0;
}

int drive_flush(struct drive *d)
{
	bool early;
	int error;

	if (!d->dirty)
		return drive_known(d, "flushing");
	error = may_write(d);
	if (error)
		return error;
	if (d->op->flush)
		error = d->op->flush(d);
	else
		error = d->op->mark(d, DRIVE_MARK_FILE, 0, false, &early);
	if (!drive_after(d, error))
		d->dirty = false;
	return error;
}

/* ---- cartridge ---- */

static const char *const preparation_names[] = {
	"load a cartridge",	"unload the cartridge", "lock the cartridge",
	"unlock the cartridge", "tension the tape",	"format the medium"};

int drive_prepare(struct drive *d, enum drive_preparation what, bool immediate)
{
	int error = 0;

	if (!d->op->prepare)
		return drive_lacks(d, preparation_names[what]);
	if (what == DRIVE_FORMAT)
		error = d->options.read_only ? may_write(d) : 0;
	else if (what == DRIVE_UNLOAD && d->dirty && !d->lost)
		error = drive_flush(d);
	if (error)
		return error;
	error = d->op->prepare(d, what, immediate);
	if (error == REEL_ENOTSUP || what == DRIVE_LOCK || what == DRIVE_UNLOCK)
		return error;
	if (error)
		return drive_after(d, error);
	d->dirty = false;
	drive_at_begin(d, what == DRIVE_TENSION ? d->at.partition : 0);
	d->lost = what == DRIVE_UNLOAD;
	return 0;
}

int drive_erase(struct drive *d, enum drive_erasure how, bool immediate)
{
	int error = may_write(d);

	if (error)
		return error;
	if (!d->op->erase)
		return drive_lacks(d, "erase");
	error = drive_after(d, d->op->erase(d, how, immediate));
	if (!error)
		d->at_end = true;
	return error;
}

static int check_partitioning(struct drive *d,
			      const struct drive_partitioning *p)
{
	uint32_t rest = 0;

	if (!p->count || p->count > DRIVE_PARTITIONS)
		return drive_fail(d, REEL_ERANGE,
				  "a medium has 1 to %d partitions",
				  DRIVE_PARTITIONS);
	for (uint32_t n = 0; n < p->count; n++)
		rest += p->sizes[n] == 0;
	if (p->layout == DRIVE_LAYOUT_SIZES && rest > 1)
		return drive_fail(d, REEL_EINVAL,
				  "only one partition can be the rest");
	return 0;
}

int drive_partition(struct drive *d, const struct drive_partitioning *p)
{
	int error;

	if (d->options.read_only)
		return may_write(d);
	if (!d->op->partition)
		return drive_lacks(d, "create partitions");
	error = check_partitioning(d, p);
	if (error)
		return error;
	error = drive_after(d, d->op->partition(d, p));
	if (!error) {
		d->dirty = false;
		drive_at_begin(d, 0);
	}
	return error;
}

/* ---- what the drive says ---- */

int drive_status(struct drive *d, struct drive_status *s)
{
	int error;

	*s = (struct drive_status){
		.filemark = d->at_mark, .end = d->at_end, .early = d->early};
	error = d->op->status(d, s);
	if (error)
		return error;
	if (s->changed || s->state == DRIVE_EMPTY)
		d->lost = true;
	s->known = !d->lost;
	s->begin = s->begin ||
		   (s->known && s->state == DRIVE_READY && d->at.object == 0);
	return 0;
}

int drive_parameters(struct drive *d, struct drive_parameters *p)
{
	*p = (struct drive_parameters){.capacity = DRIVE_UNKNOWN,
				       .remaining = DRIVE_UNKNOWN,
				       .early_size = DRIVE_UNKNOWN,
				       .partitions = 1,
				       .partitions_max = 1,
				       .partition = d->at.partition};
	return d->op->parameters(d, p);
}

static const char *const parameter_names[] = {
	"have its block size set",
	"have its compression set",
	"have its error correction set",
	"have its padding set",
	"have its report of setmarks set",
	"have its early warning set",
	"have its density set",
};

int drive_set(struct drive *d, enum drive_parameter what, uint64_t value)
{
	int error = REEL_ENOTSUP;

	if (d->op->set)
		error = d->op->set(d, what, value);
	return error == REEL_ENOTSUP ? drive_lacks(d, parameter_names[what])
				     : error;
}

int drive_take_any(struct drive *d)
{
	struct drive_parameters p;
	int error = drive_parameters(d, &p);

	if (error || !p.block_size || !(p.features & DRIVE_HAS_VARIABLE))
		return error;
	return drive_set(d, DRIVE_SET_BLOCK_SIZE, 0);
}

int drive_attribute(struct drive *d, uint16_t id, void *to, size_t *length)
{
	if (!d->op->attribute)
		return drive_lacks(d, "read a cartridge's memory");
	return d->op->attribute(d, id, to, length);
}

int drive_set_attribute(struct drive *d, uint16_t id, const void *data,
			size_t length)
{
	if (d->options.read_only)
		return may_write(d);
	if (!d->op->set_attribute)
		return drive_lacks(d, "write a cartridge's memory");
	return d->op->set_attribute(d, id, data, length);
}

int drive_alerts(struct drive *d, uint64_t *flags)
{
	uint64_t more = 0;
	int error;

	if (!d->op->alerts)
		return drive_lacks(d, "tell alerts");
	error = d->op->alerts(d, &more);
	d->alerts |= more;
	if (!error)
		*flags = d->alerts;
	return error;
}
