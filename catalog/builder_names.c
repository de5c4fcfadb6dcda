/* What only sessions of foreign archives need of the builder: names that were
 * given anew within one session. */
#include <stdio.h>
#include "catalog/builder_state.h"

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
