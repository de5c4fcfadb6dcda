/* versions/: every path there ever was is a directory here, in which each
 * version of it stands as `@N-TIME` (N: the session in which it appeared) and
 * each name that was ever below it as a directory again. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "fs/view_state.h"
#include "tape/bytes.h"
#include "tape/digest.h"
#include "tape/error.h"

static bool is_moment(const char *name)
{
	return name[0] == '@' && name[1] != '@';
}

/* The name in the tree that a name in versions/ stands for. */
static const char *real_name(const char *name)
{
	return name[0] == '@' ? name + 1 : name;
}

#define NODES_LIMIT 4096

/* Every directory that ever stood at a path. */
struct past_nodes {
	uint64_t *nodes;
	size_t count, room;
};

static int add_node(struct past_nodes *p, uint64_t node)
{
	for (size_t n = 0; n < p->count; n++)
		if (p->nodes[n] == node)
			return 0;
	if (p->count == NODES_LIMIT)
		return 0;
	if (p->count == p->room) {
		size_t room = p->room ? 2 * p->room : 4;
		void *more = realloc(p->nodes, room * sizeof(*p->nodes));

		if (!more)
			return REEL_ENOMEM;
		p->nodes = more;
		p->room = room;
	}
	p->nodes[p->count++] = node;
	return 0;
}

static int collect_node(void *context, const struct entry_row *e)
{
	return e->node ? add_node(context, e->node) : 0;
}

static int nodes_below(struct catalog *c, struct past_nodes *p,
		       const char *name)
{
	struct past_nodes below = {0};
	int error = 0;

	for (size_t n = 0; !error && n < p->count; n++)
		error = tree_versions(c, p->nodes[n], name, strlen(name),
				      collect_node, &below);
	free(p->nodes);
	*p = below;
	return error;
}

/* The directories that stood at names[0..] (NUL-terminated, `length` bytes in
 * all). */
static int nodes_at(struct catalog *c, const char *names, size_t length,
		    struct past_nodes *out)
{
	int error = add_node(out, TREE_ROOT);

	for (const char *at = names; !error && at < names + length;
	     at += strlen(at) + 1)
		error = nodes_below(c, out, real_name(at));
	return error;
}

/* One path in versions/: its names, and where its parents stood. */
struct version_path {
	struct buffer names; /* from the top, each with a NUL */
	size_t last;	     /* where the last name begins */
	struct past_nodes parents;
	bool top;	 /* versions/ itself */
	char moment[64]; /* "@N-TIME" behind the names, or empty */
};

static void path_release(struct version_path *p)
{
	buffer_release(&p->names);
	free(p->parents.nodes);
}

static void find_last(struct version_path *p)
{
	p->last = 0;
	for (size_t n = 0; n + 1 < p->names.length; n++)
		if (!p->names.data[n])
			p->last = n + 1;
}

static int path_of(struct view *v, struct catalog *c, uint64_t id,
		   struct version_path *p)
{
	int error = 0;

	memset(p, 0, sizeof(*p));
	if (id != VIEW_VERSIONS)
		error = versions_names(&v->versions, id, &p->names);
	if (error)
		return error;
	find_last(p);
	if (p->names.length && is_moment((char *)p->names.data + p->last)) {
		snprintf(p->moment, sizeof(p->moment), "%s",
			 (char *)p->names.data + p->last);
		p->names.length = p->last;
		find_last(p);
	}
	p->top = !p->names.length;
	return p->top ? 0
		      : nodes_at(c, (char *)p->names.data, p->last,
				 &p->parents);
}

/* Calls `each` with every version of the path. */
static int each_version(struct catalog *c, const struct version_path *p,
			int (*each)(void *context, const struct entry_row *e),
			void *context)
{
	const char *name =
		p->top ? "" : real_name((char *)p->names.data + p->last);
	int error = 0;

	if (p->top)
		return tree_versions(c, 0, "", 0, each, context);
	for (size_t n = 0; !error && n < p->parents.count; n++)
		error = tree_versions(c, p->parents.nodes[n], name,
				      strlen(name), each, context);
	return error;
}

static uint64_t version_ino(const struct version_path *p, const char *more)
{
	struct buffer all = {0};
	struct digest d;
	struct le64 v;

	buffer_append(&all, p->names.data, p->names.length);
	buffer_append(&all, more, strlen(more));
	digest_bytes(0, all.data, all.length, &d);
	buffer_release(&all);
	memcpy(&v, d.b, 8);
	return VIEW_BIT | le64_get(v) >> 3;
}

static int found(void *context, const struct entry_row *e)
{
	(void)e;
	*(bool *)context = true;
	return 1;
}

struct moment {
	uint32_t since;
	bool have;
	uint64_t node;
	struct inode_row row;
};

static int match_moment(void *context, const struct entry_row *e)
{
	struct moment *m = context;

	if (e->since != m->since)
		return 0;
	m->have = true;
	m->node = e->node;
	m->row = e->inode;
	m->row.target = NULL;
	return 1;
}

static int moment_name(struct catalog *c, uint32_t session, char name[64])
{
	char time[40];
	int error = catalog_session_name(c, session, time);

	if (!error)
		snprintf(name, 64, "@%u-%s", (unsigned)session, time);
	return error;
}

/* `@N-TIME` below a path: the version that appeared in session N. */
static int find_moment(struct catalog *c, const struct version_path *p,
		       const char *name, struct moment *m)
{
	char right[64];
	int error;

	memset(m, 0, sizeof(*m));
	m->since = (uint32_t)strtoul(name + 1, NULL, 10);
	error = m->since ? moment_name(c, m->since, right) : REEL_ENOENT;
	if (!error && strcmp(name, right) != 0)
		error = REEL_ENOENT;
	if (!error)
		error = each_version(c, p, match_moment, m);
	return error < 0 ? error : m->have ? 0 : REEL_ENOENT;
}

/* A directory's version is a link into the snapshot: V2. */
static int moment_link(struct catalog *c, const struct version_path *p,
		       uint32_t session, struct buffer *out)
{
	const char *names = (char *)p->names.data;
	const char *end = names + p->names.length;
	char time[40];
	int error = catalog_session_name(c, session, time);

	for (const char *at = names; !error && at < end; at += strlen(at) + 1)
		error = buffer_printf(out, "../");
	if (!error)
		error = buffer_printf(out, "../snapshots/%s", time);
	for (const char *at = names; !error && at < end; at += strlen(at) + 1)
		error = buffer_printf(out, "/%s", real_name(at));
	return error;
}

/* The entry of version `m` of a path; a link's id is set by the caller. */
static int moment_entry(struct view *v, struct catalog *c,
			const struct version_path *p, const char *name,
			const struct moment *m, struct view_entry *out)
{
	struct buffer link = {0};
	int error = 0;

	if (!m->node) {
		*out = (struct view_entry){.id = m->row.id, .fixed_stat = true};
		view_stat_of_row(&m->row, m->row.id, &out->st);
		return 0;
	}
	error = moment_link(c, p, m->since, &link);
	view_make_up(v, 0, S_IFLNK | 0777, view_time(m->row.mtime), out);
	out->st.st_ino = version_ino(p, name);
	out->st.st_size = (off_t)link.length;
	buffer_release(&link);
	return error;
}

int versions_view_lookup(struct view *v, struct catalog *c, uint64_t parent,
			 const char *name, struct view_entry *out)
{
	struct version_path p;
	struct past_nodes below = {0};
	struct moment m;
	bool have = false;
	int error = path_of(v, c, parent, &p);

	if (!error && is_moment(name)) {
		error = find_moment(c, &p, name, &m);
		if (!error)
			error = moment_entry(v, c, &p, name, &m, out);
		have = true;
	} else if (!error) {
		error = nodes_at(c, (char *)p.names.data, p.names.length,
				 &below);
		for (size_t n = 0; !error && n < below.count; n++)
			error = tree_versions(
				c, below.nodes[n], real_name(name),
				strlen(real_name(name)), found, &have);
		if (error > 0)
			error = 0;
		view_make_up(v, 0, S_IFDIR | 0555, v->began, out);
		out->st.st_ino = version_ino(&p, name);
	}
	if (!error && !have)
		error = REEL_ENOENT;
	if (!error && !out->id) {
		out->id = versions_get(&v->versions, parent, name);
		error = out->id ? 0 : REEL_ENOMEM;
	}
	free(below.nodes);
	path_release(&p);
	return error;
}

int versions_view_stat(struct view *v, struct catalog *c, uint64_t id,
		       struct view_entry *out)
{
	struct version_path p;
	struct moment m;
	int error = path_of(v, c, id, &p);

	if (!error && p.moment[0]) {
		error = find_moment(c, &p, p.moment, &m);
		if (!error)
			error = moment_entry(v, c, &p, p.moment, &m, out);
	} else if (!error) {
		view_make_up(v, id, S_IFDIR | 0555, v->began, out);
		if (!p.top)
			out->st.st_ino = version_ino(&p, "");
	}
	out->id = id;
	path_release(&p);
	return error;
}

int versions_view_link(struct view *v, struct catalog *c, uint64_t id,
		       struct buffer *out)
{
	struct version_path p;
	struct moment m;
	int error = path_of(v, c, id, &p);

	if (!error && !p.moment[0])
		error = REEL_EINVAL;
	if (!error)
		error = find_moment(c, &p, p.moment, &m);
	if (!error)
		error = moment_link(c, &p, m.since, out);
	path_release(&p);
	return error;
}

/* ---- listing ---- */

struct listing {
	struct view *view;
	struct catalog *catalog;
	const struct version_path *path;
	uint64_t at, offset; /* offset of the present name; what was given */
	view_each each;
	void *context;
};

static int list_moment(void *context, const struct entry_row *e)
{
	struct listing *l = context;
	struct moment m = {e->since, true, e->node, e->inode};
	struct view_entry out;
	char name[64];
	int error;

	if (++l->at <= l->offset)
		return 0;
	m.row.target = NULL;
	error = moment_name(l->catalog, e->since, name);
	if (!error)
		error = moment_entry(l->view, l->catalog, l->path, name, &m,
				     &out);
	out.id = 0;
	return error ? error : l->each(l->context, name, &out, l->at);
}

/* The next name behind `after` in any of the directories. */
static int next_name(struct catalog *c, const struct past_nodes *p,
		     const struct buffer *after, struct buffer *best)
{
	struct buffer one = {0};
	bool have = false;
	int error = 0;

	for (size_t n = 0; !error && n < p->count; n++) {
		error = tree_next_name(c, p->nodes[n], (char *)after->data,
				       after->length, &one);
		if (error == REEL_ENOENT) {
			error = 0;
			continue;
		}
		if (!error)
			error = buffer_append(&one, "", 1);
		if (!error && (!have || strcmp((char *)one.data,
					       (char *)best->data) < 0)) {
			struct buffer b = *best;

			*best = one;
			one = b;
			have = true;
		}
	}
	buffer_release(&one);
	return error ? error : have ? 0 : REEL_ENOENT;
}

static int give_name(struct listing *l, const char *name)
{
	char shown[TREE_NAME_LIMIT + 2];
	struct view_entry out;

	snprintf(shown, sizeof(shown), "%s%s", *name == '@' ? "@" : "", name);
	view_make_up(l->view, 0, S_IFDIR | 0555, l->view->began, &out);
	out.st.st_ino = version_ino(l->path, shown);
	return l->each(l->context, shown, &out, l->at);
}

/* `after`: the name given last, when it is remembered; else the names before
 * l->offset are passed over. */
static int list_names(struct listing *l, uint64_t id, struct buffer *after)
{
	struct past_nodes below = {0};
	struct buffer name = {0};
	const struct version_path *p = l->path;
	int error = nodes_at(l->catalog, (char *)p->names.data, p->names.length,
			     &below);

	while (!error &&
	       !(error = next_name(l->catalog, &below, after, &name))) {
		const char *text = (char *)name.data;

		if (++l->at > l->offset)
			error = give_name(l, text);
		if (error)
			break;
		after->length = 0;
		error = buffer_append(after, text, name.length - 1);
	}
	if (error > 0 && after->length)
		places_note(&l->view->places, id, l->at - 1,
			    (char *)after->data, after->length, false);
	if (error == REEL_ENOENT)
		error = 0;
	buffer_release(&name);
	free(below.nodes);
	return error;
}

int versions_view_list(struct view *v, struct catalog *c, uint64_t id,
		       uint64_t offset, view_each each, void *context)
{
	struct version_path p;
	struct listing l = {v,	    c,	  &p,	  VIEW_OFFSET_FIRST - 1,
			    offset, each, context};
	struct list_place place;
	struct buffer after = {0};
	int error = path_of(v, c, id, &p);

	if (!error && p.moment[0])
		error = REEL_ENOTDIR;
	if (!error && places_find(&v->places, id, offset, &place)) {
		l.at = offset;
		error = buffer_append(&after, place.name, place.length);
	} else if (!error) {
		error = each_version(c, &p, list_moment, &l);
	}
	if (!error)
		error = list_names(&l, id, &after);
	buffer_release(&after);
	path_release(&p);
	return error;
}
