#include "tape/tap_item.h"

#include <errno.h>
#include <unistd.h>
#include "tape/bytes.h"
#include "tape/error.h"

#define MARKS_BETWEEN 4

/* ---- reading words ---- */

int tap_read_at(int fd, void *to, size_t length, uint64_t offset, size_t *got)
{
	*got = 0;
	while (*got < length) {
		ssize_t n = pread(fd, (uint8_t *)to + *got, length - *got,
				  (off_t)(offset + *got));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return REEL_EIO;
		if (!n)
			break;
		*got += (size_t)n;
	}
	return 0;
}

int tap_word_at(const struct tap *t, uint64_t offset, uint32_t *word,
		bool *there)
{
	struct le32 raw;
	size_t got;
	int error = tap_read_at(t->fd, &raw, sizeof(raw), offset, &got);

	*there = !error && got == sizeof(raw);
	if (*there)
		*word = le32_get(raw);
	return error;
}

uint64_t tap_footprint(const struct tap *t, uint32_t length)
{
	return 2ull * TAP_WORD + length + (t->unpadded ? 0 : length & 1);
}

/* ---- one item ---- */

static int trailer_is(const struct tap *t, uint64_t offset, uint32_t word,
		      bool *same, bool *there)
{
	uint32_t trailer = 0;
	int error = tap_word_at(t, offset, &trailer, there);

	*same = !error && *there && trailer == word;
	return error;
}

/* A block or a record of another class: the length stands behind it, too. */
static int look_record(struct tap *t, uint64_t offset, uint32_t word,
		       struct tap_item *i)
{
	uint64_t data = offset + TAP_WORD;
	uint32_t odd = tap_length(word) & 1;
	bool same, there, other;
	int error;

	i->length = tap_length(word);
	i->next = data + i->length + (t->unpadded ? 0 : odd) + TAP_WORD;
	error = trailer_is(t, i->next - TAP_WORD, word, &same, &there);
	if (same && odd && !t->unpadded)
		t->padded = true;
	if (!error && !same && odd && !t->unpadded && !t->padded) {
		error = trailer_is(t, data + i->length, word, &same, &other);
		if (same) {
			t->unpadded = true;
			i->next--;
		}
	}
	if (error || same)
		return error;
	/* cut short, or its last bytes never came to the disk */
	i->torn = !there || i->next >= t->size;
	i->what = i->torn ? TAP_END : TAP_DAMAGE;
	return 0;
}

static int classify(struct tap *t, uint64_t offset, uint32_t word,
		    struct tap_item *i)
{
	*i = (struct tap_item){.next = offset + TAP_WORD};
	switch (tap_class(word)) {
	case 0:
		i->what = word == TAP_MARK_WORD ? TAP_FILEMARK : TAP_BLOCK;
		break;
	case 8:
		i->what = TAP_BAD;
		break;
	case 7:
		i->what = TAP_SETMARK;
		i->skipped = word != TAP_SETMARK_WORD;
		return 0;
	case 15:
		i->what = word == TAP_MEDIUM_END_WORD ? TAP_END : TAP_FILEMARK;
		i->skipped = word != TAP_MEDIUM_END_WORD;
		return 0;
	default:
		i->what = TAP_BLOCK;
		i->skipped = true;
	}
	if (word == TAP_MARK_WORD)
		return 0;
	if (!tap_length(word) ||
	    (!i->skipped && tap_length(word) > TAP_BLOCK_LIMIT)) {
		i->what = TAP_DAMAGE;
		return 0;
	}
	return look_record(t, offset, word, i);
}

/* ---- T5 ---- */

/* Whether a block is padded may become known only later, so odd ones tell
 * nothing. */
static bool may_be_length(uint32_t word)
{
	return word && word <= TAP_BLOCK_LIMIT && word % 2 == 0;
}

/* A whole block; *next: what stands at the offset else ends there, if it is a
 * mark. */
static int stands_at(const struct tap *t, uint64_t offset, bool *block,
		     uint64_t *next)
{
	uint32_t word, trailer;
	uint64_t behind;
	bool there;
	int error = tap_word_at(t, offset, &word, &there);

	*block = false;
	*next = offset + TAP_WORD;
	if (error || !there || word == TAP_MARK_WORD ||
	    word == TAP_SETMARK_WORD)
		return error;
	*next = offset;
	if (!may_be_length(word))
		return 0;
	behind = offset + tap_footprint(t, word) - TAP_WORD;
	error = tap_word_at(t, behind, &trailer, &there);
	*block = !error && there && trailer == word;
	return error;
}

/* What must stand behind a block whose length is doubted. */
static int follows(const struct tap *t, uint64_t offset, bool or_end,
		   bool *right)
{
	uint64_t next = offset;
	bool block = false;
	int error = 0;

	*right = false;
	for (int n = 0; !error && n <= MARKS_BETWEEN && !block; n++) {
		offset = next;
		if (offset == t->size)
			break;
		error = stands_at(t, offset, &block, &next);
		if (next == offset)
			break;
	}
	*right = !error && (block || (or_end && offset == t->size));
	return error;
}

static int mend_with(struct tap *t, uint64_t offset, uint32_t length,
		     bool or_end, struct tap_item *i)
{
	uint64_t next = offset + tap_footprint(t, length);
	bool right;
	int error = follows(t, next, or_end, &right);

	if (!error && right)
		*i = (struct tap_item){.what = TAP_BLOCK,
				       .mended = true,
				       .length = length,
				       .next = next};
	return error;
}

static int mend(struct tap *t, uint64_t offset, uint32_t word,
		struct tap_item *i)
{
	bool there, same = false;
	int error = 0;

	if (may_be_length(word) && offset + tap_footprint(t, word) < t->size)
		error = mend_with(t, offset, word, false, i);
	for (uint32_t length = TAP_UNIT;
	     !error && !i->mended && length <= TAP_BLOCK_LIMIT &&
	     offset + tap_footprint(t, length) <= t->size;
	     length += TAP_UNIT) {
		error = trailer_is(t, offset + TAP_WORD + length, length, &same,
				   &there);
		if (!error && same)
			error = mend_with(t, offset, length, true, i);
	}
	return error;
}

int tap_look(struct tap *t, uint64_t offset, struct tap_item *i)
{
	uint32_t word;
	bool there;
	int error = tap_word_at(t, offset, &word, &there);

	if (error)
		return error;
	if (!there) {
		*i = (struct tap_item){.what = TAP_END,
				       .torn = offset < t->size,
				       .next = offset};
		return 0;
	}
	error = classify(t, offset, word, i);
	if (!error && (i->torn || i->what == TAP_DAMAGE))
		error = mend(t, offset, word, i);
	return error;
}
