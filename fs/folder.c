#include "fs/folder.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "fs/folder_pool.h"
#include "tape/error.h"
#include "tape/text.h"

struct folder *folder_new(struct folder *parent, const char *name, int fd)
{
	size_t length = strlen(name);
	struct folder *f = calloc(1, sizeof(*f) + length + 1);

	if (!f) {
		if (fd >= 0)
			close(fd);
		return NULL;
	}
	f->references = 1;
	f->fd = fd;
	f->parent = folder_get(parent);
	f->path_length = length;
	if (parent && parent->path_length)
		f->path_length += parent->path_length + 1;
	f->name_length = length;
	memcpy(f->name, name, length + 1);
	return f;
}

struct folder *folder_get(struct folder *f)
{
	if (f)
		atomic_fetch_add_explicit(&f->references, 1,
					  memory_order_relaxed);
	return f;
}

void folder_put(struct folder *f)
{
	while (f && atomic_fetch_sub_explicit(&f->references, 1,
					      memory_order_acq_rel) == 1) {
		struct folder *parent = f->parent;

		if (f->pool)
			folder_pool_drop(f);
		else if (f->fd >= 0)
			close(f->fd);
		buffer_release(&f->xattrs);
		free(f->past_nodes);
		free(f);
		f = parent;
	}
}

/* Writes a folder's path but for that of `above`, which stands there. */
static void write_path(const struct folder *f, const struct folder *above,
		       uint8_t *path)
{
	for (; f != above && f->path_length; f = f->parent) {
		size_t at = f->path_length - f->name_length;

		memcpy(path + at, f->name, f->name_length);
		if (at)
			path[at - 1] = '/';
	}
}

/* Appends a name, and a NUL beyond the end, to the path of a folder. */
static int append_name(struct buffer *path, const char *name, size_t length)
{
	int error = 0;

	if (path->length && length)
		error = buffer_append(path, "/", 1);
	if (!error)
		error = buffer_append(path, name, length);
	if (!error)
		error = buffer_append(path, "", 1);
	if (!error)
		path->length--;
	return error;
}

/* A trail that begins at nothing, for one path. */
char *folder_text(const struct folder *f, const char *name)
{
	struct buffer path = {0};
	size_t length = f ? f->path_length : 0;
	int error = buffer_append_zeros(&path, length);
	char *text = NULL;

	if (!error && f)
		write_path(f, NULL, path.data);
	if (!error)
		error = append_name(&path, name, strlen(name));
	if (!error)
		text = text_name((char *)path.data, path.length);
	buffer_release(&path);
	return text;
}

/* The lowest folder that both are, or are below; NULL: none. A folder's path
 * is longer than that of any above it. */
static const struct folder *common(const struct folder *a,
				   const struct folder *b)
{
	while (a != b) {
		if (a && (!b || a->path_length >= b->path_length))
			a = a->parent;
		else
			b = b->parent;
	}
	return a;
}

static int go_folder(struct trail *t, struct folder *f)
{
	const struct folder *above = common(t->at, f);
	size_t had = above ? above->path_length : 0;
	int error;

	t->path.length = had;
	error = buffer_append_zeros(&t->path, f->path_length - had);
	if (error)
		return error;
	write_path(f, above, t->path.data);
	folder_get(f);
	folder_put(t->at);
	t->at = f;
	return 0;
}

int trail_go(struct trail *t, struct folder *f, const char *name, size_t length)
{
	int error = t->at == f ? 0 : go_folder(t, f);

	if (error)
		return error;
	t->path.length = f->path_length;
	return append_name(&t->path, name, length);
}

void trail_release(struct trail *t)
{
	folder_put(t->at);
	buffer_release(&t->path);
	*t = (struct trail){0};
}
