/* How far a long command is: one line on stderr that is drawn over and over,
 * with a bar and the time left where the total is known. On a terminal only.
 * One thread. */
#ifndef REEL_TOOLS_PROGRESS_H
#define REEL_TOOLS_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
	bool shown; /* on a terminal */
	bool drawn;
	int64_t began, last; /* ns */
	uint64_t last_bytes;
	double rate; /* bytes a second, smoothed */
};

struct progress_state {
	uint64_t done, total; /* of the work; total 0: not known */
	uint64_t entries;     /* 0: not said */
	uint64_t bytes;
	const char *path; /* may be NULL */
};

/* quiet: nothing is ever drawn. */
void progress_init(struct progress *p, bool quiet);
void progress_update(struct progress *p, const struct progress_state *s);
/* Wipes the line. */
void progress_end(struct progress *p);

#endif
