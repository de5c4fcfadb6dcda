#include "tape/trailer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tape/error.h"

#define TRAILER_VERSION 1

static void put_hex(char *to, const uint8_t *bytes, size_t count)
{
	for (size_t n = 0; n < count; n++)
		sprintf(to + 2 * n, "%02x", bytes[n]);
}

static int hex_digit(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
				      : -1;
}

static int get_hex(const char *text, uint8_t *bytes, size_t count)
{
	for (size_t n = 0; n < count; n++) {
		int high = hex_digit(text[2 * n]);
		int low = high < 0 ? -1 : hex_digit(text[2 * n + 1]);

		if (low < 0)
			return REEL_EDAMAGED;
		bytes[n] = (uint8_t)(high << 4 | low);
	}
	return 0;
}

void trailer_encode(const struct trailer *t, uint8_t out[TRAILER_SIZE])
{
	char set[33], digest[2 * DIGEST_SIZE + 1];
	char *text = (char *)out;
	int length;

	put_hex(set, t->set, sizeof(t->set));
	put_hex(digest, t->index_digest.b, DIGEST_SIZE);
	memset(out, '\n', TRAILER_SIZE);
	length = snprintf(text, TRAILER_SIZE,
			  "REEL end %d\nset %s\nsession %" PRIu32
			  "\nepoch %" PRIu32 "\nvolumes %" PRIu32 " %" PRIu32
			  "\nindex %" PRIu64 " %" PRIu64 " %s\n",
			  TRAILER_VERSION, set, t->session, t->epoch,
			  t->first_volume, t->last_volume, t->index_offset,
			  t->index_length, digest);
	uint32_t sum = digest_checksum32(out, (size_t)length);
	length += snprintf(text + length, TRAILER_SIZE - (size_t)length,
			   "check %08" PRIx32 "\n", sum);
	out[length] = '\n';
}

int trailer_decode(const uint8_t in[TRAILER_SIZE], struct trailer *out)
{
	char text[TRAILER_SIZE + 1], set[33], digest[2 * DIGEST_SIZE + 1];
	uint8_t again[TRAILER_SIZE];
	struct trailer t;
	int version = 0;

	memcpy(text, in, TRAILER_SIZE);
	text[TRAILER_SIZE] = '\0';
	if (sscanf(text, "REEL end %d\n", &version) != 1)
		return REEL_EDAMAGED;
	if (version > TRAILER_VERSION && version < 1000)
		return REEL_EVERSION;
	if (sscanf(text,
		   "REEL end %d\nset %32s\nsession %" SCNu32 "\nepoch %" SCNu32
		   "\nvolumes %" SCNu32 " %" SCNu32 "\nindex %" SCNu64
		   " %" SCNu64 " %32s\n",
		   &version, set, &t.session, &t.epoch, &t.first_volume,
		   &t.last_volume, &t.index_offset, &t.index_length,
		   digest) != 9 ||
	    get_hex(set, t.set, sizeof(t.set)) ||
	    get_hex(digest, t.index_digest.b, DIGEST_SIZE))
		return REEL_EDAMAGED;
	/* whatever else differs, the checksum's line does */
	trailer_encode(&t, again);
	if (memcmp(again, in, TRAILER_SIZE))
		return REEL_EDAMAGED;
	*out = t;
	return 0;
}
