/* Command-line options from a table, which is also their help. */
#ifndef REEL_TOOLS_OPTIONS_H
#define REEL_TOOLS_OPTIONS_H

#include <stdbool.h>
#include "tools/command.h"

enum option_kind {
	OPTION_FLAG, /* bool */
	OPTION_TEXT, /* const char *, into argv */
	OPTION_SIZE, /* uint64_t, with K, M, G, T */
	OPTION_LIST, /* struct option_list: may be given again */
};

#define OPTION_LIST_LIMIT 1024

struct option_list {
	const char *items[OPTION_LIST_LIMIT]; /* into argv */
	int count;
};

struct option_spec {
	const char *name; /* NULL: has only a letter */
	char letter;	  /* 0: has only a name */
	enum option_kind kind;
	void *value;
	const char *argument; /* its name in the help */
	const char *help;
};

#define OPTION_LIMIT 24

/* Reads options (anywhere before `--`) and leaves the other arguments in
 * *argc, *argv; fewer than `min` or more than `max` (-1: any number) of them
 * are an error. `specs` end with a row without name and letter. False: the
 * command ends now with *status (help was asked for, or misuse was said). */
bool options_parse(const struct command *self, const struct option_spec *specs,
		   int min, int max, int *argc, char ***argv, int *status);

/* Says what is wrong in one line, with a hint; returns the exit status. */
int options_misuse(const struct command *self, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
