/* `--exclude PATTERN`: rules behind a set's own. */
#ifndef REEL_TOOLS_EXCLUDES_H
#define REEL_TOOLS_EXCLUDES_H

#include "catalog/rules.h"
#include "tools/options.h"

/* Says what is wrong; REEL_EINVAL. */
int excludes_add(struct rules *r, const struct option_list *patterns);

#endif
