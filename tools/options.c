#include "tools/options.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include "catalog/set.h"
#include "tape/log.h"

#define HELP_VALUE   'h'
#define FIRST_VALUE  256 /* getopt's number of the table's first row */
#define HELP_COLUMNS 26

int options_misuse(const struct command *self, const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	log_error("%s; see `reel %s --help`", text, self->name);
	return EXIT_FAILED;
}

static size_t count(const struct option_spec *specs)
{
	size_t n = 0;

	while (n < OPTION_LIMIT && (specs[n].name || specs[n].letter))
		n++;
	return n;
}

static void help_row(const struct option_spec *s)
{
	char left[64];
	char letter[] = {'-', s->letter, '\0'};
	const char *argument = s->argument ? s->argument : "";

	snprintf(left, sizeof(left), "  %s%s%s%s%s%s", s->letter ? letter : "",
		 s->letter && s->name ? ", " : "", s->name ? "--" : "",
		 s->name ? s->name : "", *argument ? " " : "", argument);
	printf("%-*s %s\n", HELP_COLUMNS, left, s->help);
}

static void help(const struct command *self, const struct option_spec *specs)
{
	static const struct option_spec own = {"help", 'h',  OPTION_FLAG,
					       NULL,   NULL, "this text"};

	printf("usage: reel %s %s\n\n%s\n", self->name, self->synopsis,
	       self->summary);
	printf("\noptions:\n");
	for (size_t i = 0; i < count(specs); i++)
		help_row(&specs[i]);
	help_row(&own);
	if (self->details)
		printf("\n%s", self->details);
}

/* The two forms in which getopt wants the table. */
static void translate(const struct option_spec *specs, size_t n,
		      struct option *longs, char *shorts)
{
	size_t used = 0;

	*shorts++ = ':';
	*shorts++ = 'h';
	for (size_t i = 0; i < n; i++) {
		int argument = specs[i].kind == OPTION_FLAG ? no_argument
							    : required_argument;

		if (specs[i].name)
			longs[used++] =
				(struct option){specs[i].name, argument, NULL,
						FIRST_VALUE + (int)i};
		if (specs[i].letter) {
			*shorts++ = specs[i].letter;
			if (argument == required_argument)
				*shorts++ = ':';
		}
	}
	longs[used++] = (struct option){"help", no_argument, NULL, HELP_VALUE};
	longs[used] = (struct option){NULL, 0, NULL, 0};
	*shorts = '\0';
}

static const struct option_spec *find(const struct option_spec *specs, size_t n,
				      int value)
{
	if (value >= FIRST_VALUE)
		return &specs[value - FIRST_VALUE];
	for (size_t i = 0; i < n; i++) {
		if (specs[i].letter == value)
			return &specs[i];
	}
	return NULL;
}

static bool store(const struct command *self, const struct option_spec *s,
		  char *text)
{
	struct option_list *list;

	switch (s->kind) {
	case OPTION_FLAG:
		*(bool *)s->value = true;
		return true;
	case OPTION_TEXT:
		*(const char **)s->value = text;
		return true;
	case OPTION_LIST:
		list = s->value;
		if (list->count < OPTION_LIST_LIMIT) {
			list->items[list->count++] = text;
			return true;
		}
		options_misuse(self, "--%s: given more than %d times", s->name,
			       OPTION_LIST_LIMIT);
		return false;
	case OPTION_SIZE:
		if (set_parse_size(text, s->value) == 0)
			return true;
		options_misuse(self, "--%s %s: not a size such as 64M or 1.5G",
			       s->name, text);
		return false;
	}
	return false;
}

static bool refuse(const struct command *self, int got, char **argv)
{
	const char *last = argv[optind - 1];

	if (got == ':')
		options_misuse(self, "%s needs a value", last);
	else if (optopt >= FIRST_VALUE || optopt == HELP_VALUE)
		options_misuse(self, "%s takes no value", last);
	else if (optopt)
		options_misuse(self, "there is no option -%c", optopt);
	else
		options_misuse(self, "there is no option %s", last);
	return false;
}

static bool enough(const struct command *self, int argc, int min, int max)
{
	if (argc >= min && (max < 0 || argc <= max))
		return true;
	options_misuse(self, "%s arguments: reel %s %s",
		       argc < min ? "too few" : "too many", self->name,
		       self->synopsis);
	return false;
}

bool options_parse(const struct command *self, const struct option_spec *specs,
		   int min, int max, int *argc, char ***argv, int *status)
{
	struct option longs[OPTION_LIMIT + 2];
	char shorts[2 * OPTION_LIMIT + 3];
	size_t n = count(specs);
	int got;

	translate(specs, n, longs, shorts);
	opterr = 0;
	optind = 0;
	*status = EXIT_FAILED;
	while ((got = getopt_long(*argc, *argv, shorts, longs, NULL)) != -1) {
		const struct option_spec *s;

		if (got == HELP_VALUE) {
			help(self, specs);
			*status = 0;
			return false;
		}
		if (got == '?' || got == ':')
			return refuse(self, got, *argv);
		s = find(specs, n, got);
		if (!s || !store(self, s, optarg))
			return false;
	}
	*argc -= optind;
	*argv += optind;
	return enough(self, *argc, min, max);
}
