#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "catalog/set.h"
#include "tape/error.h"
#include "tape/log.h"
#include "tape/text.h"
#include "tools/figures.h"
#include "tools/json.h"
#include "tools/tape.h"

/* ---- load, unload, lock, unlock, tension, format ---- */

static int prepare(const struct command *self, int argc, char **argv,
		   enum drive_preparation what)
{
	bool json = false, immediate = false, yes = false;
	const struct option_spec specs[] = {
		{"immediate", 0, OPTION_FLAG, &immediate, NULL,
		 "begin it and do not wait"},
		{"json", 0, OPTION_FLAG, &json, NULL, "one object"},
		{what == DRIVE_FORMAT ? "yes" : NULL, 0, OPTION_FLAG, &yes,
		 NULL, "do not ask"},
		{0}};
	bool needs = what != DRIVE_LOAD && what != DRIVE_UNLOAD &&
		     what != DRIVE_UNLOCK;
	struct drive *d;
	int status, error;

	if (!options_parse(self, specs, 1, 1, &argc, &argv, &status))
		return status;
	error = tape_open(argv[0], false, needs, &d);
	if (error)
		return error_exit(error);
	if (what == DRIVE_FORMAT &&
	    !tape_consent(d, "format the medium: all data on it are lost",
			  yes)) {
		drive_close(d);
		return EXIT_FAILED;
	}
	error = drive_prepare(d, what, immediate);
	return tape_done(self, d, error, json);
}

#define PREPARATION(verb, what, help, more)                                    \
	static int run_##verb(const struct command *self, int argc,            \
			      char **argv)                                     \
	{                                                                      \
		return prepare(self, argc, argv, what);                        \
	}                                                                      \
	const struct command tape_##verb = {.name = "tape " #verb,             \
					    .synopsis =                        \
						    "DEVICE [--immediate] "    \
						    "[--json]" more,           \
					    .summary = help,                   \
					    .run = run_##verb};

PREPARATION(load, DRIVE_LOAD, "load the cartridge that is in the drive", "")
PREPARATION(unload, DRIVE_UNLOAD, "rewind and eject the cartridge", "")
PREPARATION(lock, DRIVE_LOCK, "the cartridge cannot be taken out", "")
PREPARATION(unlock, DRIVE_UNLOCK, "it can again", "")
PREPARATION(tension, DRIVE_TENSION, "wind the tape to its end and back", "")
PREPARATION(format, DRIVE_FORMAT, "format the medium: all data are lost",
	    " [--yes]")

/* ---- partition ---- */

static bool read_sizes(const struct command *self,
		       const struct option_list *list,
		       struct drive_partitioning *p)
{
	if (list->count > DRIVE_PARTITIONS) {
		options_misuse(self, "at most %d partitions", DRIVE_PARTITIONS);
		return false;
	}
	p->layout = DRIVE_LAYOUT_SIZES;
	p->count = (uint32_t)list->count;
	for (int n = 0; n < list->count; n++) {
		if (!strcmp(list->items[n], "rest"))
			continue;
		if (set_parse_size(list->items[n], &p->sizes[n]) ||
		    !p->sizes[n]) {
			options_misuse(self,
				       "--size %s: not a size, nor `rest`",
				       list->items[n]);
			return false;
		}
	}
	return true;
}

static int run_partition(const struct command *self, int argc, char **argv)
{
	bool json = false, yes = false, fixed = false;
	struct option_list sizes = {0};
	const char *text = NULL;
	const struct option_spec specs[] = {
		{"count", 0, OPTION_TEXT, &text, "N",
		 "so many; the drive chooses their sizes"},
		{"size", 0, OPTION_LIST, &sizes, "SIZE",
		 "one of this size; one may be `rest`"},
		{"fixed", 0, OPTION_FLAG, &fixed, NULL,
		 "as the drive has them by itself"},
		{"yes", 0, OPTION_FLAG, &yes, NULL, "do not ask"},
		{"json", 0, OPTION_FLAG, &json, NULL, "one object"},
		{0}};
	struct drive_partitioning p = {.layout = DRIVE_LAYOUT_FIXED,
				       .count = 1};
	uint64_t count = 1;
	struct drive *d;
	int status, error;

	if (!options_parse(self, specs, 1, 1, &argc, &argv, &status))
		return status;
	if (!!text + (sizes.count > 0) + fixed != 1)
		return options_misuse(self, "give --count, --size or --fixed");
	if (text &&
	    !tape_number(self, text, "partitions", DRIVE_PARTITIONS, &count))
		return EXIT_FAILED;
	if (text)
		p = (struct drive_partitioning){
			DRIVE_LAYOUT_SELECT, (uint32_t)count, {0}};
	if (sizes.count && !read_sizes(self, &sizes, &p))
		return EXIT_FAILED;
	error = tape_open(argv[0], false, true, &d);
	if (error)
		return error_exit(error);
	if (!tape_consent(d, "create partitions: all data on it are lost",
			  yes)) {
		drive_close(d);
		return EXIT_FAILED;
	}
	error = drive_partition(d, &p);
	return tape_done(self, d, error, json);
}

const struct command tape_partition = {
	.name = "tape partition",
	.synopsis = "DEVICE --count N | --size SIZE... | --fixed [--yes] "
		    "[--json]",
	.summary = "create partitions: all data are lost",
	.run = run_partition,
};

/* ---- erase ---- */

static int run_erase(const struct command *self, int argc, char **argv)
{
	bool json = false, yes = false, whole = false, immediate = false;
	const struct option_spec specs[] = {
		{"long", 0, OPTION_FLAG, &whole, NULL,
		 "overwrite what lies behind; may take hours"},
		{"immediate", 0, OPTION_FLAG, &immediate, NULL,
		 "begin it and do not wait"},
		{"yes", 0, OPTION_FLAG, &yes, NULL, "do not ask"},
		{"json", 0, OPTION_FLAG, &json, NULL, "one object"},
		{0}};
	struct drive *d;
	int status, error;

	if (!options_parse(self, specs, 1, 1, &argc, &argv, &status))
		return status;
	error = tape_open(argv[0], false, true, &d);
	if (error)
		return error_exit(error);
	if (!tape_consent(d, "erase all that lies behind the tape's place",
			  yes)) {
		drive_close(d);
		return EXIT_FAILED;
	}
	error = drive_erase(d, whole ? DRIVE_ERASE_LONG : DRIVE_ERASE_SHORT,
			    immediate);
	return tape_done(self, d, error, json);
}

const struct command tape_erase = {
	.name = "tape erase",
	.synopsis = "DEVICE [--long] [--immediate] [--yes] [--json]",
	.summary = "end the data where the tape is",
	.run = run_erase,
};

/* ---- set ---- */

static const char *const parameter_names[] = {
	"block-size",	   "compression",   "ecc",    "padding",
	"report-setmarks", "early-warning", "density"};

#define PARAMETERS (sizeof(parameter_names) / sizeof(parameter_names[0]))

static bool read_value(const struct command *self, enum drive_parameter what,
		       const char *text, uint64_t *value)
{
	switch (what) {
	case DRIVE_SET_DENSITY:
		return tape_number(self, text, "a density", UINT8_MAX, value);
	case DRIVE_SET_BLOCK_SIZE:
	case DRIVE_SET_EARLY_SIZE:
		*value = 0;
		if (!strcmp(text, "0") || !strcmp(text, "variable") ||
		    !set_parse_size(text, value))
			return true;
		options_misuse(self, "%s: not a size such as 256K", text);
		return false;
	default:
		*value = !strcmp(text, "on");
		if (*value || !strcmp(text, "off"))
			return true;
		options_misuse(self, "%s: on or off is meant", text);
		return false;
	}
}

static int run_set(const struct command *self, int argc, char **argv)
{
	bool json = false;
	const struct option_spec specs[] = {
		{"json", 0, OPTION_FLAG, &json, NULL, "one object"}, {0}};
	enum drive_parameter what;
	struct drive *d;
	uint64_t value;
	size_t n = 0;
	int status, error;

	if (!options_parse(self, specs, 3, 3, &argc, &argv, &status))
		return status;
	while (n < PARAMETERS && strcmp(argv[1], parameter_names[n]) != 0)
		n++;
	if (n == PARAMETERS)
		return options_misuse(self, "there is no parameter %s",
				      argv[1]);
	what = (enum drive_parameter)n;
	if (!read_value(self, what, argv[2], &value))
		return EXIT_FAILED;
	error = tape_open(argv[0], false, false, &d);
	if (error)
		return error_exit(error);
	error = drive_set(d, what, value);
	return tape_done(self, d, error, json);
}

const struct command tape_set = {
	.name = "tape set",
	.synopsis = "DEVICE PARAMETER VALUE [--json]",
	.summary = "set a parameter of the drive or medium",
	.details = "block-size SIZE (0: any), compression on|off, ecc on|off, "
		   "padding on|off,\nreport-setmarks on|off, early-warning "
		   "SIZE, density CODE.\n",
	.run = run_set,
};

/* ---- attribute ---- */

static int say_attribute(struct drive *d, uint16_t id, bool json)
{
	uint8_t data[DRIVE_ATTRIBUTE_LIMIT];
	size_t length = sizeof(data);
	struct json j;
	char *text;
	int error = drive_attribute(d, id, data, &length);

	if (error == REEL_ENOENT)
		log_error("%s: the cartridge has no attribute %04x",
			  drive_name(d), id);
	if (error)
		return error;
	if (json) {
		json_begin(&j);
		json_number(&j, "attribute", id);
		json_hex(&j, "hex", data, length);
		json_bytes(&j, "text", data, length);
		json_end(&j);
		return 0;
	}
	text = text_name(data, length);
	printf("%s\n", text ? text : "");
	free(text);
	return 0;
}

static int run_attribute(const struct command *self, int argc, char **argv)
{
	bool json = false;
	const char *text = NULL;
	const struct option_spec specs[] = {
		{"set", 0, OPTION_TEXT, &text, "TEXT", "write it"},
		{"json", 0, OPTION_FLAG, &json, NULL, "one object"},
		{0}};
	struct drive *d;
	uint64_t id;
	char *end;
	int status, error;

	if (!options_parse(self, specs, 2, 2, &argc, &argv, &status))
		return status;
	id = strtoul(argv[1], &end, 16);
	if (!*argv[1] || *end || id > UINT16_MAX)
		return options_misuse(self, "%s: not an attribute such as 0806",
				      argv[1]);
	error = tape_open(argv[0], !text, true, &d);
	if (error)
		return error_exit(error);
	if (text)
		error = drive_set_attribute(d, (uint16_t)id, text,
					    strlen(text));
	else
		error = say_attribute(d, (uint16_t)id, json);
	return tape_done(self, d, error, json && text);
}

const struct command tape_attribute = {
	.name = "tape attribute",
	.synopsis = "DEVICE ID [--set TEXT] [--json]",
	.summary = "the memory in the cartridge",
	.details = "ID is hexadecimal: 0806 barcode, 0803 user's label, 0401 "
		   "serial number ...\n",
	.run = run_attribute,
};
