#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include "fs/commit_state.h"
#include "tape/error.h"
#include "tape/text.h"

/* ---- nodes of the frozen tree ---- */

static int directory_of_base(struct commit_walk *w, uint64_t id,
			     struct spool_node *out)
{
	uint64_t node = id == LIVE_ROOT
				? TREE_ROOT
				: id & ((UINT64_C(1) << TREE_ID_BITS) - 1);
	struct entry_row e;
	int error = w->frozen->base ? tree_directory(w->catalog,
						     w->frozen->base, node, &e)
				    : REEL_ENOENT;

	if (error == REEL_ENOENT && id == LIVE_ROOT) {
		*out = (struct spool_node){.id = id,
					   .base = TREE_ROOT,
					   .mode = S_IFDIR | 0755,
					   .nlink = 2};
		return 0;
	}
	if (error)
		return error;
	uint64_t xattrs = e.inode.xattrs;

	error = live_fill(out, id, &e.inode, node,
			  e.parent == TREE_ROOT ? LIVE_ROOT
						: LIVE_DIR | e.parent);
	if (!error && xattrs)
		error = tree_xattrs(w->catalog, xattrs, &out->xattrs);
	return error;
}

int commit_node(struct commit_walk *w, uint64_t id, struct spool_node *out)
{
	struct inode_row i;
	int error = spool_get(w->frozen->view, id, out);

	if (error != REEL_ENOENT || id & LIVE_NEW)
		return error;
	if (id == LIVE_ROOT || id & LIVE_DIR)
		return directory_of_base(w, id, out);
	error = tree_inode(w->catalog, id, &i);
	if (error)
		return error;
	error = live_fill(out, id, &i, i.id, 0);
	if (!error && i.xattrs)
		error = tree_xattrs(w->catalog, i.xattrs, &out->xattrs);
	return error;
}

/* ---- items ---- */

static struct statx_timestamp as_time(int64_t ns)
{
	struct statx_timestamp t = {.tv_sec = ns / 1000000000};
	int64_t rest = ns % 1000000000;

	if (rest < 0) {
		rest += 1000000000;
		t.tv_sec--;
	}
	t.tv_nsec = (uint32_t)rest;
	return t;
}

static void fill_stat(struct statx *st, const struct spool_node *n)
{
	*st = (struct statx){
		.stx_mode = (uint16_t)n->mode,
		.stx_uid = n->uid,
		.stx_gid = n->gid,
		.stx_nlink = (uint32_t)n->nlink,
		.stx_ino = n->inode,
		.stx_size = n->size,
		.stx_blocks = n->blocks,
		.stx_mtime = as_time(n->mtime),
		.stx_atime = as_time(n->atime),
		.stx_ctime = as_time(n->ctime),
		.stx_rdev_major = n->major,
		.stx_rdev_minor = n->minor,
	};
	if (n->flags & INODE_IMMUTABLE)
		st->stx_attributes |= STATX_ATTR_IMMUTABLE;
	if (n->flags & INODE_APPEND)
		st->stx_attributes |= STATX_ATTR_APPEND;
	if (n->flags & INODE_NODUMP)
		st->stx_attributes |= STATX_ATTR_NODUMP;
}

static int fill_target(struct item *i, const struct spool_node *n)
{
	i->data = malloc(n->target.length + 1);
	if (!i->data)
		return REEL_ENOMEM;
	if (n->target.length)
		memcpy(i->data, n->target.data, n->target.length);
	i->length = n->target.length;
	return 0;
}

int commit_fill(struct item *i, struct spool_node *n)
{
	fill_stat(&i->st, n);
	i->living = true;
	i->live = n->id;
	i->xattrs = n->xattrs;
	n->xattrs = (struct buffer){0};
	if (S_ISLNK(n->mode))
		return fill_target(i, n);
	i->file = n->file;
	if (!S_ISREG(n->mode) || !n->size)
		return 0;
	i->content = n->file ? 0 : n->content;
	return i->file || i->content ? 0 : REEL_EIO;
}

/* ---- folders ---- */

int commit_old_folder(struct commit_walk *w, struct item *i)
{
	struct folder *f = i->folder;
	struct entry_row e;
	int error = REEL_ENOENT;

	if (!w->newest)
		return 0;
	if (!f->parent)
		error = tree_directory(w->catalog, w->newest, TREE_ROOT, &e);
	else if (f->parent->old_node)
		error = tree_lookup(w->catalog, w->newest, f->parent->old_node,
				    f->name, f->name_length, &e);
	if (error)
		return error == REEL_ENOENT ? 0 : error;
	i->had = true;
	i->old_node = e.node;
	i->old = e.inode;
	i->old.target = NULL;
	f->old_node = e.node;
	return 0;
}

int commit_order(const void *a, size_t a_length, const void *b, size_t b_length)
{
	int d = memcmp(a, b, a_length < b_length ? a_length : b_length);

	return d ? d : (a_length > b_length) - (a_length < b_length);
}
