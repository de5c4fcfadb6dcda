#include "tape/station.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tape/error.h"
#include "tape/log.h"
#include "tape/station_state.h"
#include "tape/stop.h"

#define TICK_MS	  50 /* between looks at *stop */
#define TICKS	  8  /* between looks at the drives */
#define ROBOT_NS  5000000000ll
#define BUSY_NS	  20000000000ll /* for another program's drive, at least */
#define SECOND_NS 1000000000ll

/* ---- lifecycle ---- */

/* An image's path; NULL for other drives. */
static int image_path(const char *name, char **path)
{
	size_t length = strcspn(name, "?");

	*path = NULL;
	if (!strncmp(name, "iscsi://", 8) || !strncmp(name, "fault:", 6) ||
	    length < 4 || strncmp(name + length - 4, ".tap", 4) != 0)
		return 0;
	*path = strndup(name, length);
	return *path ? 0 : REEL_ENOMEM;
}

static int take_drives(struct station *s, const char *const *names,
		       size_t count, bool readers)
{
	for (size_t n = 0; n < count; n++) {
		struct station_drive *d = &s->drives[s->drive_count];

		d->name = strdup(names[n]);
		if (!d->name || image_path(d->name, &d->image)) {
			free(d->name);
			return REEL_ENOMEM;
		}
		d->reader = readers;
		s->drive_count++;
	}
	return 0;
}

static int take_names(struct station *s, const struct station_options *o)
{
	s->drives = calloc(o->drive_count + o->reader_count + 1,
			   sizeof(*s->drives));
	s->changers = calloc(o->changer_count + 1, sizeof(*s->changers));
	if (!s->drives || !s->changers ||
	    take_drives(s, o->drives, o->drive_count, false) ||
	    take_drives(s, o->readers, o->reader_count, true))
		return REEL_ENOMEM;
	for (; s->changer_count < o->changer_count; s->changer_count++) {
		char *name = strdup(o->changers[s->changer_count]);

		if (!name)
			return REEL_ENOMEM;
		s->changers[s->changer_count].name = name;
	}
	return 0;
}

int station_open(const struct station_options *o, struct station **out)
{
	struct station *s = calloc(1, sizeof(*s));
	pthread_condattr_t monotonic;
	int error;

	if (!s)
		return REEL_ENOMEM;
	pthread_mutex_init(&s->robot, NULL);
	pthread_mutex_init(&s->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&s->freed, &monotonic);
	pthread_condattr_destroy(&monotonic);
	s->timeout = o->timeout;
	s->read_only = o->read_only;
	s->stop = o->stop;
	error = station_claim_open(s, o->claims);
	if (!error)
		error = take_names(s, o);
	if (error) {
		station_close(s);
		return error;
	}
	*out = s;
	return 0;
}

void station_close(struct station *s)
{
	if (!s)
		return;
	for (size_t n = 0; n < s->drive_count; n++) {
		station_drive_close(&s->drives[n]);
		free(s->drives[n].name);
		free(s->drives[n].image);
	}
	for (size_t n = 0; n < s->changer_count; n++)
		free(s->changers[n].name);
	station_claim_close(s);
	pthread_cond_destroy(&s->freed);
	pthread_mutex_destroy(&s->lock);
	pthread_mutex_destroy(&s->robot);
	free(s->known);
	free(s->drives);
	free(s->changers);
	free(s);
}

void station_set_patience(struct station *s, unsigned timeout, bool at_hand,
			  const volatile int *stop)
{
	pthread_mutex_lock(&s->lock);
	s->stop = stop;
	s->timeout = timeout;
	s->at_hand = at_hand;
	pthread_mutex_unlock(&s->lock);
}

bool station_has_images_only(const struct station *s)
{
	bool images = !s->changer_count;

	for (size_t n = 0; n < s->drive_count; n++)
		images = images && s->drives[n].image;
	return images;
}

/* ---- choosing ---- */

static bool is_passed(const struct station_want *w, const uint8_t uuid[16])
{
	for (size_t n = 0; n < w->passed_count; n++)
		if (!memcmp(w->passed[n], uuid, 16))
			return true;
	return false;
}

bool station_fits(const struct station_want *w, const struct station_seen *s)
{
	bool labelled = s->content == STATION_LABELLED;

	if (w->label)
		return labelled && !memcmp(s->uuid, w->label->uuid, 16);
	if (w->any)
		return labelled && !is_passed(w, s->uuid);
	if (s->write_protected)
		return false;
	if (s->content == STATION_BLANK)
		return !s->too_small;
	return w->overwrite && (labelled || s->content == STATION_FOREIGN) &&
	       !strcmp(w->overwrite, s->name);
}

/* What is begun is begun in drives of one's own. */
bool station_may_use(const struct station_want *w,
		     const struct station_drive *d)
{
	return w->label || !d->reader;
}

bool station_stopped(const struct station *s, const struct station_want *w)
{
	return stop_is_set(s->stop) || stop_is_set(w->stop);
}

/* Under the lock. */
static void freed(struct station *s, struct station_drive *d)
{
	d->held = false;
	d->looked_into = false;
	s->puts++;
	pthread_cond_broadcast(&s->freed);
}

/* Images are always closed, other drives unless somebody waits. */
void station_drive_release(struct station *s, struct station_drive *d)
{
	const bool claimed = station_is_claimed(s);
	bool keep;

	pthread_mutex_lock(&s->lock);
	d->looked_into = true;
	keep = s->waits && !d->image && !claimed;
	pthread_mutex_unlock(&s->lock);
	if (!keep)
		station_drive_close(d);
	pthread_mutex_lock(&s->lock);
	freed(s, d);
	pthread_mutex_unlock(&s->lock);
}

/* Called with the lock, which it gives up meanwhile; true: it is held. */
static bool look_into(struct station *s, const struct station_want *w,
		      struct station_drive *d)
{
	bool good;

	d->held = d->looked_into = true;
	pthread_mutex_unlock(&s->lock);
	if (station_fits(w, &d->seen) || station_drive_is_news(d))
		station_drive_look(s, d);
	good = d->drive && station_fits(w, &d->seen);
	if (!good && d->image)
		station_drive_close(d);
	pthread_mutex_lock(&s->lock);
	if (good) {
		d->looked_into = false;
		d->used = ++s->clock;
	} else {
		freed(s, d);
	}
	return good;
}

/* Those that had it come first. */
static struct station_drive *look_round(struct station *s,
					const struct station_want *w)
{
	for (int had = 1; had >= 0; had--) {
		for (size_t n = 0; n < s->drive_count; n++) {
			struct station_drive *d = &s->drives[n];

			if (d->held || !station_may_use(w, d) ||
			    station_fits(w, &d->seen) != had)
				continue;
			if (look_into(s, w, d))
				return d;
		}
	}
	return NULL;
}

/* Whether it is, or may be, in a drive that is in use or loads; or no drive is
 * free to put it into. */
static bool is_busy(const struct station *s, const struct station_want *w)
{
	size_t held = 0, usable = 0;

	for (size_t n = 0; n < s->drive_count; n++) {
		const struct station_drive *d = &s->drives[n];

		if (!station_may_use(w, d))
			continue;
		usable++;
		if (d->looked_into || d->seen.content == STATION_LOADING)
			return true;
		if (!d->held)
			continue;
		if (d->seen.content == STATION_UNKNOWN ||
		    station_fits(w, &d->seen))
			return true;
		held++;
	}
	return held && held == usable && !s->at_hand;
}

/* Whether somebody else gave it back while this one looked elsewhere. */
static bool came_free(const struct station *s, const struct station_want *w)
{
	for (size_t n = 0; n < s->drive_count; n++)
		if (!s->drives[n].held && station_may_use(w, &s->drives[n]) &&
		    station_fits(w, &s->drives[n].seen))
			return true;
	return false;
}

static bool is_in_drive(const struct station *s, const struct station_want *w)
{
	for (size_t n = 0; n < s->drive_count; n++)
		if (!s->drives[n].looked_into &&
		    station_fits(w, &s->drives[n].seen))
			return true;
	return false;
}

bool station_has(struct station *s, const struct cartridge_label *want)
{
	const struct station_want w = {.label = want};
	bool has;

	pthread_mutex_lock(&s->lock);
	has = is_in_drive(s, &w);
	pthread_mutex_unlock(&s->lock);
	return has;
}

/* One that is as good can be had, and this one cannot. */
static bool other_is_there(const struct station *s,
			   const struct station_want *w)
{
	if (is_in_drive(s, w))
		return false;
	for (size_t n = 0; n < w->other_count; n++) {
		const struct station_want other = {.label = &w->others[n]};

		if (is_in_drive(s, &other))
			return true;
	}
	return false;
}

/* ---- waiting ---- */

/* What is wrong when no drive works at all (the drives said it). */
static int all_failed(const struct station *s)
{
	int error = 0;

	for (size_t n = 0; n < s->drive_count; n++) {
		if (s->drives[n].held || !s->drives[n].failures)
			return 0;
		error = s->drives[n].error;
	}
	return error;
}

static int64_t patience(const struct station *s)
{
	if (s->timeout == STATION_FOREVER)
		return INT64_MAX;
	if (!s->at_hand && all_failed(s) == REEL_EBUSY && s->timeout < 20)
		return BUSY_NS;
	return (int64_t)s->timeout * SECOND_NS;
}

static int give_up(const struct station *s, const struct station_want *w)
{
	int error = all_failed(s);

	if (error)
		return error;
	if (s->timeout && w->label)
		log_error("cartridge %s did not come in %u s", w->label->name,
			  s->timeout);
	else if (s->timeout)
		log_error("no cartridge to write on came in %u s", s->timeout);
	return REEL_EMEDIUM;
}

/* Until a drive becomes free, or it is time to look again; ns. */
static int64_t rest(struct station *s, const struct station_want *w)
{
	uint64_t puts = s->puts;
	int64_t begin = station_now();

	for (int n = 0; n < TICKS && puts == s->puts; n++) {
		int64_t end = station_now() + TICK_MS * 1000000ll;
		struct timespec until = {.tv_sec = end / SECOND_NS,
					 .tv_nsec = end % SECOND_NS};

		if (station_stopped(s, w))
			break;
		pthread_cond_timedwait(&s->freed, &s->lock, &until);
	}
	return station_now() - begin;
}

/* REEL_EMEDIUM: no changer has it; REEL_EBUSY. */
static int ask_changers(struct station *s, struct station_wait *wait,
			struct station_drive **out)
{
	int error;

	if (!s->changer_count || s->at_hand || station_now() < wait->robot)
		return REEL_EMEDIUM;
	pthread_mutex_unlock(&s->lock);
	error = station_fetch(s, wait->want, out);
	pthread_mutex_lock(&s->lock);
	if (error == REEL_EMEDIUM)
		wait->robot = station_now() + ROBOT_NS;
	return error;
}

/* False: try again. */
static bool try_once(struct station *s, struct station_wait *wait,
		     struct station_drive **out, int *error)
{
	const struct station_want *w = wait->want;
	int64_t took;

	*error = station_stopped(s, w) ? REEL_ESTOPPED : 0;
	*out = *error ? NULL : look_round(s, w);
	if (*error || *out)
		return true;
	if (came_free(s, w))
		return false;
	station_claim(s);
	if (other_is_there(s, w)) {
		*error = REEL_EMEDIUM;
		return true;
	}
	*error = ask_changers(s, wait, out);
	if (*error != REEL_EMEDIUM && *error != REEL_EBUSY)
		return true;
	if (came_free(s, w))
		return false;
	wait->person = *error == REEL_EMEDIUM && !is_busy(s, w);
	if (wait->person && w->hasty) {
		*error = REEL_EMEDIUM;
		return true;
	}
	if (wait->person && !all_failed(s))
		station_ask_for(s, w);
	if (wait->person && wait->waited >= patience(s)) {
		*error = give_up(s, w);
		return true;
	}
	took = rest(s, w);
	wait->waited += wait->person ? took : 0;
	return false;
}

static void leave(struct station *s, struct station_wait *wait)
{
	struct station_wait **at = &s->waits;

	while (*at != wait)
		at = &(*at)->next;
	*at = wait->next;
	if (s->waits)
		return;
	station_unclaim(s);
	for (size_t n = 0; n < s->drive_count; n++) {
		struct station_drive *d = &s->drives[n];

		if (d->held || !d->drive)
			continue;
		d->held = d->looked_into = true;
		pthread_mutex_unlock(&s->lock);
		station_drive_close(d);
		pthread_mutex_lock(&s->lock);
		freed(s, d);
	}
}

int station_take(struct station *s, const struct station_want *w,
		 struct station_drive **out)
{
	struct station_wait wait = {.want = w};
	int error;

	pthread_mutex_lock(&s->lock);
	wait.next = s->waits;
	s->waits = &wait;
	while (!try_once(s, &wait, out, &error))
		;
	leave(s, &wait);
	if (!error)
		station_forget_said(s, w);
	pthread_mutex_unlock(&s->lock);
	return error;
}

/* ---- holders ---- */

static struct station_drive *holding(struct station *s, const struct drive *d)
{
	for (size_t n = 0; n < s->drive_count; n++) {
		struct station_drive *at = &s->drives[n];

		if (at->held && !at->looked_into && at->drive == d)
			return at;
	}
	return NULL;
}

void station_put(struct station *s, struct drive *d)
{
	struct station_drive *held;

	pthread_mutex_lock(&s->lock);
	held = holding(s, d);
	pthread_mutex_unlock(&s->lock);
	if (held)
		station_drive_release(s, held);
}

void station_relabelled(struct station *s, struct drive *d)
{
	struct station_drive *held;

	pthread_mutex_lock(&s->lock);
	held = holding(s, d);
	if (held) {
		held->seen = (struct station_seen){.content = STATION_UNKNOWN};
		held->verified = false;
	}
	pthread_mutex_unlock(&s->lock);
}

bool station_is_blank(struct station *s, const struct drive *d)
{
	const struct station_drive *held;
	bool blank;

	pthread_mutex_lock(&s->lock);
	held = holding(s, d);
	blank = held && held->seen.content == STATION_BLANK;
	pthread_mutex_unlock(&s->lock);
	return blank;
}

void station_pull_in(struct station *s)
{
	for (size_t n = 0; n < s->drive_count; n++) {
		struct station_drive *d = &s->drives[n];
		bool mine;

		pthread_mutex_lock(&s->lock);
		mine = !d->held;
		if (mine)
			d->held = d->looked_into = true;
		pthread_mutex_unlock(&s->lock);
		if (!mine)
			continue;
		station_drive_load(s, d);
		station_drive_release(s, d);
	}
}

void station_too_small(struct station *s, struct drive *d)
{
	struct station_drive *held;

	pthread_mutex_lock(&s->lock);
	held = holding(s, d);
	if (held)
		held->seen.too_small = true;
	pthread_mutex_unlock(&s->lock);
}

bool station_is_wanted(struct station *s)
{
	bool wanted = false;

	pthread_mutex_lock(&s->lock);
	for (struct station_wait *w = s->waits; w; w = w->next)
		wanted |= !w->person;
	pthread_mutex_unlock(&s->lock);
	return wanted;
}
