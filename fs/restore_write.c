/* One entry that is no directory.
 *
 * In a directory that this run made, a file is created under its own name.
 * Elsewhere whatever stands there stays until the new one is complete: it is
 * made as .reel-tmp-XXXXXXXX beside it and renamed over. A file of the same
 * size and mtime counts as the same; only its metadata is put right. */
#include "fs/restore_place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include "fs/salvage.h"
#include "tape/error.h"

#define TEMPORARY	".reel-tmp-"
#define TEMPORARY_TRIES 64

struct temporary {
	char name[32];
};

static void make_name(struct temporary *t)
{
	uint32_t x = 0;

	if (getrandom(&x, sizeof(x), 0) != sizeof(x))
		x = (uint32_t)(uintptr_t)t ^ (uint32_t)clock();
	snprintf(t->name, sizeof(t->name), TEMPORARY "%08x", x);
}

static void note_error(struct restore *r, int err)
{
	int none = 0;

	if (err == REEL_EDAMAGED || err == REEL_EMEDIUM || err == REEL_ENOSPC)
		atomic_compare_exchange_strong(&r->error, &none, err);
}

/* Byte for byte, past a frame's failed checksum. */
static int pour_salvaged(int fd, struct salvage *s, const struct content_row *c,
			 uint64_t from, uint64_t length, uint64_t at)
{
	uint8_t block[65536];

	while (length) {
		size_t n =
			length < sizeof(block) ? (size_t)length : sizeof(block);
		int err = salvage_read(s, c, from, block, n);

		if (!err)
			err = restore_write_all(fd, block, n, at);
		if (err)
			return err;
		from += n;
		at += n;
		length -= n;
	}
	return 0;
}

static int fill_salvaged(struct restore *r, int fd, const struct content_row *c)
{
	uint64_t from = c->map_bytes;
	struct salvage *s;
	int err = salvage_open(r->set, &s);

	if (err)
		return err;
	err = salvage_check(s, c);
	if (!err && !c->sparse)
		err = pour_salvaged(fd, s, c, 0, c->size, 0);
	for (size_t i = 0; i < c->run_count && c->sparse && !err; i++) {
		err = pour_salvaged(fd, s, c, from, c->runs[i].length,
				    c->runs[i].offset);
		from += c->runs[i].length;
	}
	salvage_close(s);
	return err;
}

static int fill_sparse(struct restore *r, int fd, const struct content_row *c)
{
	uint64_t offset = c->offset + c->map_bytes;

	if (ftruncate(fd, (off_t)c->size))
		return error_from_errno(errno);
	for (size_t i = 0; i < c->run_count; i++) {
		const struct sparse_run *run = &c->runs[i];
		int err;

		if (run->offset > c->size ||
		    run->length > c->size - run->offset)
			return REEL_EDAMAGED;
		err = restore_pour(r, fd, c->session, offset, run->length,
				   run->offset);
		if (err)
			return err;
		offset += run->length;
	}
	return 0;
}

static int fill(struct restore *r, int fd, const struct restore_entry *e)
{
	const struct content_row *c = &e->content;
	int err;

	if (e->inode.size == 0)
		return 0;
	if (!e->inode.content || c->size != e->inode.size)
		return REEL_EDAMAGED;
	if (clones_try(r, fd, c))
		return 0;
	if (c->sparse)
		err = fill_sparse(r, fd, c);
	else
		err = restore_pour(r, fd, c->session, c->offset, c->size, 0);
	if (err == REEL_EDAMAGED &&
	    r->set->config.compression == COMPRESSION_NONE)
		err = fill_salvaged(r, fd, c);
	return err;
}

/* The mode to create with, so that most files need no chmod, and no others'
 * secrets lie open before chown. */
static mode_t first_mode(const struct restore *r, const struct place *p,
			 const struct inode_row *i)
{
	mode_t mode = i->mode & 0777;

	if (i->uid != r->uid || i->gid != p->gid)
		mode &= 0700;
	return mode & ~r->umask;
}

static int create_regular(struct restore *r, const struct place *p,
			  const char *name, const struct restore_entry *e,
			  const char *shown)
{
	mode_t mode = first_mode(r, p, &e->inode);
	struct stat st;
	int err = 0;
	int fd;

	fd = openat(p->fd, name,
		    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
	if (fd < 0)
		return error_from_errno(errno);
	err = fill(r, fd, e);
	if (!err && !p->fresh && fstat(fd, &st))
		err = error_from_errno(errno);
	if (err) {
		close(fd);
		unlinkat(p->fd, name, 0);
		return err;
	}
	meta_apply(r, p, shown, fd, e, p->fresh ? NULL : &st, mode);
	clones_note(r, fd, p, shown, &e->content);
	if (close(fd)) {
		err = error_from_errno(errno);
		unlinkat(p->fd, name, 0);
	}
	return err;
}

static int create_special(struct restore *r, const struct place *p,
			  const char *name, const struct restore_entry *e)
{
	const struct inode_row *i = &e->inode;
	dev_t device = makedev(i->major, i->minor);
	int err;

	if (S_ISLNK(i->mode))
		err = symlinkat(e->target, p->fd, name);
	else if (S_ISCHR(i->mode) || S_ISBLK(i->mode))
		err = mknodat(p->fd, name, (i->mode & S_IFMT) | 0600, device);
	else
		err = mknodat(p->fd, name, S_IFIFO | 0600, 0);
	if (err)
		return error_from_errno(errno);
	meta_apply_at(r, p, name, e);
	return 0;
}

static int create(struct restore *r, const struct place *p, const char *name,
		  const struct restore_entry *e, const char *shown)
{
	if (S_ISREG(e->inode.mode))
		return create_regular(r, p, name, e, shown);
	return create_special(r, p, name, e);
}

/* Over what stands there; an empty directory gives way, a full one does not. */
static int rename_over(const struct place *p, const char *from, const char *to)
{
	if (renameat(p->fd, from, p->fd, to) == 0)
		return 0;
	if (errno == EISDIR && unlinkat(p->fd, to, AT_REMOVEDIR) == 0 &&
	    renameat(p->fd, from, p->fd, to) == 0)
		return 0;
	return errno == ENOTEMPTY ? REEL_EEXIST : error_from_errno(errno);
}

static int replace(struct restore *r, const struct place *p, const char *name,
		   const struct restore_entry *e)
{
	struct temporary t;
	int err = REEL_EEXIST;

	for (int i = 0; i < TEMPORARY_TRIES && err == REEL_EEXIST; i++) {
		make_name(&t);
		err = create(r, p, t.name, e, name);
	}
	if (err)
		return err;
	err = rename_over(p, t.name, name);
	if (err)
		unlinkat(p->fd, t.name, 0);
	return err;
}

static bool same_text(const struct place *p, const char *name,
		      const struct restore_entry *e)
{
	size_t length = e->inode.target_length;
	char *text = malloc(length + 1);
	bool same;

	if (!text)
		return false;
	same = readlinkat(p->fd, name, text, length + 1) == (ssize_t)length &&
	       memcmp(text, e->target, length) == 0;
	free(text);
	return same;
}

static bool same_kind(const struct place *p, const char *name,
		      const struct restore_entry *e, const struct stat *st)
{
	const struct inode_row *i = &e->inode;
	struct timespec mtime = meta_time(i->mtime);

	if ((st->st_mode & S_IFMT) != (i->mode & S_IFMT))
		return false;
	if (S_ISREG(i->mode))
		return (uint64_t)st->st_size == i->size &&
		       st->st_mtim.tv_sec == mtime.tv_sec &&
		       st->st_mtim.tv_nsec == mtime.tv_nsec &&
		       (i->nlink > 1 || st->st_nlink == 1);
	if (S_ISLNK(i->mode))
		return same_text(p, name, e);
	return !(S_ISCHR(i->mode) || S_ISBLK(i->mode)) ||
	       st->st_rdev == makedev(i->major, i->minor);
}

/* True when it was there already; its metadata are put right then. */
static bool was_there(struct restore *r, const struct place *p,
		      const char *name, const struct restore_entry *e)
{
	struct stat st;
	int fd;

	if (p->fd < 0 || fstatat(p->fd, name, &st, AT_SYMLINK_NOFOLLOW) ||
	    !same_kind(p, name, e, &st))
		return false;
	if (r->options->dry_run)
		return true;
	if (!S_ISREG(e->inode.mode)) {
		meta_apply_at(r, p, name, e);
		return true;
	}
	fd = openat(p->fd, name,
		    O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return false;
	if (fstat(fd, &st) || !same_kind(p, name, e, &st)) {
		close(fd);
		return false;
	}
	meta_apply(r, p, name, fd, e, &st, 0);
	close(fd);
	return true;
}

static bool restorable(struct restore *r, const struct place *p,
		       const char *name, const struct restore_entry *e)
{
	mode_t type = e->inode.mode & S_IFMT;

	if (type == S_IFREG || type == S_IFCHR || type == S_IFBLK ||
	    type == S_IFIFO)
		return true;
	if (type == S_IFLNK && e->target)
		return true;
	restore_problem(r, PROBLEM_OTHER, p, name,
			"what it is cannot be restored", 0);
	return false;
}

static const char *why(int err)
{
	if (err == REEL_EDAMAGED)
		return "not restored: its data are damaged";
	if (err == REEL_EMEDIUM)
		return "not restored: a medium is needed";
	return "not restored";
}

static int errno_of(int err)
{
	return err == REEL_EDAMAGED || err == REEL_EMEDIUM ? 0
							   : error_errno(err);
}

void write_entry(struct restore *r, const struct place *p, const char *name,
		 const struct restore_entry *e)
{
	int err = REEL_EEXIST;

	if (!restorable(r, p, name, e))
		return;
	if (!p->fresh && was_there(r, p, name, e)) {
		atomic_fetch_add(&r->same, 1);
		if (e->inode.nlink <= 1 && !r->options->dry_run)
			meta_flags_at(r, p, name, e);
		return;
	}
	if (!r->options->dry_run) {
		if (p->fresh)
			err = create(r, p, name, e, name);
		if (err == REEL_EEXIST)
			err = replace(r, p, name, e);
		if (err == REEL_ESTOPPED)
			return;
		if (err) {
			note_error(r, err);
			restore_problem(r, PROBLEM_OTHER, p, name, why(err),
					errno_of(err));
			return;
		}
		if (e->inode.nlink <= 1)
			meta_flags_at(r, p, name, e);
	}
	atomic_fetch_add(&r->files, 1);
}

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

static int link_over(int fd, const char *from, const struct place *p,
		     const char *name)
{
	struct temporary t;
	int err = REEL_EEXIST;

	if (linkat(fd, from, p->fd, name, 0) == 0)
		return 0;
	if (errno != EEXIST)
		return error_from_errno(errno);
	for (int i = 0; i < TEMPORARY_TRIES && err == REEL_EEXIST; i++) {
		make_name(&t);
		err = linkat(fd, from, p->fd, t.name, 0)
			      ? error_from_errno(errno)
			      : 0;
	}
	if (err)
		return err;
	err = rename_over(p, t.name, name);
	unlinkat(p->fd, t.name, 0);
	return err;
}

/* When it cannot be linked it is at least written. */
void write_link(struct restore *r, const struct place *p, const char *name,
		const char *first, const struct restore_entry *e)
{
	struct stat a, b;
	const char *from;
	int fd, err;

	if (r->options->dry_run) {
		write_entry(r, p, name, e);
		return;
	}
	fd = open_first(r, first, &from);
	if (fd < 0) {
		err = fd;
	} else if (!p->fresh &&
		   fstatat(fd, from, &a, AT_SYMLINK_NOFOLLOW) == 0 &&
		   fstatat(p->fd, name, &b, AT_SYMLINK_NOFOLLOW) == 0 &&
		   a.st_dev == b.st_dev && a.st_ino == b.st_ino) {
		close(fd);
		atomic_fetch_add(&r->same, 1);
		return;
	} else {
		err = link_over(fd, from, p, name);
		close(fd);
	}
	if (!err) {
		atomic_fetch_add(&r->files, 1);
		return;
	}
	restore_problem(r, PROBLEM_OTHER, p, name,
			"restored as a file of its own, not as a hard link",
			error_errno(err));
	write_entry(r, p, name, e);
}
