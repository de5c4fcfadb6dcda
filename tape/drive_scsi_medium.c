/* SCSI drives: all that changes the drive or the cartridge as a whole. */
#include <string.h>
#include "tape/drive_scsi.h"

#define PAGE_COMPRESSION 0x0f
#define PAGE_DEVICE	 0x10
#define PAGE_PARTITIONS	 0x11
#define MEGABYTE	 1000000u /* of the early warning and of partitions */
#define HEADER		 4	  /* of mode data */
#define DESCRIPTOR	 8

/* ---- setting ---- */

/* MODE SELECT of what MODE SENSE gave, changed: header, descriptor, page. */
static int select_mode(struct scsi_drive *d, uint8_t *data, size_t length,
		       const char *what)
{
	struct scsi_command c;
	struct scsi_sense s;
	int error;

	data[0] = data[1] = 0;
	data[2] &= 0x7f;
	scsi_begin(&c, SCSI_MODE_SELECT, SCSI_TIME_MOVE);
	c.cdb[1] = 0x10;
	c.cdb[4] = (uint8_t)length;
	c.out = data;
	c.length = length;
	error = drive_scsi_run(d, &c, SCSI_ASKS, &s);
	return error ? drive_scsi_failed(d, error, what, &s) : 0;
}

static int set_descriptor(struct scsi_drive *d, bool density, uint64_t value)
{
	uint8_t data[SCSI_MODE_ROOM];
	struct scsi_mode m;
	int error = drive_scsi_mode(d, 0, 0, data, &m);

	if (error)
		error = drive_scsi_mode(d, 0x3f, 0, data, &m);
	if (error)
		return drive_fail(&d->base, error, "cannot tell its mode");
	if (!m.described)
		return REEL_ENOTSUP;
	if (density)
		data[4] = (uint8_t)value;
	else
		scsi_put24(data + 9, (uint32_t)value);
	data[3] = DESCRIPTOR;
	error = select_mode(d, data, HEADER + DESCRIPTOR,
			    density ? "set the density" : "set the block size");
	if (!error && !density)
		d->block = (uint32_t)value;
	return error;
}

/* The page as it is, moved behind the header; REEL_ENOTSUP: there is none. */
static int fetch_page(struct scsi_drive *d, uint8_t page, uint8_t subpage,
		      uint8_t *data, size_t *length)
{
	struct scsi_mode m;
	int error = drive_scsi_mode(d, page, subpage, data, &m);

	if (error == REEL_EINVAL || (!error && !m.page))
		return REEL_ENOTSUP;
	if (error)
		return drive_fail(&d->base, error, "cannot tell its mode");
	data[3] = 0;
	memmove(data + HEADER, m.page, m.page_length);
	data[HEADER] &= 0x7f; /* not to be saved */
	*length = m.page_length;
	return 0;
}

static int set_compression(struct scsi_drive *d, bool on)
{
	uint8_t data[SCSI_MODE_ROOM];
	size_t length = 0;
	int error = fetch_page(d, PAGE_COMPRESSION, 0, data, &length);

	if (error || length < 4)
		return error ? error : REEL_ENOTSUP;
	data[HEADER + 2] &= 0x7f;
	data[HEADER + 2] |= on ? 0x80 : 0;
	return select_mode(d, data, HEADER + length, "set the compression");
}

static int set_report(struct scsi_drive *d, bool on)
{
	uint8_t data[SCSI_MODE_ROOM];
	size_t length = 0;
	int error = fetch_page(d, PAGE_DEVICE, 0, data, &length);

	if (error || length < 9)
		return error ? error : REEL_ENOTSUP;
	data[HEADER + 8] &= 0xdf;
	data[HEADER + 8] |= on ? 0x20 : 0;
	return select_mode(d, data, HEADER + length, "set report of setmarks");
}

static int set_early(struct scsi_drive *d, uint64_t bytes)
{
	uint64_t value = (bytes + MEGABYTE - 1) / MEGABYTE;
	uint8_t data[SCSI_MODE_ROOM];
	size_t length = 0;
	int error = fetch_page(d, PAGE_DEVICE, 1, data, &length);

	if (error || length < 8 || data[HEADER + 1] != 1)
		return error ? error : REEL_ENOTSUP;
	if (value > UINT16_MAX)
		return drive_fail(&d->base, REEL_ERANGE,
				  "its early warning comes at most %u MB "
				  "before the end",
				  (unsigned)UINT16_MAX);
	scsi_put16(data + HEADER + 6, (uint16_t)value);
	return select_mode(d, data, HEADER + length, "set the early warning");
}

int drive_scsi_set(struct drive *base, enum drive_parameter what,
		   uint64_t value)
{
	struct scsi_drive *d = scsi_drive_of(base);

	switch (what) {
	case DRIVE_SET_BLOCK_SIZE:
		if (value && (value < d->block_min || value > d->block_max ||
			      value > SCSI_LENGTH_24))
			return drive_fail(base, REEL_ERANGE,
					  "its blocks have %u to %u bytes",
					  (unsigned)d->block_min,
					  (unsigned)d->block_max);
		return set_descriptor(d, false, value);
	case DRIVE_SET_DENSITY:
		if (value > UINT8_MAX)
			return drive_fail(base, REEL_ERANGE,
					  "a density is a number up to 255");
		return set_descriptor(d, true, value);
	case DRIVE_SET_COMPRESSION:
		return set_compression(d, value != 0);
	case DRIVE_SET_REPORT_SETMARKS:
		return set_report(d, value != 0);
	case DRIVE_SET_EARLY_SIZE:
		return set_early(d, value);
	default:
		return REEL_ENOTSUP;
	}
}

/* ---- the cartridge ---- */

static int load(struct scsi_drive *d, uint8_t how, bool immediate,
		const char *what)
{
	struct scsi_command c;
	struct scsi_sense s;
	int error;

	scsi_begin(&c, SCSI_LOAD, SCSI_TIME_LOAD);
	c.cdb[1] = immediate;
	c.cdb[4] = how;
	error = drive_scsi_do(d, &c, SCSI_FRESH, what);
	if (error || immediate || !(how & 1))
		return error;
	error = drive_scsi_ready(d, SCSI_TIME_LOAD, &s);
	if (error)
		return drive_scsi_failed(d, error, what, &s);
	return drive_scsi_begin(d, false);
}

static int lock(struct scsi_drive *d, bool on)
{
	struct scsi_command c;
	int error;

	scsi_begin(&c, SCSI_PREVENT, SCSI_TIME_SHORT);
	c.cdb[4] = on;
	error = drive_scsi_do(d, &c, SCSI_ASKS,
			      on ? "lock the cartridge"
				 : "unlock the cartridge");
	if (!error)
		d->locked = on;
	return error;
}

static int format(struct scsi_drive *d, uint8_t how, bool immediate,
		  const char *what)
{
	struct scsi_command c;

	scsi_begin(&c, SCSI_FORMAT_MEDIUM, SCSI_TIME_ERASE);
	c.cdb[1] = immediate;
	c.cdb[2] = how;
	return drive_scsi_do(d, &c, SCSI_ABSOLUTE, what);
}

int drive_scsi_prepare(struct drive *base, enum drive_preparation what,
		       bool immediate)
{
	struct scsi_drive *d = scsi_drive_of(base);
	int error;

	switch (what) {
	case DRIVE_LOAD:
		return load(d, 1, immediate, "load a cartridge");
	case DRIVE_UNLOAD:
		return load(d, 0, immediate, "unload the cartridge");
	case DRIVE_TENSION:
		return load(d, 3, immediate, "tension the tape");
	case DRIVE_LOCK:
	case DRIVE_UNLOCK:
		return lock(d, what == DRIVE_LOCK);
	case DRIVE_FORMAT:
		/* formats are made at the beginning only */
		error = drive_scsi_rewind(base, false);
		return error ? error
			     : format(d, 0, immediate, "format the medium");
	}
	return REEL_ENOTSUP;
}

int drive_scsi_erase(struct drive *base, enum drive_erasure how, bool immediate)
{
	struct scsi_command c;

	scsi_begin(&c, SCSI_ERASE, SCSI_TIME_ERASE);
	c.cdb[1] = (uint8_t)(immediate << 1 | (how == DRIVE_ERASE_LONG));
	return drive_scsi_do(scsi_drive_of(base), &c, SCSI_RELATIVE, "erase");
}

/* Page 0x11 (SSC-4, 8.3.4): FDP the drive's own partitions, SDP that many, IDP
 * of these sizes, in megabytes; 0xffff is the rest. */
static size_t fill_partitions(uint8_t *page, size_t length,
			      const struct drive_partitioning *p)
{
	size_t whole = 8 + 2 * (size_t)p->count;

	page[3] = (uint8_t)(p->count - 1);
	page[4] &= 0x07;
	if (p->layout == DRIVE_LAYOUT_FIXED)
		page[4] |= 0x80;
	else if (p->layout == DRIVE_LAYOUT_SELECT)
		page[4] |= 0x40;
	else
		page[4] |= 0x20;
	if (p->layout != DRIVE_LAYOUT_SIZES)
		return length;
	page[4] = (uint8_t)((page[4] & 0xe7) | 0x10); /* unit: megabytes */
	for (uint32_t n = 0; n < p->count; n++) {
		uint64_t size = (p->sizes[n] + MEGABYTE - 1) / MEGABYTE;

		if (!size || size > 0xfffe)
			size = 0xffff;
		scsi_put16(page + 8 + 2 * n, (uint16_t)size);
	}
	page[1] = (uint8_t)(whole - 2);
	return whole;
}

int drive_scsi_partition(struct drive *base, const struct drive_partitioning *p)
{
	struct scsi_drive *d = scsi_drive_of(base);
	uint8_t data[SCSI_MODE_ROOM];
	size_t length = 0;
	int error = fetch_page(d, PAGE_PARTITIONS, 0, data, &length);

	if (error == REEL_ENOTSUP || (!error && length < 8))
		return drive_lacks(base, "create partitions");
	if (error)
		return error;
	if (p->count > data[HEADER + 2] + 1u)
		return drive_fail(base, REEL_ERANGE,
				  "it makes at most %u partitions",
				  data[HEADER + 2] + 1u);
	error = drive_scsi_rewind(base, false);
	if (error)
		return error;
	if (p->count == 1 && p->layout != DRIVE_LAYOUT_FIXED)
		return format(d, 0, false, "format the medium");
	length = fill_partitions(data + HEADER, length, p);
	error = select_mode(d, data, HEADER + length, "lay out partitions");
	return error ? error : format(d, 1, false, "create partitions");
}
