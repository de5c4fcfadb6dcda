#ifndef REEL_TESTS_POSIX_STRESS_H
#define REEL_TESTS_POSIX_STRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#define STRESS_BLOCK 512
#define STRESS_DIRS  8 /* that stay */

struct stress_options {
	uint64_t seed;
	int processes;
	unsigned long count; /* operations of each process */
	time_t until;	     /* instead; 0: none */
};

/* tree/ and its directories, in the working directory. */
int stress_make_tree(void);
/* What process p does; then checks its own names. 0, or 1 after a message. */
int stress_process(const struct stress_options *o, int p);
/* How many things are wrong below, each with a line. */
int stress_check_tree(const char *dir);

/* A block of a file with this number. */
void stress_block(unsigned char to[STRESS_BLOCK], uint64_t file,
		  uint64_t number, uint64_t generation);
/* 0 and *file when all blocks are of one file (*file 0: all are zeros); else -1
 * with what is wrong in text. */
int stress_check_file(int fd, uint64_t *file, char text[128]);

#endif
