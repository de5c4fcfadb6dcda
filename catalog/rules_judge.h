/* Inside rules: the index by which they are looked up. */
#ifndef REEL_CATALOG_RULES_JUDGE_H
#define REEL_CATALOG_RULES_JUDGE_H

#include "catalog/rules.h"

void rules_index_free(struct rules_index *x); /* accepts NULL */

#endif
