#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "catalog/rules_file.h"
#include "catalog/spool.h"
#include "fs/capture.h"
#include "tape/error.h"
#include "tape/log.h"
#include "tape/text.h"
#include "tools/excludes.h"
#include "tools/figures.h"
#include "tools/json.h"
#include "tools/options.h"
#include "tools/progress.h"
#include "tools/signals.h"
#include "tools/target.h"

struct backup {
	struct capture_options capture;
	bool wait;
	bool json;
	const char *rules_file;
	struct option_list excludes;
	struct rules rules;
	struct progress progress;
	uint64_t expected; /* entries that the snapshot before has */
};

static void on_progress(void *context, const struct capture_progress *p)
{
	struct backup *b = context;
	struct progress_state s = {
		.done = p->entries,
		.total = b->expected,
		.entries = p->entries,
		.bytes = p->bytes,
		.path = p->path,
	};

	/* A tree that grew since the last time has no end in sight. */
	if (p->entries > b->expected)
		s.total = 0;
	progress_update(&b->progress, &s);
}

static void expect(struct backup *b, struct catalog *c)
{
	struct session_row row;
	uint32_t newest;

	if (catalog_newest(c, &newest) || !newest ||
	    catalog_session(c, newest, &row))
		return;
	b->expected = row.files + row.directories;
	session_row_release(&row);
}

static void say_json(const struct capture_result *r, const char *name,
		     bool dry_run, bool tape)
{
	const struct session_row *s = &r->session;
	struct json j;

	json_begin(&j);
	json_bool(&j, "dry_run", dry_run);
	if (s->id) {
		json_text(&j, "name", name);
		json_number(&j, "session", s->id);
		json_time(&j, "time", s->time);
		if (s->label)
			json_text(&j, "label", s->label);
		json_number(&j, "files", s->files);
		json_number(&j, "directories", s->directories);
		json_number(&j, "size", s->bytes);
		json_number(&j, "new_files", s->new_files);
		json_number(&j, "new_size", s->new_bytes);
		json_number(&j, "unique_size", s->unique_bytes);
		json_number(&j, "copies", s->copies);
		json_number(&j, "stored", r->stored);
		if (tape)
			json_number(&j, "drive_stops", r->stops);
	}
	json_number(&j, "added", r->added);
	json_number(&j, "changed", r->changed);
	json_number(&j, "removed", r->removed);
	json_number(&j, "unchanged", r->unchanged);
	json_number(&j, "excluded", r->excluded);
	json_number(&j, "problems", r->problems);
	json_end(&j);
}

static void say_text(const struct capture_result *r, const char *name,
		     bool dry_run)
{
	const struct session_row *s = &r->session;
	char a[FIGURE_SIZE], b[FIGURE_SIZE], c[FIGURE_SIZE];
	char *label = s->label ? text_name(s->label, strlen(s->label)) : NULL;

	if (s->id)
		printf("snapshot %s (session %" PRIu32 ")%s%s\n", name, s->id,
		       label ? ": " : "", label ? label : "");
	free(label);
	printf("%s%" PRIu64 " added, %" PRIu64 " changed, %" PRIu64
	       " removed, %" PRIu64 " unchanged\n",
	       dry_run ? "would be: " : "", r->added, r->changed, r->removed,
	       r->unchanged);
	if (r->excluded)
		printf("%" PRIu64 " left out by rules\n", r->excluded);
	if (s->id)
		printf("%s in %" PRIu64 " files; %s read, %s stored\n",
		       figure_human(s->bytes, a), s->files,
		       figure_human(s->new_bytes, b),
		       figure_human(r->stored, c));
	if (r->stops)
		printf("the drive stopped %" PRIu64 " %s for want of data\n",
		       r->stops, r->stops == 1 ? "time" : "times");
}

static int report(struct backup *b, struct target *t,
		  const struct capture_result *r)
{
	char name[40] = "";
	int error = 0;

	if (r->session.id)
		error = catalog_session_name(t->catalog, r->session.id, name);
	if (error)
		return target_trouble(t, NULL, error);
	if (b->json)
		say_json(r, name, b->capture.dry_run, t->set->config.tape);
	else
		say_text(r, name, b->capture.dry_run);
	if (r->session.id && spool_pending(t->set))
		log_note("%s: what waits in current/ is not in this snapshot; "
			 "the next commit lays it over it",
			 t->name);
	if (r->problems)
		log_note("%s: %" PRIu64 " %s left out or changed while read",
			 t->name, r->problems,
			 r->problems == 1 ? "entry was" : "entries were");
	return 0;
}

static int capture(struct backup *b, struct target *t)
{
	struct capture_result result;
	int error, status;

	expect(b, t->catalog);
	b->capture.stop = signals_flag();
	b->capture.progress = on_progress;
	b->capture.context = b;
	progress_init(&b->progress, false);
	error = capture_run(t->set, t->catalog, &b->capture, &result);
	progress_end(&b->progress);
	status = error_exit(error);
	if (error && result.session.id)
		log_error("%s: session %" PRIu32 " is written, but: %s%s",
			  t->name, result.session.id, error_text(error),
			  result.session.time
				  ? ""
				  : "; the next backup puts it into the "
				    "catalogue");
	else if (error)
		log_error("%s: no snapshot was made: %s", t->name,
			  error_text(error));
	if (!error || result.session.time)
		error = report(b, t, &result);
	if (!status && error)
		status = error_exit(error);
	if (!status && result.problems)
		status = EXIT_INCOMPLETE;
	session_row_release(&result.session);
	return status;
}

/* Rules with a mistake stop the backup: nobody knows what they leave out. */
static int load_rules(struct backup *b, const struct target *t)
{
	int error = rules_file_load(t->set, b->rules_file, &b->rules);

	if (error)
		log_error("%s: nothing was backed up; mend the rules first",
			  t->name);
	if (!error)
		error = excludes_add(&b->rules, &b->excludes);
	if (!error && b->rules.count) {
		error = rules_seal(&b->rules);
		b->capture.rules = &b->rules;
	}
	return error;
}

static int run(const struct command *self, int argc, char **argv)
{
	struct backup b = {0};
	struct capture_options *c = &b.capture;
	const struct option_spec specs[] = {
		{NULL, 'C', OPTION_TEXT, &c->directory, "DIR",
		 "paths are relative to DIR"},
		{"label", 'l', OPTION_TEXT, &c->label, "TEXT",
		 "a word to find the snapshot by"},
		{"full", 0, OPTION_FLAG, &c->full, NULL,
		 "begin anew, with these paths alone; needs no older volume"},
		{"reread", 0, OPTION_FLAG, &c->reread, NULL,
		 "read unchanged files too"},
		{"verify", 0, OPTION_FLAG, &c->verify, NULL,
		 "read back what was written"},
		{"atime", 0, OPTION_FLAG, &c->atime, NULL,
		 "keep times of last access"},
		{"one-file-system", 'x', OPTION_FLAG, &c->one_file_system, NULL,
		 "do not go into other filesystems"},
		{"dry-run", 'n', OPTION_FLAG, &c->dry_run, NULL,
		 "only say what would be done"},
		{"exclude", 0, OPTION_LIST, &b.excludes, "PATTERN",
		 "leave out what fits, as a rule behind the set's"},
		{"rules", 0, OPTION_TEXT, &b.rules_file, "FILE",
		 "the rules of this file instead of the set's"},
		{"overwrite", 0, OPTION_TEXT, &c->overwrite, "NAME",
		 "begin the cartridge that now has this name anew"},
		{"buffer", 0, OPTION_SIZE, &c->buffer, "SIZE",
		 "memory between reading and the tape (64M, images 8M)"},
		{"wait", 0, OPTION_FLAG, &b.wait, NULL,
		 "wait while the set is locked"},
		{"json", 0, OPTION_FLAG, &b.json, NULL,
		 "the result as a JSON object"},
		{0}};
	struct target t;
	int status, error;

	if (!options_parse(self, specs, 2, -1, &argc, &argv, &status))
		return status;
	if (c->label && !*c->label)
		c->label = NULL;
	c->paths = (const char *const *)argv + 1;
	c->path_count = argc - 1;
	if (c->buffer > SIZE_MAX / 4)
		return options_misuse(self, "--buffer: too large");
	error = target_open_whole(&t, argv[0],
				  c->dry_run ? SET_READ : SET_WRITE, b.wait);
	if (error)
		return error_exit(error);
	error = load_rules(&b, &t);
	status = error ? error_exit(error) : capture(&b, &t);
	rules_release(&b.rules);
	target_close(&t);
	return status;
}

const struct command command_backup = {
	.name = "backup",
	.synopsis = "SET [-C DIR] PATH... [OPTIONS]",
	.summary = "back paths up as a new snapshot",
	.details =
		"A path is kept as given, without a slash in front. What the\n"
		"snapshot before has outside these paths stays in the new "
		"one\n"
		"(but not with --full, which refers to nothing that was "
		"before).\n"
		"Files whose size, times and inode are as they were are not "
		"read.\n",
	.run = run,
};
