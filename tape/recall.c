/* Reading a set's streams.
 *
 * A cache entry is one decoded frame. It is found by its session and the
 * granule (FRAME_SIZE bytes of stream) that it begins in: frames that we write
 * are no longer than a granule, so a byte's frame begins in the byte's own
 * granule or in the one before, and a hit needs no look at the catalogue.
 * Longer frames are found through options.find and their exact beginning.
 *
 *     loading  in the table, data being filled by one thread, others wait
 *     ready    in the table; when nobody holds it also in the list of unused
 *     failed   out of the table; freed by the last who waited for it
 *
 * R1 An entry that someone holds is never freed; `bytes` counts all entries,
 *    and may be beyond options.cache only by those that are held.
 * R2 Data of a ready entry never change.
 * R3 Nothing is read, decoded or searched for under `lock`. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "tape/error.h"
#include "tape/log.h"
#include "tape/recall.h"
#include "tape/stop.h"

#define BUCKETS_MIN 64
#define BUCKETS_MAX (1u << 20)
#define SPARE_LIMIT 8
#define AHEAD_DEPTH 32
#define SAID_LIMIT  256
#define TICK_NS	    50000000 /* between looks at what is heeded */
#define SECOND_NS   1000000000

enum entry_state {
	ENTRY_LOADING,
	ENTRY_READY,
	ENTRY_FAILED,
};

struct entry {
	struct entry *next;	     /* in its bucket */
	struct entry *newer, *older; /* in the list of unused */
	uint32_t session;
	unsigned references;
	enum entry_state state;
	int error;
	struct frame frame;
	size_t room; /* bytes of data */
	uint8_t *data;
	pthread_cond_t loaded;
};

/* One thread's tools for loading; kept for the next. */
struct loader {
	struct loader *next;
	struct frame_codec *codec;
	uint8_t *stored;
	size_t room;
};

/* What was complained about already. */
struct said {
	uint32_t volume;
	uint64_t position; /* UINT64_MAX: the volume is missing */
};

struct wish {
	uint32_t session;
	uint64_t offset;
};

struct recall {
	struct recall_options options;

	pthread_mutex_t lock; /* of all below */
	struct entry **buckets;
	size_t bucket_count; /* a power of two */
	struct entry *newest, *oldest;
	size_t bytes;
	struct loader *loaders;
	uint8_t *spare[SPARE_LIMIT]; /* FRAME_SIZE each */
	unsigned spare_count;
	struct said said[SAID_LIMIT];
	unsigned said_count;
	struct wish wishes[AHEAD_DEPTH];
	unsigned wish_head, wish_tail;
	pthread_cond_t wished;
	pthread_t helper;
	bool helping;
	volatile int stop;
};

static void say(struct recall *r, uint32_t volume, uint64_t position, int error,
		const struct entry *e)
{
	struct medium *m = r->options.medium;
	char name[MEDIUM_NAME];
	bool again = error == REEL_EMEDIUM && m->tape;

	pthread_mutex_lock(&r->lock);
	for (unsigned i = 0; i < SAID_LIMIT && i < r->said_count; i++)
		again |= r->said[i].volume == volume &&
			 r->said[i].position == position;
	if (!again)
		r->said[r->said_count++ % SAID_LIMIT] =
			(struct said){volume, position};
	pthread_mutex_unlock(&r->lock);
	if (again)
		return;
	medium_name(m, volume, position, name);
	if (error == REEL_EMEDIUM)
		log_error("volume %s is missing; put it back into the set's "
			  "volumes/ and try again",
			  name);
	else
		log_error("volume %s, byte %llu: %s (session %u, stream byte "
			  "%llu)",
			  name, (unsigned long long)position, error_text(error),
			  (unsigned)e->session,
			  (unsigned long long)e->frame.stream);
}

/* ---- loading ---- */

static int loader_room(struct loader *l, size_t want)
{
	uint8_t *more;

	if (want <= l->room)
		return 0;
	more = realloc(l->stored, want);
	if (!more)
		return REEL_ENOMEM;
	l->stored = more;
	l->room = want;
	return 0;
}

static _Thread_local const volatile int *heeded;

const volatile int recall_at_once = 1;

void recall_heed(const volatile int *stop)
{
	heeded = stop;
}

static bool stopped(void)
{
	return stop_is_set(heeded);
}

/* Fills e->data. */
static int load(struct recall *r, struct loader *l, struct entry *e)
{
	struct medium *m = r->options.medium;
	bool plain = m->compression == COMPRESSION_NONE;
	const struct frame *f = &e->frame;
	uint8_t *stored = e->data;
	int error = 0;

	if (plain && f->stored != f->length)
		error = REEL_EDAMAGED;
	if (!error && !plain) {
		error = loader_room(l, f->stored);
		stored = l->stored;
	}
	if (error)
		goto out;
	error = plain && r->options.unchecked
			? medium_read_all(m, f->volume, f->position, stored,
					  f->stored, heeded)
			: medium_frame(m, l->codec, f, stored, e->data, heeded);
out:
	if (error && error != REEL_ESTOPPED)
		say(r, f->volume,
		    error == REEL_EMEDIUM ? UINT64_MAX : f->position, error, e);
	return error;
}

static void loader_free(struct loader *l)
{
	if (!l)
		return;
	frame_codec_free(l->codec);
	free(l->stored);
	free(l);
}

static struct loader *loader_new(enum compression c)
{
	struct loader *l = calloc(1, sizeof(*l));

	if (l && frame_codec_new(c, 0, &l->codec)) {
		free(l);
		return NULL;
	}
	return l;
}

/* ---- entries; under the lock ---- */

static struct entry **bucket(const struct recall *r, uint32_t session,
			     uint64_t granule)
{
	uint64_t h =
		(granule + ((uint64_t)session << 40)) * 0x9e3779b97f4a7c15u;

	return &r->buckets[(h >> 32) & (r->bucket_count - 1)];
}

static bool covers(const struct frame *f, uint64_t offset)
{
	return f->stream <= offset && offset - f->stream < f->length;
}

static struct entry *lookup(const struct recall *r, uint32_t session,
			    uint64_t offset)
{
	uint64_t granule = offset / FRAME_SIZE;

	for (int step = 0; step < 2; step++) {
		struct entry *e = *bucket(r, session, granule);

		for (; e; e = e->next) {
			if (e->session == session && covers(&e->frame, offset))
				return e;
		}
		if (granule-- == 0)
			break;
	}
	return NULL;
}

static struct entry *lookup_exact(const struct recall *r, uint32_t session,
				  const struct frame *f)
{
	struct entry *e = *bucket(r, session, f->stream / FRAME_SIZE);

	while (e && (e->session != session || e->frame.stream != f->stream ||
		     e->frame.length != f->length))
		e = e->next;
	return e;
}

static void table_remove(struct recall *r, struct entry *e)
{
	struct entry **at = bucket(r, e->session, e->frame.stream / FRAME_SIZE);

	while (*at != e)
		at = &(*at)->next;
	*at = e->next;
}

static void unused_remove(struct recall *r, struct entry *e)
{
	*(e->newer ? &e->newer->older : &r->newest) = e->older;
	*(e->older ? &e->older->newer : &r->oldest) = e->newer;
	e->newer = NULL;
	e->older = NULL;
}

static void unused_add(struct recall *r, struct entry *e)
{
	e->newer = NULL;
	e->older = r->newest;
	*(r->newest ? &r->newest->newer : &r->oldest) = e;
	r->newest = e;
}

static void entry_free(struct recall *r, struct entry *e)
{
	r->bytes -= e->room + sizeof(*e);
	if (e->room == FRAME_SIZE && e->data && r->spare_count < SPARE_LIMIT)
		r->spare[r->spare_count++] = e->data;
	else
		free(e->data);
	pthread_cond_destroy(&e->loaded);
	free(e);
}

static void evict(struct recall *r)
{
	while (r->bytes > r->options.cache && r->oldest) {
		struct entry *e = r->oldest;

		unused_remove(r, e);
		table_remove(r, e);
		entry_free(r, e);
	}
}

static void release(struct recall *r, struct entry *e)
{
	if (--e->references)
		return;
	if (e->state == ENTRY_FAILED) {
		entry_free(r, e);
		return;
	}
	unused_add(r, e);
	evict(r);
}

static void hold(struct recall *r, struct entry *e)
{
	if (e->references++ == 0)
		unused_remove(r, e);
}

/* Makes a loading entry, held. */
static struct entry *insert(struct recall *r, uint32_t session,
			    const struct frame *f)
{
	struct entry *e = calloc(1, sizeof(*e));
	struct entry **at;

	if (!e)
		return NULL;
	e->session = session;
	e->frame = *f;
	e->references = 1;
	e->room = f->length;
	if (f->length > FRAME_SIZE / 2 && f->length < FRAME_SIZE)
		e->room = FRAME_SIZE;
	pthread_cond_init(&e->loaded, NULL);
	r->bytes += e->room + sizeof(*e);
	evict(r);
	if (e->room == FRAME_SIZE && r->spare_count)
		e->data = r->spare[--r->spare_count];
	else
		e->data = malloc(e->room);
	if (!e->data) {
		entry_free(r, e);
		return NULL;
	}
	at = bucket(r, session, f->stream / FRAME_SIZE);
	e->next = *at;
	*at = e;
	return e;
}

/* ---- getting ---- */

/* Loads an entry that this thread inserted. Called and left with the lock. */
static void fill(struct recall *r, struct entry *e)
{
	struct loader *l = r->loaders;
	int error;

	if (l)
		r->loaders = l->next;
	pthread_mutex_unlock(&r->lock);
	if (!l)
		l = loader_new(r->options.medium->compression);
	error = l ? load(r, l, e) : REEL_ENOMEM;
	pthread_mutex_lock(&r->lock);
	if (l) {
		l->next = r->loaders;
		r->loaders = l;
	}
	e->state = error ? ENTRY_FAILED : ENTRY_READY;
	e->error = error;
	if (error)
		table_remove(r, e);
	pthread_cond_broadcast(&e->loaded);
}

/* Asks for the frame of a byte; what comes back is not trusted. */
static int find_frame(struct recall *r, uint32_t session, uint64_t offset,
		      struct frame *f)
{
	int error = r->options.find(r->options.context, session, offset, f);

	if (error)
		return error;
	if (f->length > FRAME_LIMIT || f->stored > FRAME_LIMIT ||
	    f->position > INT64_MAX - FRAME_LIMIT || !covers(f, offset)) {
		log_error("the catalogue's place of session %u, stream byte "
			  "%llu, is damaged; try reel catalog rebuild",
			  (unsigned)session, (unsigned long long)offset);
		return REEL_EDAMAGED;
	}
	return 0;
}

/* Until another has loaded a held entry; what this thread heeds ends that, too,
 * at once where no drive may be waited for: whoever loads may wait for a
 * person. */
static int await(struct recall *r, struct entry *e)
{
	while (e->state == ENTRY_LOADING) {
		struct timespec until;

		if (stopped())
			return REEL_ESTOPPED;
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_nsec += TICK_NS;
		until.tv_sec += until.tv_nsec / SECOND_NS;
		until.tv_nsec %= SECOND_NS;
		pthread_cond_clockwait(&e->loaded, &r->lock, CLOCK_MONOTONIC,
				       &until);
	}
	return e->error;
}

/* The held, ready entry of a byte, or REEL_ESTOPPED when who loaded it was
 * stopped: `mine`, this thread, or all that is read from the medium. Called and
 * left with the lock. */
static int obtain_once(struct recall *r, uint32_t session, uint64_t offset,
		       struct entry **out, bool *mine)
{
	struct entry *e = lookup(r, session, offset);
	struct frame f;
	int error;

	if (!e) {
		pthread_mutex_unlock(&r->lock);
		error = find_frame(r, session, offset, &f);
		pthread_mutex_lock(&r->lock);
		if (error)
			return error;
		e = lookup_exact(r, session, &f);
	}
	if (e) {
		hold(r, e);
		error = await(r, e);
	} else {
		e = insert(r, session, &f);
		if (!e)
			return REEL_ENOMEM;
		*mine = true;
		fill(r, e);
		error = e->error;
	}
	if (error)
		release(r, e);
	else
		*out = e;
	return error;
}

static int obtain(struct recall *r, uint32_t session, uint64_t offset,
		  struct entry **out)
{
	bool mine = false;
	int error;

	do
		error = obtain_once(r, session, offset, out, &mine);
	while (error == REEL_ESTOPPED && !mine && !stopped());
	return error;
}

int recall_get(struct recall *r, uint32_t session, uint64_t offset,
	       struct recalled *out)
{
	struct entry *e;
	int error;

	pthread_mutex_lock(&r->lock);
	error = obtain(r, session, offset, &e);
	pthread_mutex_unlock(&r->lock);
	if (!error)
		*out = (struct recalled){e->frame, e->data, e};
	return error;
}

void recall_put(struct recall *r, struct recalled *f)
{
	if (!f->entry)
		return;
	pthread_mutex_lock(&r->lock);
	release(r, f->entry);
	pthread_mutex_unlock(&r->lock);
	f->entry = NULL;
}

int recall_read(struct recall *r, uint32_t session, uint64_t offset, void *to,
		size_t length)
{
	uint8_t *into = to;

	while (length) {
		struct recalled f;
		size_t skip, n;
		int error = recall_get(r, session, offset, &f);

		if (error)
			return error;
		skip = (size_t)(offset - f.frame.stream);
		n = f.frame.length - skip;
		if (n > length)
			n = length;
		memcpy(into, f.data + skip, n);
		recall_put(r, &f);
		into += n;
		offset += n;
		length -= n;
	}
	return 0;
}

/* ---- reading ahead ---- */

static void *help(void *context)
{
	struct recall *r = context;

	recall_heed(&r->stop);
	pthread_mutex_lock(&r->lock);
	while (!r->stop) {
		struct wish wish;
		struct entry *e;

		if (r->wish_head == r->wish_tail) {
			pthread_cond_wait(&r->wished, &r->lock);
			continue;
		}
		wish = r->wishes[r->wish_head++ % AHEAD_DEPTH];
		if (!obtain(r, wish.session, wish.offset, &e))
			release(r, e);
	}
	pthread_mutex_unlock(&r->lock);
	return NULL;
}

void recall_ahead(struct recall *r, uint32_t session, uint64_t offset)
{
	pthread_mutex_lock(&r->lock);
	if (r->wish_tail - r->wish_head == AHEAD_DEPTH ||
	    lookup(r, session, offset))
		goto out;
	/* Not before: the process may fork after recall_new. */
	if (!r->helping)
		r->helping = !pthread_create(&r->helper, NULL, help, r);
	r->wishes[r->wish_tail++ % AHEAD_DEPTH] =
		(struct wish){session, offset};
	pthread_cond_signal(&r->wished);
out:
	pthread_mutex_unlock(&r->lock);
}

/* ---- lifecycle ---- */

int recall_new(const struct recall_options *o, struct recall **out)
{
	struct recall *r = calloc(1, sizeof(*r));
	size_t want = o->cache / (FRAME_SIZE / 8);

	if (!r)
		return REEL_ENOMEM;
	r->options = *o;
	r->bucket_count = BUCKETS_MIN;
	while (r->bucket_count < want && r->bucket_count < BUCKETS_MAX)
		r->bucket_count *= 2;
	r->buckets = calloc(r->bucket_count, sizeof(*r->buckets));
	if (!r->buckets) {
		free(r);
		return REEL_ENOMEM;
	}
	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->wished, NULL);
	*out = r;
	return 0;
}

static void stop_helper(struct recall *r)
{
	pthread_mutex_lock(&r->lock);
	stop_set(&r->stop, 1);
	pthread_cond_signal(&r->wished);
	pthread_mutex_unlock(&r->lock);
	if (r->helping)
		pthread_join(r->helper, NULL);
}

void recall_free(struct recall *r)
{
	if (!r)
		return;
	stop_helper(r);
	for (size_t i = 0; i < r->bucket_count; i++) {
		while (r->buckets[i]) {
			struct entry *e = r->buckets[i];

			r->buckets[i] = e->next;
			entry_free(r, e);
		}
	}
	while (r->loaders) {
		struct loader *l = r->loaders;

		r->loaders = l->next;
		loader_free(l);
	}
	while (r->spare_count)
		free(r->spare[--r->spare_count]);
	pthread_mutex_destroy(&r->lock);
	pthread_cond_destroy(&r->wished);
	free(r->buckets);
	free(r);
}
