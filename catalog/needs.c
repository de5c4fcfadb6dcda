#include "catalog/needs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "catalog/catalog.h"
#include "catalog/places.h"
#include "tape/error.h"

#define OR	    " or "
#define BARCODE	    " (barcode "
#define NEEDS_LIMIT (1u << 20) /* volumes of a session */

/* Whether `text` of that length is this name, or the name of a cartridge
 * ("NAME (barcode CODE)"), or its barcode. Neither has blanks. */
static bool is_called(const char *text, size_t length, const char *name)
{
	const size_t n = strlen(name), more = sizeof(BARCODE) - 1;

	if (length == n && !memcmp(text, name, n))
		return true;
	if (length <= more + 1 || text[length - 1] != ')' || !n)
		return false;
	if (length > n + more && !memcmp(text, name, n) &&
	    !memcmp(text + n, BARCODE, more))
		return true;
	return length > n + 1 + more &&
	       !memcmp(text + length - 1 - n, name, n) &&
	       !memcmp(text + length - 1 - n - more, BARCODE, more);
}

static bool is_one_of(const char *names, const char *name)
{
	for (const char *end; (end = strstr(names, OR));
	     names = end + strlen(OR))
		if (is_called(names, (size_t)(end - names), name))
			return true;
	return is_called(names, strlen(names), name);
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
		struct frame *first, struct frame *last)
{
	uint64_t end = row->offset + content_stored(row);
	int error = catalog_find_frame(c, row->session, row->offset, first);

	if (!error)
		error = catalog_find_frame(c, row->session, end - 1, last);
	return error ? error
	       : last->volume < first->volume ||
			       last->volume - first->volume > NEEDS_LIMIT
		       ? REEL_EDAMAGED
		       : 0;
}

/* Those behind the first that has byte `at`, which medium_name says. `*end`:
 * up to where that is true. */
static void add_copies(struct catalog *c, const struct place *p, size_t count,
		       uint64_t at, char name[NEEDS_NAME], uint64_t *end)
{
	bool first = true;

	for (size_t n = 0; n < count; n++) {
		const size_t used = strlen(name);
		struct cartridge_label l = {0};

		if (!place_has(&p[n], at))
			continue;
		if (p[n].begin + p[n].size < *end)
			*end = p[n].begin + p[n].size;
		if (first || places_cartridge(c, p[n].cartridge, &l)) {
			first = false;
			continue;
		}
		snprintf(name + used, NEEDS_NAME - used, OR "%s%s%s%s", l.name,
			 *l.barcode ? " (barcode " : "", l.barcode,
			 *l.barcode ? ")" : "");
		cartridge_label_release(&l);
	}
}

/* What byte `at` is read from, and what follows it up to *end. */
static int add(struct needs *n, struct medium *m, struct catalog *c,
	       uint32_t volume, uint64_t at, uint64_t *end)
{
	void *more = realloc(n->names, (n->count + 1) * sizeof(*n->names));
	struct place *p = NULL;
	size_t count = 0;

	if (!more)
		return REEL_ENOMEM;
	n->names = more;
	medium_name(m, volume, at, n->names[n->count]);
	if (m->tape && !places_of(c, volume, &p, &count)) {
		add_copies(c, p, count, at, n->names[n->count], end);
		free(p);
	}
	/* what lies on one cartridge follows in a row */
	if (!n->count || strcmp(n->names[n->count - 1], n->names[n->count]))
		n->count++;
	return 0;
}

/* Bytes [at, end) of a volume. */
static int add_range(struct needs *n, struct medium *m, struct catalog *c,
		     uint32_t volume, uint64_t at, uint64_t end)
{
	int error = 0;

	while (!error && at < end) {
		uint64_t upto = end;

		error = add(n, m, c, volume, at, &upto);
		at = upto;
	}
	return error;
}

static int add_volume(struct needs *n, struct medium *m, struct catalog *c,
		      uint32_t volume, const struct frame *first,
		      const struct frame *last)
{
	uint64_t at = volume == first->volume ? first->position : 0;
	uint64_t end = at + 1;

	if (volume == last->volume)
		end = last->position + last->stored;
	else if (m->tape && medium_size(m, volume, &end))
		end = at + 1;
	return add_range(n, m, c, volume, at, end > at ? end : at + 1);
}

int needs_of_content(const struct set *set, struct catalog *c,
		     const struct content_row *row, struct needs *out)
{
	struct frame first = {0}, last = {0};
	int error;

	*out = (struct needs){0};
	if (!content_stored(row))
		return 0;
	error = span(c, row, &first, &last);
	for (uint32_t v = first.volume; !error && v <= last.volume; v++)
		error = add_volume(out, set->medium, c, v, &first, &last);
	return error;
}

int needs_of(const struct set *set, struct catalog *c,
	     const struct inode_row *i, struct needs *out)
{
	struct content_row row;
	int error;

	*out = (struct needs){0};
	if (!S_ISREG(i->mode) || !i->content)
		return 0;
	error = tree_content(c, i->content, &row);
	if (error)
		return error == REEL_ENOENT ? REEL_EDAMAGED : error;
	error = needs_of_content(set, c, &row, out);
	content_row_release(&row);
	return error;
}
