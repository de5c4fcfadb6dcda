/* The rules of a set for a tree that is not on a filesystem. The rule judges
 * the name as it is at the commit. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "fs/commit_state.h"
#include "fs/exclusion.h"
#include "tape/error.h"

/* A name in a directory of the frozen tree: REEL_ENOENT. */
static int find(struct commit_walk *w, uint64_t directory, uint64_t base,
		const char *name, uint64_t *id)
{
	struct spool_entry s;
	struct entry_row e;
	int error = spool_lookup(w->frozen->view, directory, name, strlen(name),
				 &s);

	if (!error) {
		*id = s.node;
		return s.node ? 0 : REEL_ENOENT;
	}
	if (error == REEL_ENOENT && base && w->frozen->base)
		error = tree_lookup(w->catalog, w->frozen->base, base, name,
				    strlen(name), &e);
	if (!error)
		*id = live_id(&e);
	return error;
}

/* The first bytes of a file. Not from a cartridge: this commit may be holding
 * its drive. What is not looked at is stored, which loses nothing. */
static int read_head(struct commit_walk *w, uint64_t id, char *to,
		     size_t length)
{
	struct content_row row = {0};
	struct spool_node n;
	int64_t got = 0;
	int error = commit_node(w, id, &n);

	if (error)
		return error;
	if (n.file) {
		int fd = spool_open_file(w->frozen->view, n.file);

		got = fd < 0 ? fd : pread(fd, to, length, 0);
		if (fd >= 0)
			close(fd);
	} else if (n.content && !w->set->medium->tape) {
		got = tree_content(w->catalog, n.content, &row);
		if (!got)
			got = content_read(w->library->recall, &row, 0, to,
					   length);
		content_row_release(&row);
	}
	spool_node_release(&n);
	return got == (int64_t)length ? 0 : REEL_ENOENT;
}

static bool is_tagged(struct commit_walk *w, const struct spool_node *n,
		      const struct rule *rule)
{
	char head[EXCLUSION_SIGNATURE];
	uint64_t id;

	if (find(w, n->id, n->base, rule->argument, &id))
		return false;
	return !exclusion_is_cache_tag(rule->argument) ||
	       (!read_head(w, id, head, sizeof(head)) &&
		exclusion_is_signature(head));
}

static const struct rule *judge_kind(struct commit_walk *w,
				     const struct spool_node *n)
{
	const struct rule *rule = NULL;

	if (n->flags & INODE_NODUMP)
		rule = rules_next(w->rules, RULE_NODUMP, NULL);
	if (rule || !S_ISDIR(n->mode))
		return rule;
	while ((rule = rules_next(w->rules, RULE_IF_PRESENT, rule)))
		if (is_tagged(w, n, rule))
			return rule;
	return NULL;
}

int commit_judge(struct commit_walk *w, struct folder *f, const char *name,
		 const struct spool_node *n, struct rules_place *below,
		 char **out)
{
	const struct rule *rule;
	int error;

	*below = (struct rules_place){0};
	*out = NULL;
	if (S_ISSOCK(n->mode)) {
		*out = strdup("sockets are not stored");
		return *out ? 0 : REEL_ENOMEM;
	}
	if (!w->rules)
		return 0;
	error = trail_go(&w->trail, f, name, strlen(name));
	if (error)
		return error;
	rule = rules_judge(w->rules, f->place, (char *)w->trail.path.data,
			   w->trail.path.length, S_ISDIR(n->mode), below);
	if (!rule_excludes(rule))
		rule = judge_kind(w, n);
	if (!rule)
		return 0;
	*out = strdup(rule->text);
	return *out ? 0 : REEL_ENOMEM;
}

/* ---- all below a directory that is left out ---- */

struct left_name {
	uint64_t node;
	size_t length; /* of the name behind it, which ends with a NUL */
	bool dirty;
};

static int gather_name(struct buffer *to, struct left_name l, const char *name)
{
	int error = buffer_append(to, &l, sizeof(l));

	if (!error)
		error = buffer_append(to, name, l.length);
	return error ? error : buffer_append(to, "", 1);
}

static int gather_entry(void *context, const struct spool_entry *e,
			struct spool_node *n)
{
	struct left_name l = {e->node, e->name_length,
			      e->state != SPOOL_CLEAN ||
				      (n && n->state == SPOOL_DIRTY)};

	return gather_name(context, l, e->name);
}

/* Directories that the base named and in which something is dirty. */
static int gather_base(struct commit_walk *w, uint64_t directory,
		       struct buffer *to)
{
	struct tree_cursor *t = NULL;
	struct spool_node n;
	struct entry_row row;
	int error = commit_node(w, directory, &n), step = 0;

	if (error)
		return error;
	if (n.base && w->frozen->base)
		error = tree_list(w->catalog, w->frozen->base, n.base, &t);
	spool_node_release(&n);
	while (!error && t && (step = tree_step(t, &row)) == 1) {
		struct left_name l = {.node = live_id(&row)};

		if (row.node && visits_has(w->visits, l.node))
			error = gather_name(to, l, "");
	}
	tree_end(t);
	return error ? error : step;
}

/* The names in one directory; those to go down to are appended to `to`. */
static int exclude_names(struct commit_walk *w, uint64_t directory,
			 const struct buffer *names, struct buffer *to)
{
	int error = 0;

	for (size_t at = 0; !error && at < names->length;) {
		const char *name =
			(char *)names->data + at + sizeof(struct left_name);
		struct left_name l;

		memcpy(&l, names->data + at, sizeof(l));
		at += sizeof(l) + l.length + 1;
		if (l.dirty || !l.length)
			error = live_excluded(w->live, directory, name,
					      l.length, l.node,
					      w->frozen->change);
		if (!error && l.node && visits_has(w->visits, l.node))
			error = buffer_append(to, &l.node, sizeof(l.node));
	}
	return error;
}

static int exclude_in(struct commit_walk *w, uint64_t directory,
		      struct buffer *to)
{
	struct buffer names = {0};
	int error = spool_each_entry(w->frozen->view, directory, gather_entry,
				     &names);

	if (!error && visits_has_base(w->visits, directory))
		error = gather_base(w, directory, &names);
	if (!error)
		error = exclude_names(w, directory, &names, to);
	buffer_release(&names);
	return error;
}

int commit_exclude_below(struct commit_walk *w, uint64_t directory)
{
	struct buffer left = {0}; /* directories to go down to */
	int error = buffer_append(&left, &directory, sizeof(directory));

	while (!error && left.length) {
		left.length -= sizeof(directory);
		memcpy(&directory, left.data + left.length, sizeof(directory));
		error = exclude_in(w, directory, &left);
	}
	buffer_release(&left);
	return error;
}
