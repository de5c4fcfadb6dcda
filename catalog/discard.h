/* Removing a directory that this program made. */
#ifndef REEL_CATALOG_DISCARD_H
#define REEL_CATALOG_DISCARD_H

#define DISCARD_SET 3 /* levels of a new set */

/* With all that is in it, down to `levels` of directories (itself is one).
 * Follows no symlink. What is left is said. */
void discard(const char *path, int levels);

#endif
