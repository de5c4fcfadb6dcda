/* The walk: one thread goes through the snapshot in the order of names, which
 * is the order in which the medium was written, makes directories and hands
 * files to the pool. Names of a hard-link group are written by the walk
 * itself, so that the first is complete before the others link to it.
 *
 * Memory: the present path, the queue, and a table of the link groups whose
 * names were not all met yet. */
#include "fs/restore.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "fs/restore_links.h"
#include "fs/restore_place.h"
#include "tape/error.h"
#include "tape/log.h"
#include "tape/text.h"

#define CURSORS_OPEN 32	 /* statements held by the walk */
#define PLACES_OPEN  256 /* descriptors held by the walk */
#define PROGRESS_NS  100000000

struct level {
	struct place *place;
	struct tree_cursor *cursor; /* NULL: begins again after the child */
};

struct restore_walk {
	struct restore *r;
	struct catalog *c;
	struct restore_pool *pool;
	struct restore_links *links;
	struct level *levels;
	size_t depth, room;
	size_t shut; /* levels below this (but the first 16) have no fd */
	uint64_t xattrs_id; /* the last set that was read */
	struct buffer xattrs;
	struct restore_progress progress;
	int64_t reported;
};

static bool stopped(const struct restore_walk *w)
{
	return w->r->options->stop && *w->r->options->stop;
}

static void report(struct restore_walk *w, bool force)
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

/* Everything about the entry that the catalogue knows. */
static int load(struct restore_walk *w, const struct inode_row *i,
		struct restore_entry *e)
{
	int err = 0;

	memset(e, 0, sizeof(*e));
	e->inode = *i;
	e->inode.target = NULL;
	if (S_ISLNK(i->mode) && i->target) {
		e->target = strndup(i->target, i->target_length);
		if (!e->target)
			return REEL_ENOMEM;
		e->inode.target_length = strlen(e->target);
	}
	if (i->xattrs)
		err = load_xattrs(w, e);
	if (!err && i->content && !w->r->options->dry_run)
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

/* Far ancestors give up their descriptors and statements. */
static void economize(struct restore_walk *w)
{
	size_t from = w->shut > 16 ? w->shut : 16;

	if (w->depth > CURSORS_OPEN) {
		struct level *l = &w->levels[w->depth - CURSORS_OPEN - 1];

		tree_end(l->cursor);
		l->cursor = NULL;
	}
	if (w->depth < from + PLACES_OPEN)
		return;
	pool_drain(w->pool);
	for (; from < w->depth - 16; from++)
		place_shut(w->levels[from].place);
	w->shut = from;
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
	err = tree_list(w->c, w->r->options->session, p->node, &l->cursor);
	if (err)
		return err;
	w->depth++;
	economize(w);
	return 0;
}

static int enter(struct restore_walk *w, struct place *up, const char *name,
		 size_t length, const struct entry_row *row, struct place **out)
{
	struct restore_entry e;
	struct place *p;
	uint64_t node = row->node;
	int err;

	if (!S_ISDIR(row->inode.mode) || is_ancestor(up, node))
		return REEL_EDAMAGED;
	err = load(w, &row->inode, &e);
	if (err)
		return err;
	err = place_enter(w->r, up, name, length, &e, &p);
	if (err) {
		restore_entry_release(&e);
		return err;
	}
	p->node = node;
	*out = p;
	return 0;
}

/* First name of a link group: written here and now, and remembered. */
static void group(struct restore_walk *w, struct place *p, const char *name,
		  const struct restore_entry *e)
{
	const char *first = links_find(w->links, e->inode.id);
	char *path;

	if (first) {
		write_link(w->r, p, name, first, e);
		links_met(w->links, e->inode.id);
		return;
	}
	write_entry(w->r, p, name, e);
	path = place_path(p, name);
	if (path)
		links_add(w->links, e->inode.id, e->inode.nlink, e->inode.flags,
			  path);
	free(path);
}

static int file(struct restore_walk *w, struct place *p, const char *name,
		size_t length, const struct entry_row *row)
{
	char text[TREE_NAME_LIMIT + 1];
	struct restore_entry e;
	int err;

	memcpy(text, name, length);
	text[length] = '\0';
	err = load(w, &row->inode, &e);
	if (err)
		return err;
	if (e.inode.nlink <= 1)
		return pool_add(w->pool, p, text, length, &e);
	group(w, p, text, &e);
	restore_entry_release(&e);
	return 0;
}

/* One entry of a directory; REEL_ENOMEM or REEL_ESTOPPED end the run. */
static int visit(struct restore_walk *w, struct place *p,
		 const struct entry_row *row)
{
	char name[TREE_NAME_LIMIT + 1] = "";
	struct place *child;
	int err;

	w->progress.entries++;
	report(w, false);
	if (!place_name_valid(row->name, row->name_length)) {
		trouble(w, p, NULL, REEL_EDAMAGED);
		return 0;
	}
	memcpy(name, row->name, row->name_length);
	if (row->node) {
		err = enter(w, p, name, row->name_length, row, &child);
		if (!err) {
			atomic_fetch_add(&w->r->directories, 1);
			err = push(w, child);
			if (err)
				place_put(w->r, child);
		}
	} else {
		err = file(w, p, name, row->name_length, row);
	}
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
	if (up && up->place->fd < 0 && !w->r->options->dry_run) {
		err = place_reopen(up->place);
		w->shut = w->depth - 1;
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

/* The directory `p` (taken over) and all below it. */
static int descend(struct restore_walk *w, struct place *p)
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
		pop(w);
	}
	return err;
}

/* Up to the directory that holds the path's last component: made when
 * missing, then with its metadata; else left as it is. */
static int lead(struct restore_walk *w, const char **path, struct place **at)
{
	for (;;) {
		size_t length = strcspn(*path, "/");
		struct place *next;
		struct entry_row row;
		int err;

		if (!(*path)[length])
			return 0;
		err = tree_lookup(w->c, w->r->options->session, (*at)->node,
				  *path, length, &row);
		if (!err && !row.node)
			err = REEL_ENOTDIR;
		if (!err)
			err = enter(w, *at, *path, length, &row, &next);
		if (err)
			return err;
		next->adorn = next->fresh;
		place_put(w->r, *at);
		*at = next;
		*path += length + 1;
	}
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
	length = strlen(rest);
	if (!err && !place_name_valid(rest, length))
		err = REEL_EINVAL;
	if (!err)
		err = tree_lookup(w->c, w->r->options->session, at->node, rest,
				  length, &row);
	if (!err && row.node) {
		err = enter(w, at, rest, length, &row, &child);
		if (!err) {
			atomic_fetch_add(&w->r->directories, 1);
			place_put(w->r, at);
			return descend(w, child);
		}
	} else if (!err) {
		err = file(w, at, rest, length, &row);
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
			err = descend(w, place_get(root));
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

static int open_root(struct restore_walk *w, bool fresh, struct place **out)
{
	struct restore *r = w->r;
	struct restore_entry e = {0};
	struct entry_row row;
	int err;

	err = tree_directory(w->c, r->options->session, TREE_ROOT, &row);
	if (!err)
		err = load(w, &row.inode, &e);
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
			(r->options->path_count == 0 || fresh);
	if (fresh && !(*out)->adorn && r->root >= 0)
		fchmod(r->root, 0777 & ~r->umask);
	return 0;
}

/* Flags of hard-linked files, once all their names are there. */
static void late_flags(void *context, const char *path, uint32_t flags)
{
	struct restore *r = context;
	struct restore_entry e = {.inode = {.flags = flags, .nlink = 1}};
	struct place p = {0};
	const char *slash = strrchr(path, '/');
	char *directory = strndup(path, slash ? (size_t)(slash - path) : 0);

	e.inode.mode = S_IFREG;
	p.fd = directory ? beneath_open(r->root, directory) : -1;
	if (p.fd >= 0) {
		meta_flags_at(r, &p, slash ? slash + 1 : path, &e);
		close(p.fd);
	}
	free(directory);
}

static int run(struct restore_walk *w, bool fresh)
{
	struct restore *r = w->r;
	const struct restore_options *o = r->options;
	int threads = o->threads;
	struct place *root;
	int err;

	if (threads <= 0)
		threads = (int)sysconf(_SC_NPROCESSORS_ONLN);
	err = pool_new(r, threads > 0 ? threads : 1, &w->pool);
	if (err)
		return err;
	err = open_root(w, fresh, &root);
	if (err) {
		if (r->root >= 0)
			close(r->root);
		return err;
	}
	if (o->path_count)
		err = restore_paths(w, root);
	else
		err = descend(w, place_get(root));
	pool_drain(w->pool);
	if (!o->dry_run)
		links_each_flags(w->links, late_flags, r);
	place_put(r, root);
	report(w, true);
	return err;
}

static void find_umask(struct restore *r)
{
	r->umask = umask(077);
	umask(r->umask);
	r->uid = geteuid();
	r->gid = getegid();
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

int restore_run(struct set *set, struct catalog *c, struct library *l,
		const struct restore_options *o, struct restore_result *result)
{
	struct restore r = {.options = o, .set = set, .library = l, .root = -1};
	struct restore_walk w = {.r = &r, .c = c};
	bool fresh;
	int err;

	memset(result, 0, sizeof(*result));
	find_umask(&r);
	err = open_target(o, &r.root, &fresh);
	if (err)
		return err;
	totals(&w);
	err = clones_new(&r.clones);
	if (!err)
		err = links_new(&w.links);
	if (!err)
		err = run(&w, fresh);
	else if (r.root >= 0)
		close(r.root);
	pool_free(w.pool);
	links_free(w.links);
	clones_free(r.clones);
	free(w.levels);
	buffer_release(&w.xattrs);
	result->files = atomic_load(&r.files);
	result->directories = atomic_load(&r.directories);
	result->bytes = atomic_load(&r.bytes);
	result->same = atomic_load(&r.same);
	result->problems = atomic_load(&r.problems);
	return err ? err : atomic_load(&r.error);
}
