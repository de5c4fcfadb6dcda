/* Order: owner, mode, xattrs and ACLs, times, flags. chown clears suid and
 * capabilities, an ACL sets the group bits of the mode, any change moves
 * ctime but only data move mtime, and flags forbid everything else. */
#include "fs/restore_place.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/xattr.h>
#include <unistd.h>
#include "tape/error.h"
#include "tape/xattrs.h"

#define NS 1000000000

struct timespec meta_time(int64_t ns)
{
	int64_t s = ns / NS, rest = ns % NS;

	if (rest < 0) {
		rest += NS;
		s--;
	}
	return (struct timespec){.tv_sec = s, .tv_nsec = rest};
}

static void times_of(const struct inode_row *i, struct timespec t[2])
{
	t[0] = (struct timespec){.tv_nsec = UTIME_OMIT};
	if (i->has_atime)
		t[0] = meta_time(i->atime);
	t[1] = meta_time(i->mtime);
}

static bool same_time(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static bool same_times(const struct stat *now, const struct inode_row *i,
		       const struct timespec t[2])
{
	return same_time(now->st_mtim, t[1]) &&
	       (!i->has_atime || same_time(now->st_atim, t[0]));
}

/* Without suid and sgid when the owner could not be set. */
static mode_t give(struct restore *r, const struct place *p, const char *name,
		   int fd, const struct inode_row *i)
{
	mode_t mode = i->mode & 07777;

	if (fchown(fd, i->uid, i->gid) == 0)
		return mode;
	restore_problem(r, PROBLEM_OWNER, p, name, "owner cannot be set",
			errno);
	if (fchown(fd, (uid_t)-1, i->gid) == 0)
		return mode & ~(mode_t)S_ISUID;
	return mode & ~(mode_t)(S_ISUID | S_ISGID);
}

static bool in_set(const struct restore_entry *e, const char *name)
{
	struct xattr x;

	return xattr_find(e->xattrs, e->xattrs_length, name, strlen(name),
			  &x) == 1;
}

/* Removes what the snapshot does not have, of the namespaces we may. */
static void strip(int fd, const struct restore_entry *e)
{
	ssize_t length = flistxattr(fd, NULL, 0);
	char *names;

	if (length <= 0)
		return;
	names = malloc((size_t)length);
	if (!names)
		return;
	length = flistxattr(fd, names, (size_t)length);
	for (ssize_t at = 0; at < length; at += (ssize_t)strlen(names + at) + 1)
		if (!in_set(e, names + at) &&
		    strcmp(names + at, "security.selinux") != 0)
			fremovexattr(fd, names + at);
	free(names);
}

static bool has_already(int fd, const char *name, const struct xattr *x)
{
	uint8_t *value;
	bool same;

	value = malloc(x->value_length + 1u);
	if (!value)
		return false;
	same = fgetxattr(fd, name, value, x->value_length + 1u) ==
		       (ssize_t)x->value_length &&
	       memcmp(value, x->value, x->value_length) == 0;
	free(value);
	return same;
}

/* path: for what has no descriptor. */
static void set_xattrs(struct restore *r, const struct place *p,
		       const char *name, int fd, const char *path,
		       const struct restore_entry *e, bool compare)
{
	struct xattr_cursor c = xattr_cursor(e->xattrs, e->xattrs_length);
	char key[XATTR_NAME_LIMIT + 1];
	struct xattr x;
	int more, err;

	while ((more = xattr_next(&c, &x)) == 1) {
		if (x.name_length > XATTR_NAME_LIMIT ||
		    memchr(x.name, '\0', x.name_length)) {
			more = REEL_EDAMAGED;
			break;
		}
		memcpy(key, x.name, x.name_length);
		key[x.name_length] = '\0';
		if (compare && has_already(fd, key, &x))
			continue;
		if (path)
			err = lsetxattr(path, key, x.value, x.value_length, 0);
		else
			err = fsetxattr(fd, key, x.value, x.value_length, 0);
		if (err) {
			char what[XATTR_NAME_LIMIT + 64];

			err = errno;
			snprintf(what, sizeof(what),
				 "attribute %s cannot be set", key);
			restore_problem(r, PROBLEM_XATTR, p, name, what, err);
		}
	}
	if (more < 0)
		restore_problem(r, PROBLEM_OTHER, p, name,
				"extended attributes are damaged", 0);
}

void meta_flags(struct restore *r, const struct place *p, const char *name,
		int fd, const struct restore_entry *e)
{
	const unsigned known = FS_IMMUTABLE_FL | FS_APPEND_FL | FS_NODUMP_FL;
	unsigned want = 0;
	int flags = 0;

	if (e->inode.flags & INODE_IMMUTABLE)
		want |= FS_IMMUTABLE_FL;
	if (e->inode.flags & INODE_APPEND)
		want |= FS_APPEND_FL;
	if (e->inode.flags & INODE_NODUMP)
		want |= FS_NODUMP_FL;
	if (!want)
		return;
	if (ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0) {
		if (((unsigned)flags & known) == want)
			return;
		flags = (int)(((unsigned)flags & ~known) | want);
		if (ioctl(fd, FS_IOC_SETFLAGS, &flags) == 0)
			return;
	}
	restore_problem(r, PROBLEM_FLAGS, p, name, "inode flags cannot be set",
			errno);
}

void meta_flags_at(struct restore *r, const struct place *p, const char *name,
		   const struct restore_entry *e)
{
	const unsigned any = INODE_IMMUTABLE | INODE_APPEND | INODE_NODUMP;
	int fd;

	if (!(e->inode.flags & any) || !S_ISREG(e->inode.mode))
		return;
	fd = openat(p->fd, name,
		    O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0) {
		restore_problem(r, PROBLEM_FLAGS, p, name,
				"inode flags cannot be set", errno);
		return;
	}
	meta_flags(r, p, name, fd, e);
	close(fd);
}

static void fix_mode(struct restore *r, const struct place *p, const char *name,
		     int fd, mode_t mode)
{
	if (fchmod(fd, mode))
		restore_problem(r, PROBLEM_MODE, p, name, "mode cannot be set",
				errno);
}

void meta_apply(struct restore *r, const struct place *p, const char *name,
		int fd, const struct restore_entry *e, const struct stat *now,
		mode_t made)
{
	const struct inode_row *i = &e->inode;
	mode_t mode = i->mode & 07777;
	mode_t has = now ? now->st_mode & 07777 : made;
	bool chowned = false;
	struct timespec t[2];

	if (i->uid != (now ? now->st_uid : r->uid) ||
	    i->gid != (now ? now->st_gid : p->gid)) {
		mode = give(r, p, name, fd, i);
		chowned = true;
	}
	if (now || p->acl)
		strip(fd, e);
	if (has != mode || (chowned && (mode & 07000)) || p->acl)
		fix_mode(r, p, name, fd, mode);
	if (e->xattrs_length)
		set_xattrs(r, p, name, fd, NULL, e, now != NULL);
	times_of(i, t);
	if ((!now || !same_times(now, i, t)) && futimens(fd, t))
		restore_problem(r, PROBLEM_TIME, p, name, "times cannot be set",
				errno);
}

void meta_apply_at(struct restore *r, const struct place *p, const char *name,
		   const struct restore_entry *e)
{
	const struct inode_row *i = &e->inode;
	bool link = S_ISLNK(i->mode);
	struct timespec t[2];
	mode_t mode = i->mode & 07777;
	char path[64 + TREE_NAME_LIMIT];

	if (fchownat(p->fd, name, i->uid, i->gid, AT_SYMLINK_NOFOLLOW)) {
		restore_problem(r, PROBLEM_OWNER, p, name,
				"owner cannot be set", errno);
		mode &= ~(mode_t)(S_ISUID | S_ISGID);
	}
	if (!link && fchmodat(p->fd, name, mode, AT_SYMLINK_NOFOLLOW))
		restore_problem(r, PROBLEM_MODE, p, name, "mode cannot be set",
				errno);
	if (e->xattrs_length) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", p->fd,
			 name);
		set_xattrs(r, p, name, -1, path, e, false);
	}
	times_of(i, t);
	if (utimensat(p->fd, name, t, AT_SYMLINK_NOFOLLOW))
		restore_problem(r, PROBLEM_TIME, p, name, "times cannot be set",
				errno);
}
