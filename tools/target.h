/* What a command works on: SET or SET@SNAP.
 *
 * The text is tried as a set first, then split at its last `@`. SNAP is a
 * name, a number, a label, a time or its beginning, or `latest`. */
#ifndef REEL_TOOLS_TARGET_H
#define REEL_TOOLS_TARGET_H

#include <stdbool.h>
#include <stdint.h>
#include "catalog/catalog.h"

struct target {
	char *name;    /* of the set, as given */
	char *snapped; /* what stood behind the `@`, or NULL */
	struct set *set;
	struct catalog *catalog; /* NULL: not opened */
};

/* Whether a set stands there. */
bool target_is_set(const char *path);
/* Opens set and catalogue for reading. Says what is wrong. */
int target_open(struct target *t, const char *text);
/* The same for commands that take no snapshot; `access` as in set_open. */
int target_open_whole(struct target *t, const char *text,
		      enum set_access access, bool wait);
void target_close(struct target *t);
/* What a command waits for when a cartridge is needed: for the person at the
 * terminal, until Ctrl-C; without one, not at all. */
void target_wait_for_media(struct set *s);
/* The session of a snapshot's text; NULL: the newest. Says what is wrong. */
int target_session(struct target *t, const char *snapshot, uint32_t *session);
/* One more connection, for use inside a listing of the first. */
int target_reader(struct target *t, struct catalog **out);

/* A path as the catalogue has it: no slash in front, at the end or doubled,
 * no `.`; "" is the root. Heap. REEL_EINVAL for `..`, said. */
int target_path(const char *given, char **out);
/* Says that an entry cannot be read. Returns `error`. */
int target_trouble(const struct target *t, const char *path, int error);

#endif
