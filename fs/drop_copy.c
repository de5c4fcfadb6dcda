/* One file made like another: bytes, owner, xattrs and ACLs, mode, times.
 * What an ordinary user may not set is left as it comes. */
#include "fs/drop_state.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/xattr.h>
#include <unistd.h>
#include "tape/error.h"

#define PIECE	   (1u << 20)
#define XATTR_ROOM 65536

/* ---- bytes ---- */

static int copy_piece(int from, int to, off_t at, size_t length, char *room)
{
	ssize_t n = pread(from, room, length, at);

	for (ssize_t done = 0; done < n;) {
		ssize_t m =
			pwrite(to, room + done, (size_t)(n - done), at + done);

		if (m < 0 && errno != EINTR)
			return drop_failed();
		done += m > 0 ? m : 0;
	}
	return n < 0 ? drop_failed() : (int)n;
}

static int copy_run(int from, int to, off_t at, off_t end, char *room)
{
	while (at < end) {
		off_t left = end - at, in = at, out = at;
		ssize_t n =
			copy_file_range(from, &in, to, &out, (size_t)left, 0);

		if (n < 0)
			n = copy_piece(from, to, at,
				       left < PIECE ? (size_t)left : PIECE,
				       room);
		if (n < 0)
			return (int)n;
		if (!n) /* it has become shorter */
			break;
		at += n;
	}
	return 0;
}

static int copy_runs(int from, int to, off_t size, char *room)
{
	off_t at = 0;
	int error = 0;

	while (!error && at < size) {
		off_t data = lseek(from, at, SEEK_DATA), hole;

		if (data < 0 && errno == ENXIO)
			break;
		if (data < 0)
			data = at;
		hole = lseek(from, data, SEEK_HOLE);
		if (hole < 0)
			hole = size;
		error = copy_run(from, to, data, hole < size ? hole : size,
				 room);
		at = hole;
	}
	if (!error && ftruncate(to, size))
		error = drop_failed();
	return error;
}

int drop_copy_bytes(int from, int to)
{
	struct stat st;
	char *room;
	int error;

	if (ioctl(to, FICLONE, from) == 0)
		return 0;
	if (fstat(from, &st))
		return drop_failed();
	room = malloc(PIECE);
	if (!room)
		return REEL_ENOMEM;
	error = copy_runs(from, to, st.st_size, room);
	free(room);
	return error;
}

/* ---- metadata ---- */

int drop_copy_times(int fd, const struct stat *st)
{
	const struct timespec times[2] = {st->st_atim, st->st_mtim};

	return utimensat(fd, "", times, AT_EMPTY_PATH) ? drop_failed() : 0;
}

static bool is_serious(int err)
{
	return err == ENOSPC || err == EDQUOT || err == EIO;
}

static int copy_value(const char *from, const char *to, const char *name,
		      char *value)
{
	ssize_t n = getxattr(from, name, value, XATTR_ROOM);

	if (n >= 0 && setxattr(to, name, value, (size_t)n, 0) &&
	    is_serious(errno))
		return drop_failed();
	return 0;
}

static int copy_values(const char *from, const char *to, char *names,
		       char *value)
{
	ssize_t length = listxattr(to, names, XATTR_ROOM);
	int error = 0;

	/* what it inherited */
	for (ssize_t at = 0; at < length; at += (ssize_t)strlen(names + at) + 1)
		if (strcmp(names + at, "security.selinux") != 0)
			removexattr(to, names + at);
	length = listxattr(from, names, XATTR_ROOM);
	for (ssize_t at = 0; !error && at < length;
	     at += (ssize_t)strlen(names + at) + 1)
		error = copy_value(from, to, names + at, value);
	return error;
}

static int copy_xattrs(const char *from, const char *to)
{
	char *names = malloc(XATTR_ROOM), *value = malloc(XATTR_ROOM);
	int error = REEL_ENOMEM;

	if (names && value)
		error = copy_values(from, to, names, value);
	free(names);
	free(value);
	return error;
}

int drop_copy_metadata(int from, int to, const struct stat *st)
{
	char from_path[32], to_path[32];
	mode_t mode = st->st_mode & 07777;
	int error;

	snprintf(from_path, sizeof(from_path), "/proc/self/fd/%d", from);
	snprintf(to_path, sizeof(to_path), "/proc/self/fd/%d", to);
	if (fchownat(to, "", st->st_uid, st->st_gid, AT_EMPTY_PATH))
		mode &= ~(mode_t)(S_ISUID | S_ISGID);
	error = copy_xattrs(from_path, to_path);
	if (!error && !S_ISLNK(st->st_mode) && chmod(to_path, mode))
		error = drop_failed();
	return error ? error : drop_copy_times(to, st);
}

/* ---- the whole ---- */

static int copy_link(int from_directory, const char *from, int to_directory,
		     const char *to)
{
	char text[PATH_MAX];
	ssize_t n = readlinkat(from_directory, from, text, sizeof(text) - 1);

	if (n < 0)
		return drop_failed();
	text[n] = '\0';
	return symlinkat(text, to_directory, to) ? drop_failed() : 0;
}

static int copy_regular(int from_directory, const char *from, int to_directory,
			const char *to, bool bytes)
{
	int out = openat(to_directory, to,
			 O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
			 0600);
	int error = out < 0 ? drop_failed() : 0, in;

	if (!error && bytes) {
		in = drop_open_at(from_directory, from, O_RDONLY);
		error = in < 0 ? in : drop_copy_bytes(in, out);
		if (in >= 0)
			close(in);
	}
	if (out >= 0)
		close(out);
	if (error && out >= 0)
		unlinkat(to_directory, to, 0);
	return error;
}

static int make_like(int from_directory, const char *from, int to_directory,
		     const char *to, const struct stat *st, bool bytes)
{
	mode_t type = st->st_mode & S_IFMT;

	if (S_ISREG(type))
		return copy_regular(from_directory, from, to_directory, to,
				    bytes);
	if (S_ISLNK(type))
		return copy_link(from_directory, from, to_directory, to);
	if (S_ISDIR(type))
		return mkdirat(to_directory, to, 0700) && errno != EEXIST
			       ? drop_failed()
			       : 0;
	return mknodat(to_directory, to, type | 0600, st->st_rdev)
		       ? drop_failed()
		       : 0;
}

int drop_copy(int from_directory, const char *from, int to_directory,
	      const char *to, bool bytes)
{
	const int flags = O_PATH | O_NOFOLLOW | O_CLOEXEC;
	int source = openat(from_directory, from, flags), made = -1;
	struct stat st, now;
	int error = source < 0 || fstat(source, &st) ? drop_failed() : 0;

	if (!error)
		error = make_like(from_directory, from, to_directory, to, &st,
				  bytes);
	if (!error) {
		made = openat(to_directory, to, flags);
		if (made < 0 || fstat(made, &now))
			error = drop_failed();
		else if ((now.st_mode ^ st.st_mode) & S_IFMT ||
			 (!S_ISDIR(now.st_mode) && now.st_nlink != 1))
			error = REEL_ESTALE;
		else
			error = drop_copy_metadata(source, made, &st);
		if (error && !S_ISDIR(st.st_mode))
			unlinkat(to_directory, to, 0);
	}
	if (made >= 0)
		close(made);
	if (source >= 0)
		close(source);
	return error;
}

bool drop_same_bytes(int a, int b)
{
	char *from = malloc(PIECE), *to = malloc(PIECE);
	bool same = from && to;
	off_t at = 0;
	ssize_t n = 1;

	while (same && n > 0) {
		n = pread(a, from, PIECE, at);
		same = n >= 0 && pread(b, to, PIECE, at) == n &&
		       !memcmp(from, to, (size_t)n);
		at += n;
	}
	free(from);
	free(to);
	return same;
}
