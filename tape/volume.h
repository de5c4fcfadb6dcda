/* Inside stream: where the frames of one session go. An interface with two
 * kinds: files of a directory (volume_dir.c) and tape files on cartridges
 * (volume_tape.c). The kind decides a frame's place and cuts volumes.
 *
 * One thread puts; any thread may look at the frames and read what was put,
 * one of them decoded. */
#ifndef REEL_TAPE_VOLUME_H
#define REEL_TAPE_VOLUME_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "tape/cartridge.h"
#include "tape/frame.h"

#define VOLUME_BACK   128 /* decoded frames kept for reading back */
#define VOLUME_FRAMES 4	  /* at least, in a volume that is cut */
/* Kept free behind a volume's last frame: the frame that ends a session. */
#define VOLUME_LAST (2 * TRAILER_TAIL)

struct volumes;

struct volumes_ops {
	/* Takes the next frame (stream, stored, length, checksum are set; kept
	 * is a copy) and its stored bytes. `last`: it ends the session. */
	int (*put)(struct volumes *v, const struct frame *f, const void *data,
		   bool last);
	/* After it no place of a frame that was put changes any more; what
	 * follows is the session's index and its end. */
	int (*settle)(struct volumes *v);
	/* NULL, or ends the present volume and lets its drive go until the
	 * next frame is put. */
	int (*pause)(struct volumes *v);
	/* Exactly `length` bytes of a volume. */
	int (*read)(struct volumes *v, uint32_t volume, uint64_t at, void *to,
		    size_t length);
	/* All of it is safe, and the session counts. */
	int (*publish)(struct volumes *v);
	/* Frees; what was not published is removed, or does not count. */
	void (*release)(struct volumes *v);
};

/* Frames decoded for reading back; one thread's. */
struct volume_back {
	struct frame_codec *codec;
	uint8_t *stored;
	size_t stored_room;
	uint64_t streams[VOLUME_BACK]; /* frame.stream + 1; 0 is empty */
	uint64_t used[VOLUME_BACK];
	uint8_t *plain[VOLUME_BACK];
	bool proven[VOLUME_BACK]; /* their checksums fit */
	size_t room[VOLUME_BACK];
	uint64_t clock;
	unsigned latest;
};

struct volumes {
	const struct volumes_ops *ops;
	enum compression compression;
	uint64_t volume_size; /* bytes; 0: as large as the medium lets them */
	uint32_t first;	      /* number of the session's first */
	bool published;
	const struct trailer *end; /* of the session, before it is published;
				      borrowed */
	atomic_ullong stored;	   /* bytes on volumes */
	pthread_mutex_t lock; /* of all below, and where the kind says so */
	uint32_t present;     /* number of the volume that frames go to */
	struct frame *frames; /* in the order of the stream */
	size_t frame_count;
	size_t frame_room;
	struct volume_back back;
};

/* For the kinds. */
int volumes_init(struct volumes *v, const struct volumes_ops *ops,
		 enum compression c, uint32_t first);
void volumes_release(struct volumes *v);
/* Under the lock. */
int volumes_note(struct volumes *v, const struct frame *f);
/* Bytes of a seek table over `count` frames; 0 without compression. */
uint64_t volumes_table_size(const struct volumes *v, size_t count);

/* The frame that holds a byte of the stream that was put. */
void volumes_find(struct volumes *v, uint64_t offset, struct frame *out);
/* A frame, read and decoded, and its checksum compared when it is to be proven;
 * *plain stays until VOLUME_BACK other frames were. Logs. */
int volumes_frame(struct volumes *v, const struct frame *f, bool prove,
		  const uint8_t **plain);

/* Files of a directory (borrowed): stream.h, S1-S3. */
int volumes_dir_new(int directory, enum compression c, uint64_t volume_size,
		    bool sync, uint32_t first, struct volumes **out);

/* Tape files on cartridges. */
struct append_options;
struct volumes_tape_options {
	const struct append_options *append; /* its table is taken over */
	enum compression compression;
	uint32_t first;
	uint64_t volume_size; /* bytes; 0: until the cartridge is full */
	size_t ring;	      /* bytes; 0: the default */
};

int volumes_tape_new(const struct volumes_tape_options *o,
		     struct volumes **out);
/* Cartridges and places as they stand, of a session that was published. */
const struct cartridge_table *volumes_tape_table(const struct volumes *v);
/* The table that makes the session whole was begun: whether it is on the
 * cartridge is known from there alone, should publishing fail. */
bool volumes_tape_ended(const struct volumes *v);
/* append_full() of it. */
uint32_t volumes_tape_full(const struct volumes *v);
/* How often the drive had to wait for data. */
unsigned volumes_tape_stops(const struct volumes *v);

#endif
