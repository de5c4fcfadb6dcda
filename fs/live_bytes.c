/* The bytes of files: of the spool once they were written to, else a content
 * of the set, which is copied up only when it changes. */
#include "fs/live_state.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "fs/salvage.h"
#include "tape/error.h"
#include "tape/log.h"

#define PIECE (256u << 10)
/* Kept free for the spool's log: what was acknowledged must fit into it. At
 * most, and a part of a small filesystem. */
#define LOG_RESERVE (8u << 20)
#define LOG_PART    4

/* ---- files of the spool ---- */

/* Under the node's lock. */
static int open_bytes(struct live *l, struct live_node *n)
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

static int put_bytes(int fd, const uint8_t *from, size_t length,
		     uint64_t offset)
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

static uint64_t reserve_of(const struct statvfs *st)
{
	uint64_t part = (uint64_t)st->f_blocks * st->f_frsize / LOG_PART;

	return part < LOG_RESERVE ? part : LOG_RESERVE;
}

static bool has_room(struct live *l, uint64_t length)
{
	struct statvfs st;

	return fstatvfs(spool_files(l->spool), &st) ||
	       (uint64_t)st.f_bavail * st.f_frsize >= length + reserve_of(&st);
}

static void remove_dropped(struct live *l)
{
	uint64_t file;

	while (spool_removable(l->spool, &file, 1))
		spool_remove_file(l->spool, file);
}

/* Files that were dropped go with the next sync (P4). */
int live_may_change(struct live *l, uint64_t length)
{
	int error = l->failed;

	if (!error && has_room(l, length))
		return 0;
	if (error || spool_dropped(l->spool))
		error = live_flush(l);
	if (!error && spool_dropped(l->spool))
		error = spool_sync(l->spool);
	if (error)
		return error;
	remove_dropped(l);
	return has_room(l, length) ? 0 : REEL_ENOSPC;
}

/* The same without any lock, for bytes. */
static int check_room(struct live *l, uint64_t length)
{
	int error = 0;

	if (l->failed || !has_room(l, length)) {
		pthread_mutex_lock(&l->lock);
		error = live_may_change(l, length);
		pthread_mutex_unlock(&l->lock);
	}
	return error;
}

int live_statfs(struct live *l, struct statvfs *out)
{
	uint64_t reserve;

	if (fstatvfs(spool_files(l->spool), out))
		return error_from_errno(errno);
	reserve = reserve_of(out) / out->f_frsize;
	out->f_bavail -= out->f_bavail < reserve ? out->f_bavail : reserve;
	return 0;
}

static int load_content(struct live *l, uint64_t id, struct content_row *row)
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
			error = put_bytes(fd, piece, (size_t)n, offset);
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

		if (data < 0 || (uint64_t)data >= keep)
			break;
		at = (uint64_t)data;
		if (want > keep - at)
			want = (size_t)(keep - at);
		n = pread(from, piece, want, data);
		if (n <= 0)
			break;
		error = put_bytes(to, piece, (size_t)n, at);
		at += (uint64_t)n;
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
		error = load_content(l, content, &row);
	pthread_mutex_unlock(&l->lock);
	if (!error)
		error = check_room(l, keep);
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

/* Makes the bytes from `from` on the node's own to change: a file of the
 * spool that no commit reads there (L3). `keep`: bytes that stay. */
static int own_bytes(struct live *l, struct live_node *n, uint64_t from,
		     uint64_t keep)
{
	bool frozen;
	int error;

	if (!n->row.file)
		return move_bytes(l, n, keep);
	error = open_bytes(l, n);
	if (error)
		return error;
	pthread_mutex_lock(&l->lock);
	frozen = l->committing && n->row.file <= l->frozen_file &&
		 from < n->row.size;
	pthread_mutex_unlock(&l->lock);
	return frozen ? move_bytes(l, n, keep) : 0;
}

void bytes_drop(struct live *l, struct live_node *n)
{
	if (n->row.file)
		live_drop_file(l, n->row.file);
	if (n->fd >= 0)
		close(n->fd);
	n->fd = -1;
	n->row.file = 0;
	n->row.content = 0;
}

/* ---- opening and closing ---- */

/* Nobody has it open; under both locks. */
static void close_bytes(struct live_node *n)
{
	struct live_entry e;

	if (n->fd < 0)
		return;
	node_stat(n, &e);
	n->row.blocks = (uint64_t)e.st.st_blocks;
	close(n->fd);
	n->fd = -1;
}

int live_file_open(struct live *l, uint64_t id, struct live_file **out)
{
	struct live_file *f = calloc(1, sizeof(*f));
	int error;

	if (!f)
		return REEL_ENOMEM;
	pthread_mutex_lock(&l->lock);
	error = node_get(l, id, &f->node);
	if (!error)
		f->node->opens++;
	pthread_mutex_unlock(&l->lock);
	if (error) {
		free(f);
		return error;
	}
	*out = f;
	return 0;
}

/* Counted as open until its content was looked for, so that nobody who takes
 * its last name closes it meanwhile. */
void live_file_close(struct live *l, struct live_file *f)
{
	struct live_node *n = f->node;
	bool last;

	pthread_mutex_lock(&n->bytes);
	pthread_mutex_lock(&l->lock);
	last = n->opens == 1 && n->row.nlink;
	pthread_mutex_unlock(&l->lock);
	if (last && n->written)
		bytes_recognise(l, n);
	pthread_mutex_lock(&l->lock);
	last = !--n->opens;
	if (last && !n->row.nlink)
		bytes_drop(l, n);
	if (last)
		close_bytes(n);
	pthread_mutex_unlock(&l->lock);
	pthread_mutex_unlock(&n->bytes);
	pthread_mutex_lock(&l->lock);
	node_put(l, n);
	pthread_mutex_unlock(&l->lock);
	content_row_release(&f->content);
	free(f);
}

/* ---- reading ---- */

static int64_t read_file(struct live_node *n, uint64_t offset, uint8_t *to,
			 size_t length)
{
	size_t done = 0;

	if (offset >= n->row.size)
		return 0;
	if (length > n->row.size - offset)
		length = (size_t)(n->row.size - offset);
	while (done < length) {
		ssize_t got = pread(n->fd, to + done, length - done,
				    (off_t)(offset + done));

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return error_from_errno(errno);
		if (got == 0)
			break;
		done += (size_t)got;
	}
	memset(to + done, 0, length - done);
	return (int64_t)length;
}

/* Under the node's lock: 1 when the bytes are in a file of the spool, 0 when
 * f->content has them. */
static int find_bytes(struct live *l, struct live_file *f)
{
	struct live_node *n = f->node;
	int error = open_bytes(l, n);

	if (error || n->row.file)
		return error ? error : 1;
	pthread_mutex_lock(&l->lock);
	error = load_content(l, n->row.content, &f->content);
	pthread_mutex_unlock(&l->lock);
	return error;
}

int64_t live_read(struct live *l, struct live_file *f, uint64_t offset,
		  void *to, size_t length)
{
	struct live_node *n = f->node;
	struct content_row row = {0};
	int64_t got;
	int where;

	pthread_mutex_lock(&n->bytes);
	where = find_bytes(l, f);
	got = where == 1 ? read_file(n, offset, to, length) : where;
	/* a content never changes: it is read without the lock */
	if (!where && !f->content.sparse)
		row = f->content;
	else if (!where)
		got = bytes_of_content(l, &f->content, offset, to, length);
	pthread_mutex_unlock(&n->bytes);
	if (row.id)
		got = bytes_of_content(l, &row, offset, to, length);
	if (got < 0)
		log_error("a file in current/ (%llu) cannot be read at byte "
			  "%llu: %s",
			  (unsigned long long)n->row.inode,
			  (unsigned long long)offset, error_text((int)got));
	return got;
}

int64_t live_seek(struct live *l, struct live_file *f, uint64_t offset,
		  bool hole)
{
	struct live_node *n = f->node;
	int64_t at;
	int where;

	pthread_mutex_lock(&n->bytes);
	where = find_bytes(l, f);
	if (where < 0)
		at = where;
	else if (offset >= n->row.size)
		at = REEL_ENOENT;
	else if (!where)
		at = content_seek(&f->content, offset, hole);
	else
		at = lseek(n->fd, (off_t)offset, hole ? SEEK_HOLE : SEEK_DATA);
	if (where == 1 && at < 0)
		at = REEL_ENOENT;
	pthread_mutex_unlock(&n->bytes);
	return at;
}

/* ---- writing ---- */

/* Bytes up to `end` were written. Under the node's lock. */
static int note_written(struct live *l, struct live_node *n, uint64_t end,
			const struct live_user *user)
{
	int error;

	pthread_mutex_lock(&l->lock);
	error = node_change(l, n);
	if (!error) {
		if (end > n->row.size)
			l->written += end - n->row.size;
		if (end > n->row.size)
			n->row.size = end;
		n->row.mtime = n->row.ctime;
		n->row.has_digest = false;
		if (n->row.synced == SPOOL_SYNCED)
			n->row.synced = SPOOL_SYNCED_ONCE;
		n->written = true;
		if (user && user->uid)
			node_drop_set_id(n);
	}
	pthread_mutex_unlock(&l->lock);
	return error;
}

int live_write(struct live *l, struct live_file *f, uint64_t offset,
	       const void *from, size_t length, const struct live_user *user)
{
	struct live_node *n = f->node;
	int error;

	pthread_rwlock_rdlock(&l->freeze);
	pthread_mutex_lock(&n->bytes);
	error = offset > INT64_MAX - length ? REEL_EFBIG : 0;
	if (!error)
		error = check_room(l, length);
	if (!error)
		error = own_bytes(l, n, offset, n->row.size);
	if (!error)
		error = put_bytes(n->fd, from, length, offset);
	if (!error)
		error = note_written(l, n, offset + length, user);
	pthread_mutex_unlock(&n->bytes);
	pthread_rwlock_unlock(&l->freeze);
	return error;
}

/* All bytes go at once, where nobody reads them from the file: 1 when that was
 * done. Under the node's lock. */
static int cut_all(struct live *l, struct live_node *n)
{
	int done = 0;

	pthread_mutex_lock(&l->lock);
	if (!n->row.file || !n->opens) {
		done = node_touch(l, n);
		if (!done) {
			bytes_drop(l, n);
			done = 1;
		}
	}
	pthread_mutex_unlock(&l->lock);
	return done;
}

/* Under the node's lock. */
static int cut_bytes(struct live *l, struct live_node *n, uint64_t size)
{
	int error = size ? 0 : cut_all(l, n);

	if (error)
		return error < 0 ? error : 0;
	error = own_bytes(l, n, size, size < n->row.size ? size : n->row.size);
	if (!error && ftruncate(n->fd, (off_t)size))
		error = error_from_errno(errno);
	return error;
}

int bytes_truncate(struct live *l, struct live_node *n, uint64_t size,
		   const struct live_user *user)
{
	int error = size > INT64_MAX ? REEL_EFBIG : 0;

	pthread_mutex_lock(&n->bytes);
	if (!error && size != n->row.size)
		error = cut_bytes(l, n, size);
	if (!error)
		error = note_written(l, n, 0, user);
	pthread_mutex_lock(&l->lock);
	if (!error)
		n->row.size = size;
	if (!n->opens)
		close_bytes(n);
	pthread_mutex_unlock(&l->lock);
	pthread_mutex_unlock(&n->bytes);
	return error;
}

/* Zeroing, where the spool's filesystem cannot, is a hole that is filled. */
static int allocate(int fd, int mode, off_t offset, off_t length)
{
	const int hole = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
	int failed = fallocate(fd, mode, offset, length);

	if (failed && errno == EOPNOTSUPP && mode & FALLOC_FL_ZERO_RANGE) {
		failed = fallocate(fd, hole, offset, length);
		if (!failed)
			failed = fallocate(fd, mode & ~FALLOC_FL_ZERO_RANGE,
					   offset, length);
	}
	return failed ? error_from_errno(errno) : 0;
}

int live_allocate(struct live *l, struct live_file *f, int mode,
		  uint64_t offset, uint64_t length)
{
	struct live_node *n = f->node;
	bool keeps = mode & (FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE);
	int error = 0;

	if (mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE |
		     FALLOC_FL_ZERO_RANGE))
		return REEL_ENOTSUP;
	if (offset > INT64_MAX - length)
		return REEL_EFBIG;
	pthread_rwlock_rdlock(&l->freeze);
	pthread_mutex_lock(&n->bytes);
	if (!(mode & FALLOC_FL_PUNCH_HOLE))
		error = check_room(l, length);
	if (!error)
		error = own_bytes(l, n, offset, n->row.size);
	if (!error)
		error = allocate(n->fd, mode, (off_t)offset, (off_t)length);
	if (!error)
		error = note_written(l, n, keeps ? 0 : offset + length, NULL);
	pthread_mutex_unlock(&n->bytes);
	pthread_rwlock_unlock(&l->freeze);
	return error;
}

/* ---- syncing: P2 of spool.h ---- */

static int sync_bytes(struct live *l, struct live_node *n)
{
	int error;

	pthread_mutex_lock(&n->bytes);
	error = open_bytes(l, n);
	if (!error && n->fd >= 0 && fdatasync(n->fd))
		error = error_from_errno(errno);
	pthread_mutex_lock(&l->lock);
	if (!error && n->row.file && n->row.synced != SPOOL_SYNCED) {
		error = spool_sync_names(l->spool);
		if (!error)
			error = node_touch(l, n);
		if (!error)
			n->row.synced = SPOOL_SYNCED;
	}
	pthread_mutex_unlock(&l->lock);
	pthread_mutex_unlock(&n->bytes);
	return error;
}

int live_sync(struct live *l, struct live_file *f)
{
	int error = sync_bytes(l, f->node);

	if (error)
		return error;
	pthread_mutex_lock(&l->lock);
	error = live_flush(l);
	if (!error)
		error = spool_sync(l->spool);
	pthread_mutex_unlock(&l->lock);
	return error;
}

/* L6. What is in memory was in the syncfs, too. */
int live_sync_directory(struct live *l, uint64_t id)
{
	int error = syncfs(spool_files(l->spool)) ? error_from_errno(errno) : 0;

	pthread_mutex_lock(&l->lock);
	if (!error)
		error = live_flush(l);
	if (!error && l->touched)
		error = spool_names_synced(l->spool, id);
	for (int slot = 0; !error && slot < LIVE_SLOTS; slot++)
		for (struct live_node *n = l->slots[slot]; n; n = n->next)
			if (n->row.synced == SPOOL_UNSYNCED)
				n->row.synced = SPOOL_SYNCED_ONCE;
	if (!error)
		error = spool_sync(l->spool);
	pthread_mutex_unlock(&l->lock);
	return error;
}
