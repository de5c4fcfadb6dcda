/* The bytes of a file, out of the frames: written, written where they differ,
 * or compared. */
#include "fs/restore_place.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "fs/salvage.h"
#include "tape/error.h"
#include "tape/stop.h"

/* Byte for byte, past a frame's failed checksum. */
static int pour_salvaged(int fd, struct salvage *s, const struct content_row *c,
			 uint64_t from, uint64_t length, uint64_t at)
{
	uint8_t block[65536];

	while (length) {
		size_t n =
			length < sizeof(block) ? (size_t)length : sizeof(block);
		int err = salvage_read(s, c, from, block, n);

		if (!err)
			err = restore_write_all(fd, block, n, at);
		if (err)
			return err;
		from += n;
		at += n;
		length -= n;
	}
	return 0;
}

static int fill_salvaged(struct restore *r, int fd, const struct content_row *c)
{
	uint64_t from = c->map_bytes;
	struct salvage *s;
	int err = salvage_open(r->set, &s);

	if (err)
		return err;
	err = salvage_check(s, c);
	if (!err && !c->sparse)
		err = pour_salvaged(fd, s, c, 0, c->size, 0);
	for (size_t i = 0; i < c->run_count && c->sparse && !err; i++) {
		err = pour_salvaged(fd, s, c, from, c->runs[i].length,
				    c->runs[i].offset);
		from += c->runs[i].length;
	}
	salvage_close(s);
	return err;
}

static int fill_sparse(struct restore *r, struct sink *s,
		       const struct content_row *c)
{
	uint64_t offset = c->offset + c->map_bytes;

	if (ftruncate(s->fd, (off_t)c->size))
		return error_from_errno(errno);
	for (size_t i = 0; i < c->run_count; i++) {
		const struct sparse_run *run = &c->runs[i];
		int err;

		if (run->offset > c->size ||
		    run->length > c->size - run->offset)
			return REEL_EDAMAGED;
		err = restore_pour(r, s, c->session, offset, run->length,
				   run->offset);
		if (err)
			return err;
		offset += run->length;
	}
	return 0;
}

static bool is_right(const struct restore_entry *e)
{
	return e->inode.content && e->content.size == e->inode.size;
}

int data_fill(struct restore *r, int fd, const struct restore_entry *e)
{
	const struct content_row *c = &e->content;
	struct sink s = {.fd = fd};
	int err;

	if (e->inode.size == 0)
		return 0;
	if (!is_right(e))
		return REEL_EDAMAGED;
	if (clones_try(r, fd, c))
		return 0;
	if (c->sparse)
		err = fill_sparse(r, &s, c);
	else
		err = restore_pour(r, &s, c->session, c->offset, c->size, 0);
	if (err == REEL_EDAMAGED &&
	    r->set->config.compression == COMPRESSION_NONE)
		err = fill_salvaged(r, fd, c);
	return err;
}

int data_patch(struct restore *r, int fd, const struct restore_entry *e,
	       uint64_t *written)
{
	const struct content_row *c = &e->content;
	struct sink s = {.fd = fd, .patch = true};
	int err;

	if (!is_right(e))
		return REEL_EDAMAGED;
	if (ftruncate(fd, (off_t)c->size))
		return error_from_errno(errno);
	err = restore_pour(r, &s, c->session, c->offset, c->size, 0);
	*written = atomic_load(&s.written);
	return err;
}

int data_compare(struct restore *r, int fd, const struct restore_entry *e)
{
	const struct content_row *c = &e->content;
	uint8_t want[65536], have[65536];
	uint64_t at = 0;

	if (e->inode.size == 0)
		return 1;
	if (!is_right(e))
		return REEL_EDAMAGED;
	while (at < c->size) {
		int64_t n = content_read(r->library->recall, c, at, want,
					 sizeof(want));

		if (n < 0)
			return (int)n;
		if (n == 0)
			return REEL_EDAMAGED;
		if (pread(fd, have, (size_t)n, (off_t)at) != (ssize_t)n ||
		    memcmp(have, want, (size_t)n))
			return 0;
		if (stop_is_set(r->options->stop))
			return REEL_ESTOPPED;
		at += (uint64_t)n;
	}
	return 1;
}
