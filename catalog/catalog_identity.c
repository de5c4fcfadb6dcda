/* Whether a file is a catalogue, of this version, as reel made it, and of this
 * set. */
#include <stdio.h>
#include <string.h>
#include "catalog/database.h"
#include "tape/error.h"
#include "tape/log.h"

static int check_version(struct catalog *c)
{
	int64_t version = 0;
	int error = database_integer(c->db, "PRAGMA user_version", &version);

	if (error)
		return database_error(c->db, c->path,
				      error == REEL_EDAMAGED
					      ? SQLITE_CORRUPT
					      : sqlite3_errcode(c->db));
	if (version > CATALOG_VERSION) {
		log_error("%s was made by a newer version of reel, or is "
			  "damaged; use that version, or run `reel catalog "
			  "rebuild`",
			  c->path);
		return REEL_EVERSION;
	}
	if (version != CATALOG_VERSION)
		return database_error(NULL, c->path, SQLITE_NOTADB);
	return 0;
}

/* How many things a schema makes. */
static unsigned count_made(const char *schema)
{
	unsigned n = 0;

	while ((schema = strstr(schema, "CREATE "))) {
		schema++;
		n++;
	}
	return n;
}

/* Tables of places.c are looked at there. */
static bool is_of_places(const char *name)
{
	return !strcmp(name, "cartridge") || !strcmp(name, "place") ||
	       !strcmp(name, "full");
}

/* Whether a row of the schema says what we made: behind its first words. */
static bool is_as_made(sqlite3_stmt *s, unsigned *made)
{
	const char *name = (const char *)sqlite3_column_text(s, 0);
	const char *sql = (const char *)sqlite3_column_text(s, 1);
	char kind[8], said[64];
	int at = 0;

	if (!name)
		return false;
	if (!sql || is_of_places(name))
		return true;
	if (sscanf(sql, "CREATE %7s %n%63s", kind, &at, said) != 2 ||
	    strcmp(said, name))
		return false;
	if (strstr(catalog_late_indexes, sql + at))
		return true;
	++*made;
	return strstr(catalog_schema, sql + at) ||
	       strstr(catalog_indexes, sql + at);
}

/* One flipped bit there gives columns other names or meanings, and SQLite
 * takes it as it stands. */
static int check_schema(struct catalog *c)
{
	unsigned made = 0;
	sqlite3_stmt *s;
	int result = sqlite3_prepare_v2(
		c->db, "SELECT name, sql FROM sqlite_master", -1, &s, NULL);

	if (result == SQLITE_OK)
		while ((result = sqlite3_step(s)) == SQLITE_ROW)
			if (!is_as_made(s, &made))
				break;
	sqlite3_finalize(s);
	if (result == SQLITE_ROW ||
	    (result == SQLITE_DONE &&
	     made != count_made(catalog_schema) + count_made(catalog_indexes)))
		return database_error(NULL, c->path, SQLITE_CORRUPT);
	return database_error(c->db, c->path, result);
}

/* A catalogue that was copied from another set names what is not here. */
static int check_set(struct catalog *c)
{
	char uuid[37], sql[100];
	int64_t ours = 1;

	set_uuid_text(c->set->config.uuid, uuid);
	snprintf(sql, sizeof(sql),
		 "SELECT value = '%s' FROM meta WHERE key = 'set'", uuid);
	if (database_integer(c->db, sql, &ours) || ours)
		return 0;
	log_error("%s is of another set; run `reel catalog rebuild`", c->path);
	return REEL_EDAMAGED;
}

int catalog_identify(struct catalog *c)
{
	int error = check_version(c);

	if (!error)
		error = check_schema(c);
	return error ? error : check_set(c);
}
