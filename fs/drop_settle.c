/* What the rules keep out is no loss: the set holds it, or it is durable in
 * the area. */
#include "fs/drop_state.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "catalog/beneath.h"
#include "tape/error.h"

/* ---- whether the set holds it ---- */

static bool holds_bytes(struct drop *d, int fd, uint64_t size)
{
	struct content_row row = {0};
	struct digest digest;
	bool has = false, same = false;
	uint64_t after = 0;
	int error;

	pthread_mutex_lock(&d->catalogue);
	error = tree_has_size(d->catalog, size, 0, &has);
	pthread_mutex_unlock(&d->catalogue);
	if (error || !has ||
	    digest_file(d->set->config.seed, fd, size, &digest))
		return false;
	while (!same && !error) {
		pthread_mutex_lock(&d->catalogue);
		error = tree_candidate(d->catalog, size, &digest, after, 0,
				       &row);
		pthread_mutex_unlock(&d->catalogue);
		if (error)
			break;
		after = row.id;
		same = !row.sparse && content_is(d->library, &row, fd);
		content_row_release(&row);
	}
	return same;
}

static bool holds_file(struct drop *d, int directory, const char *name,
		       const struct stat *st)
{
	int fd;
	bool holds;

	if (!st->st_size)
		return true;
	fd = drop_open_at(directory, name, O_RDONLY);
	if (fd < 0)
		return false;
	holds = holds_bytes(d, fd, (uint64_t)st->st_size);
	close(fd);
	return holds;
}

/* The same symlink at the same path of the newest snapshot. */
static bool holds_link(struct drop *d, int directory, const char *name,
		       const char *path)
{
	struct entry_row row = {0};
	char text[PATH_MAX];
	uint32_t newest = 0;
	bool holds;
	ssize_t n = readlinkat(directory, name, text, sizeof(text));
	int error;

	if (n < 0)
		return false;
	pthread_mutex_lock(&d->catalogue);
	error = catalog_newest(d->catalog, &newest);
	if (!error && newest)
		error = tree_resolve(d->catalog, newest, path, strlen(path),
				     &row);
	holds = !error && newest && !row.node && S_ISLNK(row.inode.mode) &&
		row.inode.target && row.inode.target_length == (size_t)n &&
		!memcmp(row.inode.target, text, (size_t)n);
	pthread_mutex_unlock(&d->catalogue);
	return holds;
}

bool drop_is_held(struct drop *d, int directory, const char *name,
		  const char *path)
{
	struct stat st;

	if (fstatat(directory, name, &st, AT_SYMLINK_NOFOLLOW))
		return false;
	if (S_ISREG(st.st_mode))
		return holds_file(d, directory, name, &st);
	if (S_ISLNK(st.st_mode))
		return holds_link(d, directory, name, path);
	return true;
}

/* ---- durable ---- */

static int sync_directory(struct drop *d, const char *path)
{
	int fd = beneath_open(d->area, path), error = 0;

	if (fd < 0)
		return fd;
	if (fsync(fd))
		error = drop_failed();
	close(fd);
	return error;
}

static int sync_file(int directory, const char *name)
{
	struct stat st;
	int fd, error = 0;

	if (fstatat(directory, name, &st, AT_SYMLINK_NOFOLLOW))
		return drop_failed();
	if (!S_ISREG(st.st_mode))
		return 0;
	fd = drop_open_at(directory, name, O_RDONLY);
	if (fd < 0)
		return fd;
	if (fsync(fd))
		error = drop_failed();
	close(fd);
	return error;
}

int drop_area_sync(struct drop *d, const char *path)
{
	char *above = strdup(path);
	const char *name;
	int fd = drop_parent(d, DROP_AREA_SIDE, path, &name), error;

	if (!above || fd < 0) {
		free(above);
		return fd < 0 ? fd : REEL_ENOMEM;
	}
	error = sync_file(fd, name);
	close(fd);
	while (!error && *above) {
		char *slash = strrchr(above, '/');

		*(slash ? slash : above) = '\0';
		error = sync_directory(d, above);
	}
	free(above);
	return error;
}

/* Without `turn`: another may rename it meanwhile, which makes it durable
 * where it comes to. */
int drop_settle(struct drop *d, struct drop_node *n)
{
	struct buffer path = {0};
	const char *name;
	unsigned written;
	bool due, held;
	int fd, error;

	pthread_mutex_lock(&d->lock);
	due = n->state == DROP_OBJECT && !n->over && n->settled != n->written;
	written = n->written;
	error = due ? drop_path(d, n, NULL, &path) : 0;
	pthread_mutex_unlock(&d->lock);
	if (!due || error) {
		buffer_release(&path);
		return error == REEL_ESTALE ? 0 : error;
	}
	fd = drop_parent(d, DROP_AREA_SIDE, (char *)path.data, &name);
	error = fd < 0 ? fd : 0;
	held = !error && drop_is_held(d, fd, name, (char *)path.data);
	if (!error && !held)
		error = drop_area_sync(d, (char *)path.data);
	if (fd >= 0)
		close(fd);
	pthread_mutex_lock(&d->lock);
	if (!error && n->written == written) {
		n->settled = written;
		n->held = held;
	}
	pthread_mutex_unlock(&d->lock);
	buffer_release(&path);
	return error == REEL_ENOENT ? 0 : error;
}
