/* A run of delayed operations notes how far it is.
 *
 * progress, appended while a run goes on:
 *
 *     reel-progress TAB DIGEST-OF-JOURNAL TAB CHECK
 *     started TAB NUMBER TAB SIZE TAB DIGEST TAB INODE TAB TIME
 *             TAB PARENT-FLAGS TAB OLD-FLAGS TAB CHECK
 *     ended TAB NUMBER TAB STATUS TAB CHECK
 *
 * CHECK is the low half of XXH64 of the line before it.
 *
 * P1 A record's `started` is durable before anything of it is done, its
 *    `ended` after what was done is.
 * P2 Only the lines before the first bad one count, and only if the first
 *    names this very journal: the rest was never synced.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "catalog/delayed_state.h"
#include "catalog/fields.h"
#include "tape/error.h"

static int line_end(struct buffer *out, size_t begin)
{
	return buffer_printf(
		out, "\t%08x\n",
		digest_checksum32(out->data + begin, out->length - begin));
}

int delayed_progress_begin(const struct delayed_journal *j, struct buffer *out)
{
	size_t begin = out->length;
	char digest[33];
	int error;

	fields_put_digest(&j->sum, digest);
	error = buffer_printf(out, "reel-progress\t%s", digest);
	return error ? error : line_end(out, begin);
}

int delayed_progress_started(const struct delayed_record *r, struct buffer *out)
{
	size_t begin = out->length;
	int error = buffer_printf(out, "started\t%" PRIu64 "\t", r->number);

	if (!error)
		error = fields_put_witness(out, r);
	return error ? error : line_end(out, begin);
}

int delayed_progress_ended(const struct delayed_record *r, struct buffer *out)
{
	size_t begin = out->length;
	int error = buffer_printf(out, "ended\t%" PRIu64 "\t%08x", r->number,
				  r->status);

	return error ? error : line_end(out, begin);
}

/* The journal's records by number. */
struct numbered {
	uint64_t number;
	struct delayed_record *record;
};

static int by_number(const void *a, const void *b)
{
	uint64_t x = ((const struct numbered *)a)->number;
	uint64_t y = ((const struct numbered *)b)->number;

	return x < y ? -1 : x > y;
}

struct numbers {
	struct numbered *all;
	size_t count;
};

static int numbers_init(struct numbers *s, struct delayed_journal *j)
{
	s->count = j->count;
	s->all = malloc((j->count + 1) * sizeof(*s->all));
	if (!s->all)
		return REEL_ENOMEM;
	for (size_t n = 0; n < j->count; n++)
		s->all[n] =
			(struct numbered){j->records[n].number, &j->records[n]};
	qsort(s->all, s->count, sizeof(*s->all), by_number);
	return 0;
}

static struct delayed_record *find(const struct numbers *s, uint64_t number)
{
	struct numbered key = {number, NULL};
	struct numbered *found =
		bsearch(&key, s->all, s->count, sizeof(key), by_number);

	return found ? found->record : NULL;
}

static bool progress_line(const struct numbers *s, struct fields *l)
{
	struct delayed_record *r, news = {0};

	if (!fields_are(l, "started", 9) && !fields_are(l, "ended", 4))
		return false;
	r = find(s, fields_number(l, 1, 10, DELAYED_NUMBER_LIMIT));
	if (!r || l->bad)
		return false;
	if (l->count == 4) {
		news.status = (uint32_t)fields_number(l, 2, 16, UINT32_MAX);
		if (l->bad)
			return false;
		r->status = news.status;
		r->state = r->status ? DELAYED_FAILED : DELAYED_DONE;
		return true;
	}
	fields_witness(l, 2, &news);
	if (l->bad)
		return false;
	r->state = DELAYED_STARTED;
	r->checked = news.checked;
	r->content = news.content;
	r->witness = news.witness;
	return true;
}

static bool progress_head(const struct delayed_journal *j, struct fields *l)
{
	struct digest said;

	return fields_are(l, "reel-progress", 3) &&
	       fields_digest(l, 1, &said) &&
	       !memcmp(&said, &j->sum, sizeof(said));
}

static bool check_good(const char *line, size_t length)
{
	struct fields l;

	if (length < 9 || line[length - 9] != '\t')
		return false;
	fields_split(&l, line + length - 8, 8);
	return fields_number(&l, 0, 16, UINT32_MAX) ==
		       digest_checksum32(line, length - 9) &&
	       !l.bad;
}

int delayed_progress_apply(struct delayed_journal *j, const void *text,
			   size_t length, size_t *applied)
{
	const char *begin = text, *at = text;
	struct numbers numbers;
	int error = numbers_init(&numbers, j);

	while (!error && length) {
		const char *end = memchr(at, '\n', length);
		size_t here = end ? (size_t)(end - at) : 0;
		struct fields l;

		if (!end || !check_good(at, here))
			break;
		fields_split(&l, at, here);
		if (l.bad || !(at == begin ? progress_head(j, &l)
					   : progress_line(&numbers, &l)))
			break;
		at += here + 1;
		length -= here + 1;
	}
	if (!error)
		*applied = (size_t)(at - begin);
	free(numbers.all);
	return error;
}
