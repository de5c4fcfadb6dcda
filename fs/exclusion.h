/* What a set's rules leave out of a walk: rules.h with a filesystem. */
#ifndef REEL_FS_EXCLUSION_H
#define REEL_FS_EXCLUSION_H

#include <sys/stat.h>
#include "catalog/rules.h"
#include "fs/folder.h"

struct exclusion {
	const struct rules *rules; /* sealed; NULL: nothing is left out */
	struct trail trail;	   /* to the present name */
};

/* A walk comes to the names of a directory. */
int exclusion_enter(struct exclusion *e, struct folder *f);
/* Whether a name in it is left out; *below is for a folder of its own. */
bool exclusion_covers(struct exclusion *e, const char *name,
		      const struct statx *st, struct rules_place *below);
void exclusion_release(struct exclusion *e);

/* A file that tags its directory only by its first bytes. */
#define EXCLUSION_SIGNATURE 43 /* bytes */
bool exclusion_is_cache_tag(const char *name);
bool exclusion_is_signature(const char head[EXCLUSION_SIGNATURE]);

#endif
