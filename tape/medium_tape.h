/* A medium whose volumes lie on cartridges. */
#ifndef REEL_TAPE_MEDIUM_TAPE_H
#define REEL_TAPE_MEDIUM_TAPE_H

#include "tape/medium.h"
#include "tape/station.h"

struct medium_tape_options {
	struct station *station; /* borrowed */
	enum compression compression;
	/* Every place of a volume (0: of all), heap; and a cartridge. */
	int (*places)(void *context, uint32_t volume, struct place **out,
		      size_t *count);
	int (*cartridge)(void *context, uint32_t number,
			 struct cartridge_label *out);
	void *context;
};

int medium_tape_new(const struct medium_tape_options *o, struct medium **out);

#endif
