#include "tools/needs.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "catalog/catalog.h"
#include "tape/error.h"

#define NEEDS_LIMIT (1u << 20) /* volumes of a session */

bool needs_have(const struct needs *n, const char *name)
{
	for (size_t i = 0; i < n->count; i++) {
		if (!strcmp(n->names[i], name))
			return true;
	}
	return false;
}

void needs_release(struct needs *n)
{
	free(n->names);
	*n = (struct needs){0};
}

/* A session's volumes have numbers in a row, so that the first and the last
 * frame tell of all between. */
static int span(struct catalog *c, const struct content_row *row,
		uint32_t *first, uint32_t *last)
{
	uint64_t end = row->offset + content_stored(row);
	struct frame f;
	int error = catalog_find_frame(c, row->session, row->offset, &f);

	if (error)
		return error;
	*first = f.volume;
	error = catalog_find_frame(c, row->session, end - 1, &f);
	*last = f.volume;
	return error						? error
	       : *last < *first || *last - *first > NEEDS_LIMIT ? REEL_EDAMAGED
								: 0;
}

static int add(struct needs *n, struct medium *m, uint32_t volume)
{
	void *more = realloc(n->names, (n->count + 1) * sizeof(*n->names));

	if (!more)
		return REEL_ENOMEM;
	n->names = more;
	medium_name(m, volume, n->names[n->count]);
	/* what lies on one cartridge follows in a row */
	if (!n->count || strcmp(n->names[n->count - 1], n->names[n->count]))
		n->count++;
	return 0;
}

int needs_of(const struct set *set, struct catalog *c,
	     const struct inode_row *i, struct needs *out)
{
	struct content_row row;
	uint32_t first, last;
	int error;

	*out = (struct needs){0};
	if (!S_ISREG(i->mode) || !i->content)
		return 0;
	error = tree_content(c, i->content, &row);
	if (error)
		return error == REEL_ENOENT ? REEL_EDAMAGED : error;
	if (content_stored(&row)) {
		error = span(c, &row, &first, &last);
		for (uint32_t v = first; !error && v <= last; v++)
			error = add(out, set->medium, v);
	}
	content_row_release(&row);
	return error;
}
