/* The cartridges of a set on tape, as its catalogue knows them. */
#ifndef REEL_TOOLS_CARTRIDGES_H
#define REEL_TOOLS_CARTRIDGES_H

#include <stdbool.h>
#include "catalog/catalog.h"

/* A table, or an object for each; nothing when there are none. */
int cartridges_print(struct catalog *c, bool json);

#endif
