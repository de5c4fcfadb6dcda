/* Delays what it is told, as a restore does.
 *
 *     delay ROOT [journal=DIR] WORD...
 *
 *     move FILE PATH       FILE's content, mode and mtime go to PATH
 *     directory MODE PATH  an empty directory
 *     link TARGET PATH     a symlink
 *     flags HEX            inode flags of the next moves
 *     delete PATH
 *     name PATH NAME
 *     commit
 *
 * What is not committed is swept at the end; `leave` ends at once instead. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "catalog/delayed.h"
#include "tape/error.h"

static struct delayed *d;
static uint32_t flags;

static void check(int error, const char *what)
{
	if (!error)
		return;
	fprintf(stderr, "delay: %s: %s\n", what, error_text(error));
	delayed_close(d);
	exit(2);
}

static int copy(const char *from, int directory, const char *name)
{
	int in = open(from, O_RDONLY);
	int out = openat(directory, name, O_WRONLY | O_CREAT | O_EXCL, 0600);
	struct timespec times[2];
	struct stat st;
	char room[65536];
	ssize_t n;

	if (in < 0 || out < 0 || fstat(in, &st))
		return REEL_EIO;
	while ((n = read(in, room, sizeof(room))) > 0)
		if (write(out, room, (size_t)n) != n)
			return REEL_ENOSPC;
	times[0] = st.st_atim;
	times[1] = st.st_mtim;
	fchmod(out, st.st_mode & 07777);
	futimens(out, times);
	close(in);
	return close(out) ? REEL_EIO : 0;
}

static int directory(const char *mode, int up, const char *name)
{
	const struct timespec times[2] = {{1000000000, 0}, {1000000000, 0}};

	return mkdirat(up, name, 0700) ||
			       fchmodat(up, name,
					(mode_t)strtoul(mode, NULL, 8), 0) ||
			       utimensat(up, name, times, 0)
		       ? REEL_EIO
		       : 0;
}

static void stage(const char *word, const char *what, const char *path)
{
	struct delayed_stage s;
	int error;

	check(delayed_stage(d, path, &s), path);
	if (!strcmp(word, "move"))
		error = copy(what, s.directory, s.name);
	else if (!strcmp(word, "link"))
		error = symlinkat(what, s.directory, s.name) ? REEL_EIO : 0;
	else
		error = directory(what, s.directory, s.name);
	check(error, path);
	check(delayed_move(d, &s, path, NULL, flags), path);
}

/* How many words it took. */
static int carry_out(char **word)
{
	if (!strcmp(word[0], "commit")) {
		check(delayed_commit(d), "commit");
		return 1;
	}
	if (!strcmp(word[0], "leave"))
		_exit(0);
	if (!word[1]) {
		check(REEL_EINVAL, word[0]);
	} else if (!strcmp(word[0], "delete")) {
		check(delayed_delete(d, word[1]), word[1]);
		return 2;
	} else if (!strcmp(word[0], "flags")) {
		flags = (uint32_t)strtoul(word[1], NULL, 16);
		return 2;
	} else if (word[2] && !strcmp(word[0], "name")) {
		check(delayed_short_name(d, word[1], word[2]), word[1]);
		return 3;
	} else if (word[2]) {
		stage(word[0], word[1], word[2]);
		return 3;
	}
	check(REEL_EINVAL, word[0]);
	return 0;
}

int main(int argc, char **argv)
{
	const char *journal = NULL;
	int at = 2;

	if (argc < 2)
		return 2;
	if (argc > 2 && !strncmp(argv[2], "journal=", 8)) {
		journal = argv[2] + 8;
		at++;
	}
	check(delayed_open(argv[1], journal, DELAYED_WRITE, &d), argv[1]);
	while (at < argc)
		at += carry_out(argv + at);
	delayed_close(d);
	return 0;
}
