/* How shadows come about, and how what they show moves. */
#include "fs/drop_state.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "catalog/beneath.h"
#include "fs/restore_place.h"
#include "tape/error.h"

void drop_owe(struct drop *d, struct drop_node *n)
{
	n->owed = n->verdict.action == PLAN_DELAYED;
	if (!n->owed)
		return;
	d->owes = true;
	d->altered = time(NULL);
}

static int path_of(struct drop *d, const struct drop_node *n,
		   struct buffer *out)
{
	int error;

	pthread_mutex_lock(&d->lock);
	error = drop_path(d, n, NULL, out);
	pthread_mutex_unlock(&d->lock);
	return error;
}

/* ---- the area ---- */

static void clear_below(int directory)
{
	int fd = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (!d && fd >= 0)
		close(fd);
	while (d && (e = readdir(d))) {
		int below;

		if (!beneath_name_valid(e->d_name, strlen(e->d_name)) ||
		    !unlinkat(fd, e->d_name, AT_REMOVEDIR) ||
		    errno != ENOTEMPTY)
			continue;
		below = openat(fd, e->d_name,
			       O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (below < 0)
			continue;
		clear_below(below);
		close(below);
		unlinkat(fd, e->d_name, AT_REMOVEDIR);
	}
	if (d)
		closedir(d);
}

void drop_area_clear(struct drop *d, const char *path)
{
	const char *name;
	int fd = drop_pin(d, DROP_AREA_SIDE, path);

	if (fd < 0)
		return;
	clear_below(fd);
	close(fd);
	fd = *path ? drop_parent(d, DROP_AREA_SIDE, path, &name) : -1;
	if (fd < 0)
		return;
	unlinkat(fd, name, AT_REMOVEDIR);
	close(fd);
}

/* ---- over what the target has ---- */

static int overlay_at(struct drop *d, const char *path)
{
	const char *from, *to;
	int target = drop_parent(d, DROP_TARGET, path, &from), area, error;

	if (target < 0)
		return target;
	area = drop_area_parent(d, path, &to);
	error = area < 0 ? area : drop_copy(target, from, area, to, false);
	if (area >= 0)
		close(area);
	close(target);
	return error;
}

int drop_overlay(struct drop *d, struct drop_node *n, bool emptied,
		 const struct plan_verdict *v)
{
	struct buffer path = {0};
	struct stat st;
	int error = d->strict ? REEL_EREFUSED : path_of(d, n, &path);

	if (!error)
		error = overlay_at(d, (char *)path.data);
	if (!error)
		error = drop_look(d, DROP_AREA_SIDE, (char *)path.data, &st);
	if (!error) {
		pthread_mutex_lock(&d->lock);
		n->state = DROP_OBJECT;
		n->over = S_ISDIR(st.st_mode) ||
			  (S_ISREG(st.st_mode) && !emptied);
		n->verdict = *v;
		n->held = true;
		n->settled = n->written;
		drop_owe(d, n);
		pthread_mutex_unlock(&d->lock);
	}
	buffer_release(&path);
	return error;
}

static int complete_at(struct drop *d, const char *path)
{
	const char *from, *to;
	int target = drop_parent(d, DROP_TARGET, path, &from), area, a, b;
	struct stat st;
	int error = 0;

	if (target < 0)
		return target;
	area = drop_parent(d, DROP_AREA_SIDE, path, &to);
	a = drop_open_at(target, from, O_RDONLY);
	b = area < 0 ? area : drop_open_at(area, to, O_RDWR);
	if (a < 0 || b < 0)
		error = a < 0 ? a : b;
	else if (fstat(b, &st))
		error = drop_failed();
	if (!error)
		error = drop_copy_bytes(a, b);
	if (!error) {
		const struct timespec times[2] = {st.st_atim, st.st_mtim};

		futimens(b, times);
	}
	for (int *fd = (int[]){a, b, area, target}, n = 0; n < 4; n++)
		if (fd[n] >= 0)
			close(fd[n]);
	return error;
}

int drop_complete(struct drop *d, struct drop_node *n)
{
	struct buffer path = {0};
	int error = path_of(d, n, &path);

	if (!error)
		error = complete_at(d, (char *)path.data);
	if (!error) {
		pthread_mutex_lock(&d->lock);
		n->over = false;
		n->written++;
		drop_owe(d, n);
		pthread_mutex_unlock(&d->lock);
		drop_redirect(d, n);
	}
	buffer_release(&path);
	return error;
}

int drop_hide(struct drop *d, struct drop_node *up, const char *name,
	      const struct plan_verdict *v)
{
	struct drop_node *n;

	pthread_mutex_lock(&d->lock);
	n = drop_find(d, up, name);
	if (!n)
		n = drop_add(d, up, name);
	if (n) {
		n->state = DROP_HIDDEN;
		n->over = false;
		n->verdict = *v;
		drop_owe(d, n);
	}
	pthread_mutex_unlock(&d->lock);
	return n ? 0 : REEL_ENOMEM;
}

/* ---- open files ---- */

static int open_for(struct drop *d, enum drop_side side, const char *path,
		    bool writes)
{
	const char *name;
	int up = drop_parent(d, side, path, &name), fd;

	if (up < 0)
		return up;
	fd = drop_open_at(up, name, writes ? O_RDWR : O_RDONLY);
	close(up);
	return fd;
}

void drop_redirect(struct drop *d, struct drop_node *n)
{
	bool mine = n->state == DROP_OBJECT && !n->over;
	struct buffer path = {0};
	int fd;

	pthread_mutex_lock(&d->lock);
	if (n->files && !drop_path(d, n, NULL, &path)) {
		for (struct drop_file *f = n->files; f; f = f->next) {
			fd = open_for(d, mine ? DROP_AREA_SIDE : DROP_TARGET,
				      (char *)path.data, f->writes);
			if (fd < 0)
				continue;
			dup3(fd, f->fd, O_CLOEXEC);
			close(fd);
			f->lazy = false;
		}
	}
	pthread_mutex_unlock(&d->lock);
	buffer_release(&path);
}

/* ---- moving ---- */

/* One of restore_temporary.c, which the next restore removes, too. */
static int temporary(struct drop *d, int directory, char name[TEMPORARY_ROOM])
{
	struct restore r = {.seed = d->set->config.seed};
	struct place p = {0};
	struct stat st;

	if (fstat(directory, &st))
		return drop_failed();
	p.inode = st.st_ino;
	clock_gettime(CLOCK_REALTIME, &r.begun);
	r.serial = d->serial++;
	temporary_name(&r, &p, name);
	return 0;
}

static int note_temporary(struct drop *d, struct drop_end to, const char *name)
{
	size_t above = (size_t)(strrchr(to.path, '/')
					? strrchr(to.path, '/') + 1 - to.path
					: 0);
	char *path = malloc(above + strlen(name) + 1);
	int error;

	if (!path)
		return REEL_ENOMEM;
	memcpy(path, to.path, above);
	strcpy(path + above, name);
	error = drop_area_note(d, path);
	free(path);
	return error;
}

static int sync_at(int directory, const char *name)
{
	int fd = drop_open_at(directory, name, O_RDONLY), error = 0;

	if (fd < 0)
		return fd;
	if (fsync(fd))
		error = drop_failed();
	close(fd);
	return error;
}

struct ends {
	int from, to; /* directories */
	const char *from_name, *to_name;
	struct stat st; /* of what is brought */
};

static int put_in_place(const struct ends *e, const char *name, bool replaces)
{
	if (replaces)
		return renameat(e->to, name, e->to, e->to_name) ? drop_failed()
								: 0;
	if (renameat2(e->to, name, e->to, e->to_name, RENAME_NOREPLACE) == 0)
		return 0;
	return errno == EINVAL ? put_in_place(e, name, true) : drop_failed();
}

/* A copy beside it, renamed over. */
static int bring_copy(struct drop *d, const struct ends *e, struct drop_end to,
		      bool bytes, bool replaces, bool durable)
{
	char name[TEMPORARY_ROOM];
	int error = temporary(d, e->to, name);

	if (!error && to.side == DROP_TARGET)
		error = note_temporary(d, to, name);
	if (!error)
		error = drop_copy(e->from, e->from_name, e->to, name, bytes);
	if (!error) {
		if (durable && S_ISREG(e->st.st_mode))
			error = sync_at(e->to, name);
		if (!error)
			error = put_in_place(e, name, replaces);
		if (error)
			unlinkat(e->to, name, 0);
		else if (durable)
			error = sync_at(e->to, ".");
	}
	if (to.side == DROP_TARGET)
		drop_area_note(d, NULL);
	return error;
}

static int bring(struct drop *d, const struct ends *e, struct drop_end from,
		 struct drop_end to, bool stays, bool replaces)
{
	bool across = from.side != to.side;
	int error;

	if (!stays && (!across || e->st.st_nlink == 1)) {
		if (!renameat2(e->from, e->from_name, e->to, e->to_name,
			       replaces ? 0 : RENAME_NOREPLACE))
			return 0;
		if (errno != EXDEV)
			return drop_failed();
	}
	error = bring_copy(d, e, to, true, replaces, !stays);
	if (!error && !stays && to.side == DROP_AREA_SIDE)
		error = drop_area_sync(d, to.path);
	if (!error && !stays && unlinkat(e->from, e->from_name, 0) &&
	    errno != ENOENT)
		error = drop_failed();
	return error;
}

int drop_bring(struct drop *d, struct drop_end from, struct drop_end to,
	       bool stays, bool replaces)
{
	struct ends e = {.to = -1};
	int error = 0;

	e.from = drop_parent(d, from.side, from.path, &e.from_name);
	if (e.from < 0)
		return e.from;
	if (fstatat(e.from, e.from_name, &e.st, AT_SYMLINK_NOFOLLOW))
		error = drop_failed();
	if (!error && to.side == DROP_AREA_SIDE) {
		e.to = drop_area_parent(d, to.path, &e.to_name);
		if (!S_ISDIR(e.st.st_mode))
			drop_area_clear(d, to.path);
	} else if (!error) {
		e.to = drop_parent(d, to.side, to.path, &e.to_name);
	}
	if (!error && e.to < 0)
		error = e.to;
	if (!error)
		error = bring(d, &e, from, to, stays, replaces);
	if (e.to >= 0)
		close(e.to);
	close(e.from);
	return error;
}

/* ---- other names ---- */

static bool is_now(int directory, const char *name, const struct stat *st)
{
	struct stat now;

	return !fstatat(directory, name, &now, AT_SYMLINK_NOFOLLOW) &&
	       now.st_dev == st->st_dev && now.st_ino == st->st_ino;
}

/* Whoever may rename beside the first name could have swapped it. */
static bool is_copy(int directory, const char *name, const char *of)
{
	int a = drop_open_at(directory, name, O_RDONLY);
	int b = a < 0 ? a : drop_open_at(directory, of, O_RDONLY);
	struct stat x, y;
	bool is = b >= 0 && !fstat(a, &x) && !fstat(b, &y) &&
		  S_ISREG(x.st_mode) && x.st_mode == y.st_mode &&
		  x.st_uid == y.st_uid && x.st_gid == y.st_gid &&
		  x.st_size == y.st_size && drop_same_bytes(a, b);

	if (a >= 0)
		close(a);
	if (b >= 0)
		close(b);
	return is;
}

static int link_over(struct drop *d, const struct ends *e, struct drop_end to,
		     const struct stat *old)
{
	char name[TEMPORARY_ROOM];
	int error = temporary(d, e->to, name);

	if (!error)
		error = note_temporary(d, to, name);
	if (!error && linkat(e->from, e->from_name, e->to, name, 0))
		error = drop_failed();
	if (!error) {
		if (!is_copy(e->to, name, e->to_name) ||
		    !is_now(e->to, name, &e->st) ||
		    !is_now(e->to, e->to_name, old))
			error = REEL_ESTALE;
		else if (renameat(e->to, name, e->to, e->to_name))
			error = drop_failed();
		if (error)
			unlinkat(e->to, name, 0);
	}
	drop_area_note(d, NULL);
	return error;
}

int drop_link_over(struct drop *d, const char *from, const char *to,
		   const struct stat *old)
{
	struct ends e = {.to = -1};
	int error = 0;

	e.from = drop_parent(d, DROP_TARGET, from, &e.from_name);
	if (e.from < 0)
		return e.from;
	if (fstatat(e.from, e.from_name, &e.st, AT_SYMLINK_NOFOLLOW))
		error = drop_failed();
	if (!error)
		e.to = drop_parent(d, DROP_TARGET, to, &e.to_name);
	if (!error && e.to < 0)
		error = e.to;
	if (!error)
		error = link_over(d, &e, (struct drop_end){DROP_TARGET, to},
				  old);
	if (e.to >= 0)
		close(e.to);
	close(e.from);
	return error;
}

void drop_forget_name(struct drop *d, const struct stat *st)
{
	unsigned names = drop_inodes_get(&d->linked, st);

	if (names)
		drop_inodes_set(&d->linked, st, names - 1);
}

static int replace_copy(struct drop *d, const char *path, bool emptied)
{
	struct drop_end end = {DROP_TARGET, path};
	struct ends e = {0};
	int error = 0;

	e.from = e.to = drop_parent(d, DROP_TARGET, path, &e.from_name);
	if (e.from < 0)
		return e.from;
	e.to_name = e.from_name;
	if (fstatat(e.from, e.from_name, &e.st, AT_SYMLINK_NOFOLLOW))
		error = drop_failed();
	if (!error)
		error = bring_copy(d, &e, end, !emptied, true, false);
	close(e.from);
	return error;
}

bool drop_is_shared(const struct drop *d, const struct stat *st)
{
	return !S_ISDIR(st->st_mode) && st->st_nlink > 1 &&
	       drop_inodes_get(&d->linked, st) < st->st_nlink;
}

int drop_unshare(struct drop *d, struct drop_node *n, const char *path,
		 bool emptied)
{
	struct stat st, now;
	int error = drop_look(d, DROP_TARGET, path, &st);

	if (error || !drop_is_shared(d, &st))
		return error;
	error = replace_copy(d, path, emptied);
	if (!error)
		error = drop_look(d, DROP_TARGET, path, &now);
	if (error)
		return error;
	drop_forget_name(d, &st);
	if (drop_inodes_get(&d->made, &st))
		drop_inodes_set(&d->made, &now, 1);
	pthread_mutex_lock(&d->lock);
	n->device = now.st_dev;
	n->inode = now.st_ino;
	pthread_mutex_unlock(&d->lock);
	drop_redirect(d, n);
	return 0;
}
