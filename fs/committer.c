#include "fs/committer.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "catalog/tapes.h"
#include "tape/error.h"
#include "tape/log.h"
#include "tape/stop.h"
#include "tape/text.h"

#define RETRY 60 /* seconds, after a commit by the clock has failed */

struct asked {
	struct asked *next;
	bool withdrawn;
	char *label; /* may be NULL */
	committer_done done;
	void *context;
};

struct committer {
	struct set *set;
	struct live *live;
	const struct mount_options *options;
	pthread_t thread;
	pthread_mutex_t lock; /* of all below */
	pthread_cond_t changed;
	struct asked *first, **last; /* wait for the next commit */
	struct asked *served;	     /* for the one under way */
	volatile int stop;
	volatile int give_up; /* the commit under way */
	bool running;
	struct commit_progress progress;
	/* of the commit that ended last */
	struct commit_result result;
	bool ended;
	int error;
	int64_t when;		/* ns; it ended */
	struct buffer excluded; /* lines: rule, tab, path */
};

/* ---- one commit ---- */

static void note_progress(void *context, const struct commit_progress *p)
{
	struct committer *c = context;

	pthread_mutex_lock(&c->lock);
	c->progress = *p;
	pthread_mutex_unlock(&c->lock);
}

static void note_excluded(void *context, const char *path, const char *rule)
{
	struct committer *c = context;

	pthread_mutex_lock(&c->lock);
	if (c->excluded.length < (1u << 15))
		buffer_printf(&c->excluded, "left-out %s\t%s\n", path, rule);
	pthread_mutex_unlock(&c->lock);
}

static int commit(struct committer *c, const char *label)
{
	struct commit_options o = {.label = label,
				   .progress = note_progress,
				   .excluded = note_excluded,
				   .context = c,
				   .stop = &c->give_up};
	struct commit_result result;
	int error;

	pthread_mutex_lock(&c->lock);
	c->running = true;
	c->progress = (struct commit_progress){0};
	c->excluded.length = 0;
	pthread_mutex_unlock(&c->lock);
	error = commit_run(c->live, c->set->path, &o, &result);
	if (error && error != REEL_ESTOPPED)
		log_error("%s: the commit failed: %s; what was written stays "
			  "in the spool, and the next commit takes it",
			  c->set->path, error_text(error));
	pthread_mutex_lock(&c->lock);
	c->running = false;
	c->ended = true;
	c->error = error;
	c->result = result;
	c->when = live_now();
	pthread_mutex_unlock(&c->lock);
	return error;
}

/* ---- the thread ---- */

static int64_t seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

/* Whether the clock or the size of the spool asks for a commit. */
static bool is_due(struct committer *c, int64_t since)
{
	const struct mount_options *o = c->options;
	uint64_t written;

	if (!live_is_dirty(c->live, &written))
		return false;
	if (o->commit && seconds() - since >= o->commit)
		return true;
	return o->spool_size && written > o->spool_size;
}

/* Everybody who asked so far; waits a second at most. Under lock. */
static struct asked *take_asked(struct committer *c)
{
	struct asked *all;
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec++;
	if (!c->first && !c->stop)
		pthread_cond_timedwait(&c->changed, &c->lock, &until);
	all = c->first;
	c->first = NULL;
	c->last = &c->first;
	c->served = all;
	stop_set(&c->give_up, c->stop);
	return all;
}

/* Under lock. */
static bool all_withdrawn(const struct asked *a)
{
	while (a && a->withdrawn)
		a = a->next;
	return !a;
}

static void answer(struct asked *all, int error)
{
	while (all) {
		struct asked *a = all;

		all = a->next;
		a->done(a->context, error);
		free(a->label);
		free(a);
	}
}

static void *run(void *context)
{
	struct committer *c = context;
	int64_t since = seconds(), pause = 0;

	pthread_mutex_lock(&c->lock);
	while (!c->stop) {
		struct asked *all = take_asked(c);
		int error = 0;

		pthread_mutex_unlock(&c->lock);
		if (all || (seconds() >= pause && is_due(c, since))) {
			error = commit(c, all ? all->label : NULL);
			since = seconds();
			pause = error ? since + RETRY : 0;
		}
		pthread_mutex_lock(&c->lock);
		c->served = NULL;
		pthread_mutex_unlock(&c->lock);
		answer(all, error);
		pthread_mutex_lock(&c->lock);
	}
	answer(c->first, REEL_ESTOPPED);
	c->first = NULL;
	pthread_mutex_unlock(&c->lock);
	return NULL;
}

int committer_new(struct set *set, struct live *live,
		  const struct mount_options *o, struct committer **out)
{
	struct committer *c = calloc(1, sizeof(*c));

	if (!c)
		return REEL_ENOMEM;
	c->set = set;
	c->live = live;
	c->options = o;
	c->last = &c->first;
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->changed, NULL);
	if (pthread_create(&c->thread, NULL, run, c)) {
		committer_free(c);
		return REEL_ENOMEM;
	}
	*out = c;
	return 0;
}

void committer_stop(struct committer *c)
{
	if (!c)
		return;
	pthread_mutex_lock(&c->lock);
	stop_set(&c->stop, 1);
	stop_set(&c->give_up, 1);
	pthread_cond_signal(&c->changed);
	pthread_mutex_unlock(&c->lock);
	pthread_join(c->thread, NULL);
}

void committer_free(struct committer *c)
{
	if (!c)
		return;
	buffer_release(&c->excluded);
	pthread_cond_destroy(&c->changed);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

int committer_ask(struct committer *c, const char *label, committer_done done,
		  void *context)
{
	struct asked *a = calloc(1, sizeof(*a));

	if (a && *label)
		a->label = strdup(label);
	if (!a || (*label && !a->label)) {
		free(a);
		return REEL_ENOMEM;
	}
	a->done = done;
	a->context = context;
	pthread_mutex_lock(&c->lock);
	*c->last = a;
	c->last = &a->next;
	pthread_cond_signal(&c->changed);
	pthread_mutex_unlock(&c->lock);
	return 0;
}

/* The first in the queue leaves it. Under lock. */
static struct asked *leave(struct committer *c)
{
	struct asked *gone = c->first;

	if (!gone)
		return NULL;
	c->first = gone->next;
	if (!c->first)
		c->last = &c->first;
	gone->next = NULL;
	return gone;
}

void committer_withdraw(struct committer *c)
{
	struct asked *gone = NULL, *a;

	pthread_mutex_lock(&c->lock);
	a = c->served;
	while (a && a->withdrawn)
		a = a->next;
	if (a)
		a->withdrawn = true;
	else
		gone = leave(c);
	if (a && all_withdrawn(c->served))
		stop_set(&c->give_up, 1);
	pthread_mutex_unlock(&c->lock);
	answer(gone, REEL_ESTOPPED);
}

/* ---- status ---- */

static int put_number(struct buffer *out, const char *key, uint64_t value)
{
	return buffer_printf(out, "%s %llu\n", key, (unsigned long long)value);
}

static int put_last(struct committer *c, struct buffer *out)
{
	const struct commit_result *r = &c->result;
	int error = buffer_printf(out, "commit-ended %lld.%09lld\n",
				  (long long)(c->when / 1000000000),
				  (long long)(c->when % 1000000000));

	if (!error)
		error = buffer_printf(out, "commit-result %s\n",
				      c->error ? error_text(c->error) : "done");
	if (!error)
		error = put_number(out, "commit-exit",
				   (uint64_t)error_exit(c->error));
	if (!error && r->session)
		error = buffer_printf(out, "commit-snapshot %s\n", r->name);
	if (!error)
		error = put_number(out, "commit-session", r->session);
	if (!error)
		error = put_number(out, "commit-added", r->added);
	if (!error)
		error = put_number(out, "commit-changed", r->changed);
	if (!error)
		error = put_number(out, "commit-removed", r->removed);
	if (!error)
		error = put_number(out, "commit-new-bytes", r->new_bytes);
	if (!error)
		error = put_number(out, "commit-stored", r->stored);
	if (!error)
		error = put_number(out, "commit-problems", r->problems);
	if (!error)
		error = put_number(out, "commit-left-out", r->excluded);
	if (!error && c->excluded.length)
		error = buffer_append(out, c->excluded.data,
				      c->excluded.length);
	return error;
}

/* "needed cartridge daily-0002 ... is needed" for each wait. */
static int put_needed(const struct set *set, struct buffer *out)
{
	struct buffer text = {0};
	int error = tapes_needed(set, &text);
	char *rest, *line;

	if (!error)
		error = buffer_append(&text, "", 1);
	rest = error ? NULL : (char *)text.data;
	while (!error && (line = strsep(&rest, "\n")))
		if (*line)
			error = buffer_printf(out, "needed %s\n", line);
	buffer_release(&text);
	return error;
}

int committer_status(struct committer *c, struct buffer *out)
{
	struct live_count count;
	int error = live_count(c->live, &count);

	pthread_mutex_lock(&c->lock);
	if (!error)
		error = buffer_printf(out, "state %s\n",
				      c->running ? "committing" : "idle");
	if (!error)
		error = buffer_printf(out, "log %s/mount.log\n", c->set->path);
	if (!error)
		error = put_needed(c->set, out);
	if (!error)
		error = put_number(out, "base", count.base);
	if (!error)
		error = put_number(out, "names", count.names);
	if (!error)
		error = put_number(out, "bytes", count.bytes);
	if (!error && c->running)
		error = put_number(out, "done-names", c->progress.names);
	if (!error && c->running)
		error = put_number(out, "done-bytes", c->progress.bytes);
	if (!error && c->ended)
		error = put_last(c, out);
	pthread_mutex_unlock(&c->lock);
	return error;
}
