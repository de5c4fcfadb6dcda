/* Contents that lie whole in an uncompressed frame whose checksum fails: a
 * byte of the frame is wrong, but the content's digest tells that it is none
 * of the content's. Slow; for use after REEL_EDAMAGED. One thread. */
#ifndef REEL_FS_SALVAGE_H
#define REEL_FS_SALVAGE_H

#include "catalog/set.h"
#include "catalog/tree.h"

struct salvage;

int salvage_open(struct set *set, struct salvage **out);
void salvage_close(struct salvage *s);
/* 0 when the stored bytes have the content's digest; REEL_EDAMAGED. */
int salvage_check(struct salvage *s, const struct content_row *content);
/* Stored bytes [from, from + length) of a content, unchecked. */
int salvage_read(struct salvage *s, const struct content_row *content,
		 uint64_t from, void *to, size_t length);
/* Bytes [offset, +length) of a file with this content (holes are zeros), when
 * salvage_check holds; within its size. */
int salvage_bytes(struct set *set, const struct content_row *content,
		  uint64_t offset, void *to, size_t length);

#endif
