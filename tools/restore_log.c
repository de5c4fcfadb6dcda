#include "tools/restore_log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "tape/error.h"
#include "tape/log.h"
#include "tape/text.h"
#include "tools/json.h"

int restore_log_open(struct restore_log *l, const char *report)
{
	if (!report)
		return 0;
	l->file = fopen(report, "we");
	if (l->file)
		return 0;
	log_error("%s: cannot be written: %s", report, strerror(errno));
	return error_from_errno(errno);
}

static void say_json(FILE *to, const struct restore_event *e)
{
	struct json j;

	json_begin_at(&j, to);
	json_text(&j, "action", plan_action_name(e->action));
	json_bytes(&j, "path", e->path, strlen(e->path));
	if (e->rule) {
		json_bytes(&j, "rule", e->rule->text, strlen(e->rule->text));
		json_number(&j, "line", e->rule->line);
	}
	if (e->why)
		json_text(&j, "why", e->why);
	json_end(&j);
}

/* "kept      etc/passwd  (preserve /etc/passwd, line 3)" */
static char *line_of(const struct restore_event *e)
{
	char *path = text_name(e->path, strlen(e->path));
	char *rule = e->rule ? text_name(e->rule->text, strlen(e->rule->text))
			     : NULL;
	char *line = NULL;
	int n;

	if (e->rule)
		n = asprintf(&line, "%-9s %s  (%s%s%s, line %u)",
			     plan_action_name(e->action), path ? path : "?",
			     e->why ? e->why : "", e->why ? ": " : "",
			     rule ? rule : "?", e->rule->line);
	else
		n = asprintf(&line, "%-9s %s%s%s%s",
			     plan_action_name(e->action), path ? path : "?",
			     e->why ? "  (" : "", e->why ? e->why : "",
			     e->why ? ")" : "");
	free(path);
	free(rule);
	return n < 0 ? NULL : line;
}

void restore_log_event(struct restore_log *l, const struct restore_event *e)
{
	unsigned n = l->count[e->action]++;
	char *line = NULL;

	if (l->file)
		say_json(l->file, e);
	if (l->json || (l->problems && e->action == PLAN_FAILED)) {
		say_json(stdout, e);
		return;
	}
	if (!l->lines && n >= RESTORE_LOG_KEPT)
		return;
	line = line_of(e);
	if (line && l->lines)
		puts(line);
	if (n < RESTORE_LOG_KEPT) {
		l->listed[e->action][n] = line;
		line = NULL;
	}
	free(line);
}

void restore_log_lists(const struct restore_log *l)
{
	static const enum plan_action listed[] = {PLAN_KEPT, PLAN_DELAYED,
						  PLAN_EXCLUDED, PLAN_EXTRA};

	if (l->lines || l->json)
		return;
	for (size_t k = 0; k < sizeof(listed) / sizeof(listed[0]); k++) {
		unsigned count = l->count[listed[k]];

		for (unsigned n = 0; n < count && n < RESTORE_LOG_KEPT; n++)
			if (l->listed[listed[k]][n])
				puts(l->listed[listed[k]][n]);
		if (count > RESTORE_LOG_KEPT)
			printf("%-9s and %u more (--report FILE has them "
			       "all)\n",
			       plan_action_name(listed[k]),
			       count - RESTORE_LOG_KEPT);
	}
}

int restore_log_close(struct restore_log *l, const char *report)
{
	int error = 0;

	for (int a = 0; a < PLAN_ACTIONS; a++)
		for (unsigned n = 0; n < RESTORE_LOG_KEPT; n++)
			free(l->listed[a][n]);
	if (l->file && (ferror(l->file) | fclose(l->file))) {
		error = error_from_errno(errno ? errno : EIO);
		log_error("%s: the report could not be written: %s", report,
			  error_text(error));
	}
	return error;
}
