/* Committing: through the mount that has the spool, or without one. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "fs/commit.h"
#include "fs/mount.h"
#include "tape/error.h"
#include "tape/log.h"
#include "tape/stop.h"
#include "tools/commit_report.h"
#include "tools/figures.h"
#include "tools/json.h"
#include "tools/options.h"
#include "tools/progress.h"
#include "tools/signals.h"
#include "tools/status.h"
#include "tools/target.h"

#define LIBRARY_CACHE (16u << 20)
#define LOOK_US	      200000 /* between looks at a mount's progress */

struct commit {
	const char *label;
	bool quiet, verbose, json, wait;
};

/* ---- through a mount ---- */

struct watch {
	const char *mountpoint;
	bool quiet;
	atomic_bool ended;
};

static void *watch_progress(void *context)
{
	struct watch *w = context;
	struct progress p;
	struct status s;

	progress_init(&p, w->quiet);
	while (!w->ended && !status_read(w->mountpoint, true, &s)) {
		struct progress_state now = {
			.done = status_number(&s, "done-bytes"),
			.total = status_number(&s, "bytes"),
			.entries = status_number(&s, "done-names"),
			.bytes = status_number(&s, "done-bytes"),
		};

		status_release(&s);
		progress_update(&p, &now);
		usleep(LOOK_US);
	}
	progress_end(&p);
	return NULL;
}

struct asking {
	const char *mountpoint, *label;
	int error;
};

static void *ask(void *context)
{
	struct asking *a = context;

	a->error = mount_commit(a->mountpoint, a->label);
	return NULL;
}

/* Ctrl-C gives the commit up; the mount answers then. */
static int wait_for_commit(const char *mountpoint, const char *label)
{
	const volatile int *stop = signals_flag();
	struct asking a = {.mountpoint = mountpoint, .label = label};
	bool withdrawn = false;
	pthread_t asker;
	int running = pthread_create(&asker, NULL, ask, &a);

	if (running) {
		ask(&a);
		return a.error;
	}
	do {
		struct timespec until;

		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_nsec += LOOK_US * 1000;
		if (until.tv_nsec >= 1000000000) {
			until.tv_nsec -= 1000000000;
			until.tv_sec++;
		}
		running = pthread_timedjoin_np(asker, NULL, &until);
		if (running && stop_is_set(stop) && !withdrawn) {
			mount_withdraw(mountpoint);
			withdrawn = true;
		}
	} while (running);
	return a.error;
}

int commit_mounted(const char *mountpoint, const char *label, bool quiet)
{
	struct watch w = {.mountpoint = mountpoint, .quiet = quiet};
	pthread_t thread;
	bool watching = !quiet && isatty(STDERR_FILENO) &&
			!pthread_create(&thread, NULL, watch_progress, &w);
	int error = wait_for_commit(mountpoint, label);

	w.ended = true;
	if (watching)
		pthread_join(thread, NULL);
	return error;
}

static void report_mounted(const struct status *s, bool json,
			   uint64_t *problems)
{
	struct commit_report r = {
		.name = status_get(s, "commit-snapshot"),
		.session = (uint32_t)status_number(s, "commit-session"),
		.added = status_number(s, "commit-added"),
		.changed = status_number(s, "commit-changed"),
		.removed = status_number(s, "commit-removed"),
		.new_bytes = status_number(s, "commit-new-bytes"),
		.stored = status_number(s, "commit-stored"),
		.left_out = status_number(s, "commit-left-out"),
		.problems = status_number(s, "commit-problems"),
	};

	commit_report(&r, json);
	*problems = r.problems;
	free((char *)r.name);
}

void commit_say(const char *mountpoint)
{
	uint64_t problems;
	struct status s;

	if (status_read(mountpoint, true, &s))
		return;
	report_mounted(&s, false, &problems);
	status_release(&s);
}

/* What the mount has said since its log had `from` bytes. */
static void say_log(const char *path, off_t from)
{
	char piece[4096];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return;
	n = pread(fd, piece, sizeof(piece), from);
	if (n > 0)
		fwrite(piece, 1, (size_t)n, stderr);
	close(fd);
}

static off_t log_length(const char *path)
{
	struct stat st;

	return path && !stat(path, &st) ? st.st_size : 0;
}

static int finish_mounted(const struct commit *c, const char *mountpoint,
			  int error)
{
	uint64_t problems = 0;
	struct status s;
	int status;

	if (status_read(mountpoint, error != 0, &s))
		return error ? error_exit(error) : EXIT_FAILED;
	status = (int)status_number(&s, "commit-exit");
	if (error) {
		char *text = status_get(&s, "commit-result");

		log_error("%s: the commit failed: %s; what was written stays "
			  "in the spool",
			  mountpoint,
			  text && status ? text : error_text(error));
		free(text);
	} else {
		report_mounted(&s, c->json, &problems);
		if (c->verbose)
			status_say_left_out(&s);
	}
	status_release(&s);
	if (error)
		return status ? status : error_exit(error);
	return problems ? EXIT_INCOMPLETE : 0;
}

static int through_mount(const struct commit *c, const char *mountpoint)
{
	struct status s;
	int error = status_read(mountpoint, false, &s);
	char *log;
	off_t from;

	if (error)
		return error_exit(error);
	log = status_get(&s, "log");
	from = log_length(log);
	status_release(&s);
	error = commit_mounted(mountpoint, c->label, c->quiet);
	if (error && log)
		say_log(log, from);
	free(log);
	return finish_mounted(c, mountpoint, error);
}

/* ---- without one ---- */

struct drawing {
	struct progress progress;
	bool verbose;
};

static void draw(void *context, const struct commit_progress *p)
{
	struct drawing *d = context;
	struct progress_state now = {.done = p->bytes,
				     .total = p->bytes_total,
				     .entries = p->names,
				     .bytes = p->bytes};

	progress_update(&d->progress, &now);
}

static void say_excluded(void *context, const char *path, const char *rule)
{
	struct drawing *d = context;

	if (d->verbose)
		fprintf(stderr, "%s: left out: %s\n", path, rule);
}

static int commit_spool(const struct commit *c, struct set *set,
			struct commit_result *result)
{
	struct drawing d = {.verbose = c->verbose};
	struct commit_options o = {.label = c->label,
				   .wait = c->wait,
				   .progress = draw,
				   .excluded = say_excluded,
				   .context = &d,
				   .stop = signals_flag()};
	struct library *library = NULL;
	struct live *live = NULL;
	int error = library_open(set, LIBRARY_CACHE, &library);

	if (!error)
		error = live_open(set, library, "reel commit", &live);
	progress_init(&d.progress, c->quiet);
	if (!error)
		error = commit_run(live, set->path, &o, result);
	progress_end(&d.progress);
	live_close(live);
	library_close(library);
	return error;
}

static int without_mount(const struct commit *c, struct set *set)
{
	struct commit_result result = {0};
	struct commit_report r;
	int error = 0;

	if (spool_pending(set))
		error = commit_spool(c, set, &result);
	if (error) {
		if (error != REEL_ELOCKED)
			log_error("%s: the commit failed: %s; what was "
				  "written stays in the spool",
				  set->path, error_text(error));
		return error_exit(error);
	}
	r = (struct commit_report){
		.name = result.name,
		.session = result.session,
		.added = result.added,
		.changed = result.changed,
		.removed = result.removed,
		.new_bytes = result.new_bytes,
		.stored = result.stored,
		.left_out = result.excluded,
		.problems = result.problems,
	};
	commit_report(&r, c->json);
	return result.problems ? EXIT_INCOMPLETE : 0;
}

static int commit_set(const struct commit *c, const char *path)
{
	struct set *set;
	char *owner;
	int status = error_exit(set_open(path, SET_READ, false, &set));

	if (status)
		return status;
	owner = spool_owner(set);
	status = owner && *owner == '/' ? through_mount(c, owner)
					: without_mount(c, set);
	free(owner);
	set_close(set);
	return status;
}

static int run(const struct command *self, int argc, char **argv)
{
	struct commit c = {0};
	const struct option_spec specs[] = {
		{"label", 0, OPTION_TEXT, &c.label, "L",
		 "a name for the snapshot"},
		{"verbose", 'v', OPTION_FLAG, &c.verbose, NULL,
		 "name what rules leave out"},
		{"quiet", 'q', OPTION_FLAG, &c.quiet, NULL, "no progress"},
		{"wait", 0, OPTION_FLAG, &c.wait, NULL,
		 "wait for the set's lock (when it is not mounted)"},
		{"json", 0, OPTION_FLAG, &c.json, NULL, "one object"},
		{0}};
	int status;

	if (!options_parse(self, specs, 1, 1, &argc, &argv, &status))
		return status;
	return target_is_set(argv[0]) ? commit_set(&c, argv[0])
				      : through_mount(&c, argv[0]);
}

const struct command command_commit = {
	.name = "commit",
	.synopsis = "MNT|SET [--label L] [-v]",
	.summary = "write what was put into current/ to the volumes",
	.details = "Everything that was written to MNT/current so far becomes "
		   "a snapshot. The\nmount stays usable meanwhile. With SET a "
		   "spool that a mount left is taken.\n",
	.run = run,
};
