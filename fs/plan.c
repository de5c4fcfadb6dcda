#include "fs/plan.h"

#include <string.h>
#include <sys/stat.h>

bool plan_has_rules(const struct plan *p)
{
	const struct rules *r = p->rules;

	return r && (r->index[RULES_STORING] || r->index[RULES_KEEPING] ||
		     r->index[RULES_DELAYING]);
}

void plan_opine(const struct plan *p, const struct plan_place *above,
		const char *path, size_t length, mode_t wanted, mode_t present,
		struct plan_opinion *out, struct plan_place *below)
{
	const struct rules *r = p->rules;
	bool directory = S_ISDIR(wanted) || (!wanted && S_ISDIR(present));
	bool either = S_ISDIR(wanted) || S_ISDIR(present);

	*out = (struct plan_opinion){0};
	*below = *above;
	if (!r)
		return;
	out->exclude = rules_decide(r, RULES_RESTORING, above->restoring, path,
				    length, directory, &below->restoring);
	if (!rule_excludes(out->exclude))
		out->exclude = NULL;
	out->unstored = rules_decide(r, RULES_STORING, above->storing, path,
				     length, directory, &below->storing);
	if (!rule_excludes(out->unstored))
		out->unstored = NULL;
	out->keep = rules_decide(r, RULES_KEEPING, above->keeping, path, length,
				 either, &below->keeping);
	if (!out->keep)
		out->keep = above->merge;
	out->delay = rules_decide(r, RULES_DELAYING, above->delaying, path,
				  length, either, &below->delaying);
	if (!out->delay)
		out->delay = above->delay;
	below->merge = out->keep;
	below->delay = out->delay;
}

static void judged(struct plan_verdict *out, enum plan_action action,
		   const struct rule *rule, const char *why)
{
	*out = (struct plan_verdict){action, rule, why};
}

static void decide_extra(const struct plan_opinion *o, struct plan_verdict *out)
{
	if (o->keep)
		judged(out, PLAN_KEPT, o->keep, NULL);
	else if (o->delay)
		judged(out, PLAN_DELAYED, o->delay, NULL);
	else
		judged(out, PLAN_EXTRA, NULL, NULL);
}

/* NULL, or why the options let stay what is there. */
static const char *spared(const struct plan *p, const struct plan_subject *s)
{
	if (p->overwrite == OVERWRITE_NEVER)
		return "--overwrite never";
	if (p->overwrite == OVERWRITE_NEWER && !s->later)
		return "--overwrite newer";
	return NULL;
}

void plan_decide(const struct plan *p, const struct plan_opinion *o,
		 const struct plan_subject *s, struct plan_verdict *out)
{
	bool there = s->present && !s->unfinished;
	const char *why = there && s->wanted ? spared(p, s) : NULL;

	if (o->exclude)
		judged(out, PLAN_EXCLUDED, o->exclude, NULL);
	else if (o->keep &&
		 (o->keep->verb == RULE_PRESERVE || (there && s->wanted)))
		judged(out, PLAN_KEPT, o->keep, NULL);
	else if (!s->wanted)
		decide_extra(o, out);
	else if (why && s->same && s->identical)
		judged(out, PLAN_SAME, NULL, why);
	else if (why)
		judged(out, PLAN_KEPT, NULL, why);
	else if (there && s->same)
		judged(out, PLAN_SAME, NULL, NULL);
	else if (o->delay)
		judged(out, PLAN_DELAYED, o->delay, NULL);
	else
		judged(out, s->present ? PLAN_CHANGED : PLAN_NEW, NULL, NULL);
}

const char *plan_action_name(enum plan_action action)
{
	static const char *const names[PLAN_ACTIONS] = {
		[PLAN_NEW] = "new",	    [PLAN_SAME] = "same",
		[PLAN_CHANGED] = "changed", [PLAN_KEPT] = "kept",
		[PLAN_DELAYED] = "delayed", [PLAN_EXCLUDED] = "excluded",
		[PLAN_EXTRA] = "extra",	    [PLAN_FAILED] = "failed",
	};

	return names[action];
}

bool plan_overwrite_parse(const char *text, enum plan_overwrite *out)
{
	static const char *const names[] = {"always", "newer", "never"};

	for (int n = 0; n < 3; n++) {
		if (!strcmp(text, names[n])) {
			*out = n;
			return true;
		}
	}
	return false;
}
