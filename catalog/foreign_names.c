#include <stdlib.h>
#include <string.h>
#include "catalog/foreign_state.h"
#include "tape/bytes.h"
#include "tape/digest.h"

#define FIRST_ROOM 1024

void foreign_names_release(struct foreign_names *n)
{
	free(n->slots);
	*n = (struct foreign_names){0};
}

static uint64_t hash_of(const struct foreign_names *n, uint64_t parent,
			const char *name, size_t length)
{
	struct digest d;
	struct le64 first;

	digest_bytes(n->seed ^ parent * 0x9e3779b97f4a7c15u, name, length, &d);
	memcpy(&first, d.b, sizeof(first));
	return le64_get(first) ? le64_get(first) : 1;
}

static struct foreign_name *place_of(const struct foreign_names *n,
				     uint64_t hash)
{
	size_t at = hash & (n->room - 1);

	while (n->slots[at].hash && n->slots[at].hash != hash)
		at = (at + 1) & (n->room - 1);
	return &n->slots[at];
}

struct foreign_name *foreign_names_find(const struct foreign_names *n,
					uint64_t parent, const char *name,
					size_t length)
{
	struct foreign_name *slot;

	if (!n->room)
		return NULL;
	slot = place_of(n, hash_of(n, parent, name, length));
	return slot->inode ? slot : NULL;
}

static bool grow(struct foreign_names *n)
{
	struct foreign_name *old = n->slots;
	size_t room = n->room;

	n->room = room ? 2 * room : FIRST_ROOM;
	n->slots = calloc(n->room, sizeof(*n->slots));
	if (!n->slots) {
		n->slots = old;
		n->room = room;
		return false;
	}
	for (size_t i = 0; i < room; i++)
		if (old[i].hash)
			*place_of(n, old[i].hash) = old[i];
	free(old);
	return true;
}

struct foreign_name *foreign_names_add(struct foreign_names *n, uint64_t parent,
				       const char *name, size_t length)
{
	uint64_t hash = hash_of(n, parent, name, length);
	struct foreign_name *slot;

	if (4 * (n->count + 1) > 3 * n->room && !grow(n))
		return NULL;
	slot = place_of(n, hash);
	n->count += !slot->hash;
	slot->hash = hash;
	return slot;
}
