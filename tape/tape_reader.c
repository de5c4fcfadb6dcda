#include "tape/tape_reader.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "tape/error.h"
#include "tape/log.h"
#include "tape/stop.h"

#define TICK_MS	     50
#define IDLE_NS	     1000000000ll  /* a drive is kept that nobody wants */
#define TURN_NS	     10000000000ll /* kept while somebody wants it */
#define PAUSE_MS     500	   /* then it is theirs */
#define CLAIM_NS     3000000000ll  /* while another program wants it */
#define CLAIM_MS     3000	   /* which looks every two seconds */
#define RESETS_LIMIT 3
#define FIRST_WINDOW (32 * PIECE_SIZE)
#define MORE_WINDOW  (2 * PIECE_SIZE)  /* for each piece that was had */
#define ROOM_MOST    (32 * PIECE_SIZE) /* until an idle one reads on */

int64_t tape_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

void tape_wait(struct medium_tape *t, pthread_cond_t *c, unsigned ms)
{
	int64_t end = tape_now() + ms * 1000000ll;
	struct timespec until = {.tv_sec = end / 1000000000,
				 .tv_nsec = end % 1000000000};

	pthread_cond_timedwait(c, &t->lock, &until);
}

struct piece_key tape_piece_key(const struct place *p, uint64_t index)
{
	return (struct piece_key){.cartridge = p->cartridge,
				  .volume = p->volume,
				  .session_time = p->session_time,
				  .begin = p->begin,
				  .index = index};
}

/* How far it reads on at most, and how far back it begins when it goes back. */
static uint64_t stretch(const struct medium_tape *t)
{
	return tape_cache_size(t->cache) / 4;
}

/* ---- requests ---- */

static bool same_file(const struct place *a, const struct place *b)
{
	return a->volume == b->volume && a->file == b->file &&
	       a->session_time == b->session_time;
}

static void answer(struct tape_reader *r, struct tape_request **at, int error,
		   struct piece *p)
{
	struct tape_request *q = *at;

	*at = q->next;
	q->done = true;
	q->error = error;
	q->piece = p;
	if (p)
		tape_cache_hold(p);
	pthread_cond_broadcast(&r->medium->arrived);
}

/* Those of pieces from `from` up to `to` of the present place. */
static void answer_range(struct tape_reader *r, uint64_t from, uint64_t to,
			 int error, struct piece *p)
{
	struct tape_request **at = &r->requests;

	while (*at) {
		if (same_file(&(*at)->place, &r->place) &&
		    (*at)->index >= from && (*at)->index <= to)
			answer(r, at, error, p);
		else
			at = &(*at)->next;
	}
}

static void answer_all(struct tape_reader *r, int error)
{
	while (r->requests)
		answer(r, &r->requests, error, NULL);
}

static bool is_before(const struct tape_request *a, uint64_t file,
		      uint64_t index)
{
	return a->place.file < file ||
	       (a->place.file == file && a->index < index);
}

/* The next one in the order of the tape, else the first. */
static struct tape_request *next_request(const struct tape_reader *r)
{
	struct tape_request *next = NULL, *first = NULL;

	for (struct tape_request *q = r->requests; q; q = q->next) {
		if (!first || is_before(q, first->place.file, first->index))
			first = q;
		if (is_before(q, r->place.file, r->fill))
			continue;
		if (!next || is_before(q, next->place.file, next->index))
			next = q;
	}
	return next ? next : first;
}

static void widen(struct tape_reader *r, uint64_t index, uint64_t more)
{
	r->window += more;
	if (r->window > stretch(r->medium))
		r->window = stretch(r->medium);
	r->ahead = index * PIECE_SIZE + r->window;
}

/* It comes by reading on, if the tape stands where it should. */
static bool lies_ahead(const struct tape_reader *r,
		       const struct tape_request *q)
{
	return same_file(&r->place, &q->place) && q->index >= r->fill &&
	       (q->index - r->fill) * PIECE_SIZE <= 2 * stretch(r->medium);
}

/* Who has to wait for what lies ahead was not read ahead of far enough. */
void tape_reader_ask(struct tape_reader *r, struct tape_request *q)
{
	if (lies_ahead(r, q))
		widen(r, q->index, r->window);
	q->next = r->requests;
	r->requests = q;
	pthread_cond_broadcast(&r->medium->asked);
}

void tape_reader_give_up(struct tape_reader *r, struct tape_request *q)
{
	struct tape_request **at = &r->requests;

	while (*at && *at != q)
		at = &(*at)->next;
	if (*at)
		*at = q->next;
	if (!r->requests)
		stop_set(&r->stop, 1);
}

/* More than `room` bytes ahead are to be read. Whole pieces tell: others ask,
 * too, and `at` is the thread's own. */
static bool has_more(const struct tape_reader *r, uint64_t room)
{
	const uint64_t at = r->fill * PIECE_SIZE;

	return at < r->place.size && at + room < r->ahead;
}

/* So much was had that an idle one reads on. */
static bool is_low(const struct tape_reader *r)
{
	const uint64_t half = r->window / 2;

	return has_more(r, half < ROOM_MOST ? half : ROOM_MOST);
}

void tape_reader_follow(struct tape_reader *r, const struct place *p,
			uint64_t index)
{
	if (!same_file(&r->place, p))
		return;
	r->used = tape_now();
	widen(r, index, MORE_WINDOW);
	if (is_low(r))
		pthread_cond_broadcast(&r->medium->asked);
}

/* ---- pieces ---- */

static void drop_piece(struct tape_reader *r)
{
	if (r->piece)
		tape_cache_put(r->medium->cache, r->piece);
	r->piece = NULL;
}

/* It is whole, under the lock. */
static void add_piece(struct tape_reader *r)
{
	struct tape_cache *c = r->medium->cache;
	struct piece_key key = tape_piece_key(&r->place, r->fill);
	struct piece *there = tape_cache_find(c, &key);

	if (there)
		tape_cache_put(c, r->piece);
	else
		tape_cache_add(c, r->piece, &key);
	r->piece = there ? there : r->piece;
	answer_range(r, r->fill, r->fill, 0, r->piece);
	drop_piece(r);
	r->fill++;
}

/* Bytes [at, at + length) of the place, which do not reach beyond the piece. */
static int fill_piece(struct tape_reader *r, uint64_t at, const uint8_t *data,
		      size_t length)
{
	struct medium_tape *t = r->medium;
	uint64_t begin = r->fill * PIECE_SIZE;
	int error = 0;

	if (!r->piece) {
		pthread_mutex_lock(&t->lock);
		r->piece = tape_cache_take(t->cache);
		pthread_mutex_unlock(&t->lock);
	}
	if (!r->piece)
		return REEL_ENOMEM;
	error = tape_cache_write(t->cache, r->piece, (size_t)(at - begin), data,
				 length);
	if (error ||
	    (at + length < begin + PIECE_SIZE && at + length < r->place.size))
		return error;
	pthread_mutex_lock(&t->lock);
	add_piece(r);
	pthread_mutex_unlock(&t->lock);
	return 0;
}

/* A block's bytes, as far as they are the volume's. */
static int take_block(struct tape_reader *r, size_t length)
{
	uint64_t end = r->at + length;
	int error = 0;

	if (end > r->place.size)
		end = r->place.size;
	for (uint64_t at = r->at; !error && at < end;) {
		uint64_t begin = r->fill * PIECE_SIZE;
		uint64_t stop =
			begin + PIECE_SIZE < end ? begin + PIECE_SIZE : end;

		if (at < begin && begin >= end)
			break;
		if (at < begin)
			at = begin;
		error = fill_piece(r, at, r->block + (at - r->at),
				   (size_t)(stop - at));
		at = stop;
	}
	r->at += length;
	return error;
}

/* ---- the drive ---- */

/* An unreadable stretch: what needs it fails, the next piece is read. */
static void pass_damage(struct tape_reader *r, uint64_t length)
{
	uint64_t last;

	pthread_mutex_lock(&r->medium->lock);
	r->at += length;
	last = (r->at - 1) / PIECE_SIZE;
	answer_range(r, r->fill, last, REEL_EDAMAGED, NULL);
	drop_piece(r);
	r->fill = last + 1;
	pthread_mutex_unlock(&r->medium->lock);
}

/* The volume is shorter than it should be, or cannot be read on. */
static void cut_short(struct tape_reader *r)
{
	pthread_mutex_lock(&r->medium->lock);
	r->known = false;
	answer_range(r, r->fill, UINT64_MAX, REEL_EDAMAGED, NULL);
	r->ahead = 0;
	pthread_mutex_unlock(&r->medium->lock);
}

static int read_block(struct tape_reader *r)
{
	struct drive_read found;
	int error = drive_read(r->drive, r->block, r->block_size, &found);

	if (error == REEL_EDAMAGED && found.found == DRIVE_BLOCK) {
		pass_damage(r, r->place.block_size);
		return 0;
	}
	if (error == REEL_EDAMAGED || error == REEL_ERANGE ||
	    (!error && found.found != DRIVE_BLOCK)) {
		cut_short(r);
		return 0;
	}
	return error ? error : take_block(r, found.length);
}

static int make_room(struct tape_reader *r, size_t size)
{
	uint8_t *more;

	if (size <= r->block_size)
		return 0;
	more = realloc(r->block, size);
	if (!more)
		return REEL_ENOMEM;
	r->block = more;
	r->block_size = size;
	return 0;
}

/* The tape is moved before piece `index`. */
static int go(struct tape_reader *r, const struct place *p, uint64_t index)
{
	uint64_t block = index * PIECE_SIZE / p->block_size;
	const struct drive_position to = {
		.object = p->object ? p->object + block : DRIVE_UNKNOWN,
		.file = p->file,
		.block = block};
	int error = make_room(r, p->block_size);

	r->known = false;
	if (!error)
		error = drive_seek(r->drive, &to);
	if (error == REEL_ENOENT) {
		log_error("%s: the cartridge ends before volume %06u that "
			  "should be on it; is it a copy that was cut short?",
			  drive_name(r->drive), (unsigned)p->volume);
		error = REEL_EDAMAGED;
	}
	if (error)
		return error;
	r->at = block * p->block_size;
	r->known = true;
	return 0;
}

/* ---- where to ---- */

/* Who goes back a little will want what is around there, too. */
static uint64_t begin_at(const struct tape_reader *r,
			 const struct tape_request *q)
{
	struct tape_cache *c = r->medium->cache;
	uint64_t reach = stretch(r->medium) / PIECE_SIZE, from = q->index;

	if (!r->known || !same_file(&r->place, &q->place) ||
	    q->index > r->fill || r->fill - q->index > 2 * reach)
		return from;
	for (from = from > reach ? from - reach : 0; from < q->index; from++) {
		struct piece_key key = tape_piece_key(&q->place, from);
		struct piece *p = tape_cache_find(c, &key);

		if (!p)
			break;
		tape_cache_put(c, p);
	}
	return from;
}

/* Under the lock, which it gives up meanwhile. */
static int move_to(struct tape_reader *r, const struct tape_request *q)
{
	struct medium_tape *t = r->medium;
	struct place place = q->place;
	uint64_t from = begin_at(r, q);
	int error;

	drop_piece(r);
	r->place = place;
	r->fill = from;
	r->window = 0;
	widen(r, q->index, FIRST_WINDOW);
	t->moves++;
	pthread_mutex_unlock(&t->lock);
	error = go(r, &place, from);
	pthread_mutex_lock(&t->lock);
	return error;
}

/* ---- the thread ---- */

static void put_drive(struct tape_reader *r)
{
	struct medium_tape *t = r->medium;
	struct drive *d = r->drive;

	drop_piece(r);
	r->known = false;
	r->drive = NULL;
	pthread_mutex_unlock(&t->lock);
	if (d)
		station_put(t->options.station, d);
	pthread_mutex_lock(&t->lock);
}

static void answer_volume(struct tape_reader *r, uint32_t volume, bool hasty,
			  int error)
{
	struct tape_request **at = &r->requests;

	while (*at) {
		if ((*at)->place.volume == volume && (*at)->hasty == hasty)
			answer(r, at, error, NULL);
		else
			at = &(*at)->next;
	}
}

static void get_drive(struct tape_reader *r)
{
	struct medium_tape *t = r->medium;
	const struct tape_request *q = r->requests;
	const uint32_t volume = q->place.volume;
	const uint64_t at = q->place.begin + q->index * PIECE_SIZE;
	const bool hasty = q->hasty;
	bool choice;
	int error;

	pthread_mutex_unlock(&t->lock);
	error = medium_tape_get(r, volume, at, hasty, &choice);
	pthread_mutex_lock(&t->lock);
	r->since = tape_now();
	if (!error)
		return;
	r->drive = NULL;
	if (error == REEL_EMEDIUM && choice) /* others of its requests wait */
		answer_volume(r, volume, hasty, error);
	else if (error != REEL_ESTOPPED || t->closing ||
		 !stop_is_set(&r->stop)) /* the station's own stop */
		answer_all(r, error);
	stop_set(&r->stop, t->closing);
}

/* A move or a read went wrong; under the lock. */
static void fail(struct tape_reader *r, int error)
{
	bool lost = error == REEL_ERESET || error == REEL_EMEDIUM ||
		    error == REEL_EIO; /* whether it still answers */

	drop_piece(r);
	r->known = false;
	r->ahead = 0;
	if (lost && r->resets++ < RESETS_LIMIT)
		put_drive(r);
	else if (error == REEL_EDAMAGED)
		answer_range(r, 0, UINT64_MAX, error, NULL);
	else
		answer_all(r, error);
	if (r->drive && error != REEL_EDAMAGED)
		put_drive(r);
}

/* Under the lock. */
static void step(struct tape_reader *r, const struct tape_request *q)
{
	struct medium_tape *t = r->medium;
	int error = 0;

	if (q && !(r->known && lies_ahead(r, q)))
		error = move_to(r, q);
	if (!error) {
		pthread_mutex_unlock(&t->lock);
		error = read_block(r);
		pthread_mutex_lock(&t->lock);
	}
	if (error)
		fail(r, error);
	else
		r->resets = 0;
}

static void pause_for(struct tape_reader *r, unsigned ms)
{
	put_drive(r);
	for (unsigned n = 0; n < ms / TICK_MS && !r->medium->closing; n++)
		tape_wait(r->medium, &r->medium->asked, TICK_MS);
}

/* False: nothing is to be done any more. A drive that another program wants is
 * not taken again before that has looked. */
static bool idle(struct tape_reader *r)
{
	struct medium_tape *t = r->medium;
	bool reading = true;

	r->used = tape_now();
	while (!r->requests && !t->closing && tape_now() - r->used < IDLE_NS) {
		if (station_is_claimed(t->options.station)) {
			pause_for(r, CLAIM_MS);
			break;
		}
		if (station_is_wanted(t->options.station))
			return false;
		if (r->known && (reading ? has_more(r, 0) : is_low(r)))
			return true;
		reading = false;
		tape_wait(t, &t->asked, TICK_MS);
	}
	return r->requests && !t->closing;
}

static void let_others(struct tape_reader *r)
{
	struct station *s = r->medium->options.station;
	const int64_t had = tape_now() - r->since;

	if (had > CLAIM_NS && station_is_claimed(s))
		pause_for(r, CLAIM_MS);
	else if (had > TURN_NS && station_is_wanted(s))
		pause_for(r, PAUSE_MS);
}

static void serve(struct tape_reader *r)
{
	struct medium_tape *t = r->medium;

	while (!t->closing && (r->requests || (r->drive && idle(r)))) {
		stop_set(&r->stop, 0);
		if (!r->drive)
			get_drive(r);
		if (!r->drive)
			continue;
		step(r, next_request(r));
		if (r->drive)
			let_others(r);
	}
	put_drive(r);
}

static void *run(void *context)
{
	struct tape_reader *r = context;
	struct medium_tape *t = r->medium;

	pthread_mutex_lock(&t->lock);
	do /* somebody may ask while the drive is put back */
		serve(r);
	while (r->requests && !t->closing);
	answer_all(r, REEL_ESTOPPED);
	r->ended = true;
	pthread_mutex_unlock(&t->lock);
	return NULL;
}

/* ---- readers ---- */

static void release(struct tape_reader *r)
{
	pthread_join(r->thread, NULL);
	free(r->block);
	free(r);
}

struct tape_reader *tape_reader_find(struct medium_tape *t, uint32_t cartridge)
{
	for (struct tape_reader *r = t->readers; r; r = r->next)
		if (r->cartridge == cartridge && !r->ended)
			return r;
	return NULL;
}

static void release_ended(struct medium_tape *t)
{
	struct tape_reader **at = &t->readers;

	while (*at) {
		struct tape_reader *r = *at;

		if (r->ended) {
			*at = r->next;
			release(r);
		} else {
			at = &r->next;
		}
	}
}

int tape_reader_of(struct medium_tape *t, uint32_t cartridge,
		   struct tape_reader **out)
{
	struct tape_reader *r = tape_reader_find(t, cartridge);

	*out = r;
	if (r)
		return 0;
	release_ended(t);
	r = calloc(1, sizeof(*r));
	if (!r)
		return REEL_ENOMEM;
	r->medium = t;
	r->cartridge = cartridge;
	if (pthread_create(&r->thread, NULL, run, r)) {
		free(r);
		return REEL_ENOMEM;
	}
	r->next = t->readers;
	t->readers = r;
	*out = r;
	return 0;
}

void tape_readers_end(struct medium_tape *t)
{
	pthread_mutex_lock(&t->lock);
	t->closing = true;
	for (struct tape_reader *r = t->readers; r; r = r->next)
		stop_set(&r->stop, 1);
	pthread_cond_broadcast(&t->asked);
	pthread_mutex_unlock(&t->lock);
	while (t->readers) {
		struct tape_reader *r = t->readers;

		t->readers = r->next;
		release(r);
	}
}
