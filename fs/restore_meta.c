/* Order: owner, xattrs and ACLs, times, mode, flags. chown clears suid and
 * capabilities, an ACL sets the group bits of the mode (to what the mode has,
 * too), any change moves ctime but only data move mtime; the mode comes late,
 * since until then it says that the file is unfinished (P4); flags forbid
 * everything else. */
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

/* The names that a file has and the snapshot does not. With `remove` they go,
 * of the namespaces we may. */
static bool has_more(int fd, const struct restore_entry *e, bool remove)
{
	ssize_t length = flistxattr(fd, NULL, 0);
	bool more = false;
	char *names;

	if (length <= 0)
		return false;
	names = malloc((size_t)length);
	if (!names)
		return false;
	length = flistxattr(fd, names, (size_t)length);
	for (ssize_t at = 0; at < length; at += (ssize_t)strlen(names + at) + 1)
		if (!in_set(e, names + at) &&
		    strcmp(names + at, "security.selinux") != 0) {
			more = true;
			if (remove)
				fremovexattr(fd, names + at);
		}
	free(names);
	return more;
}

/* The name with its NUL; false: it cannot be one. */
static bool key_of(const struct xattr *x, char key[XATTR_NAME_LIMIT + 1])
{
	if (x->name_length > XATTR_NAME_LIMIT ||
	    memchr(x->name, '\0', x->name_length))
		return false;
	memcpy(key, x->name, x->name_length);
	key[x->name_length] = '\0';
	return true;
}

/* Capabilities are what suid is. */
static bool is_wanted(const struct restore *r, const char *key)
{
	return !r->options->no_suid || strcmp(key, "security.capability") != 0;
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
		if (!key_of(&x, key)) {
			more = REEL_EDAMAGED;
			break;
		}
		if (!is_wanted(r, key) || (compare && has_already(fd, key, &x)))
			continue;
		if (path)
			err = setxattr(path, key, x.value, x.value_length, 0);
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

bool meta_matches(struct restore *r, int fd, const struct restore_entry *e,
		  const struct stat *now)
{
	struct xattr_cursor c = xattr_cursor(e->xattrs, e->xattrs_length);
	char key[XATTR_NAME_LIMIT + 1];
	struct timespec t[2];
	struct xattr x;

	times_of(&e->inode, t);
	if ((now->st_mode & 07777) != (e->inode.mode & 07777) ||
	    !same_times(now, &e->inode, t) || has_more(fd, e, false))
		return false;
	while (xattr_next(&c, &x) == 1)
		if (!key_of(&x, key) ||
		    (is_wanted(r, key) && !has_already(fd, key, &x)))
			return false;
	return true;
}

uint32_t meta_flags_wanted(const struct restore_entry *e)
{
	uint32_t want = 0;

	if (e->inode.flags & INODE_IMMUTABLE)
		want |= FS_IMMUTABLE_FL;
	if (e->inode.flags & INODE_APPEND)
		want |= FS_APPEND_FL;
	if (e->inode.flags & INODE_NODUMP)
		want |= FS_NODUMP_FL;
	return want;
}

void meta_flags(struct restore *r, const struct place *p, const char *name,
		int fd, const struct restore_entry *e)
{
	const unsigned known = FS_IMMUTABLE_FL | FS_APPEND_FL | FS_NODUMP_FL;
	unsigned want = meta_flags_wanted(e);
	int flags = 0;

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
		   ino_t inode, const struct restore_entry *e)
{
	struct stat st;
	int fd;

	if (!meta_flags_wanted(e) || !S_ISREG(e->inode.mode))
		return;
	fd = openat(p->fd, name,
		    O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	if (fd >= 0 && fstat(fd, &st) == 0 && st.st_ino == inode)
		meta_flags(r, p, name, fd, e);
	else
		restore_problem(r, PROBLEM_FLAGS, p, name,
				"inode flags cannot be set",
				fd < 0 ? errno : 0);
	if (fd >= 0)
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
		has_more(fd, e, true);
	if (e->xattrs_length)
		set_xattrs(r, p, name, fd, NULL, e, now != NULL);
	times_of(i, t);
	if ((!now || !same_times(now, i, t)) && futimens(fd, t))
		restore_problem(r, PROBLEM_TIME, p, name, "times cannot be set",
				errno);
	if (has != mode || chowned || p->acl || e->xattrs_length)
		fix_mode(r, p, name, fd, mode);
}

/* The file itself, whatever its name may stand for by and by; another name of
 * it may lie elsewhere (P5). */
static int pin(int directory, const char *at, const struct inode_row *i)
{
	struct stat st;
	int fd = openat(directory, at, O_PATH | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return -1;
	if (fstat(fd, &st) == 0 && st.st_nlink == 1 &&
	    (st.st_mode & S_IFMT) == (i->mode & S_IFMT))
		return fd;
	close(fd);
	errno = EBUSY;
	return -1;
}

static void apply_pinned(struct restore *r, int fd, const struct place *p,
			 const char *name, const struct restore_entry *e)
{
	const struct inode_row *i = &e->inode;
	mode_t mode = i->mode & 07777;
	struct timespec t[2];
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (fchownat(fd, "", i->uid, i->gid, AT_EMPTY_PATH)) {
		restore_problem(r, PROBLEM_OWNER, p, name,
				"owner cannot be set", errno);
		mode &= ~(mode_t)(S_ISUID | S_ISGID);
	}
	if (!S_ISLNK(i->mode) && chmod(path, mode))
		restore_problem(r, PROBLEM_MODE, p, name, "mode cannot be set",
				errno);
	if (e->xattrs_length)
		set_xattrs(r, p, name, -1, path, e, false);
	times_of(i, t);
	if (utimensat(fd, "", t, AT_EMPTY_PATH))
		restore_problem(r, PROBLEM_TIME, p, name, "times cannot be set",
				errno);
}

/* In a fresh place, where names stand for what we made. */
static bool apply_named(struct restore *r, int directory, const char *at,
			const struct place *p, const char *name,
			const struct restore_entry *e)
{
	const struct inode_row *i = &e->inode;
	struct timespec t[2];

	if (!S_ISLNK(i->mode) || e->xattrs_length)
		return false;
	if ((i->uid != r->uid || i->gid != p->gid) &&
	    fchownat(directory, at, i->uid, i->gid, AT_SYMLINK_NOFOLLOW))
		restore_problem(r, PROBLEM_OWNER, p, name,
				"owner cannot be set", errno);
	times_of(i, t);
	if (utimensat(directory, at, t, AT_SYMLINK_NOFOLLOW))
		restore_problem(r, PROBLEM_TIME, p, name, "times cannot be set",
				errno);
	return true;
}

void meta_apply_at(struct restore *r, int directory, const char *at, bool fresh,
		   const struct place *p, const char *name,
		   const struct restore_entry *e)
{
	int fd;

	if (fresh && apply_named(r, directory, at, p, name, e))
		return;
	fd = pin(directory, at, &e->inode);
	if (fd < 0) {
		restore_problem(r, PROBLEM_OTHER, p, name,
				"its owner, mode and times cannot be set",
				errno);
		return;
	}
	apply_pinned(r, fd, p, name, e);
	close(fd);
}
