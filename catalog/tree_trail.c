/* Paths of names, from the leaf up. A trail keeps the directories above the
 * last one: names that are asked for one after the other are near each other,
 * and each alone takes as many look-ups as it lies deep. */
#include "catalog/tree.h"

#include <string.h>
#include "catalog/database.h"
#include "tape/error.h"

#define DEPTH_LIMIT 65536 /* of a path, in directories */

/* A directory of the trail, whose path ends there, or of the way up, whose name
 * does. */
struct trail_step {
	uint64_t node;
	size_t end;
};

static size_t step_count(const struct tree_trail *t)
{
	return t->steps.length / sizeof(struct trail_step);
}

static const struct trail_step *steps(const struct tree_trail *t)
{
	return (const void *)t->steps.data;
}

/* The number of directories down to one, from the end on; 0: not there. */
static size_t find_step(const struct tree_trail *t, uint64_t node)
{
	const struct trail_step *all = steps(t);
	size_t n = step_count(t);

	while (n && all[n - 1].node != node)
		n--;
	return n;
}

static void cut(struct tree_trail *t, size_t count)
{
	t->steps.length = count * sizeof(struct trail_step);
	t->path.length = count ? steps(t)[count - 1].end : 0;
}

static int append_step(struct tree_trail *t, uint64_t node, const void *name,
		       size_t length)
{
	int error = t->path.length ? buffer_append(&t->path, "/", 1) : 0;
	struct trail_step step = {.node = node};

	if (!error)
		error = buffer_append(&t->path, name, length);
	step.end = t->path.length;
	return error ? error : buffer_append(&t->steps, &step, sizeof(step));
}

/* From a directory up to one that the trail has, or the root. */
static int climb(struct catalog *c, const struct tree_trail *t, uint64_t node,
		 struct buffer *way, struct buffer *names, size_t *stay)
{
	uint64_t mark = node; /* an ancestor: met again, there is no root */
	int error = 0;

	*stay = 0;
	for (unsigned depth = 1; !error && node > TREE_ROOT; depth++) {
		struct trail_step up = {.node = node};
		struct entry_row e = {0};

		*stay = find_step(t, node);
		if (*stay)
			break;
		error = depth <= DEPTH_LIMIT
				? tree_directory(c, t->session, node, &e)
				: REEL_EDAMAGED;
		if (!error && (e.parent == mark || !e.name_length))
			error = catalog_damaged(c, REEL_EDAMAGED);
		if (!error)
			error = buffer_append(names, e.name, e.name_length);
		up.end = names->length;
		if (!error)
			error = buffer_append(way, &up, sizeof(up));
		node = e.parent;
		if (!(depth & (depth - 1)))
			mark = node;
	}
	return error;
}

/* Makes the trail that of a directory. */
static int go(struct catalog *c, struct tree_trail *t, uint64_t node)
{
	struct buffer way = {0}, names = {0};
	size_t stay;
	int error = climb(c, t, node, &way, &names, &stay);
	const struct trail_step *all = (const void *)way.data;

	cut(t, error ? 0 : stay);
	for (size_t n = way.length / sizeof(*all); !error && n; n--) {
		size_t at = n > 1 ? all[n - 2].end : 0;

		error = append_step(t, all[n - 1].node, names.data + at,
				    all[n - 1].end - at);
	}
	if (error)
		cut(t, 0);
	buffer_release(&way);
	buffer_release(&names);
	return error;
}

int tree_path(struct catalog *c, struct tree_trail *t, uint32_t session,
	      uint64_t parent, const char *name, size_t length,
	      struct buffer *out)
{
	int error;

	if (t->session != session)
		cut(t, 0);
	t->session = session;
	error = go(c, t, parent);
	if (!error)
		error = buffer_append(out, t->path.data, t->path.length);
	if (!error && t->path.length && length)
		error = buffer_append(out, "/", 1);
	return error ? error : buffer_append(out, name, length);
}

void tree_trail_release(struct tree_trail *t)
{
	buffer_release(&t->path);
	buffer_release(&t->steps);
	*t = (struct tree_trail){0};
}
