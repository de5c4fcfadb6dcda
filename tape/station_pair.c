/* Which drive of a station is which element of a changer. */
#include <string.h>
#include "tape/station_state.h"

static bool in_changer(const struct station_drive *d)
{
	return !d->image && strncmp(d->name, "fault:", 6) != 0;
}

/* Drives of an emulated library are units of the changer's target. */
static bool same_target(const struct station_drive *d, const char *changer)
{
	const char *end = strrchr(changer, '/');
	const size_t length = end ? (size_t)(end + 1 - changer) : 0;

	return !strncmp(changer, "iscsi://", 8) &&
	       !strncmp(d->name, changer, length) &&
	       !strchr(d->name + length, '/');
}

/* How many drives the changers before this one have; false: not known. */
static bool first_place(const struct station_fetching *f, size_t *place)
{
	struct station *s = f->station;

	*place = 0;
	for (size_t n = 0; n < f->number; n++) {
		if (!s->changers[n].counted)
			return false;
		*place += s->changers[n].drives;
	}
	return true;
}

/* The drive's element when no serial number tells: of those of one target, or
 * else of all drives and all changers, the Nth is the Nth. */
static const struct scsi_element *by_order(const struct station_fetching *f,
					   const struct station_drive *d)
{
	struct station *s = f->station;
	const char *changer = s->changers[f->number].name;
	const bool target = same_target(d, changer);
	const struct scsi_element *e;
	size_t begin = 0, place = 0;

	if (!target)
		for (size_t n = 0; n < s->changer_count; n++)
			if (same_target(d, s->changers[n].name))
				return NULL;
	if (!target && !first_place(f, &begin))
		return NULL;
	for (const struct station_drive *k = s->drives; k < d; k++)
		place += target ? same_target(k, changer) : in_changer(k);
	e = place < begin ? NULL : changer_drive(&f->have, place - begin);
	return e && station_paired_with(f, e->address) ? NULL : e;
}

static size_t count_drives(const struct changer_inventory *have)
{
	size_t count = 0;

	for (size_t n = 0; n < have->count; n++)
		count += have->elements[n].type == SCSI_ELEMENT_DRIVE;
	return count;
}

static void pair_one(struct station_fetching *f, struct station_drive *d,
		     const struct scsi_element *e)
{
	if (!e)
		return;
	d->paired = true;
	d->changer = f->number;
	d->element = e->address;
}

/* What tells for sure comes first. */
void station_pair(struct station_fetching *f)
{
	struct station *s = f->station;
	const char *changer = s->changers[f->number].name;

	s->changers[f->number].drives = count_drives(&f->have);
	s->changers[f->number].counted = true;
	for (size_t n = 0; n < s->drive_count; n++) {
		struct station_drive *d = &s->drives[n];

		if (in_changer(d) && !d->held)
			pair_one(f, d, changer_find_drive(&f->have, d->serial));
	}
	for (int target = 1; target >= 0; target--) {
		for (size_t n = 0; n < s->drive_count; n++) {
			struct station_drive *d = &s->drives[n];

			if (in_changer(d) && !d->paired &&
			    same_target(d, changer) == target)
				pair_one(f, d, by_order(f, d));
		}
	}
}

bool station_has_drives(const struct station_fetching *f)
{
	struct station *s = f->station;

	for (size_t n = 0; n < s->drive_count; n++)
		if (s->drives[n].paired && s->drives[n].changer == f->number &&
		    station_may_use(f->want, &s->drives[n]))
			return true;
	return false;
}

struct station_drive *station_paired_with(const struct station_fetching *f,
					  uint16_t at)
{
	struct station *s = f->station;

	for (size_t n = 0; n < s->drive_count; n++) {
		struct station_drive *d = &s->drives[n];

		if (d->paired && d->changer == f->number && d->element == at)
			return d;
	}
	return NULL;
}
