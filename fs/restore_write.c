/* One entry that is no directory.
 *
 * In a fresh place (P3) a file is made under its own name. Elsewhere whatever
 * stands there stays until the new one is complete: that is made under a
 * temporary name beside it (restore_temporary.c) and renamed over. */
#include "fs/restore_place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include "fs/name_alias.h"
#include "tape/error.h"

#define TEMPORARY_TRIES 64
#define LATER		"something in it goes at the next boot"

static void note_error(struct restore *r, int err)
{
	int none = 0;

	if (err == REEL_EDAMAGED || err == REEL_EMEDIUM)
		atomic_compare_exchange_strong(&r->error, &none, err);
}

/* ---- making one ---- */

/* The data again, from the disk where it can be asked to forget. */
static int verify(struct restore *r, int fd, const struct restore_entry *e)
{
	int same;

	if (!r->options->verify)
		return 0;
	if (fdatasync(fd))
		return error_from_errno(errno);
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	same = data_compare(r, fd, e);
	if (same == 0)
		return REEL_EIO;
	return same < 0 ? same : 0;
}

/* Over what is there, where that can be shared; a frame that is damaged is
 * left to data_fill, which may know a way. */
static int fill(struct restore *r, int fd, bool fresh, const struct place *p,
		const char *name, const struct restore_entry *e)
{
	uint64_t size = e->content.size, written = size;
	int err;

	if (fresh || !clones_base(r, fd, p, name, &e->content))
		return data_fill(r, fd, e);
	err = data_patch(r, fd, e, &written);
	if (err == REEL_EDAMAGED)
		return ftruncate(fd, 0) ? error_from_errno(errno)
					: data_fill(r, fd, e);
	if (!err && written < size) {
		atomic_fetch_add(&r->shared, 1);
		atomic_fetch_add(&r->shared_bytes, size - written);
	}
	return err;
}

/* Some filesystems (NFS, FUSE) say only when a file is closed that its data
 * found no room: it is asked before the file gets its name. */
static int settled(int fd)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);

	return copy < 0 || close(copy) ? error_from_errno(errno) : 0;
}

static int create_regular(struct restore *r, int directory, const char *at,
			  bool fresh, const struct place *p, const char *name,
			  const struct restore_entry *e, int *out)
{
	struct stat st;
	int fd, err;

	fd = openat(directory, at,
		    O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
		    RESTORE_UNFINISHED);
	if (fd < 0)
		return error_from_errno(errno);
	err = fill(r, fd, fresh, p, name, e);
	if (!err && !fresh && fstat(fd, &st))
		err = error_from_errno(errno);
	if (!err)
		err = verify(r, fd, e);
	if (!err)
		err = settled(fd);
	if (err) {
		close(fd);
		unlinkat(directory, at, 0);
		return err;
	}
	meta_apply(r, p, name, fd, e, fresh ? NULL : &st, RESTORE_UNFINISHED);
	*out = fd;
	return 0;
}

static int create_special(struct restore *r, int directory, const char *at,
			  bool fresh, const struct place *p, const char *name,
			  const struct restore_entry *e)
{
	const struct inode_row *i = &e->inode;
	dev_t device = makedev(i->major, i->minor);
	int err;

	if (S_ISLNK(i->mode))
		err = symlinkat(e->target, directory, at);
	else if (S_ISCHR(i->mode) || S_ISBLK(i->mode))
		err = mknodat(directory, at, (i->mode & S_IFMT) | 0600, device);
	else
		err = mknodat(directory, at, S_IFIFO | 0600, 0);
	if (err)
		return error_from_errno(errno);
	meta_apply_at(r, directory, at, fresh, p, name, e);
	return 0;
}

int write_create(struct restore *r, int directory, const char *at, bool fresh,
		 const struct place *p, const char *name,
		 const struct restore_entry *e, int *fd)
{
	*fd = -1;
	if (S_ISREG(e->inode.mode))
		return create_regular(r, directory, at, fresh, p, name, e, fd);
	return create_special(r, directory, at, fresh, p, name, e);
}

/* ---- putting it into its place ---- */

/* What was decided to be new must not meet anything: rules and options might
 * keep that, or it is another name's file (restore_alias.c). */
static bool is_guarded(const struct plan_verdict *v)
{
	return v->action == PLAN_NEW;
}

/* Where the filesystem cannot, at least not our own threads. */
static int rename_apart(struct restore *r, const struct place *p,
			const char *from, const char *name)
{
	int err = 0;

	pthread_mutex_lock(&r->naming);
	if (faccessat(p->fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		err = REEL_EEXIST;
	else if (renameat(p->fd, from, p->fd, name))
		err = error_from_errno(errno);
	pthread_mutex_unlock(&r->naming);
	return err;
}

static int rename_new(struct restore *r, const struct place *p,
		      const char *from, const char *name)
{
	if (renameat2(p->fd, from, p->fd, name, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return error_from_errno(errno);
	return rename_apart(r, p, from, name);
}

int write_over(struct restore *r, const struct place *p, const char *from,
	       const char *name, const struct plan_verdict *v)
{
	int err;

	if (is_guarded(v))
		return rename_new(r, p, from, name);
	if (renameat(p->fd, from, p->fd, name) == 0)
		return 0;
	if (errno != EISDIR)
		return error_from_errno(errno);
	err = r->options->delete ? sweep_clear(r, p, name, false) : 0;
	if (err)
		return err;
	if (unlinkat(p->fd, name, AT_REMOVEDIR) && errno != ENOENT)
		return errno == ENOTEMPTY ? REEL_EEXIST
					  : error_from_errno(errno);
	return renameat(p->fd, from, p->fd, name) ? error_from_errno(errno) : 0;
}

static int replace(struct restore *r, const struct place *p, const char *name,
		   const struct restore_entry *e, const struct plan_verdict *v,
		   int *fd)
{
	char temporary[TEMPORARY_ROOM];
	int err = REEL_EEXIST;

	for (int i = 0; i < TEMPORARY_TRIES && err == REEL_EEXIST; i++) {
		temporary_name(r, p, temporary);
		err = write_create(r, p->fd, temporary, false, p, name, e, fd);
	}
	if (err)
		return err;
	err = write_over(r, p, temporary, name, v);
	if (err)
		unlinkat(p->fd, temporary, 0);
	return err;
}

static const char *why(int err)
{
	switch (err) {
	case REEL_EDAMAGED:
		return "not restored: its data are damaged";
	case REEL_EMEDIUM:
		return "not restored: a medium is needed";
	case REEL_EEXIST:
		return "not restored: a directory with something in it is in "
		       "the way (--delete removes what no rule keeps)";
	default:
		return "not restored";
	}
}

static int errno_of(int err)
{
	return err == REEL_EDAMAGED || err == REEL_EMEDIUM || err == REEL_EEXIST
		       ? 0
		       : error_errno(err);
}

static void failed(struct restore *r, const struct place *p, const char *name,
		   const struct plan_verdict *v, int err)
{
	if (err == REEL_ESTOPPED) {
		atomic_store(&r->error, err);
		return;
	}
	if (err == REEL_EEXIST && is_guarded(v)) {
		alias_problem(r, p, name);
		return;
	}
	note_error(r, err);
	restore_problem(r, PROBLEM_OTHER, p, name, why(err), errno_of(err));
}

/* What remains to be done to a file that stands at its name. */
static void settle(struct restore *r, const struct place *p, const char *name,
		   int fd, const struct restore_entry *e, struct written *out)
{
	struct stat st;

	if (fd >= 0)
		clones_note(r, fd, p, name, e);
	if (out) {
		out->here = true;
		if (fd >= 0 ? fstat(fd, &st) == 0
			    : fstatat(p->fd, name, &st, AT_SYMLINK_NOFOLLOW) ==
				      0)
			out->inode = st.st_ino;
	}
	if (fd >= 0 && e->inode.nlink <= 1)
		meta_flags(r, p, name, fd, e);
	if (fd >= 0)
		close(fd);
}

static void make(struct restore *r, const struct place *p, const char *name,
		 const struct restore_entry *e, const struct plan_verdict *v,
		 struct written *out)
{
	int err, fd = -1;

	if (r->options->link_duplicates && clones_link(r, p, name, e, v)) {
		atomic_fetch_add(&r->files, 1);
		restore_touched(r, p, name);
		restore_tell(r, p, name, v);
		return;
	}
	if (p->fresh)
		err = write_create(r, p->fd, name, true, p, name, e, &fd);
	else
		err = replace(r, p, name, e, v, &fd);
	if (err) {
		if (fd >= 0)
			close(fd);
		failed(r, p, name, v, err);
		return;
	}
	settle(r, p, name, fd, e, out);
	atomic_fetch_add(&r->files, 1);
	restore_touched(r, p, name);
	restore_tell(r, p, name, v);
}

/* ---- what is there already ---- */

/* Its metadata are put right. False: it is another file by now. */
static bool put_right(struct restore *r, const struct place *p,
		      const char *name, const struct restore_entry *e,
		      const struct look *l, struct written *out)
{
	struct stat st;
	int fd;

	if (out)
		*out = (struct written){.here = true, .inode = l->st.st_ino};
	if (l->st.st_nlink > 1)
		return true;
	if (!S_ISREG(e->inode.mode)) {
		meta_apply_at(r, p->fd, name, false, p, name, e);
		return true;
	}
	fd = openat(p->fd, name,
		    O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st) || st.st_ino != l->st.st_ino ||
	    st.st_dev != l->st.st_dev || st.st_nlink > 1) {
		if (fd >= 0)
			close(fd);
		return false;
	}
	meta_apply(r, p, name, fd, e, &st, 0);
	clones_note(r, fd, p, name, e);
	if (e->inode.nlink <= 1)
		meta_flags(r, p, name, fd, e);
	close(fd);
	return true;
}

static bool restorable(struct restore *r, const struct place *p,
		       const char *name, const struct restore_entry *e)
{
	mode_t type = e->inode.mode & S_IFMT;
	const struct plan_verdict left = {.action = PLAN_EXCLUDED,
					  .why = "--no-devices"};

	if ((type == S_IFCHR || type == S_IFBLK) && r->options->no_devices) {
		restore_tell(r, p, name, &left);
		return false;
	}
	if (type == S_IFREG || type == S_IFCHR || type == S_IFBLK ||
	    type == S_IFIFO)
		return true;
	if (type == S_IFLNK && e->target)
		return true;
	restore_problem(r, PROBLEM_OTHER, p, name,
			"what it is cannot be restored", 0);
	return false;
}

/* 0, or why a directory that is in the way would stay there. */
static int rehearse_clear(struct restore *r, const struct place *p,
			  const char *name, bool delayed)
{
	if (r->options->delete)
		return sweep_clear(r, p, name, delayed);
	return sweep_is_full(p, name) ? REEL_EEXIST : 0;
}

static void rehearse(struct restore *r, const struct place *p, const char *name,
		     const struct plan_verdict *v, const struct look *l,
		     struct written *out)
{
	bool delayed = v->action == PLAN_DELAYED;
	int err = 0;

	if (S_ISDIR(l->subject.present))
		err = rehearse_clear(r, p, name, delayed);
	if (err) {
		failed(r, p, name, v, err);
		return;
	}
	if (out)
		out->here = true; /* no inode: a new one */
	if (!delayed)
		atomic_fetch_add(&r->files, 1);
	restore_tell(r, p, name, v);
}

/* A directory is in the way of which something goes at the next boot only. */
static void put_off(struct restore *r, const struct place *p, const char *name,
		    const struct look *l, struct plan_verdict *v)
{
	if (v->action == PLAN_CHANGED && S_ISDIR(l->subject.present) &&
	    r->options->delete &&(r->ruled || r->busy) &&
	    sweep_waits(r, p, name))
		*v = (struct plan_verdict){PLAN_DELAYED, r->busy_rule, LATER};
}

/* It was not there when the directory was listed. */
static bool is_taken(struct restore *r, const struct place *p, const char *name,
		     const struct restore_entry *e, const struct look *l)
{
	if (!l->subject.present || !e->unlisted || r->options->dry_run)
		return false;
	if (e->named && !name_aliased(p->fd, name))
		return false;
	alias_problem(r, p, name);
	return true;
}

static void write_held(struct restore *r, const struct place *p,
		       const char *name, const struct restore_entry *e,
		       struct written *out)
{
	struct plan_verdict v;
	struct look l;

	if (!restorable(r, p, name, e))
		return;
	look_at(r, p, name, e, &l);
	if (is_taken(r, p, name, e, &l))
		return;
	look_decide(r, p, name, &e->opinion, &l, &v);
	if (v.action == PLAN_KEPT || v.action == PLAN_EXCLUDED) {
		restore_tell(r, p, name, &v);
		return;
	}
	if (v.action == PLAN_SAME) {
		if (r->options->dry_run || v.why ||
		    put_right(r, p, name, e, &l, out)) {
			if (out)
				*out = (struct written){.here = true,
							.inode = l.st.st_ino};
			atomic_fetch_add(&r->same, 1);
			restore_tell(r, p, name, &v);
			return;
		}
		v.action = PLAN_CHANGED;
	}
	put_off(r, p, name, &l, &v);
	if (r->options->dry_run) {
		atomic_fetch_add(&r->bytes, e->inode.size);
		rehearse(r, p, name, &v, &l, out);
	} else if (v.action == PLAN_DELAYED) {
		stage_entry(r, p, name, e, &v, S_ISDIR(l.subject.present), out);
	} else {
		make(r, p, name, e, &v, out);
	}
}

void write_entry(struct restore *r, const struct place *p, const char *name,
		 const struct restore_entry *e, struct written *out)
{
	pthread_mutex_t *held = clones_hold(r, e);

	write_held(r, p, name, e, out);
	if (held)
		pthread_mutex_unlock(held);
}

/* ---- further names ---- */

/* The directory that holds `first`, and *name within it. */
static int open_first(struct restore *r, const char *first, const char **name)
{
	const char *slash = strrchr(first, '/');
	char *directory;
	int fd;

	*name = slash ? slash + 1 : first;
	directory = strndup(first, slash ? (size_t)(slash - first) : 0);
	if (!directory)
		return REEL_ENOMEM;
	fd = beneath_open(r->root, directory);
	free(directory);
	return fd;
}

static int link_at(int directory, const char *from, ino_t inode, int to,
		   const char *name)
{
	struct stat st;

	if (linkat(directory, from, to, name, 0))
		return error_from_errno(errno);
	if (fstatat(to, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    st.st_ino == inode)
		return 0;
	unlinkat(to, name, 0);
	return REEL_ENOENT;
}

int write_link_over(struct restore *r, int directory, const char *from,
		    ino_t inode, const struct place *p, const char *name,
		    const struct plan_verdict *v)
{
	char temporary[TEMPORARY_ROOM];
	int err = REEL_EEXIST;

	if (v->action == PLAN_NEW)
		err = link_at(directory, from, inode, p->fd, name);
	if (err != REEL_EEXIST || is_guarded(v))
		return err;
	for (int i = 0; i < TEMPORARY_TRIES && err == REEL_EEXIST; i++) {
		temporary_name(r, p, temporary);
		err = link_at(directory, from, inode, p->fd, temporary);
	}
	if (err)
		return err;
	err = write_over(r, p, temporary, name, v);
	unlinkat(p->fd, temporary, 0);
	return err;
}

static void link_now(struct restore *r, const struct place *p, const char *name,
		     const char *first, ino_t inode,
		     const struct restore_entry *e,
		     const struct plan_verdict *v)
{
	const char *from;
	int fd = open_first(r, first, &from), err = fd;

	if (fd >= 0) {
		err = write_link_over(r, fd, from, inode, p, name, v);
		close(fd);
	}
	if (!err) {
		atomic_fetch_add(&r->files, 1);
		restore_touched(r, p, name);
		restore_tell(r, p, name, v);
		return;
	}
	if (err == REEL_EEXIST) {
		failed(r, p, name, v, err);
		return;
	}
	restore_problem(r, PROBLEM_OTHER, p, name,
			"restored as a file of its own, not as a hard link",
			error_errno(err));
	write_entry(r, p, name, e, NULL);
}

void write_link(struct restore *r, const struct place *p, const char *name,
		const char *first, ino_t inode, const struct restore_entry *e)
{
	struct plan_verdict v;
	struct look l;

	if (!restorable(r, p, name, e))
		return;
	look_at(r, p, name, e, &l);
	if (is_taken(r, p, name, e, &l))
		return;
	l.subject.same = l.subject.present && l.st.st_ino == inode;
	look_decide(r, p, name, &e->opinion, &l, &v);
	put_off(r, p, name, &l, &v);
	if (v.action == PLAN_SAME)
		atomic_fetch_add(&r->same, 1);
	if (v.action == PLAN_KEPT || v.action == PLAN_EXCLUDED ||
	    v.action == PLAN_SAME)
		restore_tell(r, p, name, &v);
	else if (r->options->dry_run)
		rehearse(r, p, name, &v, &l, NULL);
	else if (v.action == PLAN_DELAYED)
		stage_link(r, p, name, first, inode, e, &v,
			   S_ISDIR(l.subject.present));
	else
		link_now(r, p, name, first, inode, e, &v);
}
