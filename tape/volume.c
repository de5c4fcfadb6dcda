#include "tape/volume.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tape/error.h"
#include "tape/log.h"
#include "tape/stream.h"

#define NAME_ROOM    32
#define PARTIAL	     ".partial"
#define DIGITS	     6
#define DIGITS_LIMIT 10
#define FRAMES_ROOM  1024

/* ---- names ---- */

void volume_name(uint32_t volume, enum compression c, char *name)
{
	snprintf(name, NAME_ROOM, "%06u.tar%s", (unsigned)volume,
		 c == COMPRESSION_ZSTD ? ".zst" : "");
}

int volume_parse_name(const char *name, uint32_t *volume, enum compression *c,
		      bool *partial)
{
	enum compression compression = COMPRESSION_NONE;
	uint64_t number = 0;
	size_t digits = 0;
	bool unfinished;

	while (name[digits] >= '0' && name[digits] <= '9' &&
	       digits < DIGITS_LIMIT)
		number = number * 10 + (uint64_t)(name[digits++] - '0');
	if (digits < DIGITS || (digits > DIGITS && name[0] == '0') ||
	    number > UINT32_MAX || strncmp(name + digits, ".tar", 4) != 0)
		return REEL_EINVAL;
	name += digits + 4;
	if (!strncmp(name, ".zst", 4)) {
		compression = COMPRESSION_ZSTD;
		name += 4;
	}
	unfinished = !strcmp(name, PARTIAL);
	if (*name && !unfinished)
		return REEL_EINVAL;
	*volume = (uint32_t)number;
	*c = compression;
	*partial = unfinished;
	return 0;
}

/* ---- lifecycle ---- */

int volumes_init(struct volumes *v, const struct volumes_ops *ops,
		 enum compression c, uint32_t first)
{
	v->ops = ops;
	v->compression = c;
	v->first = first;
	v->present = first;
	return pthread_mutex_init(&v->lock, NULL) ? REEL_ENOMEM : 0;
}

static void back_release(struct volume_back *b)
{
	frame_codec_free(b->codec);
	free(b->stored);
	for (size_t i = 0; i < VOLUME_BACK; i++)
		free(b->plain[i]);
}

void volumes_release(struct volumes *v)
{
	back_release(&v->back);
	free(v->frames);
	pthread_mutex_destroy(&v->lock);
}

/* ---- frames ---- */

int volumes_note(struct volumes *v, const struct frame *f)
{
	size_t room = v->frame_room ? 2 * v->frame_room : FRAMES_ROOM;

	if (v->frame_count == v->frame_room) {
		struct frame *more = realloc(v->frames, room * sizeof(*more));

		if (!more)
			return REEL_ENOMEM;
		v->frames = more;
		v->frame_room = room;
	}
	v->frames[v->frame_count++] = *f;
	return 0;
}

uint64_t volumes_table_size(const struct volumes *v, size_t count)
{
	if (v->compression == COMPRESSION_NONE)
		return 0;
	return 8 + 12 * (uint64_t)count + 9;
}

void volumes_find(struct volumes *v, uint64_t offset, struct frame *out)
{
	size_t low = 0, high;

	pthread_mutex_lock(&v->lock);
	high = v->frame_count;
	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;

		if (v->frames[middle].stream <= offset)
			low = middle;
		else
			high = middle;
	}
	*out = v->frames[low];
	pthread_mutex_unlock(&v->lock);
}

/* ---- reading back ---- */

static int room_for(uint8_t **data, size_t *room, size_t want)
{
	uint8_t *more;

	if (want <= *room)
		return 0;
	more = realloc(*data, want);
	if (!more)
		return REEL_ENOMEM;
	*data = more;
	*room = want;
	return 0;
}

static int back_load(struct volumes *v, const struct frame *f, unsigned i)
{
	struct volume_back *b = &v->back;
	int error = 0;

	if (!b->codec)
		error = frame_codec_new(v->compression, 0, &b->codec);
	if (!error)
		error = room_for(&b->stored, &b->stored_room, f->stored);
	if (!error)
		error = room_for(&b->plain[i], &b->room[i], f->length);
	if (error)
		return error;
	error = v->ops->read(v, f->volume, f->position, b->stored, f->stored);
	if (!error)
		error = frame_decode_unproven(b->codec, f, b->stored,
					      b->plain[i]);
	b->proven[i] = false;
	return error;
}

static int back_failed(struct volumes *v, const struct frame *f, int error)
{
	char name[NAME_ROOM];

	volume_name(f->volume, v->compression, name);
	log_error("volume %s, byte %llu, cannot be read back: %s", name,
		  (unsigned long long)f->position, error_text(error));
	return error;
}

int volumes_frame(struct volumes *v, const struct frame *f, bool prove,
		  const uint8_t **plain)
{
	struct volume_back *b = &v->back;
	unsigned i = b->latest, oldest = 0;
	int error;

	if (b->streams[i] != f->stream + 1) {
		for (i = 0; i < VOLUME_BACK; i++) {
			if (b->streams[i] == f->stream + 1)
				break;
			if (b->used[i] < b->used[oldest])
				oldest = i;
		}
	}
	if (i == VOLUME_BACK) {
		i = oldest;
		b->streams[i] = 0;
		error = back_load(v, f, i);
		if (error)
			return back_failed(v, f, error);
		b->streams[i] = f->stream + 1;
	}
	if (prove && !b->proven[i]) {
		error = frame_prove(f, b->plain[i]);
		if (error)
			return back_failed(v, f, error);
		b->proven[i] = true;
	}
	b->used[i] = ++b->clock;
	b->latest = i;
	*plain = b->plain[i];
	return 0;
}
