#include "tape/medium_tape.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tape/log.h"
#include "tape/stop.h"
#include "tape/tape_reader.h"

#define TICK_MS	     50 /* between looks at *stop */
#define REFUSED_NS   500000000ll
#define OTHERS_LIMIT 8 /* copies that are thought of */

static struct medium_tape *of(struct medium *m)
{
	return (struct medium_tape *)(void *)m;
}

static int tape_list(struct medium *m, struct medium_volume **out,
		     size_t *count)
{
	struct medium_tape *t = of(m);
	struct place *p = NULL;
	size_t places = 0, n = 0;
	int error = t->options.places(t->options.context, 0, &p, &places);

	*count = 0;
	if (error)
		return error == REEL_ENOENT ? 0 : error;
	*out = calloc(places + 1, sizeof(**out));
	for (size_t i = 0; *out && i < places; i++) {
		if (n && (*out)[n - 1].number == p[i].volume)
			continue;
		(*out)[n++] =
			(struct medium_volume){.number = p[i].volume,
					       .compression = m->compression,
					       .size = place_total(&p[i])};
	}
	free(p);
	*count = n;
	return *out ? 0 : REEL_ENOMEM;
}

/* The first of those that have byte `at`, else of all. */
static int find(struct medium_tape *t, uint32_t volume, uint64_t at,
		struct place *place)
{
	struct place *p = NULL;
	size_t count = 0, n = 0;
	int error = t->options.places(t->options.context, volume, &p, &count);

	if (error)
		return error == REEL_ENOENT ? REEL_EMEDIUM : error;
	while (n < count && !place_has(&p[n], at))
		n++;
	*place = p[n < count ? n : 0];
	free(p);
	return 0;
}

static int tape_size(struct medium *m, uint32_t volume, uint64_t *size)
{
	struct place p;
	int error = find(of(m), volume, 0, &p);

	if (!error)
		*size = place_total(&p);
	return error;
}

/* ---- cartridges ---- */

/* The other ones that have a byte, as far as they are known. */
static size_t others_of(struct tape_reader *r, uint32_t volume, uint64_t at,
			struct cartridge_label *others)
{
	const struct medium_tape_options *o = &r->medium->options;
	struct place *p = NULL;
	size_t places = 0, count = 0;

	if (o->places(o->context, volume, &p, &places))
		return 0;
	for (size_t n = 0; n < places && count < OTHERS_LIMIT; n++)
		if (p[n].cartridge != r->cartridge && place_has(&p[n], at) &&
		    !o->cartridge(o->context, p[n].cartridge, &others[count]))
			count++;
	free(p);
	return count;
}

/* No drive works (each said why): what is on the cartridge is not damaged. */
static int without_drive(int error)
{
	return error && error != REEL_ESTOPPED && error != REEL_ENOMEM
		       ? REEL_EMEDIUM
		       : error;
}

int medium_tape_get(struct tape_reader *r, uint32_t volume, uint64_t at,
		    bool hasty, bool *choice)
{
	const struct medium_tape_options *o = &r->medium->options;
	struct cartridge_label l = {0}, labels[OTHERS_LIMIT] = {0};
	struct station_others others = {.labels = labels, .hasty = hasty};
	int error = o->cartridge(o->context, r->cartridge, &l);

	if (!error)
		others.count = others_of(r, volume, at, labels);
	if (!error)
		error = without_drive(station_get_or(o->station, &l, &others,
						     &r->stop, &r->drive));
	*choice = others.count;
	for (size_t n = 0; n < others.count; n++)
		cartridge_label_release(&labels[n]);
	cartridge_label_release(&l);
	return error;
}

/* ---- reading ---- */

struct reading {
	const struct place *place;
	bool hasty; /* a person is not waited for */
	const volatile int *stop;
};

/* A wait that came to nothing is not begun anew by who reads the same once
 * more: the kernel reads a page itself when it could not be read ahead. Under
 * the lock. */
static bool was_refused(struct medium_tape *t, const struct piece_key *key)
{
	return tape_now() < t->refused_until &&
	       piece_key_same(&t->refused, key);
}

static void refuse(struct medium_tape *t, const struct piece_key *key)
{
	t->refused = *key;
	t->refused_until = tape_now() + REFUSED_NS;
}

/* Under the lock: the piece from the cache, else from the tape. */
static int get_piece(struct medium_tape *t, const struct reading *g,
		     uint64_t index, struct piece **out)
{
	const struct place *p = g->place;
	const volatile int *stop = g->stop;
	const struct piece_key key = tape_piece_key(p, index);
	struct tape_request q = {.place = *p,
				 .index = index,
				 .hasty = g->hasty || was_refused(t, &key)};
	struct tape_reader *r = tape_reader_find(t, p->cartridge);
	int error;

	*out = tape_cache_find(t->cache, &key);
	if (*out) {
		if (r)
			tape_reader_follow(r, p, index);
		return 0;
	}
	if (stop_is_set(stop) || stop_is_set(t->stop))
		return REEL_ESTOPPED;
	error = tape_reader_of(t, p->cartridge, &r);
	if (error)
		return error;
	tape_reader_ask(r, &q);
	while (!q.done && !stop_is_set(stop) && !stop_is_set(t->stop))
		tape_wait(t, &t->arrived, TICK_MS);
	if (!q.done) {
		tape_reader_give_up(r, &q);
		return REEL_ESTOPPED;
	}
	if (q.error == REEL_EMEDIUM && !q.hasty)
		refuse(t, &key);
	*out = q.piece;
	return q.error;
}

static int read_piece(struct medium_tape *t, const struct reading *g,
		      uint64_t at, uint8_t *to, size_t length)
{
	struct piece *piece = NULL;
	int error;

	pthread_mutex_lock(&t->lock);
	error = t->closing ? REEL_ESTOPPED
			   : get_piece(t, g, at / PIECE_SIZE, &piece);
	pthread_mutex_unlock(&t->lock);
	if (error)
		return error;
	error = tape_cache_read(t->cache, piece, (size_t)(at % PIECE_SIZE), to,
				length);
	pthread_mutex_lock(&t->lock);
	tape_cache_put(t->cache, piece);
	pthread_mutex_unlock(&t->lock);
	return error;
}

/* Of the volume from `at` on, which lies here, up to the end of the part. */
static int64_t read_place(struct medium_tape *t, const struct reading *g,
			  uint64_t at, uint8_t *to, size_t length)
{
	const struct place *p = g->place;
	size_t done = 0;

	at -= p->begin;
	if (length > p->size - at)
		length = (size_t)(p->size - at);
	while (done < length) {
		size_t n = PIECE_SIZE - (size_t)((at + done) % PIECE_SIZE);
		int error;

		if (n > length - done)
			n = length - done;
		error = read_piece(t, g, at + done, to + done, n);
		if (error)
			return error;
		done += n;
	}
	return (int64_t)done;
}

static int make_cache(struct medium_tape *t)
{
	const struct medium_tape_options *o = &t->options;
	int error = 0;

	pthread_mutex_lock(&t->lock);
	if (!t->cache)
		error = tape_cache_new(o->directory, o->cache, &t->cache);
	pthread_mutex_unlock(&t->lock);
	return error;
}

static bool is_in_drive(struct medium_tape *t, uint32_t cartridge)
{
	struct cartridge_label l = {0};
	bool is = !t->options.cartridge(t->options.context, cartridge, &l) &&
		  station_has(t->options.station, &l);

	cartridge_label_release(&l);
	return is;
}

/* A cartridge that is in use comes before one that is in no drive. */
static void prefer(struct medium_tape *t, struct place *p, size_t count)
{
	size_t used = 0;

	pthread_mutex_lock(&t->lock);
	for (size_t n = 0; n < count && !used; n++) {
		struct tape_reader *r = tape_reader_find(t, p[n].cartridge);

		if (!n && r)
			break;
		used = r && r->drive ? n : 0;
	}
	pthread_mutex_unlock(&t->lock);
	if (used && !is_in_drive(t, p[0].cartridge)) {
		struct place first = p[0];

		p[0] = p[used];
		p[used] = first;
	}
}

static bool may_be_elsewhere(int64_t n)
{
	return n == REEL_EMEDIUM || n == REEL_EDAMAGED;
}

/* ---- what is told ---- */

/* Under the lock. */
static bool is_new(struct medium_tape *t, const struct tape_told *now)
{
	const size_t count =
		t->told_count < TAPE_TOLD ? t->told_count : TAPE_TOLD;

	for (size_t n = 0; n < count; n++) {
		const struct tape_told *was = &t->told[n];

		if (was->cartridge == now->cartridge &&
		    was->volume == now->volume && was->news == now->news &&
		    (was->at == now->at || now->news == MEDIUM_ELSEWHERE))
			return false;
	}
	t->told[t->told_count++ % TAPE_TOLD] = *now;
	return true;
}

static void tell(struct medium_tape *t, const struct place *p, uint64_t at,
		 enum medium_news news)
{
	const struct tape_told now = {.cartridge = p->cartridge,
				      .volume = p->volume,
				      .at = at,
				      .news = news};
	struct cartridge_label l = {0};
	bool fresh;

	pthread_mutex_lock(&t->lock);
	fresh = is_new(t, &now);
	pthread_mutex_unlock(&t->lock);
	if (!fresh ||
	    t->options.cartridge(t->options.context, p->cartridge, &l))
		return;
	if (news == MEDIUM_HEALED) {
		atomic_fetch_add(&t->medium.healed, 1);
		log_warning(
			"cartridge %s is damaged (tape file %llu, block "
			"%llu); it is read from another that has the same",
			l.name, (unsigned long long)p->file,
			(unsigned long long)((at - p->begin) / p->block_size));
	} else {
		log_note("cartridge %s%s%s%s has the same as one that is "
			 "damaged; put it into a drive and try again",
			 l.name, *l.barcode ? " (barcode " : "", l.barcode,
			 *l.barcode ? ")" : "");
	}
	cartridge_label_release(&l);
}

static void tell_all(struct medium_tape *t, const struct place *p,
		     const int *found, size_t count, uint64_t at, int error,
		     enum medium_news news)
{
	for (size_t n = 0; n < count; n++)
		if (found[n] == error)
			tell(t, &p[n], at, news);
}

/* ---- copies ---- */

/* From whichever cartridge is at hand. REEL_EDAMAGED: one is, and is damaged;
 * REEL_EMEDIUM: none is. */
static int64_t read_any(struct medium_tape *t, const struct place *p,
			size_t count, uint64_t at, uint8_t *to, size_t length,
			const volatile int *stop)
{
	int found[OTHERS_LIMIT] = {0};
	bool damaged = false;
	int64_t n = REEL_EMEDIUM;
	size_t k = 0;

	if (count > OTHERS_LIMIT)
		count = OTHERS_LIMIT;
	for (; k < count && may_be_elsewhere(n); k++) {
		const struct reading g = {&p[k], true, stop};

		n = read_place(t, &g, at, to, length);
		found[k] = n < 0 ? (int)n : 0;
		damaged |= n == REEL_EDAMAGED;
	}
	if (n >= 0)
		tell_all(t, p, found, k, at, REEL_EDAMAGED, MEDIUM_HEALED);
	else if (damaged && may_be_elsewhere(n))
		tell_all(t, p, found, k, at, REEL_EMEDIUM, MEDIUM_ELSEWHERE);
	return n == REEL_EMEDIUM && damaged ? REEL_EDAMAGED : n;
}

/* Copies elsewhere are as good. */
static int64_t read_places(struct medium_tape *t, const struct place *p,
			   size_t count, uint64_t at, uint8_t *to,
			   size_t length, const volatile int *stop)
{
	const struct reading patient = {&p[0], false, stop};
	int64_t n = REEL_EMEDIUM;

	if (count > 1)
		n = read_any(t, p, count, at, to, length, stop);
	if (n == REEL_EMEDIUM)
		n = read_place(t, &patient, at, to, length);
	/* another came */
	if (count > 1 && n == REEL_EMEDIUM)
		n = read_any(t, p, count, at, to, length, stop);
	return n;
}

/* Those that have byte `at`, first; their number. */
static size_t choose(struct place *p, size_t count, uint64_t at)
{
	size_t chosen = 0;

	for (size_t n = 0; n < count; n++) {
		struct place here = p[n];

		if (!place_has(&here, at))
			continue;
		memmove(&p[chosen + 1], &p[chosen], (n - chosen) * sizeof(*p));
		p[chosen++] = here;
	}
	return chosen;
}

/* Part after part. */
static int64_t read_parts(struct medium_tape *t, struct place *p, size_t count,
			  uint64_t at, uint8_t *to, size_t length,
			  const volatile int *stop)
{
	const uint64_t total = place_total(&p[0]);
	size_t done = 0;

	while (done < length && at + done < total) {
		size_t here = choose(p, count, at + done);
		int64_t n;

		if (!here) {
			log_error("it is not known where volume %06u lies from "
				  "byte %llu on",
				  (unsigned)p[0].volume,
				  (unsigned long long)(at + done));
			return REEL_EMEDIUM;
		}
		prefer(t, p, here);
		n = read_places(t, p, here, at + done, to + done, length - done,
				stop);
		if (n < 0)
			return n;
		done += (size_t)n;
	}
	return (int64_t)done;
}

static int64_t tape_read(struct medium *m, uint32_t volume, uint64_t at,
			 void *to, size_t length, const volatile int *stop)
{
	struct medium_tape *t = of(m);
	struct place *p = NULL;
	size_t count = 0;
	int64_t n = t->options.places(t->options.context, volume, &p, &count);

	if (n)
		return n == REEL_ENOENT ? REEL_EMEDIUM : n;
	n = make_cache(t);
	if (!n)
		n = read_parts(t, p, count, at, to, length, stop);
	free(p);
	return n;
}

/* The Nth of those that have byte `at`. */
static int nth_place(struct medium_tape *t, uint32_t volume, uint64_t at,
		     size_t n, struct place *place)
{
	struct place *p = NULL;
	size_t count = 0;
	int error = t->options.places(t->options.context, volume, &p, &count);

	if (error)
		return error;
	count = choose(p, count, at);
	if (n < count)
		*place = p[n];
	free(p);
	return n < count ? 0 : REEL_ENOENT;
}

static int tape_read_copy(struct medium *m, uint32_t volume, uint64_t at,
			  void *to, size_t length, size_t n,
			  const volatile int *stop)
{
	struct medium_tape *t = of(m);
	struct place p;
	const struct reading g = {&p, true, stop};
	int error = nth_place(t, volume, at, n, &p);
	int64_t got;

	if (!error)
		error = make_cache(t);
	if (error)
		return error;
	got = read_place(t, &g, at, to, length);
	return got < 0 ? (int)got : (size_t)got < length ? REEL_EDAMAGED : 0;
}

static void tape_tell(struct medium *m, uint32_t volume, uint64_t at, size_t n,
		      enum medium_news news)
{
	struct medium_tape *t = of(m);
	struct place p;

	if (!nth_place(t, volume, at, n, &p))
		tell(t, &p, at, news);
}

static void tape_name(struct medium *m, uint32_t volume, uint64_t at,
		      char *name)
{
	struct medium_tape *t = of(m);
	struct cartridge_label l = {0};
	struct place p;

	snprintf(name, MEDIUM_NAME, "part %06u", (unsigned)volume);
	if (find(t, volume, at, &p) ||
	    t->options.cartridge(t->options.context, p.cartridge, &l))
		return;
	snprintf(name, MEDIUM_NAME, "%s%s%s%s", l.name,
		 *l.barcode ? " (barcode " : "", l.barcode,
		 *l.barcode ? ")" : "");
	cartridge_label_release(&l);
}

static void tape_forget(struct medium *m)
{
	struct medium_tape *t = of(m);

	pthread_mutex_lock(&t->lock);
	if (t->cache)
		tape_cache_clear(t->cache);
	pthread_mutex_unlock(&t->lock);
}

static void tape_close(struct medium *m)
{
	struct medium_tape *t = of(m);

	tape_readers_end(t);
	tape_cache_free(t->cache);
	pthread_cond_destroy(&t->arrived);
	pthread_cond_destroy(&t->asked);
	pthread_mutex_destroy(&t->lock);
	free(t);
}

static const struct medium_ops tape_ops = {
	.list = tape_list,
	.size = tape_size,
	.read = tape_read,
	.read_copy = tape_read_copy,
	.tell = tape_tell,
	.name = tape_name,
	.forget = tape_forget,
	.close = tape_close,
};

int medium_tape_new(const struct medium_tape_options *o, struct medium **out)
{
	struct medium_tape *t = calloc(1, sizeof(*t));
	pthread_condattr_t monotonic;

	if (!t)
		return REEL_ENOMEM;
	t->medium = (struct medium){
		.ops = &tape_ops, .compression = o->compression, .tape = true};
	t->options = *o;
	if (!t->options.cache)
		t->options.cache = MEDIUM_TAPE_CACHE;
	pthread_mutex_init(&t->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&t->asked, &monotonic);
	pthread_cond_init(&t->arrived, &monotonic);
	pthread_condattr_destroy(&monotonic);
	*out = &t->medium;
	return 0;
}

void medium_tape_set_cache(struct medium *m, uint64_t size)
{
	of(m)->options.cache = size;
}

void medium_tape_set_station(struct medium *m, struct station *s)
{
	of(m)->options.station = s;
}

void medium_tape_set_stop(struct medium *m, const volatile int *stop)
{
	of(m)->stop = stop;
}

uint64_t medium_tape_moves(struct medium *m)
{
	struct medium_tape *t = of(m);
	uint64_t moves;

	pthread_mutex_lock(&t->lock);
	moves = t->moves;
	pthread_mutex_unlock(&t->lock);
	return moves;
}
