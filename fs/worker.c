/* The threads that answer the kernel, and whose turn it is to ask it for the
 * next request.
 *
 * W1 One worker leads: it alone waits for requests. The others stand by on a
 *    condition, not in the kernel, since each request would wake one of them
 *    beside the one that takes it, and waking costs as much as answering.
 * W2 The leader answers what is short itself. Before it does what may take
 *    long it steps down, and another leads. Reading a little from the medium
 *    is short as long as nobody else asks.
 * W3 Where requests wait whenever the leader looks, it calls a helper, who
 *    takes requests until there is none.
 * W4 The leader spins for a moment before it sleeps in the kernel, as long as
 *    that pays: requests of one program come one after the other. Before that
 *    it makes ready what it expects to be asked.
 * W5 Who waits for a cartridge does so with another standing by: one more is
 *    started when there is none, up to a limit, beyond which requests that
 *    would wait are refused. So the rest of the mount goes on. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>
#include "fs/mount_state.h"
#include "tape/medium.h"
#include "tape/error.h"
#include "tape/log.h"
#include "tape/stop.h"

#define SPIN_NS	      100000 /* so long before it sleeps */
#define SPIN_PAUSE_NS 1000   /* between looks: each takes the kernel's lock */
#define HOLD_NS	      100000000 /* of a view of the catalogue, under load */
#define CREDIT_MOST   16
#define CREDIT_FAILED 3
#define BUSY_STREAK   8	   /* requests found waiting, until a helper comes */
#define LEAVE_MS      2000 /* what workers get to end */

#ifndef FUSE_DEV_IOC_CLONE
#define FUSE_DEV_IOC_CLONE _IOR(229, 0, uint32_t)
#endif

/* ---- turns ---- */

/* Waits for something to do; false at the end. */
static bool take_turn(struct worker *w)
{
	struct turns *t = &w->channel->turns;

	catalog_let_go(w->catalog);
	pthread_mutex_lock(&t->lock);
	t->standing_by++;
	while (t->led && !t->helpers &&
	       !fuse_session_exited(w->channel->session))
		pthread_cond_wait(&t->free, &t->lock);
	t->standing_by--;
	if (!t->led) {
		t->led = true;
		w->role = WORKER_LEADS;
		w->streak = 0;
		w->fresh = true;
	} else if (t->helpers) {
		t->helpers--;
		w->role = WORKER_HELPS;
	}
	pthread_mutex_unlock(&t->lock);
	return !fuse_session_exited(w->channel->session);
}

static int start_worker(struct channel *c);

/* W5; under the turns' lock. */
static int need_another(struct channel *c)
{
	struct turns *t = &c->turns;

	if (!c->mount->set->medium->tape || t->standing_by)
		return 0;
	if (fuse_session_exited(c->session))
		return REEL_ESTOPPED;
	return t->workers < MOUNT_WORKERS_MOST ? start_worker(c) : REEL_EBUSY;
}

void worker_step_down(struct worker *w)
{
	struct turns *t = &w->channel->turns;

	if (w->role == WORKER_LEADS) {
		pthread_mutex_lock(&t->lock);
		need_another(w->channel);
		t->led = false;
		pthread_cond_signal(&t->free);
		pthread_mutex_unlock(&t->lock);
	}
	w->role = WORKER_STANDS_BY;
}

static void call_helper(struct turns *t)
{
	pthread_mutex_lock(&t->lock);
	if (t->standing_by > t->helpers) {
		t->helpers++;
		pthread_cond_signal(&t->free);
	}
	pthread_mutex_unlock(&t->lock);
}

/* ---- the session's input and output ---- */

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void set_blocking(struct worker *w, bool blocking)
{
	if (w->nonblocking != blocking)
		return;
	fcntl(w->fd, F_SETFL, blocking ? 0 : O_NONBLOCK);
	w->nonblocking = !blocking;
}

/* One view of the catalogue for requests that come one after the other. */
static void hold(struct worker *w)
{
	unsigned news = atomic_load(&w->mount->news);
	int64_t now = now_ns();

	if (news != w->news || now - w->held_since > HOLD_NS) {
		catalog_let_go(w->catalog);
		w->held_since = now;
		w->news = news;
	}
	catalog_hold(w->catalog);
}

/* A read that does not wait, again and again for a moment: bytes, or -1 with
 * EAGAIN when nothing came. */
static ssize_t spin_read(struct worker *w, void *to, size_t length)
{
	int64_t now, until, next;
	ssize_t n;

	set_blocking(w, false);
	n = read(w->fd, to, length);
	if (n >= 0 || errno != EAGAIN) {
		if (++w->streak >= BUSY_STREAK) {
			w->streak = 0;
			call_helper(&w->channel->turns);
		}
		return n;
	}
	w->streak = 0;
	w->alone = true;
	list_ahead(w);
	now = now_ns();
	until = now + SPIN_NS;
	do {
		next = now + SPIN_PAUSE_NS;
		while ((now = now_ns()) < next)
			;
		n = read(w->fd, to, length);
	} while (n < 0 && errno == EAGAIN && now < until);
	return n;
}

/* Who takes the lead from a worker that pushes has time until that is read. */
static ssize_t fresh_read(struct worker *w, void *to, size_t length)
{
	ssize_t n;

	set_blocking(w, false);
	n = read(w->fd, to, length);
	if (n < 0 && errno == EAGAIN) {
		hold(w);
		list_ahead(w);
	}
	return n;
}

static ssize_t lead_read(struct worker *w, void *to, size_t length)
{
	struct turns *t = &w->channel->turns;
	ssize_t n;

	w->alone = false;
	if (t->credit > 0 && !w->fresh) {
		n = spin_read(w, to, length);
		if (n >= 0 || errno != EAGAIN) {
			if (t->credit < CREDIT_MOST)
				t->credit++;
			return n;
		}
		t->credit -= CREDIT_FAILED;
	}
	if (w->fresh && list_is_expected(w->channel)) {
		w->fresh = false;
		n = fresh_read(w, to, length);
		if (n >= 0 || errno != EAGAIN)
			return n;
	}
	w->fresh = false;
	w->alone = false;
	catalog_let_go(w->catalog);
	set_blocking(w, true);
	n = read(w->fd, to, length);
	if (t->credit <= 0)
		t->credit++;
	return n;
}

static ssize_t help_read(struct worker *w, void *to, size_t length)
{
	ssize_t n;

	set_blocking(w, false);
	n = read(w->fd, to, length);
	if (n < 0)
		w->role = WORKER_STANDS_BY;
	return n;
}

ssize_t worker_read(int fd, void *to, size_t length, void *context)
{
	struct channel *c = context;
	struct worker *w = pthread_getspecific(c->mount->self);

	if (!w || w->fd < 0)
		return read(fd, to, length);
	return w->role == WORKER_HELPS ? help_read(w, to, length)
				       : lead_read(w, to, length);
}

/* An answer goes where its request came from. */
ssize_t worker_write(int fd, struct iovec *parts, int count, void *context)
{
	struct channel *c = context;
	struct worker *w = pthread_getspecific(c->mount->self);

	return writev(w && w->fd >= 0 ? w->fd : fd, parts, count);
}

/* ---- workers ---- */

static int clone_session(struct fuse_session *s)
{
	uint32_t master = (uint32_t)fuse_session_fd(s);
	int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);

	if (fd >= 0 && ioctl(fd, FUSE_DEV_IOC_CLONE, &master)) {
		close(fd);
		fd = -1;
	}
	return fd;
}

static void *work(void *context)
{
	struct worker *w = context;
	struct fuse_session *session = w->channel->session;
	uint64_t one = 1;

	pthread_setspecific(w->mount->self, w);
	while (!fuse_session_exited(session)) {
		if (w->role == WORKER_STANDS_BY && !take_turn(w))
			break;
		int n = fuse_session_receive_buf(session, &w->request);

		if (n == -EINTR || n == -EAGAIN)
			continue;
		if (n <= 0)
			break;
		hold(w);
		fuse_session_process_buf(session, &w->request);
	}
	fuse_session_exit(session);
	if (w->channel->is_main &&
	    write(w->mount->ended, &one, sizeof(one)) < 0)
		log_error("the mount's end: %s", strerror(errno));
	return NULL;
}

/* The next one; under the turns' lock. */
static int start_worker(struct channel *c)
{
	struct worker *w = &c->workers[c->turns.workers];
	int error = catalog_open_reader(c->mount->set, &w->catalog);

	if (error)
		return error;
	w->fd = clone_session(c->session);
	c->turns.workers++;
	w->started = !pthread_create(&w->thread, NULL, work, w);
	return w->started ? 0 : REEL_ENOMEM;
}

int workers_start(struct channel *c)
{
	int error = 0;

	pthread_mutex_lock(&c->turns.lock);
	while (!error && c->turns.workers < MOUNT_WORKERS)
		error = start_worker(c);
	pthread_mutex_unlock(&c->turns.lock);
	return error;
}

static void on_interrupt(fuse_req_t request, void *context)
{
	struct worker *w = context;

	(void)request;
	stop_set(&w->stop, 1);
}

int worker_waits(struct worker *w, fuse_req_t request)
{
	struct turns *t = &w->channel->turns;
	int error;

	if (!w->mount->set->medium->tape)
		return 0;
	pthread_mutex_lock(&t->lock);
	error = need_another(w->channel);
	if (!error)
		stop_set(&w->stop, 0);
	pthread_mutex_unlock(&t->lock);
	if (error)
		return error;
	worker_step_down(w);
	catalog_let_go(w->catalog);
	recall_heed(&w->stop);
	fuse_req_interrupt_func(request, on_interrupt, w);
	return 0;
}

void worker_tries(struct worker *w)
{
	if (w->mount->set->medium->tape)
		recall_heed(&recall_at_once);
}

void worker_waited(struct worker *w, fuse_req_t request)
{
	if (!w->mount->set->medium->tape)
		return;
	fuse_req_interrupt_func(request, NULL, NULL);
	recall_heed(NULL);
}

static void wake(struct channel *c, struct worker *w)
{
	pthread_mutex_lock(&c->turns.lock);
	stop_set(&w->stop, 1);
	pthread_cond_broadcast(&c->turns.free);
	pthread_mutex_unlock(&c->turns.lock);
	pthread_kill(w->thread, SIGUSR1);
}

/* Workers that sleep, in a read or standing by, are woken until they have
 * ended. */
void workers_stop(struct channel *c)
{
	struct timespec until;

	for (int n = 0; n < MOUNT_WORKERS_MOST; n++) {
		struct worker *w = &c->workers[n];

		for (int ms = 0; w->started && ms < LEAVE_MS; ms += 20) {
			wake(c, w);
			clock_gettime(CLOCK_REALTIME, &until);
			until.tv_nsec += 20000000;
			if (until.tv_nsec >= 1000000000) {
				until.tv_nsec -= 1000000000;
				until.tv_sec++;
			}
			if (!pthread_timedjoin_np(w->thread, NULL, &until))
				w->started = false;
		}
	}
}

void workers_release(struct channel *c)
{
	for (int n = 0; n < MOUNT_WORKERS_MOST; n++) {
		struct worker *w = &c->workers[n];

		if (w->fd >= 0)
			close(w->fd);
		catalog_close(w->catalog);
		content_row_release(&w->content);
		buffer_release(&w->reply);
		buffer_release(&w->listing.page);
		free(w->request.mem);
	}
	lister_release(&c->lister);
}
