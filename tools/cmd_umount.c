#include <string.h>
#include "fs/mount.h"
#include "tape/error.h"
#include "tape/log.h"
#include "tools/commit_report.h"
#include "tools/drop_report.h"
#include "tools/options.h"
#include "tools/status.h"

/* What waits in current/ is committed first; a commit that fails leaves the
 * mount as it was. */
static int commit_first(const char *mountpoint, const char *label, bool quiet)
{
	struct status s;
	uint64_t waiting;
	int error;

	if (!mount_takes_writes(mountpoint) ||
	    status_read(mountpoint, true, &s))
		return 0;
	waiting = status_number(&s, "names");
	status_release(&s);
	error = commit_mounted(mountpoint, label, quiet);
	if (!error && waiting)
		commit_say(mountpoint);
	if (error)
		log_error("%s: still mounted, since its commit failed: %s; "
			  "--no-commit leaves what was written in the spool",
			  mountpoint, error_text(error));
	return error;
}

/* What rules kept out of restore/ is told, since shadows go with the mount. */
static int take_down(const char *mountpoint)
{
	struct drop_report restore;
	bool restores = drop_report_read(mountpoint, &restore);
	int error = mount_umount(mountpoint);

	if (!error && restores)
		drop_report_say(&restore, false);
	drop_report_release(&restore);
	return error;
}

static int run(const struct command *self, int argc, char **argv)
{
	const char *label = NULL;
	bool no_commit = false, quiet = false;
	const struct option_spec specs[] = {
		{"no-commit", 0, OPTION_FLAG, &no_commit, NULL,
		 "leave what was written to current/ in the spool"},
		{"label", 0, OPTION_TEXT, &label, "L",
		 "a name for the commit's snapshot"},
		{"quiet", 'q', OPTION_FLAG, &quiet, NULL, "no progress"},
		{0}};
	/* umount(8), "External helpers" */
	bool ignored, helper = strcmp(argv[0], self->name) != 0;
	const char *text;
	const struct option_spec helper_specs[] = {
		{NULL, 'n', OPTION_FLAG, &ignored, NULL, "ignored"},
		{NULL, 'l', OPTION_FLAG, &ignored, NULL, "ignored"},
		{NULL, 'f', OPTION_FLAG, &ignored, NULL, "ignored"},
		{NULL, 'v', OPTION_FLAG, &ignored, NULL, "ignored"},
		{NULL, 'r', OPTION_FLAG, &ignored, NULL, "ignored"},
		{NULL, 't', OPTION_TEXT, &text, "TYPE", "ignored"},
		{NULL, 'N', OPTION_TEXT, &text, "NS", "ignored"},
		{0}};
	int status, error = 0;

	if (!options_parse(self, helper ? helper_specs : specs, 1, 1, &argc,
			   &argv, &status))
		return status;
	if (!no_commit && !helper)
		error = commit_first(argv[0], label, quiet);
	return error_exit(error ? error : take_down(argv[0]));
}

const struct command command_umount = {
	.name = "umount",
	.synopsis = "MNT [--no-commit] [--label L]",
	.summary = "commit, take a mount down, and wait until it is gone",
	.run = run,
};
