/* A session's stream on its way to volume files.
 *
 * Volumes are files in one directory: NNNNNN.tar or NNNNNN.tar.zst, numbered
 * through the life of the set. A session takes one or more; cat of them (after
 * zstd -dc) is the session's archive.
 *
 * S1 Only *.partial files are written to; a name without it never changes.
 * S2 stream_publish: fsync every partial file and the directory, rename all but
 *    the last, fsync the directory, rename the last, fsync the directory. The
 *    last rename is the commit: a session counts once its last volume (which
 *    ends with the trailer, see trailer.h) has its name.
 * S3 So after a cut: partial files, and complete names right before one, are
 *    rubbish, which reconciliation removes under the set's lock. A complete
 *    name without a partial one behind it never is, whatever it holds. */
#ifndef REEL_TAPE_STREAM_H
#define REEL_TAPE_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "tape/frame.h"
#include "tape/trailer.h"

struct volumes;

struct stream_options {
	/* Where frames go, taken over in any case; NULL: files in `directory`.
	 * The volume numbers and sizes below are then theirs. */
	struct volumes *volumes;
	int directory; /* fd of volumes/; borrowed, outlives the stream */
	enum compression compression;
	int level;
	int threads;	      /* compressors; 0 = number of processors */
	uint64_t volume_size; /* bytes; 0 = one volume */
	uint32_t first_volume;
	bool sync; /* fsync at publish; only tests say false */
};

struct stream_writer;

int stream_open(const struct stream_options *o, struct stream_writer **out);
/* Frees; removes the partial files of a stream that was not published. */
void stream_close(struct stream_writer *w);
/* Appends. Errors are sticky (REEL_ENOSPC, REEL_EIO …). */
int stream_write(struct stream_writer *w, const void *data, size_t length);
/* For large writes without a copy: room in the present frame to fill (at least
 * one byte), then how much of it was filled. */
int stream_reserve(struct stream_writer *w, void **room, size_t *length);
int stream_commit(struct stream_writer *w, size_t length);
/* Bytes of stream so far. */
uint64_t stream_offset(const struct stream_writer *w);
/* Reads back what was written to this stream (from memory or the partial
 * files); 0 or an error. */
int stream_read_back(struct stream_writer *w, uint64_t offset, void *to,
		     size_t length);
/* The same without a copy: up to `length` bytes of it, how many or an error,
 * *at where they lie: in `room`, which has place for all, or in memory that is
 * the stream's, until the next write or the VOLUME_BACK-th frame read from
 * here. */
int64_t stream_view(struct stream_writer *w, uint64_t offset, void *room,
		    size_t length, const uint8_t **at);
/* Ends the present frame and waits until all frames have their place, for good.
 * Then *frames (borrowed until the next write) describe the stream so far. What
 * follows is the session's index and its end. */
int stream_flush(struct stream_writer *w, const struct frame **frames,
		 size_t *count);
/* Ends the present frame and waits until all were given to their volumes. */
int stream_drain(struct stream_writer *w);
/* The same, and the medium can be used by others: what is written next begins a
 * new volume. For reading what only the drive has that this stream writes to.
 */
int stream_pause(struct stream_writer *w);
/* The end member's fields (borrowed until it is published), for media that note
 * them apart. */
void stream_end(struct stream_writer *w, const struct trailer *t);
/* Flush, seek tables, fsync, rename (S2). */
int stream_publish(struct stream_writer *w);
/* Whether the last volume has its name: also after stream_publish failed,
 * which then could not flush the directory. */
bool stream_published(const struct stream_writer *w);
/* The volume that what is written next goes to. */
uint32_t stream_last_volume(struct stream_writer *w);
uint64_t stream_stored(const struct stream_writer *w); /* bytes on volumes */

/* The file name of a volume: NNNNNN.tar[.zst]; `name` has room for 32. */
void volume_name(uint32_t volume, enum compression c, char *name);
/* The number in a volume's name and whether it is zstd, partial; 0 or
 * REEL_EINVAL when it is none. */
int volume_parse_name(const char *name, uint32_t *volume, enum compression *c,
		      bool *partial);

#endif
