/* Making one file with the owner and mode that its maker would get. */
#include "fs/drop_state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/xattr.h>
#include <unistd.h>
#include "fs/acl.h"
#include "tape/error.h"

static int make_at(int directory, const struct drop_make *what,
		   const char *name, mode_t mode, int *fd)
{
	int err;

	switch (what->mode & S_IFMT) {
	case S_IFREG:
		*fd = openat(directory, name,
			     O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
			     mode);
		return *fd < 0 ? drop_failed() : 0;
	case S_IFDIR:
		err = mkdirat(directory, name, mode);
		break;
	case S_IFLNK:
		err = symlinkat(what->target, directory, name);
		break;
	default:
		err = mknodat(directory, name, (what->mode & S_IFMT) | mode,
			      what->rdev);
	}
	return err ? drop_failed() : 0;
}

/* The umask does not count where the directory has a default ACL. */
static bool has_default_acl(int directory)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", directory);
	return getxattr(path, ACL_DEFAULT, NULL, 0) > 0;
}

/* file: it, open, or -1. */
static int adorn(int directory, const char *name, const struct drop_make *what,
		 const struct drop_user *user, bool inherits, int file)
{
	int fd = file >= 0 ? file
			   : openat(directory, name,
				    O_PATH | O_NOFOLLOW | O_CLOEXEC);
	mode_t mode = what->mode & 07777 & ~user->umask;
	char path[32];
	struct stat st, up;
	gid_t gid;
	int error = 0;

	if (fd < 0 || fstat(fd, &st) || fstat(directory, &up)) {
		error = drop_failed();
	} else if (((st.st_mode ^ what->mode) & S_IFMT) ||
		   (!S_ISDIR(st.st_mode) && st.st_nlink != 1)) {
		error = REEL_ESTALE;
	} else {
		gid = up.st_mode & S_ISGID ? st.st_gid : user->gid;
		if ((st.st_uid != user->uid || st.st_gid != gid) &&
		    fchownat(fd, "", user->uid, gid, AT_EMPTY_PATH))
			error = drop_failed();
		if (S_ISDIR(st.st_mode))
			mode |= up.st_mode & S_ISGID;
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		if (!error && !inherits && !S_ISLNK(st.st_mode) &&
		    (st.st_mode & 07777) != mode && chmod(path, mode))
			error = drop_failed();
	}
	if (fd >= 0 && fd != file)
		close(fd);
	return error;
}

int drop_create(int directory, const struct drop_make *what, const char *name,
		const struct drop_user *user, int *fd)
{
	bool inherits = has_default_acl(directory);
	mode_t mode = what->mode & 07777;
	int error;

	*fd = -1;
	error = make_at(directory, what, name,
			inherits ? mode : mode & ~user->umask, fd);
	if (!error) {
		error = adorn(directory, name, what, user, inherits, *fd);
		if (error && *fd >= 0) {
			close(*fd);
			*fd = -1;
		}
		if (error && error != REEL_ESTALE)
			unlinkat(directory, name,
				 S_ISDIR(what->mode) ? AT_REMOVEDIR : 0);
	}
	return error;
}
