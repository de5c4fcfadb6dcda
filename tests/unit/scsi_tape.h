/* A tape drive in memory that takes SCSI commands: what an LTO drive answers,
 * with two partitions, LOCATE, attributes and log pages; for the tests of what
 * sends them. */
#ifndef REEL_TESTS_SCSI_TAPE_H
#define REEL_TESTS_SCSI_TAPE_H

#include "tape/scsi.h"

#define SCSI_TAPE_OBJECTS 512
#define SCSI_TAPE_BLOCK	  4096

struct scsi_object {
	uint32_t length; /* 0: a filemark */
	uint8_t byte;	 /* all of a block */
};

struct scsi_tape {
	struct scsi_transport base;
	struct scsi_object objects[2][SCSI_TAPE_OBJECTS];
	uint32_t counts[2];
	uint32_t partition, at;
	uint32_t capacity; /* objects of a partition */
	uint32_t early;	   /* objects from which on the warning is given */
	uint32_t block;	   /* fixed, or 0 */
	bool loaded, locked, protected, two;
	bool reports; /* the warning is given to reads, too */
	bool simple;  /* as tgt: neither LOCATE, position, pages nor residues */
	uint8_t barcode[32];
	uint8_t last[16]; /* CDB */
	/* Answered to the command after `delay` more of them, which is not
	 * done: sense data, or a broken connection. */
	unsigned delay;
	uint8_t sense[18];
	bool armed, broken;
};

void scsi_tape_init(struct scsi_tape *t);
/* Fixed-format sense for the command after `delay` more. */
void scsi_tape_arm(struct scsi_tape *t, unsigned delay, bool deferred,
		   uint8_t key, uint16_t code);

#endif
