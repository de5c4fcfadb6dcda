/* Names that a filesystem takes for one, seen from one name: what stands
 * there has another name in the directory's list. */
#ifndef REEL_FS_NAME_ALIAS_H
#define REEL_FS_NAME_ALIAS_H

#include <stdbool.h>

/* The directory lists this very name, not one that is equal but for case. */
bool name_listed(int directory, const char *name);
/* Something stands at `name`, and the directory lists it under another. Costs
 * two look-ups where names are taken as they are, else a list. */
bool name_aliased(int directory, const char *name);
/* It stands there by its name in other letters, too. */
bool name_folded(int directory, const char *name);
/* Whether a directory, which has `name`, takes names of different letters or
 * ends for one; true when that cannot be found out. */
bool name_may_fold(int directory, const char *name);
/* Whether any directory takes names of different letters for one, or names of
 * different ends; false when that cannot be found out. One that has no name to
 * ask about gets a file for a moment. */
bool names_fold(int directory, bool ends);

#endif
