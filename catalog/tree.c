#include "catalog/tree.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "catalog/database.h"
#include "tape/buffer.h"
#include "tape/bytes.h"
#include "tape/error.h"
#include "tape/xattrs.h"

#define INODE_AT     3 /* first column of the inode in a statement */
#define AFTER_INODE  (INODE_AT + 16)
#define TARGET_LIMIT 65536
#define ID_LIMIT     ((UINT64_C(1) << TREE_ID_BITS) - 1)

static uint64_t default_blocks(uint64_t size)
{
	return (size + 4095) / 4096 * 8;
}

static int read_inode(struct column_reader *r, int at, struct inode_row *i)
{
	uint64_t rdev;
	size_t length;

	i->id = column_u64(r, at, ID_LIMIT);
	i->mode = (mode_t)column_u64(r, at + 1, UINT32_MAX);
	i->uid = (uint32_t)column_u64(r, at + 2, UINT32_MAX);
	i->gid = (uint32_t)column_u64(r, at + 3, UINT32_MAX);
	i->size = column_u64(r, at + 4, INT64_MAX);
	i->mtime = column_time(r, at + 5);
	i->has_atime = sqlite3_column_type(r->s, at + 6) != SQLITE_NULL;
	i->atime = i->has_atime ? column_time(r, at + 6) : i->mtime;
	i->ctime = sqlite3_column_type(r->s, at + 7) == SQLITE_NULL
			   ? i->mtime
			   : column_time(r, at + 7);
	i->nlink = column_u64(r, at + 8, UINT32_MAX);
	i->source = (uint64_t)sqlite3_column_int64(r->s, at + 9);
	rdev = (uint64_t)sqlite3_column_int64(r->s, at + 10);
	i->major = (uint32_t)(rdev >> 32);
	i->minor = (uint32_t)rdev;
	i->blocks = sqlite3_column_type(r->s, at + 11) == SQLITE_NULL
			    ? default_blocks(i->size)
			    : column_u64(r, at + 11, INT64_MAX);
	i->flags = (uint32_t)column_u64(r, at + 12, UINT32_MAX);
	i->xattrs = column_u64(r, at + 13, INT64_MAX);
	i->content = column_u64(r, at + 14, INT64_MAX);
	i->target = column_blob(r, at + 15, TARGET_LIMIT, &length);
	i->target = length ? i->target : NULL;
	i->target_length = length;
	if (!i->id || !(i->mode & S_IFMT))
		r->error = REEL_EDAMAGED;
	return r->error;
}

static int read_entry(struct column_reader *r, struct entry_row *e)
{
	memset(e, 0, sizeof(*e));
	e->node = column_u64(r, 0, ID_LIMIT);
	e->since = (uint32_t)column_u64(r, 1, TREE_SESSIONS);
	e->until = (uint32_t)column_u64(r, 2, TREE_SESSIONS);
	read_inode(r, INODE_AT, &e->inode);
	if (!r->error && !!e->node != !!S_ISDIR(e->inode.mode) && e->since)
		r->error = REEL_EDAMAGED;
	return r->error;
}

/* Text that lives in the connection until the next call. */
static int hold(struct buffer *b, const char **text, size_t length)
{
	b->length = 0;
	int error = buffer_append(b, *text, length);

	*text = (char *)b->data;
	return error;
}

/* Steps a bound statement that gives one row at most, and resets it. */
static int one_entry(struct catalog *c, sqlite3_stmt *s, struct entry_row *out)
{
	struct column_reader r = {s, 0};
	int result = sqlite3_step(s);
	int error;

	if (result == SQLITE_DONE) {
		sqlite3_reset(s);
		return REEL_ENOENT;
	}
	if (result != SQLITE_ROW)
		return database_error(c->db, c->path, result);
	error = read_entry(&r, out);
	if (!error && out->inode.target_length)
		error = hold(&c->target, &out->inode.target,
			     out->inode.target_length);
	if (!error && sqlite3_column_count(s) > AFTER_INODE) {
		out->parent = column_u64(&r, AFTER_INODE, ID_LIMIT);
		out->name = column_blob(&r, AFTER_INODE + 1, TREE_NAME_LIMIT,
					&out->name_length);
		error = r.error ? r.error
				: hold(&c->name, &out->name, out->name_length);
	}
	sqlite3_reset(s);
	return catalog_damaged(c, error);
}

static int look_up(struct catalog *c, enum statement which, uint32_t session,
		   uint64_t parent, const char *name, size_t length,
		   struct entry_row *out)
{
	sqlite3_stmt *s = catalog_statement(c, which);

	if (!s)
		return REEL_EDAMAGED;
	sqlite3_bind_int64(s, 1, (int64_t)parent);
	sqlite3_bind_blob(s, 2, length ? name : "", (int)length, SQLITE_STATIC);
	sqlite3_bind_int64(s, 3, session);
	int error = one_entry(c, s, out);
	out->parent = parent;
	return error;
}

int tree_lookup(struct catalog *c, uint32_t session, uint64_t parent,
		const char *name, size_t length, struct entry_row *out)
{
	int error = look_up(c, S_LOOKUP, session, parent, name, length, out);

	if (error == REEL_ENOENT)
		error = look_up(c, S_LOOKUP_PAST, session, parent, name, length,
				out);
	return error;
}

int tree_directory(struct catalog *c, uint32_t session, uint64_t node,
		   struct entry_row *out)
{
	const enum statement which[] = {S_DIRECTORY, S_DIRECTORY_PAST};
	int error = REEL_ENOENT;

	for (int n = 0; n < 2 && error == REEL_ENOENT; n++) {
		sqlite3_stmt *s = catalog_statement(c, which[n]);

		if (!s)
			return REEL_EDAMAGED;
		sqlite3_bind_int64(s, 1, (int64_t)node);
		sqlite3_bind_int64(s, 2, session);
		error = one_entry(c, s, out);
	}
	return error;
}

int tree_inode(struct catalog *c, uint64_t id, struct inode_row *out)
{
	sqlite3_stmt *s = catalog_statement(c, S_INODE);
	struct entry_row e;

	if (!s)
		return REEL_EDAMAGED;
	sqlite3_bind_int64(s, 1, (int64_t)id);
	int error = one_entry(c, s, &e);
	if (!error)
		*out = e.inode;
	return error;
}

int tree_inodes_after(struct catalog *c, uint64_t after, int count,
		      int (*each)(void *context, const struct inode_row *i),
		      void *context)
{
	sqlite3_stmt *s = catalog_statement(c, S_INODES);
	struct column_reader r = {s, 0};
	int result, error = 0;

	if (!s)
		return REEL_EDAMAGED;
	sqlite3_bind_int64(s, 1, (int64_t)after);
	sqlite3_bind_int(s, 2, count);
	while (!error && (result = sqlite3_step(s)) == SQLITE_ROW) {
		struct inode_row i;

		error = catalog_damaged(c, read_inode(&r, INODE_AT, &i));
		if (!error)
			error = each(context, &i);
	}
	if (!error)
		error = database_error(c->db, c->path, result);
	sqlite3_reset(s);
	return error;
}

int tree_resolve(struct catalog *c, uint32_t session, const char *path,
		 size_t length, struct entry_row *out)
{
	const char *end = path + length;
	int error = tree_directory(c, session, TREE_ROOT, out);

	while (!error && path < end) {
		const char *slash = memchr(path, '/', (size_t)(end - path));
		size_t n = (size_t)((slash ? slash : end) - path);

		if (n && !(n == 1 && *path == '.')) {
			if (!out->node)
				return REEL_ENOTDIR;
			error = tree_lookup(c, session, out->node, path, n,
					    out);
			out->name = path;
			out->name_length = n;
		}
		path += n + (slash != NULL);
	}
	return error;
}

/* ---- listings: two ordered statements, merged ---- */

struct side {
	sqlite3_stmt *s;
	sqlite3_stmt **home; /* where it is kept for use again; NULL: nowhere */
	bool have;
	const char *name;
	size_t length;
};

struct tree_cursor {
	struct catalog *c;
	uint64_t parent;
	struct side live, past;
	struct side *given; /* the side whose row was given last */
};

static int side_open(struct catalog *c, struct side *side, const char *sql,
		     sqlite3_stmt **pool)
{
	for (int n = 0; n < CATALOG_CURSORS; n++) {
		if (!pool[n])
			continue;
		side->s = pool[n];
		side->home = pool;
		pool[n] = NULL;
		return 0;
	}
	side->home = pool;
	int result = sqlite3_prepare_v3(
		c->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &side->s, NULL);
	return database_error(c->db, c->path, result);
}

static void side_close(struct side *side)
{
	if (!side->s)
		return;
	sqlite3_reset(side->s);
	sqlite3_clear_bindings(side->s);
	for (int n = 0; n < CATALOG_CURSORS; n++) {
		if (!side->home[n]) {
			side->home[n] = side->s;
			return;
		}
	}
	sqlite3_finalize(side->s);
}

static int side_step(struct catalog *c, struct side *side)
{
	struct column_reader r = {side->s, 0};
	int result = sqlite3_step(side->s);

	side->have = result == SQLITE_ROW;
	if (!side->have)
		return database_error(c->db, c->path, result);
	side->name =
		column_blob(&r, AFTER_INODE, TREE_NAME_LIMIT, &side->length);
	if (!side->length && !r.error)
		return side_step(c, side); /* the root's own entry */
	return catalog_damaged(c, r.error);
}

static int side_begin(struct tree_cursor *t, struct side *side,
		      uint32_t session, const char *after, size_t length)
{
	sqlite3_bind_int64(side->s, 1, (int64_t)t->parent);
	sqlite3_bind_int64(side->s, 2, session);
	sqlite3_bind_blob(side->s, 3, length ? after : "", (int)length,
			  SQLITE_TRANSIENT);
	return side_step(t->c, side);
}

static int has_past(struct catalog *c, uint64_t parent, bool *has)
{
	sqlite3_stmt *s = catalog_statement(c, S_HAS_PAST);

	if (!s)
		return REEL_EDAMAGED;
	sqlite3_bind_int64(s, 1, (int64_t)parent);
	int result = sqlite3_step(s);
	*has = result == SQLITE_ROW;
	int error = database_error(c->db, c->path, result);
	sqlite3_reset(s);
	return error;
}

int tree_list_after(struct catalog *c, uint32_t session, uint64_t parent,
		    const char *after, size_t length, struct tree_cursor **out)
{
	struct tree_cursor *t = calloc(1, sizeof(*t));
	bool past;
	int error;

	if (!t)
		return REEL_ENOMEM;
	t->c = c;
	t->parent = parent;
	error = has_past(c, parent, &past);
	if (!error)
		error = side_open(c, &t->live, statement_list, c->lists);
	if (!error)
		error = side_begin(t, &t->live, session, after, length);
	if (!error && past)
		error = side_open(c, &t->past, statement_list_past,
				  c->past_lists);
	if (!error && past)
		error = side_begin(t, &t->past, session, after, length);
	if (error) {
		tree_end(t);
		return error;
	}
	*out = t;
	return 0;
}

int tree_list(struct catalog *c, uint32_t session, uint64_t parent,
	      struct tree_cursor **out)
{
	return tree_list_after(c, session, parent, "", 0, out);
}

static int compare_names(const void *a, size_t a_length, const void *b,
			 size_t b_length)
{
	int d = memcmp(a, b, a_length < b_length ? a_length : b_length);

	return d ? d : (a_length > b_length) - (a_length < b_length);
}

static int compare_sides(const struct tree_cursor *t)
{
	return compare_names(t->live.name, t->live.length, t->past.name,
			     t->past.length);
}

/* What a directory can hold: restored, others would lead elsewhere. */
static bool name_possible(const char *name, size_t length)
{
	return !memchr(name, '/', length) && !memchr(name, '\0', length) &&
	       !(length == 1 && *name == '.') &&
	       !(length == 2 && !memcmp(name, "..", 2));
}

int tree_step(struct tree_cursor *t, struct entry_row *out)
{
	int error = t->given ? side_step(t->c, t->given) : 0;

	if (error)
		return error;
	if (t->live.have && t->past.have)
		t->given = compare_sides(t) < 0 ? &t->live : &t->past;
	else
		t->given = t->live.have ? &t->live : &t->past;
	if (!t->given->have) {
		t->given = NULL;
		t->live.have = t->past.have = false;
		return 0;
	}
	struct column_reader r = {t->given->s, 0};
	error = catalog_damaged(t->c, read_entry(&r, out));
	if (error)
		return error;
	out->parent = t->parent;
	out->name = t->given->name;
	out->name_length = t->given->length;
	if (!name_possible(out->name, out->name_length))
		return catalog_damaged(t->c, REEL_EDAMAGED);
	return 1;
}

void tree_end(struct tree_cursor *t)
{
	if (!t)
		return;
	side_close(&t->live);
	side_close(&t->past);
	free(t);
}

int tree_versions(struct catalog *c, uint64_t parent, const char *name,
		  size_t length,
		  int (*each)(void *context, const struct entry_row *e),
		  void *context)
{
	sqlite3_stmt *s = catalog_statement(c, S_VERSIONS);
	struct column_reader r = {s, 0};
	int result = SQLITE_DONE, error = 0;

	if (!s)
		return REEL_EDAMAGED;
	sqlite3_bind_int64(s, 1, (int64_t)parent);
	sqlite3_bind_blob(s, 2, length ? name : "", (int)length, SQLITE_STATIC);
	while (!error && (result = sqlite3_step(s)) == SQLITE_ROW) {
		struct entry_row e;

		error = catalog_damaged(c, read_entry(&r, &e));
		e.parent = parent;
		e.name = name;
		e.name_length = length;
		if (!error)
			error = each(context, &e);
	}
	if (!error)
		error = database_error(c->db, c->path, result);
	sqlite3_reset(s);
	return error;
}

int tree_next_name(struct catalog *c, uint64_t parent, const char *after,
		   size_t length, struct buffer *name)
{
	const enum statement which[] = {S_NEXT_NAME, S_NEXT_NAME_PAST};
	bool found = false;
	int error = 0;

	name->length = 0;
	for (int n = 0; !error && n < 2; n++) {
		sqlite3_stmt *s = catalog_statement(c, which[n]);
		struct column_reader r = {s, 0};

		if (!s)
			return REEL_EDAMAGED;
		sqlite3_bind_int64(s, 1, (int64_t)parent);
		sqlite3_bind_blob(s, 2, length ? after : "", (int)length,
				  SQLITE_STATIC);
		int result = sqlite3_step(s);
		if (result == SQLITE_ROW) {
			size_t size;
			const void *text =
				column_blob(&r, 0, TREE_NAME_LIMIT, &size);

			error = r.error;
			if (!error &&
			    (!found || compare_names(text, size, name->data,
						     name->length) < 0)) {
				name->length = 0;
				error = buffer_append(name, text, size);
			}
			found = true;
		} else {
			error = database_error(c->db, c->path, result);
		}
		sqlite3_reset(s);
	}
	return error ? catalog_damaged(c, error) : found ? 0 : REEL_ENOENT;
}

static int each_name(struct catalog *c, sqlite3_stmt *s,
		     int (*each)(void *context, uint64_t parent,
				 const char *name, size_t length),
		     void *context)
{
	struct column_reader r = {s, 0};
	int result = SQLITE_DONE, error = 0;

	while (!error && (result = sqlite3_step(s)) == SQLITE_ROW) {
		uint64_t parent = column_u64(&r, 0, ID_LIMIT);
		size_t length;
		const char *name = column_blob(&r, 1, TREE_NAME_LIMIT, &length);

		error = catalog_damaged(c, r.error);
		if (!error)
			error = each(context, parent, name, length);
	}
	if (!error)
		error = database_error(c->db, c->path, result);
	sqlite3_reset(s);
	return error;
}

int tree_names(struct catalog *c, uint32_t session, uint64_t inode,
	       int (*each)(void *context, uint64_t parent, const char *name,
			   size_t length),
	       void *context)
{
	const enum statement which[] = {S_NAMES, S_NAMES_PAST};
	uint32_t newest;
	int error = catalog_newest(c, &newest);

	for (int n = 0; !error && n < (session == newest ? 1 : 2); n++) {
		sqlite3_stmt *s = catalog_statement(c, which[n]);

		if (!s)
			return REEL_EDAMAGED;
		sqlite3_bind_int64(s, 1, (int64_t)inode);
		sqlite3_bind_int64(s, 2, session);
		error = each_name(c, s, each, context);
	}
	return error;
}

/* ---- xattrs, owners ---- */

int tree_xattrs(struct catalog *c, uint64_t id, struct buffer *out)
{
	sqlite3_stmt *s = catalog_statement(c, S_XATTRS);
	struct column_reader r = {s, 0};
	size_t length;

	if (!s)
		return REEL_EDAMAGED;
	sqlite3_bind_int64(s, 1, (int64_t)id);
	int result = sqlite3_step(s);
	if (result == SQLITE_DONE)
		return catalog_damaged(c, REEL_EDAMAGED);
	if (result != SQLITE_ROW)
		return database_error(c->db, c->path, result);
	const void *packed = column_blob(&r, 0, XATTR_SET_LIMIT, &length);
	int error = catalog_damaged(c, r.error);
	if (!error)
		error = buffer_append(out, packed, length);
	sqlite3_reset(s);
	return error;
}

int tree_has_xattrs(struct catalog *c, bool *xattrs, bool *acls)
{
	int64_t any = 0, some = 0;
	int error = database_integer(
		c->db, "SELECT EXISTS (SELECT 1 FROM xattrs)", &any);

	if (!error)
		error = database_integer(
			c->db,
			"SELECT EXISTS (SELECT 1 FROM xattrs WHERE "
			"instr(packed, CAST('system.posix_acl_' AS BLOB)))",
			&some);
	*xattrs = any;
	*acls = some;
	return error;
}

int tree_owner_name(struct catalog *c, bool group, uint32_t id, char **name)
{
	sqlite3_stmt *s = catalog_statement(c, S_OWNER);

	if (!s)
		return REEL_EDAMAGED;
	sqlite3_bind_int(s, 1, group);
	sqlite3_bind_int64(s, 2, id);
	int result = sqlite3_step(s);
	if (result == SQLITE_DONE)
		return REEL_ENOENT;
	if (result != SQLITE_ROW)
		return database_error(c->db, c->path, result);
	const char *text = (const char *)sqlite3_column_text(s, 0);
	*name = strdup(text ? text : "");
	sqlite3_reset(s);
	return *name ? 0 : REEL_ENOMEM;
}
