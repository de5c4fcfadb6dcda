/* The nodes of versions/: paths that somebody looks at. A node lives from its
 * lookup until the kernel forgets it; its parent lives as long. Safe for many
 * threads. */
#ifndef REEL_FS_VERSIONS_H
#define REEL_FS_VERSIONS_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include "tape/buffer.h"

struct version_node;

struct versions {
	pthread_mutex_t lock; /* of all below */
	struct version_node **slots;
	size_t room, count;
	uint64_t next; /* id */
};

int versions_init(struct versions *v, uint64_t first);
void versions_release(struct versions *v);
/* The node of a name below `parent` (an id of a node, or any other number for
 * the top), looked up once more. 0: out of memory. */
uint64_t versions_get(struct versions *v, uint64_t parent, const char *name);
void versions_forget(struct versions *v, uint64_t id, uint64_t times);
/* The names from the top to the node, each with a NUL behind it, appended.
 * REEL_ENOENT for a number that is no node. */
int versions_names(struct versions *v, uint64_t id, struct buffer *out);

#endif
