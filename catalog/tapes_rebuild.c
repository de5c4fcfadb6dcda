/* Where a set's volumes lie, from its cartridges alone: those in the drives are
 * looked at, then those that their tables name and that can be had. */
#include <stdlib.h>
#include <string.h>
#include "catalog/intent.h"
#include "catalog/places.h"
#include "catalog/tapes.h"
#include "tape/cartridge_walk.h"
#include "tape/error.h"
#include "tape/log.h"

struct found {
	int64_t time; /* of the newest session that the table has */
	struct cartridge_table table;
};

struct gathering {
	struct set *set;
	struct found *found;
	size_t count;
	uint32_t *seen; /* numbers of cartridges that were looked at */
	size_t seen_count;
	bool broken;	    /* a cartridge could not be read to its end */
	struct buffer torn; /* places of sessions that are not whole */
};

static bool was_seen(const struct gathering *g, uint32_t number)
{
	for (size_t n = 0; n < g->seen_count; n++)
		if (g->seen[n] == number)
			return true;
	return false;
}

static int note_seen(struct gathering *g, uint32_t number)
{
	uint32_t *more = realloc(g->seen, (g->seen_count + 1) * sizeof(*more));

	if (!more)
		return REEL_ENOMEM;
	g->seen = more;
	more[g->seen_count++] = number;
	return 0;
}

static int note_table(struct gathering *g, struct cartridge_table *t)
{
	struct found *more = realloc(g->found, (g->count + 1) * sizeof(*more));
	int64_t time = INT64_MIN;

	if (!more) {
		cartridge_table_release(t);
		return REEL_ENOMEM;
	}
	for (size_t n = 0; n < t->place_count; n++)
		if (t->places[n].session_time > time)
			time = t->places[n].session_time;
	g->found = more;
	more[g->count++] = (struct found){time, *t};
	return 0;
}

/* The label alone, as a table. */
static int note_label(struct gathering *g, const struct cartridge_label *l)
{
	struct cartridge_table t = {.cartridge_count = 1};

	t.cartridges = malloc(sizeof(*l));
	if (!t.cartridges)
		return REEL_ENOMEM;
	t.cartridges[0] = *l;
	t.cartridges[0].set_name = strdup(l->set_name);
	return note_table(g, &t);
}

static int take_drive(struct gathering *g, struct drive *d,
		      const struct cartridge_label *l)
{
	struct cartridge_table t;
	int error = note_seen(g, l->number);

	if (!error)
		error = tapes_last_table(d, g->set, 1, &t);
	if (error != REEL_ENOMEM && error != REEL_ESTOPPED &&
	    cartridge_ends_in_damage(d)) {
		log_error("cartridge %s cannot be read to its end: sessions "
			  "that lie behind stay unknown",
			  l->name);
		g->broken = true;
	}
	if (!error)
		return note_table(g, &t);
	return error == REEL_ENOENT || error == REEL_EDAMAGED ? note_label(g, l)
							      : error;
}

/* What is in a drive, if it is the set's. */
static int look_into(struct gathering *g, const char *name)
{
	struct drive_options o = {.read_only = true};
	struct cartridge_label l = {0};
	struct buffer b = {0};
	struct drive *d = NULL;
	int error = drive_open(name, &o, &d);

	if (!error)
		error = drive_take_any(d);
	if (!error)
		error = append_read_file(d, 1u << 20, &b);
	if (!error)
		error = cartridge_label_decode(b.data, b.length, &l);
	if (!error && !memcmp(l.set, g->set->config.uuid, sizeof(l.set)) &&
	    !was_seen(g, l.number))
		error = take_drive(g, d, &l);
	cartridge_label_release(&l);
	buffer_release(&b);
	drive_close(d);
	return error == REEL_ENOMEM ? error : 0;
}

static const struct cartridge_label *unseen(const struct gathering *g)
{
	for (size_t n = 0; n < g->count; n++) {
		const struct cartridge_table *t = &g->found[n].table;

		for (size_t k = 0; k < t->cartridge_count; k++)
			if (!was_seen(g, t->cartridges[k].number))
				return &t->cartridges[k];
	}
	return NULL;
}

/* Those that were named and are not in a drive: fetched, or asked for. */
static int fetch_named(struct gathering *g, bool *missing)
{
	const struct cartridge_label *l;
	int error = 0;

	while (!error && (l = unseen(g))) {
		struct station *station = g->set->tapes->station;
		struct drive *d;

		error = station_get(station, l, g->set->tapes->stop, &d);
		if (!error) {
			error = take_drive(g, d, l);
			station_put(station, d);
		} else if (error == REEL_EMEDIUM) {
			log_warning("cartridge %s was not looked at: sessions "
				    "that end there stay unknown",
				    l->name);
			*missing = true;
			error = note_seen(g, l->number);
		}
	}
	return error;
}

static int by_time(const void *a, const void *b)
{
	const struct found *x = a, *y = b;

	return (x->time > y->time) - (x->time < y->time);
}

/* A session of the same number, and as whole as `end` says: on the set's
 * cartridges, or on those of one copy. */
static bool is_end(const struct place *end, const struct place *p)
{
	return end->last && end->session == p->session &&
	       end->session_time == p->session_time &&
	       cartridge_line(end->cartridge) == cartridge_line(p->cartridge);
}

/* Places of sessions that no table has whole are rubbish (K1). */
static int drop_torn(struct gathering *g, struct cartridge_table *t)
{
	size_t kept = 0;
	int error = 0;

	for (size_t n = 0; n < t->place_count; n++) {
		struct place p = t->places[n];
		bool whole = false;

		for (size_t f = 0; f < g->count && !whole; f++) {
			const struct cartridge_table *u = &g->found[f].table;

			for (size_t k = 0; k < u->place_count && !whole; k++)
				whole = is_end(&u->places[k], &p);
		}
		if (whole)
			t->places[kept++] = p;
		else if (!error)
			error = buffer_append(&g->torn, &p, sizeof(p));
	}
	t->place_count = kept;
	return error;
}

static const struct cartridge_label *label_of(const struct gathering *g,
					      uint32_t number)
{
	for (size_t n = 0; n < g->count; n++) {
		const struct cartridge_table *t = &g->found[n].table;

		for (size_t k = 0; k < t->cartridge_count; k++)
			if (t->cartridges[k].number == number)
				return &t->cartridges[k];
	}
	return NULL;
}

/* A backup asks for the newest cartridge that has anything of a whole session;
 * the part of another that stands behind that is what may be written over. */
static const struct place *newest_torn(const struct gathering *g)
{
	const uint32_t line = cartridge_line(g->set->config.line);
	const struct place *torn = (const void *)g->torn.data, *best = NULL;
	uint32_t newest = 0;

	for (size_t n = 0; n < g->count; n++) {
		const struct cartridge_table *t = &g->found[n].table;

		for (size_t k = 0; k < t->place_count; k++)
			if (cartridge_line(t->places[k].cartridge) == line &&
			    t->places[k].cartridge > newest)
				newest = t->places[k].cartridge;
	}
	for (size_t n = 0; n < g->torn.length / sizeof(*torn); n++)
		if (cartridge_line(torn[n].cartridge) == line &&
		    (!best || torn[n].cartridge == newest))
			best = &torn[n];
	return best;
}

/* K2: the user says that its last cartridge is none. */
static int give_up(struct gathering *g)
{
	const struct place *p = newest_torn(g);
	const struct cartridge_label *l = p ? label_of(g, p->cartridge) : NULL;
	int error;

	if (!l)
		return 0;
	error = intent_remove(g->set);
	if (!error)
		error = intent_add(g->set, l, p);
	if (!error)
		error = intent_void(g->set);
	if (!error)
		log_note("session %u is not whole and given up; the next "
			 "backup writes over it",
			 (unsigned)p->session);
	return error;
}

int tapes_gather(struct set *s, struct catalog *fresh, bool all, bool *missing)
{
	struct gathering g = {.set = s};
	int error = 0;

	for (size_t n = 0; !error && n < s->config.drive_count; n++)
		error = look_into(&g, s->config.drives[n]);
	for (size_t n = 0; !error && n < s->config.copy_drive_count; n++)
		error = look_into(&g, s->config.copy_drives[n]);
	if (!error)
		error = fetch_named(&g, missing);
	*missing |= g.broken;
	/* later ones replace rows of earlier ones */
	if (!error && g.count)
		qsort(g.found, g.count, sizeof(*g.found), by_time);
	for (size_t n = g.count; !error && n-- > 0;)
		error = drop_torn(&g, &g.found[n].table);
	for (size_t n = 0; !error && n < g.count; n++)
		error = places_add(fresh, &g.found[n].table);
	if (!error && all && !*missing)
		error = give_up(&g);
	if (!error && !g.count) {
		log_error("%s: none of its cartridges is in its drives",
			  s->path);
		error = REEL_EMEDIUM;
	}
	for (size_t n = 0; n < g.count; n++)
		cartridge_table_release(&g.found[n].table);
	free(g.found);
	free(g.seen);
	buffer_release(&g.torn);
	return error;
}
