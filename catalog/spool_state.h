/* Inside the spool: its connection and statements. */
#ifndef REEL_CATALOG_SPOOL_STATE_H
#define REEL_CATALOG_SPOOL_STATE_H

#include <sqlite3.h>
#include <stdatomic.h>
#include "catalog/spool.h"

enum spool_statement {
	SPOOL_GET,
	SPOOL_PUT,
	SPOOL_FORGET,
	SPOOL_LOOKUP,
	SPOOL_ENTER,
	SPOOL_LEAVE,
	SPOOL_NAME_OF,
	SPOOL_LIST,
	SPOOL_LIST_NODES,
	SPOOL_DIRTY_DIRECTORIES,
	SPOOL_NODE_COMMITTED,
	SPOOL_NODE_BASE,
	SPOOL_COMMITTED,
	SPOOL_EXCLUDE,
	SPOOL_INCLUDE_ALL,
	SPOOL_NAMES_SYNCED,
	SPOOL_NEXT_CLEAN,
	SPOOL_NEXT_CLEAN_ENTRY,
	SPOOL_NEXT_MENDED,
	SPOOL_META,
	SPOOL_STATEMENTS
};

/* A parameter of a statement. */
struct spool_value {
	int64_t number;
	const void *blob; /* NULL: the number */
	size_t length;
};

struct spool {
	struct set *set;
	char *path; /* of spool.db */
	sqlite3 *db;
	sqlite3_stmt *statements[SPOOL_STATEMENTS];
	int directory; /* SET/spool/current */
	int files;
	int lock;
	bool view; /* reads only */
	bool begun;
	bool unflushed;		/* something changed since the last flush */
	bool unsynced;		/* something was flushed since the last sync */
	atomic_bool files_made; /* names in files/ that are not durable */
	bool rebooted;		/* since the spool was written last */
	uint32_t base;
	uint64_t inode, change, file; /* given last */
	uint64_t tick;
	int frames;	   /* in the log */
	uint64_t *dropped; /* files to be removed */
	size_t dropped_count, dropped_room;
	size_t removable;   /* of the first ones no durable row speaks */
	struct buffer redo; /* what was done since the last flush (P7) */
	bool lost;	    /* it was rolled back, and is not yet done again */
	bool said;	    /* that the log cannot be written */
	struct buffer name; /* of the entry stepped to */
};

/* The statement, reset. NULL: logged. */
sqlite3_stmt *spool_statement(struct spool *s, enum spool_statement which);
void spool_forget_statements(struct spool *s);
int spool_meta_put(struct spool *s, const char *key, uint64_t value);

/* spool_redo.c: P7. A change, in the transaction. */
int spool_do(struct spool *s, enum spool_statement which,
	     const struct spool_value *values, int count);
/* Begins the transaction. */
int spool_begin(struct spool *s);
/* Ends it. */
int spool_commit(struct spool *s);
/* Does again what was rolled back, if anything was. */
int spool_restore(struct spool *s);

/* spool_repair.c: P3 and P6, when the spool is opened. */
int spool_repair(struct spool *s);

#endif
