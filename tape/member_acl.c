/* ACLs as text (acl(5), "short and long text form"), as star, GNU tar and
 * bsdtar write them into SCHILY.acl.access and SCHILY.acl.default: entries
 *
 *     [default:]user|group|mask|other:[NAME or number]:rwx[:number]
 *
 * with commas or line feeds between, to the form that the kernel has in
 * extended attributes (linux/posix_acl_xattr.h): le32 version 2, then for each
 * entry, by tag and id, le16 tag, le16 permissions, le32 id. */
#include <ctype.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include "tape/bytes.h"
#include "tape/error.h"
#include "tape/member_state.h"

#define ACL_VERSION 2
#define ENTRIES	    1024 /* at most */
#define FIELDS	    4
#define NAME_LIMIT  256
#define NO_ID	    UINT32_MAX
#define ROOM	    4096 /* for what a system tells of a name */
#define ROOM_LIMIT  (4u << 20)

enum tag {
	USER_OBJ = 1,
	USER = 2,
	GROUP_OBJ = 4,
	GROUP = 8,
	MASK = 16,
	OTHER = 32
};

struct entry {
	uint16_t tag, permissions;
	uint32_t id;
};

struct field {
	const char *text;
	size_t length;
};

static bool is(const struct field *f, const char *word)
{
	return (f->length == 1 && *f->text == *word) ||
	       (f->length == strlen(word) && !memcmp(f->text, word, f->length));
}

static bool number_of(const struct field *f, uint32_t *id)
{
	uint64_t n;

	if (member_number((const uint8_t *)f->text, f->length, &n) ||
	    n >= NO_ID)
		return false;
	*id = (uint32_t)n;
	return true;
}

/* A group may have thousands of members, which are told with it. */
static bool ask(const char *name, bool user, char *room, size_t size,
		uint32_t *id, int *err)
{
	struct passwd p, *found_user = NULL;
	struct group g, *found_group = NULL;

	*err = user ? getpwnam_r(name, &p, room, size, &found_user)
		    : getgrnam_r(name, &g, room, size, &found_group);
	if (*err || (!found_user && !found_group))
		return false;
	*id = user ? p.pw_uid : g.gr_gid;
	return true;
}

static bool known_here(const char *name, bool user, uint32_t *id)
{
	bool found = false;
	int err = ERANGE;

	for (size_t size = ROOM; err == ERANGE && size <= ROOM_LIMIT;
	     size *= 4) {
		char *room = malloc(size);

		if (!room)
			return false;
		found = ask(name, user, room, size, id, &err);
		free(room);
	}
	return found;
}

/* The number behind an entry, else one in the place of a name, else what this
 * system calls so. False: nobody here. */
static bool id_of(const struct field *name, const struct field *number,
		  bool user, uint32_t *id)
{
	char text[NAME_LIMIT];

	if (number_of(number, id) || number_of(name, id))
		return true;
	if (name->length >= sizeof(text))
		return false;
	memcpy(text, name->text, name->length);
	text[name->length] = '\0';
	return known_here(text, user, id);
}

static int read_permissions(const struct field *f, uint16_t *out)
{
	*out = 0;
	for (size_t n = 0; n < f->length; n++) {
		const char *bit = strchr("xwr", f->text[n]);

		if (f->text[n] == '-')
			continue;
		if (!f->text[n] || !bit)
			return REEL_EINVAL;
		*out |= (uint16_t)(1u << (bit - "xwr"));
	}
	return f->length ? 0 : REEL_EINVAL;
}

static size_t split(const char *text, size_t length, struct field *fields)
{
	size_t count = 0;

	while (count < FIELDS) {
		const char *colon = memchr(text, ':', length);
		size_t n = colon ? (size_t)(colon - text) : length;

		fields[count++] = (struct field){text, n};
		if (!colon)
			break;
		text += n + 1;
		length -= n + 1;
	}
	return count;
}

/* 1: an entry; 0: of somebody who is unknown here. */
static int read_entry(const char *text, size_t length, struct entry *e)
{
	struct field f[FIELDS] = {{"", 0}, {"", 0}, {"", 0}, {"", 0}};
	size_t count = split(text, length, f);
	bool user = is(&f[0], "user");
	uint32_t id;

	if ((is(&f[0], "mask") || is(&f[0], "other")) && count == 2)
		f[2] = f[1], f[1].length = 0;
	*e = (struct entry){.id = NO_ID};
	if (read_permissions(&f[2], &e->permissions))
		return REEL_EINVAL;
	if (is(&f[0], "mask") || is(&f[0], "other"))
		e->tag = is(&f[0], "mask") ? MASK : OTHER;
	else if (!user && !is(&f[0], "group"))
		return REEL_EINVAL;
	else if (!f[1].length)
		e->tag = user ? USER_OBJ : GROUP_OBJ;
	else if (!id_of(&f[1], &f[3], user, &id))
		return 0;
	else
		e->tag = user ? USER : GROUP, e->id = id;
	return 1;
}

static int by_tag(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	if (x->tag != y->tag)
		return x->tag < y->tag ? -1 : 1;
	return (x->id > y->id) - (x->id < y->id);
}

/* Each once; user, group and other are there; named ones have a mask, which
 * else allows what they all do. */
static int complete(struct entry *e, size_t *count)
{
	unsigned tags = 0;
	uint16_t all = 0;

	qsort(e, *count, sizeof(*e), by_tag);
	for (size_t n = 0; n < *count; n++) {
		if (n && !by_tag(&e[n - 1], &e[n]))
			return REEL_EINVAL;
		tags |= e[n].tag;
		if (e[n].tag & (USER | GROUP_OBJ | GROUP))
			all |= e[n].permissions;
	}
	if ((tags & (USER_OBJ | GROUP_OBJ | OTHER)) !=
	    (USER_OBJ | GROUP_OBJ | OTHER))
		return REEL_EINVAL;
	if (!(tags & (USER | GROUP)) || (tags & MASK))
		return 0;
	e[(*count)++] = (struct entry){MASK, all, NO_ID};
	qsort(e, *count, sizeof(*e), by_tag);
	return 0;
}

static int put(const struct entry *e, size_t count, struct buffer *out)
{
	struct le32 version = le32_make(ACL_VERSION);
	int error = buffer_append(out, &version, sizeof(version));

	for (size_t n = 0; !error && n < count; n++) {
		const struct {
			struct le16 tag, permissions;
			struct le32 id;
		} packed = {le16_make(e[n].tag), le16_make(e[n].permissions),
			    le32_make(e[n].id)};

		error = buffer_append(out, &packed, sizeof(packed));
	}
	return error;
}

/* Up to blanks and what is remarked behind them. */
static size_t entry_length(const char *text, size_t length)
{
	size_t n = 0;

	while (n < length && !isspace((unsigned char)text[n]) && text[n] != '#')
		n++;
	return n;
}

int member_acl(const uint8_t *text, size_t length, struct buffer *out)
{
	const char *at = (const char *)text, *end = at + length;
	struct entry *e = malloc((ENTRIES + 1) * sizeof(*e));
	size_t count = 0;
	int error = e ? 0 : REEL_ENOMEM;

	while (!error && at < end) {
		const char *stop = at;
		size_t n;

		while (stop < end && *stop != ',' && *stop != '\n')
			stop++;
		n = entry_length(at, (size_t)(stop - at));
		if (n > 8 && !memcmp(at, "default:", 8))
			at += 8, n -= 8;
		if (n) {
			int got = count < ENTRIES ? read_entry(at, n, &e[count])
						  : REEL_EINVAL;

			error = got < 0 ? got : 0;
			count += got > 0;
		}
		at = stop + 1;
	}
	if (!error)
		error = complete(e, &count);
	if (!error)
		error = put(e, count, out);
	free(e);
	return error;
}
