#include "fs/forecast.h"

#include <string.h>

#define NEAR	     16 /* so many may be left out */
#define CREDIT	     16
#define CREDIT_WRONG 4

static void judge(struct forecast *f, bool right)
{
	f->spent += right ? -1 : CREDIT_WRONG;
	if (f->spent < 0)
		f->spent = 0;
	if (f->spent > CREDIT)
		f->spent = CREDIT;
}

/* What stands behind `id` was left out; when `id` is not there, all was. */
static void take(struct forecast *f, uint64_t id)
{
	unsigned n = f->count;

	while (n && f->count - n < NEAR && f->coming[n - 1] != id)
		n--;
	if (f->count)
		judge(f, n == f->count);
	f->count = n && f->coming[n - 1] == id ? n - 1 : 0;
}

void forecast_asked(struct forecast *f, uint64_t id, bool beginning)
{
	if (!beginning && id == f->listed)
		return;
	if (beginning)
		take(f, id);
	f->listed = id;
	f->base = f->count;
}

/* Room for `count` more: the last to come go. */
static unsigned make_room(struct forecast *f, unsigned count)
{
	unsigned room = FORECAST_COMING - f->count;
	unsigned lost = count > room ? count - room : 0;

	if (lost > f->base)
		lost = f->base;
	memmove(f->coming, f->coming + lost,
		(f->count - lost) * sizeof(*f->coming));
	f->count -= lost;
	f->base -= lost;
	return count < room + lost ? count : room + lost;
}

/* Those of a later page come after all of the pages before. */
void forecast_given(struct forecast *f, const uint64_t *ids, unsigned count)
{
	uint64_t *at;

	count = make_room(f, count);
	at = f->coming + f->base;
	memmove(at + count, at, (f->count - f->base) * sizeof(*at));
	for (unsigned n = 0; n < count; n++)
		at[count - 1 - n] = ids[n];
	f->count += count;
}

uint64_t forecast_next(const struct forecast *f)
{
	return f->count && f->spent < CREDIT ? f->coming[f->count - 1] : 0;
}
