#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tape/buffer.h"
#include "tape/error.h"

#define BUFFER_FIRST 256

void buffer_release(struct buffer *b)
{
	free(b->data);
	*b = (struct buffer){0};
}

int buffer_reserve(struct buffer *b, size_t more)
{
	size_t capacity = b->capacity ? b->capacity : BUFFER_FIRST;
	uint8_t *data;

	if (more <= b->capacity - b->length)
		return 0;
	if (more > SIZE_MAX / 4 - b->length)
		return REEL_ENOMEM;
	while (capacity < b->length + more)
		capacity *= 2;
	data = realloc(b->data, capacity);
	if (!data)
		return REEL_ENOMEM;
	b->data = data;
	b->capacity = capacity;
	return 0;
}

int buffer_append(struct buffer *b, const void *data, size_t length)
{
	int error = buffer_reserve(b, length);

	if (error || length == 0)
		return error;
	memcpy(b->data + b->length, data, length);
	b->length += length;
	return 0;
}

int buffer_append_zeros(struct buffer *b, size_t length)
{
	int error = buffer_reserve(b, length);

	if (error || length == 0)
		return error;
	memset(b->data + b->length, 0, length);
	b->length += length;
	return 0;
}

int buffer_printf(struct buffer *b, const char *format, ...)
{
	va_list args;
	int error;
	int n;

	va_start(args, format);
	n = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (n < 0)
		return REEL_ERANGE;
	error = buffer_reserve(b, (size_t)n + 1);
	if (error)
		return error;
	va_start(args, format);
	vsnprintf((char *)b->data + b->length, (size_t)n + 1, format, args);
	va_end(args);
	b->length += (size_t)n;
	return 0;
}
