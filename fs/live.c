#include "fs/live_state.h"

#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include "tape/error.h"
#include "tape/log.h"

#define SWEEP 256 /* files removed at a time */

int64_t live_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* ---- opening ---- */

int live_load_epoch(struct live *l)
{
	struct session_row row;
	uint32_t newest; /* asked for: the catalogue may be another file now */
	int error = catalog_newest(l->catalog, &newest);

	l->epoch = 0;
	l->indexed = false;
	if (error || !spool_base(l->spool))
		return error;
	error = catalog_session(l->catalog, spool_base(l->spool), &row);
	if (error)
		return error;
	l->epoch = row.epoch;
	session_row_release(&row);
	return 0;
}

/* A spool with nothing dirty begins at the newest snapshot. */
static int choose_base(struct live *l)
{
	uint64_t names, bytes;
	uint32_t newest;
	int error = spool_count(l->spool, &names, &bytes);

	if (!error)
		error = catalog_newest(l->catalog, &newest);
	if (error)
		return error;
	l->touched = l->dirty = names > 0;
	if (!names)
		error = spool_set_base(l->spool, newest);
	else if (spool_base(l->spool) > newest)
		error = REEL_EDAMAGED;
	if (error == REEL_EDAMAGED)
		log_error("%s/spool goes with snapshot %u, which the set does "
			  "not have; put its volumes back",
			  l->set->path, (unsigned)spool_base(l->spool));
	return error ? error : live_load_epoch(l);
}

/* After a power cut: files that lost their last bytes. */
static int mend(struct live *l)
{
	uint64_t id = SPOOL_FIRST;
	int error;

	while (!(error = spool_next_mended(l->spool, id, &id))) {
		struct spool_node r;

		error = spool_get(l->spool, id, &r);
		if (error)
			return error;
		error = live_restore_file(l, &r);
		if (!error)
			error = spool_put(l->spool, &r);
		spool_node_release(&r);
		if (error)
			return error;
	}
	return error == REEL_ENOENT ? spool_flush(l->spool) : error;
}

/* A commit waits for those who write, and they for it: else it would wait for
 * good where many write. */
static void init_locks(struct live *l)
{
	pthread_rwlockattr_t a;

	pthread_mutex_init(&l->lock, NULL);
	pthread_rwlockattr_init(&a);
	pthread_rwlockattr_setkind_np(
		&a, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&l->freeze, &a);
	pthread_rwlockattr_destroy(&a);
}

const struct set *live_home(const struct live *l)
{
	return l->set;
}

int live_open(struct set *set, struct library *library, const char *owner,
	      struct live **out)
{
	struct live *l = calloc(1, sizeof(*l));
	int error;

	if (!l)
		return REEL_ENOMEM;
	l->set = set;
	l->library = library;
	init_locks(l);
	error = catalog_open_reader(set, &l->catalog);
	if (!error)
		error = spool_open(set, owner, &l->spool);
	if (!error)
		error = choose_base(l);
	if (!error)
		error = mend(l);
	if (error) {
		live_close(l);
		return error;
	}
	*out = l;
	return 0;
}

void live_close(struct live *l)
{
	if (!l)
		return;
	if (l->spool)
		live_flush(l);
	nodes_free(l);
	spool_close(l->spool);
	catalog_close(l->catalog);
	free(l->broken);
	pthread_rwlock_destroy(&l->freeze);
	pthread_mutex_destroy(&l->lock);
	free(l);
}

/* ---- from time to time ---- */

static int64_t monotonic(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* P3 of spool.h: bytes first, then the rows that name them. */
static void flush_in_time(struct live *l)
{
	bool due, replaced, touched;

	pthread_mutex_lock(&l->lock);
	replaced = l->replaced;
	pthread_mutex_unlock(&l->lock);
	if (replaced) /* most of it while nobody waits */
		syncfs(spool_files(l->spool));
	pthread_mutex_lock(&l->lock);
	if (l->first_changed || spool_unflushed(l->spool))
		live_flush(l);
	due = monotonic() - l->synced_at > LIVE_SYNC * INT64_C(1000000000);
	touched = l->touched;
	pthread_mutex_unlock(&l->lock);
	if (!due)
		return;
	if (touched && syncfs(spool_files(l->spool)))
		log_warning("%s/spool: cannot be synced", l->set->path);
	pthread_mutex_lock(&l->lock);
	live_flush(l);
	spool_sync(l->spool);
	l->synced_at = monotonic();
	pthread_mutex_unlock(&l->lock);
}

/* Files that are needed no more, while nobody waits for it. */
static void sweep(struct live *l)
{
	uint64_t files[SWEEP];
	size_t count;

	do {
		pthread_mutex_lock(&l->lock);
		count = spool_removable(l->spool, files, SWEEP);
		pthread_mutex_unlock(&l->lock);
		for (size_t n = 0; n < count; n++)
			spool_remove_file(l->spool, files[n]);
	} while (count == SWEEP);
}

void live_tend(struct live *l)
{
	flush_in_time(l);
	sweep(l);
}

int live_follow(struct live *l)
{
	uint32_t newest;
	uint64_t names, bytes;
	int error;

	pthread_mutex_lock(&l->lock);
	error = catalog_newest(l->catalog, &newest);
	if (!error && newest != spool_base(l->spool) && !l->committing) {
		error = live_flush(l);
		if (!error)
			error = spool_count(l->spool, &names, &bytes);
		if (!error && !names)
			error = live_rebase(l, newest);
	}
	pthread_mutex_unlock(&l->lock);
	return error;
}

int live_count(struct live *l, struct live_count *out)
{
	int error;

	pthread_mutex_lock(&l->lock);
	error = live_flush(l);
	if (!error)
		error = spool_count(l->spool, &out->names, &out->bytes);
	out->base = spool_base(l->spool);
	pthread_mutex_unlock(&l->lock);
	return error;
}

bool live_is_dirty(struct live *l, uint64_t *written)
{
	bool dirty;

	pthread_mutex_lock(&l->lock);
	dirty = l->dirty;
	*written = l->written;
	pthread_mutex_unlock(&l->lock);
	return dirty;
}
