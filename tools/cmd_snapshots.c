#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "tape/error.h"
#include "tape/text.h"
#include "tools/figures.h"
#include "tools/json.h"
#include "tools/options.h"
#include "tools/sizes.h"
#include "tools/table.h"
#include "tools/target.h"

struct snapshots {
	struct target target;
	struct sizes sizes; /* of the volumes */
	struct table table;
	bool json;
};

static void cell_number(struct snapshots *s, uint64_t n)
{
	char text[FIGURE_SIZE];

	snprintf(text, sizeof(text), "%" PRIu64, n);
	table_cell(&s->table, text);
}

static void cell_bytes(struct snapshots *s, uint64_t n)
{
	char text[FIGURE_SIZE];

	table_cell(&s->table, figure_bytes(n, text));
}

static int add_row(struct snapshots *s, const struct session_row *row,
		   const char *name, uint64_t stored)
{
	struct buffer label = {0};
	char time[FIGURE_SIZE];
	const char *text = row->label ? row->label : "";
	int error = text_escape(&label, text, strlen(text));

	if (!error)
		error = buffer_append(&label, "", 1);
	if (error)
		return error;
	cell_number(s, row->id);
	table_cell(&s->table, name);
	table_cell(&s->table, figure_local(row->time, time));
	table_cell(&s->table, (const char *)label.data);
	cell_number(s, row->files);
	cell_bytes(s, row->bytes);
	cell_bytes(s, row->new_bytes);
	cell_bytes(s, stored);
	buffer_release(&label);
	return 0;
}

static void print_json(const struct session_row *row, const char *name,
		       uint64_t stored)
{
	struct json j;

	json_begin(&j);
	json_text(&j, "name", name);
	json_time(&j, "time", row->time);
	json_time(&j, "finished", row->finished);
	json_number(&j, "session", row->id);
	json_number(&j, "epoch", row->epoch);
	json_text(&j, "label", row->label ? row->label : "");
	if (row->host)
		json_text(&j, "host", row->host);
	json_number(&j, "files", row->files);
	json_number(&j, "directories", row->directories);
	json_number(&j, "size", row->bytes);
	json_number(&j, "new_files", row->new_files);
	json_number(&j, "new_size", row->new_bytes);
	json_number(&j, "unique_size", row->unique_bytes);
	json_number(&j, "copies", row->copies);
	json_number(&j, "problems", row->problems);
	json_number(&j, "stored", stored);
	json_number(&j, "first_volume", row->first_volume);
	json_end(&j);
}

/* A session's volumes go up to those of the next. */
static int show(struct snapshots *s, const struct session_row *row,
		uint32_t next_volume)
{
	uint64_t stored =
		sizes_between(&s->sizes, row->first_volume, next_volume);
	char name[40];
	int error = catalog_session_name(s->target.catalog, row->id, name);

	if (error)
		return error;
	if (!s->json)
		return add_row(s, row, name, stored);
	print_json(row, name, stored);
	return 0;
}

static int show_all(struct snapshots *s)
{
	struct session_row row = {0}, next;
	uint32_t id = 0;
	int more, error = 0;

	while (!error && (more = catalog_session_after(s->target.catalog, id,
						       &next)) == 1) {
		if (id)
			error = show(s, &row, next.first_volume);
		session_row_release(&row);
		row = next;
		id = row.id;
	}
	if (!error && more < 0)
		error = more;
	if (!error && id)
		error = show(s, &row, UINT32_MAX);
	session_row_release(&row);
	return error;
}

static const char *const titles[] = {">SESSION", "NAME",    "TIME",
				     "LABEL",	 ">FILES",  ">SIZE",
				     ">NEW",	 ">STORED", NULL};

static int run(const struct command *self, int argc, char **argv)
{
	struct snapshots s = {0};
	const struct option_spec specs[] = {
		{"json", 0, OPTION_FLAG, &s.json, NULL, "an object for each"},
		{0}};
	int status, error;

	if (!options_parse(self, specs, 1, 1, &argc, &argv, &status))
		return status;
	error = target_open_whole(&s.target, argv[0], SET_READ, false);
	if (error)
		return error_exit(error);
	table_init(&s.table, titles);
	error = sizes_read(&s.sizes, s.target.set);
	if (!error)
		error = show_all(&s);
	if (!error && !s.json)
		error = table_print(&s.table);
	if (error)
		target_trouble(&s.target, NULL, error);
	table_release(&s.table);
	sizes_release(&s.sizes);
	target_close(&s.target);
	return error_exit(error);
}

const struct command command_snapshots = {
	.name = "snapshots",
	.synopsis = "SET [--json]",
	.summary = "list the snapshots of a set",
	.details = "SIZE is that of all files in the snapshot, NEW what was "
		   "read in its session,\nSTORED what its volumes take.\n",
	.run = run,
};
