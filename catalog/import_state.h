/* Inside import. */
#ifndef REEL_CATALOG_IMPORT_STATE_H
#define REEL_CATALOG_IMPORT_STATE_H

#include "catalog/import.h"
#include "tape/cartridge.h"
#include "tape/drive.h"

#define ENDS "spool/import" /* volumes that end sessions, under their names */

/* A volume, or the part of it that begins there; `tail`: how many bytes at its
 * end hold of an index, the seek table apart. */
struct piece {
	uint32_t volume;
	int64_t session_time;
	uint64_t begin, tail;
};

struct import {
	char *path;
	const struct set_config *media;
	struct set *set;    /* since the first cartridge */
	struct medium *own; /* of the set, while ENDS are read */
	unsigned wait;	    /* import_set_patience */
	const volatile int *stop;
	int ends;		      /* fd of ENDS */
	struct cartridge_table known; /* merged; cartridges by number */
	uint32_t *seen;		      /* numbers of cartridges taken in */
	size_t seen_count;
	struct piece *wanted; /* hold the front of an index */
	size_t wanted_count;
	struct piece *saved; /* in ENDS */
	size_t saved_count;
	struct place *unread; /* wanted, and cannot be read there */
	size_t unread_count;
	size_t dropped; /* places of cartridges that were begun anew */
	bool broken;	/* a cartridge could not be read to its end */
	int unmade;	/* why the set could not be made */
	bool made, finished;
};

/* import_ends.c */
bool import_is_saved(const struct import *i, const struct place *p);
/* It ends a session or has a part of its index, and is neither saved nor known
 * to be unreadable there. */
bool import_is_wanted(const struct import *i, const struct place *p);
/* A cartridge_each (cartridge_walk.h): saves what is wanted. */
int import_take_volume(void *context, struct drive *d, const struct place *p,
		       const struct cartridge_table *t);

#endif
