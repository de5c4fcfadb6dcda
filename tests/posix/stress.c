/* Many processes change one tree at random, all at once; then it must be
 * consistent.
 *
 *     stress [-s SEED] [-p PROCESSES] [-n OPERATIONS | -t SECONDS] [-k] DIR
 *     stress -c DIR           the consistency alone, of a tree that -k left
 *
 * DIR/tree has directories s0 … s7 that stay; in them
 *     names of all processes (f0 …, d0 …), which are taken, replaced and lost
 *     at any moment: any outcome is right that some order of calls has;
 *     names of one process (p3-17): it knows what they must be.
 *
 * Every file consists of blocks of 512 bytes that describe themselves: the
 * file's number, the block's number, a sum; or of zeros (holes). So:
 * C1 No block of a file is another file's, stands elsewhere, or is torn.
 * C2 A name that readdir gives can be stat'ed, with the same inode and type.
 * C3 As many names lead to an inode as its link count says; a directory's says
 *    how many directories are in it.
 * C4 Names of one process are there exactly as it left them.
 * C5 No call fails with an error that no order of calls explains. */
#include "tests/posix/stress.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int remove_tree(const char *dir)
{
	char command[4200];

	snprintf(command, sizeof(command), "rm -rf '%s/tree'", dir);
	return system(command) ? 1 : 0;
}

static int run_all(const struct stress_options *o)
{
	int bad = 0, state;

	for (int p = 0; p < o->processes; p++) {
		pid_t pid = fork();

		if (pid < 0) {
			perror("fork");
			return 1;
		}
		if (!pid)
			_exit(stress_process(o, p));
	}
	while (wait(&state) > 0)
		bad += state != 0;
	if (bad)
		printf("%d processes failed\n", bad);
	return bad;
}

static int run(struct stress_options *o, bool keep)
{
	int bad;

	if (stress_make_tree())
		return 2;
	bad = run_all(o);
	bad += stress_check_tree("tree");
	if (bad) {
		printf("FAILED, seed %llu\n", (unsigned long long)o->seed);
		return 1;
	}
	return keep ? 0 : remove_tree(".");
}

int main(int argc, char **argv)
{
	struct stress_options o = {.seed = 1, .processes = 8, .count = 5000};
	bool keep = false, check = false;
	int option, bad;

	while ((option = getopt(argc, argv, "s:p:n:t:kc")) != -1) {
		if (option == 's')
			o.seed = strtoull(optarg, NULL, 10);
		else if (option == 'p')
			o.processes = atoi(optarg);
		else if (option == 'n')
			o.count = strtoul(optarg, NULL, 10);
		else if (option == 't')
			o.until = time(NULL) + atol(optarg);
		else if (option == 'k')
			keep = true;
		else if (option == 'c')
			check = true;
		else
			return 2;
	}
	if (optind + 1 != argc || chdir(argv[optind])) {
		perror("stress [-s SEED] [-p PROCESSES] [-n OPERATIONS | "
		       "-t SECONDS] [-k] [-c] DIR");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	bad = check ? stress_check_tree("tree") : run(&o, keep);
	if (!bad)
		printf("the tree is consistent\n");
	return bad ? 1 : 0;
}
