/* A medium changer: slots, drives, ports, a picker, and the cartridges in them
 * by barcode. Over the same transports as drives:
 *
 *     iscsi://host:port/target/lun, /dev/sch0, /dev/sg3
 *
 * An element is named by its address, which the changer assigns. Functions
 * return 0 or an error and say what went wrong, with the changer's name. One
 * thread at a time. */
#ifndef REEL_TAPE_CHANGER_H
#define REEL_TAPE_CHANGER_H

#include <stddef.h>
#include <stdint.h>
#include "tape/scsi.h"

struct changer;

/* REEL_ENOENT, REEL_EINVAL no changer, REEL_EPERM, REEL_EBUSY. `stop` may be
 * NULL. */
int changer_open(const char *name, const volatile int *stop,
		 struct changer **c);
void changer_close(struct changer *c);

struct changer_inventory {
	struct scsi_element *elements; /* by address */
	size_t count;
};

/* What is where, as the changer knows it. REEL_EBUSY it is still looking. */
int changer_inventory(struct changer *c, struct changer_inventory *out);
void changer_inventory_release(struct changer_inventory *i);
/* Looks at all cartridges anew; may take minutes. */
int changer_rescan(struct changer *c);
/* REEL_ENOENT: no cartridge at `from`, or no such element; REEL_EEXIST: `to` is
 * full; REEL_EBUSY: the drive holds on to it: unload it first. */
int changer_move(struct changer *c, uint16_t from, uint16_t to);

/* NULL: it is not there. Barcodes are compared without trailing blanks. */
const struct scsi_element *
changer_find_barcode(const struct changer_inventory *i, const char *barcode);
/* The drive with this serial number, when the changer tells them; or the Nth
 * drive, from 0. */
const struct scsi_element *changer_find_drive(const struct changer_inventory *i,
					      const char *serial);
const struct scsi_element *changer_drive(const struct changer_inventory *i,
					 size_t n);
const struct scsi_element *
changer_find_address(const struct changer_inventory *i, uint16_t address);
/* An empty slot for a cartridge: `preferred` (its source) if it is empty, else
 * the first. NULL: all are full. */
const struct scsi_element *changer_find_room(const struct changer_inventory *i,
					     uint16_t preferred);

#endif
