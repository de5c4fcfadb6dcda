#include "fs/delayed_meta.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define IN_THE_WAY ((uint32_t)(FS_IMMUTABLE_FL | FS_APPEND_FL))
#define NAMES_SIZE 65536
#define VALUE_SIZE 65536

/* ---- inode flags ---- */

static int open_file(int up, const char *name)
{
	return openat(up, name ? name : ".",
		      O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY |
			      O_CLOEXEC);
}

static bool get_flags(int fd, uint32_t *flags)
{
	int value = 0; /* the ioctl's type is long, what it writes an int */

	if (ioctl(fd, FS_IOC_GETFLAGS, &value))
		return false;
	*flags = (uint32_t)value;
	return true;
}

uint32_t flags_in_the_way(int up, const char *name)
{
	const uint64_t wanted = STATX_ATTR_IMMUTABLE | STATX_ATTR_APPEND;
	uint32_t flags = 0;
	struct statx st;
	int fd;

	if (statx(up, name ? name : "", AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH,
		  STATX_TYPE, &st) ||
	    (!S_ISREG(st.stx_mode) && !S_ISDIR(st.stx_mode)) ||
	    !(st.stx_attributes & wanted))
		return 0;
	fd = open_file(up, name);
	if (fd < 0 || !get_flags(fd, &flags))
		flags = 0;
	if (fd >= 0)
		close(fd);
	return flags;
}

void flags_set(int up, const char *name, uint32_t flags)
{
	int value = (int)flags;
	struct stat st;
	int fd;

	if (fstatat(up, name ? name : "", &st,
		    AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) ||
	    (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)))
		return;
	fd = open_file(up, name);
	if (fd < 0)
		return;
	ioctl(fd, FS_IOC_SETFLAGS, &value);
	close(fd);
}

void flags_loosen(int up, const char *name)
{
	uint32_t flags = flags_in_the_way(up, name);

	if (flags)
		flags_set(up, name, flags & ~IN_THE_WAY);
}

/* ---- directories ---- */

static bool has_name(const char *names, size_t length, const char *name)
{
	for (const char *n = names; n < names + length; n += strlen(n) + 1)
		if (!strcmp(n, name))
			return true;
	return false;
}

static int copy_values(int from, int to, const char *names, size_t length)
{
	char *value = malloc(VALUE_SIZE);
	int err = value ? 0 : ENOMEM;

	for (const char *n = names; !err && n < names + length;
	     n += strlen(n) + 1) {
		ssize_t size = fgetxattr(from, n, value, VALUE_SIZE);

		if (size < 0 || fsetxattr(to, n, value, (size_t)size, 0))
			err = errno;
	}
	free(value);
	return err;
}

static int copy_xattrs(int from, int to)
{
	char *wanted = malloc(NAMES_SIZE), *present = malloc(NAMES_SIZE);
	ssize_t w, p;
	int err = 0;

	if (!wanted || !present) {
		free(wanted);
		free(present);
		return ENOMEM;
	}
	w = flistxattr(from, wanted, NAMES_SIZE);
	p = flistxattr(to, present, NAMES_SIZE);
	if (w < 0 || p < 0)
		err = errno == EOPNOTSUPP ? 0 : errno;
	for (char *n = present; !err && p > 0 && n < present + p;
	     n += strlen(n) + 1)
		if (!has_name(wanted, w > 0 ? (size_t)w : 0, n) &&
		    fremovexattr(to, n) && errno != ENODATA)
			err = errno;
	if (!err && w > 0)
		err = copy_values(from, to, wanted, (size_t)w);
	free(wanted);
	free(present);
	return err;
}

static int copy_metadata(int from, int to)
{
	struct timespec times[2];
	struct stat st;
	int err = fstat(from, &st) || fchown(to, st.st_uid, st.st_gid) ? errno
								       : 0;

	if (!err)
		err = copy_xattrs(from, to);
	if (!err && fchmod(to, st.st_mode & 07777))
		err = errno;
	times[0] = st.st_atim;
	times[1] = st.st_mtim;
	if (!err && futimens(to, times))
		err = errno;
	return err;
}

int directory_adopt(int from_up, const char *from, int to_up, const char *to)
{
	const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	int a = openat(from_up, from, flags);
	int b = a < 0 ? -1 : openat(to_up, to, flags);
	int err = b < 0 ? errno : copy_metadata(a, b);

	if (a >= 0)
		close(a);
	if (b >= 0)
		close(b);
	return err;
}
