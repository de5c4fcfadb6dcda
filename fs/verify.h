/* Reading everything back: every frame, every member's header against the
 * catalogue, every content against its digest. */
#ifndef REEL_FS_VERIFY_H
#define REEL_FS_VERIFY_H

#include <stdbool.h>
#include <stdint.h>
#include "catalog/catalog.h"

struct verify_progress {
	uint64_t bytes, bytes_total; /* of streams */
};

struct verify_options {
	uint32_t session; /* 0: all */
	/* One damaged thing: `path` (escaped; NULL for damage that touches no
	 * file), the snapshots' session, volume, byte offset in the volume. */
	void (*damage)(void *context, const char *path, uint32_t session,
		       uint32_t volume, uint64_t offset, const char *what);
	void (*progress)(void *context, const struct verify_progress *p);
	void *context;
	const volatile int *stop;
};

struct verify_result {
	/* read; what is on a medium that is missing does not count */
	uint64_t contents, members, frames, bytes;
	uint64_t damaged_files, damaged_places;
};

/* 0 when all is well; REEL_EDAMAGED when anything is not; REEL_EMEDIUM when a
 * volume is missing. */
int verify_run(struct set *set, struct catalog *c,
	       const struct verify_options *o, struct verify_result *result);

#endif
