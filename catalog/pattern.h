/* Patterns of names, as in gitignore(5), without its `!` and `#`.
 *
 *     *  any run of bytes in one name     ?  one byte
 *     [a-z] [!a-z] [^a-z] [[:digit:]]     \x  x itself
 *
 * A slash at the end: directories only. Another slash: anchored at the set's
 * root; a pattern without fits at any depth. A name `**` stands for any number
 * of directories, none too; at the end, for everything below the names before
 * it, but not for these. Bytes, not characters; case counts. */
#ifndef REEL_CATALOG_PATTERN_H
#define REEL_CATALOG_PATTERN_H

#include <stdbool.h>
#include <stddef.h>

struct pattern {
	char *names; /* the names of the pattern, each with a NUL behind it */
	unsigned count; /* of them; at least one, the last is not ** */
	bool anchored;
	bool directories; /* fits directories only */
	bool below;	  /* fits what lies below what the names fit */
};

/* NULL, or what is wrong with it in a few words. */
const char *pattern_parse(struct pattern *p, const char *text, size_t length);
void pattern_release(struct pattern *p);
/* Whether the names fit the path (relative to the root, no slash at its ends,
 * no NUL inside). `directories` and `below` are the caller's. */
bool pattern_fits(const struct pattern *p, const char *path, size_t length);
/* Its last name, and the one before it (NULL: none, or **). */
const char *pattern_last(const struct pattern *p, const char **before);

/* The plain bytes that a name which fits begins with, ends with and has
 * somewhere; `plain`: the head is all of it. */
#define PATTERN_RUN 8
struct pattern_plain {
	char head[256], tail[256], run[PATTERN_RUN];
	size_t head_length, tail_length, run_length;
	bool plain;
};
void pattern_plain(const char *name, struct pattern_plain *out);

#endif
