/* The catalogue has the frames up to the session's index; those of the index
 * and what follows come from the volume's own seek table (zstd) or are the
 * rest of the file (none). A volume's seek table must be, byte for byte, the
 * one that these frames make.
 *
 * The queue's lock is held for moments only; nothing is locked under it. */
#include "fs/verify_reader.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "tape/error.h"
#include "tape/log.h"

#define QUEUE 16

struct volume {
	uint32_t number; /* 0: none */
	bool there;
	uint64_t size;
	uint64_t end; /* of the frames met so far */
	struct frame *frames;
	size_t count, room;
	struct frame *table; /* as it stands on the volume; zstd */
	size_t table_count;
	bool rebuilt;
};

struct verify_reader {
	struct set *set;
	struct catalog *catalog;
	uint32_t session;
	uint32_t first_volume, last_volume;
	struct frame_codec *codec;
	struct volume volume;
	uint64_t stream;
	uint8_t *stored; /* FRAME_LIMIT bytes at most */
	size_t stored_room;
	pthread_t thread;

	pthread_mutex_t lock;
	pthread_cond_t change;
	struct piece queue[QUEUE];
	unsigned head, queued;
	bool ended, closing;
	int error;
};

static int send(struct verify_reader *r, const struct piece *p)
{
	pthread_mutex_lock(&r->lock);
	while (r->queued == QUEUE && !r->closing)
		pthread_cond_wait(&r->change, &r->lock);
	if (r->closing) {
		pthread_mutex_unlock(&r->lock);
		free(p->data);
		return REEL_ESTOPPED;
	}
	r->queue[(r->head + r->queued++) % QUEUE] = *p;
	pthread_cond_broadcast(&r->change);
	pthread_mutex_unlock(&r->lock);
	return 0;
}

static int say(struct verify_reader *r, uint64_t position, int error,
	       const char *what)
{
	struct piece p = {.stream = r->stream,
			  .volume = r->volume.number,
			  .position = position,
			  .error = error,
			  .what = what};

	return send(r, &p);
}

/* Against what the frames say it must be. */
static int check_table(struct verify_reader *r)
{
	struct volume *v = &r->volume;
	struct buffer want = {0};
	uint8_t *have = NULL;
	uint64_t length = v->size > v->end ? v->size - v->end : 0;
	size_t i = 0;
	int err;

	err = seek_table_encode(v->frames, v->count, &want);
	if (!err && length > want.length + (1u << 20))
		length = want.length + (1u << 20);
	have = err ? NULL : malloc((size_t)length + 1);
	if (!err && !have)
		err = REEL_ENOMEM;
	if (err)
		goto out;
	err = medium_read_all(r->set->medium, v->number, v->end, have,
			      (size_t)length, NULL);
	if (err == REEL_EMEDIUM) {
		err = say(r, v->end, REEL_EMEDIUM, "the volume is missing");
		goto out;
	}
	if (err && err != REEL_EDAMAGED && err != REEL_EIO)
		goto out;
	if (err)
		length = 0;
	err = 0;
	while (i < length && i < want.length && have[i] == want.data[i])
		i++;
	if (i < length || i < want.length)
		err = say(r, v->end + i, REEL_EDAMAGED,
			  "the seek table is damaged");
out:
	free(have);
	buffer_release(&want);
	return err;
}

static int leave_volume(struct verify_reader *r)
{
	struct volume *v = &r->volume;
	int err = 0;

	if (!v->number)
		return 0;
	if (v->there && r->set->config.compression == COMPRESSION_ZSTD)
		err = check_table(r);
	free(v->frames);
	free(v->table);
	memset(v, 0, sizeof(*v));
	return err;
}

static int enter_volume(struct verify_reader *r, uint32_t number)
{
	struct volume *v = &r->volume;
	int err = leave_volume(r);

	if (err)
		return err;
	v->number = number;
	if (medium_size(r->set->medium, number, &v->size))
		return say(r, 0, REEL_EMEDIUM, "the volume is missing");
	v->there = true;
	if (r->set->config.compression != COMPRESSION_ZSTD)
		return 0;
	err = medium_seek_table(r->set->medium, number, &v->table,
				&v->table_count, &v->rebuilt);
	if (err) {
		v->table = NULL;
		v->table_count = 0;
	}
	return err == REEL_ENOMEM ? err : 0;
}

static int remember(struct volume *v, const struct frame *f)
{
	if (v->count == v->room) {
		size_t room = v->room ? 2 * v->room : 1024;
		struct frame *more = realloc(v->frames, room * sizeof(*more));

		if (!more)
			return REEL_ENOMEM;
		v->frames = more;
		v->room = room;
	}
	v->frames[v->count++] = *f;
	v->end = f->position + f->stored;
	return 0;
}

static int room_for(struct verify_reader *r, size_t length)
{
	uint8_t *more;

	if (length <= r->stored_room)
		return 0;
	more = realloc(r->stored, length);
	if (!more)
		return REEL_ENOMEM;
	r->stored = more;
	r->stored_room = length;
	return 0;
}

/* REEL_EDAMAGED: r->stored has it as it was read first. */
static int decode_checked(struct verify_reader *r, const struct frame *f,
			  uint8_t *to)
{
	struct medium *m = r->set->medium;

	if (!frame_decode(r->codec, f, r->stored, to))
		return 0;
	if (!m->ops->read_copy)
		return REEL_EDAMAGED;
	if (!medium_frame(m, r->codec, f, r->stored, to, NULL))
		return 0;
	return medium_read_all(m, f->volume, f->position, r->stored, f->stored,
			       NULL)
		       ? REEL_EIO
		       : REEL_EDAMAGED;
}

/* Fills p->data; says in *p what is wrong with it. */
static void decode(struct verify_reader *r, const struct frame *f, bool checked,
		   struct piece *p)
{
	struct medium *m = r->set->medium;
	bool plain = r->set->config.compression == COMPRESSION_NONE;
	int err = r->volume.there ? medium_read_all(m, f->volume, f->position,
						    r->stored, f->stored, NULL)
				  : REEL_EMEDIUM;

	memset(p->data, VERIFY_FILL, f->length);
	p->lost = true;
	if (err == REEL_EMEDIUM) { /* a cartridge is asked for once */
		r->volume.there = false;
		p->error = err;
		p->what = "the volume is missing";
		return;
	}
	if (err) {
		p->error = err == REEL_EDAMAGED ? err : REEL_EIO;
		p->what = err == REEL_EDAMAGED ? "the volume ends too early"
					       : "the volume cannot be read";
		return;
	}
	if (!checked)
		memcpy(p->data, r->stored, f->length);
	else
		p->error = decode_checked(r, f, p->data);
	p->lost = p->error && !plain;
	if (!p->error)
		return;
	p->what = "a frame is damaged";
	memset(p->data, VERIFY_FILL, f->length);
	if (plain)
		memcpy(p->data, r->stored, f->length);
}

static int deliver(struct verify_reader *r, const struct frame *f, bool checked)
{
	struct piece p = {.stream = r->stream,
			  .volume = f->volume,
			  .position = f->position,
			  .stored = f->stored,
			  .length = f->length};
	int err;

	if (f->length == 0 || f->length > FRAME_LIMIT ||
	    f->stored > FRAME_LIMIT || (!checked && f->stored != f->length))
		return REEL_EDAMAGED;
	err = room_for(r, f->stored);
	if (err)
		return err;
	p.data = malloc(f->length);
	if (!p.data)
		return REEL_ENOMEM;
	decode(r, f, checked, &p);
	r->stream += f->length;
	return send(r, &p);
}

static int on_frame(void *context, const struct frame *f)
{
	struct verify_reader *r = context;
	int err = 0;

	if (f->stream != r->stream)
		return REEL_EDAMAGED;
	if (f->volume != r->volume.number)
		err = enter_volume(r, f->volume);
	if (!err)
		err = remember(&r->volume, f);
	return err ? err : deliver(r, f, true);
}

static int rest_of_table(struct verify_reader *r)
{
	struct volume *v = &r->volume;
	int err = 0;

	for (size_t i = 0; i < v->table_count && !err; i++) {
		struct frame f = v->table[i];

		if (f.position < v->end)
			continue;
		f.volume = v->number;
		f.stream = r->stream;
		err = remember(v, &f);
		if (!err)
			err = deliver(r, &f, true);
		if (err == REEL_EDAMAGED)
			return say(r, f.position, REEL_EDAMAGED,
				   "a frame is damaged");
	}
	return err;
}

static int rest_of_file(struct verify_reader *r)
{
	struct volume *v = &r->volume;
	int err = 0;

	while (v->end < v->size && !err) {
		uint64_t left = v->size - v->end;
		struct frame f = {.volume = v->number, .position = v->end};

		f.length = left < FRAME_SIZE ? (uint32_t)left : FRAME_SIZE;
		f.stored = f.length;
		v->end += f.length;
		err = deliver(r, &f, false);
	}
	return err;
}

static int rest_of_volume(struct verify_reader *r)
{
	if (!r->volume.there)
		return 0;
	if (r->set->config.compression == COMPRESSION_NONE)
		return rest_of_file(r);
	return rest_of_table(r);
}

static bool volume_exists(struct verify_reader *r, uint32_t number)
{
	uint64_t size;

	return !medium_size(r->set->medium, number, &size);
}

static int read_session(struct verify_reader *r)
{
	int err = catalog_each_frame(r->catalog, r->session, on_frame, r);
	uint32_t next;

	if (!err && !r->volume.number)
		err = enter_volume(r, r->first_volume);
	if (!err)
		err = rest_of_volume(r);
	next = r->volume.number + 1;
	while (!err && (r->last_volume ? next <= r->last_volume
				       : volume_exists(r, next))) {
		err = enter_volume(r, next++);
		if (!err)
			err = rest_of_volume(r);
	}
	return err ? err : leave_volume(r);
}

static void *reader_main(void *context)
{
	struct verify_reader *r = context;
	int err = read_session(r);

	pthread_mutex_lock(&r->lock);
	r->error = err;
	r->ended = true;
	pthread_cond_broadcast(&r->change);
	pthread_mutex_unlock(&r->lock);
	return NULL;
}

int verify_reader_open(struct set *set, struct catalog *c, uint32_t session,
		       uint32_t first_volume, uint32_t last_volume,
		       struct verify_reader **out)
{
	struct verify_reader *r = calloc(1, sizeof(*r));
	int err;

	if (!r)
		return REEL_ENOMEM;
	r->set = set;
	r->catalog = c;
	r->session = session;
	r->first_volume = first_volume;
	r->last_volume = last_volume;
	err = frame_codec_new(set->config.compression, set->config.level,
			      &r->codec);
	if (err) {
		free(r);
		return err;
	}
	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->change, NULL);
	if (pthread_create(&r->thread, NULL, reader_main, r)) {
		frame_codec_free(r->codec);
		free(r);
		return REEL_ENOMEM;
	}
	*out = r;
	return 0;
}

void verify_reader_close(struct verify_reader *r)
{
	if (!r)
		return;
	pthread_mutex_lock(&r->lock);
	r->closing = true;
	pthread_cond_broadcast(&r->change);
	pthread_mutex_unlock(&r->lock);
	pthread_join(r->thread, NULL);
	for (; r->queued; r->queued--) {
		free(r->queue[r->head].data);
		r->head = (r->head + 1) % QUEUE;
	}
	free(r->volume.frames);
	free(r->volume.table);
	free(r->stored);
	frame_codec_free(r->codec);
	pthread_cond_destroy(&r->change);
	pthread_mutex_destroy(&r->lock);
	free(r);
}

int verify_reader_next(struct verify_reader *r, struct piece *out)
{
	int result;

	pthread_mutex_lock(&r->lock);
	while (!r->queued && !r->ended)
		pthread_cond_wait(&r->change, &r->lock);
	result = r->queued ? 1 : r->error;
	if (r->queued) {
		*out = r->queue[r->head];
		r->head = (r->head + 1) % QUEUE;
		r->queued--;
		pthread_cond_broadcast(&r->change);
	}
	pthread_mutex_unlock(&r->lock);
	return result;
}
