#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "catalog/import.h"
#include "tape/cartridge_walk.h"
#include "tape/error.h"
#include "tape/log.h"
#include "tape/station.h"
#include "tools/media_option.h"
#include "tools/options.h"
#include "tools/signals.h"
#include "tools/tape.h"

#define A_DAY	     86400
#define LOAD_SECONDS 10800 /* LTO-9 looks a new cartridge over for hours */

struct importing {
	struct import *import;
	struct set_config media; /* the drives and changers */
	unsigned wait;		 /* seconds for each further cartridge */
	uint8_t (*passed)[16];	 /* uuids of cartridges that were looked at */
	size_t passed_count;
	bool seen;	  /* one cartridge at least */
	bool passed_over; /* one of another set */
	bool damaged;	  /* one is no image any more */
};

static bool is_no_mistake(int error)
{
	return error == REEL_EMEDIUM || error == REEL_EEXIST ||
	       error == REEL_ENOENT || error == REEL_EINVAL;
}

static int note_passed(struct importing *m, const uint8_t uuid[16])
{
	void *more =
		realloc(m->passed, (m->passed_count + 1) * sizeof(*m->passed));

	if (!more)
		return REEL_ENOMEM;
	m->passed = more;
	memcpy(m->passed[m->passed_count++], uuid, sizeof(*m->passed));
	return 0;
}

static int take(struct importing *m, struct drive *d)
{
	struct cartridge_label l;
	int error;

	if (!cartridge_read_label(d, &l)) {
		error = note_passed(m, l.uuid);
		cartridge_label_release(&l);
		if (error)
			return error;
	}
	error = import_cartridge(m->import, d);
	m->seen |= !error;
	m->passed_over |=
		error == REEL_EINVAL && !import_is_hopeless(m->import);
	return error;
}

/* What a later session ends on is known from no earlier cartridge: all that the
 * changers have are looked at. Those of other sets are at home there; what else
 * is wrong with one was said. */
static int take_others(struct importing *m, struct station *s)
{
	const volatile int *stop = signals_flag();
	int error = 0;

	while (!error) {
		const bool passed_over = m->passed_over;
		const size_t passed = m->passed_count;
		struct drive *d;

		error = station_get_other(s, (const uint8_t(*)[16])m->passed,
					  passed, stop, &d);
		if (error)
			break;
		error = take(m, d);
		station_put(s, d);
		m->passed_over = passed_over;
		if (import_is_hopeless(m->import))
			return error;
		if (m->passed_count > passed && is_no_mistake(error))
			error = 0;
	}
	if (error == REEL_ENOMEM || error == REEL_ESTOPPED)
		return error;
	m->passed_over |= error != REEL_EMEDIUM;
	return 0;
}

/* The cartridge that is in a drive now. An empty drive, or what is none of the
 * set's, is no mistake (it was said): others may have one, or get one. */
static int take_present(struct importing *m, const char *name)
{
	const struct drive_options o = {.read_only = true,
					.wait = LOAD_SECONDS,
					.stop = signals_flag()};
	struct drive *d;
	int error = drive_open(name, &o, &d);

	if (error == REEL_EDAMAGED) { /* said; the others may be well */
		m->damaged = true;
		return 0;
	}
	if (error)
		return error;
	error = take(m, d);
	drive_close(d);
	return !import_is_hopeless(m->import) && is_no_mistake(error) ? 0
								      : error;
}

static int take_needed(struct importing *m, struct station *s)
{
	const volatile int *stop = signals_flag();
	const struct cartridge_label *l;
	uint32_t after = 0;
	int error = 0;

	while (!error && (l = import_needed(m->import, after))) {
		const size_t learned = import_learned(m->import);
		struct drive *d;

		after = l->number;
		error = station_get(s, l, stop, &d);
		if (!error) {
			error = import_cartridge(m->import, d);
			station_put(s, d);
			if (!error && import_learned(m->import) > learned)
				after = 0;
		}
		if (error == REEL_EMEDIUM || error == REEL_EEXIST)
			error = 0;
	}
	return error;
}

static int take_more(struct importing *m)
{
	const struct station_options o = {
		.drives = (const char *const *)m->media.drives,
		.drive_count = m->media.drive_count,
		.changers = (const char *const *)m->media.changers,
		.changer_count = m->media.changer_count,
		.timeout = m->wait,
		.read_only = true,
		.stop = signals_flag()};
	struct station *s;
	int error;

	if (!import_needed(m->import, 0) && !m->media.changer_count)
		return 0;
	error = station_open(&o, &s);
	if (error)
		return error;
	if (m->media.changer_count)
		error = take_others(m, s);
	if (!error)
		error = take_needed(m, s);
	station_close(s);
	return error;
}

static int import_all(struct importing *m, const char *path)
{
	struct import_found found;
	int error = 0;

	for (size_t n = 0; !error && n < m->media.drive_count; n++)
		error = take_present(m, m->media.drives[n]);
	if (!error)
		error = take_more(m);
	if (!error && !m->seen && m->damaged)
		return error_exit(REEL_EDAMAGED);
	if (!error && !m->seen) {
		log_error("none of the drives has a cartridge of reel; load "
			  "one, whichever");
		error = REEL_EMEDIUM;
	}
	import_set_patience(m->import, m->wait, signals_flag());
	if (!error)
		error = import_finish(m->import, &found);
	if (error)
		return error_exit(error);
	printf("%s: %u %s from %u of %u %s\n", path, (unsigned)found.sessions,
	       found.sessions == 1 ? "snapshot" : "snapshots",
	       (unsigned)(found.cartridges - found.missing),
	       (unsigned)found.cartridges,
	       found.cartridges == 1 ? "cartridge" : "cartridges");
	return found.incomplete || m->passed_over || m->damaged
		       ? EXIT_INCOMPLETE
		       : 0;
}

static int add_names(struct importing *m, char **drives, int count,
		     const struct option_list *changers)
{
	int error = 0;

	m->media.tape = true;
	for (int n = 0; !error && n < count; n++)
		error = media_option_add(drives[n], false, &m->media);
	for (int n = 0; !error && n < changers->count; n++)
		error = media_option_add(changers->items[n], true, &m->media);
	return error;
}

static int run(const struct command *self, int argc, char **argv)
{
	struct importing m = {.wait = isatty(STDIN_FILENO) ? A_DAY : 0};
	struct option_list changers = {.count = 0};
	const char *wait = NULL;
	const struct option_spec specs[] = {
		{"changer", 0, OPTION_LIST, &changers, "CHANGER",
		 "that fetches further cartridges"},
		{"wait", 0, OPTION_TEXT, &wait, "SECONDS",
		 "for each further cartridge (a day on a terminal, else 0)"},
		{0}};
	uint64_t seconds;
	int status, error;

	if (!options_parse(self, specs, 2, -1, &argc, &argv, &status))
		return status;
	if (wait && !tape_number(self, wait, "seconds", UINT32_MAX, &seconds))
		return EXIT_FAILED;
	if (wait)
		m.wait = (unsigned)seconds;
	error = add_names(&m, argv, argc - 1, &changers);
	if (!error)
		error = import_new(argv[argc - 1], &m.media, &m.import);
	status = error ? error_exit(error) : import_all(&m, argv[argc - 1]);
	import_free(m.import);
	free(m.passed);
	set_config_release(&m.media);
	return status;
}

const struct command command_import = {
	.name = "import",
	.synopsis = "DEVICE... NEWSET [--changer CHANGER]... [--wait SECONDS]",
	.summary = "a set made anew from its cartridges alone",
	.details = "In any order, in as many drives as there are. Cartridges "
		   "that still hold what is\nneeded are asked for by name; "
		   "without them the snapshots that they end are\nmissing, "
		   "and that is said (status 1). All that a changer has are "
		   "looked at.\n",
	.run = run,
};
