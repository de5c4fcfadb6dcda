/* `user.reel.*` of current/: as in the views (virtual.h), and `excluded`: the
 * rule that leaves a file out; `status`, on the root. */
#ifndef REEL_FS_LIVE_VIRTUAL_H
#define REEL_FS_LIVE_VIRTUAL_H

#include <stdbool.h>
#include "fs/virtual.h"

struct mount;

bool live_virtual_is(const char *name);
/* The value for a node, appended as text; REEL_ENOENT. */
int live_virtual_get(struct mount *m, struct catalog *c, uint64_t id,
		     const char *name, struct buffer *out);

#endif
