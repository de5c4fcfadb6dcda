/* What stands at an offset of an image: for tap.c, which knows the places. */
#ifndef REEL_TAPE_TAP_ITEM_H
#define REEL_TAPE_TAP_ITEM_H

#include "tape/tap.h"

#define TAP_WORD	    4u
#define TAP_MARK_WORD	    0x00000000u
#define TAP_SETMARK_WORD    0x70000001u
#define TAP_GAP_WORD	    0xfffffffeu
#define TAP_MEDIUM_END_WORD 0xffffffffu
#define TAP_UNIT	    512 /* what labels and tar give blocks a multiple of */

struct tap_item {
	enum tap_object what;
	bool skipped; /* a gap or of a class that is not read */
	bool torn;    /* with TAP_END: bytes of a block follow */
	bool mended;  /* T5 */
	uint32_t length;
	uint64_t next; /* offset behind it */
};

static inline uint32_t tap_class(uint32_t word)
{
	return word >> 28;
}

static inline uint32_t tap_length(uint32_t word)
{
	return word & 0x0fffffffu;
}

/* Learns from blocks of odd length whether they are padded. */
int tap_look(struct tap *t, uint64_t offset, struct tap_item *i);
/* Bytes read, fewer at the end of the file. */
int tap_read_at(int fd, void *to, size_t length, uint64_t offset, size_t *got);
int tap_word_at(const struct tap *t, uint64_t offset, uint32_t *word,
		bool *there);

#endif
