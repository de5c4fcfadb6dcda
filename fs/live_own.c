/* A file's bytes become its own to change: copied up from a content of the
 * set, or from a file of the spool that a commit reads (L3). */
#include "fs/live_state.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "fs/salvage.h"
#include "tape/error.h"
#include "tape/log.h"

#define PIECE (256u << 10)

int bytes_open(struct live *l, struct live_node *n)
{
	int fd;

	if (n->fd >= 0 || !n->row.file)
		return 0;
	fd = spool_open_file(l->spool, n->row.file);
	if (fd < 0) {
		log_error("%s/spool/current/files/%llu: %s", l->set->path,
			  (unsigned long long)n->row.file, error_text(fd));
		return fd == REEL_ENOENT ? REEL_EIO : fd;
	}
	pthread_mutex_lock(&l->lock);
	n->fd = fd;
	pthread_mutex_unlock(&l->lock);
	return 0;
}

int bytes_put(int fd, const uint8_t *from, size_t length, uint64_t offset)
{
	while (length) {
		ssize_t n = pwrite(fd, from, length, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_from_errno(errno);
		from += n;
		offset += (uint64_t)n;
		length -= (size_t)n;
	}
	return 0;
}

int bytes_load_content(struct live *l, uint64_t id, struct content_row *row)
{
	int error = 0;

	if (row->id == id)
		return 0;
	content_row_release(row);
	if (id)
		error = tree_content(l->catalog, id, row);
	if (error == REEL_ENOENT) {
		log_error("content %llu is not in the catalogue; run `reel "
			  "catalog rebuild %s`",
			  (unsigned long long)id, l->set->path);
		error = REEL_EDAMAGED;
	}
	return error;
}

int64_t bytes_of_content(struct live *l, const struct content_row *row,
			 uint64_t offset, void *to, size_t length)
{
	int64_t n = content_read(l->library->recall, row, offset, to, length);
	int error;

	if (n != REEL_EDAMAGED)
		return n;
	if (length > row->size - offset)
		length = (size_t)(row->size - offset);
	error = salvage_bytes(l->set, row, offset, to, length);
	return error ? error : (int64_t)length;
}

/* A run of a content into a file. */
static int copy_run(struct live *l, const struct content_row *row, int fd,
		    uint64_t offset, uint64_t end)
{
	uint8_t *piece = malloc(PIECE);
	int error = piece ? 0 : REEL_ENOMEM;

	while (!error && offset < end) {
		size_t want =
			end - offset < PIECE ? (size_t)(end - offset) : PIECE;
		int64_t n = bytes_of_content(l, row, offset, piece, want);

		if (n <= 0)
			error = n < 0 ? (int)n : REEL_EDAMAGED;
		else
			error = bytes_put(fd, piece, (size_t)n, offset);
		offset += n > 0 ? (uint64_t)n : 0;
	}
	free(piece);
	return error;
}

/* The first `keep` bytes of a content into a file, holes as holes. */
static int copy_content(struct live *l, const struct content_row *row, int fd,
			uint64_t keep)
{
	uint64_t at = 0;
	int error = 0;

	while (!error && at < keep) {
		int64_t data = content_seek(row, at, false);
		int64_t hole =
			data < 0 ? -1 : content_seek(row, (uint64_t)data, true);

		if (data < 0 || (uint64_t)data >= keep)
			break;
		at = hole < 0 || (uint64_t)hole > keep ? keep : (uint64_t)hole;
		error = copy_run(l, row, fd, (uint64_t)data, at);
	}
	if (!error && ftruncate(fd, (off_t)keep))
		error = error_from_errno(errno);
	return error;
}

/* The first bytes of one file into another: shared where that can be. */
static int copy_file(int from, int to, uint64_t keep)
{
	uint8_t *piece;
	int error = 0;

	if (!ioctl(to, FICLONE, from))
		return ftruncate(to, (off_t)keep) ? error_from_errno(errno) : 0;
	piece = malloc(PIECE);
	if (!piece)
		return REEL_ENOMEM;
	for (uint64_t at = 0; !error && at < keep;) {
		off_t data = lseek(from, (off_t)at, SEEK_DATA);
		size_t want = PIECE;
		ssize_t n;

		if (data < 0 && errno != ENXIO)
			error = error_from_errno(errno);
		if (data < 0 || (uint64_t)data >= keep)
			break;
		at = (uint64_t)data;
		if (want > keep - at)
			want = (size_t)(keep - at);
		n = pread(from, piece, want, data);
		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0) /* what is missing at the end is a hole */
			break;
		error = n < 0 ? error_from_errno(errno)
			      : bytes_put(to, piece, (size_t)n, at);
		at += n > 0 ? (uint64_t)n : 0;
	}
	free(piece);
	if (!error && ftruncate(to, (off_t)keep))
		error = error_from_errno(errno);
	return error;
}

/* What was durable stays so under another number, before a row names it (P3 of
 * spool.h). */
static int sync_moved(struct live *l, int fd)
{
	int error = fdatasync(fd) ? error_from_errno(errno) : 0;

	pthread_mutex_lock(&l->lock);
	if (!error)
		error = spool_sync_names(l->spool);
	pthread_mutex_unlock(&l->lock);
	return error;
}

/* A new file of the spool becomes the node's: its first `keep` bytes are what
 * the node had. Under the node's lock. */
static int move_bytes(struct live *l, struct live_node *n, uint64_t keep)
{
	bool was, durable;
	struct content_row row = {0};
	uint64_t file, content;
	int fd, error = 0;

	pthread_mutex_lock(&l->lock);
	was = n->row.synced != SPOOL_UNSYNCED;
	file = spool_new_file(l->spool);
	content = n->row.content;
	/* a version of the base can be had again */
	durable = keep && (content ? !n->row.base : was);
	was = content ? durable : was;
	if (keep && content)
		error = bytes_load_content(l, content, &row);
	pthread_mutex_unlock(&l->lock);
	if (!error)
		error = bytes_check_room(l, keep);
	if (error)
		return error;
	fd = spool_make_file(l->spool, file);
	error = fd < 0 ? fd : 0;
	if (!error && row.id)
		error = copy_content(l, &row, fd, keep);
	else if (!error && keep && n->fd >= 0)
		error = copy_file(n->fd, fd, keep);
	else if (!error && keep && ftruncate(fd, (off_t)keep))
		error = error_from_errno(errno);
	content_row_release(&row);
	if (!error && durable)
		error = sync_moved(l, fd);
	pthread_mutex_lock(&l->lock);
	if (!error && !was && n->row.synced != SPOOL_UNSYNCED) {
		/* its directory was synced meanwhile, and it with that */
		pthread_mutex_unlock(&l->lock);
		error = sync_moved(l, fd);
		was = true;
		pthread_mutex_lock(&l->lock);
	}
	if (!error)
		error = node_touch(l, n);
	if (error) {
		live_drop_file(l, file);
		if (fd >= 0)
			close(fd);
	} else {
		if (n->fd >= 0)
			close(n->fd);
		if (n->row.file)
			live_drop_file(l, n->row.file);
		n->fd = fd;
		n->row.file = file;
		n->row.content = 0;
		n->row.has_digest = false;
		n->row.synced = was ? SPOOL_SYNCED_ONCE : SPOOL_UNSYNCED;
	}
	pthread_mutex_unlock(&l->lock);
	return error;
}

int bytes_own(struct live *l, struct live_node *n, uint64_t from, uint64_t keep)
{
	bool frozen;
	int error;

	if (!n->row.file)
		return move_bytes(l, n, keep);
	error = bytes_open(l, n);
	if (error)
		return error;
	pthread_mutex_lock(&l->lock);
	frozen = l->committing && n->row.file <= l->frozen_file &&
		 from < n->row.size;
	pthread_mutex_unlock(&l->lock);
	return frozen ? move_bytes(l, n, keep) : 0;
}
