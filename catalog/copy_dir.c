/* Volumes into a directory, by the rules of stream.h (S1-S3). */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "catalog/copy_state.h"
#include "tape/error.h"
#include "tape/log.h"

struct copy_dir {
	struct copy_sink sink;
	struct set *set;
	uint32_t first, last; /* volumes of the session so far; 0: none */
	int fd;
};

static struct copy_dir *of(struct copy_sink *k)
{
	return (struct copy_dir *)(void *)k;
}

static int fail(struct copy_dir *d, uint32_t volume)
{
	int error = error_from_errno(errno);
	char name[MEDIUM_NAME];

	volume_name(volume, d->set->config.compression, name);
	log_error("%s/volumes/%s: %s", d->set->path, name, error_text(error));
	return error;
}

static void partial_name(const struct copy_dir *d, uint32_t volume,
			 char name[MEDIUM_NAME])
{
	volume_name(volume, d->set->config.compression, name);
	strcat(name, ".partial");
}

static int dir_begin(struct copy_sink *k, const struct copy_volume *v)
{
	const uint32_t volume = v->number;
	struct copy_dir *d = of(k);
	char name[MEDIUM_NAME];

	partial_name(d, volume, name);
	d->fd = openat(d->set->volumes, name,
		       O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (d->fd < 0)
		return fail(d, volume);
	if (!d->first)
		d->first = volume;
	d->last = volume;
	return 0;
}

static int dir_write(struct copy_sink *k, const void *data, size_t length)
{
	struct copy_dir *d = of(k);
	const uint8_t *from = data;

	while (length) {
		ssize_t n = write(d->fd, from, length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fail(d, d->last);
		from += n;
		length -= (size_t)n;
	}
	return 0;
}

static int dir_end(struct copy_sink *k)
{
	struct copy_dir *d = of(k);
	int error = fsync(d->fd) ? fail(d, d->last) : 0;

	close(d->fd);
	d->fd = -1;
	return error;
}

static int name_volume(struct copy_dir *d, uint32_t volume)
{
	char name[MEDIUM_NAME], partial[MEDIUM_NAME];

	volume_name(volume, d->set->config.compression, name);
	partial_name(d, volume, partial);
	return renameat(d->set->volumes, partial, d->set->volumes, name)
		       ? fail(d, volume)
		       : 0;
}

static int sync_names(struct copy_dir *d)
{
	return fsync(d->set->volumes) ? fail(d, d->last) : 0;
}

static int dir_commit(struct copy_sink *k)
{
	struct copy_dir *d = of(k);
	int error = sync_names(d);

	for (uint32_t n = d->first; !error && n < d->last; n++)
		error = name_volume(d, n);
	if (!error && d->first < d->last)
		error = sync_names(d);
	if (!error)
		error = name_volume(d, d->last);
	if (!error)
		error = sync_names(d);
	d->set->medium->ops->forget(d->set->medium);
	if (!error)
		d->first = d->last = 0;
	return error;
}

/* What was not committed is removed, the last one first (S3). */
static void dir_close(struct copy_sink *k)
{
	struct copy_dir *d = of(k);
	char name[MEDIUM_NAME];

	if (d->fd >= 0)
		close(d->fd);
	for (uint32_t n = d->last; n && n >= d->first; n--) {
		partial_name(d, n, name);
		unlinkat(d->set->volumes, name, 0);
	}
	free(d);
}

static const struct copy_sink_ops operations = {
	.begin = dir_begin,
	.write = dir_write,
	.end = dir_end,
	.commit = dir_commit,
	.close = dir_close,
};

int copy_dir_open(struct set *to, struct copy_sink **out)
{
	struct copy_dir *d = calloc(1, sizeof(*d));

	if (!d)
		return REEL_ENOMEM;
	d->sink.ops = &operations;
	d->set = to;
	d->fd = -1;
	*out = &d->sink;
	return 0;
}
