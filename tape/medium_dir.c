/* The volumes of a directory. `lock` guards the table of open descriptors; a
 * descriptor that is in use (references) is not closed. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "tape/medium.h"
#include "tape/stream.h"

#define OPEN_VOLUMES 16

struct open_volume {
	uint32_t volume; /* 0: forgotten */
	int fd;		 /* -1: empty */
	unsigned references;
	uint64_t used;
};

struct medium_dir {
	struct medium medium;
	int directory;
	pthread_mutex_t lock; /* of all below */
	struct open_volume volumes[OPEN_VOLUMES];
	uint64_t clock;
};

static struct medium_dir *of(struct medium *m)
{
	return (struct medium_dir *)(void *)m;
}

static int open_volume(struct medium_dir *d, uint32_t volume)
{
	char name[MEDIUM_NAME];
	struct stat st;
	int fd;

	volume_name(volume, d->medium.compression, name);
	fd = openat(d->directory, name, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? REEL_EMEDIUM : error_from_errno(errno);
	if (!fstat(fd, &st) && S_ISREG(st.st_mode))
		return fd;
	close(fd);
	return REEL_EMEDIUM;
}

/* An open volume by its number. *slot is -1 when it found no place among the
 * open ones and is to be closed after use. */
static int volume_get(struct medium_dir *d, uint32_t volume, int *slot)
{
	struct open_volume *free_one = NULL;
	int fd;

	pthread_mutex_lock(&d->lock);
	for (int i = 0; i < OPEN_VOLUMES; i++) {
		struct open_volume *v = &d->volumes[i];

		if (v->fd >= 0 && v->volume == volume) {
			v->references++;
			v->used = ++d->clock;
			*slot = i;
			fd = v->fd;
			goto out;
		}
		if (!v->references && (!free_one || v->used < free_one->used))
			free_one = v;
	}
	*slot = -1;
	fd = open_volume(d, volume);
	if (fd < 0 || !free_one)
		goto out;
	if (free_one->fd >= 0)
		close(free_one->fd);
	*free_one = (struct open_volume){volume, fd, 1, ++d->clock};
	*slot = (int)(free_one - d->volumes);
out:
	pthread_mutex_unlock(&d->lock);
	return fd;
}

static void volume_put(struct medium_dir *d, int fd, int slot)
{
	if (slot < 0) {
		close(fd);
		return;
	}
	pthread_mutex_lock(&d->lock);
	d->volumes[slot].references--;
	pthread_mutex_unlock(&d->lock);
}

static int64_t dir_read(struct medium *m, uint32_t volume, uint64_t at,
			void *to, size_t length, const volatile int *stop)
{
	uint8_t *into = to;
	size_t done = 0;
	int fd, slot, error = 0;

	(void)stop;
	fd = volume_get(of(m), volume, &slot);
	if (fd < 0)
		return fd;
	while (done < length) {
		ssize_t n = pread(fd, into + done, length - done,
				  (off_t)(at + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			error = error_from_errno(errno);
		if (n <= 0)
			break;
		done += (size_t)n;
	}
	volume_put(of(m), fd, slot);
	return error ? error : (int64_t)done;
}

static int dir_size(struct medium *m, uint32_t volume, uint64_t *size)
{
	int slot, fd = volume_get(of(m), volume, &slot);
	struct stat st;
	int error = 0;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st))
		error = error_from_errno(errno);
	else
		*size = (uint64_t)st.st_size;
	volume_put(of(m), fd, slot);
	return error;
}

static void dir_name(struct medium *m, uint32_t volume, uint64_t at, char *name)
{
	(void)at;
	volume_name(volume, m->compression, name);
}

static int compare_volumes(const void *a, const void *b)
{
	const struct medium_volume *x = a, *y = b;

	if (x->number != y->number)
		return x->number < y->number ? -1 : 1;
	return x->partial - y->partial;
}

static int add_name(int directory, const char *name, struct buffer *list)
{
	struct medium_volume v = {0};
	struct stat st;

	if (volume_parse_name(name, &v.number, &v.compression, &v.partial))
		return 0;
	if (!fstatat(directory, name, &st, AT_SYMLINK_NOFOLLOW))
		v.size = (uint64_t)st.st_size;
	return buffer_append(list, &v, sizeof(v));
}

static int dir_list(struct medium *m, struct medium_volume **out, size_t *count)
{
	int fd = openat(of(m)->directory, ".",
			O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct buffer list = {0};
	struct dirent *e;
	int error = dir ? 0 : error_from_errno(errno);

	while (!error && (e = readdir(dir)))
		error = add_name(fd, e->d_name, &list);
	if (dir)
		closedir(dir);
	else if (fd >= 0)
		close(fd);
	if (error) {
		buffer_release(&list);
		return error;
	}
	*out = (struct medium_volume *)(void *)list.data;
	*count = list.length / sizeof(**out);
	if (*count)
		qsort(*out, *count, sizeof(**out), compare_volumes);
	return 0;
}

static void dir_forget(struct medium *m)
{
	struct medium_dir *d = of(m);

	pthread_mutex_lock(&d->lock);
	for (int i = 0; i < OPEN_VOLUMES; i++) {
		struct open_volume *v = &d->volumes[i];

		v->volume = 0;
		if (v->fd < 0 || v->references)
			continue;
		close(v->fd);
		v->fd = -1;
	}
	pthread_mutex_unlock(&d->lock);
}

static void dir_close(struct medium *m)
{
	struct medium_dir *d = of(m);

	dir_forget(m);
	pthread_mutex_destroy(&d->lock);
	free(d);
}

static const struct medium_ops dir_ops = {
	.list = dir_list,
	.size = dir_size,
	.read = dir_read,
	.name = dir_name,
	.forget = dir_forget,
	.close = dir_close,
};

int medium_dir_new(int directory, enum compression c, struct medium **out)
{
	struct medium_dir *d = calloc(1, sizeof(*d));

	if (!d)
		return REEL_ENOMEM;
	if (pthread_mutex_init(&d->lock, NULL)) {
		free(d);
		return REEL_ENOMEM;
	}
	d->medium = (struct medium){.ops = &dir_ops, .compression = c};
	d->directory = directory;
	for (int i = 0; i < OPEN_VOLUMES; i++)
		d->volumes[i].fd = -1;
	*out = &d->medium;
	return 0;
}

/* ---- of every kind ---- */

struct volume_source {
	struct medium *medium;
	uint32_t volume;
};

static int64_t read_source(void *context, uint64_t at, void *to, size_t length)
{
	struct volume_source *s = context;

	return medium_read(s->medium, s->volume, at, to, length, NULL);
}

int medium_seek_table(struct medium *m, uint32_t volume, struct frame **frames,
		      size_t *count, bool *rebuilt)
{
	struct volume_source s = {m, volume};
	struct frame_source source = {.read = read_source, .context = &s};
	int error = medium_size(m, volume, &source.size);

	return error ? error : seek_table_read(&source, frames, count, rebuilt);
}
