#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>
#include "fs/mount.h"
#include "fs/mountinfo.h"
#include "tape/error.h"
#include "tape/log.h"

#define MTAB	   "/etc/mtab"
#define WAIT_MS	   60000
#define BUSY_TRIES 20
#define BUSY_US	   50000

/* Absolute, without asking the last name itself: a mount whose daemon has died
 * answers nothing any more. */
static char *absolute(const char *path)
{
	char *copy = strdup(path), *slash, *above, *out = NULL;
	size_t n = copy ? strlen(copy) : 0;

	while (n > 1 && copy[n - 1] == '/')
		copy[--n] = '\0';
	out = copy ? realpath(copy, NULL) : NULL;
	if (out || !copy) {
		free(copy);
		return out;
	}
	slash = strrchr(copy, '/');
	if (slash)
		*slash = '\0';
	above = realpath(!slash ? "." : *copy ? copy : "/", NULL);
	if (above && asprintf(&out, "%s/%s", strcmp(above, "/") ? above : "",
			      slash ? slash + 1 : copy) < 0)
		out = NULL;
	free(above);
	free(copy);
	return out;
}

struct mounted {
	const char *path;
	bool is;
};

static int on_mount(void *context, const char *place, const char *type)
{
	struct mounted *m = context;

	if (!strcmp(place, m->path))
		m->is = !strcmp(type, "fuse.reel");
	return 0;
}

bool mount_is_there(const char *path)
{
	struct mounted m = {.path = path};

	mountinfo_each(on_mount, &m);
	return m.is;
}

/* A descriptor that becomes readable when the daemon has ended; -1. */
static int open_daemon(const char *path)
{
	char text[32];
	ssize_t n = getxattr(path, "user.reel.pid", text, sizeof(text) - 1);

	if (n <= 0)
		return -1;
	text[n] = '\0';
	return (int)syscall(SYS_pidfd_open, (pid_t)atol(text), 0);
}

static int run_fusermount(const char *path, bool lazy)
{
	pid_t child = fork();
	int status;

	if (child < 0)
		return error_from_errno(errno);
	if (!child) {
		execlp("fusermount3", "fusermount3", lazy ? "-uz" : "-u", "--",
		       path, (char *)NULL);
		_exit(127);
	}
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		log_error("fusermount3 is not installed; it takes mounts of "
			  "ordinary users down");
	else if (status && access(MTAB, F_OK))
		log_error("%s: still mounted: fusermount3 looks for the mounts "
			  "of ordinary users in " MTAB ", which is not there; "
			  "as root make it (ln -s /proc/self/mounts " MTAB
			  "), or unmount",
			  path);
	return WIFEXITED(status) && !WEXITSTATUS(status) ? 0 : REEL_EIO;
}

/* What has just ended may still be in the kernel's hands: it is busy for a
 * moment. */
static int take_down(const char *path)
{
	for (int tries = 0; tries < BUSY_TRIES; tries++) {
		if (!umount2(path, UMOUNT_NOFOLLOW))
			return 0;
		if (errno != EBUSY)
			break;
		usleep(BUSY_US);
	}
	if (errno == EPERM)
		return run_fusermount(path, false);
	log_error("%s: %s%s", path, strerror(errno),
		  errno == EBUSY ? "; a program uses it (`fuser -vm` says "
				   "which)"
				 : "");
	return error_from_errno(errno);
}

/* Writes through mmap and what programs have not flushed are the kernel's
 * until it is told. */
static void sync_current(const char *current)
{
	int fd = open(current, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0 && syncfs(fd))
		log_warning("%s: %s", current, strerror(errno));
	if (fd >= 0)
		close(fd);
}

/* Whether current/ itself is mounted there. */
static bool is_writable(const char *path)
{
	struct statvfs st;

	return mount_is_there(path) && !statvfs(path, &st) &&
	       !(st.f_flag & ST_RDONLY);
}

/* What takes writes there: current/, or the mount itself (-o current); heap,
 * NULL: nothing. */
static char *writable(const char *mountpoint)
{
	char *path = absolute(mountpoint), *current = NULL;

	if (path && asprintf(&current, "%s/current", path) < 0)
		current = NULL;
	if (current && !mount_is_there(current)) {
		free(current);
		current = is_writable(path) ? strdup(path) : NULL;
	}
	free(path);
	return current;
}

bool mount_takes_writes(const char *mountpoint)
{
	char *current = writable(mountpoint);

	free(current);
	return current;
}

int mount_commit(const char *mountpoint, const char *label)
{
	char *current = writable(mountpoint);
	int error = 0;

	if (!current) {
		log_error("%s: no writable current/ is mounted there",
			  mountpoint);
		return REEL_EINVAL;
	}
	sync_current(current);
	if (setxattr(current, MOUNT_COMMIT, label ? label : "",
		     label ? strlen(label) : 0, 0))
		error = error_from_errno(errno);
	free(current);
	return error;
}

void mount_withdraw(const char *mountpoint)
{
	char *current = writable(mountpoint), none;

	if (current)
		getxattr(current, MOUNT_WITHDRAW, &none, sizeof(none));
	free(current);
}

/* Whether the daemon behind a mount has ended without unmounting. */
static bool is_dead(const char *path)
{
	struct stat st;

	return stat(path, &st) && errno == ENOTCONN;
}

/* A mount whose daemon has died, with what lies on it. */
static int clear(const char *path)
{
	log_note("%s: its daemon has died; what was written is in the spool",
		 path);
	if (!umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW))
		return 0;
	return errno == EPERM ? run_fusermount(path, true)
			      : error_from_errno(errno);
}

/* A mount within the one that is taken down. It must go first, and comes back
 * should the other be busy: a copy of it that lies nowhere keeps it alive. */
struct within {
	char *path;
	int copy; /* -1: none (Linux before 5.2), or it is not down */
};

/* -1 when that cannot be. */
static int copy_of(const char *path)
{
	return open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
}

static int set_aside(const char *path, const char *name, struct within *w)
{
	int error;

	w->copy = -1;
	if (asprintf(&w->path, "%s/%s", path, name) < 0) {
		w->path = NULL;
		return REEL_ENOMEM;
	}
	if (!mount_is_there(w->path))
		return 0;
	w->copy = copy_of(w->path);
	error = take_down(w->path);
	if (error && w->copy >= 0) {
		close(w->copy);
		w->copy = -1;
	}
	return error;
}

static void put_back(struct within *w)
{
	if (w->copy >= 0 &&
	    move_mount(w->copy, "", AT_FDCWD, w->path, MOVE_MOUNT_F_EMPTY_PATH))
		log_warning("%s: cannot be mounted again: %s", w->path,
			    strerror(errno));
}

static void let_go(struct within *w)
{
	if (w->copy >= 0)
		close(w->copy);
	free(w->path);
}

/* All mounts, or none. The daemon ends with the outer one: it is to see the end
 * of the inner ones before, to which the kernel writes the rest when the last
 * copy goes. */
static int take_all_down(const char *path)
{
	struct within restore = {.copy = -1}, current = {.copy = -1};
	const int outer = copy_of(path);
	int error = set_aside(path, "restore", &restore);

	if (!error)
		error = set_aside(path, "current", &current);
	if (!error)
		error = take_down(path);
	if (error) {
		put_back(&current);
		put_back(&restore);
	}
	let_go(&current);
	let_go(&restore);
	if (outer >= 0)
		close(outer);
	return error;
}

static void wait_for(int daemon, const char *path)
{
	struct pollfd p = {.fd = daemon, .events = POLLIN};

	if (poll(&p, 1, WAIT_MS) == 0)
		log_warning("%s: unmounted, but its process still runs", path);
}

int mount_umount(const char *mountpoint)
{
	char *path = absolute(mountpoint);
	int daemon = -1, error = 0;

	if (!path) {
		log_error("%s: %s", mountpoint, strerror(errno));
		return REEL_ENOENT;
	}
	if (!mount_is_there(path)) {
		log_error("%s: no reel mount is there", path);
		error = REEL_EINVAL;
	}
	if (!error && is_dead(path)) {
		error = clear(path);
	} else if (!error) {
		daemon = open_daemon(path);
		error = take_all_down(path);
	}
	if (!error && daemon >= 0)
		wait_for(daemon, path);
	if (daemon >= 0)
		close(daemon);
	free(path);
	return error;
}
