/* How far directories were listed: (directory, offset) -> the last name given,
 * so that a listing goes on where it stopped. Bounded; what is forgotten costs
 * a listing from the start. Safe for many threads. */
#ifndef REEL_FS_PLACES_H
#define REEL_FS_PLACES_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define PLACES 128

struct list_place {
	uint64_t directory; /* 0: free */
	uint64_t offset;
	uint64_t used;
	bool end; /* nothing follows */
	uint8_t length;
	char name[255];
};

struct places {
	pthread_mutex_t lock; /* of all below */
	uint64_t clock;
	struct list_place all[PLACES];
};

void places_init(struct places *p);
void places_release(struct places *p);
void places_note(struct places *p, uint64_t directory, uint64_t offset,
		 const char *name, size_t length, bool end);
bool places_find(struct places *p, uint64_t directory, uint64_t offset,
		 struct list_place *out);

#endif
