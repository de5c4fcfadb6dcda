/* How large the volume files of a set are. */
#ifndef REEL_TOOLS_SIZES_H
#define REEL_TOOLS_SIZES_H

#include <stddef.h>
#include <stdint.h>
#include "catalog/set.h"

struct sizes {
	struct medium_volume *volumes; /* ascending */
	size_t count;
};

int sizes_read(struct sizes *s, const struct set *set);
void sizes_release(struct sizes *s);
/* Bytes of the volumes first <= N < end. */
uint64_t sizes_between(const struct sizes *s, uint32_t first, uint32_t end);
/* Volumes that are there, first <= N < end. */
uint64_t sizes_count(const struct sizes *s, uint32_t first, uint32_t end);

#endif
