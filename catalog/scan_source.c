#include <stdlib.h>
#include <string.h>
#include "catalog/scan_state.h"
#include "tape/error.h"
#include "tape/log.h"

#define FILL 0xff

static int add(struct scan_source *s, const struct frame *f)
{
	if (s->count == s->room) {
		size_t room = s->room ? 2 * s->room : 1024;
		struct frame *more = realloc(s->frames, room * sizeof(*more));

		if (!more)
			return REEL_ENOMEM;
		s->frames = more;
		s->room = room;
	}
	s->frames[s->count] = *f;
	s->frames[s->count].stream =
		s->count ? s->frames[s->count - 1].stream +
				   s->frames[s->count - 1].length
			 : 0;
	s->count++;
	return 0;
}

static int say_missing(const struct scan_source *s, uint32_t number)
{
	struct medium *m = s->set->medium;
	char name[MEDIUM_NAME];

	if (m->tape)
		return REEL_EMEDIUM;
	medium_name(m, number, 0, name);
	log_error("volume %s is missing", name);
	return REEL_EMEDIUM;
}

static int add_plain(struct scan_source *s, uint32_t number)
{
	uint64_t size;
	int err = medium_size(s->set->medium, number, &size);

	for (uint64_t at = 0; !err && at < size;) {
		uint64_t left = size - at;
		struct frame f = {.volume = number, .position = at};

		f.length = left < FRAME_SIZE ? (uint32_t)left : FRAME_SIZE;
		f.stored = f.length;
		err = add(s, &f);
		at += f.length;
	}
	return err;
}

static int add_volume(struct scan_source *s, uint32_t number)
{
	struct frame *frames = NULL;
	size_t count = 0;
	bool rebuilt;
	int err;

	if (s->set->config.compression == COMPRESSION_NONE)
		err = add_plain(s, number);
	else
		err = medium_seek_table(s->set->medium, number, &frames, &count,
					&rebuilt);
	if (err == REEL_EMEDIUM)
		return say_missing(s, number);
	for (size_t i = 0; i < count && !err; i++) {
		frames[i].volume = number;
		if (frames[i].length == 0)
			continue;
		if (frames[i].length > FRAME_LIMIT ||
		    frames[i].stored > FRAME_LIMIT)
			err = REEL_EDAMAGED;
		else
			err = add(s, &frames[i]);
	}
	free(frames);
	return err;
}

int scan_source_open(struct scan_source *s, struct set *set,
		     uint32_t first_volume, uint32_t last_volume)
{
	int err;

	memset(s, 0, sizeof(*s));
	s->set = set;
	s->first_volume = first_volume;
	s->last_volume = last_volume;
	err = frame_codec_new(set->config.compression, set->config.level,
			      &s->codec);
	for (uint32_t v = first_volume; v <= last_volume && !err; v++)
		err = add_volume(s, v);
	return err;
}

void scan_source_close(struct scan_source *s)
{
	frame_codec_free(s->codec);
	free(s->frames);
	free(s->stored);
	free(s->data);
	memset(s, 0, sizeof(*s));
}

int scan_source_split(struct scan_source *s, uint64_t at)
{
	size_t n = 0;
	struct frame rest;
	int err;

	while (n < s->count && s->frames[n].stream + s->frames[n].length <= at)
		n++;
	if (n == s->count || s->frames[n].stream >= at ||
	    s->set->config.compression != COMPRESSION_NONE)
		return 0;
	rest = s->frames[n];
	err = add(s, &rest); /* room for one more */
	if (err)
		return err;
	memmove(s->frames + n + 1, s->frames + n,
		(s->count - 1 - n) * sizeof(*s->frames));
	uint32_t into = (uint32_t)(at - rest.stream);
	s->frames[n].length = s->frames[n].stored = into;
	s->frames[n + 1].stream += into;
	s->frames[n + 1].position += into;
	s->frames[n + 1].length -= into;
	s->frames[n + 1].stored -= into;
	return 0;
}

void scan_source_rewind(struct scan_source *s)
{
	s->next = 0;
	s->at = 0;
	s->length = 0;
	s->damaged = 0;
}

static int room_for(uint8_t **data, size_t *room, size_t length)
{
	uint8_t *more;

	if (length <= *room)
		return 0;
	more = realloc(*data, length);
	if (!more)
		return REEL_ENOMEM;
	*data = more;
	*room = length;
	return 0;
}

/* A bad frame is filled with what is no header of any member. */
static int next_frame(struct scan_source *s)
{
	struct frame *f = &s->frames[s->next];
	bool plain = s->set->config.compression == COMPRESSION_NONE;
	int err = room_for(&s->stored, &s->stored_room, f->stored);

	if (!err)
		err = room_for(&s->data, &s->data_room, f->length);
	if (err)
		return err;
	err = plain ? medium_read_all(s->set->medium, f->volume, f->position,
				      s->stored, f->stored, NULL)
		    : medium_frame(s->set->medium, s->codec, f, s->stored,
				   s->data, NULL);
	if (err == REEL_EMEDIUM)
		return say_missing(s, f->volume);
	if (!err && plain) {
		memcpy(s->data, s->stored, f->length);
		f->checksum = digest_checksum32(s->data, f->length);
	}
	if (err) {
		memset(s->data, FILL, f->length);
		s->damaged++;
	}
	s->next++;
	s->at = 0;
	s->length = f->length;
	return 0;
}

int64_t scan_source_read(void *context, void *to, size_t length)
{
	struct scan_source *s = context;
	size_t done = 0;

	while (done < length) {
		size_t n = s->length - s->at;

		if (n == 0) {
			int err;

			if (s->next == s->count)
				break;
			err = next_frame(s);
			if (err)
				return err;
			continue;
		}
		if (n > length - done)
			n = length - done;
		memcpy((uint8_t *)to + done, s->data + s->at, n);
		s->at += n;
		done += n;
	}
	return (int64_t)done;
}
