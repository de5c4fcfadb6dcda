/* A journal of delayed operations as text (its last line is made here, so that
 * what stands before it is reached), and behind the first NUL progress of it,
 * whose checks are made likewise: a line's `CHECK` becomes the right one. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "catalog/beneath.h"
#include "catalog/delayed_state.h"
#include "tape/error.h"
#include "tests/fuzz/fuzz.h"

static void put_digest(struct buffer *out, const struct digest *d)
{
	for (int n = 0; n < DIGEST_SIZE; n++)
		FUZZ_CHECK(!buffer_printf(out, "%02x", d->b[n]));
}

static void seal(struct buffer *text)
{
	struct digest sum;

	digest_bytes(DELAYED_SEED, text->data, text->length, &sum);
	FUZZ_CHECK(!buffer_printf(text, "end\t"));
	put_digest(text, &sum);
	FUZZ_CHECK(!buffer_printf(text, "\n"));
}

static void check_record(const struct delayed_journal *j,
			 const struct delayed_record *r)
{
	FUZZ_CHECK(beneath_path_valid(r->path, strlen(r->path)));
	FUZZ_CHECK(!*r->place ||
		   beneath_path_valid(r->place, strlen(r->place)));
	FUZZ_CHECK(!r->source == (r->kind == DELAYED_DELETE));
	if (r->kind == DELAYED_MOVE)
		FUZZ_CHECK(beneath_path_valid(r->source, strlen(r->source)));
	if (r->kind == DELAYED_SHORT_NAME)
		FUZZ_CHECK(!strchr(r->source, '/'));
	if (r->kind == DELAYED_MOVE && !r->list && !j->finished)
		FUZZ_CHECK(strstr(r->source, DELAYED_AREA "/") ||
			   strstr(r->source, DELAYED_FILES "/"));
}

static bool same_text(const struct buffer *a, const struct buffer *b)
{
	return a->length == b->length && !memcmp(a->data, b->data, a->length);
}

/* What was read is written, read, and written the same. */
static void check_journal(struct delayed_journal *j)
{
	struct buffer once = {0}, twice = {0};
	struct delayed_journal again;

	for (size_t n = 0; n < j->count; n++)
		check_record(j, &j->records[n]);
	FUZZ_CHECK(!delayed_journal_text(j, &once));
	FUZZ_CHECK(!delayed_journal_parse(once.data, once.length, &again));
	FUZZ_CHECK(again.count == j->count);
	FUZZ_CHECK(!delayed_journal_text(&again, &twice));
	FUZZ_CHECK(same_text(&once, &twice));
	delayed_journal_release(&again);
	buffer_release(&once);
	buffer_release(&twice);
}

/* Each line, up to its last TAB, with the check that it should have. */
static void repair(const char *at, size_t length, struct buffer *out)
{
	while (length) {
		const char *end = memchr(at, '\n', length);
		size_t here = end ? (size_t)(end - at) : length;
		const char *tab = memrchr(at, '\t', here);
		size_t body = tab ? (size_t)(tab - at) : here;

		FUZZ_CHECK(!buffer_append(out, at, body));
		FUZZ_CHECK(!buffer_printf(out, "\t%08x\n",
					  digest_checksum32(at, body)));
		here += end != NULL;
		at += here;
		length -= here;
	}
}

static void check_progress(struct delayed_journal *j, const uint8_t *data,
			   size_t size)
{
	struct buffer text = {0};
	struct delayed_journal none = {0};
	size_t applied, count = j->count;

	FUZZ_CHECK(!delayed_progress_begin(j, &text));
	repair((const char *)data, size, &text);
	FUZZ_CHECK(
		!delayed_progress_apply(j, text.data, text.length, &applied));
	FUZZ_CHECK(applied <= text.length && j->count == count);
	FUZZ_CHECK(!delayed_progress_apply(j, data, size, &applied));
	FUZZ_CHECK(applied <= size);
	FUZZ_CHECK(!delayed_order(j, &none));
	FUZZ_CHECK(j->count <= count);
	buffer_release(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *nul = memchr(data, '\0', size);
	size_t length = nul ? (size_t)(nul - data) : size;
	struct buffer text = {0};
	struct delayed_journal j;
	int error = delayed_journal_parse(data, size, &j);

	FUZZ_CHECK(!error || error == REEL_EDAMAGED || error == REEL_EVERSION);
	if (!error)
		delayed_journal_release(&j);
	FUZZ_CHECK(!buffer_append(&text, data, length));
	seal(&text);
	error = delayed_journal_parse(text.data, text.length, &j);
	FUZZ_CHECK(!error || error == REEL_EDAMAGED || error == REEL_EVERSION);
	if (!error) {
		check_journal(&j);
		if (nul)
			check_progress(&j, nul + 1, size - length - 1);
		delayed_journal_release(&j);
	}
	buffer_release(&text);
	return 0;
}
