/* Records of extended headers (POSIX.1-2017, pax, "pax Extended Header"), with
 * what GNU tar and star add: GNU.sparse.*, SCHILY.xattr.*. */
#include <ctype.h>
#include <string.h>
#include "tape/error.h"
#include "tape/member_state.h"
#include "tape/xattrs.h"

/* ---- numbers ---- */

int member_number(const uint8_t *text, size_t length, uint64_t *out)
{
	uint64_t v = 0;

	if (!length)
		return REEL_EDAMAGED;
	for (size_t n = 0; n < length; n++) {
		if (!isdigit(text[n]) || v > (UINT64_MAX - 9) / 10)
			return REEL_EDAMAGED;
		v = v * 10 + (uint64_t)(text[n] - '0');
	}
	*out = v;
	return 0;
}

static int text_time(const uint8_t *text, size_t length, struct timespec *out)
{
	bool minus = length && *text == '-';
	const uint8_t *dot;
	uint64_t seconds;
	long ns = 0, unit = 100000000;

	text += minus;
	length -= minus;
	dot = length ? memchr(text, '.', length) : NULL;
	if (member_number(text, dot ? (size_t)(dot - text) : length,
			  &seconds) ||
	    seconds > MEMBER_TIME_LIMIT)
		return REEL_EDAMAGED;
	for (size_t n = dot ? (size_t)(dot - text) + 1 : length; n < length;
	     n++, unit /= 10) {
		if (!isdigit(text[n]))
			return REEL_EDAMAGED;
		ns += (text[n] - '0') * unit;
	}
	out->tv_sec = minus ? -(time_t)seconds : (time_t)seconds;
	out->tv_nsec = ns;
	if (minus && ns) {
		out->tv_sec--;
		out->tv_nsec = 1000000000 - ns;
	}
	return 0;
}

/* ---- records ---- */

int member_hold(struct buffer *b, const void *text, size_t length)
{
	b->length = 0;
	int error = buffer_append(b, text, length);

	if (!error)
		error = buffer_append(b, "", 1);
	if (!error)
		b->length--;
	return error;
}

/* A path in a record. */
static int hold_path(struct buffer *b, bool *has, const uint8_t *text,
		     size_t length)
{
	if (length > MEMBER_PATH_LIMIT || memchr(text, '\0', length))
		return REEL_EDAMAGED;
	*has = true;
	return member_hold(b, text, length);
}

static int hex_value(uint8_t c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
				      : -1;
}

static int add_xattr(struct member_decoder *d, const uint8_t *name,
		     size_t length, const uint8_t *value, size_t value_length)
{
	char plain[XATTR_NAME_LIMIT];
	size_t n = 0;

	for (size_t i = 0; i < length; i++) {
		uint8_t c = name[i];

		if (c == '%' && length - i > 2 && hex_value(name[i + 1]) >= 0 &&
		    hex_value(name[i + 2]) >= 0) {
			c = (uint8_t)(hex_value(name[i + 1]) << 4 |
				      hex_value(name[i + 2]));
			i += 2;
		}
		if (n == sizeof(plain) || !c)
			return REEL_EDAMAGED;
		plain[n++] = (char)c;
	}
	if (!n || value_length > XATTR_VALUE_LIMIT ||
	    d->xattrs.length + value_length > XATTR_SET_LIMIT)
		return REEL_EDAMAGED;
	int error = xattr_append(&d->xattrs, plain, n, value, value_length);
	return error == REEL_ERANGE ? REEL_EDAMAGED : error;
}

static bool key_is(const uint8_t *key, size_t length, const char *name)
{
	return length == strlen(name) && !memcmp(key, name, length);
}

static int read_sparse_record(struct member_decoder *d, const uint8_t *key,
			      size_t key_length, const uint8_t *v, size_t n)
{
	uint64_t number;

	if (key_is(key, key_length, "name"))
		return n ? hold_path(&d->path, &d->has_path, v, n)
			 : REEL_EDAMAGED;
	if (key_is(key, key_length, "map"))
		return member_map_record(d, v, n);
	if (member_number(v, n, &number))
		return REEL_EDAMAGED;
	if (key_is(key, key_length, "major"))
		d->sparse_major = number < 100 ? (int)number : 100;
	else if (key_is(key, key_length, "minor"))
		d->sparse_minor = number < 100 ? (int)number : 100;
	else if (key_is(key, key_length, "realsize") ||
		 key_is(key, key_length, "size"))
		d->real_size = number;
	else if (key_is(key, key_length, "offset"))
		d->sparse_offset = number;
	else if (key_is(key, key_length, "numbytes"))
		return d->sparse = true,
		       member_add_run(d, d->sparse_offset, number);
	return 0;
}

static const char acl_access[] = "SCHILY.acl.access";
static const char acl_default[] = "SCHILY.acl.default";

/* The text form counts where the extended attribute itself is not there. */
static int read_acl(struct member_decoder *d, const uint8_t *key,
		    size_t key_length, const uint8_t *v, size_t n)
{
	const char *name = key_is(key, key_length, acl_access)
				   ? "system.posix_acl_access"
			   : key_is(key, key_length, acl_default)
				   ? "system.posix_acl_default"
				   : NULL;
	struct buffer acl = {0};
	struct xattr there;
	int error;

	if (!name || xattr_find(d->xattrs.data, d->xattrs.length, name,
				strlen(name), &there))
		return 0;
	error = member_acl(v, n, &acl);
	if (!error)
		error = add_xattr(d, (const uint8_t *)name, strlen(name),
				  acl.data, acl.length);
	buffer_release(&acl);
	return error == REEL_EINVAL ? 0 : error;
}

static int read_record(struct member_decoder *d, const uint8_t *key,
		       size_t key_length, const uint8_t *v, size_t n)
{
	static const char xattr[] = "SCHILY.xattr.", sparse[] = "GNU.sparse.";
	const size_t xn = sizeof(xattr) - 1, sn = sizeof(sparse) - 1;

	if (key_length > xn && !memcmp(key, xattr, xn))
		return add_xattr(d, key + xn, key_length - xn, v, n);
	if (key_length > sn && !memcmp(key, sparse, sn))
		return read_sparse_record(d, key + sn, key_length - sn, v, n);
	if (key_is(key, key_length, acl_access) ||
	    key_is(key, key_length, acl_default))
		return d->has_acl = d->foreign, 0;
	if (key_is(key, key_length, "comment"))
		return d->has_comment = true, member_hold(&d->comment, v, n);
	if (key_is(key, key_length, "uname"))
		return d->has_owner = true, member_hold(&d->owner, v, n);
	if (key_is(key, key_length, "gname"))
		return d->has_group = true, member_hold(&d->group, v, n);
	if (key_is(key, key_length, "path"))
		return hold_path(&d->path, &d->has_path, v, n);
	if (key_is(key, key_length, "linkpath"))
		return hold_path(&d->link, &d->has_link, v, n);
	if (key_is(key, key_length, "size"))
		return d->has_size = true, member_number(v, n, &d->size);
	if (key_is(key, key_length, "uid"))
		return d->has_uid = true, member_number(v, n, &d->uid);
	if (key_is(key, key_length, "gid"))
		return d->has_gid = true, member_number(v, n, &d->gid);
	if (key_is(key, key_length, "mtime"))
		return d->has_mtime = true, text_time(v, n, &d->mtime);
	if (key_is(key, key_length, "atime"))
		return d->has_atime = true, text_time(v, n, &d->atime);
	return 0;
}

typedef int record_reader(struct member_decoder *d, const uint8_t *key,
			  size_t key_length, const uint8_t *v, size_t n);

static int each_record(struct member_decoder *d, record_reader *read)
{
	const uint8_t *at = d->records.data, *end = at + d->records.length;

	while (at < end) {
		const uint8_t *begin = at, *space = at;
		uint64_t length;

		while (space < end && isdigit(*space))
			space++;
		if (space == end || *space != ' ' ||
		    member_number(at, (size_t)(space - at), &length) ||
		    length > (uint64_t)(end - begin) ||
		    length < (uint64_t)(space - begin) + 3 ||
		    begin[length - 1] != '\n')
			return REEL_EDAMAGED;
		const uint8_t *key = space + 1, *stop = begin + length - 1;
		const uint8_t *equals = memchr(key, '=', (size_t)(stop - key));
		if (!equals)
			return REEL_EDAMAGED;
		int error = read(d, key, (size_t)(equals - key), equals + 1,
				 (size_t)(stop - equals - 1));
		if (error)
			return error;
		at = begin + length;
	}
	return 0;
}

int member_read_records(struct member_decoder *d)
{
	int error = each_record(d, read_record);

	return !error && d->has_acl ? each_record(d, read_acl) : error;
}
