#include "tools/drop_report.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tape/text.h"
#include "tools/figures.h"
#include "tools/json.h"

#define LISTED 20 /* names of one kind */

bool drop_report_read(const char *mountpoint, struct drop_report *out)
{
	*out = (struct drop_report){0};
	if (status_read_restore(mountpoint, &out->counts))
		return false;
	if (status_read_names(mountpoint, &out->names))
		out->names.text = NULL;
	return true;
}

void drop_report_release(struct drop_report *r)
{
	if (r->counts.text)
		status_release(&r->counts);
	if (r->names.text)
		status_release(&r->names);
}

/* ---- a line ---- */

struct told {
	const char *action, *path, *rule;
	size_t action_length, path_length, rule_length;
};

/* The next line of *at, or false. */
static bool next_told(const char **at, struct told *t)
{
	const char *end = *at ? strchr(*at, '\n') : NULL;

	if (!end)
		return false;
	t->action = *at;
	t->action_length = strcspn(t->action, "\t\n");
	t->path = t->action + t->action_length +
		  (t->action[t->action_length] == '\t');
	t->path_length = strcspn(t->path, "\t\n");
	t->rule = t->path + t->path_length + (t->path[t->path_length] == '\t');
	t->rule_length = (size_t)(end - t->rule);
	*at = end + 1;
	return true;
}

static void say_told(const struct told *t)
{
	char *path = text_name(t->path, t->path_length);
	char *rule = text_name(t->rule, t->rule_length);

	printf("%-9.*s %s  (%s)\n", (int)t->action_length, t->action,
	       path ? path : "?", rule ? rule : "?");
	free(path);
	free(rule);
}

static void say_names(const struct drop_report *r, const char *action, bool all)
{
	const char *at = r->names.text;
	unsigned count = 0;
	struct told t;

	while (next_told(&at, &t)) {
		if (strlen(action) != t.action_length ||
		    strncmp(t.action, action, t.action_length) != 0)
			continue;
		if (all || count < LISTED)
			say_told(&t);
		count++;
	}
	if (!all && count > LISTED)
		printf("%-9s and %u more (`reel status -v` names them all)\n",
		       action, count - LISTED);
}

void drop_report_say(const struct drop_report *r, bool all)
{
	const struct status *s = &r->counts;
	char *target = status_get(s, "restore-target");
	char *area = status_get(s, "kept-area");
	char bytes[FIGURE_SIZE];

	say_names(r, "kept", all);
	say_names(r, "delayed", all);
	say_names(r, "excluded", all);
	printf("restore/ is %s; %" PRIu64 " names kept, %" PRIu64
	       " delayed until the next boot, %" PRIu64 " left out\n",
	       target ? target : "?", status_number(s, "restore-kept"),
	       status_number(s, "restore-delayed"),
	       status_number(s, "restore-excluded"));
	if (status_number(s, "kept-files"))
		printf("%" PRIu64 " files, %s, that the set does not have are "
		       "kept in %s\n",
		       status_number(s, "kept-files"),
		       figure_human(status_number(s, "kept-bytes"), bytes),
		       area ? area : "?");
	if (status_number(s, "kept-earlier"))
		printf("what earlier mounts kept is beside it\n");
	free(target);
	free(area);
}

void drop_report_json(const struct drop_report *r)
{
	const char *at = r->names.text;
	struct told t;

	while (next_told(&at, &t)) {
		char *action = strndup(t.action, t.action_length);
		struct json j = {0};

		json_begin(&j);
		json_text(&j, "action", action ? action : "");
		json_bytes(&j, "path", t.path, t.path_length);
		json_bytes(&j, "rule", t.rule, t.rule_length);
		json_end(&j);
		free(action);
	}
}
