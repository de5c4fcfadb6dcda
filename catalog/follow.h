/* Mounts follow the sets they show: when a session has been committed, they
 * let the kernel forget what `latest` was. A program that has committed one
 * waits for them, for a moment, so that whoever runs it finds the new snapshot
 * in every mount on this machine.
 *
 * A follower holds a shared lock on a byte of the set's lock file, that of the
 * newest session that it has told of; so whoever is behind holds one before the
 * byte of the new session. Nothing is written to the file, whose other locks
 * are of other kinds. */
#ifndef REEL_CATALOG_FOLLOW_H
#define REEL_CATALOG_FOLLOW_H

#include "catalog/set.h"

struct follow {
	int fd; /* -1: nobody waits for this one */
	uint32_t at;
};
/* Where the file cannot be opened or locked nothing is followed. */
void follow_begin(struct follow *f, const struct set *s, uint32_t newest);
/* The kernel was told of it. */
void follow_to(struct follow *f, uint32_t newest);
void follow_end(struct follow *f);

/* By who committed session `newest` and has the set's lock still. */
void follow_wait(const struct set *s, uint32_t newest);

#endif
