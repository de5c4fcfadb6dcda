/* Open hashing by inode number; a group is one allocation. */
#include "fs/restore_links.h"

#include <stdlib.h>
#include <string.h>
#include "catalog/tree.h"
#include "tape/error.h"

#define LATE (INODE_IMMUTABLE | INODE_APPEND | INODE_NODUMP)

struct restore_group {
	struct restore_group *next;
	uint64_t inode;
	uint64_t names; /* not met yet */
	uint32_t flags;
	ino_t found; /* the file at the target */
	char path[];
};

struct restore_links {
	struct restore_group **buckets;
	size_t mask;
	size_t count;
};

int links_new(struct restore_links **out)
{
	struct restore_links *l = calloc(1, sizeof(*l));

	if (!l)
		return REEL_ENOMEM;
	l->mask = 1023;
	l->buckets = calloc(l->mask + 1, sizeof(*l->buckets));
	if (!l->buckets) {
		free(l);
		return REEL_ENOMEM;
	}
	*out = l;
	return 0;
}

void links_free(struct restore_links *l)
{
	if (!l)
		return;
	for (size_t i = 0; i <= l->mask; i++) {
		while (l->buckets[i]) {
			struct restore_group *g = l->buckets[i];

			l->buckets[i] = g->next;
			free(g);
		}
	}
	free(l->buckets);
	free(l);
}

static size_t place_of(const struct restore_links *l, uint64_t inode)
{
	return (size_t)(inode * 0x9e3779b97f4a7c15u >> 20) & l->mask;
}

static struct restore_group **find(struct restore_links *l, uint64_t inode)
{
	struct restore_group **at = &l->buckets[place_of(l, inode)];

	while (*at && (*at)->inode != inode)
		at = &(*at)->next;
	return at;
}

bool links_find(struct restore_links *l, uint64_t inode, struct link_first *out)
{
	struct restore_group *g = *find(l, inode);

	if (g)
		*out = (struct link_first){g->path, g->found};
	return g != NULL;
}

static void grow(struct restore_links *l)
{
	size_t old = l->mask;
	struct restore_group **buckets =
		calloc(2 * (old + 1), sizeof(*buckets));
	struct restore_group **from = l->buckets;

	if (!buckets)
		return;
	l->mask = 2 * old + 1;
	l->buckets = buckets;
	for (size_t i = 0; i <= old; i++) {
		while (from[i]) {
			struct restore_group *g = from[i];
			size_t to = place_of(l, g->inode);

			from[i] = g->next;
			g->next = buckets[to];
			buckets[to] = g;
		}
	}
	free(from);
}

int links_add(struct restore_links *l, uint64_t inode, uint64_t names,
	      uint32_t flags, const char *path, ino_t found)
{
	size_t length = strlen(path) + 1;
	struct restore_group *g = malloc(sizeof(*g) + length), **at;

	if (!g)
		return REEL_ENOMEM;
	if (l->count > l->mask)
		grow(l);
	g->next = NULL;
	g->inode = inode;
	g->names = names - 1;
	g->flags = flags;
	g->found = found;
	memcpy(g->path, path, length);
	at = find(l, inode);
	*at = g;
	l->count++;
	return 0;
}

void links_met(struct restore_links *l, uint64_t inode)
{
	struct restore_group **at = find(l, inode), *g = *at;

	if (!g || (g->names && --g->names) || (g->flags & LATE))
		return;
	*at = g->next;
	free(g);
	l->count--;
}

void links_each_flags(struct restore_links *l,
		      void (*each)(void *context,
				   const struct link_first *first,
				   uint32_t flags),
		      void *context)
{
	for (size_t i = 0; i <= l->mask; i++)
		for (struct restore_group *g = l->buckets[i]; g; g = g->next)
			if (g->flags & LATE)
				each(context,
				     &(struct link_first){g->path, g->found},
				     g->flags);
}
