/* Cuts a program off in the middle of its writing.
 *
 * Preloaded (LD_PRELOAD), it counts the calls that change files below CUT_DIR:
 * writes, syncs, renames, removals, truncations, creations. At call number
 * CUT_AT it does what CUT_MODE says:
 *
 *     kill    the process is killed before the call
 *     after   … after it
 *     short   half of a write is done, then the process is killed
 *     enospc  this write and all later ones fail with ENOSPC
 *     eio     this call and all later writes and syncs fail with EIO
 *
 * With CUT_COUNT=FILE the number of calls is written there at the end.
 *
 * Every call is on one process's own files; paths are taken from descriptors,
 * so that relative names count too. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

enum mode {
	MODE_NONE,
	MODE_KILL,
	MODE_AFTER,
	MODE_SHORT,
	MODE_ENOSPC,
	MODE_EIO,
};

static atomic_long calls;
static long cut_at;
static enum mode mode;
static const char *directory;
static size_t directory_length;

static void *real(const char *name)
{
	return dlsym(RTLD_NEXT, name);
}

__attribute__((constructor)) static void begin(void)
{
	static const char *const names[] = {"",	     "kill",   "after",
					    "short", "enospc", "eio"};
	const char *text = getenv("CUT_MODE"), *at = getenv("CUT_AT");

	directory = getenv("CUT_DIR");
	directory_length = directory ? strlen(directory) : 0;
	cut_at = at ? atol(at) : 0;
	for (int n = 1; text && n < 6; n++)
		if (!strcmp(text, names[n]))
			mode = (enum mode)n;
}

__attribute__((destructor)) static void end(void)
{
	const char *path = getenv("CUT_COUNT");
	FILE *f = path ? fopen(path, "we") : NULL;

	if (!f)
		return;
	fprintf(f, "%ld\n", atomic_load(&calls));
	fclose(f);
}

static int below(const char *path)
{
	return directory_length && !strncmp(path, directory, directory_length);
}

static int ours_fd(int fd)
{
	char link[64], path[4096];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	if (n <= 0)
		return 0;
	path[n] = '\0';
	return below(path);
}

static int ours_at(int at, const char *path)
{
	char here[4096];

	if (path[0] == '/')
		return below(path);
	if (at != AT_FDCWD)
		return ours_fd(at);
	return getcwd(here, sizeof(here)) && below(here);
}

enum verdict {
	GO,
	GO_THEN_DIE,
	HALF_THEN_DIE,
	FAIL,
};

static void die(void)
{
	kill(getpid(), SIGKILL);
	for (;;)
		pause();
}

/* One more call; `writing`: it could run out of space. */
static enum verdict count(int ours, int writing)
{
	long n;

	if (!ours)
		return GO;
	n = atomic_fetch_add(&calls, 1) + 1;
	if (!cut_at || n < cut_at)
		return GO;
	switch (mode) {
	case MODE_KILL:
		die();
		return GO;
	case MODE_AFTER:
		return GO_THEN_DIE;
	case MODE_SHORT:
		if (!writing)
			die();
		return HALF_THEN_DIE;
	case MODE_ENOSPC:
		errno = ENOSPC;
		return writing ? FAIL : GO;
	case MODE_EIO:
		errno = EIO;
		return writing || n == cut_at ? FAIL : GO;
	default:
		return GO;
	}
}

#define FINISH(verdict, result)                                                \
	do {                                                                   \
		if ((verdict) == GO_THEN_DIE)                                  \
			die();                                                 \
		return result;                                                 \
	} while (0)

ssize_t write(int fd, const void *data, size_t length)
{
	ssize_t (*next)(int, const void *, size_t) = real("write");
	enum verdict v = count(ours_fd(fd), 1);

	if (v == FAIL)
		return -1;
	if (v == HALF_THEN_DIE) {
		next(fd, data, length / 2);
		die();
	}
	ssize_t n = next(fd, data, length);
	FINISH(v, n);
}

static ssize_t positioned(const char *name, int fd, const void *data,
			  size_t length, off_t at)
{
	ssize_t (*next)(int, const void *, size_t, off_t) = real(name);
	enum verdict v = count(ours_fd(fd), 1);

	if (v == FAIL)
		return -1;
	if (v == HALF_THEN_DIE) {
		next(fd, data, length / 2, at);
		die();
	}
	ssize_t n = next(fd, data, length, at);
	FINISH(v, n);
}

ssize_t pwrite(int fd, const void *data, size_t length, off_t at)
{
	return positioned("pwrite", fd, data, length, at);
}

ssize_t pwrite64(int fd, const void *data, size_t length, off_t at)
{
	return positioned("pwrite64", fd, data, length, at);
}

#define SIMPLE(type, name, parameters, arguments, ours, writing)               \
	type name parameters                                                   \
	{                                                                      \
		type(*next) parameters = real(#name);                          \
		enum verdict v = count(ours, writing);                         \
		if (v == FAIL)                                                 \
			return -1;                                             \
		if (v == HALF_THEN_DIE)                                        \
			die();                                                 \
		type result = next arguments;                                  \
		FINISH(v, result);                                             \
	}

SIMPLE(ssize_t, writev, (int fd, const struct iovec *parts, int n),
       (fd, parts, n), ours_fd(fd), 1)
SIMPLE(int, fsync, (int fd), (fd), ours_fd(fd), 0)
SIMPLE(int, fdatasync, (int fd), (fd), ours_fd(fd), 0)
SIMPLE(int, ftruncate, (int fd, off_t length), (fd, length), ours_fd(fd), 1)
SIMPLE(int, ftruncate64, (int fd, off_t length), (fd, length), ours_fd(fd), 1)
SIMPLE(int, rename, (const char *from, const char *to), (from, to),
       ours_at(AT_FDCWD, from), 0)
SIMPLE(int, renameat, (int a, const char *from, int b, const char *to),
       (a, from, b, to), ours_at(a, from), 0)
SIMPLE(int, unlink, (const char *path), (path), ours_at(AT_FDCWD, path), 0)
SIMPLE(int, unlinkat, (int at, const char *path, int flags), (at, path, flags),
       ours_at(at, path), 0)

static int open_counted(const char *name, int at, const char *path, int flags,
			mode_t bits)
{
	enum verdict v = count(flags & O_CREAT && ours_at(at, path), 1);
	int fd;

	if (v == FAIL)
		return -1;
	if (v == HALF_THEN_DIE)
		die();
	if (at == AT_FDCWD && strncmp(name, "openat", 6) != 0) {
		int (*next)(const char *, int, ...) = real(name);

		fd = next(path, flags, bits);
	} else {
		int (*next)(int, const char *, int, ...) = real(name);

		fd = next(at, path, flags, bits);
	}
	FINISH(v, fd);
}

#define BITS                                                                   \
	mode_t bits = 0;                                                       \
	va_list all;                                                           \
	va_start(all, flags);                                                  \
	if (flags & (O_CREAT | O_TMPFILE))                                     \
		bits = (mode_t)va_arg(all, int);                               \
	va_end(all)

int open(const char *path, int flags, ...)
{
	BITS;
	return open_counted("open", AT_FDCWD, path, flags, bits);
}

int open64(const char *path, int flags, ...)
{
	BITS;
	return open_counted("open64", AT_FDCWD, path, flags, bits);
}

int openat(int at, const char *path, int flags, ...)
{
	BITS;
	return open_counted("openat", at, path, flags, bits);
}

int openat64(int at, const char *path, int flags, ...)
{
	BITS;
	return open_counted("openat64", at, path, flags, bits);
}
