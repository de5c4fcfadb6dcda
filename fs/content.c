#include "fs/content.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "tape/error.h"

/* The run that holds file byte `offset`, or else the next one; *at is where
 * its bytes begin among the stored ones. run_count when there is none. */
static size_t find_run(const struct content_row *row, uint64_t offset,
		       uint64_t *at)
{
	size_t n;

	*at = row->map_bytes;
	for (n = 0; n < row->run_count; n++) {
		if (offset < row->runs[n].offset + row->runs[n].length)
			break;
		*at += row->runs[n].length;
	}
	return n;
}

static int read_sparse(struct recall *r, const struct content_row *row,
		       uint64_t offset, uint8_t *to, size_t length)
{
	uint64_t at;
	size_t run = find_run(row, offset, &at);

	memset(to, 0, length);
	for (; run < row->run_count; run++) {
		const struct sparse_run *s = &row->runs[run];
		uint64_t begin = s->offset > offset ? s->offset : offset;
		uint64_t end = s->offset + s->length;

		if (begin >= offset + length)
			break;
		if (end > offset + length)
			end = offset + length;
		int error = recall_read(
			r, row->session, row->offset + at + (begin - s->offset),
			to + (begin - offset), (size_t)(end - begin));
		if (error)
			return error;
		at += s->length;
	}
	return 0;
}

int64_t content_read(struct recall *r, const struct content_row *row,
		     uint64_t offset, void *to, size_t length)
{
	int error;

	if (offset >= row->size)
		return 0;
	if (length > row->size - offset)
		length = (size_t)(row->size - offset);
	if (row->sparse)
		error = read_sparse(r, row, offset, to, length);
	else
		error = recall_read(r, row->session, row->offset + offset, to,
				    length);
	return error ? error : (int64_t)length;
}

int64_t content_seek(const struct content_row *row, uint64_t offset, bool hole)
{
	uint64_t at;
	size_t run;

	if (offset >= row->size)
		return REEL_ENOENT;
	if (!row->sparse)
		return (int64_t)(hole ? row->size : offset);
	run = find_run(row, offset, &at);
	if (!hole) {
		if (run == row->run_count)
			return REEL_ENOENT;
		return (int64_t)(row->runs[run].offset > offset
					 ? row->runs[run].offset
					 : offset);
	}
	/* runs may touch */
	for (; run < row->run_count && row->runs[run].offset <= offset; run++)
		offset = row->runs[run].offset + row->runs[run].length;
	return (int64_t)offset;
}

/* ---- library ---- */

struct finder {
	pthread_mutex_t lock; /* of the connection */
	struct catalog *catalog;
};

static int find(void *context, uint32_t session, uint64_t offset,
		struct frame *out)
{
	struct finder *f = context;
	uint32_t newest;

	pthread_mutex_lock(&f->lock);
	int error = catalog_find_frame(f->catalog, session, offset, out);
	/* a rebuild may have put another file in the place of the one that is
	 * open: asked for its newest session the connection looks */
	if (error == REEL_ENOENT && !catalog_newest(f->catalog, &newest))
		error = catalog_find_frame(f->catalog, session, offset, out);
	pthread_mutex_unlock(&f->lock);
	return error;
}

int library_open(struct set *set, size_t cache, struct library **out)
{
	struct library *l = calloc(1, sizeof(*l));
	struct finder *f = calloc(1, sizeof(*f));
	int error = l && f ? 0 : REEL_ENOMEM;

	if (error) {
		free(l);
		free(f);
		return error;
	}
	l->set = set;
	l->finder = f;
	pthread_mutex_init(&f->lock, NULL);
	error = catalog_open_reader(set, &f->catalog);
	struct recall_options o = {.medium = set->medium,
				   .cache = cache,
				   .unchecked = set->foreign,
				   .find = find,
				   .context = f};
	if (!error)
		error = recall_new(&o, &l->recall);
	if (error) {
		library_close(l);
		return error;
	}
	*out = l;
	return 0;
}

void library_close(struct library *l)
{
	if (!l)
		return;
	struct finder *f = l->finder;

	recall_free(l->recall);
	catalog_close(f->catalog);
	pthread_mutex_destroy(&f->lock);
	free(f);
	free(l);
}

#define PIECE (256u << 10)

static bool same_sha256(const struct content_row *row, int fd)
{
	struct sha256 mine;

	return row->has_sha256 && !sha256_file(fd, row->size, &mine) &&
	       !memcmp(&mine, &row->sha256, sizeof(mine));
}

static bool same_bytes(struct recall *r, const struct content_row *row, int fd)
{
	uint8_t *a = malloc(PIECE), *b = malloc(PIECE);
	bool same = a && b;

	for (uint64_t at = 0; same && at < row->size;) {
		ssize_t n = pread(fd, a, PIECE, (off_t)at);

		same = n > 0 && content_read(r, row, at, b, (size_t)n) == n &&
		       !memcmp(a, b, (size_t)n);
		at += n > 0 ? (uint64_t)n : 0;
	}
	free(a);
	free(b);
	return same;
}

bool content_is(struct library *l, const struct content_row *row, int fd)
{
	if (l->set->medium->tape)
		return !row->sparse && same_sha256(row, fd);
	return same_bytes(l->recall, row, fd);
}
