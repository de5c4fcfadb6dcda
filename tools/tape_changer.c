#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tape/changer.h"
#include "tape/error.h"
#include "tape/log.h"
#include "tools/json.h"
#include "tools/signals.h"
#include "tools/tape.h"

static const char *const type_names[] = {"", "picker", "slot", "port", "drive"};

static void say_element(const struct scsi_element *e, bool json)
{
	struct json j;

	if (!json) {
		printf("%-6s %5u %-5s %s%s\n", type_names[e->type],
		       (unsigned)e->address, e->full ? "full" : "empty",
		       e->barcode, e->except ? " (in trouble)" : "");
		return;
	}
	json_begin(&j);
	json_text(&j, "type", type_names[e->type]);
	json_number(&j, "address", e->address);
	json_bool(&j, "full", e->full);
	if (*e->barcode)
		json_text(&j, "barcode", e->barcode);
	if (*e->serial)
		json_text(&j, "serial", e->serial);
	if (e->has_source)
		json_number(&j, "source", e->source);
	json_bool(&j, "trouble", e->except);
	json_end(&j);
}

static int run_inventory(const struct command *self, int argc, char **argv)
{
	bool json = false, rescan = false;
	const struct option_spec specs[] = {
		{"rescan", 0, OPTION_FLAG, &rescan, NULL,
		 "look at all cartridges anew"},
		{"json", 0, OPTION_FLAG, &json, NULL, "an object for each"},
		{0}};
	struct changer_inventory i = {0};
	struct changer *c;
	int status, error;

	if (!options_parse(self, specs, 1, 1, &argc, &argv, &status))
		return status;
	error = changer_open(argv[0], signals_flag(), &c);
	if (error)
		return error_exit(error);
	if (rescan)
		error = changer_rescan(c);
	if (!error)
		error = changer_inventory(c, &i);
	for (size_t n = 0; n < i.count; n++)
		say_element(&i.elements[n], json);
	changer_inventory_release(&i);
	changer_close(c);
	return error_exit(error);
}

const struct command tape_inventory = {
	.name = "tape inventory",
	.synopsis = "CHANGER [--rescan] [--json]",
	.summary = "what lies where in a changer",
	.details = "CHANGER is /dev/sch0, /dev/sg3 or "
		   "iscsi://HOST[:PORT]/TARGET/LUN.\n",
	.run = run_inventory,
};

/* An address, or the barcode of what lies there. */
static bool find(const struct changer_inventory *i, const char *name,
		 const char *text, uint16_t *address)
{
	const struct scsi_element *e = changer_find_barcode(i, text);
	bool digits = *text && !text[strspn(text, "0123456789")];
	unsigned long number = digits ? strtoul(text, NULL, 10) : ULONG_MAX;

	if (!e && number <= UINT16_MAX)
		e = changer_find_address(i, (uint16_t)number);
	if (e)
		*address = e->address;
	else
		log_error("%s: %s is neither a barcode nor an element there",
			  name, text);
	return e != NULL;
}

static void say_move(const char *changer, uint16_t from, uint16_t to)
{
	struct json j;

	json_begin(&j);
	json_bytes(&j, "device", changer, strlen(changer));
	json_text(&j, "verb", "move");
	json_number(&j, "from", from);
	json_number(&j, "to", to);
	json_bool(&j, "done", true);
	json_end(&j);
}

static int run_move(const struct command *self, int argc, char **argv)
{
	bool json = false;
	const struct option_spec specs[] = {
		{"json", 0, OPTION_FLAG, &json, NULL, "one object"}, {0}};
	struct changer_inventory i = {0};
	uint16_t from = 0, to = 0;
	struct changer *c;
	int status, error;

	if (!options_parse(self, specs, 3, 3, &argc, &argv, &status))
		return status;
	error = changer_open(argv[0], signals_flag(), &c);
	if (error)
		return error_exit(error);
	error = changer_inventory(c, &i);
	if (!error && (!find(&i, argv[0], argv[1], &from) ||
		       !find(&i, argv[0], argv[2], &to)))
		error = REEL_ENOENT;
	if (!error)
		error = changer_move(c, from, to);
	changer_inventory_release(&i);
	changer_close(c);
	if (!error && json)
		say_move(argv[0], from, to);
	return error_exit(error);
}

const struct command tape_move = {
	.name = "tape move",
	.synopsis = "CHANGER BARCODE|FROM TO [--json]",
	.summary = "move a cartridge in a changer",
	.details =
		"FROM and TO are addresses as `inventory` shows them. Unload "
		"a drive before its\ncartridge is moved.\n",
	.run = run_move,
};
