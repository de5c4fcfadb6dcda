/* Every statement that a connection keeps, in one place. */
#include "catalog/database.h"

#include "tape/error.h"

#define INODE_COLUMNS                                                          \
	"i.id, i.mode, i.uid, i.gid, i.size, i.mtime, i.atime, i.ctime, "      \
	"i.nlink, i.source, i.rdev, i.blocks, i.flags, i.xattrs, i.content, "  \
	"i.target"
#define SESSION_COLUMNS                                                        \
	"id, epoch, time, finished, label, host, first_volume, stream, "       \
	"files, directories, bytes, new_files, new_bytes, unique_bytes, "      \
	"copies, problems"

static const char *const texts[S_COUNT] = {
	[S_NEWEST] = "SELECT id FROM session ORDER BY id DESC LIMIT 1",
	[S_SESSION] = "SELECT " SESSION_COLUMNS " FROM session WHERE id = ?1",
	[S_SESSION_AFTER] = "SELECT " SESSION_COLUMNS " FROM session "
			    "WHERE id > ?1 ORDER BY id LIMIT 1",
	[S_SESSION_LABEL] = "SELECT id FROM session WHERE label = ?1 "
			    "ORDER BY id DESC LIMIT 1",
	[S_RUN] = "SELECT stream, volume, position, length, frames FROM run "
		  "WHERE session = ?1 AND stream <= ?2 "
		  "ORDER BY stream DESC LIMIT 1",
	[S_RUNS] = "SELECT stream, volume, position, length, frames FROM run "
		   "WHERE session = ?1 AND stream >= ?2 ORDER BY stream "
		   "LIMIT 1",
	[S_LOOKUP] = "SELECT e.node, e.since, 0, " INODE_COLUMNS
		     " FROM entry e JOIN inode i ON i.id = e.inode "
		     "WHERE e.parent = ?1 AND e.name = ?2 AND e.since <= ?3",
	[S_LOOKUP_PAST] = "SELECT e.node, e.since, e.until, " INODE_COLUMNS
			  " FROM past e JOIN inode i ON i.id = e.inode "
			  "WHERE e.parent = ?1 AND e.name = ?2 AND "
			  "e.since <= ?3 AND e.until > ?3",
	[S_DIRECTORY] = "SELECT e.node, e.since, 0, " INODE_COLUMNS
			", e.parent, e.name "
			"FROM entry e JOIN inode i ON i.id = e.inode "
			"WHERE e.node = ?1 AND e.since <= ?2",
	[S_DIRECTORY_PAST] = "SELECT e.node, e.since, e.until, " INODE_COLUMNS
			     ", e.parent, e.name "
			     "FROM past e JOIN inode i ON i.id = e.inode "
			     "WHERE e.node = ?1 AND e.since <= ?2 AND "
			     "e.until > ?2",
	[S_INODE] = "SELECT 0, 0, 0, " INODE_COLUMNS
		    " FROM inode i WHERE i.id = ?1",
	[S_INODES] = "SELECT 0, 0, 0, " INODE_COLUMNS
		     " FROM inode i WHERE i.id > ?1 ORDER BY i.id LIMIT ?2",
	[S_VERSIONS] = "SELECT e.node, e.since, e.until, " INODE_COLUMNS
		       " FROM (SELECT node, since, until, inode FROM past "
		       "WHERE parent = ?1 AND name = ?2 UNION ALL "
		       "SELECT node, since, 0, inode FROM entry "
		       "WHERE parent = ?1 AND name = ?2) e "
		       "JOIN inode i ON i.id = e.inode ORDER BY e.since",
	[S_CONTENT] = "SELECT id, size, digest, session, offset, sparse, "
		      "map_bytes, sha256 FROM content WHERE id = ?1",
	[S_XATTRS] = "SELECT packed FROM xattrs WHERE id = ?1",
	[S_OWNER] = "SELECT name FROM owner WHERE kind = ?1 AND id = ?2",
	[S_NEXT_NAME] = "SELECT name FROM entry WHERE parent = ?1 AND "
			"name > ?2 ORDER BY name LIMIT 1",
	[S_NEXT_NAME_PAST] = "SELECT name FROM past WHERE parent = ?1 AND "
			     "name > ?2 ORDER BY name LIMIT 1",
	[S_HAS_PAST] = "SELECT 1 FROM past WHERE parent = ?1 LIMIT 1",
	[S_NAMES] = "SELECT parent, name FROM entry WHERE inode = ?1 AND "
		    "node IS NULL AND since <= ?2",
	[S_NAMES_PAST] = "SELECT parent, name FROM past WHERE inode = ?1 AND "
			 "node IS NULL AND since <= ?2 AND until > ?2",
	[S_HAS_SIZE] = "SELECT 1 FROM content WHERE size = ?1 AND "
		       "session >= ?2 LIMIT 1",
	[S_CANDIDATE] = "SELECT id, size, digest, session, offset, sparse, "
			"map_bytes, sha256 FROM content WHERE size = ?1 AND "
			"digest = ?2 AND id > ?3 AND session >= ?4 "
			"ORDER BY id LIMIT 1",
};

/* Listings: ?1 parent, ?2 session, ?3 the name to begin behind. */
const char statement_list[] =
	"SELECT e.node, e.since, 0, " INODE_COLUMNS ", e.name "
	"FROM entry e JOIN inode i ON i.id = e.inode "
	"WHERE e.parent = ?1 AND e.name > ?3 AND e.since <= ?2 "
	"ORDER BY e.name";
const char statement_list_past[] =
	"SELECT e.node, e.since, e.until, " INODE_COLUMNS ", e.name "
	"FROM past e JOIN inode i ON i.id = e.inode "
	"WHERE e.parent = ?1 AND e.name > ?3 AND e.since <= ?2 AND "
	"e.until > ?2 ORDER BY e.name";

sqlite3_stmt *catalog_statement(struct catalog *c, enum statement s)
{
	sqlite3_stmt **at = &c->statements[s];

	if (*at) {
		sqlite3_reset(*at);
		return *at;
	}
	int result = sqlite3_prepare_v3(c->db, texts[s], -1,
					SQLITE_PREPARE_PERSISTENT, at, NULL);
	database_error(c->db, c->path, result);
	return result == SQLITE_OK ? *at : NULL;
}

void catalog_forget_statements(struct catalog *c)
{
	for (int n = 0; n < S_COUNT; n++) {
		sqlite3_finalize(c->statements[n]);
		c->statements[n] = NULL;
	}
	for (int n = 0; n < CATALOG_CURSORS; n++) {
		sqlite3_finalize(c->lists[n]);
		sqlite3_finalize(c->past_lists[n]);
		c->lists[n] = c->past_lists[n] = NULL;
	}
}
