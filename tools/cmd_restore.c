#include <inttypes.h>
#include <stdio.h>
#include "catalog/rules_file.h"
#include "fs/restore.h"
#include "tape/error.h"
#include "tape/log.h"
#include "tools/figures.h"
#include "tools/json.h"
#include "tools/options.h"
#include "tools/progress.h"
#include "tools/restore_log.h"
#include "tools/signals.h"
#include "tools/target.h"

#define RESTORE_CACHE (32u << 20) /* bytes of decoded frames */

struct restoring {
	struct restore_options options;
	struct rules rules;
	struct restore_log log;
	const char *rules_file, *overwrite, *report;
	bool no_rules, verbose;
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

static void on_event(void *context, const struct restore_event *e)
{
	struct restoring *r = context;

	restore_log_event(&r->log, e);
}

static void say_json(const struct restoring *r,
		     const struct restore_result *result, FILE *to)
{
	struct json j;

	json_begin_at(&j, to);
	json_bool(&j, "dry_run", r->options.dry_run);
	json_number(&j, "session", r->options.session);
	json_text(&j, "to", r->options.to);
	json_number(&j, "files", result->files);
	json_number(&j, "directories", result->directories);
	json_number(&j, "size", result->bytes);
	json_number(&j, "same", result->same);
	json_number(&j, "kept", result->kept);
	json_number(&j, "delayed", result->delayed);
	json_number(&j, "excluded", result->excluded);
	json_number(&j, "extra", result->extra);
	json_number(&j, "shared", result->shared);
	json_number(&j, "shared_size", result->shared_bytes);
	json_number(&j, "problems", result->problems);
	json_bool(&j, "system", result->system);
	json_end(&j);
}

static void say_count(uint64_t count, const char *what)
{
	if (count)
		printf("; %" PRIu64 " %s", count, what);
}

static void report(const struct restoring *r,
		   const struct restore_result *result)
{
	bool dry = r->options.dry_run;
	char bytes[FIGURE_SIZE];

	if (r->log.file)
		say_json(r, result, r->log.file);
	if (r->json) {
		say_json(r, result, stdout);
		return;
	}
	restore_log_lists(&r->log);
	printf("%s%" PRIu64 " files and %" PRIu64 " directories, %s, in %s",
	       dry ? "would be restored: " : "restored: ", result->files,
	       result->directories, figure_human(result->bytes, bytes),
	       r->options.to);
	say_count(result->same, "were there already");
	say_count(result->kept, "kept");
	say_count(result->excluded, "left out");
	say_count(result->extra, dry ? "to be removed" : "removed");
	say_count(result->delayed, "delayed until the next boot");
	putchar('\n');
	if (result->shared)
		printf("%s in %" PRIu64 " files shared, not written\n",
		       figure_human(result->shared_bytes, bytes),
		       result->shared);
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
	r->options.event = on_event;
	r->options.every = r->log.lines || r->log.json || r->log.file;
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

/* Rules with a mistake stop the restore: nobody knows what they keep. */
static int load_rules(struct restoring *r, const struct target *t)
{
	int error;

	if (r->no_rules)
		return 0;
	error = rules_file_load(t->set, r->rules_file, &r->rules);
	if (error)
		log_error("%s: nothing was restored; mend the rules first, or "
			  "do without them (--no-rules)",
			  t->name);
	else
		error = rules_seal(&r->rules);
	r->options.plan.rules = &r->rules;
	return error;
}

static int restore_with(struct restoring *r, struct target *t)
{
	int error = target_session(t, t->snapped, &r->options.session);
	int status;

	if (!error)
		error = load_rules(r, t);
	if (!error)
		error = restore_log_open(&r->log, r->report);
	if (error)
		return error_exit(error);
	r->log.json = r->json && (r->options.dry_run || r->verbose);
	r->log.problems = r->json;
	r->log.lines = !r->json && (r->options.dry_run || r->verbose);
	status = restore(r, t);
	error = restore_log_close(&r->log, r->report);
	return status ? status : error_exit(error);
}

static int run_with(struct restoring *r, const struct command *self, int argc,
		    char **argv)
{
	struct target t;
	int status, error;

	if (!r->options.to)
		return options_misuse(self, "--to DIR is missing");
	if (r->overwrite &&
	    !plan_overwrite_parse(r->overwrite, &r->options.plan.overwrite))
		return options_misuse(self,
				      "--overwrite takes always, newer or "
				      "never, not %s",
				      r->overwrite);
	if (r->no_rules && r->rules_file)
		return options_misuse(self,
				      "--rules and --no-rules exclude each "
				      "other");
	r->options.paths = (const char *const *)argv + 1;
	r->options.path_count = argc - 1;
	error = target_open(&t, argv[0]);
	if (error)
		return error_exit(error);
	status = restore_with(r, &t);
	rules_release(&r->rules);
	target_close(&t);
	return status;
}

static int run(const struct command *self, int argc, char **argv)
{
	struct restoring r = {0};
	struct restore_options *o = &r.options;
	const struct option_spec specs[] = {
		{"to", 't', OPTION_TEXT, &o->to, "DIR",
		 "restore into DIR, which is made when missing"},
		{"dry-run", 'n', OPTION_FLAG, &o->dry_run, NULL,
		 "only say what would be done, name by name"},
		{"overwrite", 0, OPTION_TEXT, &r.overwrite, "WHEN",
		 "always; newer: what is older in DIR; never"},
		{"delete", 0, OPTION_FLAG, &o->delete, NULL,
		 "remove what the snapshot does not have"},
		{"checksum", 'c', OPTION_FLAG, &o->checksum, NULL,
		 "compare contents, not only sizes and times"},
		{"verify", 0, OPTION_FLAG, &o->verify, NULL,
		 "read back what was written and compare it"},
		{"rules", 0, OPTION_TEXT, &r.rules_file, "FILE",
		 "the rules of this file instead of the set's"},
		{"no-rules", 0, OPTION_FLAG, &r.no_rules, NULL,
		 "as if the set had no rules"},
		{"delayed", 0, OPTION_TEXT, &o->delayed, "DIR",
		 "the journal of delayed operations is in DIR"},
		{"hard-link-duplicates", 0, OPTION_FLAG, &o->link_duplicates,
		 NULL, "make equal files one"},
		{"no-devices", 0, OPTION_FLAG, &o->no_devices, NULL,
		 "make no device nodes"},
		{"no-suid", 0, OPTION_FLAG, &o->no_suid, NULL,
		 "without suid, sgid and capabilities of files"},
		{"report", 0, OPTION_TEXT, &r.report, "FILE",
		 "write what was done with each name, as JSON"},
		{"verbose", 'v', OPTION_FLAG, &r.verbose, NULL,
		 "say what is done with each name"},
		{"json", 0, OPTION_FLAG, &r.json, NULL,
		 "the result and what failed as JSON; every name with -n, -v"},
		{0}};
	int status;

	if (!options_parse(self, specs, 1, -1, &argc, &argv, &status))
		return status;
	return run_with(&r, self, argc, argv);
}

const struct command command_restore = {
	.name = "restore",
	.synopsis = "SET[@SNAP] [PATH...] --to DIR [OPTIONS]",
	.summary = "bring a snapshot, or paths of it, into a directory",
	.details =
		"Paths keep their directories below DIR. What DIR has besides\n"
		"stays, but for --delete. The rules of the set say what is "
		"kept,\nmerged, delayed or left out. A restore that was "
		"interrupted goes\non when it is run again.\n"
		"Devices and suid are restored as root, as a system needs "
		"them;\nsay --no-devices --no-suid for snapshots that you do "
		"not trust.\n",
	.run = run,
};
