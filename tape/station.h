/* The drives and changers that a set may use, and the cartridges that are at
 * hand: who wants a cartridge asks here and gets a drive with it, one holder at
 * a time. Drives and changers may come and go meanwhile.
 *
 * T1 A drive is given to one holder; nobody else touches it until it is put
 *    back. The label of its cartridge was read, and compared with what was
 *    asked for, before.
 * T2 A cartridge whose label is not the wanted one is never written to; it is
 *    named, and the right one asked for (or fetched by a changer).
 * T3 Waits end by timeout, by *stop, or at once with STATION_FAIL. */
#ifndef REEL_TAPE_STATION_H
#define REEL_TAPE_STATION_H

#include <stdbool.h>
#include "tape/cartridge.h"
#include "tape/drive.h"

struct station;

struct station_options {
	const char *const *drives; /* names as drive_open takes them */
	size_t drive_count;
	const char *const *changers;
	size_t changer_count;
	unsigned timeout; /* seconds to wait for a cartridge; 0: not at all */
	bool read_only;
	/* Says on the log, and to whom it concerns, what is needed: called
	 * when a wait begins and (NULL) when it ends. May be NULL. */
	void (*needed)(void *context, const char *what);
	void *context;
};

int station_open(const struct station_options *o, struct station **out);
void station_close(struct station *s);

/* A drive with this cartridge, rewound behind its label or where the last
 * holder left it (drive_tell). `barcode` may be "". REEL_EMEDIUM: it did not
 * come in time (said, with name and barcode). */
int station_get(struct station *s, const struct cartridge_label *want,
		const volatile int *stop, struct drive **drive);
/* A drive with a cartridge to begin: blank, or whose present label's name is
 * `overwrite` (NULL: only blank ones). What has data that are not reel's is
 * foreign and needs its name from the message. *barcode is filled in. */
int station_get_blank(struct station *s, const char *overwrite,
		      const volatile int *stop, struct drive **drive,
		      char barcode[CARTRIDGE_BARCODE]);
void station_put(struct station *s, struct drive *d);

/* What there is, for `reel media list`: each drive and slot, its cartridge's
 * barcode and (read without moving anything) label. */
struct station_item {
	char where[64]; /* "drive 0 (/dev/nst0)", "slot 1003" */
	bool full;
	char barcode[CARTRIDGE_BARCODE];
	char name[CARTRIDGE_NAME]; /* of the label; "" not known */
};
int station_list(struct station *s, struct station_item **out, size_t *count);

#endif
