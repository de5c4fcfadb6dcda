#include "catalog/copy.h"

#include <stdlib.h>
#include <string.h>
#include "catalog/copy_state.h"
#include "catalog/database.h"
#include "tape/error.h"
#include "tape/log.h"
#include "tape/stop.h"

#define CHUNK	   (1u << 20)
#define SAID_LIMIT 100

struct copy {
	struct catalog *from, *to;
	struct set *source;
	const struct copy_options *options;
	struct copy_found *found;
	struct copy_progress progress;
	struct copy_sink *sink;
	struct frame_codec *codec;
	struct frame *frames; /* of the session */
	size_t count, room;
	uint64_t seen;		 /* of the volume: frames before are checked */
	uint8_t *stored, *plain; /* FRAME_LIMIT each */
};

/* ---- one volume ---- */

static int stopped(const struct copy *k)
{
	return stop_is_set(k->options->stop) ? REEL_ESTOPPED : 0;
}

/* `cut`: behind it the volume may be cut. */
static int pass(struct copy *k, const void *data, size_t length, bool cut)
{
	const struct copy_sink_ops *ops = k->sink->ops;
	int error = stopped(k);

	if (!error)
		error = ops->write(k->sink, data, length);
	if (!error && cut && ops->cut)
		error = ops->cut(k->sink);
	k->progress.done += length;
	if (!error && k->options->progress)
		k->options->progress(k->options->context, &k->progress);
	return error;
}

static int unread(const struct copy *k, uint32_t volume, uint64_t at, int error)
{
	char name[MEDIUM_NAME];

	if (error == REEL_EMEDIUM && !k->source->medium->tape) {
		medium_name(k->source->medium, volume, at, name);
		log_error("%s is missing; put it back into the set's volumes/",
			  name);
	} else if (error && error != REEL_ESTOPPED && error != REEL_EMEDIUM) {
		medium_name(k->source->medium, volume, at, name);
		log_error("%s, byte %llu: %s", name, (unsigned long long)at,
			  error_text(error));
	}
	return error;
}

static int fetch(struct copy *k, uint32_t volume, uint64_t at, size_t length)
{
	return unread(k, volume, at,
		      medium_read_all(k->source->medium, volume, at, k->stored,
				      length, k->options->stop));
}

/* How much of what was fetched may be cut off: whole frames, or as it is. */
static size_t cut_off(const struct copy *k, size_t length)
{
	return k->source->config.compression == COMPRESSION_NONE
		       ? length
		       : frame_whole(k->stored, length);
}

/* Bytes that are in no frame that the catalogue knows: index, end member, seek
 * table. A seek table may be longer than a chunk, and is not cut. */
static int copy_plain(struct copy *k, uint32_t volume, uint64_t at,
		      uint64_t end)
{
	bool whole = true;
	int error = 0;

	while (!error && at < end) {
		size_t n = end - at < CHUNK ? (size_t)(end - at) : CHUNK;
		size_t cut;

		error = fetch(k, volume, at, n);
		cut = error || !whole ? 0 : cut_off(k, n);
		whole = cut;
		if (whole)
			n = cut;
		if (!error)
			error = pass(k, k->stored, n, whole);
		at += n;
	}
	return error;
}

/* From whichever cartridge has it well; else as it is, unless it cannot be read
 * at all. */
static int fetch_frame(struct copy *k, const struct frame *f, bool *damaged)
{
	int error = medium_frame(k->source->medium, k->codec, f, k->stored,
				 k->plain, k->options->stop);

	*damaged = error == REEL_EDAMAGED;
	return *damaged ? fetch(k, f->volume, f->position, f->stored)
			: unread(k, f->volume, f->position, error);
}

static int copy_frame(struct copy *k, const struct frame *f)
{
	const bool seen = f->position < k->seen;
	bool damaged;
	int error = fetch_frame(k, f, &damaged);

	if (error)
		return error;
	k->seen = seen ? k->seen : f->position + f->stored;
	if (damaged && !seen && k->found->damaged++ < SAID_LIMIT) {
		char name[MEDIUM_NAME];

		medium_name(k->source->medium, f->volume, f->position, name);
		log_error("%s, byte %llu: damaged; it is copied as it is", name,
			  (unsigned long long)f->position);
	}
	return pass(k, k->stored, f->stored, true);
}

/* From byte `at` on, which is where a frame begins or no frame is. */
static int write_volume(struct copy *k, const struct copy_volume *v,
			uint64_t at)
{
	int error = 0;

	for (size_t n = 0; !error && n < k->count; n++) {
		const struct frame *f = &k->frames[n];

		if (f->volume != v->number || f->position + f->stored <= at)
			continue;
		if (f->position < at || f->stored > FRAME_LIMIT ||
		    f->length > FRAME_LIMIT || f->position > v->size ||
		    f->stored > v->size - f->position)
			return REEL_EDAMAGED;
		error = copy_plain(k, v->number, at, f->position);
		if (!error)
			error = copy_frame(k, f);
		at = f->position + f->stored;
	}
	if (!error)
		error = copy_plain(k, v->number, at, v->size);
	return error ? error : k->sink->ops->end(k->sink);
}

/* Whether no frame of the data lies behind the volume, nor the index in it. */
static bool ends_data(const struct copy *k, uint32_t volume)
{
	return k->count && k->frames[k->count - 1].volume == volume;
}

static int copy_volume(struct copy *k, const struct session_row *row,
		       uint32_t volume, const struct media_session *m)
{
	const struct copy_sink_ops *ops = k->sink->ops;
	const uint64_t done = k->progress.done;
	struct copy_volume v = {
		.session = row,
		.number = volume,
		.data_end = volume < m->last_volume && ends_data(k, volume),
		.end = volume < m->last_volume ? NULL : &m->trailer};
	uint64_t from = 0;
	int error = fetch(k, volume, 0, 1);

	k->seen = 0;
	if (!error)
		error = medium_size(k->source->medium, volume, &v.size);
	if (!error)
		error = ops->begin(k->sink, &v);
	if (error)
		return error;
	error = write_volume(k, &v, 0);
	while (error == REEL_ENOSPC && ops->again) {
		error = ops->again(k->sink, &from);
		if (error)
			return error;
		k->progress.done = done + from;
		error = write_volume(k, &v, from);
	}
	k->found->volumes += !error;
	k->found->bytes += error ? 0 : v.size;
	return error;
}

/* ---- one session ---- */

static int add_frame(void *context, const struct frame *f)
{
	struct copy *k = context;

	if (k->count == k->room) {
		size_t room = k->room ? 2 * k->room : 1024;
		void *more = realloc(k->frames, room * sizeof(*k->frames));

		if (!more)
			return REEL_ENOMEM;
		k->frames = more;
		k->room = room;
	}
	k->frames[k->count++] = *f;
	return 0;
}

/* The volume that ends a session: the first that says so. */
static int find_end(struct copy *k, const struct session_row *row,
		    struct media_session *m)
{
	uint32_t volume = row->first_volume;
	char name[MEDIUM_NAME];
	int error = REEL_ENOENT;

	if (k->count)
		volume = k->frames[k->count - 1].volume;
	for (; error == REEL_ENOENT; volume++)
		error = media_read_trailer(k->source, volume, m);
	if (!error && m->trailer.session != row->id)
		error = REEL_EDAMAGED;
	if (error) {
		medium_name(k->source->medium, volume - 1, 0, name);
		log_error("session %u cannot be copied: %s: %s",
			  (unsigned)row->id, name, error_text(error));
	}
	return error;
}

static int take_in(struct copy *k, const struct media_session *m)
{
	struct buffer packed = {0};
	int error = media_read_index(k->source, m, &packed);

	if (!error)
		error = ingest_packed(k->to, packed.data, packed.length,
				      m->trailer.session);
	if (error)
		log_error("session %u cannot be taken in: its index: %s",
			  (unsigned)m->trailer.session, error_text(error));
	buffer_release(&packed);
	return error;
}

static int copy_session(struct copy *k, const struct session_row *row)
{
	struct media_session m;
	int error;

	k->count = 0;
	k->progress.session = row->id;
	error = catalog_each_frame(k->from, row->id, add_frame, k);
	if (!error)
		error = find_end(k, row, &m);
	for (uint32_t v = row->first_volume; !error && v <= m.last_volume; v++)
		error = copy_volume(k, row, v, &m);
	if (!error && k->sink->ops->commit)
		error = k->sink->ops->commit(k->sink);
	if (!error)
		error = take_in(k, &m);
	if (!error && k->sink->ops->taken)
		error = k->sink->ops->taken(k->sink);
	k->found->sessions += !error;
	return error;
}

/* ---- all of them ---- */

/* Y1 */
static int check_same(struct copy *k, uint32_t newest)
{
	for (uint32_t id = 1; id <= newest; id++) {
		struct session_row a, b;
		int has = catalog_session(k->from, id, &a);
		int had = catalog_session(k->to, id, &b);
		bool same = has == had && (has || a.time == b.time);

		if (!has)
			session_row_release(&a);
		if (!had)
			session_row_release(&b);
		if (same)
			continue;
		if (has == REEL_ENOENT)
			log_error("%s has session %u, which %s lacks; copy the "
				  "other way round",
				  k->to->set->path, (unsigned)id,
				  k->source->path);
		else
			log_error("%s has another session %u than %s; it is "
				  "not written to",
				  k->to->set->path, (unsigned)id,
				  k->source->path);
		return REEL_EINVAL;
	}
	return 0;
}

static int copy_after(struct copy *k, uint32_t newest)
{
	struct session_row row;
	int more = 0, error = 0;

	while (!error &&
	       (more = catalog_session_after(k->from, newest, &row)) == 1) {
		newest = row.id;
		error = copy_session(k, &row);
		session_row_release(&row);
	}
	return error ? error : more;
}

static void measure(struct copy *k)
{
	struct medium_volume *v = NULL;
	size_t count = 0;

	if (medium_list(k->source->medium, &v, &count))
		return;
	for (size_t n = 0; n < count; n++)
		k->progress.total += v[n].size;
	free(v);
}

static int prepare(struct copy *k)
{
	int error =
		frame_codec_new(k->source->config.compression, 0, &k->codec);

	k->stored = malloc(FRAME_LIMIT);
	k->plain = malloc(FRAME_LIMIT);
	if (!error && (!k->stored || !k->plain))
		error = REEL_ENOMEM;
	if (error)
		return error;
	return k->to->set->config.tape
		       ? copy_tape_open(k->to, k->options->stop, &k->sink)
		       : copy_dir_open(k->to->set, &k->sink);
}

int copy_set(struct catalog *from, struct catalog *to,
	     const struct copy_options *o, struct copy_found *found)
{
	struct copy k = {.from = from,
			 .to = to,
			 .source = from->set,
			 .options = o,
			 .found = found};
	uint32_t newest = 0;
	int error = prepare(&k);

	*found = (struct copy_found){0};
	if (!error)
		error = catalog_newest(to, &newest);
	if (!error)
		error = check_same(&k, newest);
	if (!error && o->progress)
		measure(&k);
	if (!error)
		error = copy_after(&k, newest);
	if (k.sink)
		k.sink->ops->close(k.sink);
	frame_codec_free(k.codec);
	free(k.frames);
	free(k.stored);
	free(k.plain);
	return error;
}
