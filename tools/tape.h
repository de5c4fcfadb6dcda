/* Inside `reel tape`: cmd_tape.c names the verbs, tape_say.c has those that
 * only tell, tape_medium.c those for drive and cartridge, tape_place.c those
 * that move, tape_data.c those that read and write, tape_changer.c those for
 * changers. */
#ifndef REEL_TOOLS_TAPE_H
#define REEL_TOOLS_TAPE_H

#include <stdbool.h>
#include "tape/drive.h"
#include "tools/command.h"
#include "tools/options.h"

extern const struct command tape_status;
extern const struct command tape_load;
extern const struct command tape_unload;
extern const struct command tape_lock;
extern const struct command tape_unlock;
extern const struct command tape_tension;
extern const struct command tape_format;
extern const struct command tape_partition;
extern const struct command tape_erase;
extern const struct command tape_params;
extern const struct command tape_set;
extern const struct command tape_attribute;
extern const struct command tape_seek;
extern const struct command tape_tell;
extern const struct command tape_space;
extern const struct command tape_mark;
extern const struct command tape_read;
extern const struct command tape_write;
extern const struct command tape_inventory;
extern const struct command tape_move;

/* Opens it where the last verb left it; REEL_EMEDIUM when `needs` a cartridge
 * and there is none. Says what is wrong. */
int tape_open(const char *name, bool reading, bool needs, struct drive **d);
/* The exit status of a verb; closes the drive. With `json` one object with
 * device, verb, what `m` and `p` (may be NULL) say, when all went well. */
int tape_done(const struct command *self, struct drive *d, int error,
	      bool json);
/* Asks on a terminal, else needs --yes. False: it is not to be done, and said.
 */
bool tape_consent(struct drive *d, const char *what, bool yes);
/* A whole number; false: misuse was said. */
bool tape_number(const struct command *self, const char *text, const char *what,
		 uint64_t limit, uint64_t *number);

#endif
