/* What a mount says of its commits and of restore/: lines of `key value`
 * (committer.h, drop.h). */
#ifndef REEL_TOOLS_STATUS_H
#define REEL_TOOLS_STATUS_H

#include <stdbool.h>
#include <stdint.h>

struct status {
	char *text; /* heap; lines */
};

/* Of a mountpoint; REEL_EINVAL (logged unless quiet) when it has none. */
int status_read(const char *mountpoint, bool quiet, struct status *out);
/* The same of its restore/; not logged. */
int status_read_restore(const char *mountpoint, struct status *out);
/* The names there that have a shadow: lines `ACTION TAB PATH TAB RULE`. */
int status_read_names(const char *mountpoint, struct status *out);
void status_release(struct status *s);
/* The value of a key (heap), or NULL. */
char *status_get(const struct status *s, const char *key);
/* 0 when there is none. */
uint64_t status_number(const struct status *s, const char *key);
/* Lines `left-out PATH TAB RULE`: prints them as `PATH: RULE` on stderr. */
void status_say_left_out(const struct status *s);

#endif
