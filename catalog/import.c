#include "catalog/import_state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "catalog/database.h"
#include "catalog/discard.h"
#include "catalog/media.h"
#include "catalog/places.h"
#include "catalog/set_config.h"
#include "catalog/tapes.h"
#include "tape/cartridge_walk.h"
#include "tape/error.h"
#include "tape/log.h"

int import_new(const char *path, const struct set_config *media,
	       struct import **out)
{
	struct import *i = calloc(1, sizeof(*i));

	if (!i || !(i->path = strdup(path))) {
		free(i);
		return REEL_ENOMEM;
	}
	i->media = media;
	i->ends = -1;
	*out = i;
	return 0;
}

void import_set_patience(struct import *i, unsigned wait,
			 const volatile int *stop)
{
	i->wait = wait;
	i->stop = stop;
}

/* ---- the set ---- */

static int make_set(struct import *i, const struct cartridge_label *l)
{
	struct set_config c = *i->media;
	int error;

	c.name = l->set_name;
	memcpy(c.uuid, l->set, sizeof(c.uuid));
	c.seed = l->seed;
	c.compression = l->compression;
	c.block_size = l->block_size;
	c.line = cartridge_line(l->number);
	error = set_create(i->path, &c);
	i->made = !error;
	if (!error)
		error = set_open(i->path, SET_WRITE, false, &i->set);
	if (!error && mkdirat(i->set->directory, ENDS, 0700))
		error = error_from_errno(errno);
	if (!error)
		i->ends = openat(i->set->directory, ENDS,
				 O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return error ? error : i->ends < 0 ? REEL_EIO : 0;
}

static void remove_ends(struct import *i)
{
	char name[MEDIUM_NAME];

	if (i->ends < 0)
		return;
	for (size_t n = 0; n < i->known.place_count; n++) {
		volume_name(i->known.places[n].volume,
			    i->set->config.compression, name);
		unlinkat(i->ends, name, 0);
	}
	close(i->ends);
	i->ends = -1;
	unlinkat(i->set->directory, ENDS, AT_REMOVEDIR);
}

void import_free(struct import *i)
{
	if (!i)
		return;
	remove_ends(i);
	set_close(i->set);
	if (i->made && !i->finished)
		discard(i->path, DISCARD_SET);
	cartridge_table_release(&i->known);
	free(i->seen);
	free(i->wanted);
	free(i->saved);
	free(i->unread);
	free(i->path);
	free(i);
}

/* ---- what is known of the set ---- */

static struct cartridge_label *cartridge(const struct cartridge_table *t,
					 uint32_t number)
{
	size_t n = 0;

	while (n < t->cartridge_count && t->cartridges[n].number != number)
		n++;
	return n < t->cartridge_count ? &t->cartridges[n] : NULL;
}

static void drop_places(struct import *i, uint32_t number)
{
	struct cartridge_table *t = &i->known;
	size_t kept = 0;

	for (size_t n = 0; n < t->place_count; n++)
		if (t->places[n].cartridge != number)
			t->places[kept++] = t->places[n];
	i->dropped += t->place_count - kept;
	t->place_count = kept;
}

/* Of two cartridges of one number the younger counts: the other was begun anew.
 * *older: it is the one that is known. */
static int add_cartridge(struct import *i, const struct cartridge_label *l,
			 bool *older)
{
	struct cartridge_table *t = &i->known;
	struct cartridge_label *have = cartridge(t, l->number);
	char *name = t->cartridge_count ? t->cartridges[0].set_name : NULL;
	size_t n = t->cartridge_count;

	*older = false;
	if (have && !memcmp(have->uuid, l->uuid, sizeof(l->uuid)))
		return 0;
	*older = have && have->time > l->time;
	if (*older)
		return 0;
	if (have) {
		drop_places(i, l->number);
	} else {
		void *more = realloc(t->cartridges,
				     (n + 1) * sizeof(*t->cartridges));

		if (!more || (!name && !(name = strdup(l->set_name))))
			return REEL_ENOMEM;
		t->cartridges = more;
		for (; n && t->cartridges[n - 1].number > l->number; n--)
			t->cartridges[n] = t->cartridges[n - 1];
		have = &t->cartridges[n];
		t->cartridge_count++;
	}
	*have = *l;
	have->set_name = name;
	return 0;
}

static int add_place(struct cartridge_table *t, const struct place *p)
{
	struct place *more;
	size_t n = t->place_count;

	while (n && place_compare(&t->places[n - 1], p) > 0)
		n--;
	if (n && !place_compare(&t->places[n - 1], p)) {
		if (p->session_time > t->places[n - 1].session_time)
			t->places[n - 1] = *p;
		return 0;
	}
	more = realloc(t->places, (t->place_count + 1) * sizeof(*more));
	if (!more)
		return REEL_ENOMEM;
	memmove(&more[n + 1], &more[n], (t->place_count - n) * sizeof(*more));
	more[n] = *p;
	t->places = more;
	t->place_count++;
	return 0;
}

static int merge(struct import *i, const struct cartridge_table *t)
{
	int error = 0;

	for (size_t n = 0; !error && n < t->cartridge_count; n++) {
		const struct cartridge_label *l = &t->cartridges[n];
		bool older;

		error = add_cartridge(i, l, &older);
		for (size_t k = 0; !error && !older && k < t->place_count; k++)
			if (t->places[k].cartridge == l->number)
				error = add_place(&i->known, &t->places[k]);
	}
	return error;
}

/* ---- a cartridge ---- */

static bool was_seen(const struct import *i, uint32_t number)
{
	for (size_t n = 0; n < i->seen_count; n++)
		if (i->seen[n] == number)
			return true;
	return false;
}

static int note_seen(struct import *i, uint32_t number)
{
	uint32_t *more =
		realloc(i->seen, (i->seen_count + 1) * sizeof(*i->seen));

	if (!more)
		return REEL_ENOMEM;
	i->seen = more;
	more[i->seen_count++] = number;
	return 0;
}

static bool still_needed(const struct import *i, uint32_t number)
{
	const struct cartridge_label *l = import_needed(i, number - 1);

	return l && l->number == number;
}

static int check_label(struct import *i, struct drive *d,
		       const struct cartridge_label *l)
{
	if (!i->set) {
		i->unmade = make_set(i, l);
		return i->unmade;
	}
	if (memcmp(l->set, i->set->config.uuid, sizeof(l->set))) {
		log_error("%s: cartridge %s is of another set (%s) than the "
			  "first one (%s); it is left alone",
			  drive_name(d), l->name, l->set_name,
			  i->set->config.name);
		return REEL_EINVAL;
	}
	if (!was_seen(i, l->number) || still_needed(i, l->number))
		return 0;
	log_note("%s: cartridge %s was looked at before", drive_name(d),
		 l->name);
	return REEL_EEXIST;
}

static int walk(struct import *i, struct drive *d,
		const struct cartridge_label *l)
{
	struct cartridge_table t;
	bool older;
	int error = cartridge_walk(d, l, import_take_volume, i, &t);

	if (error == REEL_EDAMAGED || error == REEL_EIO) {
		log_error(
			"%s: cartridge %s cannot be read to its end: sessions "
			"that lie behind stay unknown",
			drive_name(d), l->name);
		i->broken = true;
		error = 0;
	}
	if (!error)
		error = merge(i, &t);
	cartridge_table_release(&t);
	if (!error)
		error = add_cartridge(i, l, &older);
	if (!error && !was_seen(i, l->number))
		error = note_seen(i, l->number);
	return error;
}

int import_cartridge(struct import *i, struct drive *d)
{
	struct cartridge_label l;
	int error = cartridge_read_label(d, &l);

	if (error == REEL_ENOENT)
		log_error("%s: the cartridge in it has no label of reel",
			  drive_name(d));
	if (error)
		return error;
	error = check_label(i, d, &l);
	if (!error) {
		log_note("%s: cartridge %s", drive_name(d), l.name);
		error = walk(i, d, &l);
	}
	cartridge_label_release(&l);
	return error;
}

size_t import_learned(const struct import *i)
{
	return i->saved_count + i->wanted_count + i->unread_count +
	       i->known.place_count + i->dropped + i->known.cartridge_count;
}

bool import_is_hopeless(const struct import *i)
{
	return i->unmade;
}

const struct cartridge_label *import_needed(const struct import *i,
					    uint32_t after)
{
	const struct cartridge_label *best = NULL;

	for (size_t n = 0; n < i->known.place_count; n++) {
		const struct place *p = &i->known.places[n];

		if (p->cartridge <= after || !import_is_wanted(i, p) ||
		    (best && best->number <= p->cartridge))
			continue;
		best = cartridge(&i->known, p->cartridge);
	}
	return best;
}

/* ---- the catalogue ---- */

static void say_unfinished(const struct cartridge_table *t,
			   const struct place *p, struct import_found *found)
{
	log_error("session %u has no end on these cartridges: it goes on "
		  "behind cartridge %s, on one that was not looked at, or was "
		  "never finished",
		  (unsigned)p->session, cartridge(t, p->cartridge)->name);
	found->incomplete = found->endless = true;
}

/* Volumes of a session that has no end on the set's cartridges or, of a copy,
 * on that one's. Places are in the order of volumes, and a session's end is its
 * last one. */
static void drop_unfinished(struct cartridge_table *t,
			    struct import_found *found)
{
	size_t kept = t->place_count;
	struct place ends[CARTRIDGE_LIMIT / CARTRIDGE_LINE] = {0};

	for (size_t n = t->place_count; n-- > 0;) {
		const struct place *p = &t->places[n];

		struct place *end = &ends[(p->cartridge - 1) / CARTRIDGE_LINE];

		if (p->last)
			*end = *p;
		if (p->session == end->session &&
		    p->session_time == end->session_time)
			t->places[--kept] = *p;
		else if (!found->endless)
			say_unfinished(t, p, found);
	}
	t->place_count -= kept;
	if (t->place_count)
		memmove(t->places, t->places + kept,
			t->place_count * sizeof(*t->places));
}

/* From what was saved. */
static int take_saved(struct import *i, struct catalog *c,
		      const struct place *p)
{
	struct buffer packed = {0};
	struct media_session m;
	int error = import_is_saved(i, p)
			    ? media_read_trailer(i->set, p->volume, &m)
		    : was_seen(i, p->cartridge) ? REEL_EDAMAGED
						: REEL_EMEDIUM;

	if (!error && m.trailer.session != p->session)
		error = REEL_EDAMAGED;
	if (!error)
		error = media_read_index(i->set, &m, &packed);
	if (!error)
		error = ingest_packed(c, packed.data, packed.length,
				      p->session);
	buffer_release(&packed);
	return error;
}

static uint32_t first_volume(const struct import *i, const struct place *end)
{
	uint32_t first = end->volume;

	for (size_t n = 0; n < i->known.place_count; n++) {
		const struct place *p = &i->known.places[n];

		if (p->session == end->session &&
		    p->session_time == end->session_time && p->volume < first)
			first = p->volume;
	}
	return first;
}

/* Its index is read from each cartridge that has it, else the session is made
 * out from its archive. */
static int take_rotten(struct import *i, struct catalog *c,
		       const struct place *p, struct import_found *found)
{
	struct media_session m;
	struct medium *ends = i->set->medium;
	uint64_t lost;
	int error;
	bool trailer;

	log_warning("session %u: its index on cartridge %s is damaged; what "
		    "else tells of it is read",
		    (unsigned)p->session,
		    cartridge(&i->known, p->cartridge)->name);
	i->set->medium = i->own;
	i->set->tapes->other = c;
	trailer = !media_read_trailer(i->set, p->volume, &m) &&
		  m.trailer.session == p->session;
	if (!trailer)
		m = (struct media_session){.first_volume = first_volume(i, p),
					   .last_volume = p->volume};
	error = ingest_session(i->set, c, &m, trailer, &lost);
	i->set->tapes->other = NULL;
	i->set->medium = ends;
	found->incomplete |= lost > 0;
	return error;
}

/* Nothing that another cartridge, or another way, could mend. */
static bool is_final(int error)
{
	return error != REEL_EMEDIUM && error != REEL_EDAMAGED &&
	       error != REEL_ENOENT;
}

/* `ends`: all places, on whichever cartridges, where the session ends. */
static int take_session(struct import *i, struct catalog *c,
			const struct place *ends, size_t count,
			struct import_found *found)
{
	const struct place *p = ends;
	uint32_t newest = 0;
	int error = catalog_newest(c, &newest), worst = REEL_EMEDIUM;

	if (error || p->session <= newest)
		return error;
	for (size_t n = 0; n < count; n++) {
		error = take_saved(i, c, &ends[n]);
		if (is_final(error))
			break;
		if (error != REEL_EMEDIUM) {
			worst = error;
			p = &ends[n];
		}
	}
	if (!is_final(error))
		error = worst == REEL_EMEDIUM ? worst
					      : take_rotten(i, c, p, found);
	found->sessions += !error;
	if (is_final(error))
		return error;
	log_error("session %u is missing: its index lies on cartridge %s%s; "
		  "later snapshots lack what it holds",
		  (unsigned)p->session,
		  cartridge(&i->known, p->cartridge)->name,
		  worst == REEL_EMEDIUM ? "" : ", where it is damaged");
	found->incomplete = true;
	return 0;
}

static int compare_sessions(const void *a, const void *b)
{
	const struct place *x = a, *y = b;

	return (x->session > y->session) - (x->session < y->session);
}

/* By session; volumes are numbered in that order, too, but a copy may say
 * anything. */
static int take_sessions(struct import *i, struct catalog *c,
			 struct import_found *found)
{
	size_t count = i->known.place_count;
	struct place *list = malloc((count + 1) * sizeof(*list));
	size_t ends = 0, here;
	int error = list ? 0 : REEL_ENOMEM;

	for (size_t n = 0; !error && n < count; n++)
		if (i->known.places[n].last)
			list[ends++] = i->known.places[n];
	if (ends)
		qsort(list, ends, sizeof(*list), compare_sessions);
	for (size_t n = 0; !error && n < ends; n += here) {
		here = 1;
		while (n + here < ends &&
		       list[n + here].session == list[n].session)
			here++;
		error = take_session(i, c, &list[n], here, found);
	}
	free(list);
	return error;
}

/* The ends stand where the set's own volumes are looked for meanwhile. */
static int make_catalogue(struct import *i, struct import_found *found)
{
	struct medium *ends;
	struct catalog *c = NULL;
	int error = medium_dir_new(i->ends, i->set->config.compression, &ends);

	if (error)
		return error;
	error = catalog_open(i->set, &c);
	if (!error)
		error = places_add(c, &i->known);
	i->own = i->set->medium;
	i->set->medium = ends;
	tapes_set_patience(i->set, i->wait, false, i->stop);
	if (!error)
		error = take_sessions(i, c, found);
	i->set->medium = i->own;
	medium_close(ends);
	catalog_close(c);
	return error;
}

static void say_missing(const struct import *i, struct import_found *found)
{
	found->cartridges = (uint32_t)i->known.cartridge_count;
	for (size_t n = 0; n < i->known.cartridge_count; n++) {
		const struct cartridge_label *l = &i->known.cartridges[n];

		if (was_seen(i, l->number))
			continue;
		found->missing++;
		log_note("cartridge %s%s%s%s was not looked at; reading what "
			 "lies on it will ask for it",
			 l->name, *l->barcode ? " (barcode " : "", l->barcode,
			 *l->barcode ? ")" : "");
	}
}

/* Whose cartridges the set writes on with: those that go furthest, the set's
 * own rather than a copy's. */
static uint32_t best_line(const struct cartridge_table *t)
{
	uint32_t best = 0, newest = 0;

	for (size_t n = 0; n < t->place_count; n++) {
		const struct place *p = &t->places[n];
		uint32_t line = cartridge_line(p->cartridge);

		if (!p->last || p->session < newest ||
		    (p->session == newest && line >= best))
			continue;
		best = line;
		newest = p->session;
	}
	return best;
}

static int choose_line(struct import *i)
{
	struct set_config *c = &i->set->config;
	const uint32_t line = best_line(&i->known);
	char text[16];
	int error;

	if (!line || line == cartridge_line(c->line))
		return 0;
	snprintf(text, sizeof(text), "%u", (unsigned)line);
	error = set_config_append(i->set->directory, "first-cartridge", text);
	if (!error)
		c->line = line;
	return error;
}

int import_finish(struct import *i, struct import_found *found)
{
	int error;

	*found = (struct import_found){.incomplete = i->broken};
	if (!i->set)
		return REEL_EMEDIUM;
	drop_unfinished(&i->known, found);
	error = choose_line(i);
	if (!error)
		error = make_catalogue(i, found);
	if (!error && !found->sessions && found->incomplete) {
		log_error("not one session could be taken in");
		error = found->endless ? REEL_EMEDIUM : REEL_EDAMAGED;
	}
	if (error)
		return error;
	say_missing(i, found);
	i->finished = true;
	return 0;
}
