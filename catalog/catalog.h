/* The catalogue of a set: an SQLite database that is only a cache of what the
 * media say. One struct catalog is one connection; one for each thread.
 *
 * C1 The media decide. A session is published on the media first (stream.h,
 *    S2), then ingested from its own index in one transaction.
 * C2 Opening for writing reconciles: sessions on the media that the catalogue
 *    lacks are ingested, volumes that are not there are named, rubbish of
 *    interrupted writes is removed.
 * C3 Readers never write and never wait: WAL; a set that cannot be written is
 *    opened immutable.
 * C4 A catalogue is untrusted input: opened defensively (DBCONFIG_DEFENSIVE,
 *    trusted_schema off, cell_size_check), every value checked. */
#ifndef REEL_CATALOG_CATALOG_H
#define REEL_CATALOG_CATALOG_H

#include <stdbool.h>
#include <stdint.h>
#include "catalog/set.h"
#include "tape/frame.h"

struct catalog;

/* Opens SET/catalog.db as `set` was opened. With SET_WRITE: makes it when
 * missing (rebuilding from the media), reconciles (C2). With SET_READ: a
 * missing catalogue is an error that says `reel catalog rebuild`. Logs. */
int catalog_open(struct set *set, struct catalog **out);
/* One more connection for another thread; reads only. */
int catalog_open_reader(struct set *set, struct catalog **out);
void catalog_close(struct catalog *c);

/* Keeps one view of the catalogue over several calls, which saves their locks:
 * from here until catalog_let_go, which is due before the thread waits for
 * anything, since the writer cannot tidy up meanwhile. Both may be called
 * again and again. */
void catalog_hold(struct catalog *c);
void catalog_let_go(struct catalog *c);

/* Sees to it that tree_names finds names without looking at all of them; the
 * set's lock is taken for a moment, and when another has it nothing is done.
 * `c` is a reader's. */
int catalog_index_names(struct catalog *c);

/* Newest session, 0 when there is none. Sees sessions committed by others. */
int catalog_newest(struct catalog *c, uint32_t *session);

/* Volumes of the newest epoch that were not there when the set was opened for
 * writing, each said then: what the newest snapshot has of them cannot be read.
 */
uint32_t catalog_missing(const struct catalog *c);

/* Whether the file's own structure is whole, its indexes too: 0 or
 * REEL_EDAMAGED, logged. */
int catalog_check(struct catalog *c);

struct session_row {
	uint32_t id;
	uint32_t epoch;
	int64_t time; /* ns */
	int64_t finished;
	char *label; /* heap, may be NULL */
	char *host;
	uint32_t first_volume;
	uint64_t stream;
	uint64_t files, directories, bytes;
	uint64_t new_files, new_bytes, unique_bytes, copies, problems;
};
void session_row_release(struct session_row *s);
/* One session; REEL_ENOENT. */
int catalog_session(struct catalog *c, uint32_t id, struct session_row *out);
/* The next session after `id`: 1 and *out, 0 at the end. */
int catalog_session_after(struct catalog *c, uint32_t id,
			  struct session_row *out);
/* A snapshot by text: number, name (20261122T101500Z), label, a time's
 * beginning, `latest`; REEL_ENOENT (not logged). */
int catalog_find_session(struct catalog *c, const char *text, uint32_t *id);
/* The name of a snapshot: basic ISO 8601 in UTC, and `.N` (session number)
 * behind it when an earlier session began in the same second. */
int catalog_session_name(struct catalog *c, uint32_t id, char name[40]);

/* recall_find for this catalogue: the frame that holds a stream byte. Keeps
 * the last run decoded; for one thread. */
int catalog_find_frame(struct catalog *c, uint32_t session, uint64_t offset,
		       struct frame *out);
/* Every frame of a session in order: calls `each` until it returns non-zero,
 * which is passed on. */
int catalog_each_frame(struct catalog *c, uint32_t session,
		       int (*each)(void *context, const struct frame *f),
		       void *context);

/* Makes SET/catalog.db anew from the media: from the sessions' indexes, and
 * where one is damaged from the archive itself (says so, REEL_EDAMAGED exit
 * only if something could not be recovered). The set is open for writing.
 * `all`: a tape set has no more cartridges than those at hand, and sessions
 * that are not whole on them are given up (tapes.h). */
int catalog_rebuild(struct set *set, bool all);

#endif
