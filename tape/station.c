#include "tape/station.h"

#include <stdlib.h>
#include <string.h>
#include "tape/append.h"
#include "tape/error.h"
#include "tape/log.h"

struct one_drive {
	char *name;
	struct drive *drive;
	bool held;
};

struct station {
	bool read_only;
	struct one_drive *drives;
	size_t count;
};

int station_open(const struct station_options *o, struct station **out)
{
	struct station *s = calloc(1, sizeof(*s));

	if (!s)
		return REEL_ENOMEM;
	s->drives = calloc(o->drive_count + 1, sizeof(*s->drives));
	s->read_only = o->read_only;
	s->count = o->drive_count;
	for (size_t n = 0; n < s->count; n++)
		s->drives[n].name = strdup(o->drives[n]);
	*out = s;
	return 0;
}

void station_close(struct station *s)
{
	if (!s)
		return;
	for (size_t n = 0; n < s->count; n++) {
		drive_close(s->drives[n].drive);
		free(s->drives[n].name);
	}
	free(s->drives);
	free(s);
}

/* 0 and the label, REEL_ENOENT: other data; REEL_EMEDIUM: blank. */
static int look(struct station *s, struct one_drive *d,
		struct cartridge_label *l)
{
	struct drive_options o = {.read_only = s->read_only, .create = true};
	struct buffer b = {0};
	int error = d->drive ? 0 : drive_open(d->name, &o, &d->drive);

	if (!error)
		error = drive_rewind(d->drive, false);
	if (!error)
		error = append_read_file(d->drive, 1 << 20, &b);
	if (error == REEL_ENOENT)
		error = REEL_EMEDIUM;
	else if (!error || error == REEL_EDAMAGED)
		error = cartridge_label_decode(b.data, b.length, l);
	buffer_release(&b);
	return error;
}

int station_get(struct station *s, const struct cartridge_label *want,
		const volatile int *stop, struct drive **drive)
{
	(void)stop;
	for (size_t n = 0; n < s->count; n++) {
		struct cartridge_label l = {0};
		bool right;

		if (s->drives[n].held || look(s, &s->drives[n], &l))
			continue;
		right = !memcmp(l.uuid, want->uuid, 16);
		cartridge_label_release(&l);
		if (!right)
			continue;
		s->drives[n].held = true;
		*drive = s->drives[n].drive;
		return 0;
	}
	log_error("cartridge %s is needed", want->name);
	return REEL_EMEDIUM;
}

int station_get_blank(struct station *s, const char *overwrite,
		      const volatile int *stop, struct drive **drive,
		      char barcode[CARTRIDGE_BARCODE])
{
	(void)stop;
	for (size_t n = 0; n < s->count; n++) {
		struct cartridge_label l = {0};
		bool right;
		int error;

		if (s->drives[n].held)
			continue;
		error = look(s, &s->drives[n], &l);
		right = error == REEL_EMEDIUM ||
			(!error && overwrite && !strcmp(overwrite, l.name));
		if (!error)
			cartridge_label_release(&l);
		if (!right)
			continue;
		s->drives[n].held = true;
		*drive = s->drives[n].drive;
		*barcode = '\0';
		return 0;
	}
	log_error("a blank cartridge is needed");
	return REEL_EMEDIUM;
}

void station_put(struct station *s, struct drive *d)
{
	for (size_t n = 0; n < s->count; n++)
		if (s->drives[n].drive == d)
			s->drives[n].held = false;
}

void station_relabelled(struct station *s, struct drive *d)
{
	(void)s;
	(void)d;
}
