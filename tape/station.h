/* The drives and changers that a set may use, and the cartridges that are at
 * hand: who wants a cartridge asks here and gets a drive with it, one holder at
 * a time. Drives and changers may come and go meanwhile.
 *
 * T1 A drive is given to one holder; nobody else touches it until it is put
 *    back. The label of its cartridge was read, and compared with what was
 *    asked for, before.
 * T2 A cartridge whose label is not the wanted one is never written to; it is
 *    named, and the right one asked for (or fetched by a changer).
 * T3 Waits for a person end by timeout or *stop; waits for a drive that is in
 *    use, or loads, by *stop. */
#ifndef REEL_TAPE_STATION_H
#define REEL_TAPE_STATION_H

#include <stdbool.h>
#include "tape/cartridge.h"
#include "tape/drive.h"

#define STATION_FOREVER UINT32_MAX

struct station;

struct station_options {
	const char *const *drives; /* names as drive_open takes them */
	size_t drive_count;
	const char *const *changers;
	size_t changer_count;
	/* more drives: no cartridge is begun in them */
	const char *const *readers;
	size_t reader_count;
	unsigned timeout; /* seconds to wait for a cartridge; 0: not at all;
			     STATION_FOREVER */
	bool read_only;
	/* A file that the programs share which use these drives; NULL: there is
	 * none, so they do not hear of each other. */
	const char *claims;
	/* NULL, or ends everything; lives as long as the station. */
	const volatile int *stop;
};

/* Opens no drive yet. */
int station_open(const struct station_options *o, struct station **out);
void station_close(struct station *s); /* accepts NULL */
/* From now on. `at_hand`: only what lies in a drive is given, at once. `stop`
 * as in station_options. */
void station_set_patience(struct station *s, unsigned timeout, bool at_hand,
			  const volatile int *stop);

/* Whether all drives are images, which need not be kept streaming. */
bool station_has_images_only(const struct station *s);

/* A drive with this cartridge (its uuid decides), behind its label or where
 * the last holder left it: its place is to be asked for or set. Through a
 * changer by its barcode, else by looking at one after the other. REEL_EMEDIUM:
 * it did not come in time (said, with name and barcode); REEL_ESTOPPED. `stop`
 * may be NULL. */
int station_get(struct station *s, const struct cartridge_label *want,
		const volatile int *stop, struct drive **drive);
/* The same, but REEL_EMEDIUM (not said) as soon as one of `others`, which are
 * as good, lies in a drive and this one does not; `hasty`: also when a person
 * would have to be waited for. */
struct station_others {
	const struct cartridge_label *labels;
	size_t count;
	bool hasty;
};
int station_get_or(struct station *s, const struct cartridge_label *want,
		   const struct station_others *others,
		   const volatile int *stop, struct drive **drive);
/* Whether this cartridge is in a drive, as far as one has looked. */
bool station_has(struct station *s, const struct cartridge_label *want);
/* A drive with any cartridge of reel, but for those with these uuids. Through
 * the changers, one after the other; REEL_EMEDIUM (not said): no other is at
 * hand. */
int station_get_other(struct station *s, const uint8_t (*passed)[16],
		      size_t count, const volatile int *stop,
		      struct drive **drive);
/* A drive with a cartridge to begin, at any place of it: blank, or whose
 * present label's name is `overwrite` (NULL: only blank ones). What has data
 * that are not reel's is foreign and needs its name from the message
 * ("foreign-1a2b3c4d"). Write-protected ones are passed over, and said.
 * *barcode is filled in ("" not known). */
int station_get_blank(struct station *s, const char *overwrite,
		      const volatile int *stop, struct drive **drive,
		      char barcode[CARTRIDGE_BARCODE]);
/* The same of what is at hand, or a changer has: REEL_EMEDIUM, not said, as
 * soon as a person would have to be waited for. */
int station_find_blank(struct station *s, const char *overwrite,
		       const volatile int *stop, struct drive **drive,
		       char barcode[CARTRIDGE_BARCODE]);
/* Whether what station_get_blank gave is blank, and not what was named. */
bool station_is_blank(struct station *s, const struct drive *d);
/* Gives a drive back, and closes it unless somebody waits. */
void station_put(struct station *s, struct drive *d);
/* Its cartridge is now another (a label was written). */
void station_relabelled(struct station *s, struct drive *d);
/* Even a label does not fit on its cartridge: it is no blank one any more. */
void station_too_small(struct station *s, struct drive *d);
/* Whether somebody waits who could use a drive: holders that have nothing to do
 * give theirs back. */
bool station_is_wanted(struct station *s);

/* Whether another program waits for a drive: holders give theirs back soon. */
bool station_is_claimed(struct station *s);

/* Pulls in what lies in front of drives that are empty. */
void station_pull_in(struct station *s);
/* The cartridge of a drive (named by the drive, or by the cartridge's name or
 * barcode) comes out, into its slot where there is a changer. REEL_ENOENT: no
 * drive has it; REEL_EBUSY: it is in use; both said. */
int station_unload(struct station *s, const char *which);

/* By a changer: `what` is a barcode, or the number of the slot or drive where
 * it lies, `to` such a number in the same changer. It is taken out of its
 * drive, and pulled into one. REEL_ENOENT, REEL_EEXIST, REEL_EBUSY; said. */
int station_move(struct station *s, const char *what, const char *to);

/* What a person is waited for now: a line for each wait, ended by a line feed,
 * as much as there is room for; "" nothing. */
void station_needed(struct station *s, char *text, size_t room);

/* What there is, for `reel media list`: each drive and slot, its cartridge's
 * barcode and, of what is in a drive, label. Moves no cartridge. */
struct station_item {
	char where[256]; /* "drive /dev/nst0", "slot 1003" */
	bool full;
	char barcode[CARTRIDGE_BARCODE];
	char name[CARTRIDGE_NAME]; /* of the label, or what station_get_blank
				      calls it; "" not known */
	char note[64];		   /* "blank", "write-protected" ..., or "" */
};
int station_list(struct station *s, struct station_item **out, size_t *count);

#endif
