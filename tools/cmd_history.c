/* A path's versions are found from the root down: what directories stood at
 * each part of the path, and in which sessions. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "tape/error.h"
#include "tape/log.h"
#include "tape/text.h"
#include "tools/figures.h"
#include "tools/listing.h"
#include "tools/options.h"

/* Directory `node` stood there in sessions since <= N < until. */
struct stay {
	uint64_t node;
	uint32_t since, until;
};

struct stays {
	struct stay *list;
	size_t count, room;
};

struct history {
	struct target target;
	struct listing listing;
	uint32_t end; /* newest session + 1 */
	bool json;
	bool found;
	char *path;
	struct stay now;    /* where the name is looked up */
	struct stays below; /* what is found there */
};

static int stay_add(struct stays *s, const struct stay *one)
{
	struct stay *last = s->count ? &s->list[s->count - 1] : NULL;

	if (last && last->node == one->node && last->until == one->since) {
		last->until = one->until;
		return 0;
	}
	if (s->count == s->room) {
		size_t room = s->room ? 2 * s->room : 8;
		void *grown = realloc(s->list, room * sizeof(*s->list));

		if (!grown)
			return REEL_ENOMEM;
		s->list = grown;
		s->room = room;
	}
	s->list[s->count++] = *one;
	return 0;
}

/* The part of an entry's life that lies inside h->now; false: none. */
static bool clip(const struct history *h, const struct entry_row *e,
		 struct stay *out)
{
	uint32_t until = e->until ? e->until : h->end;

	out->node = e->node;
	out->since = e->since > h->now.since ? e->since : h->now.since;
	out->until = until < h->now.until ? until : h->now.until;
	return out->since < out->until;
}

static int on_directory(void *context, const struct entry_row *e)
{
	struct history *h = context;
	struct stay s;

	if (!e->node || !clip(h, e, &s))
		return 0;
	return stay_add(&h->below, &s);
}

static void put_text(struct history *h, const struct entry_row *e,
		     const struct stay *s, const struct digest *digest)
{
	char range[FIGURE_SIZE], size[FIGURE_SIZE], mtime[FIGURE_SIZE];
	char mode[FIGURE_SIZE];

	if (s->until - s->since > 1)
		snprintf(range, sizeof(range), "%" PRIu32 "-%" PRIu32, s->since,
			 s->until - 1);
	else
		snprintf(range, sizeof(range), "%" PRIu32, s->since);
	printf("%-9s  %s  %12s  %s  ", range, figure_mode(e->inode.mode, mode),
	       figure_bytes(e->inode.size, size),
	       figure_local_exact(e->inode.mtime, mtime));
	for (int i = 0; digest && i < DIGEST_SIZE; i++)
		printf("%02x", digest->b[i]);
	if (e->inode.target)
		listing_target(&h->listing, &e->inode);
	putchar('\n');
}

static int put_json(struct history *h, const struct entry_row *e,
		    const struct stay *s)
{
	struct json j;
	int error;

	json_begin(&j);
	json_number(&j, "first_session", s->since);
	json_number(&j, "last_session", s->until - 1);
	h->listing.session = s->since;
	error = listing_fields(&h->listing, &j, h->path, e);
	json_end(&j);
	return error;
}

static int on_version(void *context, const struct entry_row *row)
{
	struct history *h = context;
	struct entry_row e = *row;
	struct digest digest;
	struct stay s;
	int has;

	if (!clip(h, row, &s))
		return 0;
	if (!h->found && !h->json)
		printf("%-9s  %-10s  %12s  %-35s  %s\n", "SESSIONS", "MODE",
		       "SIZE", "MTIME", "HASH");
	h->found = true;
	if (h->json)
		return put_json(h, &e, &s);
	has = listing_digest(&h->listing, &e.inode, &digest);
	put_text(h, &e, &s, has == 1 ? &digest : NULL);
	return has < 0 ? has : 0;
}

/* Looks a name up in every stay of `in`. */
static int each_version(struct history *h, const struct stays *in,
			const char *name, size_t length, bool last)
{
	int error = 0;

	for (size_t i = 0; i < in->count && !error; i++) {
		h->now = in->list[i];
		error = tree_versions(h->target.catalog, h->now.node, name,
				      length, last ? on_version : on_directory,
				      h);
	}
	return error;
}

static int history(struct history *h)
{
	struct stay root = {TREE_ROOT, 1, h->end};
	struct stays at = {0};
	const char *name = h->path;
	int error = stay_add(&at, &root);

	if (!*name && !error) {
		at.list[0].node = 0; /* the root's own entry */
		error = each_version(h, &at, "", 0, true);
	}
	while (*name && !error) {
		size_t length = strcspn(name, "/");
		bool last = !name[length];

		error = each_version(h, &at, name, length, last);
		free(at.list);
		at = h->below;
		memset(&h->below, 0, sizeof(h->below));
		name += length + !last;
	}
	free(at.list);
	return error;
}

static int show(struct history *h)
{
	uint32_t newest;
	int error = target_session(&h->target, NULL, &newest);

	if (error)
		return error;
	h->end = newest + 1;
	error = listing_init(&h->listing, &h->target, newest);
	if (!error)
		error = history(h);
	if (!error && !h->found)
		error = REEL_ENOENT;
	if (error)
		target_trouble(&h->target, h->path, error);
	listing_release(&h->listing);
	return error;
}

static int run(const struct command *self, int argc, char **argv)
{
	struct history h = {0};
	const struct option_spec specs[] = {
		{"json", 0, OPTION_FLAG, &h.json, NULL, "an object for each"},
		{0}};
	int status, error;

	if (!options_parse(self, specs, 2, 2, &argc, &argv, &status))
		return status;
	error = target_path(argv[1], &h.path);
	if (!error)
		error = target_open_whole(&h.target, argv[0], SET_READ, false);
	if (!error) {
		error = show(&h);
		target_close(&h.target);
	}
	free(h.path);
	return error_exit(error);
}

const struct command command_history = {
	.name = "history",
	.synopsis = "SET PATH [--json]",
	.summary = "every version of a path",
	.details = "The hash is the digest of the content: equal hashes, equal "
		   "bytes. --json has\nthe fields of `reel ls`, first_session "
		   "and last_session.\n",
	.run = run,
};
