#include <inttypes.h>
#include <stdio.h>
#include "fs/restore.h"
#include "tape/error.h"
#include "tape/log.h"
#include "tools/figures.h"
#include "tools/json.h"
#include "tools/options.h"
#include "tools/progress.h"
#include "tools/signals.h"
#include "tools/target.h"

#define RESTORE_CACHE (32u << 20) /* bytes of decoded frames */

struct restoring {
	struct restore_options options;
	bool json;
	struct progress progress;
};

static void on_progress(void *context, const struct restore_progress *p)
{
	struct restoring *r = context;
	struct progress_state s = {
		.done = p->bytes_total ? p->bytes : p->entries,
		.total = p->bytes_total ? p->bytes_total : p->entries_total,
		.entries = p->entries,
		.bytes = p->bytes,
		.path = p->path,
	};

	progress_update(&r->progress, &s);
}

static void say_json(const struct restoring *r,
		     const struct restore_result *result)
{
	struct json j;

	json_begin(&j);
	json_bool(&j, "dry_run", r->options.dry_run);
	json_number(&j, "session", r->options.session);
	json_text(&j, "to", r->options.to);
	json_number(&j, "files", result->files);
	json_number(&j, "directories", result->directories);
	json_number(&j, "size", result->bytes);
	json_number(&j, "same", result->same);
	json_number(&j, "problems", result->problems);
	json_end(&j);
}

static void report(const struct restoring *r,
		   const struct restore_result *result)
{
	char bytes[FIGURE_SIZE];

	if (r->json) {
		say_json(r, result);
		return;
	}
	printf("%s%" PRIu64 " files and %" PRIu64 " directories, %s, in %s",
	       r->options.dry_run ? "would be restored: " : "restored: ",
	       result->files, result->directories,
	       figure_human(result->bytes, bytes), r->options.to);
	if (result->same)
		printf("; %" PRIu64 " were there already", result->same);
	putchar('\n');
}

static int restore(struct restoring *r, struct target *t)
{
	struct restore_result result;
	struct library *library;
	int error, status;

	error = library_open(t->set, RESTORE_CACHE, &library);
	if (error) {
		target_trouble(t, NULL, error);
		return error_exit(error);
	}
	r->options.stop = signals_flag();
	r->options.progress = on_progress;
	r->options.context = r;
	progress_init(&r->progress, false);
	error = restore_run(t->set, t->catalog, library, &r->options, &result);
	progress_end(&r->progress);
	library_close(library);
	status = error_exit(error);
	if (error)
		log_error("%s: the restore into %s is not complete: %s",
			  t->name, r->options.to, error_text(error));
	else
		report(r, &result);
	if (!error && result.problems) {
		log_note("%s: problems while restoring: %" PRIu64, t->name,
			 result.problems);
		status = EXIT_INCOMPLETE;
	}
	return status;
}

static int run(const struct command *self, int argc, char **argv)
{
	struct restoring r = {0};
	const struct option_spec specs[] = {
		{"to", 't', OPTION_TEXT, &r.options.to, "DIR",
		 "restore into DIR, which is made when missing"},
		{"dry-run", 'n', OPTION_FLAG, &r.options.dry_run, NULL,
		 "only say what would be done"},
		{"json", 0, OPTION_FLAG, &r.json, NULL,
		 "the result as a JSON object"},
		{0}};
	struct target t;
	int status, error;

	if (!options_parse(self, specs, 1, -1, &argc, &argv, &status))
		return status;
	if (!r.options.to)
		return options_misuse(self, "--to DIR is missing");
	r.options.paths = (const char *const *)argv + 1;
	r.options.path_count = argc - 1;
	error = target_open(&t, argv[0]);
	if (error)
		return error_exit(error);
	error = target_session(&t, t.snapped, &r.options.session);
	status = error ? error_exit(error) : restore(&r, &t);
	target_close(&t);
	return status;
}

const struct command command_restore = {
	.name = "restore",
	.synopsis = "SET[@SNAP] [PATH...] --to DIR [OPTIONS]",
	.summary = "bring a snapshot, or paths of it, into a directory",
	.details = "Paths keep their directories below DIR. What DIR has "
		   "besides stays.\n",
	.run = run,
};
