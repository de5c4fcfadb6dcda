/* One FUSE session of a mount, from mounting to unmounting. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "fs/mount_state.h"
#include "tape/error.h"
#include "tape/log.h"

static int session_arguments(struct channel *c, struct fuse_args *args)
{
	const struct mount_options *o = c->mount->options;
	char *options = NULL;
	char name[4096];
	int bad;

	snprintf(name, sizeof(name), "fsname=%s", c->mount->set->path);
	bad = fuse_opt_add_arg(args, "reel") ||
	      (c->read_only && fuse_opt_add_opt(&options, "ro")) ||
	      fuse_opt_add_opt(&options, "default_permissions") ||
	      fuse_opt_add_opt(&options, "subtype=reel") ||
	      fuse_opt_add_opt_escaped(&options, name) ||
	      (o->allow_other && fuse_opt_add_opt(&options, "allow_other")) ||
	      (o->fuse_options &&
	       fuse_opt_add_opt(&options, o->fuse_options)) ||
	      fuse_opt_add_arg(args, "-o") || fuse_opt_add_arg(args, options);
	free(options);
	return bad ? REEL_ENOMEM : 0;
}

static int new_session(struct channel *c)
{
	struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
	int error = session_arguments(c, &args);

	if (!error) {
		c->session = fuse_session_new(&args, c->operations,
					      sizeof(*c->operations), c);
		error = c->session ? 0 : REEL_EINVAL;
	}
	fuse_opt_free_args(&args);
	return error;
}

/* The first request is INIT; answered before there are other threads. */
static int greet(struct channel *c)
{
	struct worker *w = &c->workers[0];
	int n = fuse_session_receive_buf(c->session, &w->request);

	if (n <= 0)
		return REEL_EIO;
	fuse_session_process_buf(c->session, &w->request);
	return 0;
}

int channel_open(struct channel *c)
{
	static const struct fuse_custom_io io = {.read = worker_read,
						 .writev = worker_write};
	int error;

	c->turns.credit = 1;
	lister_init(&c->lister);
	pthread_mutex_init(&c->turns.lock, NULL);
	pthread_cond_init(&c->turns.free, NULL);
	for (int n = 0; n < MOUNT_WORKERS_MOST; n++) {
		c->workers[n].mount = c->mount;
		c->workers[n].channel = c;
		c->workers[n].fd = -1;
	}
	error = new_session(c);
	if (error)
		return error;
	if (fuse_session_mount(c->session, c->place)) {
		log_error("%s: cannot be mounted on (is /dev/fuse there, and "
			  "fusermount3 for ordinary users?)",
			  c->place);
		fuse_session_destroy(c->session);
		c->session = NULL;
		return REEL_EIO;
	}
	fuse_session_custom_io(c->session, &io, fuse_session_fd(c->session));
	return greet(c);
}

void channel_stop(struct channel *c)
{
	if (!c->session)
		return;
	fuse_session_exit(c->session);
	fuse_session_unmount(c->session);
	workers_stop(c);
}

void channel_close(struct channel *c)
{
	if (c->session) {
		fuse_session_destroy(c->session);
		workers_release(c);
		pthread_cond_destroy(&c->turns.free);
		pthread_mutex_destroy(&c->turns.lock);
	}
	free(c->place);
}

void channel_show(const struct channel *c, struct stat *st)
{
	const struct mount_options *o = c->mount->options;

	if (o->set_uid)
		st->st_uid = o->uid;
	if (o->set_gid)
		st->st_gid = o->gid;
	st->st_mode &= ~o->umask;
}
