/* What devices answer: see scsi.h. */
#include <string.h>
#include "tape/error.h"
#include "tape/scsi.h"

/* A text field: trailing blanks and zeros go, the unprintable become '?'. */
static void copy_text(char *to, const uint8_t *from, size_t length)
{
	if (length >= SCSI_TEXT)
		length = SCSI_TEXT - 1;
	while (length && (from[length - 1] == ' ' || !from[length - 1]))
		length--;
	for (size_t n = 0; n < length; n++)
		to[n] = from[n] >= 0x20 && from[n] < 0x7f ? (char)from[n] : '?';
	to[length] = '\0';
}

bool scsi_parse_inquiry(const uint8_t *data, size_t length,
			struct scsi_inquiry *out)
{
	if (length < 36)
		return false;
	out->type = data[0] & 0x1f;
	if (data[0] >> 5) /* no unit is connected there */
		out->type = 0x1f;
	copy_text(out->vendor, data + 8, 8);
	copy_text(out->product, data + 16, 16);
	copy_text(out->revision, data + 32, 4);
	return true;
}

bool scsi_parse_serial(const uint8_t *data, size_t length, char *to)
{
	size_t text;

	if (length < 4 || data[1] != 0x80)
		return false;
	text = data[3];
	if (text > length - 4)
		text = length - 4;
	while (text && *(data + 4) == ' ') {
		data++;
		text--;
	}
	copy_text(to, data + 4, text);
	return true;
}

bool scsi_parse_limits(const uint8_t *data, size_t length, uint32_t *min,
		       uint32_t *max)
{
	uint32_t low, high;

	if (length < 6)
		return false;
	high = scsi_get24(data + 1);
	low = scsi_get16(data + 4);
	if (!high)
		high = SCSI_LENGTH_24;
	if (low > high)
		return false;
	*min = low ? low : 1;
	*max = high;
	return true;
}

/* ---- position ---- */

bool scsi_parse_position(const uint8_t *data, size_t length,
			 struct scsi_position *out)
{
	if (length < 20)
		return false;
	*out = (struct scsi_position){.begin = (data[0] & 0x80) != 0,
				      .end = (data[0] & 0x40) != 0,
				      .early = (data[0] & 0x01) != 0,
				      .known = (data[0] & 0x06) == 0,
				      .partition = data[1],
				      .object = scsi_get32(data + 4),
				      .file = UINT64_MAX};
	return true;
}

/* Bits 4 and 5 are reserved here: a device that sets them gave the short form's
 * flags, and its zeros are no position. */
bool scsi_parse_position_long(const uint8_t *data, size_t length,
			      struct scsi_position *out)
{
	if (length < 32 || data[0] & 0x30)
		return false;
	*out = (struct scsi_position){
		.begin = (data[0] & 0x80) != 0,
		.end = (data[0] & 0x40) != 0,
		.early = (data[0] & 0x01) != 0,
		.known = (data[0] & 0x04) == 0,
		.partition = scsi_get32(data + 4),
		.object = scsi_get64(data + 8),
		.file = data[0] & 0x08 ? UINT64_MAX : scsi_get64(data + 16)};
	return true;
}

/* ---- pages ---- */

static bool find_page(const uint8_t *data, size_t length, uint8_t page,
		      struct scsi_mode *m)
{
	size_t at = 0;

	while (at + 2 <= length) {
		bool sub = (data[at] & 0x40) != 0;
		size_t whole;

		if (sub && at + 4 > length)
			return false;
		whole = sub ? 4 + (size_t)scsi_get16(data + at + 2)
			    : 2 + (size_t)data[at + 1];
		if (whole > length - at)
			return false;
		if ((data[at] & 0x3f) == page) {
			m->page = data + at;
			m->page_length = whole;
			return true;
		}
		at += whole;
	}
	return false;
}

bool scsi_parse_mode(const uint8_t *data, size_t length, uint8_t page,
		     struct scsi_mode *out)
{
	struct scsi_mode m = {0};
	size_t whole, descriptors;

	if (length < 4)
		return false;
	whole = (size_t)data[0] + 1;
	if (whole < length)
		length = whole;
	if (length < 4)
		return false;
	m.write_protected = (data[2] & 0x80) != 0;
	m.buffered = data[2] >> 4 & 7;
	descriptors = data[3];
	if (descriptors > length - 4)
		return false;
	if (descriptors >= 8) {
		m.described = true;
		m.density = data[4];
		m.block = scsi_get24(data + 9);
	}
	if (page)
		find_page(data + 4 + descriptors, length - 4 - descriptors,
			  page, &m);
	*out = m;
	return true;
}

/* The parameters of a log page; NULL when it is none or another. */
static const uint8_t *log_parameters(const uint8_t *data, size_t *length,
				     uint8_t page)
{
	size_t whole;

	if (*length < 4 || (data[0] & 0x3f) != page)
		return NULL;
	whole = scsi_get16(data + 2);
	if (whole < *length - 4)
		*length = whole;
	else
		*length -= 4;
	return data + 4;
}

static uint64_t number(const uint8_t *data, size_t length)
{
	uint64_t value = 0;

	for (size_t n = 0; n < length && n < 8; n++)
		value = value << 8 | data[n];
	return value;
}

bool scsi_parse_log(const uint8_t *data, size_t length, uint8_t page,
		    uint16_t parameter, uint64_t *value)
{
	const uint8_t *p = log_parameters(data, &length, page);
	size_t at = 0;

	while (p && at + 4 <= length) {
		size_t size = p[at + 3];

		if (size > length - at - 4)
			return false;
		if (scsi_get16(p + at) == parameter) {
			if (!size || size > 8)
				return false;
			*value = number(p + at + 4, size);
			return true;
		}
		at += 4 + size;
	}
	return false;
}

bool scsi_parse_alerts(const uint8_t *data, size_t length, uint64_t *flags)
{
	const uint8_t *p = log_parameters(data, &length, 0x2e);
	uint64_t found = 0;
	size_t at = 0;

	if (!p)
		return false;
	while (at + 4 <= length) {
		uint16_t code = scsi_get16(p + at);
		size_t size = p[at + 3];

		if (size > length - at - 4)
			return false;
		if (size && code >= 1 && code <= 63 && p[at + 4] & 1)
			found |= UINT64_C(1) << code;
		at += 4 + size;
	}
	*flags = found;
	return true;
}

bool scsi_parse_attribute(const uint8_t *data, size_t length, uint16_t id,
			  const uint8_t **value, size_t *value_length)
{
	size_t at = 4, whole;

	if (length < 4)
		return false;
	whole = scsi_get32(data);
	if (whole < length - 4)
		length = 4 + whole;
	while (at + 5 <= length) {
		size_t size = scsi_get16(data + at + 3);

		if (size > length - at - 5)
			return false;
		if (scsi_get16(data + at) == id) {
			*value = data + at + 5;
			*value_length = size;
			return true;
		}
		at += 5 + size;
	}
	return false;
}

bool scsi_parse_density(const uint8_t *data, size_t length, uint8_t density,
			char *to)
{
	size_t at = 4, whole;

	if (length < 4)
		return false;
	whole = (size_t)scsi_get16(data) + 2;
	if (whole < length)
		length = whole;
	while (at + 52 <= length) {
		if (data[at] == density) {
			copy_text(to, data + at + 24, 8);
			return true;
		}
		at += data[at + 2] & 0x20
			      ? 5 + (size_t)scsi_get16(data + at + 3)
			      : 52;
	}
	return false;
}

/* ---- elements ---- */

#define ELEMENT_MIN 12
#define PRIMARY_TAG 0x80
#define OTHER_TAG   0x40
#define TAG	    36 /* bytes of a volume tag, 32 of them the barcode */

static void parse_element(const uint8_t *d, size_t length, uint8_t tags,
			  struct scsi_element *e)
{
	size_t at = ELEMENT_MIN;

	e->address = scsi_get16(d);
	e->full = (d[2] & 0x01) != 0;
	e->except = (d[2] & 0x04) != 0;
	e->accessible = (d[2] & 0x08) != 0;
	e->has_source = (d[9] & 0x80) != 0;
	e->source = scsi_get16(d + 10);
	e->barcode[0] = e->serial[0] = '\0';
	if (tags & PRIMARY_TAG) {
		if (at + 32 <= length && e->full)
			copy_text(e->barcode, d + at, 32);
		at += TAG;
	}
	at += tags & OTHER_TAG ? TAG : 0;
	/* an identification descriptor of the device: code set, type, length */
	if (at + 4 <= length && d[at + 3] && at + 4 + d[at + 3] <= length)
		copy_text(e->serial, d + at + 4, d[at + 3]);
}

/* All of one type. tgt 1.0.85 leaves the last 8 bytes out of every answer: a
 * last descriptor is taken when its barcode came. */
static int parse_elements(const uint8_t *data, size_t length, size_t size,
			  uint8_t tags, enum scsi_element_type type,
			  int (*each)(void *, const struct scsi_element *),
			  void *context)
{
	struct scsi_element e = {.type = type};
	size_t least = ELEMENT_MIN + (tags & PRIMARY_TAG ? 32 : 0);

	for (size_t at = 0; at < length; at += size) {
		size_t left = length - at;
		int answer;

		if (left < least)
			break;
		parse_element(data + at, left < size ? left : size, tags, &e);
		answer = each(context, &e);
		if (answer)
			return answer;
	}
	return 0;
}

int scsi_parse_elements(const uint8_t *data, size_t length,
			int (*each)(void *context,
				    const struct scsi_element *e),
			void *context)
{
	size_t at = 8;
	int answer = 0;

	if (length < 8)
		return REEL_EDAMAGED;
	while (!answer && at + 8 <= length) {
		uint8_t type = data[at];
		uint8_t tags = data[at + 1];
		size_t size = scsi_get16(data + at + 2);
		size_t bytes = scsi_get24(data + at + 5);

		if (type < SCSI_ELEMENT_PICKER || type > SCSI_ELEMENT_DRIVE ||
		    size < ELEMENT_MIN + (tags & PRIMARY_TAG ? 32u : 0u))
			return REEL_EDAMAGED;
		if (bytes > length - at - 8)
			bytes = length - at - 8;
		answer = parse_elements(data + at + 8, bytes, size, tags,
					(enum scsi_element_type)type, each,
					context);
		at += 8 + bytes;
	}
	return answer;
}
