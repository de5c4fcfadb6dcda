/* What must be at hand to read a file: volumes or, of a set on tape,
 * cartridges, by name. */
#ifndef REEL_TOOLS_NEEDS_H
#define REEL_TOOLS_NEEDS_H

#include "catalog/set.h"
#include "catalog/tree.h"
#include "tape/medium.h"

struct needs {
	char (*names)[MEDIUM_NAME]; /* heap, in reading order */
	size_t count;
};

/* `c` is a reader's. What has no stored bytes needs nothing. */
int needs_of(const struct set *set, struct catalog *c,
	     const struct inode_row *i, struct needs *out);
void needs_release(struct needs *n);
bool needs_have(const struct needs *n, const char *name);

#endif
