#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "tape/error.h"
#include "tape/log.h"
#include "tape/text.h"
#include "tools/listing.h"
#include "tools/options.h"
#include "tools/traverse.h"

struct ls {
	struct target target;
	struct listing listing;
	uint32_t session;
	bool recursive;
};

static int list(struct ls *ls, struct traverse *t)
{
	int error = 0, more = 1;

	/* The first entry is the start: of a directory, what is in it is
	 * listed. */
	if (t->first && t->entry.node)
		more = traverse_next(t);
	while (more == 1 && !error) {
		more = traverse_next(t);
		if (more != 1)
			break;
		if (!ls->recursive)
			traverse_skip(t);
		error = listing_print(&ls->listing, (const char *)t->path.data,
				      &t->entry);
	}
	if (!error && more < 0)
		error = more;
	if (error)
		target_trouble(&ls->target, (const char *)t->path.data, error);
	return error;
}

static int list_path(struct ls *ls, const char *given)
{
	struct traverse t;
	char *path;
	int error = target_path(given, &path);

	if (error)
		return error;
	error = traverse_init(&t, ls->target.catalog, ls->session, path);
	if (error) {
		target_trouble(&ls->target, path, error);
	} else {
		error = list(ls, &t);
		traverse_release(&t);
	}
	free(path);
	return error;
}

/* One path that is missing does not keep the others from being listed. */
static int list_all(struct ls *ls, int count, char **paths)
{
	int first = 0;

	if (!count)
		return list_path(ls, "");
	for (int i = 0; i < count; i++) {
		int error = list_path(ls, paths[i]);

		if (error && !first)
			first = error;
	}
	return first;
}

static int run(const struct command *self, int argc, char **argv)
{
	struct ls ls = {0};
	bool details = false, json = false, media = false;
	const struct option_spec specs[] = {
		{NULL, 'l', OPTION_FLAG, &details, NULL,
		 "mode, links, owners, size and time too"},
		{NULL, 'R', OPTION_FLAG, &ls.recursive, NULL,
		 "all that is below too"},
		{"media", 0, OPTION_FLAG, &media, NULL,
		 "the volumes or cartridges that a file is read from, too"},
		{"json", 0, OPTION_FLAG, &json, NULL, "an object for each"},
		{0}};
	int status, error;

	if (!options_parse(self, specs, 1, -1, &argc, &argv, &status))
		return status;
	error = target_open(&ls.target, argv[0]);
	if (error)
		return error_exit(error);
	error = target_session(&ls.target, ls.target.snapped, &ls.session);
	if (!error)
		error = listing_init(&ls.listing, &ls.target, ls.session);
	if (!error) {
		ls.listing.details = details;
		ls.listing.json = json;
		ls.listing.media = media;
		error = list_all(&ls, argc - 1, argv + 1);
	}
	listing_release(&ls.listing);
	target_close(&ls.target);
	return error_exit(error);
}

const struct command command_ls = {
	.name = "ls",
	.synopsis = "SET[@SNAP] [PATH...] [-l] [-R] [--media] [--json]",
	.summary = "list directories of a snapshot",
	.details =
		"One path a line, from the root of the snapshot, in the byte "
		"order of names;\n`ls -R SET` lists a whole snapshot. On a "
		"terminal control characters and\nbackslashes are shown as "
		"\\0NNN (octal); in a pipe names are as they are.\n"
		"--media puts the names of what a file is read from, with "
		"commas, and a tab\nbefore its path.\n"
		"\n"
		"--json: path, type (file, directory, symlink, character, "
		"block, fifo), mode\n(octal text), uid, gid, user, group, "
		"size, mtime, inode (as st_ino in a mount),\nlinks, hash "
		"(files: the hex digest of the content), target "
		"(symlinks),\nmedia (with --media).\n"
		"A name that is not UTF-8 has U+FFFD for each wrong byte, and "
		"all its bytes\nin path_base64 (target_base64) besides.\n",
	.run = run,
};
