/* Both snapshots are walked in the same order and merged by path. The order
 * is that of a tree's names: `/` sorts below every other byte. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "fs/content.h"
#include "tape/error.h"
#include "tape/log.h"
#include "tools/listing.h"
#include "tools/options.h"
#include "tools/traverse.h"

#define EXIT_DIFFERENT 1
#define COMPARE_CACHE  (8u << 20)
#define COMPARE_CHUNK  (256u << 10)

struct side {
	struct target target;
	uint32_t session;
	struct traverse walk;
	int more; /* the walk's entry is valid; or an error */
};

struct diff {
	struct side a, b; /* of one set; b.target is its own connection */
	struct listing listing;
	struct library *library; /* opened when bytes must be compared */
	char *path;
	bool json;
	bool different;
};

static unsigned rank(char c)
{
	return c == '/' ? 1 : c ? 1u + (unsigned char)c : 0;
}

static int order(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return (int)rank(*a) - (int)rank(*b);
}

static int step(struct side *s)
{
	s->more = traverse_next(&s->walk);
	if (s->more < 0)
		return target_trouble(&s->target,
				      (const char *)s->walk.path.data, s->more);
	return 0;
}

static const char *path_of(const struct side *s)
{
	return (const char *)s->walk.path.data;
}

/* Files that are equal may lie on the medium with other holes. */
static int compare_bytes(struct diff *d, const struct content_row *a,
			 const struct content_row *b, bool *same)
{
	uint8_t *room = malloc(2 * (size_t)COMPARE_CHUNK);
	uint64_t at = 0;
	int error = 0;

	if (!room)
		return REEL_ENOMEM;
	if (!d->library)
		error = library_open(d->a.target.set, COMPARE_CACHE,
				     &d->library);
	*same = true;
	while (!error && *same && at < a->size) {
		int64_t n = content_read(d->library->recall, a, at, room,
					 COMPARE_CHUNK);
		int64_t m = content_read(d->library->recall, b, at,
					 room + COMPARE_CHUNK, COMPARE_CHUNK);

		if (n <= 0 || m <= 0)
			error = n < 0 ? (int)n : m < 0 ? (int)m : REEL_EDAMAGED;
		else
			*same = n == m &&
				!memcmp(room, room + COMPARE_CHUNK, (size_t)n);
		at += n > 0 ? (uint64_t)n : 0;
	}
	free(room);
	return error;
}

static int same_content(struct diff *d, uint64_t id_a, uint64_t id_b,
			bool *same)
{
	struct content_row a, b;
	int error = tree_content(d->listing.lookup, id_a, &a);

	if (error)
		return error;
	error = tree_content(d->listing.lookup, id_b, &b);
	if (error) {
		content_row_release(&a);
		return error;
	}
	*same = a.size == b.size &&
		!memcmp(a.digest.b, b.digest.b, DIGEST_SIZE);
	if (!*same && a.size == b.size && (a.sparse || b.sparse))
		error = compare_bytes(d, &a, &b, same);
	content_row_release(&a);
	content_row_release(&b);
	return error;
}

static bool same_target(const struct inode_row *a, const struct inode_row *b)
{
	if (!a->target || !b->target)
		return a->target == b->target;
	return a->target_length == b->target_length &&
	       !memcmp(a->target, b->target, a->target_length);
}

static int same_data(struct diff *d, const struct inode_row *a,
		     const struct inode_row *b, bool *same)
{
	*same = true;
	if (S_ISREG(a->mode)) {
		*same = a->size == b->size && !a->content == !b->content;
		if (*same && a->content != b->content)
			return same_content(d, a->content, b->content, same);
	} else if (S_ISLNK(a->mode)) {
		*same = same_target(a, b);
	} else if (S_ISCHR(a->mode) || S_ISBLK(a->mode)) {
		*same = a->major == b->major && a->minor == b->minor;
	}
	return 0;
}

/* A set of xattrs has one number, but for sets in different epochs. */
static int same_xattrs(struct diff *d, uint64_t a, uint64_t b, bool *same)
{
	struct buffer x = {0}, y = {0};
	int error = 0;

	*same = a == b;
	if (*same || !a || !b)
		return 0;
	error = tree_xattrs(d->listing.lookup, a, &x);
	if (!error)
		error = tree_xattrs(d->listing.lookup, b, &y);
	if (!error)
		*same = x.length == y.length &&
			!memcmp(x.data, y.data, x.length);
	buffer_release(&x);
	buffer_release(&y);
	return error;
}

static int same_metadata(struct diff *d, const struct inode_row *a,
			 const struct inode_row *b, bool *same)
{
	const uint32_t flags = INODE_IMMUTABLE | INODE_APPEND | INODE_NODUMP;

	*same = a->mode == b->mode && a->uid == b->uid && a->gid == b->gid &&
		a->mtime == b->mtime &&
		(a->flags & flags) == (b->flags & flags) &&
		(S_ISDIR(a->mode) || a->nlink == b->nlink);
	return *same ? same_xattrs(d, a->xattrs, b->xattrs, same) : 0;
}

static const char *word(char sign)
{
	switch (sign) {
	case '+':
		return "added";
	case '-':
		return "removed";
	case '~':
		return "content";
	case 't':
		return "type";
	}
	return "metadata";
}

static int say(struct diff *d, char sign, const struct side *s)
{
	struct json j;
	int error;

	d->different = true;
	if (!d->json) {
		printf("%c ", sign);
		listing_path(&d->listing, path_of(s));
		return 0;
	}
	json_begin(&j);
	json_text(&j, "change", word(sign));
	d->listing.session = s->session;
	error = listing_fields(&d->listing, &j, path_of(s), &s->walk.entry);
	json_end(&j);
	return error;
}

static int compare(struct diff *d)
{
	const struct entry_row *a = &d->a.walk.entry, *b = &d->b.walk.entry;
	bool same;
	int error;

	if (a->inode.id == b->inode.id)
		return 0;
	if ((a->inode.mode & S_IFMT) != (b->inode.mode & S_IFMT))
		return say(d, 't', &d->b);
	error = same_data(d, &a->inode, &b->inode, &same);
	if (!error && !same)
		return say(d, '~', &d->b);
	if (!error)
		error = same_metadata(d, &a->inode, &b->inode, &same);
	if (!error && !same)
		return say(d, 'm', &d->b);
	return error;
}

static int merge(struct diff *d)
{
	int error = step(&d->a);

	if (!error)
		error = step(&d->b);
	while (!error && (d->a.more || d->b.more)) {
		int o = !d->a.more   ? 1
			: !d->b.more ? -1
				     : order(path_of(&d->a), path_of(&d->b));

		if (o < 0)
			error = say(d, '-', &d->a);
		else if (o > 0)
			error = say(d, '+', &d->b);
		else
			error = compare(d);
		if (error)
			return target_trouble(&d->a.target,
					      path_of(o > 0 ? &d->b : &d->a),
					      error);
		if (o <= 0)
			error = step(&d->a);
		if (!error && o >= 0)
			error = step(&d->b);
	}
	return error;
}

/* A path that is not there has nothing below it. */
static int begin(struct diff *d, struct side *s, bool *there)
{
	int error =
		traverse_init(&s->walk, s->target.catalog, s->session, d->path);

	*there = !error;
	if (error && error != REEL_ENOENT && error != REEL_ENOTDIR)
		return target_trouble(&s->target, d->path, error);
	return 0;
}

static int diff(struct diff *d)
{
	bool in_a = false, in_b = false;
	int error = listing_init(&d->listing, &d->a.target, d->a.session);

	d->listing.json = d->json;
	if (!error)
		error = begin(d, &d->a, &in_a);
	if (!error)
		error = begin(d, &d->b, &in_b);
	if (!error && !in_a && !in_b)
		error = target_trouble(&d->a.target, d->path, REEL_ENOENT);
	if (!error)
		error = merge(d);
	traverse_release(&d->a.walk);
	traverse_release(&d->b.walk);
	library_close(d->library);
	listing_release(&d->listing);
	return error;
}

static bool same_set(const struct set *a, const struct set *b)
{
	return !memcmp(a->config.uuid, b->config.uuid, sizeof(a->config.uuid));
}

/* B is SET@SNAP, or a snapshot of A's set. */
static int open_sides(struct diff *d, const char *a, const char *b)
{
	int error = target_open(&d->a.target, a);
	char *front;

	if (error)
		return error;
	error = target_session(&d->a.target, d->a.target.snapped,
			       &d->a.session);
	if (error)
		return error;
	front = strdup(b);
	if (!front)
		return REEL_ENOMEM;
	if (strrchr(front, '@'))
		*strrchr(front, '@') = '\0';
	if (target_is_set(b) || (strcmp(front, b) && target_is_set(front))) {
		error = target_open(&d->b.target, b);
		b = d->b.target.snapped;
	} else {
		error = target_open(&d->b.target, d->a.target.name);
	}
	free(front);
	if (!error && !same_set(d->a.target.set, d->b.target.set)) {
		log_error("%s and %s are different sets; diff compares "
			  "snapshots of one",
			  d->a.target.name, d->b.target.name);
		error = REEL_EINVAL;
	}
	if (!error)
		error = target_session(&d->b.target, b, &d->b.session);
	return error;
}

static int run(const struct command *self, int argc, char **argv)
{
	struct diff d = {0};
	const struct option_spec specs[] = {
		{"json", 0, OPTION_FLAG, &d.json, NULL, "an object for each"},
		{0}};
	int status, error;

	if (!options_parse(self, specs, 2, 3, &argc, &argv, &status))
		return status;
	error = target_path(argc > 2 ? argv[2] : "", &d.path);
	if (!error)
		error = open_sides(&d, argv[0], argv[1]);
	if (!error)
		error = diff(&d);
	target_close(&d.a.target);
	target_close(&d.b.target);
	free(d.path);
	if (error)
		return EXIT_FAILED;
	return d.different ? EXIT_DIFFERENT : 0;
}

const struct command command_diff = {
	.name = "diff",
	.synopsis = "SET@A SET@B|B [PATH] [--json]",
	.summary = "what differs between two snapshots of a set",
	.details = "+ added, - removed, ~ other content, m other metadata, t "
		   "other type; with PATH\nonly that and what is below it. "
		   "--json has the fields of `reel ls` and\nchange: added, "
		   "removed, content, metadata, type.\nExit status: 0 same, 1 "
		   "different, 2 trouble.\n",
	.run = run,
};
