/* A content that the set has already takes no room again: it is recognised
 * when its file is closed. The digest names a candidate, the bytes (content_is)
 * decide. */
#include "fs/live_state.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "tape/error.h"

/* The set's content with the bytes of a file, 0 when it has none. */
static uint64_t find_content(struct live *l, struct live_node *n,
			     const struct digest *digest)
{
	struct content_row row = {0};
	uint64_t after = 0, found = 0;
	int error = 0;

	while (!error && !found) {
		pthread_mutex_lock(&l->lock);
		error = tree_candidate(l->catalog, n->row.size, digest, after,
				       l->epoch, &row);
		pthread_mutex_unlock(&l->lock);
		if (error)
			break;
		after = row.id;
		if (!row.sparse && content_is(l->library, &row, n->fd))
			found = row.id;
		content_row_release(&row);
	}
	return found;
}

void bytes_recognise(struct live *l, struct live_node *n)
{
	struct digest digest;
	uint64_t content;
	bool has = false;
	int error = 0;

	pthread_mutex_lock(&l->lock);
	n->written = false;
	if (n->row.size && n->row.file && n->fd >= 0)
		error = tree_has_size(l->catalog, n->row.size, l->epoch, &has);
	pthread_mutex_unlock(&l->lock);
	if (error || !has ||
	    digest_file(l->set->config.seed, n->fd, n->row.size, &digest))
		return;
	content = find_content(l, n, &digest);
	pthread_mutex_lock(&l->lock);
	if (!node_touch(l, n)) {
		n->row.has_digest = true;
		n->row.digest = digest;
		if (content) {
			bytes_drop(l, n);
			n->row.content = content;
			n->row.blocks = (n->row.size + 4095) / 4096 * 8;
		}
	}
	pthread_mutex_unlock(&l->lock);
}
