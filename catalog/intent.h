/* SET/spool/intent: which session is being written to which cartridges. It is
 * durable before a session's first byte is on a cartridge and goes when the
 * catalogue has the session and its places; so one that is found at open is of
 * a session that was interrupted, and the newest of its cartridges tells
 * whether it is whole. One that is not becomes void: what it left on the
 * cartridges may be written over.
 *
 * In the form of a cartridge's table: the cartridges used, and for each a place
 * whose session and time are meant. */
#ifndef REEL_CATALOG_INTENT_H
#define REEL_CATALOG_INTENT_H

#include "catalog/set.h"
#include "tape/cartridge.h"

/* The session (place.session, session_time) is on this cartridge, too. */
int intent_add(struct set *s, const struct cartridge_label *l,
	       const struct place *session);
/* The present one, or (void) the last one that was; REEL_ENOENT. Logs damage;
 * *out is released by the caller. */
int intent_read(const struct set *s, bool voided, struct cartridge_table *out);
int intent_void(struct set *s);
/* The session is in the catalogue; a void one is void no more. */
int intent_remove(struct set *s);

#endif
