/* What an image drive is like, beyond its data: FILE.tap.conf beside FILE.tap
 * and `?key=value&key=value` behind its name, which wins for as long as it is
 * open. Absent keys have their defaults; without settings there is no file.
 *
 *     capacity SIZE      of partition 0; none: as much as the disk takes
 *     partition SIZE     one more partition (in FILE.tap.p1, .p2 ...), SIZE as
 *                        above or 0
 *     medium SIZE        of all of it, where partitions leave some unused
 *     early SIZE         before the end, where the early warning begins
 *     block SIZE         all blocks have this size; 0: any
 *     protected yes|no   the cartridge cannot be written
 *     loaded yes|no      the cartridge is in the drive
 *     locked yes|no      and cannot be taken out
 *     setmarks yes|no    the drive has setmarks (other tools may not read them)
 *     report yes|no      and stops at them
 *     locate yes|no      seeks by a block's number
 *     repair yes|no      may write behind damage (tap.h, T2)
 *     position P N       where the head stands: partition and object
 *     attribute ID HEX   of the cartridge's memory, e.g. 0806 its barcode
 *     barcode TEXT       the same as attribute 0806
 *
 * A size is a number with K, M, G or T behind it. */
#ifndef REEL_TAPE_IMAGE_CONF_H
#define REEL_TAPE_IMAGE_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "tape/drive.h"

#define IMAGE_ATTRIBUTES      64
#define IMAGE_ATTRIBUTE_LIMIT 256 /* bytes of one */
#define IMAGE_CONF_LIMIT      (64u << 10)

struct image_attribute {
	uint16_t id;
	uint16_t length;
	uint8_t data[IMAGE_ATTRIBUTE_LIMIT];
};

struct image_conf {
	uint64_t capacity[DRIVE_PARTITIONS]; /* bytes; 0: no limit */
	uint32_t partitions;
	uint64_t medium; /* bytes; DRIVE_UNKNOWN: the sum of them */
	uint64_t early;	 /* bytes; DRIVE_UNKNOWN: a 64th of the capacity */
	uint32_t block;
	bool is_protected, loaded, locked, setmarks, report, locate, repair;
	uint32_t partition; /* position */
	uint64_t object;
	struct image_attribute attributes[IMAGE_ATTRIBUTES];
	size_t attribute_count;
};

void image_conf_init(struct image_conf *c);
/* Text of lines `key value`, or of `key=value&...` (separators '&' and '=').
 * REEL_EINVAL; *wrong is then the text of the faulty line (borrowed, ends at
 * its separator). */
int image_conf_parse(struct image_conf *c, const char *text, size_t length,
		     bool options, const char **wrong);
/* Reads or replaces a file, whole. No file: the defaults. Says what is wrong.
 */
int image_conf_load(struct image_conf *c, const char *path);
int image_conf_save(const struct image_conf *c, const char *path);
/* NULL: there is none. */
const struct image_attribute *image_conf_find(const struct image_conf *c,
					      uint16_t id);
/* REEL_ENOSPC, REEL_ERANGE. Length 0 removes it. */
int image_conf_put(struct image_conf *c, uint16_t id, const void *data,
		   size_t length);
/* "64M" to bytes. REEL_EINVAL. */
int image_size_parse(const char *text, size_t length, uint64_t *size);

#endif
