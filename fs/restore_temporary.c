/* Names of what is being made: .reel-tmp-NNNNNNNN-CCCCCCCC, a number and a
 * check of it with the set's seed and the directory's inode. So no file of
 * anybody else's, nor a copy of one of ours, is taken for what an interrupted
 * restore left. */
#include "fs/restore_place.h"

#include <stdio.h>
#include <string.h>
#include "tape/digest.h"

#define TEMPORARY	 ".reel-tmp-"
#define TEMPORARY_LENGTH (sizeof(TEMPORARY) - 1 + 8 + 1 + 8)

static void make(const struct restore *r, const struct place *p,
		 uint32_t number, char name[TEMPORARY_ROOM])
{
	struct digest d;
	uint8_t text[12];

	for (int n = 0; n < 4; n++)
		text[n] = (uint8_t)(number >> 8 * n);
	for (int n = 0; n < 8; n++)
		text[4 + n] = (uint8_t)((uint64_t)p->inode >> 8 * n);
	digest_bytes(r->seed, text, sizeof(text), &d);
	snprintf(name, TEMPORARY_ROOM, TEMPORARY "%08x-%02x%02x%02x%02x",
		 number, d.b[0], d.b[1], d.b[2], d.b[3]);
}

void temporary_name(struct restore *r, const struct place *p,
		    char name[TEMPORARY_ROOM])
{
	uint32_t number = atomic_fetch_add(&r->serial, 1);

	number += (uint32_t)r->begun.tv_nsec * 2654435761u;
	make(r, p, number ^ (uint32_t)r->begun.tv_sec, name);
}

bool temporary_is(struct restore *r, const struct place *p, const char *name,
		  size_t length)
{
	char right[TEMPORARY_ROOM];
	unsigned number;

	if (length != TEMPORARY_LENGTH ||
	    memcmp(name, TEMPORARY, sizeof(TEMPORARY) - 1) ||
	    sscanf(name + sizeof(TEMPORARY) - 1, "%8x-", &number) != 1)
		return false;
	make(r, p, number, right);
	return !memcmp(name, right, length);
}
