/* Programs that share a set's drives. Who finds one in use claims it, by a
 * shared lock on a byte of a file of the set, which goes when the program does;
 * who holds one looks now and then whether somebody claims. Nothing is written
 * to the file, whose other locks are of other kinds. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "tape/error.h"
#include "tape/station_state.h"

#define LOOK_NS	   250000000ll /* between looks */
#define CLAIM_BYTE 1

int station_claim_open(struct station *s, const char *path)
{
	s->claim_fd = -1;
	s->claims = path ? strdup(path) : NULL;
	return path && !s->claims ? REEL_ENOMEM : 0;
}

void station_claim_close(struct station *s)
{
	if (s->claim_fd >= 0)
		close(s->claim_fd);
	free(s->claims);
}

/* It may come to be later than the station. */
static bool is_open(struct station *s)
{
	if (s->claim_fd < 0 && s->claims)
		s->claim_fd =
			open(s->claims, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	return s->claim_fd >= 0;
}

static int lock(struct station *s, int command, struct flock *l, short type)
{
	*l = (struct flock){.l_type = type,
			    .l_whence = SEEK_SET,
			    .l_start = CLAIM_BYTE,
			    .l_len = 1};
	return fcntl(s->claim_fd, command, l);
}

void station_claim(struct station *s)
{
	struct flock l;
	bool busy = false;

	for (size_t n = 0; n < s->drive_count; n++) {
		const struct station_drive *d = &s->drives[n];

		busy |= !d->looked_into && d->failures &&
			d->error == REEL_EBUSY;
	}
	if (busy && !s->claiming && is_open(s))
		s->claiming = !lock(s, F_OFD_SETLK, &l, F_RDLCK);
}

void station_unclaim(struct station *s)
{
	struct flock l;

	if (s->claiming)
		lock(s, F_OFD_SETLK, &l, F_UNLCK);
	s->claiming = false;
}

bool station_is_claimed(struct station *s)
{
	struct flock l;
	bool claimed;

	pthread_mutex_lock(&s->lock);
	if (station_now() >= s->look) {
		s->look = station_now() + LOOK_NS;
		s->claimed = is_open(s) && !lock(s, F_OFD_GETLK, &l, F_WRLCK) &&
			     l.l_type != F_UNLCK;
	}
	claimed = s->claimed;
	pthread_mutex_unlock(&s->lock);
	return claimed;
}
