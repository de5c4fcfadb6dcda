/* The bytes of files. A descriptor that is open leads to where they are; when
 * they move, it is led there (drop_redirect), so that reading and writing need
 * no lock. */
#include "fs/drop_state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#include "tape/error.h"

#define COPY_LIMIT (64u << 20) /* by one copy_file_range */
#define TRIES	   16	       /* against who swaps files underneath */

/* ---- opening ---- */

int drop_attach(struct drop *d, struct drop_node *n, int fd, bool writes,
		struct drop_file **out)
{
	struct drop_file *f = calloc(1, sizeof(*f));

	if (!f) {
		close(fd);
		return REEL_ENOMEM;
	}
	*f = (struct drop_file){.node = n, .fd = fd, .writes = writes};
	pthread_mutex_lock(&d->lock);
	f->next = n->files;
	n->files = f;
	n->writers += writes;
	pthread_mutex_unlock(&d->lock);
	*out = f;
	return 0;
}

static int open_side(struct drop *d, enum drop_side side, const char *path,
		     int flags)
{
	const char *name;
	int up = drop_parent(d, side, path, &name), fd;

	if (up < 0)
		return up;
	fd = drop_open_at(up, name, flags);
	close(up);
	return fd;
}

/* For reading: a descriptor. */
static int open_to_read(struct drop *d, const struct drop_survey *s)
{
	bool mine = s->side == DROP_AREA_SIDE && !s->node->over;

	return open_side(d, mine ? DROP_AREA_SIDE : DROP_TARGET,
			 (char *)s->path.data, O_RDONLY);
}

/* The bytes begin anew. */
static void begin_anew(struct drop *d, struct drop_node *n)
{
	pthread_mutex_lock(&d->lock);
	n->over = false;
	n->written++;
	drop_owe(d, n);
	pthread_mutex_unlock(&d->lock);
	drop_redirect(d, n);
}

/* Who is not root takes the set-id bits away with what they write. */
static void lose_bits(int fd, const struct drop_user *user)
{
	const mode_t group = S_ISGID | S_IXGRP;
	struct stat st;
	mode_t lost = 0;

	if (!user->uid || fstat(fd, &st))
		return;
	if ((st.st_mode & group) == group)
		lost = S_ISGID;
	lost |= st.st_mode & S_ISUID;
	if (lost)
		fchmod(fd, st.st_mode & 07777 & ~lost);
}

/* D5: looked at once it is open, since it may be another by then. */
static int open_alone(struct drop *d, struct drop_survey *s, int flags)
{
	const char *path = (char *)s->path.data;
	int error = 0, fd = REEL_ESTALE;

	for (int n = 0; n < TRIES && !error; n++) {
		struct stat st;

		fd = open_side(d, DROP_TARGET, path, flags & O_ACCMODE);
		if (fd < 0)
			return fd;
		if (fstat(fd, &st))
			error = drop_failed();
		if (!error && !drop_is_shared(d, &st)) {
			if (!(flags & O_TRUNC) || !ftruncate(fd, 0))
				return fd;
			error = drop_failed();
		}
		close(fd);
		fd = REEL_ESTALE;
		if (!error)
			error = drop_unshare(d, s->node, path, flags & O_TRUNC);
	}
	return error ? error : fd;
}

/* For writing, with `turn` held. *lazy: a shadow will be made by the first
 * write, if there is one. */
static int open_to_write(struct drop *d, struct drop_survey *s, int flags,
			 bool *lazy)
{
	const char *path = (char *)s->path.data;
	bool emptied = flags & O_TRUNC;
	struct plan_verdict v;
	int error;

	*lazy = false;
	flags &= O_ACCMODE | O_TRUNC;
	if (!drop_is_shadow(s->node)) {
		error = drop_survey_judge(d, s, s->st.st_mode, false, &v);
		if (error)
			return error;
		if (drop_passes(&v))
			return open_alone(d, s, flags);
		if (d->strict)
			return REEL_EREFUSED;
		*lazy = !emptied;
		if (*lazy)
			return open_side(d, DROP_TARGET, path, O_RDONLY);
		error = drop_overlay(d, s->node, true, &v);
		if (error)
			return error;
	} else if (s->node->over && !emptied) {
		*lazy = true;
		return open_side(d, DROP_TARGET, path, O_RDONLY);
	}
	if (emptied)
		begin_anew(d, s->node);
	return open_side(d, DROP_AREA_SIDE, path,
			 (flags & ~O_ACCMODE) | O_RDWR);
}

/* Whether it is as it was at the last opening, some time ago. */
static bool unchanged(struct drop *d, struct drop_node *n, int fd)
{
	struct timespec now;
	struct stat st;
	bool same;

	clock_gettime(CLOCK_REALTIME, &now);
	if (fstat(fd, &st))
		return false;
	pthread_mutex_lock(&d->lock);
	same = n->state == DROP_PLAIN && st.st_nlink == 1 &&
	       st.st_ino == n->inode && st.st_size == n->size &&
	       st.st_ctim.tv_sec == n->changed.tv_sec &&
	       st.st_ctim.tv_nsec == n->changed.tv_nsec;
	n->size = st.st_size;
	n->changed = st.st_ctim;
	if (now.tv_sec - st.st_ctim.tv_sec < 2) /* it may change unseen */
		n->changed.tv_sec = 0;
	pthread_mutex_unlock(&d->lock);
	return same;
}

int drop_file_open(struct drop *d, uint64_t id, int flags,
		   const struct drop_user *user, struct drop_file **out,
		   bool *same)
{
	bool writes = (flags & O_ACCMODE) != O_RDONLY || flags & O_TRUNC;
	bool lazy = false;
	struct drop_survey s;
	int fd;

	pthread_mutex_lock(&d->turn);
	fd = drop_survey_node(d, id, &s);
	if (!fd && !S_ISREG(s.st.st_mode))
		fd = S_ISDIR(s.st.st_mode) ? REEL_EISDIR : REEL_ESTALE;
	if (!fd)
		fd = writes ? open_to_write(d, &s, flags, &lazy)
			    : open_to_read(d, &s);
	if (fd >= 0) {
		if (flags & O_TRUNC)
			lose_bits(fd, user);
		*same = unchanged(d, s.node, fd);
		fd = drop_attach(d, s.node, fd, writes, out);
	}
	if (!fd)
		(*out)->lazy = lazy;
	pthread_mutex_unlock(&d->turn);
	drop_survey_release(&s);
	return fd;
}

void drop_file_close(struct drop *d, struct drop_file *f)
{
	struct drop_node *n = f->node;
	struct drop_file **at = &n->files;

	if (f->writes)
		drop_settle(d, n);
	pthread_mutex_lock(&d->lock);
	while (*at != f)
		at = &(*at)->next;
	*at = f->next;
	n->writers -= f->writes;
	if (n->owed)
		drop_owe(d, n);
	drop_settle_node(d, n);
	pthread_mutex_unlock(&d->lock);
	close(f->fd);
	free(f);
}

/* ---- reading and writing ---- */

int64_t drop_read(struct drop *d, struct drop_file *f, uint64_t offset,
		  void *to, size_t length)
{
	size_t done = 0;

	(void)d;
	while (done < length) {
		ssize_t n = pread(f->fd, (char *)to + done, length - done,
				  (off_t)(offset + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return drop_failed();
		if (!n)
			break;
		done += (size_t)n;
	}
	return (int64_t)done;
}

/* The shadow that a program is about to write to; `turn` is held. */
static int shade(struct drop *d, struct drop_survey *s, struct drop_file *f)
{
	struct plan_verdict v;
	int error = 0;

	if (!f->lazy)
		return 0;
	if (!drop_is_shadow(s->node)) {
		error = drop_survey_judge(d, s, s->st.st_mode, false, &v);
		/* what kept it is over by now, but it was opened under it */
		if (!error && drop_passes(&v))
			v = (struct plan_verdict){.action = PLAN_KEPT,
						  .why = "it was in use"};
		if (!error)
			error = drop_overlay(d, s->node, false, &v);
	}
	if (!error && s->node->over)
		error = drop_complete(d, s->node);
	return error;
}

static int shade_name(struct drop *d, struct drop_file *f)
{
	struct drop_survey s;
	int error;

	pthread_mutex_lock(&d->turn);
	error = drop_survey_node(d, drop_id(d, f->node), &s);
	if (!error)
		error = shade(d, &s, f);
	pthread_mutex_unlock(&d->turn);
	drop_survey_release(&s);
	return error;
}

/* Before bytes change; and what they may do no more after. */
static int prepare(struct drop *d, struct drop_file *f,
		   const struct drop_user *user)
{
	int error = f->lazy ? shade_name(d, f) : 0;

	if (error)
		return error;
	pthread_mutex_lock(&d->lock);
	f->node->written++;
	if (drop_is_shadow(f->node))
		drop_owe(d, f->node);
	pthread_mutex_unlock(&d->lock);
	lose_bits(f->fd, user);
	return 0;
}

/* More bytes were written than the last drop_settle may have seen. */
static void wrote(struct drop *d, struct drop_file *f)
{
	pthread_mutex_lock(&d->lock);
	f->node->written++;
	pthread_mutex_unlock(&d->lock);
}

int64_t drop_write(struct drop *d, struct drop_file *f, uint64_t offset,
		   const void *from, size_t length,
		   const struct drop_user *user)
{
	int error = prepare(d, f, user);
	size_t done = 0;

	while (!error && done < length) {
		ssize_t n = pwrite(f->fd, (const char *)from + done,
				   length - done, (off_t)(offset + done));

		if (n < 0 && errno != EINTR)
			error = drop_failed();
		done += n > 0 ? (size_t)n : 0;
	}
	wrote(d, f);
	return done ? (int64_t)done : error;
}

int drop_allocate(struct drop *d, struct drop_file *f, int mode,
		  uint64_t offset, uint64_t length,
		  const struct drop_user *user)
{
	int error = prepare(d, f, user);

	if (!error && fallocate(f->fd, mode, (off_t)offset, (off_t)length))
		error = drop_failed();
	wrote(d, f);
	return error;
}

int64_t drop_seek(struct drop *d, struct drop_file *f, uint64_t offset,
		  int whence)
{
	off_t at = lseek(f->fd, (off_t)offset, whence);

	(void)d;
	if (at < 0)
		return errno == ENXIO ? REEL_ENOENT : drop_failed();
	return at;
}

int64_t drop_copy_range(struct drop *d, struct drop_file *from,
			uint64_t from_offset, struct drop_file *to,
			uint64_t to_offset, uint64_t length,
			const struct drop_user *user)
{
	off_t in = (off_t)from_offset, out = (off_t)to_offset;
	int error = prepare(d, to, user);
	ssize_t n;

	if (error)
		return error;
	if (length > COPY_LIMIT)
		length = COPY_LIMIT;
	n = copy_file_range(from->fd, &in, to->fd, &out, length, 0);
	error = n < 0 ? drop_failed() : 0;
	wrote(d, to);
	return error ? error : n;
}

/* ---- the size ---- */

int drop_truncate(struct drop *d, struct drop_survey *s, struct drop_file *file,
		  off_t size, const struct drop_user *user)
{
	struct drop_file *f = NULL;
	bool lazy = false;
	int fd = -1, error = 0;

	if (!S_ISREG(s->st.st_mode))
		return REEL_EINVAL;
	if (file && file->writes && !file->lazy) {
		f = file;
	} else {
		fd = open_to_write(d, s, size ? O_WRONLY : O_WRONLY | O_TRUNC,
				   &lazy);
		if (fd < 0)
			return fd;
		error = drop_attach(d, s->node, fd, true, &f);
		if (error)
			return error;
		f->lazy = lazy;
	}
	error = shade(d, s, f);
	if (!error)
		error = prepare(d, f, user);
	if (!error && ftruncate(f->fd, size))
		error = drop_failed();
	wrote(d, f);
	if (drop_is_shadow(s->node))
		s->side = DROP_AREA_SIDE;
	if (f != file)
		drop_file_close(d, f);
	return error;
}

/* ---- making durable ---- */

int drop_flush(struct drop *d, struct drop_file *f)
{
	return f->writes ? drop_settle(d, f->node) : 0;
}

int drop_sync(struct drop *d, struct drop_file *f, bool data_only)
{
	int error = drop_settle(d, f->node);

	if (!error && (data_only ? fdatasync(f->fd) : fsync(f->fd)))
		error = drop_failed();
	return error;
}

int drop_sync_directory(struct drop *d, uint64_t id)
{
	struct drop_survey s;
	int error = drop_survey_node(d, id, &s), fd;

	if (!error) {
		fd = open_side(d, s.side, (char *)s.path.data,
			       O_RDONLY | O_DIRECTORY);
		error = fd < 0 ? fd : fsync(fd) ? drop_failed() : 0;
		if (fd >= 0)
			close(fd);
	}
	drop_survey_release(&s);
	return error == REEL_ENOENT ? 0 : error; /* it was removed */
}
