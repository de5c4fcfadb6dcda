/* Inside stream: the volume files that one session writes (stream.h, S1-S3).
 * One thread appends; any thread may read what was appended, one
 * of them decoded. */
#ifndef REEL_TAPE_VOLUME_H
#define REEL_TAPE_VOLUME_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "tape/frame.h"

#define VOLUME_BACK 128 /* decoded frames kept for reading back */

struct volume_file {
	int fd; /* -1: closed, its bytes were synced */
	uint64_t size;
	bool named; /* has its final name */
};

/* Frames decoded for reading back; one thread's. */
struct volume_back {
	struct frame_codec *codec;
	uint8_t *stored;
	size_t stored_room;
	uint64_t streams[VOLUME_BACK]; /* frame.stream + 1; 0 is empty */
	uint64_t used[VOLUME_BACK];
	uint8_t *plain[VOLUME_BACK];
	size_t room[VOLUME_BACK];
	uint64_t clock;
	unsigned latest;
};

struct volumes {
	int directory; /* borrowed */
	enum compression compression;
	bool sync;
	uint32_t first; /* number of files[0] */
	bool published;
	bool complained;      /* about a full disk */
	uint64_t unsynced;    /* bytes since writing back was last begun */
	pthread_mutex_t lock; /* of the array, its descriptors and names */
	struct volume_file *files;
	size_t count;
	size_t room;
	struct volume_back back;
};

int volumes_init(struct volumes *v, int directory, enum compression c,
		 bool sync, uint32_t first);
/* Removes the files unless they were published. */
void volumes_release(struct volumes *v);
/* A new file behind the others. */
int volumes_begin(struct volumes *v);
/* Appends to the last file. */
int volumes_append(struct volumes *v, const void *data, size_t length);
/* Exactly `length` bytes of a volume. */
int volumes_read(struct volumes *v, uint32_t volume, uint64_t at, void *to,
		 size_t length);
/* A frame, read and decoded; *plain stays until the next call. Logs. */
int volumes_frame(struct volumes *v, const struct frame *f,
		  const uint8_t **plain);
/* S2. */
int volumes_publish(struct volumes *v);

#endif
