#include "catalog/follow.h"

#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#define FIRST_BYTE ((off_t)1 << 32) /* session 0's */
#define STEP_NS	   200000L
#define STEPS	   1250 /* a quarter of a second: one may have been stopped */

static int lock(int fd, int command, short type, uint32_t from, uint32_t length,
		struct flock *l)
{
	*l = (struct flock){.l_type = type,
			    .l_whence = SEEK_SET,
			    .l_start = FIRST_BYTE + from,
			    .l_len = length};
	return fcntl(fd, command, l);
}

void follow_begin(struct follow *f, const struct set *s, uint32_t newest)
{
	struct flock l;

	f->at = newest;
	f->fd = openat(s->directory, "lock", O_RDONLY | O_CLOEXEC);
	if (f->fd >= 0 && lock(f->fd, F_OFD_SETLK, F_RDLCK, newest, 1, &l))
		follow_end(f);
}

void follow_to(struct follow *f, uint32_t newest)
{
	struct flock l;

	if (f->fd < 0 || newest == f->at)
		return;
	lock(f->fd, F_OFD_SETLK, F_RDLCK, newest, 1, &l);
	lock(f->fd, F_OFD_SETLK, F_UNLCK, f->at, 1, &l);
	f->at = newest;
}

void follow_end(struct follow *f)
{
	if (f->fd >= 0)
		close(f->fd);
	f->fd = -1;
}

void follow_wait(const struct set *s, uint32_t newest)
{
	struct flock l;

	for (int n = 0; n < STEPS && newest; n++) {
		if (lock(s->lock, F_OFD_GETLK, F_WRLCK, 0, newest, &l) ||
		    l.l_type == F_UNLCK)
			return;
		nanosleep(&(struct timespec){.tv_nsec = STEP_NS}, NULL);
	}
}
