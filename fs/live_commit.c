/* What a commit needs of a living tree: L3 and L5. */
#include "fs/live_state.h"

#include <stdlib.h>
#include <unistd.h>
#include "tape/error.h"
#include "tape/log.h"

#define BATCH 256 /* rows settled while the lock is held */

void live_drop_file(struct live *l, uint64_t file)
{
	if (!l->committing || file > l->frozen_file) {
		spool_drop(l->spool, file);
		return;
	}
	if (l->broken_count == l->broken_room) {
		size_t room = l->broken_room ? l->broken_room * 2 : 64;
		void *more = realloc(l->broken, room * sizeof(*l->broken));

		if (!more)
			return; /* removed when the spool is opened again */
		l->broken = more;
		l->broken_room = room;
	}
	l->broken[l->broken_count++] = file;
}

int live_include_all(struct live *l)
{
	l->excluded = false;
	return spool_include_all(l->spool);
}

/* Files stay as they are from here on: L2, L3. What rules left out is judged
 * anew. */
int live_freeze(struct live *l, struct live_frozen *out)
{
	int error;

	pthread_rwlock_wrlock(&l->freeze);
	pthread_mutex_lock(&l->lock);
	error = l->committing ? REEL_ELOCKED : 0;
	if (!error && l->excluded)
		error = live_include_all(l);
	if (!error)
		error = live_flush(l);
	if (!error)
		error = spool_view(l->spool, &out->view);
	if (!error) {
		out->base = spool_base(l->spool);
		out->change = spool_last_change(l->spool);
		l->frozen_file = spool_last_file(l->spool);
		l->committing = true;
		l->dirty = false;
		l->written = 0;
	}
	pthread_mutex_unlock(&l->lock);
	pthread_rwlock_unlock(&l->freeze);
	return error;
}

/* ---- afterwards ---- */

/* A node that did not change since is as the new snapshot has it. Under the
 * node's lock and `lock`. */
static void settle(struct live *l, struct live_node *n,
		   const struct live_frozen *f, const struct live_result *r)
{
	n->row.base = r->base;
	if (n->row.change > f->change || n->row.state == SPOOL_CLEAN)
		return;
	n->row.state = SPOOL_CLEAN;
	if (n->row.file) {
		live_drop_file(l, n->row.file);
		if (n->fd >= 0)
			close(n->fd);
		n->fd = -1;
		n->row.file = 0;
		n->row.synced = SPOOL_UNSYNCED;
		n->row.content = r->content;
	}
}

static int put_row(struct live *l, struct live_node *n)
{
	/* a changed row is written with the others */
	return n->changed ? 0 : spool_put(l->spool, &n->row);
}

/* A node that is in memory. */
static int settle_loaded(struct live *l, const struct live_frozen *f,
			 const struct live_result *r)
{
	struct live_node *n;
	int error;

	pthread_mutex_lock(&l->lock);
	error = node_get(l, r->id, &n);
	pthread_mutex_unlock(&l->lock);
	if (error)
		return error == REEL_ESTALE ? 0 : error;
	pthread_mutex_lock(&n->bytes);
	pthread_mutex_lock(&l->lock);
	settle(l, n, f, r);
	error = n->row.nlink ? put_row(l, n) : 0;
	node_put(l, n);
	pthread_mutex_unlock(&l->lock);
	pthread_mutex_unlock(&n->bytes);
	return error;
}

/* Results of nodes that are not in memory, from the first on and BATCH at
 * most: their rows are enough. The number of those taken, or an error. */
static int settle_rows(struct live *l, const struct live_frozen *f,
		       const struct live_result *r, size_t count)
{
	size_t n = 0;
	int clean = 0;

	pthread_mutex_lock(&l->lock);
	for (; clean >= 0 && n < count && n < BATCH; n++) {
		if (node_is_loaded(l, r[n].id))
			break;
		clean = spool_node_committed(l->spool, r[n].id, r[n].base,
					     r[n].content, f->change);
		if (clean == 1 && r[n].file)
			live_drop_file(l, r[n].file);
	}
	pthread_mutex_unlock(&l->lock);
	return clean < 0 ? clean : (int)n;
}

static int settle_all(struct live *l, const struct live_frozen *f,
		      const struct live_result *r, size_t count)
{
	int error = 0;

	for (size_t n = 0; !error && n < count;) {
		int taken = settle_rows(l, f, r + n, count - n);

		if (taken < 0)
			return taken;
		n += (size_t)taken;
		if (!taken)
			error = settle_loaded(l, f, &r[n++]);
	}
	return error;
}

static void drop_broken(struct live *l)
{
	while (l->broken_count)
		spool_drop(l->spool, l->broken[--l->broken_count]);
}

/* The new base: what the commit made, or what else came (L5). */
static int new_base(struct live *l, const struct live_frozen *f,
		    uint32_t session)
{
	bool alone = f->newest == f->base;
	int error = spool_entries_committed(l->spool, f->change);

	if (error || !alone)
		return error ? error : live_rebase(l, session);
	error = spool_set_base(l->spool, session);
	return error ? error : live_load_epoch(l);
}

int live_thaw(struct live *l, struct live_frozen *f, uint32_t session,
	      const struct live_result *results, size_t count)
{
	int error = 0;

	spool_close(f->view);
	f->view = NULL;
	if (session)
		error = settle_all(l, f, results, count);
	pthread_mutex_lock(&l->lock);
	l->committing = false;
	l->dirty |= !session;
	drop_broken(l);
	if (!error && session)
		error = new_base(l, f, session);
	if (!error)
		error = live_flush(l); /* names have their nodes with them */
	if (!error)
		error = spool_sync(l->spool);
	pthread_mutex_unlock(&l->lock);
	return error;
}

int live_excluded(struct live *l, uint64_t parent, const char *name,
		  size_t length, uint64_t id, uint64_t change)
{
	struct live_node *n;
	int error;

	pthread_mutex_lock(&l->lock);
	error = spool_entry_excluded(l->spool, parent, name, length, change);
	l->excluded = true;
	if (!error && !node_get(l, id, &n)) {
		/* another name of it may be stored */
		bool alone = n->row.nlink == 1 || S_ISDIR(n->row.mode);

		if (alone && n->row.change <= change &&
		    n->row.state == SPOOL_DIRTY) {
			n->row.state = SPOOL_EXCLUDED;
			error = put_row(l, n);
		}
		node_put(l, n);
	}
	pthread_mutex_unlock(&l->lock);
	return error;
}
