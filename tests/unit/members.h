/* Archives in memory, written and read by member.h: for the tests of it. What
 * fails is a fatal assertion. */
#ifndef REEL_TESTS_MEMBERS_H
#define REEL_TESTS_MEMBERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "tape/member.h"

struct members_input {
	const uint8_t *data;
	size_t length;
	size_t at;
};

/* To be freed; *i and *b live as long. */
struct member_decoder *members_decoder(struct members_input *i,
				       const struct buffer *b);
/* Reads it all. The number of members; *damaged counts what was refused. */
int members_walk(const struct buffer *b, int *damaged);
/* A header, and m->stored bytes without the map, padded, unless NULL. */
void members_append(struct buffer *out, struct member *m, const char *data);
void members_append_file(struct buffer *out, const char *path,
			 const char *data);
/* With an owner and a time of nanoseconds. */
struct member members_plain(enum member_type type, const char *path);
bool members_same_text(const char *a, size_t an, const char *b, size_t bn);
bool members_path_is(const struct member *m, const char *path);

#endif
