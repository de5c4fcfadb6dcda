/* A bounded queue of batches between the walk and the threads that write. A
 * batch is what one thread does in about a millisecond, so that the lock
 * costs nothing beside the system calls.
 *
 * The lock stands beside what it protects; nothing else is locked under it. */
#include "fs/restore_place.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "tape/error.h"

#define BATCH_JOBS    32
#define BATCH_BYTES   (4u << 20)
#define BATCH_COUNT   8
#define THREADS_LIMIT 64

struct job {
	struct place *place;
	struct restore_entry entry;
	char name[TREE_NAME_LIMIT + 1];
};

struct batch {
	unsigned count;
	uint64_t bytes;
	struct job jobs[BATCH_JOBS];
};

struct restore_pool {
	struct restore *restore;
	struct batch *filling; /* of the walk; NULL: take a free one */
	unsigned threads;
	pthread_t thread[THREADS_LIMIT];

	pthread_mutex_t lock;
	pthread_cond_t work;   /* queued > 0 or ending */
	pthread_cond_t change; /* a batch became free */
	struct batch *queue[BATCH_COUNT];
	unsigned head, queued;
	struct batch *free[BATCH_COUNT];
	unsigned free_count;
	bool ending;
};

static void run_batch(struct restore *r, struct batch *b)
{
	for (unsigned i = 0; i < b->count; i++) {
		struct job *j = &b->jobs[i];

		if (!r->options->stop || !*r->options->stop)
			write_entry(r, j->place, j->name, &j->entry, NULL);
		restore_entry_release(&j->entry);
		place_put(r, j->place);
	}
	b->count = 0;
	b->bytes = 0;
}

static void *worker(void *context)
{
	struct restore_pool *q = context;
	struct batch *b;

	pthread_mutex_lock(&q->lock);
	for (;;) {
		while (!q->queued && !q->ending)
			pthread_cond_wait(&q->work, &q->lock);
		if (!q->queued)
			break;
		b = q->queue[q->head];
		q->head = (q->head + 1) % BATCH_COUNT;
		q->queued--;
		pthread_mutex_unlock(&q->lock);
		run_batch(q->restore, b);
		pthread_mutex_lock(&q->lock);
		q->free[q->free_count++] = b;
		pthread_cond_signal(&q->change);
	}
	pthread_mutex_unlock(&q->lock);
	return NULL;
}

int pool_new(struct restore *r, int threads, struct restore_pool **out)
{
	struct restore_pool *q = calloc(1, sizeof(*q));

	if (!q)
		return REEL_ENOMEM;
	q->restore = r;
	pthread_mutex_init(&q->lock, NULL);
	pthread_cond_init(&q->work, NULL);
	pthread_cond_init(&q->change, NULL);
	for (int i = 0; i < BATCH_COUNT; i++) {
		struct batch *b = calloc(1, sizeof(*b));

		if (!b) {
			pool_free(q);
			return REEL_ENOMEM;
		}
		q->free[q->free_count++] = b;
	}
	for (int i = 0; i < threads && i < THREADS_LIMIT; i++) {
		if (pthread_create(&q->thread[q->threads], NULL, worker, q))
			break;
		q->threads++;
	}
	if (!q->threads) {
		pool_free(q);
		return REEL_ENOMEM;
	}
	*out = q;
	return 0;
}

static void submit(struct restore_pool *q)
{
	pthread_mutex_lock(&q->lock);
	q->queue[(q->head + q->queued++) % BATCH_COUNT] = q->filling;
	pthread_cond_signal(&q->work);
	pthread_mutex_unlock(&q->lock);
	q->filling = NULL;
}

void pool_drain(struct restore_pool *q)
{
	if (q->filling)
		submit(q);
	pthread_mutex_lock(&q->lock);
	while (q->free_count < BATCH_COUNT)
		pthread_cond_wait(&q->change, &q->lock);
	pthread_mutex_unlock(&q->lock);
}

void pool_free(struct restore_pool *q)
{
	if (!q)
		return;
	if (q->threads)
		pool_drain(q);
	pthread_mutex_lock(&q->lock);
	q->ending = true;
	pthread_cond_broadcast(&q->work);
	pthread_mutex_unlock(&q->lock);
	for (unsigned i = 0; i < q->threads; i++)
		pthread_join(q->thread[i], NULL);
	while (q->free_count)
		free(q->free[--q->free_count]);
	pthread_cond_destroy(&q->work);
	pthread_cond_destroy(&q->change);
	pthread_mutex_destroy(&q->lock);
	free(q);
}

int pool_add(struct restore_pool *q, struct place *p, const char *name,
	     size_t length, struct restore_entry *e)
{
	struct batch *b = q->filling;
	struct job *j;

	if (!b) {
		pthread_mutex_lock(&q->lock);
		while (!q->free_count)
			pthread_cond_wait(&q->change, &q->lock);
		b = q->filling = q->free[--q->free_count];
		pthread_mutex_unlock(&q->lock);
	}
	j = &b->jobs[b->count++];
	j->place = place_get(p);
	j->entry = *e;
	memset(e, 0, sizeof(*e));
	memcpy(j->name, name, length);
	j->name[length] = '\0';
	b->bytes += j->entry.inode.size;
	if (b->count == BATCH_JOBS || b->bytes >= BATCH_BYTES)
		submit(q);
	return 0;
}
