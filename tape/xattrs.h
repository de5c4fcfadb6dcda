/* A set of extended attributes, packed: for each, sorted by name,
 *     le16 name length, le32 value length, name, value
 * The form in which the catalogue stores it and archive members carry it. */
#ifndef REEL_TAPE_XATTRS_H
#define REEL_TAPE_XATTRS_H

#include <stdint.h>
#include "tape/buffer.h"

#define XATTR_NAME_LIMIT  255
#define XATTR_VALUE_LIMIT (1u << 20)
#define XATTR_SET_LIMIT	  (8u << 20)

struct xattr {
	const char *name; /* not NUL-terminated */
	uint16_t name_length;
	const uint8_t *value;
	uint32_t value_length;
};

struct xattr_cursor {
	const uint8_t *at;
	const uint8_t *end;
};

struct xattr_cursor xattr_cursor(const void *set, size_t length);
/* 1 and *out, 0 at the end, REEL_EDAMAGED. *out points into the set. */
int xattr_next(struct xattr_cursor *c, struct xattr *out);
/* Appends one; the caller keeps the order by name. */
int xattr_append(struct buffer *set, const char *name, size_t name_length,
		 const void *value, size_t value_length);
/* 1 and *out when the set has it, 0, or an error. */
int xattr_find(const void *set, size_t length, const char *name,
	       size_t name_length, struct xattr *out);

#endif
