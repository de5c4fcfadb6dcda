#include "fs/mount.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>
#include "fs/mount_state.h"
#include "tape/error.h"
#include "tape/log.h"

#define SPIN_NS	      60000 /* a worker spins so long before it sleeps */
#define SPIN_PAUSE_NS 1000  /* between looks: each takes the kernel's lock */
#define HOLD_NS	      100000000 /* of a view of the catalogue, under load */
#define CREDIT_MOST   16
#define CREDIT_FAILED 3
#define LEAVE_MS      2000 /* what workers get to end */

#ifndef FUSE_DEV_IOC_CLONE
#define FUSE_DEV_IOC_CLONE _IOR(229, 0, uint32_t)
#endif

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

/* A read that does not wait, again and again for a moment: bytes, or -1 with
 * EAGAIN when nothing came. */
static ssize_t spin_read(struct worker *w, void *to, size_t length)
{
	int64_t now = now_ns(), until = now + SPIN_NS, next;
	ssize_t n;

	set_blocking(w, false);
	while ((n = read(w->fd, to, length)) < 0 && errno == EAGAIN &&
	       now < until) {
		next = now + SPIN_PAUSE_NS;
		while ((now = now_ns()) < next)
			;
	}
	return n;
}

static ssize_t wait_read(struct worker *w, void *to, size_t length)
{
	struct mount *m = w->mount;
	ssize_t n = -1;

	if (atomic_load(&m->credit) > 0 &&
	    atomic_fetch_add(&m->spinning, 1) == 0) {
		n = spin_read(w, to, length);
		atomic_fetch_sub(&m->spinning, 1);
		if (n >= 0 || errno != EAGAIN) {
			if (atomic_load(&m->credit) < CREDIT_MOST)
				atomic_fetch_add(&m->credit, 1);
			return n;
		}
		atomic_fetch_sub(&m->credit, CREDIT_FAILED);
	} else if (atomic_load(&m->credit) > 0) {
		atomic_fetch_sub(&m->spinning, 1);
	}
	catalog_let_go(w->catalog);
	set_blocking(w, true);
	n = read(w->fd, to, length);
	if (atomic_load(&m->credit) <= 0)
		atomic_fetch_add(&m->credit, 1);
	return n;
}

static ssize_t session_read(int fd, void *to, size_t length, void *context)
{
	struct mount *m = context;
	struct worker *w = pthread_getspecific(m->self);

	return w && w->fd >= 0 ? wait_read(w, to, length)
			       : read(fd, to, length);
}

/* An answer goes where its request came from. */
static ssize_t session_write(int fd, struct iovec *parts, int count,
			     void *context)
{
	struct mount *m = context;
	struct worker *w = pthread_getspecific(m->self);

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

static void tell_ready(struct mount *m)
{
	if (m->answered)
		return;
	m->answered = true;
	if (m->options->ready >= 0 && write(m->options->ready, "", 1) != 1)
		log_note("nobody waits for the mount to answer");
}

/* One view of the catalogue for requests that come one after the other. */
static void hold(struct worker *w)
{
	int64_t now = now_ns();

	if (now - w->held_since > HOLD_NS) {
		catalog_let_go(w->catalog);
		w->held_since = now;
	}
	catalog_hold(w->catalog);
}

static void *work(void *context)
{
	struct worker *w = context;
	struct mount *m = w->mount;
	uint64_t one = 1;

	pthread_setspecific(m->self, w);
	while (!fuse_session_exited(m->session)) {
		int n = fuse_session_receive_buf(m->session, &w->request);

		if (n == -EINTR || n == -EAGAIN)
			continue;
		if (n <= 0)
			break;
		hold(w);
		fuse_session_process_buf(m->session, &w->request);
	}
	fuse_session_exit(m->session);
	if (write(m->ended, &one, sizeof(one)) < 0)
		log_error("the mount's end: %s", strerror(errno));
	return NULL;
}

/* The first request is INIT; answered before there are other threads. */
static int greet(struct mount *m)
{
	struct worker *w = &m->workers[0];
	int n = fuse_session_receive_buf(m->session, &w->request);

	if (n <= 0)
		return REEL_EIO;
	fuse_session_process_buf(m->session, &w->request);
	tell_ready(m);
	return 0;
}

static int start_workers(struct mount *m)
{
	for (int n = 0; n < MOUNT_WORKERS; n++) {
		struct worker *w = &m->workers[n];
		int error = catalog_open_reader(m->set, &w->catalog);

		if (error)
			return error;
		w->fd = clone_session(m->session);
		if (pthread_create(&w->thread, NULL, work, w))
			return REEL_ENOMEM;
		w->started = true;
	}
	return 0;
}

static void interrupt(int signal)
{
	(void)signal;
}

/* Workers that sleep in a read are woken until they have ended. */
static void stop_workers(struct mount *m)
{
	struct timespec until;

	for (int n = 0; n < MOUNT_WORKERS; n++) {
		struct worker *w = &m->workers[n];

		for (int ms = 0; w->started && ms < LEAVE_MS; ms += 20) {
			pthread_kill(w->thread, SIGUSR1);
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

static void release_workers(struct mount *m)
{
	for (int n = 0; n < MOUNT_WORKERS; n++) {
		struct worker *w = &m->workers[n];

		if (w->fd >= 0)
			close(w->fd);
		catalog_close(w->catalog);
		content_row_release(&w->content);
		buffer_release(&w->reply);
		free(w->request.mem);
	}
}

/* ---- waiting for the end ---- */

static int block_signals(int *fd)
{
	struct sigaction quiet = {.sa_handler = interrupt};
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	sigaction(SIGUSR1, &quiet, NULL);
	*fd = signalfd(-1, &set, SFD_CLOEXEC);
	return *fd < 0 ? REEL_EIO : 0;
}

static void wait_for_end(struct mount *m, int signals)
{
	struct pollfd p[2] = {{.fd = signals, .events = POLLIN},
			      {.fd = m->ended, .events = POLLIN}};

	while (poll(p, 2, -1) < 0 && errno == EINTR)
		;
}

/* ---- mounting ---- */

static int session_arguments(struct mount *m, struct fuse_args *args)
{
	char *options = NULL;
	char name[4096];
	int bad;

	snprintf(name, sizeof(name), "fsname=%s", m->set->path);
	bad = fuse_opt_add_arg(args, "reel") ||
	      fuse_opt_add_opt(&options, "ro") ||
	      fuse_opt_add_opt(&options, "default_permissions") ||
	      fuse_opt_add_opt(&options, "subtype=reel") ||
	      fuse_opt_add_opt_escaped(&options, name) ||
	      (m->options->allow_other &&
	       fuse_opt_add_opt(&options, "allow_other")) ||
	      (m->options->fuse_options &&
	       fuse_opt_add_opt(&options, m->options->fuse_options)) ||
	      fuse_opt_add_arg(args, "-o") || fuse_opt_add_arg(args, options);
	free(options);
	return bad ? REEL_ENOMEM : 0;
}

static int new_session(struct mount *m)
{
	static const struct fuse_custom_io io = {.read = session_read,
						 .writev = session_write};
	struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
	int error = session_arguments(m, &args);

	if (!error) {
		m->session = fuse_session_new(&args, &mount_operations,
					      sizeof(mount_operations), m);
		error = m->session ? 0 : REEL_EINVAL;
	}
	fuse_opt_free_args(&args);
	if (error)
		return error;
	if (fuse_session_mount(m->session, m->options->mountpoint)) {
		log_error("%s: cannot be mounted on (is /dev/fuse there, and "
			  "fusermount3 for ordinary users?)",
			  m->options->mountpoint);
		fuse_session_destroy(m->session);
		m->session = NULL;
		return REEL_EIO;
	}
	fuse_session_custom_io(m->session, &io, fuse_session_fd(m->session));
	return 0;
}

static int store(void *context, uint64_t id, const void *data, size_t length)
{
	struct mount *m = context;
	struct fuse_bufvec v = FUSE_BUFVEC_INIT(length);

	v.buf[0].mem = (void *)data;
	return fuse_lowlevel_notify_store(m->session, id, 0, &v, 0)
		       ? REEL_ENOENT
		       : 0;
}

static int find_snapshot(struct mount *m, uint32_t *session)
{
	struct catalog *c = NULL;
	int error = catalog_open_reader(m->set, &c);

	*session = 0;
	if (!error && m->options->snapshot)
		error = catalog_find_session(c, m->options->snapshot, session);
	if (error == REEL_ENOENT && c)
		log_error("%s: no snapshot is called %s; `reel snapshots %s` "
			  "lists them",
			  m->set->path, m->options->snapshot, m->set->path);
	if (!error)
		error = tree_has_xattrs(c, &m->has_xattrs, &m->has_acls);
	/* without -o snapshot later sessions may bring some */
	if (!error && !*session)
		m->has_xattrs = m->has_xattrs || !m->options->snapshot;
	catalog_close(c);
	return error;
}

static int serve(struct mount *m)
{
	int signals = -1;
	int error = block_signals(&signals);

	m->ended = eventfd(0, EFD_CLOEXEC);
	if (!error && m->ended < 0)
		error = REEL_EIO;
	if (!error)
		error = new_session(m);
	if (!error)
		error = push_new(m->set, m->library->recall, store, m,
				 &m->push);
	if (!error)
		error = greet(m);
	if (!error)
		error = start_workers(m);
	if (!error)
		wait_for_end(m, signals);
	if (m->push)
		push_stop(m->push);
	if (m->session) {
		fuse_session_exit(m->session);
		fuse_session_unmount(m->session);
		stop_workers(m);
	}
	push_free(m->push);
	if (m->session)
		fuse_session_destroy(m->session);
	if (signals >= 0)
		close(signals);
	if (m->ended >= 0)
		close(m->ended);
	return error;
}

int mount_run(struct set *set, const struct mount_options *o)
{
	struct mount *m = calloc(1, sizeof(*m));
	uint32_t only;
	int error;

	if (!m)
		return REEL_ENOMEM;
	m->set = set;
	m->options = o;
	m->ended = -1;
	atomic_store(&m->credit, 1);
	pthread_key_create(&m->self, NULL);
	for (int n = 0; n < MOUNT_WORKERS; n++) {
		m->workers[n].mount = m;
		m->workers[n].fd = -1;
	}
	error = find_snapshot(m, &only);
	if (!error)
		error = view_init(&m->view, set, only);
	if (!error)
		error = library_open(set, o->cache, &m->library);
	if (!error) {
		error = serve(m);
		release_workers(m);
	}
	library_close(m->library);
	if (m->view.set)
		view_release(&m->view);
	pthread_key_delete(m->self);
	free(m);
	return error;
}
