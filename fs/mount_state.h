/* Inside the mount: what its two files that see FUSE share.
 *
 * Workers read requests each from a descriptor of its own (a clone of the
 * session's), with a catalogue connection of its own, and answer before they
 * read the next. A worker spins for a moment before it sleeps in the kernel,
 * as long as that pays: while requests come one after the other, waking up
 * costs as much as answering. One spins at a time. */
#ifndef REEL_FS_MOUNT_STATE_H
#define REEL_FS_MOUNT_STATE_H

#include <fuse_lowlevel.h>
#include <stdatomic.h>
#include "fs/content.h"
#include "fs/mount.h"
#include "fs/push.h"
#include "fs/view.h"

#define MOUNT_WORKERS 4

struct mount;

struct worker {
	struct mount *mount;
	pthread_t thread;
	bool started;
	int fd; /* own clone; -1: the session's */
	bool nonblocking;
	struct catalog *catalog;
	int64_t held_since; /* ns, monotonic */
	struct fuse_buf request;
	struct buffer reply;
	/* the file read last */
	uint64_t inode;
	struct content_row content;
};

struct mount {
	struct set *set;
	const struct mount_options *options;
	struct fuse_session *session;
	struct library *library;
	struct push *push;
	struct view view;
	bool has_xattrs, has_acls;
	bool answered;	    /* options->ready was told */
	pthread_key_t self; /* the thread's worker */
	struct worker workers[MOUNT_WORKERS];
	atomic_int spinning; /* workers that do */
	atomic_int credit;   /* whether spinning has paid lately */
	int ended;	     /* eventfd: a worker saw the end */
};

extern const struct fuse_lowlevel_ops mount_operations;

#endif
