/* Labels and tables are text: a head with the set, a line for each cartridge,
 * a line for each place, and a checksum of all before it. What was read counts
 * when it is, byte for byte, what its fields make. */
#include "tape/cartridge.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tape/error.h"
#include "tape/member.h"
#include "tape/text.h"

#define VERSION	    1
#define LABEL_NAME  "cartridge"
#define TABLE_NAME  "table"
#define END_NAME    "end"
#define VOLUME	    "volume"
#define PART	    "part"
#define LABEL_LIMIT (64u << 10) /* bytes of a label's text */

/* ---- names ---- */

static bool is_plain(const char *text, size_t room)
{
	size_t n = 0;

	while (n < room && text[n] > ' ' && text[n] < 0x7f)
		n++;
	return n < room && !text[n];
}

uint32_t cartridge_line(uint32_t number)
{
	return number ? number - (number - 1) % CARTRIDGE_LINE : 1;
}

void cartridge_make_name(const char *set_name, uint32_t number,
			 char name[CARTRIDGE_NAME])
{
	size_t n = 0;

	for (; *set_name && n < CARTRIDGE_NAME - 12; set_name++)
		name[n++] = isalnum((unsigned char)*set_name) ||
					    strchr("._-", *set_name)
				    ? *set_name
				    : '_';
	if (!n)
		n = (size_t)sprintf(name, "set");
	snprintf(name + n, CARTRIDGE_NAME - n, "-%04" PRIu32, number);
}

/* ---- text ---- */

static int put_hex(struct buffer *out, const uint8_t *bytes, size_t count)
{
	int error = 0;

	for (size_t n = 0; !error && n < count; n++)
		error = buffer_printf(out, "%02x", bytes[n]);
	return error;
}

static int get_hex(const char *text, uint8_t *bytes, size_t count)
{
	for (size_t n = 0; n < count; n++) {
		unsigned byte;

		if (sscanf(text + 2 * n, "%2x", &byte) != 1)
			return REEL_EDAMAGED;
		bytes[n] = (uint8_t)byte;
	}
	return 0;
}

static int put_head(const struct cartridge_label *l, const char *what,
		    struct buffer *out)
{
	int error = buffer_printf(out, "REEL %s %d\nset ", what, VERSION);

	if (!error)
		error = put_hex(out, l->set, sizeof(l->set));
	if (!error)
		error = buffer_printf(
			out, "\nseed %016" PRIx64 "\ncompression %s\nname ",
			l->seed,
			l->compression == COMPRESSION_ZSTD ? "zstd" : "none");
	if (!error)
		error = text_escape(out, l->set_name, strlen(l->set_name));
	return error ? error : buffer_append(out, "\n", 1);
}

static int put_cartridge(const struct cartridge_label *l, struct buffer *out)
{
	int error = buffer_printf(out, "cartridge %" PRIu32 " ", l->number);

	if (!error)
		error = put_hex(out, l->uuid, sizeof(l->uuid));
	if (!error)
		error = buffer_printf(out, " %" PRIu32 " %" PRId64 " %s %s\n",
				      l->block_size, l->time,
				      *l->barcode ? l->barcode : "-", l->name);
	return error;
}

static int put_check(struct buffer *out)
{
	struct digest d;
	int error;

	digest_bytes(0, out->data, out->length, &d);
	error = buffer_printf(out, "check ");
	if (!error)
		error = put_hex(out, d.b, DIGEST_SIZE);
	return error ? error : buffer_append(out, "\n", 1);
}

static int label_text(const struct cartridge_label *l, struct buffer *out)
{
	int error = put_head(l, LABEL_NAME, out);

	if (!error)
		error = put_cartridge(l, out);
	return error ? error : put_check(out);
}

static int put_place(const struct place *p, struct buffer *out)
{
	const bool part = place_is_part(p);
	int error = buffer_printf(out,
				  "%s %" PRIu32 " %" PRIu32 " %" PRIu64
				  " %" PRIu64 " %" PRIu32 " %" PRIu64
				  " %" PRIu32 " %" PRId64 " %d",
				  part ? PART : VOLUME, p->volume, p->cartridge,
				  p->object, p->file, p->block_size, p->size,
				  p->session, p->session_time, p->last);

	if (!error && part)
		error = buffer_printf(out, " %" PRIu64 " %" PRIu64, p->begin,
				      p->behind);
	return error ? error : buffer_append(out, "\n", 1);
}

static int table_text(const struct cartridge_table *t, struct buffer *out)
{
	int error = put_head(&t->cartridges[0], TABLE_NAME, out);

	for (size_t n = 0; !error && n < t->cartridge_count; n++)
		error = put_cartridge(&t->cartridges[n], out);
	for (size_t n = 0; !error && n < t->place_count; n++)
		error = put_place(&t->places[n], out);
	return error ? error : put_check(out);
}

/* ---- the archive around it ---- */

static int put_member(struct buffer *out, const char *path, int64_t time,
		      const void *data, size_t length)
{
	struct member m = {
		.type = MEMBER_FILE,
		.path = path,
		.path_length = strlen(path),
		.mode = 0600,
		.size = length,
		.mtime.tv_sec = time / 1000000000,
	};
	size_t map;
	int error = member_encode(&m, out, &map);

	if (!error)
		error = buffer_append(out, data, length);
	return error ? error : buffer_append_zeros(out, member_padding(length));
}

static void reserved_path(const uint8_t set[16], const char *name, char *path,
			  size_t room)
{
	snprintf(path, room, ".reel-%02x%02x%02x%02x/%s", set[0], set[1],
		 set[2], set[3], name);
}

static int put_text(struct buffer *out, const struct cartridge_label *l,
		    const char *name, const struct buffer *text)
{
	char path[64];

	reserved_path(l->set, name, path, sizeof(path));
	return put_member(out, path, l->time, text->data, text->length);
}

static int put_end(struct buffer *out, const struct cartridge_table *t)
{
	uint8_t block[TRAILER_SIZE];
	char name[32], path[64];

	trailer_encode(&t->end, block);
	snprintf(name, sizeof(name), "s%06" PRIu32 "/" END_NAME,
		 t->end.session);
	reserved_path(t->end.set, name, path, sizeof(path));
	return put_member(out, path, t->cartridges[0].time, block,
			  sizeof(block));
}

struct memory {
	const uint8_t *data;
	size_t length;
};

static int64_t read_memory(void *context, void *to, size_t length)
{
	struct memory *m = context;

	if (length > m->length)
		length = m->length;
	if (length)
		memcpy(to, m->data, length);
	m->data += length;
	m->length -= length;
	return (int64_t)length;
}

/* Whether a path is `.reel-XXXXXXXX/NAME`, or ends with NAME when it is below
 * a session's folder. */
static bool is_reserved(const struct member *m, const char *name)
{
	size_t length = strlen(name);

	return m->type == MEMBER_FILE && m->path_length > 15 + length - 1 &&
	       !memcmp(m->path, ".reel-", 6) && m->path[14] == '/' &&
	       m->path[m->path_length - length - 1] == '/' &&
	       !memcmp(m->path + m->path_length - length, name, length);
}

/* The present member's data, with a NUL behind them. */
static int take_data(struct member_decoder *d, const struct member *m,
		     size_t limit, struct buffer *out)
{
	int64_t n;
	int error;

	out->length = 0;
	if (m->sparse || m->stored > limit)
		return REEL_EDAMAGED;
	error = buffer_reserve(out, (size_t)m->stored + 1);
	if (error)
		return error;
	n = member_data(d, out->data, (size_t)m->stored);
	if (n < 0 || (uint64_t)n < m->stored)
		return n < 0 ? (int)n : REEL_EDAMAGED;
	out->length = (size_t)n;
	out->data[n] = '\0';
	return memchr(out->data, '\0', out->length) ? REEL_EDAMAGED : 0;
}

/* The text `name`, and the end member's block when `end` is given. */
static int find_text(const void *data, size_t length, const char *name,
		     size_t limit, struct buffer *text, struct buffer *end)
{
	struct memory memory = {data, length};
	struct member_decoder *d;
	struct member m;
	bool found = false;
	int error = member_decoder_new(read_memory, &memory, &d);
	int step = 0;

	if (error)
		return error;
	while (!error && (step = member_next(d, &m)) == 1) {
		if (!found && m.path_length == 15 + strlen(name) &&
		    is_reserved(&m, name)) {
			found = true;
			error = take_data(d, &m, limit, text);
		} else if (found && end && is_reserved(&m, END_NAME)) {
			error = take_data(d, &m, TRAILER_SIZE, end);
		}
	}
	member_decoder_free(d);
	if (!error && step < 0)
		error = found ? step : step == REEL_ENOMEM ? step : REEL_ENOENT;
	return error ? error : found ? 0 : REEL_ENOENT;
}

/* ---- parsing ---- */

/* The next line, made a string; NULL at the end. */
static char *next_line(char **at)
{
	char *line = *at, *end = line ? strchr(line, '\n') : NULL;

	if (!end)
		return NULL;
	*end = '\0';
	*at = end + 1;
	return line;
}

static int take_name(const char *line, char **name)
{
	struct buffer b = {0};
	int error = text_unescape(&b, line, strlen(line));

	if (!error)
		error = buffer_append(&b, "", 1);
	if (!error && strlen((char *)b.data) + 1 != b.length)
		error = REEL_EDAMAGED;
	if (error)
		buffer_release(&b);
	else
		*name = (char *)b.data;
	return error;
}

static int get_head(char **at, const char *what, struct cartridge_label *l)
{
	char *line = next_line(at), word[33];
	int version = 0, error;

	if (!line || strncmp(line, "REEL ", 5) ||
	    strncmp(line + 5, what, strlen(what)) ||
	    sscanf(line + 5 + strlen(what), " %9d", &version) != 1)
		return REEL_EDAMAGED;
	if (version > VERSION)
		return REEL_EVERSION;
	line = next_line(at);
	if (!line || sscanf(line, "set %32s", word) != 1 ||
	    strlen(word) != 32 || get_hex(word, l->set, sizeof(l->set)))
		return REEL_EDAMAGED;
	line = next_line(at);
	if (!line || sscanf(line, "seed %16" SCNx64, &l->seed) != 1)
		return REEL_EDAMAGED;
	line = next_line(at);
	if (!line)
		return REEL_EDAMAGED;
	l->compression = strcmp(line, "compression zstd") ? COMPRESSION_NONE
							  : COMPRESSION_ZSTD;
	line = next_line(at);
	if (!line || strncmp(line, "name ", 5))
		return REEL_EDAMAGED;
	error = take_name(line + 5, &l->set_name);
	return error;
}

static int get_cartridge(const char *line, struct cartridge_label *l)
{
	char uuid[33], barcode[CARTRIDGE_BARCODE], name[CARTRIDGE_NAME];

	_Static_assert(CARTRIDGE_BARCODE == 33 && CARTRIDGE_NAME == 64,
		       "the widths below");
	if (sscanf(line,
		   "cartridge %" SCNu32 " %32s %" SCNu32 " %" SCNd64
		   " %32s %63s",
		   &l->number, uuid, &l->block_size, &l->time, barcode,
		   name) != 6 ||
	    strlen(uuid) != 32 || get_hex(uuid, l->uuid, sizeof(l->uuid)))
		return REEL_EDAMAGED;
	if (!l->number || l->number > CARTRIDGE_LIMIT ||
	    l->block_size < CARTRIDGE_BLOCK_MIN ||
	    l->block_size > CARTRIDGE_BLOCK_LIMIT ||
	    !is_plain(barcode, sizeof(barcode)) ||
	    !is_plain(name, sizeof(name)))
		return REEL_EDAMAGED;
	strcpy(l->barcode, strcmp(barcode, "-") ? barcode : "");
	strcpy(l->name, name);
	return 0;
}

static bool is_sane(const struct place *p)
{
	return p->volume && p->session && p->object <= INT64_MAX &&
	       p->file <= INT64_MAX && p->size <= INT64_MAX &&
	       p->begin <= INT64_MAX - p->size &&
	       p->behind <= INT64_MAX - p->size - p->begin &&
	       p->block_size >= CARTRIDGE_BLOCK_MIN &&
	       p->block_size <= CARTRIDGE_BLOCK_LIMIT;
}

static int get_place(const char *line, struct place *p)
{
	const bool part = !strncmp(line, PART, sizeof(PART) - 1);
	int last = 0, end = 0;

	*p = (struct place){0};
	line += strcspn(line, " ");
	if (sscanf(line,
		   " %" SCNu32 " %" SCNu32 " %" SCNu64 " %" SCNu64 " %" SCNu32
		   " %" SCNu64 " %" SCNu32 " %" SCNd64 " %1d%n",
		   &p->volume, &p->cartridge, &p->object, &p->file,
		   &p->block_size, &p->size, &p->session, &p->session_time,
		   &last, &end) != 9)
		return REEL_EDAMAGED;
	p->last = last;
	if (part && sscanf(line + end, " %" SCNu64 " %" SCNu64, &p->begin,
			   &p->behind) != 2)
		return REEL_EDAMAGED;
	return is_sane(p) && part == place_is_part(p) ? 0 : REEL_EDAMAGED;
}

static bool is_place(const char *line)
{
	return !strncmp(line, VOLUME " ", sizeof(VOLUME)) ||
	       !strncmp(line, PART " ", sizeof(PART));
}

/* ---- labels ---- */

void cartridge_label_release(struct cartridge_label *l)
{
	free(l->set_name);
	memset(l, 0, sizeof(*l));
}

int cartridge_label_encode(const struct cartridge_label *l, struct buffer *out)
{
	struct buffer text = {0};
	int error = label_text(l, &text);

	if (!error)
		error = put_text(out, l, LABEL_NAME, &text);
	if (!error)
		error = buffer_append_zeros(out, 2 * MEMBER_BLOCK);
	buffer_release(&text);
	return error;
}

static int parse_label(char *text, struct cartridge_label *l)
{
	char *at = text, *line;
	int error = get_head(&at, LABEL_NAME, l);

	line = error ? NULL : next_line(&at);
	if (!error)
		error = line ? get_cartridge(line, l) : REEL_EDAMAGED;
	return error;
}

int cartridge_label_decode(const void *data, size_t length,
			   struct cartridge_label *out)
{
	struct cartridge_label l = {0};
	struct buffer text = {0}, copy = {0}, again = {0};
	int error =
		find_text(data, length, LABEL_NAME, LABEL_LIMIT, &text, NULL);

	if (!error)
		error = buffer_append(&copy, text.data, text.length + 1);
	if (!error)
		error = parse_label((char *)copy.data, &l);
	if (!error)
		error = label_text(&l, &again);
	if (!error && (again.length != text.length ||
		       memcmp(again.data, text.data, text.length)))
		error = REEL_EDAMAGED;
	buffer_release(&text);
	buffer_release(&copy);
	buffer_release(&again);
	if (error)
		cartridge_label_release(&l);
	else
		*out = l;
	return error;
}

/* ---- tables ---- */

int place_compare(const void *a, const void *b)
{
	const struct place *x = a, *y = b;

	if (x->volume != y->volume)
		return x->volume < y->volume ? -1 : 1;
	return (x->cartridge > y->cartridge) - (x->cartridge < y->cartridge);
}

void cartridge_table_release(struct cartridge_table *t)
{
	if (t->cartridge_count)
		free(t->cartridges[0].set_name);
	free(t->cartridges);
	free(t->places);
	memset(t, 0, sizeof(*t));
}

int cartridge_table_encode(const struct cartridge_table *t, struct buffer *out)
{
	struct buffer text = {0};
	int error = table_text(t, &text);

	if (!error && text.length > CARTRIDGE_TABLE_LIMIT)
		error = REEL_ERANGE;
	if (!error)
		error = put_text(out, &t->cartridges[0], TABLE_NAME, &text);
	if (!error && t->has_end)
		error = put_end(out, t);
	if (!error)
		error = buffer_append_zeros(out, 2 * MEMBER_BLOCK);
	buffer_release(&text);
	return error;
}

static int parse_cartridges(char **at, char **line,
			    const struct cartridge_label *head,
			    struct buffer *out)
{
	uint32_t before = 0;
	int error = 0;

	while (!error && (*line = next_line(at)) &&
	       !strncmp(*line, "cartridge ", 10)) {
		struct cartridge_label l = *head;

		error = get_cartridge(*line, &l);
		if (!error && l.number <= before)
			error = REEL_EDAMAGED;
		before = l.number;
		if (!error)
			error = buffer_append(out, &l, sizeof(l));
	}
	return error ? error : out->length ? 0 : REEL_EDAMAGED;
}

static int parse_places(char **at, char *line, struct buffer *out)
{
	struct place before = {0};
	int error = 0;

	for (; !error && line && is_place(line); line = next_line(at)) {
		struct place p;

		error = get_place(line, &p);
		if (!error && place_compare(&before, &p) >= 0)
			error = REEL_EDAMAGED;
		before = p;
		if (!error)
			error = buffer_append(out, &p, sizeof(p));
	}
	return error;
}

static int parse_table(char *text, struct cartridge_table *t)
{
	struct buffer cartridges = {0}, places = {0};
	struct cartridge_label head = {0};
	char *at = text, *line = NULL;
	int error = get_head(&at, TABLE_NAME, &head);

	if (!error)
		error = parse_cartridges(&at, &line, &head, &cartridges);
	if (!error)
		error = parse_places(&at, line, &places);
	if (error) {
		free(head.set_name);
		buffer_release(&cartridges);
		buffer_release(&places);
		return error;
	}
	t->cartridges = (struct cartridge_label *)(void *)cartridges.data;
	t->cartridge_count = cartridges.length / sizeof(*t->cartridges);
	t->places = (struct place *)(void *)places.data;
	t->place_count = places.length / sizeof(*t->places);
	return 0;
}

static int take_end(const struct buffer *end, struct cartridge_table *t)
{
	int error;

	if (!end->length)
		return 0;
	if (end->length != TRAILER_SIZE)
		return REEL_EDAMAGED;
	error = trailer_decode(end->data, &t->end);
	t->has_end = !error;
	if (!error && memcmp(t->end.set, t->cartridges[0].set, 16))
		error = REEL_EDAMAGED;
	return error;
}

int cartridge_table_decode(const void *data, size_t length,
			   struct cartridge_table *out)
{
	struct cartridge_table t = {0};
	struct buffer text = {0}, copy = {0}, again = {0}, end = {0};
	int error = find_text(data, length, TABLE_NAME, CARTRIDGE_TABLE_LIMIT,
			      &text, &end);

	if (!error)
		error = buffer_append(&copy, text.data, text.length + 1);
	if (!error)
		error = parse_table((char *)copy.data, &t);
	if (!error)
		error = table_text(&t, &again);
	if (!error && (again.length != text.length ||
		       memcmp(again.data, text.data, text.length)))
		error = REEL_EDAMAGED;
	if (!error)
		error = take_end(&end, &t);
	buffer_release(&text);
	buffer_release(&copy);
	buffer_release(&again);
	buffer_release(&end);
	if (error)
		cartridge_table_release(&t);
	else
		*out = t;
	return error;
}
