/* Hard-link groups that a restore has begun: where the first name stands. A
 * group is forgotten when all its names were met, unless its flags wait. */
#ifndef REEL_FS_RESTORE_LINKS_H
#define REEL_FS_RESTORE_LINKS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct restore_links;

int links_new(struct restore_links **out);
void links_free(struct restore_links *l);
/* Where a group's first name stands, and which file it must be there. */
struct link_first {
	const char *path; /* borrowed until the next call */
	ino_t inode;
};
bool links_find(struct restore_links *l, uint64_t inode,
		struct link_first *out);
int links_add(struct restore_links *l, uint64_t inode, uint64_t names,
	      uint32_t flags, const char *path, ino_t found);
void links_met(struct restore_links *l, uint64_t inode);
/* Every group with INODE_IMMUTABLE, _APPEND or _NODUMP. */
void links_each_flags(struct restore_links *l,
		      void (*each)(void *context,
				   const struct link_first *first,
				   uint32_t flags),
		      void *context);

#endif
