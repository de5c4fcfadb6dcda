/* A listing is the names as they were when it began (or was rewound): the
 * target's but for those that have shadows, then the shadows'. Offsets: 1
 * behind ".", 2 behind "..", then one a name. */
#include "fs/drop_state.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "catalog/beneath.h"
#include "tape/error.h"

struct listed {
	size_t name; /* offset in names */
	ino_t inode;
	mode_t type;
};

struct drop_list {
	uint64_t directory;
	struct buffer names;   /* a NUL behind each */
	struct buffer entries; /* struct listed each */
	bool read;
};

int drop_list_open(struct drop *d, uint64_t id, struct drop_list **out)
{
	struct drop_list *l = calloc(1, sizeof(*l));

	(void)d;
	if (!l)
		return REEL_ENOMEM;
	l->directory = id;
	*out = l;
	return 0;
}

void drop_list_close(struct drop_list *l)
{
	if (!l)
		return;
	buffer_release(&l->names);
	buffer_release(&l->entries);
	free(l);
}

/* ---- reading ---- */

static int add(struct drop_list *l, const char *name, ino_t inode, mode_t type)
{
	const struct listed e = {l->names.length, inode, type};
	int error = buffer_append(&l->entries, &e, sizeof(e));

	return error ? error : buffer_append(&l->names, name, strlen(name) + 1);
}

/* With `lock` held. */
static int add_below(struct drop *d, struct drop_list *l,
		     const struct drop_node *up, const struct dirent *e)
{
	const struct drop_node *n;

	if (!beneath_name_valid(e->d_name, strlen(e->d_name)))
		return 0;
	n = drop_find(d, up, e->d_name);
	if (drop_is_shadow(n))
		return 0;
	return add(l, e->d_name, e->d_ino, DTTOIF(e->d_type));
}

static int read_below(struct drop *d, struct drop_list *l,
		      const struct drop_node *up, const char *path)
{
	const char *name;
	int parent = drop_parent(d, DROP_TARGET, path, &name), fd, error = 0;
	struct dirent *e;
	DIR *all;

	if (parent < 0)
		return parent;
	fd = drop_open_at(parent, name, O_RDONLY | O_DIRECTORY);
	close(parent);
	all = fd < 0 ? NULL : fdopendir(fd);
	if (!all) {
		if (fd >= 0)
			close(fd);
		return fd < 0 ? fd : REEL_ENOMEM;
	}
	while (!error && (e = readdir(all))) {
		pthread_mutex_lock(&d->lock);
		error = add_below(d, l, up, e);
		pthread_mutex_unlock(&d->lock);
	}
	closedir(all);
	return error;
}

/* With `lock` held; what it is will be asked when it is given. */
static int read_shadows(struct drop_list *l, const struct drop_node *up)
{
	int error = 0;

	for (const struct drop_node *n = up->first; !error && n; n = n->next)
		if (n->state == DROP_OBJECT)
			error = add(l, n->name, 0, 0);
	return error;
}

static int read_all(struct drop *d, struct drop_list *l)
{
	struct buffer path = {0};
	const struct drop_node *up;
	bool shows;
	int error;

	l->names.length = l->entries.length = 0;
	pthread_mutex_lock(&d->lock);
	up = drop_node_of(d, l->directory);
	shows = drop_shows(up);
	error = drop_path(d, up, NULL, &path);
	pthread_mutex_unlock(&d->lock);
	if (!error && shows)
		error = read_below(d, l, up, (char *)path.data);
	if (error == REEL_EXDEV) /* a mount point that was not named */
		error = 0;
	pthread_mutex_lock(&d->lock);
	if (!error)
		error = read_shadows(l, up);
	pthread_mutex_unlock(&d->lock);
	l->read = !error;
	buffer_release(&path);
	return error;
}

bool drop_list_is_full(struct drop *d, struct drop_list *l)
{
	return read_all(d, l) || l->entries.length;
}

/* ---- giving ---- */

static int give_dots(struct drop *d, struct drop_list *l, uint64_t *offset,
		     drop_each each, void *context)
{
	struct drop_entry e;
	int stop = 0, error = drop_stat(d, l->directory, &e);

	if (error)
		return error;
	e.settled = false;
	for (; !stop && *offset < 2; ++*offset)
		stop = each(context, *offset ? ".." : ".", &e, *offset + 1);
	return stop;
}

/* 0, 1 when `each` had no room, or an error. */
static int give(struct drop *d, struct drop_list *l, const struct listed *e,
		uint64_t next, bool plus, drop_each each, void *context)
{
	const char *name = (char *)l->names.data + e->name;
	struct drop_entry entry = {
		.st = {.st_ino = e->inode, .st_mode = e->type}};
	bool hidden;
	int error = 0;

	if (plus || !e->inode)
		error = drop_lookup(d, l->directory, name, &entry, &hidden);
	if (error) /* it went meanwhile, or cannot be looked at */
		return error == REEL_ENOMEM ? error : 0;
	error = each(context, name, &entry, next);
	if (entry.id && (error || !plus))
		drop_forget(d, entry.id, 1);
	return error ? 1 : 0;
}

int drop_list_step(struct drop *d, struct drop_list *l, uint64_t offset,
		   bool plus, drop_each each, void *context)
{
	const struct listed *e;
	size_t count;
	int stop = 0;

	if (!offset || !l->read)
		stop = read_all(d, l);
	if (!stop && offset < 2)
		stop = give_dots(d, l, &offset, each, context);
	e = (const void *)l->entries.data;
	count = l->entries.length / sizeof(*e);
	for (; !stop && offset - 2 < count; offset++)
		stop = give(d, l, &e[offset - 2], offset + 1, plus, each,
			    context);
	return stop < 0 ? stop : 0;
}
