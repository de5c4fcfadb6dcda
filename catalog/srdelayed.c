#include "catalog/srdelayed.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "tape/bytes.h"
#include "tape/error.h"

static const char *const operations[] = {"DeleteFile", "MoveFile",
					 "SetFileShortName"};

/* ---- reading ---- */

static unsigned unit(const struct srdelayed_list *l, size_t at)
{
	return (unsigned)(l->data[at] | l->data[at + 1] << 8);
}

/* The string at *at, which moves behind its NUL; false: no NUL comes. */
static bool next_text(const struct srdelayed_list *l, size_t *at,
		      struct srdelayed_text *out)
{
	size_t end = *at;

	while (end + 2 <= l->length && unit(l, end))
		end += 2;
	if (end + 2 > l->length)
		return false;
	out->at = *at;
	out->length = end - *at;
	*at = end + 2;
	return true;
}

static bool text_is(const struct srdelayed_list *l,
		    const struct srdelayed_text *t, const char *ascii)
{
	size_t length = strlen(ascii);

	if (t->length != 2 * length)
		return false;
	for (size_t n = 0; n < length; n++)
		if (unit(l, t->at + 2 * n) != (unsigned char)ascii[n])
			return false;
	return true;
}

/* "NotExecuted", or "SC=" and hexadecimal digits. */
static bool read_status(const struct srdelayed_list *l,
			struct srdelayed_record *r)
{
	struct srdelayed_text front = {r->fields[3].at, 6};
	const struct srdelayed_text *t = &r->fields[3];
	uint64_t value = 0;

	if (text_is(l, t, "NotExecuted"))
		return true;
	if (t->length < 8 || t->length > 6 + 2 * 16 ||
	    !text_is(l, &front, "SC="))
		return false;
	for (size_t at = t->at + 6; at < t->at + t->length; at += 2) {
		unsigned c = unit(l, at);

		if (c > 127 || !isxdigit((int)c))
			return false;
		value = value << 4 | (c <= '9' ? c - '0' : (c | 32) - 'a' + 10);
	}
	r->executed = true;
	r->status = value && !(uint32_t)value ? UINT32_MAX : (uint32_t)value;
	return true;
}

static const char *read_record(const struct srdelayed_list *l, size_t *at,
			       struct srdelayed_record *r)
{
	int kind = 0;

	for (int n = 0; n < 4; n++)
		if (!next_text(l, at, &r->fields[n]))
			return "the list is cut off";
	while (kind < 3 && !text_is(l, &r->fields[0], operations[kind]))
		kind++;
	if (kind == 3)
		return "there is no such operation";
	r->kind = (enum delayed_kind)kind;
	if (!r->fields[1].length || !r->fields[2].length)
		return "a name is missing";
	if (!read_status(l, r))
		return "the status is neither NotExecuted nor SC=...";
	return NULL;
}

static struct srdelayed_record *new_record(struct srdelayed_list *l)
{
	/* grows at powers of two */
	if (!(l->count & (l->count - 1))) {
		size_t room = l->count ? 2 * l->count : 1;
		struct srdelayed_record *more =
			realloc(l->records, room * sizeof(*more));

		if (!more)
			return NULL;
		l->records = more;
	}
	memset(&l->records[l->count], 0, sizeof(l->records[0]));
	return &l->records[l->count++];
}

static int parse(struct srdelayed_list *l, const char **trouble)
{
	size_t at = l->mark ? 2 : 0;

	if (at == l->length) {
		l->rest = at;
		return 0;
	}
	for (;;) {
		struct srdelayed_record *r;

		if (at + 2 <= l->length && !unit(l, at)) {
			l->rest = at + 2;
			return 0;
		}
		*trouble = "the list is cut off";
		if (at + 2 > l->length || l->count >= DELAYED_LIMIT) {
			l->count++; /* as for one that is wrong */
			return REEL_EDAMAGED;
		}
		r = new_record(l);
		if (!r)
			return REEL_ENOMEM;
		*trouble = read_record(l, &at, r);
		if (*trouble)
			return REEL_EDAMAGED;
	}
}

int srdelayed_parse(const void *data, size_t length, struct srdelayed_list *out,
		    size_t *record, const char **trouble)
{
	struct srdelayed_list l = {.data = data, .length = length};
	int error;

	if (length > SRDELAYED_LIMIT)
		return REEL_ERANGE;
	l.mark = length >= 2 && l.data[0] == 0xff && l.data[1] == 0xfe;
	error = parse(&l, trouble);
	if (error) {
		*record = l.count;
		free(l.records);
		return error;
	}
	*out = l;
	return 0;
}

void srdelayed_release(struct srdelayed_list *l)
{
	free(l->records);
	memset(l, 0, sizeof(*l));
}

int srdelayed_digest(const struct srdelayed_list *l, struct digest *out)
{
	struct digester *d;
	int error = digester_new(DELAYED_SEED, &d);

	if (error)
		return error;
	for (size_t n = 0; n < l->count; n++) {
		const struct srdelayed_record *r = &l->records[n];

		/* three strings and their NULs */
		digester_add(d, l->data + r->fields[0].at,
			     r->fields[3].at - r->fields[0].at);
	}
	digester_result(d, out);
	digester_free(d);
	return 0;
}

/* ---- UTF-16 and UTF-8 ---- */

static int put_code(struct buffer *out, uint32_t c)
{
	uint8_t b[4];
	size_t length;

	if (c < 0x80) {
		b[0] = (uint8_t)c;
		length = 1;
	} else if (c < 0x800) {
		b[0] = (uint8_t)(0xc0 | c >> 6);
		length = 2;
	} else if (c < 0x10000) {
		b[0] = (uint8_t)(0xe0 | c >> 12);
		length = 3;
	} else {
		b[0] = (uint8_t)(0xf0 | c >> 18);
		length = 4;
	}
	for (size_t n = 1; n < length; n++)
		b[n] = (uint8_t)(0x80 | (c >> (6 * (length - 1 - n)) & 0x3f));
	return buffer_append(out, b, length);
}

int srdelayed_utf8(const struct srdelayed_list *l,
		   const struct srdelayed_text *text, struct buffer *out)
{
	size_t end = text->at + text->length;
	int error = 0;

	for (size_t at = text->at; !error && at < end; at += 2) {
		uint32_t c = unit(l, at);
		uint32_t low = at + 2 < end ? unit(l, at + 2) : 0;

		if (c >> 10 == 0x36 && low >> 10 == 0x37) {
			c = 0x10000 + ((c & 0x3ff) << 10 | (low & 0x3ff));
			at += 2;
		}
		error = put_code(out, c);
	}
	return error;
}

/* The code at *text, which moves on; 0 at its end, UINT32_MAX when it is no
 * UTF-8. */
static uint32_t next_code(const unsigned char **text)
{
	const unsigned char *t = *text;
	int more = *t < 0x80	? 0
		   : *t < 0xc2	? -1
		   : *t < 0xe0	? 1
		   : *t < 0xf0	? 2
		   : *t <= 0xf4 ? 3
				: -1;
	static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
	uint32_t c;

	if (more < 0)
		return UINT32_MAX;
	c = more ? *t & (0x3fu >> more) : *t;
	for (int n = 1; n <= more; n++) {
		if ((t[n] & 0xc0) != 0x80)
			return UINT32_MAX;
		c = c << 6 | (t[n] & 0x3f);
	}
	*text += *t ? more + 1 : 0;
	return c < least[more] || c > 0x10ffff ? UINT32_MAX : c;
}

static int put_unit(struct buffer *out, uint32_t c)
{
	struct le16 u = le16_make((uint16_t)c);

	return buffer_append(out, &u, sizeof(u));
}

int srdelayed_put(struct buffer *out, const char *text)
{
	const unsigned char *at = (const unsigned char *)text;
	int error = 0;
	uint32_t c;

	while (!error && (c = next_code(&at))) {
		if (c == UINT32_MAX)
			return REEL_EINVAL;
		if (c < 0x10000) {
			error = put_unit(out, c);
			continue;
		}
		c -= 0x10000;
		error = put_unit(out, 0xd800 | c >> 10);
		if (!error)
			error = put_unit(out, 0xdc00 | (c & 0x3ff));
	}
	return error ? error : put_unit(out, 0);
}

int srdelayed_put_status(struct buffer *out, uint32_t status)
{
	char text[16];

	/* seven digits as the page draws it; failures have eight */
	snprintf(text, sizeof(text), "SC=%07X", status);
	return srdelayed_put(out, text);
}

int srdelayed_put_record(struct buffer *out, const struct srdelayed_list *l,
			 const struct srdelayed_record *r,
			 const uint32_t *status)
{
	size_t begin = r->fields[0].at, last = r->fields[3].at;
	size_t end = last + r->fields[3].length + 2;
	bool same = !status || (r->executed && r->status == *status);
	int error = buffer_append(out, l->data + begin,
				  (same ? end : last) - begin);

	return error || same ? error : srdelayed_put_status(out, *status);
}
