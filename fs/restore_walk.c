/* The walk: one thread goes through the snapshot in the order of names, which
 * is the order in which the medium was written, makes directories and hands
 * files to the pool. Names of a hard-link group are written by the walk
 * itself, so that the first is complete before the others link to it. In a dry
 * run it does everything itself, in order.
 *
 * Memory: the present path with the names that its directories have at the
 * target, the queue, and a table of the link groups whose names were not all
 * met yet. */
#include "fs/restore_walk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "fs/restore_links.h"
#include "tape/error.h"
#include "tape/stop.h"

#define CURSORS_OPEN 32 /* statements held by the walk */
#define PLACES_TOP   16 /* stay open */
#define PROGRESS_NS  100000000

struct level {
	struct place *place;
	struct tree_cursor *cursor; /* NULL: begins again after the child */
	struct sweep_names names;   /* of the target; empty when it is fresh */
};

static bool stopped(const struct restore_walk *w)
{
	return stop_is_set(w->r->options->stop);
}

void walk_report(struct restore_walk *w, bool force)
{
	const struct restore_options *o = w->r->options;
	struct timespec t;
	int64_t now;

	if (!o->progress)
		return;
	clock_gettime(CLOCK_MONOTONIC, &t);
	now = (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
	if (!force && now - w->reported < PROGRESS_NS)
		return;
	w->reported = now;
	w->progress.bytes = atomic_load(&w->r->bytes);
	o->progress(o->context, &w->progress);
}

static int load_xattrs(struct restore_walk *w, struct restore_entry *e)
{
	int err;

	if (w->xattrs_id != e->inode.xattrs) {
		w->xattrs_id = 0;
		w->xattrs.length = 0;
		err = tree_xattrs(w->c, e->inode.xattrs, &w->xattrs);
		if (err)
			return err;
		w->xattrs_id = e->inode.xattrs;
	}
	e->xattrs = malloc(w->xattrs.length + 1);
	if (!e->xattrs)
		return REEL_ENOMEM;
	memcpy(e->xattrs, w->xattrs.data, w->xattrs.length);
	e->xattrs_length = w->xattrs.length;
	return 0;
}

int walk_load(struct restore_walk *w, const struct inode_row *i,
	      struct restore_entry *e)
{
	const struct restore_options *o = w->r->options;
	int err = 0;

	memset(e, 0, sizeof(*e));
	e->inode = *i;
	e->inode.target = NULL;
	if (o->no_suid && !S_ISDIR(i->mode))
		e->inode.mode &= ~(mode_t)(S_ISUID | S_ISGID);
	if (S_ISLNK(i->mode) && i->target) {
		e->target = strndup(i->target, i->target_length);
		if (!e->target)
			return REEL_ENOMEM;
		e->inode.target_length = strlen(e->target);
	}
	if (i->xattrs)
		err = load_xattrs(w, e);
	if (!err && i->content && (!o->dry_run || o->checksum))
		err = tree_content(w->c, i->content, &e->content);
	if (err)
		restore_entry_release(e);
	return err;
}

static void trouble(struct restore_walk *w, const struct place *p,
		    const char *name, int err)
{
	int none = 0;

	if (err == REEL_EDAMAGED)
		atomic_compare_exchange_strong(&w->r->error, &none, err);
	restore_problem(w->r, PROBLEM_OTHER, p, name,
			err == REEL_EDAMAGED || err == REEL_ENOENT
				? "the catalogue is damaged here"
				: error_text(err),
			0);
}

static bool is_ancestor(const struct place *p, uint64_t node)
{
	for (; p; p = p->up)
		if (p->node == node)
			return true;
	return false;
}

/* Jobs keep all above them open: they are done before `more` is too much. */
static void relieve(struct restore_walk *w, unsigned more)
{
	if (atomic_load(&w->r->places) + more >= w->r->open.all)
		pool_drain(w->pool);
}

/* Far ancestors give up their descriptors and statements. */
static void economize(struct restore_walk *w)
{
	size_t from = w->shut > PLACES_TOP ? w->shut : PLACES_TOP;

	if (w->depth > CURSORS_OPEN) {
		struct level *l = &w->levels[w->depth - CURSORS_OPEN - 1];

		tree_end(l->cursor);
		l->cursor = NULL;
	}
	relieve(w, 0);
	if (w->depth < from + w->r->open.walk)
		return;
	pool_drain(w->pool);
	for (; from < w->depth - PLACES_TOP; from++)
		place_shut(w->r, w->levels[from].place);
	w->shut = from;
}

/* The names at the target, so that rubbish and extras are met in passing. */
static void list_names(struct restore_walk *w, struct level *l)
{
	struct restore *r = w->r;
	struct place *p = l->place;
	int err;

	if (p->fd < 0 || p->delayed || p->lost ||
	    (p->fresh && !r->options->dry_run) ||
	    (r->options->dry_run && !r->options->delete)) {
		l->names.known = p->fresh && p->fd >= 0;
		return;
	}
	err = sweep_list(p->fd, &l->names);
	if (err)
		restore_problem(r, PROBLEM_OTHER, p, NULL,
				"cannot be listed, so that nothing is removed "
				"from it",
				error_errno(err));
}

static int push(struct restore_walk *w, struct place *p)
{
	struct level *l;
	int err;

	if (w->depth == w->room) {
		size_t room = w->room ? 2 * w->room : 64;

		l = realloc(w->levels, room * sizeof(*l));
		if (!l)
			return REEL_ENOMEM;
		w->levels = l;
		w->room = room;
	}
	l = &w->levels[w->depth];
	l->place = p;
	l->cursor = NULL;
	l->names = (struct sweep_names){0};
	err = tree_list(w->c, w->r->options->session, p->node, &l->cursor);
	if (err)
		return err;
	w->depth++;
	list_names(w, l);
	economize(w);
	return 0;
}

/* ---- one entry ---- */

/* Whether what stands there is gone into, and how. */
static bool choose(const struct plan_verdict *v, const struct look *l,
		   enum place_way *way)
{
	bool there = S_ISDIR(l->subject.present);

	*way = there		    ? PLACE_OPEN
	       : l->subject.present ? PLACE_REPLACE
				    : PLACE_MAKE;
	switch (v->action) {
	case PLAN_EXCLUDED:
		return false;
	case PLAN_KEPT:
		return there && (!v->rule || v->rule->verb == RULE_MERGE);
	case PLAN_DELAYED:
		*way = PLACE_DELAY;
		return true;
	default:
		return true;
	}
}

/* At the next boot; a file that is in the way goes then, too. */
static int delay_directory(struct restore_walk *w, struct place *up,
			   const char *name, const struct restore_entry *e,
			   const struct look *l)
{
	char *path;
	int err = 0;

	if (w->r->options->dry_run)
		return 0;
	if (l->subject.present) {
		path = place_path(up, name);
		err = path ? delay_delete(w->r->delay, path) : REEL_ENOMEM;
		free(path);
	}
	return err ? err : stage_directory(w->r, up, name, e);
}

static int open_place(struct restore_walk *w, struct place *up,
		      const char *name, size_t length, enum place_way way,
		      const struct look *l, struct restore_entry *e,
		      struct place **out)
{
	int err = 0;

	if (way == PLACE_DELAY)
		err = delay_directory(w, up, name, e, l);
	if (!err)
		err = place_enter(w->r, up, name, length, way, e, out);
	return err;
}

static void told(struct restore_walk *w, const struct place *up,
		 const char *name, const struct plan_verdict *v, bool leading)
{
	if (!leading || v->action != PLAN_KEPT)
		restore_tell(w->r, up, name, v);
	if (v->action == PLAN_NEW || v->action == PLAN_CHANGED)
		restore_touched(w->r, up, name);
}

int walk_enter(struct restore_walk *w, struct place *up, const char *name,
	       size_t length, const struct entry_row *row,
	       struct walk_way walk_way, struct place **out)
{
	uint64_t node = row->node;
	struct plan_opinion o;
	struct plan_place below;
	struct plan_verdict v;
	struct restore_entry e;
	enum place_way way;
	struct look l;
	int err;

	*out = NULL;
	if (!S_ISDIR(row->inode.mode) || is_ancestor(up, node))
		return REEL_EDAMAGED;
	if (look_opinion(w->r, up, name, row->inode.mode, &o, &below))
		return REEL_ENOMEM;
	if (walk_way.leading || walk_way.named)
		o.exclude = NULL;
	look_at_directory(up, name, &row->inode, &l);
	look_decide(w->r, up, name, &o, &l, &v);
	if (walk_way.unlisted && l.subject.present && !w->r->options->dry_run)
		return REEL_EEXIST;
	if (border_in(w->r, up, name, &l) || !choose(&v, &l, &way)) {
		restore_tell(w->r, up, name, &v);
		return 0;
	}
	err = walk_load(w, &row->inode, &e);
	if (err)
		return err;
	err = open_place(w, up, name, length, way, &l, &e, out);
	restore_entry_release(&e);
	if (err)
		return err;
	(*out)->node = node;
	(*out)->plan = below;
	(*out)->adorn = way == PLACE_MAKE || way == PLACE_REPLACE ||
			(way == PLACE_OPEN && v.action != PLAN_KEPT && !v.why &&
			 (!walk_way.leading || l.subject.unfinished));
	told(w, up, name, &v, walk_way.leading);
	return 0;
}

/* First name of a link group: written here and now, and remembered where it
 * stands, if it does. */
static void group(struct restore_walk *w, struct place *p, const char *name,
		  const struct restore_entry *e)
{
	struct written out = {0};
	struct link_first first;
	char *path;

	if (links_find(w->links, e->inode.id, &first)) {
		write_link(w->r, p, name, first.path, first.inode, e);
		links_met(w->links, e->inode.id);
		return;
	}
	write_entry(w->r, p, name, e, &out);
	path = out.staged ? out.staged : out.here ? place_path(p, name) : NULL;
	if (path)
		links_add(w->links, e->inode.id, e->inode.nlink,
			  out.staged ? 0 : e->inode.flags, path, out.inode);
	free(path);
}

int walk_file(struct restore_walk *w, struct place *p, const char *name,
	      size_t length, const struct entry_row *row, struct walk_way way)
{
	char text[TREE_NAME_LIMIT + 1];
	struct plan_opinion o;
	struct plan_place below;
	struct restore_entry e;
	int err;

	memcpy(text, name, length);
	text[length] = '\0';
	if (look_opinion(w->r, p, text, row->inode.mode, &o, &below))
		return REEL_ENOMEM;
	if (way.named)
		o.exclude = NULL;
	if (o.exclude) {
		restore_tell(w->r, p, text,
			     &(struct plan_verdict){.action = PLAN_EXCLUDED,
						    .rule = o.exclude});
		return 0;
	}
	err = walk_load(w, &row->inode, &e);
	if (err)
		return err;
	e.opinion = o;
	e.unlisted = way.unlisted;
	e.named = way.named;
	if (e.inode.nlink <= 1 && !w->r->options->dry_run)
		return pool_add(w->pool, p, text, length, &e);
	if (e.inode.nlink <= 1)
		write_entry(w->r, p, text, &e, NULL);
	else
		group(w, p, text, &e);
	restore_entry_release(&e);
	return 0;
}

/* ---- what cannot be restored ---- */

/* Whether a rule leaves it out anyway. */
static int spared(struct restore_walk *w, struct place *p, const char *name,
		  mode_t mode, struct plan_place *below)
{
	struct plan_verdict v = {.action = PLAN_EXCLUDED};
	struct plan_opinion o;

	if (look_opinion(w->r, p, name, mode, &o, below))
		return REEL_ENOMEM;
	if (!o.exclude && (!o.keep || o.keep->verb != RULE_PRESERVE))
		return 0;
	v.rule = o.exclude;
	if (!o.exclude)
		v = (struct plan_verdict){PLAN_KEPT, o.keep, NULL};
	restore_tell(w->r, p, name, &v);
	return 1;
}

/* A directory that is not restored is walked nevertheless, so that all that
 * is in it is named. */
static int enter_lost(struct restore_walk *w, struct place *up,
		      const char *name, const struct entry_row *row,
		      const struct plan_place *below)
{
	struct restore_entry none = {0};
	struct place *p;
	int err;

	if (is_ancestor(up, row->node))
		return REEL_EDAMAGED;
	err = place_enter(w->r, up, name, row->name_length, PLACE_LOST, &none,
			  &p);
	if (err)
		return err;
	p->node = row->node;
	p->plan = *below;
	err = push(w, p);
	if (err)
		place_put(w->r, p);
	return err;
}

static int visit_lost(struct restore_walk *w, struct place *p, const char *name,
		      const struct entry_row *row)
{
	struct plan_place below;
	int err = spared(w, p, name, row->inode.mode, &below);

	if (err)
		return err < 0 ? err : 0;
	w->lost++;
	restore_lost(w->r, p, name);
	return row->node ? enter_lost(w, p, name, row, &below) : 0;
}

/* Where the target lists names in letters of its own, only the snapshot knows
 * the other name. */
static bool find_twin(struct restore_walk *w, struct place *p, const char *name,
		      char other[TREE_NAME_LIMIT + 1])
{
	struct tree_cursor *c;
	struct entry_row row;
	bool found = false;

	if (tree_list(w->c, w->r->options->session, p->node, &c))
		return false;
	while (!found && tree_step(c, &row) == 1) {
		if (!place_name_valid(row.name, row.name_length))
			continue;
		memcpy(other, row.name, row.name_length);
		other[row.name_length] = '\0';
		found = strcmp(other, name) && alias_is(p->fd, name, other);
	}
	tree_end(c);
	if (!found)
		other[0] = '\0';
	return found;
}

/* What stands at a name that was not listed has another name there: that of
 * another file of the snapshot (which stays), or of one that the target has
 * besides (and which is the same name to it). */
static bool is_alias(struct restore_walk *w, struct place *p, const char *name,
		     char other[TREE_NAME_LIMIT + 1])
{
	struct sweep_names *names = &w->levels[w->depth - 1].names;
	struct entry_row row;

	if (!alias_find(p->fd, name, other))
		return find_twin(w, p, name, other);
	if (!sweep_claim(names, other))
		return true;
	return tree_lookup(w->c, w->r->options->session, p->node, other,
			   strlen(other), &row) != REEL_ENOENT;
}

/* 1: it is another name's, which was said. *unlisted: it is nothing's. */
static int check_name(struct restore_walk *w, struct place *p, const char *name,
		      const struct entry_row *row, bool *unlisted)
{
	char other[TREE_NAME_LIMIT + 1] = "";

	*unlisted = w->levels[w->depth - 1].names.known && p->fd >= 0;
	if (!*unlisted || (p->fresh && !row->node) ||
	    faccessat(p->fd, name, F_OK, AT_SYMLINK_NOFOLLOW))
		return 0;
	if (is_alias(w, p, name, other)) {
		alias_problem_with(w->r, p, name, other);
		return 1;
	}
	*unlisted = false;
	return 0;
}

/* ---- the walk ---- */

static int visit_directory(struct restore_walk *w, struct place *p,
			   const char *name, const struct entry_row *row,
			   struct walk_way way)
{
	const struct plan_place below = p->plan;
	char other[TREE_NAME_LIMIT + 1];
	struct place *child;
	int err = walk_enter(w, p, name, row->name_length, row, way, &child);

	if (err == REEL_EEXIST && alias_find(p->fd, name, other)) {
		alias_problem_with(w->r, p, name, other);
		return enter_lost(w, p, name, row, &below);
	}
	/* Made meanwhile, as the journal's directory is. */
	if (err == REEL_EEXIST && sweep_is_directory(p, name))
		err = walk_enter(w, p, name, row->name_length, row,
				 (struct walk_way){0}, &child);
	if (err && err != REEL_ENOMEM && err != REEL_EDAMAGED) {
		restore_problem(w->r, PROBLEM_OTHER, p, name,
				"the directory cannot be made",
				error_errno(err));
		return enter_lost(w, p, name, row, &below);
	}
	if (err || !child)
		return err;
	atomic_fetch_add(&w->r->directories, 1);
	err = push(w, child);
	if (err)
		place_put(w->r, child);
	return err;
}

static int visit_name(struct restore_walk *w, struct place *p, const char *name,
		      const struct entry_row *row)
{
	struct walk_way way = {0};

	if (p->lost)
		return visit_lost(w, p, name, row);
	if (!sweep_upto(w->r, p, &w->levels[w->depth - 1].names, name,
			row->name_length) &&
	    check_name(w, p, name, row, &way.unlisted))
		return row->node ? enter_lost(w, p, name, row, &p->plan) : 0;
	if (row->node)
		return visit_directory(w, p, name, row, way);
	return walk_file(w, p, name, row->name_length, row, way);
}

/* One entry of a directory; REEL_ENOMEM or REEL_ESTOPPED end the run. */
static int visit(struct restore_walk *w, struct place *p,
		 const struct entry_row *row)
{
	char name[TREE_NAME_LIMIT + 1] = "";
	int err;

	w->progress.entries++;
	walk_report(w, false);
	if (!place_name_valid(row->name, row->name_length)) {
		trouble(w, p, NULL, REEL_EDAMAGED);
		return 0;
	}
	memcpy(name, row->name, row->name_length);
	err = visit_name(w, p, name, row);
	if (err == REEL_ENOMEM)
		return err;
	if (err)
		trouble(w, p, name, err);
	return 0;
}

/* Leaves the deepest directory. */
static int pop(struct restore_walk *w)
{
	struct level *l = &w->levels[--w->depth];
	struct place *p = l->place;
	struct level *up = w->depth ? l - 1 : NULL;
	int err = 0;

	tree_end(l->cursor);
	sweep_release(&l->names);
	if (p->lost && up && !up->place->lost) {
		restore_lost_below(p, w->lost);
		w->lost = 0;
	}
	if (up && up->place->fd < 0 && !up->place->delayed &&
	    !up->place->lost && !w->r->options->dry_run) {
		relieve(w, w->r->open.reopened);
		err = place_reopen(w->r, up->place);
		w->shut = w->depth > w->r->open.reopened
				  ? w->depth - w->r->open.reopened
				  : 0;
	}
	if (up && !up->cursor && !err)
		err = tree_list_after(w->c, w->r->options->session,
				      up->place->node, p->name, p->name_length,
				      &up->cursor);
	if (err)
		trouble(w, up->place, NULL, err);
	place_put(w->r, p);
	return err;
}

int walk_descend(struct restore_walk *w, struct place *p)
{
	int err = push(w, p);

	if (err) {
		trouble(w, p, NULL, err);
		place_put(w->r, p);
		return err == REEL_ENOMEM ? err : 0;
	}
	while (w->depth) {
		struct level *l = &w->levels[w->depth - 1];
		struct entry_row row;
		int more = 0;

		if (!err)
			err = stopped(w) ? REEL_ESTOPPED : 0;
		if (!err && l->cursor)
			more = tree_step(l->cursor, &row);
		if (more == 1) {
			err = visit(w, l->place, &row);
			continue;
		}
		if (more < 0)
			trouble(w, l->place, NULL, more);
		else if (!err)
			sweep_rest(w->r, l->place, &l->names);
		pop(w);
	}
	return err;
}

void walk_release(struct restore_walk *w)
{
	free(w->levels);
	buffer_release(&w->xattrs);
}
