/* Names of the target that the snapshot does not have: what an interrupted
 * restore left is removed; extras are, with --delete.
 *
 * Directories are listed once, sorted, and passed by the walk side by side
 * with the snapshot's names. What is removed is entered from descriptor to
 * descriptor, never through a symlink and never into another mount. */
#include "fs/restore_place.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "fs/name_alias.h"
#include "tape/buffer.h"
#include "tape/error.h"
#include "tape/stop.h"

/* Directories that are removed within each other, and how many of them are
 * open at once. */
#define DEEPEST	     4000
#define OPEN_AT_ONCE 64

/* ---- names ---- */

void sweep_release(struct sweep_names *n)
{
	free(n->text);
	free(n->at);
	free(n->met);
	*n = (struct sweep_names){0};
}

static int compare(const void *a, const void *b, void *text)
{
	return strcmp((char *)text + *(const uint32_t *)a,
		      (char *)text + *(const uint32_t *)b);
}

static int read_names(DIR *d, struct buffer *text, size_t *count)
{
	struct dirent *e;
	int err = 0;

	*count = 0;
	while (!err && (errno = 0, e = readdir(d))) {
		if (!beneath_name_valid(e->d_name, strlen(e->d_name)))
			continue;
		if (text->length > UINT32_MAX - 256)
			return REEL_ERANGE;
		err = buffer_append(text, e->d_name, strlen(e->d_name) + 1);
		++*count;
	}
	return err ? err : error_from_errno(errno);
}

int sweep_list(int directory, struct sweep_names *out)
{
	int fd = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct buffer text = {0};
	size_t count = 0, at = 0;
	int err = d ? read_names(d, &text, &count) : error_from_errno(errno);

	*out = (struct sweep_names){.text = (char *)text.data};
	if (d)
		closedir(d);
	else if (fd >= 0)
		close(fd);
	if (!err) {
		out->at = malloc((count + 1) * sizeof(*out->at));
		out->met = calloc(count + 1, sizeof(*out->met));
		err = out->at && out->met ? 0 : REEL_ENOMEM;
	}
	if (err) {
		sweep_release(out);
		return err;
	}
	for (; out->count < count; out->count++) {
		out->at[out->count] = (uint32_t)at;
		at += strlen(out->text + at) + 1;
	}
	if (count)
		qsort_r(out->at, count, sizeof(*out->at), compare, out->text);
	out->known = true;
	return 0;
}

bool sweep_is_directory(const struct place *p, const char *name)
{
	struct stat st;

	return fstatat(p->fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       S_ISDIR(st.st_mode);
}

bool sweep_is_full(const struct place *p, const char *name)
{
	int fd = openat(p->fd, name,
			O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct sweep_names n = {0};
	bool full;

	if (fd < 0)
		return false;
	full = sweep_list(fd, &n) == 0 && n.count;
	sweep_release(&n);
	close(fd);
	return full;
}

/* ---- removing ---- */

struct sweep {
	struct restore *r;
	struct buffer path; /* of the present directory, no slash */
	unsigned depth;
	bool quiet; /* only asks: tells and removes nothing */
};

static int enter(int up, const char *name)
{
	struct open_how how = {
		.flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
		.resolve =
			RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV,
	};
	long fd = syscall(SYS_openat2, up, name, &how, sizeof(how));
	struct stat a, b;

	if (fd >= 0)
		return (int)fd;
	if (errno != ENOSYS && errno != EPERM)
		return -1;
	fd = openat(up, name, (int)how.flags);
	if (fd >= 0 &&
	    (fstat(up, &a) || fstat((int)fd, &b) || a.st_dev != b.st_dev)) {
		close((int)fd);
		errno = EXDEV;
		fd = -1;
	}
	return (int)fd;
}

/* The directory `st` again, from one within it; -1: that was moved. */
static int leave(int fd, const struct stat *st)
{
	int up = openat(fd, "..",
			O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat now;

	if (up >= 0 && (fstat(up, &now) || now.st_ino != st->st_ino ||
			now.st_dev != st->st_dev)) {
		close(up);
		up = -1;
	}
	return up;
}

/* What becomes of a name; of a directory what is worst in it. */
enum fate { GONE, LATER, STAYS };

static enum fate sweep_name(struct sweep *s, int *up, const char *name,
			    const struct plan_place *above, bool delayed);

static enum fate worse(enum fate a, enum fate b)
{
	return a > b ? a : b;
}

static void tell(struct sweep *s, const char *path,
		 const struct plan_verdict *v)
{
	if (!s->quiet)
		restore_tell_path(s->r, path, v);
}

static void problem(struct sweep *s, const char *path, const char *what,
		    int err)
{
	if (!s->quiet)
		restore_problem(s->r, PROBLEM_OTHER, NULL, path, what, err);
}

static enum fate stays(struct sweep *s, const char *path, const char *why)
{
	const struct plan_verdict v = {.action = PLAN_KEPT, .why = why};

	tell(s, path, &v);
	return STAYS;
}

/* All in a directory. */
static enum fate sweep_below(struct sweep *s, int *fd,
			     const struct plan_place *place, bool delayed)
{
	enum fate fate = delayed ? LATER : GONE;
	struct sweep_names names;
	int err = s->depth < DEEPEST ? sweep_list(*fd, &names) : REEL_ERANGE;
	char *path = err ? strndup((char *)s->path.data, s->path.length) : NULL;

	if (err) {
		problem(s, path ? path : "?",
			err == REEL_ERANGE
				? "lies too deep for what is in it to be "
				  "removed"
				: "cannot be listed, so that it stays",
			err == REEL_ERANGE ? 0 : error_errno(err));
		free(path);
		return STAYS;
	}
	s->depth++;
	for (size_t n = 0; n < names.count; n++)
		fate = worse(fate, sweep_name(s, fd, names.text + names.at[n],
					      place, delayed));
	s->depth--;
	sweep_release(&names);
	return fate;
}

/* *up may be closed meanwhile; then it is another descriptor, or -1. */
static enum fate sweep_open(struct sweep *s, int *up, int fd,
			    const struct plan_place *below, bool delayed)
{
	struct stat st;
	enum fate fate;

	if (s->depth >= OPEN_AT_ONCE && fstat(*up, &st) == 0) {
		close(*up);
		*up = -1;
	}
	fate = sweep_below(s, &fd, below, delayed);
	if (*up < 0 && fd >= 0)
		*up = leave(fd, &st);
	if (fd >= 0)
		close(fd);
	return *up < 0 ? STAYS : fate;
}

/* A directory of our own that forbids us to remove what is in it allows that
 * for now. False: it does as it is. */
static bool loosen(const struct sweep *s, int up, const char *name,
		   const struct stat *st)
{
	mode_t mode = st->st_mode & 07777;

	return s->r->uid && st->st_uid == s->r->uid &&
	       (mode & S_IRWXU) != S_IRWXU && !s->r->options->dry_run &&
	       !s->quiet &&
	       !fchmodat(up, name, mode | S_IRWXU, AT_SYMLINK_NOFOLLOW);
}

static enum fate sweep_directory(struct sweep *s, int *up, const char *name,
				 const char *path, const struct stat *st,
				 const struct plan_place *below, bool delayed)
{
	bool loose = !delayed && loosen(s, *up, name, st);
	int fd = enter(*up, name);
	enum fate fate;

	if (fd < 0 && errno == EXDEV)
		return stays(s, path, "another filesystem is mounted there");
	if (fd < 0) {
		problem(s, path, "cannot be removed", errno);
		return STAYS;
	}
	fate = sweep_open(s, up, fd, below, delayed);
	if (loose && fate != GONE && *up >= 0)
		fchmodat(*up, name, st->st_mode & 07777, AT_SYMLINK_NOFOLLOW);
	return fate == STAYS ? stays(s, path, "something in it stays") : fate;
}

static int remove_one(struct sweep *s, int up, const char *name,
		      const char *path, bool directory, bool later)
{
	if (s->r->options->dry_run || s->quiet)
		return 0;
	if (later)
		return delay_delete(s->r->delay, path);
	if (unlinkat(up, name, directory ? AT_REMOVEDIR : 0) && errno != ENOENT)
		return error_from_errno(errno);
	return 0;
}

static enum fate act(struct sweep *s, int *up, const char *name,
		     const char *path, const struct stat *st,
		     struct plan_verdict *v, const struct plan_place *below)
{
	enum fate fate = v->action == PLAN_DELAYED ? LATER : GONE;
	bool directory = S_ISDIR(st->st_mode);
	int err;

	if (v->action == PLAN_KEPT || v->action == PLAN_EXCLUDED) {
		tell(s, path, v);
		return STAYS;
	}
	if (directory)
		fate = worse(fate, sweep_directory(s, up, name, path, st, below,
						   fate == LATER));
	if (fate == STAYS)
		return STAYS;
	err = remove_one(s, *up, name, path, directory, fate == LATER);
	if (err) {
		problem(s, path,
			fate == LATER ? "its removal cannot be delayed"
				      : "cannot be removed",
			error_errno(err));
		return STAYS;
	}
	if (!s->quiet && system_name(path, strcspn(path, "/")))
		atomic_store(&s->r->system, true);
	if (fate == LATER && v->action != PLAN_DELAYED)
		*v = (struct plan_verdict){.action = PLAN_DELAYED,
					   .why = "something in it is delayed"};
	tell(s, path, v);
	return fate;
}

static void decide(struct sweep *s, int up, const char *name,
		   const struct plan_place *above, const struct look *l,
		   bool delayed, struct plan_verdict *v,
		   struct plan_place *below)
{
	struct restore *r = s->r;
	struct plan_opinion o = {0};
	const char *border = border_at(r, (char *)s->path.data, &l->st);

	if (border) {
		*v = (struct plan_verdict){PLAN_KEPT, NULL, border};
		return;
	}
	if (r->ruled)
		plan_opine(&r->options->plan, above, (char *)s->path.data,
			   s->path.length, 0, l->st.st_mode, &o, below);
	if (!o.exclude)
		o.exclude = o.unstored;
	plan_decide(&r->options->plan, &o, &l->subject, v);
	if (v->action != PLAN_EXTRA)
		return;
	if (delayed)
		v->action = PLAN_DELAYED;
	else if (r->busy && (v->why = busy_check(r->busy, up, name)))
		*v = (struct plan_verdict){PLAN_DELAYED, r->busy_rule, v->why};
}

static enum fate sweep_name(struct sweep *s, int *up, const char *name,
			    const struct plan_place *above, bool delayed)
{
	size_t length = s->path.length;
	struct plan_place below = {0};
	struct plan_verdict v;
	struct look l = {0};
	enum fate fate = STAYS;
	char *path;

	if (fstatat(*up, name, &l.st, AT_SYMLINK_NOFOLLOW))
		return errno == ENOENT ? GONE : STAYS;
	l.subject.present = l.st.st_mode;
	if ((length && buffer_append(&s->path, "/", 1)) ||
	    buffer_append(&s->path, name, strlen(name) + 1))
		return STAYS;
	s->path.length--;
	decide(s, *up, name, above, &l, delayed, &v, &below);
	path = strdup((char *)s->path.data);
	if (path)
		fate = act(s, up, name, path, &l.st, &v, &below);
	free(path);
	s->path.length = length;
	return fate;
}

static int sweep_begin(struct sweep *s, struct restore *r,
		       const struct place *p, const char *name)
{
	char *path = place_path(p, name);
	int err = REEL_ENOMEM;

	*s = (struct sweep){.r = r};
	if (path)
		err = buffer_append(&s->path, path, strlen(path));
	free(path);
	return err;
}

static enum fate clear(struct restore *r, const struct place *p,
		       const char *name, bool delayed, bool quiet)
{
	struct plan_opinion o;
	struct plan_place below;
	struct sweep s;
	enum fate fate = STAYS;
	bool loose = false;
	struct stat st;
	int fd;

	if (look_opinion(r, p, name, 0, &o, &below) ||
	    sweep_begin(&s, r, p, name))
		return STAYS;
	s.quiet = quiet;
	if (fstatat(p->fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		loose = !delayed && loosen(&s, p->fd, name, &st);
	fd = enter(p->fd, name);
	if (fd >= 0) {
		fate = sweep_below(&s, &fd, &below, delayed);
		close(fd);
	}
	if (loose && fate != GONE)
		fchmodat(p->fd, name, st.st_mode & 07777, AT_SYMLINK_NOFOLLOW);
	buffer_release(&s.path);
	return fate;
}

bool sweep_waits(struct restore *r, const struct place *p, const char *name)
{
	return clear(r, p, name, false, true) == LATER;
}

int sweep_clear(struct restore *r, const struct place *p, const char *name,
		bool delayed)
{
	enum fate fate = clear(r, p, name, delayed, false);

	return fate == GONE || (fate == LATER && delayed) ? 0 : REEL_EEXIST;
}

/* Of another run, which is over: this one began later, and alone. */
static bool is_rubbish(struct restore *r, const struct place *p,
		       const char *name)
{
	struct stat st;

	return r->alone && temporary_is(r, p, name, strlen(name)) &&
	       fstatat(p->fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       !S_ISDIR(st.st_mode) &&
	       (st.st_ctim.tv_sec < r->begun.tv_sec ||
		(st.st_ctim.tv_sec == r->begun.tv_sec &&
		 st.st_ctim.tv_nsec < r->begun.tv_nsec));
}

static void sweep_one(struct restore *r, const struct place *p,
		      const char *name)
{
	struct sweep s;
	int up = p->fd; /* at this depth it stays open */

	if (sweep_begin(&s, r, p, NULL) == 0)
		sweep_name(&s, &up, name, &p->plan, false);
	buffer_release(&s.path);
}

/* What may be the file of a name that is still to come is left for the end. */
static void pass(struct restore *r, const struct place *p,
		 struct sweep_names *n, size_t at)
{
	const char *have = n->text + n->at[at];

	if (!r->options->dry_run && is_rubbish(r, p, have)) {
		unlinkat(p->fd, have, 0);
		n->met[at] = true;
		return;
	}
	if (!r->options->delete)
		return;
	if (n->fold == FOLD_UNKNOWN)
		n->fold = name_may_fold(p->fd, have) ? FOLD_YES : FOLD_NO;
	if (n->fold == FOLD_YES)
		return;
	n->met[at] = true;
	sweep_one(r, p, have);
}

static bool stopped(const struct restore *r)
{
	return stop_is_set(r->options->stop);
}

bool sweep_upto(struct restore *r, const struct place *p, struct sweep_names *n,
		const char *name, size_t length)
{
	n->wanted = true;
	for (; n->next < n->count; n->next++) {
		const char *have = n->text + n->at[n->next];
		int order = strncmp(have, name, length);

		if (order > 0 || (order == 0 && have[length]))
			return false;
		if (order == 0) {
			n->met[n->next++] = true;
			return true;
		}
		if (!n->met[n->next] && !stopped(r))
			pass(r, p, n, n->next);
	}
	return false;
}

/* A mount point of which the snapshot has nothing: a backup of the one
 * filesystem did not look into the other. */
static bool is_apart(const struct place *p, const struct sweep_names *n)
{
	struct statx x;

	return !n->wanted && n->count && p->up && p->fd >= 0 &&
	       statx(p->fd, "", AT_EMPTY_PATH, STATX_TYPE, &x) == 0 &&
	       x.stx_attributes & STATX_ATTR_MOUNT_ROOT;
}

void sweep_rest(struct restore *r, const struct place *p, struct sweep_names *n)
{
	const struct plan_verdict apart = {
		.action = PLAN_KEPT,
		.why = "on another filesystem, of which the snapshot has "
		       "nothing"};

	if (r->options->delete &&is_apart(p, n)) {
		for (; n->next < n->count; n->next++)
			restore_tell(r, p, n->text + n->at[n->next], &apart);
		return;
	}
	for (; n->next < n->count && !stopped(r); n->next++)
		if (!n->met[n->next])
			pass(r, p, n, n->next);
	if (!r->options->delete || n->fold != FOLD_YES)
		return;
	for (size_t at = 0; at < n->count && !stopped(r); at++)
		if (!n->met[at])
			sweep_one(r, p, n->text + n->at[at]);
}

bool sweep_claim(struct sweep_names *n, const char *name)
{
	size_t from = 0, end = n->count;

	while (from < end) {
		size_t at = from + (end - from) / 2;
		int order = strcmp(n->text + n->at[at], name);

		if (order == 0) {
			bool first = !n->met[at];

			n->met[at] = true;
			return first;
		}
		if (order < 0)
			from = at + 1;
		else
			end = at;
	}
	return false;
}
