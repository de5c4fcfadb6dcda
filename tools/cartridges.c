#include "tools/cartridges.h"

#include <inttypes.h>
#include <stdio.h>
#include "catalog/places.h"
#include "tape/error.h"
#include "tools/figures.h"
#include "tools/json.h"
#include "tools/table.h"

/* What lies on one. */
struct content {
	uint64_t bytes, volumes;
	uint32_t first, last; /* sessions; 0: none */
	bool full;
};

static struct content content_of(const struct cartridge_table *t, size_t at,
				 uint32_t full)
{
	const uint32_t number = t->cartridges[at].number;
	/* a later one begins when the one before it is full */
	struct content c = {.full = number <= full};

	for (size_t n = 0; n < t->place_count; n++) {
		const struct place *p = &t->places[n];

		c.full |=
			p->cartridge > number &&
			cartridge_line(p->cartridge) == cartridge_line(number);
		if (p->cartridge != number)
			continue;
		c.bytes += p->size;
		c.volumes++;
		if (!c.first || p->session < c.first)
			c.first = p->session;
		if (p->session > c.last)
			c.last = p->session;
	}
	return c;
}

static void say_json(const struct cartridge_label *l, const struct content *c)
{
	struct json j;

	json_begin(&j);
	json_text(&j, "cartridge", l->name);
	json_number(&j, "number", l->number);
	json_hex(&j, "uuid", l->uuid, sizeof(l->uuid));
	if (*l->barcode)
		json_text(&j, "barcode", l->barcode);
	json_time(&j, "time", l->time);
	json_number(&j, "block_size", l->block_size);
	json_number(&j, "size", c->bytes);
	json_number(&j, "volumes", c->volumes);
	if (c->first) {
		json_number(&j, "first_session", c->first);
		json_number(&j, "last_session", c->last);
	}
	json_bool(&j, "full", c->full);
	json_end(&j);
}

static void add_row(struct table *t, const struct cartridge_label *l,
		    const struct content *c)
{
	char text[40], bytes[FIGURE_SIZE];

	table_cell(t, l->name);
	table_cell(t, l->barcode);
	table_cell(t, figure_human(c->bytes, bytes));
	snprintf(text, sizeof(text),
		 c->first == c->last ? "%" PRIu32 : "%" PRIu32 "-%" PRIu32,
		 c->first, c->last);
	table_cell(t, c->first ? text : "");
	table_cell(t, c->full ? "full" : "");
}

int cartridges_print(struct catalog *c, bool json)
{
	static const char *const titles[] = {"CARTRIDGE", "BARCODE", ">STORED",
					     "SESSIONS",  "",	     NULL};
	struct cartridge_table all = {0};
	struct table t;
	uint32_t full;
	int error = places_full(c, &full);

	if (!error)
		error = places_table(c, &all);
	if (error || !all.cartridge_count)
		return error;
	table_init(&t, titles);
	for (size_t n = 0; n < all.cartridge_count; n++) {
		struct content on = content_of(&all, n, full);

		if (json)
			say_json(&all.cartridges[n], &on);
		else
			add_row(&t, &all.cartridges[n], &on);
	}
	if (!json)
		error = table_print(&t);
	table_release(&t);
	cartridge_table_release(&all);
	return error;
}
