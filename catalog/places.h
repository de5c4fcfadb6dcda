/* Where a tape set's volumes lie: the tables `cartridge` and `place`. They are
 * as rebuildable as the rest: the last table of the newest cartridge has all
 * their rows (tape/cartridge.h). */
#ifndef REEL_CATALOG_PLACES_H
#define REEL_CATALOG_PLACES_H

#include "catalog/catalog.h"
#include "tape/cartridge.h"

/* All cartridges and places of the set, as a table for a cartridge (has_end
 * unset); released by the caller. Without any cartridge cartridge_count is 0.
 */
int places_table(struct catalog *c, struct cartridge_table *out);
/* The same without those of copies: what a session comes behind. */
int places_own(struct catalog *c, struct cartridge_table *out);
/* The number that the first cartridge of a new copy gets; REEL_ERANGE: there
 * are too many copies. */
int places_new_line(struct catalog *c, uint32_t *line);
/* Every copy of a volume, or its parts: *out (heap) by cartridge; REEL_ENOENT
 * when the volume lies nowhere (not logged). */
int places_of(struct catalog *c, uint32_t volume, struct place **out,
	      size_t *count);
/* A cartridge by its number; released by the caller. REEL_ENOENT. */
int places_cartridge(struct catalog *c, uint32_t number,
		     struct cartridge_label *out);
/* The newest cartridge that is known to be full, 0 none. Rebuilt catalogues do
 * not know; then the cartridge tells when it is written to. */
int places_full(struct catalog *c, uint32_t *number);
int places_set_full(struct catalog *c, uint32_t number);
/* Adds what the table has and the catalogue lacks, in one transaction. A row
 * that it has already is replaced. `c` is open for writing. */
int places_add(struct catalog *c, const struct cartridge_table *t);
/* Adds what `old` has of copies' cartridges that `c` does not know at all, as
 * far as it is of sessions that `c` has. *kept: how many. */
int places_keep_copies(struct catalog *c, struct catalog *old, unsigned *kept);
/* All that is known of the copy `line` is what the table has, and nothing else.
 */
int places_put_copy(struct catalog *c, uint32_t line,
		    const struct cartridge_table *t);
#endif
