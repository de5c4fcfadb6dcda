/* A table on stdout whose columns fit: kept until it is printed, so for short
 * ones only. */
#ifndef REEL_TOOLS_TABLE_H
#define REEL_TOOLS_TABLE_H

#include <stdbool.h>
#include "tape/buffer.h"

#define TABLE_COLUMNS 16

struct table {
	const char *const *titles; /* a `>` in front: to the right */
	int columns;
	int column; /* of the next cell */
	int width[TABLE_COLUMNS];
	struct buffer cells; /* each with its NUL */
	bool failed;	     /* out of memory */
};

/* `titles` end with NULL and outlive the table. */
void table_init(struct table *t, const char *const *titles);
void table_release(struct table *t);
/* The next cell, row by row. */
void table_cell(struct table *t, const char *text);
/* 0 or REEL_ENOMEM. */
int table_print(struct table *t);

#endif
