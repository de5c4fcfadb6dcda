/* A session's volumes on cartridges. Stored bytes are counted through the
 * session ("byte N" below; seek tables are not counted). They pass through a
 * ring between the thread that puts frames and one that owns the drive:
 *
 *     base <= sent <= put          base: first byte of the present volume
 *     keep <= sent, put - keep <= ring
 *
 * Y1 Bytes [keep, put) are in the ring. keep never passes base before RESERVE
 *    bytes of the volume were sent, and stays RESERVE behind `sent`: so a
 * volume can be cut further back than the tape has come, when the end of the
 *    cartridge comes without a warning.
 * Y2 A volume is cut behind a frame. At the early warning the frame that is
 *    being sent is sent to its end, then the seek table, a filemark, the table
 *    of places (append.h), and the next volume begins on the next cartridge
 *    with the frames behind; they get their new places under the lock.
 * Y3 Where the cartridge ends at once (REEL_ENOSPC) the tape goes back to a
 *    frame's end far enough before, and the volume ends there. Should not even
 *    one frame fit, the whole volume goes to the next cartridge; what is left
 *    of it here stands behind the last table and does not count (K1, K2).
 * Y4 settle ends the volume, so that all places are final; what comes then is
 *    the index, a volume of its own, which goes on past the early warning,
 *    since nothing follows it.
 * Y5 pause ends the volume as a cut does and lets the drive go: who puts frames
 *    needs to read what only this drive has. The next frame begins a volume.
 * Y6 After an error frames are taken and dropped, so nobody waits for ever. */
#include <stdlib.h>
#include <string.h>
#include "tape/append.h"
#include "tape/error.h"
#include "tape/log.h"
#include "tape/member.h"
#include "tape/ring.h"
#include "tape/volume.h"

#define RING_DEFAULT  (64u << 20)
#define RING_IMAGES   (8u << 20) /* stays in a processor's cache */
#define RING_BLOCKS   16	 /* at least */
#define RESERVE_SHARE 4		 /* of the ring */

struct volumes_tape {
	struct volumes volumes;
	struct append append; /* the owner's */
	size_t block;
	struct ring ring;
	size_t reserve;
	size_t high; /* bytes that set the drive going again */
	pthread_t owner;
	bool running;

	/* under volumes.lock */
	pthread_cond_t work, room;
	uint64_t base, keep, sent, put;
	size_t volume_begin; /* first frame of the present volume */
	bool going;	     /* the drive streams */
	bool closing; /* the volume is to be ended; the owner clears it */
	bool index;   /* Y4 */
	bool pausing; /* with closing: Y5 */
	bool ended;   /* volumes_tape_ended() */
	bool stop;
	unsigned stops;
	int error;
};

static struct volumes_tape *of(struct volumes *v)
{
	return (struct volumes_tape *)(void *)v;
}

/* ---- the owner: ending a volume ---- */

/* Frames of the volume that end at or before `byte`. Under the lock. */
static size_t frames_before(const struct volumes_tape *t, uint64_t byte,
			    uint64_t *end)
{
	const struct volumes *v = &t->volumes;
	size_t low = t->volume_begin, high = v->frame_count;

	while (low < high) {
		size_t n = low + (high - low) / 2;
		const struct frame *f = &v->frames[n];

		if (t->base + f->position + f->stored <= byte)
			low = n + 1;
		else
			high = n;
	}
	*end = low == t->volume_begin ? t->base
				      : t->base + v->frames[low - 1].position +
						v->frames[low - 1].stored;
	return low;
}

/* zstd: the seek table, and a skippable frame that makes the tape file a
 * multiple of 512; else, behind all of a session but its index, what tar ends
 * with, so that it does not read on into the table. Neither is a part of the
 * volume. */
static int make_tail(struct volumes_tape *t, size_t frames, uint64_t bytes,
		     struct buffer *tail, uint64_t *table)
{
	bool ends;
	int error;

	*table = 0;
	if (t->volumes.compression == COMPRESSION_NONE) {
		pthread_mutex_lock(&t->volumes.lock);
		ends = t->closing && !t->pausing && !t->index &&
		       t->base + bytes == t->put;
		pthread_mutex_unlock(&t->volumes.lock);
		return ends ? buffer_append_zeros(tail, 2 * MEMBER_BLOCK) : 0;
	}
	pthread_mutex_lock(&t->volumes.lock);
	error = seek_table_encode(t->volumes.frames + t->volume_begin, frames,
				  tail);
	pthread_mutex_unlock(&t->volumes.lock);
	if (error)
		return error;
	*table = tail->length;
	return frame_pad(bytes + tail->length, tail);
}

/* Bytes [sent, end) of the ring and the tail behind them, in blocks. */
static int send_rest(struct volumes_tape *t, uint64_t end,
		     const struct buffer *tail)
{
	size_t rest = (size_t)(end - t->sent);
	struct buffer all = {0};
	int error = buffer_append(&all, ring_at(&t->ring, t->sent), rest);

	if (!error)
		error = buffer_append(&all, tail->data, tail->length);
	for (size_t at = 0; !error && at < all.length; at += t->block) {
		size_t n = all.length - at;

		error = append_block(&t->append, all.data + at,
				     n < t->block ? n : t->block);
	}
	buffer_release(&all);
	return error;
}

/* The frames behind the cut begin the next volume. Under the lock. */
static void next_volume(struct volumes_tape *t, size_t first, uint64_t end)
{
	struct volumes *v = &t->volumes;
	uint64_t moved = end - t->base;

	v->present++;
	for (size_t n = first; n < v->frame_count; n++) {
		v->frames[n].volume = v->present;
		v->frames[n].position -= moved;
	}
	t->volume_begin = first;
	t->base = end;
	t->sent = end;
	t->keep = end;
	pthread_cond_broadcast(&t->room);
}

/* Ends the volume behind byte `end`, which is a frame's (number `first` is the
 * one behind). REEL_ENOSPC: it does not fit. */
static int end_volume(struct volumes_tape *t, size_t first, uint64_t end)
{
	struct volumes *v = &t->volumes;
	const struct trailer *trailer =
		t->index && end == t->put ? v->end : NULL;
	struct buffer tail = {0};
	uint64_t table;
	int error = make_tail(t, first - t->volume_begin, end - t->base, &tail,
			      &table);

	if (!error)
		error = send_rest(t, end, &tail);
	t->ended |= trailer && !error;
	if (!error) {
		const struct append_volume whole = {
			.number = v->present, .size = end - t->base + table};

		error = append_end(&t->append, &whole, trailer);
	}
	buffer_release(&tail);
	if (error)
		return error;
	atomic_fetch_add(&v->stored, table);
	pthread_mutex_lock(&v->lock);
	next_volume(t, first, end);
	pthread_mutex_unlock(&v->lock);
	return 0;
}

/* Y3: nothing of the volume stays here. */
static int give_up_volume(struct volumes_tape *t)
{
	if (t->keep > t->base) {
		log_error("cartridge %s ended too early, before what was to "
			  "be written again",
			  t->append.label->name);
		return REEL_EIO;
	}
	if (t->append.start.file <= 1)
		log_warning("cartridge %s ended too early: not even the "
			    "beginning of a volume and its table fit; it stays "
			    "empty",
			    t->append.label->name);
	pthread_mutex_lock(&t->volumes.lock);
	t->sent = t->base;
	pthread_mutex_unlock(&t->volumes.lock);
	return append_next(&t->append);
}

/* Y3. */
static int hard_end(struct volumes_tape *t)
{
	uint64_t reserve = 2 * (uint64_t)t->block, good = t->sent;
	int error = REEL_ENOSPC;

	while (error == REEL_ENOSPC) {
		uint64_t end, block;
		size_t first;

		pthread_mutex_lock(&t->volumes.lock);
		first = frames_before(t, good > reserve ? good - reserve : 0,
				      &end);
		pthread_mutex_unlock(&t->volumes.lock);
		if (end == t->base)
			return give_up_volume(t);
		block = (end - t->base) / t->block;
		if (t->base + block * t->block < t->keep) {
			log_error("cartridge %s ended too early, before what "
				  "was to be written again",
				  t->append.label->name);
			return REEL_EIO;
		}
		error = append_back(&t->append, block);
		pthread_mutex_lock(&t->volumes.lock);
		t->sent = t->base + block * t->block;
		pthread_mutex_unlock(&t->volumes.lock);
		if (!error)
			error = end_volume(t, first, end);
		reserve *= 2;
	}
	return error ? error : append_next(&t->append);
}

/* ---- the owner: sending ---- */

/* Y2: at the early warning, and where volumes have a size. */
static int cut(struct volumes_tape *t, bool cartridge)
{
	uint64_t end;
	size_t first;
	int error;

	pthread_mutex_lock(&t->volumes.lock);
	first = frames_before(t, t->sent, &end);
	if (end < t->sent) {
		const struct frame *f = &t->volumes.frames[first++];

		end = t->base + f->position + f->stored;
	}
	pthread_mutex_unlock(&t->volumes.lock);
	error = end_volume(t, first, end);
	if (error == REEL_ENOSPC)
		return hard_end(t);
	return error || !cartridge ? error : append_next(&t->append);
}

static int begin_volume(struct volumes_tape *t)
{
	int error = 0;

	if (t->sent == t->base || !t->append.drive)
		error = append_begin(&t->append);
	/* an image needs no run-up */
	if (!error && strcmp(drive_kind(t->append.drive), "tape image"))
		t->high = t->ring.size / 2;
	return error;
}

/* Whether the drive that was just found may start (may_send). */
static bool has_run_up(struct volumes_tape *t)
{
	pthread_mutex_lock(&t->volumes.lock);
	t->going = t->put - t->sent >= t->high || t->closing;
	pthread_mutex_unlock(&t->volumes.lock);
	return t->going;
}

static int send_block(struct volumes_tape *t)
{
	struct volumes *v = &t->volumes;
	uint64_t large = v->volume_size;
	bool first = !t->append.drive;
	int error = begin_volume(t);

	if (!error && first && !has_run_up(t))
		return 0;
	if (!error)
		error = append_block(&t->append, ring_at(&t->ring, t->sent),
				     t->block);
	if (error == REEL_ENOSPC)
		return hard_end(t);
	if (error)
		return error;
	pthread_mutex_lock(&v->lock);
	t->sent += t->block;
	if (t->sent - t->base > t->reserve && t->sent - t->reserve > t->keep)
		t->keep = t->sent - t->reserve;
	pthread_cond_broadcast(&t->room);
	pthread_mutex_unlock(&v->lock);
	if (t->index)
		return 0;
	if (t->append.early)
		return cut(t, true);
	return large && t->sent - t->base + t->block > large ? cut(t, false)
							     : 0;
}

/* settle, publish: what there is, and the volume's end. */
static int close_volume(struct volumes_tape *t)
{
	int error = 0;

	while (!error && t->base < t->put) {
		error = begin_volume(t);
		if (!error)
			error = end_volume(t, t->volumes.frame_count, t->put);
		if (error == REEL_ENOSPC)
			error = hard_end(t);
		while (!error && t->put - t->sent >= t->block)
			error = send_block(t);
	}
	return error;
}

static int let_go(struct volumes_tape *t)
{
	append_pause(&t->append);
	return 0;
}

/* One step without the lock; called and left with it. */
static void act(struct volumes_tape *t, int (*step)(struct volumes_tape *t))
{
	int error;

	pthread_mutex_unlock(&t->volumes.lock);
	error = step(t);
	pthread_mutex_lock(&t->volumes.lock);
	if (!error)
		return;
	if (!t->error)
		t->error = error;
	t->base = t->sent = t->keep = t->put; /* Y6 */
	pthread_cond_broadcast(&t->room);
}

/* Whether enough is there to go on: a drive that stopped waits until there is
 * more, since starting takes it long. */
static bool may_send(struct volumes_tape *t)
{
	uint64_t have = t->put - t->sent;

	if (t->going && have < t->block) {
		t->going = false;
		t->stops += t->high > t->block && !t->closing;
	}
	if (have < t->block)
		return false;
	if (have >= t->high || t->closing ||
	    t->put - t->keep > t->ring.size / 2)
		t->going = true;
	return t->going;
}

static void *own(void *context)
{
	struct volumes_tape *t = context;

	pthread_mutex_lock(&t->volumes.lock);
	while (!t->stop) {
		if (!t->error && may_send(t)) {
			act(t, send_block);
		} else if (t->closing) {
			if (!t->error)
				act(t, close_volume);
			if (!t->error && t->pausing)
				act(t, let_go);
			t->closing = t->pausing = false;
			t->going = false;
			pthread_cond_broadcast(&t->room);
		} else {
			pthread_cond_wait(&t->work, &t->volumes.lock);
		}
	}
	pthread_mutex_unlock(&t->volumes.lock);
	return NULL;
}

/* ---- the producer ---- */

static int tape_put(struct volumes *v, const struct frame *f, const void *data,
		    bool last)
{
	struct volumes_tape *t = of(v);
	struct frame placed = *f;
	int error;

	(void)last;
	pthread_mutex_lock(&v->lock);
	while (!t->error && t->put + f->stored - t->keep > t->ring.size)
		pthread_cond_wait(&t->room, &v->lock);
	pthread_mutex_unlock(&v->lock);
	memcpy(ring_at(&t->ring, t->put), data, f->stored);
	pthread_mutex_lock(&v->lock);
	placed.volume = v->present;
	placed.position = t->put - t->base;
	error = t->error ? t->error : volumes_note(v, &placed);
	if (!error) {
		t->put += f->stored;
		atomic_fetch_add(&v->stored, f->stored);
		if (t->put - t->sent >= t->block)
			pthread_cond_signal(&t->work);
	}
	pthread_mutex_unlock(&v->lock);
	return error;
}

static int close_and_wait(struct volumes_tape *t, bool pausing)
{
	int error;

	pthread_mutex_lock(&t->volumes.lock);
	t->closing = true;
	t->pausing = pausing;
	pthread_cond_signal(&t->work);
	while (t->closing)
		pthread_cond_wait(&t->room, &t->volumes.lock);
	error = t->error;
	pthread_mutex_unlock(&t->volumes.lock);
	return error;
}

static int tape_settle(struct volumes *v)
{
	struct volumes_tape *t = of(v);
	int error = close_and_wait(t, false);

	pthread_mutex_lock(&v->lock);
	t->index = true;
	pthread_mutex_unlock(&v->lock);
	return error;
}

static int tape_pause(struct volumes *v)
{
	return close_and_wait(of(v), true);
}

static int tape_publish(struct volumes *v)
{
	int error = close_and_wait(of(v), false);

	v->published = !error;
	return error;
}

/* What was sent cannot be had back without moving the tape; what is needed of
 * it is known by its digests. */
static int tape_read(struct volumes *v, uint32_t volume, uint64_t at, void *to,
		     size_t length)
{
	(void)v;
	(void)volume;
	(void)at;
	(void)to;
	(void)length;
	return REEL_EMEDIUM;
}

/* ---- lifecycle ---- */

static void tape_release(struct volumes *v)
{
	struct volumes_tape *t = of(v);

	if (t->running) {
		pthread_mutex_lock(&v->lock);
		t->stop = true;
		pthread_cond_signal(&t->work);
		pthread_mutex_unlock(&v->lock);
		pthread_join(t->owner, NULL);
	}
	append_release(&t->append);
	ring_release(&t->ring);
	pthread_cond_destroy(&t->work);
	pthread_cond_destroy(&t->room);
	volumes_release(v);
	free(t);
}

static const struct volumes_ops tape_ops = {
	.put = tape_put,
	.settle = tape_settle,
	.pause = tape_pause,
	.read = tape_read,
	.publish = tape_publish,
	.release = tape_release,
};

static const struct volumes_tape *look_at(const struct volumes *v)
{
	return (const struct volumes_tape *)(const void *)v;
}

const struct cartridge_table *volumes_tape_table(const struct volumes *v)
{
	return &look_at(v)->append.table;
}

bool volumes_tape_ended(const struct volumes *v)
{
	return look_at(v)->ended;
}

uint32_t volumes_tape_full(const struct volumes *v)
{
	return append_full(&look_at(v)->append);
}

unsigned volumes_tape_stops(const struct volumes *v)
{
	return look_at(v)->stops;
}

/* Several blocks and frames. */
static size_t ring_size(const struct volumes_tape_options *o)
{
	size_t least = RING_BLOCKS * (size_t)o->append->block_size;
	size_t size = o->ring ? o->ring
		      : station_has_images_only(o->append->station)
			      ? RING_IMAGES
			      : RING_DEFAULT;

	if (size < least)
		size = least;
	return size < 16 * (size_t)FRAME_SIZE ? 16 * (size_t)FRAME_SIZE : size;
}

int volumes_tape_new(const struct volumes_tape_options *o, struct volumes **out)
{
	struct volumes_tape *t = calloc(1, sizeof(*t));
	int error = t ? volumes_init(&t->volumes, &tape_ops, o->compression,
				     o->first)
		      : REEL_ENOMEM;

	if (error) {
		free(t);
		cartridge_table_release(o->append->table);
		return error;
	}
	pthread_cond_init(&t->work, NULL);
	pthread_cond_init(&t->room, NULL);
	append_init(&t->append, o->append);
	t->block = o->append->block_size;
	t->volumes.volume_size = o->volume_size;
	t->high = t->block;
	error = ring_init(&t->ring, ring_size(o));
	t->reserve = t->ring.size / RESERVE_SHARE;
	if (!error)
		t->running = !pthread_create(&t->owner, NULL, own, t);
	if (!error && !t->running)
		error = REEL_ENOMEM;
	if (error)
		tape_release(&t->volumes);
	else
		*out = &t->volumes;
	return error;
}
