/* Copies of one large content share their extents where the filesystem can.
 * A small table remembers where contents were last restored; what it says is
 * checked again when it is used. */
#include "fs/restore_place.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "tape/error.h"

#define CLONE_SLOTS    1024
#define CLONE_SMALLEST (128u << 10)

struct slot {
	uint64_t content;
	dev_t device;
	ino_t inode;
	struct timespec mtime;
	char *path;
};

struct restore_clones {
	atomic_bool useless; /* the filesystem cannot */
	pthread_mutex_t lock;
	struct slot slots[CLONE_SLOTS];
};

int clones_new(struct restore_clones **out)
{
	struct restore_clones *c = calloc(1, sizeof(*c));

	if (!c)
		return REEL_ENOMEM;
	pthread_mutex_init(&c->lock, NULL);
	*out = c;
	return 0;
}

void clones_free(struct restore_clones *c)
{
	if (!c)
		return;
	for (int i = 0; i < CLONE_SLOTS; i++)
		free(c->slots[i].path);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

static bool worth(struct restore *r, const struct content_row *content)
{
	return content->id && content->size >= CLONE_SMALLEST &&
	       !atomic_load(&r->clones->useless);
}

static int open_source(struct restore *r, const struct slot *s)
{
	const char *slash = strrchr(s->path, '/');
	char *directory =
		strndup(s->path, slash ? (size_t)(slash - s->path) : 0);
	struct stat st;
	int up, fd = -1;

	if (!directory)
		return -1;
	up = beneath_open(r->root, directory);
	free(directory);
	if (up < 0)
		return -1;
	fd = openat(up, slash ? slash + 1 : s->path,
		    O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	close(up);
	if (fd >= 0 && fstat(fd, &st) == 0 && st.st_dev == s->device &&
	    st.st_ino == s->inode && st.st_mtim.tv_sec == s->mtime.tv_sec &&
	    st.st_mtim.tv_nsec == s->mtime.tv_nsec)
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

bool clones_try(struct restore *r, int fd, const struct content_row *content)
{
	struct slot *s = &r->clones->slots[content->id % CLONE_SLOTS];
	struct slot copy = {0};
	int from, err;

	if (!worth(r, content))
		return false;
	pthread_mutex_lock(&r->clones->lock);
	if (s->content == content->id && s->path) {
		copy = *s;
		copy.path = strdup(s->path);
	}
	pthread_mutex_unlock(&r->clones->lock);
	if (!copy.path)
		return false;
	from = open_source(r, &copy);
	free(copy.path);
	if (from < 0)
		return false;
	err = ioctl(fd, FICLONE, from);
	close(from);
	if (err && (errno == EOPNOTSUPP || errno == ENOTTY))
		atomic_store(&r->clones->useless, true);
	if (!err)
		atomic_fetch_add(&r->bytes, content->size);
	return !err;
}

void clones_note(struct restore *r, int fd, const struct place *p,
		 const char *name, const struct content_row *content)
{
	struct slot *s = &r->clones->slots[content->id % CLONE_SLOTS];
	struct stat st;
	char *path;

	if (!worth(r, content) || fstat(fd, &st))
		return;
	path = place_path(p, name);
	if (!path)
		return;
	pthread_mutex_lock(&r->clones->lock);
	free(s->path);
	*s = (struct slot){content->id, st.st_dev, st.st_ino, st.st_mtim, path};
	pthread_mutex_unlock(&r->clones->lock);
}
