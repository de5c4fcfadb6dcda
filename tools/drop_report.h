/* What the rules kept out of restore/, on stdout. */
#ifndef REEL_TOOLS_DROP_REPORT_H
#define REEL_TOOLS_DROP_REPORT_H

#include <stdbool.h>
#include "tools/status.h"

struct drop_report {
	struct status counts, names;
};

/* False: no restore/ is mounted there. */
bool drop_report_read(const char *mountpoint, struct drop_report *out);
void drop_report_release(struct drop_report *r);
/* The sums, and names: `all`, or the first of each kind. */
void drop_report_say(const struct drop_report *r, bool all);
/* A name as an object, a line each. */
void drop_report_json(const struct drop_report *r);

#endif
