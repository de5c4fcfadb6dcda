/* Names of a source that are the set's reserved name, in its root: stored with
 * RESERVED_ESCAPE behind them, as are those that such a one could be taken
 * for, so that no two names become one. */
#ifndef REEL_FS_RESERVED_H
#define REEL_FS_RESERVED_H

#include <linux/limits.h>

#define RESERVED_ESCAPE ".source"
#define RESERVED_ROOM	(NAME_MAX + 16)

/* The name under which the archive stores one in the root: itself, or in room
 * (RESERVED_ROOM bytes), where it may be longer than a name can be. */
const char *reserved_stored(const char *reserved, const char *name, char *room);

#endif
