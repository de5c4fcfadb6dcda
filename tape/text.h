/* Names of any bytes as one line of text, and back.
 *
 * Escaped form: every byte below 0x20, 0x7f, and backslash become a
 * backslash, `0` and three octal digits, which printf %b of a POSIX shell
 * undoes. All else, UTF-8 or not, stands as it is. */
#ifndef REEL_TAPE_TEXT_H
#define REEL_TAPE_TEXT_H

#include "tape/buffer.h"

int text_escape(struct buffer *out, const void *name, size_t length);
/* Undoes text_escape; REEL_EDAMAGED on a malformed escape. */
int text_unescape(struct buffer *out, const char *text, size_t length);
/* Escaped, NUL-terminated, heap; for messages. NULL when out of memory. */
char *text_name(const void *name, size_t length);

#endif
