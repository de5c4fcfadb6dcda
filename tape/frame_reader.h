/* A zstd file of any making, decoded from its beginning to its end: frames of
 * any size, with or without their sizes, one behind the other. With frame.c the
 * only part of the house that sees zstd. One thread. */
#ifndef REEL_TAPE_FRAME_READER_H
#define REEL_TAPE_FRAME_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct frame_reader;

/* Whether a file that begins with these bytes is one. */
bool frame_reader_knows(const uint8_t *data, size_t length);
/* `fd` is borrowed, and read at places of its own. */
int frame_reader_new(int fd, struct frame_reader **out);
void frame_reader_free(struct frame_reader *r);
/* Up to `length` bytes, fewer only at the end. REEL_EDAMAGED: what was given
 * before it is right, nothing follows. REEL_ERANGE: it needs more memory than
 * FRAME_WINDOW. */
#define FRAME_WINDOW_LOG 27
int64_t frame_reader_read(struct frame_reader *r, void *to, size_t length);

#endif
