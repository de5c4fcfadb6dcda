#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tape/error.h"
#include "tape/text.h"
#include "tools/figures.h"
#include "tools/json.h"
#include "tools/tape.h"

/* Both as rows and as one object: a row is said where there is no object. */
struct sayer {
	bool json;
	struct json object;
};

static void say_text(struct sayer *s, const char *key, const char *text)
{
	char *shown;

	if (!*text)
		return;
	if (s->json) {
		json_text(&s->object, key, text);
		return;
	}
	/* a barcode may have any bytes */
	shown = text_name(text, strlen(text));
	printf("%-18s %s\n", key, shown ? shown : "");
	free(shown);
}

static void say_flag(struct sayer *s, const char *key, bool value)
{
	if (s->json)
		json_bool(&s->object, key, value);
	else
		printf("%-18s %s\n", key, value ? "yes" : "no");
}

static void say_number(struct sayer *s, const char *key, uint64_t number)
{
	if (number == DRIVE_UNKNOWN)
		return;
	if (s->json)
		json_number(&s->object, key, number);
	else
		printf("%-18s %" PRIu64 "\n", key, number);
}

static void say_bytes(struct sayer *s, const char *key, uint64_t bytes)
{
	char text[FIGURE_SIZE];

	if (s->json || bytes == DRIVE_UNKNOWN)
		say_number(s, key, bytes);
	else
		say_text(s, key, figure_bytes(bytes, text));
}

static void begin(struct sayer *s, const char *device, struct drive *d)
{
	if (s->json) {
		json_begin(&s->object);
		json_bytes(&s->object, "device", device, strlen(device));
	}
	say_text(s, "kind", drive_kind(d));
}

static void end(struct sayer *s)
{
	if (s->json)
		json_end(&s->object);
}

/* ---- status ---- */

static const char *const state_names[] = {"ready", "empty", "loading",
					  "failed"};

/* TapeAlert, the flags people can do something about (SSC-4, annex A). */
static const struct {
	unsigned flag;
	const char *text;
} alerts[] = {
	{1, "trouble reading"},
	{2, "trouble writing"},
	{3, "hard error"},
	{4, "the cartridge is unreliable: copy its data"},
	{5, "read failure"},
	{6, "write failure"},
	{7, "the cartridge has reached its end of life"},
	{9, "write-protected"},
	{10, "the cartridge cannot be taken out"},
	{11, "a cleaning cartridge is in the drive"},
	{12, "format not supported"},
	{15, "the cartridge's memory failed"},
	{16, "ejected while in use"},
	{18, "the tape directory is damaged: positioning is slow"},
	{19, "the cartridge nears its end of life"},
	{20, "clean the drive now"},
	{21, "clean the drive soon"},
	{22, "the cleaning cartridge is used up"},
	{30, "hardware failure: reset the drive"},
	{31, "hardware failure: power the drive off and on"},
	{32, "interface problem"},
	{36, "the drive is too hot"},
};

static int say_alerts(struct sayer *s, struct drive *d)
{
	uint64_t flags = 0, numbers[64];
	size_t count = 0;
	int error = drive_alerts(d, &flags);

	if (error)
		return error;
	for (unsigned n = 1; n < 64; n++) {
		if (flags >> n & 1)
			numbers[count++] = n;
	}
	if (s->json) {
		json_numbers(&s->object, "alerts", numbers, count);
		return 0;
	}
	for (size_t n = 0; n < count; n++) {
		const char *text = "";

		for (size_t k = 0; k < sizeof(alerts) / sizeof(alerts[0]);
		     k++) {
			if (alerts[k].flag == numbers[n])
				text = alerts[k].text;
		}
		printf("%-18s %" PRIu64 " %s\n", "alert", numbers[n], text);
	}
	return 0;
}

static void say_status(struct sayer *s, const struct drive_status *now)
{
	say_text(s, "state", state_names[now->state]);
	say_text(s, "text", now->text);
	say_flag(s, "locked", now->locked);
	say_flag(s, "needs_cleaning", now->needs_cleaning);
	say_flag(s, "changed", now->changed);
	if (now->state != DRIVE_READY)
		return;
	say_flag(s, "write_protected", now->write_protected);
	say_flag(s, "beginning", now->begin);
	say_flag(s, "end_of_data", now->end);
	say_flag(s, "early_warning", now->early);
}

static void say_place(struct sayer *s, struct drive *d)
{
	struct drive_position p;

	if (drive_tell(d, &p))
		return;
	say_number(s, "partition", p.partition);
	say_number(s, "object", p.object);
	say_number(s, "file", p.file);
	say_number(s, "block", p.block);
}

static int run_status(const struct command *self, int argc, char **argv)
{
	struct sayer s = {0};
	bool with_alerts = false;
	const struct option_spec specs[] = {
		{"alerts", 0, OPTION_FLAG, &with_alerts, NULL,
		 "TapeAlert flags, too; reading clears them in the drive"},
		{"json", 0, OPTION_FLAG, &s.json, NULL, "one object"},
		{0}};
	struct drive_status now;
	struct drive *d;
	int status, error;

	if (!options_parse(self, specs, 1, 1, &argc, &argv, &status))
		return status;
	error = tape_open(argv[0], true, false, &d);
	if (error)
		return error_exit(error);
	error = drive_status(d, &now);
	if (!error) {
		begin(&s, argv[0], d);
		say_status(&s, &now);
		if (now.state == DRIVE_READY && now.known)
			say_place(&s, d);
		if (with_alerts)
			error = say_alerts(&s, d);
		end(&s);
	}
	status = tape_done(self, d, error, false);
	return !status && now.state == DRIVE_EMPTY ? error_exit(REEL_EMEDIUM)
						   : status;
}

const struct command tape_status = {
	.name = "tape status",
	.synopsis = "DEVICE [--alerts] [--json]",
	.summary = "what state the drive is in",
	.details = "Status 4: there is no cartridge in it.\n",
	.run = run_status,
};

/* ---- params ---- */

static const char *const feature_names[] = {"fixed-blocks", "variable-blocks",
					    "locate",	    "tell",
					    "setmarks",	    "sequential-marks",
					    "partitions",   "compression",
					    "ecc",	    "padding",
					    "early-size",   "erase-short",
					    "erase-long",   "load",
					    "lock",	    "tension",
					    "format",	    "immediate",
					    "capacity",	    "remaining",
					    "attributes",   "alerts",
					    "density",	    "worm"};

#define FEATURES (sizeof(feature_names) / sizeof(feature_names[0]))

static void say_features(struct sayer *s, uint32_t features)
{
	char text[512] = "";

	for (size_t n = 0; n < FEATURES; n++) {
		if (!(features >> n & 1))
			continue;
		if (*text)
			strcat(text, " ");
		strcat(text, feature_names[n]);
	}
	say_text(s, "features", text);
}

static void say_parameters(struct sayer *s, const struct drive_parameters *p)
{
	say_text(s, "vendor", p->vendor);
	say_text(s, "product", p->product);
	say_text(s, "revision", p->revision);
	say_text(s, "serial", p->serial);
	say_text(s, "barcode", p->barcode);
	say_text(s, "medium_serial", p->medium_serial);
	say_number(s, "block_min", p->block_min);
	say_number(s, "block_max", p->block_max);
	say_number(s, "block_size", p->block_size);
	say_number(s, "partitions", p->partitions);
	say_number(s, "partitions_max", p->partitions_max);
	say_number(s, "partition", p->partition);
	if (p->features & DRIVE_HAS_DENSITY)
		say_number(s, "density", p->density);
	say_text(s, "density_name", p->density_name);
	say_flag(s, "compression", p->compression);
	say_flag(s, "ecc", p->ecc);
	say_flag(s, "padding", p->padding);
	say_flag(s, "report_setmarks", p->report_setmarks);
	say_flag(s, "write_protected", p->write_protected);
	say_bytes(s, "capacity", p->capacity);
	say_bytes(s, "remaining", p->remaining);
	say_bytes(s, "early_warning", p->early_size);
	say_features(s, p->features);
}

static int run_params(const struct command *self, int argc, char **argv)
{
	struct sayer s = {0};
	const struct option_spec specs[] = {
		{"json", 0, OPTION_FLAG, &s.json, NULL, "one object"}, {0}};
	struct drive_parameters p;
	struct drive *d;
	int status, error;

	if (!options_parse(self, specs, 1, 1, &argc, &argv, &status))
		return status;
	error = tape_open(argv[0], true, false, &d);
	if (error)
		return error_exit(error);
	error = drive_parameters(d, &p);
	if (!error) {
		begin(&s, argv[0], d);
		say_parameters(&s, &p);
		end(&s);
	}
	return tape_done(self, d, error, false);
}

const struct command tape_params = {
	.name = "tape params",
	.synopsis = "DEVICE [--json]",
	.summary = "what the drive and the medium can do",
	.run = run_params,
};
