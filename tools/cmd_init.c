#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include "catalog/catalog.h"
#include "catalog/discard.h"
#include "tape/cartridge.h"
#include "tape/error.h"
#include "tape/log.h"
#include "tools/media_option.h"
#include "tools/options.h"

#define DEFAULT_COMPRESSION "zstd"
#define TAPE_COMPRESSION    "none" /* drives compress */
#define SMALLEST_VOLUME	    (1u << 20)

struct init {
	const char *name;
	const char *media;
	struct option_list changers;
	const char *compress;
	const char *digest;
	uint64_t volume_size;
	uint64_t block_size;
};

/* Version 4, variant 1 (RFC 4122, 4.4). */
static int fill_random(struct set_config *config)
{
	if (getrandom(config->uuid, sizeof(config->uuid), 0) !=
		    (ssize_t)sizeof(config->uuid) ||
	    getrandom(&config->seed, sizeof(config->seed), 0) !=
		    (ssize_t)sizeof(config->seed))
		return REEL_EIO;
	config->uuid[6] = (uint8_t)((config->uuid[6] & 0x0f) | 0x40);
	config->uuid[8] = (uint8_t)((config->uuid[8] & 0x3f) | 0x80);
	return 0;
}

/* The last component, for want of a name. */
static char *default_name(const char *path)
{
	size_t end = strlen(path);
	size_t begin;

	while (end > 1 && path[end - 1] == '/')
		end--;
	begin = end;
	while (begin > 0 && path[begin - 1] != '/')
		begin--;
	return end > begin ? strndup(path + begin, end - begin) : strdup("set");
}

/* The set begins with an empty catalogue, so that readers find one. */
static int make_catalog(const char *path)
{
	struct catalog *c = NULL;
	struct set *set;
	int error = set_open(path, SET_WRITE, false, &set);

	if (error)
		return error;
	error = catalog_open(set, &c);
	catalog_close(c);
	set_close(set);
	return error;
}

static int check(const struct command *self, const struct init *o,
		 struct set_config *config)
{
	const char *compress = o->compress		 ? o->compress
			       : strcmp(o->media, "dir") ? TAPE_COMPRESSION
							 : DEFAULT_COMPRESSION;

	if (set_parse_compression(compress, &config->compression,
				  &config->level))
		return options_misuse(self,
				      "--compress %s: give none, zstd or "
				      "zstd:LEVEL",
				      compress);
	if (o->digest && strcmp(o->digest, "xxh3") != 0 &&
	    strcmp(o->digest, "sha256") != 0)
		return options_misuse(self, "--digest: xxh3 or sha256");
	if (o->block_size && (o->block_size < CARTRIDGE_BLOCK_MIN ||
			      o->block_size > CARTRIDGE_BLOCK_LIMIT ||
			      o->block_size % CARTRIDGE_BLOCK_MIN))
		return options_misuse(self, "--block-size: a multiple of 512, "
					    "16M at most");
	if (o->volume_size && o->volume_size < SMALLEST_VOLUME)
		return options_misuse(self,
				      "--volume-size: volumes have 1M or more");
	if (o->name && (!*o->name || strpbrk(o->name, "\n\r")))
		return options_misuse(self, "--name: one line of text");
	return 0;
}

/* What `media` names; not yet looked at. */
static int take_media(const struct init *o, struct set_config *config)
{
	int error = 0;

	config->sha256 = o->digest && !strcmp(o->digest, "sha256");
	if (!strcmp(o->media, "dir"))
		return 0;
	config->tape = true;
	config->sha256 = true;
	config->block_size =
		o->block_size ? (uint32_t)o->block_size : CARTRIDGE_BLOCK;
	error = media_option_add(o->media, false, config);
	for (int n = 0; !error && n < o->changers.count; n++)
		error = media_option_add(o->changers.items[n], true, config);
	return error ? error : media_option_check(config);
}

static int make(const char *path, const struct set_config *config)
{
	int error = set_create(path, config);

	if (error)
		return error;
	error = media_option_make(config);
	if (!error)
		error = make_catalog(path);
	if (error)
		discard(path, DISCARD_SET);
	return error;
}

static int run(const struct command *self, int argc, char **argv)
{
	struct init o = {.media = "dir"};
	const struct option_spec specs[] = {
		{"name", 0, OPTION_TEXT, &o.name, "NAME",
		 "what the set is called (default: its directory)"},
		{"media", 0, OPTION_TEXT, &o.media, "MEDIA",
		 "dir: volumes are files in SET/volumes (default);\n"
		 "or drives, with commas between: /dev/nst0,\n"
		 "iscsi://HOST:PORT/TARGET/LUN, FILE.tap (made if need be)"},
		{"changer", 0, OPTION_LIST, &o.changers, "NAME",
		 "what loads the drives: /dev/sch0, iscsi://..."},
		{"block-size", 0, OPTION_SIZE, &o.block_size, "SIZE",
		 "of blocks on cartridges (default 256K)"},
		{"digest", 0, OPTION_TEXT, &o.digest, "WHICH",
		 "xxh3, or sha256 beside it (always so on cartridges)"},
		{"compress", 0, OPTION_TEXT, &o.compress, "HOW",
		 "none or zstd[:LEVEL] (default zstd; none on cartridges)"},
		{"volume-size", 0, OPTION_SIZE, &o.volume_size, "SIZE",
		 "begin a new volume file after SIZE bytes"},
		{0}};
	struct set_config config = {0};
	int status, error;

	if (!options_parse(self, specs, 1, 1, &argc, &argv, &status))
		return status;
	status = check(self, &o, &config);
	if (status)
		return status;
	config.volume_size = o.volume_size;
	config.name = o.name ? strdup(o.name) : default_name(argv[0]);
	error = config.name ? fill_random(&config) : REEL_ENOMEM;
	if (error)
		log_error("%s: %s", argv[0], error_text(error));
	else
		error = take_media(&o, &config);
	if (!error)
		error = make(argv[0], &config);
	set_config_release(&config);
	return error_exit(error);
}

const struct command command_init = {
	.name = "init",
	.synopsis = "SET [--name NAME] [--media dir|DRIVE,...] [--compress "
		    "none|zstd[:N]]"
		    " [--volume-size N]",
	.summary = "make a new set",
	.details = "SET is a directory that does not exist or is empty.\n",
	.run = run,
};
