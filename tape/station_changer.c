/* A station's changers: the wanted cartridge is found by its barcode, or by
 * loading one after the other of those that were not seen yet, and put into a
 * drive that nobody holds; what was in that goes back to where it came from. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "tape/error.h"
#include "tape/log.h"
#include "tape/station_state.h"

#define LOADING_NS 200000000l
#define RETRY_NS   20000000000ll /* after a changer could not be reached */
#define SEATING_NS 15000000000ll /* until a drive sees what was put in */

/* ---- what is known ---- */

static struct station_known *recall_known(struct station *s,
					  const char *barcode)
{
	for (size_t n = 0; n < s->known_count; n++)
		if (!strcmp(s->known[n].barcode, barcode))
			return &s->known[n];
	return NULL;
}

static void learn(struct station *s, const struct station_drive *d)
{
	struct station_known *k = recall_known(s, d->barcode);

	if (!*d->barcode || d->seen.content < STATION_BLANK)
		return;
	if (!k) {
		k = realloc(s->known, (s->known_count + 1) * sizeof(*k));
		if (!k)
			return;
		s->known = k;
		k += s->known_count++;
	}
	memcpy(k->barcode, d->barcode, sizeof(k->barcode));
	k->seen = d->seen;
}

/* ---- drives ---- */

/* Empty, or that was used least of late; held from now on. */
static struct station_drive *choose(struct station_fetching *f)
{
	struct station *s = f->station;
	struct station_drive *best = NULL;

	pthread_mutex_lock(&s->lock);
	for (size_t n = 0; n < s->drive_count; n++) {
		struct station_drive *d = &s->drives[n];
		bool empty;

		if (d->held || !d->paired || d->changer != f->number ||
		    !station_may_use(f->want, d))
			continue;
		empty = d->seen.content == STATION_EMPTY;
		if (!best || (empty && best->seen.content != STATION_EMPTY) ||
		    (empty == (best->seen.content == STATION_EMPTY) &&
		     d->used < best->used))
			best = d;
	}
	if (best)
		best->held = best->looked_into = true;
	pthread_mutex_unlock(&s->lock);
	return best;
}

/* ---- which cartridge ---- */

static bool is_candidate(const struct station_fetching *f,
			 const struct scsi_element *e)
{
	const struct cartridge_label *l = f->want->label;
	const struct station_known *k;

	if (!e->full || e->type == SCSI_ELEMENT_PICKER ||
	    e->type == SCSI_ELEMENT_DRIVE || !strncmp(e->barcode, "CLN", 3))
		return false;
	if (l && *l->barcode && *e->barcode)
		return !strcmp(l->barcode, e->barcode);
	k = *e->barcode ? recall_known(f->station, e->barcode) : NULL;
	return !k || station_fits(f->want, &k->seen);
}

/* ---- moving ---- */

static int put_back(struct station_fetching *f, struct station_drive *d)
{
	const struct scsi_element *e =
		changer_find_address(&f->have, d->element);
	const struct scsi_element *room;
	int error;

	if (!e || !e->full)
		return 0;
	room = changer_find_room(&f->have, e->has_source ? e->source : 0);
	if (!room) {
		log_error("changer %s has no free slot for the cartridge in "
			  "%s; take one out",
			  f->station->changers[f->number].name, d->name);
		return REEL_ENOSPC;
	}
	error = station_drive_unload(f->station, d);
	return error ? error
		     : changer_move(f->changer, e->address, room->address);
}

static int again(struct station_fetching *f)
{
	changer_inventory_release(&f->have);
	return changer_inventory(f->changer, &f->have);
}

/* The changer put a cartridge where this drive was thought to be. */
static int say_elsewhere(const struct station_fetching *f,
			 const struct station_drive *d)
{
	log_error("changer %s put a cartridge into its drive %u, but %s stays "
		  "empty: give the drives in the order in which the changers "
		  "have them",
		  f->station->changers[f->number].name, (unsigned)d->element,
		  d->name);
	return REEL_EINVAL;
}

/* Its cartridge is pulled in and looked at, however long that takes. */
static int load(struct station_fetching *f, struct station_drive *d)
{
	const struct timespec pause = {.tv_nsec = LOADING_NS};
	const int64_t until = station_now() + SEATING_NS;

	station_drive_load(f->station, d);
	while (d->seen.content == STATION_LOADING ||
	       d->seen.content == STATION_EMPTY) {
		if (d->seen.content == STATION_EMPTY && station_now() > until)
			return say_elsewhere(f, d);
		if (station_stopped(f->station, f->want))
			return REEL_ESTOPPED;
		nanosleep(&pause, NULL);
		station_drive_look(f->station, d);
	}
	return 0;
}

static int move_in(struct station_fetching *f, struct station_drive *d,
		   uint16_t from)
{
	const struct scsi_element *e;
	char barcode[CARTRIDGE_BARCODE];
	int error = put_back(f, d);

	e = changer_find_address(&f->have, from);
	snprintf(barcode, sizeof(barcode), "%.*s", CARTRIDGE_BARCODE - 1,
		 e ? e->barcode : "");
	if (!error)
		error = changer_move(f->changer, from, d->element);
	if (!error)
		error = load(f, d);
	if (error)
		return error;
	if (*barcode)
		memcpy(d->barcode, barcode, sizeof(barcode));
	learn(f->station, d);
	return 0;
}

/* 0: it is in the drive; REEL_ENOENT: it is another. */
static int try_in(struct station_fetching *f, struct station_drive *d,
		  uint16_t from, struct station_drive **out)
{
	const struct cartridge_label *l = f->want->label;
	int error = move_in(f, d, from);

	if (!error && d->drive && station_fits(f->want, &d->seen)) {
		pthread_mutex_lock(&f->station->lock);
		d->looked_into = false;
		d->used = ++f->station->clock;
		pthread_mutex_unlock(&f->station->lock);
		*out = d;
		return 0;
	}
	if (!error && l && *l->barcode && !strcmp(l->barcode, d->barcode))
		log_error("the cartridge with barcode %s is %s, not %s",
			  l->barcode,
			  d->seen.content == STATION_LABELLED ? d->seen.name
			  : d->seen.content == STATION_BLANK  ? "blank"
							     : "no one of reel",
			  l->name);
	station_drive_release(f->station, d);
	return error ? error : REEL_ENOENT;
}

/* It stands in a drive already, not pulled in: held and looked at. */
static int try_drive(struct station_fetching *f, const struct scsi_element *e,
		     struct station_drive **out)
{
	struct station_drive *d = station_paired_with(f, e->address);
	bool free;
	int error;

	if (!d || !station_may_use(f->want, d))
		return REEL_ENOENT;
	pthread_mutex_lock(&f->station->lock);
	free = !d->held && d->seen.content == STATION_EMPTY;
	if (free)
		d->held = d->looked_into = true;
	pthread_mutex_unlock(&f->station->lock);
	if (!free)
		return REEL_ENOENT;
	error = load(f, d);
	if (!*d->barcode)
		snprintf(d->barcode, sizeof(d->barcode), "%.*s",
			 CARTRIDGE_BARCODE - 1, e->barcode);
	learn(f->station, d);
	if (error || !d->drive || !station_fits(f->want, &d->seen)) {
		station_drive_release(f->station, d);
		return error ? error : REEL_ENOENT;
	}
	pthread_mutex_lock(&f->station->lock);
	d->looked_into = false;
	d->used = ++f->station->clock;
	pthread_mutex_unlock(&f->station->lock);
	*out = d;
	return 0;
}

static int fetch_from_drives(struct station_fetching *f,
			     struct station_drive **out)
{
	int error = REEL_ENOENT;

	for (size_t n = 0; error == REEL_ENOENT && n < f->have.count; n++) {
		const struct scsi_element *e = &f->have.elements[n];

		if (e->type == SCSI_ELEMENT_DRIVE && e->full)
			error = try_drive(f, e, out);
	}
	return error;
}

static int fetch_from_slots(struct station_fetching *f,
			    struct station_drive **out)
{
	int error = REEL_ENOENT;

	for (size_t n = 0; error == REEL_ENOENT && n < f->have.count; n++) {
		uint16_t from = f->have.elements[n].address;
		struct station_drive *d;

		if (station_stopped(f->station, f->want))
			return REEL_ESTOPPED;
		if (!is_candidate(f, &f->have.elements[n]))
			continue;
		d = choose(f);
		if (!d)
			return REEL_EBUSY;
		error = try_in(f, d, from, out);
		if (error == REEL_ENOENT && again(f))
			return REEL_EIO;
	}
	return error;
}

/* ---- one changer after the other ---- */

static int fetch(struct station_fetching *f, struct station_drive **out)
{
	struct station *s = f->station;
	struct station_changer *c = &s->changers[f->number];
	bool useful = true;
	int error;

	if (station_now() < c->retry)
		return REEL_ENOENT;
	error = changer_open(c->name, f->want->stop, &f->changer);
	c->retry = error ? station_now() + RETRY_NS : 0;
	if (error)
		return REEL_ENOENT;
	error = changer_inventory(f->changer, &f->have);
	if (!error) {
		pthread_mutex_lock(&s->lock);
		station_pair(f);
		useful = station_has_drives(f);
		pthread_mutex_unlock(&s->lock);
		error = fetch_from_drives(f, out);
	}
	if (error == REEL_ENOENT && useful)
		error = fetch_from_slots(f, out);
	changer_inventory_release(&f->have);
	changer_close(f->changer);
	return error;
}

/* What counts when no changer has it in a free drive: one that may have it but
 * whose drives are in use; else one that is in trouble, which said so. */
static int worse(int a, int b)
{
	if (a == REEL_EBUSY || b == REEL_EBUSY)
		return REEL_EBUSY;
	return a != REEL_ENOENT ? a : b;
}

int station_fetch(struct station *s, const struct station_want *w,
		  struct station_drive **out)
{
	int error = REEL_ENOENT;

	pthread_mutex_lock(&s->robot);
	for (size_t n = 0; n < s->changer_count && !station_stopped(s, w);
	     n++) {
		struct station_fetching f = {
			.station = s, .want = w, .number = n};
		int one = fetch(&f, out);

		error = one ? worse(error, one) : 0;
		if (!error)
			break;
	}
	pthread_mutex_unlock(&s->robot);
	return error == REEL_ENOENT ? REEL_EMEDIUM : error;
}

/* ---- barcodes, and taking out ---- */

/* The caller holds the drive: it is paired by what it said of itself. */
static const struct scsi_element *element_of(struct station_fetching *f,
					     struct station_drive *d)
{
	const struct scsi_element *e = changer_find_drive(&f->have, d->serial);

	pthread_mutex_lock(&f->station->lock);
	station_pair(f);
	if (e) {
		d->paired = true;
		d->changer = f->number;
		d->element = e->address;
	} else if (d->paired && d->changer == f->number) {
		e = changer_find_address(&f->have, d->element);
	}
	pthread_mutex_unlock(&f->station->lock);
	return e;
}

/* Calls `each` with the changer that has the drive, if one has. */
static int with_changer(struct station *s, struct station_drive *d,
			int (*each)(struct station_fetching *f,
				    struct station_drive *d,
				    const struct scsi_element *e))
{
	int error = REEL_ENOENT;

	pthread_mutex_lock(&s->robot);
	for (size_t n = 0; error == REEL_ENOENT && n < s->changer_count; n++) {
		struct station_fetching f = {.station = s, .number = n};
		const struct scsi_element *e;

		if (changer_open(s->changers[n].name, s->stop, &f.changer))
			continue;
		if (!changer_inventory(f.changer, &f.have)) {
			e = element_of(&f, d);
			error = e ? each(&f, d, e) : REEL_ENOENT;
		}
		changer_inventory_release(&f.have);
		changer_close(f.changer);
	}
	pthread_mutex_unlock(&s->robot);
	return error;
}

static int read_barcode(struct station_fetching *f, struct station_drive *d,
			const struct scsi_element *e)
{
	(void)f;
	if (e->full)
		snprintf(d->barcode, sizeof(d->barcode), "%.*s",
			 CARTRIDGE_BARCODE - 1, e->barcode);
	return 0;
}

void station_ask_barcode(struct station *s, struct station_drive *d)
{
	with_changer(s, d, read_barcode);
}

static int into_slot(struct station_fetching *f, struct station_drive *d,
		     const struct scsi_element *e)
{
	(void)e;
	return put_back(f, d);
}

static bool is_called(const struct station_drive *d, const char *which)
{
	return !strcmp(d->name, which) ||
	       (d->seen.content >= STATION_LABELLED &&
		!strcmp(d->seen.name, which)) ||
	       (*d->barcode && !strcmp(d->barcode, which));
}

/* REEL_ENOENT: it is not this one. */
static int unload(struct station *s, struct station_drive *d, const char *which)
{
	bool mine;
	int error;

	pthread_mutex_lock(&s->lock);
	mine = !d->held;
	if (mine)
		d->held = d->looked_into = true;
	error = !strcmp(d->name, which) ? REEL_EBUSY : REEL_ENOENT;
	pthread_mutex_unlock(&s->lock);
	if (!mine)
		return error;
	station_drive_look(s, d);
	if (!*d->barcode && !d->image)
		station_ask_barcode(s, d);
	error = is_called(d, which) ? 0 : REEL_ENOENT;
	if (!error)
		error = d->image ? REEL_ENOENT : with_changer(s, d, into_slot);
	if (error == REEL_ENOENT && is_called(d, which))
		error = station_drive_unload(s, d);
	station_drive_release(s, d);
	return error;
}

int station_unload(struct station *s, const char *which)
{
	int error = REEL_ENOENT;

	for (size_t n = 0; error == REEL_ENOENT && n < s->drive_count; n++)
		error = unload(s, &s->drives[n], which);
	if (error == REEL_ENOENT)
		log_error("no drive of the set is called %s, or has such a "
			  "cartridge",
			  which);
	else if (error == REEL_EBUSY)
		log_error("%s is in use; try again when it is done", which);
	return error;
}

/* ---- moving by hand ---- */

/* An address, or the barcode of what lies there. */
static const struct scsi_element *
find_element(const struct changer_inventory *have, const char *text)
{
	const struct scsi_element *e = changer_find_barcode(have, text);
	unsigned number;
	char more;

	if (!e && sscanf(text, "%5u%c", &number, &more) == 1 &&
	    number <= UINT16_MAX)
		e = changer_find_address(have, (uint16_t)number);
	return e;
}

/* Held; NULL: no drive of the set is there. */
static int hold_drive(struct station_fetching *f, const struct scsi_element *e,
		      struct station_drive **out)
{
	struct station_drive *d = e->type == SCSI_ELEMENT_DRIVE
					  ? station_paired_with(f, e->address)
					  : NULL;
	bool busy;

	*out = NULL;
	if (!d)
		return 0;
	pthread_mutex_lock(&f->station->lock);
	busy = d->held;
	if (!busy)
		d->held = d->looked_into = true;
	pthread_mutex_unlock(&f->station->lock);
	if (busy) {
		log_error("%s is in use; try again when it is done", d->name);
		return REEL_EBUSY;
	}
	*out = d;
	return 0;
}

static int move_held(struct station_fetching *f,
		     const struct scsi_element *from,
		     const struct scsi_element *to, struct station_drive *out,
		     struct station_drive *in)
{
	int error = out ? station_drive_unload(f->station, out) : 0;

	if (!error)
		error = changer_move(f->changer, from->address, to->address);
	if (!error && in)
		station_drive_load(f->station, in);
	return error;
}

static int move(struct station_fetching *f, const struct scsi_element *from,
		const struct scsi_element *to)
{
	struct station_drive *out = NULL, *in = NULL;
	int error;

	if (to->full && to != from) {
		log_error("%s: %u holds a cartridge already",
			  f->station->changers[f->number].name,
			  (unsigned)to->address);
		return REEL_EEXIST;
	}
	pthread_mutex_lock(&f->station->lock);
	station_pair(f);
	pthread_mutex_unlock(&f->station->lock);
	error = hold_drive(f, from, &out);
	if (!error && to != from)
		error = hold_drive(f, to, &in);
	if (!error && to != from)
		error = move_held(f, from, to, out, in);
	if (out)
		station_drive_release(f->station, out);
	if (in)
		station_drive_release(f->station, in);
	return error;
}

/* 1: moved; 0: the cartridge is not in this changer; `only_look`: 1 means that
 * it is. */
static int move_in_changer(struct station_fetching *f, const char *what,
			   const char *to, bool only_look)
{
	const char *name = f->station->changers[f->number].name;
	const struct scsi_element *a, *b;
	int error = changer_open(name, f->station->stop, &f->changer);

	if (error)
		return error;
	error = changer_inventory(f->changer, &f->have);
	a = error ? NULL : find_element(&f->have, what);
	if (a && !a->full)
		a = NULL;
	if (a && !only_look) {
		b = find_element(&f->have, to);
		if (!b)
			log_error("%s has no element %s", name, to);
		error = b ? move(f, a, b) : REEL_ENOENT;
	}
	changer_inventory_release(&f->have);
	changer_close(f->changer);
	return error ? error : a != NULL;
}

int station_move(struct station *s, const char *what, const char *to)
{
	size_t has = 0, found = 0;
	int error = 0;

	pthread_mutex_lock(&s->robot);
	for (size_t n = 0; n < s->changer_count; n++) {
		struct station_fetching f = {.station = s, .number = n};

		if (move_in_changer(&f, what, to, true) != 1)
			continue;
		has = n;
		found++;
	}
	if (found == 1) {
		struct station_fetching f = {.station = s, .number = has};

		error = move_in_changer(&f, what, to, false);
	}
	pthread_mutex_unlock(&s->robot);
	if (found > 1)
		log_error("%s is an element of several changers; say the "
			  "barcode of what lies there",
			  what);
	else if (!found)
		log_error("no changer of the set has a cartridge %s, by its "
			  "barcode or in a slot of that number",
			  what);
	return found != 1 ? REEL_ENOENT : error < 0 ? error : 0;
}
