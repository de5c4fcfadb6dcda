/* Inside catalog: SQLite, the only place that opens it. Nothing here logs but
 * database_error. */
#ifndef REEL_CATALOG_DATABASE_H
#define REEL_CATALOG_DATABASE_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "catalog/catalog.h"
#include "tape/buffer.h"

#define CATALOG_FILE	"catalog.db"
#define CATALOG_VERSION 1

extern const char catalog_schema[];
extern const char catalog_indexes[];
extern const char catalog_late_indexes[];

enum database_mode {
	DATABASE_READ,	    /* readers of a set that others may write */
	DATABASE_IMMUTABLE, /* nothing can be written there */
	DATABASE_WRITE,	    /* the catalogue, by the holder of the lock */
	DATABASE_BUILD,	    /* a fresh file; no journal, no syncs */
	DATABASE_SPOOL,	    /* made when missing; synced when told (spool.c) */
};

int database_open(const char *path, enum database_mode mode, sqlite3 **out);
/* The error for an SQLite result; logs it once with the path. */
int database_error(sqlite3 *db, const char *path, int result);
/* Passes the error on; REEL_EDAMAGED is said of the catalogue. */
int catalog_damaged(struct catalog *c, int error);
/* A connection that was just made; says what is wrong. */
int catalog_identify(struct catalog *c);
int database_run(sqlite3 *db, const char *path, const char *sql);
/* One integer; `fallback` when the statement gives no row. */
int database_integer(sqlite3 *db, const char *sql, int64_t *value);
/* The same of a file that may be no database at all. */
int database_peek(const char *path, const char *sql, int64_t *value);

/* Statements of a connection, prepared when first used. */
enum statement {
	S_NEWEST,
	S_SESSION,
	S_SESSION_AFTER,
	S_SESSION_LABEL,
	S_RUN,
	S_RUNS,
	S_LOOKUP,
	S_LOOKUP_PAST,
	S_DIRECTORY,
	S_DIRECTORY_PAST,
	S_INODE,
	S_INODES,
	S_VERSIONS,
	S_CONTENT,
	S_XATTRS,
	S_OWNER,
	S_NEXT_NAME,
	S_NEXT_NAME_PAST,
	S_HAS_PAST,
	S_NAMES,
	S_NAMES_PAST,
	S_HAS_SIZE,
	S_CANDIDATE,
	S_PLACES, /* prepared by places.c */
	S_COUNT
};

#define CATALOG_CURSORS 8 /* list statements kept for use again */

struct catalog {
	struct set *set;
	char *path;
	sqlite3 *db;
	bool writer;
	bool held;	  /* a read transaction is open */
	uint32_t missing; /* volumes, as of reconcile */
	ino_t file;	  /* of the database when it was opened */
	sqlite3_stmt *statements[S_COUNT];
	sqlite3_stmt *lists[CATALOG_CURSORS];
	sqlite3_stmt *past_lists[CATALOG_CURSORS];
	/* symlink target and name given last: statements are reset at once, so
	 * that no read transaction outlives a request */
	struct buffer target, name;
	/* the run decoded last */
	uint32_t run_session;
	uint64_t run_start, run_end;
	struct frame *run_frames;
	size_t run_count;
};

extern const char statement_list[];
extern const char statement_list_past[];

/* The statement, reset and ready for binding. NULL: logged. */
sqlite3_stmt *catalog_statement(struct catalog *c, enum statement s);
/* A connection that is not yet open to a file of the set; heap. */
struct catalog *catalog_new(struct set *set, const char *file, bool writer);
/* An empty catalogue, under its name only when it is whole. */
int catalog_make(struct catalog *c);
void catalog_disconnect(struct catalog *c);
/* Closes and opens the connection again (after the file was replaced). */
int catalog_reopen(struct catalog *c);
/* Whether another file has taken the catalogue's name since. */
bool catalog_replaced(const struct catalog *c);
/* Gives a whole database file the catalogue's name: synced, renamed, synced;
 * the connection is closed before. */
int catalog_install(struct catalog *c, const char *path);
void catalog_forget_statements(struct catalog *c);

/* Columns, checked: REEL_EDAMAGED for what cannot be. */
struct column_reader {
	sqlite3_stmt *s;
	int error;
};
uint64_t column_u64(struct column_reader *r, int column, uint64_t limit);
int64_t column_time(struct column_reader *r, int column);
const void *column_blob(struct column_reader *r, int column, size_t limit,
			size_t *length);

struct content_row;
/* tree_contents.c: the columns of S_CONTENT. */
int content_read_row(sqlite3_stmt *s, struct content_row *out);

/* ingest.c: puts a session's index (a database file) into the catalogue in
 * one transaction. */
int ingest_file(struct catalog *c, const char *index_path, uint32_t session);
/* The same for a packed index in memory. */
int ingest_packed(struct catalog *c, const void *packed, size_t length,
		  uint32_t session);
/* A whole session from its index (`trailer`: m->trailer was read), or, when
 * that is damaged, which is said, from its archive. *lost: as of scan_session.
 */
struct media_session;
int ingest_session(struct set *set, struct catalog *c,
		   const struct media_session *m, bool trailer, uint64_t *lost);
/* Ingests what the media have and the catalogue lacks; removes rubbish (C2). */
int reconcile(struct catalog *c);

#endif
