#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "tape/changer.h"
#include "tape/error.h"
#include "tape/log.h"
#include "tape/stop.h"

#define ANSWER	       (256u << 10)
#define ELEMENTS_LIMIT 65536u
#define ATTENTIONS     16
#define BUSY_TRIES     600 /* a tenth of a second each */
#define WITH_TAGS      0x10
#define WITH_SERIALS   0x01

struct changer {
	struct scsi_transport *transport;
	char *name;
};

static int fail(const struct changer *c, int error, const char *what,
		const struct scsi_sense *s)
{
	char text[160];

	if (error == REEL_ESTOPPED || (!s->key && !s->code))
		return error; /* the transport has said it */
	scsi_sense_text(s, text, sizeof(text));
	log_error("%s: cannot %s: %s", c->name, what, text);
	return error;
}

/* Again after unit attentions, and while it is busy. */
static int run(struct changer *c, struct scsi_command *k, struct scsi_sense *s)
{
	const struct timespec nap = {.tv_nsec = 100000000};
	unsigned attentions = 0, tries = 0;

	*s = (struct scsi_sense){0};
	for (;;) {
		int error = c->transport->run(c->transport, k);

		if (error || k->status == SCSI_GOOD)
			return error;
		if (k->status == SCSI_CHECK) {
			scsi_sense_parse(k->sense, k->sense_length, s);
			error = scsi_sense_error(s);
			if (error == REEL_ERESET && ++attentions < ATTENTIONS)
				continue;
			if (error != REEL_EBUSY || s->key != SCSI_NOT_READY)
				return error;
		} else if (k->status == SCSI_CONFLICT) {
			log_error("%s: reserved by another host", c->name);
			return REEL_EBUSY;
		}
		if (++tries > BUSY_TRIES) {
			log_error("%s: it stays busy; try again later",
				  c->name);
			return REEL_EBUSY;
		}
		if (stop_is_set(c->transport->stop))
			return REEL_ESTOPPED;
		nanosleep(&nap, NULL);
	}
}

/* ---- opening ---- */

static int identify(struct changer *c)
{
	uint8_t data[96] = {0};
	struct scsi_inquiry inquiry;
	struct scsi_command k;
	struct scsi_sense s;
	int error;

	scsi_begin(&k, SCSI_INQUIRY, SCSI_TIME_SHORT);
	k.cdb[4] = sizeof(data);
	k.in = data;
	k.length = sizeof(data);
	error = run(c, &k, &s);
	if (error)
		return fail(c, error, "say what it is", &s);
	if (scsi_parse_inquiry(data, k.transferred, &inquiry) &&
	    inquiry.type == SCSI_TYPE_CHANGER)
		return 0;
	log_error("%s: it is no changer", c->name);
	return REEL_EINVAL;
}

int changer_open(const char *name, const volatile int *stop, struct changer **c)
{
	struct changer *made = calloc(1, sizeof(*made));
	int error = REEL_ENOMEM;

	if (made)
		made->name = strdup(name);
	if (made && made->name)
		error = strncmp(name, "iscsi://", 8)
				? scsi_sg_open(made->name, stop,
					       &made->transport)
				: scsi_iscsi_open(made->name, stop, false,
						  &made->transport);
	if (!error)
		error = identify(made);
	if (error) {
		changer_close(made);
		return error;
	}
	*c = made;
	return 0;
}

void changer_close(struct changer *c)
{
	if (!c)
		return;
	if (c->transport)
		c->transport->close(c->transport);
	free(c->name);
	free(c);
}

/* ---- inventory ---- */

struct gathering {
	struct changer_inventory *inventory;
	size_t room;
};

static int gather(void *context, const struct scsi_element *e)
{
	struct gathering *g = context;
	struct changer_inventory *i = g->inventory;
	struct scsi_element *more;
	size_t room;

	if (i->count == ELEMENTS_LIMIT)
		return REEL_EDAMAGED;
	if (i->count == g->room) {
		room = g->room ? 2 * g->room : 64;
		more = realloc(i->elements, room * sizeof(*more));
		if (!more)
			return REEL_ENOMEM;
		i->elements = more;
		g->room = room;
	}
	i->elements[i->count++] = *e;
	return 0;
}

/* One type at a time, as some changers (tgt) answer wrongly when asked for
 * all. */
static int ask(struct changer *c, uint8_t type, bool serials, uint8_t *data,
	       struct gathering *g)
{
	size_t had = g->inventory->count;
	struct scsi_command k;
	struct scsi_sense s;
	int error;

	scsi_begin(&k, SCSI_READ_ELEMENTS, SCSI_TIME_MOVE);
	k.cdb[1] = WITH_TAGS | type;
	scsi_put16(k.cdb + 4, UINT16_MAX);
	k.cdb[6] = serials ? WITH_SERIALS : 0;
	scsi_put24(k.cdb + 7, ANSWER);
	k.in = data;
	k.length = ANSWER;
	error = run(c, &k, &s);
	if (!error)
		error = scsi_parse_elements(data, k.transferred, gather, g);
	if (!error)
		return 0;
	g->inventory->count = had;
	if (serials && (error == REEL_EINVAL || error == REEL_EDAMAGED))
		return ask(c, type, false, data, g);
	if (error == REEL_EINVAL || error == REEL_ENOENT)
		return 0; /* it has none of this type */
	if (error == REEL_EDAMAGED && !s.key)
		log_error("%s: its inventory makes no sense", c->name);
	return fail(c, error, "tell what is where", &s);
}

static int by_address(const void *a, const void *b)
{
	const struct scsi_element *x = a, *y = b;

	return x->address < y->address ? -1 : x->address > y->address;
}

int changer_inventory(struct changer *c, struct changer_inventory *out)
{
	struct changer_inventory made = {0};
	struct gathering g = {.inventory = &made};
	uint8_t *data = malloc(ANSWER);
	int error = data ? 0 : REEL_ENOMEM;

	for (uint8_t type = SCSI_ELEMENT_PICKER;
	     type <= SCSI_ELEMENT_DRIVE && !error; type++)
		error = ask(c, type, type == SCSI_ELEMENT_DRIVE, data, &g);
	free(data);
	if (error) {
		changer_inventory_release(&made);
		return error;
	}
	if (made.count)
		qsort(made.elements, made.count, sizeof(*made.elements),
		      by_address);
	*out = made;
	return 0;
}

void changer_inventory_release(struct changer_inventory *i)
{
	free(i->elements);
	*i = (struct changer_inventory){0};
}

int changer_rescan(struct changer *c)
{
	struct scsi_command k;
	struct scsi_sense s;
	int error;

	scsi_begin(&k, SCSI_INITIALIZE_ELEMENTS, SCSI_TIME_LOAD);
	error = run(c, &k, &s);
	return error ? fail(c, error, "look at its cartridges", &s) : 0;
}

int changer_move(struct changer *c, uint16_t from, uint16_t to)
{
	struct scsi_command k;
	struct scsi_sense s;
	int error;

	scsi_begin(&k, SCSI_MOVE_MEDIUM, SCSI_TIME_MOVE);
	scsi_put16(k.cdb + 4, from);
	scsi_put16(k.cdb + 6, to);
	error = run(c, &k, &s);
	if (s.code == 0x3b0d)
		error = REEL_EEXIST;
	return error ? fail(c, error, "move a cartridge", &s) : 0;
}

/* ---- finding ---- */

const struct scsi_element *
changer_find_barcode(const struct changer_inventory *i, const char *barcode)
{
	size_t length = strlen(barcode);

	while (length && barcode[length - 1] == ' ')
		length--;
	for (size_t n = 0; length && n < i->count; n++) {
		const struct scsi_element *e = &i->elements[n];

		if (e->full && strlen(e->barcode) == length &&
		    !memcmp(e->barcode, barcode, length))
			return e;
	}
	return NULL;
}

const struct scsi_element *changer_find_drive(const struct changer_inventory *i,
					      const char *serial)
{
	for (size_t n = 0; *serial && n < i->count; n++) {
		const struct scsi_element *e = &i->elements[n];

		/* the identification may hold maker and product, too */
		if (e->type == SCSI_ELEMENT_DRIVE && strstr(e->serial, serial))
			return e;
	}
	return NULL;
}

const struct scsi_element *changer_drive(const struct changer_inventory *i,
					 size_t n)
{
	for (size_t k = 0; k < i->count; k++) {
		if (i->elements[k].type == SCSI_ELEMENT_DRIVE && !n--)
			return &i->elements[k];
	}
	return NULL;
}

const struct scsi_element *
changer_find_address(const struct changer_inventory *i, uint16_t address)
{
	for (size_t n = 0; n < i->count; n++) {
		if (i->elements[n].address == address)
			return &i->elements[n];
	}
	return NULL;
}

const struct scsi_element *changer_find_room(const struct changer_inventory *i,
					     uint16_t preferred)
{
	const struct scsi_element *first = NULL;

	for (size_t n = 0; n < i->count; n++) {
		const struct scsi_element *e = &i->elements[n];

		if (e->type != SCSI_ELEMENT_SLOT || e->full)
			continue;
		if (e->address == preferred)
			return e;
		if (!first)
			first = e;
	}
	return first;
}
