/* What holders ask a station for. */
#include <string.h>
#include "tape/error.h"
#include "tape/station_state.h"

int station_get(struct station *s, const struct cartridge_label *want,
		const volatile int *stop, struct drive **drive)
{
	const struct station_others none = {.count = 0};

	return station_get_or(s, want, &none, stop, drive);
}

int station_get_or(struct station *s, const struct cartridge_label *want,
		   const struct station_others *others,
		   const volatile int *stop, struct drive **drive)
{
	const struct station_want w = {.label = want,
				       .stop = stop,
				       .others = others->labels,
				       .other_count = others->count,
				       .hasty = others->hasty};
	struct station_drive *d;
	int error = station_take(s, &w, &d);

	if (!error)
		*drive = d->drive;
	return error;
}

static void ask_barcode(struct station *s, struct station_drive *d)
{
	pthread_mutex_lock(&s->lock);
	d->looked_into = true;
	pthread_mutex_unlock(&s->lock);
	station_ask_barcode(s, d);
	pthread_mutex_lock(&s->lock);
	d->looked_into = false;
	pthread_mutex_unlock(&s->lock);
}

static int take_blank(struct station *s, const struct station_want *w,
		      struct drive **drive, char barcode[CARTRIDGE_BARCODE])
{
	struct station_drive *d;
	int error = station_take(s, w, &d);

	if (error)
		return error;
	if (!*d->barcode && !d->image)
		ask_barcode(s, d);
	*drive = d->drive;
	memcpy(barcode, d->barcode, CARTRIDGE_BARCODE);
	return 0;
}

int station_get_blank(struct station *s, const char *overwrite,
		      const volatile int *stop, struct drive **drive,
		      char barcode[CARTRIDGE_BARCODE])
{
	const struct station_want w = {.overwrite = overwrite, .stop = stop};

	return take_blank(s, &w, drive, barcode);
}

int station_find_blank(struct station *s, const char *overwrite,
		       const volatile int *stop, struct drive **drive,
		       char barcode[CARTRIDGE_BARCODE])
{
	const struct station_want w = {
		.overwrite = overwrite, .stop = stop, .hasty = true};

	return take_blank(s, &w, drive, barcode);
}

int station_get_other(struct station *s, const uint8_t (*passed)[16],
		      size_t count, const volatile int *stop,
		      struct drive **drive)
{
	const struct station_want w = {.any = true,
				       .passed = passed,
				       .passed_count = count,
				       .stop = stop,
				       .hasty = true};
	struct station_drive *d;
	int error = station_take(s, &w, &d);

	if (!error)
		*drive = d->drive;
	return error;
}
