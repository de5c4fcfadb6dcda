/* What a station says: what it needs, and what it has. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tape/error.h"
#include "tape/log.h"
#include "tape/station_state.h"

#define AGAIN_NS   60000000000ll /* before the same is asked for again */
#define TEXT_LIMIT 1024

/* ---- sentences ---- */

static void add(char *text, size_t room, const char *more)
{
	size_t length = strlen(text);

	snprintf(text + length, room - length, "%s", more);
}

static void add_barcode(const struct cartridge_label *l, char *text,
			size_t room)
{
	if (!*l->barcode)
		return;
	add(text, room, " (barcode ");
	add(text, room, l->barcode);
	add(text, room, ")");
}

static void add_wanted(const struct station_want *w, char *text, size_t room)
{
	const struct cartridge_label *l = w->label;

	if (l) {
		add(text, room, "cartridge ");
		add(text, room, l->name);
	} else {
		add(text, room, "a blank cartridge");
	}
	if (l)
		add_barcode(l, text, room);
	for (size_t n = 0; n < w->other_count; n++) {
		add(text, room, " or ");
		add(text, room, w->others[n].name);
		add_barcode(&w->others[n], text, room);
	}
	if (!l && w->overwrite) {
		add(text, room, ", or ");
		add(text, room, w->overwrite);
		add(text, room, " to be written over,");
	}
	add(text, room, " is needed");
}

static const char *content_text(const struct station_drive *d)
{
	if (d->looked_into)
		return "is in use";
	switch (d->seen.content) {
	case STATION_EMPTY:
		return "is empty";
	case STATION_LOADING:
		return "is loading";
	case STATION_BLANK:
		return "has a blank one";
	case STATION_LABELLED:
	case STATION_FOREIGN:
		return "has ";
	case STATION_UNKNOWN:
		break;
	}
	return d->held ? "is in use" : "does not work";
}

void station_describe(const struct station *s, const struct station_want *w,
		      char *text, size_t room)
{
	const char *before = "; ";

	*text = '\0';
	add_wanted(w, text, room);
	for (size_t n = 0; n < s->drive_count; n++) {
		const struct station_drive *d = &s->drives[n];

		if (!station_may_use(w, d))
			continue;
		add(text, room, before);
		before = ", ";
		add(text, room, d->name);
		add(text, room, " ");
		add(text, room, content_text(d));
		if (!d->looked_into && d->seen.content >= STATION_LABELLED)
			add(text, room, d->seen.name);
		if (!d->looked_into && d->seen.write_protected)
			add(text, room, " (write-protected)");
	}
}

/* ---- asking ---- */

/* What it is known by among what was asked for; a blank one by zeros. */
static void said_as(const struct station_want *w, uint8_t uuid[16])
{
	memset(uuid, 0, 16);
	if (w->label)
		memcpy(uuid, w->label->uuid, 16);
}

/* Whether it was asked for a moment ago, and did not come. */
static bool was_said(struct station *s, const struct station_want *w)
{
	struct station_said now = {.at = station_now()};

	said_as(w, now.uuid);
	for (size_t n = 0; n < STATION_SAID && n < s->said_count; n++)
		if (now.at - s->said[n].at < AGAIN_NS &&
		    !memcmp(s->said[n].uuid, now.uuid, sizeof(now.uuid)))
			return true;
	s->said[s->said_count++ % STATION_SAID] = now;
	return false;
}

/* It came: who wants it, or another blank one, has to ask anew. */
void station_forget_said(struct station *s, const struct station_want *w)
{
	uint8_t uuid[16];

	said_as(w, uuid);
	for (size_t n = 0; n < STATION_SAID && n < s->said_count; n++)
		if (!memcmp(s->said[n].uuid, uuid, sizeof(uuid)))
			s->said[n].at = INT64_MIN / 2;
}

void station_ask_for(struct station *s, const struct station_want *w)
{
	char text[TEXT_LIMIT];

	if (was_said(s, w))
		return;
	station_describe(s, w, text, sizeof(text));
	if (s->timeout == STATION_FOREVER)
		log_note("%s; waiting for it", text);
	else if (s->timeout)
		log_note("%s; waiting for it for %u s", text, s->timeout);
	else
		log_error("%s", text);
}

void station_needed(struct station *s, char *text, size_t room)
{
	*text = '\0';
	pthread_mutex_lock(&s->lock);
	for (struct station_wait *w = s->waits; w; w = w->next) {
		if (!w->person)
			continue;
		add_wanted(w->want, text, room);
		add(text, room, "\n");
	}
	pthread_mutex_unlock(&s->lock);
}

/* ---- the list ---- */

struct list {
	struct station_item *items;
	size_t count;
};

static struct station_item *add_item(struct list *l, const char *kind,
				     const char *name)
{
	struct station_item *more =
		realloc(l->items, (l->count + 1) * sizeof(*more));

	if (!more)
		return NULL;
	l->items = more;
	more += l->count++;
	*more = (struct station_item){0};
	snprintf(more->where, sizeof(more->where), "%s %.240s", kind, name);
	return more;
}

static void show(const struct station_drive *d, struct station_item *to)
{
	static const char *const notes[] = {
		"does not work", "empty", "loading",
		"blank",	 "",	  "not of reel"};
	enum station_content c = d->seen.content;

	to->full = c > STATION_EMPTY;
	snprintf(to->note, sizeof(to->note), "%s%s%s", notes[c],
		 *notes[c] && d->seen.write_protected ? ", " : "",
		 d->seen.write_protected ? "write-protected" : "");
	memcpy(to->barcode, d->barcode, sizeof(to->barcode));
	if (c >= STATION_LABELLED)
		memcpy(to->name, d->seen.name, sizeof(to->name));
}

/* Looks into it unless somebody holds it. */
static int list_drive(struct station *s, struct station_drive *d,
		      struct list *l)
{
	struct station_item *i = add_item(l, "drive", d->name);
	bool mine;

	if (!i)
		return REEL_ENOMEM;
	pthread_mutex_lock(&s->lock);
	mine = !d->held;
	if (mine)
		d->held = d->looked_into = true;
	else if (!d->looked_into)
		show(d, i);
	pthread_mutex_unlock(&s->lock);
	if (!mine) {
		snprintf(i->note, sizeof(i->note), "in use");
		return 0;
	}
	station_drive_look(s, d);
	show(d, i);
	station_drive_release(s, d);
	return 0;
}

static const char *known_name(const struct station *s, const char *barcode)
{
	for (size_t n = 0; n < s->known_count; n++)
		if (!strcmp(s->known[n].barcode, barcode))
			return s->known[n].seen.name;
	return "";
}

static int list_changer(struct station *s, const char *name, struct list *l)
{
	const bool several = s->changer_count > 1;
	struct changer_inventory have = {0};
	struct changer *c;
	int error = changer_open(name, s->stop, &c);

	if (error)
		return error;
	error = changer_inventory(c, &have);
	for (size_t n = 0; !error && n < have.count; n++) {
		const struct scsi_element *e = &have.elements[n];
		struct station_item *i;
		char address[256];

		if (e->type != SCSI_ELEMENT_SLOT &&
		    e->type != SCSI_ELEMENT_PORT)
			continue;
		snprintf(address, sizeof(address), "%u%s%.200s",
			 (unsigned)e->address, several ? " of " : "",
			 several ? name : "");
		i = add_item(l, e->type == SCSI_ELEMENT_SLOT ? "slot" : "port",
			     address);
		if (!i) {
			error = REEL_ENOMEM;
			break;
		}
		i->full = e->full;
		snprintf(i->barcode, sizeof(i->barcode), "%.*s",
			 CARTRIDGE_BARCODE - 1, e->barcode);
		snprintf(i->name, sizeof(i->name), "%s",
			 e->full && *e->barcode ? known_name(s, e->barcode)
						: "");
	}
	changer_inventory_release(&have);
	changer_close(c);
	return error;
}

int station_list(struct station *s, struct station_item **out, size_t *count)
{
	struct list l = {0};
	int error = 0;

	for (size_t n = 0; !error && n < s->drive_count; n++)
		error = list_drive(s, &s->drives[n], &l);
	pthread_mutex_lock(&s->robot);
	for (size_t n = 0; !error && n < s->changer_count; n++)
		error = list_changer(s, s->changers[n].name, &l);
	pthread_mutex_unlock(&s->robot);
	if (error) {
		free(l.items);
		return error;
	}
	*out = l.items;
	*count = l.count;
	return 0;
}
