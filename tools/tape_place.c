#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tape/error.h"
#include "tape/log.h"
#include "tools/json.h"
#include "tools/tape.h"

/* ---- tell ---- */

static void say_number(const char *name, uint64_t number)
{
	if (number == DRIVE_UNKNOWN)
		printf("%-10s unknown\n", name);
	else
		printf("%-10s %" PRIu64 "\n", name, number);
}

static void json_place(struct json *j, const struct drive_position *p)
{
	json_number(j, "partition", p->partition);
	if (p->object != DRIVE_UNKNOWN)
		json_number(j, "object", p->object);
	if (p->file != DRIVE_UNKNOWN)
		json_number(j, "file", p->file);
	if (p->block != DRIVE_UNKNOWN)
		json_number(j, "block", p->block);
}

static void say_place(const char *device, const struct drive_position *p,
		      bool json)
{
	struct json j;

	if (json) {
		json_begin(&j);
		json_bytes(&j, "device", device, strlen(device));
		json_place(&j, p);
		json_end(&j);
		return;
	}
	say_number("partition", p->partition);
	say_number("object", p->object);
	say_number("file", p->file);
	say_number("block", p->block);
}

static int run_tell(const struct command *self, int argc, char **argv)
{
	bool json = false;
	const struct option_spec specs[] = {
		{"json", 0, OPTION_FLAG, &json, NULL, "one object"}, {0}};
	struct drive_position p;
	struct drive *d;
	int status, error;

	if (!options_parse(self, specs, 1, 1, &argc, &argv, &status))
		return status;
	error = tape_open(argv[0], true, true, &d);
	if (error)
		return error_exit(error);
	error = drive_tell(d, &p);
	if (!error && p.object == DRIVE_UNKNOWN && p.file == DRIVE_UNKNOWN) {
		log_error("%s: this drive (%s) cannot tell where its tape is",
			  argv[0], drive_kind(d));
		error = REEL_ENOTSUP;
	}
	if (!error)
		say_place(argv[0], &p, json);
	return tape_done(self, d, error, false);
}

const struct command tape_tell = {
	.name = "tape tell",
	.synopsis = "DEVICE [--json]",
	.summary = "where the tape is",
	.details = "object: blocks and filemarks before it in the partition; "
		   "file: filemarks before\nit; block: objects since the last "
		   "filemark. A drive may not know all of them.\n",
	.run = run_tell,
};

/* ---- seek ---- */

struct seek_options {
	const char *partition, *file, *block;
	bool end, json;
};

static bool read_place(const struct command *self, const char *object,
		       const struct seek_options *o, struct drive_position *p)
{
	uint64_t partition = p->partition;

	*p = (struct drive_position){p->partition, DRIVE_UNKNOWN, DRIVE_UNKNOWN,
				     0};
	if (o->partition && !tape_number(self, o->partition, "a partition",
					 DRIVE_PARTITIONS - 1, &partition))
		return false;
	p->partition = (uint32_t)partition;
	if (object &&
	    !tape_number(self, object, "an object", INT64_MAX, &p->object))
		return false;
	if (o->file &&
	    !tape_number(self, o->file, "a file", INT64_MAX, &p->file))
		return false;
	if (o->block &&
	    !tape_number(self, o->block, "a block", INT64_MAX, &p->block))
		return false;
	if (o->block && !o->file) {
		options_misuse(self, "--block N is one of --file N");
		return false;
	}
	if (!!object + !!o->file + o->end == 1)
		return true;
	if (!object && !o->file && !o->end && o->partition) {
		p->object = p->file = 0;
		return true;
	}
	options_misuse(self, "give an object, or --file N, or --end");
	return false;
}

static int seek(struct drive *d, const struct seek_options *o,
		const struct drive_position *p, uint32_t present)
{
	struct drive_moved m;
	int error = 0;

	if (!o->end)
		return drive_seek(d, p);
	if (p->partition != present)
		error = drive_select(d, p->partition);
	return error ? error : drive_space(d, DRIVE_TO_END, 0, &m);
}

static int run_seek(const struct command *self, int argc, char **argv)
{
	struct seek_options o = {0};
	const struct option_spec specs[] = {
		{"partition", 0, OPTION_TEXT, &o.partition, "N",
		 "in another partition"},
		{"file", 0, OPTION_TEXT, &o.file, "N",
		 "to a tape file, from 0"},
		{"block", 0, OPTION_TEXT, &o.block, "N", "to its Nth block"},
		{"end", 0, OPTION_FLAG, &o.end, NULL, "to the end of the data"},
		{"json", 0, OPTION_FLAG, &o.json, NULL, "one object"},
		{0}};
	struct drive_position p = {0}, now = {0};
	struct drive *d;
	int status, error;

	if (!options_parse(self, specs, 1, 2, &argc, &argv, &status))
		return status;
	if (!read_place(self, argc > 1 ? argv[1] : NULL, &o, &p))
		return EXIT_FAILED;
	error = tape_open(argv[0], false, true, &d);
	if (error)
		return error_exit(error);
	error = drive_tell(d, &now);
	if (!o.partition)
		p.partition = now.partition;
	if (!error || error == REEL_ERESET)
		error = seek(d, &o, &p, now.partition);
	return tape_done(self, d, error, o.json);
}

const struct command tape_seek = {
	.name = "tape seek",
	.synopsis = "DEVICE OBJECT | --file N [--block N] | --end "
		    "[--partition N] [--json]",
	.summary = "to a place on the tape",
	.details =
		"OBJECT counts blocks and filemarks from 0, as `tell` does; "
		"0 rewinds. --partition\nalone goes to its beginning. Drives "
		"that cannot seek by number take --file.\n",
	.run = run_seek,
};

/* ---- space ---- */

static const char *const unit_names[] = {
	"blocks",   "filemarks",	   "sequential-filemarks",
	"setmarks", "sequential-setmarks", "end"};

#define UNITS (sizeof(unit_names) / sizeof(unit_names[0]))

static bool read_unit(const struct command *self, const char *text,
		      enum drive_unit *unit)
{
	for (size_t n = 0; n < UNITS; n++) {
		if (!strcmp(text, unit_names[n])) {
			*unit = (enum drive_unit)n;
			return true;
		}
	}
	options_misuse(self, "%s is nothing to move over", text);
	return false;
}

static const char *found_name(enum drive_found found)
{
	switch (found) {
	case DRIVE_FILEMARK:
		return "filemark";
	case DRIVE_SETMARK:
		return "setmark";
	case DRIVE_END:
		return "end of data";
	case DRIVE_BEGIN:
		return "beginning";
	default:
		return "";
	}
}

static void say_moved(const char *device, const struct drive_moved *m,
		      bool json)
{
	struct json j;

	if (json) {
		json_begin(&j);
		json_bytes(&j, "device", device, strlen(device));
		if (m->count != DRIVE_UNKNOWN)
			json_number(&j, "moved", m->count);
		if (m->found != DRIVE_BLOCK)
			json_text(&j, "stopped", found_name(m->found));
		json_end(&j);
	} else if (m->found != DRIVE_BLOCK) {
		if (m->count == DRIVE_UNKNOWN)
			log_warning("%s: stopped at the %s", device,
				    found_name(m->found));
		else
			log_warning("%s: stopped at the %s after %" PRIu64,
				    device, found_name(m->found), m->count);
	}
}

static int run_space(const struct command *self, int argc, char **argv)
{
	bool json = false;
	const struct option_spec specs[] = {
		{"json", 0, OPTION_FLAG, &json, NULL, "one object"}, {0}};
	enum drive_unit unit;
	struct drive_moved m;
	uint64_t count = 1;
	struct drive *d;
	bool back;
	int status, error;

	if (!options_parse(self, specs, 2, 3, &argc, &argv, &status))
		return status;
	if (!read_unit(self, argv[1], &unit))
		return EXIT_FAILED;
	if (unit == DRIVE_TO_END && argc > 2)
		return options_misuse(self, "the end has no count");
	back = argc > 2 && argv[2][0] == '-';
	if (argc > 2 &&
	    !tape_number(self, argv[2] + back, argv[1], INT64_MAX, &count))
		return EXIT_FAILED;
	error = tape_open(argv[0], false, true, &d);
	if (error)
		return error_exit(error);
	error = drive_space(d, unit, back ? -(int64_t)count : (int64_t)count,
			    &m);
	if (!error)
		say_moved(argv[0], &m, json);
	status = tape_done(self, d, error, false);
	if (!status && m.found != DRIVE_BLOCK && unit != DRIVE_TO_END)
		status = EXIT_INCOMPLETE;
	return status;
}

const struct command tape_space = {
	.name = "tape space",
	.synopsis = "DEVICE blocks|filemarks|setmarks|sequential-filemarks|"
		    "sequential-setmarks|end [--json] [--] [COUNT]",
	.summary = "move over blocks or marks",
	.details = "A COUNT below 0 (after --) moves back. Status 1: something "
		   "else stopped it early,\nwhich is said.\n",
	.run = run_space,
};

/* ---- mark ---- */

static int run_mark(const struct command *self, int argc, char **argv)
{
	bool json = false, immediate = false, set = false;
	bool brief = false, whole = false;
	const struct option_spec specs[] = {
		{"setmarks", 0, OPTION_FLAG, &set, NULL, "setmarks"},
		{"short", 0, OPTION_FLAG, &brief, NULL, "short filemarks"},
		{"long", 0, OPTION_FLAG, &whole, NULL, "long filemarks"},
		{"immediate", 0, OPTION_FLAG, &immediate, NULL,
		 "do not wait until all is on the tape"},
		{"json", 0, OPTION_FLAG, &json, NULL, "one object"},
		{0}};
	enum drive_mark kind = DRIVE_MARK_FILE;
	uint64_t count = 1;
	struct drive *d;
	bool early = false;
	int status, error;

	if (!options_parse(self, specs, 1, 2, &argc, &argv, &status))
		return status;
	if (argc > 1 &&
	    !tape_number(self, argv[1], "marks", UINT16_MAX, &count))
		return EXIT_FAILED;
	if (set + brief + whole > 1)
		return options_misuse(self, "one kind of marks only");
	if (set)
		kind = DRIVE_MARK_SET;
	else if (brief || whole)
		kind = brief ? DRIVE_MARK_SHORT_FILE : DRIVE_MARK_LONG_FILE;
	error = tape_open(argv[0], false, true, &d);
	if (error)
		return error_exit(error);
	error = drive_mark(d, kind, (uint32_t)count, immediate, &early);
	if (error == REEL_ENOSPC)
		log_error("%s: the end of the medium: no mark fits", argv[0]);
	else if (early)
		log_note("%s: the end of the medium is near", argv[0]);
	return tape_done(self, d, error, json);
}

const struct command tape_mark = {
	.name = "tape mark",
	.synopsis = "DEVICE [COUNT] [--setmarks] [--immediate] [--json]",
	.summary = "write filemarks, or setmarks",
	.details = "What lies behind is lost. 0 marks: all that was written "
		   "before is on the tape.\n",
	.run = run_mark,
};
