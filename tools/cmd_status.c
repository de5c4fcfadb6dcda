#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "fs/live.h"
#include "tape/error.h"
#include "tools/figures.h"
#include "tools/json.h"
#include "tools/options.h"
#include "tools/status.h"
#include "tools/target.h"

/* Keys of a status in the order shown; those that a mount did not say are
 * left out. */
static const struct {
	const char *key, *json;
	bool text;
} keys[] = {
	{"state", "state", true},
	{"base", "base", false},
	{"names", "names", false},
	{"bytes", "size", false},
	{"done-names", "done_names", false},
	{"done-bytes", "done_size", false},
	{"commit-ended", "commit_ended", true},
	{"commit-result", "commit_result", true},
	{"commit-exit", "commit_exit", false},
	{"commit-snapshot", "commit_name", true},
	{"commit-session", "commit_session", false},
	{"commit-added", "commit_added", false},
	{"commit-changed", "commit_changed", false},
	{"commit-removed", "commit_removed", false},
	{"commit-new-bytes", "commit_new_size", false},
	{"commit-stored", "commit_stored", false},
	{"commit-left-out", "commit_excluded", false},
	{"commit-problems", "commit_problems", false},
};

static void say_json(const struct status *s)
{
	struct json j = {0};

	json_begin(&j);
	for (size_t n = 0; n < sizeof(keys) / sizeof(keys[0]); n++) {
		char *value = status_get(s, keys[n].key);

		if (value && keys[n].text)
			json_text(&j, keys[n].json, value);
		else if (value)
			json_number(&j, keys[n].json,
				    strtoull(value, NULL, 10));
		free(value);
	}
	json_end(&j);
}

static void say_last(const struct status *s)
{
	char *result = status_get(s, "commit-result");
	char *name = status_get(s, "commit-snapshot");
	char *when = status_get(s, "commit-ended");
	char text[FIGURE_SIZE];

	if (result)
		printf("last commit: %s%s%s, %s\n", result, name ? ", " : "",
		       name ? name : "",
		       figure_local(strtoll(when ? when : "0", NULL, 10) *
					    1000000000,
				    text));
	free(result);
	free(name);
	free(when);
}

static void say_text(const struct status *s)
{
	char *state = status_get(s, "state");
	char bytes[FIGURE_SIZE];

	printf("%s; %" PRIu64 " names to commit, %s in the spool\n",
	       state ? state : "?", status_number(s, "names"),
	       figure_human(status_number(s, "bytes"), bytes));
	if (state && !strcmp(state, "committing"))
		printf("%" PRIu64 " names, %s done\n",
		       status_number(s, "done-names"),
		       figure_human(status_number(s, "done-bytes"), bytes));
	say_last(s);
	if (status_number(s, "commit-left-out"))
		printf("%" PRIu64 " left out by rules\n",
		       status_number(s, "commit-left-out"));
	free(state);
}

static int run(const struct command *self, int argc, char **argv)
{
	bool json = false, verbose = false;
	const struct option_spec specs[] = {
		{"verbose", 'v', OPTION_FLAG, &verbose, NULL,
		 "name what rules left out of the last commit"},
		{"json", 0, OPTION_FLAG, &json, NULL, "one object"},
		{0}};
	struct status s;
	int status;

	if (!options_parse(self, specs, 1, 1, &argc, &argv, &status))
		return status;
	status = error_exit(status_read(argv[0], false, &s));
	if (status)
		return status;
	if (json)
		say_json(&s);
	else
		say_text(&s);
	if (verbose)
		status_say_left_out(&s);
	status_release(&s);
	return 0;
}

const struct command command_status = {
	.name = "status",
	.synopsis = "MNT",
	.summary = "what waits in current/, and how the last commit went",
	.run = run,
};
