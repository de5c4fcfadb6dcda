#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "catalog/database.h"
#include "catalog/tree.h"
#include "tape/bytes.h"
#include "tape/error.h"

#define LABEL_LIMIT 4096
#define RUN_FRAMES  65536 /* more than any run has */

int catalog_newest(struct catalog *c, uint32_t *session)
{
	bool held = c->held;

	catalog_let_go(c); /* what is held may be old */
	int replaced =
		!c->writer && catalog_replaced(c) ? catalog_reopen(c) : 0;
	if (held && !replaced)
		catalog_hold(c);
	sqlite3_stmt *s = replaced ? NULL : catalog_statement(c, S_NEWEST);
	struct column_reader r = {s, 0};

	if (!s)
		return replaced ? replaced : REEL_EDAMAGED;
	int result = sqlite3_step(s);
	*session = result == SQLITE_ROW
			   ? (uint32_t)column_u64(&r, 0, TREE_SESSIONS)
			   : 0;
	int error = database_error(c->db, c->path, result);
	sqlite3_reset(s);
	return error ? error : r.error;
}

void session_row_release(struct session_row *s)
{
	free(s->label);
	free(s->host);
	memset(s, 0, sizeof(*s));
}

static char *column_string(sqlite3_stmt *s, int column)
{
	const char *text = (const char *)sqlite3_column_text(s, column);

	return text ? strndup(text, LABEL_LIMIT) : NULL;
}

static int read_session(sqlite3_stmt *s, struct session_row *out)
{
	struct column_reader r = {s, 0};

	memset(out, 0, sizeof(*out));
	out->id = (uint32_t)column_u64(&r, 0, TREE_SESSIONS);
	out->epoch = (uint32_t)column_u64(&r, 1, TREE_SESSIONS);
	out->time = column_time(&r, 2);
	out->finished = column_time(&r, 3);
	out->first_volume = (uint32_t)column_u64(&r, 6, UINT32_MAX);
	out->stream = column_u64(&r, 7, INT64_MAX);
	out->files = column_u64(&r, 8, INT64_MAX);
	out->directories = column_u64(&r, 9, INT64_MAX);
	out->bytes = column_u64(&r, 10, INT64_MAX);
	out->new_files = column_u64(&r, 11, INT64_MAX);
	out->new_bytes = column_u64(&r, 12, INT64_MAX);
	out->unique_bytes = column_u64(&r, 13, INT64_MAX);
	out->copies = column_u64(&r, 14, INT64_MAX);
	out->problems = column_u64(&r, 15, INT64_MAX);
	if (r.error)
		return r.error;
	out->label = column_string(s, 4);
	out->host = column_string(s, 5);
	return 0;
}

static int one_session(struct catalog *c, enum statement which, uint32_t id,
		       struct session_row *out)
{
	sqlite3_stmt *s = catalog_statement(c, which);

	if (!s)
		return REEL_EDAMAGED;
	sqlite3_bind_int64(s, 1, id);
	int result = sqlite3_step(s);
	int error = result == SQLITE_ROW ? read_session(s, out)
		    : result == SQLITE_DONE
			    ? REEL_ENOENT
			    : database_error(c->db, c->path, result);
	sqlite3_reset(s);
	if (error == REEL_EDAMAGED)
		database_error(c->db, c->path, SQLITE_CORRUPT);
	return error;
}

int catalog_session(struct catalog *c, uint32_t id, struct session_row *out)
{
	return one_session(c, S_SESSION, id, out);
}

int catalog_session_after(struct catalog *c, uint32_t id,
			  struct session_row *out)
{
	int error = one_session(c, S_SESSION_AFTER, id, out);

	return error == REEL_ENOENT ? 0 : error ? error : 1;
}

/* ---- names ---- */

static void basic_time(int64_t ns, char text[20])
{
	time_t seconds = (time_t)(ns / 1000000000);
	struct tm tm;

	if (!gmtime_r(&seconds, &tm) ||
	    !strftime(text, 20, "%Y%m%dT%H%M%SZ", &tm))
		strcpy(text, "19700101T000000Z");
}

int catalog_session_name(struct catalog *c, uint32_t id, char name[40])
{
	struct session_row row, before;
	bool twin = false;
	int error = catalog_session(c, id, &row);

	if (error)
		return error;
	for (uint32_t n = id; !twin && n > 1; n--) {
		if (catalog_session(c, n - 1, &before))
			continue;
		bool near =
			before.time / 1000000000 >= row.time / 1000000000 - 1;
		twin = before.time / 1000000000 == row.time / 1000000000;
		session_row_release(&before);
		if (!near)
			break;
	}
	char text[20];
	basic_time(row.time, text);
	if (twin)
		snprintf(name, 40, "%s.%u", text, (unsigned)id);
	else
		snprintf(name, 40, "%s", text);
	session_row_release(&row);
	return 0;
}

static int find_by_label(struct catalog *c, const char *text, uint32_t *id)
{
	sqlite3_stmt *s = catalog_statement(c, S_SESSION_LABEL);
	struct column_reader r = {s, 0};

	if (!s)
		return REEL_EDAMAGED;
	sqlite3_bind_text(s, 1, text, -1, SQLITE_STATIC);
	int result = sqlite3_step(s);
	int error = result == SQLITE_ROW ? 0
		    : result == SQLITE_DONE
			    ? REEL_ENOENT
			    : database_error(c->db, c->path, result);
	if (!error)
		*id = (uint32_t)column_u64(&r, 0, TREE_SESSIONS);
	sqlite3_reset(s);
	return error ? error : r.error;
}

/* Only the digits of a time: 2026-11-22 10:15 and 20261122T1015 are alike. */
static void digits_of(const char *text, char *out, size_t room)
{
	size_t n = 0;

	for (; *text && *text != '.' && n + 1 < room; text++)
		if (*text >= '0' && *text <= '9')
			out[n++] = *text;
	out[n] = '\0';
}

static bool looks_like_time(const char *text)
{
	return strlen(text) >= 4 && !text[strspn(text, "0123456789-:TZ. ")];
}

/* The snapshot of this name, or else the newest whose name begins so: of two
 * in one second the first has the name without a number. */
static int find_by_time(struct catalog *c, const char *text, uint32_t *id)
{
	char want[40], have[40], name[40];
	bool time = !strchr(text, '.') && looks_like_time(text);
	uint32_t newest, found = 0;
	int error = catalog_newest(c, &newest);

	digits_of(text, want, sizeof(want));
	for (uint32_t n = newest; !error && n; n--) {
		error = catalog_session_name(c, n, name);
		if (error == REEL_ENOENT) {
			error = 0;
			continue;
		}
		if (error)
			break;
		digits_of(name, have, sizeof(have));
		if (!strcmp(name, text)) {
			*id = n;
			return 0;
		}
		if (!found && time && !strncmp(have, want, strlen(want)))
			found = n;
	}
	if (!error && found)
		*id = found;
	return error ? error : found ? 0 : REEL_ENOENT;
}

int catalog_find_session(struct catalog *c, const char *text, uint32_t *id)
{
	struct session_row row;
	char *end;
	unsigned long number = strtoul(text, &end, 10);
	int error;

	if (!strcmp(text, "latest")) {
		error = catalog_newest(c, id);
		return error ? error : *id ? 0 : REEL_ENOENT;
	}
	if (*text && !*end && number && number < TREE_SESSIONS) {
		error = catalog_session(c, (uint32_t)number, &row);
		if (!error) {
			*id = row.id;
			session_row_release(&row);
		}
		if (error != REEL_ENOENT)
			return error;
	}
	error = find_by_label(c, text, id);
	return error == REEL_ENOENT ? find_by_time(c, text, id) : error;
}

/* ---- frames ---- */

/* Decodes the row of a run statement into the connection's run. */
static int read_run(struct catalog *c, sqlite3_stmt *s, uint32_t session)
{
	struct column_reader r = {s, 0};
	uint64_t stream = column_u64(&r, 0, INT64_MAX);
	uint32_t volume = (uint32_t)column_u64(&r, 1, UINT32_MAX);
	uint64_t position = column_u64(&r, 2, INT64_MAX);
	size_t length;
	const uint8_t *blob =
		column_blob(&r, 4, 12 * (size_t)RUN_FRAMES, &length);

	if (r.error || length % 12 || !length)
		return REEL_EDAMAGED;
	struct frame *frames =
		realloc(c->run_frames, length / 12 * sizeof(*frames));
	if (!frames)
		return REEL_ENOMEM;
	c->run_frames = frames;
	c->run_count = length / 12;
	c->run_session = session;
	c->run_start = stream;
	for (size_t n = 0; n < c->run_count; n++, blob += 12) {
		struct le32 v[3];

		memcpy(v, blob, 12);
		frames[n] = (struct frame){.stream = stream,
					   .position = position,
					   .volume = volume,
					   .stored = le32_get(v[0]),
					   .length = le32_get(v[1]),
					   .checksum = le32_get(v[2])};
		if (frames[n].length > FRAME_LIMIT || !frames[n].length ||
		    frames[n].stored > FRAME_LIMIT)
			r.error = REEL_EDAMAGED;
		stream += frames[n].length;
		position += frames[n].stored;
	}
	c->run_end = stream;
	return r.error;
}

static int load_run(struct catalog *c, enum statement which, uint32_t session,
		    uint64_t offset)
{
	sqlite3_stmt *s = catalog_statement(c, which);

	if (!s)
		return REEL_EDAMAGED;
	c->run_session = 0;
	c->run_start = c->run_end = 0;
	sqlite3_bind_int64(s, 1, session);
	sqlite3_bind_int64(s, 2, (int64_t)offset);
	int result = sqlite3_step(s);
	int error = result == SQLITE_ROW ? read_run(c, s, session)
		    : result == SQLITE_DONE
			    ? REEL_ENOENT
			    : database_error(c->db, c->path, result);
	sqlite3_reset(s);
	if (error == REEL_EDAMAGED) {
		c->run_session = 0;
		c->run_start = c->run_end = 0;
		database_error(c->db, c->path, SQLITE_CORRUPT);
	}
	return error;
}

int catalog_find_frame(struct catalog *c, uint32_t session, uint64_t offset,
		       struct frame *out)
{
	size_t low = 0, high;
	int error;

	if (c->run_session != session || offset < c->run_start ||
	    offset >= c->run_end) {
		error = load_run(c, S_RUN, session, offset);
		if (error)
			return error;
	}
	if (offset >= c->run_end)
		return REEL_ENOENT;
	for (high = c->run_count - 1; low < high;) {
		size_t middle = (low + high + 1) / 2;

		if (c->run_frames[middle].stream <= offset)
			low = middle;
		else
			high = middle - 1;
	}
	*out = c->run_frames[low];
	return 0;
}

int catalog_each_frame(struct catalog *c, uint32_t session,
		       int (*each)(void *context, const struct frame *f),
		       void *context)
{
	uint64_t offset = 0;
	int error;

	while (!(error = load_run(c, S_RUNS, session, offset))) {
		size_t count = c->run_count;

		for (size_t n = 0; n < count; n++) {
			struct frame f = c->run_frames[n];

			error = each(context, &f);
			if (error)
				return error;
		}
		if (c->run_end <= offset)
			return REEL_EDAMAGED;
		offset = c->run_end;
	}
	return error == REEL_ENOENT ? 0 : error;
}
