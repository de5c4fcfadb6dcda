/* Cuts a program off in the middle of its writing.
 *
 * Preloaded (LD_PRELOAD), it counts the calls that change files below CUT_DIR:
 * writes, syncs, renames, links, removals, truncations, creations. At call
 * number CUT_AT it does what CUT_MODE says:
 *
 *     kill    the process is killed before the call
 *     after   … after it
 *     short   half of a write is done, then the process is killed
 *     enospc  what needs room from here on fails with ENOSPC
 *     eio     this call and all later ones fail with EIO
 *     once    this call alone fails with EIO
 *
 * With CUT_LOG=FILE the number of calls is written there at the end. With
 * CUT_RECORD=FILE each call that was done is noted there, in order and with
 * its data, so that replay.py can tell what a power cut would have left:
 *
 *     C path        made, if it was not there     T path length  truncated
 *     W path offset length \n data                U path         removed
 *     S path        synced (file or directory)    M path         mkdir
 *     Y path        all synced, by syncfs
 *     R from to     renamed                       L from to      linked
 *
 * With CUT_SAYS set, what the program writes to its standard output is noted,
 * too (A - 0 length \n data), and the record is added to: several programs
 * share one then, and its order is theirs.
 *
 * They stand one a line, fields parted by NUL. Paths are taken from
 * descriptors, so that relative names count too. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum mode {
	MODE_NONE,
	MODE_KILL,
	MODE_AFTER,
	MODE_SHORT,
	MODE_ENOSPC,
	MODE_EIO,
	MODE_ONCE,
};

static atomic_long calls;
static long cut_at;
static enum mode mode;
static const char *directory;
static size_t directory_length;
static FILE *record;
static int says;
static char record_buffer[8u << 20];
static pthread_mutex_t record_lock = PTHREAD_MUTEX_INITIALIZER;

static void *real(const char *name)
{
	return dlsym(RTLD_NEXT, name);
}

__attribute__((constructor)) static void begin(void)
{
	static const char *const names[] = {"",	      "kill", "after", "short",
					    "enospc", "eio",  "once"};
	const char *text = getenv("CUT_MODE"), *at = getenv("CUT_AT");
	const char *path = getenv("CUT_RECORD");

	directory = getenv("CUT_DIR");
	directory_length = directory ? strlen(directory) : 0;
	cut_at = at ? atol(at) : 0;
	for (int n = 1; text && n <= MODE_ONCE; n++)
		if (!strcmp(text, names[n]))
			mode = (enum mode)n;
	says = path && getenv("CUT_SAYS");
	record = path ? fopen(path, says ? "ae" : "we") : NULL;
	if (record) /* a record is one write */
		setvbuf(record, record_buffer, _IOFBF, sizeof(record_buffer));
}

__attribute__((destructor)) static void end(void)
{
	const char *path = getenv("CUT_LOG");
	FILE *f = path ? fopen(path, "we") : NULL;

	if (record)
		fflush(record);
	if (!f)
		return;
	fprintf(f, "%ld\n", atomic_load(&calls));
	fclose(f);
}

/* ---- which file ---- */

static int below(const char *path)
{
	return directory_length &&
	       !strncmp(path, directory, directory_length) &&
	       (path[directory_length] == '/' || !path[directory_length]);
}

static int path_of_fd(int fd, char path[PATH_MAX])
{
	char link[64];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, PATH_MAX - 1);
	path[n > 0 ? n : 0] = '\0';
	return n > 0;
}

/* 1 and the path when it is ours. */
static int ours_fd(int fd, char path[PATH_MAX])
{
	return directory_length && path_of_fd(fd, path) && below(path);
}

static int ours_at(int at, const char *name, char path[PATH_MAX])
{
	char here[PATH_MAX];

	if (!directory_length)
		return 0;
	if (name[0] == '/')
		here[0] = '\0';
	else if (at == AT_FDCWD ? !getcwd(here, sizeof(here))
				: !path_of_fd(at, here))
		return 0;
	return snprintf(path, PATH_MAX, "%s%s%s", here, *here ? "/" : "",
			name) < PATH_MAX &&
	       below(path);
}

/* ---- one call ---- */

enum verdict {
	GO,
	GO_THEN_DIE,
	HALF_THEN_DIE,
	FAIL,
};

/* What a call needs and is. */
enum need {
	NEEDS_ROOM,
	NEEDS_NOTHING,
};

static void die(void)
{
	kill(getpid(), SIGKILL);
	for (;;)
		pause();
}

/* The calls are noted in the order in which they are done. */
static enum verdict count(int ours, enum need need)
{
	long n;

	if (!ours)
		return GO;
	if (record)
		pthread_mutex_lock(&record_lock);
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
		return HALF_THEN_DIE;
	case MODE_ENOSPC:
		errno = ENOSPC;
		return need == NEEDS_ROOM ? FAIL : GO;
	case MODE_EIO:
		errno = EIO;
		return FAIL;
	case MODE_ONCE:
		errno = EIO;
		return n == cut_at ? FAIL : GO;
	default:
		return GO;
	}
}

static void note_numbers(int ours, int ok, char what, const char *path,
			 long long a, long long b)
{
	if (!record || !ours || !ok)
		return;
	fprintf(record, "%c%c%s%c%lld%c%lld\n", what, 0, path, 0, a, 0, b);
}

static void note(int ours, int ok, char what, const char *from, const char *to)
{
	if (!record || !ours || !ok)
		return;
	fprintf(record, "%c%c%s%c%s\n", what, 0, from, 0, to);
}

/* After the call, whose errno is kept. */
static void done(int ours, enum verdict v)
{
	if (v == GO_THEN_DIE)
		die();
	if (record && ours) {
		int saved = errno;

		fflush(record);
		pthread_mutex_unlock(&record_lock);
		errno = saved;
	}
}

static ssize_t write_one(const char *name, int fd, const void *data,
			 size_t length, off_t at, int positioned)
{
	char path[PATH_MAX];
	int said = says && fd == STDOUT_FILENO;
	int ours = ours_fd(fd, path) || said;
	enum verdict v = count(ours, NEEDS_ROOM);
	ssize_t n = -1;

	if (said)
		strcpy(path, "-");
	if (v == HALF_THEN_DIE)
		length /= 2;
	if (ours && record && !positioned)
		at = lseek(fd, 0, SEEK_CUR);
	if (v == FAIL) {
		n = -1;
	} else if (positioned) {
		ssize_t (*next)(int, const void *, size_t, off_t) = real(name);

		n = next(fd, data, length, at);
	} else {
		ssize_t (*next)(int, const void *, size_t) = real(name);

		n = next(fd, data, length);
	}
	if (v == HALF_THEN_DIE)
		die();
	if (n >= 0 && ours && record) {
		note_numbers(ours, 1, said ? 'A' : 'W', path, (long long)at,
			     (long long)n);
		fwrite(data, 1, (size_t)n, record);
	}
	done(ours, v);
	return n;
}

ssize_t write(int fd, const void *data, size_t length)
{
	return write_one("write", fd, data, length, 0, 0);
}

ssize_t pwrite(int fd, const void *data, size_t length, off_t at)
{
	return write_one("pwrite", fd, data, length, at, 1);
}

ssize_t pwrite64(int fd, const void *data, size_t length, off_t at)
{
	return write_one("pwrite64", fd, data, length, at, 1);
}

/* Calls that are done or not; `ours` fills `path`, `noting` what is noted. */
#define SIMPLE(type, name, parameters, arguments, ours_is, need, noting)       \
	type name parameters                                                   \
	{                                                                      \
		type(*next) parameters = real(#name);                          \
		char path[PATH_MAX] = "", to[PATH_MAX] = "";                   \
		int ours = ours_is;                                            \
		enum verdict v = count(ours, need);                            \
		type result = -1;                                              \
                                                                               \
		(void)to;                                                      \
		if (v == HALF_THEN_DIE)                                        \
			die();                                                 \
		if (v != FAIL)                                                 \
			result = next arguments;                               \
		noting;                                                        \
		done(ours, v);                                                 \
		return result;                                                 \
	}

SIMPLE(ssize_t, writev, (int fd, const struct iovec *parts, int n),
       (fd, parts, n), ours_fd(fd, path), NEEDS_ROOM,
       if (ours && record) abort())
SIMPLE(int, fsync, (int fd), (fd), ours_fd(fd, path), NEEDS_NOTHING,
       note(ours, !result, 'S', path, ""))
SIMPLE(int, fdatasync, (int fd), (fd), ours_fd(fd, path), NEEDS_NOTHING,
       note(ours, !result, 'S', path, ""))
SIMPLE(int, syncfs, (int fd), (fd), ours_fd(fd, path), NEEDS_NOTHING,
       note(ours, !result, 'Y', path, ""))
SIMPLE(int, sync_file_range,
       (int fd, off_t from, off_t length, unsigned int flags),
       (fd, from, length, flags), ours_fd(fd, path), NEEDS_NOTHING, )
SIMPLE(int, ftruncate, (int fd, off_t length), (fd, length), ours_fd(fd, path),
       NEEDS_ROOM, note_numbers(ours, !result, 'T', path, (long long)length, 0))
SIMPLE(int, ftruncate64, (int fd, off_t length), (fd, length),
       ours_fd(fd, path), NEEDS_ROOM,
       note_numbers(ours, !result, 'T', path, (long long)length, 0))
SIMPLE(int, rename, (const char *from, const char *name), (from, name),
       ours_at(AT_FDCWD, from, path) && ours_at(AT_FDCWD, name, to),
       NEEDS_NOTHING, note(ours, !result, 'R', path, to))
SIMPLE(int, renameat, (int a, const char *from, int b, const char *name),
       (a, from, b, name), ours_at(a, from, path) && ours_at(b, name, to),
       NEEDS_NOTHING, note(ours, !result, 'R', path, to))
SIMPLE(int, renameat2,
       (int a, const char *from, int b, const char *name, unsigned int flags),
       (a, from, b, name, flags),
       ours_at(a, from, path) && ours_at(b, name, to), NEEDS_NOTHING,
       note(ours, !result, 'R', path, to))
SIMPLE(int, link, (const char *from, const char *name), (from, name),
       ours_at(AT_FDCWD, from, path) && ours_at(AT_FDCWD, name, to), NEEDS_ROOM,
       note(ours, !result, 'L', path, to))
SIMPLE(int, linkat,
       (int a, const char *from, int b, const char *name, int flags),
       (a, from, b, name, flags),
       ours_at(a, from, path) && ours_at(b, name, to), NEEDS_ROOM,
       note(ours, !result, 'L', path, to))
SIMPLE(int, unlink, (const char *name), (name), ours_at(AT_FDCWD, name, path),
       NEEDS_NOTHING, note(ours, !result, 'U', path, ""))
SIMPLE(int, unlinkat, (int at, const char *name, int flags), (at, name, flags),
       ours_at(at, name, path), NEEDS_NOTHING,
       note(ours, !result, 'U', path, ""))
SIMPLE(int, rmdir, (const char *name), (name), ours_at(AT_FDCWD, name, path),
       NEEDS_NOTHING, note(ours, !result, 'U', path, ""))
SIMPLE(int, mkdir, (const char *name, mode_t bits), (name, bits),
       ours_at(AT_FDCWD, name, path), NEEDS_ROOM,
       note(ours, !result, 'M', path, ""))
SIMPLE(int, mkdirat, (int at, const char *name, mode_t bits), (at, name, bits),
       ours_at(at, name, path), NEEDS_ROOM, note(ours, !result, 'M', path, ""))

static int open_one(const char *function, int at, const char *name, int flags,
		    mode_t bits)
{
	char path[PATH_MAX];
	int ours = flags & (O_CREAT | O_TRUNC) && ours_at(at, name, path);
	enum verdict v =
		count(ours, flags & O_CREAT && ours && access(path, F_OK)
				    ? NEEDS_ROOM
				    : NEEDS_NOTHING);
	int fd = -1;

	if (v == HALF_THEN_DIE)
		die();
	if (v == FAIL) {
		fd = -1;
	} else if (strncmp(function, "openat", 6) != 0) {
		int (*next)(const char *, int, ...) = real(function);

		fd = next(name, flags, bits);
	} else {
		int (*next)(int, const char *, int, ...) = real(function);

		fd = next(at, name, flags, bits);
	}
	if (flags & O_CREAT)
		note(ours, fd >= 0, 'C', path, "");
	if (flags & O_TRUNC)
		note_numbers(ours, fd >= 0, 'T', path, 0, 0);
	done(ours, v);
	return fd;
}

#define OPEN(name, at, parameters)                                             \
	int name parameters                                                    \
	{                                                                      \
		mode_t bits = 0;                                               \
		va_list all;                                                   \
                                                                               \
		va_start(all, flags);                                          \
		if (flags & (O_CREAT | O_TMPFILE))                             \
			bits = (mode_t)va_arg(all, int);                       \
		va_end(all);                                                   \
		return open_one(#name, at, path, flags, bits);                 \
	}

OPEN(open, AT_FDCWD, (const char *path, int flags, ...))
OPEN(open64, AT_FDCWD, (const char *path, int flags, ...))
OPEN(openat, at, (int at, const char *path, int flags, ...))
OPEN(openat64, at, (int at, const char *path, int flags, ...))
