/* A medium whose volumes lie on cartridges. Each cartridge in use has a thread
 * that owns its drive; it serves what was asked for in the order of the tape,
 * reads on while nobody asks, and what it reads goes to a cache on disk. A
 * drive that somebody else wants is given back when its thread has nothing to
 * do, or after a while. */
#ifndef REEL_TAPE_MEDIUM_TAPE_H
#define REEL_TAPE_MEDIUM_TAPE_H

#include "tape/medium.h"
#include "tape/station.h"

#define MEDIUM_TAPE_CACHE (256u << 20)

struct medium_tape_options {
	struct station *station; /* borrowed */
	enum compression compression;
	int directory;	/* where the cache's file is made; -1: none */
	uint64_t cache; /* bytes; 0: MEDIUM_TAPE_CACHE */
	/* Every place of a volume (0: of all), heap; and a cartridge. */
	int (*places)(void *context, uint32_t volume, struct place **out,
		      size_t *count);
	int (*cartridge)(void *context, uint32_t number,
			 struct cartridge_label *out);
	void *context;
};

int medium_tape_new(const struct medium_tape_options *o, struct medium **out);
/* Before anything is read. */
void medium_tape_set_cache(struct medium *m, uint64_t size);
/* Before anything is read. */
void medium_tape_set_station(struct medium *m, struct station *s);
/* Set by another thread it ends reading: REEL_ESTOPPED; NULL: nothing does. */
void medium_tape_set_stop(struct medium *m, const volatile int *stop);
/* How often a tape was moved to another place than where it stood. */
uint64_t medium_tape_moves(struct medium *m);

#endif
