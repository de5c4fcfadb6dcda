#include "fs/archive_source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "tape/error.h"

#define PAUSE_AHEAD (64u << 20) /* bytes */

void source_release(struct source *s)
{
	if (!s->stored_row.id)
		free(s->runs);
	s->runs = NULL;
	content_row_release(&s->stored_row);
}

static int add_run(struct source *s, uint64_t offset, uint64_t length)
{
	if (s->run_count == MEMBER_SPARSE_LIMIT)
		return REEL_ERANGE;
	if (!(s->run_count & (s->run_count - 1))) {
		size_t room = s->run_count ? s->run_count * 2 : 1;
		void *more = realloc(s->runs, room * sizeof(*s->runs));

		if (!more)
			return REEL_ENOMEM;
		s->runs = more;
	}
	s->runs[s->run_count++] = (struct sparse_run){offset, length};
	return 0;
}

/* The runs of data of an open file; 1 when it is worth a sparse member. */
static int find_runs(struct source *s, uint64_t size)
{
	uint64_t data = 0, at = 0;
	int error = 0;

	while (!error && at < size) {
		off_t start = lseek(s->fd, (off_t)at, SEEK_DATA);

		if (start < 0 && errno == ENXIO)
			break;
		off_t end = start < 0 ? -1 : lseek(s->fd, start, SEEK_HOLE);
		if (start < 0 || end <= start)
			return 0;
		if ((uint64_t)start >= size)
			break;
		if ((uint64_t)end > size)
			end = (off_t)size;
		error = add_run(s, (uint64_t)start, (uint64_t)(end - start));
		data += (uint64_t)(end - start);
		at = (uint64_t)end;
	}
	if (error == REEL_ERANGE || data + (64u << 10) > size)
		return 0;
	return error ? error : 1;
}

/* A content that the set has: stored bytes as they lie there. */
static int open_stored(struct archive *a, struct item *i, struct member *m,
		       struct source *s)
{
	struct content_row *row = &s->stored_row;
	size_t map = 0;
	int error = tree_content(a->catalog, i->content, row);

	if (error == REEL_ENOENT)
		error = REEL_EDAMAGED;
	if (error)
		return error;
	m->sparse = row->sparse;
	m->runs = s->runs = row->runs;
	m->run_count = s->run_count = row->run_count;
	a->header.length = 0;
	error = member_encode(m, &a->header, &map);
	s->stored = m->stored;
	if (error || !row->sparse)
		return error;
	s->map = a->header.data + a->header.length - map;
	s->map_bytes = map;
	s->run_start = map;
	return map == row->map_bytes ? 0 : REEL_EDAMAGED;
}

int source_open(struct archive *a, struct item *i, struct member *m,
		struct source *s)
{
	size_t map = 0;
	int sparse = 0, error;

	*s = (struct source){.data = i->data, .fd = i->fd};
	m->type = MEMBER_FILE;
	m->size = i->st.stx_size;
	if (i->content)
		return open_stored(a, i, m, s);
	if (!i->data && i->fd >= 0 && i->st.stx_blocks * 512 < i->st.stx_size)
		sparse = find_runs(s, m->size);
	if (sparse < 0)
		return sparse;
	m->sparse = sparse;
	m->runs = sparse ? s->runs : NULL;
	m->run_count = sparse ? s->run_count : 0;
	a->header.length = 0;
	error = member_encode(m, &a->header, &map);
	s->stored = m->stored;
	if (sparse) {
		s->map = a->header.data + a->header.length - map;
		s->map_bytes = map;
		s->run_start = map;
	}
	return error;
}

/* Reads file bytes; what is missing at the end reads as zeros. */
static int read_file(struct source *s, uint64_t offset, uint8_t *to,
		     size_t length)
{
	while (length) {
		ssize_t n = pread(s->fd, to, length, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_from_errno(errno);
		if (n == 0) {
			memset(to, 0, length);
			s->shrank = true;
			return 0;
		}
		to += n;
		offset += (uint64_t)n;
		length -= (size_t)n;
	}
	return 0;
}

/* A piece of a run at stored offset `at` (behind the map). */
static int read_run(struct source *s, uint64_t at, uint8_t *to, size_t *length)
{
	if (at < s->run_start) {
		s->run = 0;
		s->run_start = s->map_bytes;
	}
	while (at >= s->run_start + s->runs[s->run].length) {
		s->run_start += s->runs[s->run].length;
		s->run++;
	}
	uint64_t into = at - s->run_start;
	uint64_t left = s->runs[s->run].length - into;

	if (*length > left)
		*length = (size_t)left;
	return read_file(s, s->runs[s->run].offset + into, to, *length);
}

/* A pause is dear: what lies behind comes to the cache with it, as far as there
 * is any, so that the next read needs none. */
static void read_on(struct archive *a, uint32_t session, uint64_t from)
{
	int error = 0;

	for (uint64_t at = 0; !error && at < PAUSE_AHEAD; at += ARCHIVE_BLOCK)
		error = recall_read(a->library->recall, session, from + at,
				    a->other, ARCHIVE_BLOCK);
}

/* What this session's drive would have to be moved for is read when the drive
 * was let go: the reader would wait for it, and it for what is read. */
static int read_far(struct archive *a, const struct content_row *row,
		    uint64_t at, void *to, size_t length)
{
	struct recall *r = a->library->recall;
	uint64_t from = row->offset + at;
	int error;

	recall_heed(&recall_at_once);
	error = recall_read(r, row->session, from, to, length);
	recall_heed(a->stop);
	if (error == REEL_ESTOPPED) {
		error = stream_pause(a->stream);
		if (!error)
			error = recall_read(r, row->session, from, to, length);
		if (!error)
			read_on(a, row->session, from + length);
	}
	recall_heed(NULL);
	return error;
}

static int read_stored(struct archive *a, const struct content_row *row,
		       uint64_t at, void *to, size_t length)
{
	if (row->session == a->session)
		return stream_read_back(a->stream, row->offset + at, to,
					length);
	if (!a->library)
		return REEL_ENOENT;
	if (a->set->medium->tape)
		return read_far(a, row, at, to, length);
	return recall_read(a->library->recall, row->session, row->offset + at,
			   to, length);
}

int64_t source_view_stored(struct archive *a, const struct content_row *row,
			   uint64_t at, size_t length, const uint8_t **bytes)
{
	int error;

	if (row->session == a->session)
		return stream_view(a->stream, row->offset + at, a->block,
				   length, bytes);
	*bytes = a->block;
	error = read_stored(a, row, at, a->block, length);
	return error ? error : (int64_t)length;
}

int source_read(struct archive *a, struct source *s, uint64_t at, uint8_t *to,
		size_t length)
{
	if (s->stored_row.id)
		return read_stored(a, &s->stored_row, at, to, length);
	if (s->data) {
		memcpy(to, s->data + at, length);
		return 0;
	}
	if (!s->map)
		return read_file(s, at, to, length);
	while (length) {
		size_t piece = length;
		int error = 0;

		if (at < s->map_bytes) {
			if (piece > s->map_bytes - at)
				piece = (size_t)(s->map_bytes - at);
			memcpy(to, s->map + at, piece);
		} else {
			error = read_run(s, at, to, &piece);
		}
		if (error)
			return error;
		to += piece;
		at += piece;
		length -= piece;
	}
	return 0;
}
