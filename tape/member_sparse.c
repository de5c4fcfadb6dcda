/* Maps of sparse files, in the four ways that GNU tar has had (its manual,
 * "Storing Sparse Files"). */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include "tape/error.h"
#include "tape/member_state.h"

#define NUMBER_DIGITS 20 /* of a line of a map */

/* Typeflag S: the old GNU header's fields, from its byte 386 on. */
struct old_run {
	char offset[12];
	char length[12];
};

struct old_map {
	struct old_run runs[4];
	char more;
	char real_size[12];
	char unused[17];
};

struct old_extension {
	struct old_run runs[21];
	char more;
	char unused[7];
};

#define OLD_MAP 386
_Static_assert(OLD_MAP + sizeof(struct old_map) == sizeof(struct ustar),
	       "old_map");
_Static_assert(sizeof(struct old_extension) == MEMBER_BLOCK, "old_extension");

int member_add_run(struct member_decoder *d, uint64_t offset, uint64_t length)
{
	const struct sparse_run *last =
		d->run_count ? &d->runs[d->run_count - 1] : NULL;

	if (offset > INT64_MAX || length > INT64_MAX - offset ||
	    (last && offset < last->offset + last->length))
		return REEL_EDAMAGED;
	if (!length)
		return 0;
	if (d->run_count == MEMBER_SPARSE_LIMIT)
		return REEL_EDAMAGED;
	if (d->run_count == d->run_room) {
		size_t room = d->run_room ? 2 * d->run_room : 16;
		void *more = realloc(d->runs, room * sizeof(*d->runs));

		if (!more)
			return REEL_ENOMEM;
		d->runs = more;
		d->run_room = room;
	}
	d->runs[d->run_count++] = (struct sparse_run){offset, length};
	return 0;
}

/* Version 0.1: "offset,length,offset,length…". */
int member_map_record(struct member_decoder *d, const uint8_t *text,
		      size_t length)
{
	const uint8_t *end = text + length;
	uint64_t pair[2];
	int half = 0;

	d->run_count = 0;
	d->sparse = true;
	while (text < end) {
		const uint8_t *comma = memchr(text, ',', (size_t)(end - text));
		const uint8_t *stop = comma ? comma : end;

		if (member_number(text, (size_t)(stop - text), &pair[half]))
			return REEL_EDAMAGED;
		half ^= 1;
		if (!half) {
			int error = member_add_run(d, pair[0], pair[1]);

			if (error)
				return error;
		}
		text = comma ? comma + 1 : end;
	}
	return half ? REEL_EDAMAGED : 0;
}

/* One line of a version 1.0 map, which goes on over block borders. */
static int map_number(struct member_decoder *d, uint8_t *block, size_t *at,
		      uint64_t *out)
{
	uint8_t text[NUMBER_DIGITS];
	size_t n = 0;

	for (;;) {
		if (*at == MEMBER_BLOCK) {
			int error =
				d->left < MEMBER_BLOCK
					? REEL_EDAMAGED
					: member_take(d, block, MEMBER_BLOCK);

			if (error)
				return error;
			d->left -= MEMBER_BLOCK;
			*at = 0;
		}
		uint8_t c = block[(*at)++];
		if (c == '\n')
			return member_number(text, n, out);
		if (n == sizeof(text))
			return REEL_EDAMAGED;
		text[n++] = c;
	}
}

int member_map_data(struct member_decoder *d)
{
	uint8_t block[MEMBER_BLOCK];
	size_t at = MEMBER_BLOCK;
	uint64_t count, offset, length;
	int error = map_number(d, block, &at, &count);

	d->run_count = 0;
	if (!error && count > MEMBER_SPARSE_LIMIT)
		error = REEL_EDAMAGED;
	for (uint64_t n = 0; !error && n < count; n++) {
		error = map_number(d, block, &at, &offset);
		if (!error)
			error = map_number(d, block, &at, &length);
		if (!error)
			error = member_add_run(d, offset, length);
	}
	return error;
}

int member_check_map(const struct member_decoder *d, uint64_t size)
{
	uint64_t total = 0;

	for (size_t n = 0; n < d->run_count; n++)
		total += d->runs[n].length;
	if (d->run_count && d->runs[d->run_count - 1].offset +
					    d->runs[d->run_count - 1].length >
				    size)
		return REEL_EDAMAGED;
	return total == d->left ? 0 : REEL_EDAMAGED;
}

static int add_old_runs(struct member_decoder *d, const struct old_run *runs,
			size_t count)
{
	int error = 0;

	for (size_t n = 0; !error && n < count && runs[n].offset[0]; n++) {
		uint64_t offset, length;

		error = member_field(runs[n].offset, 12, &offset);
		if (!error)
			error = member_field(runs[n].length, 12, &length);
		if (!error)
			error = member_add_run(d, offset, length);
	}
	return error;
}

int member_map_header(struct member_decoder *d, const struct ustar *h)
{
	struct old_extension x;
	struct old_map map;
	int error;

	memcpy(&map, (const char *)h + OLD_MAP, sizeof(map));
	d->sparse = true;
	d->run_count = 0;
	x.more = map.more;
	error = member_field(map.real_size, 12, &d->real_size);
	if (!error)
		error = add_old_runs(d, map.runs, 4);
	while (!error && x.more) {
		error = member_take(d, &x, sizeof(x));
		if (!error)
			error = add_old_runs(d, x.runs, 21);
	}
	return error;
}
