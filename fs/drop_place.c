/* Where names of restore/ lie: the target, the filesystems in it that were
 * named, the area. */
#include "fs/drop_state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "catalog/beneath.h"
#include "tape/error.h"

/* st_ino: the file's own in the low bits. */
#define SHADOW_BIT (UINT64_C(1) << 62)
#define ROOT_SHIFT 48

int drop_failed(void)
{
	switch (errno) {
	case EPERM:
		return REEL_EREFUSED;
	case ELOOP:
		return REEL_ENOTDIR;
	case EBADF:
		return REEL_ESTALE;
	default:
		return error_from_errno(errno);
	}
}

/* The part of the path below a filesystem's top, NULL when it is not there. */
static const char *rest_of(const struct drop_root *r, const char *path)
{
	size_t length = strlen(r->path);

	if (!length)
		return path;
	if (strncmp(path, r->path, length) != 0)
		return NULL;
	return path[length] == '/' ? path + length + 1
	       : path[length]	   ? NULL
				   : path + length;
}

static size_t root_of(const struct drop *d, const char *path, const char **rest)
{
	size_t best = 0;

	*rest = path;
	for (size_t n = 1; n < d->root_count; n++) {
		const char *below = rest_of(&d->roots[n], path);

		if (below && below >= *rest) {
			*rest = below;
			best = n;
		}
	}
	return best;
}

static int base_of(struct drop *d, enum drop_side side, const char *path,
		   const char **rest)
{
	*rest = path;
	if (side == DROP_AREA_SIDE)
		return d->area;
	return d->roots[root_of(d, path, rest)].fd;
}

int drop_pin(struct drop *d, enum drop_side side, const char *path)
{
	const char *rest;
	int base = base_of(d, side, path, &rest);
	int fd = beneath_pin(base, rest);

	return fd == REEL_EIO && errno == ELOOP ? REEL_ENOTDIR : fd;
}

int drop_look(struct drop *d, enum drop_side side, const char *path,
	      struct stat *st)
{
	int fd = drop_pin(d, side, path), error = 0;

	if (fd < 0)
		return fd;
	if (fstat(fd, st))
		error = drop_failed();
	close(fd);
	return error;
}

int drop_parent(struct drop *d, enum drop_side side, const char *path,
		const char **name)
{
	const char *rest, *slash;
	int base = base_of(d, side, path, &rest), fd;
	char *above;

	*name = ".";
	if (!*rest)
		return beneath_pin(base, "");
	slash = strrchr(rest, '/');
	*name = slash ? slash + 1 : rest;
	above = strndup(rest, slash ? (size_t)(slash - rest) : 0);
	if (!above)
		return REEL_ENOMEM;
	fd = beneath_pin(base, above);
	free(above);
	return fd == REEL_EIO && errno == ELOOP ? REEL_ENOTDIR : fd;
}

int drop_area_parent(struct drop *d, const char *path, const char **name)
{
	const char *slash = strrchr(path, '/');
	char *above = strndup(path, slash ? (size_t)(slash - path) : 0);
	int fd;

	if (!above)
		return REEL_ENOMEM;
	*name = slash ? slash + 1 : path;
	fd = beneath_make(d->area, above, 0700);
	free(above);
	return fd;
}

int drop_open_at(int directory, const char *name, int flags)
{
	bool reads = (flags & O_ACCMODE) == O_RDONLY;
	struct stat st;
	int fd;

	flags |= O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
	fd = openat(directory, name, flags | (reads ? O_NOATIME : 0));
	if (fd < 0 && errno == EPERM && reads) /* not ours */
		fd = openat(directory, name, flags);
	if (fd < 0)
		return drop_failed();
	if (fstat(fd, &st) || (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))) {
		close(fd);
		return REEL_ESTALE;
	}
	return fd;
}

void drop_number(const struct drop *d, enum drop_side side, const char *path,
		 struct stat *st)
{
	const char *rest;

	if (side == DROP_AREA_SIDE)
		st->st_ino ^= SHADOW_BIT;
	else
		st->st_ino ^= (ino_t)root_of(d, path, &rest) << ROOT_SHIFT;
}
