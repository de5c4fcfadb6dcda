/* Which directory a walk lists next. find, tar, cp, rsync list a directory,
 * then those that it gave, in this order, each with all below it before the
 * next. Pure, bounded, for one thread; a wrong guess costs its credit. */
#ifndef REEL_FS_FORECAST_H
#define REEL_FS_FORECAST_H

#include <stdbool.h>
#include <stdint.h>

#define FORECAST_COMING 1024

struct forecast {
	uint64_t coming[FORECAST_COMING]; /* the next one is the last */
	unsigned count;
	unsigned base;	 /* those from here on were given by `listed` */
	uint64_t listed; /* the directory asked for last */
	int spent;	 /* credit that is used up */
};

/* A zeroed forecast knows nothing and has full credit. */
/* A page of a directory is asked for, from its beginning or further on. */
void forecast_asked(struct forecast *f, uint64_t id, bool beginning);
/* The directories on that page, in order. */
void forecast_given(struct forecast *f, const uint64_t *ids, unsigned count);
/* The next one; 0 when there is none or guesses were wrong too often. */
uint64_t forecast_next(const struct forecast *f);

#endif
