/* Inside verify: a thread that reads and decodes one session's frames, ahead
 * of the check, in stream order, without gaps. */
#ifndef REEL_FS_VERIFY_READER_H
#define REEL_FS_VERIFY_READER_H

#include <stdbool.h>
#include <stdint.h>
#include "catalog/catalog.h"

/* Bytes [stream, stream + length) of the session. What cannot be decoded is
 * filled with VERIFY_FILL, which is no header of any member. */
struct piece {
	uint64_t stream;
	uint32_t volume;
	uint64_t position; /* in the volume, bytes */
	uint32_t stored;
	uint32_t length; /* 0: only says something about the volume */
	int error;	 /* 0, REEL_EDAMAGED, REEL_EMEDIUM, REEL_EIO */
	bool lost;	 /* `data` is fill, not what was read */
	const char *what;
	uint8_t *data; /* heap */
};

#define VERIFY_FILL 0xff

struct verify_reader;

/* `c` is used by the reader's thread alone until it is closed. last_volume 0:
 * the newest session's, whatever volumes are there. */
int verify_reader_open(struct set *set, struct catalog *c, uint32_t session,
		       uint32_t first_volume, uint32_t last_volume,
		       struct verify_reader **out);
void verify_reader_close(struct verify_reader *r);
/* 1 and *out (the caller frees data), 0 at the end, or an error. */
int verify_reader_next(struct verify_reader *r, struct piece *out);

#endif
