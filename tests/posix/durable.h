#ifndef REEL_TESTS_POSIX_DURABLE_H
#define REEL_TESTS_POSIX_DURABLE_H

#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>
#include <time.h>

#define DURABLE_UNIT  1000
#define DURABLE_UNITS 200  /* in a file at most */
#define DURABLE_FILES 4000 /* numbers of files and directories */
#define DURABLE_NAMES 40   /* n0 … in each directory */

struct durable_options {
	uint64_t seed;
	unsigned long count;
	time_t until; /* instead; 0: none */
};

int durable_run(const struct durable_options *o, const char *dir);
int durable_check(const char *dir, FILE *log);

/* The mode of a directory tells which one it is, nearly. */
static inline mode_t durable_mode(int directory)
{
	return (mode_t)(0700 | directory % 64 | (directory / 64 % 2) << 9);
}

/* A unit's bytes. */
void durable_unit(char to[DURABLE_UNIT], int file, int unit, int generation);

#endif
