/* Frames and the seek table of the zstd seekable format
 * (contrib/seekable_format/zstd_seekable_compression_format.md, 0.1.0):
 *
 *     frame ... frame  skippable frame {
 *         le32 0x184D2A5E, le32 bytes that follow
 *         { le32 stored, le32 length, le32 checksum } for each frame
 *         le32 number of frames, u8 descriptor, le32 0x8F92EAB1
 *     }
 *
 * Bit 7 of the descriptor says that entries have checksums; bits 2 to 6 must
 * be zero. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>
#include "tape/bytes.h"
#include "tape/digest.h"
#include "tape/error.h"
#include "tape/frame.h"
#include "tape/frame_encoder.h"

#define TABLE_MAGIC	0x184D2A5Eu
#define TABLE_END	0x8F92EAB1u
#define TABLE_CHECKSUMS 0x80
#define TABLE_RESERVED	0x7c
#define SKIPPABLE_MAGIC 0x184D2A50u /* and fifteen more */
#define PACK_LEVEL	3
#define WALK_CHUNK	(1u << 20)
#define WALK_TRIES	64  /* beginnings tried behind a gap */
#define WALK_GAPS	256 /* in one volume */
#define WALK_WINDOW	(320u << 10)

struct seek_head {
	struct le32 magic;
	struct le32 size;
};

struct seek_entry {
	struct le32 stored;
	struct le32 length;
	struct le32 checksum;
};

struct seek_foot {
	struct le32 count;
	uint8_t descriptor;
	struct le32 magic;
};

_Static_assert(sizeof(struct seek_head) == 8, "seek_head");
_Static_assert(sizeof(struct seek_entry) == 12, "seek_entry");
_Static_assert(sizeof(struct seek_foot) == 9, "seek_foot");

struct frame_codec {
	enum compression compression;
	struct frame_encoder encoder;
	ZSTD_DCtx *decompress;
};

/* ---- one frame ---- */

int frame_codec_new(enum compression c, int level, struct frame_codec **out)
{
	struct frame_codec *k = calloc(1, sizeof(*k));

	if (!k)
		return REEL_ENOMEM;
	k->compression = c;
	k->encoder.own.level = level;
	*out = k;
	return 0;
}

void frame_codec_free(struct frame_codec *k)
{
	if (!k)
		return;
	frame_encoder_release(&k->encoder);
	ZSTD_freeDCtx(k->decompress);
	free(k);
}

size_t frame_bound(enum compression c, size_t length)
{
	return c == COMPRESSION_ZSTD ? ZSTD_compressBound(length) : length;
}

int64_t frame_encode(struct frame_codec *k, enum frame_matter matter,
		     const void *from, size_t length, void *to, size_t room)
{
	if (length > FRAME_LIMIT)
		return REEL_ERANGE;
	if (k->compression == COMPRESSION_NONE) {
		if (length > room)
			return REEL_ERANGE;
		memcpy(to, from, length);
		return (int64_t)length;
	}
	return frame_encoder_encode(&k->encoder, matter, from, length, to,
				    room);
}

static int decode_zstd(struct frame_codec *k, const struct frame *f,
		       const void *stored, void *to)
{
	size_t n;

	if (!k->decompress)
		k->decompress = ZSTD_createDCtx();
	if (!k->decompress)
		return REEL_ENOMEM;
	n = ZSTD_decompressDCtx(k->decompress, to, f->length, stored,
				f->stored);
	return ZSTD_isError(n) || n != f->length ? REEL_EDAMAGED : 0;
}

int frame_decode_unproven(struct frame_codec *k, const struct frame *f,
			  const void *stored, void *to)
{
	int error = 0;

	if (f->length > FRAME_LIMIT || f->stored > FRAME_LIMIT)
		return REEL_EDAMAGED;
	if (k->compression == COMPRESSION_ZSTD)
		error = decode_zstd(k, f, stored, to);
	else if (f->stored != f->length)
		error = REEL_EDAMAGED;
	else if (to != stored)
		memcpy(to, stored, f->length);
	return error;
}

int frame_prove(const struct frame *f, const void *plain)
{
	return digest_checksum32(plain, f->length) == f->checksum
		       ? 0
		       : REEL_EDAMAGED;
}

int frame_decode(struct frame_codec *k, const struct frame *f,
		 const void *stored, void *to)
{
	int error = frame_decode_unproven(k, f, stored, to);

	return error ? error : frame_prove(f, to);
}

/* ---- small blobs ---- */

int frame_pack_by(struct frame_codec *k, const void *data, size_t length,
		  struct buffer *out)
{
	size_t bound = ZSTD_compressBound(length);
	int64_t n;
	int error;

	if (ZSTD_isError(bound))
		return REEL_ERANGE;
	error = buffer_reserve(out, bound);
	if (error)
		return error;
	n = frame_encoder_encode(&k->encoder, FRAME_MIXED, data, length,
				 out->data + out->length, bound);
	if (n < 0)
		return REEL_ENOMEM;
	out->length += (size_t)n;
	return 0;
}

int frame_pack(const void *data, size_t length, int level, struct buffer *out)
{
	struct frame_codec *k;
	int error = frame_codec_new(COMPRESSION_ZSTD,
				    level ? level : PACK_LEVEL, &k);

	if (error)
		return error;
	error = frame_pack_by(k, data, length, out);
	frame_codec_free(k);
	return error;
}

int frame_unpack(const void *data, size_t length, uint64_t limit,
		 struct buffer *out)
{
	unsigned long long size = ZSTD_getFrameContentSize(data, length);
	size_t n;
	int error;

	if (size == ZSTD_CONTENTSIZE_ERROR || size == ZSTD_CONTENTSIZE_UNKNOWN)
		return REEL_EDAMAGED;
	if (size > limit || size > SIZE_MAX / 4)
		return REEL_ERANGE;
	error = buffer_reserve(out, (size_t)size + 1);
	if (error)
		return error;
	n = ZSTD_decompress(out->data + out->length, (size_t)size, data,
			    length);
	if (ZSTD_isError(n) || n != size)
		return REEL_EDAMAGED;
	out->length += n;
	return 0;
}

/* ---- frames as they lie on a volume ---- */

int frame_pad(uint64_t bytes, struct buffer *out)
{
	size_t pad = (size_t)(-bytes % FRAME_PAD_UNIT);
	struct seek_head head = {.magic = le32_make(SKIPPABLE_MAGIC)};
	int error;

	if (!pad)
		return 0;
	if (pad < sizeof(head))
		pad += FRAME_PAD_UNIT;
	head.size = le32_make((uint32_t)(pad - sizeof(head)));
	error = buffer_append(out, &head, sizeof(head));
	return error ? error : buffer_append_zeros(out, pad - sizeof(head));
}

size_t frame_whole(const void *data, size_t length)
{
	const uint8_t *at = data;
	size_t done = 0;

	while (done < length) {
		size_t n =
			ZSTD_findFrameCompressedSize(at + done, length - done);

		if (ZSTD_isError(n) || !n || n > length - done)
			break;
		done += n;
	}
	return done;
}

/* ---- the seek table ---- */

int seek_table_encode(const struct frame *frames, size_t count,
		      struct buffer *out)
{
	size_t size =
		count * sizeof(struct seek_entry) + sizeof(struct seek_foot);
	struct seek_head head = {le32_make(TABLE_MAGIC),
				 le32_make((uint32_t)size)};
	struct seek_foot foot = {le32_make((uint32_t)count), TABLE_CHECKSUMS,
				 le32_make(TABLE_END)};
	int error;

	if (count > FRAME_COUNT_LIMIT)
		return REEL_ERANGE;
	error = buffer_reserve(out, sizeof(head) + size);
	if (error)
		return error;
	buffer_append(out, &head, sizeof(head));
	for (size_t i = 0; i < count; i++) {
		struct seek_entry e = {le32_make(frames[i].stored),
				       le32_make(frames[i].length),
				       le32_make(frames[i].checksum)};

		buffer_append(out, &e, sizeof(e));
	}
	return buffer_append(out, &foot, sizeof(foot));
}

uint64_t seek_table_length(const uint8_t foot[SEEK_TABLE_FOOT])
{
	struct seek_foot f;

	_Static_assert(sizeof(f) == SEEK_TABLE_FOOT, "its size");
	memcpy(&f, foot, sizeof(f));
	if (le32_get(f.magic) != TABLE_END || f.descriptor != TABLE_CHECKSUMS)
		return 0;
	return sizeof(struct seek_head) + sizeof(f) +
	       (uint64_t)le32_get(f.count) * sizeof(struct seek_entry);
}

bool seek_table_ends_with(const void *data, size_t length,
			  const struct frame *frames, size_t count)
{
	const uint8_t *table = data;
	const size_t ends = sizeof(struct seek_head) + sizeof(struct seek_foot);
	const size_t entries = count * sizeof(struct seek_entry);
	struct buffer want = {0};
	struct seek_head head;
	struct seek_foot foot;
	bool good;

	if (length < ends || length - ends < entries ||
	    seek_table_encode(frames, count, &want))
		return false;
	memcpy(&head, table, sizeof(head));
	memcpy(&foot, table + length - sizeof(foot), sizeof(foot));
	good = le32_get(head.magic) == TABLE_MAGIC &&
	       le32_get(head.size) == length - sizeof(head) &&
	       le32_get(foot.magic) == TABLE_END &&
	       foot.descriptor == TABLE_CHECKSUMS &&
	       le32_get(foot.count) ==
		       (length - ends) / sizeof(struct seek_entry) &&
	       !memcmp(table + length - sizeof(foot) - entries,
		       want.data + sizeof(head), entries);
	buffer_release(&want);
	return good;
}

/* Exactly `length` bytes, which the volume's size says are there. */
static int read_whole(const struct frame_source *s, void *to, size_t length,
		      uint64_t at)
{
	int64_t n = s->read(s->context, at, to, length);

	if (n < 0)
		return (int)n;
	return (size_t)n == length ? 0 : REEL_EDAMAGED;
}

static int table_frames(const uint8_t *table, size_t count, uint64_t end,
			struct frame **frames)
{
	struct frame *list = calloc(count ? count : 1, sizeof(*list));
	uint64_t stream = 0, position = 0;

	if (!list)
		return REEL_ENOMEM;
	for (size_t i = 0; i < count; i++) {
		struct seek_entry e;

		memcpy(&e, table + i * sizeof(e), sizeof(e));
		list[i] = (struct frame){.stream = stream,
					 .position = position,
					 .stored = le32_get(e.stored),
					 .length = le32_get(e.length),
					 .checksum = le32_get(e.checksum)};
		if (list[i].stored == 0 || list[i].stored > FRAME_LIMIT ||
		    list[i].length > FRAME_LIMIT)
			break;
		stream += list[i].length;
		position += list[i].stored;
		if (i + 1 == count && position == end) {
			*frames = list;
			return 0;
		}
	}
	free(list);
	return REEL_EDAMAGED;
}

/* The table at the end; REEL_EDAMAGED when it is not there or not sound. A
 * table without checksums is none of ours and counts as damaged. */
static int table_read(const struct frame_source *s, struct frame **frames,
		      size_t *count)
{
	struct seek_foot foot;
	struct seek_head head;
	uint64_t length, n, size = s->size;
	uint8_t *table;
	int error;

	if (size < sizeof(head) + sizeof(foot))
		return REEL_EDAMAGED;
	error = read_whole(s, &foot, sizeof(foot), size - sizeof(foot));
	if (error)
		return error;
	n = le32_get(foot.count);
	length = n * sizeof(struct seek_entry) + sizeof(foot);
	if (le32_get(foot.magic) != TABLE_END ||
	    !(foot.descriptor & TABLE_CHECKSUMS) ||
	    foot.descriptor & TABLE_RESERVED || n == 0 ||
	    n > FRAME_COUNT_LIMIT || length + sizeof(head) > size)
		return REEL_EDAMAGED;
	error = read_whole(s, &head, sizeof(head),
			   size - length - sizeof(head));
	if (error)
		return error;
	if (le32_get(head.magic) != TABLE_MAGIC ||
	    le32_get(head.size) != length)
		return REEL_EDAMAGED;
	table = malloc(length);
	if (!table)
		return REEL_ENOMEM;
	error = read_whole(s, table, length, size - length);
	if (!error)
		error = table_frames(table, n, size - length - sizeof(head),
				     frames);
	if (!error)
		*count = n;
	free(table);
	return error;
}

/* ---- walking a volume whose table is damaged ---- */

struct walk_state {
	const struct frame_source *source;
	uint64_t size;
	uint64_t at;
	uint64_t stream;
	struct frame_codec *codec;
	uint8_t *window; /* bytes of the file from `base` on */
	uint64_t base;
	size_t filled;
	size_t room;
	uint8_t *plain; /* FRAME_LIMIT */
	unsigned gaps;
	struct buffer frames;
};

/* The bytes at w->at: `want` of them, or what there is. */
static int window_get(struct walk_state *w, size_t want, const uint8_t **data,
		      size_t *length)
{
	uint64_t end = w->base + w->filled;
	size_t have = end > w->at ? (size_t)(end - w->at) : 0;
	int64_t n;

	if (want > w->size - w->at)
		want = (size_t)(w->size - w->at);
	if (have < want) {
		size_t chunk = want > WALK_CHUNK ? want : WALK_CHUNK;

		if (chunk > w->room) {
			free(w->window);
			w->room = 0;
			w->filled = 0;
			w->window = malloc(chunk);
			if (!w->window)
				return REEL_ENOMEM;
			w->room = chunk;
		}
		n = w->source->read(w->source->context, w->at, w->window,
				    chunk);
		if (n < 0)
			return (int)n;
		w->base = w->at;
		w->filled = (size_t)n;
		have = w->filled;
	}
	*data = w->window + (w->at - w->base);
	*length = have;
	return 0;
}

static int walk_note(struct walk_state *w, struct frame *f)
{
	if (w->frames.length / sizeof(*f) >= FRAME_COUNT_LIMIT)
		return REEL_EDAMAGED;
	f->stream = w->stream;
	f->position = w->at;
	w->at += f->stored;
	w->stream += f->length;
	return buffer_append(&w->frames, f, sizeof(*f));
}

/* A frame that does not decode stays in the list, so that those behind it have
 * their place; its checksum is then wrong as well. */
static int walk_note_damaged(struct walk_state *w, size_t stored,
			     uint64_t length)
{
	struct frame f = {.stored = (uint32_t)stored,
			  .length = (uint32_t)length};

	f.checksum = ~digest_checksum32(w->plain, f.length);
	return walk_note(w, &f);
}

/* Where the next frame begins that decodes; 0 when there is none near. */
static size_t next_start(struct walk_state *w, const uint8_t *data,
			 size_t length)
{
	const struct le32 magic = le32_make(ZSTD_MAGICNUMBER);
	const uint8_t *at = data + 1;

	for (int tries = 0; tries < WALK_TRIES; tries++, at++) {
		size_t left = length - (size_t)(at - data);
		struct frame f = {0};
		size_t stored;

		at = memmem(at, left, &magic, sizeof(magic));
		if (!at)
			return 0;
		left = length - (size_t)(at - data);
		stored = ZSTD_findFrameCompressedSize(at, left);
		if (ZSTD_isError(stored) || stored > FRAME_LIMIT)
			continue;
		f.stored = (uint32_t)stored;
		f.length = FRAME_SIZE;
		if (ZSTD_getFrameContentSize(at, left) < FRAME_SIZE)
			f.length = (uint32_t)ZSTD_getFrameContentSize(at, left);
		if (!decode_zstd(w->codec, &f, at, w->plain))
			return (size_t)(at - data);
	}
	return 0;
}

/* Passes a damaged place up to the next frame: 1, or 0 when there is none. It
 * counts as one frame, of the length that its header says or else of the usual
 * one. `stored`: what the place seems to take, 0 when it is no frame at all. */
static int walk_gap(struct walk_state *w, size_t stored)
{
	unsigned long long size;
	const uint8_t *data;
	size_t length, gap = 0;
	int error = window_get(w, WALK_CHUNK, &data, &length);

	if (error)
		return error;
	/* A damaged frame may seem to reach far into those behind it. */
	if (length > 1 && w->gaps++ < WALK_GAPS)
		gap = next_start(w, data, length);
	if (!gap)
		gap = stored;
	if (!gap)
		return 0;
	size = ZSTD_getFrameContentSize(data, length);
	error = walk_note_damaged(w, gap,
				  size <= FRAME_LIMIT ? size : FRAME_SIZE);
	return error ? error : 1;
}

/* 1, or an error. */
static int walk_frame(struct walk_state *w, const uint8_t *data, size_t stored)
{
	unsigned long long size = ZSTD_getFrameContentSize(data, stored);
	struct frame f = {.stored = (uint32_t)stored, .length = (uint32_t)size};
	int error;

	if (stored > FRAME_LIMIT || size > FRAME_LIMIT)
		return walk_gap(w, 0);
	error = decode_zstd(w->codec, &f, data, w->plain);
	if (error == REEL_EDAMAGED)
		return walk_gap(w, stored);
	if (error)
		return error;
	f.checksum = digest_checksum32(w->plain, f.length);
	error = walk_note(w, &f);
	return error ? error : 1;
}

/* 1 when something was passed, 0 at the end or where nothing follows that is
 * a frame. */
static int walk_step(struct walk_state *w)
{
	const uint8_t *data;
	struct seek_head head;
	size_t stored, length = 0;
	int error;

	if (w->at >= w->size)
		return 0;
	error = window_get(w, WALK_WINDOW, &data, &length);
	if (error || length == 0)
		return error;
	if (length >= sizeof(head)) {
		memcpy(&head, data, sizeof(head));
		if ((le32_get(head.magic) & ~15u) == SKIPPABLE_MAGIC) {
			w->at += sizeof(head) + (uint64_t)le32_get(head.size);
			return 1;
		}
	}
	stored = ZSTD_findFrameCompressedSize(data, length);
	if (ZSTD_isError(stored) && w->size - w->at > length) {
		error = window_get(w, FRAME_LIMIT, &data, &length);
		if (error)
			return error;
		stored = ZSTD_findFrameCompressedSize(data, length);
	}
	if (ZSTD_isError(stored))
		return walk_gap(w, 0);
	return walk_frame(w, data, stored);
}

static int walk(const struct frame_source *s, struct frame **frames,
		size_t *count)
{
	struct walk_state w = {.source = s, .size = s->size};
	int error = frame_codec_new(COMPRESSION_ZSTD, PACK_LEVEL, &w.codec);
	int step = 1;

	w.plain = error ? NULL : calloc(1, FRAME_LIMIT);
	if (!w.plain) {
		error = REEL_ENOMEM;
		goto out;
	}
	while (step > 0)
		step = walk_step(&w);
	error = step;
	if (!error && w.frames.length == 0)
		error = REEL_EDAMAGED;
	if (error)
		goto out;
	*frames = (struct frame *)(void *)w.frames.data;
	*count = w.frames.length / sizeof(**frames);
	w.frames = (struct buffer){0};
out:
	buffer_release(&w.frames);
	frame_codec_free(w.codec);
	free(w.window);
	free(w.plain);
	return error;
}

int seek_table_read(const struct frame_source *s, struct frame **frames,
		    size_t *count, bool *rebuilt)
{
	int error = table_read(s, frames, count);

	if (error != REEL_EDAMAGED) {
		*rebuilt = false;
		return error;
	}
	error = walk(s, frames, count);
	if (!error)
		*rebuilt = true;
	return error;
}

int seek_table_find(const struct frame_source *s, struct frame **frames,
		    size_t *count)
{
	return table_read(s, frames, count);
}
