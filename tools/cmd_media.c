/* reel media: a set's cartridges, and where they are. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include "catalog/places.h"
#include "catalog/tapes.h"
#include "tape/error.h"
#include "tape/log.h"
#include "tools/json.h"
#include "tools/options.h"
#include "tools/signals.h"
#include "tools/table.h"
#include "tools/target.h"

#define NEEDED_ATTRIBUTE "user.reel.needed"
#define NEEDED_LIMIT	 4096

struct media {
	struct target target;
	struct cartridge_table table; /* the set's cartridges */
};

static void media_close(struct media *m)
{
	cartridge_table_release(&m->table);
	target_close(&m->target);
}

static int media_open(struct media *m, const char *set)
{
	int error = target_open_whole(&m->target, set, SET_READ, false);

	if (error)
		return error;
	if (!m->target.set->tapes) {
		log_error("%s is not on tape: its volumes are files", set);
		error = REEL_EINVAL;
	}
	if (!error)
		error = places_table(m->target.catalog, &m->table);
	if (error)
		media_close(m);
	return error;
}

static const struct cartridge_label *find(const struct media *m,
					  const char *text)
{
	for (size_t n = 0; n < m->table.cartridge_count; n++) {
		const struct cartridge_label *l = &m->table.cartridges[n];

		if (!strcmp(l->name, text) ||
		    (*l->barcode && !strcmp(l->barcode, text)))
			return l;
	}
	return NULL;
}

/* ---- list ---- */

struct listing {
	bool json;
	struct table table;
};

static void row(struct listing *l, const struct station_item *i)
{
	struct json j;

	if (!l->json) {
		table_cell(&l->table, i->where);
		table_cell(&l->table, *i->name ? i->name : "-");
		table_cell(&l->table, *i->barcode ? i->barcode : "-");
		table_cell(&l->table, i->note);
		return;
	}
	json_begin(&j);
	json_text(&j, "where", i->where);
	json_bool(&j, "full", i->full);
	json_text(&j, "cartridge", i->name);
	json_text(&j, "barcode", i->barcode);
	json_text(&j, "note", i->note);
	json_end(&j);
}

/* What is in a slot is known by its barcode, and the other way round. */
static void complete(const struct media *m, struct station_item *i)
{
	const struct cartridge_label *l = NULL;

	if (!*i->name && *i->barcode)
		l = find(m, i->barcode);
	if (l)
		strcpy(i->name, l->name);
	l = *i->name && !*i->barcode ? find(m, i->name) : NULL;
	if (l)
		strcpy(i->barcode, l->barcode);
}

static bool is_there(const struct station_item *items, size_t count,
		     const char *name)
{
	for (size_t n = 0; n < count; n++)
		if (!strcmp(items[n].name, name))
			return true;
	return false;
}

static void rows(struct media *m, struct listing *l, struct station_item *items,
		 size_t count)
{
	for (size_t n = 0; n < count; n++) {
		complete(m, &items[n]);
		row(l, &items[n]);
	}
	for (size_t n = 0; n < m->table.cartridge_count; n++) {
		const struct cartridge_label *c = &m->table.cartridges[n];
		struct station_item away = {.where = "elsewhere"};

		if (is_there(items, count, c->name))
			continue;
		strcpy(away.name, c->name);
		strcpy(away.barcode, c->barcode);
		row(l, &away);
	}
}

static int run_list(const struct command *self, int argc, char **argv)
{
	static const char *const titles[] = {"WHERE", "CARTRIDGE", "BARCODE",
					     "", NULL};
	struct listing l = {0};
	const struct option_spec specs[] = {
		{"json", 0, OPTION_FLAG, &l.json, NULL, "an object a line"},
		{0}};
	struct station_item *items = NULL;
	struct media m = {0};
	size_t count = 0;
	int status, error;

	if (!options_parse(self, specs, 1, 1, &argc, &argv, &status))
		return status;
	error = media_open(&m, argv[0]);
	if (error)
		return error_exit(error);
	table_init(&l.table, titles);
	error = station_list(m.target.set->tapes->station, &items, &count);
	if (!error)
		rows(&m, &l, items, count);
	if (!error && !l.json)
		error = table_print(&l.table);
	table_release(&l.table);
	free(items);
	media_close(&m);
	return error_exit(error);
}

const struct command command_media_list = {
	.name = "media list",
	.synopsis = "SET [--json]",
	.summary = "the drives, slots and cartridges of a set on tape",
	.details = "Looks into the drives; moves no cartridge.\n",
	.run = run_list,
};

/* ---- load, unload ---- */

static int run_load(const struct command *self, int argc, char **argv)
{
	const struct option_spec specs[] = {{0}};
	const struct cartridge_label *l;
	struct media m = {0};
	struct drive *d;
	int status, error;

	if (!options_parse(self, specs, 2, 2, &argc, &argv, &status))
		return status;
	error = media_open(&m, argv[0]);
	if (error)
		return error_exit(error);
	l = find(&m, argv[1]);
	if (!l) {
		log_error("%s has no cartridge %s; see `reel media list`",
			  argv[0], argv[1]);
		error = REEL_ENOENT;
	} else {
		if (!m.target.set->config.changer_count)
			station_pull_in(m.target.set->tapes->station);
		error = station_get(m.target.set->tapes->station, l,
				    signals_flag(), &d);
	}
	if (l && !error) {
		printf("%s is in %s\n", l->name, drive_name(d));
		station_put(m.target.set->tapes->station, d);
	}
	media_close(&m);
	return error_exit(error);
}

const struct command command_media_load = {
	.name = "media load",
	.synopsis = "SET CARTRIDGE|BARCODE",
	.summary = "bring a cartridge into a drive",
	.details = "By a changer, else it is asked for.\n",
	.run = run_load,
};

static int run_unload(const struct command *self, int argc, char **argv)
{
	const struct option_spec specs[] = {{0}};
	struct media m = {0};
	int status, error;

	if (!options_parse(self, specs, 2, 2, &argc, &argv, &status))
		return status;
	error = media_open(&m, argv[0]);
	if (error)
		return error_exit(error);
	error = station_unload(m.target.set->tapes->station, argv[1]);
	media_close(&m);
	return error_exit(error);
}

const struct command command_media_unload = {
	.name = "media unload",
	.synopsis = "SET DRIVE|CARTRIDGE|BARCODE",
	.summary = "take a cartridge out of a drive",
	.details = "Into its slot, where there is a changer.\n",
	.run = run_unload,
};

/* ---- move ---- */

static int run_move(const struct command *self, int argc, char **argv)
{
	const struct option_spec specs[] = {{0}};
	const struct cartridge_label *l;
	struct media m = {0};
	int status, error;

	if (!options_parse(self, specs, 3, 3, &argc, &argv, &status))
		return status;
	error = media_open(&m, argv[0]);
	if (error)
		return error_exit(error);
	l = find(&m, argv[1]);
	if (m.target.set->config.changer_count) {
		error = station_move(m.target.set->tapes->station,
				     l && *l->barcode ? l->barcode : argv[1],
				     argv[2]);
	} else {
		log_error("%s has no changer", argv[0]);
		error = REEL_EINVAL;
	}
	media_close(&m);
	return error_exit(error);
}

const struct command command_media_move = {
	.name = "media move",
	.synopsis = "SET CARTRIDGE|BARCODE|FROM TO",
	.summary = "move a cartridge within its changer",
	.details = "FROM and TO are numbers of slots as `reel media list` "
		   "shows them, or of drives as\n`reel tape inventory` does. A "
		   "cartridge is taken out of its drive first, and pulled\n"
		   "into one.\n",
	.run = run_move,
};

/* ---- needed ---- */

static void say(const char *line, bool json)
{
	struct json j;

	if (!json) {
		printf("%s\n", line);
		return;
	}
	json_begin(&j);
	json_text(&j, "needed", line);
	json_end(&j);
}

/* What a mount waits for. */
static int say_waits(const char *mountpoint, bool json)
{
	char room[NEEDED_LIMIT + 1], *text = room, *line;
	ssize_t n = getxattr(mountpoint, NEEDED_ATTRIBUTE, room, NEEDED_LIMIT);

	if (n < 0) {
		log_error("%s is neither a set nor a mount of one", mountpoint);
		return REEL_EINVAL;
	}
	room[n] = '\0';
	while ((line = strsep(&text, "\n")))
		if (*line)
			say(line, json);
	return 0;
}

/* What lies in no drive and no slot. */
static int say_away(const char *set, bool json)
{
	struct station_item *items = NULL;
	struct media m = {0};
	size_t count = 0;
	int error = media_open(&m, set);

	if (error)
		return error;
	error = station_list(m.target.set->tapes->station, &items, &count);
	for (size_t n = 0; !error && n < count; n++)
		complete(&m, &items[n]);
	for (size_t n = 0; !error && n < m.table.cartridge_count; n++) {
		const struct cartridge_label *l = &m.table.cartridges[n];
		char line[160];

		if (is_there(items, count, l->name))
			continue;
		snprintf(line, sizeof(line), "cartridge %s%s%s%s", l->name,
			 *l->barcode ? " (barcode " : "", l->barcode,
			 *l->barcode ? ")" : "");
		say(line, json);
	}
	free(items);
	media_close(&m);
	return error;
}

static int run_needed(const struct command *self, int argc, char **argv)
{
	bool json = false;
	const struct option_spec specs[] = {
		{"json", 0, OPTION_FLAG, &json, NULL, "an object a line"}, {0}};
	int status;

	if (!options_parse(self, specs, 1, 1, &argc, &argv, &status))
		return status;
	return error_exit(target_is_set(argv[0]) ? say_away(argv[0], json)
						 : say_waits(argv[0], json));
}

const struct command command_media_needed = {
	.name = "media needed",
	.synopsis = "SET|MNT [--json]",
	.summary = "the cartridges that are missing, or that a mount waits for",
	.details =
		"Of a set: those that lie in no drive and no slot. Of a "
		"mount: those that somebody\nwaits for now. Which one a file "
		"is on says user.reel.volume.\n",
	.run = run_needed,
};
