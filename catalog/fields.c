#include "catalog/fields.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "catalog/beneath.h"
#include "tape/error.h"
#include "tape/text.h"

void fields_put_digest(const struct digest *d, char text[33])
{
	for (int n = 0; n < DIGEST_SIZE; n++)
		sprintf(text + 2 * n, "%02x", d->b[n]);
}

int fields_put_name(struct buffer *out, const char *name, char end)
{
	int error = text_escape(out, name ? name : "", name ? strlen(name) : 0);

	return error ? error : buffer_append(out, &end, 1);
}

int fields_put_witness(struct buffer *out, const struct delayed_record *r)
{
	char digest[33] = "-";

	if (r->checked)
		fields_put_digest(&r->content.digest, digest);
	return buffer_printf(
		out, "%" PRIu64 "\t%s\t%" PRIu64 "\t%" PRId64 "\t%x\t%x",
		r->content.size, digest, r->witness.inode,
		r->witness.parent_time, r->witness.parent_flags,
		r->witness.flags);
}

void fields_split(struct fields *l, const char *text, size_t length)
{
	memset(l, 0, sizeof(*l));
	for (;;) {
		const char *tab = memchr(text, '\t', length);
		size_t here = tab ? (size_t)(tab - text) : length;

		if (l->count == FIELDS_LIMIT) {
			l->bad = true;
			return;
		}
		l->at[l->count] = text;
		l->length[l->count++] = here;
		if (!tab)
			return;
		text += here + 1;
		length -= here + 1;
	}
}

bool fields_are(const struct fields *l, const char *word, int fields)
{
	return l->count == fields && strlen(word) == l->length[0] &&
	       !memcmp(l->at[0], word, l->length[0]);
}

uint64_t fields_number(struct fields *l, int n, unsigned base, uint64_t limit)
{
	static const char digits[] = "0123456789abcdef";
	uint64_t value = 0;

	if (!l->length[n] || l->length[n] > 20)
		l->bad = true;
	for (size_t i = 0; !l->bad && i < l->length[n]; i++) {
		const char *digit = memchr(digits, l->at[n][i], base);
		uint64_t more = digit ? (uint64_t)(digit - digits) : 0;

		if (!digit || value > (limit - more) / base)
			l->bad = true;
		else
			value = value * base + more;
	}
	return l->bad ? 0 : value;
}

int64_t fields_signed(struct fields *l, int n)
{
	bool minus = l->length[n] && l->at[n][0] == '-';
	uint64_t value;

	l->at[n] += minus;
	l->length[n] -= minus;
	value = fields_number(l, n, 10, INT64_MAX);
	return minus ? -(int64_t)value : (int64_t)value;
}

bool fields_digest(struct fields *l, int n, struct digest *out)
{
	struct fields part = *l;

	if (l->length[n] == 1 && l->at[n][0] == '-')
		return false;
	if (l->length[n] != 2 * DIGEST_SIZE)
		l->bad = true;
	part.length[n] = 2;
	for (int i = 0; !l->bad && i < DIGEST_SIZE; i++) {
		out->b[i] = (uint8_t)fields_number(&part, n, 16, 255);
		part.at[n] += 2;
		l->bad = part.bad;
	}
	return !l->bad;
}

int fields_choice(struct fields *l, int n, const char *const *names, int count)
{
	for (int i = 0; i < count; i++)
		if (strlen(names[i]) == l->length[n] &&
		    !memcmp(names[i], l->at[n], l->length[n]))
			return i;
	l->bad = true;
	return 0;
}

char *fields_text(struct fields *l, int n)
{
	struct buffer out = {0};

	if (l->bad || text_unescape(&out, l->at[n], l->length[n]) ||
	    (out.length && memchr(out.data, '\0', out.length)) ||
	    buffer_append(&out, "", 1)) {
		l->bad = true;
		buffer_release(&out);
		return NULL;
	}
	return (char *)out.data;
}

char *fields_path(struct fields *l, int n, bool may_be_empty)
{
	char *path = fields_text(l, n);

	if (path && !(may_be_empty && !*path) &&
	    !beneath_path_valid(path, strlen(path)))
		l->bad = true;
	return path;
}

void fields_witness(struct fields *l, int n, struct delayed_record *r)
{
	r->content.size = fields_number(l, n, 10, INT64_MAX);
	r->checked = fields_digest(l, n + 1, &r->content.digest);
	r->witness.inode = fields_number(l, n + 2, 10, UINT64_MAX);
	r->witness.parent_time = fields_signed(l, n + 3);
	r->witness.parent_flags =
		(uint32_t)fields_number(l, n + 4, 16, UINT32_MAX);
	r->witness.flags = (uint32_t)fields_number(l, n + 5, 16, UINT32_MAX);
}
