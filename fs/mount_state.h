/* Inside the mount: what its files that see FUSE share.
 *
 * A mount is up to three FUSE sessions, each a channel: the views, read-only,
 * on their current/ the living tree, on their restore/ the target. Workers read
 * requests each from a descriptor of its own (a clone of the session's), with a
 * catalogue connection of its own. */
#ifndef REEL_FS_MOUNT_STATE_H
#define REEL_FS_MOUNT_STATE_H

#include <fuse_lowlevel.h>
#include <stdatomic.h>
#include "fs/committer.h"
#include "fs/content.h"
#include "fs/drop.h"
#include "fs/forecast.h"
#include "fs/live.h"
#include "fs/mount.h"
#include "fs/push.h"
#include "fs/view.h"

#define MOUNT_WORKERS	   4
#define MOUNT_WORKERS_MOST 64 /* where reading waits for cartridges */

struct mount;
struct channel;

enum worker_role { WORKER_STANDS_BY, WORKER_LEADS, WORKER_HELPS };

#define LISTING_BELOW 512

/* A page of a directory, as the kernel gets it. */
struct listing {
	uint64_t id; /* 0: none */
	size_t size; /* that the kernel has room for */
	struct buffer page;
	uint64_t last; /* offset behind its last name */
	bool whole;    /* no name comes after it */
	unsigned below_count;
	uint64_t below[LISTING_BELOW]; /* directories on it */
	struct push_list small;	       /* on it and the pages before it */
};

/* The leader's (W1 in worker.c), whichever worker that is: one walk's requests
 * go to several. */
struct lister {
	struct forecast forecast;
	struct listing pages[2], *asked, *ahead;
	size_t size; /* of the last page of a walk */
};

struct worker {
	struct mount *mount;
	struct channel *channel;
	pthread_t thread;
	bool started;
	int fd; /* own clone; -1: the session's */
	bool nonblocking;
	enum worker_role role;
	bool fresh;	 /* leads, and has not waited yet */
	unsigned streak; /* requests that had waited for it */
	bool alone;	 /* it waited for this request, spinning */
	struct catalog *catalog;
	int64_t held_since; /* ns, monotonic */
	unsigned news;	    /* the mount's, when it was last held */
	struct fuse_buf request;
	struct buffer reply;
	struct listing listing; /* where it does not lead */
	/* the file read last */
	uint64_t inode;
	struct content_row content;
	volatile int stop; /* what it waits for is given up */
};

/* Who reads the next request (worker.c). */
struct turns {
	pthread_mutex_t lock; /* of the first four */
	unsigned workers;     /* that were started */
	bool led;
	unsigned standing_by;
	unsigned helpers; /* called and not come yet */
	pthread_cond_t free;
	int credit; /* the leader's: whether spinning has paid lately */
};

struct channel {
	struct mount *mount;
	const struct fuse_lowlevel_ops *operations;
	char *place; /* where it is mounted; heap */
	bool read_only;
	bool is_main; /* its end is the mount's */
	struct fuse_session *session;
	struct worker workers[MOUNT_WORKERS_MOST];
	struct turns turns;
	struct lister lister;
};

struct mount {
	struct set *set;
	const struct mount_options *options;
	struct library *library;
	struct push *push;
	struct view view;
	struct live *live; /* NULL: current/ is read-only */
	struct drop *drop; /* NULL: there is no restore/ */
	struct committer *committer;
	bool has_xattrs, has_acls;
	pthread_key_t self; /* the thread's worker */
	struct channel main, current, restore;
	int ended;	  /* eventfd: a worker saw the end */
	atomic_uint news; /* new sessions since mounting */
};

static inline struct worker *worker_of(fuse_req_t request)
{
	struct channel *c = fuse_req_userdata(request);

	return pthread_getspecific(c->mount->self);
}

/* Mounts the channel's session and answers its first request. */
int channel_open(struct channel *c);
/* Unmounts, and waits for the workers. Accepts one that was not opened. */
void channel_stop(struct channel *c);
void channel_close(struct channel *c);

int workers_start(struct channel *c);
void workers_stop(struct channel *c);
void workers_release(struct channel *c);
/* Due before a request that may take long: another worker reads the next. */
void worker_step_down(struct worker *w);
/* Before a request that may wait for a cartridge (W5); until worker_waited,
 * which is due before the answer, an interrupt or the mount's end stops it.
 * REEL_EBUSY: too many wait. Nothing to do on other media. */
int worker_waits(struct worker *w, fuse_req_t request);
/* Before one that must not wait: what needs a drive is REEL_ESTOPPED. */
void worker_tries(struct worker *w);
void worker_waited(struct worker *w, fuse_req_t request);
/* The session's input and output; for struct fuse_custom_io. */
ssize_t worker_read(int fd, void *to, size_t length, void *context);
ssize_t worker_write(int fd, struct iovec *parts, int count, void *context);

extern const struct fuse_lowlevel_ops mount_operations; /* fuse_ops.c */
extern const struct fuse_lowlevel_ops live_operations;	/* fuse_live.c */
extern const struct fuse_lowlevel_ops drop_operations;	/* fuse_drop.c */

/* What -o uid, gid and umask make of a stat. */
void channel_show(const struct channel *c, struct stat *st);
void fuse_entry_of(const struct channel *c, struct fuse_entry_param *p,
		   const struct view_entry *e);

/* fuse_list.c */
void lister_init(struct lister *l);
void lister_release(struct lister *l);
void list_names(fuse_req_t request, fuse_ino_t id, size_t size, off_t offset,
		struct fuse_file_info *file);
void list_entries(fuse_req_t request, fuse_ino_t id, size_t size, off_t offset,
		  struct fuse_file_info *file);
/* The leader's, when nothing is asked: lists what will be asked for next. */
void list_ahead(struct worker *w);
bool list_is_expected(const struct channel *c); /* list_ahead has work */

/* A page of a listing that is filled. */
struct page {
	fuse_req_t request;
	struct buffer *to; /* has `room` bytes */
	size_t room;
	bool plus;
};
/* Another name; behind it the listing goes on at `next`. 1: it has no room. */
int page_put(struct page *p, const char *name, const struct fuse_entry_param *e,
	     uint64_t next);

/* The kernel's answer to a value of `length` bytes that `size` are asked of. */
void reply_value(fuse_req_t request, const void *value, size_t length,
		 size_t size);

#endif
