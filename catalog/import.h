/* A set made anew from its cartridges alone, in whatever order they come. Of
 * each the tables are read, and the ends of the sessions (index and end
 * member), which are kept in the set's spool until all have come that are to
 * be had; then they are taken in by the order of the sessions. For an index
 * that is damaged the cartridges are read once more: another copy of it, else
 * the session's archive.
 *
 * I1 Nothing is written to a cartridge.
 * I2 The set is removed again unless import_finish succeeded. */
#ifndef REEL_CATALOG_IMPORT_H
#define REEL_CATALOG_IMPORT_H

#include <stdbool.h>
#include "catalog/set.h"
#include "tape/cartridge.h"
#include "tape/drive.h"

struct import;

/* `path` is where the set comes to be, with media and drives as in `media`
 * (borrowed until the first cartridge); the rest is told by the labels. */
int import_new(const char *path, const struct set_config *media,
	       struct import **out);
void import_free(struct import *i);
/* Of import_finish, should an index be damaged: seconds for each cartridge that
 * is not at hand (0), and what ends the waiting (may be NULL). */
void import_set_patience(struct import *i, unsigned wait,
			 const volatile int *stop);
/* Takes in what the cartridge in the drive says. REEL_ENOENT: it is none of
 * reel's; REEL_EINVAL: of another set; REEL_EEXIST: it was taken in before. All
 * are said, as is why the set cannot be made by the first one. */
int import_cartridge(struct import *i, struct drive *d);
/* The set could not be made: no other cartridge changes that. */
bool import_is_hopeless(const struct import *i);
/* The first cartridge with a number above `after` that holds an end of a
 * session which is still missing. NULL: none. Borrowed until the next call of
 * another function. */
const struct cartridge_label *import_needed(const struct import *i,
					    uint32_t after);

/* Grows when a cartridge told or gave what was not known: only then may one
 * that was looked at before have more. */
size_t import_learned(const struct import *i);

struct import_found {
	uint32_t sessions;   /* taken in */
	uint32_t cartridges; /* of the set */
	uint32_t missing;    /* of them not seen: said, by name */
	bool incomplete;     /* sessions are missing, or may be: said */
	bool endless;	     /* one has no end on what was seen */
};

/* Makes the catalogue. REEL_EDAMAGED, or
 * REEL_EMEDIUM (another cartridge may have its end): not one session could be
 * had. */
int import_finish(struct import *i, struct import_found *found);

#endif
