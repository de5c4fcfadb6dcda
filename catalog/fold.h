/* Names as Windows compares them: without regard to case, by a simple mapping
 * of single characters (ASCII, Latin, Greek, Cyrillic), whatever the locale. */
#ifndef REEL_CATALOG_FOLD_H
#define REEL_CATALOG_FOLD_H

#include <stdbool.h>

/* Both UTF-8; other bytes are compared as they are. */
bool fold_equal(const char *a, const char *b);
/* Gives each component of `path`, below `root`, the spelling that it has
 * there, if it is not there as it is and one other is. Spellings of another
 * length in bytes are not looked for. */
void fold_path(int root, char *path);

#endif
