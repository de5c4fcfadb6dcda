/* From the media into the catalogue. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "catalog/database.h"
#include "catalog/index.h"
#include "catalog/media.h"
#include "catalog/tapes.h"
#include "tape/error.h"
#include "tape/log.h"

/* One transaction: all of the session's rows or none. Rows that ended leave
 * `entry` before those that replaced them come in. */
static const char ingest_sql[] =
	"INSERT INTO xattrs (id, packed) SELECT id, packed FROM ix.xattrs;"
	"INSERT INTO content (id, size, digest, session, offset, sparse, "
	"map_bytes, sha256) SELECT id, size, digest, session, offset, sparse, "
	"map_bytes, sha256 FROM ix.content;"
	"INSERT INTO inode (id, mode, uid, gid, size, mtime, atime, ctime, "
	"nlink, source, rdev, blocks, flags, xattrs, content, target) "
	"SELECT id, mode, uid, gid, size, mtime, atime, ctime, nlink, source, "
	"rdev, blocks, flags, xattrs, content, target FROM ix.inode;"
	"INSERT INTO keep (content, session) SELECT content, session "
	"FROM ix.keep;"
	"INSERT OR REPLACE INTO owner (kind, id, name) SELECT kind, id, name "
	"FROM ix.owner;"
	"INSERT INTO run (session, stream, volume, position, length, frames) "
	"SELECT session, stream, volume, position, length, frames FROM ix.run;"
	/* a new epoch ends all that was alive */
	"INSERT INTO past (parent, name, since, until, node, inode) "
	"SELECT parent, name, since, (SELECT id FROM ix.session), node, inode "
	"FROM entry WHERE (SELECT epoch = id FROM ix.session);"
	"DELETE FROM entry WHERE (SELECT epoch = id FROM ix.session);"
	"DELETE FROM entry WHERE (parent, name) IN "
	"(SELECT parent, name FROM ix.past);"
	"INSERT INTO past (parent, name, since, until, node, inode) "
	"SELECT parent, name, since, until, node, inode FROM ix.past;"
	"INSERT INTO entry (parent, name, since, node, inode) "
	"SELECT parent, name, since, node, inode FROM ix.entry;"
	"INSERT OR REPLACE INTO meta (key, value) SELECT key, value "
	"FROM ix.meta;"
	"INSERT INTO session SELECT * FROM ix.session;";

static int attach(struct catalog *c, const char *index_path)
{
	sqlite3_stmt *s;
	int result = sqlite3_prepare_v2(c->db, "ATTACH ?1 AS ix", -1, &s, NULL);

	if (result == SQLITE_OK) {
		sqlite3_bind_text(s, 1, index_path, -1, SQLITE_STATIC);
		result = sqlite3_step(s);
		sqlite3_finalize(s);
	}
	return database_error(c->db, index_path, result);
}

static int check_index(struct catalog *c, uint32_t session)
{
	int64_t id = 0, version = 0;
	int error =
		database_integer(c->db,
				 "SELECT CASE count(*) WHEN 1 THEN max(id) END "
				 "FROM ix.session",
				 &id);

	if (!error)
		error = database_integer(c->db, "PRAGMA ix.user_version",
					 &version);
	if (!error && version > CATALOG_VERSION)
		return REEL_EVERSION;
	return !error && id == session ? 0 : REEL_EDAMAGED;
}

int ingest_file(struct catalog *c, const char *index_path, uint32_t session)
{
	int error = attach(c, index_path);

	if (error)
		return error;
	error = check_index(c, session);
	if (!error)
		error = database_run(c->db, c->path, "BEGIN IMMEDIATE");
	if (!error) {
		error = database_run(c->db, c->path, ingest_sql);
		if (!error)
			error = database_run(c->db, c->path, "COMMIT");
		if (error)
			sqlite3_exec(c->db, "ROLLBACK", NULL, NULL, NULL);
	}
	sqlite3_exec(c->db, "DETACH ix", NULL, NULL, NULL);
	sqlite3_wal_checkpoint_v2(c->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL,
				  NULL);
	return error;
}

int ingest_packed(struct catalog *c, const void *packed, size_t length,
		  uint32_t session)
{
	char *path = malloc(strlen(c->set->path) + sizeof("/spool/ingest.db"));
	int error;

	if (!path)
		return REEL_ENOMEM;
	sprintf(path, "%s/spool/ingest.db", c->set->path);
	error = index_unpack(packed, length, path);
	if (!error)
		error = ingest_file(c, path, session);
	unlink(path);
	free(path);
	return error;
}

/* ---- C2 ---- */

static int ingest_published(struct catalog *c, const struct media_session *m)
{
	struct buffer packed = {0};
	int error = media_read_index(c->set, m, &packed);

	if (!error)
		error = ingest_packed(c, packed.data, packed.length,
				      m->trailer.session);
	if (!error)
		log_note("session %u was found on the media and taken into "
			 "the catalogue",
			 (unsigned)m->trailer.session);
	else
		log_error("session %u (volumes %06u to %06u): its index is "
			  "damaged; run `reel catalog rebuild %s`",
			  (unsigned)m->trailer.session,
			  (unsigned)m->first_volume, (unsigned)m->last_volume,
			  c->set->path);
	buffer_release(&packed);
	return error;
}

static int last_volume(void *context, const struct frame *f)
{
	uint32_t *last = context;

	if (f->volume > *last)
		*last = f->volume;
	return 0;
}

static void remove_rubbish(struct set *set, const struct medium_volume *v)
{
	char name[64];

	volume_name(v->number, v->compression, name);
	if (v->partial)
		strcat(name, ".partial");
	log_note("removed %s/volumes/%s, left by an interrupted backup",
		 set->path, name);
	unlinkat(set->volumes, name, 0);
}

/* What an interrupted backup left (stream.h, S3). The partial one goes last,
 * for only beside it are the others rubbish. */
static void remove_interrupted(struct set *set, const struct medium_volume *v,
			       size_t count)
{
	for (size_t n = 0; n + 1 < count; n++)
		remove_rubbish(set, &v[n]);
	if (count > 1)
		fsync(set->volumes);
	remove_rubbish(set, &v[count - 1]);
	set->medium->ops->forget(set->medium);
}

/* Removes names in a directory that begin so. */
static void clear_names(int directory, const char *name, const char *front)
{
	int fd = openat(directory, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	while (dir && (e = readdir(dir)))
		if (!strncmp(e->d_name, front, strlen(front)))
			unlinkat(fd, e->d_name, 0);
	if (dir)
		closedir(dir);
	else if (fd >= 0)
		close(fd);
}

/* What an interrupted backup or rebuild leaves beside the volumes. */
static void clear_spool(struct set *set)
{
	clear_names(set->directory, "spool", "index");
	clear_names(set->directory, "spool", "ingest");
	clear_names(set->directory, ".", CATALOG_FILE ".new");
	clear_names(set->directory, ".", "list.tmp");
}

/* A whole volume that the catalogue does not know and that no session's end
 * explains. It may be the only copy of something: it is never removed. */
static int say_unexplained(struct set *set, const struct medium_volume *v)
{
	enum media_heading heading = media_heading(set, v->number);
	char name[64];

	volume_name(v->number, v->compression, name);
	switch (heading) {
	case MEDIA_OURS:
		log_error("%s/volumes/%s: its session has no readable end; "
			  "`reel catalog rebuild %s` takes in what it holds",
			  set->path, name, set->path);
		return REEL_EDAMAGED;
	case MEDIA_FOREIGN:
		log_error("%s/volumes/%s is of another set than set.conf says; "
			  "put the right one back or move it elsewhere",
			  set->path, name);
		return REEL_EINVAL;
	case MEDIA_NONE:
		break;
	}
	log_warning("%s/volumes/%s is not part of any session that can be "
		    "read; left as it is",
		    set->path, name);
	return 0;
}

/* The session that ends on the last of `count` volumes. */
static int take_published(struct catalog *c, const struct medium_volume *v,
			  size_t count, struct media_session *m)
{
	uint32_t newest;
	char name[64];
	int error = catalog_newest(c, &newest);

	if (error)
		return error;
	for (size_t n = 0; n < count && v[n].number < m->first_volume; n++) {
		error = say_unexplained(c->set, &v[n]);
		if (error)
			return error;
	}
	if (m->trailer.session > newest)
		return ingest_published(c, m);
	volume_name(m->last_volume, v->compression, name);
	log_error("%s/volumes/%s holds session %u, which the catalogue has "
		  "from elsewhere; move it away",
		  c->set->path, name, (unsigned)m->trailer.session);
	return REEL_EEXIST;
}

/* Volumes that the catalogue does not know: whole sessions are taken in, what
 * is left of an interrupted one goes. */
static int reconcile_volumes(struct catalog *c, const struct medium_volume *v,
			     size_t count, uint32_t known)
{
	size_t first = 0;

	for (size_t n = 0; n < count; n++) {
		struct media_session m;
		int error;

		if (!v[n].partial && v[n].number <= known) {
			first = n + 1;
			continue;
		}
		if (v[n].partial) {
			remove_interrupted(c->set, v + first, n + 1 - first);
			first = n + 1;
			continue;
		}
		error = media_read_trailer(c->set, v[n].number, &m);
		if (error == REEL_ENOENT || error == REEL_EDAMAGED)
			continue;
		if (!error)
			error = take_published(c, v + first, n + 1 - first, &m);
		if (error)
			return error;
		first = n + 1;
	}
	for (; first < count; first++) {
		int error = say_unexplained(c->set, &v[first]);

		if (error)
			return error;
	}
	return 0;
}

struct present {
	const struct medium_volume *volumes;
	size_t count;
	struct catalog *catalog;
	uint32_t last; /* looked for */
};

static int look_for(void *context, const struct frame *f)
{
	struct present *p = context;
	char name[64];

	if (f->volume == p->last)
		return 0;
	p->last = f->volume;
	for (size_t n = 0; n < p->count; n++)
		if (p->volumes[n].number == f->volume && !p->volumes[n].partial)
			return 0;
	volume_name(f->volume, p->catalog->set->config.compression, name);
	log_warning("%s/volumes/%s is missing: put it back, or begin anew with "
		    "`reel backup --full`",
		    p->catalog->set->path, name);
	p->catalog->missing++;
	return 0;
}

/* Volumes of this epoch that are not there: what they hold cannot be read. */
static int say_missing(struct catalog *c, uint32_t newest,
		       const struct medium_volume *v, size_t count)
{
	struct present p = {v, count, c, 0};
	struct session_row row;
	int error = catalog_session(c, newest, &row);

	if (error)
		return error;
	for (uint32_t n = row.epoch; !error && n <= newest; n++)
		error = catalog_each_frame(c, n, look_for, &p);
	session_row_release(&row);
	return error;
}

int reconcile(struct catalog *c)
{
	struct medium_volume *v = NULL;
	size_t count = 0;
	uint32_t newest = 0, known = 0;
	int error = catalog_newest(c, &newest);

	clear_spool(c->set);
	if (c->set->config.tape)
		return error ? error : tapes_reconcile(c);
	if (!error && newest)
		error = catalog_each_frame(c, newest, last_volume, &known);
	if (!error)
		error = medium_list(c->set->medium, &v, &count);
	if (!error && newest)
		error = say_missing(c, newest, v, count);
	/* the newest session's index may lie on volumes of its own */
	for (size_t n = 0; !error && n < count; n++) {
		struct media_session m;

		if (v[n].partial || v[n].number < known || !newest)
			continue;
		if (!media_read_trailer(c->set, v[n].number, &m) &&
		    m.trailer.session == newest) {
			known = v[n].number;
			break;
		}
	}
	if (!error)
		error = reconcile_volumes(c, v, count, known);
	free(v);
	return error;
}
