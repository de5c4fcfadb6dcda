/* Hard-link groups of one walk: source (device, inode) -> what was stored for
 * its first name. A group is forgotten when all its names were seen. A million
 * of them take about 130 MiB: groups that follow one another in a directory
 * share its path. */
#ifndef REEL_FS_GROUPS_H
#define REEL_FS_GROUPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "tape/buffer.h"

struct link_directory;

struct link_group {
	struct link_group *next;
	struct link_directory *directory; /* of the first name */
	uint64_t device;
	uint64_t source;
	uint64_t inode;	    /* its row in this session's catalogue */
	uint64_t old_inode; /* the first name's row before; 0 none */
	uint64_t content;
	/* metadata as they were stored with the first name */
	uint32_t mode, uid, gid, flags;
	int64_t mtime, atime; /* ns */
	bool moved;	      /* the first name is another inode than before */
	bool separated;	      /* by the copies list, after extraction */
	uint16_t name_length;
	uint32_t left; /* names not yet seen */
	char name[];   /* the first, in its directory */
};

struct link_groups {
	struct link_group **slots;
	size_t slot_count;
	size_t count;
	struct link_directory *last; /* added to last; held */
};

void groups_release(struct link_groups *g);
/* NULL when this inode was not met before. */
struct link_group *groups_find(struct link_groups *g, uint64_t device,
			       uint64_t source);
/* Remembers the first name of a group with `links` names in all. */
int groups_add(struct link_groups *g, const struct link_group *like,
	       uint32_t links, const char *path, size_t length);
/* The path of the first name, in place of what *out had. */
int groups_path(const struct link_group *one, struct buffer *out);
/* One more name was seen; the group may be freed. */
void groups_seen(struct link_groups *g, struct link_group *one);

#endif
