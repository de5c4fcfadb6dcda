/* What a set's rules leave out of a walk: rules.h with a filesystem. */
#ifndef REEL_FS_EXCLUSION_H
#define REEL_FS_EXCLUSION_H

#include <sys/stat.h>
#include "catalog/rules.h"
#include "tape/buffer.h"

struct exclusion {
	const struct rules *rules; /* sealed; NULL: nothing is left out */
	struct buffer path;	   /* the present directory's, with a slash */
	size_t prefix;
	struct rules_place above;
	int fd; /* the directory */
};

/* A walk comes to the names of a directory: its path, relative to the root of
 * the set, its judgement and its descriptor, borrowed. */
int exclusion_enter(struct exclusion *e, const char *path, size_t length,
		    struct rules_place above, int fd);
/* Whether a name in it is left out; *below is for exclusion_enter. */
bool exclusion_covers(struct exclusion *e, const char *name,
		      const struct statx *st, struct rules_place *below);
void exclusion_release(struct exclusion *e);

/* A file that tags its directory only by its first bytes. */
#define EXCLUSION_SIGNATURE 43 /* bytes */
bool exclusion_is_cache_tag(const char *name);
bool exclusion_is_signature(const char head[EXCLUSION_SIGNATURE]);

#endif
