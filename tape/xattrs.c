#include <string.h>
#include "tape/bytes.h"
#include "tape/error.h"
#include "tape/xattrs.h"

struct xattr_head {
	struct le16 name_length;
	struct le32 value_length;
};

_Static_assert(sizeof(struct xattr_head) == 6, "xattr_head");

struct xattr_cursor xattr_cursor(const void *set, size_t length)
{
	const uint8_t *at = set;

	return (struct xattr_cursor){at, length ? at + length : at};
}

int xattr_next(struct xattr_cursor *c, struct xattr *out)
{
	size_t left = (size_t)(c->end - c->at);
	const uint8_t *body;
	struct xattr_head head;
	struct xattr x;

	if (left == 0)
		return 0;
	if (left < sizeof(head))
		goto damaged;
	memcpy(&head, c->at, sizeof(head));
	left -= sizeof(head);
	body = c->at + sizeof(head);
	x.name_length = le16_get(head.name_length);
	x.value_length = le32_get(head.value_length);
	if (x.name_length == 0 || x.name_length > XATTR_NAME_LIMIT ||
	    x.value_length > XATTR_VALUE_LIMIT || x.name_length > left ||
	    x.value_length > left - x.name_length ||
	    memchr(body, 0, x.name_length))
		goto damaged;
	x.name = (const char *)body;
	x.value = body + x.name_length;
	c->at = x.value + x.value_length;
	*out = x;
	return 1;
damaged:
	c->at = c->end;
	return REEL_EDAMAGED;
}

int xattr_append(struct buffer *set, const char *name, size_t name_length,
		 const void *value, size_t value_length)
{
	struct xattr_head head;
	size_t length = sizeof(head) + name_length + value_length;
	int error;

	if (name_length == 0)
		return REEL_EINVAL;
	if (name_length > XATTR_NAME_LIMIT ||
	    value_length > XATTR_VALUE_LIMIT || set->length > XATTR_SET_LIMIT ||
	    length > XATTR_SET_LIMIT - set->length)
		return REEL_ERANGE;
	error = buffer_reserve(set, length);
	if (error)
		return error;
	head.name_length = le16_make((uint16_t)name_length);
	head.value_length = le32_make((uint32_t)value_length);
	buffer_append(set, &head, sizeof(head));
	buffer_append(set, name, name_length);
	buffer_append(set, value, value_length);
	return 0;
}

int xattr_find(const void *set, size_t length, const char *name,
	       size_t name_length, struct xattr *out)
{
	struct xattr_cursor c = xattr_cursor(set, length);
	struct xattr x;
	int got;

	while ((got = xattr_next(&c, &x)) > 0) {
		if (x.name_length != name_length ||
		    memcmp(x.name, name, name_length))
			continue;
		*out = x;
		return 1;
	}
	return got;
}
