#include "tape/tape_cache.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "tape/error.h"

#define PIECES_LEAST 64
#define PIECES_MOST  (1u << 22)
#define GROWTH	     16 /* pieces for which room is made at once */

struct piece {
	struct piece_key key;
	bool known; /* in its bucket */
	unsigned held;
	uint64_t place;		     /* in the file */
	struct piece *next;	     /* of its bucket */
	struct piece *older, *newer; /* of those not held */
};

struct tape_cache {
	int fd;
	struct piece *pieces;
	size_t count, room, most;
	struct piece **buckets;
	size_t bucket_count;
	struct piece *oldest, *newest;
};

/* ---- the file ---- */

static bool grow(struct tape_cache *c)
{
	off_t at = (off_t)c->room * PIECE_SIZE;
	size_t more = c->most - c->room < GROWTH ? c->most - c->room : GROWTH;

	if (!more || (fallocate(c->fd, 0, at, (off_t)more * PIECE_SIZE) &&
		      errno != EOPNOTSUPP))
		return false;
	c->room += more;
	return true;
}

static bool open_in(struct tape_cache *c, int directory, const char *path)
{
	c->fd = openat(directory, path, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (c->fd >= 0 && grow(c))
		return true;
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	return false;
}

static bool open_file(struct tape_cache *c, int directory)
{
	if ((directory >= 0 && open_in(c, directory, ".")) ||
	    open_in(c, AT_FDCWD, "/var/tmp"))
		return true;
	c->most = PIECES_LEAST;
	c->fd = memfd_create("reel tape cache", MFD_CLOEXEC);
	return c->fd >= 0 && grow(c);
}

int tape_cache_new(int directory, uint64_t size, struct tape_cache **out)
{
	struct tape_cache *c = calloc(1, sizeof(*c));

	if (!c)
		return REEL_ENOMEM;
	size /= PIECE_SIZE;
	c->most = size < PIECES_LEAST  ? PIECES_LEAST
		  : size > PIECES_MOST ? PIECES_MOST
				       : (size_t)size;
	c->bucket_count = c->most;
	c->buckets = calloc(c->bucket_count, sizeof(struct piece *));
	c->pieces = calloc(c->most, sizeof(*c->pieces));
	c->fd = -1;
	if (!c->buckets || !c->pieces || !open_file(c, directory)) {
		tape_cache_free(c);
		return REEL_ENOMEM;
	}
	*out = c;
	return 0;
}

void tape_cache_free(struct tape_cache *c)
{
	if (!c)
		return;
	if (c->fd >= 0)
		close(c->fd);
	free(c->buckets);
	free(c->pieces);
	free(c);
}

uint64_t tape_cache_size(const struct tape_cache *c)
{
	return (uint64_t)c->most * PIECE_SIZE;
}

/* ---- pieces ---- */

static struct piece **bucket(struct tape_cache *c, const struct piece_key *k)
{
	uint64_t h = (uint64_t)k->session_time ^ ((uint64_t)k->volume << 32);

	h = (h + k->cartridge + k->begin + k->index) * 0x9e3779b97f4a7c15u;
	return &c->buckets[(h >> 20) % c->bucket_count];
}

bool piece_key_same(const struct piece_key *a, const struct piece_key *b)
{
	return a->cartridge == b->cartridge && a->volume == b->volume &&
	       a->begin == b->begin && a->index == b->index &&
	       a->session_time == b->session_time;
}

static void take_out(struct tape_cache *c, struct piece *p)
{
	*(p->older ? &p->older->newer : &c->oldest) = p->newer;
	*(p->newer ? &p->newer->older : &c->newest) = p->older;
	p->older = p->newer = NULL;
}

static void forget(struct tape_cache *c, struct piece *p)
{
	struct piece **at = bucket(c, &p->key);

	if (!p->known)
		return;
	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	p->known = false;
}

static void hold(struct tape_cache *c, struct piece *p)
{
	if (!p->held++)
		take_out(c, p);
}

struct piece *tape_cache_find(struct tape_cache *c, const struct piece_key *key)
{
	struct piece *p = *bucket(c, key);

	while (p && !piece_key_same(&p->key, key))
		p = p->next;
	if (p)
		hold(c, p);
	return p;
}

struct piece *tape_cache_take(struct tape_cache *c)
{
	struct piece *p;

	if (c->count < c->room || (c->count < c->most && grow(c))) {
		p = &c->pieces[c->count];
		p->place = (uint64_t)c->count++ * PIECE_SIZE;
		p->held = 1;
		return p;
	}
	p = c->oldest;
	if (p) {
		hold(c, p);
		forget(c, p);
	}
	return p;
}

void tape_cache_add(struct tape_cache *c, struct piece *p,
		    const struct piece_key *key)
{
	struct piece **at = bucket(c, key);

	p->key = *key;
	p->next = *at;
	p->known = true;
	*at = p;
}

void tape_cache_hold(struct piece *p)
{
	p->held++;
}

/* What is not known is used anew first. */
void tape_cache_put(struct tape_cache *c, struct piece *p)
{
	if (--p->held)
		return;
	if (p->known) {
		p->older = c->newest;
		*(p->older ? &p->older->newer : &c->oldest) = p;
		c->newest = p;
	} else {
		p->newer = c->oldest;
		*(p->newer ? &p->newer->older : &c->newest) = p;
		c->oldest = p;
	}
}

void tape_cache_clear(struct tape_cache *c)
{
	for (size_t n = 0; n < c->count; n++)
		forget(c, &c->pieces[n]);
}

/* ---- bytes ---- */

int tape_cache_write(struct tape_cache *c, const struct piece *p, size_t at,
		     const void *data, size_t length)
{
	const uint8_t *from = data;

	while (length) {
		ssize_t n = pwrite(c->fd, from, length, (off_t)(p->place + at));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? error_from_errno(errno) : REEL_EIO;
		from += n;
		at += (size_t)n;
		length -= (size_t)n;
	}
	return 0;
}

int tape_cache_read(struct tape_cache *c, const struct piece *p, size_t at,
		    void *to, size_t length)
{
	uint8_t *room = to;

	while (length) {
		ssize_t n = pread(c->fd, room, length, (off_t)(p->place + at));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? error_from_errno(errno) : REEL_EIO;
		room += n;
		at += (size_t)n;
		length -= (size_t)n;
	}
	return 0;
}
