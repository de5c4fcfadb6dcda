#include "fs/commit_read.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "fs/commit_state.h"
#include "tape/error.h"
#include "tape/log.h"

/* Holes below this are not worth a sparse member. */
#define SPARSE_SAVING (64u << 10)

/* What is missing at the end is a hole. */
static int read_whole(int fd, uint8_t *to, size_t length)
{
	size_t got = 0;

	while (got < length) {
		ssize_t n = pread(fd, to + got, length - got, (off_t)got);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_from_errno(errno);
		if (n == 0)
			break;
		got += (size_t)n;
	}
	memset(to + got, 0, length - got);
	return 0;
}

static int read_small(struct commit_read *r, struct item *i, int fd)
{
	size_t size = (size_t)i->st.stx_size;
	int error;

	i->data = malloc(size + 1);
	if (!i->data)
		return REEL_ENOMEM;
	i->length = size;
	error = read_whole(fd, i->data, size);
	if (!error)
		digest_bytes(r->seed, i->data, size, &i->digest);
	return error;
}

static int read_item(struct commit_read *r, struct item *i)
{
	int fd = spool_open_file(r->view, i->file);
	struct stat st;
	int error;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st)) {
		error = error_from_errno(errno);
		close(fd);
		return error;
	}
	i->st.stx_blocks = (uint64_t)st.st_blocks;
	if (i->st.stx_size > ITEM_SMALL ||
	    i->st.stx_blocks * 512 + SPARSE_SAVING <= i->st.stx_size) {
		i->fd = fd;
		return 0;
	}
	error = read_small(r, i, fd);
	close(fd);
	return error;
}

static void say_unread(const struct item *i, int error)
{
	char *path = folder_text(i->folder, i->name);

	log_error("%s: its bytes in the spool cannot be read: %s; nothing "
		  "was committed",
		  path ? path : "?", error_text(error));
	free(path);
}

static int pass_on(struct commit_read *r, struct item *i)
{
	int error = i->file && i->st.stx_size ? read_item(r, i) : 0;

	if (error) {
		say_unread(i, error);
		item_free(i);
		return error;
	}
	return outlet_put(&r->out, i,
			  sizeof(*i) + i->length +
				  (i->fd >= 0 ? ITEM_SMALL : 0))
		       ? 0
		       : REEL_ESTOPPED;
}

int commit_read_run(struct commit_read *r)
{
	struct batch *b;

	while (!r->error && (b = queue_get(r->in))) {
		for (int n = 0; n < b->count; n++) {
			if (r->error)
				item_free(b->items[n]);
			else
				r->error = pass_on(r, b->items[n]);
		}
		free(b);
	}
	queue_stop(r->in);
	if (!r->error && !outlet_flush(&r->out))
		r->error = REEL_ESTOPPED;
	queue_end(r->out.queue);
	return r->error;
}
