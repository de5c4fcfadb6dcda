/* The builder's inodes and names: what the snapshot before has and this one
 * has not goes into `past`, and is counted out. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include "catalog/builder_state.h"
#include "tape/buffer.h"
#include "tape/error.h"

/* ---- inodes ---- */

static void bind_or_null(sqlite3_stmt *s, int at, uint64_t value)
{
	if (value)
		sqlite3_bind_int64(s, at, (int64_t)value);
	else
		sqlite3_bind_null(s, at);
}

static int put_inode(struct builder *b, const struct inode_row *i, uint64_t id)
{
	sqlite3_stmt *s = builder_statement(b, B_INODE);

	if (!s)
		return REEL_EIO;
	sqlite3_bind_int64(s, 1, (int64_t)id);
	sqlite3_bind_int64(s, 2, i->mode);
	sqlite3_bind_int64(s, 3, i->uid);
	sqlite3_bind_int64(s, 4, i->gid);
	sqlite3_bind_int64(s, 5, (int64_t)i->size);
	sqlite3_bind_int64(s, 6, i->mtime);
	if (i->has_atime)
		sqlite3_bind_int64(s, 7, i->atime);
	else
		sqlite3_bind_null(s, 7);
	if (i->ctime == i->mtime)
		sqlite3_bind_null(s, 8);
	else
		sqlite3_bind_int64(s, 8, i->ctime);
	sqlite3_bind_int64(s, 9, (int64_t)i->nlink);
	sqlite3_bind_int64(s, 10, (int64_t)i->source);
	bind_or_null(s, 11, (uint64_t)i->major << 32 | i->minor);
	if (i->blocks == (i->size + 4095) / 4096 * 8)
		sqlite3_bind_null(s, 12);
	else
		sqlite3_bind_int64(s, 12, (int64_t)i->blocks);
	sqlite3_bind_int64(s, 13, i->flags);
	bind_or_null(s, 14, i->xattrs);
	bind_or_null(s, 15, i->content);
	if (i->target_length)
		sqlite3_bind_blob(s, 16, i->target, (int)i->target_length,
				  SQLITE_STATIC);
	else
		sqlite3_bind_null(s, 16);
	return builder_step(b, s);
}

int builder_change_inode(struct builder *b, const struct inode_row *i)
{
	return put_inode(b, i, i->id);
}

int builder_inode(struct builder *b, const struct inode_row *i, uint64_t *id)
{
	int error = put_inode(b, i, b->next_inode);

	if (error)
		return error;
	b->last_inode = b->next_inode;
	b->last_mode = i->mode;
	b->last_size = i->size;
	*id = b->next_inode++;
	return 0;
}

struct inode_kind {
	mode_t mode;
	uint64_t size;
	uint64_t content;
};

static int inode_kind(struct builder *b, uint64_t id, struct inode_kind *k)
{
	if (id < b->first_inode) {
		struct inode_row row;
		int error = tree_inode(b->catalog, id, &row);

		if (!error)
			*k = (struct inode_kind){row.mode, row.size,
						 row.content};
		return error;
	}
	sqlite3_stmt *s = builder_statement(b, B_GET_INODE);
	if (!s)
		return REEL_EIO;
	sqlite3_bind_int64(s, 1, (int64_t)id);
	if (sqlite3_step(s) != SQLITE_ROW)
		return database_error(b->db, b->path, SQLITE_CORRUPT);
	k->mode = (mode_t)sqlite3_column_int64(s, 0);
	k->size = (uint64_t)sqlite3_column_int64(s, 1);
	k->content = (uint64_t)sqlite3_column_int64(s, 2);
	sqlite3_reset(s);
	return 0;
}

/* One name more (or, sign -1, less) in the snapshot. */
static void count_name(struct builder *b, mode_t mode, uint64_t size, int sign)
{
	if (S_ISDIR(mode)) {
		b->directories += sign;
		return;
	}
	b->files += sign;
	if (S_ISREG(mode))
		b->bytes += sign * (int64_t)size;
}

/* ---- names ---- */

static int put_past(struct builder *b, uint64_t parent, const char *name,
		    size_t length, const struct entry_row *e)
{
	sqlite3_stmt *s = builder_statement(b, B_PAST);

	if (!s)
		return REEL_EIO;
	sqlite3_bind_int64(s, 1, (int64_t)parent);
	sqlite3_bind_blob(s, 2, length ? name : "", (int)length, SQLITE_STATIC);
	sqlite3_bind_int64(s, 3, e->since);
	sqlite3_bind_int64(s, 4, b->session);
	bind_or_null(s, 5, e->node);
	sqlite3_bind_int64(s, 6, (int64_t)e->inode.id);
	int error = builder_step(b, s);
	/* it may have been ended before, in this session */
	if (!error && sqlite3_changes(b->db))
		count_name(b, e->inode.mode, e->inode.size, -1);
	return error;
}

struct node_stack {
	uint64_t *nodes;
	size_t count, room;
};

static int push_node(struct node_stack *k, uint64_t node)
{
	if (k->count == k->room) {
		size_t room = k->room ? 2 * k->room : 64;
		void *more = realloc(k->nodes, room * sizeof(*k->nodes));

		if (!more)
			return REEL_ENOMEM;
		k->nodes = more;
		k->room = room;
	}
	k->nodes[k->count++] = node;
	return 0;
}

static int end_children(struct builder *b, uint64_t node, struct node_stack *k)
{
	struct tree_cursor *t = NULL;
	struct entry_row e;
	int error = tree_list(b->catalog, b->session - 1, node, &t), step = 0;

	while (!error && (step = tree_step(t, &e)) == 1) {
		error = put_past(b, node, e.name, e.name_length, &e);
		if (!error && e.node)
			error = push_node(k, e.node);
	}
	tree_end(t);
	return error ? error : step;
}

/* Everything below a directory of the snapshot before is gone. */
static int end_below(struct builder *b, uint64_t node)
{
	struct node_stack k = {0};
	int error = push_node(&k, node);

	while (!error && k.count)
		error = end_children(b, k.nodes[--k.count], &k);
	free(k.nodes);
	return error;
}

/* The live entry of before under a name; REEL_ENOENT. */
static int old_entry(struct builder *b, uint64_t parent, const char *name,
		     size_t length, struct entry_row *e)
{
	if (!b->old || (parent >= b->first_node && parent))
		return REEL_ENOENT;
	return tree_lookup(b->catalog, b->session - 1, parent, name, length, e);
}

int builder_remove(struct builder *b, uint64_t parent, const char *name,
		   size_t length)
{
	struct entry_row e;
	int error = old_entry(b, parent, name, length, &e);

	if (!error)
		error = put_past(b, parent, name, length, &e);
	return !error && e.node ? end_below(b, e.node) : error;
}

static int put_entry(struct builder *b, uint64_t parent, const char *name,
		     size_t length, uint64_t node, uint64_t inode)
{
	sqlite3_stmt *s = builder_statement(b, B_ENTRY);

	if (!s)
		return REEL_EIO;
	sqlite3_bind_int64(s, 1, (int64_t)parent);
	sqlite3_bind_blob(s, 2, length ? name : "", (int)length, SQLITE_STATIC);
	sqlite3_bind_int64(s, 3, b->session);
	bind_or_null(s, 4, node);
	sqlite3_bind_int64(s, 5, (int64_t)inode);
	return builder_step(b, s);
}

int builder_entry(struct builder *b, uint64_t parent, const char *name,
		  size_t length, uint64_t node, uint64_t inode)
{
	struct inode_kind k = {b->last_mode, b->last_size, 0};
	struct entry_row e;
	int error = old_entry(b, parent, name, length, &e);

	if (!error && e.inode.id == inode && e.node == node)
		return 0;
	if (!error)
		error = put_past(b, parent, name, length, &e);
	else if (error == REEL_ENOENT)
		error = e.node = 0;
	if (!error && e.node && e.node != node)
		error = end_below(b, e.node);
	if (!error && inode != b->last_inode)
		error = inode_kind(b, inode, &k);
	if (!error)
		error = put_entry(b, parent, name, length, node, inode);
	if (!error)
		count_name(b, k.mode, k.size, 1);
	return error;
}

/* Whether a name of before was replaced or removed in this session. */
static int was_ended(struct builder *b, uint64_t parent, const char *name,
		     size_t length, bool *ended)
{
	sqlite3_stmt *p = builder_statement(b, B_GET_PAST);
	int result;

	if (!p)
		return REEL_EIO;
	sqlite3_bind_int64(p, 1, (int64_t)parent);
	sqlite3_bind_blob(p, 2, name, (int)length, SQLITE_STATIC);
	result = sqlite3_step(p);
	*ended = result == SQLITE_ROW;
	sqlite3_reset(p);
	return database_error(b->db, b->path, result);
}

/* What a name of this session stands for; mode 0: there is none. */
static int kind_of(struct builder *b, uint64_t parent, const char *name,
		   size_t length, struct inode_kind *k)
{
	sqlite3_stmt *s = builder_statement(b, B_GET_ENTRY);
	int error = 0;

	*k = (struct inode_kind){0};
	if (!s)
		return REEL_EIO;
	sqlite3_bind_int64(s, 1, (int64_t)parent);
	sqlite3_bind_blob(s, 2, length ? name : "", (int)length, SQLITE_STATIC);
	if (sqlite3_step(s) == SQLITE_ROW)
		error = inode_kind(b, (uint64_t)sqlite3_column_int64(s, 0), k);
	sqlite3_reset(s);
	return error;
}

int builder_entry_again(struct builder *b, uint64_t parent, const char *name,
			size_t length, uint64_t inode)
{
	struct inode_kind k;
	int error = kind_of(b, parent, name, length, &k);

	if (!error && k.mode)
		count_name(b, k.mode, k.size, -1);
	return error ? error : builder_entry(b, parent, name, length, 0, inode);
}

/* Whether a name of before still leads to this content. */
static int still_has(struct builder *b, uint64_t parent, const char *name,
		     size_t length, uint64_t content, bool *has)
{
	struct inode_kind now = {.content = content};
	bool ended = false;
	int error = was_ended(b, parent, name, length, &ended);

	if (!error && ended)
		error = kind_of(b, parent, name, length, &now);
	*has = now.content == content;
	return error;
}

static int old_path(struct builder *b, uint64_t parent, const char *name,
		    size_t length, struct buffer *path)
{
	return tree_path(b->catalog, &b->trail, b->session - 1, parent, name,
			 length, path);
}

int builder_live_path(struct builder *b, uint64_t content, struct buffer *path)
{
	int error = b->old ? builder_late_indexes(b) : REEL_ENOENT;
	sqlite3_stmt *s = error ? NULL : builder_statement(b, B_OLD_LIVE);
	struct column_reader r = {s, 0};
	int result = SQLITE_DONE;
	bool found = false;

	if (!s)
		return error ? error : REEL_EIO;
	sqlite3_bind_int64(s, 1, (int64_t)content);
	while (!error && !found && (result = sqlite3_step(s)) == SQLITE_ROW) {
		uint64_t parent = column_u64(&r, 0, INT64_MAX);
		size_t length;
		const char *name = column_blob(&r, 1, TREE_NAME_LIMIT, &length);

		error = r.error ? r.error
				: still_has(b, parent, name, length, content,
					    &found);
		if (!error && found)
			error = old_path(b, parent, name, length, path);
	}
	sqlite3_reset(s);
	if (error || found)
		return error;
	error = database_error(b->catalog->db, b->catalog->path, result);
	return error ? error : REEL_ENOENT;
}

int builder_live_name(struct builder *b, uint64_t inode, struct buffer *path)
{
	int error = b->old ? builder_late_indexes(b) : REEL_ENOENT;
	sqlite3_stmt *s = error ? NULL : builder_statement(b, B_OLD_NAMES);
	struct column_reader r = {s, 0};
	int result = SQLITE_DONE;
	bool found = false;

	if (!s)
		return error ? error : REEL_EIO;
	sqlite3_bind_int64(s, 1, (int64_t)inode);
	while (!error && !found && (result = sqlite3_step(s)) == SQLITE_ROW) {
		uint64_t parent = column_u64(&r, 0, INT64_MAX);
		size_t length;
		const char *name = column_blob(&r, 1, TREE_NAME_LIMIT, &length);
		bool ended = true;

		error = r.error ? r.error
				: was_ended(b, parent, name, length, &ended);
		if (error || ended)
			continue;
		found = true;
		error = old_path(b, parent, name, length, path);
	}
	sqlite3_reset(s);
	if (error || found)
		return error;
	error = database_error(b->catalog->db, b->catalog->path, result);
	return error ? error : REEL_ENOENT;
}

/* ---- sessions of foreign archives: names given anew within one ---- */

static const char links[] =
	"CREATE TEMP TABLE link (inode INTEGER PRIMARY KEY, names INTEGER);"
	"INSERT INTO temp.link SELECT inode, count(*) FROM entry "
	"WHERE node IS NULL GROUP BY inode HAVING count(*) > 1;"
	"UPDATE inode SET nlink = (SELECT names FROM temp.link "
	"WHERE link.inode = inode.id) WHERE id IN "
	"(SELECT inode FROM temp.link);"
	"DROP TABLE temp.link";
static const char files[] = "SELECT count(*) FROM entry WHERE node IS NULL";
static const char directories[] =
	"SELECT count(*) FROM entry WHERE node IS NOT NULL";
static const char bytes[] =
	"SELECT coalesce(sum(inode.size), 0) FROM entry JOIN inode "
	"ON inode.id = entry.inode WHERE entry.node IS NULL "
	"AND (inode.mode & 61440) = 32768";

int builder_count_names(struct builder *b)
{
	int error = database_run(b->db, b->path, links);

	if (!error)
		error = database_integer(b->db, files, &b->files);
	if (!error)
		error = database_integer(b->db, directories, &b->directories);
	return error ? error : database_integer(b->db, bytes, &b->bytes);
}

int builder_move_names(struct builder *b, uint64_t from, uint64_t to)
{
	char sql[100];

	snprintf(sql, sizeof(sql),
		 "UPDATE entry SET parent = %lld WHERE parent = %lld",
		 (long long)to, (long long)from);
	return database_run(b->db, b->path, sql);
}
