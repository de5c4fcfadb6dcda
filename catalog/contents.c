#include "catalog/contents.h"

#include <stdlib.h>
#include <string.h>
#include "catalog/database.h"
#include "tape/error.h"

struct content_cursor {
	struct catalog *catalog;
	sqlite3_stmt *statement;
	bool ended; /* a step beyond the end would begin anew */
};

static int prepare(struct catalog *c, const char *sql, sqlite3_stmt **out)
{
	return database_error(c->db, c->path,
			      sqlite3_prepare_v2(c->db, sql, -1, out, NULL));
}

int contents_open(struct catalog *c, uint32_t session,
		  struct content_cursor **out)
{
	static const char sql[] =
		"SELECT id, size, digest, session, offset, sparse, map_bytes, "
		"sha256 FROM content WHERE session = ? ORDER BY offset";
	struct content_cursor *k = calloc(1, sizeof(*k));
	int error;

	if (!k)
		return REEL_ENOMEM;
	k->catalog = c;
	error = prepare(c, sql, &k->statement);
	if (error) {
		free(k);
		return error;
	}
	sqlite3_bind_int64(k->statement, 1, session);
	*out = k;
	return 0;
}

int contents_step(struct content_cursor *k, struct content_row *out)
{
	struct catalog *c = k->catalog;
	int result = k->ended ? SQLITE_DONE : sqlite3_step(k->statement);
	int error;

	k->ended = result == SQLITE_DONE;
	if (k->ended)
		return 0;
	if (result != SQLITE_ROW)
		return database_error(c->db, c->path, result);
	error = catalog_damaged(c, content_read_row(k->statement, out));
	return error ? error : 1;
}

void contents_close(struct content_cursor *k)
{
	if (!k)
		return;
	sqlite3_finalize(k->statement);
	free(k);
}

static int read_name(sqlite3_stmt *s, struct entry_row *e)
{
	struct column_reader r = {s, 0};

	memset(e, 0, sizeof(*e));
	e->parent = column_u64(&r, 0, INT64_MAX);
	e->name = column_blob(&r, 1, TREE_NAME_LIMIT, &e->name_length);
	e->since = (uint32_t)column_u64(&r, 2, TREE_SESSIONS);
	e->until = (uint32_t)column_u64(&r, 3, TREE_SESSIONS);
	e->node = column_u64(&r, 4, INT64_MAX);
	e->inode.id = column_u64(&r, 5, INT64_MAX);
	e->inode.mode = (mode_t)column_u64(&r, 6, UINT32_MAX);
	e->inode.content = column_u64(&r, 7, INT64_MAX);
	return r.error;
}

int contents_each_name(struct catalog *c, uint32_t session,
		       int (*each)(void *context, const struct entry_row *e),
		       void *context)
{
	static const char sql[] =
		"SELECT e.parent, e.name, e.since, e.until, e.node, i.id, "
		"i.mode, i.content FROM ("
		"SELECT parent, name, since, 0 AS until, node, inode FROM "
		"entry "
		"UNION ALL "
		"SELECT parent, name, since, until, node, inode FROM past"
		") AS e JOIN inode AS i ON i.id = e.inode "
		"WHERE ?1 = 0 OR e.since = ?1";
	sqlite3_stmt *s;
	int result = SQLITE_DONE;
	int error = prepare(c, sql, &s);

	if (error)
		return error;
	sqlite3_bind_int64(s, 1, session);
	while (!error && (result = sqlite3_step(s)) == SQLITE_ROW) {
		struct entry_row e;

		error = catalog_damaged(c, read_name(s, &e));
		if (!error)
			error = each(context, &e);
	}
	if (!error)
		error = database_error(c->db, c->path, result);
	sqlite3_finalize(s);
	return error;
}
