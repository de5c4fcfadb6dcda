/* A restore from its beginning to its end: the target, the paths that are
 * named, what comes last. */
#include "fs/restore.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>
#include "fs/restore_links.h"
#include "fs/restore_walk.h"
#include "tape/error.h"
#include "tape/log.h"

/* Up to the directory that holds the path's last component: made when
 * missing, then with its metadata; else left as it is. *at NULL: a rule keeps
 * one of them. */
static int lead(struct restore_walk *w, const char **path, struct place **at)
{
	for (;;) {
		size_t length = strcspn(*path, "/");
		struct place *next;
		char name[TREE_NAME_LIMIT + 1];
		struct entry_row row;
		int err;

		if (!(*path)[length])
			return 0;
		err = tree_lookup(w->c, w->r->options->session, (*at)->node,
				  *path, length, &row);
		if (!err && !row.node)
			err = REEL_ENOTDIR;
		if (!err && length > TREE_NAME_LIMIT)
			err = REEL_ERANGE;
		if (err)
			return err;
		memcpy(name, *path, length);
		name[length] = '\0';
		err = walk_enter(w, *at, name, length, &row,
				 (struct walk_way){.leading = true}, &next);
		if (err)
			return err;
		place_put(w->r, *at);
		*at = next;
		if (!next)
			return 0;
		*path += length + 1;
	}
}

/* Of several named paths two may be one at the target; told. */
static bool is_alias(struct restore_walk *w, const struct place *at,
		     const char *name)
{
	char other[TREE_NAME_LIMIT + 1];
	struct entry_row row;

	if (w->r->options->path_count < 2 || at->fd < 0 ||
	    faccessat(at->fd, name, F_OK, AT_SYMLINK_NOFOLLOW) ||
	    !alias_find(at->fd, name, other) ||
	    tree_lookup(w->c, w->r->options->session, at->node, other,
			strlen(other), &row))
		return false;
	alias_problem_with(w->r, at, name, other);
	return true;
}

/* What is there when its turn comes, another of the named paths put there. */
static bool is_free(const struct restore_walk *w, const struct place *at,
		    const char *name)
{
	return w->r->options->path_count > 1 && at->fd >= 0 &&
	       faccessat(at->fd, name, F_OK, AT_SYMLINK_NOFOLLOW) != 0;
}

static int restore_path(struct restore_walk *w, struct place *root,
			const char *path)
{
	struct place *at = place_get(root), *child;
	const char *rest = path;
	struct entry_row row;
	size_t length;
	int err;

	err = lead(w, &rest, &at);
	if (!err && !at)
		return 0;
	length = strlen(rest);
	if (!err && !place_name_valid(rest, length))
		err = REEL_EINVAL;
	if (!err)
		err = tree_lookup(w->c, w->r->options->session, at->node, rest,
				  length, &row);
	if (!err && is_alias(w, at, rest)) {
		place_put(w->r, at);
		return 0;
	}
	if (!err && row.node) {
		err = walk_enter(w, at, rest, length, &row,
				 (struct walk_way){.named = true}, &child);
		if (!err && child) {
			atomic_fetch_add(&w->r->directories, 1);
			place_put(w->r, at);
			return walk_descend(w, child);
		}
	} else if (!err) {
		err = walk_file(
			w, at, rest, length, &row,
			(struct walk_way){.named = true,
					  .unlisted = is_free(w, at, rest)});
	}
	place_put(w->r, at);
	return err;
}

/* Without leading, doubled and trailing slashes and "." components. */
static char *clean_path(const char *path)
{
	char *out = malloc(strlen(path) + 1), *to = out;

	while (out && *path) {
		size_t length = strcspn(path, "/");

		if (length && !(length == 1 && path[0] == '.')) {
			if (to != out)
				*to++ = '/';
			memcpy(to, path, length);
			to += length;
		}
		path += length + (path[length] == '/');
	}
	if (out)
		*to = '\0';
	return out;
}

static int restore_paths(struct restore_walk *w, struct place *root)
{
	const struct restore_options *o = w->r->options;
	int err = 0;

	for (int i = 0; i < o->path_count && !err; i++) {
		char *path = clean_path(o->paths[i]);

		if (!path)
			return REEL_ENOMEM;
		if (!*path)
			err = walk_descend(w, place_get(root));
		else
			err = restore_path(w, root, path);
		if (err && err != REEL_ESTOPPED && err != REEL_ENOMEM) {
			restore_problem(w->r, PROBLEM_OTHER, NULL, path,
					error_text(err), 0);
			if (i + 1 < o->path_count || w->progress.entries)
				err = 0;
		}
		free(path);
	}
	return err;
}

static int make_parents(const char *path)
{
	char *copy = strdup(path);
	int err = 0;

	if (!copy)
		return REEL_ENOMEM;
	for (char *at = strchr(copy + 1, '/'); at; at = strchr(at + 1, '/')) {
		*at = '\0';
		if (mkdir(copy, 0777) && errno != EEXIST)
			err = error_from_errno(errno);
		*at = '/';
	}
	free(copy);
	return err;
}

/* -1 in *fd: a dry run whose target does not exist. */
static int open_target(const struct restore_options *o, int *fd, bool *fresh)
{
	*fresh = false;
	*fd = open(o->to, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (*fd >= 0)
		return 0;
	if (errno == ENOENT && o->dry_run) {
		*fresh = true;
		return 0;
	}
	if (errno == ENOENT) {
		make_parents(o->to);
		if (mkdir(o->to, 0700) == 0) {
			*fresh = true;
			*fd = open(o->to, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		}
	}
	if (*fd >= 0)
		return 0;
	log_error("%s: cannot be opened: %s", o->to, strerror(errno));
	return error_from_errno(errno);
}

/* The target itself is there; options may let it stay as it is. */
static bool may_adorn(const struct restore *r, const struct inode_row *i)
{
	const struct plan_opinion none = {0};
	struct plan_subject s = {
		.wanted = S_IFDIR, .present = S_IFDIR, .same = true};
	struct plan_verdict v;
	struct stat st;

	if (r->root >= 0 && fstat(r->root, &st) == 0)
		s.later = i->mtime / 1000000000 > st.st_mtim.tv_sec;
	plan_decide(&r->options->plan, &none, &s, &v);
	return v.action == PLAN_SAME;
}

static int open_root(struct restore_walk *w, bool fresh, struct place **out)
{
	struct restore *r = w->r;
	struct restore_entry e = {0};
	struct entry_row row;
	int err;

	err = tree_directory(w->c, r->options->session, TREE_ROOT, &row);
	if (!err)
		err = walk_load(w, &row.inode, &e);
	if (err && err != REEL_ENOENT)
		return err;
	err = place_root(r, r->root, fresh, &e, out);
	if (err) {
		restore_entry_release(&e);
		return err;
	}
	/* A root that was never backed up has no metadata (scan_root). */
	(*out)->adorn = ((*out)->entry.inode.mtime != 0 ||
			 (*out)->entry.inode.nlink != 1) &&
			S_ISDIR((*out)->entry.inode.mode) &&
			(fresh || (r->options->path_count == 0 &&
				   may_adorn(r, &(*out)->entry.inode)));
	if (fresh && !(*out)->adorn && r->root >= 0)
		fchmod(r->root, 0777 & ~r->umask);
	return 0;
}

/* Flags of hard-linked files, once all their names are there. */
static void late_flags(void *context, const struct link_first *first,
		       uint32_t flags)
{
	struct restore *r = context;
	struct restore_entry e = {.inode = {.flags = flags, .nlink = 1}};
	struct place p = {0};
	const char *name;

	e.inode.mode = S_IFREG;
	p.fd = beneath_parent(r->root, first->path, &name);
	if (p.fd >= 0) {
		meta_flags_at(r, &p, name, first->inode, &e);
		close(p.fd);
	}
}

static int walk_all(struct restore_walk *w, bool fresh)
{
	struct restore *r = w->r;
	const struct restore_options *o = r->options;
	struct place *root;
	int err = open_root(w, fresh, &root);

	if (err) {
		if (r->root >= 0)
			close(r->root);
		return err;
	}
	if (o->path_count)
		err = restore_paths(w, root);
	else
		err = walk_descend(w, place_get(root));
	pool_drain(w->pool);
	/* the last of the walk may be what was stopped in the pool */
	if (!err && atomic_load(&r->error) == REEL_ESTOPPED)
		err = REEL_ESTOPPED;
	if (!o->dry_run) {
		links_each_flags(w->links, late_flags, r);
		w->system = system_note(r) == 1;
	}
	place_put(r, root);
	walk_report(w, true);
	return err;
}

static void refused(void *context, const char *path, const char *other)
{
	struct restore *r = context;
	char *what = NULL;

	if (asprintf(&what,
		     "delayed, but will be refused at the next boot: the "
		     "target takes its name for that of %s",
		     other ? other : "a file that is there") < 0)
		what = NULL;
	restore_problem(r, PROBLEM_OTHER, NULL, path,
			what ? what : "will be refused at the next boot", 0);
	free(what);
}

static int run(struct restore_walk *w, bool fresh)
{
	struct restore *r = w->r;
	int threads = r->options->threads;
	int err, ended;

	if (threads <= 0)
		threads = (int)sysconf(_SC_NPROCESSORS_ONLN);
	if (threads <= 0 || r->set->medium->tape)
		threads = 1;
	r->threads = threads;
	place_budget(threads, &r->open);
	err = pool_new(r, threads, &w->pool);
	if (err) {
		if (r->root >= 0)
			close(r->root);
		return err;
	}
	err = walk_all(w, fresh);
	ended = delay_end(r->delay, !err, refused, r);
	r->delay = NULL;
	return err ? err : ended;
}

static void find_self(struct restore *r)
{
	r->umask = umask(077);
	umask(r->umask);
	r->uid = geteuid();
	r->gid = getegid();
	clock_gettime(CLOCK_REALTIME, &r->begun);
	r->seed = r->set->config.seed;
	r->ruled = plan_has_rules(&r->options->plan);
	r->alone = r->root >= 0 && flock(r->root, LOCK_EX | LOCK_NB) == 0;
	pthread_mutex_init(&r->telling, NULL);
	pthread_mutex_init(&r->naming, NULL);
}

static int find_helpers(struct restore_walk *w)
{
	struct restore *r = w->r;
	const struct rules *rules = r->options->plan.rules;
	int err = clones_new(r, &r->clones);

	if (!err)
		err = links_new(&w->links);
	if (!err)
		err = delay_new(r->options->to, r->options->delayed, &r->delay);
	if (!err && rules)
		r->busy_rule = rules_next(rules, RULE_DELAY_BUSY, NULL);
	if (!err && r->busy_rule)
		err = busy_new(&r->busy);
	return err;
}

static void totals(struct restore_walk *w)
{
	struct session_row s = {0};

	if (w->r->options->path_count)
		return;
	if (catalog_session(w->c, w->r->options->session, &s) == 0) {
		w->progress.entries_total = s.files + s.directories;
		w->progress.bytes_total = s.bytes;
		session_row_release(&s);
	}
}

static void conclude(const struct restore_walk *w,
		     struct restore_result *result)
{
	const struct restore *r = w->r;

	result->files = atomic_load(&r->files);
	result->directories = atomic_load(&r->directories);
	result->bytes = atomic_load(&r->bytes);
	result->same = atomic_load(&r->same);
	result->problems = atomic_load(&r->problems);
	result->kept = atomic_load(&r->told[PLAN_KEPT]);
	result->delayed = atomic_load(&r->told[PLAN_DELAYED]);
	result->excluded = atomic_load(&r->told[PLAN_EXCLUDED]);
	result->extra = atomic_load(&r->told[PLAN_EXTRA]);
	result->shared = atomic_load(&r->shared);
	result->shared_bytes = atomic_load(&r->shared_bytes);
	result->system = w->system;
}

int restore_run(struct set *set, struct catalog *c, struct library *l,
		const struct restore_options *o, struct restore_result *result)
{
	struct restore r = {.options = o, .set = set, .library = l, .root = -1};
	struct restore_walk w = {.r = &r, .c = c};
	bool fresh;
	int err;

	memset(result, 0, sizeof(*result));
	err = open_target(o, &r.root, &fresh);
	if (err)
		return err;
	find_self(&r);
	totals(&w);
	err = borders_find(&r);
	if (!err)
		err = borders_check(&r);
	if (!err)
		err = find_helpers(&w);
	if (!err)
		err = run(&w, fresh);
	else if (r.root >= 0)
		close(r.root);
	delay_end(r.delay, false, NULL, NULL);
	pool_free(w.pool);
	links_free(w.links);
	clones_free(r.clones);
	busy_free(r.busy);
	walk_release(&w);
	borders_release(&r);
	conclude(&w, result);
	pthread_mutex_destroy(&r.telling);
	pthread_mutex_destroy(&r.naming);
	return err ? err : atomic_load(&r.error);
}
