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
 *    wait. But a move of ours whose name is another file's to this filesystem
 *    (A and a where letters are folded) is refused for itself, with what was
 *    to go below it: it and what was staged stay, the rest goes on. So they do
 *    from the first record on whose filesystem is not mounted. */
#include "fs/delayed_run.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "catalog/ntstatus.h"
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
	size_t *refused;   /* heap; records whose name is another's, see R3 */
	size_t refused_count;
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

/* R3 */
static bool is_refused(const struct delayed_record *r, uint32_t status)
{
	return r->kind == DELAYED_MOVE && !r->list &&
	       status == (uint32_t)NTSTATUS_NAME_COLLISION;
}

static bool stops(const struct delayed_record *r, uint32_t status)
{
	return status && r->kind != DELAYED_SHORT_NAME &&
	       !is_refused(r, status);
}

/* Its directory was refused: what has that name is another one. */
static bool is_below_refused(const struct run *u,
			     const struct delayed_record *r)
{
	for (size_t n = 0; n < u->refused_count && !r->list; n++) {
		const char *up = delayed_at(u->d, u->refused[n])->path;
		size_t length = strlen(up);

		if (!strncmp(r->path, up, length) && r->path[length] == '/')
			return true;
	}
	return false;
}

/* Where the filesystem lists names in letters of its own, the list does not
 * tell whose a name is: one that was moved before has it. (Once refused, the
 * other may be out of the journal.) */
static bool is_twin(const struct run *u, size_t record)
{
	const struct delayed_record *r = delayed_at(u->d, record);

	if (!delayed_is_folded(delayed_root(u->d), r))
		return false;
	if (r->status == (uint32_t)NTSTATUS_NAME_COLLISION)
		return true; /* refused before, and the name is still taken */
	for (size_t n = 0; n < record; n++) {
		const struct delayed_record *have = delayed_at(u->d, n);

		if (have->kind == DELAYED_MOVE && !have->list &&
		    (have->state == DELAYED_DONE ||
		     have->state == DELAYED_STARTED) &&
		    !strcasecmp(have->path, r->path))
			return true;
	}
	return false;
}

/* What was refused and may be a directory: what was to go below it is. */
static int note_refused(struct run *u, size_t record)
{
	size_t *more;

	if (delayed_at(u->d, record)->checked)
		return 0;
	more = realloc(u->refused, (u->refused_count + 1) * sizeof(*more));
	if (!more)
		return REEL_ENOMEM;
	u->refused = more;
	u->refused[u->refused_count++] = record;
	return 0;
}

static void tell(struct run *u, const struct delayed_record *r, uint32_t status)
{
	if (status)
		u->report->failed++;
	else
		u->report->done++;
	if (stops(r, status))
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

		status[n] = is_below_refused(u, r) || is_twin(u, u->members[n])
				    ? (uint32_t)NTSTATUS_NAME_COLLISION
				    : delayed_act(delayed_root(u->d), r,
						  u->again[n], &dirty);
		stop = stops(r, status[n]);
	}
	put_back(u, n);
	error = delayed_settle(&dirty);
	if (error)
		log_error("what was done cannot be made durable: %s",
			  error_text(error));
	for (size_t i = 0; !error && i < n; i++) {
		struct delayed_record *r = delayed_turn(u->d, u->members[i]);

		error = delayed_ended(u->d, r, status[i]);
		if (!error && is_refused(r, status[i]))
			error = note_refused(u, u->members[i]);
		if (!error)
			tell(u, r, status[i]);
	}
	return error ? error : delayed_sync(u->d);
}

static int foresee_all(struct run *u)
{
	int error = 0;

	for (; u->next < delayed_count(u->d) && !u->report->stopped && !error;
	     u->next++) {
		const struct delayed_record *r = delayed_at(u->d, u->next);
		uint32_t status = (uint32_t)NTSTATUS_NAME_COLLISION;

		if (is_over(r))
			continue;
		if (!reachable(u, r))
			return 0;
		if (!is_below_refused(u, r))
			status = delayed_foresee(delayed_root(u->d), r);
		if (is_refused(r, status))
			error = note_refused(u, u->next);
		tell(u, r, status);
	}
	return error;
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
		error = foresee_all(&u);
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
	free(u.refused);
	if (error)
		return error;
	count_waiting(&u);
	*out = report;
	return 0;
}
