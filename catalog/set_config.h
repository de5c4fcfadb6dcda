/* Inside the set: its configuration as a file. */
#ifndef REEL_CATALOG_SET_CONFIG_H
#define REEL_CATALOG_SET_CONFIG_H

#include "catalog/set.h"

#define CONFIG_FILE "set.conf"

/* Under its name only when it is whole and durable. */
int set_config_write(int directory, const struct set_config *c);
/* A line more, behind what stands there, with its comments; one that says
 * `key` a second time counts instead of the first, or adds to it. */
int set_config_append(int directory, const char *key, const char *value);
/* Into s->config. Says what is wrong. */
int set_config_read(struct set *s);

#endif
