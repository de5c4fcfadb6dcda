/* The directories in which something is dirty, and all above them. */
#include <stdlib.h>
#include <string.h>
#include "fs/commit_state.h"
#include "tape/error.h"

struct visit {
	uint64_t id; /* 0: free */
	bool base;   /* one below it is visited by the name the base gave it */
};

/* Open addressing, at most half full. */
struct visits {
	struct commit_walk *walk;
	struct visit *slots;
	size_t count, room;
};

static struct visit *find(const struct visits *v, uint64_t id)
{
	size_t at =
		(size_t)((id ^ id >> 29) * UINT64_C(0x9e3779b97f4a7c15) >> 20) &
		(v->room - 1);

	while (v->slots[at].id && v->slots[at].id != id)
		at = (at + 1) & (v->room - 1);
	return &v->slots[at];
}

static int grow(struct visits *v)
{
	struct visit *old = v->slots;
	size_t room = v->room;

	if (v->count * 2 < v->room)
		return 0;
	v->room = room ? room * 2 : 1024;
	v->slots = calloc(v->room, sizeof(*v->slots));
	if (!v->slots) {
		v->slots = old;
		v->room = room;
		return REEL_ENOMEM;
	}
	for (size_t n = 0; n < room; n++)
		if (old[n].id)
			*find(v, old[n].id) = old[n];
	free(old);
	return 0;
}

/* The directory above one; *by_base: that is where the base has it. */
static int above(struct commit_walk *w, uint64_t id, uint64_t *parent,
		 bool *by_base)
{
	struct spool_node n;
	int error = spool_get(w->frozen->view, id, &n);

	*by_base = false;
	if (!error) {
		*parent = n.parent;
		*by_base = n.base && !(id & LIVE_NEW);
		spool_node_release(&n);
		return 0;
	}
	if (error != REEL_ENOENT || id & LIVE_NEW)
		return error;
	*by_base = true;
	error = commit_node(w, id, &n);
	if (!error) {
		*parent = n.parent;
		spool_node_release(&n);
	}
	return error;
}

/* A directory and all above it that are not there yet. */
static int add(void *context, uint64_t id)
{
	struct visits *v = context;
	bool by_base = false;
	int error = 0;

	while (id) {
		struct visit *at;
		bool known;

		error = grow(v);
		if (error)
			break;
		at = find(v, id);
		known = at->id;
		at->id = id;
		at->base |= by_base;
		v->count += !known;
		if (known || id == LIVE_ROOT)
			break;
		error = above(v->walk, id, &id, &by_base);
		if (error)
			break;
	}
	/* gone, with all in it */
	return error == REEL_ENOENT || error == REEL_ESTALE ? 0 : error;
}

int visits_new(struct commit_walk *w, struct visits **out)
{
	struct visits *v = calloc(1, sizeof(*v));
	int error;

	if (!v)
		return REEL_ENOMEM;
	v->walk = w;
	error = grow(v);
	if (!error)
		error = spool_each_dirty(w->frozen->view, add, v);
	if (error) {
		visits_free(v);
		return error;
	}
	*out = v;
	return 0;
}

void visits_free(struct visits *v)
{
	if (v)
		free(v->slots);
	free(v);
}

bool visits_has(const struct visits *v, uint64_t directory)
{
	return find(v, directory)->id != 0;
}

bool visits_has_base(const struct visits *v, uint64_t directory)
{
	return find(v, directory)->base;
}
