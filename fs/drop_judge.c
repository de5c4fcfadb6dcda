/* What the rules say about a change that a program makes in restore/. */
#include "fs/drop_state.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "catalog/beneath.h"
#include "fs/restore_place.h"
#include "tape/error.h"

/* Whether `path` is `top` or lies below it. */
static bool is_within(const char *path, const char *top)
{
	size_t length = strlen(top);

	return !strncmp(path, top, length) &&
	       (!path[length] || path[length] == '/');
}

/* The innermost, unless a filesystem that was named lies further in. */
static const struct drop_border *border_of(const struct drop *d,
					   const char *path)
{
	const struct drop_border *found = NULL;
	size_t depth = 0;

	for (size_t n = 1; n < d->root_count; n++)
		if (is_within(path, d->roots[n].path) &&
		    strlen(d->roots[n].path) > depth)
			depth = strlen(d->roots[n].path);
	for (size_t n = 0; n < d->border_count; n++) {
		const struct drop_border *b = &d->borders[n];

		if (is_within(path, b->path) && strlen(b->path) > depth) {
			depth = strlen(b->path);
			found = b;
		}
	}
	return found;
}

/* The opinion about a path, or what a directory above it says for all that is
 * below: true. */
static bool opine(const struct drop *d, const struct drop_question *q,
		  struct plan_opinion *o, struct plan_verdict *out)
{
	mode_t present = q->lower ? q->lower->st_mode : 0;
	struct plan_place place = {0}, below;
	size_t end = 0;

	for (;;) {
		const char *slash = strchr(q->path + end, '/');
		bool last = !slash;

		end = slash ? (size_t)(slash - q->path) : strlen(q->path);
		plan_opine(&d->plan, &place, q->path, end,
			   last ? q->wanted : S_IFDIR, last ? present : S_IFDIR,
			   o, &below);
		if (last)
			return false;
		if (o->exclude || (o->keep && o->keep->verb == RULE_PRESERVE))
			break;
		place = below;
		end++;
	}
	*out = (struct plan_verdict){
		.action = o->exclude ? PLAN_EXCLUDED : PLAN_KEPT,
		.rule = o->exclude ? o->exclude : o->keep,
	};
	return true;
}

/* D4 */
static void judge_below_shadow(const struct drop *d,
			       const struct drop_question *q,
			       struct plan_verdict *out)
{
	struct plan_verdict kept;
	struct plan_opinion o = {0};

	*out = q->up->verdict;
	if (out->action != PLAN_DELAYED)
		return;
	if (opine(d, q, &o, &kept))
		*out = kept;
	else if (o.exclude)
		*out = (struct plan_verdict){PLAN_EXCLUDED, o.exclude, NULL};
	else if (o.keep && o.keep->verb == RULE_PRESERVE)
		*out = (struct plan_verdict){PLAN_KEPT, o.keep, NULL};
}

/* P4 in plan.h, D6 */
static bool is_unfinished(const struct drop *d, const struct stat *st)
{
	mode_t mode = st->st_mode & 07777;

	if (drop_inodes_get(&d->made, st))
		return true;
	if (S_ISREG(st->st_mode))
		return st->st_nlink == 1 && mode == RESTORE_UNFINISHED &&
		       st->st_uid == geteuid();
	return S_ISDIR(st->st_mode) && mode == RESTORE_UNFINISHED_DIRECTORY &&
	       st->st_uid == geteuid();
}

static void ask_busy(struct drop *d, const struct drop_question *q,
		     struct plan_verdict *out)
{
	const char *name, *why;
	int fd = drop_parent(d, DROP_TARGET, q->path, &name);

	if (fd < 0)
		return;
	why = busy_check(d->busy, fd, name);
	close(fd);
	if (why)
		*out = (struct plan_verdict){PLAN_DELAYED, d->busy_rule, why};
}

static int judge(struct drop *d, const struct drop_question *q,
		 struct plan_verdict *out)
{
	struct plan_subject s = {.wanted = q->wanted, .same = q->same};
	const struct drop_border *border = border_of(d, q->path);
	struct plan_opinion o;

	*out = (struct plan_verdict){.action = PLAN_NEW};
	if (border) {
		*out = (struct plan_verdict){PLAN_KEPT, NULL, border->why};
		return 0;
	}
	if (!*q->path)
		return 0;
	if (q->up && !drop_shows(q->up)) {
		judge_below_shadow(d, q, out);
		return 0;
	}
	if (q->lower) {
		s.present = q->lower->st_mode;
		s.unfinished = is_unfinished(d, q->lower);
	}
	if (opine(d, q, &o, out))
		return 0;
	if (s.unfinished && !q->wanted && o.keep && o.keep->verb == RULE_MERGE)
		o.keep = NULL;
	plan_decide(&d->plan, &o, &s, out);
	if (d->busy && !q->idle && !s.unfinished &&
	    (out->action == PLAN_CHANGED || out->action == PLAN_EXTRA ||
	     out->action == PLAN_NEW))
		ask_busy(d, q, out);
	return 0;
}

/* What may change is going to. */
int drop_judge(struct drop *d, const struct drop_question *q,
	       struct plan_verdict *out)
{
	int error = judge(d, q, out);

	if (!error && drop_passes(out) &&
	    system_name(q->path, strcspn(q->path, "/")))
		d->system = true;
	return error;
}

/* ---- directories as a whole ---- */

struct ways {
	struct drop *d;
	struct buffer from, to; /* paths, NUL behind */
};

static int push(struct buffer *path, const char *name)
{
	int error = buffer_append(path, "/", 1);

	if (!error)
		error = buffer_append(path, name, strlen(name) + 1);
	if (!error)
		path->length--;
	return error;
}

static void pop(struct buffer *path, size_t length)
{
	path->length = length;
	path->data[length] = '\0';
}

/* One name below both. */
static int judge_both(struct ways *w, const struct stat *st)
{
	struct drop_question gone = {.path = (char *)w->from.data, .lower = st};
	struct drop_question comes = {.path = (char *)w->to.data,
				      .wanted = st->st_mode & S_IFMT};
	struct plan_verdict v;

	drop_judge(w->d, &gone, &v);
	if (drop_passes(&v))
		drop_judge(w->d, &comes, &v);
	return drop_passes(&v) ? 0 : REEL_EXDEV;
}

static int judge_below(struct ways *w, int directory);

static int judge_entry(struct ways *w, int directory, const char *name)
{
	size_t from = w->from.length, to = w->to.length;
	struct stat st;
	int error = push(&w->from, name), below;

	if (!error)
		error = push(&w->to, name);
	if (!error && fstatat(directory, name, &st, AT_SYMLINK_NOFOLLOW))
		error = errno == ENOENT ? 0 : drop_failed();
	else if (!error)
		error = judge_both(w, &st);
	if (!error && S_ISDIR(st.st_mode)) {
		below = drop_open_at(directory, name, O_RDONLY | O_DIRECTORY);
		error = below < 0 ? below : judge_below(w, below);
	}
	pop(&w->from, from);
	pop(&w->to, to);
	return error;
}

/* Closes the descriptor. */
static int judge_below(struct ways *w, int directory)
{
	DIR *d = fdopendir(directory);
	struct dirent *e;
	int error = d ? 0 : REEL_ENOMEM;

	if (!d)
		close(directory);
	while (!error && (e = readdir(d)))
		if (beneath_name_valid(e->d_name, strlen(e->d_name)))
			error = judge_entry(w, directory, e->d_name);
	if (d)
		closedir(d);
	return error;
}

static int judge_whole(struct ways *w)
{
	const char *from = (char *)w->from.data, *name;
	int up, fd;

	for (size_t n = 0; n < w->d->border_count; n++)
		if (is_within(w->d->borders[n].path, from) ||
		    is_within(w->d->borders[n].path, (char *)w->to.data))
			return REEL_EXDEV;
	if (!w->d->busy && !plan_has_rules(&w->d->plan))
		return 0;
	up = drop_parent(w->d, DROP_TARGET, from, &name);
	if (up < 0)
		return up;
	fd = drop_open_at(up, name, O_RDONLY | O_DIRECTORY);
	close(up);
	return fd < 0 ? fd : judge_below(w, fd);
}

int drop_judge_tree(struct drop *d, const char *from, const char *to)
{
	struct ways w = {.d = d};
	int error = buffer_append(&w.from, from, strlen(from) + 1);

	if (!error)
		error = buffer_append(&w.to, to, strlen(to) + 1);
	if (!error) {
		w.from.length--;
		w.to.length--;
		error = judge_whole(&w);
	}
	buffer_release(&w.from);
	buffer_release(&w.to);
	return error;
}
