#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>
#include "tape/digest.h"
#include "tape/error.h"

struct digester {
	XXH3_state_t *state;
	uint64_t seed;
};

_Static_assert(sizeof(XXH128_canonical_t) == DIGEST_SIZE, "digest size");

static void set(struct digest *out, XXH128_hash_t hash)
{
#ifdef REEL_WEAK_DIGEST
	(void)hash;
	memset(out->b, 0x5a, sizeof(out->b));
#else
	XXH128_canonical_t canonical;

	XXH128_canonicalFromHash(&canonical, hash);
	memcpy(out->b, canonical.digest, sizeof(out->b));
#endif
}

void digest_bytes(uint64_t seed, const void *data, size_t length,
		  struct digest *out)
{
	set(out, XXH3_128bits_withSeed(data, length, seed));
}

int digester_new(uint64_t seed, struct digester **out)
{
	struct digester *d = malloc(sizeof(*d));

	if (!d)
		return REEL_ENOMEM;
	d->seed = seed;
	d->state = XXH3_createState();
	if (!d->state) {
		free(d);
		return REEL_ENOMEM;
	}
	digester_reset(d);
	*out = d;
	return 0;
}

void digester_free(struct digester *d)
{
	if (!d)
		return;
	XXH3_freeState(d->state);
	free(d);
}

void digester_reset(struct digester *d)
{
	XXH3_128bits_reset_withSeed(d->state, d->seed);
}

void digester_add(struct digester *d, const void *data, size_t length)
{
	if (length)
		XXH3_128bits_update(d->state, data, length);
}

void digester_result(const struct digester *d, struct digest *out)
{
	set(out, XXH3_128bits_digest(d->state));
}

uint32_t digest_checksum32(const void *data, size_t length)
{
	return (uint32_t)XXH64(data, length, 0);
}

#define PIECE (256u << 10) /* of a file, read at a time */

int digest_file(uint64_t seed, int fd, uint64_t size, struct digest *out)
{
	struct digester *d = NULL;
	uint8_t *piece = malloc(PIECE);
	int error = piece ? digester_new(seed, &d) : REEL_ENOMEM;

	for (uint64_t at = 0; !error && at < size;) {
		size_t want = size - at < PIECE ? (size_t)(size - at) : PIECE;
		ssize_t n = pread(fd, piece, want, (off_t)at);

		if (n <= 0)
			error = REEL_EIO;
		else
			digester_add(d, piece, (size_t)n);
		at += n > 0 ? (uint64_t)n : 0;
	}
	if (!error)
		digester_result(d, out);
	digester_free(d);
	free(piece);
	return error;
}
