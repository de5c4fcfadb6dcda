/* Reading a set's streams: frames from its volumes through a bounded cache.
 * Safe for any number of threads. */
#ifndef REEL_TAPE_RECALL_H
#define REEL_TAPE_RECALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "tape/medium.h"

struct recall;

/* Finds the frame of `session` that holds stream byte `offset`: 0,
 * REEL_ENOENT beyond the end, or an error. Called by many threads. */
typedef int (*recall_find)(void *context, uint32_t session, uint64_t offset,
			   struct frame *out);

struct recall_options {
	struct medium *medium; /* borrowed */
	size_t cache;	       /* bytes of decoded frames kept */
	bool unchecked;	       /* uncompressed frames have no checksum */
	recall_find find;
	void *context;
};

int recall_new(const struct recall_options *o, struct recall **out);
void recall_free(struct recall *r);
/* `length` bytes at `offset` of a session's stream; every frame they touch is
 * checked first. REEL_EDAMAGED (logged with volume and offset),
 * REEL_EMEDIUM when the volume is missing (logged, named). */
int recall_read(struct recall *r, uint32_t session, uint64_t offset, void *to,
		size_t length);

/* A decoded frame, pinned: bytes [frame.stream, +frame.length). */
struct recalled {
	struct frame frame;
	const uint8_t *data;
	void *entry;
};
int recall_get(struct recall *r, uint32_t session, uint64_t offset,
	       struct recalled *out);
void recall_put(struct recall *r, struct recalled *f);
/* From now on what the calling thread waits for (a cartridge, a drive) is given
 * up when *stop is set: REEL_ESTOPPED. NULL: nothing is. */
void recall_heed(const volatile int *stop);
/* To be heeded: what no drive is needed for is read, else REEL_ESTOPPED. */
extern const volatile int recall_at_once;
/* Decodes the frame in the background, when a thread is free. */
void recall_ahead(struct recall *r, uint32_t session, uint64_t offset);

#endif
