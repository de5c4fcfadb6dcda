#include "tape/append.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include "tape/cartridge_walk.h"
#include "tape/error.h"
#include "tape/log.h"

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* ---- tape files ---- */

int append_read_file(struct drive *d, size_t limit, struct buffer *out)
{
	uint8_t *block = malloc(DRIVE_BLOCK_LIMIT);
	struct drive_read r = {0};
	bool damaged = false;
	int error = block ? 0 : REEL_ENOMEM;

	out->length = 0;
	while (!error) {
		error = drive_read(d, block, DRIVE_BLOCK_LIMIT, &r);
		if (error == REEL_EDAMAGED && r.found == DRIVE_BLOCK) {
			damaged = true;
			error = 0;
			continue;
		}
		if (error || r.found != DRIVE_BLOCK)
			break;
		if (damaged || r.length > limit - out->length)
			damaged = true;
		else
			error = buffer_append(out, block, r.length);
	}
	free(block);
	if (!error && damaged)
		error = REEL_EDAMAGED;
	if (!error && r.found == DRIVE_END && !out->length)
		error = REEL_ENOENT;
	if (!error && r.found == DRIVE_END)
		error = REEL_EDAMAGED;
	return error;
}

static int note(struct append *a, int error)
{
	a->failed |= error && error != REEL_ENOSPC;
	return error;
}

/* In blocks, and its filemark, flushed. */
static int write_file(struct append *a, const struct buffer *b)
{
	size_t block = a->options.block_size;
	int error = 0;

	a->written = true;
	for (size_t at = 0; !error && at < b->length; at += block) {
		size_t n = b->length - at < block ? b->length - at : block;

		error = append_block(a, b->data + at, n);
	}
	if (!error)
		error = drive_mark(a->drive, DRIVE_MARK_FILE, 1, false,
				   &a->early);
	if (!error)
		error = drive_flush(a->drive);
	a->written = error;
	return note(a, error);
}

/* ---- lifecycle ---- */

int append_init(struct append *a, const struct append_options *o)
{
	*a = (struct append){
		.options = *o, .table = *o->table, .after = o->after};
	*o->table = (struct cartridge_table){0};
	return 0;
}

static void put_drive(struct append *a)
{
	bool early;

	if (!a->drive)
		return;
	/* D4: what stands behind the last table is ended, though it does not
	 * count */
	if (a->written && !a->failed)
		drive_mark(a->drive, DRIVE_MARK_FILE, 1, false, &early);
	station_put(a->options.station, a->drive);
	a->drive = NULL;
	a->label = NULL;
	a->written = false;
}

void append_release(struct append *a)
{
	put_drive(a);
	cartridge_table_release(&a->table);
}

void append_pause(struct append *a)
{
	put_drive(a);
}

int append_next(struct append *a)
{
	a->after = a->label->number;
	put_drive(a);
	return 0;
}

uint32_t append_full(const struct append *a)
{
	return a->drive && a->early ? a->label->number : 0;
}

/* ---- which cartridge ---- */

static bool has_places(const struct append *a, uint32_t number)
{
	for (size_t n = a->table.place_count; n-- > 0;)
		if (a->table.places[n].cartridge == number)
			return true;
	return false;
}

/* The newest that has something, unless it is full; else the first behind it
 * that was only labelled. NULL: a new one is needed. */
static struct cartridge_label *choose(struct append *a)
{
	struct cartridge_label *best = NULL;

	for (size_t n = 0; n < a->table.cartridge_count; n++) {
		struct cartridge_label *l = &a->table.cartridges[n];

		if (l->number <= a->after)
			continue;
		if (!best || has_places(a, l->number))
			best = l;
	}
	return best;
}

/* The tape file behind the last table. */
static uint64_t append_file(const struct append *a, uint32_t number)
{
	uint64_t file = 1;

	for (size_t n = 0; n < a->table.place_count; n++) {
		const struct place *p = &a->table.places[n];

		if (p->cartridge == number && p->file + 2 > file)
			file = p->file + 2;
	}
	return file;
}

static int check_drive(struct append *a)
{
	struct drive_parameters p;
	int error = drive_parameters(a->drive, &p);

	if (error)
		return error;
	if (p.write_protected) {
		log_error("%s: the cartridge %s is write-protected; take the "
			  "protection off, or give another one",
			  drive_name(a->drive),
			  a->label ? a->label->name : "in it");
		return REEL_EROFS;
	}
	if (p.block_size && (p.features & DRIVE_HAS_VARIABLE))
		error = drive_set(a->drive, DRIVE_SET_BLOCK_SIZE, 0);
	if (!error && p.block_max && a->options.block_size > p.block_max) {
		log_error("%s takes blocks of up to %" PRIu32 " bytes, the set "
			  "has %" PRIu32 "; make a set with a smaller "
			  "--block-size for it",
			  drive_name(a->drive), p.block_max,
			  a->options.block_size);
		error = REEL_ERANGE;
	}
	return error;
}

static int add_label(struct append *a, const struct cartridge_label *l)
{
	struct cartridge_table *t = &a->table;
	struct cartridge_label *more = realloc(
		t->cartridges, (t->cartridge_count + 1) * sizeof(*more));
	char *name;

	if (!more)
		return REEL_ENOMEM;
	t->cartridges = more;
	name = t->cartridge_count ? more[0].set_name
				  : strdup(a->options.set_name);
	if (!name)
		return REEL_ENOMEM;
	more[t->cartridge_count] = *l;
	more[t->cartridge_count].set_name = name;
	a->label = &more[t->cartridge_count++];
	return 0;
}

/* Of the next cartridge. */
static uint32_t next_number(const struct append *a)
{
	const size_t count = a->table.cartridge_count;

	if (count)
		return a->table.cartridges[count - 1].number + 1;
	return a->options.line ? a->options.line : 1;
}

static int make_label(struct append *a, const char *barcode)
{
	const struct append_options *o = &a->options;
	size_t count = a->table.cartridge_count;
	struct cartridge_label l = {
		.number = next_number(a),
		.block_size = o->block_size,
		.time = now_ns(),
		.seed = o->seed,
		.compression = o->compression,
	};

	if (l.number > CARTRIDGE_LIMIT ||
	    (count && cartridge_line(l.number) == l.number))
		return REEL_ERANGE;
	memcpy(l.set, o->set, sizeof(l.set));
	if (getrandom(l.uuid, sizeof(l.uuid), 0) != sizeof(l.uuid))
		return REEL_EIO;
	cartridge_make_name(o->set_name, l.number, l.name);
	strcpy(l.barcode, barcode);
	return add_label(a, &l);
}

/* K3: station_get_blank saw to it that it may be written. */
static int write_label(struct append *a)
{
	struct buffer b = {0};
	int error = cartridge_label_encode(a->label, &b);

	if (!error)
		error = drive_rewind(a->drive, false);
	if (!error)
		error = write_file(a, &b);
	buffer_release(&b);
	if (!error)
		station_relabelled(a->options.station, a->drive);
	if (error != REEL_ENOSPC)
		return error;
	/* it stays blank, so it would be taken again and again */
	station_too_small(a->options.station, a->drive);
	log_error("%s: the cartridge is too small even for its label",
		  drive_name(a->drive));
	return error;
}

static int intend(struct append *a)
{
	const struct append_options *o = &a->options;
	struct place p = {.volume = o->first_volume,
			  .cartridge = a->label->number,
			  .block_size = o->block_size,
			  .session = o->session,
			  .session_time = o->session_time};

	return o->intend(o->context, a->label, &p);
}

/* The set's own backups are not written over by a slip of the pen. */
static int check_overwrite(const struct append *a)
{
	const char *name = a->options.overwrite;

	for (size_t n = 0; name && n < a->table.cartridge_count; n++) {
		const struct cartridge_label *l = &a->table.cartridges[n];

		if (strcmp(l->name, name) != 0 || !has_places(a, l->number))
			continue;
		log_error("cartridge %s holds backups of this very set and is "
			  "not written over",
			  name);
		return REEL_EEXIST;
	}
	return 0;
}

/* Behind what the cartridge in the drive has. */
static int begin_behind(struct append *a, struct cartridge_label *l)
{
	struct drive_position p = {.object = DRIVE_UNKNOWN,
				   .file = append_file(a, l->number)};
	int error;

	a->label = l;
	error = check_drive(a);
	if (!error)
		error = intend(a);
	if (!error)
		error = drive_seek(a->drive, &p);
	if (error == REEL_ENOENT) {
		log_error("cartridge %s ends before the table of its last "
			  "volume; is it a copy that was cut short?",
			  l->name);
		error = REEL_EDAMAGED;
	}
	return error;
}

static int begin_label(struct append *a, const char *barcode)
{
	int error = check_drive(a);

	if (!error)
		error = make_label(a, barcode);
	if (!error)
		error = write_label(a);
	if (!error)
		error = intend(a);
	if (!error)
		log_note("cartridge %s%s%s%s begins in %s", a->label->name,
			 *barcode ? " (barcode " : "", barcode,
			 *barcode ? ")" : "", drive_name(a->drive));
	return error;
}

/* 0: the cartridge in the drive is this one; REEL_ENOENT: it is blank;
 * REEL_EEXIST: it is another one. */
static int compare_label(struct append *a, const struct cartridge_label *l)
{
	struct cartridge_label there;
	int error = cartridge_read_label(a->drive, &there);

	if (error)
		return error;
	error = memcmp(there.uuid, l->uuid, sizeof(l->uuid)) ? REEL_EEXIST : 0;
	cartridge_label_release(&there);
	return error;
}

/* The set's own label and nothing behind it, on a cartridge that the set does
 * not know: its writer was cut off before it could note that it began one. */
static bool is_begun(struct append *a)
{
	struct cartridge_label l;
	struct drive_read r;
	uint8_t block[512];
	bool ours;

	if (cartridge_read_label(a->drive, &l))
		return false;
	ours = !memcmp(l.set, a->options.set, sizeof(l.set));
	for (size_t n = 0; n < a->table.cartridge_count; n++)
		ours &= memcmp(l.uuid, a->table.cartridges[n].uuid,
			       sizeof(l.uuid)) != 0;
	cartridge_label_release(&l);
	return ours && !drive_read(a->drive, block, sizeof(block), &r) &&
	       r.found == DRIVE_END;
}

/* Blank, or as good as that; REEL_EMEDIUM: none is at hand. */
static int find_blank(struct append *a, char barcode[CARTRIDGE_BARCODE])
{
	const struct append_options *o = &a->options;
	char name[CARTRIDGE_NAME];
	int error;

	cartridge_make_name(o->set_name, next_number(a), name);
	error = station_find_blank(o->station, name, o->stop, &a->drive,
				   barcode);
	if (error || station_is_blank(o->station, a->drive) || is_begun(a))
		return error;
	put_drive(a);
	return REEL_EMEDIUM;
}

/* Blank, or named by the caller. */
static int begin_new(struct append *a)
{
	struct append_options *o = &a->options;
	char barcode[CARTRIDGE_BARCODE] = "";
	int error = o->overwrite ? REEL_EMEDIUM : find_blank(a, barcode);

	if (error == REEL_EMEDIUM)
		error = station_get_blank(o->station, o->overwrite, o->stop,
					  &a->drive, barcode);

	if (!error && o->overwrite && station_is_blank(o->station, a->drive))
		log_note("cartridge %s was not written over: there is a blank "
			 "one in %s, which is taken",
			 o->overwrite, drive_name(a->drive));
	o->overwrite = NULL; /* one alone */
	return error ? error : begin_label(a, barcode);
}

/* The one that got its label and nothing else from a session that did not come
 * to be, or any blank one: nobody need look for what is empty. */
static int begin_empty(struct append *a, struct cartridge_label *l)
{
	struct append_options *o = &a->options;
	char barcode[CARTRIDGE_BARCODE] = "";
	int error = station_get_blank(o->station, l->name, o->stop, &a->drive,
				      barcode);

	if (error)
		return error;
	error = compare_label(a, l);
	if (!error)
		return begin_behind(a, l);
	if (error == REEL_ENOENT)
		return begin_label(a, barcode);
	put_drive(a);
	return error == REEL_EEXIST ? begin_new(a) : error;
}

static int begin_known(struct append *a, struct cartridge_label *l)
{
	const struct append_options *o = &a->options;
	int error = station_get(o->station, l, o->stop, &a->drive);

	return error ? error : begin_behind(a, l);
}

static int begin(struct append *a)
{
	struct cartridge_label *known = choose(a);
	int error = check_overwrite(a);

	a->early = false;
	a->volumes = 0;
	if (error)
		return error;
	if (known && has_places(a, known->number))
		return begin_known(a, known);
	return known && !a->options.overwrite ? begin_empty(a, known)
					      : begin_new(a);
}

int append_begin(struct append *a)
{
	int error = a->drive ? 0 : begin(a);

	if (!error)
		error = drive_tell(a->drive, &a->start);
	return error;
}

/* ---- blocks ---- */

int append_block(struct append *a, const void *data, size_t length)
{
	bool early = false;
	int error = drive_write(a->drive, data, length, &early);

	a->early |= early;
	a->written |= !error;
	return note(a, error);
}

int append_back(struct append *a, uint64_t block)
{
	struct drive_position p = a->start;
	int error = drive_flush(a->drive);

	p.block = block;
	if (p.object != DRIVE_UNKNOWN)
		p.object += block;
	if (!error || error == REEL_ENOSPC)
		error = drive_seek(a->drive, &p);
	return note(a, error);
}

/* ---- tables ---- */

/* The place takes its place in the order of the table. */
static int add_place(struct append *a, const struct place *p)
{
	struct cartridge_table *t = &a->table;
	struct place *more =
		realloc(t->places, (t->place_count + 1) * sizeof(*more));
	size_t n = t->place_count;

	if (!more)
		return REEL_ENOMEM;
	t->places = more;
	for (; n && place_compare(&more[n - 1], p) > 0; n--)
		more[n] = more[n - 1];
	more[n] = *p;
	t->place_count++;
	return 0;
}

static void take_place(struct append *a, uint32_t volume)
{
	struct cartridge_table *t = &a->table;
	size_t n = 0;

	while (n < t->place_count &&
	       (t->places[n].volume != volume ||
		t->places[n].cartridge != a->label->number))
		n++;
	if (n == t->place_count)
		return;
	memmove(&t->places[n], &t->places[n + 1],
		(t->place_count - n - 1) * sizeof(*t->places));
	t->place_count--;
}

static int write_table(struct append *a, const struct trailer *end)
{
	struct buffer b = {0};
	int error;

	a->table.has_end = end;
	if (end)
		a->table.end = *end;
	error = cartridge_table_encode(&a->table, &b);
	if (!error)
		error = write_file(a, &b);
	buffer_release(&b);
	return error;
}

static void say_not_needed(const struct append *a)
{
	if (a->options.overwrite)
		log_note("cartridge %s was not written over: no new cartridge "
			 "was needed, the session ends on %s",
			 a->options.overwrite, a->label->name);
}

int append_end(struct append *a, const struct append_volume *v,
	       const struct trailer *end)
{
	const struct append_options *o = &a->options;
	struct place p = {.volume = v->number,
			  .cartridge = a->label->number,
			  .object = a->start.object == DRIVE_UNKNOWN
					    ? 0
					    : a->start.object,
			  .file = a->start.file,
			  .block_size = o->block_size,
			  .size = v->size,
			  .session = o->session,
			  .session_time = o->session_time,
			  .last = end,
			  .begin = v->begin,
			  .behind = v->behind};
	int error = drive_mark(a->drive, DRIVE_MARK_FILE, 1, true, &a->early);

	if (note(a, error))
		return error;
	error = add_place(a, &p);
	if (error)
		return error;
	error = write_table(a, end);
	if (error) {
		take_place(a, v->number);
		return error;
	}
	a->volumes++;
	if (end)
		say_not_needed(a);
	return 0;
}
