#include "fs/places.h"

#include <string.h>

#define WAYS 8

/* Where a place may stand: one of WAYS from here on. */
static struct list_place *ways(struct places *p, uint64_t directory,
			       uint64_t offset)
{
	uint64_t h = (directory ^ offset << 20) * 0x9e3779b97f4a7c15u;

	return &p->all[(h >> 32) % (PLACES / WAYS) * WAYS];
}

void places_init(struct places *p)
{
	memset(p, 0, sizeof(*p));
	pthread_mutex_init(&p->lock, NULL);
}

void places_release(struct places *p)
{
	pthread_mutex_destroy(&p->lock);
}

void places_note(struct places *p, uint64_t directory, uint64_t offset,
		 const char *name, size_t length, bool end)
{
	struct list_place *of = ways(p, directory, offset), *at = of;

	if (length > sizeof(at->name))
		return;
	pthread_mutex_lock(&p->lock);
	for (int n = 0; n < WAYS; n++) {
		struct list_place *q = &of[n];

		if (q->directory == directory && q->offset == offset) {
			at = q;
			break;
		}
		if (q->used < at->used)
			at = q;
	}
	at->directory = directory;
	at->offset = offset;
	at->used = ++p->clock;
	at->end = end;
	at->length = (uint8_t)length;
	memcpy(at->name, name, length);
	pthread_mutex_unlock(&p->lock);
}

bool places_find(struct places *p, uint64_t directory, uint64_t offset,
		 struct list_place *out)
{
	struct list_place *of = ways(p, directory, offset);
	bool found = false;

	pthread_mutex_lock(&p->lock);
	for (int n = 0; !found && n < WAYS; n++) {
		struct list_place *q = &of[n];

		found = q->directory == directory && q->offset == offset;
		if (found) {
			q->used = ++p->clock;
			*out = *q;
		}
	}
	pthread_mutex_unlock(&p->lock);
	return found;
}
