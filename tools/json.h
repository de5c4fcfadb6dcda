/* One object a line, on stdout or elsewhere.
 *
 * Texts are UTF-8. A name that is not valid UTF-8 is written with U+FFFD for
 * each wrong byte, and once more, exactly, as base64 under NAME_base64. */
#ifndef REEL_TOOLS_JSON_H
#define REEL_TOOLS_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct json {
	FILE *to;
	bool more; /* a comma is due */
};

void json_begin(struct json *j);
void json_begin_at(struct json *j, FILE *to);
void json_end(struct json *j);
void json_bytes(struct json *j, const char *key, const void *text,
		size_t length);
void json_text(struct json *j, const char *key, const char *text);
void json_number(struct json *j, const char *key, uint64_t number);
void json_bool(struct json *j, const char *key, bool value);
void json_time(struct json *j, const char *key, int64_t ns);
void json_hex(struct json *j, const char *key, const void *data, size_t length);
/* An array of numbers. */
void json_numbers(struct json *j, const char *key, const uint64_t *numbers,
		  size_t count);

/* Texts in rooms of `size` bytes; UTF-8. */
void json_texts(struct json *j, const char *key, const char *texts, size_t size,
		size_t count);

#endif
