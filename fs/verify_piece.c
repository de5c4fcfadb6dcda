/* The member decoder pulls; the bytes come frame by frame. What cannot be read
 * or decoded is said at once and filled, so that the place of what follows
 * stays right.
 *
 * `sure`: every header was found where the one before it said. Only then is
 * one that is wrong damage: later ones may be those of an archive in a file. */
#include "fs/verify_piece.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "fs/verify_reader.h"
#include "tape/error.h"
#include "tape/member.h"
#include "tape/stop.h"

#define WHAT 256

struct pull {
	const struct verify_piece *p;
	struct frame_codec *codec;
	size_t place; /* the next of them */
	const struct place *now;
	struct frame *frames; /* of `now` */
	size_t frame, frame_count;
	bool checked; /* they have checksums */
	uint8_t *stored, *plain;
	size_t length, at; /* of what is in `plain` */
	uint64_t offset;   /* in `now`: of that */
	bool hurt;	   /* some of the stream was filled */
	bool ended;
	int error;
};

void verify_piece_say(const struct verify_piece *p, const struct place *at,
		      uint64_t offset, const char *what)
{
	char text[WHAT];

	snprintf(text, sizeof(text),
		 "%s (cartridge %s, tape file %" PRIu64 ", block %" PRIu64 ")",
		 what, p->cartridge, at->file, offset / at->block_size);
	p->result->damaged_places++;
	if (p->options->damage)
		p->options->damage(p->options->context, NULL, at->session,
				   at->volume, offset, text);
}

static bool ends_all(int error)
{
	return error && error != REEL_EDAMAGED && error != REEL_EIO;
}

/* ---- a volume ---- */

/* Behind the frames stands the table that they make, byte for byte. */
static int check_table(struct pull *u)
{
	const struct frame *last = &u->frames[u->frame_count - 1];
	uint64_t end = last->position + last->stored;
	struct buffer want = {0};
	uint8_t *have = NULL;
	int error = seek_table_encode(u->frames, u->frame_count, &want);

	have = error ? NULL : malloc(want.length);
	if (!error && !have)
		error = REEL_ENOMEM;
	if (!error)
		error = medium_read_all(u->p->medium, u->now->volume, end, have,
					want.length, u->p->options->stop);
	if (!ends_all(error) && (error || u->now->size != end + want.length ||
				 memcmp(have, want.data, want.length) != 0)) {
		verify_piece_say(u->p, u->now, end,
				 "the seek table is damaged");
		error = 0;
	}
	free(have);
	buffer_release(&want);
	return error;
}

/* Of a part the frames were found by walking them. Behind the last part stands
 * the volume's table, whose last entries are theirs; behind others nothing. */
static int check_part(struct pull *u)
{
	const struct frame *last = &u->frames[u->frame_count - 1];
	uint64_t end = last->position + last->stored;
	uint64_t rest = u->now->size > end ? u->now->size - end : 0;
	uint8_t *have = rest && rest <= FRAME_LIMIT ? malloc(rest) : NULL;
	bool good = u->now->behind ? !rest : have != NULL;
	int error = 0;

	if (have)
		error = medium_read_all(u->p->medium, u->now->volume, end, have,
					rest, u->p->options->stop);
	if (!error && have && !u->now->behind)
		good = seek_table_ends_with(have, rest, u->frames,
					    u->frame_count);
	free(have);
	if (!ends_all(error) && (error || !good)) {
		verify_piece_say(u->p, u->now, end,
				 u->now->behind ? "a frame is damaged"
						: "the seek table is damaged");
		error = 0;
	}
	return error;
}

static int open_packed(struct pull *u)
{
	bool rebuilt = false;
	int error = medium_seek_table(u->p->medium, u->now->volume, &u->frames,
				      &u->frame_count, &rebuilt);

	u->checked = true;
	if (ends_all(error))
		return error;
	if (error || !u->frame_count) {
		verify_piece_say(u->p, u->now, 0, "not one frame can be read");
		u->hurt = true;
		return 0;
	}
	if (place_is_part(u->now))
		return check_part(u);
	if (!rebuilt)
		return check_table(u);
	verify_piece_say(u->p, u->now, u->now->size - 1,
			 "the seek table is damaged");
	return 0;
}

/* Without compression a volume is read in stretches. */
static int open_bare(struct pull *u)
{
	u->frame_count = (u->now->size + FRAME_SIZE - 1) / FRAME_SIZE;
	u->checked = false;
	u->p->result->bare += u->now->size;
	return 0;
}

static struct frame stretch(const struct pull *u, uint64_t n)
{
	uint64_t left = u->now->size - n * FRAME_SIZE;
	uint32_t length = left < FRAME_SIZE ? (uint32_t)left : FRAME_SIZE;

	return (struct frame){
		.position = n * FRAME_SIZE, .stored = length, .length = length};
}

static int next_volume(struct pull *u)
{
	const struct verify_piece *p = u->p;

	free(u->frames);
	u->frames = NULL;
	u->frame = u->frame_count = 0;
	u->ended = u->place == p->count;
	if (u->ended)
		return 0;
	u->now = &p->places[u->place++];
	p->result->volumes++;
	p->result->bytes += u->now->size;
	return p->medium->compression == COMPRESSION_ZSTD ? open_packed(u)
							  : open_bare(u);
}

/* ---- its frames ---- */

static int read_frame(struct pull *u, const struct frame *f)
{
	const struct verify_piece *p = u->p;
	const char *what = "the block cannot be read";
	int error;

	if (f->length > FRAME_LIMIT || f->stored > FRAME_LIMIT)
		return REEL_ERANGE; /* the table's reader let it pass */
	u->length = f->length;
	u->at = 0;
	u->offset = f->position;
	error = medium_read_all(p->medium, u->now->volume, f->position,
				u->checked ? u->stored : u->plain, f->stored,
				p->options->stop);
	if (!error && u->checked) {
		what = "a frame is damaged";
		error = frame_decode(u->codec, f, u->stored, u->plain);
		p->result->frames++;
	}
	if (!error || ends_all(error))
		return error;
	memset(u->plain, VERIFY_FILL, f->length);
	u->hurt = true;
	verify_piece_say(p, u->now, f->position, what);
	return 0;
}

static int next_frame(struct pull *u)
{
	const struct verify_options *o = u->p->options;
	struct frame f;
	int error;

	if (stop_is_set(o->stop))
		return REEL_ESTOPPED;
	if (u->frame == u->frame_count)
		return next_volume(u);
	f = u->checked ? u->frames[u->frame] : stretch(u, u->frame);
	u->frame++;
	error = read_frame(u, &f);
	u->p->progress->bytes += f.stored;
	if (o->progress)
		o->progress(o->context, u->p->progress);
	return error;
}

static int64_t pull(void *context, void *to, size_t length)
{
	struct pull *u = context;
	size_t done = 0;

	while (done < length && !u->error && !u->ended) {
		size_t n = u->length - u->at;

		if (!n) {
			u->error = next_frame(u);
			continue;
		}
		if (n > length - done)
			n = length - done;
		memcpy((uint8_t *)to + done, u->plain + u->at, n);
		u->at += n;
		done += n;
	}
	return u->error ? u->error : (int64_t)done;
}

/* ---- its members ---- */

static int follow(struct pull *u)
{
	struct member_decoder *d;
	struct member m;
	bool sure = u->p->begins;
	int more = 1, error = member_decoder_new(pull, u, &d);

	while (!error && !u->error && !u->ended && more) {
		more = member_next(d, &m);
		u->p->result->members += more == 1 && m.type != MEMBER_GLOBAL;
		if (more < 0 && more != REEL_EDAMAGED)
			error = more;
		if (more != REEL_EDAMAGED || !sure || u->hurt || u->ended)
			continue;
		verify_piece_say(u->p, u->now, u->offset + u->at,
				 "a member's header before it is damaged");
		sure = false;
	}
	member_decoder_free(d);
	return u->error ? u->error : error;
}

/* What the decoder did not want, to the end. */
static int drain(struct pull *u)
{
	uint8_t scratch[16384];
	int64_t n;

	do
		n = pull(u, scratch, sizeof(scratch));
	while (n > 0);
	return (int)n;
}

int verify_piece(const struct verify_piece *p)
{
	struct pull u = {.p = p,
			 .stored = malloc(FRAME_LIMIT),
			 .plain = malloc(FRAME_LIMIT)};
	int error = u.stored && u.plain ? 0 : REEL_ENOMEM;

	if (!error)
		error = frame_codec_new(p->medium->compression, 0, &u.codec);
	if (!error)
		error = follow(&u);
	if (!error)
		error = drain(&u);
	frame_codec_free(u.codec);
	free(u.frames);
	free(u.stored);
	free(u.plain);
	return error;
}
