#include "fs/push.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include "tape/error.h"

#define PUSH_SEGMENTS 4
#define SEGMENT_FILES 96
#define SEGMENT_BYTES (2u << 20)
#define BEGIN_AFTER   3		   /* reads in order before pushing begins */
#define NEAR	      256	   /* inodes: still in order */
#define ROWS	      192	   /* looked at for a segment */
#define NEXT_BYTES    (128u << 10) /* behind a directory: in the next one */
#define EARNED	      8		   /* directories, by one READ */
#define CREDIT_MOST   64
#define LISTED_BYTES  (2u << 20)
#define LISTED_FREE   (512u << 10) /* bytes that cost one directory's credit */
#define PAUSE_US      100     /* between looks for a frame; the longer the */
#define PATIENCE_US   1000000 /* rarer, and no longer than this in all */

struct push {
	struct catalog *catalog; /* the thread's */
	struct recall *recall;
	push_store store;
	void *context;
	atomic_int credit;  /* directories that may be pushed */
	atomic_int storing; /* workers that do, H1 */
	pthread_t thread;
	pthread_mutex_t lock; /* of all below */
	pthread_cond_t wake;
	bool stop;
	uint64_t last;	   /* read */
	unsigned in_order; /* reads */
	uint64_t frontier; /* last inode that was dealt with */
	uint64_t markers[PUSH_SEGMENTS];
	unsigned marker_count;
	struct push_list listed;	    /* for the thread; count 0: none */
	uint64_t listed_first, listed_last; /* inodes of what it had last */
	atomic_uint
		listings; /* that were given to it; changed under the lock */
};

struct segment {
	struct push_file files[ROWS];
	int count;
	uint64_t bytes, last;
};

static int collect(void *context, const struct inode_row *row)
{
	struct segment *s = context;

	s->last = row->id;
	if (!S_ISREG(row->mode) || !row->content || row->size > PUSH_LARGEST)
		return 0;
	s->files[s->count++] =
		(struct push_file){row->id, row->content, row->size};
	s->bytes += row->size;
	return s->count == SEGMENT_FILES || s->bytes >= SEGMENT_BYTES;
}

static int read_and_store(struct push *p, const struct push_file *f,
			  const struct content_row *row)
{
	uint8_t *data = malloc((size_t)f->size);
	int64_t n =
		data ? content_read(p->recall, row, 0, data, (size_t)f->size)
		     : REEL_ENOMEM;

	if (n == (int64_t)f->size)
		n = p->store(p->context, f->inode, data, (size_t)n);
	free(data);
	return (int)n;
}

/* Most small files lie in one frame. */
static int store_content(struct push *p, const struct push_file *f,
			 const struct content_row *row)
{
	struct recalled pin;
	int error;

	if (row->sparse)
		return read_and_store(p, f, row);
	error = recall_get(p->recall, row->session, row->offset, &pin);
	if (error)
		return error;
	uint64_t into = row->offset - pin.frame.stream;
	if (f->size <= pin.frame.length - into)
		error = p->store(p->context, f->inode, pin.data + into,
				 (size_t)f->size);
	else
		error = REEL_ERANGE;
	recall_put(p->recall, &pin);
	return error == REEL_ERANGE ? read_and_store(p, f, row) : error;
}

/* No tape is moved for it. */
static int push_one(struct push *p, struct catalog *c,
		    const struct push_file *f)
{
	struct content_row row;
	int error = tree_content(c, f->content, &row);

	if (error)
		return error;
	recall_heed(&recall_at_once);
	error = row.size == f->size ? store_content(p, f, &row) : REEL_EDAMAGED;
	recall_heed(NULL);
	content_row_release(&row);
	return error;
}

/* The frame that the next directory begins in lies ready when it is asked
 * for. */
static void ready_next(struct push *p, const struct push_file *last)
{
	struct content_row row;
	struct recalled next;

	if (tree_content(p->catalog, last->content, &row))
		return;
	recall_heed(&recall_at_once);
	if (!recall_get(p->recall, row.session,
			row.offset + row.size + NEXT_BYTES, &next))
		recall_put(p->recall, &next);
	recall_heed(NULL);
	content_row_release(&row);
}

/* Pushes all but the last file behind `from`; that is the marker. */
static void push_segment(struct push *p, uint64_t from, struct segment *s)
{
	int known = 0;

	memset(s, 0, sizeof(*s));
	s->last = from;
	catalog_hold(p->catalog);
	tree_inodes_after(p->catalog, from, ROWS, collect, s);
	for (int n = 0; n + 1 < s->count; n++) {
		if (p->store(p->context, s->files[n].inode, NULL, 0) == 0)
			known += !push_one(p, p->catalog, &s->files[n]);
		/* another session's files begin here */
		if (n == 16 && !known)
			break;
	}
	catalog_let_go(p->catalog);
}

static bool wanted(const struct push *p)
{
	return p->in_order >= BEGIN_AFTER && p->marker_count < PUSH_SEGMENTS;
}

/* Waits for who reads the files to have brought the next frame: true; false
 * when he does not for long. */
static bool patient(struct push *p, unsigned *waited)
{
	unsigned us = *waited / 8 + PAUSE_US;
	struct timespec pause = {.tv_nsec = us * 1000l};

	if (*waited > PATIENCE_US)
		return false;
	catalog_let_go(p->catalog);
	nanosleep(&pause, NULL);
	catalog_hold(p->catalog);
	*waited += us;
	return true;
}

/* Whoever lists the next directory has left this one. What needs a drive comes
 * with the READ of the first such file. False: some are left out. */
static bool push_listed(struct push *p, const struct push_list *l,
			unsigned listings)
{
	unsigned waited = 0;
	int n = 0, error = 0;

	catalog_hold(p->catalog);
	while (n < l->count && atomic_load(&p->listings) == listings) {
		error = push_one(p, p->catalog, &l->files[n]);
		if (error && (error != REEL_ESTOPPED || !patient(p, &waited)))
			break;
		n += !error;
	}
	if (n == l->count)
		ready_next(p, &l->files[n - 1]);
	catalog_let_go(p->catalog);
	return n == l->count;
}

/* Both with the lock held, which they leave while they store. */
static void next_listed(struct push *p)
{
	struct push_list l = p->listed;
	unsigned listings = atomic_load(&p->listings);
	bool whole;

	p->listed.count = 0;
	pthread_mutex_unlock(&p->lock);
	whole = push_listed(p, &l, listings);
	pthread_mutex_lock(&p->lock);
	if (!whole && atomic_load(&p->listings) == listings)
		p->listed_last = p->listed_first; /* segments have them */
}

static void next_segment(struct push *p)
{
	uint64_t from = p->frontier;
	struct segment s;

	pthread_mutex_unlock(&p->lock);
	push_segment(p, from, &s);
	pthread_mutex_lock(&p->lock);
	if (p->frontier != from)
		return; /* the reader went elsewhere */
	p->frontier = s.last;
	if (s.last == from || !s.count)
		p->in_order = 0; /* the end, or nothing to push */
	else
		p->markers[p->marker_count++] = s.files[s.count - 1].inode;
}

static void *run(void *context)
{
	struct push *p = context;

	pthread_mutex_lock(&p->lock);
	while (!p->stop) {
		if (p->listed.count)
			next_listed(p);
		else if (wanted(p))
			next_segment(p);
		else
			pthread_cond_wait(&p->wake, &p->lock);
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

static bool spend(atomic_int *credit, int cost)
{
	int have = atomic_load(credit);

	while (have > 0)
		if (atomic_compare_exchange_weak(credit, &have, have - cost))
			return true;
	return false;
}

static int by_inode(const void *a, const void *b)
{
	const struct push_file *x = a, *y = b;

	return (x->inode > y->inode) - (x->inode < y->inode);
}

void push_list_add(struct push_list *l, const struct push_file *f)
{
	if (!f->content || f->size > PUSH_LARGEST || l->count == PUSH_LISTED ||
	    l->bytes >= LISTED_BYTES)
		return;
	l->files[l->count++] = *f;
	l->bytes += f->size;
}

/* In the order of the archive, in which cp and tar read them. */
static bool push_head(struct push *p, struct catalog *c, struct push_list *l)
{
	int done = 0;

	if (!l->count || !spend(&p->credit, 1 + (int)(l->bytes / LISTED_FREE)))
		return false;
	qsort(l->files, (size_t)l->count, sizeof(l->files[0]), by_inode);
	while (done < l->count && done < PUSH_HEAD)
		if (push_one(p, c, &l->files[done++]))
			break;
	return l->count > PUSH_HEAD;
}

bool push_directory(struct push *p, struct catalog *c, struct push_list *l)
{
	bool rest = atomic_fetch_add(&p->storing, 1) < PUSH_WORKERS &&
		    atomic_load(&p->credit) > 0 && push_head(p, c, l);

	atomic_fetch_sub(&p->storing, 1);
	return rest;
}

void push_rest(struct push *p, const struct push_list *l)
{
	int count = l->count - PUSH_HEAD;
	uint64_t first = l->files[0].inode, last = l->files[l->count - 1].inode;

	pthread_mutex_lock(&p->lock);
	atomic_fetch_add(&p->listings, 1);
	p->listed.count = count;
	memcpy(p->listed.files, l->files + PUSH_HEAD,
	       (size_t)count * sizeof(l->files[0]));
	p->listed_first = first;
	p->listed_last = last - first < NEAR ? last : first;
	pthread_cond_signal(&p->wake);
	pthread_mutex_unlock(&p->lock);
}

/* How far the thread has or had the files from this one on. */
static uint64_t behind_listed(const struct push *p, uint64_t inode)
{
	return inode >= p->listed_first && inode < p->listed_last
		       ? p->listed_last
		       : inode;
}

void push_hint(struct push *p, uint64_t inode)
{
	if (atomic_load(&p->credit) < CREDIT_MOST)
		atomic_fetch_add(&p->credit, EARNED);
	pthread_mutex_lock(&p->lock);
	uint64_t reach = p->frontier > p->last ? p->frontier : p->last;

	if (inode > p->last && inode <= reach + NEAR) {
		if (p->in_order < BEGIN_AFTER)
			p->in_order++;
	} else if (inode + NEAR < p->last || inode > p->last) {
		p->in_order = 0;
		p->frontier = 0;
		p->marker_count = 0;
	}
	if (inode > p->last || !p->in_order)
		p->last = inode;
	uint64_t dealt = behind_listed(p, inode);
	if (p->frontier < dealt) {
		p->frontier = dealt;
		p->marker_count = 0;
	}
	unsigned passed = 0;
	while (passed < p->marker_count && p->markers[passed] <= inode)
		passed++;
	p->marker_count -= passed;
	memmove(p->markers, p->markers + passed,
		p->marker_count * sizeof(p->markers[0]));
	if (wanted(p))
		pthread_cond_signal(&p->wake);
	pthread_mutex_unlock(&p->lock);
}

int push_new(struct set *set, struct recall *recall, push_store store,
	     void *context, struct push **out)
{
	struct push *p = calloc(1, sizeof(*p));
	int error = p ? 0 : REEL_ENOMEM;

	if (error)
		return error;
	p->recall = recall;
	p->store = store;
	p->context = context;
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->wake, NULL);
	error = catalog_open_reader(set, &p->catalog);
	if (!error && pthread_create(&p->thread, NULL, run, p))
		error = REEL_ENOMEM;
	if (error) {
		catalog_close(p->catalog);
		free(p);
		return error;
	}
	*out = p;
	return 0;
}

void push_stop(struct push *p)
{
	pthread_mutex_lock(&p->lock);
	p->stop = true;
	atomic_fetch_add(&p->listings, 1);
	pthread_cond_signal(&p->wake);
	pthread_mutex_unlock(&p->lock);
	pthread_join(p->thread, NULL);
}

void push_free(struct push *p)
{
	if (!p)
		return;
	catalog_close(p->catalog);
	pthread_cond_destroy(&p->wake);
	pthread_mutex_destroy(&p->lock);
	free(p);
}
