/* Names: looking up, making, linking, removing. */
#include "fs/drop_state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "tape/error.h"

/* D6: noted where rules look at what is there. */
static void note_made(struct drop *d, const struct stat *st)
{
	if (d->merges || d->busy)
		drop_inodes_set(&d->made, st, 1);
}

int drop_lookup(struct drop *d, uint64_t parent, const char *name,
		struct drop_entry *out, bool *hidden)
{
	struct drop_survey s;
	int error = drop_survey(d, parent, name, &s);

	*hidden = !error && !s.there && drop_is_shadow(s.node);
	if (!error && !s.there)
		error = REEL_ENOENT;
	if (!error)
		error = drop_known(d, &s, out);
	drop_survey_release(&s);
	return error;
}

void drop_forget(struct drop *d, uint64_t id, uint64_t times)
{
	struct drop_node *n;

	if (id == DROP_ROOT)
		return;
	pthread_mutex_lock(&d->lock);
	n = drop_node_of(d, id);
	n->lookups -= times < n->lookups ? times : n->lookups;
	drop_settle_node(d, n);
	pthread_mutex_unlock(&d->lock);
}

/* ---- making ---- */

static int make_in_target(struct drop *d, struct drop_survey *s,
			  const struct drop_make *what,
			  const struct drop_user *user, int *fd)
{
	const char *name;
	int up = drop_parent(d, DROP_TARGET, (char *)s->path.data, &name);
	int error;

	if (up < 0)
		return up;
	error = drop_create(up, what, name, user, fd);
	if (!error && fstatat(up, name, &s->st, AT_SYMLINK_NOFOLLOW))
		error = drop_failed();
	close(up);
	s->side = DROP_TARGET;
	if (!error)
		note_made(d, &s->st);
	return error;
}

static int make_in_area(struct drop *d, struct drop_survey *s,
			const struct drop_make *what,
			const struct drop_user *user, int *fd)
{
	const char *name;
	int up, error;

	if (d->strict)
		return REEL_EREFUSED;
	up = drop_area_parent(d, (char *)s->path.data, &name);
	if (up < 0)
		return up;
	drop_area_clear(d, (char *)s->path.data);
	error = drop_create(up, what, name, user, fd);
	if (!error && fstatat(up, name, &s->st, AT_SYMLINK_NOFOLLOW))
		error = drop_failed();
	close(up);
	s->side = DROP_AREA_SIDE;
	return error;
}

/* A name that is an object from now on. */
static int become_object(struct drop *d, struct drop_survey *s,
			 const struct plan_verdict *v)
{
	struct drop_node *n;

	pthread_mutex_lock(&d->lock);
	n = drop_find(d, s->up, s->name);
	if (!n)
		n = drop_add(d, s->up, s->name);
	if (n) {
		n->state = DROP_OBJECT;
		n->over = false;
		n->verdict = *v;
		n->held = false;
		n->written++;
		drop_owe(d, n);
		s->node = n;
	}
	pthread_mutex_unlock(&d->lock);
	return n ? 0 : REEL_ENOMEM;
}

static int make(struct drop *d, struct drop_survey *s,
		const struct drop_make *what, const struct drop_user *user,
		int *fd)
{
	struct plan_verdict v;
	int error = s->there ? REEL_EEXIST : 0;

	if (!error)
		error = drop_survey_judge(d, s, what->mode, false, &v);
	if (error)
		return error;
	if (drop_passes(&v))
		return make_in_target(d, s, what, user, fd);
	error = make_in_area(d, s, what, user, fd);
	if (!error)
		error = become_object(d, s, &v);
	if (!error && S_ISLNK(what->mode))
		error = drop_settle(d, s->node);
	return error;
}

int drop_make(struct drop *d, uint64_t parent, const struct drop_make *what,
	      const struct drop_user *user, struct drop_entry *out,
	      struct drop_file **file)
{
	struct drop_survey s;
	int fd = -1, error;

	pthread_mutex_lock(&d->turn);
	error = drop_survey(d, parent, what->name, &s);
	if (!error)
		error = make(d, &s, what, user, &fd);
	if (!error)
		error = drop_known(d, &s, out);
	if (!error && file) {
		error = drop_attach(d, s.node, fd, true, file);
		fd = -1;
	}
	pthread_mutex_unlock(&d->turn);
	if (fd >= 0)
		close(fd);
	drop_survey_release(&s);
	return error;
}

/* ---- links ---- */

static int link_in(struct drop *d, enum drop_side side, const char *from,
		   const char *to)
{
	const char *from_name, *to_name;
	int a = drop_parent(d, side, from, &from_name), b, error = 0;

	if (a < 0)
		return a;
	b = side == DROP_TARGET ? drop_parent(d, side, to, &to_name)
				: drop_area_parent(d, to, &to_name);
	if (b >= 0 && side == DROP_AREA_SIDE)
		drop_area_clear(d, to);
	if (b < 0)
		error = b;
	else if (linkat(a, from_name, b, to_name, 0))
		error = drop_failed();
	close(a);
	if (b >= 0)
		close(b);
	return error;
}

/* Both names are the target's. */
static int link_in_target(struct drop *d, const struct drop_survey *a,
			  struct drop_survey *b)
{
	unsigned names = drop_inodes_get(&d->linked, &a->st);
	int error = link_in(d, DROP_TARGET, (char *)a->path.data,
			    (char *)b->path.data);

	if (!error)
		error = drop_look(d, DROP_TARGET, (char *)b->path.data, &b->st);
	if (error)
		return error;
	if (b->st.st_ino != a->st.st_ino || b->st.st_dev != a->st.st_dev)
		return REEL_ESTALE;
	if (!names && a->st.st_nlink == 1)
		names = 1;
	if (names)
		drop_inodes_set(&d->linked, &b->st, names + 1);
	return 0;
}

/* What has no name in common with the other is a copy. */
static int link_copy(struct drop *d, const struct drop_survey *a,
		     struct drop_survey *b, enum drop_side side)
{
	const struct drop_end from = {a->side, (char *)a->path.data};
	const struct drop_end to = {side, (char *)b->path.data};

	return drop_bring(d, from, to, true, false);
}

/* *same: they are names of one file now, not of a copy. */
static int link_names(struct drop *d, struct drop_survey *a,
		      struct drop_survey *b, bool *same)
{
	struct plan_verdict from, to;
	bool passes, shadow = drop_is_shadow(a->node);
	int error = drop_survey_judge(d, b, a->st.st_mode, false, &to);

	if (!error && !shadow)
		error = drop_survey_judge(d, a, a->st.st_mode, false, &from);
	if (!error && shadow && a->node->over)
		error = drop_complete(d, a->node);
	if (error)
		return error;
	passes = drop_passes(&to);
	if (!passes && d->strict)
		return REEL_EREFUSED;
	b->side = passes ? DROP_TARGET : DROP_AREA_SIDE;
	*same = shadow ? !passes : passes && drop_passes(&from);
	if (passes && !shadow && drop_passes(&from))
		error = link_in_target(d, a, b);
	else if (!passes && shadow)
		error = link_in(d, DROP_AREA_SIDE, (char *)a->path.data,
				(char *)b->path.data);
	else
		error = link_copy(d, a, b, b->side);
	if (!error)
		error = drop_look(d, b->side, (char *)b->path.data, &b->st);
	if (error)
		return error;
	if (passes) {
		note_made(d, &b->st);
		return 0;
	}
	error = become_object(d, b, &to);
	return error ? error : drop_settle(d, b->node);
}

/* The kernel is told the node of the first name once more, for it to learn
 * what became of the file; it asks for the second name's when it is used. */
static int know_again(struct drop *d, struct drop_survey *a,
		      const struct drop_survey *b, struct drop_entry *out)
{
	a->st = b->st;
	pthread_mutex_lock(&d->lock);
	a->node->lookups++;
	drop_fill(d, a, out);
	pthread_mutex_unlock(&d->lock);
	return 0;
}

int drop_link(struct drop *d, uint64_t id, uint64_t parent, const char *name,
	      struct drop_entry *out)
{
	struct drop_survey a, b;
	bool same = false;
	int error;

	pthread_mutex_lock(&d->turn);
	error = drop_survey_node(d, id, &a);
	if (!error) {
		error = drop_survey(d, parent, name, &b);
		if (!error && b.there)
			error = REEL_EEXIST;
		if (!error)
			error = link_names(d, &a, &b, &same);
		if (!error)
			error = same ? know_again(d, &a, &b, out)
				     : drop_known(d, &b, out);
		drop_survey_release(&b);
	}
	pthread_mutex_unlock(&d->turn);
	drop_survey_release(&a);
	return error;
}

/* ---- removing ---- */

/* What lists of a directory show. */
static bool shows_any(struct drop *d, const struct drop_survey *s)
{
	struct drop_list *l;
	bool any = true;

	if (drop_list_open(d, drop_id(d, s->node), &l))
		return true;
	any = drop_list_is_full(d, l);
	drop_list_close(l);
	return any;
}

int drop_remove_directory(struct drop *d, const struct drop_survey *s)
{
	struct stat st;

	if (s->node->over || shows_any(d, s))
		return REEL_ENOTEMPTY;
	drop_area_clear(d, (char *)s->path.data);
	return drop_look(d, DROP_AREA_SIDE, (char *)s->path.data, &st) ==
			       REEL_ENOENT
		       ? 0
		       : REEL_ENOTEMPTY;
}

static int remove_from_area(struct drop *d, const struct drop_survey *s,
			    bool directory)
{
	const char *name;
	int up, error = 0;

	if (directory)
		return drop_remove_directory(d, s);
	up = drop_parent(d, DROP_AREA_SIDE, (char *)s->path.data, &name);
	if (up < 0)
		return up;
	if (unlinkat(up, name, 0))
		error = drop_failed();
	close(up);
	return error;
}

static int remove_from_target(struct drop *d, const struct drop_survey *s,
			      bool directory)
{
	unsigned names = drop_inodes_get(&d->linked, &s->st);
	const char *name;
	int up = drop_parent(d, DROP_TARGET, (char *)s->path.data, &name);
	int error = 0;

	if (up < 0)
		return up;
	if (!strcmp(name, "."))
		error = REEL_EBUSY;
	else if (unlinkat(up, name, directory ? AT_REMOVEDIR : 0))
		error = drop_failed();
	close(up);
	if (error)
		return error;
	if (names)
		drop_inodes_set(&d->linked, &s->st, names - 1);
	if (directory || s->st.st_nlink == 1)
		drop_inodes_set(&d->made, &s->st, 0);
	if (directory)
		drop_area_clear(d, (char *)s->path.data);
	return 0;
}

/* A directory that is open stays to be asked about. */
static void remember(struct drop_node *n, const struct stat *st)
{
	if (!S_ISDIR(st->st_mode) || n->last)
		return;
	n->last = malloc(sizeof(*st));
	if (n->last) {
		*n->last = *st;
		n->last->st_nlink = 0;
	}
}

/* The name is gone from the view; hidden when the target keeps it. */
static int vanish(struct drop *d, struct drop_survey *s, bool hidden,
		  const struct plan_verdict *v)
{
	struct drop_node *n;
	int error = 0;

	pthread_mutex_lock(&d->lock);
	n = drop_find(d, s->up, s->name);
	if (n)
		remember(n, &s->st);
	if (n && hidden)
		error = drop_renew(d, n) ? 0 : REEL_ENOMEM;
	else if (n)
		drop_detach(d, n);
	pthread_mutex_unlock(&d->lock);
	return hidden && !error ? drop_hide(d, s->up, s->name, v) : error;
}

/* Of what the view does not show in a directory any more, something stays. */
static bool keeps_any(struct drop *d, const struct drop_node *directory)
{
	const struct drop_node *n;

	pthread_mutex_lock(&d->lock);
	n = directory->first;
	while (n &&
	       (n->state == DROP_PLAIN || n->verdict.action == PLAN_DELAYED))
		n = n->next;
	pthread_mutex_unlock(&d->lock);
	return n;
}

static int remove_kept(struct drop *d, struct drop_survey *s, bool directory,
		       const struct plan_verdict *v)
{
	if (d->strict)
		return REEL_EREFUSED;
	if (directory && (v->action != PLAN_DELAYED || !s->node ||
			  shows_any(d, s) || keeps_any(d, s->node)))
		return REEL_ENOTEMPTY;
	return vanish(d, s, true, v);
}

/* A directory, of which all that the target has in it goes at the next boot:
 * so does it. */
static int remove_emptied(struct drop *d, struct drop_survey *s)
{
	struct plan_verdict v = {.action = PLAN_NEW};

	if (!s->node || shows_any(d, s) || keeps_any(d, s->node))
		return REEL_ENOTEMPTY;
	pthread_mutex_lock(&d->lock);
	for (const struct drop_node *n = s->node->first; n; n = n->next)
		if (n->state == DROP_HIDDEN)
			v = n->verdict;
	pthread_mutex_unlock(&d->lock);
	return v.action == PLAN_DELAYED ? vanish(d, s, true, &v)
					: REEL_ENOTEMPTY;
}

static int remove_name(struct drop *d, struct drop_survey *s, bool directory)
{
	struct plan_verdict v;
	bool shadow;
	int error = 0;

	if (!s->there)
		return REEL_ENOENT;
	if (directory != S_ISDIR(s->st.st_mode))
		return directory ? REEL_ENOTDIR : REEL_EISDIR;
	error = drop_survey_judge(d, s, 0, false, &v);
	if (error)
		return error;
	shadow = drop_is_shadow(s->node);
	if (shadow)
		error = remove_from_area(d, s, directory);
	else if (!drop_passes(&v))
		return remove_kept(d, s, directory, &v);
	else
		error = remove_from_target(d, s, directory);
	if (error == REEL_ENOTEMPTY && !shadow)
		return remove_emptied(d, s);
	if (error)
		return error;
	return vanish(d, s, shadow && (s->below || s->node->handed), &v);
}

static int remove_at(struct drop *d, uint64_t parent, const char *name,
		     bool directory)
{
	struct drop_survey s;
	int error;

	pthread_mutex_lock(&d->turn);
	error = drop_survey(d, parent, name, &s);
	if (!error)
		error = remove_name(d, &s, directory);
	pthread_mutex_unlock(&d->turn);
	drop_survey_release(&s);
	return error;
}

int drop_unlink(struct drop *d, uint64_t parent, const char *name)
{
	return remove_at(d, parent, name, false);
}

int drop_rmdir(struct drop *d, uint64_t parent, const char *name)
{
	return remove_at(d, parent, name, true);
}
