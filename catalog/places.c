#include "catalog/places.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "catalog/database.h"
#include "tape/error.h"

#define CARTRIDGE_COLUMNS "number, uuid, name, barcode, block_size, time"
#define TEXT_OF(x)	  TEXT(x)
#define TEXT(x)		  #x
#define LINE		  TEXT_OF(CARTRIDGE_LINE)
#define PLACE_COLUMNS                                                          \
	"volume, cartridge, object, file, block_size, size, session, "         \
	"session_time, last"
#define PARTS "begin, behind"
#define WHOLE "0, 0" /* in catalogues from before there were parts */

/* Catalogues from before tape sets have no such tables. */
static const char make_tables[] =
	"CREATE TABLE IF NOT EXISTS cartridge (number INTEGER PRIMARY KEY, "
	"uuid BLOB NOT NULL, name TEXT NOT NULL, barcode TEXT NOT NULL, "
	"block_size INTEGER NOT NULL, time INTEGER NOT NULL);"
	"CREATE TABLE IF NOT EXISTS place (volume INTEGER NOT NULL, "
	"cartridge INTEGER NOT NULL, object INTEGER NOT NULL, "
	"file INTEGER NOT NULL, block_size INTEGER NOT NULL, "
	"size INTEGER NOT NULL, session INTEGER NOT NULL, "
	"session_time INTEGER NOT NULL, last INTEGER NOT NULL, "
	"begin INTEGER NOT NULL DEFAULT 0, behind INTEGER NOT NULL DEFAULT 0, "
	"PRIMARY KEY (volume, cartridge)) WITHOUT ROWID;"
	"CREATE TABLE IF NOT EXISTS full (cartridge INTEGER PRIMARY KEY);";

static const char add_parts[] =
	"ALTER TABLE place ADD COLUMN begin INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE place ADD COLUMN behind INTEGER NOT NULL DEFAULT 0;";

static int prepare(struct catalog *c, const char *sql, sqlite3_stmt **s)
{
	return database_error(c->db, c->path,
			      sqlite3_prepare_v2(c->db, sql, -1, s, NULL));
}

static bool has_table(struct catalog *c, const char *name)
{
	sqlite3_stmt *s;
	bool there;

	if (prepare(c,
		    "SELECT 1 FROM sqlite_master WHERE type = 'table' "
		    "AND name = ?1",
		    &s))
		return false;
	sqlite3_bind_text(s, 1, name, -1, SQLITE_STATIC);
	there = sqlite3_step(s) == SQLITE_ROW;
	sqlite3_finalize(s);
	return there;
}

static bool has_tables(struct catalog *c)
{
	return has_table(c, "place");
}

/* Its table of places says of parts. */
static bool has_parts(struct catalog *c)
{
	sqlite3_stmt *s = NULL;
	bool there = !sqlite3_prepare_v2(
		c->db, "SELECT " PARTS " FROM place LIMIT 0", -1, &s, NULL);

	sqlite3_finalize(s);
	return there;
}

/* Of one volume (?1), or of all. */
static int prepare_places(struct catalog *c, bool one, sqlite3_stmt **s)
{
	char sql[256];

	snprintf(sql, sizeof(sql),
		 "SELECT " PLACE_COLUMNS ", %s FROM place %s"
		 "ORDER BY volume, cartridge",
		 has_parts(c) ? PARTS : WHOLE, one ? "WHERE volume = ?1 " : "");
	return prepare(c, sql, s);
}

/* ---- reading ---- */

static int read_text(sqlite3_stmt *s, int column, char *to, size_t room)
{
	const char *text = (const char *)sqlite3_column_text(s, column);

	if (!text || strlen(text) >= room)
		return REEL_EDAMAGED;
	strcpy(to, text);
	return 0;
}

static int read_cartridge(struct catalog *c, sqlite3_stmt *s,
			  struct cartridge_label *l)
{
	const struct set_config *config = &c->set->config;
	struct column_reader r = {s, 0};
	const void *uuid;
	size_t length;

	memset(l, 0, sizeof(*l));
	l->number = (uint32_t)column_u64(&r, 0, CARTRIDGE_LIMIT);
	uuid = column_blob(&r, 1, sizeof(l->uuid), &length);
	l->block_size = (uint32_t)column_u64(&r, 4, CARTRIDGE_BLOCK_LIMIT);
	l->time = column_time(&r, 5);
	if (r.error || length != sizeof(l->uuid) ||
	    l->block_size < CARTRIDGE_BLOCK_MIN ||
	    read_text(s, 2, l->name, sizeof(l->name)) ||
	    read_text(s, 3, l->barcode, sizeof(l->barcode)))
		return REEL_EDAMAGED;
	memcpy(l->uuid, uuid, sizeof(l->uuid));
	memcpy(l->set, config->uuid, sizeof(l->set));
	l->seed = config->seed;
	l->compression = config->compression;
	return 0;
}

static int read_place(sqlite3_stmt *s, struct place *p)
{
	struct column_reader r = {s, 0};

	memset(p, 0, sizeof(*p));
	p->volume = (uint32_t)column_u64(&r, 0, UINT32_MAX);
	p->cartridge = (uint32_t)column_u64(&r, 1, CARTRIDGE_LIMIT);
	p->object = column_u64(&r, 2, INT64_MAX);
	p->file = column_u64(&r, 3, INT64_MAX);
	p->block_size = (uint32_t)column_u64(&r, 4, CARTRIDGE_BLOCK_LIMIT);
	p->size = column_u64(&r, 5, INT64_MAX);
	p->session = (uint32_t)column_u64(&r, 6, UINT32_MAX);
	p->session_time = column_time(&r, 7);
	p->last = column_u64(&r, 8, 1);
	p->begin = column_u64(&r, 9, INT64_MAX - p->size);
	p->behind = column_u64(&r, 10, INT64_MAX - p->size - p->begin);
	return r.error || p->block_size < CARTRIDGE_BLOCK_MIN ? REEL_EDAMAGED
							      : 0;
}

/* Of one volume; kept, since it is asked for each frame that is read, unless
 * the table may still get its parts. REEL_ENOENT: there is no table. */
static int prepare_one(struct catalog *c, sqlite3_stmt **s)
{
	sqlite3_stmt **kept = &c->statements[S_PLACES];

	if (!*kept && has_parts(c)) {
		int error = prepare_places(c, true, kept);

		if (error)
			return error;
	}
	*s = *kept;
	if (*s)
		return 0;
	return has_tables(c) ? prepare_places(c, true, s) : REEL_ENOENT;
}

/* All rows of a prepared statement of places; finalizes it, or resets a kept
 * one. */
static int gather_places(struct catalog *c, sqlite3_stmt *s, struct place **out,
			 size_t *count)
{
	struct buffer all = {0};
	int error = 0, result;

	while (!error && (result = sqlite3_step(s)) == SQLITE_ROW) {
		struct place p;

		error = read_place(s, &p);
		if (!error)
			error = buffer_append(&all, &p, sizeof(p));
	}
	if (!error)
		error = database_error(c->db, c->path, result);
	else
		catalog_damaged(c, error);
	if (s == c->statements[S_PLACES])
		sqlite3_reset(s);
	else
		sqlite3_finalize(s);
	if (error) {
		buffer_release(&all);
		return error;
	}
	*out = (struct place *)(void *)all.data;
	*count = all.length / sizeof(**out);
	return 0;
}

static int gather_cartridges(struct catalog *c, struct cartridge_table *t)
{
	struct buffer all = {0};
	sqlite3_stmt *s;
	int result = SQLITE_DONE;
	int error = prepare(c,
			    "SELECT " CARTRIDGE_COLUMNS
			    " FROM cartridge ORDER BY number",
			    &s);

	if (error)
		return error;
	while (!error && (result = sqlite3_step(s)) == SQLITE_ROW) {
		struct cartridge_label l;

		error = catalog_damaged(c, read_cartridge(c, s, &l));
		if (!error)
			error = buffer_append(&all, &l, sizeof(l));
	}
	if (!error)
		error = database_error(c->db, c->path, result);
	sqlite3_finalize(s);
	t->cartridges = (struct cartridge_label *)(void *)all.data;
	t->cartridge_count = error ? 0 : all.length / sizeof(*t->cartridges);
	if (t->cartridge_count) {
		char *name = strdup(c->set->config.name);

		error = name ? 0 : REEL_ENOMEM;
		for (size_t n = 0; n < t->cartridge_count; n++)
			t->cartridges[n].set_name = name;
	}
	return error;
}

int places_table(struct catalog *c, struct cartridge_table *out)
{
	struct cartridge_table t = {0};
	sqlite3_stmt *s;
	int error = 0;

	if (has_tables(c)) {
		error = gather_cartridges(c, &t);
		if (!error)
			error = prepare_places(c, false, &s);
		if (!error)
			error = gather_places(c, s, &t.places, &t.place_count);
	}
	if (error)
		cartridge_table_release(&t);
	else
		*out = t;
	return error;
}

int places_own(struct catalog *c, struct cartridge_table *out)
{
	const uint32_t line = cartridge_line(c->set->config.line);
	size_t places = 0, cartridges = 0;
	char *name;
	int error = places_table(c, out);

	if (error || !out->cartridge_count)
		return error;
	name = out->cartridges[0].set_name;
	for (size_t n = 0; n < out->place_count; n++)
		if (cartridge_line(out->places[n].cartridge) == line)
			out->places[places++] = out->places[n];
	for (size_t n = 0; n < out->cartridge_count; n++)
		if (cartridge_line(out->cartridges[n].number) == line)
			out->cartridges[cartridges++] = out->cartridges[n];
	out->place_count = places;
	out->cartridge_count = cartridges;
	if (!cartridges) /* nobody has the name any more */
		free(name);
	return 0;
}

int places_new_line(struct catalog *c, uint32_t *line)
{
	struct cartridge_table t = {0};
	uint32_t last = c->set->config.line;
	int error = places_table(c, &t);

	if (error)
		return error;
	if (t.cartridge_count &&
	    t.cartridges[t.cartridge_count - 1].number > last)
		last = t.cartridges[t.cartridge_count - 1].number;
	cartridge_table_release(&t);
	*line = cartridge_line(last) + CARTRIDGE_LINE;
	return *line > CARTRIDGE_LIMIT ? REEL_ERANGE : 0;
}

/* A copy that went apart has something else in a volume of that number. */
static size_t same_session(struct place *p, size_t count)
{
	size_t kept = 0;

	for (size_t n = 0; n < count; n++)
		if (p[n].session == p[0].session &&
		    p[n].session_time == p[0].session_time &&
		    place_total(&p[n]) == place_total(&p[0]))
			p[kept++] = p[n];
	return kept;
}

int places_of(struct catalog *c, uint32_t volume, struct place **out,
	      size_t *count)
{
	sqlite3_stmt *s;
	int error;

	error = prepare_one(c, &s);
	if (error)
		return error;
	sqlite3_bind_int64(s, 1, volume);
	error = gather_places(c, s, out, count);
	if (!error)
		*count = same_session(*out, *count);
	if (!error && !*count) {
		free(*out);
		return REEL_ENOENT;
	}
	return error;
}

int places_cartridge(struct catalog *c, uint32_t number,
		     struct cartridge_label *out)
{
	sqlite3_stmt *s;
	int result, error;

	if (!has_tables(c))
		return REEL_ENOENT;
	error = prepare(c,
			"SELECT " CARTRIDGE_COLUMNS
			" FROM cartridge WHERE number = ?1",
			&s);
	if (error)
		return error;
	sqlite3_bind_int64(s, 1, number);
	result = sqlite3_step(s);
	error = result == SQLITE_ROW
			? catalog_damaged(c, read_cartridge(c, s, out))
		: result == SQLITE_DONE
			? REEL_ENOENT
			: database_error(c->db, c->path, result);
	sqlite3_finalize(s);
	if (!error) {
		out->set_name = strdup(c->set->config.name);
		error = out->set_name ? 0 : REEL_ENOMEM;
	}
	return error;
}

/* ---- writing ---- */

static int step(struct catalog *c, sqlite3_stmt *s)
{
	int error = database_error(c->db, c->path, sqlite3_step(s));

	sqlite3_reset(s);
	return error;
}

static int put_cartridges(struct catalog *c, const struct cartridge_table *t)
{
	sqlite3_stmt *s;
	int error = prepare(c,
			    "INSERT OR REPLACE INTO cartridge "
			    "(" CARTRIDGE_COLUMNS ") "
			    "VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
			    &s);

	if (error)
		return error;
	for (size_t n = 0; !error && n < t->cartridge_count; n++) {
		const struct cartridge_label *l = &t->cartridges[n];

		sqlite3_bind_int64(s, 1, l->number);
		sqlite3_bind_blob(s, 2, l->uuid, sizeof(l->uuid),
				  SQLITE_STATIC);
		sqlite3_bind_text(s, 3, l->name, -1, SQLITE_STATIC);
		sqlite3_bind_text(s, 4, l->barcode, -1, SQLITE_STATIC);
		sqlite3_bind_int64(s, 5, l->block_size);
		sqlite3_bind_int64(s, 6, l->time);
		error = step(c, s);
	}
	sqlite3_finalize(s);
	return error;
}

static int put_places(struct catalog *c, const struct cartridge_table *t)
{
	sqlite3_stmt *s;
	int error = prepare(c,
			    "INSERT OR REPLACE INTO place "
			    "(" PLACE_COLUMNS ", " PARTS ") "
			    "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, "
			    "?10, ?11)",
			    &s);

	if (error)
		return error;
	for (size_t n = 0; !error && n < t->place_count; n++) {
		const struct place *p = &t->places[n];

		sqlite3_bind_int64(s, 1, p->volume);
		sqlite3_bind_int64(s, 2, p->cartridge);
		sqlite3_bind_int64(s, 3, (int64_t)p->object);
		sqlite3_bind_int64(s, 4, (int64_t)p->file);
		sqlite3_bind_int64(s, 5, p->block_size);
		sqlite3_bind_int64(s, 6, (int64_t)p->size);
		sqlite3_bind_int64(s, 7, p->session);
		sqlite3_bind_int64(s, 8, p->session_time);
		sqlite3_bind_int64(s, 9, p->last);
		sqlite3_bind_int64(s, 10, (int64_t)p->begin);
		sqlite3_bind_int64(s, 11, (int64_t)p->behind);
		error = step(c, s);
	}
	sqlite3_finalize(s);
	return error;
}

static int begin(struct catalog *c)
{
	int error = database_run(c->db, c->path, "BEGIN IMMEDIATE");

	if (!error)
		error = database_run(c->db, c->path, make_tables);
	if (!error && !has_parts(c))
		error = database_run(c->db, c->path, add_parts);
	return error;
}

static int end(struct catalog *c, int error)
{
	if (!error)
		error = database_run(c->db, c->path, "COMMIT");
	if (error)
		sqlite3_exec(c->db, "ROLLBACK", NULL, NULL, NULL);
	return error;
}

int places_add(struct catalog *c, const struct cartridge_table *t)
{
	int error = begin(c);

	if (!error)
		error = put_cartridges(c, t);
	if (!error)
		error = put_places(c, t);
	return end(c, error);
}

/* ?1 is a cartridge's number. */
static int run_with(struct catalog *c, const char *sql, uint32_t number)
{
	sqlite3_stmt *s;
	int error = prepare(c, sql, &s);

	if (error)
		return error;
	sqlite3_bind_int64(s, 1, number);
	error = step(c, s);
	sqlite3_finalize(s);
	return error;
}

int places_put_copy(struct catalog *c, uint32_t line,
		    const struct cartridge_table *t)
{
	int error = begin(c);

	if (!error)
		error = run_with(c,
				 "DELETE FROM place WHERE cartridge >= ?1 AND "
				 "cartridge < ?1 + " LINE,
				 line);
	if (!error)
		error = run_with(c,
				 "DELETE FROM cartridge WHERE number >= ?1 AND "
				 "number < ?1 + " LINE,
				 line);
	if (!error)
		error = put_cartridges(c, t);
	if (!error)
		error = put_places(c, t);
	return end(c, error);
}

static bool has_cartridge(const struct cartridge_table *t, uint32_t number)
{
	for (size_t n = 0; n < t->cartridge_count; n++)
		if (t->cartridges[n].number == number)
			return true;
	return false;
}

static bool has_session(struct catalog *c, const struct place *p)
{
	struct session_row row;
	bool same;

	if (catalog_session(c, p->session, &row))
		return false;
	same = row.time == p->session_time;
	session_row_release(&row);
	return same;
}

int places_keep_copies(struct catalog *c, struct catalog *old, unsigned *kept)
{
	const uint32_t own = cartridge_line(c->set->config.line);
	struct cartridge_table have = {0}, t = {0};
	size_t cartridges = 0, places = 0;
	int error = places_table(c, &have);

	if (!error)
		error = places_table(old, &t);
	for (size_t n = 0; !error && n < t.place_count; n++) {
		const struct place p = t.places[n];

		if (cartridge_line(p.cartridge) != own &&
		    !has_cartridge(&have, p.cartridge) && has_session(c, &p))
			t.places[places++] = p;
	}
	t.place_count = places;
	for (size_t n = 0; !error && n < t.cartridge_count; n++) {
		const struct cartridge_label l = t.cartridges[n];

		if (cartridge_line(l.number) != own &&
		    !has_cartridge(&have, l.number))
			t.cartridges[cartridges++] = l;
	}
	if (!error && cartridges) {
		t.cartridge_count = cartridges;
		error = places_add(c, &t);
	}
	*kept = error ? 0 : (unsigned)cartridges;
	cartridge_table_release(&have);
	cartridge_table_release(&t);
	return error;
}

int places_full(struct catalog *c, uint32_t *number)
{
	int64_t n;
	int error;

	*number = 0;
	if (!has_table(c, "full"))
		return 0;
	error = database_integer(
		c->db, "SELECT ifnull(max(cartridge), 0) FROM full", &n);
	if (!error && (n < 0 || n > CARTRIDGE_LIMIT))
		error = REEL_EDAMAGED;
	if (!error)
		*number = (uint32_t)n;
	return error;
}

int places_set_full(struct catalog *c, uint32_t number)
{
	int error = begin(c);

	if (!error)
		error = run_with(c, "INSERT OR IGNORE INTO full VALUES (?1)",
				 number);
	return end(c, error);
}
