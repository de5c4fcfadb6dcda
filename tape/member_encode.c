#include "tape/member.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "tape/error.h"
#include "tape/ustar.h"
#include "tape/xattrs.h"

/* ---- what fits where ---- */

#define RECORD_LONGEST 1024 /* of a name: MirBSD pax has a limit */

/* Text that every tool reads alike in every locale. Others, UTF-8 or not,
 * make bsdtar complain where the locale is C when they stand in records. */
static bool is_ascii(const char *text, size_t length)
{
	for (size_t n = 0; n < length; n++)
		if (!text[n] || (uint8_t)text[n] >= 0x80)
			return false;
	return true;
}

static void put_octal(char *field, size_t size, uint64_t value)
{
	field[size - 1] = '\0';
	for (size_t n = size - 1; n-- > 0; value >>= 3)
		field[n] = (char)('0' + (value & 7));
}

static bool fits(size_t size, uint64_t value)
{
	return value >> (3 * (size - 1)) == 0;
}

/* Six digits, a NUL, a space. */
static void put_checksum(struct ustar *h)
{
	put_octal(h->checksum, 7, ustar_checksum(h));
	h->checksum[7] = ' ';
}

/* ---- extended header ---- */

/* Decimal digits, the last one at end[-1]; where they begin. Printing is what
 * encoding spends its time on. */
static char *put_digits(char *end, uint64_t v)
{
	do
		*--end = (char)('0' + v % 10);
	while (v /= 10);
	return end;
}

static int put_record(struct buffer *out, const char *key, size_t key_length,
		      const void *value, size_t length)
{
	char digits[24], *end = digits + sizeof(digits), *begin;
	size_t body = key_length + length + 3, total = body + 1;
	int error = buffer_reserve(out, body + sizeof(digits));

	/* the length counts its own digits */
	while ((size_t)(end - (begin = put_digits(end, total))) + body != total)
		total++;
	if (!error)
		error = buffer_append(out, begin, (size_t)(end - begin));
	if (!error)
		error = buffer_append(out, " ", 1);
	if (!error)
		error = buffer_append(out, key, key_length);
	if (!error)
		error = buffer_append(out, "=", 1);
	if (!error)
		error = buffer_append(out, value, length);
	return error ? error : buffer_append(out, "\n", 1);
}

static int put_text(struct buffer *out, const char *key, const void *value,
		    size_t length)
{
	return put_record(out, key, strlen(key), value, length);
}

static int put_number(struct buffer *out, const char *key, uint64_t value)
{
	char text[24], *end = text + sizeof(text);
	char *begin = put_digits(end, value);

	return put_text(out, key, begin, (size_t)(end - begin));
}

/* Seconds as a decimal fraction; before 1970 the sign stands for all of it. */
static int put_time(struct buffer *out, const char *key, struct timespec t)
{
	uint64_t seconds = (uint64_t)t.tv_sec, ns = (uint64_t)t.tv_nsec;
	char text[48], *end = text + sizeof(text), *begin = end;

	if (t.tv_sec < 0) {
		seconds = -seconds;
		if (ns) {
			seconds--;
			ns = 1000000000 - ns;
		}
	}
	if (ns) {
		begin = put_digits(end, 1000000000 + ns);
		*begin = '.'; /* the digit that kept the zeros */
	}
	begin = put_digits(begin, seconds);
	if (t.tv_sec < 0)
		*--begin = '-';
	return put_text(out, key, begin, (size_t)(end - begin));
}

/* A keyword cannot hold '=', nor '%' then. */
static int put_xattr(struct buffer *out, const struct xattr *x)
{
	char key[sizeof("SCHILY.xattr.") + 3 * XATTR_NAME_LIMIT];
	size_t n = sizeof("SCHILY.xattr.") - 1;

	memcpy(key, "SCHILY.xattr.", n);
	for (size_t i = 0; i < x->name_length; i++) {
		char c = x->name[i];

		if (c == '=' || c == '%')
			n += (size_t)sprintf(key + n, "%%%02X", c);
		else
			key[n++] = c;
	}
	return put_record(out, key, n, x->value, x->value_length);
}

static int put_xattrs(struct buffer *out, const struct member *m)
{
	struct xattr_cursor c = xattr_cursor(m->xattrs, m->xattrs_length);
	struct xattr x;
	int step, error = 0;

	while (!error && (step = xattr_next(&c, &x)) == 1)
		error = put_xattr(out, &x);
	return error ? error : step;
}

/* The name of an owner: in its field, or as a record when too long. */
static int put_owner(struct buffer *out, const char *key, const char *name,
		     char field[32])
{
	size_t length = name ? strlen(name) : 0;

	if (length < 32) {
		memcpy(field, name ? name : "", length);
		return 0;
	}
	memcpy(field, name, 31);
	return is_ascii(name, length) ? put_text(out, key, name, length) : 0;
}

/* ---- the blocks ---- */

static int put_header(struct buffer *out, struct ustar *h)
{
	put_checksum(h);
	return buffer_append(out, h, sizeof(*h));
}

static int pad(struct buffer *out, size_t length)
{
	return buffer_append_zeros(out, member_padding(length));
}

/* A header that carries data of its own: x, g, L, K. */
static int put_carrier(struct buffer *out, char type, const char *name,
		       const void *data, size_t length)
{
	struct ustar h;
	int error;

	ustar_init(&h);
	memcpy(h.name, name, strlen(name));
	put_octal(h.mode, sizeof(h.mode), 0644);
	put_octal(h.size, sizeof(h.size), length);
	h.type = type;
	error = put_header(out, &h);
	if (!error)
		error = buffer_append(out, data, length);
	return error ? error : pad(out, length);
}

/* bsdtar takes a drive's letter and backslashes off the front of a path. */
static bool looks_foreign(const char *path, size_t length)
{
	return (length && path[0] == '\\') ||
	       (length > 1 && path[1] == ':' && isalpha((uint8_t)path[0]));
}

/* A name: raw in its field, a record when long and ASCII, a GNU header when
 * long and not. `before` and `behind` stand around it. */
static int put_name(struct buffer *out, struct buffer *records, char gnu,
		    const char *key, const char *before, const char *name,
		    size_t length, const char *behind, char field[100])
{
	struct buffer whole = {0};
	size_t head = strlen(before), tail = strlen(behind);
	int error;

	if (head + length + tail <= 100) {
		memcpy(field, before, head);
		memcpy(field + head, name, length);
		memcpy(field + head + length, behind, tail);
		return 0;
	}
	error = buffer_append(&whole, before, head);
	if (!error)
		error = buffer_append(&whole, name, length);
	if (!error)
		error = buffer_append(&whole, behind, tail);
	/* tools that know neither still see a name */
	if (!error)
		memcpy(field, whole.data, 99);
	if (!error && length <= RECORD_LONGEST && is_ascii(name, length)) {
		error = put_text(records, key, whole.data, whole.length);
	} else if (!error) {
		error = buffer_append(&whole, "", 1);
		if (!error)
			error = put_carrier(out, gnu, "././@LongLink",
					    whole.data, whole.length);
	}
	buffer_release(&whole);
	return error;
}

static int put_path(struct buffer *out, struct buffer *records,
		    const struct member *m, char field[100])
{
	const char *path = m->path_length ? m->path : ".";
	size_t length = m->path_length ? m->path_length : 1;

	return put_name(out, records, 'L', "path",
			looks_foreign(path, length) ? "./" : "", path, length,
			m->type == MEMBER_DIRECTORY ? "/" : "", field);
}

static int put_link(struct buffer *out, struct buffer *records,
		    const struct member *m, char field[100])
{
	bool named = m->type == MEMBER_LINK &&
		     looks_foreign(m->link, m->link_length);

	return put_name(out, records, 'K', "linkpath", named ? "./" : "",
			m->link, m->link_length, "", field);
}

static int put_numbers(struct buffer *records, const struct member *m,
		       struct ustar *h)
{
	int error = 0;

	if (fits(sizeof(h->uid), m->uid))
		put_octal(h->uid, sizeof(h->uid), m->uid);
	else
		error = put_number(records, "uid", m->uid);
	if (fits(sizeof(h->gid), m->gid))
		put_octal(h->gid, sizeof(h->gid), m->gid);
	else if (!error)
		error = put_number(records, "gid", m->gid);
	if (fits(sizeof(h->size), m->stored))
		put_octal(h->size, sizeof(h->size), m->stored);
	else if (!error)
		error = put_number(records, "size", m->stored);
	if (m->mtime.tv_sec >= 0 &&
	    fits(sizeof(h->mtime), (uint64_t)m->mtime.tv_sec))
		put_octal(h->mtime, sizeof(h->mtime),
			  (uint64_t)m->mtime.tv_sec);
	else if (!error && !m->mtime.tv_nsec)
		error = put_time(records, "mtime", m->mtime);
	if (!error && m->mtime.tv_nsec)
		error = put_time(records, "mtime", m->mtime);
	if (!error && m->has_atime)
		error = put_time(records, "atime", m->atime);
	if (!fits(sizeof(h->major), m->major) ||
	    !fits(sizeof(h->minor), m->minor))
		return REEL_ERANGE;
	put_octal(h->major, sizeof(h->major), m->major);
	put_octal(h->minor, sizeof(h->minor), m->minor);
	return error;
}

static int put_sparse_records(struct buffer *records, const struct member *m)
{
	int error = put_number(records, "GNU.sparse.major", 1);

	if (!error)
		error = put_number(records, "GNU.sparse.minor", 0);
	if (!error)
		error = put_number(records, "GNU.sparse.realsize", m->size);
	return error;
}

/* The map in front of a sparse member's data: decimal lines, count first; a
 * hole at the end is said by an empty run behind it. */
static int make_map(const struct member *m, struct buffer *map)
{
	const struct sparse_run *last =
		m->run_count ? &m->runs[m->run_count - 1] : NULL;
	bool hole = !last || last->offset + last->length < m->size;
	int error = buffer_printf(map, "%zu\n", m->run_count + hole);

	for (size_t n = 0; !error && n < m->run_count; n++)
		error = buffer_printf(map, "%" PRIu64 "\n%" PRIu64 "\n",
				      m->runs[n].offset, m->runs[n].length);
	if (!error && hole)
		error = buffer_printf(map, "%" PRIu64 "\n0\n", m->size);
	return error ? error : pad(map, map->length);
}

static int put_global(const struct member *m, struct buffer *out)
{
	struct buffer records = {0};
	int error =
		put_text(&records, "comment", m->comment, m->comment_length);

	if (!error)
		error = put_carrier(out, MEMBER_GLOBAL, "././@PaxHeader",
				    records.data, records.length);
	buffer_release(&records);
	return error;
}

/* The header and, through `records`, what it cannot hold. */
static int make_header(const struct member *m, struct buffer *out,
		       struct buffer *records, struct ustar *h)
{
	int error;

	ustar_init(h);
	h->type = (char)m->type;
	put_octal(h->mode, sizeof(h->mode), m->mode & 07777);
	error = put_path(out, records, m, h->name);
	if (!error && m->link_length)
		error = put_link(out, records, m, h->link);
	if (!error)
		error = put_numbers(records, m, h);
	if (!error)
		error = put_owner(records, "uname", m->owner, h->owner);
	if (!error)
		error = put_owner(records, "gname", m->group, h->group);
	if (!error && m->sparse)
		error = put_sparse_records(records, m);
	if (!error && m->xattrs_length)
		error = put_xattrs(records, m);
	if (!error && m->comment)
		error = put_text(records, "comment", m->comment,
				 m->comment_length);
	return error;
}

int member_encode(struct member *m, struct buffer *out, size_t *map_bytes)
{
	struct buffer records = {0}, map = {0};
	size_t before = out->length;
	struct ustar h;
	int error = 0;

	*map_bytes = 0;
	m->stored = 0;
	if (m->type == MEMBER_GLOBAL)
		return put_global(m, out);
	if (m->type == MEMBER_FILE && m->sparse)
		error = make_map(m, &map);
	if (m->type == MEMBER_FILE) {
		m->stored = m->sparse ? map.length : m->size;
		for (size_t n = 0; m->sparse && n < m->run_count; n++)
			m->stored += m->runs[n].length;
	}
	if (!error)
		error = make_header(m, out, &records, &h);
	if (!error && records.length > MEMBER_HEADER_LIMIT)
		error = REEL_ERANGE;
	if (!error && records.length)
		error = put_carrier(out, 'x', "././@PaxHeader", records.data,
				    records.length);
	if (!error)
		error = put_header(out, &h);
	if (!error)
		error = buffer_append(out, map.data, map.length);
	*map_bytes = map.length;
	buffer_release(&records);
	buffer_release(&map);
	if (error)
		out->length = before;
	return error;
}
