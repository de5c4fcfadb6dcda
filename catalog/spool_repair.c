/* What a spool needs when it is opened: P3 and P6 of spool.h. */
#include "catalog/spool_state.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "catalog/database.h"
#include "tape/error.h"
#include "tape/log.h"
#include "tape/text.h"

/* What a rule left out is for one mount only, with what only that leads to.
 * Below a new directory that is gone nothing can be reached. */
static int drop_excluded(struct spool *s)
{
	int64_t lost = 1;
	int error = database_run(
		s->db, s->path,
		"DELETE FROM entry WHERE state = 2;"
		"DELETE FROM node WHERE nlink = 0 OR (state = 2 AND id > 0 "
		"AND mode & 61440 = 16384);"
		"UPDATE node SET state = 1 WHERE state = 2");

	while (!error && lost) {
		error = database_run(s->db, s->path,
				     "DELETE FROM node WHERE (id < 0 OR "
				     "mode & 61440 <> 16384) AND "
				     "id NOT IN (SELECT node FROM entry);"
				     "DELETE FROM entry WHERE parent < 0 AND "
				     "parent NOT IN (SELECT id FROM node)");
		lost = sqlite3_changes(s->db);
	}
	return error;
}

static int drop_clean(struct spool *s)
{
	uint64_t names, bytes;
	int error = spool_count(s, &names, &bytes);

	if (error || names)
		return error;
	return database_run(s->db, s->path,
			    "DELETE FROM entry; DELETE FROM node");
}

/* ---- after a power cut ---- */

enum whole { WHOLE, SHORT, OTHER };

static enum whole look_at(struct spool *s, const struct spool_node *n,
			  uint64_t *size)
{
	int fd = spool_open_file(s, n->file);
	struct digest now;
	struct stat st;
	enum whole whole = OTHER;

	if (fd >= 0 && !fstat(fd, &st)) {
		*size = (uint64_t)st.st_size;
		whole = *size < n->size ? SHORT : WHOLE;
	}
	if (whole == WHOLE && n->has_digest &&
	    (digest_file(s->set->config.seed, fd, n->size, &now) ||
	     memcmp(now.b, n->digest.b, DIGEST_SIZE) != 0))
		whole = OTHER;
	if (fd >= 0)
		close(fd);
	return whole;
}

static int say_names(struct spool *s, uint64_t id, const char *what)
{
	static const char sql[] = "SELECT name FROM entry WHERE node = ?1";
	sqlite3_stmt *l;
	int result = sqlite3_prepare_v2(s->db, sql, -1, &l, NULL);

	if (result != SQLITE_OK)
		return database_error(s->db, s->path, result);
	sqlite3_bind_int64(l, 1, (int64_t)id);
	while ((result = sqlite3_step(l)) == SQLITE_ROW) {
		char *name = text_name(sqlite3_column_blob(l, 0),
				       (size_t)sqlite3_column_bytes(l, 0));

		log_error("%s: %s", name ? name : "?", what);
		free(name);
	}
	sqlite3_finalize(l);
	return database_error(s->db, s->path, result);
}

/* They are gone, and not the base's again: what the base has there had gone
 * before, removed or to another name (who takes a name from another has synced
 * bytes, L6 of live.h). */
static int take_names(struct spool *s, uint64_t id)
{
	sqlite3_stmt *l;
	int result = sqlite3_prepare_v2(
		s->db, "UPDATE entry SET node = 0 WHERE node = ?1", -1, &l,
		NULL);

	if (result == SQLITE_OK) {
		sqlite3_bind_int64(l, 1, (int64_t)id);
		sqlite3_step(l);
		result = sqlite3_finalize(l);
	}
	return database_error(s->db, s->path, result);
}

/* Bytes that never were synced are not there. */
static int lose(struct spool *s, struct spool_node *n)
{
	int error = say_names(s, n->id,
			      "its last bytes were not on the disk when the "
			      "power went; it is as it was committed, or gone");

	if (error)
		return error;
	n->file = n->content = 0;
	n->has_digest = false;
	n->synced = SPOOL_UNSYNCED;
	if (n->base) /* spool_next_mended */
		return spool_put(s, n);
	error = take_names(s, n->id);
	return error ? error : spool_forget(s, n->id);
}

/* Bytes that were synced once stay as the disk has them. */
static int keep(struct spool *s, struct spool_node *n, uint64_t size,
		enum whole whole)
{
	int error = 0;

	if (size == UINT64_MAX) { /* no byte of it had to be there */
		n->file = 0;
		size = 0;
		whole = SHORT;
	}
	if (whole == SHORT) {
		error = say_names(s, n->id,
				  "what was written to it last was not on the "
				  "disk when the power went; what was synced "
				  "is there");
		n->size = size;
	}
	n->has_digest = false;
	return error ? error : spool_put(s, n);
}

static int check_one(struct spool *s, uint64_t id)
{
	struct spool_node n;
	uint64_t size = UINT64_MAX; /* no file at all */
	enum whole whole;
	int error = spool_get(s, id, &n);

	if (error)
		return error;
	whole = look_at(s, &n, &size);
	/* it may have been written to behind the row, too */
	if (n.synced != SPOOL_UNSYNCED && (size != UINT64_MAX || !n.base))
		error = whole == WHOLE ? 0 : keep(s, &n, size, whole);
	else if (whole != WHOLE)
		error = lose(s, &n);
	spool_node_release(&n);
	return error;
}

static int check_bytes(struct spool *s)
{
	static const char sql[] = "SELECT id FROM node WHERE file AND id > ?1 "
				  "ORDER BY id LIMIT 1";
	int64_t at = INT64_MIN;
	sqlite3_stmt *l;
	int result = sqlite3_prepare_v2(s->db, sql, -1, &l, NULL);
	int error = database_error(s->db, s->path, result);

	while (!error) {
		sqlite3_bind_int64(l, 1, at);
		result = sqlite3_step(l);
		if (result != SQLITE_ROW)
			break;
		at = sqlite3_column_int64(l, 0);
		sqlite3_reset(l);
		error = check_one(s, (uint64_t)at);
	}
	sqlite3_finalize(l);
	return error;
}

/* ---- files that no row names ---- */

static bool is_named(sqlite3_stmt *l, uint64_t file)
{
	bool named;

	sqlite3_bind_int64(l, 1, (int64_t)file);
	named = sqlite3_step(l) == SQLITE_ROW;
	sqlite3_reset(l);
	return named;
}

static int drop_unnamed(struct spool *s)
{
	int fd = openat(s->files, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	sqlite3_stmt *l = NULL;
	struct dirent *e;
	int error = database_run(
		s->db, s->path,
		"CREATE TEMP TABLE named (file INTEGER PRIMARY KEY);"
		"INSERT OR IGNORE INTO named SELECT file FROM node "
		"WHERE file");

	if (!error)
		error = database_error(
			s->db, s->path,
			sqlite3_prepare_v2(
				s->db, "SELECT 1 FROM named WHERE file = ?1",
				-1, &l, NULL));
	while (!error && dir && (e = readdir(dir))) {
		char *end;
		uint64_t file = strtoull(e->d_name, &end, 10);

		if (*e->d_name < '0' || *e->d_name > '9' || *end)
			continue;
		if (!is_named(l, file))
			unlinkat(s->files, e->d_name, 0);
		if (file > s->file)
			s->file = file;
	}
	sqlite3_finalize(l);
	if (!error)
		error = database_run(s->db, s->path, "DROP TABLE named");
	if (dir)
		closedir(dir);
	else if (fd >= 0)
		close(fd);
	return error;
}

int spool_repair(struct spool *s)
{
	int error = spool_begin(s);

	if (!error)
		error = drop_excluded(s);
	if (!error && s->rebooted)
		error = check_bytes(s);
	if (!error)
		error = drop_clean(s);
	if (!error)
		error = spool_sync(s);
	return error ? error : drop_unnamed(s);
}
