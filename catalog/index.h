/* A session's index as it lies on the medium: the rows of its tables, column
 * by column, which packs to half of what the database file would.
 *
 * Packed with zstd (several frames), it is:
 *
 *     "REEL index", a NUL, version (1 byte: CATALOG_VERSION)
 *     groups:
 *         table (1 byte: its place in index.c, from 1), rows (varint)
 *         for each column of the table in the order of schema.sql:
 *             kinds   runs of (kind 1 byte, count varint) until all rows
 *                     have one: 0 NULL, 1 integer, 2 text, 3 blob
 *             integers  varint of the zigzag of each one's difference to
 *                     the integer before it in this column and group
 *             lengths   varint for each text and blob
 *             bytes     of all texts and blobs
 *     a zero byte: the end
 *
 * varint: 7 bits a byte, low first, the high bit says that more follow.
 * Differences wrap at 64 bits. */
#ifndef REEL_CATALOG_INDEX_H
#define REEL_CATALOG_INDEX_H

#include <stddef.h>
#include "tape/buffer.h"

/* Appends the packed index of a database file that nobody has open. */
int index_pack(const char *path, struct buffer *packed);
/* Makes a database file of it, with the tables of schema.sql and no indexes.
 * REEL_EDAMAGED (not logged), REEL_EVERSION. */
int index_unpack(const void *packed, size_t length, const char *path);

#endif
