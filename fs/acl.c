#include "fs/acl.h"

#include <string.h>
#include <sys/stat.h>
#include "tape/bytes.h"
#include "tape/error.h"

#define ACL_VERSION 2
#define ACL_ENTRIES 8192

enum acl_tag {
	TAG_USER_OBJ = 1,
	TAG_USER = 2,
	TAG_GROUP_OBJ = 4,
	TAG_GROUP = 8,
	TAG_MASK = 16,
	TAG_OTHER = 32,
};

struct acl_entry {
	struct le16 tag, permissions;
	struct le32 id;
};
_Static_assert(sizeof(struct acl_entry) == 8, "linux/posix_acl_xattr.h");

/* The entries that decide about the permission bits. */
struct acl_parts {
	struct acl_entry *owner, *group, *mask, *other;
	size_t count; /* of all entries */
};

static int take_entry(struct acl_parts *p, struct acl_entry *e)
{
	struct acl_entry **at;

	if (le16_get(e->permissions) & ~7u)
		return REEL_EINVAL;
	switch (le16_get(e->tag)) {
	case TAG_USER_OBJ:
		at = &p->owner;
		break;
	case TAG_GROUP_OBJ:
		at = &p->group;
		break;
	case TAG_MASK:
		at = &p->mask;
		break;
	case TAG_OTHER:
		at = &p->other;
		break;
	case TAG_USER:
	case TAG_GROUP:
		return 0;
	default:
		return REEL_EINVAL;
	}
	if (*at)
		return REEL_EINVAL;
	*at = e;
	return 0;
}

static int acl_parse(void *acl, size_t length, struct acl_parts *p)
{
	struct le32 version;
	struct acl_entry *e = (void *)((uint8_t *)acl + sizeof(version));
	int error = 0;

	memset(p, 0, sizeof(*p));
	if (length < sizeof(version) ||
	    (length - sizeof(version)) % sizeof(*e) ||
	    length > ACL_ENTRIES * sizeof(*e))
		return REEL_EINVAL;
	memcpy(&version, acl, sizeof(version));
	if (le32_get(version) != ACL_VERSION)
		return REEL_EINVAL;
	p->count = (length - sizeof(version)) / sizeof(*e);
	for (size_t n = 0; !error && n < p->count; n++)
		error = take_entry(p, &e[n]);
	if (error || !p->owner || !p->group || !p->other)
		return REEL_EINVAL;
	return p->count > 3 && !p->mask ? REEL_EINVAL : 0;
}

static mode_t bits(const struct acl_entry *e)
{
	return le16_get(e->permissions);
}

int acl_to_mode(const void *acl, size_t length, mode_t *mode, bool *plain)
{
	struct acl_parts p;
	int error = acl_parse((void *)acl, length, &p);

	if (error)
		return error;
	*mode = (*mode & ~0777u) | bits(p.owner) << 6 |
		bits(p.mask ? p.mask : p.group) << 3 | bits(p.other);
	*plain = p.count == 3;
	return 0;
}

int acl_chmod(void *acl, size_t length, mode_t mode)
{
	struct acl_parts p;
	int error = acl_parse(acl, length, &p);

	if (error)
		return error;
	p.owner->permissions = le16_make((uint16_t)(mode >> 6 & 7));
	(p.mask ? p.mask : p.group)->permissions =
		le16_make((uint16_t)(mode >> 3 & 7));
	p.other->permissions = le16_make((uint16_t)(mode & 7));
	return 0;
}

int acl_inherit(const void *acl, size_t length, mode_t *mode,
		struct buffer *access)
{
	struct acl_parts p;
	struct acl_entry *group;
	int error;

	access->length = 0;
	error = buffer_append(access, acl, length);
	if (!error)
		error = acl_parse(access->data, access->length, &p);
	if (error)
		return error;
	group = p.mask ? p.mask : p.group;
	p.owner->permissions =
		le16_make((uint16_t)(bits(p.owner) & (*mode >> 6 & 7)));
	group->permissions =
		le16_make((uint16_t)(bits(group) & (*mode >> 3 & 7)));
	p.other->permissions =
		le16_make((uint16_t)(bits(p.other) & (*mode & 7)));
	*mode = (*mode & ~0777u) | bits(p.owner) << 6 | bits(group) << 3 |
		bits(p.other);
	if (p.count == 3)
		access->length = 0;
	return 0;
}
