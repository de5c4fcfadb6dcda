/* Making one session out from its archive alone, when its index is lost. */
#ifndef REEL_CATALOG_SCAN_H
#define REEL_CATALOG_SCAN_H

#include <stdint.h>
#include "catalog/catalog.h"

/* Reads the archive in volumes first..last and ingests it into `c` (open for
 * writing) as the session after its newest, which it must be: sessions are
 * made out in order. *lost counts paths whose content or metadata could not
 * be recovered; each was said. What no archive has (ctime, inode numbers of
 * the source and of the snapshot, blocks) is made up and said once.
 * REEL_EDAMAGED when nothing can be made of it, REEL_EMEDIUM. */
int scan_session(struct set *set, struct catalog *c, uint32_t first_volume,
		 uint32_t last_volume, uint64_t *lost);

#endif
