/* A session's stream: a ring of frames between one producer, the compressors
 * and one writer.
 *
 * A frame has a number, counted from 0; number n lives in slot n % slots and
 * goes through
 *
 *     filling    the producer's               (n == submitted)
 *     submitted  waits for a compressor       (n >= taken)
 *     taken      a compressor works on it
 *     ready      waits for its turn           (n >= written)
 *     written    has its place on a volume
 *
 * P1 submitted, taken and written only grow; written <= taken <= submitted <=
 *    written + slots - 1, so the producer's slot is never one in work.
 * P2 Frames are written in order by the writer alone; the volumes (volume.h)
 *    give them their places, since stored sizes are known late.
 * P3 A slot's plain bytes stay until the producer fills it anew, so that the
 *    producer reads the latest frames back without a lock.
 * P4 After an error frames are passed on unwritten, so nobody waits for ever.
 * P5 Every volume keeps room for one small frame behind its last: the frame
 *    that ends the stream takes it, so the trailer lies on the volume that
 *    stream_last_volume named before it was written.
 *
 * Without compression there are no compressors: the writer is the one that
 * takes. */
#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "tape/digest.h"
#include "tape/error.h"
#include "tape/log.h"
#include "tape/stream.h"
#include "tape/trailer.h"
#include "tape/volume.h"

#define VOLUME_SIZE_MIN (64u << 10)
#define THREADS_LIMIT	64

struct slot {
	uint8_t *plain;
	uint8_t *packed; /* zstd only */
	uint64_t stream;
	uint32_t length;
	enum frame_matter matter;
	int64_t stored; /* or an error */
	uint32_t checksum;
	bool ready;
};

struct stream_writer {
	struct stream_options options;
	size_t frame_size;
	size_t slot_count;
	struct slot *slots;
	size_t thread_count;
	pthread_t threads[THREADS_LIMIT]; /* compressors */
	pthread_t writer;
	bool writing; /* the writer was started */

	/* the producer's */
	uint64_t offset;
	size_t filled; /* of the slot of number `submitted` */

	atomic_int error;

	pthread_mutex_t lock; /* of all below and slot.ready */
	pthread_cond_t work;  /* submitted or stop changed */
	pthread_cond_t ready; /* a slot became ready, or stop */
	pthread_cond_t moved; /* written changed */
	uint64_t submitted;
	uint64_t taken;
	uint64_t written;
	bool last; /* the newest frame ends the stream */
	bool stop;

	struct volumes *volumes;
};

static void fail(struct stream_writer *w, int error)
{
	int none = 0;

	if (error)
		atomic_compare_exchange_strong(&w->error, &none, error);
}

/* ---- compressors ---- */

static void encode(struct stream_writer *w, struct frame_codec *k,
		   struct slot *s)
{
	if (atomic_load_explicit(&w->error, memory_order_relaxed)) {
		s->stored = 0;
		return;
	}
	s->checksum = digest_checksum32(s->plain, s->length);
	s->stored = s->length;
	if (w->options.compression != COMPRESSION_NONE)
		s->stored = frame_encode(
			k, s->matter, s->plain, s->length, s->packed,
			frame_bound(w->options.compression, w->frame_size));
}

static void *compress_frames(void *context)
{
	struct stream_writer *w = context;
	struct frame_codec *k = NULL;

	fail(w, frame_codec_new(w->options.compression, w->options.level, &k));
	pthread_mutex_lock(&w->lock);
	for (bool awaited = false;;) {
		struct slot *s;

		if (awaited && w->taken == w->submitted)
			pthread_cond_signal(&w->ready);
		while (w->taken == w->submitted && !w->stop)
			pthread_cond_wait(&w->work, &w->lock);
		if (w->taken == w->submitted)
			break;
		s = &w->slots[w->taken++ % w->slot_count];
		pthread_mutex_unlock(&w->lock);
		if (awaited)
			pthread_cond_signal(&w->ready);
		encode(w, k, s);
		pthread_mutex_lock(&w->lock);
		s->ready = true;
		awaited = s == &w->slots[w->written % w->slot_count];
	}
	pthread_mutex_unlock(&w->lock);
	frame_codec_free(k);
	return NULL;
}

/* ---- the writer ---- */

static int put_frame(struct stream_writer *w, const struct slot *s, bool last)
{
	bool plain = w->options.compression == COMPRESSION_NONE;
	struct frame f = {.stream = s->stream,
			  .stored = (uint32_t)s->stored,
			  .length = s->length,
			  .checksum = s->checksum};

	if (s->stored < 0)
		return (int)s->stored;
	return w->volumes->ops->put(w->volumes, &f,
				    plain ? s->plain : s->packed, last);
}

static void *write_frames(void *context)
{
	struct stream_writer *w = context;
	bool plain = w->options.compression == COMPRESSION_NONE;

	pthread_mutex_lock(&w->lock);
	for (;;) {
		struct slot *s = &w->slots[w->written % w->slot_count];
		bool last;

		while (!(plain ? w->taken < w->submitted : s->ready) &&
		       !(w->stop && w->written == w->submitted))
			pthread_cond_wait(plain ? &w->work : &w->ready,
					  &w->lock);
		if (w->written == w->submitted)
			break;
		w->taken += plain;
		last = w->last && w->written + 1 == w->submitted;
		pthread_mutex_unlock(&w->lock);
		if (plain)
			encode(w, NULL, s);
		if (!atomic_load(&w->error))
			fail(w, put_frame(w, s, last));
		pthread_mutex_lock(&w->lock);
		s->ready = false;
		w->written++;
		if (w->submitted - w->written <= w->slot_count / 2)
			pthread_cond_signal(&w->moved);
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

/* ---- opening and closing ---- */

static int make_slots(struct stream_writer *w)
{
	bool plain = w->options.compression == COMPRESSION_NONE;
	size_t bound = frame_bound(w->options.compression, w->frame_size);

	w->slots = calloc(w->slot_count, sizeof(*w->slots));
	if (!w->slots)
		return REEL_ENOMEM;
	for (size_t i = 0; i < w->slot_count; i++) {
		struct slot *s = &w->slots[i];

		s->plain = malloc(w->frame_size);
		s->packed = plain ? NULL : malloc(bound);
		if (!s->plain || (!plain && !s->packed))
			return REEL_ENOMEM;
	}
	return 0;
}

static int start_threads(struct stream_writer *w, size_t count)
{
	if (pthread_create(&w->writer, NULL, write_frames, w))
		return REEL_ENOMEM;
	w->writing = true;
	while (w->thread_count < count) {
		if (pthread_create(&w->threads[w->thread_count], NULL,
				   compress_frames, w))
			return w->thread_count ? 0 : REEL_ENOMEM;
		w->thread_count++;
	}
	return 0;
}

static size_t compressors(const struct stream_options *o)
{
	long n = o->threads > 0 ? o->threads : sysconf(_SC_NPROCESSORS_ONLN);

	if (o->compression == COMPRESSION_NONE)
		return 0;
	if (n < 1)
		n = 1;
	return n > THREADS_LIMIT ? THREADS_LIMIT : (size_t)n;
}

int stream_open(const struct stream_options *o, struct stream_writer **out)
{
	size_t threads = compressors(o);
	struct stream_writer *w;
	int error;

	w = calloc(1, sizeof(*w));
	error = !w ? REEL_ENOMEM
		: o->volume_size && o->volume_size < VOLUME_SIZE_MIN
			? REEL_EINVAL
			: 0;
	if (error) {
		if (o->volumes)
			o->volumes->ops->release(o->volumes);
		free(w);
		return error;
	}
	w->volumes = o->volumes;
	error = o->volumes ? 0
			   : volumes_dir_new(o->directory, o->compression,
					     o->volume_size, o->sync,
					     o->first_volume, &w->volumes);
	if (error) {
		free(w);
		return error;
	}
	w->options = *o;
	w->frame_size = FRAME_SIZE;
	if (o->volume_size && o->volume_size / VOLUME_FRAMES < FRAME_SIZE)
		w->frame_size = (size_t)(o->volume_size / VOLUME_FRAMES);
	w->slot_count = 8 + 2 * threads;
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->work, NULL);
	pthread_cond_init(&w->ready, NULL);
	pthread_cond_init(&w->moved, NULL);
	error = make_slots(w);
	if (!error)
		error = start_threads(w, threads);
	if (error) {
		stream_close(w);
		return error;
	}
	*out = w;
	return 0;
}

void stream_close(struct stream_writer *w)
{
	if (!w)
		return;
	/* What is in the ring still goes its way, but not to a volume. */
	if (!w->volumes->published)
		fail(w, REEL_ESTOPPED);
	pthread_mutex_lock(&w->lock);
	w->stop = true;
	pthread_cond_broadcast(&w->work);
	pthread_cond_broadcast(&w->ready);
	pthread_mutex_unlock(&w->lock);
	for (size_t i = 0; i < w->thread_count; i++)
		pthread_join(w->threads[i], NULL);
	if (w->writing)
		pthread_join(w->writer, NULL);
	for (size_t i = 0; w->slots && i < w->slot_count; i++) {
		free(w->slots[i].plain);
		free(w->slots[i].packed);
	}
	w->volumes->ops->release(w->volumes);
	pthread_mutex_destroy(&w->lock);
	pthread_cond_destroy(&w->work);
	pthread_cond_destroy(&w->ready);
	pthread_cond_destroy(&w->moved);
	free(w->slots);
	free(w);
}

/* ---- the producer ---- */

static struct slot *present(struct stream_writer *w)
{
	return &w->slots[w->submitted % w->slot_count];
}

/* Hands the present frame on and waits until the next slot is free. */
static void submit(struct stream_writer *w, bool last)
{
	struct slot *s = present(w);

	s->stream = w->offset - w->filled;
	s->length = (uint32_t)w->filled;
	w->filled = 0;
	pthread_mutex_lock(&w->lock);
	w->last = last;
	w->submitted++;
	pthread_cond_signal(&w->work);
	while (w->submitted - w->written >= w->slot_count)
		pthread_cond_wait(&w->moved, &w->lock);
	pthread_mutex_unlock(&w->lock);
}

int stream_reserve(struct stream_writer *w, void **room, size_t *length)
{
	int error = atomic_load_explicit(&w->error, memory_order_relaxed);

	if (error)
		return error;
	*room = present(w)->plain + w->filled;
	*length = w->frame_size - w->filled;
	return 0;
}

int stream_commit(struct stream_writer *w, size_t length)
{
	assert(length <= w->frame_size - w->filled);
	/* A frame that one piece fills lies within a large content. */
	present(w)->matter = !w->filled && length == w->frame_size
				     ? FRAME_LARGE
				     : FRAME_MIXED;
	w->filled += length;
	w->offset += length;
	if (w->filled == w->frame_size)
		submit(w, false);
	return atomic_load_explicit(&w->error, memory_order_relaxed);
}

int stream_write(struct stream_writer *w, const void *data, size_t length)
{
	const uint8_t *from = data;
	int error = atomic_load_explicit(&w->error, memory_order_relaxed);

	while (length && !error) {
		size_t n = w->frame_size - w->filled;

		if (n > length)
			n = length;
		memcpy(present(w)->plain + w->filled, from, n);
		from += n;
		length -= n;
		error = stream_commit(w, n);
	}
	return error;
}

uint64_t stream_offset(const struct stream_writer *w)
{
	return w->offset;
}

static int settle(struct stream_writer *w, bool last)
{
	if (w->filled)
		submit(w, last);
	pthread_mutex_lock(&w->lock);
	while (w->written < w->submitted)
		pthread_cond_wait(&w->moved, &w->lock);
	pthread_mutex_unlock(&w->lock);
	return atomic_load(&w->error);
}

int stream_flush(struct stream_writer *w, const struct frame **frames,
		 size_t *count)
{
	int error = settle(w, false);

	if (!error)
		error = w->volumes->ops->settle(w->volumes);
	fail(w, error);
	if (error)
		return error;
	*frames = w->volumes->frames;
	*count = w->volumes->frame_count;
	return 0;
}

int stream_drain(struct stream_writer *w)
{
	return settle(w, false);
}

int stream_pause(struct stream_writer *w)
{
	int error = settle(w, false);

	if (!error && w->volumes->ops->pause)
		error = w->volumes->ops->pause(w->volumes);
	fail(w, error);
	return error;
}

void stream_end(struct stream_writer *w, const struct trailer *t)
{
	w->volumes->end = t;
}

int stream_publish(struct stream_writer *w)
{
	int error = settle(w, w->filled <= VOLUME_LAST);

	if (!error)
		error = w->volumes->ops->publish(w->volumes);
	fail(w, error);
	return error;
}

bool stream_published(const struct stream_writer *w)
{
	return w->volumes->published;
}

uint32_t stream_last_volume(struct stream_writer *w)
{
	uint32_t present;

	pthread_mutex_lock(&w->volumes->lock);
	present = w->volumes->present;
	pthread_mutex_unlock(&w->volumes->lock);
	return present;
}

uint64_t stream_stored(const struct stream_writer *w)
{
	return atomic_load_explicit(&w->volumes->stored, memory_order_relaxed);
}

/* ---- reading back ---- */

/* P3: the slots behind the producer's still have the latest frames. */
static const struct slot *recent(struct stream_writer *w, uint64_t offset)
{
	for (uint64_t back = 1; back < w->slot_count; back++) {
		const struct slot *s;

		if (back > w->submitted)
			break;
		s = &w->slots[(w->submitted - back) % w->slot_count];
		if (s->stream <= offset)
			return offset - s->stream < s->length ? s : NULL;
	}
	return NULL;
}

static int64_t view(struct stream_writer *w, uint64_t offset, void *room,
		    size_t length, bool prove, const uint8_t **at)
{
	uint64_t open = w->offset - w->filled;
	const uint8_t *plain = NULL;
	struct frame f = {0};
	const struct slot *s;
	int error = atomic_load(&w->error);

	if (error)
		return error;
	if (offset > w->offset || length > w->offset - offset)
		return REEL_EINVAL;
	if (offset >= open) {
		*at = present(w)->plain + (offset - open);
		return (int64_t)length;
	}
	s = recent(w, offset);
	if (s) {
		f.stream = s->stream;
		f.length = s->length;
		plain = s->plain;
	} else {
		volumes_find(w->volumes, offset, &f);
		if (w->options.compression != COMPRESSION_NONE)
			error = volumes_frame(w->volumes, &f, prove, &plain);
	}
	if (length > f.stream + f.length - offset)
		length = (size_t)(f.stream + f.length - offset);
	*at = plain ? plain + (offset - f.stream) : room;
	if (!plain && !error)
		error = w->volumes->ops->read(w->volumes, f.volume,
					      f.position + (offset - f.stream),
					      room, length);
	return error ? error : (int64_t)length;
}

int64_t stream_view(struct stream_writer *w, uint64_t offset, void *room,
		    size_t length, const uint8_t **at)
{
	return view(w, offset, room, length, false, at);
}

int stream_read_back(struct stream_writer *w, uint64_t offset, void *to,
		     size_t length)
{
	uint8_t *into = to;

	while (length) {
		const uint8_t *at = into;
		int64_t n = view(w, offset, into, length, true, &at);

		if (n < 0)
			return (int)n;
		if (at != into)
			memcpy(into, at, (size_t)n);
		into += n;
		offset += (uint64_t)n;
		length -= (size_t)n;
	}
	return 0;
}
