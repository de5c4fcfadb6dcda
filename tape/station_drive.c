/* A station's drives: opened when looked at, closed when nobody waits.
 *
 * Images are closed after each look, so that `reel tape load` and a link that
 * is turned to another file reach them; other drives stay open while somebody
 * waits, so that they tell of a new cartridge themselves. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "tape/buffer.h"
#include "tape/digest.h"
#include "tape/error.h"
#include "tape/log.h"
#include "tape/station_state.h"

#define LABEL_LIMIT (1u << 20)
#define RETRY_FIRST 1000000000 /* ns; doubled with each failure */
#define RETRY_MOST  6	       /* doublings */

int64_t station_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

void station_drive_close(struct station_drive *d)
{
	drive_close(d->drive);
	d->drive = NULL;
	d->verified = false;
}

/* ---- images ---- */

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino &&
	       a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
	       a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* False: there is no such file. */
static bool take_stamp(const struct station_drive *d, struct station_stamp *to)
{
	char conf[4096];

	memset(to, 0, sizeof(*to));
	snprintf(conf, sizeof(conf), "%s.conf", d->image);
	if (stat(conf, &to->conf))
		memset(&to->conf, 0, sizeof(to->conf));
	return !stat(d->image, &to->image);
}

/* Whether the name leads to another file than the one that is open. */
static bool turned(const struct station_drive *d)
{
	struct stat now;

	return d->image &&
	       (stat(d->image, &now) || now.st_dev != d->stamp.image.st_dev ||
		now.st_ino != d->stamp.image.st_ino);
}

bool station_drive_is_news(struct station_drive *d)
{
	struct station_stamp now;

	if (!d->image || d->drive)
		return true;
	if (!take_stamp(d, &now))
		return d->seen.content != STATION_EMPTY;
	if (d->failures)
		return true;
	return d->seen.content == STATION_UNKNOWN ||
	       !same_file(&now.image, &d->stamp.image) ||
	       !same_file(&now.conf, &d->stamp.conf);
}

/* ---- labels ---- */

static void see_foreign(struct station_seen *s, const void *data, size_t length)
{
	struct digest x;

	digest_bytes(0, data, length, &x);

	s->content = STATION_FOREIGN;
	snprintf(s->name, sizeof(s->name), "foreign-%02x%02x%02x%02x", x.b[0],
		 x.b[1], x.b[2], x.b[3]);
}

static void see_file(struct station_seen *s, const struct buffer *first,
		     size_t block)
{
	struct cartridge_label l;

	if (cartridge_label_decode(first->data, first->length, &l)) {
		see_foreign(s, first->data, block);
		return;
	}
	s->content = STATION_LABELLED;
	memcpy(s->uuid, l.uuid, sizeof(s->uuid));
	snprintf(s->name, sizeof(s->name), "%s", l.name);
	cartridge_label_release(&l);
}

/* Tape file 0, its filemark passed: REEL_ENODATA when the tape is blank. Marks
 * with nothing behind them are nothing. */
static int read_file(struct drive *d, uint8_t *room, size_t size,
		     struct buffer *out, size_t *block)
{
	struct drive_read r;
	int error;

	for (;;) {
		error = drive_read(d, room, size, &r);
		if (error)
			return error;
		if (r.found == DRIVE_END)
			return out->length ? 0 : REEL_ENODATA;
		if (r.found != DRIVE_BLOCK && out->length)
			return 0;
		if (r.found != DRIVE_BLOCK)
			continue;
		if (!out->length)
			*block = r.length;
		error = buffer_append(out, room, r.length);
		if (error || out->length > LABEL_LIMIT)
			return error;
	}
}

/* Reads what is in the drive into *s; the drive says what is wrong. */
static int read_label(struct station_drive *d, size_t size,
		      struct station_seen *s)
{
	struct buffer first = {0};
	uint8_t *room = malloc(size);
	size_t block = 0;
	int error = room ? drive_rewind(d->drive, false) : REEL_ENOMEM;

	if (!error)
		error = read_file(d->drive, room, size, &first, &block);
	if (!error)
		see_file(s, &first, block);
	else if (error == REEL_ENODATA)
		s->content = STATION_BLANK;
	else if (error == REEL_ERANGE || error == REEL_EDAMAGED)
		see_foreign(s, drive_name(d->drive), 1);
	if (error == REEL_ENODATA || error == REEL_ERANGE ||
	    error == REEL_EDAMAGED)
		error = 0;
	buffer_release(&first);
	free(room);
	return error;
}

/* ---- looking ---- */

static void failed(struct station_drive *d, int error)
{
	const unsigned most = error == REEL_EBUSY ? 1 : RETRY_MOST;
	unsigned n = d->failures < most ? d->failures : most;

	station_drive_close(d);
	d->seen = (struct station_seen){.content = STATION_UNKNOWN};
	d->failures++;
	d->error = error;
	d->retry = station_now() + ((int64_t)RETRY_FIRST << n);
}

/* Also without a cartridge: the changer knows the drive by it. */
static void ask_serial(struct station_drive *d)
{
	struct drive_parameters p;

	if (!drive_parameters(d->drive, &p))
		snprintf(d->serial, sizeof(d->serial), "%s", p.serial);
}

static int open_drive(struct station *s, struct station_drive *d)
{
	const struct drive_options o = {.read_only = s->read_only,
					.stop = s->stop,
					.quiet = d->failures &&
						 d->error == REEL_EBUSY};
	int error;

	if (d->failures && station_now() < d->retry)
		return REEL_EBUSY;
	if (d->image && !take_stamp(d, &d->stamp)) {
		d->seen = (struct station_seen){.content = STATION_EMPTY};
		return REEL_EMEDIUM;
	}
	error = drive_open(d->name, &o, &d->drive);
	if (error) {
		d->drive = NULL;
		failed(d, error);
		return error;
	}
	d->failures = 0;
	d->verified = false;
	if (!*d->serial && !d->image)
		ask_serial(d);
	return 0;
}

/* Any size of block is read, so the drive must take any. */
static int prepare(struct station_drive *d, size_t *size)
{
	struct drive_parameters p;
	int error = drive_parameters(d->drive, &p);

	if (error)
		return error;
	snprintf(d->serial, sizeof(d->serial), "%s", p.serial);
	snprintf(d->barcode, sizeof(d->barcode), "%.*s", CARTRIDGE_BARCODE - 1,
		 p.barcode);
	*size = DRIVE_BLOCK_LIMIT;
	if (p.block_max && p.block_max < *size)
		*size = p.block_max;
	if (p.block_size && !d->image && (p.features & DRIVE_HAS_VARIABLE))
		error = drive_set(d->drive, DRIVE_SET_BLOCK_SIZE, 0);
	return error;
}

static int see(struct station_drive *d, const struct drive_status *st)
{
	struct station_seen s = {.write_protected = st->write_protected};
	size_t size = DRIVE_BLOCK_LIMIT;
	int error = prepare(d, &size);

	if (!error)
		error = read_label(d, size, &s);
	if (error)
		return error;
	s.too_small = s.content == STATION_BLANK && d->seen.too_small;
	d->seen = s;
	d->verified = true;
	return 0;
}

void station_drive_look(struct station *s, struct station_drive *d)
{
	struct drive_status st;
	int error;

	if (d->drive && turned(d))
		station_drive_close(d);
	if (!d->drive && open_drive(s, d))
		return;
	error = drive_status(d->drive, &st);
	if (error) {
		failed(d, error);
		return;
	}
	if (st.state != DRIVE_READY) {
		d->verified = false;
		*d->barcode = '\0';
		d->seen = (struct station_seen){
			.content = st.state == DRIVE_EMPTY ? STATION_EMPTY
				   : st.state == DRIVE_LOADING
					   ? STATION_LOADING
					   : STATION_UNKNOWN};
		return;
	}
	if (st.changed)
		d->verified = false;
	error = d->verified ? 0 : see(d, &st);
	if (error)
		failed(d, error);
}

/* ---- in and out ---- */

void station_drive_load(struct station *s, struct station_drive *d)
{
	int error;

	station_drive_look(s, d);
	if (!d->drive || d->seen.content != STATION_EMPTY)
		return;
	error = drive_prepare(d->drive, DRIVE_LOAD, false);
	if (error && error != REEL_EMEDIUM)
		failed(d, error);
	else if (!error)
		station_drive_look(s, d);
}

int station_drive_unload(struct station *s, struct station_drive *d)
{
	struct drive_status st;
	int error = d->drive ? 0 : open_drive(s, d);

	if (!error)
		error = drive_status(d->drive, &st);
	if (!error && st.state != DRIVE_EMPTY)
		error = drive_prepare(d->drive, DRIVE_UNLOAD, false);
	station_drive_close(d);
	d->seen = (struct station_seen){.content = error ? STATION_UNKNOWN
							 : STATION_EMPTY};
	return error;
}
