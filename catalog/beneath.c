#include "catalog/beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "tape/error.h"

#define DIRECTORY_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

bool beneath_name_valid(const char *name, size_t length)
{
	if (length == 0 || length > BENEATH_NAME_LIMIT)
		return false;
	if (memchr(name, '/', length) || memchr(name, '\0', length))
		return false;
	return !(name[0] == '.' &&
		 (length == 1 || (length == 2 && name[1] == '.')));
}

bool beneath_path_valid(const char *path, size_t length)
{
	size_t at = 0;

	if (length == 0 || length > BENEATH_PATH_LIMIT)
		return false;
	while (at <= length) {
		const char *slash = memchr(path + at, '/', length - at);
		size_t end = slash ? (size_t)(slash - path) : length;

		if (!beneath_name_valid(path + at, end - at))
			return false;
		at = end + 1;
	}
	return true;
}

/* The first component of *path as a name of its own. */
static int component(const char **path, char name[BENEATH_NAME_LIMIT + 1])
{
	size_t length = strcspn(*path, "/");

	if (!beneath_name_valid(*path, length))
		return REEL_EINVAL;
	memcpy(name, *path, length);
	name[length] = '\0';
	*path += length + ((*path)[length] == '/');
	return 0;
}

static int walk(int root, const char *path)
{
	int fd = fcntl(root, F_DUPFD_CLOEXEC, 0);
	char name[BENEATH_NAME_LIMIT + 1];

	while (fd >= 0 && *path) {
		int next;

		if (component(&path, name)) {
			close(fd);
			return REEL_EINVAL;
		}
		next = openat(fd, name, DIRECTORY_FLAGS);
		if (next < 0) {
			int error = error_from_errno(errno);

			close(fd);
			return error;
		}
		close(fd);
		fd = next;
	}
	return fd < 0 ? error_from_errno(errno) : fd;
}

int beneath_open(int root, const char *path)
{
	struct open_how how = {
		.flags = DIRECTORY_FLAGS,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS |
			   RESOLVE_NO_MAGICLINKS,
	};
	long fd;

	fd = syscall(SYS_openat2, root, *path ? path : ".", &how, sizeof(how));
	if (fd >= 0)
		return (int)fd;
	if (errno != ENOSYS && errno != ENAMETOOLONG && errno != EPERM &&
	    errno != EAGAIN)
		return error_from_errno(errno);
	return walk(root, path);
}

int beneath_parent(int root, const char *path, const char **name)
{
	const char *slash = strrchr(path, '/');
	char above[BENEATH_PATH_LIMIT];

	*name = slash ? slash + 1 : path;
	if (!slash)
		return beneath_open(root, "");
	if ((size_t)(slash - path) >= sizeof(above))
		return REEL_ERANGE;
	memcpy(above, path, (size_t)(slash - path));
	above[slash - path] = '\0';
	return beneath_open(root, above);
}

/* The mount something lies on, by its number where the kernel says it. */
static int mount_of(int fd, uint64_t *device, uint64_t *mount)
{
	struct statx st;

	if (statx(fd, "", AT_EMPTY_PATH | AT_NO_AUTOMOUNT,
		  STATX_TYPE | STATX_MNT_ID, &st))
		return error_from_errno(errno);
	*device = (uint64_t)st.stx_dev_major << 32 | st.stx_dev_minor;
	*mount = st.stx_mask & STATX_MNT_ID ? st.stx_mnt_id : 0;
	return 0;
}

static int pin_walk(int root, const char *path)
{
	uint64_t device = 0, mount = 0, next_device = 0, next_mount = 0;
	int fd = openat(root, ".", O_PATH | O_CLOEXEC);
	int error = fd < 0 ? error_from_errno(errno)
			   : mount_of(fd, &device, &mount);

	while (!error && *path) {
		char name[BENEATH_NAME_LIMIT + 1];
		int next;

		error = component(&path, name);
		if (error)
			break;
		next = openat(fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
		if (next < 0) {
			error = error_from_errno(errno);
			break;
		}
		close(fd);
		fd = next;
		error = mount_of(fd, &next_device, &next_mount);
		if (!error && (device != next_device || mount != next_mount))
			error = REEL_EXDEV;
	}
	if (!error)
		return fd;
	if (fd >= 0)
		close(fd);
	return error;
}

int beneath_pin(int root, const char *path)
{
	struct open_how how = {
		.flags = O_PATH | O_NOFOLLOW | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS |
			   RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV,
	};
	long fd;

	fd = syscall(SYS_openat2, root, *path ? path : ".", &how, sizeof(how));
	if (fd >= 0)
		return (int)fd;
	if (errno != ENOSYS && errno != ENAMETOOLONG && errno != EPERM &&
	    errno != EAGAIN)
		return error_from_errno(errno);
	return pin_walk(root, path);
}

static int enter(int up, const char *name, unsigned mode)
{
	int fd = openat(up, name, DIRECTORY_FLAGS);

	if (fd >= 0 || errno != ENOENT)
		return fd < 0 ? error_from_errno(errno) : fd;
	if (mkdirat(up, name, mode) && errno != EEXIST)
		return error_from_errno(errno);
	if (fsync(up))
		return error_from_errno(errno);
	fd = openat(up, name, DIRECTORY_FLAGS);
	return fd < 0 ? error_from_errno(errno) : fd;
}

int beneath_make(int root, const char *path, unsigned mode)
{
	int fd = fcntl(root, F_DUPFD_CLOEXEC, 0);
	char name[BENEATH_NAME_LIMIT + 1];

	if (fd < 0)
		return error_from_errno(errno);
	while (fd >= 0 && *path) {
		int next = component(&path, name);

		if (!next)
			next = enter(fd, name, mode);
		close(fd);
		fd = next;
	}
	return fd;
}
