#include <fnmatch.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "catalog/contents.h"
#include "catalog/needs.h"
#include "tape/error.h"
#include "tools/listing.h"
#include "tools/options.h"
#include "tools/traverse.h"

struct find {
	struct target target;
	struct listing listing;
	uint32_t session;
	const char *name;  /* a glob, or NULL */
	const char *types; /* letters, or NULL */
	char size_sign;	   /* + - = , 0: any size */
	uint64_t size;
	const char *medium; /* that is needed, or NULL */
	char *path;	    /* start */
	bool all;
	struct catalog *inner;	 /* --all: lookups inside the scan */
	struct buffer found;	 /* --all: the path of a match */
	struct tree_trail trail; /* --all: to it */
	uint32_t newest;
};

static bool size_fits(const struct find *f, uint64_t size)
{
	switch (f->size_sign) {
	case '+':
		return size > f->size;
	case '-':
		return size < f->size;
	case '=':
		return size == f->size;
	}
	return true;
}

static bool type_fits(const struct find *f, mode_t mode)
{
	return !f->types || strchr(f->types, listing_type(mode));
}

static bool name_fits(const struct find *f, const char *name)
{
	return !f->name || fnmatch(f->name, name, 0) == 0;
}

static bool fits(const struct find *f, const char *name,
		 const struct inode_row *i)
{
	return type_fits(f, i->mode) && size_fits(f, i->size) &&
	       name_fits(f, name);
}

/* 1 when it is needed, or none was asked for. */
static int medium_fits(struct find *f, const struct inode_row *i)
{
	struct needs n;
	int error, fits;

	if (!f->medium)
		return 1;
	error = needs_of(f->target.set, f->listing.lookup, i, &n);
	fits = needs_have(&n, f->medium);
	needs_release(&n);
	return error ? error : fits;
}

static int show(struct find *f, const char *path, const struct entry_row *e)
{
	int fits = medium_fits(f, &e->inode);

	return fits == 1 ? listing_print(&f->listing, path, e) : fits;
}

static int find_below(struct find *f)
{
	struct traverse t;
	int more, error = traverse_init(&t, f->target.catalog, f->session,
					f->path);

	if (error)
		return target_trouble(&f->target, f->path, error);
	while (!error && (more = traverse_next(&t)) != 0) {
		if (more < 0)
			error = more;
		else if (fits(f, traverse_name(&t), &t.entry.inode))
			error = show(f, (const char *)t.path.data, &t.entry);
	}
	if (error)
		target_trouble(&f->target, (const char *)t.path.data, error);
	traverse_release(&t);
	return error;
}

static bool below_start(const struct find *f, const char *path)
{
	size_t length = strlen(f->path);

	return !length || (!strncmp(path, f->path, length) &&
			   (path[length] == '/' || !path[length]));
}

/* One version of a name, and the sessions that have it. */
static int print_version(struct find *f, const struct entry_row *e)
{
	const char *path = (const char *)f->found.data;
	uint32_t last = e->until ? e->until - 1 : f->newest;
	struct json j;
	int error;

	if (!f->listing.json) {
		if (!f->listing.zeros && last != e->since)
			printf("%" PRIu32 "-%" PRIu32 "\t", e->since, last);
		else if (!f->listing.zeros)
			printf("%" PRIu32 "\t", last);
		return listing_print(&f->listing, path, e);
	}
	json_begin(&j);
	f->listing.session = e->since;
	error = listing_fields(&f->listing, &j, path, e);
	json_number(&j, "first_session", e->since);
	json_number(&j, "last_session", last);
	json_end(&j);
	return error;
}

static int on_name(void *context, const struct entry_row *row)
{
	struct find *f = context;
	struct entry_row e = *row;
	char name[TREE_NAME_LIMIT + 1];
	int error;

	if (!row->name_length || row->name_length > TREE_NAME_LIMIT)
		return 0;
	memcpy(name, row->name, row->name_length);
	name[row->name_length] = '\0';
	if (!name_fits(f, name) || !type_fits(f, row->inode.mode))
		return 0;
	f->found.length = 0;
	error = tree_path(f->inner, &f->trail, row->since, row->parent, name,
			  row->name_length, &f->found);
	if (!error)
		error = buffer_append(&f->found, "", 1);
	if (error)
		return error == REEL_ENOENT ? REEL_EDAMAGED : error;
	if (!below_start(f, (const char *)f->found.data))
		return 0;
	error = tree_inode(f->inner, row->inode.id, &e.inode);
	if (error)
		return error == REEL_ENOENT ? REEL_EDAMAGED : error;
	if (!size_fits(f, e.inode.size))
		return 0;
	error = medium_fits(f, &e.inode);
	return error == 1 ? print_version(f, &e) : error;
}

static int find_ever(struct find *f)
{
	int error = catalog_newest(f->target.catalog, &f->newest);

	if (!error)
		error = target_reader(&f->target, &f->inner);
	if (!error)
		error = contents_each_name(f->target.catalog, 0, on_name, f);
	if (error)
		target_trouble(&f->target, NULL, error);
	buffer_release(&f->found);
	tree_trail_release(&f->trail);
	catalog_close(f->inner);
	return error;
}

static int parse_size(const struct command *self, struct find *f,
		      const char *text)
{
	if (!text)
		return 0;
	f->size_sign = *text == '+' || *text == '-' ? *text : '=';
	if (set_parse_size(text + (f->size_sign != '='), &f->size))
		return options_misuse(self, "--size %s: give +N, -N or N",
				      text);
	return 0;
}

static int check(const struct command *self, struct find *f, const char *size)
{
	if (f->types && strspn(f->types, "fdlcbp,") != strlen(f->types))
		return options_misuse(self,
				      "--type %s: letters are f, d, l, c, b, p",
				      f->types);
	return parse_size(self, f, size);
}

static int find(struct find *f)
{
	int error;

	if (f->all)
		return find_ever(f);
	error = target_session(&f->target, f->target.snapped, &f->session);
	f->listing.session = f->session;
	return error ? error : find_below(f);
}

static int run(const struct command *self, int argc, char **argv)
{
	struct find f = {0};
	const char *size = NULL;
	bool json = false, zeros = false, media = false;
	const struct option_spec specs[] = {
		{"name", 0, OPTION_TEXT, &f.name, "GLOB",
		 "the last component matches GLOB"},
		{"type", 0, OPTION_TEXT, &f.types, "LETTERS",
		 "f file, d directory, l symlink, c b devices, p fifo"},
		{"size", 0, OPTION_TEXT, &size, "+N|-N|N",
		 "more than, less than, exactly N bytes; K, M, G, T"},
		{"medium", 0, OPTION_TEXT, &f.medium, "NAME",
		 "files that this volume or cartridge is needed for"},
		{"media", 0, OPTION_FLAG, &media, NULL,
		 "what a file is read from, too, as in `reel ls`"},
		{"all", 0, OPTION_FLAG, &f.all, NULL,
		 "every version there ever was, with its sessions"},
		{"json", 0, OPTION_FLAG, &json, NULL, "an object for each"},
		{NULL, '0', OPTION_FLAG, &zeros, NULL,
		 "a NUL behind each path, for xargs -0"},
		{0}};
	int status, error;

	if (!options_parse(self, specs, 1, 2, &argc, &argv, &status))
		return status;
	status = check(self, &f, size);
	if (status)
		return status;
	error = target_path(argc > 1 ? argv[1] : "", &f.path);
	if (error)
		return error_exit(error);
	if (f.all)
		error = target_open_whole(&f.target, argv[0], SET_READ, false);
	else
		error = target_open(&f.target, argv[0]);
	if (!error)
		error = listing_init(&f.listing, &f.target, 0);
	if (!error) {
		f.listing.json = json;
		f.listing.media = media;
		f.listing.zeros = zeros;
		error = find(&f);
	}
	listing_release(&f.listing);
	target_close(&f.target);
	free(f.path);
	return error_exit(error);
}

const struct command command_find = {
	.name = "find",
	.synopsis = "SET[@SNAP] [PATH] [OPTIONS]",
	.summary = "find names in a snapshot, or in all of them",
	.details = "With --all a line is the sessions that have this version, "
		   "a tab, and the path.\n--json has the fields of `reel ls`, "
		   "with --all first_session and last_session too.\n",
	.run = run,
};
