/* Memory that repeats itself: byte N is also byte N + size, so no piece of up
 * to `size` bytes is ever in two. */
#ifndef REEL_TAPE_RING_H
#define REEL_TAPE_RING_H

#include <stddef.h>
#include <stdint.h>

struct ring {
	uint8_t *data;
	size_t size; /* bytes; a multiple of the page */
};

/* `size` is rounded up. REEL_ENOMEM. */
int ring_init(struct ring *r, size_t size);
/* Accepts one that is all zeros. */
void ring_release(struct ring *r);

static inline uint8_t *ring_at(const struct ring *r, uint64_t byte)
{
	return r->data + byte % r->size;
}

#endif
