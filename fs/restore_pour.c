/* Bytes of a stream into a file: written, or written where they differ.
 *
 * A long pour is shared by two threads. Each takes the next piece, decodes its
 * frames and writes them while they are warm; nothing is handed from one to
 * the other, so neither waits for the other to wake up. Pieces end where
 * frames of the usual length do, so that no frame is wanted by both. */
#include "fs/restore_place.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>
#include "tape/error.h"
#include "tape/stop.h"

#define PIECE	     (4u * FRAME_SIZE)
#define SHARE_LEAST  (4u * PIECE) /* shorter ones are poured by one thread */
#define HELPER_LIMIT 16		  /* in one run */
#define PATCH_UNIT   4096

struct pour {
	struct restore *restore;
	struct sink *sink;
	uint32_t session;
	uint64_t offset; /* in the stream */
	uint64_t length;
	uint64_t at;	    /* in the file */
	atomic_ullong next; /* first byte that nobody took, from `offset` */
	atomic_int error;
};

int restore_write_all(int fd, const uint8_t *data, size_t length, uint64_t at)
{
	while (length) {
		ssize_t n = pwrite(fd, data, length, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return error_from_errno(n < 0 ? errno : EIO);
		data += n;
		length -= (size_t)n;
		at += (uint64_t)n;
	}
	return 0;
}

/* Units that differ, run by run. */
static int patch(struct sink *s, const uint8_t *data, size_t length,
		 uint64_t at)
{
	uint8_t have[16 * PATCH_UNIT];

	while (length) {
		size_t n = length < sizeof(have) ? length : sizeof(have);
		ssize_t got = pread(s->fd, have, n, (off_t)at);

		if (got < 0)
			return error_from_errno(errno);
		for (size_t from = 0; from < n;) {
			size_t unit = PATCH_UNIT - (at + from) % PATCH_UNIT;
			int err = 0;

			if (unit > n - from)
				unit = n - from;
			if (from + unit > (size_t)got ||
			    memcmp(have + from, data + from, unit)) {
				err = restore_write_all(s->fd, data + from,
							unit, at + from);
				atomic_fetch_add(&s->written, unit);
			}
			if (err)
				return err;
			from += unit;
		}
		data += n;
		at += n;
		length -= n;
	}
	return 0;
}

static int put(struct sink *s, const uint8_t *data, size_t length, uint64_t at)
{
	return s->patch ? patch(s, data, length, at)
			: restore_write_all(s->fd, data, length, at);
}

/* Bytes [from, end) of the pour. */
static int pour_piece(struct pour *p, uint64_t from, uint64_t end)
{
	struct restore *r = p->restore;

	while (from < end) {
		uint64_t offset = p->offset + from, n;
		struct recalled f;
		int err;

		if (stop_is_set(r->options->stop))
			return REEL_ESTOPPED;
		err = recall_get(r->library->recall, p->session, offset, &f);
		if (err)
			return err;
		n = f.frame.stream + f.frame.length - offset;
		if (n > end - from)
			n = end - from;
		err = put(p->sink, f.data + (offset - f.frame.stream),
			  (size_t)n, p->at + from);
		recall_put(r->library->recall, &f);
		if (err)
			return err;
		atomic_fetch_add(&r->bytes, n);
		from += n;
	}
	return 0;
}

/* The piece that begins at `from` ends where the stream's granules do. */
static uint64_t piece_end(const struct pour *p, uint64_t from)
{
	uint64_t end = from + PIECE - (p->offset + from) % PIECE;

	return end < p->length ? end : p->length;
}

static void *take_pieces(void *context)
{
	struct pour *p = context;
	unsigned long long from = atomic_load(&p->next);
	int none = 0, err = 0;

	while (from < p->length && !err && !atomic_load(&p->error)) {
		uint64_t end = piece_end(p, from);

		if (!atomic_compare_exchange_weak(&p->next, &from, end))
			continue;
		err = pour_piece(p, from, end);
		from = atomic_load(&p->next);
	}
	if (err)
		atomic_compare_exchange_strong(&p->error, &none, err);
	return NULL;
}

static bool helper_start(struct pour *p, pthread_t *helper)
{
	struct restore *r = p->restore;

	if (p->length < SHARE_LEAST || r->threads == 1)
		return false;
	if (atomic_fetch_add(&r->helpers, 1) < HELPER_LIMIT &&
	    pthread_create(helper, NULL, take_pieces, p) == 0)
		return true;
	atomic_fetch_sub(&r->helpers, 1);
	return false;
}

int restore_pour(struct restore *r, struct sink *s, uint32_t session,
		 uint64_t offset, uint64_t length, uint64_t at)
{
	struct pour p = {.restore = r,
			 .sink = s,
			 .session = session,
			 .offset = offset,
			 .length = length,
			 .at = at};
	pthread_t helper;
	bool helped = helper_start(&p, &helper);

	take_pieces(&p);
	if (helped) {
		pthread_join(helper, NULL);
		atomic_fetch_sub(&r->helpers, 1);
	}
	return atomic_load(&p.error);
}
