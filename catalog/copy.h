/* Sessions of one set into another of the same uuid, volume by volume, byte by
 * byte: they keep their numbers, and what the catalogue says of places in a
 * volume stays true. Every frame is checked on its way.
 *
 * Y1 The other set has the sessions of this one up to some number, and no
 *    others; what is copied comes behind them.
 * Y2 A session counts in the other set when all of it is there (stream.h, S2;
 *    cartridge.h, K1). So a copy that was interrupted goes on with the session
 *    it was at. */
#ifndef REEL_CATALOG_COPY_H
#define REEL_CATALOG_COPY_H

#include "catalog/catalog.h"

struct copy_progress {
	uint64_t done, total; /* bytes of volumes */
	uint32_t session;
};

struct copy_options {
	const volatile int *stop;
	void (*progress)(void *context, const struct copy_progress *p);
	void *context;
};

struct copy_found {
	uint32_t sessions, volumes; /* copied */
	uint64_t bytes;
	uint64_t damaged; /* frames that were copied as they are: said */
};

/* `from` is open for reading, `to` for writing. REEL_EINVAL: `to` has other
 * sessions (said). */
int copy_set(struct catalog *from, struct catalog *to,
	     const struct copy_options *o, struct copy_found *found);

/* Whether the places of `copy` can be among those of `s`: both are on tape, and
 * the copy's cartridges have numbers of their own (cartridge.h). */
bool copy_can_be_known(const struct set *s, const struct set *copy);
/* `s` reads what lies on a missing or damaged cartridge from the copy's, where
 * they are known from now on; the copy's drives are added to its own. `s` is
 * open for writing, by nobody else; logs. */
int copy_make_known(struct set *s, struct catalog *copy);

#endif
