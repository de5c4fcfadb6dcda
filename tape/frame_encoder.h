/* One thread's compressor of frames. */
#ifndef REEL_TAPE_FRAME_ENCODER_H
#define REEL_TAPE_FRAME_ENCODER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "tape/frame.h"

/* 0: the level's own. */
struct frame_effort {
	int level, search_log, hash_log, chain_log;
	bool chains; /* no rows */
	bool apart;  /* noise has blocks of its own */
};

struct frame_encoder {
	struct frame_effort own;	   /* level 0: what pays */
	struct ZSTD_CCtx_s *compress;	   /* made at first use */
	const struct frame_effort *effort; /* that it is set to */
	unsigned turn;			   /* of mixed frames */
	bool slight; /* searching would gain next to nothing */
};

void frame_encoder_release(struct frame_encoder *k);
/* One zstd frame with its size: bytes written to `to`, or an error. */
int64_t frame_encoder_encode(struct frame_encoder *k, enum frame_matter matter,
			     const void *from, size_t length, void *to,
			     size_t room);

#endif
