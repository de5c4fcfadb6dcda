/* The bytes of files: of the spool once they were written to, else a content
 * of the set, which is copied up only when it changes. */
#include "fs/live_state.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "tape/error.h"
#include "tape/log.h"

/* Kept free for the spool's log: what was acknowledged must fit into it. At
 * most, and a part of a small filesystem. */
#define LOG_RESERVE (8u << 20)
#define LOG_PART    4

/* ---- files of the spool ---- */

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

int bytes_check_room(struct live *l, uint64_t length)
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
	int error = bytes_open(l, n);

	if (error || n->row.file)
		return error ? error : 1;
	pthread_mutex_lock(&l->lock);
	error = bytes_load_content(l, n->row.content, &f->content);
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
		error = bytes_check_room(l, length);
	if (!error)
		error = bytes_own(l, n, offset, n->row.size);
	if (!error)
		error = bytes_put(n->fd, from, length, offset);
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
	error = bytes_own(l, n, size, size < n->row.size ? size : n->row.size);
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
		error = bytes_check_room(l, length);
	if (!error)
		error = bytes_own(l, n, offset, n->row.size);
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
	error = bytes_open(l, n);
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
