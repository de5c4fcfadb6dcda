/* Requests of the kernel, answered. Opening, closing and flushing are
 * answered with ENOSYS once: the kernel then does without them (zero-message
 * opens), since in a read-only mount they mean nothing. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include "fs/acl.h"
#include "fs/mount_state.h"
#include "fs/salvage.h"
#include "fs/virtual.h"
#include "tape/error.h"
#include "tape/log.h"
#include "tape/xattrs.h"

#define FOREVER	  (86400.0 * 3650)
#define READ_PINS 8 /* frames that one reply may point into */
#define SHORT_READ                                                             \
	(64 << 10) /* bytes; reading more is long: W2 in worker.c              \
		    */

static void refuse(fuse_req_t request, int error)
{
	fuse_reply_err(request, error_errno(error));
}

static void on_init(void *context, struct fuse_conn_info *conn)
{
	const unsigned wanted = FUSE_CAP_ASYNC_READ | FUSE_CAP_PARALLEL_DIROPS |
				FUSE_CAP_READDIRPLUS | FUSE_CAP_CACHE_SYMLINKS |
				FUSE_CAP_AUTO_INVAL_DATA |
				FUSE_CAP_NO_OPEN_SUPPORT |
				FUSE_CAP_NO_OPENDIR_SUPPORT;
	const struct channel *c = context;

	conn->want = wanted & conn->capable;
	if (c->mount->has_acls)
		conn->want |= FUSE_CAP_POSIX_ACL & conn->capable;
	conn->max_background = 64;
	conn->congestion_threshold = 48;
}

/* ---- names ---- */

static double life(const struct view_entry *e, bool fixed)
{
	return fixed ? FOREVER : e->told ? VIEW_TOLD_SECONDS : 0;
}

void fuse_entry_of(const struct channel *c, struct fuse_entry_param *p,
		   const struct view_entry *e)
{
	*p = (struct fuse_entry_param){
		.ino = e->id,
		.generation = 1,
		.attr = e->st,
		.attr_timeout = life(e, e->fixed_stat),
		.entry_timeout = life(e, e->fixed),
	};
	channel_show(c, &p->attr);
}

static void on_lookup(fuse_req_t request, fuse_ino_t parent, const char *name)
{
	struct worker *w = worker_of(request);
	struct fuse_entry_param p;
	struct view_entry e;
	int error = view_lookup(&w->mount->view, w->catalog, parent, name, &e);

	if (error == REEL_ENOENT && !(parent & VIEW_BIT) &&
	    (parent != VIEW_ROOT || w->mount->view.only)) {
		/* it will never be there */
		p = (struct fuse_entry_param){.entry_timeout = FOREVER};
		fuse_reply_entry(request, &p);
		return;
	}
	if (error) {
		refuse(request, error);
		return;
	}
	fuse_entry_of(w->channel, &p, &e);
	if (fuse_reply_entry(request, &p))
		view_forget(&w->mount->view, e.id, 1);
}

static void on_forget(fuse_req_t request, fuse_ino_t id, uint64_t times)
{
	view_forget(&worker_of(request)->mount->view, id, times);
	fuse_reply_none(request);
}

static void on_forget_multi(fuse_req_t request, size_t count,
			    struct fuse_forget_data *all)
{
	for (size_t n = 0; n < count; n++)
		view_forget(&worker_of(request)->mount->view, all[n].ino,
			    all[n].nlookup);
	fuse_reply_none(request);
}

static void on_getattr(fuse_req_t request, fuse_ino_t id,
		       struct fuse_file_info *file)
{
	struct worker *w = worker_of(request);
	struct view_entry e;
	int error = view_stat(&w->mount->view, w->catalog, id, &e);

	(void)file;
	if (error) {
		refuse(request, error);
		return;
	}
	channel_show(w->channel, &e.st);
	fuse_reply_attr(request, &e.st, life(&e, e.fixed_stat));
}

static void on_readlink(fuse_req_t request, fuse_ino_t id)
{
	struct worker *w = worker_of(request);
	int error;

	w->reply.length = 0;
	error = view_readlink(&w->mount->view, w->catalog, id, &w->reply);
	if (!error)
		error = buffer_append(&w->reply, "", 1);
	if (error)
		refuse(request, error);
	else
		fuse_reply_readlink(request, (char *)w->reply.data);
}

/* ---- directories ---- */

static void on_opendir(fuse_req_t request, fuse_ino_t id,
		       struct fuse_file_info *file)
{
	(void)id;
	(void)file;
	fuse_reply_err(request, ENOSYS);
}

/* ---- contents ---- */

static void on_open(fuse_req_t request, fuse_ino_t id,
		    struct fuse_file_info *file)
{
	(void)id;
	(void)file;
	fuse_reply_err(request, ENOSYS);
}

static void on_flush(fuse_req_t request, fuse_ino_t id,
		     struct fuse_file_info *file)
{
	(void)id;
	(void)file;
	fuse_reply_err(request, ENOSYS);
}

static int find_content(struct worker *w, uint64_t id)
{
	struct inode_row row;
	int error = view_is_file(id) ? tree_inode(w->catalog, id, &row)
				     : REEL_EINVAL;

	return error || !row.content
		       ? error
		       : tree_content(w->catalog, row.content, &w->content);
}

/* The content of a file into w->content; id 0: an empty file. */
static int load(struct worker *w, uint64_t id)
{
	uint32_t newest;
	int error;

	if (w->inode == id)
		return 0;
	w->inode = 0;
	content_row_release(&w->content);
	error = find_content(w, id);
	/* the catalogue may be another file since */
	if (error == REEL_ENOENT && !catalog_newest(w->catalog, &newest))
		error = find_content(w, id);
	if (error == REEL_ENOENT) {
		log_error("inode %llu: its content is not in the catalogue; "
			  "run `reel catalog rebuild %s`",
			  (unsigned long long)id, w->mount->set->path);
		error = REEL_EDAMAGED;
	}
	if (!error)
		w->inode = id;
	return error;
}

static void say_unread(struct worker *w, uint64_t id, int error)
{
	log_error("inode %llu (content of session %u, stream byte %llu): %s",
		  (unsigned long long)id, (unsigned)w->content.session,
		  (unsigned long long)w->content.offset, error_text(error));
}

/* What lies ready, if it is a cartridge's, is tried first, with no drive. */
static int begin(struct worker *w, fuse_req_t request, bool wait)
{
	if (wait)
		return worker_waits(w, request);
	worker_tries(w);
	return 0;
}

/* A dense content's bytes straight out of decoded frames. */
static int reply_frames(fuse_req_t request, struct worker *w, uint64_t offset,
			size_t length, bool wait)
{
	int error = begin(w, request, wait);
	struct recall *recall = w->mount->library->recall;
	struct recalled pins[READ_PINS];
	struct iovec parts[READ_PINS] = {{0}};
	const struct content_row *c = &w->content;
	uint64_t at = c->offset + offset;
	int count = 0;

	while (!error && length && count < READ_PINS) {
		error = recall_get(recall, c->session, at, &pins[count]);
		if (error)
			break;
		uint64_t into = at - pins[count].frame.stream;
		size_t n = (size_t)(pins[count].frame.length - into);

		if (n > length)
			n = length;
		parts[count].iov_base = (void *)(pins[count].data + into);
		parts[count].iov_len = n;
		count++;
		at += n;
		length -= n;
	}
	worker_waited(w, request);
	if (!error && length)
		error = REEL_ERANGE; /* many short frames */
	else if (!error)
		fuse_reply_iov(request, parts, count);
	while (count)
		recall_put(recall, &pins[--count]);
	return error;
}

static int reply_copied(fuse_req_t request, struct worker *w, uint64_t offset,
			size_t length, bool wait)
{
	int64_t n;
	int error;

	w->reply.length = 0;
	error = buffer_reserve(&w->reply, length);
	if (!error)
		error = begin(w, request, wait);
	if (error)
		return error;
	n = content_read(w->mount->library->recall, &w->content, offset,
			 w->reply.data, length);
	worker_waited(w, request);
	if (n < 0)
		return (int)n;
	fuse_reply_buf(request, (char *)w->reply.data, (size_t)n);
	return 0;
}

static int reply_content(fuse_req_t request, struct worker *w, uint64_t offset,
			 size_t length, bool wait)
{
	int error = w->content.sparse
			    ? REEL_ERANGE
			    : reply_frames(request, w, offset, length, wait);

	return error == REEL_ERANGE
		       ? reply_copied(request, w, offset, length, wait)
		       : error;
}

/* Of an uncompressed frame that fails most contents are as they should be. */
static int reply_salvaged(fuse_req_t request, struct worker *w, uint64_t offset,
			  size_t length)
{
	int error;

	worker_step_down(w);
	w->reply.length = 0;
	error = buffer_reserve(&w->reply, length);
	if (!error)
		error = salvage_bytes(w->mount->set, &w->content, offset,
				      w->reply.data, length);
	if (!error)
		fuse_reply_buf(request, (char *)w->reply.data, length);
	return error;
}

/* As much as was read, and a frame, will be read next. */
static void look_ahead(struct worker *w, uint64_t id, uint64_t end, size_t size)
{
	const struct content_row *c = &w->content;
	uint64_t until = end + size + FRAME_SIZE;

	if (until > c->size)
		until = c->size;
	if (w->mount->set->medium->tape)
		until = 0; /* its reader reads ahead */
	for (; end < until && !c->sparse; end += FRAME_SIZE)
		recall_ahead(w->mount->library->recall, c->session,
			     c->offset + end);
	if (c->size <= PUSH_LARGEST && w->mount->push)
		push_hint(w->mount->push, id);
}

static void on_read(fuse_req_t request, fuse_ino_t id, size_t size,
		    off_t offset, struct fuse_file_info *file)
{
	struct worker *w = worker_of(request);
	uint64_t from = (uint64_t)offset;
	int error = load(w, id);

	(void)file;
	if (error) {
		refuse(request, error);
		return;
	}
	if (from >= w->content.size) {
		fuse_reply_buf(request, NULL, 0);
		return;
	}
	if (size > w->content.size - from)
		size = (size_t)(w->content.size - from);
	if (size > SHORT_READ || !w->alone)
		worker_step_down(w);
	error = reply_content(request, w, from, size, false);
	if (error == REEL_ESTOPPED)
		error = reply_content(request, w, from, size, true);
	if (error == REEL_EDAMAGED)
		error = reply_salvaged(request, w, from, size);
	if (error) {
		if (error != REEL_ESTOPPED)
			say_unread(w, id, error);
		refuse(request, error);
		return;
	}
	look_ahead(w, id, from + size, size);
}

static void on_lseek(fuse_req_t request, fuse_ino_t id, off_t offset,
		     int whence, struct fuse_file_info *file)
{
	struct worker *w = worker_of(request);
	int error = load(w, id);
	int64_t at;

	(void)file;
	if (error) {
		refuse(request, error);
		return;
	}
	at = content_seek(&w->content, (uint64_t)offset, whence == SEEK_HOLE);
	if (at < 0)
		fuse_reply_err(request, ENXIO);
	else
		fuse_reply_lseek(request, at);
}

/* ---- extended attributes ---- */

/* The packed set of a node, appended; nothing when it has none. */
static int load_xattrs(struct worker *w, uint64_t id, struct buffer *out)
{
	struct view *v = &w->mount->view;
	uint64_t set = 0;
	int error = view_xattrs(v, w->catalog, id, &set);

	return error || !set ? error : tree_xattrs(w->catalog, set, out);
}

void reply_value(fuse_req_t request, const void *value, size_t length,
		 size_t size)
{
	if (!size)
		fuse_reply_xattr(request, length);
	else if (length > size)
		fuse_reply_err(request, ERANGE);
	else
		fuse_reply_buf(request, value, length);
}

/* Programs that hear that there are no ACLs ask less, and set none. */
static bool lacks_acls(const struct mount *m, const char *name)
{
	return !m->has_acls &&
	       (!strcmp(name, ACL_ACCESS) || !strcmp(name, ACL_DEFAULT));
}

static void on_getxattr(fuse_req_t request, fuse_ino_t id, const char *name,
			size_t size)
{
	struct worker *w = worker_of(request);
	struct buffer *b = &w->reply;
	struct xattr x;
	int error;

	b->length = 0;
	if (lacks_acls(w->mount, name)) {
		fuse_reply_err(request, EOPNOTSUPP);
		return;
	}
	if (id == VIEW_ROOT && w->mount->committer &&
	    !strcmp(name, MOUNT_STATUS)) {
		error = committer_status(w->mount->committer, b);
		x.value = b->data;
		x.value_length = (uint32_t)b->length;
	} else if (virtual_is(name)) {
		error = virtual_get(w->mount->set, w->catalog, id, name, b);
		x.value = b->data;
		x.value_length = (uint32_t)b->length;
	} else {
		error = w->mount->has_xattrs ? load_xattrs(w, id, b) : 0;
		if (!error) {
			int found = xattr_find(b->data, b->length, name,
					       strlen(name), &x);
			error = found == 1 ? 0 : found ? found : REEL_ENOENT;
		}
	}
	if (error == REEL_ENOENT)
		fuse_reply_err(request, ENODATA);
	else if (error)
		refuse(request, error);
	else
		reply_value(request, x.value, x.value_length, size);
}

static void on_listxattr(fuse_req_t request, fuse_ino_t id, size_t size)
{
	struct worker *w = worker_of(request);
	struct buffer packed = {0};
	struct buffer *names = &w->reply;
	struct xattr_cursor cursor;
	struct xattr x;
	int error, step = 0;

	names->length = 0;
	if (!w->mount->has_xattrs) {
		fuse_reply_err(request, ENOSYS);
		return;
	}
	error = load_xattrs(w, id, &packed);
	cursor = xattr_cursor(packed.data, packed.length);
	while (!error && (step = xattr_next(&cursor, &x)) == 1) {
		error = buffer_append(names, x.name, x.name_length);
		if (!error)
			error = buffer_append(names, "", 1);
	}
	buffer_release(&packed);
	if (error || step < 0)
		refuse(request, error ? error : step);
	else
		reply_value(request, names->data, names->length, size);
}

/* ---- the whole ---- */

static void on_statfs(fuse_req_t request, fuse_ino_t id)
{
	struct worker *w = worker_of(request);
	struct statvfs st;

	(void)id;
	if (fstatvfs(w->mount->set->volumes, &st)) {
		fuse_reply_err(request, errno);
		return;
	}
	st.f_namemax = TREE_NAME_LIMIT;
	fuse_reply_statfs(request, &st);
}

const struct fuse_lowlevel_ops mount_operations = {
	.init = on_init,
	.lookup = on_lookup,
	.forget = on_forget,
	.forget_multi = on_forget_multi,
	.getattr = on_getattr,
	.readlink = on_readlink,
	.open = on_open,
	.read = on_read,
	.flush = on_flush,
	.opendir = on_opendir,
	.readdir = list_names,
	.readdirplus = list_entries,
	.getxattr = on_getxattr,
	.listxattr = on_listxattr,
	.lseek = on_lseek,
	.statfs = on_statfs,
};
