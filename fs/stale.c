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

/* Every directory that ever stood at a folder's path; those of its parent are
 * known. */
static int find_here(struct catalog *c, struct folder *f)
{
	struct entry_row root = {.node = TREE_ROOT};
	struct folder *above = f->parent;
	int error = above ? 0 : add_node(f, &root);

	for (size_t n = 0; above && !error && n < above->past_count; n++)
		error = tree_versions(c, above->past_nodes[n], f->name,
				      f->name_length, add_node, f);
	f->past_known = !error;
	return error;
}

static int find_nodes(struct catalog *c, struct folder *f)
{
	struct folder *top = NULL;
	int error = 0;

	for (; f && !f->past_known; f = f->parent) {
		f->next = top;
		top = f;
	}
	for (; !error && top; top = top->next)
		error = find_here(c, top);
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
