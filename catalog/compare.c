/* A session's rows in the catalogue against its index on the media. Rows are
 * looked up by their keys, so this costs what taking the session in costs. */
#include "catalog/compare.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "catalog/database.h"
#include "catalog/index.h"
#include "catalog/media.h"
#include "tape/error.h"
#include "tape/log.h"

/* Each gives 1 when something is other. What ended since is in `past`. */
static const char *const differences[] = {
	"SELECT EXISTS (SELECT 1 FROM ix.inode i LEFT JOIN main.inode m "
	"ON m.id = i.id WHERE (m.mode, m.uid, m.gid, m.size, m.mtime, m.atime, "
	"m.ctime, m.nlink, m.source, m.rdev, m.blocks, m.flags, m.xattrs, "
	"m.content, m.target) IS NOT (i.mode, i.uid, i.gid, i.size, i.mtime, "
	"i.atime, i.ctime, i.nlink, i.source, i.rdev, i.blocks, i.flags, "
	"i.xattrs, i.content, i.target))",
	"SELECT EXISTS (SELECT 1 FROM ix.content i LEFT JOIN main.content m "
	"ON m.id = i.id WHERE (m.size, m.digest, m.session, m.offset, "
	"m.sparse, m.map_bytes, m.sha256) IS NOT (i.size, i.digest, i.session, "
	"i.offset, i.sparse, i.map_bytes, i.sha256))",
	"SELECT EXISTS (SELECT 1 FROM ix.xattrs i LEFT JOIN main.xattrs m "
	"ON m.id = i.id WHERE m.packed IS NOT i.packed)",
	"SELECT EXISTS (SELECT 1 FROM ix.keep i LEFT JOIN main.keep m "
	"ON m.content = i.content WHERE m.session IS NOT i.session)",
	"SELECT EXISTS (SELECT 1 FROM ix.run i LEFT JOIN main.run m "
	"ON m.session = i.session AND m.stream = i.stream "
	"WHERE (m.volume, m.position, m.length, m.frames) IS NOT "
	"(i.volume, i.position, i.length, i.frames))",
	"SELECT EXISTS (SELECT * FROM ix.session EXCEPT "
	"SELECT * FROM main.session)",
	"SELECT EXISTS (SELECT 1 FROM ix.past i LEFT JOIN main.past m "
	"ON m.parent = i.parent AND m.name = i.name AND m.since = i.since "
	"WHERE (m.until, m.node, m.inode) IS NOT (i.until, i.node, i.inode))",
	"SELECT EXISTS (SELECT 1 FROM ix.entry i "
	"LEFT JOIN main.entry m ON m.parent = i.parent AND m.name = i.name "
	"AND m.since = i.since "
	"LEFT JOIN main.past p ON p.parent = i.parent AND p.name = i.name "
	"AND p.since = i.since "
	"WHERE (m.node, m.inode) IS NOT (i.node, i.inode) AND "
	"(p.node, p.inode) IS NOT (i.node, i.inode))",
};

static int compare_rows(struct catalog *c)
{
	size_t count = sizeof(differences) / sizeof(*differences);
	int64_t other = 0;
	int error = 0;

	for (size_t n = 0; !error && !other && n < count; n++)
		error = database_integer(c->db, differences[n], &other);
	return !error && other ? REEL_EDAMAGED : error;
}

static int attach(struct catalog *c, const char *path)
{
	sqlite3_stmt *s;
	int result = sqlite3_prepare_v2(c->db, "ATTACH ?1 AS ix", -1, &s, NULL);

	if (result == SQLITE_OK) {
		sqlite3_bind_text(s, 1, path, -1, SQLITE_STATIC);
		result = sqlite3_step(s);
		sqlite3_finalize(s);
	}
	return database_error(c->db, path, result);
}

/* The index as a file that nobody else sees. */
static int unpack(const struct buffer *packed, char **path)
{
	const char *top = getenv("TMPDIR");
	int error, fd;

	if (asprintf(path, "%s/reel-index-XXXXXX", top ? top : "/tmp") < 0) {
		*path = NULL;
		return REEL_ENOMEM;
	}
	fd = mkstemp(*path);
	if (fd < 0) {
		error = error_from_errno(errno);
		log_error("%s: %s", *path, error_text(error));
		free(*path);
		*path = NULL;
		return error;
	}
	close(fd);
	return index_unpack(packed->data, packed->length, *path);
}

static int read_index(struct set *set, uint32_t session, uint32_t last_volume,
		      struct buffer *packed)
{
	struct media_session m;
	int error = media_read_trailer(set, last_volume, &m);

	if (!error && m.trailer.session != session)
		error = REEL_ENOENT;
	return error ? error : media_read_index(set, &m, packed);
}

int compare_session(struct set *set, uint32_t session, uint32_t last_volume)
{
	struct buffer packed = {0};
	struct catalog *c = NULL;
	char *path = NULL;
	int error = read_index(set, session, last_volume, &packed);

	if (error) { /* which is for others to say */
		buffer_release(&packed);
		return error == REEL_ENOMEM ? error : 0;
	}
	error = unpack(&packed, &path);
	if (!error)
		error = catalog_open_reader(set, &c);
	if (!error)
		error = attach(c, path);
	if (!error)
		error = compare_rows(c);
	catalog_close(c);
	if (path)
		unlink(path);
	free(path);
	buffer_release(&packed);
	return error;
}
