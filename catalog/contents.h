/* What verify asks of the catalogue: contents in the order of the medium, and
 * every name there ever was. */
#ifndef REEL_CATALOG_CONTENTS_H
#define REEL_CATALOG_CONTENTS_H

#include "catalog/tree.h"

struct content_cursor;

/* The contents that a session stored, by ascending offset. */
int contents_open(struct catalog *c, uint32_t session,
		  struct content_cursor **out);
/* 1 and *out (released by the caller), 0 at the end, or an error. */
int contents_step(struct content_cursor *k, struct content_row *out);
void contents_close(struct content_cursor *k); /* accepts NULL */

/* Every name, alive and past, once for each version of it, in no order:
 * calls `each` until it returns non-zero, which is passed on. Of e->inode
 * only id, mode and content are set. `session` 0: all, else those that
 * appeared in that session. */
int contents_each_name(struct catalog *c, uint32_t session,
		       int (*each)(void *context, const struct entry_row *e),
		       void *context);

#endif
