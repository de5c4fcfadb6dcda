#include "tests/posix/check.h"

#include <dirent.h>
#include <grp.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include "tests/posix/result.h"

/* ---- results ---- */

static const char *errno_name(int code)
{
	return code ? strerrorname_np(code) : "success";
}

void want(const char *what, int got, int code, int other)
{
	char text[80];

	if (got == code || got == other) {
		result_ok(what);
		return;
	}
	snprintf(text, sizeof(text), "expected %s got %s", errno_name(code),
		 errno_name(got));
	result_not_ok(what, text);
}

void same(const char *what, int64_t got, int64_t wanted)
{
	char text[80];

	if (got == wanted) {
		result_ok(what);
		return;
	}
	snprintf(text, sizeof(text), "expected %lld got %lld",
		 (long long)wanted, (long long)got);
	result_not_ok(what, text);
}

void skip(const char *what, const char *why)
{
	result_skip(what, why);
}

void lacks(const char *what)
{
	result_lacks(what);
}

/* ---- helpers ---- */

static void end(const char *call, const char *path)
{
	char what[256], text[80];

	snprintf(what, sizeof(what), "%s %.100s", call, path);
	snprintf(text, sizeof(text), "expected success got %s",
		 errno_name(errno));
	result_not_ok(what, text);
	_exit(0);
}

void become(uid_t uid)
{
	if (seteuid(0) || setegid(uid) || setgroups(0, NULL) || seteuid(uid))
		end("seteuid", "");
}

int open_or_end(const char *path, int flags, mode_t mode)
{
	int fd = open(path, flags | O_CLOEXEC, mode);

	if (fd < 0)
		end("open", path);
	return fd;
}

void make_file(const char *path, mode_t mode)
{
	close(open_or_end(path, O_CREAT | O_EXCL | O_WRONLY, mode));
}

void fill(const char *path, const char *text)
{
	int fd = open_or_end(path, O_CREAT | O_TRUNC | O_WRONLY, 0644);

	if (write(fd, text, strlen(text)) != (ssize_t)strlen(text) || close(fd))
		end("write", path);
}

void make_dir(const char *path, mode_t mode)
{
	if (mkdir(path, mode))
		end("mkdir", path);
}

struct stat status(const char *path)
{
	struct stat st;

	if (lstat(path, &st))
		end("lstat", path);
	return st;
}

bool holds(const char *path, const char *text)
{
	size_t length = strlen(text), have = 0;
	char *bytes = malloc(length + 1);
	int fd = open_or_end(path, O_RDONLY, 0);
	ssize_t n;

	while (have <= length &&
	       (n = read(fd, bytes + have, length + 1 - have)) > 0)
		have += (size_t)n;
	close(fd);
	bool equal = have == length && !memcmp(bytes, text, length);

	free(bytes);
	return equal;
}

bool there(const char *path)
{
	struct stat st;

	return !lstat(path, &st);
}

static int64_t ns(struct timespec t)
{
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

int64_t changed(const char *path)
{
	return ns(status(path).st_ctim);
}

int64_t modified(const char *path)
{
	return ns(status(path).st_mtim);
}

int64_t accessed(const char *path)
{
	return ns(status(path).st_atim);
}

void tick(void)
{
	struct timespec t = {0, 15000000};

	nanosleep(&t, NULL);
}

int open_close(const char *path, int flags, mode_t mode)
{
	int fd = open(path, flags, mode);

	return fd < 0 ? -1 : close(fd);
}

char *long_name(size_t length)
{
	char *name = malloc(length + 1);

	memset(name, 'n', length);
	name[length] = '\0';
	return name;
}

int count_names(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *e;
	int count = 0;

	if (!d)
		return -1;
	while ((e = readdir(d)))
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
			count++;
	closedir(d);
	return count;
}

int mode_of(const char *path)
{
	return status(path).st_mode & 07777;
}

int in_child(int (*run)(void *context), void *context)
{
	int state;
	pid_t pid = fork();

	if (!pid)
		_exit(run(context));
	if (pid < 0 || waitpid(pid, &state, 0) != pid || !WIFEXITED(state))
		end("fork", "");
	return WEXITSTATUS(state);
}
