/* A session is one stream of bytes, stored as a row of frames. With zstd each
 * frame is an independent zstd frame, and each volume ends with the seek table
 * of the zstd seekable format (contrib/seekable_format, version 0.1.0); with
 * compression `none` a frame is just that many bytes of the stream. Either
 * way any byte is one frame away and each frame has a checksum.
 * With frame_encoder.c and frame_reader.c the only part of the house that sees
 * zstd. */
#ifndef REEL_TAPE_FRAME_H
#define REEL_TAPE_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "tape/buffer.h"

#define FRAME_SIZE	  (256u << 10) /* stream bytes in a frame we write */
#define FRAME_LIMIT	  (16u << 20)  /* largest that we read, either side */
#define FRAME_COUNT_LIMIT (1u << 27)   /* frames in one volume */

enum compression {
	COMPRESSION_NONE,
	COMPRESSION_ZSTD,
};

struct frame {
	uint64_t stream;   /* offset in the session's stream, bytes */
	uint64_t position; /* offset in the volume file, bytes */
	uint32_t volume;   /* number of the volume */
	uint32_t stored;   /* bytes on the volume */
	uint32_t length;   /* bytes in the stream */
	uint32_t checksum; /* digest_checksum32 of the stream's bytes */
};

/* What a frame holds, as far as it decides the effort of level 0. */
enum frame_matter {
	FRAME_MIXED, /* members, small contents */
	FRAME_LARGE, /* the midst of one large content */
};

struct frame_codec; /* one thread's compressor and decompressor */

/* `level` is zstd's, for every frame; 0: what pays for each matter. */
int frame_codec_new(enum compression c, int level, struct frame_codec **out);
void frame_codec_free(struct frame_codec *k);
size_t frame_bound(enum compression c, size_t length);
/* Bytes written to `to`, or an error. */
int64_t frame_encode(struct frame_codec *k, enum frame_matter matter,
		     const void *from, size_t length, void *to, size_t room);
/* Decodes one stored frame into `to` (f->length bytes), checks length and
 * checksum: 0 or REEL_EDAMAGED. */
int frame_decode(struct frame_codec *k, const struct frame *f,
		 const void *stored, void *to);
/* Its two halves: the second is left out where the bytes are compared to what
 * they should be anyway. */
int frame_decode_unproven(struct frame_codec *k, const struct frame *f,
			  const void *stored, void *to);
int frame_prove(const struct frame *f, const void *plain);

/* Whole small blobs (index, lists): one zstd frame, level 3 or `level`. */
int frame_pack(const void *data, size_t length, int level, struct buffer *out);
/* The same at the codec's level, for several one after the other. */
int frame_pack_by(struct frame_codec *k, const void *data, size_t length,
		  struct buffer *out);
/* Undoes frame_pack; refuses results beyond `limit` bytes. */
int frame_unpack(const void *data, size_t length, uint64_t limit,
		 struct buffer *out);

/* Appends a skippable frame that makes `bytes` and itself a multiple of
 * FRAME_PAD_UNIT, unless they are one. */
#define FRAME_PAD_UNIT 512
int frame_pad(uint64_t bytes, struct buffer *out);
/* How many bytes at the beginning are whole frames of zstd, skippable ones
 * too. Hostile input. */
size_t frame_whole(const void *data, size_t length);
/* The seek table as it stands at the end of a volume. */
int seek_table_encode(const struct frame *frames, size_t count,
		      struct buffer *out);
/* Bytes of the table that ends with these SEEK_TABLE_FOOT bytes; 0: they end
 * none. */
#define SEEK_TABLE_FOOT 9
uint64_t seek_table_length(const uint8_t foot[SEEK_TABLE_FOOT]);
/* Whether bytes are a whole seek table whose last entries are these. Hostile
 * input. */
bool seek_table_ends_with(const void *data, size_t length,
			  const struct frame *frames, size_t count);
/* A volume's bytes: bytes read, fewer only at its end, or an error. */
struct frame_source {
	int64_t (*read)(void *context, uint64_t at, void *to, size_t length);
	void *context;
	uint64_t size;
};

/* Reads the table at the end of a volume; *frames (heap) get
 * position, stored, length, checksum and stream offsets counted from 0. A
 * table that is damaged, missing or without checksums is rebuilt by walking
 * the frames, where a place that is none counts as one damaged frame (with
 * the usual length when its header is damaged): *rebuilt says so.
 * REEL_EDAMAGED when not one frame is found. For zstd volumes only. */
int seek_table_read(const struct frame_source *s, struct frame **frames,
		    size_t *count, bool *rebuilt);
/* The table alone: REEL_EDAMAGED also where there is none. */
int seek_table_find(const struct frame_source *s, struct frame **frames,
		    size_t *count);

#endif
