/* Bytes that no compressor can make less of, being compressed or encrypted,
 * and where they begin and end among others. */
#ifndef REEL_TAPE_NOISE_H
#define REEL_TAPE_NOISE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How many bytes at `data` are of one kind: all of them, or up to where the
 * other kind begins. *noisy: what they were before `data`, and, after, what
 * follows them. */
size_t noise_run(const uint8_t *data, size_t length, bool *noisy);

#endif
