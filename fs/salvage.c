#include "fs/salvage.h"

#include <stdlib.h>
#include <string.h>
#include "tape/error.h"

#define BLOCK (256u << 10)

struct salvage {
	struct set *set;
	struct catalog *catalog;
	uint64_t checked; /* the last content that was found whole */
};

int salvage_open(struct set *set, struct salvage **out)
{
	struct salvage *s = calloc(1, sizeof(*s));
	int err;

	if (!s)
		return REEL_ENOMEM;
	s->set = set;
	err = catalog_open_reader(set, &s->catalog);
	if (err) {
		free(s);
		return err;
	}
	*out = s;
	return 0;
}

void salvage_close(struct salvage *s)
{
	if (!s)
		return;
	catalog_close(s->catalog);
	free(s);
}

int salvage_read(struct salvage *s, const struct content_row *content,
		 uint64_t from, void *to, size_t length)
{
	uint64_t at = content->offset + from;
	uint8_t *out = to;

	if (s->set->config.compression != COMPRESSION_NONE)
		return REEL_EDAMAGED;
	while (length) {
		struct frame f;
		size_t n;
		int err = catalog_find_frame(s->catalog, content->session, at,
					     &f);

		if (err)
			return err == REEL_ENOENT ? REEL_EDAMAGED : err;
		if (at < f.stream || at - f.stream >= f.length)
			return REEL_EDAMAGED;
		n = (size_t)(f.length - (at - f.stream));
		if (n > length)
			n = length;
		err = medium_read_all(s->set->medium, f.volume,
				      f.position + (at - f.stream), out, n,
				      NULL);
		if (err)
			return err;
		out += n;
		at += n;
		length -= n;
	}
	return 0;
}

int salvage_check(struct salvage *s, const struct content_row *content)
{
	uint64_t stored = content_stored(content);
	struct digester *digester;
	struct digest digest;
	uint8_t *block;
	int err;

	if (s->set->config.compression != COMPRESSION_NONE)
		return REEL_EDAMAGED;
	if (content->id && content->id == s->checked)
		return 0;
	block = malloc(BLOCK);
	if (!block)
		return REEL_ENOMEM;
	err = digester_new(s->set->config.seed, &digester);
	if (err) {
		free(block);
		return err;
	}
	for (uint64_t at = 0; at < stored && !err; at += BLOCK) {
		size_t n = stored - at < BLOCK ? (size_t)(stored - at) : BLOCK;

		err = salvage_read(s, content, at, block, n);
		if (!err)
			digester_add(digester, block, n);
	}
	digester_result(digester, &digest);
	digester_free(digester);
	free(block);
	if (!err && memcmp(&digest, &content->digest, sizeof(digest)) != 0)
		err = REEL_EDAMAGED;
	if (!err)
		s->checked = content->id;
	return err;
}

/* The runs' pieces of [offset, +length). */
static int read_runs(struct salvage *s, const struct content_row *c,
		     uint64_t offset, uint8_t *to, size_t length)
{
	uint64_t at = c->map_bytes;
	int err = 0;

	memset(to, 0, length);
	for (size_t i = 0; i < c->run_count && !err; i++) {
		const struct sparse_run *run = &c->runs[i];
		uint64_t begin = run->offset > offset ? run->offset : offset;
		uint64_t end = run->offset + run->length;

		if (end > offset + length)
			end = offset + length;
		if (begin < end)
			err = salvage_read(s, c, at + (begin - run->offset),
					   to + (begin - offset),
					   (size_t)(end - begin));
		at += run->length;
	}
	return err;
}

int salvage_bytes(struct set *set, const struct content_row *content,
		  uint64_t offset, void *to, size_t length)
{
	struct salvage *s;
	int err = salvage_open(set, &s);

	if (err)
		return err;
	if (content->sparse)
		err = read_runs(s, content, offset, to, length);
	else
		err = salvage_read(s, content, offset, to, length);
	if (!err)
		err = salvage_check(s, content);
	salvage_close(s);
	return err;
}
