#include "tools/table.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include "tape/error.h"

/* Columns that UTF-8 text takes, wide and combining characters aside. */
static int width(const char *text)
{
	int n = 0;

	for (; *text; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;
	return n;
}

static bool to_the_right(const struct table *t, int column)
{
	return t->titles[column][0] == '>';
}

void table_init(struct table *t, const char *const *titles)
{
	memset(t, 0, sizeof(*t));
	t->titles = titles;
	while (titles[t->columns])
		t->columns++;
	assert(t->columns <= TABLE_COLUMNS);
	for (int i = 0; i < t->columns; i++)
		table_cell(t, titles[i] + to_the_right(t, i));
}

void table_release(struct table *t)
{
	buffer_release(&t->cells);
}

void table_cell(struct table *t, const char *text)
{
	int w = width(text);

	if (w > t->width[t->column])
		t->width[t->column] = w;
	if (buffer_append(&t->cells, text, strlen(text) + 1))
		t->failed = true;
	t->column = (t->column + 1) % t->columns;
}

int table_print(struct table *t)
{
	const char *at = (const char *)t->cells.data;
	const char *end = at + t->cells.length;
	int column = 0;

	if (t->failed)
		return REEL_ENOMEM;
	while (at < end) {
		bool last = column + 1 == t->columns;
		int pad = t->width[column] - width(at);

		if (to_the_right(t, column))
			printf("%*s%s", pad, "", at);
		else
			printf("%s%*s", at, last ? 0 : pad, "");
		fputs(last ? "\n" : "  ", stdout);
		at += strlen(at) + 1;
		column = last ? 0 : column + 1;
	}
	return 0;
}
