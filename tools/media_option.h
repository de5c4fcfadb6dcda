/* What `reel init --media` names: drives, for a set on cartridges. */
#ifndef REEL_TOOLS_MEDIA_OPTION_H
#define REEL_TOOLS_MEDIA_OPTION_H

#include "catalog/set.h"

/* NAME[,NAME...], images by their absolute paths, into drives (or changers).
 * REEL_EINVAL: not a drive's name; said. */
int media_option_add(const char *text, bool changers, struct set_config *c);
/* The same name, an image's path made absolute; heap. NULL: out of memory, or
 * not a drive's name (said). */
char *media_option_full(const char *name);
/* Whether the drives are there and take the set's blocks; an image that is not
 * there can be made later. Says what is wrong. */
int media_option_check(const struct set_config *c);
/* Makes the images that are not there. */
int media_option_make(const struct set_config *c);

#endif
