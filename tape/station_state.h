/* Inside the station: station.c chooses and waits, station_drive.c opens drives
 * and reads labels, station_changer.c moves cartridges. */
#ifndef REEL_TAPE_STATION_STATE_H
#define REEL_TAPE_STATION_STATE_H

#include <pthread.h>
#include <sys/stat.h>
#include "tape/changer.h"
#include "tape/station.h"

enum station_content {
	STATION_UNKNOWN, /* not looked at, or cannot be read now */
	STATION_EMPTY,	 /* no cartridge */
	STATION_LOADING,
	STATION_BLANK,
	STATION_LABELLED,
	STATION_FOREIGN,
};

struct station_seen {
	enum station_content content;
	bool write_protected;
	uint8_t uuid[16];
	char name[CARTRIDGE_NAME]; /* labelled, foreign */
};

/* An image and its settings, as files: whether they are others now. */
struct station_stamp {
	struct stat image, conf;
};

struct station_drive {
	char *name;
	char *image;	     /* path; NULL: no image */
	bool held;	     /* by a holder, or by who looks into it */
	struct drive *drive; /* NULL: closed */
	bool verified;	     /* `seen` was read since it is open */
	struct station_seen seen;
	uint64_t used;
	struct station_stamp stamp;
	unsigned failures; /* to open it, in a row */
	int64_t retry;	   /* ns; not before */
	char serial[DRIVE_TEXT];
	char barcode[CARTRIDGE_BARCODE]; /* of what is in it */
	/* in a changer, as of its last inventory */
	bool paired;
	size_t changer;
	uint16_t element;
};

/* What a cartridge of a changer is, since it was in a drive. */
struct station_known {
	char barcode[CARTRIDGE_BARCODE];
	struct station_seen seen;
};

struct station {
	char **changers;
	size_t changer_count;
	unsigned timeout;
	bool read_only;
	const volatile int *stop;
	void (*needed)(void *context, const char *what);
	void *context;
	pthread_mutex_t robot; /* one move at a time; taken before `lock` */
	pthread_mutex_t lock;  /* of all below; not held while a drive or a
				  changer works */
	pthread_cond_t freed;
	struct station_drive *drives;
	size_t drive_count;
	uint64_t clock;
	unsigned waiting;
	struct station_known *known;
	size_t known_count;
	uint8_t said[16]; /* the cartridge that was last asked for */
	int64_t said_at;
};

/* What somebody wants. */
struct station_want {
	const struct cartridge_label *label; /* NULL: one to begin */
	const char *overwrite;
	const volatile int *stop;
};

bool station_fits(const struct station_want *w, const struct station_seen *s);
bool station_stopped(const struct station *s, const struct station_want *w);
int64_t station_now(void); /* ns */

/* station_drive.c; the drive is held by the caller, the lock is not. */
void station_drive_close(struct station_drive *d);
/* Opens it when need be and sees what is in it. */
void station_drive_look(struct station *s, struct station_drive *d);
/* False: nothing has changed since it was looked at. */
bool station_drive_is_news(struct station_drive *d);
/* Pulls in what lies in front of it, and looks. */
void station_drive_load(struct station *s, struct station_drive *d);
int station_drive_unload(struct station *s, struct station_drive *d);

/* station_changer.c; called without locks. 0: *out is held and fits;
 * REEL_EMEDIUM: no changer has it; REEL_EBUSY: a drive must become free. */
int station_fetch(struct station *s, const struct station_want *w,
		  struct station_drive **out);
/* Under the lock. NULL: not known. */
struct station_known *station_recall(struct station *s, const char *barcode);

#endif
