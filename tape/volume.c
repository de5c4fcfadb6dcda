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
#define DIGITS	     6
#define DIGITS_LIMIT 10

/* ---- names ---- */

void volume_name(uint32_t volume, enum compression c, char *name)
{
	snprintf(name, NAME_ROOM, "%06u.tar%s", (unsigned)volume,
		 c == COMPRESSION_ZSTD ? ".zst" : "");
}

int volume_parse_name(const char *name, uint32_t *volume, enum compression *c,
		      bool *partial)
{
	enum compression compression = COMPRESSION_NONE;
	uint64_t number = 0;
	size_t digits = 0;
	bool unfinished;

	while (name[digits] >= '0' && name[digits] <= '9' &&
	       digits < DIGITS_LIMIT)
		number = number * 10 + (uint64_t)(name[digits++] - '0');
	if (digits < DIGITS || (digits > DIGITS && name[0] == '0') ||
	    number > UINT32_MAX || strncmp(name + digits, ".tar", 4) != 0)
		return REEL_EINVAL;
	name += digits + 4;
	if (!strncmp(name, ".zst", 4)) {
		compression = COMPRESSION_ZSTD;
		name += 4;
	}
	unfinished = !strcmp(name, PARTIAL);
	if (*name && !unfinished)
		return REEL_EINVAL;
	*volume = (uint32_t)number;
	*c = compression;
	*partial = unfinished;
	return 0;
}

static uint32_t number_of(const struct volumes *v, size_t i)
{
	return v->first + (uint32_t)i;
}

static void partial_name(const struct volumes *v, size_t i, char *name)
{
	volume_name(number_of(v, i), v->compression, name);
	strcat(name, PARTIAL);
}

/* ---- lifecycle ---- */

int volumes_init(struct volumes *v, int directory, enum compression c,
		 bool sync, uint32_t first)
{
	*v = (struct volumes){.directory = directory,
			      .compression = c,
			      .sync = sync,
			      .first = first};
	return pthread_mutex_init(&v->lock, NULL) ? REEL_ENOMEM : 0;
}

static void back_release(struct volume_back *b)
{
	frame_codec_free(b->codec);
	free(b->stored);
	for (size_t i = 0; i < VOLUME_BACK; i++)
		free(b->plain[i]);
}

void volumes_release(struct volumes *v)
{
	char name[PARTIAL_ROOM];

	/* the named ones first: without a partial one behind them they would
	 * look like a damaged session */
	for (size_t i = 0; i < v->count; i++) {
		struct volume_file *f = &v->files[i];

		if (f->fd >= 0)
			close(f->fd);
		if (v->published)
			continue;
		if (f->named)
			volume_name(number_of(v, i), v->compression, name);
		else
			partial_name(v, i, name);
		unlinkat(v->directory, name, 0);
	}
	back_release(&v->back);
	free(v->files);
	pthread_mutex_destroy(&v->lock);
}

/* ---- writing ---- */

static int failed(struct volumes *v, size_t i, const char *what, int err)
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

static int sync_file(struct volumes *v, size_t i)
{
	if (v->sync && fsync(v->files[i].fd))
		return failed(v, i, "flush", errno);
	return 0;
}

/* Keeps descriptors bounded when a session has very many volumes. */
static int close_oldest(struct volumes *v)
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

int volumes_begin(struct volumes *v)
{
	size_t room = v->room ? 2 * v->room : 16;
	char name[PARTIAL_ROOM];
	int error = close_oldest(v);
	int fd;

	if (error)
		return error;
	if (number_of(v, v->count) < v->first)
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

int volumes_append(struct volumes *v, const void *data, size_t length)
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

int volumes_read(struct volumes *v, uint32_t volume, uint64_t at, void *to,
		 size_t length)
{
	size_t i = volume - v->first;
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
		volume_name(volume, v->compression, name);
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

static int room_for(uint8_t **data, size_t *room, size_t want)
{
	uint8_t *more;

	if (want <= *room)
		return 0;
	more = realloc(*data, want);
	if (!more)
		return REEL_ENOMEM;
	*data = more;
	*room = want;
	return 0;
}

static int back_load(struct volumes *v, const struct frame *f, unsigned i)
{
	struct volume_back *b = &v->back;
	char name[NAME_ROOM];
	int error = 0;

	if (!b->codec)
		error = frame_codec_new(v->compression, 0, &b->codec);
	if (!error)
		error = room_for(&b->stored, &b->stored_room, f->stored);
	if (!error)
		error = room_for(&b->plain[i], &b->room[i], f->length);
	if (error)
		return error;
	error = volumes_read(v, f->volume, f->position, b->stored, f->stored);
	if (!error)
		error = frame_decode(b->codec, f, b->stored, b->plain[i]);
	if (!error)
		return 0;
	volume_name(f->volume, v->compression, name);
	log_error("volume %s, byte %llu, cannot be read back: %s", name,
		  (unsigned long long)f->position, error_text(error));
	return error;
}

int volumes_frame(struct volumes *v, const struct frame *f,
		  const uint8_t **plain)
{
	struct volume_back *b = &v->back;
	unsigned i = b->latest, oldest = 0;
	int error;

	if (b->streams[i] != f->stream + 1) {
		for (i = 0; i < VOLUME_BACK; i++) {
			if (b->streams[i] == f->stream + 1)
				break;
			if (b->used[i] < b->used[oldest])
				oldest = i;
		}
	}
	if (i == VOLUME_BACK) {
		i = oldest;
		b->streams[i] = 0;
		error = back_load(v, f, i);
		if (error)
			return error;
		b->streams[i] = f->stream + 1;
	}
	b->used[i] = ++b->clock;
	b->latest = i;
	*plain = b->plain[i];
	return 0;
}

/* ---- publishing ---- */

static int rename_file(struct volumes *v, size_t i)
{
	char partial[PARTIAL_ROOM];
	char name[NAME_ROOM];
	int error = 0;

	partial_name(v, i, partial);
	volume_name(number_of(v, i), v->compression, name);
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

static int sync_directory(struct volumes *v)
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

int volumes_publish(struct volumes *v)
{
	int error = 0;

	if (v->published || v->count == 0)
		return 0;
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
	v->published = true;
	return sync_directory(v);
}
