/* What extracting the sessions in order with a plain tar leaves behind under a
 * name that the snapshots have lost: deletions stand in lists that plain tars
 * do not know. */
#ifndef REEL_FS_STALE_H
#define REEL_FS_STALE_H

#include "fs/item.h"

/* The content that is left under a name without a live entry; 0: none, or no
 * file. Only sessions of this epoch count. */
int stale_content(struct catalog *c, uint32_t epoch, struct folder *f,
		  const char *name, size_t length, uint64_t *content);

#endif
