/* From the beginning of a mount's restore/ to its end. */
#include "fs/drop_state.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "catalog/delayed.h"
#include "catalog/rules_file.h"
#include "fs/mountinfo.h"
#include "fs/restore_place.h"
#include "tape/error.h"
#include "tape/log.h"

#ifndef OPEN_TREE_CLONE
#define OPEN_TREE_CLONE 1
#endif

/* ---- the target ---- */

/* A mount of its own where that may be had, so that what is mounted within it
 * later, restore/ itself, is not there; else the directory. */
static int open_top(const char *path)
{
	int fd = (int)syscall(SYS_open_tree, AT_FDCWD, path,
			      OPEN_TREE_CLONE | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0 && (fstat(fd, &st) || !S_ISDIR(st.st_mode))) {
		close(fd);
		errno = ENOTDIR;
		fd = -1;
	}
	return fd;
}

/* `path` below the target, NULL when it is not. */
static const char *below_target(const struct drop *d, const char *path)
{
	size_t length = strcmp(d->target, "/") ? strlen(d->target) : 0;

	if (strncmp(path, d->target, length) != 0 ||
	    (path[length] && path[length] != '/'))
		return NULL;
	path += length;
	return *path == '/' ? path + 1 : path;
}

static int add_root(struct drop *d, const char *place, const char *path)
{
	struct drop_root *all =
		realloc(d->roots, (d->root_count + 1) * sizeof(*all));
	int fd;

	if (!all)
		return REEL_ENOMEM;
	d->roots = all;
	fd = open_top(path);
	if (fd < 0) {
		log_error("%s: cannot be opened: %s", path, strerror(errno));
		return error_from_errno(errno);
	}
	all[d->root_count].fd = fd;
	all[d->root_count].path = strdup(place);
	return all[d->root_count++].path ? 0 : REEL_ENOMEM;
}

/* One that is mounted below the target. */
static int add_filesystem(struct drop *d, const char *name)
{
	char *path = realpath(name, NULL);
	const char *place = path ? below_target(d, path) : NULL;
	struct statx st = {0};
	int error = 0;

	if (!place || !*place ||
	    statx(AT_FDCWD, path, AT_NO_AUTOMOUNT, STATX_TYPE, &st) ||
	    (st.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT &&
	     !(st.stx_attributes & STATX_ATTR_MOUNT_ROOT))) {
		log_error("%s: no filesystem is mounted there, below %s", name,
			  d->target);
		error = REEL_EINVAL;
	} else {
		error = add_root(d, place, path);
	}
	free(path);
	return error;
}

static int open_roots(struct drop *d, const struct drop_options *o)
{
	int error = 0;

	d->target = realpath(o->target, NULL);
	if (!d->target) {
		log_error("%s: cannot be opened: %s", o->target,
			  strerror(errno));
		return error_from_errno(errno);
	}
	error = add_root(d, "", d->target);
	for (size_t n = 0; !error && n < o->filesystem_count; n++)
		error = add_filesystem(d, o->filesystems[n]);
	return error;
}

/* ---- where nothing is restored ---- */

static int add_place(struct drop *d, const char *place, const char *why)
{
	struct drop_border *all;

	all = realloc(d->borders, (d->border_count + 1) * sizeof(*all));
	if (!all)
		return REEL_ENOMEM;
	d->borders = all;
	all[d->border_count].path = strdup(place);
	all[d->border_count].why = why;
	return all[d->border_count++].path ? 0 : REEL_ENOMEM;
}

static int add_border(struct drop *d, const char *path, const char *why)
{
	const char *place = below_target(d, path);

	if (!place || !*place)
		return 0;
	for (size_t n = 1; n < d->root_count; n++)
		if (!strcmp(place, d->roots[n].path))
			return 0;
	return add_place(d, place, why);
}

/* Its own work is not restored over. */
static int add_journals(struct drop *d)
{
	int error = add_place(d, DELAYED_DIRECTORY, "the delayed operations");

	for (size_t n = 0; !error && n < d->root_count; n++) {
		const char *top = d->roots[n].path;
		char *path;

		if (asprintf(&path, "%s%s" DELAYED_AREA, top, *top ? "/" : "") <
		    0)
			return REEL_ENOMEM;
		error = add_place(d, path, "the delayed operations");
		free(path);
	}
	return error;
}

static int add_mount(void *context, const char *place, const char *type)
{
	(void)type;
	return add_border(context, place,
			  "another filesystem; -o restore-filesystem names "
			  "it");
}

/* Also where symlinks lead there. */
static int add_of_set(void *context, const char *path)
{
	char *real = realpath(path, NULL);
	int error = real ? add_border(context, real, "the set itself") : 0;

	free(real);
	return error;
}

static int find_borders(struct drop *d, const struct drop_options *o)
{
	int error = set_each_place(d->set, add_of_set, d);

	if (!error)
		error = add_border(d, o->mountpoint, "the mount itself");
	if (!error)
		error = add_journals(d);
	return error ? error : mountinfo_each(add_mount, d);
}

/* ---- the whole ---- */

static int open_rules(struct drop *d)
{
	int error = rules_file_load(d->set, NULL, &d->rules);

	if (!error)
		error = rules_seal(&d->rules);
	if (error) {
		log_error("%s/rules: nothing can be restored before they are "
			  "mended",
			  d->set->path);
		return error;
	}
	d->plan.rules = &d->rules;
	d->merges = rules_next(&d->rules, RULE_MERGE, NULL);
	d->busy_rule = rules_next(&d->rules, RULE_DELAY_BUSY, NULL);
	return d->busy_rule ? busy_new(&d->busy) : 0;
}

int drop_open(struct set *set, struct library *library,
	      const struct drop_options *o, struct drop **out)
{
	struct drop *d = calloc(1, sizeof(*d));
	int error;

	if (!d)
		return REEL_ENOMEM;
	d->set = set;
	d->library = library;
	d->strict = o->strict;
	d->area = d->note = -1;
	pthread_mutex_init(&d->turn, NULL);
	pthread_mutex_init(&d->lock, NULL);
	pthread_mutex_init(&d->catalogue, NULL);
	error = open_rules(d);
	if (!error)
		error = open_roots(d, o);
	if (!error)
		error = find_borders(d, o);
	if (!error)
		error = catalog_open_reader(set, &d->catalog);
	if (!error)
		error = drop_area_open(d);
	if (error)
		drop_close(d);
	else
		*out = d;
	return error;
}

static void say(void *context, const char *path, const struct drop_node *n)
{
	const struct drop *d = context;
	struct buffer reason = {0};

	if (n->owed)
		log_warning("%s: not handed over to the next boot; what there "
			    "is of it lies in %s/" DROP_AREA "/%s",
			    path, d->set->path, d->stamp);
	if (!drop_reason(n, &reason) && !buffer_append(&reason, "", 1))
		log_note("%s: %s: %s", path,
			 plan_action_name(n->verdict.action),
			 (char *)reason.data);
	buffer_release(&reason);
}

static void node_free(struct drop_node *n)
{
	while (n->files) {
		struct drop_file *f = n->files;

		n->files = f->next;
		close(f->fd);
		free(f);
	}
	free(n->last);
	free(n->name);
	free(n);
}

static void forget_all(struct drop *d)
{
	struct drop_node *n;

	for (size_t slot = 0; slot < d->room; slot++) {
		while ((n = d->table[slot])) {
			d->table[slot] = n->chain;
			node_free(n);
		}
	}
	while ((n = d->gone)) {
		d->gone = n->next;
		node_free(n);
	}
	free(d->table);
}

static void close_all(struct drop *d)
{
	for (size_t n = 0; n < d->root_count; n++) {
		free(d->roots[n].path);
		close(d->roots[n].fd);
	}
	for (size_t n = 0; n < d->border_count; n++)
		free(d->borders[n].path);
	free(d->roots);
	free(d->borders);
	if (d->area >= 0)
		close(d->area);
	if (d->note >= 0)
		close(d->note);
}

/* As reel restore does, see restore_system.c. */
static void note_system(struct drop *d)
{
	struct restore_options o = {.to = d->target};
	struct restore r = {.options = &o, .system = d->system};

	r.root =
		openat(d->roots[0].fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (r.root < 0)
		return;
	if (system_note(&r) == 1)
		log_note("%s: a new last-restore-id", d->target);
	close(r.root);
}

void drop_close(struct drop *d)
{
	if (!d)
		return;
	if (d->area >= 0) {
		drop_hand_over(d);
		note_system(d);
		drop_tell(d, say, d);
		drop_area_close(d);
	}
	forget_all(d);
	close_all(d);
	catalog_close(d->catalog);
	busy_free(d->busy);
	rules_release(&d->rules);
	free(d->made.table);
	free(d->linked.table);
	buffer_release(&d->names);
	pthread_mutex_destroy(&d->turn);
	pthread_mutex_destroy(&d->lock);
	pthread_mutex_destroy(&d->catalogue);
	free(d->target);
	free(d);
}

int drop_statfs(struct drop *d, struct statvfs *out)
{
	return fstatvfs(d->roots[0].fd, out) ? drop_failed() : 0;
}
