/* The file SET/rules. */
#ifndef REEL_CATALOG_RULES_FILE_H
#define REEL_CATALOG_RULES_FILE_H

#include "catalog/rules.h"
#include "catalog/set.h"

/* The rules of a file (`path`; NULL: the set's, which may be missing),
 * appended. Mistakes are logged with file and line: REEL_EINVAL. Other
 * trouble is logged too. */
int rules_file_load(const struct set *set, const char *path, struct rules *out);
/* Writes a new set's rules: comments, and rules to choose from. */
int rules_file_create(int directory);

#endif
