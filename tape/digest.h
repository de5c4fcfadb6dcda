/* The id of a content: XXH3-128 keyed with the set's seed. A candidate, never
 * a proof: whoever links by it compares the bytes first, or, where they cannot
 * be had without moving a tape, SHA-256 (FIPS 180-4). The only file that sees
 * xxHash and libcrypto. */
#ifndef REEL_TAPE_DIGEST_H
#define REEL_TAPE_DIGEST_H

#include <stddef.h>
#include <stdint.h>

#define DIGEST_SIZE 16

struct digest {
	uint8_t b[DIGEST_SIZE]; /* canonical (big-endian) XXH128 */
};

#define SHA256_SIZE 32

struct sha256 {
	uint8_t b[SHA256_SIZE];
};

struct digester; /* incremental state; heap */

void digest_bytes(uint64_t seed, const void *data, size_t length,
		  struct digest *out);
int digester_new(uint64_t seed, struct digester **out);
/* The same, and SHA-256 beside it. */
int digester_new_sha256(uint64_t seed, struct digester **out);
void digester_free(struct digester *d);
void digester_reset(struct digester *d);
void digester_add(struct digester *d, const void *data, size_t length);
void digester_result(const struct digester *d, struct digest *out);
/* Once, of one that was made for it. */
int digester_sha256(struct digester *d, struct sha256 *out);

/* The first `size` bytes of an open file, which must have them: 0, REEL_EIO,
 * REEL_ENOMEM. */
int digest_file(uint64_t seed, int fd, uint64_t size, struct digest *out);

/* The same of SHA-256. */
int sha256_file(int fd, uint64_t size, struct sha256 *out);
int sha256_bytes(const void *data, size_t length, struct sha256 *out);

/* Low 32 bits of XXH64 with seed 0: the checksum of the zstd seekable
 * format (contrib/seekable_format, Seek_Table_Entries). */
uint32_t digest_checksum32(const void *data, size_t length);

#endif
