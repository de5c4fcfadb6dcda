#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "catalog/delayed_list.h"
#include "catalog/ntstatus.h"
#include "fs/delayed_run.h"
#include "tape/error.h"
#include "tape/log.h"
#include "tape/text.h"
#include "tools/delays.h"
#include "tools/figures.h"
#include "tools/json.h"

/* ---- list ---- */

static int run_list(const struct command *self, int argc, char **argv)
{
	struct delays_where where = {0};
	bool json = false;
	const struct option_spec specs[] = {
		DELAYS_ROOT(where),
		DELAYS_JOURNAL(where),
		{"json", 0, OPTION_FLAG, &json, NULL, "an object for each"},
		{0}};
	struct delayed *d;
	int status, error;

	if (!options_parse(self, specs, 0, 0, &argc, &argv, &status))
		return status;
	error = delays_open(&where, DELAYED_READ, &d);
	if (error)
		return error_exit(error);
	error = delays_print_all(d, json);
	delayed_close(d);
	return error_exit(error);
}

const struct command command_delayed_list = {
	.name = "delayed list",
	.synopsis = "[--root DIR] [--json]",
	.summary = "what waits for the next boot",
	.details = "In the order in which it will be carried out.\n",
	.run = run_list,
};

/* ---- run ---- */

static void say_ended(void *context, const struct delayed_record *r,
		      uint32_t status)
{
	char *name = text_name(r->path, strlen(r->path));
	bool dry_run = *(const bool *)context;

	if (status)
		log_error("%s: %s %s: %s (%08X)", name ? name : "?",
			  delays_kind(r), dry_run ? "would fail" : "failed",
			  ntstatus_text(status), status);
	else if (dry_run)
		printf("%s %s\n", delays_kind(r), name ? name : "?");
	free(name);
}

static int say_report(const struct delayed_run_report *report)
{
	if (report->absent)
		log_warning("/%s is not mounted; what is to be done there and "
			    "after it waits",
			    report->place);
	if (report->stopped)
		log_error("stopped; what is left waits: `reel delayed list` "
			  "shows it, `reel delayed cancel` takes it back");
	printf("%zu done, %zu failed, %zu waiting\n", report->done,
	       report->failed, report->waiting);
	if (report->stopped)
		return EXIT_FAILED;
	return report->failed || report->absent ? EXIT_INCOMPLETE : 0;
}

static enum delayed_end end_of(const struct delayed_run_report *report)
{
	if (report->stopped)
		return DELAYED_STOPPED;
	return report->absent ? DELAYED_PENDING : DELAYED_COMPLETE;
}

static int carry_out(struct delayed *d,
		     const struct delayed_run_options *options,
		     const struct option_list *lists)
{
	struct delayed_run_report report;
	int status, error = delayed_run(d, options, &report);

	if (error)
		return error_exit(error);
	status = say_report(&report);
	for (int n = 0; n < lists->count && !options->dry_run; n++)
		if (delayed_answer_file(d, lists->items[n]) < 0 && !status)
			status = EXIT_INCOMPLETE;
	if (!options->dry_run)
		error = delayed_finish(d, end_of(&report));
	return error ? error_exit(error) : status;
}

static int run_run(const struct command *self, int argc, char **argv)
{
	struct delays_where where = {0};
	struct delayed_run_options options = {.ended = say_ended};
	struct option_list lists = {0};
	const struct option_spec specs[] = {
		DELAYS_ROOT(where),
		DELAYS_JOURNAL(where),
		{"list", 0, OPTION_LIST, &lists, "FILE",
		 "write states into this imported list, too"},
		{"early", 0, OPTION_FLAG, &options.early, NULL,
		 "only what lies on the target's own filesystem"},
		{"dry-run", 0, OPTION_FLAG, &options.dry_run, NULL,
		 "say what would be done"},
		{0}};
	struct delayed *d;
	int status, error;

	options.context = &options.dry_run;
	if (!options_parse(self, specs, 0, 0, &argc, &argv, &status))
		return status;
	error = delays_open(&where,
			    options.dry_run ? DELAYED_READ : DELAYED_RUN, &d);
	if (error == REEL_ENOENT) {
		printf("nothing waits\n");
		return 0;
	}
	if (error)
		return error_exit(error);
	status = carry_out(d, &options, &lists);
	delayed_close(d);
	return status;
}

const struct command command_delayed_run = {
	.name = "delayed run",
	.synopsis = "[--root DIR] [--early] [--list FILE]... [--dry-run]",
	.summary = "carry out what waits, as early at boot",
	.details =
		"Stops at a move or a delete that fails; that one and the rest "
		"wait. Goes on after\na short name that fails, and a name "
		"that the filesystem takes for another file's\n(A and a; that "
		"one waits): status 1. May "
		"be cut off at any instant and run again.\n",
	.run = run_run,
};

/* ---- cancel ---- */

static bool is_number(const char *text, uint64_t *number)
{
	char *end;

	if (!*text || text[strspn(text, "0123456789")] || strlen(text) > 18)
		return false;
	*number = strtoull(text, &end, 10);
	return *number != 0;
}

static const struct delayed_record *find(const struct delayed *d,
					 uint64_t number, const char *path)
{
	for (size_t n = 0; n < delayed_count(d); n++) {
		const struct delayed_record *r = delayed_at(d, n);

		if (number ? r->number == number : !strcmp(r->path, path))
			return r;
	}
	return NULL;
}

static int cancel_one(struct delayed *d, const char *text, bool dry_run)
{
	const struct delayed_record *r;
	const char *path = text;
	uint64_t number = 0;
	char *name;

	if (!is_number(text, &number))
		while (*path == '/')
			path++;
	r = find(d, number, path);
	if (!r) {
		log_error("%s: nothing like this waits; `reel delayed list` "
			  "shows what does",
			  text);
		return REEL_ENOENT;
	}
	name = text_name(r->path, strlen(r->path));
	printf("%s: %s\n", name ? name : "?", delays_kind(r));
	free(name);
	return dry_run ? 0 : delayed_cancel(d, number, path);
}

static int cancel_all(struct delayed *d, bool dry_run)
{
	int error;

	if (dry_run)
		return delays_print_all(d, false);
	error = delayed_cancel(d, 0, NULL);
	return error == REEL_ENOENT ? 0 : error;
}

static int run_cancel(const struct command *self, int argc, char **argv)
{
	struct delays_where where = {0};
	bool all = false, dry_run = false;
	const struct option_spec specs[] = {
		DELAYS_ROOT(where),
		DELAYS_JOURNAL(where),
		{"all", 0, OPTION_FLAG, &all, NULL, "everything"},
		{"dry-run", 0, OPTION_FLAG, &dry_run, NULL, "only say what"},
		{0}};
	struct delayed *d;
	int status, error;

	if (!options_parse(self, specs, 0, -1, &argc, &argv, &status))
		return status;
	if ((argc == 0) != all)
		return options_misuse(self, "name numbers and paths, or --all");
	error = delays_open(&where, dry_run ? DELAYED_READ : DELAYED_RUN, &d);
	if (error == REEL_ENOENT && all)
		return 0;
	if (error == REEL_ENOENT)
		log_error("nothing waits");
	if (error)
		return error_exit(error);
	if (all)
		error = cancel_all(d, dry_run);
	for (int n = 0; !error && n < argc; n++)
		error = cancel_one(d, argv[n], dry_run);
	if (!error && !dry_run)
		error = delayed_commit(d);
	delayed_close(d);
	return error_exit(error);
}

const struct command command_delayed_cancel = {
	.name = "delayed cancel",
	.synopsis = "NUMBER|PATH...|--all [--root DIR] [--dry-run]",
	.summary = "take back what waits",
	.details = "Staged files are removed. All that is named is taken back, "
		   "or, when something\nis not there, nothing.\n",
	.run = run_cancel,
};

/* ---- status ---- */

static void say_outcome(const struct delayed_outcome *o, size_t waiting,
			bool json)
{
	char time[FIGURE_SIZE], result[16];
	struct json j;

	snprintf(result, sizeof(result), "%08X", o->result);
	if (!json) {
		printf("last run: %s\nRestoreStatusResult: %s (%s)\n"
		       "RestoreStatusDetails: %u\nwaiting: %zu\n",
		       figure_local(o->time, time), result,
		       ntstatus_text(o->result), o->details, waiting);
		return;
	}
	json_begin(&j);
	json_time(&j, "time", o->time);
	json_text(&j, "RestoreStatusResult", result);
	json_number(&j, "RestoreStatusDetails", o->details);
	json_text(&j, "meaning", ntstatus_text(o->result));
	json_number(&j, "waiting", waiting);
	json_end(&j);
}

static int print_outcome(const struct delayed_outcome *o, bool json)
{
	const struct delayed_record **all =
		malloc((o->count + 1) * sizeof(*all));
	int error;

	if (!all)
		return REEL_ENOMEM;
	for (size_t n = 0; n < o->count; n++)
		all[n] = &o->records[n];
	error = delays_print(all, o->count, json);
	free(all);
	return error;
}

static int run_status(const struct command *self, int argc, char **argv)
{
	struct delays_where where = {0};
	bool json = false;
	const struct option_spec specs[] = {
		DELAYS_ROOT(where),
		DELAYS_JOURNAL(where),
		{"json", 0, OPTION_FLAG, &json, NULL,
		 "an object for the run, and one for each record"},
		{0}};
	struct delayed_outcome o = {0};
	struct delayed *d;
	int status, error;

	if (!options_parse(self, specs, 0, 0, &argc, &argv, &status))
		return status;
	error = delays_open(&where, DELAYED_READ, &d);
	if (error)
		return error_exit(error);
	error = delayed_outcome(d, &o);
	if (!error) {
		say_outcome(&o, delayed_count(d), json);
		error = print_outcome(&o, json);
	} else if (error == REEL_ENOENT) {
		error = 0;
		if (!json)
			printf("there was no run yet\nwaiting: %zu\n",
			       delayed_count(d));
	}
	delayed_outcome_release(&o);
	delayed_close(d);
	return error_exit(error);
}

const struct command command_delayed_status = {
	.name = "delayed status",
	.synopsis = "[--root DIR] [--json]",
	.summary = "what the last run did",
	.details = "RestoreStatusResult is 0 when all went well, else the "
		   "status of the first record\nthat failed; "
		   "RestoreStatusDetails is which of the run's records that "
		   "was.\n",
	.run = run_status,
};
