#include "fs/delayed_act.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>
#include "catalog/beneath.h"
#include "catalog/ntstatus.h"
#include "fs/delayed_meta.h"
#include "fs/name_alias.h"
#include "tape/error.h"

#define DOS_NAME       "system.ntfs_dos_name"
#define DOS_NAME_LIMIT 64

/* A name in an open directory, and what is there. */
struct spot {
	int up; /* -1: the directory cannot be opened */
	const char *name;
	bool there;
	int err; /* errno, when it is not */
	struct stat st;
};

static void spot_find(int root, const char *path, struct spot *s)
{
	memset(s, 0, sizeof(*s));
	s->up = beneath_parent(root, path, &s->name);
	if (s->up < 0) {
		s->err = errno;
		s->up = -1;
		return;
	}
	s->there = !fstatat(s->up, s->name, &s->st, AT_SYMLINK_NOFOLLOW);
	s->err = s->there ? 0 : errno;
}

static void spot_close(struct spot *s)
{
	if (s->up >= 0)
		close(s->up);
}

static bool spot_missing(const struct spot *s)
{
	return !s->there && (s->err == ENOENT || s->err == ENOTDIR);
}

/* ---- directories to be synced ---- */

static bool same_file(int a, int b)
{
	struct stat x, y;

	return !fstat(a, &x) && !fstat(b, &y) && x.st_dev == y.st_dev &&
	       x.st_ino == y.st_ino;
}

static void dirty_add(struct delayed_dirty *dirty, int fd)
{
	for (int n = 0; n < dirty->count; n++)
		if (same_file(dirty->fds[n], fd))
			return;
	fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (fd >= 0)
		dirty->fds[dirty->count++] = fd;
	else
		sync(); /* no descriptor left */
}

int delayed_settle(struct delayed_dirty *dirty)
{
	int error = 0;

	for (int n = 0; n < dirty->count; n++) {
		/* some filesystems cannot sync directories, and say EINVAL */
		if (fsync(dirty->fds[n]) && errno != EINVAL && !error)
			error = error_from_errno(errno);
		close(dirty->fds[n]);
	}
	dirty->count = 0;
	return error;
}

/* ---- looking ---- */

bool delayed_is_directory(int root, const struct delayed_record *r)
{
	struct spot s;
	bool is;

	if (r->kind != DELAYED_MOVE || r->list || r->checked)
		return false;
	spot_find(root, r->source, &s);
	is = s.there && S_ISDIR(s.st.st_mode);
	spot_close(&s);
	return is;
}

bool delayed_is_folded(int root, const struct delayed_record *r)
{
	struct spot s;
	bool is;

	if (r->kind != DELAYED_MOVE || r->list)
		return false;
	spot_find(root, r->path, &s);
	is = s.there && name_folded(s.up, s.name);
	spot_close(&s);
	if (!is)
		return false;
	spot_find(root, r->source, &s);
	is = s.there; /* else it went there itself */
	spot_close(&s);
	return is;
}

static void look_at_source(int root, struct delayed_record *r)
{
	struct spot s;

	spot_find(root, r->source, &s);
	if (s.there)
		r->witness.inode = s.st.st_ino;
	/* of a list's move it only serves to find it again */
	if (s.there && r->list &&
	    delayed_content_at(s.up, s.name, &r->checked, &r->content))
		r->checked = false;
	spot_close(&s);
}

void delayed_look(int root, struct delayed_record *r)
{
	struct spot s;
	struct stat up;

	memset(&r->witness, 0, sizeof(r->witness));
	if (r->kind == DELAYED_SHORT_NAME)
		return;
	spot_find(root, r->path, &s);
	if (s.up >= 0 && !fstat(s.up, &up))
		r->witness.parent_time =
			(int64_t)up.st_mtim.tv_sec * 1000000000 +
			up.st_mtim.tv_nsec;
	if (s.up >= 0)
		r->witness.parent_flags = flags_in_the_way(s.up, NULL);
	if (s.there)
		r->witness.flags = flags_in_the_way(s.up, s.name);
	spot_close(&s);
	if (r->kind == DELAYED_MOVE)
		look_at_source(root, r);
}

/* ---- before and after ---- */

static void loosen(const struct spot *s, const struct delayed_record *r)
{
	if (r->witness.parent_flags)
		flags_loosen(s->up, NULL);
	if (r->witness.flags && s->there)
		flags_loosen(s->up, s->name);
}

static void tighten(const struct spot *s, const struct delayed_record *r,
		    bool failed)
{
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}};

	if (s->up < 0)
		return;
	if (failed && r->witness.flags)
		flags_set(s->up, s->name, r->witness.flags);
	if (!failed && r->flags && r->kind == DELAYED_MOVE)
		flags_set(s->up, s->name, r->flags);
	if (!r->list && r->witness.parent_time) {
		times[1].tv_sec = r->witness.parent_time / 1000000000;
		times[1].tv_nsec = r->witness.parent_time % 1000000000;
		if (times[1].tv_nsec < 0) {
			times[1].tv_sec--;
			times[1].tv_nsec += 1000000000;
		}
		futimens(s->up, times);
	}
	if (r->witness.parent_flags)
		flags_set(s->up, NULL, r->witness.parent_flags);
}

/* ---- delete ---- */

static uint32_t status_of_parent(const struct spot *s)
{
	return s->err == ENOENT ? (uint32_t)NTSTATUS_PATH_NOT_FOUND
				: ntstatus_from_errno(s->err);
}

static uint32_t delete_spot(struct spot *s, const struct delayed_record *r,
			    bool again)
{
	if (spot_missing(s)) {
		if (!r->list || again)
			return 0;
		return s->up < 0 ? status_of_parent(s)
				 : (uint32_t)NTSTATUS_NAME_NOT_FOUND;
	}
	if (!s->there)
		return ntstatus_from_errno(s->err);
	loosen(s, r);
	if (unlinkat(s->up, s->name, S_ISDIR(s->st.st_mode) ? AT_REMOVEDIR : 0))
		return ntstatus_from_errno(errno == EEXIST ? ENOTEMPTY : errno);
	return 0;
}

static uint32_t act_delete(int root, const struct delayed_record *r, bool again,
			   struct delayed_dirty *dirty)
{
	uint32_t status;
	struct spot s;

	spot_find(root, r->path, &s);
	status = delete_spot(&s, r, again);
	tighten(&s, r, status != 0);
	if (s.up >= 0)
		dirty_add(dirty, s.up);
	spot_close(&s);
	return status;
}

/* ---- move ---- */

static bool content_is(const struct spot *s, const struct delayed_record *r)
{
	struct delayed_content now;
	bool known;

	return !delayed_content_at(s->up, s->name, &known, &now) && known &&
	       now.size == r->content.size &&
	       !memcmp(&now.digest, &r->content.digest, sizeof(now.digest));
}

/* The source is gone: did it go where it was to go? */
static bool arrived(const struct spot *to, const struct delayed_record *r,
		    bool again)
{
	if (!to->there || (r->list && !again))
		return false;
	if (again && r->witness.inode == to->st.st_ino)
		return true;
	if (r->checked)
		return content_is(to, r);
	/* a directory that was there already, see adopt */
	return again && !r->list && S_ISDIR(to->st.st_mode);
}

static nlink_t names_beside(const struct spot *s)
{
	int fd = openat(s->up, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	nlink_t names = 0;
	struct dirent *e;
	struct stat st;

	if (!d && fd >= 0)
		close(fd);
	while (d && (e = readdir(d)))
		names += !fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) &&
			 st.st_dev == s->st.st_dev && st.st_ino == s->st.st_ino;
	if (d)
		closedir(d);
	return names;
}

/* Of the names of a staged file one was not delayed, or is in place already:
 * programs may have changed it, and by this name, too, it is what it is. */
static bool is_in_use(const struct spot *s)
{
	nlink_t names = s->st.st_nlink > 1 ? names_beside(s) : 0;

	return names && names < s->st.st_nlink;
}

static uint32_t check_source(const struct spot *from,
			     const struct delayed_record *r)
{
	if (r->list)
		return S_ISDIR(from->st.st_mode)
			       ? (uint32_t)NTSTATUS_IS_A_DIRECTORY
			       : 0;
	if (r->checked && !content_is(from, r) && !is_in_use(from))
		return (uint32_t)NTSTATUS_CRC_ERROR;
	return 0;
}

/* A directory of that name stays, with what is in it, and becomes as the
 * staged one is. */
static uint32_t adopt(const struct spot *from, const struct spot *to)
{
	int status = directory_adopt(from->up, from->name, to->up, to->name);

	if (!status && unlinkat(from->up, from->name, AT_REMOVEDIR))
		status = errno;
	return ntstatus_from_errno(status);
}

/* Of ours, something of another type makes way, if it is empty. */
static int make_way(const struct spot *from, const struct spot *to,
		    const struct delayed_record *r)
{
	bool from_directory = S_ISDIR(from->st.st_mode);
	bool to_directory = to->there && S_ISDIR(to->st.st_mode);

	if (!to->there || from_directory == to_directory)
		return 0;
	if (r->list)
		return EISDIR;
	if (!unlinkat(to->up, to->name, to_directory ? AT_REMOVEDIR : 0))
		return 0;
	return errno == EEXIST ? ENOTEMPTY : errno;
}

static bool one_inode(const struct spot *a, const struct spot *b)
{
	return b->there && a->st.st_dev == b->st.st_dev &&
	       a->st.st_ino == b->st.st_ino;
}

/* Two names of one file, of which rename(2) would leave both; a cut can leave
 * it so. Where case does not count two spellings may be one name. */
static int move_onto_itself(const struct spot *from, const struct spot *to,
			    const struct delayed_record *r)
{
	if (!strcmp(r->source, r->path))
		return 0;
	if (name_listed(from->up, from->name) && name_listed(to->up, to->name))
		return unlinkat(from->up, from->name, 0) ? errno : 0;
	return renameat(from->up, from->name, to->up, to->name) ? errno : 0;
}

/* What stands there is another name's, to this filesystem: of a file that this
 * run or the restore put there, or a rule keeps. A list says what it says. */
static bool is_taken(const struct spot *to, const struct delayed_record *r)
{
	return !r->list && to->there && name_aliased(to->up, to->name);
}

static uint32_t move_spot(struct spot *from, struct spot *to,
			  const struct delayed_record *r)
{
	uint32_t status = check_source(from, r);
	int err;

	if (!status && is_taken(to, r))
		status = (uint32_t)NTSTATUS_NAME_COLLISION;
	if (status)
		return status;
	loosen(to, r);
	if (one_inode(from, to) && !S_ISDIR(from->st.st_mode))
		return ntstatus_from_errno(move_onto_itself(from, to, r));
	if (!r->list && to->there && S_ISDIR(to->st.st_mode) &&
	    S_ISDIR(from->st.st_mode))
		return adopt(from, to);
	err = make_way(from, to, r);
	if (!err && flags_in_the_way(from->up, from->name))
		flags_loosen(from->up, from->name);
	if (!err && renameat(from->up, from->name, to->up, to->name))
		err = errno;
	return ntstatus_from_errno(err);
}

static uint32_t decide_move(struct spot *from, struct spot *to,
			    const struct delayed_record *r, bool again)
{
	if (to->up < 0)
		return status_of_parent(to);
	if (spot_missing(from))
		return arrived(to, r, again)
			       ? 0
			       : (uint32_t)NTSTATUS_NAME_NOT_FOUND;
	if (!from->there)
		return ntstatus_from_errno(from->err);
	if (!to->there && !spot_missing(to))
		return ntstatus_from_errno(to->err);
	return move_spot(from, to, r);
}

static void dirty_file(struct delayed_dirty *dirty, const struct spot *s)
{
	int fd = openat(s->up, s->name,
			O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY |
				O_CLOEXEC);

	if (fd < 0)
		return;
	dirty_add(dirty, fd);
	close(fd);
}

static uint32_t act_move(int root, const struct delayed_record *r, bool again,
			 struct delayed_dirty *dirty)
{
	struct spot from, to;
	uint32_t status;

	spot_find(root, r->source, &from);
	spot_find(root, r->path, &to);
	status = decide_move(&from, &to, r, again);
	tighten(&to, r, status != 0);
	if (to.up >= 0)
		dirty_add(dirty, to.up);
	if (from.up >= 0)
		dirty_add(dirty, from.up);
	if (!status && (r->flags || (from.there && S_ISDIR(from.st.st_mode))))
		dirty_file(dirty, &to);
	spot_close(&from);
	spot_close(&to);
	return status;
}

/* ---- short name ---- */

static int set_dos_name(int fd, const char *name)
{
	char now[DOS_NAME_LIMIT];
	ssize_t length = fgetxattr(fd, DOS_NAME, now, sizeof(now));

	if (length == (ssize_t)strlen(name) &&
	    !memcmp(now, name, (size_t)length))
		return 0;
	return fsetxattr(fd, DOS_NAME, name, strlen(name), 0) ? errno : 0;
}

static uint32_t act_short_name(int root, const struct delayed_record *r,
			       struct delayed_dirty *dirty)
{
	struct spot s;
	int err, fd = -1;

	spot_find(root, r->path, &s);
	err = s.err;
	if (s.there && !S_ISREG(s.st.st_mode) && !S_ISDIR(s.st.st_mode))
		err = EOPNOTSUPP;
	if (!err) {
		fd = openat(s.up, s.name,
			    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY |
				    O_CLOEXEC);
		err = fd < 0 ? errno : set_dos_name(fd, r->source);
	}
	if (fd >= 0) {
		dirty_add(dirty, fd);
		close(fd);
	}
	spot_close(&s);
	return ntstatus_from_errno(err);
}

/* ---- all ---- */

uint32_t delayed_act(int root, const struct delayed_record *r, bool again,
		     struct delayed_dirty *dirty)
{
	switch (r->kind) {
	case DELAYED_DELETE:
		return act_delete(root, r, again, dirty);
	case DELAYED_MOVE:
		return act_move(root, r, again, dirty);
	case DELAYED_SHORT_NAME:
		return act_short_name(root, r, dirty);
	}
	return (uint32_t)NTSTATUS_UNSUCCESSFUL;
}

static uint32_t foresee_move(int root, const struct delayed_record *r,
			     const struct spot *to)
{
	bool again = r->state == DELAYED_STARTED;
	struct spot from;
	uint32_t status = 0;

	spot_find(root, r->source, &from);
	if (spot_missing(&from))
		status = arrived(to, r, again)
				 ? 0
				 : (uint32_t)NTSTATUS_NAME_NOT_FOUND;
	else if (!from.there)
		status = ntstatus_from_errno(from.err);
	else
		status = check_source(&from, r);
	if (!status && from.there && is_taken(to, r))
		status = (uint32_t)NTSTATUS_NAME_COLLISION;
	if (!status && r->list && to->there && S_ISDIR(to->st.st_mode))
		status = (uint32_t)NTSTATUS_IS_A_DIRECTORY;
	spot_close(&from);
	return status;
}

static uint32_t foresee_name(const struct spot *s)
{
	char link[64];
	int fd, err = 0;

	if (!s->there)
		return ntstatus_from_errno(s->err);
	fd = openat(s->up, s->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	if (fd < 0 ||
	    (getxattr(link, DOS_NAME, NULL, 0) < 0 && errno != ENODATA))
		err = errno;
	if (fd >= 0)
		close(fd);
	return ntstatus_from_errno(err);
}

uint32_t delayed_foresee(int root, const struct delayed_record *r)
{
	bool again = r->state == DELAYED_STARTED;
	uint32_t status = 0;
	struct spot s;

	spot_find(root, r->path, &s);
	if (r->kind == DELAYED_MOVE)
		status = foresee_move(root, r, &s);
	else if (r->kind == DELAYED_SHORT_NAME)
		status = foresee_name(&s);
	else if (spot_missing(&s) && r->list && !again)
		status = (uint32_t)NTSTATUS_NAME_NOT_FOUND;
	else if (!s.there && !spot_missing(&s))
		status = ntstatus_from_errno(s.err);
	spot_close(&s);
	return status;
}
