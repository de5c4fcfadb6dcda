#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>
#include "tape/digest.h"
#include "tape/error.h"

struct digester {
	XXH3_state_t *state;
	uint64_t seed;
	EVP_MD_CTX *sha256; /* NULL: not asked for */
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
	d->sha256 = NULL;
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
	EVP_MD_CTX_free(d->sha256);
	free(d);
}

int digester_new_sha256(uint64_t seed, struct digester **out)
{
	int error = digester_new(seed, out);
	struct digester *d = *out;

	if (error)
		return error;
	d->sha256 = EVP_MD_CTX_new();
	if (d->sha256 && EVP_DigestInit_ex(d->sha256, EVP_sha256(), NULL) == 1)
		return 0;
	digester_free(d);
	*out = NULL;
	return REEL_ENOMEM;
}

void digester_reset(struct digester *d)
{
	XXH3_128bits_reset_withSeed(d->state, d->seed);
	if (d->sha256)
		EVP_DigestInit_ex(d->sha256, NULL, NULL);
}

void digester_add(struct digester *d, const void *data, size_t length)
{
	if (length)
		XXH3_128bits_update(d->state, data, length);
	if (length && d->sha256)
		EVP_DigestUpdate(d->sha256, data, length);
}

void digester_result(const struct digester *d, struct digest *out)
{
	set(out, XXH3_128bits_digest(d->state));
}

int digester_sha256(struct digester *d, struct sha256 *out)
{
	return EVP_DigestFinal_ex(d->sha256, out->b, NULL) == 1 ? 0
								: REEL_ENOMEM;
}

int sha256_bytes(const void *data, size_t length, struct sha256 *out)
{
	return EVP_Digest(data, length, out->b, NULL, EVP_sha256(), NULL) == 1
		       ? 0
		       : REEL_ENOMEM;
}

uint32_t digest_checksum32(const void *data, size_t length)
{
	return (uint32_t)XXH64(data, length, 0);
}

#define PIECE (256u << 10) /* of a file, read at a time */

static int add_file(struct digester *d, int fd, uint64_t size)
{
	uint8_t *piece = malloc(PIECE);
	int error = piece ? 0 : REEL_ENOMEM;

	for (uint64_t at = 0; !error && at < size;) {
		size_t want = size - at < PIECE ? (size_t)(size - at) : PIECE;
		ssize_t n = pread(fd, piece, want, (off_t)at);

		if (n <= 0)
			error = REEL_EIO;
		else
			digester_add(d, piece, (size_t)n);
		at += n > 0 ? (uint64_t)n : 0;
	}
	free(piece);
	return error;
}

int digest_file(uint64_t seed, int fd, uint64_t size, struct digest *out)
{
	struct digester *d = NULL;
	int error = digester_new(seed, &d);

	if (!error)
		error = add_file(d, fd, size);
	if (!error)
		digester_result(d, out);
	digester_free(d);
	return error;
}

int sha256_file(int fd, uint64_t size, struct sha256 *out)
{
	struct digester *d = NULL;
	int error = digester_new_sha256(0, &d);

	if (!error)
		error = add_file(d, fd, size);
	if (!error)
		error = digester_sha256(d, out);
	digester_free(d);
	return error;
}
