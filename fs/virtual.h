/* `user.reel.*`: what the set knows of a file, as extended attributes that
 * getxattr answers and listxattr never shows. */
#ifndef REEL_FS_VIRTUAL_H
#define REEL_FS_VIRTUAL_H

#include <stdbool.h>
#include "catalog/tree.h"
#include "tape/buffer.h"

bool virtual_is(const char *name);
/* The value for the node `id` (view.h), appended as text; REEL_ENOENT when
 * this node has no such attribute. */
int virtual_get(struct set *set, struct catalog *c, uint64_t id,
		const char *name, struct buffer *out);

/* The same for a content; for names that are not the root's. */
int virtual_of_content(struct set *set, struct catalog *c, uint64_t content,
		       const char *name, struct buffer *out);

#endif
