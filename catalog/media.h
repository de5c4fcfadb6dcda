/* What a set's media say of themselves, without the catalogue: which
 * volumes end a session, and that session's index. */
#ifndef REEL_CATALOG_MEDIA_H
#define REEL_CATALOG_MEDIA_H

#include "catalog/set.h"
#include "tape/buffer.h"
#include "tape/stream.h"
#include "tape/trailer.h"

struct media_session {
	uint32_t first_volume, last_volume;
	struct trailer trailer;
};

/* The end of a session on this volume: 0 and *out (first_volume from the
 * trailer), REEL_ENOENT when no session ends there, REEL_EDAMAGED. */
int media_read_trailer(struct set *set, uint32_t volume,
		       struct media_session *out);
/* Whose session's archive begins on a volume. */
enum media_heading {
	MEDIA_NONE, /* none that can be read */
	MEDIA_OURS,
	MEDIA_FOREIGN, /* of another set */
};
enum media_heading media_heading(struct set *set, uint32_t volume);
/* The packed index, checked against the trailer's digest. Volumes before those
 * it lies on need not be there. */
int media_read_index(struct set *set, const struct media_session *m,
		     struct buffer *packed);
/* A set's compression is for life: the names of its volumes tell when set.conf
 * was edited, before anything is taken for missing. REEL_EINVAL, said. */
int media_check_names(const struct set *set);

#endif
