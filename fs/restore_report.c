/* What a restore says of single names. */
#include "fs/restore_place.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tape/log.h"
#include "tape/text.h"

#define SAID_OF_A_KIND 20

static void tell(struct restore *r, const char *path,
		 const struct plan_verdict *v)
{
	const struct restore_options *o = r->options;
	struct restore_event e = {.action = v->action,
				  .path = *path ? path : ".",
				  .rule = v->rule,
				  .why = v->why};

	pthread_mutex_lock(&r->telling);
	o->event(o->context, &e);
	pthread_mutex_unlock(&r->telling);
}

static bool is_told(const struct restore *r, enum plan_action action)
{
	if (!r->options->event)
		return false;
	return r->options->every ||
	       (action != PLAN_NEW && action != PLAN_SAME &&
		action != PLAN_CHANGED);
}

void restore_tell_path(struct restore *r, const char *path,
		       const struct plan_verdict *v)
{
	atomic_fetch_add(&r->told[v->action], 1);
	if (is_told(r, v->action))
		tell(r, path, v);
}

void restore_tell(struct restore *r, const struct place *p, const char *name,
		  const struct plan_verdict *v)
{
	char *path;

	atomic_fetch_add(&r->told[v->action], 1);
	if (!is_told(r, v->action))
		return;
	path = place_path(p, name);
	if (path)
		tell(r, path, v);
	free(path);
}

static void say(const char *path, const char *why)
{
	char *text = text_name(path, strlen(path));

	log_warning("%s: %s", text && *text ? text : ".", why);
	free(text);
}

void restore_problem(struct restore *r, enum restore_problem kind,
		     const struct place *p, const char *name, const char *what,
		     int err)
{
	unsigned long long n = atomic_fetch_add(&r->kinds[kind], 1);
	struct plan_verdict v = {.action = PLAN_FAILED, .why = what};
	bool silent = kind != PROBLEM_OTHER && n >= SAID_OF_A_KIND;
	char *path, *why = NULL;

	atomic_fetch_add(&r->problems, 1);
	if (silent && n == SAID_OF_A_KIND)
		log_warning("more of this kind are not listed here (--report "
			    "FILE has them all): %s",
			    what);
	if (silent && !r->options->event)
		return;
	path = place_path(p, name);
	if (!path)
		return;
	if (err && asprintf(&why, "%s: %s", what, strerror(err)) >= 0)
		v.why = why;
	if (!silent)
		say(path, v.why);
	if (r->options->event)
		tell(r, path, &v);
	free(why);
	free(path);
}

void restore_lost(struct restore *r, const struct place *p, const char *name)
{
	const struct plan_verdict v = {.action = PLAN_FAILED,
				       .why = "its directory was not restored"};
	char *path;

	atomic_fetch_add(&r->problems, 1);
	if (!r->options->event)
		return;
	path = place_path(p, name);
	if (path)
		tell(r, path, &v);
	free(path);
}

void restore_lost_below(const struct place *p, unsigned long long count)
{
	char *path = count ? place_path(p, NULL) : NULL;
	char *text = path ? text_name(path, strlen(path)) : NULL;

	if (text)
		log_warning("%s: nor was what is below it restored, names: "
			    "%llu (--report FILE has them all)",
			    text, count);
	free(text);
	free(path);
}

void restore_touched(struct restore *r, const struct place *p, const char *name)
{
	if (p->system || (!p->up && system_name(name, strlen(name))))
		atomic_store_explicit(&r->system, true, memory_order_relaxed);
}
