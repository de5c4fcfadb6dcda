#include "tape/member_state.h"

#include <stdlib.h>
#include <string.h>
#include "tape/error.h"

#define COLLECT 65536 /* bytes at a time */

int member_decoder_new(member_source source, void *context,
		       struct member_decoder **out)
{
	struct member_decoder *d = calloc(1, sizeof(*d));

	if (!d)
		return REEL_ENOMEM;
	d->source = source;
	d->context = context;
	*out = d;
	return 0;
}

void member_decoder_foreign(struct member_decoder *d, member_skipper skipper)
{
	d->foreign = true;
	d->skipper = skipper;
}

void member_decoder_free(struct member_decoder *d)
{
	if (!d)
		return;
	buffer_release(&d->records);
	buffer_release(&d->path);
	buffer_release(&d->link);
	buffer_release(&d->owner);
	buffer_release(&d->group);
	buffer_release(&d->comment);
	buffer_release(&d->xattrs);
	free(d->runs);
	free(d);
}

uint64_t member_header_offset(const struct member_decoder *d)
{
	return d->header_offset;
}

uint64_t member_data_offset(const struct member_decoder *d)
{
	return d->data_offset;
}

/* ---- input ---- */

static int64_t take(struct member_decoder *d, void *to, size_t length)
{
	int64_t n = d->source(d->context, to, length);

	if (n > 0)
		d->position += (uint64_t)n;
	return n;
}

int member_take(struct member_decoder *d, void *to, size_t length)
{
	int64_t n = take(d, to, length);

	return n < 0 ? (int)n : (size_t)n == length ? 0 : REEL_EDAMAGED;
}

static int skip(struct member_decoder *d, uint64_t length)
{
	if (d->skipper && length > MEMBER_BLOCK) {
		int error = d->skipper(d->context, length);

		d->position += error ? 0 : length;
		return error;
	}
	while (length) {
		size_t n = length < MEMBER_SKIP ? (size_t)length : MEMBER_SKIP;
		int error = member_take(d, d->skip, n);

		if (error)
			return error;
		length -= n;
	}
	return 0;
}

/* ---- numbers ---- */

/* An octal field, or base-256 (GNU): 0x80 in the first byte, big endian. */
int member_field(const char *field, size_t size, uint64_t *out)
{
	const uint8_t *b = (const uint8_t *)field;
	uint64_t v = 0;
	size_t n = 0;

	if (b[0] & 0x80) {
		v = b[0] & 0x7f;
		for (n = 1; n < size; n++) {
			if (v >> 56)
				return REEL_EDAMAGED;
			v = v << 8 | b[n];
		}
		*out = v;
		return 0;
	}
	while (n < size && b[n] == ' ')
		n++;
	for (; n < size && b[n] >= '0' && b[n] <= '7'; n++) {
		if (v >> 60)
			return REEL_EDAMAGED;
		v = v << 3 | (uint64_t)(b[n] - '0');
	}
	for (; n < size; n++)
		if (b[n] != ' ' && b[n] != '\0')
			return REEL_EDAMAGED;
	*out = v;
	return 0;
}

/* A time: octal, or base 256 in two's complement (GNU). */
static int field_time(const char *field, size_t size, int64_t *out)
{
	const uint8_t *b = (const uint8_t *)field;
	uint64_t v = 0;

	if (b[0] != 0xff) {
		if (member_field(field, size, &v) || v > MEMBER_TIME_LIMIT)
			return REEL_EDAMAGED;
		*out = (int64_t)v;
		return 0;
	}
	for (size_t n = 1; n < size; n++) {
		if (v >> 56)
			return REEL_EDAMAGED;
		v = v << 8 | (uint8_t)~b[n];
	}
	if (v >= MEMBER_TIME_LIMIT)
		return REEL_EDAMAGED;
	*out = -(int64_t)v - 1;
	return 0;
}

/* ---- extended headers ---- */

static int load_records(struct member_decoder *d, uint64_t size)
{
	int error = size > MEMBER_HEADER_LIMIT ? REEL_EDAMAGED : 0;

	d->records.length = 0;
	if (!error)
		error = buffer_reserve(&d->records, (size_t)size + 1);
	if (!error)
		error = member_take(d, d->records.data, (size_t)size);
	if (!error)
		error = skip(d, member_padding(size));
	if (!error)
		d->records.length = (size_t)size;
	return error;
}

/* GNU L and K: the name, NUL at its end. */
static int read_long(struct member_decoder *d, struct buffer *to, bool *has)
{
	size_t length = strnlen((char *)d->records.data, d->records.length);

	if (!length || length > MEMBER_PATH_LIMIT)
		return REEL_EDAMAGED;
	*has = true;
	return member_hold(to, d->records.data, length);
}

/* ---- the header itself ---- */

static void forget(struct member_decoder *d)
{
	d->has_path = d->has_link = d->has_owner = d->has_group = false;
	d->has_comment = d->has_size = d->has_uid = d->has_gid = false;
	d->has_mtime = d->has_atime = d->has_acl = d->sparse = false;
	d->sparse_major = d->sparse_minor = -1;
	d->xattrs.length = 0;
	d->run_count = 0;
	d->real_size = 0;
	d->path.length = d->link.length = 0;
	d->comment.length = d->owner.length = d->group.length = 0;
}

static bool is_zero(const struct ustar *h)
{
	const uint8_t *b = (const uint8_t *)h;

	return !b[0] && !memcmp(b, b + 1, sizeof(*h) - 1);
}

static bool checksum_right(const struct ustar *h)
{
	const signed char *b = (const signed char *)h;
	uint64_t said;
	int sum = 0;

	if (member_field(h->checksum, sizeof(h->checksum), &said))
		return false;
	if (said == ustar_checksum(h))
		return true;
	/* some old tars added signed bytes */
	for (size_t n = 0; n < sizeof(*h); n++)
		sum += b[n];
	for (size_t n = 0; n < sizeof(h->checksum); n++)
		sum += ' ' - h->checksum[n];
	return sum >= 0 && said == (uint64_t)sum;
}

bool member_begins(const uint8_t block[MEMBER_BLOCK])
{
	struct ustar h;

	memcpy(&h, block, sizeof(h));
	return is_zero(&h) || checksum_right(&h);
}

static int field_text(struct buffer *to, const char *field, size_t size)
{
	return member_hold(to, field, strnlen(field, size));
}

static int header_path(struct member_decoder *d, const struct ustar *h)
{
	size_t name = strnlen(h->name, sizeof(h->name));
	size_t prefix = memcmp(h->magic, "ustar", 6)
				? 0
				: strnlen(h->prefix, sizeof(h->prefix));
	int error = 0;

	if (d->has_path)
		return 0;
	d->path.length = 0;
	if (prefix)
		error = buffer_append(&d->path, h->prefix, prefix);
	if (!error && prefix)
		error = buffer_append(&d->path, "/", 1);
	if (!error)
		error = buffer_append(&d->path, h->name, name);
	if (!error)
		error = buffer_append(&d->path, "", 1);
	if (!error)
		d->path.length--;
	return error;
}

static int header_texts(struct member_decoder *d, const struct ustar *h)
{
	bool named = !memcmp(h->magic, "ustar", 5);
	int error = header_path(d, h);

	if (!error && !d->has_link)
		error = field_text(&d->link, h->link, sizeof(h->link));
	if (!error && !d->has_owner && named)
		error = field_text(&d->owner, h->owner, sizeof(h->owner));
	if (!error && !d->has_group && named)
		error = field_text(&d->group, h->group, sizeof(h->group));
	return error;
}

static int header_numbers(struct member_decoder *d, const struct ustar *h,
			  struct member *m)
{
	uint64_t mode, major = 0, minor = 0;
	int64_t mtime = 0;

	if (member_field(h->mode, sizeof(h->mode), &mode) ||
	    (!d->has_uid && member_field(h->uid, sizeof(h->uid), &d->uid)) ||
	    (!d->has_gid && member_field(h->gid, sizeof(h->gid), &d->gid)) ||
	    (!d->has_size &&
	     member_field(h->size, sizeof(h->size), &d->size)) ||
	    (!d->has_mtime && field_time(h->mtime, sizeof(h->mtime), &mtime)))
		return REEL_EDAMAGED;
	if (h->type == '1' && member_field(h->minor, sizeof(h->minor), &minor))
		minor = 0;
	if ((h->type == '3' || h->type == '4') &&
	    (member_field(h->major, sizeof(h->major), &major) ||
	     member_field(h->minor, sizeof(h->minor), &minor)))
		return REEL_EDAMAGED;
	if (d->uid > UINT32_MAX || d->gid > UINT32_MAX || d->size > INT64_MAX ||
	    major > UINT32_MAX || minor > UINT32_MAX)
		return REEL_EDAMAGED;
	m->mode = (mode_t)(mode & 07777);
	m->uid = (uint32_t)d->uid;
	m->gid = (uint32_t)d->gid;
	m->mtime =
		d->has_mtime ? d->mtime : (struct timespec){(time_t)mtime, 0};
	m->has_atime = d->has_atime;
	m->atime = d->has_atime ? d->atime : m->mtime;
	m->major = (uint32_t)major;
	m->minor = (uint32_t)minor;
	return 0;
}

/* Paths as the catalogue has them: relative, no "./", no slash at the end. */
static void trim_path(const char **path, size_t *length)
{
	for (;;) {
		if (*length && **path == '/')
			++*path, --*length;
		else if (*length > 1 && (*path)[0] == '.' && (*path)[1] == '/')
			*path += 2, *length -= 2;
		else
			break;
	}
	while (*length && (*path)[*length - 1] == '/')
		--*length;
	if (*length == 1 && **path == '.')
		*length = 0;
}

/* What others write beside files: GNU tar's dumps of directories, labels,
 * continued files and long names of old, Solaris's ACLs, star's inodes. POSIX
 * wants everything else to be taken for files. */
static void foreign_type(char type, enum member_type *out)
{
	if (type == 'D')
		*out = MEMBER_DIRECTORY;
	else if (strchr("VMNAI", type))
		*out = type == MEMBER_REST ? MEMBER_REST : MEMBER_OTHER;
}

static int header_type(const struct member_decoder *d, char type,
		       enum member_type *out)
{
	*out = MEMBER_FILE;
	switch (type) {
	case '\0':
	case '0':
	case '7':
		return 0;
	case '1':
	case '2':
	case '3':
	case '4':
	case '5':
	case '6':
		*out = (enum member_type)type;
		return 0;
	case 'S':
		return 0;
	default:
		foreign_type(type, out);
		return d->foreign ? 0 : REEL_EDAMAGED;
	}
}

static int read_map(struct member_decoder *d, const struct ustar *h,
		    struct member *m)
{
	uint64_t stored = d->left;
	int error = 0;

	if (d->sparse_major > 1 || d->sparse_minor > 1 ||
	    (d->sparse_major == 1 && d->sparse_minor != 0))
		return REEL_EDAMAGED;
	if (h->type == 'S') {
		error = member_map_header(d, h);
	} else if (d->sparse_major == 1) {
		d->sparse = true;
		error = member_map_data(d);
	}
	if (!error && d->real_size > INT64_MAX)
		error = REEL_EDAMAGED;
	if (!error && d->sparse)
		error = member_check_map(d, d->real_size);
	m->stored = stored;
	m->sparse = d->sparse;
	m->size = d->sparse ? d->real_size : stored;
	m->runs = d->sparse ? d->runs : NULL;
	m->run_count = d->sparse ? d->run_count : 0;
	return error;
}

static int read_member(struct member_decoder *d, const struct ustar *h,
		       struct member *m)
{
	enum member_type type;
	int bad = header_type(d, h->type, &type);
	int error = header_numbers(d, h, m);

	if (!error)
		error = header_texts(d, h);
	if (error)
		return error;
	if (bad || type == MEMBER_FILE || type == MEMBER_OTHER ||
	    type == MEMBER_REST || h->type == 'D')
		d->left = d->size;
	d->padding = member_padding(d->left);
	if (bad)
		return bad;
	if (type == MEMBER_FILE && d->path.length &&
	    d->path.data[d->path.length - 1] == '/' && !d->left)
		type = MEMBER_DIRECTORY;
	m->type = type;
	m->path = (char *)d->path.data;
	m->path_length = d->path.length;
	trim_path(&m->path, &m->path_length);
	m->link = (char *)d->link.data;
	m->link_length = d->link.length;
	if (type == MEMBER_LINK)
		trim_path(&m->link, &m->link_length);
	m->owner = d->owner.length ? (char *)d->owner.data : NULL;
	m->group = d->group.length ? (char *)d->group.data : NULL;
	m->xattrs = d->xattrs.data;
	m->xattrs_length = d->xattrs.length;
	m->comment = d->has_comment ? (char *)d->comment.data : NULL;
	m->comment_length = d->has_comment ? d->comment.length : 0;
	if (type == MEMBER_FILE)
		error = read_map(d, h, m);
	d->data_offset = d->position;
	return error;
}

/* x, g, L, K: 1 when the header was one of them. */
static int read_extension(struct member_decoder *d, const struct ustar *h)
{
	uint64_t size;
	int error;

	if (h->type != 'x' && h->type != 'X' && h->type != 'g' &&
	    h->type != 'L' && h->type != 'K')
		return 0;
	if (member_field(h->size, sizeof(h->size), &size))
		return REEL_EDAMAGED;
	error = load_records(d, size);
	if (error)
		return error;
	if (h->type == 'L')
		error = read_long(d, &d->path, &d->has_path);
	else if (h->type == 'K')
		error = read_long(d, &d->link, &d->has_link);
	else
		error = member_read_records(d);
	return error ? error : 1;
}

/* The next block: 1, 0 at the end of the archive, or an error. */
static int read_block(struct member_decoder *d, struct ustar *h, bool first)
{
	int64_t n = take(d, h, sizeof(*h));

	if (n < 0)
		return (int)n;
	if (n == 0 && first)
		return 0;
	if ((size_t)n != sizeof(*h))
		return REEL_EDAMAGED;
	while (first && d->astray && is_zero(h)) {
		d->header_offset += sizeof(*h);
		n = take(d, h, sizeof(*h));
		if (n <= 0)
			return (int)n;
		if ((size_t)n != sizeof(*h))
			return REEL_EDAMAGED;
	}
	if (is_zero(h)) {
		if (!first)
			return REEL_EDAMAGED;
		n = take(d, h, sizeof(*h));
		if (n < 0)
			return (int)n;
		if (n == 0 || ((size_t)n == sizeof(*h) && is_zero(h)))
			return 0;
		if ((size_t)n != sizeof(*h))
			return REEL_EDAMAGED;
		d->header_offset += sizeof(*h);
	}
	return checksum_right(h) ? 1 : REEL_EDAMAGED;
}

static int next_header(struct member_decoder *d, struct member *out)
{
	uint64_t rest = d->left + d->padding;
	struct ustar h;
	bool first = true;
	int step;

	d->left = 0;
	d->padding = 0;
	step = skip(d, rest);
	if (step)
		return step;
	forget(d);
	memset(out, 0, sizeof(*out));
	d->header_offset = d->data_offset = d->position;
	while ((step = read_block(d, &h, first)) == 1) {
		int more = read_extension(d, &h);

		if (more < 0)
			return more;
		if (!more) {
			step = read_member(d, &h, out);
			return step ? step : 1;
		}
		if (h.type == 'g') {
			out->type = MEMBER_GLOBAL;
			out->comment =
				d->has_comment ? (char *)d->comment.data : NULL;
			out->comment_length = d->comment.length;
			d->data_offset = d->position;
			return 1;
		}
		first = false;
	}
	return step;
}

int member_next(struct member_decoder *d, struct member *out)
{
	int step = next_header(d, out);

	if (step == REEL_EDAMAGED)
		d->astray = true;
	return step;
}

int member_pass(struct member_decoder *d)
{
	int error = skip(d, d->left);

	d->left = error ? d->left : 0;
	return error;
}

int64_t member_data(struct member_decoder *d, void *to, size_t length)
{
	if (length > d->left)
		length = (size_t)d->left;
	if (!length)
		return 0;
	int error = member_take(d, to, length);
	if (error)
		return error;
	d->left -= length;
	return (int64_t)length;
}

int member_collect(struct member_decoder *d, struct buffer *to, size_t limit)
{
	to->length = 0;
	while (d->left) {
		size_t n = d->left < COLLECT ? (size_t)d->left : COLLECT;
		int error = d->left > limit - to->length
				    ? REEL_ERANGE
				    : buffer_reserve(to, n);

		if (!error)
			error = member_take(d, to->data + to->length, n);
		if (error)
			return error;
		to->length += n;
		d->left -= n;
	}
	return 0;
}
