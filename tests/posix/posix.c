/* What a filesystem answers to every system call that a client of it uses.
 *
 *     posix [-v] [-x EXCEPTIONS] DIR [CHECK...]
 *
 * Works in DIR, in directories that it makes and removes; CHECKs are beginnings
 * of names. As root, else what needs it is left out. A line for each call that
 * answered otherwise than it should: not ok CHECK: CALL: expected X got Y. */
#include "tests/posix/check.h"

#include <ftw.h>
#include <grp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include "tests/posix/result.h"

#define CHECK_SECONDS 60

static const struct check *const tables[] = {
	checks_open,   checks_data,  checks_space,     checks_names,
	checks_rename, checks_owner, checks_time,      checks_xattr,
	checks_acl,    checks_lock,  checks_directory, checks_open_files,
};

static int remove_one(const char *path, const struct stat *st, int type,
		      struct FTW *where)
{
	(void)st;
	(void)where;
	return type == FTW_DP || type == FTW_DNR ? rmdir(path) : unlink(path);
}

static void run_child(const struct check *c, const char *dir)
{
	alarm(CHECK_SECONDS);
	umask(0);
	if (mkdir(dir, 0777) || chdir(dir)) {
		result_not_ok(dir, strerror(errno));
		_exit(0);
	}
	c->run();
	_exit(0);
}

static void run(const struct check *c, const char *base)
{
	char dir[4096], text[80];
	int state = 0;
	pid_t pid;

	result_check(c->name);
	if (c->root && geteuid()) {
		result_skip("all", "needs root");
		return;
	}
	snprintf(dir, sizeof(dir), "%s/posix-%d-%s", base, (int)getpid(),
		 c->name);
	fflush(stdout);
	pid = fork();
	if (!pid)
		run_child(c, dir);
	if (pid < 0 || waitpid(pid, &state, 0) != pid || WIFSIGNALED(state)) {
		snprintf(text, sizeof(text), "ended by signal %d%s",
			 WTERMSIG(state),
			 WTERMSIG(state) == SIGALRM ? " (hung)" : "");
		result_not_ok("ends", text);
	}
	if (nftw(dir, remove_one, 50, FTW_DEPTH | FTW_PHYS))
		result_not_ok("is removed", strerror(errno));
}

static bool chosen(const char *name, char **names)
{
	if (!*names)
		return true;
	for (; *names; names++)
		if (!strncmp(name, *names, strlen(*names)))
			return true;
	return false;
}

int main(int argc, char **argv)
{
	const char *exceptions = NULL;
	bool verbose = false;
	int option;

	while ((option = getopt(argc, argv, "vx:")) != -1) {
		if (option == 'x')
			exceptions = optarg;
		else if (option == 'v')
			verbose = true;
		else
			return 2;
	}
	if (optind >= argc) {
		fprintf(stderr, "posix [-v] [-x EXCEPTIONS] DIR [CHECK...]\n");
		return 2;
	}
	if (result_init(exceptions, verbose))
		return 2;
	if (!geteuid() && setgroups(0, NULL))
		return 2;
	for (size_t i = 0; i < sizeof(tables) / sizeof(*tables); i++)
		for (const struct check *c = tables[i]; c->name; c++)
			if (chosen(c->name, argv + optind + 1))
				run(c, argv[optind]);
	return result_end();
}
