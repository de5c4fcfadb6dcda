/* What the catalogue says of a session, against what its own index says. */
#ifndef REEL_CATALOG_COMPARE_H
#define REEL_CATALOG_COMPARE_H

#include "catalog/catalog.h"

/* 0 when they agree, or when the index cannot be read; REEL_EDAMAGED (not
 * logged). The session ends on `last_volume`. */
int compare_session(struct set *set, uint32_t session, uint32_t last_volume);

#endif
