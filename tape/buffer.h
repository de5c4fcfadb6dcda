/* A growing run of bytes. Zero-initialised is empty and valid. */
#ifndef REEL_TAPE_BUFFER_H
#define REEL_TAPE_BUFFER_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

struct buffer {
	uint8_t *data;
	size_t length;
	size_t capacity;
};

void buffer_release(struct buffer *b);
/* Room for `more` bytes after the present ones; REEL_ENOMEM. */
int buffer_reserve(struct buffer *b, size_t more);
int buffer_append(struct buffer *b, const void *data, size_t length);
int buffer_append_zeros(struct buffer *b, size_t length);
int buffer_printf(struct buffer *b, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
