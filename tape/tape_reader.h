/* Inside the medium on tape: medium_tape.c asks, tape_reader.c has the threads
 * that own drives.
 *
 * A thread for each cartridge in use:
 *     no drive   waits for the station; ends when nobody asks any more
 *     reading    serves requests, else reads ahead of what was asked for last:
 *                a little after a move, more the more of it is had, and twice
 *                as much when somebody has to wait for what lies ahead
 *     idle       is as far ahead as it may be: reads on when half of that, or
 *                some MiB, were had, not for each piece, so that the tape runs
 *                for a while; ends when nobody had anything for a while, at
 *                once when somebody wants its drive
 * All under medium_tape.lock, which is not held while a drive works. */
#ifndef REEL_TAPE_TAPE_READER_H
#define REEL_TAPE_TAPE_READER_H

#include <pthread.h>
#include "tape/medium_tape.h"
#include "tape/tape_cache.h"

struct tape_request {
	struct tape_request *next;
	struct place place;
	uint64_t index; /* of the piece */
	bool hasty;	/* a person is not waited for */
	bool done;
	int error;
	struct piece *piece; /* held */
};

struct tape_reader {
	struct tape_reader *next;
	struct medium_tape *medium;
	uint32_t cartridge; /* number */
	pthread_t thread;
	bool ended; /* to be joined */
	volatile int stop;
	struct tape_request *requests;
	struct drive *drive; /* NULL: none */
	int64_t since;	     /* ns; when it was got */
	unsigned resets;     /* in a row */
	bool known;	     /* the drive stands before byte `at` of `place` */
	struct place place;
	uint64_t at;
	uint64_t fill;	     /* the piece that is being filled */
	struct piece *piece; /* its room; NULL: none yet */
	uint64_t ahead;	     /* byte of `place` up to which it reads on */
	uint64_t window;     /* bytes that this is beyond what was had last */
	int64_t used;	     /* ns; when somebody had something */
	uint8_t *block;
	size_t block_size;
};

#define TAPE_TOLD 128

struct tape_told {
	uint32_t cartridge, volume;
	uint64_t at;
	enum medium_news news;
};

struct medium_tape {
	struct medium medium;
	struct medium_tape_options options;
	pthread_mutex_t lock;
	pthread_cond_t asked;	/* readers wait for it */
	pthread_cond_t arrived; /* who asks does */
	struct tape_cache *cache;
	struct tape_reader *readers;
	const volatile int *stop; /* may be NULL */
	uint64_t moves;
	bool closing;
	struct tape_told told[TAPE_TOLD]; /* what was said last */
	size_t told_count;
	struct piece_key refused; /* what was waited for in vain last */
	int64_t refused_until;	  /* as of tape_now */
};

/* medium_tape.c, without the lock: a drive for a reader that needs byte `at` of
 * a volume. `hasty`: a person is not waited for. *choice: other cartridges have
 * it, too. */
int medium_tape_get(struct tape_reader *r, uint32_t volume, uint64_t at,
		    bool hasty, bool *choice);
/* Under the lock. The reader of a cartridge, begun when need be. */
int tape_reader_of(struct medium_tape *t, uint32_t cartridge,
		   struct tape_reader **out);
/* NULL: the cartridge has none. */
struct tape_reader *tape_reader_find(struct medium_tape *t, uint32_t cartridge);
void tape_reader_ask(struct tape_reader *r, struct tape_request *q);
void tape_reader_give_up(struct tape_reader *r, struct tape_request *q);
/* Somebody had the piece from the cache: reads on behind it. */
void tape_reader_follow(struct tape_reader *r, const struct place *p,
			uint64_t index);
/* Without the lock: ends all. */
void tape_readers_end(struct medium_tape *t);

int64_t tape_now(void); /* ns, monotonic */
/* Waits at most `ms`; under the lock. */
void tape_wait(struct medium_tape *t, pthread_cond_t *c, unsigned ms);
struct piece_key tape_piece_key(const struct place *p, uint64_t index);

#endif
