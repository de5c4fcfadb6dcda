/* Entries between the walk and the threads that write, in the order of the
 * medium.
 *
 * The walk meets names in the order of names; what they hold lies in the order
 * of sessions, and of duplicates anywhere. So entries are gathered in a
 * window, which is sorted by session and position when it is handed over; a
 * frame that many files need is decoded once, and a tape goes through each
 * session once for a window. Threads empty one window while the walk fills the
 * other. A window is handed over when the other is empty, early when it has
 * EARLY_JOBS: the slower the medium, the fuller the windows. Of a tape only
 * full ones are, and one thread reads. It is full by its
 * entries, the memory behind them, or the directories that it holds open.
 *
 * A batch is what one thread does in about a millisecond, so that the lock
 * costs nothing beside the system calls. The lock stands beside what it
 * protects; nothing else is locked under it. */
#include "fs/restore_place.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "tape/error.h"
#include "tape/stop.h"

#define WINDOW_JOBS   32768
#define WINDOW_MEMORY (32u << 20) /* besides the jobs */
#define EARLY_JOBS    4096
#define EARLY_EVERY   256
#define BATCH_JOBS    32
#define BATCH_BYTES   (4u << 20)
#define THREADS_LIMIT 64

struct job {
	struct place *place;
	char *name; /* heap */
	struct restore_entry entry;
};

struct window {
	struct job **jobs; /* heap, each; in the end in order */
	size_t count, next;
	size_t memory;
	size_t places; /* times that another one came */
	struct place *last;
};

struct restore_pool {
	struct restore *restore;
	bool tape;
	unsigned threads;
	pthread_t thread[THREADS_LIMIT];
	struct window windows[2];
	struct window *filling; /* of the walk alone */

	pthread_mutex_t lock;
	pthread_cond_t work;	 /* the other window has jobs, or ending */
	pthread_cond_t change;	 /* it has none any more, or busy == 0 */
	struct window *emptying; /* by the threads */
	unsigned busy;		 /* threads that have a batch */
	bool ending;
};

/* ---- threads ---- */

static void job_free(struct restore *r, struct job *j)
{
	restore_entry_release(&j->entry);
	place_put(r, j->place);
	free(j->name);
	free(j);
}

static void run_batch(struct restore *r, struct job **jobs, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct job *j = jobs[i];

		if (!stop_is_set(r->options->stop))
			write_entry(r, j->place, j->name, &j->entry, NULL);
		job_free(r, j);
	}
}

/* Of the window that is emptied, which has some. */
static size_t take(struct window *w, struct job **out)
{
	uint64_t bytes = 0;
	size_t count = 0;

	while (w->next < w->count && count < BATCH_JOBS &&
	       bytes < BATCH_BYTES) {
		out[count] = w->jobs[w->next++];
		bytes += out[count++]->entry.inode.size;
	}
	return count;
}

static bool is_empty(const struct restore_pool *q)
{
	return q->emptying->next == q->emptying->count;
}

static void *worker(void *context)
{
	struct restore_pool *q = context;
	struct job *jobs[BATCH_JOBS];
	size_t count;

	pthread_mutex_lock(&q->lock);
	for (;;) {
		while (is_empty(q) && !q->ending)
			pthread_cond_wait(&q->work, &q->lock);
		if (is_empty(q))
			break;
		count = take(q->emptying, jobs);
		q->busy++;
		if (is_empty(q))
			pthread_cond_signal(&q->change);
		pthread_mutex_unlock(&q->lock);
		run_batch(q->restore, jobs, count);
		pthread_mutex_lock(&q->lock);
		if (!--q->busy)
			pthread_cond_signal(&q->change);
	}
	pthread_mutex_unlock(&q->lock);
	return NULL;
}

/* ---- windows ---- */

static int by_position(const void *left, const void *right)
{
	const struct content_row *a =
		&(*(struct job *const *)left)->entry.content;
	const struct content_row *b =
		&(*(struct job *const *)right)->entry.content;

	if (a->session != b->session)
		return a->session < b->session ? -1 : 1;
	return (a->offset > b->offset) - (a->offset < b->offset);
}

static void wait_empty(struct restore_pool *q)
{
	pthread_mutex_lock(&q->lock);
	while (!is_empty(q))
		pthread_cond_wait(&q->change, &q->lock);
	pthread_mutex_unlock(&q->lock);
}

/* Sorts before it waits: the threads may still have something to do. */
static void hand_over(struct restore_pool *q)
{
	struct window *w = q->filling, *other;

	qsort(w->jobs, w->count, sizeof(*w->jobs), by_position);
	wait_empty(q);
	pthread_mutex_lock(&q->lock);
	other = q->emptying;
	q->emptying = w;
	pthread_cond_broadcast(&q->work);
	pthread_mutex_unlock(&q->lock);
	other->count = other->next = 0;
	other->memory = other->places = 0;
	other->last = NULL;
	q->filling = other;
}

static bool is_full(const struct restore_pool *q)
{
	const struct window *w = q->filling;

	return w->count == WINDOW_JOBS || w->memory >= WINDOW_MEMORY ||
	       w->places >= q->restore->open.window;
}

/* Whether nobody has anything to do but the walk. */
static bool is_early(struct restore_pool *q)
{
	bool early;

	if (q->tape || q->filling->count < EARLY_JOBS ||
	    q->filling->count % EARLY_EVERY)
		return false;
	pthread_mutex_lock(&q->lock);
	early = is_empty(q);
	pthread_mutex_unlock(&q->lock);
	return early;
}

int pool_add(struct restore_pool *q, struct place *p, const char *name,
	     size_t length, struct restore_entry *e)
{
	struct window *w = q->filling;
	struct job *j = malloc(sizeof(*j));

	if (j)
		j->name = strndup(name, length);
	if (!j || !j->name) {
		free(j);
		restore_entry_release(e);
		return REEL_ENOMEM;
	}
	j->place = place_get(p);
	j->entry = *e;
	memset(e, 0, sizeof(*e));
	w->jobs[w->count++] = j;
	w->memory += j->entry.xattrs_length + j->entry.inode.target_length +
		     j->entry.content.run_count * sizeof(struct sparse_run);
	w->places += p != w->last;
	w->last = p;
	if (is_full(q) || is_early(q))
		hand_over(q);
	return 0;
}

void pool_drain(struct restore_pool *q)
{
	if (q->filling->count)
		hand_over(q);
	pthread_mutex_lock(&q->lock);
	while (!is_empty(q) || q->busy)
		pthread_cond_wait(&q->change, &q->lock);
	pthread_mutex_unlock(&q->lock);
}

/* ---- beginning and end ---- */

static int windows_new(struct restore_pool *q)
{
	for (int i = 0; i < 2; i++) {
		struct window *w = &q->windows[i];

		w->jobs = malloc(WINDOW_JOBS * sizeof(struct job *));
		if (!w->jobs)
			return REEL_ENOMEM;
	}
	q->filling = &q->windows[0];
	q->emptying = &q->windows[1];
	return 0;
}

int pool_new(struct restore *r, int threads, struct restore_pool **out)
{
	struct restore_pool *q = calloc(1, sizeof(*q));

	if (!q)
		return REEL_ENOMEM;
	q->restore = r;
	q->tape = r->set && r->set->medium->tape;
	pthread_mutex_init(&q->lock, NULL);
	pthread_cond_init(&q->work, NULL);
	pthread_cond_init(&q->change, NULL);
	if (windows_new(q)) {
		pool_free(q);
		return REEL_ENOMEM;
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
	for (int i = 0; i < 2; i++)
		free(q->windows[i].jobs);
	pthread_cond_destroy(&q->work);
	pthread_cond_destroy(&q->change);
	pthread_mutex_destroy(&q->lock);
	free(q);
}
