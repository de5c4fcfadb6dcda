/* Writes files and tells what was acknowledged as durable, so that after a
 * crash it can be looked at whether it is.
 *
 *     durable run [-s SEED] [-n OPERATIONS | -t SECONDS] DIR >LOG
 *     durable check DIR <LOG
 *
 * `run` ends quietly with status 0 when the filesystem goes away below it, and
 * with 1 when a call fails in any other way. LOG belongs outside of DIR.
 * `check` prints what is missing or wrong, a line each, and ends with 1 then.
 *
 * A line of the log is written before its call is made, or, for what is
 * acknowledged (f, y, a), after it was:
 *
 *     C dir name file     a file is made        M dir name newdir    a
 * directory R dir name dir name rename                U dir name unlink D dir
 * name          rmdir W file unit gen     a unit is written (the next one or
 * one of before) T file units        truncated to that many units f file fsync
 * y dir     fsync of a directory a                   syncfs
 *
 * Files consist of units of 1,000 bytes that tell file, unit and generation.
 *
 * D1 fsync of a file: its units and its length, and the names that lead to it,
 *    are there. D2 fsync of a directory: its names are. D3 syncfs: all.
 * D4 What came after may be there or not: a name leads to what it led to when
 *    it was durable, or to anything that it led to after; a unit has its
 *    durable generation or any later one (or zeros, where none was durable).
 * D5 A file that was durable is found at some name, unless it was removed or
 *    replaced after; at one name only, since there are no links.
 * D6 Nothing else is there. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "tests/posix/durable.h"

int main(int argc, char **argv)
{
	struct durable_options o = {.seed = 1, .count = 100000};
	int option;

	if (argc > 2 && !strcmp(argv[1], "check"))
		return durable_check(argv[2], stdin);
	if (argc < 2 || strcmp(argv[1], "run"))
		goto usage;
	argc--;
	argv++;
	while ((option = getopt(argc, argv, "s:n:t:")) != -1) {
		if (option == 's')
			o.seed = strtoull(optarg, NULL, 10);
		else if (option == 'n')
			o.count = strtoul(optarg, NULL, 10);
		else if (option == 't')
			o.until = time(NULL) + atol(optarg);
		else
			goto usage;
	}
	if (optind + 1 != argc)
		goto usage;
	return durable_run(&o, argv[optind]);
usage:
	fprintf(stderr, "durable run [-s SEED] [-n OPERATIONS | -t SECONDS] "
			"DIR >LOG\ndurable check DIR <LOG\n");
	return 2;
}
