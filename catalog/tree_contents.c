/* Contents: what they are, where they lie, which might be the same. */
#include "catalog/tree.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "catalog/database.h"
#include "tape/bytes.h"
#include "tape/error.h"

void content_row_release(struct content_row *r)
{
	free(r->runs);
	memset(r, 0, sizeof(*r));
}

uint64_t content_stored(const struct content_row *r)
{
	uint64_t bytes = r->map_bytes;

	if (!r->sparse)
		return r->size;
	for (size_t n = 0; n < r->run_count; n++)
		bytes += r->runs[n].length;
	return bytes;
}

static int read_runs(const uint8_t *blob, size_t length,
		     struct content_row *out)
{
	uint64_t at = 0;

	if (length % 16 || length / 16 > MEMBER_SPARSE_LIMIT)
		return REEL_EDAMAGED;
	out->run_count = length / 16;
	out->runs = malloc(length + 1);
	if (!out->runs)
		return REEL_ENOMEM;
	for (size_t n = 0; n < out->run_count; n++) {
		struct le64 offset, size;

		memcpy(&offset, blob + 16 * n, 8);
		memcpy(&size, blob + 16 * n + 8, 8);
		out->runs[n] =
			(struct sparse_run){le64_get(offset), le64_get(size)};
		if (out->runs[n].offset < at ||
		    out->runs[n].offset > out->size ||
		    out->runs[n].length > out->size - out->runs[n].offset)
			return REEL_EDAMAGED;
		at = out->runs[n].offset + out->runs[n].length;
	}
	return 0;
}

int content_read_row(sqlite3_stmt *s, struct content_row *out)
{
	struct column_reader r = {s, 0};
	size_t length;
	const void *digest, *runs;

	memset(out, 0, sizeof(*out));
	out->id = column_u64(&r, 0, INT64_MAX);
	out->size = column_u64(&r, 1, INT64_MAX);
	digest = column_blob(&r, 2, DIGEST_SIZE, &length);
	if (length == DIGEST_SIZE)
		memcpy(out->digest.b, digest, DIGEST_SIZE);
	else
		r.error = REEL_EDAMAGED;
	out->session = (uint32_t)column_u64(&r, 3, TREE_SESSIONS);
	out->offset = column_u64(&r, 4, INT64_MAX);
	out->sparse = sqlite3_column_type(s, 5) != SQLITE_NULL;
	out->map_bytes = column_u64(&r, 6, INT64_MAX);
	digest = column_blob(&r, 7, SHA256_SIZE, &length);
	out->has_sha256 = length == SHA256_SIZE;
	if (out->has_sha256)
		memcpy(out->sha256.b, digest, SHA256_SIZE);
	else if (length)
		r.error = REEL_EDAMAGED;
	runs = column_blob(&r, 5, INT32_MAX, &length);
	if (!r.error && out->sparse)
		r.error = read_runs(runs, length, out);
	if (r.error)
		content_row_release(out);
	return r.error;
}

/* Steps a bound statement that gives one content at most, and resets it. */
static int one_content(struct catalog *c, sqlite3_stmt *s,
		       struct content_row *out)
{
	int result = sqlite3_step(s);
	int error;

	if (result == SQLITE_ROW)
		error = catalog_damaged(c, content_read_row(s, out));
	else
		error = result == SQLITE_DONE
				? REEL_ENOENT
				: database_error(c->db, c->path, result);
	sqlite3_reset(s);
	return error;
}

int tree_content(struct catalog *c, uint64_t id, struct content_row *out)
{
	sqlite3_stmt *s = catalog_statement(c, S_CONTENT);

	if (!s)
		return REEL_EDAMAGED;
	sqlite3_bind_int64(s, 1, (int64_t)id);
	return one_content(c, s, out);
}

int tree_content_copies(struct catalog *c, uint64_t id, uint64_t *copies)
{
	char sql[200];
	int64_t count = 0;

	snprintf(sql, sizeof(sql),
		 "SELECT count(*) FROM entry WHERE node IS NULL AND inode IN "
		 "(SELECT id FROM inode WHERE content = %lld)",
		 (long long)id);
	int error = database_integer(c->db, sql, &count);
	*copies = (uint64_t)count;
	return error;
}

int tree_has_size(struct catalog *c, uint64_t size, uint32_t epoch, bool *has)
{
	sqlite3_stmt *s = catalog_statement(c, S_HAS_SIZE);

	if (!s)
		return REEL_EDAMAGED;
	sqlite3_bind_int64(s, 1, (int64_t)size);
	sqlite3_bind_int64(s, 2, epoch);
	int result = sqlite3_step(s);
	*has = result == SQLITE_ROW;
	sqlite3_reset(s);
	return database_error(c->db, c->path, result);
}

int tree_candidate(struct catalog *c, uint64_t size,
		   const struct digest *digest, uint64_t after, uint32_t epoch,
		   struct content_row *out)
{
	sqlite3_stmt *s = catalog_statement(c, S_CANDIDATE);

	if (!s)
		return REEL_EDAMAGED;
	sqlite3_bind_int64(s, 1, (int64_t)size);
	sqlite3_bind_blob(s, 2, digest->b, DIGEST_SIZE, SQLITE_STATIC);
	sqlite3_bind_int64(s, 3, (int64_t)after);
	sqlite3_bind_int64(s, 4, epoch);
	return one_content(c, s, out);
}
