/* The header block of POSIX.1-1988 ustar (POSIX.1-2017 pax, "ustar Interchange
 * Format"). Numbers are octal text, NUL or space at their end. */
#ifndef REEL_TAPE_USTAR_H
#define REEL_TAPE_USTAR_H

#include <string.h>

struct ustar {
	char name[100];
	char mode[8];
	char uid[8];
	char gid[8];
	char size[12];
	char mtime[12];
	char checksum[8];
	char type;
	char link[100];
	char magic[6];
	char version[2];
	char owner[32];
	char group[32];
	char major[8];
	char minor[8];
	char prefix[155];
	char unused[12];
};

_Static_assert(sizeof(struct ustar) == 512, "ustar");

static inline void ustar_init(struct ustar *h)
{
	memset(h, 0, sizeof(*h));
	memset(h->uid, '0', sizeof(h->uid) - 1);
	memset(h->gid, '0', sizeof(h->gid) - 1);
	memset(h->size, '0', sizeof(h->size) - 1);
	memset(h->mtime, '0', sizeof(h->mtime) - 1);
	memcpy(h->magic, "ustar", 6);
	memcpy(h->version, "00", 2);
}

/* The sum of its bytes with the checksum's own field taken as spaces. */
static inline unsigned ustar_checksum(const struct ustar *h)
{
	const unsigned char *b = (const unsigned char *)h;
	unsigned sum = 0;

	for (size_t n = 0; n < sizeof(*h); n++)
		sum += b[n];
	for (size_t n = 0; n < sizeof(h->checksum); n++)
		sum += ' ' - (unsigned char)h->checksum[n];
	return sum;
}

#endif
