#include "tools/needs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "catalog/catalog.h"
#include "catalog/places.h"
#include "tape/error.h"

#define OR	    " or "
#define NEEDS_LIMIT (1u << 20) /* volumes of a session */

/* Names of cartridges have no blanks. */
static bool is_one_of(const char *names, const char *name)
{
	const size_t length = strlen(name);

	for (const char *end; (end = strstr(names, OR));
	     names = end + strlen(OR))
		if ((size_t)(end - names) == length &&
		    !memcmp(names, name, length))
			return true;
	return !strcmp(names, name);
}

bool needs_have(const struct needs *n, const char *name)
{
	for (size_t i = 0; i < n->count; i++) {
		if (!strcmp(n->names[i], name) || is_one_of(n->names[i], name))
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

/* Behind what medium_name says of the first. */
static void add_copies(struct catalog *c, uint32_t volume,
		       char name[NEEDS_NAME])
{
	struct place *p = NULL;
	size_t count = 0;

	if (places_of(c, volume, &p, &count))
		return;
	for (size_t n = 1; n < count; n++) {
		const size_t used = strlen(name);
		struct cartridge_label l = {0};

		if (places_cartridge(c, p[n].cartridge, &l))
			continue;
		snprintf(name + used, NEEDS_NAME - used, OR "%s%s%s%s", l.name,
			 *l.barcode ? " (barcode " : "", l.barcode,
			 *l.barcode ? ")" : "");
		cartridge_label_release(&l);
	}
	free(p);
}

static int add(struct needs *n, struct medium *m, struct catalog *c,
	       uint32_t volume)
{
	void *more = realloc(n->names, (n->count + 1) * sizeof(*n->names));

	if (!more)
		return REEL_ENOMEM;
	n->names = more;
	medium_name(m, volume, n->names[n->count]);
	if (m->tape)
		add_copies(c, volume, n->names[n->count]);
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
			error = add(out, set->medium, c, v);
	}
	content_row_release(&row);
	return error;
}
