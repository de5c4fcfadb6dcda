#include <stdbool.h>
#include <stdlib.h>
#include "tape/error.h"
#include "tape/text.h"

#define ESCAPE_LENGTH 5 /* backslash, 0, three octal digits */

static bool plain(uint8_t c)
{
	return c >= 0x20 && c != 0x7f && c != '\\';
}

int text_escape(struct buffer *out, const void *name, size_t length)
{
	const uint8_t *from = name;
	size_t begin = 0;
	int error = 0;

	for (size_t i = 0; i < length && !error; i++) {
		if (plain(from[i]))
			continue;
		error = buffer_append(out, from + begin, i - begin);
		if (!error)
			error = buffer_printf(out, "\\0%03o", from[i]);
		begin = i + 1;
	}
	if (!error && length > begin)
		error = buffer_append(out, from + begin, length - begin);
	return error;
}

static bool octal(char c)
{
	return c >= '0' && c <= '7';
}

int text_unescape(struct buffer *out, const char *text, size_t length)
{
	size_t before = out->length;
	size_t at = 0;
	int error = buffer_reserve(out, length);

	while (at < length && !error) {
		const char *t = text + at;
		uint8_t byte = (uint8_t)*t;

		if (*t != '\\') {
			error = buffer_append(out, &byte, 1);
			at++;
			continue;
		}
		if (length - at < ESCAPE_LENGTH || t[1] != '0' ||
		    !octal(t[2]) || t[2] > '3' || !octal(t[3]) ||
		    !octal(t[4])) {
			error = REEL_EDAMAGED;
			break;
		}
		byte = (uint8_t)((t[2] - '0') << 6 | (t[3] - '0') << 3 |
				 (t[4] - '0'));
		error = buffer_append(out, &byte, 1);
		at += ESCAPE_LENGTH;
	}
	if (error)
		out->length = before;
	return error;
}

char *text_name(const void *name, size_t length)
{
	struct buffer b = {0};

	if (text_escape(&b, name, length) || buffer_append(&b, "", 1)) {
		buffer_release(&b);
		return NULL;
	}
	return (char *)b.data;
}
