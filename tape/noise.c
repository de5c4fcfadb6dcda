/* Data is judged in chunks, by how many values a sample of their bytes has: 64
 * random bytes have 57 at an average, base64 has 41, text and programs have
 * less. One chunk alone changes nothing. */
#include "tape/noise.h"

#include <string.h>

#define CHUNK  512u
#define STEP   8u /* between the bytes of a sample */
#define VALUES 48 /* more are noise */
#define RUN    2  /* chunks of the other kind that end one */

/* Flags of a byte each, summed eight at a time: none of the sums passes 64. */
static bool is_noise(const uint8_t *chunk)
{
	uint8_t seen[256] = {0};
	uint64_t sums = 0, eight;

	for (size_t n = 0; n < CHUNK; n += STEP)
		seen[chunk[n]] = 1;
	for (size_t n = 0; n < sizeof(seen); n += sizeof(eight)) {
		memcpy(&eight, seen + n, sizeof(eight));
		sums += eight;
	}
	return sums * UINT64_C(0x0101010101010101) >> 56 > VALUES;
}

size_t noise_run(const uint8_t *data, size_t length, bool *noisy)
{
	size_t other = 0;

	for (size_t end = CHUNK; end <= length; end += CHUNK) {
		other = is_noise(data + end - CHUNK) == *noisy ? 0 : other + 1;
		if (other < RUN)
			continue;
		*noisy = !*noisy;
		other = 0;
		if (end > RUN * CHUNK)
			return end - RUN * CHUNK;
	}
	return length;
}
