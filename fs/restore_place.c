#include "fs/restore_place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/xattr.h>
#include <unistd.h>
#include "tape/error.h"

#define DIRECTORY_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

#define DESCRIPTORS 16384 /* that we ask for */
#define FEWEST	    256	  /* fewer are not shared out */
#define OTHERS	    96	  /* for the catalogue and volumes */
#define AT_WORK	    2	  /* files of a thread */
#define ROOM_LEAST  64
#define WALK	    256

void restore_entry_release(struct restore_entry *e)
{
	free(e->target);
	free(e->xattrs);
	content_row_release(&e->content);
	memset(e, 0, sizeof(*e));
}

bool place_name_valid(const char *name, size_t length)
{
	return beneath_name_valid(name, length);
}

void place_budget(int threads, struct place_budget *out)
{
	const rlim_t others = OTHERS + AT_WORK * (rlim_t)threads;
	struct rlimit limit;
	rlim_t room = FEWEST;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		room = limit.rlim_cur;
		if (room < DESCRIPTORS) {
			limit.rlim_cur = limit.rlim_max < DESCRIPTORS
						 ? limit.rlim_max
						 : DESCRIPTORS;
			if (setrlimit(RLIMIT_NOFILE, &limit) == 0)
				room = limit.rlim_cur;
		}
	}
	if (room > DESCRIPTORS)
		room = DESCRIPTORS;
	if (room < FEWEST)
		room = FEWEST;
	room = room > others + ROOM_LEAST ? room - others : ROOM_LEAST;
	out->all = (unsigned)room;
	out->walk = room / 3 < WALK ? (unsigned)room / 3 : WALK;
	out->reopened = out->walk / 2;
	out->window = (unsigned)(room - out->walk) / 2;
}

static int place_new(struct place *up, const char *name, size_t length,
		     struct place **out)
{
	struct place *p = calloc(1, sizeof(*p) + length + 1);

	if (!p)
		return REEL_ENOMEM;
	memcpy(p->name, name, length);
	p->name_length = length;
	p->up = up;
	p->depth = up ? up->depth + 1 : 0;
	p->fd = -1;
	atomic_init(&p->refs, 1);
	*out = p;
	return 0;
}

/* What new names in the directory inherit, and whether it is fresh (P3): on
 * filesystems without modes and owners none is. */
static void learn(struct restore *r, struct place *p)
{
	struct stat st;

	p->gid = r->gid;
	if (fstat(p->fd, &st)) {
		p->fresh = false;
		return;
	}
	p->inode = st.st_ino;
	p->fresh =
		p->fresh && st.st_uid == r->uid && (st.st_mode & 0777) == 0700;
	if ((st.st_mode & S_ISGID) || (p->fresh && st.st_gid != r->gid))
		p->gid = st.st_gid;
	p->acl = fgetxattr(p->fd, "system.posix_acl_default", NULL, 0) > 0;
	if (p->acl && p->fresh) {
		fremovexattr(p->fd, "system.posix_acl_default");
		fremovexattr(p->fd, "system.posix_acl_access");
		p->acl = false;
	}
}

int place_root(struct restore *r, int fd, bool fresh, struct restore_entry *e,
	       struct place **out)
{
	struct place *p;
	int err = place_new(NULL, "", 0, &p);

	if (err)
		return err;
	p->fd = fd;
	p->fresh = fresh;
	p->node = TREE_ROOT;
	atomic_fetch_add(&r->places, fd >= 0);
	if (fd >= 0)
		learn(r, p);
	p->entry = *e;
	memset(e, 0, sizeof(*e));
	*out = p;
	return 0;
}

/* Another user's directory stays as it is; our own is opened to ourselves
 * until its metadata are set. */
static int unlock(struct restore *r, int up, const char *name, int fd)
{
	struct stat st;

	if (r->uid == 0 || fstatat(up, name, &st, AT_SYMLINK_NOFOLLOW) ||
	    !S_ISDIR(st.st_mode) || st.st_uid != r->uid ||
	    (st.st_mode & S_IRWXU) == S_IRWXU)
		return fd;
	if (fchmodat(up, name, (st.st_mode & 07777) | S_IRWXU,
		     AT_SYMLINK_NOFOLLOW))
		return fd;
	return fd >= 0 ? fd : openat(up, name, DIRECTORY_FLAGS);
}

static int open_directory(struct restore *r, struct place *p)
{
	int up = p->up->fd;

	p->fd = openat(up, p->name, DIRECTORY_FLAGS);
	if (p->fd >= 0 || errno == EACCES)
		p->fd = unlock(r, up, p->name, p->fd);
	if (p->fd < 0)
		return error_from_errno(errno);
	return 0;
}

static int make_directory(struct place *p, bool replace)
{
	const mode_t mode = RESTORE_UNFINISHED_DIRECTORY;
	int up = p->up->fd;

	if (replace && unlinkat(up, p->name, 0) && errno != ENOENT)
		return error_from_errno(errno);
	if (mkdirat(up, p->name, mode))
		return error_from_errno(errno);
	p->fresh = true;
	p->fd = openat(up, p->name, DIRECTORY_FLAGS);
	return p->fd < 0 ? error_from_errno(errno) : 0;
}

/* In a dry run: what there is of it. */
static void peep(struct place *p)
{
	if (p->up->fd >= 0)
		p->fd = openat(p->up->fd, p->name, DIRECTORY_FLAGS);
	p->fresh = p->fd < 0;
}

int place_enter(struct restore *r, struct place *up, const char *name,
		size_t length, enum place_way way, struct restore_entry *e,
		struct place **out)
{
	struct place *p;
	int err = place_new(up, name, length, &p);

	if (err)
		return err;
	p->delayed = way == PLACE_DELAY;
	p->lost = way == PLACE_LOST;
	if (p->lost)
		err = 0;
	else if (r->options->dry_run)
		peep(p);
	else if (way == PLACE_OPEN)
		err = open_directory(r, p);
	else if (way == PLACE_MAKE || way == PLACE_REPLACE)
		err = make_directory(p, way == PLACE_REPLACE);
	if (err) {
		free(p);
		return err;
	}
	atomic_fetch_add(&r->places, p->fd >= 0);
	if (p->fd >= 0 && !r->options->dry_run)
		learn(r, p);
	p->system =
		up->system || (!up->up && system_name(p->name, p->name_length));
	p->adorn = !p->lost;
	p->entry = *e;
	memset(e, 0, sizeof(*e));
	place_get(up);
	*out = p;
	return 0;
}

struct place *place_get(struct place *p)
{
	atomic_fetch_add(&p->refs, 1);
	return p;
}

static void close_place(struct restore *r, struct place *p)
{
	if (p->fd < 0)
		return;
	close(p->fd);
	p->fd = -1;
	atomic_fetch_sub(&r->places, 1);
}

static void finish(struct restore *r, struct place *p)
{
	struct stat st;

	if (p->adorn && !r->options->dry_run && p->fd >= 0) {
		if (fstat(p->fd, &st) == 0)
			meta_apply(r, p, NULL, p->fd, &p->entry, &st, 0);
		else
			restore_problem(r, PROBLEM_OTHER, p, NULL,
					"cannot be looked at", errno);
		meta_flags(r, p, NULL, p->fd, &p->entry);
	}
	close_place(r, p);
	restore_entry_release(&p->entry);
	free(p);
}

void place_put(struct restore *r, struct place *p)
{
	while (p && atomic_fetch_sub(&p->refs, 1) == 1) {
		struct place *up = p->up;

		finish(r, p);
		p = up;
	}
}

void place_shut(struct restore *r, struct place *p)
{
	if (p->up)
		close_place(r, p);
}

/* From the nearest open ancestor down. */
int place_reopen(struct restore *r, struct place *p)
{
	struct place *open = p;

	p->down = NULL;
	for (; open->fd < 0; open = open->up) {
		if (!open->up)
			return REEL_ENOENT;
		open->up->down = open;
	}
	for (struct place *q = open->down; p->fd < 0; q = q->down) {
		q->fd = openat(q->up->fd, q->name, DIRECTORY_FLAGS);
		int err = q->fd < 0 ? error_from_errno(errno) : 0;

		atomic_fetch_add(&r->places, !err);
		if (q->up != open &&
		    (err || q->up->depth + r->open.reopened < p->depth))
			place_shut(r, q->up);
		if (err)
			return err;
	}
	return 0;
}

static size_t path_put(char *to, size_t end, const char *name, size_t length)
{
	memcpy(to + end - length, name, length);
	return end - length;
}

char *place_path(const struct place *p, const char *name)
{
	size_t length = name ? strlen(name) : 0;
	size_t total = length;
	char *path;

	for (const struct place *q = p; q && q->up; q = q->up)
		total += q->name_length + 1;
	path = malloc(total + 1);
	if (!path)
		return NULL;
	path[total] = '\0';
	if (name)
		total = path_put(path, total, name, length);
	for (const struct place *q = p; q && q->up; q = q->up) {
		path[--total] = '/';
		total = path_put(path, total, q->name, q->name_length);
	}
	if (!name && (length = strlen(path)) > 0)
		path[length - 1] = '\0';
	return path;
}
