/* A set whose volumes lie on cartridges: the drives it may use, its medium, and
 * what the cartridges say against what the catalogue knows. Cartridges and
 * places in the catalogue are those of committed sessions (places.h). */
#ifndef REEL_CATALOG_TAPES_H
#define REEL_CATALOG_TAPES_H

#include "catalog/catalog.h"
#include "tape/append.h"

struct tapes {
	struct set *set;
	struct station *station;
	struct catalog *other;	  /* asked for places instead of catalog.db */
	void *reader;		  /* a connection of its own, when needed */
	bool shared;		  /* the station is another set's */
	const volatile int *stop; /* ends waits for cartridges; may be NULL */
};

/* For set_open: sets s->tapes and s->medium; opens no drive. */
int tapes_open(struct set *s);
void tapes_close(struct tapes *t); /* accepts NULL */
/* These do nothing to sets that are not on tape. */
/* The set was opened once more by the same program: it uses the station of
 * `with`, which lives longer. Before anything is read. */
void tapes_share(struct set *s, const struct set *with);
/* station_set_patience */
void tapes_set_patience(struct set *s, unsigned timeout, bool at_hand,
			const volatile int *stop);
/* Set by another thread it ends what waits for a cartridge, also to be read. */
void tapes_set_stop(struct set *s, const volatile int *stop);
/* Bytes of the cache of what was read from tape. Before anything is read. */
void tapes_set_cache(struct set *s, uint64_t size);
/* What a person is waited for, station_needed; 0 or REEL_ENOMEM. */
int tapes_needed(const struct set *s, struct buffer *out);

/* An interrupted session (intent.h) is taken in when it is whole, else made
 * void. REEL_EMEDIUM: the cartridge that decides is not at hand; said. */
int tapes_reconcile(struct catalog *c);
/* Before a backup: whether the cartridge that it goes to is what the catalogue
 * knows. Sessions that are on it and not in the catalogue are taken in.
 * REEL_EEXIST: an unknown one is not whole and may go on elsewhere; said. */
int tapes_catch_up(struct catalog *c);
/* What a session that begins now needs; *table is filled in and o->table
 * points to it. `overwrite` may be NULL. */
int tapes_append_options(struct catalog *c, uint32_t first_volume,
			 uint32_t session, int64_t time, const char *overwrite,
			 struct cartridge_table *table,
			 struct append_options *o);
/* The session was published: its places come into the catalogue, before the
 * session does, so that none is there that cannot be found. */
int tapes_written(struct catalog *c, const struct cartridge_table *t);
/* The session is in the catalogue, too: nothing of it is to be done any more.
 * `full`: a cartridge that takes no more, or 0. */
int tapes_committed(struct catalog *c, uint32_t full);

/* The session failed before it could be whole, and nothing more is written:
 * what is on the cartridges does not count. */
int tapes_abandoned(struct catalog *c);

/* For catalog_rebuild: `fresh` gets all places that the cartridges tell of,
 * as far as they are at hand; *missing: some were not (said). `all`: there are
 * no more than these, so what is not whole on them never will be. */
int tapes_gather(struct set *s, struct catalog *fresh, bool all, bool *missing);

/* The last whole table on the cartridge in the drive, from tape file `file` on,
 * which is a volume's. REEL_ENOENT: there is none; REEL_EDAMAGED: there are
 * damaged ones alone. */
int tapes_last_table(struct drive *d, const struct set *s, uint64_t file,
		     struct cartridge_table *out);

#endif
