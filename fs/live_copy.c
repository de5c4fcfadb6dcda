/* copy_file_range within current/. */
#include "fs/live_state.h"

#include <stdlib.h>
#include "tape/error.h"

#define PIECE	   (256u << 10)
#define COPY_LIMIT (64u << 20) /* by one copy_file_range */

/* A whole content of the set into an empty file: shared. 1 when that was
 * done. */
static int share(struct live *l, struct live_node *from, struct live_node *to)
{
	int done = 0;

	pthread_mutex_lock(&to->bytes);
	pthread_mutex_lock(&l->lock);
	if (from->row.content && !from->row.file && !to->row.size) {
		done = node_change(l, to);
		if (!done) {
			bytes_drop(l, to);
			to->row.content = from->row.content;
			to->row.size = from->row.size;
			to->row.blocks = from->row.blocks;
			to->row.mtime = to->row.ctime;
			done = 1;
		}
	}
	pthread_mutex_unlock(&l->lock);
	pthread_mutex_unlock(&to->bytes);
	return done;
}

static int64_t copy_pieces(struct live *l, struct live_file *from,
			   uint64_t from_offset, struct live_file *to,
			   uint64_t to_offset, uint64_t length)
{
	uint8_t *piece = malloc(PIECE);
	uint64_t done = 0;
	int64_t n = piece ? 1 : REEL_ENOMEM;

	while (n > 0 && done < length) {
		size_t want =
			length - done < PIECE ? (size_t)(length - done) : PIECE;
		int error;

		n = live_read(l, from, from_offset + done, piece, want);
		if (n <= 0)
			break;
		error = live_write(l, to, to_offset + done, piece, (size_t)n,
				   NULL);
		done += error ? 0 : (uint64_t)n;
		n = error ? error : n;
	}
	free(piece);
	return done ? (int64_t)done : n < 0 ? n : 0;
}

int64_t live_copy(struct live *l, struct live_file *from, uint64_t from_offset,
		  struct live_file *to, uint64_t to_offset, uint64_t length)
{
	int done = 0;

	if (!from_offset && !to_offset && from->node != to->node &&
	    length >= from->node->row.size) {
		pthread_rwlock_rdlock(&l->freeze);
		done = share(l, from->node, to->node);
		pthread_rwlock_unlock(&l->freeze);
	}
	if (done)
		return done < 0 ? done : (int64_t)from->node->row.size;
	return copy_pieces(l, from, from_offset, to, to_offset,
			   length < COPY_LIMIT ? length : COPY_LIMIT);
}
