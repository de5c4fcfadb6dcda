#include "catalog/spool_state.h"

#include <string.h>
#include "catalog/database.h"
#include "catalog/tree.h"
#include "tape/error.h"
#include "tape/xattrs.h"

#define NODE_COLUMNS                                                           \
	"id, inode, base, parent, state, change, mode, uid, gid, nlink, "      \
	"size, blocks, rdev, mtime, atime, ctime, flags, content, file, "      \
	"synced, digest, xattrs, target"
#define ENTRY_AT     23 /* an entry's columns, behind its node's */
#define TARGET_LIMIT 65536

/* A node is dirty on its own; an entry is also of interest when its file is. */
static const char *const texts[SPOOL_STATEMENTS] = {
	[SPOOL_GET] = "SELECT " NODE_COLUMNS " FROM node WHERE id = ?1",
	[SPOOL_PUT] = "INSERT OR REPLACE INTO node (" NODE_COLUMNS
		      ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, "
		      "?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, "
		      "?21, ?22, ?23)",
	[SPOOL_FORGET] = "DELETE FROM node WHERE id = ?1",
	[SPOOL_LOOKUP] = "SELECT node, state, change FROM entry "
			 "WHERE parent = ?1 AND name = ?2",
	[SPOOL_ENTER] = "INSERT OR REPLACE INTO entry (parent, name, node, "
			"state, change) VALUES (?1, ?2, ?3, ?4, ?5)",
	[SPOOL_LEAVE] = "DELETE FROM entry WHERE parent = ?1 AND name = ?2",
	[SPOOL_NAME_OF] = "SELECT parent, name FROM entry WHERE node = ?1 "
			  "LIMIT 1",
	[SPOOL_LIST] = "SELECT node, state, change, name FROM entry "
		       "WHERE parent = ?1 AND name > ?2 ORDER BY name",
	[SPOOL_LIST_NODES] =
		"SELECT n.id, inode, base, n.parent, n.state, n.change, mode, "
		"uid, gid, nlink, size, blocks, rdev, mtime, atime, ctime, "
		"flags, content, file, synced, digest, xattrs, target, "
		"e.node, e.state, e.change, e.name "
		"FROM entry e LEFT JOIN node n ON n.id = e.node "
		"WHERE e.parent = ?1 ORDER BY e.name",
	[SPOOL_DIRTY_DIRECTORIES] =
		"SELECT id FROM node WHERE state = 1 AND mode & 61440 = 16384 "
		"UNION SELECT e.parent FROM entry e LEFT JOIN node n "
		"ON n.id = e.node WHERE e.state OR n.state = 1",
	[SPOOL_NODE_COMMITTED] =
		"UPDATE node SET base = ?2, content = ?3, file = 0, "
		"digest = NULL, state = 0 WHERE id = ?1 AND state = 1 AND "
		"change <= ?4",
	[SPOOL_NODE_BASE] = "UPDATE node SET base = ?2 WHERE id = ?1",
	[SPOOL_COMMITTED] = "UPDATE entry SET state = 0 WHERE state = 1 AND "
			    "change <= ?1",
	[SPOOL_EXCLUDE] = "UPDATE entry SET state = 2 WHERE parent = ?1 AND "
			  "name = ?2 AND change <= ?3",
	[SPOOL_NAMES_SYNCED] =
		"UPDATE node SET synced = 2 WHERE synced = 0 AND "
		"id IN (SELECT node FROM entry WHERE parent = ?1)",
	[SPOOL_INCLUDE_ALL] = "UPDATE entry SET state = 1 WHERE state = 2",
	[SPOOL_NEXT_CLEAN] = "SELECT id FROM node WHERE id > ?1 AND "
			     "state = 0 ORDER BY id LIMIT 1",
	[SPOOL_NEXT_CLEAN_ENTRY] = "SELECT parent, name, node FROM entry WHERE "
				   "(parent, name) > (?1, ?2) AND state = 0 "
				   "ORDER BY parent, name LIMIT 1",
	[SPOOL_NEXT_MENDED] = "SELECT id FROM node WHERE id > ?1 AND NOT file "
			      "AND NOT content AND size AND "
			      "mode & 61440 = 32768 ORDER BY id LIMIT 1",
	[SPOOL_META] = "INSERT OR REPLACE INTO meta (key, value) "
		       "VALUES (CAST(?1 AS TEXT), ?2)",
};

sqlite3_stmt *spool_statement(struct spool *s, enum spool_statement which)
{
	sqlite3_stmt **at = &s->statements[which];
	int result;

	if (s->lost && spool_restore(s))
		return NULL;
	if (*at) {
		sqlite3_reset(*at);
		return *at;
	}
	result = sqlite3_prepare_v3(s->db, texts[which], -1,
				    SQLITE_PREPARE_PERSISTENT, at, NULL);
	database_error(s->db, s->path, result);
	return result == SQLITE_OK ? *at : NULL;
}

void spool_forget_statements(struct spool *s)
{
	for (int n = 0; n < SPOOL_STATEMENTS; n++) {
		sqlite3_finalize(s->statements[n]);
		s->statements[n] = NULL;
	}
}

int spool_meta_put(struct spool *s, const char *key, uint64_t value)
{
	const struct spool_value v[] = {
		{.blob = key, .length = strlen(key)},
		{.number = (int64_t)value},
	};

	return spool_do(s, SPOOL_META, v, 2);
}

/* ---- nodes ---- */

void spool_node_release(struct spool_node *n)
{
	buffer_release(&n->xattrs);
	buffer_release(&n->target);
}

static int read_blob(struct column_reader *r, int column, size_t limit,
		     struct buffer *out)
{
	size_t length;
	const void *blob = column_blob(r, column, limit, &length);

	return length ? buffer_append(out, blob, length) : 0;
}

static int read_node(sqlite3_stmt *g, struct spool_node *n)
{
	struct column_reader r = {g, 0};
	uint64_t rdev;
	size_t length;
	const void *digest;
	int error;

	*n = (struct spool_node){0};
	n->id = (uint64_t)sqlite3_column_int64(g, 0);
	n->inode = (uint64_t)sqlite3_column_int64(g, 1);
	n->base = column_u64(&r, 2, INT64_MAX);
	n->parent = (uint64_t)sqlite3_column_int64(g, 3);
	n->state = (enum spool_state)column_u64(&r, 4, SPOOL_EXCLUDED);
	n->change = column_u64(&r, 5, INT64_MAX);
	n->mode = (mode_t)column_u64(&r, 6, UINT32_MAX);
	n->uid = (uint32_t)column_u64(&r, 7, UINT32_MAX);
	n->gid = (uint32_t)column_u64(&r, 8, UINT32_MAX);
	n->nlink = column_u64(&r, 9, UINT32_MAX);
	n->size = column_u64(&r, 10, INT64_MAX);
	n->blocks = column_u64(&r, 11, INT64_MAX);
	rdev = (uint64_t)sqlite3_column_int64(g, 12);
	n->major = (uint32_t)(rdev >> 32);
	n->minor = (uint32_t)rdev;
	n->mtime = column_time(&r, 13);
	n->atime = column_time(&r, 14);
	n->ctime = column_time(&r, 15);
	n->flags = (uint32_t)column_u64(&r, 16, UINT32_MAX);
	n->content = column_u64(&r, 17, INT64_MAX);
	n->file = column_u64(&r, 18, INT64_MAX);
	n->synced = (enum spool_synced)column_u64(&r, 19, SPOOL_SYNCED_ONCE);
	digest = column_blob(&r, 20, DIGEST_SIZE, &length);
	n->has_digest = length == DIGEST_SIZE;
	if (n->has_digest)
		memcpy(n->digest.b, digest, DIGEST_SIZE);
	error = read_blob(&r, 21, XATTR_SET_LIMIT, &n->xattrs);
	if (!error)
		error = read_blob(&r, 22, TARGET_LIMIT, &n->target);
	if (!error)
		error = r.error;
	if (error)
		spool_node_release(n);
	return error;
}

int spool_get(struct spool *s, uint64_t id, struct spool_node *out)
{
	sqlite3_stmt *g = spool_statement(s, SPOOL_GET);
	int result, error;

	if (!g)
		return REEL_EIO;
	sqlite3_bind_int64(g, 1, (int64_t)id);
	result = sqlite3_step(g);
	if (result == SQLITE_ROW)
		error = read_node(g, out);
	else
		error = result == SQLITE_DONE
				? REEL_ENOENT
				: database_error(s->db, s->path, result);
	sqlite3_reset(g);
	return error;
}

static struct spool_value blob(const void *data, size_t length)
{
	return (struct spool_value){.blob = data ? data : "", .length = length};
}

static struct spool_value number(uint64_t n)
{
	return (struct spool_value){.number = (int64_t)n};
}

int spool_put(struct spool *s, const struct spool_node *n)
{
	const struct spool_value v[] = {
		number(n->id),
		number(n->inode),
		number(n->base),
		number(n->parent),
		number(n->state),
		number(n->change),
		number(n->mode),
		number(n->uid),
		number(n->gid),
		number(n->nlink),
		number(n->size),
		number(n->blocks),
		number((uint64_t)n->major << 32 | n->minor),
		{.number = n->mtime},
		{.number = n->atime},
		{.number = n->ctime},
		number(n->flags),
		number(n->content),
		number(n->file),
		number(n->synced),
		blob(n->digest.b, n->has_digest ? DIGEST_SIZE : 0),
		blob(n->xattrs.data, n->xattrs.length),
		blob(n->target.data, n->target.length),
	};

	return spool_do(s, SPOOL_PUT, v, sizeof(v) / sizeof(v[0]));
}

int spool_forget(struct spool *s, uint64_t id)
{
	const struct spool_value v = number(id);

	return spool_do(s, SPOOL_FORGET, &v, 1);
}

/* ---- entries ---- */

static void bind_name(sqlite3_stmt *l, uint64_t parent, const char *name,
		      size_t length)
{
	sqlite3_bind_int64(l, 1, (int64_t)parent);
	sqlite3_bind_blob(l, 2, length ? name : "", (int)length, SQLITE_STATIC);
}

/* The columns node, state, change from column `at` on. */
static int read_entry(sqlite3_stmt *l, int at, struct spool_entry *out)
{
	struct column_reader r = {l, 0};

	out->node = (uint64_t)sqlite3_column_int64(l, at);
	out->state = (enum spool_state)column_u64(&r, at + 1, SPOOL_EXCLUDED);
	out->change = column_u64(&r, at + 2, INT64_MAX);
	return r.error;
}

/* And the name behind them. */
static int read_named_entry(struct spool *s, sqlite3_stmt *l, int at,
			    struct spool_entry *out)
{
	struct column_reader r = {l, 0};
	const void *name;
	int error;

	*out = (struct spool_entry){0};
	error = read_entry(l, at, out);
	name = column_blob(&r, at + 3, TREE_NAME_LIMIT, &out->name_length);
	s->name.length = 0;
	if (!error)
		error = buffer_append(&s->name, name, out->name_length);
	if (!error)
		error = buffer_append(&s->name, "", 1);
	out->name = (const char *)s->name.data;
	return error ? error : r.error;
}

int spool_lookup(struct spool *s, uint64_t parent, const char *name,
		 size_t length, struct spool_entry *out)
{
	sqlite3_stmt *l = spool_statement(s, SPOOL_LOOKUP);
	int result, error;

	if (!l)
		return REEL_EIO;
	*out = (struct spool_entry){.parent = parent};
	bind_name(l, parent, name, length);
	result = sqlite3_step(l);
	if (result == SQLITE_ROW)
		error = read_entry(l, 0, out);
	else
		error = result == SQLITE_DONE
				? REEL_ENOENT
				: database_error(s->db, s->path, result);
	sqlite3_reset(l);
	return error;
}

int spool_enter(struct spool *s, uint64_t parent, const char *name,
		size_t length, uint64_t node, enum spool_state state,
		uint64_t change)
{
	const struct spool_value v[] = {number(parent), blob(name, length),
					number(node), number(state),
					number(change)};

	return spool_do(s, SPOOL_ENTER, v, 5);
}

int spool_leave(struct spool *s, uint64_t parent, const char *name,
		size_t length)
{
	const struct spool_value v[] = {number(parent), blob(name, length)};

	return spool_do(s, SPOOL_LEAVE, v, 2);
}

int spool_name_of(struct spool *s, uint64_t node, uint64_t *parent,
		  struct buffer *name)
{
	sqlite3_stmt *l = spool_statement(s, SPOOL_NAME_OF);
	struct column_reader r = {l, 0};
	size_t length;
	int result, error;

	if (!l)
		return REEL_EIO;
	sqlite3_bind_int64(l, 1, (int64_t)node);
	result = sqlite3_step(l);
	error = result == SQLITE_DONE ? REEL_ENOENT
				      : database_error(s->db, s->path, result);
	if (!error) {
		const void *text = column_blob(&r, 1, TREE_NAME_LIMIT, &length);

		*parent = (uint64_t)sqlite3_column_int64(l, 0);
		error = r.error ? r.error : buffer_append(name, text, length);
	}
	sqlite3_reset(l);
	return error;
}

int spool_list(struct spool *s, uint64_t parent, const char *after,
	       size_t length)
{
	sqlite3_stmt *l = spool_statement(s, SPOOL_LIST);

	if (!l)
		return REEL_EIO;
	bind_name(l, parent, after, length);
	return 0;
}

int spool_step(struct spool *s, struct spool_entry *out)
{
	sqlite3_stmt *l = s->statements[SPOOL_LIST];
	int result = sqlite3_step(l);
	int error;

	if (result == SQLITE_DONE)
		return 0;
	if (result != SQLITE_ROW)
		return database_error(s->db, s->path, result);
	error = read_named_entry(s, l, 0, out);
	return error ? error : 1;
}

int spool_each_entry(struct spool *s, uint64_t parent,
		     int (*each)(void *context, const struct spool_entry *e,
				 struct spool_node *n),
		     void *context)
{
	sqlite3_stmt *l = spool_statement(s, SPOOL_LIST_NODES);
	int result = SQLITE_DONE, error = 0;

	if (!l)
		return REEL_EIO;
	sqlite3_bind_int64(l, 1, (int64_t)parent);
	while (!error && (result = sqlite3_step(l)) == SQLITE_ROW) {
		bool has = sqlite3_column_type(l, 0) != SQLITE_NULL;
		struct spool_node n = {0};
		struct spool_entry e;

		error = read_named_entry(s, l, ENTRY_AT, &e);
		if (!error && has)
			error = read_node(l, &n);
		if (!error)
			error = each(context, &e, has ? &n : NULL);
		spool_node_release(&n);
	}
	if (!error)
		error = database_error(s->db, s->path, result);
	sqlite3_reset(l);
	return error;
}

void spool_list_end(struct spool *s)
{
	if (s->statements[SPOOL_LIST])
		sqlite3_reset(s->statements[SPOOL_LIST]);
}

/* ---- what is dirty ---- */

int spool_each_dirty(struct spool *s,
		     int (*each)(void *context, uint64_t directory),
		     void *context)
{
	sqlite3_stmt *d = spool_statement(s, SPOOL_DIRTY_DIRECTORIES);
	int result = SQLITE_DONE, error = 0;

	if (!d)
		return REEL_EIO;
	while (!error && (result = sqlite3_step(d)) == SQLITE_ROW)
		error = each(context, (uint64_t)sqlite3_column_int64(d, 0));
	if (!error)
		error = database_error(s->db, s->path, result);
	sqlite3_reset(d);
	return error;
}

int spool_count(struct spool *s, uint64_t *names, uint64_t *bytes)
{
	int64_t value = 0;
	int error = database_integer(
		s->db,
		"SELECT count(*) FROM (SELECT id FROM node WHERE state = 1 "
		"AND mode & 61440 = 16384 UNION ALL SELECT 1 FROM entry e "
		"LEFT JOIN node n ON n.id = e.node WHERE e.state = 1 OR "
		"(n.state = 1 AND n.mode & 61440 <> 16384))",
		&value);

	*names = (uint64_t)value;
	value = 0;
	if (!error)
		error = database_integer(s->db,
					 "SELECT sum(size) FROM node "
					 "WHERE state = 1 AND file",
					 &value);
	*bytes = (uint64_t)value;
	return error;
}

int spool_node_committed(struct spool *s, uint64_t id, uint64_t base,
			 uint64_t content, uint64_t change)
{
	const struct spool_value v[] = {number(id), number(base),
					number(content), number(change)};
	int error = spool_do(s, SPOOL_NODE_COMMITTED, v, 4);

	if (!error && sqlite3_changes(s->db))
		return 1;
	return error ? error : spool_do(s, SPOOL_NODE_BASE, v, 2);
}

int spool_entries_committed(struct spool *s, uint64_t change)
{
	const struct spool_value v = number(change);

	return spool_do(s, SPOOL_COMMITTED, &v, 1);
}

int spool_entry_excluded(struct spool *s, uint64_t parent, const char *name,
			 size_t length, uint64_t change)
{
	const struct spool_value v[] = {number(parent), blob(name, length),
					number(change)};

	return spool_do(s, SPOOL_EXCLUDE, v, 3);
}

int spool_names_synced(struct spool *s, uint64_t directory)
{
	const struct spool_value v = number(directory);

	return spool_do(s, SPOOL_NAMES_SYNCED, &v, 1);
}

int spool_include_all(struct spool *s)
{
	return spool_do(s, SPOOL_INCLUDE_ALL, NULL, 0);
}

/* The first number of a statement's only row; REEL_ENOENT. */
static int next_id(struct spool *s, enum spool_statement which, uint64_t after,
		   uint64_t *id)
{
	sqlite3_stmt *t = spool_statement(s, which);
	int result, error;

	if (!t)
		return REEL_EIO;
	sqlite3_bind_int64(t, 1, (int64_t)after);
	result = sqlite3_step(t);
	*id = (uint64_t)sqlite3_column_int64(t, 0);
	error = result == SQLITE_DONE ? REEL_ENOENT
				      : database_error(s->db, s->path, result);
	sqlite3_reset(t);
	return error;
}

int spool_next_clean(struct spool *s, uint64_t after, uint64_t *id)
{
	return next_id(s, SPOOL_NEXT_CLEAN, after, id);
}

int spool_next_mended(struct spool *s, uint64_t after, uint64_t *id)
{
	return next_id(s, SPOOL_NEXT_MENDED, after, id);
}

int spool_next_clean_entry(struct spool *s, uint64_t *parent,
			   struct buffer *name, uint64_t *node)
{
	sqlite3_stmt *t = spool_statement(s, SPOOL_NEXT_CLEAN_ENTRY);
	struct column_reader r = {t, 0};
	size_t length;
	int result, error;

	if (!t)
		return REEL_EIO;
	bind_name(t, *parent, (char *)name->data, name->length);
	result = sqlite3_step(t);
	error = result == SQLITE_DONE ? REEL_ENOENT
				      : database_error(s->db, s->path, result);
	if (!error) {
		const void *text = column_blob(&r, 1, TREE_NAME_LIMIT, &length);

		*parent = (uint64_t)sqlite3_column_int64(t, 0);
		*node = (uint64_t)sqlite3_column_int64(t, 2);
		name->length = 0;
		error = r.error ? r.error : buffer_append(name, text, length);
	}
	sqlite3_reset(t);
	return error;
}
