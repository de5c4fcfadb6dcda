#include "catalog/index.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "catalog/database.h"
#include "tape/error.h"
#include "tape/frame.h"
#include "tape/log.h"
#include "tape/unpack.h"

#define GROUP_ROWS  65536
#define GROUP_LIMIT (1u << 20) /* rows of a group that is read */
#define GROUP_BYTES (4u << 20) /* of texts and blobs, before it ends */
#define PACK_PIECE  (4u << 20) /* packed at a time */
#define PACK_LEVEL  9
#define PIECE_LIMIT (128u << 20) /* plain bytes of one frame that is read */
#define VALUE_LIMIT (1u << 26)	 /* bytes of one text or blob */
#define COLUMNS	    16
#define VARINT_SIZE 10 /* at most, bytes */

static const char magic[] = "REEL index";

static const struct {
	const char *name;
	int columns;
} tables[] = {
	{"meta", 2}, {"session", 16}, {"run", 6},    {"entry", 5},
	{"past", 6}, {"inode", 16},   {"xattrs", 2}, {"content", 8},
	{"keep", 2}, {"owner", 3},
};
#define TABLES (int)(sizeof(tables) / sizeof(tables[0]))
#define INODES 5

enum kind {
	KIND_NULL,
	KIND_INTEGER,
	KIND_TEXT,
	KIND_BLOB,
};

/* ---- packing ---- */

struct column {
	struct buffer kinds, integers, lengths, bytes;
	enum kind kind; /* of the present run */
	uint64_t run;
	uint64_t last;
};

/* Tables that one thread packs: inodes are half of the work, and behind the
 * others. */
struct lane {
	const char *path;
	bool inodes;
	struct column columns[COLUMNS];
	size_t bytes; /* of the group's texts and blobs */
	struct frame_codec *codec;
	struct buffer plain, packed;
	int error;
};

static int put_varint(struct buffer *b, uint64_t v)
{
	int error = buffer_reserve(b, VARINT_SIZE);

	if (error)
		return error;
	for (; v >= 0x80; v >>= 7)
		b->data[b->length++] = (uint8_t)(v | 0x80);
	b->data[b->length++] = (uint8_t)v;
	return 0;
}

static int end_run(struct column *c)
{
	uint8_t kind = (uint8_t)c->kind;
	int error = c->run ? buffer_append(&c->kinds, &kind, 1) : 0;

	if (!error && c->run)
		error = put_varint(&c->kinds, c->run);
	c->run = 0;
	return error;
}

static int put_value(struct lane *l, struct column *c, sqlite3_stmt *s, int n)
{
	static const enum kind kinds[] = {
		[SQLITE_INTEGER] = KIND_INTEGER, [SQLITE_TEXT] = KIND_TEXT,
		[SQLITE_BLOB] = KIND_BLOB,	 [SQLITE_NULL] = KIND_NULL,
		[SQLITE_FLOAT] = KIND_NULL,
	};
	sqlite3_value *value = sqlite3_column_value(s, n);
	enum kind kind = kinds[sqlite3_value_type(value)];
	int error = kind == c->kind ? 0 : end_run(c);

	c->kind = kind;
	c->run++;
	if (!error && kind == KIND_INTEGER) {
		uint64_t v = (uint64_t)sqlite3_value_int64(value);
		uint64_t d = v - c->last;

		c->last = v;
		error = put_varint(&c->integers, d << 1 ^ -(d >> 63));
	} else if (!error && kind != KIND_NULL) {
		const void *bytes = sqlite3_value_blob(value);
		size_t length = (size_t)sqlite3_value_bytes(value);

		error = put_varint(&c->lengths, length);
		if (!error)
			error = buffer_append(&c->bytes, bytes, length);
		l->bytes += length;
	}
	return error;
}

static int pack_piece(struct lane *l)
{
	int error = frame_pack_by(l->codec, l->plain.data, l->plain.length,
				  &l->packed);

	l->plain.length = 0;
	return error;
}

static int move(struct buffer *to, struct buffer *from)
{
	int error = buffer_append(to, from->data, from->length);

	from->length = 0;
	return error;
}

static int end_group(struct lane *l, int table, uint64_t rows)
{
	uint8_t id = (uint8_t)(table + 1);
	int error = rows ? buffer_append(&l->plain, &id, 1) : 0;

	if (!rows)
		return 0;
	if (!error)
		error = put_varint(&l->plain, rows);
	for (int n = 0; !error && n < tables[table].columns; n++) {
		struct column *c = &l->columns[n];

		error = end_run(c);
		if (!error)
			error = move(&l->plain, &c->kinds);
		if (!error)
			error = move(&l->plain, &c->integers);
		if (!error)
			error = move(&l->plain, &c->lengths);
		if (!error)
			error = move(&l->plain, &c->bytes);
		c->last = 0;
	}
	l->bytes = 0;
	return !error && l->plain.length >= PACK_PIECE ? pack_piece(l) : error;
}

static int pack_table(struct lane *l, sqlite3 *db, int table)
{
	char sql[64];
	sqlite3_stmt *s;
	uint64_t rows = 0;
	int result, error;

	snprintf(sql, sizeof(sql), "SELECT * FROM %s", tables[table].name);
	result = sqlite3_prepare_v2(db, sql, -1, &s, NULL);
	error = database_error(db, l->path, result);
	while (!error && (result = sqlite3_step(s)) == SQLITE_ROW) {
		for (int n = 0; !error && n < tables[table].columns; n++)
			error = put_value(l, &l->columns[n], s, n);
		rows++;
		if (!error && (rows == GROUP_ROWS || l->bytes >= GROUP_BYTES)) {
			error = end_group(l, table, rows);
			rows = 0;
		}
	}
	if (!error)
		error = database_error(db, l->path, result);
	sqlite3_finalize(s);
	return error ? error : end_group(l, table, rows);
}

static void *pack_lane(void *context)
{
	struct lane *l = context;
	const uint8_t version = CATALOG_VERSION, end = 0;
	sqlite3 *db = NULL;
	int error = frame_codec_new(COMPRESSION_ZSTD, PACK_LEVEL, &l->codec);

	if (!error)
		error = database_open(l->path, DATABASE_IMMUTABLE, &db);
	if (!error && !l->inodes)
		error = buffer_append(&l->plain, magic, sizeof(magic));
	if (!error && !l->inodes)
		error = buffer_append(&l->plain, &version, 1);
	for (int n = 0; !error && n < TABLES; n++) {
		if (l->inodes == (n == INODES))
			error = pack_table(l, db, n);
	}
	if (!error && l->inodes)
		error = buffer_append(&l->plain, &end, 1);
	if (!error && l->plain.length)
		error = pack_piece(l);
	sqlite3_close(db);
	l->error = error;
	return NULL;
}

static int end_lane(struct lane *l, struct buffer *packed)
{
	for (int n = 0; n < COLUMNS; n++) {
		struct column *c = &l->columns[n];

		buffer_release(&c->kinds);
		buffer_release(&c->integers);
		buffer_release(&c->lengths);
		buffer_release(&c->bytes);
	}
	if (!l->error)
		l->error =
			buffer_append(packed, l->packed.data, l->packed.length);
	frame_codec_free(l->codec);
	buffer_release(&l->plain);
	buffer_release(&l->packed);
	return l->error;
}

int index_pack(const char *path, struct buffer *packed)
{
	struct lane *lanes = calloc(2, sizeof(*lanes));
	pthread_t thread;
	int error, late;
	bool beside;

	if (!lanes)
		return REEL_ENOMEM;
	lanes[0].path = lanes[1].path = path;
	lanes[1].inodes = true;
	beside = !pthread_create(&thread, NULL, pack_lane, &lanes[1]);
	pack_lane(&lanes[0]);
	if (beside)
		pthread_join(thread, NULL);
	else
		pack_lane(&lanes[1]);
	error = end_lane(&lanes[0], packed);
	late = end_lane(&lanes[1], packed);
	free(lanes);
	return error ? error : late;
}

/* ---- unpacking ---- */

/* One column of a group, being read. */
struct reading {
	struct buffer kinds; /* one byte a row */
	int64_t *integers;
	struct buffer bytes;
	uint32_t *lengths;
	size_t integer, value, byte; /* next ones */
};

struct unpacker {
	struct unpack source;
	uint8_t block[65536];
	size_t at, length;
	struct reading columns[COLUMNS];
	sqlite3 *db;
};

static int get_bytes(struct unpacker *u, void *to, size_t length)
{
	uint8_t *out = to;

	while (length) {
		if (u->at == u->length) {
			int64_t n = unpack_read(&u->source, u->block,
						sizeof(u->block));

			if (n <= 0)
				return n ? (int)n : REEL_EDAMAGED;
			u->at = 0;
			u->length = (size_t)n;
		}
		size_t piece = u->length - u->at;

		if (piece > length)
			piece = length;
		memcpy(out, u->block + u->at, piece);
		u->at += piece;
		out += piece;
		length -= piece;
	}
	return 0;
}

static int get_varint(struct unpacker *u, uint64_t limit, uint64_t *out)
{
	uint64_t v = 0;
	uint8_t byte = 0;
	int error, shift = 0;

	do {
		error = shift > 63 ? REEL_EDAMAGED : get_bytes(u, &byte, 1);
		if (error)
			return error;
		v |= (uint64_t)(byte & 0x7f) << shift;
		shift += 7;
	} while (byte & 0x80);
	*out = v;
	return v > limit ? REEL_EDAMAGED : 0;
}

static int get_kinds(struct unpacker *u, struct reading *c, uint64_t rows,
		     size_t *integers, size_t *values)
{
	int error = buffer_reserve(&c->kinds, (size_t)rows);

	c->kinds.length = 0;
	*integers = *values = 0;
	while (!error && c->kinds.length < rows) {
		uint64_t count = 0;
		uint8_t kind = 0;

		error = get_bytes(u, &kind, 1);
		if (!error)
			error = get_varint(u, rows - c->kinds.length, &count);
		if (!error && (kind > KIND_BLOB || !count))
			error = REEL_EDAMAGED;
		if (error)
			break;
		memset(c->kinds.data + c->kinds.length, kind, (size_t)count);
		c->kinds.length += (size_t)count;
		if (kind == KIND_INTEGER)
			*integers += (size_t)count;
		else if (kind != KIND_NULL)
			*values += (size_t)count;
	}
	return error;
}

static int get_integers(struct unpacker *u, struct reading *c, size_t count)
{
	uint64_t last = 0, z = 0;
	int error = 0;

	c->integer = 0;
	free(c->integers);
	c->integers = malloc(count * sizeof(*c->integers) + 1);
	if (!c->integers)
		return REEL_ENOMEM;
	for (size_t n = 0; !error && n < count; n++) {
		error = get_varint(u, UINT64_MAX, &z);
		last += z >> 1 ^ -(z & 1);
		c->integers[n] = (int64_t)last;
	}
	return error;
}

static int get_values(struct unpacker *u, struct reading *c, size_t count)
{
	uint64_t length = 0, total = 0;
	int error = 0;

	c->value = c->byte = 0;
	c->bytes.length = 0;
	free(c->lengths);
	c->lengths = malloc(count * sizeof(*c->lengths) + 1);
	if (!c->lengths)
		return REEL_ENOMEM;
	for (size_t n = 0; !error && n < count; n++) {
		error = get_varint(u, VALUE_LIMIT, &length);
		c->lengths[n] = (uint32_t)length;
		total += length;
		if (total > PIECE_LIMIT)
			error = REEL_EDAMAGED;
	}
	if (!error)
		error = buffer_reserve(&c->bytes, (size_t)total + 1);
	if (!error)
		error = get_bytes(u, c->bytes.data, (size_t)total);
	if (!error)
		c->bytes.length = (size_t)total;
	return error;
}

static void bind_value(sqlite3_stmt *s, int at, struct reading *c, uint64_t row)
{
	enum kind kind = c->kinds.data[row];

	if (kind == KIND_NULL) {
		sqlite3_bind_null(s, at);
	} else if (kind == KIND_INTEGER) {
		sqlite3_bind_int64(s, at, c->integers[c->integer++]);
	} else {
		const uint8_t *bytes = c->bytes.data + c->byte;
		int length = (int)c->lengths[c->value++];

		c->byte += (size_t)length;
		if (kind == KIND_TEXT)
			sqlite3_bind_text(s, at, (const char *)bytes, length,
					  SQLITE_STATIC);
		else
			sqlite3_bind_blob(s, at, bytes, length, SQLITE_STATIC);
	}
}

static int prepare_insert(struct unpacker *u, int table, sqlite3_stmt **out)
{
	char sql[128];
	int n = snprintf(sql, sizeof(sql), "INSERT INTO %s VALUES (?",
			 tables[table].name);

	for (int c = 1; c < tables[table].columns; c++)
		n += snprintf(sql + n, sizeof(sql) - (size_t)n, ",?");
	snprintf(sql + n, sizeof(sql) - (size_t)n, ")");
	return sqlite3_prepare_v2(u->db, sql, -1, out, NULL) == SQLITE_OK
		       ? 0
		       : REEL_EDAMAGED;
}

static int unpack_group(struct unpacker *u, int table)
{
	sqlite3_stmt *s = NULL;
	uint64_t rows;
	size_t integers, values;
	int error = get_varint(u, GROUP_LIMIT, &rows);

	if (!error && !rows)
		error = REEL_EDAMAGED;
	for (int n = 0; !error && n < tables[table].columns; n++) {
		struct reading *c = &u->columns[n];

		error = get_kinds(u, c, rows, &integers, &values);
		if (!error)
			error = get_integers(u, c, integers);
		if (!error)
			error = get_values(u, c, values);
	}
	if (!error)
		error = prepare_insert(u, table, &s);
	for (uint64_t row = 0; !error && row < rows; row++) {
		for (int n = 0; n < tables[table].columns; n++)
			bind_value(s, n + 1, &u->columns[n], row);
		int result = sqlite3_step(s);
		if (result != SQLITE_DONE)
			error = result == SQLITE_FULL ? REEL_ENOSPC
						      : REEL_EDAMAGED;
		sqlite3_reset(s);
	}
	sqlite3_finalize(s);
	return error;
}

static int unpack_groups(struct unpacker *u)
{
	char head[sizeof(magic)];
	uint8_t version = 0, table = 0;
	int error = get_bytes(u, head, sizeof(head));

	if (!error && memcmp(head, magic, sizeof(magic)) != 0)
		error = REEL_EDAMAGED;
	if (!error)
		error = get_bytes(u, &version, 1);
	if (!error && version > CATALOG_VERSION)
		error = REEL_EVERSION;
	while (!error && !(error = get_bytes(u, &table, 1)) && table)
		error = table <= TABLES ? unpack_group(u, table - 1)
					: REEL_EDAMAGED;
	return error;
}

int index_unpack(const void *packed, size_t length, const char *path)
{
	struct unpacker *u = calloc(1, sizeof(*u));
	char sql[64];
	int error;

	if (!u)
		return REEL_ENOMEM;
	u->source = (struct unpack){
		.data = packed, .length = length, .limit = PIECE_LIMIT};
	error = unlink(path) && errno != ENOENT ? error_from_errno(errno) : 0;
	if (error)
		log_error("%s: %s", path, error_text(error));
	if (!error)
		error = database_open(path, DATABASE_BUILD, &u->db);
	snprintf(sql, sizeof(sql), "PRAGMA user_version=%d", CATALOG_VERSION);
	if (!error)
		error = database_run(u->db, path, "BEGIN");
	if (!error)
		error = database_run(u->db, path, catalog_schema);
	if (!error)
		error = database_run(u->db, path, sql);
	if (!error)
		error = unpack_groups(u);
	if (!error)
		error = database_run(u->db, path, "COMMIT");
	sqlite3_close(u->db);
	for (int n = 0; n < COLUMNS; n++) {
		buffer_release(&u->columns[n].kinds);
		buffer_release(&u->columns[n].bytes);
		free(u->columns[n].integers);
		free(u->columns[n].lengths);
	}
	unpack_release(&u->source);
	free(u);
	return error == REEL_ERANGE ? REEL_EDAMAGED : error;
}
