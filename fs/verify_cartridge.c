#include "fs/verify_cartridge.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "fs/verify_piece.h"
#include "tape/append.h"
#include "tape/cartridge_walk.h"
#include "tape/error.h"
#include "tape/log.h"
#include "tape/medium_tape.h"

#define LOAD_SECONDS 10800 /* LTO-9 looks a new cartridge over for hours */

struct verify_cartridge {
	const char *device;
	const struct verify_options *options;
	struct cartridge_label label;
	struct cartridge_table table; /* the last; no cartridges: none */
	struct place *here;	      /* on this cartridge, by volume */
	bool *known;		      /* of each of them */
	size_t count;
	struct buffer indexes; /* uint32_t: volumes that hold all of an index */
	uint64_t file;	       /* of the next volume, while tables are read */
	uint64_t damaged;      /* places of label and tables */
	struct verify_progress progress;
};

/* ---- label and tables ---- */

static void say_damage(struct verify_cartridge *v, const char *what)
{
	v->damaged++;
	if (v->options->damage)
		v->options->damage(v->options->context, NULL, 0, 0, 0, what);
}

static void say_table(struct verify_cartridge *v, uint64_t file)
{
	char what[128];

	snprintf(what, sizeof(what),
		 "a table is damaged (cartridge %s, tape file %" PRIu64 ")",
		 v->label.name, file);
	say_damage(v, what);
}

static void say_unreadable(struct verify_cartridge *v)
{
	char what[160];

	snprintf(what, sizeof(what),
		 "nothing can be read behind a place in or behind tape file "
		 "%" PRIu64 " (cartridge %s)",
		 v->file, v->label.name);
	say_damage(v, what);
}

static int on_table(void *context, struct drive *d, const struct place *p,
		    const struct cartridge_table *t)
{
	struct verify_cartridge *v = context;

	(void)d;
	for (; v->file < p->file; v->file += 2)
		say_table(v, v->file + 1);
	v->file = p->file + 2;
	if (!p->last || !t->has_end || t->end.index_length > p->size)
		return 0;
	return buffer_append(&v->indexes, &p->volume, sizeof(p->volume));
}

/* What does not count, K2. */
static int say_left_over(struct verify_cartridge *v, struct drive *d)
{
	struct drive_position at;
	int error = drive_tell(d, &at);

	if (error || at.block == DRIVE_UNKNOWN ||
	    (!at.block && at.file <= v->file))
		return error;
	log_warning("%s: what lies on cartridge %s from tape file %" PRIu64
		    " on has no table and is not checked: a backup was cut "
		    "short there, or the cartridge is a copy that was",
		    v->device, v->label.name, v->file);
	return 0;
}

/* Asked by reading: there are drives (of tgt) that move on behind the end of
 * the data and say nothing. */
static int is_end(struct drive *d, bool *end)
{
	uint8_t start[512];
	struct drive_read r;
	int error = drive_read(d, start, sizeof(start), &r);

	*end = !error && r.found == DRIVE_END;
	return error == REEL_ERANGE || error == REEL_EDAMAGED ? 0 : error;
}

/* Behind the last table that is whole: nothing, or what an interrupted backup
 * left, or a volume whose table was whole once: one that was cut short has no
 * filemark. */
static int look_behind(struct verify_cartridge *v, struct drive *d)
{
	struct drive_position p = {.object = DRIVE_UNKNOWN, .file = v->file};
	struct buffer b = {0};
	struct drive_moved m;
	bool table = false, end = false;
	int error = drive_seek(d, &p);

	if (!error)
		error = is_end(d, &end);
	if (end || error == REEL_ENOENT)
		return say_left_over(v, d);
	if (!error)
		error = drive_seek(d, &p);
	if (!error)
		error = drive_space(d, DRIVE_FILEMARKS, 1, &m);
	if (!error && m.found == DRIVE_BLOCK) {
		error = append_read_file(d, CARTRIDGE_TABLE_LIMIT, &b);
		table = error == REEL_EDAMAGED || (!error && b.length);
	}
	buffer_release(&b);
	if (error && error != REEL_EDAMAGED)
		return error == REEL_ENOENT ? say_left_over(v, d) : error;
	error = drive_tell(d, &p);
	if (!error && table && p.file != DRIVE_UNKNOWN && p.file > v->file + 1)
		say_table(v, v->file + 1);
	else if (!error)
		error = say_left_over(v, d);
	return error;
}

static int read_tables(struct verify_cartridge *v, struct drive *d)
{
	int error = cartridge_read_label(d, &v->label);

	if (error == REEL_EDAMAGED)
		log_error("%s: the cartridge's label is damaged",
			  drive_name(d));
	v->file = 1;
	if (error)
		return error;
	error = cartridge_walk(d, &v->label, on_table, v, &v->table);
	if (error != REEL_EDAMAGED)
		return error ? error : look_behind(v, d);
	say_unreadable(v);
	return 0;
}

static int take_places(struct verify_cartridge *v)
{
	const struct cartridge_table *t = &v->table;

	v->here = calloc(t->place_count + 1, sizeof(*v->here));
	v->known = calloc(t->place_count + 1, sizeof(*v->known));
	if (!v->here || !v->known)
		return REEL_ENOMEM;
	for (size_t n = 0; n < t->place_count; n++)
		if (t->places[n].cartridge == v->label.number)
			v->here[v->count++] = t->places[n];
	return 0;
}

int verify_cartridge_open(const char *device, const struct verify_options *o,
			  struct verify_cartridge **out)
{
	const struct drive_options options = {
		.read_only = true, .wait = LOAD_SECONDS, .stop = o->stop};
	struct verify_cartridge *v = calloc(1, sizeof(*v));
	struct drive *d;
	int error = v ? drive_open(device, &options, &d) : REEL_ENOMEM;

	*out = NULL;
	if (error) {
		free(v);
		return error;
	}
	v->device = device;
	v->options = o;
	error = read_tables(v, d);
	drive_close(d);
	if (!error)
		error = take_places(v);
	if (error)
		verify_cartridge_close(v);
	else
		*out = v;
	return error == REEL_ENOENT ? 0 : error;
}

void verify_cartridge_close(struct verify_cartridge *v)
{
	if (!v)
		return;
	cartridge_label_release(&v->label);
	cartridge_table_release(&v->table);
	free(v->here);
	free(v->known);
	buffer_release(&v->indexes);
	free(v);
}

const char *verify_cartridge_name(const struct verify_cartridge *v)
{
	return v->label.name;
}

bool verify_cartridge_has_end(const struct verify_cartridge *v)
{
	for (size_t n = 0; n < v->count; n++)
		if (v->here[n].last)
			return true;
	return false;
}

void verify_cartridge_known(struct verify_cartridge *v,
			    const struct session_row *s)
{
	for (size_t n = 0; n < v->count; n++)
		if (v->here[n].session == s->id &&
		    v->here[n].session_time == s->time)
			v->known[n] = true;
}

/* ---- what is needed beside it ---- */

static bool same_session(const struct place *a, const struct place *b)
{
	return a->session == b->session && a->session_time == b->session_time;
}

static bool is_here(const struct verify_cartridge *v, const struct place *p)
{
	for (size_t n = 0; n < v->count; n++) {
		const struct place *q = &v->here[n];

		if (q->volume == p->volume && q->begin <= p->begin &&
		    q->behind <= p->behind)
			return true;
	}
	return false;
}

static bool shares_session(const struct verify_cartridge *v,
			   const struct place *p)
{
	for (size_t n = 0; n < v->count; n++)
		if (same_session(&v->here[n], p))
			return true;
	return false;
}

static bool is_needed(const struct verify_cartridge *v, uint32_t cartridge)
{
	for (size_t n = 0; n < v->table.place_count; n++) {
		const struct place *p = &v->table.places[n];

		if (p->cartridge == cartridge && !is_here(v, p) &&
		    shares_session(v, p))
			return true;
	}
	return false;
}

/* The last session here, when the tables do not know its end. */
static bool goes_on(const struct verify_cartridge *v)
{
	const struct place *last = v->count ? &v->here[v->count - 1] : NULL;

	for (size_t n = 0; last && n < v->table.place_count; n++)
		if (v->table.places[n].last &&
		    same_session(&v->table.places[n], last))
			return false;
	return last;
}

int verify_cartridge_needs(const struct verify_cartridge *v, struct buffer *out)
{
	int error = 0;

	for (size_t n = 0; !error && n < v->table.cartridge_count; n++) {
		const struct cartridge_label *l = &v->table.cartridges[n];

		if (l->number != v->label.number && is_needed(v, l->number))
			error = buffer_printf(out, "%s%s",
					      out->length ? ", " : "", l->name);
	}
	if (!error && goes_on(v))
		error = buffer_printf(out, "%sthe one behind %s",
				      out->length ? ", " : "", v->label.name);
	return error;
}

/* ---- reading ---- */

static bool has_index(const struct verify_cartridge *v, const struct place *p)
{
	uint32_t volume;

	for (size_t at = 0; at < v->indexes.length; at += sizeof(volume)) {
		memcpy(&volume, v->indexes.data + at, sizeof(volume));
		if (volume == p->volume)
			return true;
	}
	return false;
}

static int find_places(void *context, uint32_t volume, struct place **out,
		       size_t *count)
{
	const struct verify_cartridge *v = context;

	for (size_t n = 0; n < v->count; n++) {
		if (v->here[n].volume != volume)
			continue;
		*out = malloc(sizeof(**out));
		if (!*out)
			return REEL_ENOMEM;
		**out = v->here[n];
		/* by itself, a part is as a volume */
		(*out)->begin = (*out)->behind = 0;
		*count = 1;
		return 0;
	}
	return REEL_ENOENT;
}

static int find_cartridge(void *context, uint32_t number,
			  struct cartridge_label *out)
{
	const struct verify_cartridge *v = context;

	(void)number;
	*out = v->label;
	out->set_name = strdup(v->label.set_name);
	return out->set_name ? 0 : REEL_ENOMEM;
}

/* Whether the session's first volume is this one, as far as is known. */
static bool begins(const struct verify_cartridge *v, const struct place *first)
{
	for (size_t n = 0; n < v->table.place_count; n++)
		if (same_session(&v->table.places[n], first))
			return v->table.places[n].volume == first->volume &&
			       !first->begin;
	return false;
}

/* Volumes that follow each other, from `at` on; parts begin or end them. */
static size_t run_of(const struct verify_cartridge *v, size_t at)
{
	size_t n = at + 1;

	while (n < v->count && !v->known[n] &&
	       same_session(&v->here[n], &v->here[at]) &&
	       v->here[n].volume == v->here[n - 1].volume + 1 &&
	       !v->here[n - 1].behind && !v->here[n].begin)
		n++;
	return n - at;
}

static int read_pieces(struct verify_cartridge *v, struct medium *m,
		       struct verify_cartridge_result *result)
{
	struct verify_piece p = {.medium = m,
				 .options = v->options,
				 .cartridge = v->label.name,
				 .result = result,
				 .progress = &v->progress};
	int error = 0;

	for (size_t n = 0; n < v->count; n++)
		v->progress.bytes_total += v->known[n] ? 0 : v->here[n].size;
	for (size_t n = 0; !error && n < v->count; n += p.count) {
		p.count = 1;
		if (v->known[n]) {
			result->volumes++;
			result->bytes += v->here[n].size;
			continue;
		}
		p.places = &v->here[n];
		p.count = run_of(v, n);
		p.begins = begins(v, p.places);
		error = verify_piece(&p);
		if (!error && has_index(v, &p.places[p.count - 1]))
			verify_piece_say(&p, &p.places[p.count - 1], 0,
					 "the session's index is damaged");
	}
	return error;
}

int verify_cartridge_run(struct verify_cartridge *v,
			 struct verify_cartridge_result *result)
{
	const char *drives[] = {v->device};
	const struct station_options station = {.drives = drives,
						.drive_count = 1,
						.read_only = true,
						.stop = v->options->stop};
	struct medium_tape_options o = {.compression = v->label.compression,
					.directory = -1,
					.places = find_places,
					.cartridge = find_cartridge,
					.context = v};
	struct medium *m = NULL;
	int error = station_open(&station, &o.station);

	*result =
		(struct verify_cartridge_result){.damaged_places = v->damaged};
	if (!error)
		error = medium_tape_new(&o, &m);
	if (!error)
		error = read_pieces(v, m, result);
	medium_close(m);
	station_close(o.station);
	if (error)
		return error;
	return result->damaged_places ? REEL_EDAMAGED : 0;
}
