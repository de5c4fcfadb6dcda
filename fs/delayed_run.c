/* A run goes through the records in batches:
 *
 *     look at each record of the batch, note what is there       (started)
 *     sync the notes
 *     carry out each, in order; at a failure that stops, stop
 *     sync the directories that were changed
 *     note each record's status                                    (ended)
 *     sync the notes
 *
 * R1 Nothing is done for a record whose `started` is not durable, and no
 *    `ended` is written before what was done is durable. So after a cut a
 *    record is: waiting and untouched; ended and done; or started, and then
 *    the next run tells by what is there whether it was done: a move has
 *    taken its source away, a delete its path.
 * R2 Records in one batch do not touch each other's paths in a way that could
 *    blur this: of ours each path has one record, and a directory that is
 *    moved ends its batch; of lists a batch ends where a path equals, holds
 *    or lies in one before it.
 * R3 After a failed move or delete nothing more is done; all later records
 *    wait. So they do from the first record on whose filesystem is not
 *    mounted. */
#include "fs/delayed_run.h"

#include <string.h>
#include "fs/delayed_act.h"
#include "tape/error.h"
#include "tape/log.h"

struct run {
	struct delayed *d;
	const struct delayed_run_options *options;
	struct delayed_run_report *report;
	size_t members[DELAYED_BATCH]; /* records of the batch */
	bool again[DELAYED_BATCH];     /* started by an earlier run */
	size_t count;
	size_t next;	   /* the first record behind the batch */
	const char *place; /* found mounted last */
};

static bool is_over(const struct delayed_record *r)
{
	return r->state == DELAYED_DONE;
}

/* One of the paths is the other or holds it. */
static bool touches(const char *a, const char *b)
{
	size_t x, y, least;

	if (!a || !b)
		return false;
	x = strlen(a);
	y = strlen(b);
	least = x < y ? x : y;
	if (memcmp(a, b, least))
		return false;
	return x == y || (x < y ? b : a)[least] == '/';
}

static const char *second_path(const struct delayed_record *r)
{
	return r->kind == DELAYED_MOVE ? r->source : NULL;
}

static bool records_touch(const struct delayed_record *a,
			  const struct delayed_record *b)
{
	return touches(a->path, b->path) || touches(a->path, second_path(b)) ||
	       touches(second_path(a), b->path) ||
	       touches(second_path(a), second_path(b));
}

/* R2 */
static bool fits(const struct run *u, const struct delayed_record *r)
{
	if (u->count == DELAYED_BATCH)
		return false;
	for (size_t n = 0; n < u->count; n++) {
		const struct delayed_record *have =
			delayed_at(u->d, u->members[n]);

		if ((have->list || r->list) && records_touch(have, r))
			return false;
	}
	return true;
}

/* R3 */
static bool reachable(struct run *u, const struct delayed_record *r)
{
	if (u->place && !strcmp(u->place, r->place))
		return true;
	if ((u->options->early && *r->place) ||
	    !delayed_mounted(delayed_root(u->d), r->place)) {
		u->report->absent = true;
		u->report->place = r->place;
		return false;
	}
	u->place = r->place;
	return true;
}

static void gather(struct run *u)
{
	bool directory = false;

	u->count = 0;
	while (u->next < delayed_count(u->d) && !directory) {
		const struct delayed_record *r = delayed_at(u->d, u->next);

		if (!is_over(r)) {
			if (!fits(u, r) || !reachable(u, r))
				return;
			u->members[u->count++] = u->next;
			directory = delayed_is_directory(delayed_root(u->d), r);
		}
		u->next++;
	}
}

static int start(struct run *u)
{
	int error = 0;

	for (size_t n = 0; !error && n < u->count; n++) {
		struct delayed_record *r = delayed_turn(u->d, u->members[n]);

		u->again[n] = r->state == DELAYED_STARTED;
		if (!u->again[n])
			delayed_look(delayed_root(u->d), r);
		error = delayed_started(u->d, r);
	}
	return error ? error : delayed_sync(u->d);
}

static void tell(struct run *u, const struct delayed_record *r, uint32_t status)
{
	if (status)
		u->report->failed++;
	else
		u->report->done++;
	if (status && r->kind != DELAYED_SHORT_NAME)
		u->report->stopped = true;
	if (u->options->ended)
		u->options->ended(u->options->context, r, status);
}

/* What was begun and not reached waits again: nothing was done for it. */
static void put_back(struct run *u, size_t from)
{
	for (size_t n = from; n < u->count; n++)
		if (!u->again[n])
			delayed_turn(u->d, u->members[n])->state =
				DELAYED_WAITING;
}

static int carry_out(struct run *u)
{
	struct delayed_dirty dirty = {.count = 0};
	uint32_t status[DELAYED_BATCH];
	bool stop = false;
	size_t n = 0;
	int error;

	for (; n < u->count && !stop; n++) {
		const struct delayed_record *r =
			delayed_at(u->d, u->members[n]);

		status[n] =
			delayed_act(delayed_root(u->d), r, u->again[n], &dirty);
		stop = status[n] && r->kind != DELAYED_SHORT_NAME;
	}
	put_back(u, n);
	error = delayed_settle(&dirty);
	if (error)
		log_error("what was done cannot be made durable: %s",
			  error_text(error));
	for (size_t i = 0; !error && i < n; i++) {
		struct delayed_record *r = delayed_turn(u->d, u->members[i]);

		error = delayed_ended(u->d, r, status[i]);
		if (!error)
			tell(u, r, status[i]);
	}
	return error ? error : delayed_sync(u->d);
}

static void foresee_all(struct run *u)
{
	for (; u->next < delayed_count(u->d) && !u->report->stopped;
	     u->next++) {
		const struct delayed_record *r = delayed_at(u->d, u->next);

		if (is_over(r))
			continue;
		if (!reachable(u, r))
			return;
		tell(u, r, delayed_foresee(delayed_root(u->d), r));
	}
}

static void count_waiting(struct run *u)
{
	size_t all = 0;

	for (size_t n = 0; n < delayed_count(u->d); n++)
		all += delayed_at(u->d, n)->state == DELAYED_WAITING ||
		       delayed_at(u->d, n)->state == DELAYED_STARTED;
	if (u->options->dry_run)
		all -= u->report->done + u->report->failed;
	u->report->waiting = all;
}

int delayed_run(struct delayed *d, const struct delayed_run_options *options,
		struct delayed_run_report *out)
{
	struct delayed_run_report report = {0};
	struct run u = {.d = d, .options = options, .report = &report};
	int error = 0;

	if (options->dry_run) {
		foresee_all(&u);
	} else {
		error = delayed_begin(d);
		while (!error && !report.stopped) {
			gather(&u);
			if (!u.count)
				break;
			error = start(&u);
			if (!error)
				error = carry_out(&u);
		}
	}
	if (error)
		return error;
	count_waiting(&u);
	*out = report;
	return 0;
}
