/* Image drives: what they are like, and all that changes the cartridge as a
 * whole. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include "tape/drive_image.h"

#define ZEROS (256u << 10)

/* ---- what it is like ---- */

int image_status(struct drive *d, struct drive_status *s)
{
	const struct image *i = image_of(d);

	s->locked = i->conf.locked;
	if (!i->present) {
		s->state = DRIVE_EMPTY;
		return 0;
	}
	s->state = DRIVE_READY;
	s->write_protected = image_write_protected(i);
	s->end = i->at.object == i->tap.end.object;
	s->early = image_is_early(i);
	if (i->tap.damaged)
		snprintf(s->text, sizeof(s->text), "damaged at byte %" PRIu64,
			 i->tap.end.offset);
	return 0;
}

static uint64_t remaining(const struct image *i)
{
	uint64_t limit = image_capacity(i), used = i->tap.end.offset;
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

int image_parameters(struct drive *d, struct drive_parameters *p)
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
	p->partitions_max = DRIVE_PARTITIONS;
	p->report_setmarks = i->conf.setmarks && i->conf.report;
	if (!i->present)
		return 0;
	p->partitions = i->conf.partitions;
	p->partition = i->partition;
	p->write_protected = image_write_protected(i);
	barcode_of(i, p->barcode);
	p->remaining = remaining(i);
	if (image_capacity(i)) {
		p->features |= DRIVE_HAS_CAPACITY;
		p->capacity = image_capacity(i);
		p->early_size = image_early_size(i);
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

int image_set(struct drive *d, enum drive_parameter what, uint64_t value)
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
	return d->options.read_only ? 0 : save(i);
}

int image_attribute(struct drive *d, uint16_t id, void *to, size_t *length)
{
	struct image *i = image_of(d);
	const struct image_attribute *a = image_conf_find(&i->conf, id);
	int error = image_needs_cartridge(i);

	if (error)
		return error;
	if (!a)
		return REEL_ENOENT;
	if (a->length < *length)
		*length = a->length;
	memcpy(to, a->data, *length);
	return 0;
}

int image_set_attribute(struct drive *d, uint16_t id, const void *data,
			size_t length)
{
	struct image *i = image_of(d);
	int error = image_may_write(i);

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

/* 0: no limit. */
static uint64_t sum_of(const uint64_t *sizes, uint32_t count)
{
	uint64_t sum = 0;

	for (uint32_t n = 0; n < count; n++) {
		if (!sizes[n])
			return 0;
		sum += sizes[n];
	}
	return sum;
}

static uint64_t whole_capacity(const struct image *i)
{
	return i->conf.medium != DRIVE_UNKNOWN
		       ? i->conf.medium
		       : sum_of(i->conf.capacity, i->conf.partitions);
}

static int lay_out(struct image *i, uint32_t count, const uint64_t *sizes)
{
	static const struct tap_place start;
	uint64_t whole = whole_capacity(i);
	int error = save(i); /* before anything is gone: it can be */

	for (uint32_t n = count > i->saved.partitions ? count
						      : i->saved.partitions;
	     n-- > 0 && !error;) {
		char *path = image_partition_path(i, n);

		if (!path)
			return REEL_ENOMEM;
		if (n >= count)
			unlink(path);
		else if (n && truncate(path, 0) && errno != ENOENT)
			error = image_cannot(i, "empty a partition", errno);
		free(path);
	}
	if (!error)
		error = image_insert(i, 0);
	if (!error)
		error = tap_cut(&i->tap, &start);
	if (error)
		return error;
	if (whole == sum_of(sizes, count))
		whole = DRIVE_UNKNOWN;
	i->saved.medium = i->conf.medium = whole;
	i->saved.partitions = i->conf.partitions = count;
	memcpy(i->saved.capacity, sizes, count * sizeof(*sizes));
	memcpy(i->conf.capacity, sizes, count * sizeof(*sizes));
	return save(i);
}

int image_partition(struct drive *d, const struct drive_partitioning *p)
{
	struct image *i = image_of(d);
	uint64_t sizes[DRIVE_PARTITIONS] = {0}, rest = whole_capacity(i), sum;
	uint32_t count = p->layout == DRIVE_LAYOUT_FIXED ? 1 : p->count;
	bool limited = rest != 0;
	int error = image_may_write(i);

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
		if (!sizes[n] && limited && !rest)
			return drive_fail(d, REEL_ENOSPC,
					  "nothing of the medium is left for "
					  "another partition");
		if (!sizes[n])
			sizes[n] = rest;
	}
	return lay_out(i, count, sizes);
}

static int format_image(struct image *i)
{
	uint64_t whole = whole_capacity(i);
	int error = image_may_write(i);

	return error ? error : lay_out(i, 1, &whole);
}

static int unload_image(struct image *i)
{
	if (i->conf.locked)
		return drive_fail(&i->base, REEL_EBUSY,
				  "the cartridge is locked; `reel tape unlock` "
				  "releases it");
	image_eject(i);
	i->conf.loaded = i->saved.loaded = false;
	return save(i);
}

static int load_image(struct image *i)
{
	int error = 0;

	if (!i->present)
		error = image_insert(i, 0);
	i->at = (struct tap_place){0};
	if (error || (i->saved.loaded && i->partition == 0))
		return error;
	if (i->partition)
		error = image_insert(i, 0);
	i->conf.loaded = i->saved.loaded = true;
	return error ? error : save(i);
}

int image_prepare(struct drive *d, enum drive_preparation what, bool immediate)
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
		error = image_needs_cartridge(i);
		i->conf.locked = i->saved.locked = what == DRIVE_LOCK;
		return error ? error : save(i);
	case DRIVE_TENSION:
		return image_rewind(d, false);
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
			error = image_cannot(i, "be erased", errno);
		at += n > 0 ? (uint64_t)n : 0;
	}
	free(zeros);
	return error ? error : image_sync(i);
}

int image_erase(struct drive *d, enum drive_erasure how, bool immediate)
{
	struct image *i = image_of(d);
	bool early;
	int error = image_may_write(i);

	(void)immediate;
	if (!error && how == DRIVE_ERASE_LONG &&
	    !tap_is_barred(&i->tap, &i->at))
		error = overwrite(i);
	if (!error)
		error = image_wrote(i, tap_cut(&i->tap, &i->at), &early);
	return error ? error : image_sync(i);
}
