/* Reading what stands on a cartridge beside the volumes (cartridge.h), with
 * nothing known before. */
#ifndef REEL_TAPE_CARTRIDGE_WALK_H
#define REEL_TAPE_CARTRIDGE_WALK_H

#include "tape/cartridge.h"
#include "tape/drive.h"

/* Rewinds, and reads the label; the position is behind it. REEL_ENOENT: the
 * cartridge is blank or holds something else (not said). REEL_EMEDIUM: there is
 * none (said). */
int cartridge_read_label(struct drive *d, struct cartridge_label *out);

/* A volume whose table is whole; `t` has it as `p`. May move the drive.
 * Returns 0, or an error that ends the walk. */
typedef int (*cartridge_each)(void *context, struct drive *d,
			      const struct place *p,
			      const struct cartridge_table *t);

/* From behind the label on, from table to table, in the order of the tape.
 * What lies behind the last table that is whole does not count (K2); tables
 * before it that are not are passed over and said. *last is the last table
 * (released by the caller), with cartridge_count 0 when there is none; also
 * where the walk fails. REEL_EDAMAGED: it ended where nothing behind can be
 * read. */
int cartridge_walk(struct drive *d, const struct cartridge_label *l,
		   cartridge_each each, void *context,
		   struct cartridge_table *last);

/* Whether what the tape is at, the end of what can be read, is damage (said)
 * and not the end of the data. */
bool cartridge_ends_in_damage(struct drive *d);

#endif
