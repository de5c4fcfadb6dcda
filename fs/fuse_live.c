/* Requests of the kernel for current/, answered by the living tree. Nobody
 * but this kernel changes it, so what it remembers stays true for a while;
 * a new base shows within LIFE seconds. Bytes that the kernel has cached stay
 * true for good: another version has another node.
 *
 * Flushing is answered with ENOSYS once: closing means nothing, the last
 * close is told by RELEASE. Locks are the kernel's. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include "fs/live_virtual.h"
#include "fs/mount_state.h"
#include "tape/error.h"
#include "tape/log.h"

#define LIFE  1.0	  /* seconds */
#define LARGE (64u << 10) /* bytes; reading or writing more is long */

static struct live *live_of(fuse_req_t request)
{
	struct channel *c = fuse_req_userdata(request);

	return c->mount->live;
}

static void answer(fuse_req_t request, int error)
{
	fuse_reply_err(request, error_errno(error));
}

static void on_init(void *context, struct fuse_conn_info *conn)
{
	const unsigned wanted = FUSE_CAP_ASYNC_READ | FUSE_CAP_PARALLEL_DIROPS |
				FUSE_CAP_READDIRPLUS |
				FUSE_CAP_READDIRPLUS_AUTO | FUSE_CAP_POSIX_ACL |
				FUSE_CAP_HANDLE_KILLPRIV | FUSE_CAP_DONT_MASK;

	(void)context;
	conn->want = wanted & conn->capable;
	conn->max_background = 64;
	conn->congestion_threshold = 48;
}

static struct live_user user_of(fuse_req_t request)
{
	const struct fuse_ctx *c = fuse_req_ctx(request);

	return (struct live_user){c->uid, c->gid, c->umask};
}

/* ---- names ---- */

static void fill(fuse_req_t request, struct fuse_entry_param *p,
		 const struct live_entry *e)
{
	*p = (struct fuse_entry_param){
		.ino = e->id,
		.generation = 1,
		.attr = e->st,
		.attr_timeout = LIFE,
		.entry_timeout = LIFE,
	};
	channel_show(fuse_req_userdata(request), &p->attr);
}

static void reply_attributes(fuse_req_t request, int error,
			     struct live_entry *e)
{
	if (error) {
		answer(request, error);
		return;
	}
	channel_show(fuse_req_userdata(request), &e->st);
	fuse_reply_attr(request, &e->st, LIFE);
}

static void reply_entry(fuse_req_t request, int error,
			const struct live_entry *e)
{
	struct fuse_entry_param p;

	if (error) {
		answer(request, error);
		return;
	}
	fill(request, &p, e);
	fuse_reply_entry(request, &p);
}

static void on_lookup(fuse_req_t request, fuse_ino_t parent, const char *name)
{
	struct live_entry e;
	int error = live_lookup(live_of(request), parent, name, &e);

	if (error == REEL_ENOENT) {
		struct fuse_entry_param none = {.entry_timeout = LIFE};

		fuse_reply_entry(request, &none);
		return;
	}
	reply_entry(request, error, &e);
}

static void on_forget(fuse_req_t request, fuse_ino_t id, uint64_t times)
{
	(void)times;
	live_forget(live_of(request), id);
	fuse_reply_none(request);
}

static void on_forget_multi(fuse_req_t request, size_t count,
			    struct fuse_forget_data *all)
{
	for (size_t n = 0; n < count; n++)
		live_forget(live_of(request), all[n].ino);
	fuse_reply_none(request);
}

static void make(fuse_req_t request, fuse_ino_t parent,
		 const struct live_make *what)
{
	struct live_user user = user_of(request);
	struct live_entry e;
	int error = live_make(live_of(request), parent, what, &user, &e);

	reply_entry(request, error, &e);
}

static void on_mknod(fuse_req_t request, fuse_ino_t parent, const char *name,
		     mode_t mode, dev_t rdev)
{
	struct live_make what = {.name = name, .mode = mode, .rdev = rdev};

	make(request, parent, &what);
}

static void on_mkdir(fuse_req_t request, fuse_ino_t parent, const char *name,
		     mode_t mode)
{
	struct live_make what = {.name = name, .mode = S_IFDIR | mode};

	make(request, parent, &what);
}

static void on_symlink(fuse_req_t request, const char *target,
		       fuse_ino_t parent, const char *name)
{
	struct live_make what = {
		.name = name, .mode = S_IFLNK, .target = target};

	make(request, parent, &what);
}

static void on_link(fuse_req_t request, fuse_ino_t id, fuse_ino_t parent,
		    const char *name)
{
	struct live_entry e;
	int error = live_link(live_of(request), id, parent, name, &e);

	reply_entry(request, error, &e);
}

static void on_unlink(fuse_req_t request, fuse_ino_t parent, const char *name)
{
	answer(request, live_unlink(live_of(request), parent, name));
}

static void on_rmdir(fuse_req_t request, fuse_ino_t parent, const char *name)
{
	answer(request, live_rmdir(live_of(request), parent, name));
}

static void on_rename(fuse_req_t request, fuse_ino_t parent, const char *name,
		      fuse_ino_t to, const char *new_name, unsigned flags)
{
	answer(request, live_rename(live_of(request), parent, name, to,
				    new_name, flags));
}

/* ---- attributes ---- */

static void on_getattr(fuse_req_t request, fuse_ino_t id,
		       struct fuse_file_info *file)
{
	struct live_entry e;
	int error = live_stat(live_of(request), id, &e);

	(void)file;
	reply_attributes(request, error, &e);
}

static const struct {
	int fuse;
	enum live_change change;
} changes[] = {
	{FUSE_SET_ATTR_MODE, LIVE_MODE},
	{FUSE_SET_ATTR_UID, LIVE_UID},
	{FUSE_SET_ATTR_GID, LIVE_GID},
	{FUSE_SET_ATTR_SIZE, LIVE_SIZE},
	{FUSE_SET_ATTR_ATIME, LIVE_ATIME},
	{FUSE_SET_ATTR_MTIME, LIVE_MTIME},
	{FUSE_SET_ATTR_ATIME_NOW, LIVE_ATIME_NOW},
	{FUSE_SET_ATTR_MTIME_NOW, LIVE_MTIME_NOW},
};

static void on_setattr(fuse_req_t request, fuse_ino_t id, struct stat *to,
		       int set, struct fuse_file_info *file)
{
	struct live_user user = user_of(request);
	unsigned wanted = 0;
	struct live_entry e;
	int error;

	(void)file;
	for (size_t n = 0; n < sizeof(changes) / sizeof(changes[0]); n++)
		if (set & changes[n].fuse)
			wanted |= changes[n].change;
	if (wanted & LIVE_ATIME_NOW)
		wanted &= ~(unsigned)LIVE_ATIME;
	if (wanted & LIVE_MTIME_NOW)
		wanted &= ~(unsigned)LIVE_MTIME;
	if (wanted & LIVE_SIZE)
		worker_step_down(worker_of(request));
	error = live_set(live_of(request), id, to, wanted, &user, &e);
	reply_attributes(request, error, &e);
}

static void on_readlink(fuse_req_t request, fuse_ino_t id)
{
	struct buffer *b = &worker_of(request)->reply;
	int error;

	b->length = 0;
	error = live_readlink(live_of(request), id, b);
	if (!error)
		error = buffer_append(b, "", 1);
	if (error)
		answer(request, error);
	else
		fuse_reply_readlink(request, (char *)b->data);
}

/* ---- extended attributes ---- */

static int withdraw(fuse_req_t request, struct mount *m)
{
	const uid_t who = fuse_req_ctx(request)->uid;

	if (who && who != geteuid())
		return REEL_EPERM;
	committer_withdraw(m->committer);
	return 0;
}

static void on_getxattr(fuse_req_t request, fuse_ino_t id, const char *name,
			size_t size)
{
	struct worker *w = worker_of(request);
	struct mount *m = w->mount;
	const struct live_virtual v = {m->set, m->live, m->committer};
	struct buffer *b = &w->reply;
	int error;

	b->length = 0;
	error = id == LIVE_ROOT && !strcmp(name, MOUNT_WITHDRAW)
			? withdraw(request, m)
		: live_virtual_is(name)
			? live_virtual_get(&v, w->catalog, id, name, b)
			: live_xattr(m->live, id, name, b);
	if (error == REEL_ENOENT)
		error = REEL_ENODATA;
	if (error)
		answer(request, error);
	else
		reply_value(request, b->data, b->length, size);
}

static void on_listxattr(fuse_req_t request, fuse_ino_t id, size_t size)
{
	struct buffer *b = &worker_of(request)->reply;
	bool all = !fuse_req_ctx(request)->uid;
	int error;

	b->length = 0;
	error = live_xattrs(live_of(request), id, all, b);
	if (error)
		answer(request, error);
	else
		reply_value(request, b->data, b->length, size);
}

/* A commit that somebody waits for. */
struct commit_request {
	fuse_req_t request;
	struct worker *worker; /* where the answer goes out */
};

static void committed(void *context, int error)
{
	struct commit_request *r = context;
	pthread_key_t self = r->worker->mount->self;
	struct worker *present = pthread_getspecific(self);

	pthread_setspecific(self, r->worker);
	answer(r->request, error);
	pthread_setspecific(self, present);
	free(r);
}

/* Writing `user.reel.commit` on the root commits; its value is the label. The
 * answer comes when the commit has ended. An interrupt does not end it: the
 * kernel tells of one when who asked is merely stopped for a while. Asking for
 * `user.reel.withdraw` does (writing would wait for the other writer). */
static void ask_commit(fuse_req_t request, const char *value, size_t size)
{
	struct worker *w = worker_of(request);
	struct commit_request *r = malloc(sizeof(*r));
	char *label = strndup(value, size);
	int error = r && label ? 0 : REEL_ENOMEM;

	if (!error) {
		*r = (struct commit_request){request, w};
		error = committer_ask(w->mount->committer, label, committed, r);
	}
	free(label);
	if (error) {
		free(r);
		answer(request, error);
	}
}

static void on_setxattr(fuse_req_t request, fuse_ino_t id, const char *name,
			const char *value, size_t size, int flags)
{
	if (id == LIVE_ROOT && !strcmp(name, MOUNT_COMMIT))
		ask_commit(request, value, size);
	else if (live_virtual_is(name))
		fuse_reply_err(request, ENOTSUP);
	else
		answer(request, live_set_xattr(live_of(request), id, name,
					       value, size, flags));
}

static void on_removexattr(fuse_req_t request, fuse_ino_t id, const char *name)
{
	answer(request, live_remove_xattr(live_of(request), id, name));
}

/* ---- bytes ---- */

static struct live_file *file_of(const struct fuse_file_info *file)
{
	return (struct live_file *)(uintptr_t)file->fh;
}

static int open_file(fuse_req_t request, uint64_t id,
		     struct fuse_file_info *file)
{
	struct live_file *f;
	int error = live_file_open(live_of(request), id, &f);

	if (error)
		return error;
	file->fh = (uintptr_t)f;
	file->keep_cache = 1;
	file->noflush = 1;
	return 0;
}

static void on_open(fuse_req_t request, fuse_ino_t id,
		    struct fuse_file_info *file)
{
	int error = open_file(request, id, file);

	if (error)
		answer(request, error);
	else if (fuse_reply_open(request, file))
		live_file_close(live_of(request), file_of(file));
}

static void on_create(fuse_req_t request, fuse_ino_t parent, const char *name,
		      mode_t mode, struct fuse_file_info *file)
{
	struct live_make what = {.name = name, .mode = mode};
	struct live_user user = user_of(request);
	struct fuse_entry_param p;
	struct live_entry e;
	int error = live_make(live_of(request), parent, &what, &user, &e);

	if (!error)
		error = open_file(request, e.id, file);
	if (error) {
		answer(request, error);
		return;
	}
	fill(request, &p, &e);
	if (fuse_reply_create(request, &p, file))
		live_file_close(live_of(request), file_of(file));
}

static void on_release(fuse_req_t request, fuse_ino_t id,
		       struct fuse_file_info *file)
{
	(void)id;
	worker_step_down(worker_of(request));
	live_file_close(live_of(request), file_of(file));
	fuse_reply_err(request, 0);
}

static void on_flush(fuse_req_t request, fuse_ino_t id,
		     struct fuse_file_info *file)
{
	(void)id;
	(void)file;
	fuse_reply_err(request, ENOSYS);
}

static void on_read(fuse_req_t request, fuse_ino_t id, size_t size,
		    off_t offset, struct fuse_file_info *file)
{
	struct worker *w = worker_of(request);
	int64_t n;
	int error;

	(void)id;
	if (size > LARGE || !w->alone)
		worker_step_down(w);
	w->reply.length = 0;
	error = buffer_reserve(&w->reply, size);
	if (!error)
		error = worker_waits(w, request);
	n = error ? error
		  : live_read(w->mount->live, file_of(file), (uint64_t)offset,
			      w->reply.data, size);
	worker_waited(w, request);
	if (n < 0)
		answer(request, (int)n);
	else
		fuse_reply_buf(request, (char *)w->reply.data, (size_t)n);
}

static void on_write(fuse_req_t request, fuse_ino_t id, const char *data,
		     size_t size, off_t offset, struct fuse_file_info *file)
{
	struct live_user user = user_of(request);
	int error;

	(void)id;
	if (size > LARGE || worker_of(request)->mount->set->medium->tape)
		worker_step_down(worker_of(request));
	error = live_write(live_of(request), file_of(file), (uint64_t)offset,
			   data, size, &user);
	if (error)
		answer(request, error);
	else
		fuse_reply_write(request, size);
}

static void on_fallocate(fuse_req_t request, fuse_ino_t id, int mode,
			 off_t offset, off_t length,
			 struct fuse_file_info *file)
{
	(void)id;
	worker_step_down(worker_of(request));
	answer(request, live_allocate(live_of(request), file_of(file), mode,
				      (uint64_t)offset, (uint64_t)length));
}

static void on_lseek(fuse_req_t request, fuse_ino_t id, off_t offset,
		     int whence, struct fuse_file_info *file)
{
	int64_t at = live_seek(live_of(request), file_of(file),
			       (uint64_t)offset, whence == SEEK_HOLE);

	(void)id;
	if (at == REEL_ENOENT)
		fuse_reply_err(request, ENXIO);
	else if (at < 0)
		answer(request, (int)at);
	else
		fuse_reply_lseek(request, at);
}

static void on_copy(fuse_req_t request, fuse_ino_t from_id, off_t from_offset,
		    struct fuse_file_info *from, fuse_ino_t to_id,
		    off_t to_offset, struct fuse_file_info *to, size_t length,
		    int flags)
{
	int64_t n;

	(void)from_id;
	(void)to_id;
	if (flags) {
		fuse_reply_err(request, EINVAL);
		return;
	}
	worker_step_down(worker_of(request));
	n = live_copy(live_of(request), file_of(from), (uint64_t)from_offset,
		      file_of(to), (uint64_t)to_offset, length);
	if (n < 0)
		answer(request, (int)n);
	else
		fuse_reply_write(request, (size_t)n);
}

static void on_fsync(fuse_req_t request, fuse_ino_t id, int data_only,
		     struct fuse_file_info *file)
{
	(void)id;
	(void)data_only;
	worker_step_down(worker_of(request));
	answer(request, live_sync(live_of(request), file_of(file)));
}

/* ---- directories ---- */

static void on_opendir(fuse_req_t request, fuse_ino_t id,
		       struct fuse_file_info *file)
{
	struct live_list *d;
	int error = live_list_open(live_of(request), id, &d);

	if (error) {
		answer(request, error);
		return;
	}
	file->fh = (uintptr_t)d;
	if (fuse_reply_open(request, file))
		live_list_close(d);
}

static int put_name(void *context, const char *name, const struct live_entry *e,
		    uint64_t next)
{
	struct page *p = context;
	struct fuse_entry_param entry;

	fill(p->request, &entry, e);
	return page_put(p, name, &entry, next);
}

static void list(fuse_req_t request, size_t size, off_t offset,
		 struct fuse_file_info *file, bool plus)
{
	struct buffer *b = &worker_of(request)->reply;
	struct page p = {request, b, size, plus};
	int error;

	b->length = 0;
	error = buffer_reserve(b, size);
	if (!error)
		error = live_list_step(live_of(request),
				       (struct live_list *)(uintptr_t)file->fh,
				       (uint64_t)offset, plus, put_name, &p);
	if (error < 0)
		answer(request, error);
	else
		fuse_reply_buf(request, (char *)b->data, b->length);
}

static void on_readdir(fuse_req_t request, fuse_ino_t id, size_t size,
		       off_t offset, struct fuse_file_info *file)
{
	(void)id;
	list(request, size, offset, file, false);
}

static void on_readdirplus(fuse_req_t request, fuse_ino_t id, size_t size,
			   off_t offset, struct fuse_file_info *file)
{
	(void)id;
	list(request, size, offset, file, true);
}

static void on_releasedir(fuse_req_t request, fuse_ino_t id,
			  struct fuse_file_info *file)
{
	(void)id;
	live_list_close((struct live_list *)(uintptr_t)file->fh);
	fuse_reply_err(request, 0);
}

static void on_fsyncdir(fuse_req_t request, fuse_ino_t id, int data_only,
			struct fuse_file_info *file)
{
	(void)id;
	(void)data_only;
	(void)file;
	worker_step_down(worker_of(request));
	answer(request, live_sync_directory(live_of(request), id));
}

/* ---- the whole ---- */

/* What can still be written: to the spool, and to the volumes. */
static void on_statfs(fuse_req_t request, fuse_ino_t id)
{
	struct mount *m = worker_of(request)->mount;
	struct statvfs spool, volumes;

	(void)id;
	if (live_statfs(m->live, &spool) ||
	    fstatvfs(m->set->volumes, &volumes)) {
		fuse_reply_err(request, errno);
		return;
	}
	if (volumes.f_bavail * volumes.f_frsize <
	    spool.f_bavail * spool.f_frsize)
		spool = volumes;
	spool.f_namemax = TREE_NAME_LIMIT;
	fuse_reply_statfs(request, &spool);
}

const struct fuse_lowlevel_ops live_operations = {
	.init = on_init,
	.lookup = on_lookup,
	.forget = on_forget,
	.forget_multi = on_forget_multi,
	.mknod = on_mknod,
	.mkdir = on_mkdir,
	.symlink = on_symlink,
	.link = on_link,
	.unlink = on_unlink,
	.rmdir = on_rmdir,
	.rename = on_rename,
	.getattr = on_getattr,
	.setattr = on_setattr,
	.readlink = on_readlink,
	.getxattr = on_getxattr,
	.listxattr = on_listxattr,
	.setxattr = on_setxattr,
	.removexattr = on_removexattr,
	.open = on_open,
	.create = on_create,
	.release = on_release,
	.flush = on_flush,
	.read = on_read,
	.write = on_write,
	.fallocate = on_fallocate,
	.lseek = on_lseek,
	.copy_file_range = on_copy,
	.fsync = on_fsync,
	.opendir = on_opendir,
	.readdir = on_readdir,
	.readdirplus = on_readdirplus,
	.releasedir = on_releasedir,
	.fsyncdir = on_fsyncdir,
	.statfs = on_statfs,
};
