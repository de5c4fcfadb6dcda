/* Renaming: judged by the name that it comes to, and by the one that goes. */
#include "fs/drop_state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "tape/error.h"

struct renaming {
	struct drop_survey a, b; /* from, to */
	struct plan_verdict from, to;
	unsigned flags;
	bool plain; /* both are the target's, which may be changed */
};

/* ---- within the target ---- */

static int rename_target(struct drop *d, const struct renaming *r)
{
	const char *from, *to;
	int a = drop_parent(d, DROP_TARGET, (char *)r->a.path.data, &from);
	int b, error = 0;

	if (a < 0)
		return a;
	b = drop_parent(d, DROP_TARGET, (char *)r->b.path.data, &to);
	if (b < 0)
		error = b;
	else if (!strcmp(from, ".") || !strcmp(to, "."))
		error = REEL_EBUSY;
	else if (renameat2(a, from, b, to, r->flags))
		error = drop_failed();
	close(a);
	if (b >= 0)
		close(b);
	return error;
}

/* The nodes follow. */
static int swap_nodes(struct drop *d, const struct renaming *r)
{
	struct drop_node *a = r->a.node, *b = r->b.node;
	char *name = strdup(r->a.name);
	int error = name ? 0 : REEL_ENOMEM;

	/* by way of a name that no file can have */
	if (!error && a)
		error = drop_move(d, a, r->b.up, "/");
	if (!error && b)
		error = drop_move(d, b, r->a.up, name);
	if (!error && a)
		error = drop_move(d, a, r->b.up, r->b.name);
	free(name);
	return error;
}

static int follow(struct drop *d, struct renaming *r)
{
	int error = 0;

	pthread_mutex_lock(&d->lock);
	if (r->flags & RENAME_EXCHANGE) {
		error = swap_nodes(d, r);
	} else {
		if (r->b.node)
			drop_detach(d, r->b.node);
		if (r->a.node)
			error = drop_move(d, r->a.node, r->b.up, r->b.name);
	}
	pthread_mutex_unlock(&d->lock);
	return error;
}

/* What it takes the place of has a name less. */
static void forget_replaced(struct drop *d, const struct renaming *r)
{
	unsigned names = drop_inodes_get(&d->linked, &r->b.st);

	if (!r->b.there || r->flags & RENAME_EXCHANGE ||
	    (r->b.st.st_ino == r->a.st.st_ino &&
	     r->b.st.st_dev == r->a.st.st_dev))
		return;
	if (names)
		drop_inodes_set(&d->linked, &r->b.st, names - 1);
	if (r->b.st.st_nlink == 1)
		drop_inodes_set(&d->made, &r->b.st, 0);
}

static int rename_plain(struct drop *d, struct renaming *r)
{
	int error = rename_target(d, r);

	if (error)
		return error;
	forget_replaced(d, r);
	if (d->merges || d->busy)
		drop_inodes_set(&d->made, &r->a.st, 1);
	return follow(d, r);
}

/* ---- what has another name is judged by that ---- */

/* With `lock` held; below what is all shadow (D4). */
static void judge_below(struct drop *d, struct drop_node *up)
{
	struct buffer path = {0};

	for (struct drop_node *n = up->first; n; n = n->next) {
		struct drop_question q = {.up = up};
		struct stat st;

		if (n->state == DROP_PLAIN || drop_path(d, n, NULL, &path))
			continue;
		q.path = (char *)path.data;
		if (!drop_look(d, DROP_AREA_SIDE, q.path, &st))
			q.wanted = st.st_mode & S_IFMT;
		drop_judge(d, &q, &n->verdict);
		drop_owe(d, n);
		judge_below(d, n);
	}
	buffer_release(&path);
}

static void judge_anew(struct drop *d, struct drop_node *n,
		       const struct plan_verdict *v)
{
	pthread_mutex_lock(&d->lock);
	n->verdict = *v;
	drop_owe(d, n);
	judge_below(d, n);
	pthread_mutex_unlock(&d->lock);
}

/* ---- exchanging shadows ---- */

/* Both are all shadow, and the target has nothing below either. */
static bool may_exchange(const struct renaming *r)
{
	return r->a.side == DROP_AREA_SIDE && r->b.side == DROP_AREA_SIDE &&
	       !r->a.node->over && !r->b.node->over &&
	       ((!S_ISDIR(r->a.st.st_mode) && !S_ISDIR(r->b.st.st_mode)) ||
		(!r->a.below && !r->b.below));
}

static int exchange_shadows(struct drop *d, struct renaming *r)
{
	const char *from = (char *)r->a.path.data, *from_name, *to_name;
	const char *to = (char *)r->b.path.data;
	int a = drop_parent(d, DROP_AREA_SIDE, from, &from_name);
	int b = a < 0 ? a : drop_parent(d, DROP_AREA_SIDE, to, &to_name);
	int error = 0;
	bool handed;

	if (b < 0)
		error = b;
	else if (renameat2(a, from_name, b, to_name, RENAME_EXCHANGE))
		error = drop_failed();
	if (a >= 0)
		close(a);
	if (b >= 0)
		close(b);
	if (error)
		return error;
	error = follow(d, r);
	handed = r->a.node->handed; /* what the journal has is of a name */
	r->a.node->handed = r->b.node->handed;
	r->b.node->handed = handed;
	judge_anew(d, r->a.node, &r->to);
	judge_anew(d, r->b.node, &r->from);
	if (!error)
		error = drop_area_sync(d, from);
	return error ? error : drop_area_sync(d, to);
}

/* ---- directories ---- */

static bool is_shadowed(const struct drop_node *n)
{
	return n && drop_is_shadowed(n);
}

/* The journal has something of it, by its name; with `lock` held. */
static bool is_handed(const struct drop_node *n)
{
	bool is = n && n->handed;

	for (n = n ? n->first : NULL; n && !is; n = n->next)
		is = is_handed(n);
	return is;
}

static int rename_directory(struct drop *d, struct renaming *r)
{
	const char *from = (char *)r->a.path.data;
	const char *to = (char *)r->b.path.data;
	int error = 0;
	bool handed;

	if (d->strict && !drop_passes(&r->to))
		return REEL_EREFUSED;
	if (r->plain) {
		if (is_shadowed(r->a.node) || is_shadowed(r->b.node))
			return REEL_EXDEV;
		error = drop_judge_tree(d, from, to);
		if (!error && r->flags & RENAME_EXCHANGE)
			error = drop_judge_tree(d, to, from);
		return error ? error : rename_plain(d, r);
	}
	pthread_mutex_lock(&d->lock);
	handed = is_handed(r->a.node) || is_handed(r->b.node);
	pthread_mutex_unlock(&d->lock);
	if (handed)
		return REEL_EXDEV;
	if (r->flags & RENAME_EXCHANGE)
		return may_exchange(r) ? exchange_shadows(d, r) : REEL_EXDEV;
	/* all shadow, and nothing of the target below either */
	if (r->flags & RENAME_WHITEOUT || r->a.side != DROP_AREA_SIDE ||
	    r->a.below || r->b.below || drop_passes(&r->to))
		return REEL_EXDEV;
	if (r->b.there && drop_remove_directory(d, &r->b))
		return REEL_ENOTEMPTY;
	error = drop_bring(d, (struct drop_end){DROP_AREA_SIDE, from},
			   (struct drop_end){DROP_AREA_SIDE, to}, false, false);
	if (!error)
		error = follow(d, r);
	if (error)
		return error;
	judge_anew(d, r->a.node, &r->to);
	return drop_area_sync(d, to);
}

/* ---- files, with shadows ---- */

/* The node comes to its new name. */
static int come(struct drop *d, struct renaming *r, enum drop_side side)
{
	struct drop_node *n = r->a.node;
	bool was_object = n->state == DROP_OBJECT;
	struct stat st;
	int error = drop_look(d, side, (char *)r->b.path.data, &st);

	if (error)
		return error;
	pthread_mutex_lock(&d->lock);
	n->handed = r->b.node && r->b.node->handed;
	if (r->b.node) {
		drop_adopt(d, r->b.node, n);
		drop_detach(d, r->b.node);
	}
	error = drop_move(d, n, r->b.up, r->b.name);
	if (!error && side == DROP_AREA_SIDE) {
		n->state = DROP_OBJECT;
		n->over = false;
		n->verdict = r->to;
		if (!was_object || !n->held)
			n->written++;
		drop_owe(d, n);
	} else if (!error) {
		n->state = DROP_PLAIN;
		n->over = n->owed = n->handed = false;
		n->device = st.st_dev;
		n->inode = st.st_ino;
		if (d->merges || d->busy)
			drop_inodes_set(&d->made, &st, 1);
	}
	pthread_mutex_unlock(&d->lock);
	drop_redirect(d, n);
	return error ? error : drop_settle(d, n);
}

static int know_source(struct drop *d, struct renaming *r)
{
	if (r->a.node)
		return 0;
	pthread_mutex_lock(&d->lock);
	r->a.node = drop_add(d, r->a.up, r->a.name);
	pthread_mutex_unlock(&d->lock);
	return r->a.node ? 0 : REEL_ENOMEM;
}

/* The name that it had. */
static int leave(struct drop *d, struct drop_node *up, const char *name,
		 const struct plan_verdict *v, bool handed)
{
	int error = drop_hide(d, up, name, v);

	if (error)
		return error;
	pthread_mutex_lock(&d->lock);
	drop_find(d, up, name)->handed = handed;
	pthread_mutex_unlock(&d->lock);
	return 0;
}

static int rename_shadow(struct drop *d, struct renaming *r)
{
	bool object = drop_is_shadow(r->a.node);
	bool handed = object && r->a.node->handed;
	bool passes = drop_passes(&r->to);
	struct drop_end from = {r->a.side, (char *)r->a.path.data};
	struct drop_end to = {passes ? DROP_TARGET : DROP_AREA_SIDE,
			      (char *)r->b.path.data};
	bool stays = !object && !drop_passes(&r->from);
	bool hides = stays || (object && r->a.below) || handed;
	struct drop_node *up = r->a.up;
	char *name = strdup(r->a.name);
	int error = name ? know_source(d, r) : REEL_ENOMEM;

	if (!error && r->flags & RENAME_WHITEOUT)
		error = REEL_EINVAL;
	if (!error && d->strict && (!passes || stays))
		error = REEL_EREFUSED;
	if (!error && object && r->a.node->over)
		error = drop_complete(d, r->a.node);
	if (!error)
		error = drop_bring(d, from, to, stays, true);
	if (!error && passes)
		forget_replaced(d, r);
	if (!error)
		error = come(d, r, to.side);
	if (!error && hides)
		error = leave(d, up, name, &r->from, handed);
	free(name);
	return error;
}

/* ---- the whole ---- */

static int check(const struct renaming *r)
{
	bool from = S_ISDIR(r->a.st.st_mode), to = S_ISDIR(r->b.st.st_mode);

	if (!r->a.there || (r->flags & RENAME_EXCHANGE && !r->b.there))
		return REEL_ENOENT;
	if (r->b.there && r->flags & RENAME_NOREPLACE)
		return REEL_EEXIST;
	if (!r->b.there || r->flags & RENAME_EXCHANGE)
		return 0;
	if (from && !to)
		return REEL_ENOTDIR;
	return to && !from ? REEL_EISDIR : 0;
}

static int judge(struct drop *d, struct renaming *r)
{
	struct plan_verdict back = {.action = PLAN_NEW}, gone = back;
	int error = drop_survey_judge(d, &r->a, 0, false, &r->from);

	if (!error)
		error = drop_survey_judge(d, &r->b, r->a.st.st_mode, false,
					  &r->to);
	if (!error && r->flags & RENAME_EXCHANGE) {
		error = drop_survey_judge(d, &r->a, r->b.st.st_mode, false,
					  &back);
		if (!error)
			error = drop_survey_judge(d, &r->b, 0, false, &gone);
	}
	r->plain = !drop_is_shadow(r->a.node) && !drop_is_shadow(r->b.node) &&
		   drop_passes(&r->from) && drop_passes(&r->to) &&
		   drop_passes(&back) && drop_passes(&gone);
	return error;
}

/* Names of one file: rename(2) does nothing then. */
static bool is_same(const struct renaming *r)
{
	return r->b.there && r->a.side == r->b.side &&
	       r->a.st.st_ino == r->b.st.st_ino &&
	       r->a.st.st_dev == r->b.st.st_dev;
}

static int rename_it(struct drop *d, struct renaming *r)
{
	bool directory;
	int error = check(r);

	if (!error && is_same(r))
		return 0;

	if (!error)
		error = judge(d, r);
	if (error)
		return error;
	directory = S_ISDIR(r->a.st.st_mode) ||
		    (r->flags & RENAME_EXCHANGE && S_ISDIR(r->b.st.st_mode));
	if (directory)
		return rename_directory(d, r);
	if (r->plain)
		return rename_plain(d, r);
	if (r->flags & RENAME_EXCHANGE)
		return may_exchange(r) ? exchange_shadows(d, r) : REEL_EINVAL;
	return rename_shadow(d, r);
}

int drop_rename(struct drop *d, uint64_t from, const char *name, uint64_t to,
		const char *new_name, unsigned flags)
{
	struct renaming r = {.flags = flags};
	int error;

	pthread_mutex_lock(&d->turn);
	error = drop_survey(d, from, name, &r.a);
	if (!error)
		error = drop_survey(d, to, new_name, &r.b);
	if (!error && (r.a.node != r.b.node || !r.a.node))
		error = rename_it(d, &r);
	pthread_mutex_unlock(&d->turn);
	drop_survey_release(&r.a);
	drop_survey_release(&r.b);
	return error;
}
