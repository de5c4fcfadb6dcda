#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "catalog/delayed_state.h"
#include "tape/error.h"
#include "tape/log.h"

#define RESULT_LIMIT (UINT64_C(2) << 30)

/* ---- progress ---- */

struct delayed_record *delayed_turn(struct delayed *d, size_t n)
{
	return &d->journal.records[n];
}

static int refuse(const struct delayed *d, const char *name, int error)
{
	log_error("%s/%s cannot be written: %s", d->name, name,
		  error_text(error));
	return error;
}

static int write_noted(struct delayed *d)
{
	size_t at = 0;

	while (at < d->noted.length) {
		ssize_t n = write(d->progress, d->noted.data + at,
				  d->noted.length - at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_from_errno(errno);
		at += (size_t)n;
	}
	d->noted.length = 0;
	return fdatasync(d->progress) ? error_from_errno(errno) : 0;
}

/* J3: the journal anew, so that progress begins with nothing. */
int delayed_begin(struct delayed *d)
{
	int error = delayed_write(d);

	if (error)
		return error;
	d->progress = openat(
		d->directory, DELAYED_PROGRESS,
		O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (d->progress < 0)
		error = error_from_errno(errno);
	if (!error)
		error = delayed_progress_begin(&d->journal, &d->noted);
	if (!error)
		error = write_noted(d);
	if (!error && fsync(d->directory))
		error = error_from_errno(errno);
	return error ? refuse(d, DELAYED_PROGRESS, error) : 0;
}

int delayed_started(struct delayed *d, struct delayed_record *r)
{
	int error = delayed_progress_started(r, &d->noted);

	if (!error)
		r->state = DELAYED_STARTED;
	return error ? refuse(d, DELAYED_PROGRESS, error) : 0;
}

int delayed_ended(struct delayed *d, struct delayed_record *r, uint32_t status)
{
	int error;

	r->status = status;
	r->state = status ? DELAYED_FAILED : DELAYED_DONE;
	error = delayed_progress_ended(r, &d->noted);
	return error ? refuse(d, DELAYED_PROGRESS, error) : 0;
}

int delayed_sync(struct delayed *d)
{
	int error = d->noted.length ? write_noted(d) : 0;

	return error ? refuse(d, DELAYED_PROGRESS, error) : 0;
}

/* ---- the end ---- */

static void judge(struct delayed_journal *result)
{
	result->result = 0;
	result->details = 0;
	for (size_t n = 0; n < result->count && !result->result; n++) {
		if (result->records[n].state != DELAYED_FAILED)
			continue;
		result->result = result->records[n].status;
		result->details = (uint32_t)n + 1;
	}
}

static int write_result(struct delayed *d)
{
	struct delayed_journal result = {.next = d->journal.next,
					 .records = d->journal.records,
					 .count = d->journal.count,
					 .finished = true};
	struct buffer text = {0};
	struct timespec now;
	int error;

	clock_gettime(CLOCK_REALTIME, &now);
	result.time = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
	judge(&result);
	error = delayed_journal_text(&result, &text);
	if (!error)
		error = delayed_replace(d->directory, DELAYED_RESULT, text.data,
					text.length);
	buffer_release(&text);
	return error ? refuse(d, DELAYED_RESULT, error) : 0;
}

static void take_out(struct delayed_journal *j, enum delayed_end end)
{
	size_t kept = 0;

	for (size_t n = 0; n < j->count; n++) {
		struct delayed_record *r = &j->records[n];

		if (r->state == DELAYED_DONE ||
		    (end == DELAYED_COMPLETE && r->state == DELAYED_FAILED &&
		     r->kind == DELAYED_SHORT_NAME))
			delayed_record_release(r);
		else
			j->records[kept++] = *r;
	}
	j->count = kept;
}

/* In this order: a cut anywhere leaves a journal with which the next run
 * comes to the same end. */
int delayed_finish(struct delayed *d, enum delayed_end end)
{
	bool changed;
	int error = delayed_sync(d);

	if (!error && d->journal.count && end != DELAYED_PENDING)
		error = write_result(d);
	if (!error)
		error = delayed_lists_update(d);
	if (error)
		return error; /* the next run finishes */
	if (end != DELAYED_PENDING)
		take_out(&d->journal, end);
	error = delayed_sweep(d, &changed);
	if (error)
		return error;
	error = delayed_lists_prune(d);
	if (!error)
		error = delayed_write(d);
	if (d->progress >= 0)
		close(d->progress);
	d->progress = -1;
	return error;
}

/* ---- the result ---- */

int delayed_outcome(const struct delayed *d, struct delayed_outcome *out)
{
	struct delayed_journal j = {0};
	struct buffer text = {0};
	int error = d->directory < 0
			    ? REEL_ENOENT
			    : delayed_read(d->directory, DELAYED_RESULT,
					   RESULT_LIMIT, &text);

	if (!error)
		error = delayed_journal_parse(text.data, text.length, &j);
	buffer_release(&text);
	if (!error && !j.finished)
		error = REEL_EDAMAGED;
	if (error) {
		if (error != REEL_ENOENT)
			log_error("%s/%s cannot be read: %s", d->name,
				  DELAYED_RESULT, error_text(error));
		delayed_journal_release(&j);
		return error;
	}
	out->result = j.result;
	out->details = j.details;
	out->time = j.time;
	out->records = j.records;
	out->count = j.count;
	j.records = NULL;
	j.count = 0;
	delayed_journal_release(&j);
	return 0;
}

void delayed_outcome_release(struct delayed_outcome *o)
{
	for (size_t n = 0; n < o->count; n++)
		delayed_record_release(&o->records[n]);
	free(o->records);
	memset(o, 0, sizeof(*o));
}
