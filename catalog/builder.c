#include "catalog/builder_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "catalog/index.h"
#include "catalog/places.h"
#include "tape/buffer.h"
#include "tape/bytes.h"
#include "tape/error.h"
#include "tape/log.h"

#define RUN_LENGTH   1024	/* frames in a row */
#define XATTRS_LIMIT (1u << 20) /* sets remembered; more are stored again */

static const char *const texts[B_COUNT] = {
	[B_INODE] = "INSERT OR REPLACE INTO inode (id, mode, uid, gid, size, "
		    "mtime, "
		    "atime, ctime, nlink, source, rdev, blocks, flags, "
		    "xattrs, content, target) VALUES (?1, ?2, ?3, ?4, ?5, "
		    "?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
	[B_ENTRY] = "INSERT OR REPLACE INTO entry (parent, name, since, node, "
		    "inode) VALUES (?1, ?2, ?3, ?4, ?5)",
	[B_PAST] = "INSERT OR IGNORE INTO past (parent, name, since, until, "
		   "node, inode) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
	[B_XATTRS] = "INSERT INTO xattrs (id, packed) VALUES (?1, ?2)",
	[B_OWNER] = "INSERT OR REPLACE INTO owner (kind, id, name) "
		    "VALUES (?1, ?2, ?3)",
	[B_CONTENT] = "INSERT INTO content (id, size, digest, session, "
		      "offset, sparse, map_bytes, sha256) VALUES "
		      "(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
	[B_KEEP] = "INSERT OR REPLACE INTO keep (content, session) "
		   "VALUES (?1, ?2)",
	[B_RUN] = "INSERT INTO run (session, stream, volume, position, "
		  "length, frames) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
	[B_SESSION] = "INSERT INTO session (id, epoch, time, finished, label, "
		      "host, first_volume, stream, files, directories, "
		      "bytes, new_files, new_bytes, unique_bytes, copies, "
		      "problems) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, "
		      "?10, ?11, ?12, ?13, ?14, ?15, ?16)",
	[B_META] = "INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)",
	[B_GET_INODE] = "SELECT mode, size, content FROM inode WHERE id = ?1",
	[B_GET_ENTRY] = "SELECT inode FROM entry WHERE parent = ?1 AND "
			"name = ?2",
	[B_GET_PAST] = "SELECT 1 FROM past WHERE parent = ?1 AND name = ?2",
	[B_GET_CONTENT] = "SELECT id, size, digest, session, offset, sparse, "
			  "map_bytes, sha256 FROM content WHERE id = ?1",
	[B_SPILLED] = "SELECT id, size, digest, session, offset, sparse, "
		      "map_bytes, sha256 FROM content WHERE size = ?1 AND "
		      "digest = ?2 "
		      "AND id > ?3 ORDER BY id LIMIT 1",
	[B_OLD_CANDIDATE] =
		"SELECT id, size, digest, session, offset, "
		"sparse, map_bytes, sha256 FROM content WHERE size = ?1 "
		"AND digest = ?2 AND id > ?3 AND session >= ?4 "
		"ORDER BY id LIMIT 1",
	[B_OLD_SIZE] = "SELECT 1 FROM content WHERE size = ?1 AND "
		       "session >= ?2 LIMIT 1",
	[B_OLD_KEEP] = "SELECT 1 FROM keep WHERE content = ?1 AND "
		       "session >= ?2",
	[B_OLD_LIVE] = "SELECT e.parent, e.name FROM entry e WHERE "
		       "e.node IS NULL AND e.inode IN (SELECT id FROM inode "
		       "WHERE content = ?1)",
	[B_OLD_NAMES] = "SELECT parent, name FROM entry WHERE inode = ?1 AND "
			"node IS NULL",
	[B_OLD_XATTRS] = "SELECT id, packed FROM xattrs",
};

sqlite3_stmt *builder_statement(struct builder *b, enum builder_statement s)
{
	sqlite3_stmt **at = &b->statements[s];
	bool old = s >= B_FIRST_OLD;
	sqlite3 *db = old ? b->catalog->db : b->db;

	if (*at) {
		sqlite3_reset(*at);
		return *at;
	}
	int result = sqlite3_prepare_v3(db, texts[s], -1,
					SQLITE_PREPARE_PERSISTENT, at, NULL);
	database_error(db, old ? b->catalog->path : b->path, result);
	return result == SQLITE_OK ? *at : NULL;
}

int builder_step(struct builder *b, sqlite3_stmt *s)
{
	int result = sqlite3_step(s);

	if (result == SQLITE_DONE || result == SQLITE_ROW)
		result = sqlite3_reset(s);
	return database_error(b->db, b->path, result);
}

static void forget_statements(struct builder *b)
{
	for (int n = 0; n < B_COUNT; n++) {
		sqlite3_finalize(b->statements[n]);
		b->statements[n] = NULL;
	}
}

int builder_late_indexes(struct builder *b)
{
	if (!b->late)
		b->late_error = database_run(b->catalog->db, b->catalog->path,
					     catalog_late_indexes);
	b->late = true;
	return b->late_error;
}

/* ---- lifecycle ---- */

static int meta_number(struct catalog *c, const char *key, uint64_t *value)
{
	char sql[80];
	int64_t v = 0;

	snprintf(sql, sizeof(sql), "SELECT value FROM meta WHERE key = '%s'",
		 key);
	int error = database_integer(c->db, sql, &v);
	if (!error && v <= 0)
		error = REEL_EDAMAGED;
	if (error)
		database_error(c->db, c->path, SQLITE_CORRUPT);
	*value = (uint64_t)v;
	return error ? REEL_EDAMAGED : 0;
}

static int load_ids(struct builder *b, uint32_t newest)
{
	struct catalog *c = b->catalog;
	int error;

	b->next_node = TREE_ROOT + 1;
	b->next_inode = 2; /* 1 is the mount's root */
	b->next_content = b->next_xattrs = 1;
	if (!newest)
		return 0;
	error = meta_number(c, "next_node", &b->next_node);
	if (!error)
		error = meta_number(c, "next_inode", &b->next_inode);
	if (!error)
		error = meta_number(c, "next_content", &b->next_content);
	if (!error)
		error = meta_number(c, "next_xattrs", &b->next_xattrs);
	return error;
}

/* Epoch and totals go on from the newest session. */
static int follow(struct builder *b, uint32_t newest, bool full)
{
	struct session_row before;
	int error = 0;

	b->session = newest + 1;
	b->epoch = b->session;
	if (b->session >= TREE_SESSIONS) {
		log_error("%s has as many sessions as a set can have; begin a "
			  "new set",
			  b->set->path);
		return REEL_ERANGE;
	}
	if (!newest || full)
		return 0;
	error = catalog_session(b->catalog, newest, &before);
	if (error)
		return error;
	b->old = true;
	b->epoch = before.epoch;
	b->files = (int64_t)before.files;
	b->directories = (int64_t)before.directories;
	b->bytes = (int64_t)before.bytes;
	session_row_release(&before);
	return 0;
}

static int open_index(struct builder *b)
{
	char sql[64];
	int error;

	b->path = malloc(strlen(b->set->path) + sizeof("/spool/index.db"));
	if (!b->path)
		return REEL_ENOMEM;
	sprintf(b->path, "%s/spool/index.db", b->set->path);
	unlink(b->path);
	error = database_open(b->path, DATABASE_BUILD, &b->db);
	if (!error)
		error = database_run(b->db, b->path, "BEGIN");
	if (!error)
		error = database_run(b->db, b->path, catalog_schema);
	snprintf(sql, sizeof(sql), "PRAGMA user_version=%d", CATALOG_VERSION);
	return error ? error : database_run(b->db, b->path, sql);
}

int builder_new(struct catalog *c, struct set *set, bool full,
		struct builder **out)
{
	struct builder *b = calloc(1, sizeof(*b));
	uint32_t newest;
	int error;

	if (!b)
		return REEL_ENOMEM;
	b->catalog = c;
	b->set = set;
	b->contents.paths = -1;
	error = catalog_newest(c, &newest);
	if (!error)
		error = follow(b, newest, full);
	if (!error)
		error = load_ids(b, newest);
	b->first_node = b->next_node;
	b->first_inode = b->next_inode;
	if (!error)
		error = open_index(b);
	if (!error)
		error = builder_contents_init(b);
	if (error) {
		builder_free(b);
		return error;
	}
	*out = b;
	return 0;
}

void builder_free(struct builder *b)
{
	if (!b)
		return;
	forget_statements(b);
	sqlite3_close(b->db);
	if (b->path)
		unlink(b->path);
	builder_contents_release(&b->contents);
	tree_trail_release(&b->trail);
	free(b->xattrs);
	free(b->path);
	free(b);
}

uint32_t builder_session(const struct builder *b)
{
	return b->session;
}

uint32_t builder_epoch(const struct builder *b)
{
	return b->epoch;
}

uint64_t builder_new_node(struct builder *b)
{
	return b->next_node++;
}

/* ---- xattrs and owners ---- */

static size_t xattrs_slot(const struct builder *b, const struct digest *d)
{
	struct le64 first;
	size_t mask = b->xattrs_room - 1, n;

	memcpy(&first, d, 8);
	for (n = (size_t)le64_get(first) & mask;
	     b->xattrs[n].id && memcmp(&b->xattrs[n].digest, d, sizeof(*d));
	     n = (n + 1) & mask)
		;
	return n;
}

static int remember_xattrs(struct builder *b, const struct digest *d,
			   uint64_t id)
{
	if (b->xattrs_count >= XATTRS_LIMIT)
		return 0;
	if (2 * (b->xattrs_count + 1) > b->xattrs_room) {
		struct xattrs_slot *before = b->xattrs;
		size_t room = b->xattrs_room;

		b->xattrs_room = room ? 2 * room : 256;
		b->xattrs = calloc(b->xattrs_room, sizeof(*b->xattrs));
		if (!b->xattrs) {
			b->xattrs = before;
			b->xattrs_room = room;
			return REEL_ENOMEM;
		}
		for (size_t n = 0; n < room; n++)
			if (before[n].id)
				b->xattrs[xattrs_slot(b, &before[n].digest)] =
					before[n];
		free(before);
	}
	b->xattrs[xattrs_slot(b, d)] = (struct xattrs_slot){*d, id};
	b->xattrs_count++;
	return 0;
}

/* What the catalogue has is remembered when the first set comes. */
static int load_xattrs(struct builder *b)
{
	sqlite3_stmt *s = builder_statement(b, B_OLD_XATTRS);
	int result = SQLITE_DONE, error = 0;

	if (!s)
		return REEL_EIO;
	while (!error && (result = sqlite3_step(s)) == SQLITE_ROW) {
		struct column_reader r = {s, 0};
		uint64_t id = column_u64(&r, 0, INT64_MAX);
		size_t length;
		const void *packed = column_blob(&r, 1, INT32_MAX, &length);
		struct digest d;

		digest_bytes(b->set->config.seed, packed, length, &d);
		error = r.error ? r.error : remember_xattrs(b, &d, id);
	}
	sqlite3_reset(s);
	return error ? error
		     : database_error(b->catalog->db, b->catalog->path, result);
}

int builder_xattrs(struct builder *b, const void *packed, size_t length,
		   uint64_t *id)
{
	struct digest d;
	sqlite3_stmt *s;
	int error = 0;

	if (!b->xattrs_room && b->next_xattrs > 1)
		error = load_xattrs(b);
	if (error)
		return error;
	digest_bytes(b->set->config.seed, packed, length, &d);
	if (b->xattrs_room) {
		size_t n = xattrs_slot(b, &d);

		if (b->xattrs[n].id) {
			*id = b->xattrs[n].id;
			return 0;
		}
	}
	s = builder_statement(b, B_XATTRS);
	if (!s)
		return REEL_EIO;
	sqlite3_bind_int64(s, 1, (int64_t)b->next_xattrs);
	sqlite3_bind_blob(s, 2, packed, (int)length, SQLITE_STATIC);
	error = builder_step(b, s);
	if (!error)
		error = remember_xattrs(b, &d, b->next_xattrs);
	if (!error)
		*id = b->next_xattrs++;
	return error;
}

int builder_owner(struct builder *b, bool group, uint32_t id, const char *name)
{
	sqlite3_stmt *s = builder_statement(b, B_OWNER);

	if (!s)
		return REEL_EIO;
	sqlite3_bind_int(s, 1, group);
	sqlite3_bind_int64(s, 2, id);
	sqlite3_bind_text(s, 3, name, -1, SQLITE_STATIC);
	return builder_step(b, s);
}

/* ---- the end ---- */

/* One row from the front of `frames`; how many it took. */
static size_t put_run(struct builder *b, const struct frame *frames,
		      size_t count, int *error)
{
	uint8_t blob[12 * RUN_LENGTH];
	sqlite3_stmt *s = builder_statement(b, B_RUN);
	uint64_t length = 0;
	size_t n;

	for (n = 0; n < count && n < RUN_LENGTH &&
		    frames[n].volume == frames[0].volume;
	     n++) {
		struct le32 v[3] = {le32_make(frames[n].stored),
				    le32_make(frames[n].length),
				    le32_make(frames[n].checksum)};

		memcpy(blob + 12 * n, v, 12);
		length += frames[n].length;
	}
	*error = s ? 0 : REEL_EIO;
	if (!s)
		return n;
	sqlite3_bind_int64(s, 1, b->session);
	sqlite3_bind_int64(s, 2, (int64_t)frames[0].stream);
	sqlite3_bind_int64(s, 3, frames[0].volume);
	sqlite3_bind_int64(s, 4, (int64_t)frames[0].position);
	sqlite3_bind_int64(s, 5, (int64_t)length);
	sqlite3_bind_blob(s, 6, blob, (int)(12 * n), SQLITE_STATIC);
	*error = builder_step(b, s);
	return n;
}

static int put_session(struct builder *b, const struct session_row *row)
{
	sqlite3_stmt *s = builder_statement(b, B_SESSION);

	if (!s)
		return REEL_EIO;
	sqlite3_bind_int64(s, 1, b->session);
	sqlite3_bind_int64(s, 2, b->epoch);
	sqlite3_bind_int64(s, 3, row->time);
	sqlite3_bind_int64(s, 4, row->finished);
	sqlite3_bind_text(s, 5, row->label, -1, SQLITE_STATIC);
	sqlite3_bind_text(s, 6, row->host, -1, SQLITE_STATIC);
	sqlite3_bind_int64(s, 7, row->first_volume);
	sqlite3_bind_int64(s, 8, (int64_t)row->stream);
	sqlite3_bind_int64(s, 9, b->files);
	sqlite3_bind_int64(s, 10, b->directories);
	sqlite3_bind_int64(s, 11, b->bytes);
	sqlite3_bind_int64(s, 12, (int64_t)row->new_files);
	sqlite3_bind_int64(s, 13, (int64_t)row->new_bytes);
	sqlite3_bind_int64(s, 14, (int64_t)row->unique_bytes);
	sqlite3_bind_int64(s, 15, (int64_t)row->copies);
	sqlite3_bind_int64(s, 16, (int64_t)row->problems);
	return builder_step(b, s);
}

static int put_meta(struct builder *b, const char *key, uint64_t number,
		    const char *text)
{
	sqlite3_stmt *s = builder_statement(b, B_META);

	if (!s)
		return REEL_EIO;
	sqlite3_bind_text(s, 1, key, -1, SQLITE_STATIC);
	if (text)
		sqlite3_bind_text(s, 2, text, -1, SQLITE_TRANSIENT);
	else
		sqlite3_bind_int64(s, 2, (int64_t)number);
	return builder_step(b, s);
}

static int put_metas(struct builder *b)
{
	char uuid[37];
	int error;

	set_uuid_text(b->set->config.uuid, uuid);
	error = put_meta(b, "set", 0, uuid);
	if (!error)
		error = put_meta(b, "next_node", b->next_node, NULL);
	if (!error)
		error = put_meta(b, "next_inode", b->next_inode, NULL);
	if (!error)
		error = put_meta(b, "next_content", b->next_content, NULL);
	if (!error)
		error = put_meta(b, "next_xattrs", b->next_xattrs, NULL);
	return error;
}

int builder_finish(struct builder *b, const struct session_row *row,
		   const struct frame *frames, size_t count,
		   struct buffer *packed)
{
	/* what a search for copies could not know, it did not say */
	int error = b->late_error ? b->late_error : put_session(b, row);

	for (size_t n = 0; !error && n < count;)
		n += put_run(b, frames + n, count - n, &error);
	if (!error)
		error = put_metas(b);
	forget_statements(b);
	if (!error && b->contents.spilled)
		error = database_run(b->db, b->path, "DROP INDEX spilled");
	if (!error)
		error = database_run(b->db, b->path, "COMMIT");
	sqlite3_close(b->db);
	b->db = NULL;
	return !error && packed ? index_pack(b->path, packed) : error;
}

/* The first session's index becomes the catalogue itself; where volumes lie
 * is known before it. */
static int become_catalogue(struct builder *b)
{
	struct cartridge_table places = {0};
	struct catalog made = {.set = b->set, .path = b->path};
	int error = places_table(b->catalog, &places);

	if (!error)
		error = database_open(b->path, DATABASE_BUILD, &made.db);
	if (!error)
		error = database_run(made.db, b->path, catalog_indexes);
	if (!error && places.cartridge_count)
		error = places_add(&made, &places);
	sqlite3_close(made.db);
	if (!error)
		error = catalog_install(b->catalog, b->path);
	cartridge_table_release(&places);
	return error ? error : catalog_reopen(b->catalog);
}

int builder_ingest(struct builder *b)
{
	uint32_t newest;
	int error = catalog_newest(b->catalog, &newest);

	if (error)
		return error;
	return newest ? ingest_file(b->catalog, b->path, b->session)
		      : become_catalogue(b);
}
