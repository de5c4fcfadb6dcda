/* Preloaded: runs the shell command $MEANWHILE when a file whose path ends in
 * $MEANWHILE_OF is read at byte $MEANWHILE_AT or behind it: once, or with
 * $MEANWHILE_EACH in every reading of it. The reader waits for the command. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const char *command, *of;
static long long at;
static bool each, done;

__attribute__((constructor)) static void begin(void)
{
	const char *byte = getenv("MEANWHILE_AT");

	command = getenv("MEANWHILE");
	of = getenv("MEANWHILE_OF");
	at = byte ? atoll(byte) : 0;
	each = getenv("MEANWHILE_EACH") != NULL;
	unsetenv("LD_PRELOAD"); /* the command's own reading */
}

static bool is_it(int fd)
{
	char link[64], path[4096];
	ssize_t n;

	if (!command || !of)
		return false;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	if (n < (ssize_t)strlen(of))
		return false;
	path[n] = '\0';
	return !strcmp(path + n - strlen(of), of);
}

static void look(int fd, long long offset)
{
	if (!is_it(fd))
		return;
	pthread_mutex_lock(&lock);
	if (offset < at) {
		done &= !each;
	} else if (!done) {
		done = true;
		if (system(command))
			fprintf(stderr, "meanwhile: the command failed\n");
	}
	pthread_mutex_unlock(&lock);
}

ssize_t pread64(int fd, void *to, size_t length, off64_t offset)
{
	ssize_t (*real)(int, void *, size_t, off64_t) =
		(ssize_t(*)(int, void *, size_t, off64_t))dlsym(RTLD_NEXT,
								"pread64");

	look(fd, offset);
	return real(fd, to, length, offset);
}
