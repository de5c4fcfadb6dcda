#include "catalog/database.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "tape/error.h"
#include "tape/log.h"

#define WRITER_CACHE_KIB 16384
#define READER_CACHE_KIB 4096
#define BUSY_MS		 10000

/* What the system said when SQLite could not open, read or write. */
static int system_error(sqlite3 *db, const char *path, int result)
{
	int err = db ? sqlite3_system_errno(db) : 0;

	if ((result & 0xff) == SQLITE_CANTOPEN && err == ENOENT) {
		log_error("%s: %s cannot be made; is the disk full?", path,
			  access(path, F_OK) ? "it" : "a file beside it");
		return REEL_EIO;
	}
	if (!err || err == ENOENT) {
		log_error("%s: %s", path,
			  db ? sqlite3_errmsg(db) : sqlite3_errstr(result));
		return REEL_EIO;
	}
	log_error("%s: %s%s", path, strerror(err),
		  err == ENOSPC ? "; make room, reading needs a little, too"
				: "");
	return error_from_errno(err);
}

/* What helps when a database is damaged. */
static const char *cure(const char *path)
{
	const char *name = strrchr(path, '/');

	return name && !strcmp(name, "/spool.db")
		       ? "move its folder away and mount anew; the bytes of "
			 "files that were written are in files/ there"
		       : "run `reel catalog rebuild`";
}

/* What SQLite found, or we in a row that SQLite gave. */
static const char *finding(sqlite3 *db)
{
	if (!db)
		return "not a catalogue";
	switch (sqlite3_errcode(db)) {
	case SQLITE_OK:
	case SQLITE_ROW:
	case SQLITE_DONE:
		return "a row is none that reel writes";
	default:
		return sqlite3_errmsg(db);
	}
}

int database_error(sqlite3 *db, const char *path, int result)
{
	switch (result & 0xff) {
	case SQLITE_OK:
	case SQLITE_ROW:
	case SQLITE_DONE:
		return 0;
	case SQLITE_NOMEM:
		return REEL_ENOMEM;
	case SQLITE_FULL:
		log_error("%s: no space left on device", path);
		return REEL_ENOSPC;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
	case SQLITE_CONSTRAINT:
	case SQLITE_MISMATCH:
	case SQLITE_SCHEMA:
	case SQLITE_ERROR:
		log_error("%s is damaged (%s); %s", path, finding(db),
			  cure(path));
		return REEL_EDAMAGED;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		log_error("%s is locked by another program", path);
		return REEL_ELOCKED;
	case SQLITE_READONLY:
	case SQLITE_PERM:
		log_error("%s cannot be written", path);
		return REEL_EROFS;
	default:
		return system_error(db, path, result);
	}
}

int catalog_damaged(struct catalog *c, int error)
{
	if (error == REEL_EDAMAGED)
		database_error(c->db, c->path, SQLITE_CORRUPT);
	return error;
}

int database_run(sqlite3 *db, const char *path, const char *sql)
{
	return database_error(db, path,
			      sqlite3_exec(db, sql, NULL, NULL, NULL));
}

int database_integer(sqlite3 *db, const char *sql, int64_t *value)
{
	sqlite3_stmt *s;
	int result = sqlite3_prepare_v2(db, sql, -1, &s, NULL);

	if (result == SQLITE_OK) {
		result = sqlite3_step(s);
		if (result == SQLITE_ROW)
			*value = sqlite3_column_int64(s, 0);
		sqlite3_finalize(s);
	}
	switch (result & 0xff) {
	case SQLITE_ROW:
		return 0;
	case SQLITE_DONE:
		return REEL_ENOENT;
	case SQLITE_FULL:
		return REEL_ENOSPC;
	case SQLITE_IOERR:
	case SQLITE_CANTOPEN:
		return REEL_EIO;
	default:
		return REEL_EDAMAGED;
	}
}

/* The path as a URI: everything but plain characters is escaped. */
static char *as_uri(const char *path, const char *query)
{
	char *uri = malloc(8 + 3 * strlen(path) + strlen(query) + 1), *to = uri;

	if (!uri)
		return NULL;
	to += sprintf(to, "file:");
	for (; *path; path++) {
		unsigned char ch = (unsigned char)*path;

		if (ch == '/' || ch == '.' || ch == '-' || ch == '_' ||
		    (ch >= '0' && ch <= '9') || (ch >= 'a' && ch <= 'z') ||
		    (ch >= 'A' && ch <= 'Z'))
			*to++ = (char)ch;
		else
			to += sprintf(to, "%%%02X", ch);
	}
	sprintf(to, "%s", query);
	return uri;
}

static int harden(sqlite3 *db, enum database_mode mode)
{
	char sql[256];

	sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
	sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_VIEW, 0, NULL);
	sqlite3_busy_timeout(db, BUSY_MS);
	snprintf(sql, sizeof(sql),
		 "PRAGMA cell_size_check=ON; PRAGMA mmap_size=0; "
		 "PRAGMA temp_store=FILE; PRAGMA cache_size=-%d",
		 mode != DATABASE_READ && mode != DATABASE_IMMUTABLE
			 ? WRITER_CACHE_KIB
			 : READER_CACHE_KIB);
	return sqlite3_exec(db, sql, NULL, NULL, NULL);
}

int database_peek(const char *path, const char *sql, int64_t *value)
{
	char *uri = as_uri(path, "?mode=ro");
	sqlite3 *db = NULL;
	int error = REEL_EDAMAGED;

	if (!uri)
		return REEL_ENOMEM;
	if (sqlite3_open_v2(uri, &db,
			    SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX |
				    SQLITE_OPEN_URI,
			    NULL) == SQLITE_OK &&
	    harden(db, DATABASE_READ) == SQLITE_OK)
		error = database_integer(db, sql, value);
	sqlite3_close(db);
	free(uri);
	return error;
}

static const char *const journal[] = {
	[DATABASE_READ] = "",
	[DATABASE_IMMUTABLE] = "",
	[DATABASE_WRITE] = "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL",
	[DATABASE_BUILD] = "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; "
			   "PRAGMA locking_mode=EXCLUSIVE",
	[DATABASE_SPOOL] =
		"PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; "
		"PRAGMA cache_spill=OFF",
};

int database_open(const char *path, enum database_mode mode, sqlite3 **out)
{
	int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_URI;
	sqlite3 *db = NULL;
	int result;

	flags |= mode == DATABASE_BUILD || mode == DATABASE_SPOOL
			 ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE
		 : mode == DATABASE_IMMUTABLE ? SQLITE_OPEN_READONLY
					      : SQLITE_OPEN_READWRITE;
	char *uri =
		as_uri(path, mode == DATABASE_IMMUTABLE ? "?immutable=1" : "");
	if (!uri)
		return REEL_ENOMEM;
	result = sqlite3_open_v2(uri, &db, flags, NULL);
	free(uri);
	if (result == SQLITE_OK)
		result = harden(db, mode);
	if (result == SQLITE_OK)
		result = sqlite3_exec(db, journal[mode], NULL, NULL, NULL);
	if (result == SQLITE_OK && mode == DATABASE_READ)
		result = sqlite3_exec(db, "PRAGMA query_only=ON", NULL, NULL,
				      NULL);
	if (result != SQLITE_OK) {
		int error = database_error(db, path, result);

		sqlite3_close(db);
		return error;
	}
	*out = db;
	return 0;
}

uint64_t column_u64(struct column_reader *r, int column, uint64_t limit)
{
	int64_t v = sqlite3_column_int64(r->s, column);

	if (sqlite3_column_type(r->s, column) == SQLITE_NULL)
		return 0;
	if (sqlite3_column_type(r->s, column) != SQLITE_INTEGER || v < 0 ||
	    (uint64_t)v > limit) {
		r->error = REEL_EDAMAGED;
		return 0;
	}
	return (uint64_t)v;
}

int64_t column_time(struct column_reader *r, int column)
{
	if (sqlite3_column_type(r->s, column) != SQLITE_INTEGER)
		r->error = REEL_EDAMAGED;
	return sqlite3_column_int64(r->s, column);
}

const void *column_blob(struct column_reader *r, int column, size_t limit,
			size_t *length)
{
	const void *blob = sqlite3_column_blob(r->s, column);
	int bytes = sqlite3_column_bytes(r->s, column);

	if (bytes < 0 || (size_t)bytes > limit) {
		r->error = REEL_EDAMAGED;
		bytes = 0;
	}
	*length = blob ? (size_t)bytes : 0;
	return blob ? blob : "";
}
