/* What a restore says of single names: lines as they come (-v, --dry-run,
 * --json), a file with all of them, and a short list for the end. */
#ifndef REEL_TOOLS_RESTORE_LOG_H
#define REEL_TOOLS_RESTORE_LOG_H

#include <stdbool.h>
#include <stdio.h>
#include "fs/restore.h"

#define RESTORE_LOG_KEPT 20 /* names of one kind that are listed */

struct restore_log {
	bool lines;    /* every name, as a line of a table */
	bool json;     /* and every name as an object */
	bool problems; /* at least those that failed, as objects */
	FILE *file;    /* --report, or NULL */
	char *listed[PLAN_ACTIONS][RESTORE_LOG_KEPT]; /* lines; heap */
	unsigned count[PLAN_ACTIONS];
};

/* `report`: a file, made anew, or NULL. Logs. */
int restore_log_open(struct restore_log *l, const char *report);
/* A restore_options.event, called by one thread at a time. */
void restore_log_event(struct restore_log *l, const struct restore_event *e);
/* The lists, on stdout, unless every name was said already. */
void restore_log_lists(const struct restore_log *l);
/* Ends the report with the sums; REEL_EIO … when it could not be written. */
int restore_log_close(struct restore_log *l, const char *report);

#endif
