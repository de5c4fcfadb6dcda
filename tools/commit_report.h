/* What a commit did, on stdout. */
#ifndef REEL_TOOLS_COMMIT_REPORT_H
#define REEL_TOOLS_COMMIT_REPORT_H

#include <stdbool.h>
#include <stdint.h>

struct commit_report {
	const char *name; /* of the snapshot; borrowed */
	uint32_t session; /* 0: there was nothing to commit */
	uint64_t added, changed, removed, left_out, problems;
	uint64_t new_bytes, stored;
};
void commit_report(const struct commit_report *r, bool json);

/* cmd_commit.c: what the last commit of a mount did, on stdout. */
void commit_say(const char *mountpoint);
/* cmd_commit.c: commits through a mount, with progress on a terminal. */
int commit_mounted(const char *mountpoint, const char *label, bool quiet);

#endif
