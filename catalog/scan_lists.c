/* The first pass: what stands at the end of the archive but is needed from
 * its start. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "catalog/scan_state.h"
#include "tape/digest.h"
#include "tape/error.h"
#include "tape/log.h"
#include "tape/trailer.h"
#include "tape/text.h"

#define LIST_LIMIT (1u << 30)

uint64_t scan_hash(const struct scan *s, const char *path, size_t length)
{
	struct digest d;
	uint64_t x;

	digest_bytes(s->set->config.seed, path, length, &d);
	memcpy(&x, d.b, sizeof(x));
	return x ? x : 1;
}

/* ---- paths ---- */

void scan_paths_release(struct scan_paths *p)
{
	free(p->slots);
	memset(p, 0, sizeof(*p));
}

static struct scan_path *slot(const struct scan_paths *p, uint64_t hash)
{
	size_t at = (size_t)hash & (p->room - 1);

	while (p->slots[at].hash && p->slots[at].hash != hash)
		at = (at + 1) & (p->room - 1);
	return &p->slots[at];
}

struct scan_path *scan_paths_find(const struct scan_paths *p, uint64_t hash)
{
	struct scan_path *s = p->room ? slot(p, hash) : NULL;

	return s && s->hash ? s : NULL;
}

static int paths_grow(struct scan_paths *p)
{
	struct scan_paths more = {.room = p->room ? 2 * p->room : 1024,
				  .count = p->count};

	more.slots = calloc(more.room, sizeof(*more.slots));
	if (!more.slots)
		return REEL_ENOMEM;
	for (size_t i = 0; i < p->room; i++)
		if (p->slots[i].hash)
			*slot(&more, p->slots[i].hash) = p->slots[i];
	free(p->slots);
	*p = more;
	return 0;
}

struct scan_path *scan_paths_add(struct scan_paths *p, uint64_t hash)
{
	struct scan_path *s;

	if (4 * (p->count + 1) > 3 * p->room && paths_grow(p))
		return NULL;
	s = slot(p, hash);
	if (!s->hash) {
		s->hash = hash;
		p->count++;
	}
	return s;
}

/* ---- lists ---- */

static int one_line(struct scan *s, const char *line, size_t length, bool verbs,
		    struct buffer path[2],
		    int (*each)(struct scan *s, char verb,
				const struct buffer *path,
				const struct buffer *target))
{
	const char *tab = memchr(line, '\t', length);
	size_t first = tab ? (size_t)(tab - line) : length;
	char verb = 0;
	int err;

	if (verbs) {
		if (first < 2 || line[1] != ' ')
			return REEL_EDAMAGED;
		verb = line[0];
		line += 2;
		length -= 2;
		first -= 2;
	}
	path[0].length = 0;
	path[1].length = 0;
	err = text_unescape(&path[0], line, first);
	if (!err && tab)
		err = text_unescape(&path[1], line + first + 1,
				    length - first - 1);
	return err ? err : each(s, verb, &path[0], tab ? &path[1] : NULL);
}

int scan_lines(struct scan *s, const struct buffer *list, bool verbs,
	       int (*each)(struct scan *s, char verb, const struct buffer *path,
			   const struct buffer *target))
{
	const char *at = (const char *)list->data;
	size_t left = list->length;
	struct buffer path[2] = {{0}, {0}};
	int err = 0;

	while (left && !err) {
		const char *end = memchr(at, '\n', left);
		size_t length = end ? (size_t)(end - at) : left;

		err = length ? one_line(s, at, length, verbs, path, each) : 0;
		if (err == REEL_EDAMAGED) {
			log_warning("a line of a list is damaged");
			s->lost++;
			err = 0;
		}
		length += end != NULL;
		at += length;
		left -= length;
	}
	buffer_release(&path[0]);
	buffer_release(&path[1]);
	return err;
}

/* ---- the global header ---- */

static const char *value_of(const char *text, const char *key)
{
	const char *at = strstr(text, key);

	return at ? at + strlen(key) : NULL;
}

static void read_time(struct scan *s, const char *text)
{
	long long seconds = 0;
	char fraction[10] = "000000000";
	char digits[10] = "";

	if (sscanf(text, "%lld.%9[0-9]", &seconds, digits) < 1)
		return;
	memcpy(fraction, digits, strlen(digits));
	if (seconds > INT64_MAX / 1000000000 - 1 ||
	    seconds < INT64_MIN / 1000000000 + 1)
		return;
	s->time = (int64_t)seconds * 1000000000 + atoll(fraction);
}

static int read_global(struct scan *s, const struct member *m)
{
	char *text = m->comment ? strndup(m->comment, m->comment_length)
				: strdup("");
	const char *at;

	if (!text)
		return REEL_ENOMEM;
	if (strncmp(text, "REEL 1 ", 7) != 0) {
		free(text);
		return 0;
	}
	s->known = true;
	if ((at = value_of(text, " epoch=")))
		s->epoch = (uint32_t)strtoul(at, NULL, 10);
	if ((at = value_of(text, " session=")))
		s->session = (uint32_t)strtoul(at, NULL, 10);
	if ((at = value_of(text, " time=")))
		read_time(s, at);
	if (!s->label && (at = value_of(text, " label="))) {
		struct buffer label = {0};

		if (text_unescape(&label, at, strlen(at)) == 0 &&
		    buffer_append(&label, "", 1) == 0)
			s->label = strdup((char *)label.data);
		buffer_release(&label);
	}
	free(text);
	return 0;
}

/* ---- the pass ---- */

/* A link's target will be asked for; a hard link is one more name of it. */
static int expect(struct scan *s, const char *path, size_t length, bool name)
{
	struct scan_path *p =
		scan_paths_add(&s->paths, scan_hash(s, path, length));

	if (!p)
		return REEL_ENOMEM;
	p->linked = true;
	p->names += name;
	return 0;
}

static int expect_again(struct scan *s, const struct member *m)
{
	struct scan_path *p = scan_paths_add(
		&s->paths, scan_hash(s, m->path, m->path_length));

	if (!p)
		return REEL_ENOMEM;
	p->again = true;
	return 0;
}

static struct buffer *list_of(struct scan *s, const struct member *m)
{
	const char *name =
		m->path_length ? memrchr(m->path, '/', m->path_length) : NULL;
	size_t length = strlen(s->set->reserved);

	if (!name || m->type != MEMBER_FILE || m->path_length < length + 3 ||
	    memcmp(m->path, s->set->reserved, length) != 0 ||
	    m->path[length] != '/' || m->path[length + 1] != 's')
		return NULL;
	name++;
	length = m->path_length - (size_t)(name - m->path);
	if (length == 8 && !memcmp(name, "replaced", 8))
		return &s->replaced;
	if (length == 7 && !memcmp(name, "deleted", 7))
		return &s->deleted;
	if (length == 6 && !memcmp(name, "copies", 6))
		return &s->copies;
	if (length == 12 && !memcmp(name, "meta.tar.zst", 12))
		return &s->meta;
	return NULL;
}

static bool is_index(struct scan *s, const struct member *m)
{
	size_t length = strlen(s->set->reserved);

	return m->path_length > length + 10 &&
	       !memcmp(m->path, s->set->reserved, length) &&
	       !memcmp(m->path + m->path_length - 10, "/index.zst", 10);
}

static bool is_end(struct scan *s, const struct member *m)
{
	size_t length = strlen(s->set->reserved);

	return m->path_length > length + 4 &&
	       !memcmp(m->path, s->set->reserved, length) &&
	       !memcmp(m->path + m->path_length - 4, "/end", 4);
}

/* The index's own header is lost: the end says where it was. */
static void take_end(struct scan *s, struct member_decoder *d)
{
	uint8_t block[TRAILER_SIZE];
	struct trailer t;

	if (member_data(d, block, sizeof(block)) == (int64_t)sizeof(block) &&
	    !trailer_decode(block, &t) && t.index_offset > MEMBER_BLOCK)
		s->stream = t.index_offset - MEMBER_BLOCK;
}

/* What linked to the path until now meant what stood there before. */
static int note_member(struct scan *s, const struct member *m)
{
	uint64_t hash = scan_hash(s, m->path, m->path_length);
	struct scan_path *p = scan_paths_find(&s->paths, hash);

	if (p)
		p->names = 0;
	if (s->member_count == s->member_room) {
		size_t room = s->member_room ? 2 * s->member_room : 4096;
		uint64_t *more = realloc(s->members, room * sizeof(*more));

		if (!more)
			return REEL_ENOMEM;
		s->members = more;
		s->member_room = room;
	}
	s->members[s->member_count++] = hash;
	return 0;
}

static int by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

bool scan_has_member(const struct scan *s, const char *path, size_t length)
{
	uint64_t hash = scan_hash(s, path, length);

	return s->member_count && bsearch(&hash, s->members, s->member_count,
					  sizeof(hash), by_number);
}

static int take_list(struct scan *s, struct member_decoder *d,
		     struct buffer *list)
{
	int err = member_collect(d, list, LIST_LIMIT);

	if (err != REEL_ERANGE)
		return err;
	log_warning("session %u: a list of more than %u MiB is left out",
		    s->session, LIST_LIMIT >> 20);
	s->lost++;
	return 0;
}

static int first_look(struct scan *s, struct member_decoder *d,
		      const struct member *m)
{
	struct buffer *list = list_of(s, m);
	int err;

	if (m->type == MEMBER_GLOBAL)
		return s->known ? 0 : read_global(s, m);
	if (list)
		return take_list(s, d, list);
	err = note_member(s, m);
	if (!err && m->type == MEMBER_LINK)
		err = expect(s, m->link, m->link_length, !member_is_copy(m));
	if (!err && member_is_again(m))
		err = expect_again(s, m);
	/* its carrier will ask which inode it got */
	if (!err && member_is_copy(m))
		err = expect(s, m->path, m->path_length, false);
	if (is_index(s, m))
		s->stream = member_header_offset(d);
	else if (!err && !s->stream && is_end(s, m))
		take_end(s, d);
	return err;
}

/* "[-]SECONDS.NANOSECONDS" */
static int read_line_time(const struct buffer *text, int64_t *ns)
{
	const uint8_t *at = text->data, *end = at + text->length;
	bool minus = at < end && *at == '-';
	uint64_t v = 0;

	for (at += minus; at < end; at++) {
		if (*at == '.' && end - at == 10)
			continue;
		if (*at < '0' || *at > '9' || v > INT64_MAX / 10 - 1)
			return REEL_EDAMAGED;
		v = v * 10 + (uint64_t)(*at - '0');
	}
	*ns = minus ? -(int64_t)v : (int64_t)v;
	return 0;
}

static int time_line(struct scan *s, const struct buffer *path,
		     const struct buffer *time)
{
	struct scan_path *p = scan_paths_add(
		&s->paths, scan_hash(s, (char *)path->data, path->length));

	if (!p)
		return REEL_ENOMEM;
	p->timed = !read_line_time(time, &p->mtime);
	return p->timed ? 0 : REEL_EDAMAGED;
}

static int link_line(struct scan *s, char verb, const struct buffer *path,
		     const struct buffer *target)
{
	if (verb == 't' && target)
		return time_line(s, path, target);
	if (verb != 'l' || !target)
		return 0;
	/* a name that has a member was counted with it */
	return expect(s, (char *)target->data, target->length,
		      !scan_has_member(s, (char *)path->data, path->length));
}

static int gone_line(struct scan *s, char verb, const struct buffer *path,
		     const struct buffer *target)
{
	struct scan_path *p = scan_paths_add(
		&s->paths, scan_hash(s, (char *)path->data, path->length));

	(void)verb;
	(void)target;
	if (!p)
		return REEL_ENOMEM;
	p->gone = true;
	return 0;
}

int scan_prepare(struct scan *s)
{
	struct member_decoder *d = NULL;
	struct member m;
	int err = member_decoder_new(scan_source_read, &s->source, &d);
	int more = 1;

	while (!err && more) {
		more = member_next(d, &m);
		if (more == 1)
			err = first_look(s, d, &m);
		else if (more < 0 && more != REEL_EDAMAGED)
			err = more;
		if (err == REEL_EDAMAGED)
			err = 0;
		if (more == REEL_EDAMAGED && scan_source_ended(&s->source))
			break;
	}
	member_decoder_free(d);
	if (s->member_count)
		qsort(s->members, s->member_count, sizeof(*s->members),
		      by_number);
	if (!err)
		err = scan_lines(s, &s->copies, true, link_line);
	if (!err)
		err = scan_lines(s, &s->replaced, false, gone_line);
	return err;
}
