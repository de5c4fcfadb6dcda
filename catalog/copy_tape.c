/* Volumes onto cartridges. What does not fit behind the others goes on on the
 * next one: a volume may come to lie there in parts (struct place).
 *
 * P1 A part ends at a cut: where the one who writes says so, behind a frame. At
 *    the early warning that is the next cut; then come a filemark and the table
 *    of places, and the next part begins on the next cartridge. A last bit that
 *    is small stays here if it fits.
 * P2 Where the cartridge ends at once (REEL_ENOSPC) the tape goes back to a cut
 *    far enough before, the part ends there, and the writer goes on behind it.
 *    Should not even one frame fit, the whole part goes to the next cartridge.
 * P3 What is written is the volume's bytes, and padding behind a part
 *    (FORMAT.md). */
#include <stdlib.h>
#include <string.h>
#include "catalog/copy_state.h"
#include "catalog/database.h"
#include "catalog/tapes.h"
#include "tape/error.h"
#include "tape/log.h"
#include "tape/member.h"

#define MARGIN (UINT64_C(1) << 20) /* for a table, in front of the end */

struct copy_tape {
	struct copy_sink sink;
	struct catalog *to;
	const volatile int *stop;
	struct append append; /* of the present session */
	bool open;	      /* append */
	const struct copy_volume *volume;
	uint64_t begin;	    /* of the present part, in the volume */
	uint64_t at;	    /* what comes next */
	uint64_t skip;	    /* up to here it is on the tape already (P2) */
	uint64_t limit;	    /* where the part ends; UINT64_MAX: not known */
	uint64_t sent;	    /* bytes of the part that are on the tape */
	uint64_t good;	    /* how many fitted at first; 0: not known */
	uint64_t reserve;   /* what is given up of them */
	struct buffer cuts; /* uint64_t, of the part */
	uint8_t *block;
	size_t filled;
};

static struct copy_tape *of(struct copy_sink *k)
{
	return (struct copy_tape *)(void *)k;
}

static size_t block_size(const struct copy_tape *t)
{
	return t->append.options.block_size;
}

/* ---- cartridges ---- */

/* Whether what is left on the cartridge is too little, as far as it tells. */
static bool too_little(struct copy_tape *t)
{
	struct drive_parameters p;

	if (t->append.early)
		return true;
	return !drive_parameters(t->append.drive, &p) &&
	       p.remaining != DRIVE_UNKNOWN && p.remaining < 2 * MARGIN;
}

static bool is_empty(const struct copy_tape *t)
{
	const struct cartridge_table *k = &t->append.table;

	for (size_t n = 0; n < k->place_count; n++)
		if (k->places[n].cartridge == t->append.label->number)
			return false;
	return true;
}

/* The session's append; its intent is made durable by the first cartridge. */
static int open_append(struct copy_tape *t, const struct session_row *row)
{
	struct cartridge_table known;
	struct append_options o;
	int error = tapes_append_options(t->to, row->first_volume, row->id,
					 row->time, NULL, &known, &o);

	o.stop = t->stop;
	if (!error)
		error = append_init(&t->append, &o);
	t->open = !error;
	return error;
}

/* ---- parts ---- */

/* A part begins behind byte `at`, wherever the drive stands. */
static int begin_part(struct copy_tape *t, uint64_t at)
{
	t->begin = t->at = t->skip = at;
	t->limit = UINT64_MAX;
	t->sent = t->good = 0;
	t->reserve = 2 * (uint64_t)block_size(t);
	t->cuts.length = 0;
	t->filled = 0;
	return append_begin(&t->append);
}

static int next_cartridge(struct copy_tape *t, uint64_t at)
{
	int error = append_next(&t->append);

	return error ? error : begin_part(t, at);
}

static int put_block(struct copy_tape *t)
{
	int error = append_block(&t->append, t->block, t->filled);

	t->sent += error ? 0 : t->filled;
	t->filled = 0;
	return error;
}

static int put_bytes(struct copy_tape *t, const uint8_t *from, size_t length)
{
	const size_t size = block_size(t);
	int error = 0;

	while (!error && length) {
		size_t n =
			size - t->filled < length ? size - t->filled : length;

		memcpy(t->block + t->filled, from, n);
		t->filled += n;
		from += n;
		length -= n;
		if (t->filled == size)
			error = put_block(t);
	}
	return error;
}

/* P3. zstd: the tape file becomes a multiple of 512; else what tar ends with,
 * so that it does not read on into the table. */
static int put_padding(struct copy_tape *t)
{
	const bool whole = t->at == t->volume->size;
	struct buffer pad = {0};
	int error = 0;

	if (t->append.options.compression == COMPRESSION_ZSTD)
		error = frame_pad(t->at - t->begin, &pad);
	else if (whole && t->volume->data_end)
		error = buffer_append_zeros(&pad, 2 * MEMBER_BLOCK);
	if (!error)
		error = put_bytes(t, pad.data, pad.length);
	buffer_release(&pad);
	return error;
}

/* The part is whole. REEL_ENOSPC: its end or its table do not fit. */
static int end_part(struct copy_tape *t)
{
	const struct copy_volume *v = t->volume;
	const struct append_volume part = {.number = v->number,
					   .begin = t->begin,
					   .size = t->at - t->begin,
					   .behind = v->size - t->at};
	int error = put_padding(t);

	if (!error && t->filled)
		error = put_block(t);
	return error ? error
		     : append_end(&t->append, &part,
				  part.behind ? NULL : v->end);
}

/* P1. */
static int tape_cut(struct copy_sink *k)
{
	struct copy_tape *t = of(k);
	const uint64_t left = t->volume->size - t->at;
	int error;

	if (!left || t->at <= t->skip ||
	    (t->append.options.compression == COMPRESSION_NONE &&
	     (t->at - t->begin) % MEMBER_BLOCK))
		return 0;
	if (t->at == t->limit || (t->append.early && left > MARGIN)) {
		error = end_part(t);
		return error ? error : next_cartridge(t, t->at);
	}
	return buffer_append(&t->cuts, &t->at, sizeof(t->at));
}

/* ---- where the cartridge ends ---- */

/* The last cut up to byte `limit`; else the part's beginning. Those behind it
 * are forgotten. */
static uint64_t last_cut(struct copy_tape *t, uint64_t limit)
{
	uint64_t cut;

	while (t->cuts.length) {
		memcpy(&cut, t->cuts.data + t->cuts.length - sizeof(cut),
		       sizeof(cut));
		if (cut <= limit)
			return cut;
		t->cuts.length -= sizeof(cut);
	}
	return t->begin;
}

static int give_up_part(struct copy_tape *t)
{
	if (!is_empty(t))
		return next_cartridge(t, t->begin);
	log_error("cartridge %s is too small for even a piece of volume %06u "
		  "and its table; give larger cartridges",
		  t->append.label->name, (unsigned)t->volume->number);
	return REEL_ENOSPC;
}

/* P2. */
static int tape_again(struct copy_sink *k, uint64_t *from)
{
	struct copy_tape *t = of(k);
	const uint64_t size = block_size(t);
	uint64_t end, block;
	int error;

	if (!t->good)
		t->good = t->sent;
	else
		t->reserve *= 2;
	end = t->good > t->reserve
		      ? last_cut(t, t->begin + t->good - t->reserve)
		      : t->begin;
	if (end == t->begin) {
		error = give_up_part(t);
		*from = t->begin;
		return error;
	}
	/* something is left to be written, so that its end is one */
	block = (end - t->begin - 1) / size;
	error = append_back(&t->append, block);
	t->sent = block * size;
	t->limit = end;
	t->skip = t->begin + block * size;
	t->at = *from = last_cut(t, t->skip);
	t->filled = 0;
	return error;
}

/* ---- the sink ---- */

static int tape_begin(struct copy_sink *k, const struct copy_volume *v)
{
	struct copy_tape *t = of(k);
	int error = t->open ? 0 : open_append(t, v->session);

	t->volume = v;
	if (!error)
		error = begin_part(t, 0);
	if (error || is_empty(t) || !too_little(t))
		return error;
	return next_cartridge(t, 0);
}

static int tape_write(struct copy_sink *k, const void *data, size_t length)
{
	struct copy_tape *t = of(k);
	const uint8_t *from = data;

	if (t->at < t->skip) {
		size_t n = t->skip - t->at < length ? (size_t)(t->skip - t->at)
						    : length;

		t->at += n;
		from += n;
		length -= n;
	}
	t->at += length;
	return put_bytes(t, from, length);
}

static int tape_end(struct copy_sink *k)
{
	return end_part(of(k));
}

static int tape_commit(struct copy_sink *k)
{
	struct copy_tape *t = of(k);

	return tapes_written(t->to, &t->append.table);
}

static int tape_taken(struct copy_sink *k)
{
	struct copy_tape *t = of(k);
	int error = tapes_committed(t->to, append_full(&t->append));

	append_release(&t->append);
	t->open = false;
	return error;
}

static void tape_close(struct copy_sink *k)
{
	struct copy_tape *t = of(k);

	if (t->open)
		append_release(&t->append);
	buffer_release(&t->cuts);
	free(t->block);
	free(t);
}

static const struct copy_sink_ops operations = {
	.begin = tape_begin,
	.write = tape_write,
	.end = tape_end,
	.cut = tape_cut,
	.again = tape_again,
	.commit = tape_commit,
	.taken = tape_taken,
	.close = tape_close,
};

int copy_tape_open(struct catalog *to, const volatile int *stop,
		   struct copy_sink **out)
{
	struct copy_tape *t = calloc(1, sizeof(*t));
	int error;

	if (!t)
		return REEL_ENOMEM;
	t->sink.ops = &operations;
	t->to = to;
	t->stop = stop;
	t->block = malloc(to->set->config.block_size);
	error = t->block ? tapes_catch_up(to) : REEL_ENOMEM;
	if (error) {
		tape_close(&t->sink);
		return error;
	}
	*out = &t->sink;
	return 0;
}
