#include "tools/delays.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "catalog/ntstatus.h"
#include "tape/error.h"
#include "tape/log.h"
#include "tape/text.h"
#include "tools/figures.h"
#include "tools/json.h"
#include "tools/table.h"

int delays_open(const struct delays_where *w, enum delayed_access access,
		struct delayed **out)
{
	return delayed_open(w->root ? w->root : "/", w->journal, access, out);
}

const char *delays_kind(const struct delayed_record *r)
{
	static const char *const names[] = {"delete", "move", "short-name"};

	return names[r->kind];
}

const char *delays_state(const struct delayed_record *r)
{
	static const char *const names[] = {"waiting", "started", "done",
					    "failed"};

	return names[r->state];
}

/* ---- printing ---- */

static void print_json(const struct delayed_record *r)
{
	char status[16];
	struct json j;

	json_begin(&j);
	json_number(&j, "number", r->number);
	json_text(&j, "operation", delays_kind(r));
	json_bytes(&j, "path", r->path, strlen(r->path));
	if (r->source)
		json_bytes(&j,
			   r->kind == DELAYED_MOVE ? "source" : "short_name",
			   r->source, strlen(r->source));
	if (r->checked)
		json_number(&j, "size", r->content.size);
	if (r->list) {
		json_number(&j, "list", r->list);
		json_number(&j, "record", r->index + 1);
	}
	json_text(&j, "state", delays_state(r));
	if (r->state == DELAYED_DONE || r->state == DELAYED_FAILED) {
		snprintf(status, sizeof(status), "%08X", r->status);
		json_text(&j, "status", status);
		json_text(&j, "meaning", ntstatus_text(r->status));
	}
	json_end(&j);
}

static void cell_name(struct table *t, const char *name)
{
	char *text = text_name(name, strlen(name));

	table_cell(t, text ? text : "?");
	free(text);
}

static void add_row(struct table *t, const struct delayed_record *r)
{
	char text[FIGURE_SIZE];

	snprintf(text, sizeof(text), "%" PRIu64, r->number);
	table_cell(t, text);
	table_cell(t, delays_kind(r));
	table_cell(t, r->checked ? figure_bytes(r->content.size, text) : "");
	if (r->state == DELAYED_FAILED)
		table_cell(t, ntstatus_text(r->status));
	else
		table_cell(t, delays_state(r));
	cell_name(t, r->kind == DELAYED_SHORT_NAME || r->list
			     ? r->source ? r->source : ""
			     : "");
	cell_name(t, r->path);
}

static const char *const titles[] = {">NUMBER", "OPERATION", ">SIZE", "STATE",
				     "FROM",	"PATH",	     NULL};

int delays_print(const struct delayed_record *const *records, size_t count,
		 bool json)
{
	struct table t;
	int error;

	if (json || !count) {
		for (size_t n = 0; n < count; n++)
			print_json(records[n]);
		return 0;
	}
	table_init(&t, titles);
	for (size_t n = 0; n < count; n++)
		add_row(&t, records[n]);
	error = table_print(&t);
	table_release(&t);
	return error;
}

int delays_print_all(const struct delayed *d, bool json)
{
	size_t count = delayed_count(d);
	const struct delayed_record **all = malloc((count + 1) * sizeof(*all));
	int error;

	if (!all)
		return REEL_ENOMEM;
	for (size_t n = 0; n < count; n++)
		all[n] = delayed_at(d, n);
	error = delays_print(all, count, json);
	free(all);
	return error;
}

/* ---- maps ---- */

int delays_maps_read(const struct option_list *list, struct delays_maps *out)
{
	struct srdelayed_map *all =
		calloc((size_t)list->count + 1, sizeof(*all));

	memset(out, 0, sizeof(*out));
	if (!all)
		return REEL_ENOMEM;
	out->maps.all = all;
	for (int n = 0; n < list->count; n++) {
		out->texts[n] = strdup(list->items[n]);
		out->maps.count++;
		if (out->texts[n] &&
		    !srdelayed_map_parse(out->texts[n], &all[n]))
			continue;
		log_error("--map %s is not understood; write --map C:=DIR or "
			  "--map Volume{GUID}=DIR, DIR below the target",
			  list->items[n]);
		delays_maps_release(out);
		return REEL_EINVAL;
	}
	return 0;
}

void delays_maps_release(struct delays_maps *m)
{
	for (size_t n = 0; n < m->maps.count; n++)
		free(m->texts[n]);
	free((void *)m->maps.all);
	memset(&m->maps, 0, sizeof(m->maps));
}
