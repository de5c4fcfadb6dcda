/* The bytes of a commit's items: a thread between the walk and the archive
 * that reads them out of the spool's files, small ones into memory. */
#ifndef REEL_FS_COMMIT_READ_H
#define REEL_FS_COMMIT_READ_H

#include "catalog/spool.h"
#include "fs/item.h"

struct commit_read {
	struct queue *in;
	struct outlet out;
	const struct spool *view; /* its files do not change */
	uint64_t seed;
	int error;
};

/* Until `in` ends, then ends the queue of `out`. Returns r->error; logs. */
int commit_read_run(struct commit_read *r);

#endif
