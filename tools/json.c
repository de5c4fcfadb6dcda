#include "tools/json.h"

#include <inttypes.h>
#include <string.h>
#include "tools/figures.h"

static void put(struct json *j, const char *text, size_t length)
{
	fwrite_unlocked(text, 1, length, j->to);
}

static void put_text(struct json *j, const char *text)
{
	put(j, text, strlen(text));
}

static void put_key(struct json *j, const char *key, const char *suffix)
{
	if (j->more)
		putc_unlocked(',', j->to);
	j->more = true;
	putc_unlocked('"', j->to);
	put_text(j, key);
	put_text(j, suffix);
	put_text(j, "\":");
}

void json_begin_at(struct json *j, FILE *to)
{
	*j = (struct json){.to = to};
	putc_unlocked('{', j->to);
}

void json_begin(struct json *j)
{
	json_begin_at(j, stdout);
}

void json_end(struct json *j)
{
	put_text(j, "}\n");
}

static unsigned following(uint8_t lead)
{
	if (lead >= 0xc2 && lead <= 0xdf)
		return 1;
	if (lead >= 0xe0 && lead <= 0xef)
		return 2;
	if (lead >= 0xf0 && lead <= 0xf4)
		return 3;
	return 0;
}

/* Bytes of the UTF-8 sequence at t (RFC 3629, section 4); 0 when it is none. */
static size_t utf8_length(const uint8_t *t, size_t left)
{
	unsigned n = following(t[0]);
	uint8_t low = 0x80, high = 0xbf;

	if (t[0] < 0x80)
		return 1;
	if (n == 0 || left <= n)
		return 0;
	if (t[0] == 0xe0)
		low = 0xa0;
	else if (t[0] == 0xed)
		high = 0x9f;
	else if (t[0] == 0xf0)
		low = 0x90;
	else if (t[0] == 0xf4)
		high = 0x8f;
	if (t[1] < low || t[1] > high)
		return 0;
	for (unsigned i = 2; i <= n; i++) {
		if ((t[i] & 0xc0) != 0x80)
			return 0;
	}
	return n + 1;
}

/* False when some byte had to be replaced. */
static bool put_string(struct json *j, const uint8_t *text, size_t length)
{
	bool exact = true;
	size_t begin = 0, i = 0;

	putc_unlocked('"', j->to);
	while (i < length) {
		size_t n = utf8_length(text + i, length - i);
		uint8_t c = text[i];

		if (n > 1 || (n == 1 && c >= 0x20 && c != '"' && c != '\\' &&
			      c != 0x7f)) {
			i += n;
			continue;
		}
		put(j, (const char *)text + begin, i - begin);
		if (n == 0)
			put_text(j, "\xef\xbf\xbd");
		else if (c == '"' || c == '\\')
			fprintf(j->to, "\\%c", c);
		else
			fprintf(j->to, "\\u%04x", c);
		exact = exact && n;
		begin = ++i;
	}
	put(j, (const char *)text + begin, length - begin);
	putc_unlocked('"', j->to);
	return exact;
}

static void put_base64(struct json *j, const uint8_t *data, size_t length)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				     "abcdefghijklmnopqrstuvwxyz0123456789+/";

	putc_unlocked('"', j->to);
	for (size_t i = 0; i < length; i += 3) {
		size_t n = length - i < 3 ? length - i : 3;
		uint32_t v = (uint32_t)data[i] << 16;

		if (n > 1)
			v |= (uint32_t)data[i + 1] << 8;
		if (n > 2)
			v |= data[i + 2];
		for (size_t k = 0; k < 4; k++)
			putc_unlocked(k <= n ? digits[v >> (18 - 6 * k) & 63]
					     : '=',
				      j->to);
	}
	putc_unlocked('"', j->to);
}

void json_bytes(struct json *j, const char *key, const void *text,
		size_t length)
{
	put_key(j, key, "");
	if (put_string(j, text, length))
		return;
	put_key(j, key, "_base64");
	put_base64(j, text, length);
}

void json_text(struct json *j, const char *key, const char *text)
{
	json_bytes(j, key, text, strlen(text));
}

void json_number(struct json *j, const char *key, uint64_t number)
{
	char text[24];
	int n = snprintf(text, sizeof(text), "%" PRIu64, number);

	put_key(j, key, "");
	put(j, text, (size_t)n);
}

void json_bool(struct json *j, const char *key, bool value)
{
	put_key(j, key, "");
	put_text(j, value ? "true" : "false");
}

void json_time(struct json *j, const char *key, int64_t ns)
{
	char text[FIGURE_SIZE];

	json_text(j, key, figure_time(ns, text));
}

void json_hex(struct json *j, const char *key, const void *data, size_t length)
{
	static const char digits[] = "0123456789abcdef";
	const uint8_t *d = data;

	put_key(j, key, "");
	putc_unlocked('"', j->to);
	for (size_t i = 0; i < length; i++) {
		putc_unlocked(digits[d[i] >> 4], j->to);
		putc_unlocked(digits[d[i] & 15], j->to);
	}
	putc_unlocked('"', j->to);
}

void json_numbers(struct json *j, const char *key, const uint64_t *numbers,
		  size_t count)
{
	put_key(j, key, "");
	putc_unlocked('[', j->to);
	for (size_t i = 0; i < count; i++)
		fprintf(j->to, "%s%" PRIu64, i ? "," : "", numbers[i]);
	putc_unlocked(']', j->to);
}

void json_texts(struct json *j, const char *key, const char *texts, size_t size,
		size_t count)
{
	put_key(j, key, "");
	putc_unlocked('[', j->to);
	for (size_t i = 0; i < count; i++) {
		if (i)
			putc_unlocked(',', j->to);
		put_string(j, (const uint8_t *)texts + i * size,
			   strlen(texts + i * size));
	}
	putc_unlocked(']', j->to);
}
