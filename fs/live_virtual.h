/* `user.reel.*` of current/: as in the views (virtual.h), and `excluded`: the
 * rule that leaves a file out; `status`, on the root. */
#ifndef REEL_FS_LIVE_VIRTUAL_H
#define REEL_FS_LIVE_VIRTUAL_H

#include <stdbool.h>
#include "fs/committer.h"
#include "fs/virtual.h"

/* Of whom it is asked. */
struct live_virtual {
	struct set *set;
	struct live *live;
	struct committer *committer;
};

bool live_virtual_is(const char *name);
/* The value for a node, appended as text; REEL_ENOENT. */
int live_virtual_get(const struct live_virtual *v, struct catalog *c,
		     uint64_t id, const char *name, struct buffer *out);

#endif
