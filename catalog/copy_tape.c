/* Volumes onto cartridges. A volume is not cut: one that does not fit behind
 * the others is written to the next cartridge, as a whole. */
#include <stdlib.h>
#include <string.h>
#include "catalog/copy_state.h"
#include "catalog/database.h"
#include "catalog/tapes.h"
#include "tape/error.h"
#include "tape/log.h"

#define MARGIN (UINT64_C(1) << 20) /* for a table, in front of the end */

struct copy_tape {
	struct copy_sink sink;
	struct catalog *to;
	const volatile int *stop;
	struct append append; /* of the present session */
	bool open;	      /* append */
	uint32_t volume;
	uint64_t size; /* of it, as announced */
	uint8_t *block;
	size_t filled;
};

static struct copy_tape *of(struct copy_sink *k)
{
	return (struct copy_tape *)(void *)k;
}

/* Whether what is left on the cartridge is too little, as far as it tells. */
static bool too_little(struct copy_tape *t)
{
	struct drive_parameters p;

	if (t->append.early)
		return true;
	return !drive_parameters(t->append.drive, &p) &&
	       p.remaining != DRIVE_UNKNOWN && p.remaining < t->size + MARGIN;
}

static bool is_empty(const struct copy_tape *t)
{
	const struct cartridge_table *k = &t->append.table;

	for (size_t n = 0; n < k->place_count; n++)
		if (k->places[n].cartridge == t->append.label->number)
			return false;
	return true;
}

static int begin_somewhere(struct copy_tape *t)
{
	struct append *a = &t->append;
	int error = append_begin(a);

	if (error || is_empty(t) || !too_little(t))
		return error;
	error = append_next(a);
	return error ? error : append_begin(a);
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

static int tape_begin(struct copy_sink *k, const struct session_row *row,
		      uint32_t volume, uint64_t size)
{
	struct copy_tape *t = of(k);
	int error = t->open ? 0 : open_append(t, row);

	t->volume = volume;
	t->size = size;
	t->filled = 0;
	return error ? error : begin_somewhere(t);
}

/* REEL_ENOSPC: copy.c begins the volume again, on the next cartridge. */
static int put_block(struct copy_tape *t)
{
	int error = append_block(&t->append, t->block, t->filled);

	t->filled = 0;
	return error;
}

static int tape_write(struct copy_sink *k, const void *data, size_t length)
{
	struct copy_tape *t = of(k);
	const size_t size = t->append.options.block_size;
	const uint8_t *from = data;
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

static int tape_end(struct copy_sink *k, const struct media_session *end)
{
	struct copy_tape *t = of(k);
	int error = t->filled ? put_block(t) : 0;

	return error ? error
		     : append_end(&t->append, t->volume, t->size,
				  end ? &end->trailer : NULL);
}

static int tape_again(struct copy_sink *k)
{
	struct copy_tape *t = of(k);

	if (is_empty(t)) {
		log_error("volume %06u (%llu bytes) is larger than cartridge "
			  "%s; make a set with a smaller --volume-size, or "
			  "give larger cartridges",
			  (unsigned)t->volume, (unsigned long long)t->size,
			  t->append.label->name);
		return REEL_ENOSPC;
	}
	return append_next(&t->append);
}

static int tape_taken(struct copy_sink *k)
{
	struct copy_tape *t = of(k);
	int error = tapes_committed(t->to, &t->append.table,
				    append_full(&t->append));

	append_release(&t->append);
	t->open = false;
	return error;
}

static void tape_close(struct copy_sink *k)
{
	struct copy_tape *t = of(k);

	if (t->open)
		append_release(&t->append);
	free(t->block);
	free(t);
}

static const struct copy_sink_ops operations = {
	.begin = tape_begin,
	.write = tape_write,
	.end = tape_end,
	.again = tape_again,
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
