/* The walk goes down from the root. A directory is visited when something is
 * dirty in it or below; one that stands at another path than in the newest
 * snapshot is walked as a whole. */
#include "fs/commit_walk.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "fs/commit_state.h"
#include "tape/error.h"
#include "tape/log.h"
#include "tape/stop.h"
#include "tape/text.h"

#define LATER 10000 /* removed names kept for the end */

/* A directory under way. */
struct level {
	struct folder *folder; /* held */
	uint64_t id;
	uint64_t base;	     /* the base's directory behind it; 0: none */
	bool whole;	     /* everything in it is emitted */
	struct buffer names; /* struct walk_name, name, NUL each */
	size_t at;
	struct level *up;
};

/* A subdirectory to go down to. */
struct walk_name {
	uint64_t id;
	struct rules_place place;
};

static int put(struct commit_walk *w, struct item *i, size_t bytes)
{
	if (!i)
		return REEL_ENOMEM;
	return outlet_put(&w->out, i, sizeof(*i) + bytes) ? 0 : REEL_ESTOPPED;
}

/* What the newest snapshot has under a name. */
static int find_old(struct commit_walk *w, struct folder *f, const char *name,
		    size_t length, struct item *i)
{
	struct entry_row e;
	int error = f->old_node ? tree_lookup(w->catalog, w->newest,
					      f->old_node, name, length, &e)
				: REEL_ENOENT;

	if (error)
		return error == REEL_ENOENT ? 0 : error;
	i->had = true;
	i->old_node = e.node;
	i->old = e.inode;
	i->old.target = NULL;
	return 0;
}

/* Whether the newest snapshot has this very version: a commit may have ended
 * before the spool knew (M2). Each change makes another ctime. */
static bool is_same_version(const struct inode_row *old,
			    const struct spool_node *n)
{
	return old->flags & INODE_LIVING && old->source == n->inode &&
	       old->ctime == n->ctime && old->mtime == n->mtime &&
	       old->mode == n->mode && old->uid == n->uid &&
	       old->gid == n->gid && old->nlink == n->nlink;
}

/* ---- one name ---- */

struct emission {
	struct level *level;
	const char *name;
	size_t length;
	bool dirty; /* the entry is */
};

static int leave_out(struct commit_walk *w, const struct emission *e,
		     const struct spool_node *n, const char *rule)
{
	int error = 0;

	w->excluded++;
	if (w->options->excluded) {
		char *path = folder_text(e->level->folder, e->name);

		if (path)
			w->options->excluded(w->options->context, path, rule);
		else
			error = REEL_ENOMEM;
		free(path);
	}
	if (!error)
		error = live_excluded(w->live, e->level->id, e->name, e->length,
				      n->id, w->frozen->change);
	if (!error && S_ISDIR(n->mode))
		error = commit_exclude_below(w, n->id);
	return error;
}

static int emit_name(struct commit_walk *w, const struct emission *e,
		     struct spool_node *n)
{
	struct item *i =
		item_new(ITEM_NAME, e->level->folder, e->name, e->length);
	bool clean = n->state != SPOOL_DIRTY;
	int error = i ? find_old(w, e->level->folder, e->name, e->length, i)
		      : REEL_ENOMEM;

	if (!error && clean && i->had && !i->old_node && n->base == i->old.id) {
		item_free(i); /* as it was */
		return 0;
	}
	if (!error && !S_ISREG(n->mode) && !i->old_node && i->had &&
	    is_same_version(&i->old, n)) {
		i->unchanged = true; /* its row is to settle */
		i->live = n->id;
		i->stored_inode = i->old.id;
		return put(w, i, 0);
	}
	if (!error)
		error = commit_fill(i, n);
	if (!error && clean)
		i->version = n->base;
	if (!error)
		return put(w, i, i->length);
	item_free(i);
	return error;
}

/* A removed name comes at the end, as long as there are not too many: until
 * then what came to another name can be linked to it. */
static int put_later(struct commit_walk *w, struct item *i)
{
	if (w->later.length / sizeof(i) >= LATER)
		return put(w, i, 0);
	if (!buffer_append(&w->later, &i, sizeof(i)))
		return 0;
	item_free(i);
	return REEL_ENOMEM;
}

static int put_late(struct commit_walk *w, int error)
{
	struct item **all = (void *)w->later.data;

	for (size_t n = 0; n < w->later.length / sizeof(*all); n++) {
		if (error)
			item_free(all[n]);
		else
			error = put(w, all[n], 0);
	}
	buffer_release(&w->later);
	return error;
}

static int emit_removed(struct commit_walk *w, struct level *l,
			const char *name, size_t length)
{
	struct item *i = item_new(ITEM_REMOVED, l->folder, name, length);
	int error = i ? find_old(w, l->folder, name, length, i) : REEL_ENOMEM;

	if (!error && i->had)
		return put_later(w, i);
	item_free(i);
	return error;
}

static int push_name(struct level *l, uint64_t id, struct rules_place place,
		     const char *name, size_t length)
{
	struct walk_name n = {id, place};
	int error = buffer_append(&l->names, &n, sizeof(n));

	if (!error)
		error = buffer_append(&l->names, name, length);
	return error ? error : buffer_append(&l->names, "", 1);
}

/* A name of the living tree: emitted, gone down to, or left out. */
static int take_node(struct commit_walk *w, const struct emission *e,
		     struct spool_node *n)
{
	struct rules_place below;
	char *rule = NULL;
	int error;

	if (S_ISDIR(n->mode) && !e->level->whole && !e->dirty &&
	    !visits_has(w->visits, n->id))
		return 0;
	error = commit_judge(w, e->level->folder, e->name, n, &below, &rule);
	if (!error && rule)
		error = leave_out(w, e, n, rule);
	else if (!error && S_ISDIR(n->mode))
		error = push_name(e->level, n->id, below, e->name, e->length);
	else if (!error)
		error = emit_name(w, e, n);
	free(rule);
	return error;
}

static int take_name(struct commit_walk *w, const struct emission *e,
		     uint64_t id)
{
	struct spool_node n;
	int error = commit_node(w, id, &n);

	if (error)
		return error;
	error = take_node(w, e, &n);
	spool_node_release(&n);
	return error;
}

/* ---- a directory ---- */

/* The spool's entries of a directory, in memory: the walk asks the spool for
 * other things meanwhile. */
struct gathered {
	uint64_t id;		 /* 0: the name is gone */
	bool dirty;		 /* the entry is */
	struct spool_node *node; /* heap; NULL: not dirty */
	size_t name, length;	 /* in `names` */
};

struct gathering {
	struct buffer entries; /* struct gathered each */
	struct buffer names;
};

static int gather_entry(void *context, const struct spool_entry *e,
			struct spool_node *n)
{
	struct gathering *to = context;
	struct gathered g = {.id = e->node,
			     .dirty = e->state != SPOOL_CLEAN,
			     .name = to->names.length,
			     .length = e->name_length};
	int error;

	if (n && (g.dirty || n->state == SPOOL_DIRTY)) {
		g.node = malloc(sizeof(*n));
		if (!g.node)
			return REEL_ENOMEM;
		*g.node = *n;
		*n = (struct spool_node){0};
	}
	error = buffer_append(&to->entries, &g, sizeof(g));
	if (error && g.node)
		spool_node_release(g.node);
	if (error)
		free(g.node);
	return error ? error
		     : buffer_append(&to->names, e->name, e->name_length + 1);
}

static void gathering_release(struct gathering *g)
{
	struct gathered *all = (void *)g->entries.data;

	for (size_t n = 0; n < g->entries.length / sizeof(*all); n++) {
		if (all[n].node)
			spool_node_release(all[n].node);
		free(all[n].node);
	}
	buffer_release(&g->entries);
	buffer_release(&g->names);
}

static const struct gathered *find_gathered(const struct gathering *all,
					    const char *name, size_t length)
{
	const struct gathered *g = (void *)all->entries.data;
	size_t low = 0, high = all->entries.length / sizeof(*g);

	while (low < high) {
		size_t at = (low + high) / 2;
		size_t less = g[at].length < length ? g[at].length : length;
		int d = memcmp(all->names.data + g[at].name, name, less);

		if (!d)
			d = (g[at].length > length) - (g[at].length < length);
		if (!d)
			return &g[at];
		if (d < 0)
			low = at + 1;
		else
			high = at;
	}
	return NULL;
}

static int take_entry(struct commit_walk *w, struct level *l,
		      const struct gathered *g, const char *name)
{
	struct emission e = {l, name, g->length, g->dirty};

	if (!g->id)
		return emit_removed(w, l, name, g->length);
	if (!l->whole && !g->node && !g->dirty && !visits_has(w->visits, g->id))
		return 0;
	return g->node ? take_node(w, &e, g->node) : take_name(w, &e, g->id);
}

/* Names of the base without an entry in the spool: in a directory that is
 * walked as a whole all of them, else the directories with something dirty
 * below. They and the spool's come merged by name. */
static int take_merged(struct commit_walk *w, struct level *l, uint64_t base,
		       const struct gathering *all)
{
	const struct gathered *g = (void *)all->entries.data;
	size_t count = all->entries.length / sizeof(*g), n = 0;
	struct tree_cursor *t = NULL;
	struct entry_row row;
	int error = base && w->frozen->base
			    ? tree_list(w->catalog, w->frozen->base, base, &t)
			    : 0;
	int step = 0;

	while (!error && t && (step = tree_step(t, &row)) == 1) {
		struct emission e = {.level = l};
		struct buffer name = {0};

		for (; !error && n < count &&
		       commit_order(all->names.data + g[n].name, g[n].length,
				    row.name, row.name_length) < 0;
		     n++)
			error = take_entry(w, l, &g[n],
					   (char *)all->names.data + g[n].name);
		if (error || find_gathered(all, row.name, row.name_length))
			continue;
		if (!l->whole &&
		    (!row.node || !visits_has(w->visits, live_id(&row))))
			continue;
		uint64_t id = live_id(&row);

		error = buffer_append(&name, row.name, row.name_length);
		if (!error)
			error = buffer_append(&name, "", 1);
		e.name = (char *)name.data;
		e.length = row.name_length;
		if (!error)
			error = take_name(w, &e, id);
		buffer_release(&name);
	}
	tree_end(t);
	for (; !error && step >= 0 && n < count; n++)
		error = take_entry(w, l, &g[n],
				   (char *)all->names.data + g[n].name);
	return error ? error : step < 0 ? step : 0;
}

/* A directory of the base that no name of its own is dirty in has only
 * directories to go down to: they are known without listing it. */
static bool must_list(const struct commit_walk *w, const struct level *l)
{
	return l->whole || visits_has_base(w->visits, l->id);
}

/* What the newest snapshot has at this path and the living tree has not. */
static int take_lost(struct commit_walk *w, struct level *l,
		     const struct gathering *all)
{
	struct tree_cursor *t = NULL;
	struct entry_row row, e;
	int error, step = 0;

	if (!l->whole || !l->folder->old_node)
		return 0;
	error = tree_list(w->catalog, w->newest, l->folder->old_node, &t);
	while (!error && (step = tree_step(t, &row)) == 1) {
		const struct gathered *g =
			find_gathered(all, row.name, row.name_length);
		bool there = g ? g->id != 0
			       : l->base && w->frozen->base &&
					     !tree_lookup(w->catalog,
							  w->frozen->base,
							  l->base, row.name,
							  row.name_length, &e);

		if (!there && !g) {
			char name[TREE_NAME_LIMIT + 1];

			memcpy(name, row.name, row.name_length);
			name[row.name_length] = '\0';
			error = emit_removed(w, l, name, row.name_length);
		}
	}
	tree_end(t);
	return error ? error : step < 0 ? step : 0;
}

static int list_level(struct commit_walk *w, struct level *l)
{
	struct gathering all = {0};
	int error =
		spool_each_entry(w->frozen->view, l->id, gather_entry, &all);

	if (!error)
		error = take_lost(w, l, &all);
	if (!error)
		error = take_merged(w, l, must_list(w, l) ? l->base : 0, &all);
	gathering_release(&all);
	return error;
}

/* ---- going down ---- */

static void level_free(struct level *l)
{
	folder_put(l->folder);
	buffer_release(&l->names);
	free(l);
}

/* Whether the newest snapshot has the directory as it is: its last commit may
 * have ended before the spool knew (M2). */
static bool is_stored(const struct item *i, const struct spool_node *n)
{
	const struct inode_row *old = &i->old;

	if (!i->old_node)
		return false;
	if (n->base == i->old_node && n->state != SPOOL_DIRTY)
		return true;
	return old->flags & INODE_LIVING && old->source == n->inode &&
	       old->ctime == n->ctime && old->mtime == n->mtime &&
	       old->mode == n->mode && old->uid == n->uid && old->gid == n->gid;
}

/* Announces a directory and lists it. */
static int enter(struct commit_walk *w, struct level **top, uint64_t id,
		 struct rules_place place, const char *name)
{
	struct level *l = calloc(1, sizeof(*l));
	struct folder *above = *top ? (*top)->folder : NULL;
	struct spool_node n = {0};
	struct item *i = NULL;
	int error = l ? commit_node(w, id, &n) : REEL_ENOMEM;

	if (!error && !(l->folder = folder_new(above, name, -1)))
		error = REEL_ENOMEM;
	if (!error && !(i = item_new(ITEM_FOLDER, l->folder, "", 0)))
		error = REEL_ENOMEM;
	if (!error)
		error = commit_old_folder(w, i);
	if (!error) {
		l->id = id;
		l->base = n.base;
		l->folder->place = place;
		l->whole = above && n.base != i->old_node;
		i->unchanged = is_stored(i, &n);
		if (!i->unchanged)
			error = commit_fill(i, &n);
		i->live = id;
	}
	spool_node_release(&n);
	if (error) {
		item_free(i);
		if (l)
			level_free(l);
		return error;
	}
	error = put(w, i, 0);
	l->up = *top;
	*top = l;
	return error ? error : list_level(w, l);
}

static int walk(struct commit_walk *w)
{
	struct level *top = NULL;
	int error = enter(w, &top, LIVE_ROOT, (struct rules_place){0}, "");

	while (!error && top) {
		struct walk_name n;
		const char *name;

		if (stop_is_set(w->options->stop))
			error = REEL_ESTOPPED;
		if (top->at == top->names.length) {
			struct level *done = top;

			top = done->up;
			level_free(done);
			continue;
		}
		memcpy(&n, top->names.data + top->at, sizeof(n));
		name = (char *)top->names.data + top->at + sizeof(n);
		top->at += sizeof(n) + strlen(name) + 1;
		if (!error)
			error = enter(w, &top, n.id, n.place, name);
	}
	while (top) {
		struct level *done = top;

		top = done->up;
		level_free(done);
	}
	return error;
}

int commit_walk_run(struct commit_walk *w)
{
	w->error = visits_new(w, &w->visits);
	if (!w->error)
		w->error = walk(w);
	w->error = put_late(w, w->error);
	visits_free(w->visits);
	trail_release(&w->trail);
	if (!w->error && !outlet_flush(&w->out))
		w->error = REEL_ESTOPPED;
	queue_end(w->out.queue);
	return w->error;
}
