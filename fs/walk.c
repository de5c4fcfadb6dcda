/* The paths to walk are first made into a little tree of branches, so that
 * each directory is met once and the directories above a named path get their
 * own metadata: `home/x` stores home, then home/x with all below it. */
#include "fs/walk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include "fs/reserved.h"
#include "tape/error.h"
#include "tape/log.h"
#include "tape/stop.h"
#include "tape/text.h"

#define STATX_WANTED (STATX_BASIC_STATS)

struct branch {
	char *name;
	bool whole; /* named: everything below it */
	struct branch *children;
	struct branch *next; /* sibling, ascending names */
};

/* Names of one directory, packed; sorted by pointer. */
struct listing {
	struct buffer text;
	char **names;
	size_t count;
};

/* A directory whose subdirectories are still to be walked. */
struct level {
	struct level *below; /* the one that led here */
	struct folder *folder;
	struct buffer subdirs; /* a rules_place and a name with a NUL each */
	size_t at;
	dev_t device;
};

static void problem(struct walk *w, const struct folder *f, const char *name,
		    const char *what)
{
	char *path = folder_text(f, name);

	log_warning("%s: %s", path ? path : "?", what);
	free(path);
	w->problems++;
}

static void note(const struct folder *f, const char *name, const char *what)
{
	char *path = folder_text(f, name);

	log_note("%s: %s", path ? path : name, what);
	free(path);
}

/* "cannot open", said of a name in a folder, with errno's text. */
static void name_problem(struct walk *w, const struct folder *f,
			 const char *name, const char *what)
{
	const char *reason = strerror(errno);
	char *path = folder_text(f, name);

	log_warning("%s: %s: %s; left out", path ? path : name, what, reason);
	free(path);
	w->problems++;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void listing_release(struct listing *l)
{
	buffer_release(&l->text);
	free(l->names);
}

/* Appends the names in one answer of getdents64. */
static int listing_take(struct listing *l, const char *at, ssize_t length)
{
	const char *end = at + length;
	int error = 0;

	while (!error && at < end) {
		const struct dirent64 *e = (const void *)at;

		at += e->d_reclen;
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		error = buffer_append(&l->text, e->d_name,
				      strlen(e->d_name) + 1);
		l->count++;
	}
	return error;
}

/* The name under which the archive stores it. */
static const char *stored_name(const char *reserved, const struct folder *f,
			       const char *name, char *room)
{
	return f && f->parent ? name : reserved_stored(reserved, name, room);
}

static int compare_stored(const void *a, const void *b, void *reserved)
{
	char x[RESERVED_ROOM], y[RESERVED_ROOM];

	return strcmp(stored_name(reserved, NULL, *(char *const *)a, x),
		      stored_name(reserved, NULL, *(char *const *)b, y));
}

/* By their stored names, where some are reserved (NULL: nowhere). */
static int listing_sort(struct listing *l, const char *reserved)
{
	char *at = (char *)l->text.data;

	if (!l->count)
		return 0;
	l->names = malloc(l->count * sizeof(*l->names));
	if (!l->names)
		return REEL_ENOMEM;
	for (size_t n = 0; n < l->count; n++, at += strlen(at) + 1)
		l->names[n] = at;
	if (reserved)
		qsort_r(l->names, l->count, sizeof(*l->names), compare_stored,
			(void *)reserved);
	else
		qsort(l->names, l->count, sizeof(*l->names), compare_names);
	return 0;
}

/* Reads all names of an open directory, sorted. */
static int listing_read(int fd, struct listing *l, const char *reserved)
{
	_Alignas(struct dirent64) char room[32768];
	ssize_t n;
	int error = 0;

	memset(l, 0, sizeof(*l));
	while (!error && (n = getdents64(fd, room, sizeof(room))) > 0)
		error = listing_take(l, room, n);
	if (!error && n < 0)
		error = error_from_errno(errno);
	if (!error)
		error = listing_sort(l, reserved);
	if (error)
		listing_release(l);
	return error;
}

static int put(struct walk *w, struct item *i)
{
	if (!i)
		return REEL_ENOMEM;
	return outlet_put(&w->out, i, sizeof(*i)) ? 0 : REEL_ESTOPPED;
}

static int put_marker(struct walk *w, enum item_kind kind, struct folder *f)
{
	return put(w, item_new(kind, f, "", 0));
}

/* One name of a directory that is no directory, or the mark of one that is. */
static int put_name(struct walk *w, struct folder *f, const char *name,
		    const struct statx *st)
{
	char room[RESERVED_ROOM];
	const char *as = stored_name(w->reserved, f, name, room);
	enum item_kind kind = S_ISDIR(st->stx_mode) ? ITEM_SUBDIR : ITEM_NAME;
	struct item *i = item_new(kind, f, as, strlen(as));

	if (!i)
		return REEL_ENOMEM;
	if (as != name) {
		problem(w, f, name,
			"is the set's reserved name; stored "
			"with " RESERVED_ESCAPE " behind it");
		i->escape = sizeof(RESERVED_ESCAPE) - 1;
	}
	i->st = *st;
	return put(w, i);
}

/* Whether a name can be stored; said when not. */
static bool can_store(struct walk *w, const struct folder *f, const char *name)
{
	char room[RESERVED_ROOM];

	if (strlen(stored_name(w->reserved, f, name, room)) <= NAME_MAX)
		return true;
	problem(w, f, name,
		"is the set's reserved name, and too long to be stored "
		"with " RESERVED_ESCAPE
		" behind it; left out: give it another name");
	return false;
}

static bool avoided(const struct walk *w, const struct statx *st)
{
	return S_ISDIR(st->stx_mode) && st->stx_ino == w->avoid_ino &&
	       makedev(st->stx_dev_major, st->stx_dev_minor) == w->avoid_dev;
}

/* Stats one name and passes it on; *is_dir says whether to walk below. What
 * was named itself (`place` NULL) is not judged. */
static int take_name(struct walk *w, struct folder *f, const char *name,
		     struct rules_place *place, bool *is_dir)
{
	struct statx st;

	*is_dir = false;
	if (statx(f->fd, name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT,
		  STATX_WANTED, &st)) {
		if (errno == ENOENT)
			return 0;
		name_problem(w, f, name, "cannot stat");
		return 0;
	}
	if (avoided(w, &st)) {
		note(f, name, "the set itself; left out");
		return 0;
	}
	if (S_ISSOCK(st.stx_mode)) {
		note(f, name, "socket ignored");
		return 0;
	}
	if (place && exclusion_covers(&w->exclusion, name, &st, place)) {
		w->excluded++;
		return 0;
	}
	if (!can_store(w, f, name))
		return 0;
	*is_dir = S_ISDIR(st.stx_mode);
	return put_name(w, f, name, &st);
}

/* One name of a folder; a subdirectory is collected. */
static int list_name(struct walk *w, struct level *l, const char *name)
{
	struct rules_place place;
	bool is_dir;
	int error = take_name(w, l->folder, name, &place, &is_dir);

	if (!error && is_dir)
		error = buffer_append(&l->subdirs, &place, sizeof(place));
	if (!error && is_dir)
		error = buffer_append(&l->subdirs, name, strlen(name) + 1);
	return error;
}

static int list_names(struct walk *w, struct level *l, const struct listing *n)
{
	int error = exclusion_enter(&w->exclusion, l->folder);

	for (size_t at = 0; !error && at < n->count; at++)
		error = stop_is_set(w->stop) ? REEL_ESTOPPED
					     : list_name(w, l, n->names[at]);
	return error ? error : put_marker(w, ITEM_END, l->folder);
}

/* Lists a folder: passes its names on, collects its subdirectories. */
static int list_folder(struct walk *w, struct level *l)
{
	struct folder *f = l->folder;
	struct listing names;
	int fd = folder_use(f);
	int error = fd < 0 ? error_from_errno(errno)
			   : listing_read(fd, &names,
					  f->parent ? NULL : w->reserved);

	if (!error) {
		error = list_names(w, l, &names);
		listing_release(&names);
	} else if (error != REEL_ENOMEM) {
		problem(w, f, "",
			"cannot be listed; what the set has of it stays");
		f->whole = false;
		error = 0;
	}
	if (fd >= 0)
		folder_unuse(f);
	return error;
}

static void level_free(struct level *l)
{
	folder_put(l->folder);
	buffer_release(&l->subdirs);
	free(l);
}

/* Opens and announces a directory: 0 and *out (NULL when it was left out). */
static int enter(struct walk *w, struct folder *parent, const char *name,
		 bool follow, struct folder **out)
{
	char room[RESERVED_ROOM];
	int base = parent ? folder_use(parent) : AT_FDCWD;
	int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK |
		    (follow ? 0 : O_NOFOLLOW);
	int fd = base == -1 ? -1 : openat(base, name, flags);
	int err = errno;

	*out = NULL;
	if (parent && base != -1)
		folder_unuse(parent);
	if (fd < 0) {
		errno = err;
		if (!parent || base == -1 || errno != ENOENT)
			name_problem(w, parent, name, "cannot open");
		return 0;
	}
	const char *as =
		parent ? stored_name(w->reserved, parent, name, room) : "";
	struct folder *f = folder_new(parent, as, fd);
	struct item *i = f ? item_new(ITEM_FOLDER, f, "", 0) : NULL;
	if (!i) {
		folder_put(f);
		return REEL_ENOMEM;
	}
	if (statx(fd, "", AT_EMPTY_PATH, STATX_WANTED, &i->st)) {
		name_problem(w, parent, name, "cannot stat");
		item_free(i);
		folder_put(f);
		return 0;
	}
	f->device = makedev(i->st.stx_dev_major, i->st.stx_dev_minor);
	f->inode = i->st.stx_ino;
	f->whole = parent || w->whole_root;
	f->unnamed = !f->whole;
	*out = f;
	if (parent && !follow && as == name)
		folder_pool_add(w->folders, f);
	return put(w, i);
}

static int level_push(struct level **top, struct folder *f, dev_t device)
{
	struct level *l = calloc(1, sizeof(*l));

	if (!l) {
		folder_put(f);
		return REEL_ENOMEM;
	}
	l->folder = f;
	l->device = device;
	l->below = *top;
	*top = l;
	return 0;
}

/* Everything below a folder that has been announced; takes the folder. */
static int walk_whole(struct walk *w, struct folder *f)
{
	struct level *top = NULL;
	dev_t device = f->device;
	int error = level_push(&top, f, device);

	if (!error)
		error = list_folder(w, top);
	while (!error && top) {
		if (top->at == top->subdirs.length) {
			struct level *done = top;

			top = done->below;
			level_free(done);
			continue;
		}
		struct rules_place place;
		const char *name =
			(char *)top->subdirs.data + top->at + sizeof(place);
		struct folder *child;

		memcpy(&place, top->subdirs.data + top->at, sizeof(place));
		top->at += sizeof(place) + strlen(name) + 1;
		error = enter(w, top->folder, name, false, &child);
		if (error || !child)
			continue;
		child->place = place;
		if (w->one_file_system && child->device != device) {
			child->whole = false;
			folder_put(child);
			continue;
		}
		error = level_push(&top, child, device);
		if (!error)
			error = list_folder(w, top);
	}
	while (top) {
		struct level *done = top;

		top = done->below;
		level_free(done);
	}
	return error;
}

static int walk_branches(struct walk *w, struct folder *f, struct branch *b);

/* One named path, or a directory on the way to one. */
static int walk_branch(struct walk *w, struct folder *f, struct branch *b)
{
	struct folder *child;
	struct statx st;
	bool is_dir;
	int error;

	if (statx(f->fd, b->name, b->whole ? AT_SYMLINK_NOFOLLOW : 0,
		  STATX_WANTED, &st)) {
		name_problem(w, f, b->name, "cannot stat");
		return 0;
	}
	w->met |= b->whole;
	if (b->whole && !S_ISDIR(st.stx_mode))
		return take_name(w, f, b->name, NULL, &is_dir);
	if (avoided(w, &st) || !can_store(w, f, b->name))
		return 0;
	error = put_name(w, f, b->name, &st);
	if (!error)
		error = enter(w, f, b->name, !b->whole, &child);
	if (error || !child)
		return error;
	if (b->whole)
		return walk_whole(w, child);
	child->whole = false;
	error = walk_branches(w, child, b->children);
	folder_put(child);
	return error;
}

static int walk_branches(struct walk *w, struct folder *f, struct branch *b)
{
	int error = 0;

	/* files first, then directories: the order of the archive */
	for (struct branch *n = b; !error && n; n = n->next) {
		struct statx st;
		bool dir = !statx(f->fd, n->name, AT_SYMLINK_NOFOLLOW,
				  STATX_TYPE, &st) &&
			   S_ISDIR(st.stx_mode);
		if (!dir && n->whole)
			error = walk_branch(w, f, n);
	}
	for (struct branch *n = b; !error && n; n = n->next) {
		struct statx st;
		bool dir = !statx(f->fd, n->name, AT_SYMLINK_NOFOLLOW,
				  STATX_TYPE, &st) &&
			   S_ISDIR(st.stx_mode);
		if (dir || !n->whole)
			error = walk_branch(w, f, n);
	}
	return error;
}

static void branch_free(struct branch *b)
{
	while (b) {
		struct branch *next = b->next;

		branch_free(b->children);
		free(b->name);
		free(b);
		b = next;
	}
}

static struct branch *branch_child(struct branch *parent, const char *name,
				   size_t length)
{
	struct branch **at = &parent->children;

	while (*at) {
		int order = strncmp((*at)->name, name, length);

		if (!order && (*at)->name[length])
			order = 1;
		if (!order)
			return *at;
		if (order > 0)
			break;
		at = &(*at)->next;
	}
	struct branch *b = calloc(1, sizeof(*b));
	if (!b || !(b->name = strndup(name, length))) {
		free(b);
		return NULL;
	}
	b->next = *at;
	*at = b;
	return b;
}

/* Adds one path; `..` is refused. */
static int branch_add(struct branch *root, const char *path)
{
	struct branch *b = root;

	if (!*path) {
		log_error("an empty path names nothing; `.` is all of DIR");
		return REEL_EINVAL;
	}
	while (*path) {
		size_t length = strcspn(path, "/");

		if (length == 2 && !memcmp(path, "..", 2)) {
			log_error("paths with .. cannot be backed up; "
				  "use -C DIR");
			return REEL_EINVAL;
		}
		if (length && !(length == 1 && *path == '.')) {
			b = branch_child(b, path, length);
			if (!b)
				return REEL_ENOMEM;
		}
		path += length + (path[length] == '/');
	}
	b->whole = true;
	return 0;
}

static int walk_root(struct walk *w, const char *directory, struct branch *root)
{
	struct folder *f;
	int error;

	if (!root->whole && !root->children)
		return 0;
	w->whole_root = root->whole;
	w->met |= root->whole;
	error = enter(w, NULL, directory, true, &f);
	if (error || !f)
		return error ? error : REEL_ENOENT;
	if (root->whole)
		return walk_whole(w, f);
	error = walk_branches(w, f, root->children);
	folder_put(f);
	return error;
}

int walk_run(struct walk *w)
{
	struct branch relative = {0}, absolute = {0};
	const char *directory = w->directory ? w->directory : ".";

	for (int n = 0; !w->error && n < w->path_count; n++) {
		bool slash = w->paths[n][0] == '/';

		w->error =
			branch_add(slash ? &absolute : &relative, w->paths[n]);
	}
	if (!w->error && (relative.whole || relative.children) &&
	    (absolute.whole || absolute.children)) {
		log_error("absolute and relative paths cannot be mixed in one "
			  "backup");
		w->error = REEL_EINVAL;
	}
	if (!w->error)
		w->error = walk_root(w, directory, &relative);
	if (!w->error)
		w->error = walk_root(w, "/", &absolute);
	if (!w->error && !w->met)
		w->error = REEL_ENOENT;
	branch_free(relative.children);
	branch_free(absolute.children);
	outlet_flush(&w->out);
	queue_end(w->out.queue);
	return w->error;
}
