#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "fs/live.h"
#include "tape/error.h"
#include "tape/log.h"
#include "tools/drop_report.h"
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

static const struct {
	const char *key, *json;
	bool text;
} restore_keys[] = {
	{"restore-target", "restore_target", true},
	{"restore-kept", "kept", false},
	{"restore-delayed", "delayed", false},
	{"restore-excluded", "excluded", false},
	{"kept-files", "kept_files", false},
	{"kept-bytes", "kept_size", false},
	{"kept-area", "kept_area", true},
};

static void put_key(struct json *j, const struct status *s, const char *key,
		    const char *name, bool text)
{
	char *value = status_get(s, key);

	if (value && text)
		json_text(j, name, value);
	else if (value)
		json_number(j, name, strtoull(value, NULL, 10));
	free(value);
}

/* Either may be NULL. */
static void say_json(const struct status *s, const struct status *restore)
{
	struct json j = {0};

	json_begin(&j);
	for (size_t n = 0; s && n < sizeof(keys) / sizeof(keys[0]); n++)
		put_key(&j, s, keys[n].key, keys[n].json, keys[n].text);
	for (size_t n = 0;
	     restore && n < sizeof(restore_keys) / sizeof(restore_keys[0]); n++)
		put_key(&j, restore, restore_keys[n].key, restore_keys[n].json,
			restore_keys[n].text);
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

static void say(const struct status *s, const struct drop_report *restore,
		bool json, bool verbose)
{
	if (json) {
		if (restore && verbose)
			drop_report_json(restore);
		say_json(s, restore ? &restore->counts : NULL);
	} else {
		if (s)
			say_text(s);
		if (restore)
			drop_report_say(restore, verbose);
	}
	if (verbose && s)
		status_say_left_out(s);
}

static int run(const struct command *self, int argc, char **argv)
{
	bool json = false, verbose = false;
	const struct option_spec specs[] = {
		{"verbose", 'v', OPTION_FLAG, &verbose, NULL,
		 "name what rules left out of the last commit, and all they "
		 "kept out of restore/"},
		{"json", 0, OPTION_FLAG, &json, NULL, "one object"},
		{0}};
	struct drop_report restore;
	bool current, restores;
	struct status s;
	int status;

	if (!options_parse(self, specs, 1, 1, &argc, &argv, &status))
		return status;
	current = !status_read(argv[0], true, &s);
	restores = drop_report_read(argv[0], &restore);
	if (!current && !restores) {
		log_error("%s: neither a writable current/ nor restore/ is "
			  "mounted there",
			  argv[0]);
		return error_exit(REEL_EINVAL);
	}
	say(current ? &s : NULL, restores ? &restore : NULL, json, verbose);
	if (current)
		status_release(&s);
	drop_report_release(&restore);
	return 0;
}

const struct command command_status = {
	.name = "status",
	.synopsis = "MNT",
	.summary = "what waits in current/, how the last commit went, and "
		   "what rules kept out of restore/",
	.run = run,
};
