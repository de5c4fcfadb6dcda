/* SCSI drives: what they say of themselves and of the cartridge. */
#include <stdio.h>
#include <string.h>
#include "tape/drive_scsi.h"

#define PAGE_COMPRESSION 0x0f
#define PAGE_DEVICE	 0x10
#define PAGE_PARTITIONS	 0x11
#define PAGE_ALERTS	 0x2e
#define PAGE_CAPACITY	 0x31
#define MEGABYTE	 1000000u /* of the early warning */
#define MEBIBYTE	 (1u << 20)
#define ANSWER		 4096
#define HEADER		 4 /* of attribute lists */
#define ATTRIBUTE_HEAD	 5

#define ATTRIBUTE_REMAINING 0x0000
#define ATTRIBUTE_CAPACITY  0x0001
#define ATTRIBUTE_SERIAL    0x0401
#define ATTRIBUTE_TYPE	    0x0408
#define TYPE_WORM	    0x80

/* ---- attributes ---- */

static int read_attribute(struct scsi_drive *d, uint16_t id, uint8_t *data,
			  const uint8_t **value, size_t *length)
{
	struct scsi_command c;
	struct scsi_sense s;
	int error;

	scsi_begin(&c, SCSI_READ_ATTRIBUTE, SCSI_TIME_SHORT);
	c.cdb[7] = (uint8_t)d->base.at.partition;
	scsi_put16(c.cdb + 8, id);
	scsi_put32(c.cdb + 10, ANSWER);
	c.in = data;
	c.length = ANSWER;
	error = drive_scsi_run(d, &c, SCSI_ASKS, &s);
	if (error == REEL_EINVAL) /* no such attribute */
		return REEL_ENOENT;
	if (error == REEL_ENOTSUP)
		return error;
	if (error)
		return drive_scsi_failed(d, error,
					 "read the cartridge's memory", &s);
	return scsi_parse_attribute(data, c.transferred, id, value, length)
		       ? 0
		       : REEL_ENOENT;
}

int drive_scsi_attribute(struct drive *base, uint16_t id, void *to,
			 size_t *length)
{
	uint8_t data[ANSWER];
	const uint8_t *value;
	size_t have;
	int error =
		read_attribute(scsi_drive_of(base), id, data, &value, &have);

	if (error == REEL_ENOTSUP)
		return drive_lacks(base, "read a cartridge's memory");
	if (error)
		return error;
	if (have < *length)
		*length = have;
	memcpy(to, value, *length);
	return 0;
}

/* Texts and binary numbers have a format each (SPC-4, 7.4.2.1). */
static uint8_t attribute_format(uint16_t id)
{
	switch (id) {
	case 0x0803:
	case 0x0807:
	case 0x0808:
	case 0x080b:
		return 2; /* text */
	case 0x0805:
	case 0x080a:
	case 0x080c:
		return 0; /* binary */
	default:
		return 1; /* ASCII */
	}
}

int drive_scsi_set_attribute(struct drive *base, uint16_t id, const void *value,
			     size_t length)
{
	uint8_t data[HEADER + ATTRIBUTE_HEAD + DRIVE_ATTRIBUTE_LIMIT];
	struct scsi_drive *d = scsi_drive_of(base);
	struct scsi_command c;

	if (length > DRIVE_ATTRIBUTE_LIMIT)
		return drive_fail(base, REEL_ERANGE,
				  "an attribute has at most %d bytes",
				  DRIVE_ATTRIBUTE_LIMIT);
	scsi_put32(data, (uint32_t)(ATTRIBUTE_HEAD + length));
	scsi_put16(data + 4, id);
	data[6] = attribute_format(id);
	scsi_put16(data + 7, (uint16_t)length);
	if (length)
		memcpy(data + 9, value, length);
	scsi_begin(&c, SCSI_WRITE_ATTRIBUTE, SCSI_TIME_SHORT);
	c.cdb[1] = 1; /* through the cache */
	c.cdb[7] = (uint8_t)base->at.partition;
	c.length = HEADER + ATTRIBUTE_HEAD + length;
	scsi_put32(c.cdb + 10, (uint32_t)c.length);
	c.out = data;
	return drive_scsi_do(d, &c, SCSI_ASKS, "write a cartridge's memory");
}

/* ---- pages ---- */

static int log_page(struct scsi_drive *d, uint8_t page, uint8_t *data,
		    size_t *length)
{
	struct scsi_command c;
	struct scsi_sense s;
	int error;

	scsi_begin(&c, SCSI_LOG_SENSE, SCSI_TIME_SHORT);
	c.cdb[2] = 0x40 | page; /* cumulative values */
	scsi_put16(c.cdb + 7, ANSWER);
	c.in = data;
	c.length = ANSWER;
	error = drive_scsi_run(d, &c, SCSI_ASKS, &s);
	*length = c.transferred;
	return error == REEL_EINVAL ? REEL_ENOTSUP : error;
}

static bool has_log_page(struct scsi_drive *d, uint8_t page)
{
	uint8_t data[ANSWER];
	size_t length;

	if (log_page(d, 0, data, &length) || length < 4)
		return false;
	for (size_t n = 4; n < length && n < 4u + scsi_get16(data + 2); n++) {
		if ((data[n] & 0x3f) == page)
			return true;
	}
	return false;
}

int drive_scsi_alerts(struct drive *base, uint64_t *flags)
{
	uint8_t data[ANSWER];
	size_t length;
	int error = log_page(scsi_drive_of(base), PAGE_ALERTS, data, &length);

	if (error)
		return error == REEL_ENOTSUP
			       ? drive_lacks(base, "tell alerts")
			       : drive_fail(base, error, "cannot tell alerts");
	if (!scsi_parse_alerts(data, length, flags))
		return drive_fail(base, REEL_EDAMAGED,
				  "its alerts make no sense");
	return 0;
}

/* ---- status ---- */

static void describe(const struct scsi_sense *s, struct drive_status *out)
{
	scsi_sense_text(s, out->text, sizeof(out->text));
}

int drive_scsi_status(struct drive *base, struct drive_status *out)
{
	struct scsi_drive *d = scsi_drive_of(base);
	uint8_t data[SCSI_MODE_ROOM];
	struct scsi_position p;
	struct scsi_sense s;
	struct scsi_mode m;
	int error = drive_scsi_ready(d, 1, &s);

	out->locked = d->locked;
	out->needs_cleaning = d->needs_cleaning;
	out->changed = d->changed;
	d->changed = false;
	if (error && !s.key)
		return error;
	switch (error) {
	case 0:
		out->state = DRIVE_READY;
		break;
	case REEL_EMEDIUM:
		out->state = DRIVE_EMPTY;
		break;
	case REEL_EBUSY:
		out->state = DRIVE_LOADING;
		break;
	default:
		out->state = DRIVE_FAILED;
	}
	if (error)
		describe(&s, out);
	if (error)
		return 0;
	if (!drive_scsi_mode(d, 0, 0, data, &m) ||
	    !drive_scsi_mode(d, 0x3f, 0, data, &m))
		out->write_protected = m.write_protected;
	if (!base->lost && !out->changed && drive_scsi_position(d, &p)) {
		out->begin = p.begin;
		out->early = p.early || p.end;
	}
	return 0;
}

/* ---- parameters ---- */

static void learn_serial(struct scsi_drive *d, struct drive_parameters *p)
{
	uint8_t data[255];
	struct scsi_command c;
	struct scsi_sense s;

	scsi_begin(&c, SCSI_INQUIRY, SCSI_TIME_SHORT);
	c.cdb[1] = 1;
	c.cdb[2] = 0x80;
	c.cdb[4] = sizeof(data);
	c.in = data;
	c.length = sizeof(data);
	if (!drive_scsi_run(d, &c, SCSI_ASKS, &s))
		scsi_parse_serial(data, c.transferred, p->serial);
}

static void learn_density(struct scsi_drive *d, struct drive_parameters *p)
{
	uint8_t data[ANSWER];
	struct scsi_command c;
	struct scsi_sense s;

	scsi_begin(&c, SCSI_REPORT_DENSITY, SCSI_TIME_SHORT);
	scsi_put16(c.cdb + 7, ANSWER);
	c.in = data;
	c.length = ANSWER;
	if (!drive_scsi_run(d, &c, SCSI_ASKS, &s))
		scsi_parse_density(data, c.transferred, p->density,
				   p->density_name);
}

static void learn_pages(struct scsi_drive *d, struct drive_parameters *p)
{
	uint8_t data[SCSI_MODE_ROOM];
	struct scsi_mode m;

	if (!drive_scsi_mode(d, PAGE_COMPRESSION, 0, data, &m) && m.page &&
	    m.page_length >= 4) {
		p->compression = (m.page[2] & 0x80) != 0;
		if (m.page[2] & 0x40)
			p->features |= DRIVE_HAS_COMPRESSION;
	}
	if (!drive_scsi_mode(d, PAGE_PARTITIONS, 0, data, &m) && m.page &&
	    m.page_length >= 4) {
		p->partitions_max = m.page[2] + 1u;
		p->partitions = m.page[3] + 1u;
		if (m.page[2])
			p->features |= DRIVE_HAS_PARTITIONS;
	}
	if (!drive_scsi_mode(d, PAGE_DEVICE, 0, data, &m) && m.page &&
	    m.page_length >= 9)
		p->report_setmarks = (m.page[8] & 0x20) != 0;
	if (!drive_scsi_mode(d, PAGE_DEVICE, 1, data, &m) && m.page &&
	    m.page_length >= 8 && m.page[0] & 0x40 && m.page[1] == 1) {
		p->features |= DRIVE_HAS_EARLY_SIZE;
		p->early_size = (uint64_t)scsi_get16(m.page + 6) * MEGABYTE;
	}
	if (drive_scsi_mode(d, 0, 0, data, &m) &&
	    drive_scsi_mode(d, 0x3f, 0, data, &m))
		return;
	p->write_protected = m.write_protected;
	if (!m.described)
		return;
	d->block = p->block_size = m.block;
	p->density = m.density;
	p->features |= DRIVE_HAS_FIXED | DRIVE_HAS_DENSITY;
}

static void text_attribute(struct scsi_drive *d, uint16_t id, char *to)
{
	uint8_t data[ANSWER];
	const uint8_t *value;
	size_t length;

	if (read_attribute(d, id, data, &value, &length))
		return;
	if (length >= DRIVE_TEXT)
		length = DRIVE_TEXT - 1;
	while (length && (value[length - 1] == ' ' || !value[length - 1]))
		length--;
	for (size_t n = 0; n < length; n++)
		to[n] = value[n] >= 0x20 && value[n] < 0x7f ? (char)value[n]
							    : '?';
	to[length] = '\0';
}

static bool number_attribute(struct scsi_drive *d, uint16_t id, uint64_t *to)
{
	uint8_t data[ANSWER];
	const uint8_t *value;
	size_t length;

	if (read_attribute(d, id, data, &value, &length) || length != 8)
		return false;
	*to = scsi_get64(value);
	return *to <= UINT64_MAX / MEBIBYTE;
}

static void learn_memory(struct scsi_drive *d, struct drive_parameters *p)
{
	uint8_t data[ANSWER];
	const uint8_t *value;
	uint64_t number;
	size_t length;

	if (number_attribute(d, ATTRIBUTE_CAPACITY, &number)) {
		p->capacity = number * MEBIBYTE;
		p->features |= DRIVE_HAS_ATTRIBUTES | DRIVE_HAS_CAPACITY;
	}
	if (number_attribute(d, ATTRIBUTE_REMAINING, &number)) {
		p->remaining = number * MEBIBYTE;
		p->features |= DRIVE_HAS_ATTRIBUTES | DRIVE_HAS_REMAINING;
	}
	if (!(p->features & DRIVE_HAS_ATTRIBUTES))
		return;
	text_attribute(d, DRIVE_ATTRIBUTE_BARCODE, p->barcode);
	text_attribute(d, ATTRIBUTE_SERIAL, p->medium_serial);
	if (!read_attribute(d, ATTRIBUTE_TYPE, data, &value, &length) &&
	    length == 1 && *value == TYPE_WORM)
		p->features |= DRIVE_HAS_WORM;
}

/* LTO: parameters 1 and 2 are what remains of partitions 0 and 1, 3 and 4 what
 * they hold, in MiB. */
static void learn_capacity(struct scsi_drive *d, struct drive_parameters *p)
{
	uint16_t partition = (uint16_t)d->base.at.partition;
	uint8_t data[ANSWER];
	uint64_t number;
	size_t length;

	if (partition > 1 || !has_log_page(d, PAGE_CAPACITY) ||
	    log_page(d, PAGE_CAPACITY, data, &length))
		return;
	if (scsi_parse_log(data, length, PAGE_CAPACITY,
			   (uint16_t)(1 + partition), &number) &&
	    number <= UINT64_MAX / MEBIBYTE) {
		p->remaining = number * MEBIBYTE;
		p->features |= DRIVE_HAS_REMAINING;
	}
	if (scsi_parse_log(data, length, PAGE_CAPACITY,
			   (uint16_t)(3 + partition), &number) &&
	    number <= UINT64_MAX / MEBIBYTE) {
		p->capacity = number * MEBIBYTE;
		p->features |= DRIVE_HAS_CAPACITY;
	}
}

int drive_scsi_parameters(struct drive *base, struct drive_parameters *p)
{
	struct scsi_drive *d = scsi_drive_of(base);
	struct scsi_sense s;

	snprintf(p->vendor, sizeof(p->vendor), "%s", d->inquiry.vendor);
	snprintf(p->product, sizeof(p->product), "%s", d->inquiry.product);
	snprintf(p->revision, sizeof(p->revision), "%s", d->inquiry.revision);
	learn_serial(d, p);
	p->features = DRIVE_HAS_VARIABLE | DRIVE_HAS_LOAD | DRIVE_HAS_LOCK |
		      DRIVE_HAS_TENSION | DRIVE_HAS_IMMEDIATE |
		      DRIVE_HAS_ERASE_SHORT | DRIVE_HAS_ERASE_LONG |
		      DRIVE_HAS_FORMAT | DRIVE_HAS_SEQUENTIAL;
	if (d->has_locate)
		p->features |= DRIVE_HAS_LOCATE;
	if (d->has_tell)
		p->features |= DRIVE_HAS_TELL;
	if (has_log_page(d, PAGE_ALERTS))
		p->features |= DRIVE_HAS_ALERTS;
	p->block_min = d->block_min;
	p->block_max =
		d->block_max < SCSI_LENGTH_24 ? d->block_max : SCSI_LENGTH_24;
	if (drive_scsi_ready(d, 1, &s))
		return s.key ? 0 : REEL_EIO;
	learn_pages(d, p);
	learn_density(d, p);
	learn_memory(d, p);
	if (!(p->features & DRIVE_HAS_REMAINING))
		learn_capacity(d, p);
	return 0;
}
