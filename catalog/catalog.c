#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "catalog/database.h"
#include "tape/error.h"
#include "tape/log.h"

static void remember_file(struct catalog *c)
{
	struct stat st;

	c->file = stat(c->path, &st) ? 0 : st.st_ino;
}

static int connect_to(struct catalog *c)
{
	enum database_mode mode = c->writer	      ? DATABASE_WRITE
				  : c->set->read_only ? DATABASE_IMMUTABLE
						      : DATABASE_READ;
	int error;

	remember_file(c);
	error = database_open(c->path, mode, &c->db);
	return error ? error : catalog_identify(c);
}

void catalog_disconnect(struct catalog *c)
{
	catalog_let_go(c);
	catalog_forget_statements(c);
	sqlite3_close(c->db);
	c->db = NULL;
	c->run_session = 0;
}

void catalog_hold(struct catalog *c)
{
	if (!c->held)
		c->held = sqlite3_exec(c->db, "BEGIN", NULL, NULL, NULL) ==
			  SQLITE_OK;
}

void catalog_let_go(struct catalog *c)
{
	if (c->held)
		sqlite3_exec(c->db, "COMMIT", NULL, NULL, NULL);
	c->held = false;
}

int catalog_reopen(struct catalog *c)
{
	catalog_disconnect(c);
	return connect_to(c);
}

bool catalog_replaced(const struct catalog *c)
{
	struct stat st;

	return !stat(c->path, &st) && st.st_ino != c->file;
}

struct catalog *catalog_new(struct set *set, const char *file, bool writer)
{
	struct catalog *c = calloc(1, sizeof(*c));
	size_t room = strlen(set->path) + strlen(file) + 2;

	if (!c || !(c->path = malloc(room))) {
		free(c);
		return NULL;
	}
	snprintf(c->path, room, "%s/%s", set->path, file);
	c->set = set;
	c->writer = writer;
	return c;
}

void catalog_close(struct catalog *c)
{
	if (!c)
		return;
	catalog_disconnect(c);
	buffer_release(&c->target);
	buffer_release(&c->name);
	free(c->run_frames);
	free(c->path);
	free(c);
}

int catalog_open_reader(struct set *set, struct catalog **out)
{
	struct catalog *c = catalog_new(set, CATALOG_FILE, false);
	int error;

	if (!c)
		return REEL_ENOMEM;
	if (access(c->path, F_OK) && errno == ENOENT) {
		log_error("%s is missing; `reel catalog rebuild %s` makes it "
			  "from the media",
			  c->path, set->path);
		catalog_close(c);
		return REEL_ENOENT;
	}
	error = connect_to(c);
	if (error) {
		catalog_close(c);
		return error;
	}
	*out = c;
	return 0;
}

int catalog_make(struct catalog *c)
{
	char *path = malloc(strlen(c->path) + 5);
	sqlite3 *db = NULL;
	char sql[64];
	int error;

	if (!path)
		return REEL_ENOMEM;
	sprintf(path, "%s.new", c->path);
	unlink(path);
	error = database_open(path, DATABASE_BUILD, &db);
	if (!error)
		error = database_run(db, path, catalog_schema);
	if (!error)
		error = database_run(db, path, catalog_indexes);
	snprintf(sql, sizeof(sql), "PRAGMA user_version=%d", CATALOG_VERSION);
	if (!error)
		error = database_run(db, path, sql);
	sqlite3_close(db);
	if (!error)
		error = catalog_install(c, path);
	free(path);
	return error;
}

static int sync_path(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int error = fd < 0 || fsync(fd) ? error_from_errno(errno) : 0;

	if (fd >= 0)
		close(fd);
	return error;
}

static int copy_bytes(int from, int to)
{
	char block[65536];
	ssize_t n;

	while ((n = read(from, block, sizeof(block)))) {
		if (n < 0 && errno == EINTR)
			continue;
		for (ssize_t at = 0, w; at < n; at += w) {
			w = write(to, block + at, (size_t)(n - at));
			if (w < 0 && errno == EINTR)
				w = 0;
			else if (w < 0)
				return error_from_errno(errno);
		}
		if (n < 0)
			return error_from_errno(errno);
	}
	return fsync(to) ? error_from_errno(errno) : 0;
}

/* SET/spool may be another filesystem than SET. */
static int carry_over(struct catalog *c, const char *path)
{
	const char *beside = CATALOG_FILE ".new";
	int directory = c->set->directory;
	int from = open(path, O_RDONLY | O_CLOEXEC);
	int to = openat(directory, beside,
			O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	int error = from < 0 || to < 0 ? error_from_errno(errno)
				       : copy_bytes(from, to);

	if (!error && renameat(directory, beside, directory, CATALOG_FILE))
		error = error_from_errno(errno);
	if (error)
		unlinkat(directory, beside, 0);
	else
		unlink(path);
	if (from >= 0)
		close(from);
	if (to >= 0)
		close(to);
	return error;
}

static int take_place(struct catalog *c, const char *path)
{
	int error = 0;

	if (rename(path, c->path))
		error = errno == EXDEV ? carry_over(c, path)
				       : error_from_errno(errno);
	if (!error && fsync(c->set->directory))
		error = error_from_errno(errno);
	return error;
}

int catalog_install(struct catalog *c, const char *path)
{
	static const char *const sides[] = {"-wal", "-shm", "-journal"};
	char *side = malloc(strlen(c->path) + sizeof("-journal"));
	int error = side ? sync_path(path) : REEL_ENOMEM;

	if (c->db)
		catalog_disconnect(c);
	for (int n = 0; !error && n < 3; n++) {
		sprintf(side, "%s%s", c->path, sides[n]);
		unlink(side);
	}
	if (!error)
		error = take_place(c, path);
	if (error)
		log_error("%s: %s", c->path, error_text(error));
	free(side);
	return error;
}

static int make_index(struct set *set)
{
	struct catalog *c = NULL;
	int error = catalog_open(set, &c);

	if (!error)
		error = database_run(c->db, c->path, catalog_late_indexes);
	catalog_close(c);
	return error;
}

int catalog_index_names(struct catalog *c)
{
	static const char sql[] = "SELECT 1 FROM sqlite_master WHERE type = "
				  "'index' AND name = 'entry_inode'";
	struct set *set;
	int64_t there;
	int error = database_integer(c->db, sql, &there);

	if (error != REEL_ENOENT || set_is_locked(c->set))
		return error == REEL_ENOENT ? 0 : error;
	error = set_open(c->set->path, SET_WRITE, false, &set);
	if (error)
		return error == REEL_ELOCKED ? 0 : error;
	error = make_index(set);
	set_close(set);
	return error;
}

int catalog_open(struct set *set, struct catalog **out)
{
	struct catalog *c;
	int error = 0;

	if (set->lock < 0)
		return catalog_open_reader(set, out);
	c = catalog_new(set, CATALOG_FILE, true);
	if (!c)
		return REEL_ENOMEM;
	if (access(c->path, F_OK))
		error = catalog_make(c);
	if (!error)
		error = connect_to(c);
	if (!error)
		error = reconcile(c);
	if (error) {
		catalog_close(c);
		return error;
	}
	*out = c;
	return 0;
}

uint32_t catalog_missing(const struct catalog *c)
{
	return c->missing;
}

int catalog_check(struct catalog *c)
{
	sqlite3_stmt *s = NULL;
	int result = sqlite3_prepare_v2(c->db, "PRAGMA integrity_check(1)", -1,
					&s, NULL);
	bool whole = false;
	int error;

	if (result == SQLITE_OK)
		result = sqlite3_step(s);
	if (result == SQLITE_ROW)
		whole = !strcmp((const char *)sqlite3_column_text(s, 0), "ok");
	error = database_error(c->db, c->path,
			       result == SQLITE_ROW && !whole ? SQLITE_CORRUPT
							      : result);
	sqlite3_finalize(s);
	return error;
}
