/* Descriptors of folders: at most so many are open at a time, however deep a
 * tree is and however many folders are under way. */
#ifndef REEL_FS_FOLDER_POOL_H
#define REEL_FS_FOLDER_POOL_H

#include <pthread.h>
#include "fs/folder.h"

struct folder_pool {
	pthread_mutex_t lock; /* of all below; who opens or closes holds it */
	struct folder *newest, *oldest; /* those open, by their opening */
	size_t open, limit;
};

/* `limit` 0: what the process may have open leaves room for. */
void folder_pool_init(struct folder_pool *p, size_t limit);
/* When no folder of it is left. */
void folder_pool_release(struct folder_pool *p);
/* A folder with its descriptor, device and inode, which openat of its name in
 * its parent would give again. From now on its fd is folder_use's to tell. */
void folder_pool_add(struct folder_pool *p, struct folder *f);
/* Its end; closes. */
void folder_pool_drop(struct folder *f);

/* The descriptor, open until folder_unuse. -1: errno (ESTALE: another
 * directory has its place), and no folder_unuse. */
int folder_use(struct folder *f);
void folder_unuse(struct folder *f);

#endif
