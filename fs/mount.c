#include "fs/mount.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include "catalog/follow.h"
#include "catalog/rules_file.h"
#include "fs/mount_state.h"
#include "tape/error.h"
#include "tape/log.h"

#define READ_AHEAD_KIB 1024
#define LOOK_AGAIN     10 /* ms */

static void tell_ready(struct mount *m)
{
	if (m->options->ready >= 0 && write(m->options->ready, "", 1) != 1)
		log_note("nobody waits for the mount to answer");
}

/* ---- waiting for the end ---- */

static void interrupt(int signal)
{
	(void)signal;
}

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

/* ---- new sessions ---- */

/* Watches for writes to the set's catalogue. Where that cannot be had (no
 * inotify, a set on a network) a new session is seen when what is `told`
 * (view.h) is asked for again. */
static int watch(struct mount *m)
{
	int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);

	if (fd >= 0)
		inotify_add_watch(fd, m->set->path, IN_MODIFY | IN_MOVED_TO);
	return fd;
}

/* Called from a thread that serves no requests: the kernel may wait for an
 * answer about the directory before it forgets the name. Workers let go of
 * their views first, so that who asks again is answered anew. */
static bool tell_news(struct mount *m, struct catalog *c, struct follow *f)
{
	uint32_t now;

	if (catalog_newest(c, &now) || now == f->at)
		return false;
	if (m->live)
		live_follow(m->live);
	atomic_fetch_add(&m->news, 1);
	if (m->main.session) {
		struct fuse_session *s = m->main.session;

		fuse_lowlevel_notify_inval_entry(s, VIEW_SNAPSHOTS, "latest",
						 strlen("latest"));
		fuse_lowlevel_notify_inval_inode(s, VIEW_SNAPSHOTS, -1, 0);
		fuse_lowlevel_notify_inval_inode(s, VIEW_ROOT, -1, 0);
	}
	follow_to(f, now);
	return true;
}

/* The catalogue is written to before its readers see it: what brought no news
 * is looked at again, after so many milliseconds. */
static int watch_news(struct mount *m, int watched, struct catalog *c,
		      struct follow *f)
{
	_Alignas(struct inotify_event) char drained[4096];
	bool written = false;

	while (read(watched, drained, sizeof(drained)) > 0)
		written = true;
	return !tell_news(m, c, f) && written ? LOOK_AGAIN : -1;
}

static int wait_for_end(struct mount *m, int signals)
{
	const int wait = m->live || m->drop ? LIVE_FLUSH * 1000 : -1;
	struct pollfd p[] = {{.fd = signals, .events = POLLIN},
			     {.fd = m->ended, .events = POLLIN},
			     {.fd = watch(m), .events = POLLIN}};
	struct catalog *c = NULL;
	struct follow f = {.fd = -1};
	uint32_t newest;
	int again = -1, error = catalog_open_reader(m->set, &c);

	if (!error)
		error = catalog_newest(c, &newest);
	if (!error)
		follow_begin(&f, m->set, newest);
	while (!error && !p[0].revents && !p[1].revents) {
		if (poll(p, 3, again < 0 ? wait : again) > 0 || again > 0)
			again = watch_news(m, p[2].fd, c, &f);
		if (m->live)
			live_tend(m->live);
		if (m->drop)
			drop_tend(m->drop);
	}
	follow_end(&f);
	catalog_close(c);
	if (p[2].fd >= 0)
		close(p[2].fd);
	return error;
}

/* ---- mounting ---- */

static int store(void *context, uint64_t id, const void *data, size_t length)
{
	struct mount *m = context;
	struct worker *w = pthread_getspecific(m->self);
	struct fuse_bufvec v = FUSE_BUFVEC_INIT(length);

	if (w)
		worker_step_down(w); /* H1 in push.h */
	v.buf[0].mem = (void *)data;
	return fuse_lowlevel_notify_store(m->main.session, id, 0, &v, 0)
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
	catalog_close(c);
	return error;
}

/* The kernel reads 128 KiB ahead of who reads on and on; root may have it read
 * as much as one request brings. Nothing is lost where that cannot be. */
static void read_further_ahead(const struct mount *m)
{
	char path[64], text[16];
	struct stat st;
	int fd;

	if (stat(m->options->mountpoint, &st))
		return;
	snprintf(path, sizeof(path), "/sys/class/bdi/%u:%u/read_ahead_kb",
		 major(st.st_dev), minor(st.st_dev));
	snprintf(text, sizeof(text), "%d", READ_AHEAD_KIB);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	if (write(fd, text, strlen(text)) < 0)
		log_note("%s: %s", path, strerror(errno));
	close(fd);
}

/* The channel of current/ or restore/. An ordinary user's fusermount3 may not
 * look into a mount, so that it cannot mount within one: see open_live. */
static int open_within(struct mount *m, struct channel *c, const char *name,
		       bool alone)
{
	int error;

	c->is_main = alone;
	if (asprintf(&c->place, "%s%s", m->options->mountpoint,
		     alone ? "" : name) < 0) {
		c->place = NULL;
		return REEL_ENOMEM;
	}
	error = channel_open(c);
	return error ? error : workers_start(c);
}

static int open_current(struct mount *m)
{
	int error = open_within(m, &m->current, "/current", m->options->alone);

	if (!error)
		error = committer_new(m->set, m->live, m->options,
				      &m->committer);
	return error;
}

static int open_main(struct mount *m)
{
	struct channel *c = &m->main;
	int error;

	c->place = strdup(m->options->mountpoint);
	if (!c->place)
		return REEL_ENOMEM;
	c->read_only = c->is_main = true;
	error = channel_open(c);
	if (!error)
		error = push_new(m->set, m->library->recall, store, m,
				 &m->push);
	if (!error)
		error = workers_start(c);
	if (!error)
		read_further_ahead(m);
	return error;
}

static int serve(struct mount *m)
{
	int signals = -1;
	int error = block_signals(&signals);

	m->ended = eventfd(0, EFD_CLOEXEC);
	if (!error && m->ended < 0)
		error = REEL_EIO;
	if (!error && !m->options->alone && !m->options->restore_alone)
		error = open_main(m);
	if (!error && m->live)
		error = open_current(m);
	if (!error && m->drop)
		error = open_within(m, &m->restore, "/restore",
				    m->options->restore_alone);
	if (!error) {
		tell_ready(m);
		error = wait_for_end(m, signals);
	}
	channel_stop(&m->restore);
	committer_stop(m->committer);
	channel_stop(&m->current);
	if (m->push)
		push_stop(m->push);
	channel_stop(&m->main);
	push_free(m->push);
	channel_close(&m->restore);
	channel_close(&m->current);
	channel_close(&m->main);
	committer_free(m->committer);
	if (signals >= 0)
		close(signals);
	if (m->ended >= 0)
		close(m->ended);
	return error;
}

/* The mount comes up; what is wrong was said. */
static void check_rules(struct mount *m)
{
	struct rules rules = {0};

	if (rules_file_load(m->set, NULL, &rules))
		log_warning("%s/rules: commits wait until it is mended",
			    m->set->path);
	rules_release(&rules);
}

/* current/ can be written to unless that is not wanted or cannot be: the
 * reason is said then. */
static int open_live(struct mount *m)
{
	int error;

	if (((m->options->read_only || m->view.only) && !m->options->alone) ||
	    m->options->restore_alone)
		return 0;
	if (m->set->read_only && !m->options->alone) {
		log_note("%s cannot be written: current/ is read-only",
			 m->set->path);
		return 0;
	}
	if (geteuid() && !m->options->alone) {
		log_note("current/ is read-only: only root mounts within a "
			 "mount; -o current shows it alone, to be written to");
		return 0;
	}
	check_rules(m);
	error = live_open(m->set, m->library, m->options->mountpoint, &m->live);
	if ((error == REEL_ELOCKED || error == REEL_EROFS ||
	     error == REEL_ENOSPC) &&
	    !m->options->alone) {
		log_note("current/ is read-only");
		return 0;
	}
	m->view.writable = !error;
	return error;
}

/* Before anything is mounted, so that restore/ does not contain itself. */
static int open_drop(struct mount *m)
{
	const struct mount_options *o = m->options;
	const struct drop_options options = {
		.target = o->restore,
		.filesystems = o->restore_filesystems,
		.filesystem_count = o->restore_filesystem_count,
		.mountpoint = o->mountpoint,
		.strict = o->restore_strict,
	};
	int error;

	if (!o->restore)
		return 0;
	if (geteuid() && !o->restore_alone) {
		log_error("only root mounts within a mount; -o restore-only "
			  "shows restore/ alone, to ordinary users, too");
		return REEL_EINVAL;
	}
	error = drop_open(m->set, m->library, &options, &m->drop);
	m->view.restores = !error;
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
	m->main.mount = m->current.mount = m->restore.mount = m;
	m->main.operations = &mount_operations;
	m->current.operations = &live_operations;
	m->restore.operations = &drop_operations;
	pthread_key_create(&m->self, NULL);
	error = find_snapshot(m, &only);
	if (!error)
		error = view_init(&m->view, set, only);
	if (!error)
		error = library_open(set, o->cache, &m->library);
	if (!error)
		error = open_live(m);
	if (!error)
		error = open_drop(m);
	if (!error)
		error = serve(m);
	drop_close(m->drop);
	live_close(m->live);
	library_close(m->library);
	if (m->view.set)
		view_release(&m->view);
	pthread_key_delete(m->self);
	free(m);
	return error;
}
