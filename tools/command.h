/* A subcommand: one row of the table in reel.c. */
#ifndef REEL_TOOLS_COMMAND_H
#define REEL_TOOLS_COMMAND_H

/* What error_exit() has not: 1, done but something was left out; 2, failed. */
#define EXIT_INCOMPLETE 1
#define EXIT_FAILED	2

struct command {
	const char *name;     /* one word, or two */
	const char *synopsis; /* behind the name */
	const char *summary;  /* one line */
	const char *details;  /* further help, lines; may be NULL */
	/* argv[0] is the command's last word. Returns the exit status; what
	 * went wrong was said. */
	int (*run)(const struct command *self, int argc, char **argv);
};

extern const struct command command_init;
extern const struct command command_backup;
extern const struct command command_mount;
extern const struct command command_umount;
extern const struct command command_commit;
extern const struct command command_status;
extern const struct command command_snapshots;
extern const struct command command_ls;
extern const struct command command_find;
extern const struct command command_diff;
extern const struct command command_history;
extern const struct command command_info;
extern const struct command command_restore;
extern const struct command command_verify;
extern const struct command command_rules_check;
extern const struct command command_rules_test;
extern const struct command command_catalog_rebuild;
extern const struct command command_copy;
extern const struct command command_import;
extern const struct command command_media_list;
extern const struct command command_media_load;
extern const struct command command_media_unload;
extern const struct command command_media_move;
extern const struct command command_media_needed;
extern const struct command command_delayed_list;
extern const struct command command_delayed_run;
extern const struct command command_delayed_cancel;
extern const struct command command_delayed_status;
extern const struct command command_delayed_export;
extern const struct command command_delayed_import;
extern const struct command command_tape;

#endif
