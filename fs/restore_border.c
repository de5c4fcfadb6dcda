/* What a restore lets alone whatever the snapshot and the rules say, as
 * restore/ does (drop.c): the set that it reads, which may lie in the target;
 * what waits there for the next boot. With --delete they would be extras. */
#include "fs/restore_place.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "tape/error.h"
#include "tape/log.h"

#define THE_SET	    "the set itself"
#define THE_DELAYED "the delayed operations"

static int add(struct restore *r, const struct stat *st, const char *why)
{
	struct restore_border *all = realloc(
		r->borders, (r->border_count + 1) * sizeof(*r->borders));

	if (!all)
		return REEL_ENOMEM;
	r->borders = all;
	all[r->border_count++] =
		(struct restore_border){st->st_dev, st->st_ino, why};
	return 0;
}

static int add_path(struct restore *r, const char *path, const char *why)
{
	struct stat st;

	return !path || stat(path, &st) ? 0 : add(r, &st, why);
}

static int add_of_set(void *context, const char *path)
{
	return add_path(context, path, THE_SET);
}

int borders_find(struct restore *r)
{
	int error = set_each_place(r->set, add_of_set, r);

	if (!error)
		error = add_path(r, r->options->delayed, THE_DELAYED);
	return error;
}

/* 1: `up` is now the directory above. */
static int ascend(int *up, struct stat *st)
{
	struct stat above;
	int fd = openat(*up, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
	bool is_top =
		fd < 0 || fstat(fd, &above) ||
		(above.st_ino == st->st_ino && above.st_dev == st->st_dev);

	close(*up);
	*up = fd;
	if (!is_top)
		*st = above;
	return !is_top;
}

int borders_check(const struct restore *r)
{
	int up = fcntl(r->root, F_DUPFD_CLOEXEC, 0);
	const char *why = NULL;
	struct stat st;
	bool more = up >= 0 && fstat(up, &st) == 0;

	while (more && !why) {
		why = border_at(r, "", &st);
		more = !why && ascend(&up, &st);
	}
	if (up >= 0)
		close(up);
	if (!why)
		return 0;
	log_error("%s lies in %s: nothing can be restored there",
		  r->options->to, why);
	return REEL_EINVAL;
}

void borders_release(struct restore *r)
{
	free(r->borders);
	r->borders = NULL;
	r->border_count = 0;
}

static const char *name_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

const char *border_at(const struct restore *r, const char *path,
		      const struct stat *st)
{
	for (size_t n = 0; n < r->border_count; n++)
		if (r->borders[n].inode == st->st_ino &&
		    r->borders[n].device == st->st_dev)
			return r->borders[n].why;
	if (S_ISDIR(st->st_mode) && (!strcmp(path, DELAYED_DIRECTORY) ||
				     !strcmp(name_of(path), DELAYED_AREA)))
		return THE_DELAYED;
	return NULL;
}

const char *border_in(const struct restore *r, const struct place *p,
		      const char *name, const struct look *l)
{
	const char *why;
	char *path;

	if (!l->subject.present)
		return NULL;
	if (strcmp(name, name_of(DELAYED_DIRECTORY)) != 0)
		return border_at(r, name, &l->st);
	path = place_path(p, name);
	why = border_at(r, path ? path : name, &l->st);
	free(path);
	return why;
}
