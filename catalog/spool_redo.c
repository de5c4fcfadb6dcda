/* P7 of spool.h: a transaction that SQLite gave up (no room, an error of the
 * disk) is done again from memory, so that the process goes on with what it
 * has acknowledged, and the next flush tries anew.
 *
 * A record of `redo`: struct record, then of each parameter the number, or its
 * length with BLOB set, and its bytes. */
#include "catalog/spool_state.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include "catalog/database.h"
#include "tape/error.h"

#define PARAMETERS 23

struct record {
	uint16_t statement, count;
	uint32_t blobs; /* a bit for each parameter that is one */
};

static int bind(sqlite3_stmt *t, const struct spool_value *v, int count)
{
	int result = SQLITE_OK;

	for (int n = 0; result == SQLITE_OK && n < count; n++) {
		if (v[n].blob)
			result = sqlite3_bind_blob(t, n + 1, v[n].blob,
						   (int)v[n].length,
						   SQLITE_STATIC);
		else
			result = sqlite3_bind_int64(t, n + 1, v[n].number);
	}
	return result;
}

static int step(sqlite3_stmt *t, const struct spool_value *v, int count)
{
	int result = bind(t, v, count);

	if (result == SQLITE_OK)
		result = sqlite3_step(t);
	if (result == SQLITE_DONE)
		return sqlite3_reset(t);
	sqlite3_reset(t);
	return result;
}

/* ---- the record of changes ---- */

static int note(struct spool *s, enum spool_statement which,
		const struct spool_value *v, int count)
{
	struct record r = {(uint16_t)which, (uint16_t)count, 0};
	size_t before = s->redo.length;
	int error;

	for (int n = 0; n < count; n++)
		r.blobs |= v[n].blob ? UINT32_C(1) << n : 0;
	error = buffer_append(&s->redo, &r, sizeof(r));
	for (int n = 0; !error && n < count; n++) {
		int64_t number = v[n].blob ? (int64_t)v[n].length : v[n].number;

		error = buffer_append(&s->redo, &number, sizeof(number));
		if (!error && v[n].blob)
			error = buffer_append(&s->redo, v[n].blob, v[n].length);
	}
	if (error)
		s->redo.length = before;
	return error;
}

/* The record at an offset of `redo`; the offset behind it. */
static size_t take(const struct spool *s, size_t at, struct record *r,
		   struct spool_value v[PARAMETERS])
{
	memcpy(r, s->redo.data + at, sizeof(*r));
	at += sizeof(*r);
	for (int n = 0; n < r->count; n++) {
		v[n] = (struct spool_value){0};
		memcpy(&v[n].number, s->redo.data + at, sizeof(v[n].number));
		at += sizeof(v[n].number);
		if (!(r->blobs & UINT32_C(1) << n))
			continue;
		v[n].blob = s->redo.data + at;
		v[n].length = (size_t)v[n].number;
		at += v[n].length;
	}
	return at;
}

int spool_restore(struct spool *s)
{
	struct spool_value v[PARAMETERS];
	struct record r;
	int result;

	if (!s->lost)
		return 0;
	s->lost = false; /* statements are asked for */
	result = sqlite3_exec(s->db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
	for (size_t at = 0; result == SQLITE_OK && at < s->redo.length;) {
		sqlite3_stmt *t;

		at = take(s, at, &r, v);
		t = spool_statement(s, (enum spool_statement)r.statement);
		result = t ? step(t, v, r.count) : SQLITE_NOMEM;
	}
	if (result == SQLITE_OK) {
		s->begun = s->unflushed = true;
		return 0;
	}
	if (!sqlite3_get_autocommit(s->db))
		sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
	s->lost = true;
	return database_error(s->db, s->path, result);
}

/* After an error: what is left of the transaction. */
static void look_after(struct spool *s)
{
	if (!s->begun || !sqlite3_get_autocommit(s->db))
		return;
	s->begun = false;
	s->lost = true;
	spool_restore(s);
}

/* ---- transactions ---- */

int spool_begin(struct spool *s)
{
	int error = spool_restore(s);

	if (!error && !s->begun)
		error = database_run(s->db, s->path, "BEGIN IMMEDIATE");
	if (!error)
		s->begun = s->unflushed = true;
	return error;
}

int spool_do(struct spool *s, enum spool_statement which,
	     const struct spool_value *values, int count)
{
	sqlite3_stmt *t;
	size_t before = s->redo.length;
	int result, error;

	assert(count <= PARAMETERS);
	t = spool_statement(s, which);
	error = t ? spool_begin(s) : REEL_EIO;
	if (!error)
		error = note(s, which, values, count);
	if (error)
		return error;
	result = step(t, values, count);
	if (result == SQLITE_OK)
		return 0;
	error = database_error(s->db, s->path, result);
	s->redo.length = before;
	look_after(s);
	return error;
}

/* The error of a log that cannot be written is said once. */
static int say(struct spool *s, int result)
{
	int error;

	if (s->said && (result & 0xff) == SQLITE_FULL)
		return REEL_ENOSPC;
	error = database_error(s->db, s->path, result);
	s->said = true;
	return error;
}

int spool_commit(struct spool *s)
{
	int result = sqlite3_exec(s->db, "COMMIT", NULL, NULL, NULL);
	int error;

	if (result == SQLITE_OK) {
		s->begun = s->unflushed = s->said = false;
		s->redo.length = 0;
		return 0;
	}
	error = say(s, result);
	look_after(s);
	return error;
}
