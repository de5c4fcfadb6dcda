#include "fs/item.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct item *item_new(enum item_kind kind, struct folder *folder,
		      const char *name, size_t length)
{
	struct item *i = malloc(sizeof(*i) + length + 1);

	if (!i)
		return NULL;
	memset(i, 0, sizeof(*i));
	i->kind = kind;
	i->folder = folder_get(folder);
	i->fd = -1;
	i->name_length = (uint16_t)length;
	memcpy(i->name, name, length);
	i->name[length] = '\0';
	return i;
}

void item_close(struct item *i)
{
	if (i->fd >= 0)
		close(i->fd);
	i->fd = -1;
}

void item_free(struct item *i)
{
	if (!i)
		return;
	item_close(i);
	buffer_release(&i->xattrs);
	free(i->data);
	folder_put(i->folder);
	free(i);
}

static void batch_free(struct batch *b)
{
	for (int n = 0; n < b->count; n++)
		item_free(b->items[n]);
	free(b);
}

static void batches_free(struct batch *b)
{
	while (b) {
		struct batch *next = b->next;

		batch_free(b);
		b = next;
	}
}

int queue_init(struct queue *q)
{
	memset(q, 0, sizeof(*q));
	pthread_mutex_init(&q->lock, NULL);
	pthread_cond_init(&q->changed, NULL);
	return 0;
}

void queue_release(struct queue *q)
{
	for (; q->tail != q->head; q->tail++)
		batch_free(q->batches[q->tail % QUEUE_DEPTH]);
	batches_free(q->back);
	pthread_cond_destroy(&q->changed);
	pthread_mutex_destroy(&q->lock);
}

bool queue_put(struct queue *q, struct batch *b)
{
	pthread_mutex_lock(&q->lock);
	while (!q->stopped && q->head - q->tail == QUEUE_DEPTH)
		pthread_cond_wait(&q->changed, &q->lock);
	bool ok = !q->stopped, awaited = ok && q->head == q->tail;
	if (ok)
		q->batches[q->head++ % QUEUE_DEPTH] = b;
	struct batch *back = q->back;
	q->back = NULL;
	pthread_mutex_unlock(&q->lock);
	if (awaited)
		pthread_cond_signal(&q->changed);
	batches_free(back);
	if (!ok)
		batch_free(b);
	return ok;
}

void queue_give_back(struct queue *q, struct batch *b)
{
	pthread_mutex_lock(&q->lock);
	b->next = q->back;
	q->back = b;
	pthread_mutex_unlock(&q->lock);
}

struct batch *queue_get(struct queue *q)
{
	struct batch *b = NULL;
	bool awaited;

	pthread_mutex_lock(&q->lock);
	while (!q->stopped && !q->ended && q->head == q->tail)
		pthread_cond_wait(&q->changed, &q->lock);
	if (!q->stopped && q->head != q->tail)
		b = q->batches[q->tail++ % QUEUE_DEPTH];
	/* one that found it full goes on when there is room for several */
	awaited = b && q->head - q->tail == QUEUE_DEPTH / 2;
	pthread_mutex_unlock(&q->lock);
	if (awaited)
		pthread_cond_signal(&q->changed);
	return b;
}

void queue_end(struct queue *q)
{
	pthread_mutex_lock(&q->lock);
	q->ended = true;
	pthread_cond_broadcast(&q->changed);
	pthread_mutex_unlock(&q->lock);
}

void queue_stop(struct queue *q)
{
	pthread_mutex_lock(&q->lock);
	q->stopped = true;
	pthread_cond_broadcast(&q->changed);
	pthread_mutex_unlock(&q->lock);
}

bool outlet_flush(struct outlet *o)
{
	struct batch *b = o->batch;

	o->batch = NULL;
	return !b || queue_put(o->queue, b);
}

bool outlet_put(struct outlet *o, struct item *i, size_t bytes)
{
	if (!i)
		return false;
	if (!o->batch)
		o->batch = calloc(1, sizeof(*o->batch));
	if (!o->batch) {
		item_free(i);
		return false;
	}
	o->batch->items[o->batch->count++] = i;
	o->batch->bytes += bytes;
	if (o->batch->count == BATCH_ITEMS || o->batch->bytes >= BATCH_BYTES)
		return outlet_flush(o);
	return true;
}
