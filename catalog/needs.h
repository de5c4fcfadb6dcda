/* What must be at hand to read a file: volumes or, of a set on tape,
 * cartridges, by name. */
#ifndef REEL_CATALOG_NEEDS_H
#define REEL_CATALOG_NEEDS_H

#include "catalog/set.h"
#include "catalog/tree.h"
#include "tape/medium.h"

#define NEEDS_NAME 512 /* with NUL */

struct needs {
	/* heap, in reading order; "A or B" where copies are as good */
	char (*names)[NEEDS_NAME];
	size_t count;
};

/* `c` is a reader's. What has no stored bytes needs nothing. */
int needs_of(const struct set *set, struct catalog *c,
	     const struct inode_row *i, struct needs *out);
int needs_of_content(const struct set *set, struct catalog *c,
		     const struct content_row *row, struct needs *out);
void needs_release(struct needs *n);
/* Whether it is one of them, or of the copies. */
bool needs_have(const struct needs *n, const char *name);

#endif
