/* What delayed operations need of metadata: inode flags that stand in the
 * way, and the metadata of a directory. A `name` of NULL is the directory `up`
 * itself; symlinks are not followed. */
#ifndef REEL_FS_DELAYED_META_H
#define REEL_FS_DELAYED_META_H

#include <stdint.h>

/* All inode flags of a file that is immutable or append-only; 0 of others. */
uint32_t flags_in_the_way(int up, const char *name);
/* Takes those two away. What cannot be taken away will be said by what comes
 * next. */
void flags_loosen(int up, const char *name);
void flags_set(int up, const char *name, uint32_t flags);

/* Owner, mode, xattrs and times of one directory to another; 0 or an errno. */
int directory_adopt(int from_up, const char *from, int to_up, const char *to);

#endif
