/* Integers on media have types of their own, so that a forgotten conversion
 * does not compile. Little endian as in the zstd seekable format. */
#ifndef REEL_TAPE_BYTES_H
#define REEL_TAPE_BYTES_H

#include <stdint.h>
#include <string.h>

struct le16 {
	uint8_t b[2];
};
struct le32 {
	uint8_t b[4];
};
struct le64 {
	uint8_t b[8];
};

static inline uint16_t le16_get(struct le16 v)
{
	return (uint16_t)(v.b[0] | v.b[1] << 8);
}

static inline uint32_t le32_get(struct le32 v)
{
	return (uint32_t)v.b[0] | (uint32_t)v.b[1] << 8 |
	       (uint32_t)v.b[2] << 16 | (uint32_t)v.b[3] << 24;
}

static inline uint64_t le64_get(struct le64 v)
{
	uint64_t x = 0;

	for (int i = 7; i >= 0; i--)
		x = x << 8 | v.b[i];
	return x;
}

static inline struct le16 le16_make(uint16_t v)
{
	return (struct le16){{(uint8_t)v, (uint8_t)(v >> 8)}};
}

static inline struct le32 le32_make(uint32_t v)
{
	return (struct le32){{(uint8_t)v, (uint8_t)(v >> 8), (uint8_t)(v >> 16),
			      (uint8_t)(v >> 24)}};
}

static inline struct le64 le64_make(uint64_t v)
{
	struct le64 r;

	for (int i = 0; i < 8; i++)
		r.b[i] = (uint8_t)(v >> (8 * i));
	return r;
}

_Static_assert(sizeof(struct le16) == 2, "le16");
_Static_assert(sizeof(struct le32) == 4, "le32");
_Static_assert(sizeof(struct le64) == 8, "le64");

#endif
