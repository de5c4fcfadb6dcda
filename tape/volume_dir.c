/* The files that one session writes into a directory (stream.h, S1-S3). */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "tape/error.h"
#include "tape/log.h"
#include "tape/stream.h"
#include "tape/volume.h"

#define NAME_ROOM    32
#define PARTIAL	     ".partial"
#define PARTIAL_ROOM (NAME_ROOM + sizeof(PARTIAL))
#define OPEN_LIMIT   64 /* volumes kept open until they are published */
#define WRITE_BACK   (64ull << 20) /* bytes between two starts of it */

struct volume_file {
	int fd; /* -1: closed, its bytes were synced */
	uint64_t size;
	bool named; /* has its final name */
};

struct volumes_dir {
	struct volumes volumes;
	int directory; /* borrowed */
	bool sync;
	bool complained;      /* about a full disk */
	uint64_t unsynced;    /* bytes since writing back was last begun */
	size_t volume_begin;  /* first frame of the present volume */
	uint64_t position;    /* in it */
	pthread_mutex_t lock; /* of the files, their descriptors and names */
	struct volume_file *files;
	size_t count;
	size_t room;
};

static struct volumes_dir *of(struct volumes *v)
{
	return (struct volumes_dir *)(void *)v;
}

static uint32_t number_of(const struct volumes_dir *d, size_t i)
{
	return d->volumes.first + (uint32_t)i;
}

static void partial_name(const struct volumes_dir *d, size_t i, char *name)
{
	volume_name(number_of(d, i), d->volumes.compression, name);
	strcat(name, PARTIAL);
}

/* ---- writing ---- */

static int failed(struct volumes_dir *v, size_t i, const char *what, int err)
{
	int error = error_from_errno(err);
	char name[PARTIAL_ROOM];

	partial_name(v, i, name);
	if (error == REEL_ENOSPC && v->complained)
		return error;
	v->complained = error == REEL_ENOSPC;
	log_error("volume %s: cannot %s: %s%s", name, what, strerror(err),
		  error == REEL_ENOSPC ? "; make room and run it again" : "");
	return error;
}

static int sync_file(struct volumes_dir *v, size_t i)
{
	if (v->sync && fsync(v->files[i].fd))
		return failed(v, i, "flush", errno);
	return 0;
}

/* Keeps descriptors bounded when a session has very many volumes. */
static int close_oldest(struct volumes_dir *v)
{
	size_t i = v->count - OPEN_LIMIT;
	int error, fd;

	if (v->count < OPEN_LIMIT)
		return 0;
	error = sync_file(v, i);
	pthread_mutex_lock(&v->lock);
	fd = v->files[i].fd;
	v->files[i].fd = -1;
	pthread_mutex_unlock(&v->lock);
	if (close(fd) && !error)
		error = failed(v, i, "close", errno);
	return error;
}

static int begin(struct volumes_dir *v)
{
	size_t room = v->room ? 2 * v->room : 16;
	char name[PARTIAL_ROOM];
	int error = close_oldest(v);
	int fd;

	if (error)
		return error;
	if (number_of(v, v->count) < v->volumes.first)
		return REEL_ERANGE;
	if (v->count == v->room) {
		struct volume_file *more;

		pthread_mutex_lock(&v->lock);
		more = realloc(v->files, room * sizeof(*more));
		if (more) {
			v->files = more;
			v->room = room;
		}
		pthread_mutex_unlock(&v->lock);
		if (!more)
			return REEL_ENOMEM;
	}
	partial_name(v, v->count, name);
	/* A partial file of this number is rubbish (S3). */
	fd = openat(v->directory, name,
		    O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0666);
	if (fd < 0)
		return failed(v, v->count, "create", errno);
	pthread_mutex_lock(&v->lock);
	v->files[v->count++] = (struct volume_file){.fd = fd};
	pthread_mutex_unlock(&v->lock);
	return 0;
}

static int append(struct volumes_dir *v, const void *data, size_t length)
{
	struct volume_file *f = &v->files[v->count - 1];
	const uint8_t *from = data;

	while (length) {
		ssize_t n = pwrite(f->fd, from, length, (off_t)f->size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return failed(v, v->count - 1, "write",
				      n ? errno : EIO);
		from += n;
		length -= (size_t)n;
		f->size += (uint64_t)n;
		v->unsynced += (uint64_t)n;
	}
	if (v->sync && v->unsynced >= WRITE_BACK) {
		uint64_t from_byte =
			f->size > v->unsynced ? f->size - v->unsynced : 0;

		/* Only so that fsync finds little left to do. */
		sync_file_range(f->fd, (off_t)from_byte,
				(off_t)(f->size - from_byte),
				SYNC_FILE_RANGE_WRITE);
		v->unsynced = 0;
	}
	return 0;
}

/* ---- cutting ---- */

/* Whether the present volume ends before a frame of this size. */
static bool must_cut(const struct volumes_dir *d, uint64_t stored, bool last)
{
	const struct volumes *v = &d->volumes;
	size_t count = v->frame_count - d->volume_begin;
	uint64_t end = d->position + stored;

	if (count == 0)
		return false;
	if (count >= FRAME_COUNT_LIMIT)
		return true;
	if (!v->volume_size)
		return false;
	count++;
	if (!last) {
		end += frame_bound(v->compression, VOLUME_LAST);
		count++;
	}
	return end + volumes_table_size(v, count) > v->volume_size;
}

static int end_volume(struct volumes_dir *d)
{
	struct volumes *v = &d->volumes;
	size_t count = v->frame_count - d->volume_begin;
	struct buffer table = {0};
	int error;

	if (v->compression == COMPRESSION_NONE || count == 0)
		return 0;
	error = seek_table_encode(v->frames + d->volume_begin, count, &table);
	if (!error)
		error = append(d, table.data, table.length);
	if (!error)
		atomic_fetch_add(&v->stored, table.length);
	buffer_release(&table);
	return error;
}

static int dir_put(struct volumes *v, const struct frame *f, const void *data,
		   bool last)
{
	struct volumes_dir *d = of(v);
	struct frame placed = *f;
	bool cut = d->count && must_cut(d, f->stored, last);
	int error = cut ? end_volume(d) : 0;

	if (!error && (cut || !d->count)) {
		d->volume_begin = v->frame_count;
		d->position = 0;
		error = begin(d);
	}
	if (!error)
		error = append(d, data, f->stored);
	if (error)
		return error;
	placed.position = d->position;
	d->position += f->stored;
	atomic_fetch_add(&v->stored, f->stored);
	pthread_mutex_lock(&v->lock);
	v->present = number_of(d, d->count - 1);
	placed.volume = v->present;
	error = volumes_note(v, &placed);
	pthread_mutex_unlock(&v->lock);
	return error;
}

static int dir_settle(struct volumes *v)
{
	(void)v;
	return 0;
}

/* ---- reading ---- */

static int read_fd(int fd, uint64_t at, void *to, size_t length)
{
	uint8_t *into = to;

	while (length) {
		ssize_t n = pread(fd, into, length, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_from_errno(errno);
		if (n == 0)
			return REEL_EDAMAGED;
		into += n;
		length -= (size_t)n;
		at += (uint64_t)n;
	}
	return 0;
}

static int dir_read(struct volumes *base, uint32_t volume, uint64_t at,
		    void *to, size_t length)
{
	struct volumes_dir *v = of(base);
	size_t i = volume - base->first;
	char name[PARTIAL_ROOM];
	int error = REEL_EINVAL;
	int fd = -1;

	pthread_mutex_lock(&v->lock);
	if (i >= v->count)
		goto out;
	if (v->files[i].fd >= 0) {
		error = read_fd(v->files[i].fd, at, to, length);
		goto out;
	}
	if (v->files[i].named)
		volume_name(volume, v->volumes.compression, name);
	else
		partial_name(v, i, name);
	fd = openat(v->directory, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	error = fd < 0 ? error_from_errno(errno) : read_fd(fd, at, to, length);
	if (fd >= 0)
		close(fd);
out:
	pthread_mutex_unlock(&v->lock);
	return error;
}

/* ---- publishing ---- */

static int rename_file(struct volumes_dir *v, size_t i)
{
	char partial[PARTIAL_ROOM];
	char name[NAME_ROOM];
	int error = 0;

	partial_name(v, i, partial);
	volume_name(number_of(v, i), v->volumes.compression, name);
	pthread_mutex_lock(&v->lock);
	if (!renameat2(v->directory, partial, v->directory, name,
		       RENAME_NOREPLACE))
		goto out;
	/* Filesystems that know no flags: the set's lock keeps others away. */
	if (errno == EINVAL || errno == ENOSYS) {
		if (!faccessat(v->directory, name, F_OK, AT_SYMLINK_NOFOLLOW))
			errno = EEXIST;
		else if (!renameat(v->directory, partial, v->directory, name))
			goto out;
	}
	error = failed(v, i, "rename", errno);
out:
	v->files[i].named = !error;
	pthread_mutex_unlock(&v->lock);
	return error;
}

static int sync_directory(struct volumes_dir *v)
{
	int fd, error = 0;

	if (!v->sync)
		return 0;
	/* The borrowed descriptor may be an O_PATH one. */
	fd = openat(v->directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fsync(fd))
		error = failed(v, v->count - 1, "flush the directory of",
			       errno);
	if (fd >= 0)
		close(fd);
	return error;
}

static int dir_publish(struct volumes *base)
{
	struct volumes_dir *v = of(base);
	int error = 0;

	if (base->published || v->count == 0)
		return 0;
	error = end_volume(v);
	if (error)
		return error;
	for (size_t i = 0; i < v->count && v->sync; i++) {
		if (v->files[i].fd >= 0)
			sync_file_range(v->files[i].fd, 0, 0,
					SYNC_FILE_RANGE_WRITE);
	}
	for (size_t i = 0; i < v->count && !error; i++) {
		if (v->files[i].fd >= 0)
			error = sync_file(v, i);
	}
	/* the last one's partial name must outlive a cut between these */
	if (!error && v->count > 1)
		error = sync_directory(v);
	for (size_t i = 0; i + 1 < v->count && !error; i++)
		error = rename_file(v, i);
	if (!error && v->count > 1)
		error = sync_directory(v);
	if (!error)
		error = rename_file(v, v->count - 1);
	if (error)
		return error;
	base->published = true;
	return sync_directory(v);
}

static void dir_release(struct volumes *base)
{
	struct volumes_dir *v = of(base);
	char name[PARTIAL_ROOM];

	/* the named ones first: without a partial one behind them they would
	 * look like a damaged session */
	for (size_t i = 0; i < v->count; i++) {
		struct volume_file *f = &v->files[i];

		if (f->fd >= 0)
			close(f->fd);
		if (base->published)
			continue;
		if (f->named)
			volume_name(number_of(v, i), base->compression, name);
		else
			partial_name(v, i, name);
		unlinkat(v->directory, name, 0);
	}
	free(v->files);
	pthread_mutex_destroy(&v->lock);
	volumes_release(base);
	free(v);
}

static const struct volumes_ops dir_ops = {
	.put = dir_put,
	.settle = dir_settle,
	.read = dir_read,
	.publish = dir_publish,
	.release = dir_release,
};

int volumes_dir_new(int directory, enum compression c, uint64_t volume_size,
		    bool sync, uint32_t first, struct volumes **out)
{
	struct volumes_dir *d = calloc(1, sizeof(*d));
	int error =
		d ? volumes_init(&d->volumes, &dir_ops, c, first) : REEL_ENOMEM;

	if (error) {
		free(d);
		return error;
	}
	if (pthread_mutex_init(&d->lock, NULL)) {
		volumes_release(&d->volumes);
		free(d);
		return REEL_ENOMEM;
	}
	d->directory = directory;
	d->sync = sync;
	d->volumes.volume_size = volume_size;
	*out = &d->volumes;
	return 0;
}
