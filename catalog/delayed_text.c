/* The files of the journal of delayed operations.
 *
 * journal, and result, which has the same form:
 *
 *     reel-delayed TAB 1 TAB NONCE
 *     next TAB NUMBER
 *     area TAB PLACE TAB DIRECTORY
 *     list TAB NUMBER TAB DIGEST TAB PATH
 *     KIND TAB NUMBER TAB STATE TAB STATUS TAB LIST TAB INDEX TAB FLAGS
 *          TAB SIZE TAB DIGEST TAB INODE TAB TIME TAB PARENT-FLAGS
 *          TAB OLD-FLAGS TAB PLACE TAB SOURCE TAB PATH
 *     result TAB RESULT TAB DETAILS TAB TIME
 *     end TAB DIGEST
 *
 * KIND is `move`, `delete` or `name`, STATE `waiting`, `started`, `done` or
 * `failed`. SOURCE of a name is the short name, of a delete nothing. Names are
 * escaped as tape/text.h says, so that no field holds a TAB or a newline;
 * digests are 32 hex digits (XXH3-128), STATUS, RESULT and flags hex, the rest
 * decimal; a DIGEST of `-` is none. `result` is in a result only. NONCE, 16
 * hex digits, makes each journal unlike all others, also those that say the
 * same: the progress of one is never taken for another's.
 *
 * T1 A journal is read as a whole or not at all: the digest in its last line
 *    is that of all before. It is replaced by rename, so only damage can
 *    break it.
 * T2 Paths, places and directories of areas are valid beneath_path_valid()
 *    (places may be empty), and no record is about DELAYED_DIRECTORY or what
 *    lies in it. An area's last component is DELAYED_AREA, or it
 *    is DELAYED_FILES in DELAYED_DIRECTORY. The source of an own move is an
 *    area and its number in 16 hex digits.
 * T3 Numbers are unique and below `next`; a record's list is there.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "catalog/beneath.h"
#include "catalog/delayed_state.h"
#include "catalog/fields.h"
#include "tape/error.h"
#include "tape/text.h"

static const char *const kind_names[] = {"delete", "move", "name"};
static const char *const state_names[] = {"waiting", "started", "done",
					  "failed"};

/* ---- writing ---- */

static int record_line(struct buffer *out, const struct delayed_record *r)
{
	int error = buffer_printf(
		out, "%s\t%" PRIu64 "\t%s\t%08x\t%u\t%u\t%x\t",
		kind_names[r->kind], r->number, state_names[r->state],
		r->status, r->list, r->index, r->flags);

	if (!error)
		error = fields_put_witness(out, r);
	if (!error)
		error = buffer_append(out, "\t", 1);
	if (!error)
		error = fields_put_name(out, r->place, '\t');
	if (!error)
		error = fields_put_name(out, r->source, '\t');
	if (!error)
		error = fields_put_name(out, r->path, '\n');
	return error;
}

static int area_line(struct buffer *out, const struct delayed_area *a)
{
	int error = buffer_append(out, "area\t", 5);

	if (!error)
		error = fields_put_name(out, a->place, '\t');
	return error ? error : fields_put_name(out, a->directory, '\n');
}

static int list_line(struct buffer *out, const struct delayed_list *l)
{
	char digest[33];
	int error;

	fields_put_digest(&l->fields, digest);
	error = buffer_printf(out, "list\t%u\t%s\t", l->number, digest);
	return error ? error : fields_put_name(out, l->path, '\n');
}

int delayed_journal_text(struct delayed_journal *j, struct buffer *out)
{
	size_t begin = out->length;
	char digest[33];
	int error = buffer_printf(
		out, "reel-delayed\t1\t%016" PRIx64 "\nnext\t%" PRIu64 "\n",
		j->nonce, j->next);

	for (size_t n = 0; !error && n < j->area_count; n++)
		error = area_line(out, &j->areas[n]);
	for (size_t n = 0; !error && n < j->list_count; n++)
		error = list_line(out, &j->lists[n]);
	for (size_t n = 0; !error && n < j->count; n++)
		error = record_line(out, &j->records[n]);
	if (!error && j->finished)
		error = buffer_printf(out, "result\t%08x\t%u\t%" PRId64 "\n",
				      j->result, j->details, j->time);
	if (error)
		return error;
	digest_bytes(DELAYED_SEED, out->data + begin, out->length - begin,
		     &j->sum);
	fields_put_digest(&j->sum, digest);
	return buffer_printf(out, "end\t%s\n", digest);
}

/* ---- reading a journal ---- */

static char *source_field(struct fields *l, int n, enum delayed_kind kind)
{
	char *source;

	if (kind == DELAYED_DELETE) {
		l->bad |= l->length[n] != 0;
		return NULL;
	}
	if (kind == DELAYED_MOVE)
		return fields_path(l, n, false);
	source = fields_text(l, n);
	l->bad |= source && !beneath_name_valid(source, strlen(source));
	return source;
}

static int record_read(struct fields *l, struct delayed_journal *j)
{
	struct delayed_record *r;

	if (l->count != 16 || j->count >= DELAYED_LIMIT)
		return REEL_EDAMAGED;
	r = delayed_journal_add(j);
	if (!r)
		return REEL_ENOMEM;
	r->kind = (enum delayed_kind)fields_choice(l, 0, kind_names, 3);
	r->number = fields_number(l, 1, 10, DELAYED_NUMBER_LIMIT);
	r->state = (enum delayed_state)fields_choice(l, 2, state_names, 4);
	r->status = (uint32_t)fields_number(l, 3, 16, UINT32_MAX);
	r->list = (uint32_t)fields_number(l, 4, 10, UINT32_MAX);
	r->index = (uint32_t)fields_number(l, 5, 10, UINT32_MAX);
	r->flags = (uint32_t)fields_number(l, 6, 16, UINT32_MAX);
	fields_witness(l, 7, r);
	r->place = fields_path(l, 13, true);
	r->source = source_field(l, 14, r->kind);
	r->path = fields_path(l, 15, false);
	if (r->path && !delayed_path_valid(r->path))
		l->bad = true;
	return l->bad ? REEL_EDAMAGED : 0;
}

static bool area_valid(const char *place, const char *directory)
{
	size_t length = strlen(place);

	if (!strcmp(directory, DELAYED_DIRECTORY "/" DELAYED_FILES))
		return true;
	if (!length)
		return !strcmp(directory, DELAYED_AREA);
	return !strncmp(directory, place, length) && directory[length] == '/' &&
	       !strcmp(directory + length + 1, DELAYED_AREA);
}

static int area_read(struct fields *l, struct delayed_journal *j)
{
	char *place = fields_path(l, 1, true);
	char *directory = fields_path(l, 2, false);
	int error = REEL_EDAMAGED;

	if (!l->bad && j->area_count < DELAYED_AREA_LIMIT &&
	    area_valid(place, directory))
		error = delayed_journal_add_area(j, place, directory);
	free(place);
	free(directory);
	return error;
}

static int list_read(struct fields *l, struct delayed_journal *j)
{
	struct delayed_list *list;

	if (j->list_count >= DELAYED_LIST_LIMIT)
		return REEL_EDAMAGED;
	list = delayed_journal_add_list(j);
	if (!list)
		return REEL_ENOMEM;
	list->number = (uint32_t)fields_number(l, 1, 10, UINT32_MAX);
	if (!fields_digest(l, 2, &list->fields))
		l->bad = true;
	list->path = fields_path(l, 3, true);
	return l->bad || !list->number ? REEL_EDAMAGED : 0;
}

static int line_read(struct fields *l, struct delayed_journal *j)
{
	if (fields_are(l, "next", 2))
		j->next = fields_number(l, 1, 10, DELAYED_NUMBER_LIMIT);
	else if (fields_are(l, "area", 3))
		return area_read(l, j);
	else if (fields_are(l, "list", 4))
		return list_read(l, j);
	else if (fields_are(l, "result", 4)) {
		j->finished = true;
		j->result = (uint32_t)fields_number(l, 1, 16, UINT32_MAX);
		j->details = (uint32_t)fields_number(l, 2, 10, UINT32_MAX);
		j->time = fields_signed(l, 3);
	} else
		return record_read(l, j);
	return l->bad ? REEL_EDAMAGED : 0;
}

/* T2: an own move comes from where we stage, under its number. */
static bool source_valid(const struct delayed_journal *j,
			 const struct delayed_record *r)
{
	char name[18];
	size_t length;

	if (r->kind != DELAYED_MOVE || r->list)
		return true;
	snprintf(name, sizeof(name), "/%016" PRIx64, r->number);
	length = strlen(r->source);
	if (length < 18 || strcmp(r->source + length - 17, name))
		return false;
	length -= 17;
	for (size_t n = 0; n < j->area_count; n++)
		if (strlen(j->areas[n].directory) == length &&
		    !memcmp(j->areas[n].directory, r->source, length))
			return true;
	return false;
}

static int by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* T3 */
static int numbers_valid(const struct delayed_journal *j)
{
	uint64_t *all = malloc((j->count + 1) * sizeof(*all));
	bool good = true;

	if (!all)
		return REEL_ENOMEM;
	for (size_t n = 0; n < j->count; n++)
		all[n] = j->records[n].number;
	qsort(all, j->count, sizeof(*all), by_number);
	for (size_t n = 0; n < j->count; n++)
		good = good && all[n] && all[n] < j->next &&
		       (!n || all[n - 1] < all[n]);
	free(all);
	return good ? 0 : REEL_EDAMAGED;
}

static bool list_there(const struct delayed_journal *j, uint32_t number)
{
	for (size_t n = 0; n < j->list_count; n++)
		if (j->lists[n].number == number)
			return true;
	return !number;
}

static int journal_valid(const struct delayed_journal *j)
{
	uint32_t known = 0;

	for (size_t n = 0; n < j->count; n++) {
		const struct delayed_record *r = &j->records[n];

		if (!j->finished && !source_valid(j, r))
			return REEL_EDAMAGED;
		if (r->list != known && !j->finished && !list_there(j, r->list))
			return REEL_EDAMAGED;
		known = r->list;
	}
	return j->finished ? 0 : numbers_valid(j);
}

/* The digest in the last line is that of what stands before it. */
static int journal_whole(const char *text, size_t *length, struct digest *sum)
{
	struct digest said;
	struct fields l;
	size_t tail = 4 + 2 * DIGEST_SIZE + 1;

	if (*length < tail || text[*length - 1] != '\n')
		return REEL_EDAMAGED;
	fields_split(&l, text + *length - tail, tail - 1);
	if (!fields_are(&l, "end", 2) || !fields_digest(&l, 1, &said))
		return REEL_EDAMAGED;
	*length -= tail;
	digest_bytes(DELAYED_SEED, text, *length, sum);
	return memcmp(sum, &said, sizeof(said)) ? REEL_EDAMAGED : 0;
}

static int head_read(struct fields *l, struct delayed_journal *j)
{
	if (l->count < 2 || !fields_are(l, "reel-delayed", l->count))
		return REEL_EDAMAGED;
	if (l->length[1] != 1 || l->at[1][0] != '1')
		return REEL_EVERSION;
	if (l->count != 3)
		return REEL_EDAMAGED;
	j->nonce = fields_number(l, 2, 16, UINT64_MAX);
	return l->bad ? REEL_EDAMAGED : 0;
}

static int lines_read(const char *text, size_t length,
		      struct delayed_journal *j)
{
	struct fields l;
	int error = 0;

	for (bool first = true; !error && length; first = false) {
		const char *end = memchr(text, '\n', length);
		size_t here = end ? (size_t)(end - text) : 0;

		if (!end)
			return REEL_EDAMAGED;
		fields_split(&l, text, here);
		if (l.bad)
			return REEL_EDAMAGED;
		error = first ? head_read(&l, j) : line_read(&l, j);
		text += here + 1;
		length -= here + 1;
	}
	return error;
}

int delayed_journal_parse(const void *text, size_t length,
			  struct delayed_journal *out)
{
	struct delayed_journal j = {0};
	int error = journal_whole(text, &length, &j.sum);

	if (!error)
		error = lines_read(text, length, &j);
	if (!error)
		error = journal_valid(&j);
	if (error) {
		delayed_journal_release(&j);
		return error;
	}
	*out = j;
	return 0;
}
