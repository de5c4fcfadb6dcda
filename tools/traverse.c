#include "tools/traverse.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "tape/error.h"

#define CURSORS_OPEN 32

struct traverse_level {
	uint64_t node;
	struct tree_cursor *cursor; /* NULL: begins again behind the child */
	size_t path;		    /* bytes of the path of this directory */
};

static int push(struct traverse *t, uint64_t node)
{
	struct traverse_level *l;
	int error;

	if (t->depth == t->room) {
		size_t room = t->room ? 2 * t->room : 32;

		l = realloc(t->levels, room * sizeof(*l));
		if (!l)
			return REEL_ENOMEM;
		t->levels = l;
		t->room = room;
	}
	l = &t->levels[t->depth];
	*l = (struct traverse_level){.node = node, .path = t->path.length};
	error = tree_list(t->catalog, t->session, node, &l->cursor);
	if (error)
		return error;
	t->depth++;
	if (t->depth > CURSORS_OPEN) {
		l -= CURSORS_OPEN;
		tree_end(l->cursor);
		l->cursor = NULL;
	}
	return 0;
}

/* Goes on in the directory above, whose child's name is still in the path. */
static int pop(struct traverse *t)
{
	struct traverse_level *l = &t->levels[--t->depth];
	const char *name;

	tree_end(l->cursor);
	if (t->depth == 0)
		return 0;
	l--;
	if (l->cursor)
		return 0;
	name = (const char *)t->path.data + l->path + (l->path != 0);
	return tree_list_after(t->catalog, t->session, l->node, name,
			       l[1].path - l->path - (l->path != 0),
			       &l->cursor);
}

static bool name_valid(const char *name, size_t length)
{
	if (length == 0 || length > TREE_NAME_LIMIT ||
	    memchr(name, '/', length))
		return false;
	return memchr(name, '\0', length) == NULL &&
	       !(length == 1 && name[0] == '.') &&
	       !(length == 2 && name[0] == '.' && name[1] == '.');
}

static int terminate(struct buffer *b)
{
	int error = buffer_reserve(b, 1);

	if (!error)
		b->data[b->length] = '\0';
	return error;
}

/* Takes over what is borrowed; t->path is there. */
static int take(struct traverse *t, const struct entry_row *row)
{
	int error = terminate(&t->path);

	t->target.length = 0;
	if (!error && row->inode.target)
		error = buffer_append(&t->target, row->inode.target,
				      row->inode.target_length);
	if (!error)
		error = terminate(&t->target);
	if (error)
		return error;
	t->entry = *row;
	t->entry.name = traverse_name(t);
	t->entry.name_length = strlen(t->entry.name);
	if (row->inode.target)
		t->entry.inode.target = (const char *)t->target.data;
	t->enter = row->node != 0;
	return 0;
}

static int take_child(struct traverse *t, const struct entry_row *row,
		      size_t above)
{
	int error = 0;

	if (!name_valid(row->name, row->name_length) ||
	    above + row->name_length >= MEMBER_PATH_LIMIT)
		return REEL_EDAMAGED;
	t->path.length = above;
	if (above)
		error = buffer_append(&t->path, "/", 1);
	if (!error)
		error = buffer_append(&t->path, row->name, row->name_length);
	return error ? error : take(t, row);
}

/* Whether the directory is where it says. */
static int check_place(struct traverse *t)
{
	const char *name = traverse_name(t);
	size_t length = strlen(name);
	struct entry_row at;
	int error;

	if (t->depth == 0)
		return 0;
	if (t->entry.node == t->top)
		return REEL_EDAMAGED;
	error = tree_directory(t->catalog, t->session, t->entry.node, &at);
	if (error)
		return error == REEL_ENOENT ? REEL_EDAMAGED : error;
	if (at.parent != t->levels[t->depth - 1].node ||
	    at.name_length != length || memcmp(at.name, name, length))
		return REEL_EDAMAGED;
	return 0;
}

int traverse_init(struct traverse *t, struct catalog *c, uint32_t session,
		  const char *path)
{
	struct entry_row row;
	int error;

	memset(t, 0, sizeof(*t));
	t->catalog = c;
	t->session = session;
	t->top = TREE_ROOT;
	error = buffer_append(&t->path, path, strlen(path));
	if (!error)
		error = terminate(&t->path);
	if (!error && !*path) {
		error = push(t, TREE_ROOT);
	} else if (!error) {
		error = tree_resolve(c, session, path, strlen(path), &row);
		if (!error)
			error = take(t, &row);
		if (!error)
			t->top = row.node;
		t->first = true;
	}
	if (error)
		traverse_release(t);
	return error;
}

void traverse_release(struct traverse *t)
{
	while (t->depth)
		tree_end(t->levels[--t->depth].cursor);
	free(t->levels);
	buffer_release(&t->path);
	buffer_release(&t->target);
	memset(t, 0, sizeof(*t));
}

int traverse_next(struct traverse *t)
{
	int error = 0;

	if (t->first) {
		t->first = false;
		return 1;
	}
	if (t->enter) {
		t->enter = false;
		error = check_place(t);
		if (!error)
			error = push(t, t->entry.node);
	}
	while (!error && t->depth) {
		struct traverse_level *l = &t->levels[t->depth - 1];
		struct entry_row row;
		int more = tree_step(l->cursor, &row);

		if (more < 0)
			return more;
		if (more) {
			error = take_child(t, &row, l->path);
			return error ? error : 1;
		}
		error = pop(t);
	}
	return error;
}

void traverse_skip(struct traverse *t)
{
	t->enter = false;
}

const char *traverse_name(const struct traverse *t)
{
	const char *path = (const char *)t->path.data;
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}
