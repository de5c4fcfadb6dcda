/* What is done at the next boot: written now, beside the journal of delayed
 * operations, with everything that belongs to it. */
#include "fs/restore_place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "fs/name_alias.h"
#include "tape/error.h"

static void failed(struct restore *r, const struct place *p, const char *name,
		   int err)
{
	if (err == REEL_ESTOPPED) {
		atomic_store(&r->error, err);
		return;
	}
	restore_problem(r, PROBLEM_OTHER, p, name,
			err == REEL_EEXIST
				? "not delayed: a directory with something in "
				  "it is in the way (--delete removes what no "
				  "rule keeps)"
				: "cannot be delayed; left as it is",
			err == REEL_EEXIST ? 0 : error_errno(err));
}

/* Where it will go. What stands there and has another name in the list is, as
 * the walk has seen, the same name to the target: at boot a name that is not
 * listed is refused, so it goes by the listed one. NULL: no memory. */
static char *path_to(const struct place *p, const char *name)
{
	char other[TREE_NAME_LIMIT + 1];

	if (p->fd >= 0 && name_aliased(p->fd, name) &&
	    alias_find(p->fd, name, other))
		return place_path(p, other);
	return place_path(p, name);
}

/* A directory goes first, at the next boot, too. */
static int clear(struct restore *r, const struct place *p, const char *name)
{
	int err;

	if (!r->options->delete &&sweep_is_full(p, name))
		return REEL_EEXIST;
	err = sweep_clear(r, p, name, true);
	if (!err) {
		char *path = place_path(p, name);

		err = path ? delay_delete(r->delay, path) : REEL_ENOMEM;
		free(path);
	}
	return err;
}

/* Where a staged file stands, below the target. */
static char *staged_path(struct restore *r, const struct delayed_stage *s)
{
	char link[64], path[4096], root[4096];
	ssize_t n, m;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", s->directory);
	n = readlink(link, path, sizeof(path) - 1);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", r->root);
	m = readlink(link, root, sizeof(root) - 1);
	if (n <= 0 || m <= 0)
		return NULL;
	path[n] = root[m] = '\0';
	if (m == 1)
		m = 0;
	if (strncmp(path, root, (size_t)m) || path[m] != '/')
		return NULL;
	snprintf(root, sizeof(root), "%s", path + m + 1);
	n = (ssize_t)strlen(root);
	if ((size_t)n + strlen(s->name) + 2 > sizeof(root))
		return NULL;
	root[n] = '/';
	strcpy(root + n + 1, s->name);
	return strdup(root);
}

/* Ends what was staged, well or not; takes over *s. */
static int record(struct restore *r, struct delayed_stage *s, const char *path,
		  uint32_t flags, int err, char **staged)
{
	if (err) {
		delay_unstage(r->delay, s);
		return err;
	}
	if (staged)
		*staged = staged_path(r, s);
	err = delay_move(r->delay, s, path, flags);
	if (err && staged) {
		free(*staged);
		*staged = NULL;
	}
	return err;
}

static int stage_file(struct restore *r, const struct place *p,
		      const char *name, const struct restore_entry *e,
		      const char *path, struct written *out)
{
	struct delayed_stage s;
	struct stat st;
	int fd, err;

	err = delay_stage(r->delay, path, &s);
	if (err)
		return err;
	err = write_create(r, s.directory, s.name, false, p, name, e, &fd);
	if (fd >= 0)
		close(fd);
	if (!err && out &&
	    fstatat(s.directory, s.name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		out->inode = st.st_ino;
	return record(r, &s, path, meta_flags_wanted(e), err,
		      out ? &out->staged : NULL);
}

void stage_entry(struct restore *r, const struct place *p, const char *name,
		 const struct restore_entry *e, struct plan_verdict *v,
		 bool obstructed, struct written *out)
{
	char *path = path_to(p, name);
	int err = path ? 0 : REEL_ENOMEM;

	if (!err && obstructed)
		err = clear(r, p, name);
	if (!err)
		err = stage_file(r, p, name, e, path, out);
	if (err) {
		failed(r, p, name, err);
	} else {
		restore_touched(r, p, name);
		restore_tell(r, p, name, v);
	}
	free(path);
}

static int link_staged(struct restore *r, const char *first, ino_t inode,
		       const char *path)
{
	struct delayed_stage s;
	const char *from;
	struct stat st;
	int fd, err;

	fd = beneath_parent(r->root, first, &from);
	if (fd < 0)
		return fd;
	err = delay_stage(r->delay, path, &s);
	if (err) {
		close(fd);
		return err;
	}
	if (linkat(fd, from, s.directory, s.name, 0) ||
	    fstatat(s.directory, s.name, &st, AT_SYMLINK_NOFOLLOW))
		err = error_from_errno(errno);
	else if (st.st_ino != inode)
		err = REEL_ENOENT;
	close(fd);
	return record(r, &s, path, 0, err, NULL);
}

void stage_link(struct restore *r, const struct place *p, const char *name,
		const char *first, ino_t inode, const struct restore_entry *e,
		struct plan_verdict *v, bool obstructed)
{
	char *path = path_to(p, name);
	int err = path ? 0 : REEL_ENOMEM;

	if (!err && obstructed)
		err = clear(r, p, name);
	if (!err)
		err = link_staged(r, first, inode, path);
	if (!err) {
		restore_touched(r, p, name);
		restore_tell(r, p, name, v);
	} else if (err == REEL_EEXIST || err == REEL_ENOMEM) {
		failed(r, p, name, err);
	} else {
		restore_problem(r, PROBLEM_OTHER, p, name,
				"delayed as a file of its own, not as a hard "
				"link",
				error_errno(err));
		stage_entry(r, p, name, e, v, false, NULL);
	}
	free(path);
}

static int make_staged(struct restore *r, const struct place *p,
		       const char *name, const struct restore_entry *e,
		       const struct delayed_stage *s)
{
	struct stat st;
	int fd;

	if (mkdirat(s->directory, s->name, 0700))
		return error_from_errno(errno);
	fd = openat(s->directory, s->name,
		    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return error_from_errno(errno);
	if (fstat(fd, &st) == 0)
		meta_apply(r, p, name, fd, e, &st, 0);
	close(fd);
	return 0;
}

int stage_directory(struct restore *r, const struct place *p, const char *name,
		    const struct restore_entry *e)
{
	char *path = path_to(p, name);
	struct delayed_stage s;
	int err;

	if (!path)
		return REEL_ENOMEM;
	err = delay_stage(r->delay, path, &s);
	if (!err) {
		err = make_staged(r, p, name, e, &s);
		err = record(r, &s, path, meta_flags_wanted(e), err, NULL);
	}
	free(path);
	return err;
}
