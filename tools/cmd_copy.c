#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "catalog/copy.h"
#include "catalog/discard.h"
#include "catalog/places.h"
#include "tape/cartridge.h"
#include "tape/error.h"
#include "tape/log.h"
#include "tools/figures.h"
#include "tools/media_option.h"
#include "tools/options.h"
#include "tools/progress.h"
#include "tools/signals.h"
#include "tools/target.h"

struct copying {
	struct target from;
	struct set *set; /* the other one */
	struct catalog *catalog;
	struct progress progress;
	struct set_config like; /* of a new one */
};

static void show(void *context, const struct copy_progress *p)
{
	const struct progress_state s = {
		.done = p->done, .total = p->total, .bytes = p->done};

	progress_update(context, &s);
}

static int new_line(struct copying *m, uint32_t *line)
{
	int error = places_new_line(m->from.catalog, line);

	if (error == REEL_ERANGE)
		log_error("%s has as many copies as can be; add to one of "
			  "them, or copy to disk",
			  m->from.name);
	return error;
}

/* Media are the other set's own, all else is this one's. */
static int make_other(struct copying *m, const char *path)
{
	struct set_config c = m->from.set->config;
	int error;

	c.tape = m->like.tape;
	c.drives = m->like.drives;
	c.drive_count = m->like.drive_count;
	c.changers = m->like.changers;
	c.changer_count = m->like.changer_count;
	c.copy_drives = NULL;
	c.copy_drive_count = 0;
	if (m->like.block_size || !c.block_size)
		c.block_size = m->like.block_size ? m->like.block_size
						  : CARTRIDGE_BLOCK;
	c.line = 0;
	error = media_option_check(&c);
	if (!error && c.tape && m->from.set->config.tape)
		error = new_line(m, &c.line);
	if (!error)
		error = set_create(path, &c);
	if (error)
		return error;
	error = media_option_make(&c);
	if (error)
		discard(path, DISCARD_SET);
	return error;
}

/* One that was cut off while it was made may lack images. */
static int make_media(const struct copying *m)
{
	uint32_t newest;
	int error = catalog_newest(m->catalog, &newest);

	return error || newest ? error : media_option_make(&m->set->config);
}

/* The other set: there, or made like this one. */
static int open_other(struct copying *m, const char *path)
{
	const struct set_config *like = &m->from.set->config;
	int error = 0;

	if (!target_is_set(path))
		error = make_other(m, path);
	if (!error)
		error = set_open(path, SET_WRITE, false, &m->set);
	if (!error)
		target_wait_for_media(m->set);
	if (!error && memcmp(m->set->config.uuid, like->uuid, 16)) {
		log_error("%s is another set than %s; only copies of one set "
			  "are added to",
			  path, m->from.name);
		error = REEL_EINVAL;
	}
	if (!error)
		error = catalog_open(m->set, &m->catalog);
	return error ? error : make_media(m);
}

static int say(const char *path, const struct copy_found *found)
{
	char bytes[FIGURE_SIZE];

	printf("%s: %u %s copied, %s in %u %s\n", path,
	       (unsigned)found->sessions,
	       found->sessions == 1 ? "snapshot" : "snapshots",
	       figure_human(found->bytes, bytes), (unsigned)found->volumes,
	       found->volumes == 1 ? "volume" : "volumes");
	if (!found->damaged)
		return 0;
	log_error("%llu damaged places were copied as they are; `reel verify` "
		  "names what they hold",
		  (unsigned long long)found->damaged);
	return error_exit(REEL_EDAMAGED);
}

/* The copy is whole without it: the next `reel copy` does it. What was copied
 * before an interruption is known, too. */
static void make_known(struct copying *m)
{
	struct set *s = NULL;
	uint32_t newest;
	int error;

	if (!m->catalog || catalog_newest(m->catalog, &newest) || !newest ||
	    !copy_can_be_known(m->from.set, m->set))
		return;
	error = set_open(m->from.set->path, SET_WRITE, false, &s);
	if (!error)
		error = copy_make_known(s, m->catalog);
	set_close(s);
	if (error)
		log_warning("%s does not know all of this copy and does not "
			    "read from it; run `reel copy` once more when it "
			    "can be written",
			    m->from.name);
}

static int copy(struct copying *m, const char *path, bool quiet)
{
	const struct copy_options o = {.stop = signals_flag(),
				       .progress = show,
				       .context = &m->progress};
	struct copy_found found;
	int error = open_other(m, path);

	progress_init(&m->progress, quiet);
	if (!error)
		error = copy_set(m->from.catalog, m->catalog, &o, &found);
	progress_end(&m->progress);
	make_known(m);
	return error ? error_exit(error) : say(path, &found);
}

static int run(const struct command *self, int argc, char **argv)
{
	struct copying m = {.set = NULL};
	bool quiet = false;
	const char *media = "dir";
	struct option_list changers = {.count = 0};
	uint64_t block = 0;
	const struct option_spec specs[] = {
		{"media", 0, OPTION_TEXT, &media, "MEDIA",
		 "of a new DEST: dir (default), or drives NAME[,NAME...]"},
		{"changer", 0, OPTION_LIST, &changers, "CHANGER",
		 "that loads these drives; may be given again"},
		{"block-size", 0, OPTION_SIZE, &block, "SIZE",
		 "of a new DEST on tape (default 256K)"},
		{"quiet", 'q', OPTION_FLAG, &quiet, NULL, "no progress"},
		{0}};
	int status, error;

	if (!options_parse(self, specs, 2, 2, &argc, &argv, &status))
		return status;
	if (block &&
	    (block < CARTRIDGE_BLOCK_MIN || block > CARTRIDGE_BLOCK_LIMIT ||
	     block % CARTRIDGE_BLOCK_MIN))
		return options_misuse(self, "--block-size: a multiple of 512, "
					    "up to 16M");
	m.like.block_size = (uint32_t)block;
	m.like.tape = strcmp(media, "dir") != 0;
	error = m.like.tape ? media_option_add(media, false, &m.like) : 0;
	for (int n = 0; !error && n < changers.count; n++)
		error = media_option_add(changers.items[n], true, &m.like);
	if (error)
		return EXIT_FAILED;
	error = target_open_whole(&m.from, argv[0], SET_READ, false);
	status = error ? error_exit(error) : copy(&m, argv[1], quiet);
	catalog_close(m.catalog);
	set_close(m.set);
	target_close(&m.from);
	set_config_release(&m.like);
	return status;
}

const struct command command_copy = {
	.name = "copy",
	.synopsis =
		"SET DEST [--media dir|NAME[,NAME...]] [--changer CHANGER]... "
		"[--block-size N] [-q]",
	.summary = "the snapshots of a set into another place",
	.details =
		"DEST is a copy of SET, or comes to be one: its snapshots keep "
		"their numbers. What\nit has already is not copied again, so "
		"that an interrupted copy goes on. Each byte\nis checked on "
		"its way.\nWhat is missing or unreadable on the cartridges of "
		"SET is read from those of a DEST\non tape, and either is "
		"asked for; DEST's drives are added to SET's for that.\n",
	.run = run,
};
