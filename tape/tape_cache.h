/* Bytes of volumes that were read from tape, in pieces of one size, in a file
 * that has no name. Least recently used goes first.
 *
 * A piece is taken (room of its own), filled by its taker, added; found ones
 * are held until they are put. find, take, add, put, clear: under the caller's
 * lock. read and write: of held pieces, without it. */
#ifndef REEL_TAPE_TAPE_CACHE_H
#define REEL_TAPE_TAPE_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PIECE_SIZE (256u << 10)

/* Bytes [index * PIECE_SIZE, ...) of a volume as a cartridge has it, or of the
 * part of it that begins at `begin`; the time of its session tells volumes of
 * one number apart. */
struct piece_key {
	uint32_t cartridge;
	uint32_t volume;
	int64_t session_time;
	uint64_t begin;
	uint64_t index;
};

bool piece_key_same(const struct piece_key *a, const struct piece_key *b);

struct piece;
struct tape_cache;

/* The file is made in `directory` if that can be written, else in /var/tmp,
 * else in memory; it grows to `size` bytes, or as far as there is room. */
int tape_cache_new(int directory, uint64_t size, struct tape_cache **out);
void tape_cache_free(struct tape_cache *c); /* accepts NULL */
uint64_t tape_cache_size(const struct tape_cache *c);

/* Held; NULL: it is not there. */
struct piece *tape_cache_find(struct tape_cache *c,
			      const struct piece_key *key);
/* Held; NULL: all are held. */
struct piece *tape_cache_take(struct tape_cache *c);
/* From now on it is found (and still held). */
void tape_cache_add(struct tape_cache *c, struct piece *p,
		    const struct piece_key *key);
void tape_cache_hold(struct piece *p);
void tape_cache_put(struct tape_cache *c, struct piece *p);
/* Nothing is found any more. */
void tape_cache_clear(struct tape_cache *c);

int tape_cache_write(struct tape_cache *c, const struct piece *p, size_t at,
		     const void *data, size_t length);
int tape_cache_read(struct tape_cache *c, const struct piece *p, size_t at,
		    void *to, size_t length);

#endif
