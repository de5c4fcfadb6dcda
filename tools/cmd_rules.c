#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "catalog/rules_file.h"
#include "fs/plan.h"
#include "tape/error.h"
#include "tape/text.h"
#include "tools/excludes.h"
#include "tools/json.h"
#include "tools/options.h"
#include "tools/target.h"

/* ---- check ---- */

static const char *shown_file(const struct target *t, char *room, size_t size)
{
	snprintf(room, size, "%s/rules", t->name);
	return room;
}

static void say_hints(const struct rules *r, const char *file)
{
	unsigned hints = 0;

	for (uint32_t n = 0; n < r->count; n++) {
		const struct rule *rule = &r->rules[n];
		char *text = text_name(rule->text, strlen(rule->text));

		if (rule->hint)
			printf("%s:%u: %s: %s\n", file, rule->line,
			       text ? text : "?", rule->hint);
		hints += rule->hint != NULL;
		free(text);
	}
	printf("%s: %u %s, %u %s\n", file, (unsigned)r->count,
	       r->count == 1 ? "rule" : "rules", hints,
	       hints == 1 ? "hint" : "hints");
}

static int run_check(const struct command *self, int argc, char **argv)
{
	const struct option_spec specs[] = {{0}};
	struct rules rules = {0};
	struct target t = {0};
	char room[4200];
	const char *file;
	int status, error = 0;

	if (!options_parse(self, specs, 1, 1, &argc, &argv, &status))
		return status;
	if (target_is_set(argv[0])) {
		error = target_open_whole(&t, argv[0], SET_READ, false);
		if (error)
			return error_exit(error);
		file = shown_file(&t, room, sizeof(room));
		error = rules_file_load(t.set, NULL, &rules);
		if (!error)
			say_hints(&rules, file);
		target_close(&t);
	} else {
		error = rules_file_load(NULL, argv[0], &rules);
		if (!error)
			say_hints(&rules, argv[0]);
	}
	rules_release(&rules);
	return error_exit(error);
}

const struct command command_rules_check = {
	.name = "rules check",
	.synopsis = "SET|FILE",
	.summary = "look a set's rules over",
	.details = "Says what is wrong with each line, and what its author may "
		   "not have meant.\n",
	.run = run_check,
};

/* ---- test ---- */

struct verdict {
	const struct rule *rule; /* NULL: none fits */
	size_t length;		 /* of the part of the path that it fits */
};

/* As a walk meets the path: its directories first. */
static struct verdict judge(const struct rules *r, const char *path,
			    bool directory)
{
	struct rules_place place = {0};
	struct verdict v = {0};
	size_t whole = strlen(path);

	while (v.length < whole && !rule_excludes(v.rule)) {
		v.length += v.length > 0;
		v.length += strcspn(path + v.length, "/");
		v.rule = rules_judge(r, place, path, v.length,
				     v.length < whole || directory, &place);
	}
	return v;
}

static void say_verdict(const struct target *t, const char *path,
			const struct verdict *v)
{
	const struct rule *rule = v->rule;
	char *shown = text_name(path, strlen(path));
	char *text = rule ? text_name(rule->text, strlen(rule->text)) : NULL;
	char *above =
		v->length < strlen(path) ? text_name(path, v->length) : NULL;

	printf("%s: %s: ", shown ? shown : "?",
	       rule_excludes(rule) ? "left out" : "stored");
	if (!rule)
		printf("no rule fits");
	else if (rule->line)
		printf("%s/rules:%u: %s", t->name, rule->line,
		       text ? text : "?");
	else
		printf("--exclude: %s", text ? text : "?");
	if (above)
		printf(" (fits %s)", above);
	printf("\n");
	free(shown);
	free(text);
	free(above);
}

static void say_rule(struct json *j, const char *key, const struct rule *rule)
{
	if (rule)
		json_bytes(j, key, rule->text, strlen(rule->text));
}

static void say_json(const char *path, const struct verdict *v,
		     const struct plan_opinion *o)
{
	struct json j;

	json_begin(&j);
	json_bytes(&j, "path", path, strlen(path));
	json_bool(&j, "stored", !rule_excludes(v->rule));
	if (v->rule) {
		json_number(&j, "line", v->rule->line);
		json_bytes(&j, "rule", v->rule->text, strlen(v->rule->text));
		json_bytes(&j, "fits", path, v->length);
	}
	say_rule(&j, "not_restored", o->exclude);
	say_rule(&j, "keep", o->keep);
	say_rule(&j, "delay", o->delay);
	json_end(&j);
}

/* ---- what a restore does ---- */

/* As it meets the path; a preserved or excluded directory ends it. */
static struct plan_opinion opinion_of(const struct rules *r, const char *path,
				      bool directory)
{
	const struct plan p = {.rules = r};
	struct plan_place above = {0}, below;
	struct plan_opinion o = {0};
	size_t length = 0, whole = strlen(path);

	while (length < whole && !o.exclude &&
	       !(o.keep && o.keep->verb == RULE_PRESERVE)) {
		length += length > 0;
		length += strcspn(path + length, "/");
		plan_opine(&p, &above, path, length,
			   length < whole || directory ? S_IFDIR : S_IFREG, 0,
			   &o, &below);
		above = below;
	}
	return o;
}

static const char *effect_of(const struct rule *rule)
{
	switch (rule->verb) {
	case RULE_PRESERVE:
		return "a restore keeps what is there";
	case RULE_MERGE:
		return "a restore keeps it if it is there";
	case RULE_DELAY:
		return "restored at the next boot";
	default:
		return "not restored";
	}
}

/* What was not said already. */
static void say_opinion(const struct target *t, const char *path,
			const struct verdict *v, const struct plan_opinion *o)
{
	const struct rule *rules[] = {o->exclude, o->keep, o->delay};
	char *shown;

	if (o->exclude && o->exclude == v->rule)
		return;
	shown = text_name(path, strlen(path));
	for (int n = 0; n < 3; n++) {
		char *text;

		if (!rules[n])
			continue;
		text = text_name(rules[n]->text, strlen(rules[n]->text));
		if (rules[n]->line)
			printf("%s: %s: %s/rules:%u: %s\n", shown ? shown : "?",
			       effect_of(rules[n]), t->name, rules[n]->line,
			       text ? text : "?");
		free(text);
		if (n == 0 || rules[n]->verb == RULE_PRESERVE)
			break;
	}
	free(shown);
}

static int test(struct target *t, const struct rules *r, int count,
		char **paths, bool json)
{
	int error = 0;

	for (int n = 0; !error && n < count; n++) {
		size_t length = strlen(paths[n]);
		bool directory = length && paths[n][length - 1] == '/';
		struct plan_opinion o;
		struct verdict v;
		char *path;

		error = target_path(paths[n], &path);
		if (error)
			break;
		v = judge(r, path, directory);
		o = opinion_of(r, path, directory);
		if (json) {
			say_json(path, &v, &o);
		} else {
			say_verdict(t, path, &v);
			say_opinion(t, path, &v, &o);
		}
		free(path);
	}
	return error;
}

static int run_test(const struct command *self, int argc, char **argv)
{
	struct option_list excludes = {0};
	bool json = false;
	const struct option_spec specs[] = {
		{"exclude", 0, OPTION_LIST, &excludes, "PATTERN",
		 "one more rule, behind the others"},
		{"json", 0, OPTION_FLAG, &json, NULL, "an object for each"},
		{0}};
	struct rules rules = {0};
	struct target t;
	int status, error;

	if (!options_parse(self, specs, 2, -1, &argc, &argv, &status))
		return status;
	error = target_open_whole(&t, argv[0], SET_READ, false);
	if (error)
		return error_exit(error);
	error = rules_file_load(t.set, NULL, &rules);
	if (!error)
		error = excludes_add(&rules, &excludes);
	if (!error)
		error = rules_seal(&rules);
	if (!error)
		error = test(&t, &rules, argc - 1, argv + 1, json);
	rules_release(&rules);
	target_close(&t);
	return error_exit(error);
}

const struct command command_rules_test = {
	.name = "rules test",
	.synopsis = "SET PATH... [--exclude PATTERN]... [--json]",
	.summary = "say which rule decides about a path, and why",
	.details = "A path with / at its end is a directory. Only patterns are "
		   "looked at; what\nexclude-if-present and exclude-nodump say "
		   "depends on the files.\n",
	.run = run_test,
};
