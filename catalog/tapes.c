#include "catalog/tapes.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "catalog/database.h"
#include "catalog/intent.h"
#include "catalog/media.h"
#include "catalog/places.h"
#include "tape/cartridge_walk.h"
#include "tape/error.h"
#include "tape/log.h"
#include "tape/medium_tape.h"

#define NEEDED_LIMIT 4096

struct reader {
	pthread_mutex_t lock; /* of the connection */
	struct catalog *catalog;
};

/* ---- what the medium asks ---- */

static int connection(struct tapes *t, struct catalog **c)
{
	struct reader *r = t->reader;
	uint32_t newest;
	int error = 0;

	*c = t->other;
	if (*c)
		return 0;
	if (!r->catalog)
		error = catalog_open_reader(t->set, &r->catalog);
	else /* looks whether a rebuild put another file there */
		error = catalog_newest(r->catalog, &newest);
	*c = r->catalog;
	return error;
}

static int find_places(void *context, uint32_t volume, struct place **out,
		       size_t *count)
{
	struct tapes *t = context;
	struct reader *r = t->reader;
	struct cartridge_table table = {0};
	struct catalog *c;
	int error;

	pthread_mutex_lock(&r->lock);
	error = connection(t, &c);
	if (!error && volume) {
		error = places_of(c, volume, out, count);
	} else if (!error) {
		error = places_table(c, &table);
		*out = table.places;
		*count = table.place_count;
		table.places = NULL;
		cartridge_table_release(&table);
	}
	pthread_mutex_unlock(&r->lock);
	return error;
}

static int find_cartridge(void *context, uint32_t number,
			  struct cartridge_label *out)
{
	struct tapes *t = context;
	struct reader *r = t->reader;
	struct catalog *c;
	int error;

	pthread_mutex_lock(&r->lock);
	error = connection(t, &c);
	if (!error)
		error = places_cartridge(c, number, out);
	pthread_mutex_unlock(&r->lock);
	return error;
}

/* ---- lifecycle ---- */

void tapes_close(struct tapes *t)
{
	struct reader *r = t ? t->reader : NULL;

	if (!t)
		return;
	if (!t->shared)
		station_close(t->station);
	if (r) {
		catalog_close(r->catalog);
		pthread_mutex_destroy(&r->lock);
	}
	free(r);
	free(t);
}

/* Where this set's programs hear of each other. */
static char *claims_path(const struct set *s)
{
	struct buffer b = {0};

	if (s->foreign || buffer_printf(&b, "%s/lock", s->path) ||
	    buffer_append(&b, "", 1)) {
		buffer_release(&b);
		return NULL;
	}
	return (char *)b.data;
}

int tapes_open(struct set *s)
{
	char *claims = claims_path(s);
	struct station_options o = {
		.drives = (const char *const *)s->config.drives,
		.drive_count = s->config.drive_count,
		.readers = (const char *const *)s->config.copy_drives,
		.reader_count = s->config.copy_drive_count,
		.changers = (const char *const *)s->config.changers,
		.changer_count = s->config.changer_count,
		.claims = claims,
	};
	struct tapes *t = calloc(1, sizeof(*t));
	struct reader *r = calloc(1, sizeof(*r));
	struct medium_tape_options m = {
		.compression = s->config.compression,
		.directory = s->read_only ? -1 : s->volumes,
		.places = find_places,
		.cartridge = find_cartridge,
		.context = t,
	};
	int error = t && r ? 0 : REEL_ENOMEM;

	if (error) {
		free(claims);
		free(t);
		free(r);
		return error;
	}
	pthread_mutex_init(&r->lock, NULL);
	t->set = s;
	t->reader = r;
	s->tapes = t;
	error = station_open(&o, &t->station);
	free(claims);
	m.station = t->station;
	return error ? error : medium_tape_new(&m, &s->medium);
}

void tapes_share(struct set *s, const struct set *with)
{
	if (!s->tapes || !with->tapes)
		return;
	station_close(s->tapes->station);
	s->tapes->shared = true;
	s->tapes->station = with->tapes->station;
	medium_tape_set_station(s->medium, s->tapes->station);
}

void tapes_set_patience(struct set *s, unsigned timeout, bool at_hand,
			const volatile int *stop)
{
	if (s->tapes)
		station_set_patience(s->tapes->station, timeout, at_hand, stop);
}

void tapes_set_stop(struct set *s, const volatile int *stop)
{
	if (!s->tapes)
		return;
	s->tapes->stop = stop;
	medium_tape_set_stop(s->medium, stop);
}

void tapes_set_cache(struct set *s, uint64_t size)
{
	if (s->tapes)
		medium_tape_set_cache(s->medium, size);
}

int tapes_needed(const struct set *s, struct buffer *out)
{
	char text[NEEDED_LIMIT];

	if (!s->tapes)
		return 0;
	station_needed(s->tapes->station, text, sizeof(text));
	return buffer_append(out, text, strlen(text));
}

/* ---- tables on cartridges ---- */

/* REEL_ENOENT: the data end here, or it is of another set. */
static int read_table(struct drive *d, const struct set *s,
		      struct cartridge_table *out)
{
	struct buffer b = {0};
	int error = append_read_file(d, CARTRIDGE_TABLE_LIMIT, &b);

	if (!error) {
		error = cartridge_table_decode(b.data, b.length, out);
		if (error == REEL_ENOENT)
			error = REEL_EDAMAGED;
	}
	buffer_release(&b);
	if (!error && memcmp(out->cartridges[0].set, s->config.uuid, 16)) {
		cartridge_table_release(out);
		error = REEL_ENOENT;
	}
	return error;
}

int tapes_last_table(struct drive *d, const struct set *s, uint64_t file,
		     struct cartridge_table *out)
{
	struct drive_position p = {.object = DRIVE_UNKNOWN, .file = file};
	struct drive_moved m = {0};
	bool found = false, damaged = false;
	int error = drive_seek(d, &p);

	while (!error) {
		struct cartridge_table t;

		error = drive_space(d, DRIVE_FILEMARKS, 1, &m);
		if (error || m.found != DRIVE_BLOCK)
			break;
		error = read_table(d, s, &t);
		if (!error) {
			if (found)
				cartridge_table_release(out);
			*out = t;
			found = true;
		} else if (error == REEL_EDAMAGED) {
			damaged = true;
			error = 0;
		}
	}
	if (!error || error == REEL_ENOENT)
		return found ? 0 : damaged ? REEL_EDAMAGED : REEL_ENOENT;
	if (found)
		cartridge_table_release(out);
	return error;
}

static const struct place *last_of(const struct cartridge_table *t,
				   uint32_t session, int64_t time)
{
	for (size_t n = 0; n < t->place_count; n++) {
		const struct place *p = &t->places[n];

		if (p->session == session && p->session_time == time && p->last)
			return p;
	}
	return NULL;
}

/* What a table has of sessions that are whole. */
static int add_whole(struct catalog *c, const struct cartridge_table *t)
{
	struct cartridge_table whole = *t;
	int error = REEL_ENOMEM;

	whole.place_count = 0;
	whole.places = malloc(t->place_count * sizeof(*t->places) + 1);
	for (size_t n = 0; whole.places && n < t->place_count; n++)
		if (last_of(t, t->places[n].session, t->places[n].session_time))
			whole.places[whole.place_count++] = t->places[n];
	if (whole.places)
		error = places_add(c, &whole);
	free(whole.places);
	return error;
}

static int ingest_volume(struct catalog *c, uint32_t volume)
{
	struct buffer packed = {0};
	struct media_session m;
	int error = media_read_trailer(c->set, volume, &m);

	if (!error)
		error = media_read_index(c->set, &m, &packed);
	if (!error)
		error = ingest_packed(c, packed.data, packed.length,
				      m.trailer.session);
	buffer_release(&packed);
	return error;
}

/* Sessions behind the newest that the table has whole, one after the other. */
static int ingest_unknown(struct catalog *c, const struct cartridge_table *t)
{
	uint32_t newest = 0;
	int error = catalog_newest(c, &newest);

	for (size_t n = 0; !error && n < t->place_count; n++) {
		const struct place *p = &t->places[n];

		if (!p->last || p->session <= newest)
			continue;
		c->set->tapes->other = c;
		error = ingest_volume(c, p->volume);
		c->set->tapes->other = NULL;
		if (!error)
			log_note("session %u was found on the cartridges and "
				 "taken into the catalogue",
				 (unsigned)p->session);
		newest = p->session;
	}
	return error;
}

/* ---- C2 ---- */

/* The cartridge's last table, as the station has it at hand. */
static int table_of(struct catalog *c, const struct cartridge_label *l,
		    struct cartridge_table *out)
{
	struct station *station = c->set->tapes->station;
	struct drive *d;
	int error = station_get(station, l, c->set->tapes->stop, &d);

	if (error)
		return error;
	error = tapes_last_table(d, c->set, 1, out);
	station_put(station, d);
	return error;
}

/* The cartridges that were begun are the set's, whatever is on them. */
static int make_void(struct catalog *c, const struct cartridge_table *intent)
{
	struct cartridge_table begun = *intent;
	int error;

	begun.place_count = 0;
	error = places_add(c, &begun);
	if (!error)
		error = intent_void(c->set);
	if (!error)
		log_note("session %u was interrupted and is not whole on its "
			 "cartridges; the next backup writes over it",
			 (unsigned)intent->places[0].session);
	return error;
}

int tapes_abandoned(struct catalog *c)
{
	struct cartridge_table intent;
	int error = intent_read(c->set, false, &intent);

	if (error)
		return error == REEL_ENOENT ? 0 : error;
	error = make_void(c, &intent);
	cartridge_table_release(&intent);
	return error;
}

int tapes_reconcile(struct catalog *c)
{
	struct cartridge_table intent, t = {0};
	const struct cartridge_label *newest;
	const struct place *want;
	int error = intent_read(c->set, false, &intent);

	if (error == REEL_ENOENT)
		return 0;
	if (error)
		return error;
	want = &intent.places[0];
	newest = &intent.cartridges[intent.cartridge_count - 1];
	error = table_of(c, newest, &t);
	if (error == REEL_EMEDIUM)
		log_error("%s: cartridge %s is needed once, to see whether the "
			  "interrupted session %u is whole",
			  c->set->path, newest->name, (unsigned)want->session);
	if (!error && last_of(&t, want->session, want->session_time)) {
		error = add_whole(c, &t);
		if (!error)
			error = ingest_unknown(c, &t);
		if (!error)
			error = intent_remove(c->set);
	} else if (!error || error == REEL_ENOENT || error == REEL_EDAMAGED) {
		error = make_void(c, &intent);
	}
	cartridge_table_release(&t);
	cartridge_table_release(&intent);
	return error;
}

/* ---- before a session ---- */

/* The newest place of the newest cartridge that has any. */
static const struct place *newest_place(const struct cartridge_table *t)
{
	const struct place *best = NULL;

	for (size_t n = 0; n < t->place_count; n++) {
		const struct place *p = &t->places[n];

		if (!best || p->cartridge > best->cartridge ||
		    (p->cartridge == best->cartridge && p->file > best->file))
			best = p;
	}
	return best;
}

static const struct cartridge_label *label_of(const struct cartridge_table *t,
					      uint32_t number)
{
	for (size_t n = 0; n < t->cartridge_count; n++)
		if (t->cartridges[n].number == number)
			return &t->cartridges[n];
	return NULL;
}

static bool is_void(const struct set *s, const struct place *p)
{
	struct cartridge_table t;
	bool same;

	if (intent_read(s, true, &t))
		return false;
	same = t.places[0].session == p->session &&
	       t.places[0].session_time == p->session_time;
	cartridge_table_release(&t);
	return same;
}

/* K2: what stands behind the known places. */
static int check_behind(struct catalog *c, const struct cartridge_table *known,
			const struct cartridge_table *t, const char *name)
{
	const struct place *have = newest_place(known);
	int error = 0;

	for (size_t n = 0; n < t->place_count; n++) {
		const struct place *p = &t->places[n];

		if (p->cartridge != have->cartridge || p->file <= have->file ||
		    last_of(t, p->session, p->session_time) ||
		    is_void(c->set, p))
			continue;
		log_error("cartridge %s holds a part of a session %u that the "
			  "catalogue does not know and that may go on on "
			  "another cartridge; run `reel catalog rebuild %s` "
			  "with that one in a drive or, if there is none, "
			  "with --all",
			  name, (unsigned)p->session, c->set->path);
		return REEL_EEXIST;
	}
	error = add_whole(c, t);
	return error ? error : ingest_unknown(c, t);
}

/* Whether the tape has the place that the catalogue knows. */
static bool agrees(const struct cartridge_table *t, const struct place *p)
{
	for (size_t n = 0; n < t->place_count; n++) {
		const struct place *q = &t->places[n];

		if (!place_compare(p, q))
			return q->file == p->file && q->size == p->size &&
			       q->session_time == p->session_time;
	}
	return false;
}

static int check_cartridge(struct catalog *c,
			   const struct cartridge_table *known,
			   const struct place *p,
			   const struct cartridge_label *l)
{
	struct station *station = c->set->tapes->station;
	struct cartridge_table t = {0};
	struct drive *d;
	bool broken;
	int error = station_get(station, l, c->set->tapes->stop, &d);

	if (error)
		return error;
	error = tapes_last_table(d, c->set, p->file, &t);
	broken = (!error || error == REEL_ENOENT || error == REEL_EDAMAGED) &&
		 cartridge_ends_in_damage(d);
	station_put(station, d);
	if (broken) {
		log_error("cartridge %s cannot be read to its end: nothing is "
			  "written behind the damage, where other sessions may "
			  "lie; `?repair` behind its image's name allows that",
			  l->name);
		error = REEL_EDAMAGED;
		goto out;
	}
	if (error == REEL_EDAMAGED) {
		log_warning("cartridge %s: the table behind its last volume is "
			    "damaged; the next backup writes another behind "
			    "it",
			    l->name);
		return 0;
	}
	if (error == REEL_ENOENT || (!error && !agrees(&t, p))) {
		log_error("cartridge %s is not what the catalogue knows: the "
			  "table behind its last volume is missing or "
			  "another; run `reel catalog rebuild %s`",
			  l->name, c->set->path);
		error = REEL_EDAMAGED;
	}
	if (!error)
		error = check_behind(c, known, &t, l->name);
out:
	cartridge_table_release(&t);
	return error;
}

int tapes_catch_up(struct catalog *c)
{
	struct cartridge_table known = {0};
	const struct cartridge_label *l;
	const struct place *p;
	uint32_t full = 0;
	int error;

	if (!c->set->config.tape)
		return 0;
	error = places_own(c, &known);
	if (!error)
		error = places_full(c, &full);
	p = error ? NULL : newest_place(&known);
	l = p && p->cartridge > full ? label_of(&known, p->cartridge) : NULL;
	if (l)
		error = check_cartridge(c, &known, p, l);
	cartridge_table_release(&known);
	return error;
}

/* ---- a session ---- */

static int intend(void *context, const struct cartridge_label *l,
		  const struct place *session)
{
	return intent_add(context, l, session);
}

int tapes_append_options(struct catalog *c, uint32_t first_volume,
			 uint32_t session, int64_t time, const char *overwrite,
			 struct cartridge_table *table,
			 struct append_options *o)
{
	const struct set_config *config = &c->set->config;
	int error;

	*o = (struct append_options){
		.station = c->set->tapes->station,
		.table = table,
		.set_name = config->name,
		.seed = config->seed,
		.compression = config->compression,
		.block_size = config->block_size,
		.line = config->line,
		.first_volume = first_volume,
		.session = session,
		.session_time = time,
		.overwrite = overwrite,
		.intend = intend,
		.context = c->set,
	};
	memcpy(o->set, config->uuid, sizeof(o->set));
	error = places_full(c, &o->after);
	return error ? error : places_own(c, table);
}

int tapes_written(struct catalog *c, const struct cartridge_table *t)
{
	return places_add(c, t);
}

int tapes_committed(struct catalog *c, uint32_t full)
{
	int error = full ? places_set_full(c, full) : 0;

	return error ? error : intent_remove(c->set);
}
