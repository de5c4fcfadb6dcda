/* The stream as the member decoder reads it, and the contents that pass by on
 * the way: each is hashed where the catalogue says it lies, whether or not
 * the headers around it could be read. */
#include "fs/verify_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tape/error.h"
#include "tape/stop.h"

void verify_say(struct verify *v, const char *path, uint32_t session,
		uint32_t volume, uint64_t position, const char *what)
{
	if (path)
		v->result->damaged_files++;
	else
		v->result->damaged_places++;
	if (!v->options->damage)
		return;
	if (v->set->medium->tape && volume) {
		char name[MEDIUM_NAME], text[2 * MEDIUM_NAME];

		medium_name(v->set->medium, volume, position, name);
		snprintf(text, sizeof(text), "%.*s (%s)", MEDIUM_NAME - 8, what,
			 name);
		v->options->damage(v->options->context, path, session, volume,
				   position, text);
		return;
	}
	v->options->damage(v->options->context, path, session, volume, position,
			   what);
}

struct bad_range *verify_bad(struct verify *v, uint64_t begin, uint64_t end)
{
	for (size_t i = v->bad_count; i-- > 0;) {
		struct bad_range *b = &v->bad[i];

		if (b->begin < end && b->end > begin)
			return b;
		if (b->end <= begin)
			break;
	}
	return NULL;
}

void verify_locate(struct verify *v, uint64_t begin, uint64_t end,
		   uint32_t *volume, uint64_t *position)
{
	bool plain = v->set->config.compression == COMPRESSION_NONE;
	struct bad_range *b = verify_bad(v, begin, end);
	struct frame f;

	*volume = 0;
	*position = 0;
	if (b) {
		*volume = b->volume;
		*position = b->position;
		if (plain && begin > b->begin)
			*position += begin - b->begin;
	} else if (catalog_find_frame(v->catalog, v->session, begin, &f) == 0) {
		*volume = f.volume;
		*position = f.position + (plain ? begin - f.stream : 0);
	} else if (v->covered && begin >= v->covered &&
		   catalog_find_frame(v->catalog, v->session, v->covered - 1,
				      &f) == 0) {
		/* the tail, which begins behind the last frame known */
		*volume = f.volume;
		*position = f.position + f.stored +
			    (plain ? begin - v->covered : 0);
	}
}

static int note_bad(struct verify *v, const struct piece *p)
{
	struct bad_range *b;

	if (p->error == REEL_EMEDIUM) {
		if (!v->missing)
			v->missing_at = p->position;
		if (!v->missing)
			v->missing = p->volume;
		v->session_missing = true;
	}
	if (p->length == 0) {
		verify_say(v, NULL, v->session, p->volume, p->position,
			   p->what);
		if (p->error == REEL_EMEDIUM)
			v->result->damaged_places--;
		return 0;
	}
	b = v->bad_count ? &v->bad[v->bad_count - 1] : NULL;
	if (b && p->error == REEL_EMEDIUM && b->error == p->error &&
	    b->volume == p->volume && b->end == p->stream) {
		b->end += p->length;
		return 0;
	}
	if (v->bad_count == v->bad_room) {
		size_t room = v->bad_room ? 2 * v->bad_room : 16;

		b = realloc(v->bad, room * sizeof(*b));
		if (!b)
			return REEL_ENOMEM;
		v->bad = b;
		v->bad_room = room;
	}
	v->bad[v->bad_count++] = (struct bad_range){
		.begin = p->stream,
		.end = p->stream + p->length,
		.volume = p->volume,
		.position = p->position,
		.error = p->error,
		.lost = p->lost,
		.named = p->error == REEL_EMEDIUM,
		.what = p->what,
	};
	return 0;
}

static int hurt(struct verify *v, const struct content_row *c)
{
	uint64_t end = c->offset + content_stored(c);
	struct hurt_content *h;

	for (size_t i = v->bad_count; i-- > 0;) {
		if (v->bad[i].end <= c->offset)
			break;
		if (v->bad[i].begin < end)
			v->bad[i].named = true;
	}
	if (v->hurt_count == v->hurt_room) {
		size_t room = v->hurt_room ? 2 * v->hurt_room : 64;

		h = realloc(v->hurt, room * sizeof(*h));
		if (!h)
			return REEL_ENOMEM;
		v->hurt = h;
		v->hurt_room = room;
	}
	h = &v->hurt[v->hurt_count++];
	h->content = c->id;
	h->session = v->session;
	h->named = false;
	verify_locate(v, c->offset, end, &h->volume, &h->position);
	return 0;
}

/* The present content has passed, or the stream has ended inside it. */
static int settle(struct verify *v, bool whole)
{
	uint64_t begin = v->content.offset;
	uint64_t end = begin + content_stored(&v->content);
	struct digest digest;
	struct bad_range *b = verify_bad(v, begin, end);
	int err = 0;

	digester_result(v->digester, &digest);
	v->result->contents += !b || b->error != REEL_EMEDIUM;
	if (b && b->error == REEL_EMEDIUM)
		err = 0;
	else if (!whole || v->content_lost ||
		 memcmp(&digest, &v->content.digest, sizeof(digest)) != 0)
		err = hurt(v, &v->content);
	content_row_release(&v->content);
	memset(&v->content, 0, sizeof(v->content));
	v->have_content = false;
	return err;
}

/* 1 with a content at or after the present position, 0 when there is none. */
static int next_content(struct verify *v)
{
	for (;;) {
		int more = contents_step(v->contents, &v->content);

		if (more <= 0)
			return more;
		v->have_content = true;
		v->content_lost = false;
		digester_reset(v->digester);
		if (v->content.offset >= v->position)
			return 1;
		more = settle(v, false);
		if (more)
			return more;
	}
}

/* `length` bytes that the source gives, at v->position. */
static int tap(struct verify *v, const uint8_t *data, size_t length)
{
	const uint64_t stop = v->position + length;

	for (;;) {
		uint64_t begin, end;
		int err;

		if (!v->have_content) {
			err = next_content(v);
			if (err <= 0)
				return err;
		}
		begin = v->content.offset;
		end = begin + content_stored(&v->content);
		if (begin >= stop)
			return 0;
		if (begin < v->position)
			begin = v->position;
		if (v->piece.lost)
			v->content_lost = true;
		digester_add(v->digester, data + (begin - v->position),
			     (size_t)((end < stop ? end : stop) - begin));
		if (end > stop)
			return 0;
		err = settle(v, true);
		if (err)
			return err;
	}
}

static int next_piece(struct verify *v)
{
	int more;

	free(v->piece.data);
	memset(&v->piece, 0, sizeof(v->piece));
	v->piece_at = 0;
	if (stop_is_set(v->options->stop))
		return REEL_ESTOPPED;
	more = verify_reader_next(v->reader, &v->piece);
	if (more <= 0) {
		v->ended = true;
		return more;
	}
	if (v->piece.error)
		more = note_bad(v, &v->piece);
	v->progress.bytes += v->piece.length;
	if (v->piece.error != REEL_EMEDIUM) {
		v->result->bytes += v->piece.length;
		v->result->frames += v->piece.length > 0;
	}
	if (v->options->progress)
		v->options->progress(v->options->context, &v->progress);
	return more < 0 ? more : 1;
}

int64_t verify_source(void *context, void *to, size_t length)
{
	struct verify *v = context;
	size_t done = 0;

	while (done < length && !v->error && !v->ended) {
		size_t n = v->piece.length - v->piece_at;
		const uint8_t *data = v->piece.data + v->piece_at;
		int err;

		if (n == 0) {
			err = next_piece(v);
			v->error = err < 0 ? err : 0;
			continue;
		}
		if (n > length - done)
			n = length - done;
		err = tap(v, data, n);
		if (err < 0) {
			v->error = err;
			break;
		}
		memcpy((uint8_t *)to + done, data, n);
		v->position += n;
		verify_tail_keep(v, data, n);
		v->piece_at += n;
		done += n;
	}
	return v->error ? v->error : (int64_t)done;
}

int verify_drain(struct verify *v)
{
	uint8_t scratch[16384];
	int64_t n;

	do
		n = verify_source(v, scratch, sizeof(scratch));
	while (n > 0);
	return (int)n;
}

int verify_stream_open(struct verify *v, struct catalog *reader,
		       uint32_t first_volume, uint32_t last_volume)
{
	int err = contents_open(v->catalog, v->session, &v->contents);

	if (!err)
		err = digester_new(v->set->config.seed, &v->digester);
	if (!err)
		err = verify_reader_open(v->set, reader, v->session,
					 first_volume, last_volume, &v->reader);
	return err;
}

void verify_stream_close(struct verify *v)
{
	verify_reader_close(v->reader);
	contents_close(v->contents);
	digester_free(v->digester);
	content_row_release(&v->content);
	memset(&v->content, 0, sizeof(v->content));
	free(v->piece.data);
	memset(&v->piece, 0, sizeof(v->piece));
	v->reader = NULL;
	v->contents = NULL;
	v->digester = NULL;
	v->have_content = false;
}

int verify_stream_finish(struct verify *v)
{
	for (;;) {
		int err;

		if (!v->have_content) {
			err = next_content(v);
			if (err <= 0)
				return err;
		}
		err = settle(v, false);
		if (err)
			return err;
	}
}
