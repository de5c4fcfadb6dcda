/* A folder's `users` says all: FOLDER_SHUT: it has no descriptor; else it has
 * one, and so many threads are using it.
 *
 * P1. From FOLDER_SHUT and to it `users` changes under the lock alone, and to
 *     it only from 0: who counted himself in has a descriptor that stays.
 * P2. What is open is in the list, in the order of opening. Beyond the limit
 *     the oldest that nobody uses is closed.
 * P3. A folder that was closed is opened from the nearest one above that is
 *     open, a name at a time. Each must be the directory that it was. */
#include "fs/folder_pool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define FOLDER_SHUT (-1)
#define MOST	    8192
#define OTHERS	    200 /* descriptors for all else */

static size_t limit_of_process(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) || r.rlim_cur >= MOST + OTHERS)
		return MOST;
	return r.rlim_cur > 2 * OTHERS ? r.rlim_cur - OTHERS : r.rlim_cur / 2;
}

void folder_pool_init(struct folder_pool *p, size_t limit)
{
	*p = (struct folder_pool){.limit = limit ? limit : limit_of_process()};
	pthread_mutex_init(&p->lock, NULL);
}

void folder_pool_release(struct folder_pool *p)
{
	pthread_mutex_destroy(&p->lock);
}

/* ---- the list ---- */

static void enlist(struct folder_pool *p, struct folder *f)
{
	f->newer = NULL;
	f->older = p->newest;
	if (p->newest)
		p->newest->newer = f;
	else
		p->oldest = f;
	p->newest = f;
	p->open++;
}

static void delist(struct folder_pool *p, struct folder *f)
{
	if (f->newer)
		f->newer->older = f->older;
	else
		p->newest = f->older;
	if (f->older)
		f->older->newer = f->newer;
	else
		p->oldest = f->newer;
	p->open--;
}

/* P2. */
static void close_oldest(struct folder_pool *p)
{
	struct folder *f = p->oldest;

	while (f && p->open > p->limit) {
		struct folder *newer = f->newer;
		int nobody = 0;

		if (atomic_compare_exchange_strong(&f->users, &nobody,
						   FOLDER_SHUT)) {
			delist(p, f);
			close(f->fd);
			f->fd = -1;
		}
		f = newer;
	}
}

void folder_pool_add(struct folder_pool *p, struct folder *f)
{
	f->pool = p;
	atomic_store(&f->users, 0);
	pthread_mutex_lock(&p->lock);
	enlist(p, f);
	close_oldest(p);
	pthread_mutex_unlock(&p->lock);
}

void folder_pool_drop(struct folder *f)
{
	struct folder_pool *p = f->pool;

	pthread_mutex_lock(&p->lock);
	if (f->fd >= 0)
		delist(p, f);
	pthread_mutex_unlock(&p->lock);
	if (f->fd >= 0)
		close(f->fd);
}

/* ---- opening again ---- */

static int open_below(const struct folder *parent, const struct folder *f)
{
	int fd = openat(parent->fd, f->name,
			O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC |
				O_NONBLOCK);
	struct stat st;
	int err;

	if (fd < 0)
		return -1;
	err = fstat(fd, &st) ? errno : 0;
	if (!err && (st.st_dev != f->device || st.st_ino != f->inode))
		err = ESTALE;
	if (!err)
		return fd;
	close(fd);
	errno = err;
	return -1;
}

static bool is_open(const struct folder *f)
{
	return !f->pool || f->users != FOLDER_SHUT;
}

/* Opens a folder below one in use; it is in use then, the other not. */
static int step_down(struct folder_pool *p, struct folder *f)
{
	int fd = open_below(f->parent, f);
	int err = errno;

	folder_unuse(f->parent);
	if (fd < 0) {
		errno = err;
		return -1;
	}
	f->fd = fd;
	atomic_store_explicit(&f->users, 1, memory_order_release);
	enlist(p, f);
	close_oldest(p);
	return 0;
}

/* P3, under the lock: `f`, which is shut, is open and in use. */
static int open_again(struct folder_pool *p, struct folder *f)
{
	struct folder **way, *above = f;
	size_t count = 0, n;

	while (!is_open(above)) {
		above = above->parent;
		count++;
	}
	way = malloc(count * sizeof(*way));
	if (!way)
		return -1;
	for (n = count; n; f = f->parent)
		way[--n] = f;
	if (above->pool)
		atomic_fetch_add(&above->users, 1);
	while (n < count && !step_down(p, way[n]))
		n++;
	int err = errno;
	free(way);
	errno = err;
	return n == count ? 0 : -1;
}

/* ---- using ---- */

static bool count_in(struct folder *f)
{
	int users = atomic_load_explicit(&f->users, memory_order_relaxed);

	while (users != FOLDER_SHUT)
		if (atomic_compare_exchange_weak_explicit(
			    &f->users, &users, users + 1, memory_order_acquire,
			    memory_order_relaxed))
			return true;
	return false;
}

int folder_use(struct folder *f)
{
	struct folder_pool *p = f->pool;
	int result = 0;

	if (!p || count_in(f))
		return f->fd;
	pthread_mutex_lock(&p->lock);
	if (!count_in(f)) /* another thread may have opened it */
		result = open_again(p, f);
	pthread_mutex_unlock(&p->lock);
	return result ? -1 : f->fd;
}

void folder_unuse(struct folder *f)
{
	if (f->pool)
		atomic_fetch_sub_explicit(&f->users, 1, memory_order_release);
}
