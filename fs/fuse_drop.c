/* Requests of the kernel for restore/, answered by drop.h. Others change the
 * target, too: what the kernel remembers of it holds for LIFE seconds, of
 * shadows not at all. Cached bytes stay while nobody changed the file.
 *
 * FLUSH is answered for what may have been written: closing makes durable
 * what rules kept out. Locks are the kernel's. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include "fs/drop.h"
#include "fs/mount_state.h"
#include "fs/virtual.h"
#include "tape/error.h"

#define LIFE  1.0	  /* seconds */
#define LARGE (64u << 10) /* bytes; reading or writing more is long */

static struct drop *drop_of(fuse_req_t request)
{
	struct channel *c = fuse_req_userdata(request);

	return c->mount->drop;
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
				FUSE_CAP_HANDLE_KILLPRIV | FUSE_CAP_DONT_MASK |
				FUSE_CAP_ATOMIC_O_TRUNC |
				FUSE_CAP_AUTO_INVAL_DATA;

	(void)context;
	conn->want = wanted & conn->capable;
	conn->max_background = 64;
	conn->congestion_threshold = 48;
}

static struct drop_user user_of(fuse_req_t request)
{
	const struct fuse_ctx *c = fuse_req_ctx(request);

	return (struct drop_user){c->uid, c->gid, c->umask};
}

/* W2 in worker.c */
static void step_down(fuse_req_t request, fuse_ino_t id)
{
	struct worker *w = worker_of(request);

	if (!drop_is_short(w->mount->drop, id))
		worker_step_down(w);
}

/* ---- names ---- */

static void fill(fuse_req_t request, struct fuse_entry_param *p,
		 const struct drop_entry *e)
{
	*p = (struct fuse_entry_param){
		.ino = e->id,
		.generation = 1,
		.attr = e->st,
		.attr_timeout = e->settled ? LIFE : 0,
		.entry_timeout = e->settled ? LIFE : 0,
	};
	channel_show(fuse_req_userdata(request), &p->attr);
}

static void reply_entry(fuse_req_t request, int error,
			const struct drop_entry *e)
{
	struct fuse_entry_param p;

	if (error) {
		answer(request, error);
		return;
	}
	fill(request, &p, e);
	if (fuse_reply_entry(request, &p))
		drop_forget(drop_of(request), e->id, 1);
}

static void reply_attributes(fuse_req_t request, int error,
			     struct drop_entry *e)
{
	if (error) {
		answer(request, error);
		return;
	}
	channel_show(fuse_req_userdata(request), &e->st);
	fuse_reply_attr(request, &e->st, e->settled ? LIFE : 0);
}

static void on_lookup(fuse_req_t request, fuse_ino_t parent, const char *name)
{
	struct drop_entry e;
	bool hidden;
	int error = drop_lookup(drop_of(request), parent, name, &e, &hidden);

	if (error == REEL_ENOENT) {
		struct fuse_entry_param none = {.entry_timeout =
							hidden ? 0 : LIFE};

		fuse_reply_entry(request, &none);
		return;
	}
	reply_entry(request, error, &e);
}

static void on_forget(fuse_req_t request, fuse_ino_t id, uint64_t times)
{
	drop_forget(drop_of(request), id, times);
	fuse_reply_none(request);
}

static void on_forget_multi(fuse_req_t request, size_t count,
			    struct fuse_forget_data *all)
{
	for (size_t n = 0; n < count; n++)
		drop_forget(drop_of(request), all[n].ino, all[n].nlookup);
	fuse_reply_none(request);
}

static void make(fuse_req_t request, fuse_ino_t parent,
		 const struct drop_make *what)
{
	struct drop_user user = user_of(request);
	struct drop_entry e;
	int error;

	step_down(request, parent);
	error = drop_make(drop_of(request), parent, what, &user, &e, NULL);
	reply_entry(request, error, &e);
}

static void on_mknod(fuse_req_t request, fuse_ino_t parent, const char *name,
		     mode_t mode, dev_t rdev)
{
	struct drop_make what = {.name = name, .mode = mode, .rdev = rdev};

	make(request, parent, &what);
}

static void on_mkdir(fuse_req_t request, fuse_ino_t parent, const char *name,
		     mode_t mode)
{
	struct drop_make what = {.name = name, .mode = S_IFDIR | mode};

	make(request, parent, &what);
}

static void on_symlink(fuse_req_t request, const char *target,
		       fuse_ino_t parent, const char *name)
{
	struct drop_make what = {
		.name = name, .mode = S_IFLNK | 0777, .target = target};

	make(request, parent, &what);
}

static void on_link(fuse_req_t request, fuse_ino_t id, fuse_ino_t parent,
		    const char *name)
{
	struct drop_entry e;
	int error;

	step_down(request, id);
	error = drop_link(drop_of(request), id, parent, name, &e);
	reply_entry(request, error, &e);
}

static void on_unlink(fuse_req_t request, fuse_ino_t parent, const char *name)
{
	step_down(request, parent);
	answer(request, drop_unlink(drop_of(request), parent, name));
}

static void on_rmdir(fuse_req_t request, fuse_ino_t parent, const char *name)
{
	step_down(request, parent);
	answer(request, drop_rmdir(drop_of(request), parent, name));
}

static void on_rename(fuse_req_t request, fuse_ino_t parent, const char *name,
		      fuse_ino_t to, const char *new_name, unsigned flags)
{
	step_down(request, parent);
	answer(request, drop_rename(drop_of(request), parent, name, to,
				    new_name, flags));
}

/* ---- attributes ---- */

static void on_getattr(fuse_req_t request, fuse_ino_t id,
		       struct fuse_file_info *file)
{
	struct drop_entry e;
	int error = drop_stat(drop_of(request), id, &e);

	(void)file;
	reply_attributes(request, error, &e);
}

static const struct {
	int fuse;
	enum drop_change change;
} changes[] = {
	{FUSE_SET_ATTR_MODE, DROP_MODE},
	{FUSE_SET_ATTR_UID, DROP_UID},
	{FUSE_SET_ATTR_GID, DROP_GID},
	{FUSE_SET_ATTR_SIZE, DROP_SIZE},
	{FUSE_SET_ATTR_ATIME, DROP_ATIME},
	{FUSE_SET_ATTR_MTIME, DROP_MTIME},
	{FUSE_SET_ATTR_ATIME_NOW, DROP_ATIME_NOW},
	{FUSE_SET_ATTR_MTIME_NOW, DROP_MTIME_NOW},
};

static struct drop_file *file_of(const struct fuse_file_info *file)
{
	return (struct drop_file *)(uintptr_t)file->fh;
}

static void on_setattr(fuse_req_t request, fuse_ino_t id, struct stat *to,
		       int set, struct fuse_file_info *file)
{
	struct drop_user user = user_of(request);
	unsigned wanted = 0;
	struct drop_entry e;
	int error;

	for (size_t n = 0; n < sizeof(changes) / sizeof(changes[0]); n++)
		if (set & changes[n].fuse)
			wanted |= changes[n].change;
	step_down(request, id);
	error = drop_set(drop_of(request), id, file ? file_of(file) : NULL, to,
			 wanted, &user, &e);
	reply_attributes(request, error, &e);
}

static void on_readlink(fuse_req_t request, fuse_ino_t id)
{
	struct buffer *b = &worker_of(request)->reply;
	int error;

	b->length = 0;
	error = drop_readlink(drop_of(request), id, b);
	if (!error)
		error = buffer_append(b, "", 1);
	if (error)
		answer(request, error);
	else
		fuse_reply_readlink(request, (char *)b->data);
}

/* ---- extended attributes ---- */

static int get_virtual(struct worker *w, uint64_t id, const char *name,
		       struct buffer *out)
{
	struct mount *m = w->mount;
	int error;

	if (id == DROP_ROOT &&
	    !strncmp(name, DROP_STATUS, sizeof(DROP_STATUS) - 1)) {
		worker_step_down(w);
		return drop_status(m->drop, name, out);
	}
	error = drop_verdict(m->drop, id, name, out);
	if (error == REEL_ENODATA && id == DROP_ROOT) /* of the mount */
		error = virtual_get(m->set, w->catalog, VIEW_ROOT, name, out);
	return error == REEL_ENOENT ? REEL_ENODATA : error;
}

static void on_getxattr(fuse_req_t request, fuse_ino_t id, const char *name,
			size_t size)
{
	struct worker *w = worker_of(request);
	struct buffer *b = &w->reply;
	int error;

	b->length = 0;
	error = virtual_is(name) ? get_virtual(w, id, name, b)
				 : drop_xattr(w->mount->drop, id, name, b);
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
	error = drop_xattrs(drop_of(request), id, all, b);
	if (error)
		answer(request, error);
	else
		reply_value(request, b->data, b->length, size);
}

static void on_setxattr(fuse_req_t request, fuse_ino_t id, const char *name,
			const char *value, size_t size, int flags)
{
	if (virtual_is(name)) {
		fuse_reply_err(request, ENOTSUP);
		return;
	}
	worker_step_down(worker_of(request));
	answer(request,
	       drop_set_xattr(drop_of(request), id, name, value, size, flags));
}

static void on_removexattr(fuse_req_t request, fuse_ino_t id, const char *name)
{
	worker_step_down(worker_of(request));
	answer(request, drop_remove_xattr(drop_of(request), id, name));
}

/* ---- bytes ---- */

static void on_open(fuse_req_t request, fuse_ino_t id,
		    struct fuse_file_info *file)
{
	bool reads = (file->flags & (O_ACCMODE | O_TRUNC)) == O_RDONLY;
	struct drop_user user = user_of(request);
	struct drop *d = drop_of(request);
	struct drop_file *f;
	bool same;
	int error;

	worker_step_down(worker_of(request));
	error = drop_file_open(d, id, file->flags, &user, &f, &same);
	if (error) {
		answer(request, error);
		return;
	}
	file->fh = (uintptr_t)f;
	file->keep_cache = same;
	file->noflush = reads;
	if (fuse_reply_open(request, file))
		drop_file_close(d, f);
}

static void on_create(fuse_req_t request, fuse_ino_t parent, const char *name,
		      mode_t mode, struct fuse_file_info *file)
{
	struct drop_make what = {.name = name,
				 .mode = S_IFREG | (mode & 07777)};
	struct drop_user user = user_of(request);
	struct drop *d = drop_of(request);
	struct fuse_entry_param p;
	struct drop_entry e;
	struct drop_file *f;
	int error;

	step_down(request, parent);
	error = drop_make(d, parent, &what, &user, &e, &f);
	if (error) {
		answer(request, error);
		return;
	}
	file->fh = (uintptr_t)f;
	fill(request, &p, &e);
	if (fuse_reply_create(request, &p, file)) {
		drop_file_close(d, f);
		drop_forget(d, e.id, 1);
	}
}

static void on_release(fuse_req_t request, fuse_ino_t id,
		       struct fuse_file_info *file)
{
	(void)id;
	step_down(request, id);
	drop_file_close(drop_of(request), file_of(file));
	fuse_reply_err(request, 0);
}

static void on_flush(fuse_req_t request, fuse_ino_t id,
		     struct fuse_file_info *file)
{
	(void)id;
	step_down(request, id);
	answer(request, drop_flush(drop_of(request), file_of(file)));
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
	n = error ? error
		  : drop_read(w->mount->drop, file_of(file), (uint64_t)offset,
			      w->reply.data, size);
	if (n < 0)
		answer(request, (int)n);
	else
		fuse_reply_buf(request, (char *)w->reply.data, (size_t)n);
}

static void on_write(fuse_req_t request, fuse_ino_t id, const char *data,
		     size_t size, off_t offset, struct fuse_file_info *file)
{
	struct drop_user user = user_of(request);
	int64_t n;

	(void)id;
	step_down(request, id);
	n = drop_write(drop_of(request), file_of(file), (uint64_t)offset, data,
		       size, &user);
	if (n < 0)
		answer(request, (int)n);
	else
		fuse_reply_write(request, (size_t)n);
}

static void on_fallocate(fuse_req_t request, fuse_ino_t id, int mode,
			 off_t offset, off_t length,
			 struct fuse_file_info *file)
{
	struct drop_user user = user_of(request);

	(void)id;
	worker_step_down(worker_of(request));
	answer(request,
	       drop_allocate(drop_of(request), file_of(file), mode,
			     (uint64_t)offset, (uint64_t)length, &user));
}

static void on_lseek(fuse_req_t request, fuse_ino_t id, off_t offset,
		     int whence, struct fuse_file_info *file)
{
	int64_t at = drop_seek(drop_of(request), file_of(file),
			       (uint64_t)offset, whence);

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
	struct drop_user user = user_of(request);
	int64_t n;

	(void)from_id;
	(void)to_id;
	if (flags) {
		fuse_reply_err(request, EINVAL);
		return;
	}
	worker_step_down(worker_of(request));
	n = drop_copy_range(drop_of(request), file_of(from),
			    (uint64_t)from_offset, file_of(to),
			    (uint64_t)to_offset, length, &user);
	if (n < 0)
		answer(request, (int)n);
	else
		fuse_reply_write(request, (size_t)n);
}

static void on_fsync(fuse_req_t request, fuse_ino_t id, int data_only,
		     struct fuse_file_info *file)
{
	(void)id;
	worker_step_down(worker_of(request));
	answer(request, drop_sync(drop_of(request), file_of(file), data_only));
}

/* ---- directories ---- */

static void on_opendir(fuse_req_t request, fuse_ino_t id,
		       struct fuse_file_info *file)
{
	struct drop_list *l;
	int error = drop_list_open(drop_of(request), id, &l);

	if (error) {
		answer(request, error);
		return;
	}
	file->fh = (uintptr_t)l;
	if (fuse_reply_open(request, file))
		drop_list_close(l);
}

static int put_name(void *context, const char *name, const struct drop_entry *e,
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
	struct worker *w = worker_of(request);
	struct buffer *b = &w->reply;
	struct page p = {request, b, size, plus};
	int error;

	worker_step_down(w);
	b->length = 0;
	error = buffer_reserve(b, size);
	if (!error)
		error = drop_list_step(w->mount->drop,
				       (struct drop_list *)(uintptr_t)file->fh,
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
	drop_list_close((struct drop_list *)(uintptr_t)file->fh);
	fuse_reply_err(request, 0);
}

static void on_fsyncdir(fuse_req_t request, fuse_ino_t id, int data_only,
			struct fuse_file_info *file)
{
	(void)data_only;
	(void)file;
	worker_step_down(worker_of(request));
	answer(request, drop_sync_directory(drop_of(request), id));
}

/* ---- the whole ---- */

static void on_statfs(fuse_req_t request, fuse_ino_t id)
{
	struct statvfs st;
	int error = drop_statfs(drop_of(request), &st);

	(void)id;
	if (error)
		answer(request, error);
	else
		fuse_reply_statfs(request, &st);
}

const struct fuse_lowlevel_ops drop_operations = {
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
