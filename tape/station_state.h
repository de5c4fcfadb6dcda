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
	bool too_small; /* blank, and even the label does not fit */
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
	bool reader;	     /* no cartridge is begun in it */
	bool held;	     /* by a holder, or by who looks into it */
	bool looked_into;    /* held for a moment by who changes what is below
				without the lock; nobody else reads that */
	struct drive *drive; /* NULL: closed */
	bool verified;	     /* `seen` was read since it is open */
	struct station_seen seen;
	uint64_t used;
	struct station_stamp stamp;
	unsigned failures; /* to open it, in a row */
	int64_t retry;	   /* ns; not before */
	int error;	   /* of the last failure */
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

/* What somebody wants. */
struct station_want {
	const struct cartridge_label *label; /* NULL: one to begin */
	const char *overwrite;
	const volatile int *stop;
	const struct cartridge_label *others; /* as good */
	size_t other_count;
	bool hasty;		     /* a person is not waited for, nor asked */
	bool any;		     /* any that is labelled, but for these */
	const uint8_t (*passed)[16]; /* uuids */
	size_t passed_count;
};

/* Somebody who waits; of the station's list. */
struct station_wait {
	const struct station_want *want;
	struct station_wait *next;
	int64_t waited; /* ns, for a person */
	int64_t robot;	/* when the changers are asked again */
	bool person;	/* it is a person that is waited for */
};

#define STATION_SAID 32

struct station_said {
	uint8_t uuid[16]; /* zeros: a blank one */
	int64_t at;
};

struct station_changer {
	char *name;
	int64_t retry; /* ns; not before; under station.robot */
	size_t drives; /* elements, once counted; under station.lock */
	bool counted;
};

struct station {
	struct station_changer *changers;
	size_t changer_count;
	bool read_only;
	const volatile int *stop;
	pthread_mutex_t robot; /* one move at a time, and of `known`; taken
				  before `lock` */
	struct station_known *known;
	size_t known_count;
	pthread_mutex_t lock; /* of all below; not held while a drive or a
				 changer works */
	pthread_cond_t freed;
	char *claims; /* a file's path, station_claim.c; NULL: none */
	int claim_fd;
	bool claiming; /* a drive that another program uses is wanted */
	bool claimed;  /* another program wants one, as of the last look */
	int64_t look;  /* ns; of the next */
	uint64_t puts; /* drives that became free */
	unsigned timeout;
	bool at_hand;
	struct station_drive *drives;
	size_t drive_count;
	uint64_t clock;
	struct station_wait *waits;
	struct station_said said[STATION_SAID]; /* what was asked for last */
	size_t said_count;
};

/* A changer at work. */
struct station_fetching {
	struct station *station;
	const struct station_want *want;
	size_t number; /* of the changer */
	struct changer *changer;
	struct changer_inventory have;
};

bool station_fits(const struct station_want *w, const struct station_seen *s);
bool station_may_use(const struct station_want *w,
		     const struct station_drive *d);
bool station_stopped(const struct station *s, const struct station_want *w);
int64_t station_now(void); /* ns */
/* What station_get and the like do (station_get.c): *out is held. */
int station_take(struct station *s, const struct station_want *w,
		 struct station_drive **out);

/* station_drive.c; the drive is held by the caller, the lock is not. */
void station_drive_close(struct station_drive *d);
/* Opens it when need be and sees what is in it. */
void station_drive_look(struct station *s, struct station_drive *d);
/* False: nothing has changed since it was looked at. */
bool station_drive_is_news(struct station_drive *d);
/* Pulls in what lies in front of it, and looks. */
void station_drive_load(struct station *s, struct station_drive *d);
int station_drive_unload(struct station *s, struct station_drive *d);

/* The end of a hold (station.c). */
void station_drive_release(struct station *s, struct station_drive *d);

/* station_pair.c, under the lock. By serial number, else by their order. */
void station_pair(struct station_fetching *f);
bool station_has_drives(const struct station_fetching *f);
/* NULL: the element is none of the station's drives. */
struct station_drive *station_paired_with(const struct station_fetching *f,
					  uint16_t at);

/* station_changer.c; called without locks. 0: *out is held and fits;
 * REEL_EMEDIUM: no changer has it; REEL_EBUSY: a drive must become free. */
int station_fetch(struct station *s, const struct station_want *w,
		  struct station_drive **out);

/* What the changers say of the cartridge in a held drive that is silent. */
void station_ask_barcode(struct station *s, struct station_drive *d);

/* station_claim.c; claim and unclaim are under the lock. */
int station_claim_open(struct station *s, const char *path);
void station_claim_close(struct station *s);
void station_claim(struct station *s);
void station_unclaim(struct station *s);

/* station_list.c: what is wanted, and where it is looked for, as a sentence. */
void station_describe(const struct station *s, const struct station_want *w,
		      char *text, size_t room);
/* Under the lock: asks a person, once in a while; what came is asked for anew.
 */
void station_ask_for(struct station *s, const struct station_want *w);
void station_forget_said(struct station *s, const struct station_want *w);

#endif
