#include <stdlib.h>
#include <string.h>
#include "catalog/delayed_state.h"
#include "tape/error.h"

/* Records that speak of the same lie together, the newest first. Dropped ones
 * have no path any more. */
static int by_subject(const void *a, const void *b)
{
	const struct delayed_record *x = *(struct delayed_record *const *)a;
	const struct delayed_record *y = *(struct delayed_record *const *)b;
	int names = (x->kind == DELAYED_SHORT_NAME) -
		    (y->kind == DELAYED_SHORT_NAME);
	int paths = names ? names : strcmp(x->path, y->path);

	if (paths)
		return paths;
	return x->number > y->number ? -1 : x->number < y->number;
}

static bool same_subject(const struct delayed_record *x,
			 const struct delayed_record *y)
{
	return (x->kind == DELAYED_SHORT_NAME) ==
		       (y->kind == DELAYED_SHORT_NAME) &&
	       !strcmp(x->path, y->path);
}

static int drop_duplicates(struct delayed_journal *j)
{
	struct delayed_record **own = malloc((j->count + 1) * sizeof(*own));
	struct delayed_record *kept = NULL;
	size_t count = 0;

	if (!own)
		return REEL_ENOMEM;
	for (size_t n = 0; n < j->count; n++)
		if (!j->records[n].list)
			own[count++] = &j->records[n];
	qsort(own, count, sizeof(struct delayed_record *), by_subject);
	for (size_t n = 0; n < count; n++) {
		if (kept && same_subject(kept, own[n]))
			delayed_record_release(own[n]);
		else
			kept = own[n];
	}
	free(own);
	return 0;
}

/* Ours before lists; deletes, their children first; moves, their parents
 * first; names. Lists as they came. Dropped ones last. */
static int by_turn(const void *a, const void *b)
{
	const struct delayed_record *x = a, *y = b;
	int order = !x->path - !y->path;

	if (order || !x->path)
		return order;
	if (x->list != y->list)
		return x->list < y->list ? -1 : 1;
	if (x->list)
		return x->index < y->index ? -1 : x->index > y->index;
	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	order = strcmp(x->path, y->path);
	return x->kind == DELAYED_DELETE ? -order : order;
}

int delayed_order(struct delayed_journal *j, struct delayed_journal *fresh)
{
	int error;

	if (j->count + fresh->count > DELAYED_LIMIT)
		return REEL_ERANGE;
	for (; fresh->count; fresh->count--) {
		struct delayed_record *r = delayed_journal_add(j);

		if (!r)
			return REEL_ENOMEM;
		*r = fresh->records[fresh->count - 1];
	}
	error = drop_duplicates(j);
	if (error)
		return error;
	if (j->count)
		qsort(j->records, j->count, sizeof(j->records[0]), by_turn);
	while (j->count && !j->records[j->count - 1].path)
		j->count--;
	return 0;
}
