/* Carries delayed operations out. Needs the target and its journal only: no
 * catalogue, no medium, no mount. */
#ifndef REEL_FS_DELAYED_RUN_H
#define REEL_FS_DELAYED_RUN_H

#include "catalog/delayed.h"

struct delayed_run_options {
	bool early;   /* only the target's own filesystem is there yet */
	bool dry_run; /* looks, changes nothing */
	/* Each record once it has ended; status 0: done. May be NULL. In a
	 * dry run what would come of it, as far as can be seen. */
	void (*ended)(void *context, const struct delayed_record *r,
		      uint32_t status);
	void *context;
};

struct delayed_run_report {
	size_t done, failed, waiting;
	bool stopped;	   /* by a move or a delete that failed */
	bool absent;	   /* by a filesystem that is not mounted */
	const char *place; /* which; as long as the journal is unchanged */
};

/* Carries out what waits in `d`, which was opened with DELAYED_RUN (to dry
 * run: DELAYED_READ). Failures of records are in the report; an error is
 * returned when the journal cannot be kept, logged. Call delayed_finish()
 * afterwards when it is 0 and this was no dry run. */
int delayed_run(struct delayed *d, const struct delayed_run_options *options,
		struct delayed_run_report *out);

#endif
