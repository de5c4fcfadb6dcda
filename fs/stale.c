#include "fs/stale.h"

#include <stdlib.h>
#include "tape/error.h"

#define NODES_LIMIT 1024

static int add_node(void *context, const struct entry_row *e)
{
	struct folder *f = context;

	if (!e->node || f->past_count == NODES_LIMIT)
		return 0;
	for (size_t n = 0; n < f->past_count; n++)
		if (f->past_nodes[n] == e->node)
			return 0;
	if (!(f->past_count & (f->past_count - 1))) {
		size_t room = f->past_count ? 2 * f->past_count : 1;
		void *more = realloc(f->past_nodes, room * sizeof(uint64_t));

		if (!more)
			return REEL_ENOMEM;
		f->past_nodes = more;
	}
	f->past_nodes[f->past_count++] = e->node;
	return 0;
}

/* Every directory that ever stood at a folder's path. */
static int find_nodes(struct catalog *c, struct folder *f)
{
	struct entry_row root = {.node = TREE_ROOT};
	int error = 0;

	if (f->past_known)
		return 0;
	if (!f->parent)
		error = add_node(f, &root);
	else
		error = find_nodes(c, f->parent);
	for (size_t n = 0; f->parent && !error && n < f->parent->past_count;
	     n++)
		error = tree_versions(
			c, f->parent->past_nodes[n], f->path + f->name_offset,
			f->path_length - f->name_offset, add_node, f);
	f->past_known = !error;
	return error;
}

struct latest {
	uint32_t epoch, until;
	uint64_t content;
};

static int take_later(void *context, const struct entry_row *e)
{
	struct latest *l = context;

	if (e->since >= l->epoch && e->until > l->until) {
		l->until = e->until;
		l->content = e->inode.content;
	}
	return 0;
}

int stale_content(struct catalog *c, uint32_t epoch, struct folder *f,
		  const char *name, size_t length, uint64_t *content)
{
	struct latest l = {.epoch = epoch};
	int error = find_nodes(c, f);

	for (size_t n = 0; !error && n < f->past_count; n++)
		error = tree_versions(c, f->past_nodes[n], name, length,
				      take_later, &l);
	*content = l.content;
	return error;
}
