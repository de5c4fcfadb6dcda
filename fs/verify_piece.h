/* Inside verify_cartridge: volumes of one session that follow each other on a
 * cartridge, read as a stream. */
#ifndef REEL_FS_VERIFY_PIECE_H
#define REEL_FS_VERIFY_PIECE_H

#include "fs/verify_cartridge.h"
#include "tape/medium.h"

struct verify_piece {
	struct medium *medium;
	const struct verify_options *options;
	const char *cartridge;
	const struct place *places; /* of one session, one behind the other */
	size_t count;
	bool begins; /* the session begins with the first of them */
	struct verify_cartridge_result *result;
	struct verify_progress *progress;
};

/* Says what is damaged; 0, or an error that ends it. */
int verify_piece(const struct verify_piece *p);
/* One damaged place at byte `offset` of a volume. */
void verify_piece_say(const struct verify_piece *p, const struct place *at,
		      uint64_t offset, const char *what);

#endif
