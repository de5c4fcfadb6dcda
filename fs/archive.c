#include "fs/archive.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>
#include "catalog/tapes.h"
#include "fs/change.h"
#include "fs/stale.h"
#include "tape/error.h"
#include "tape/log.h"
#include "tape/trailer.h"
#include "tape/volume.h"
#include "tape/xattrs.h"

#define LIBRARY_CACHE (32u << 20)

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int last_frame(void *context, const struct frame *f)
{
	*(uint32_t *)context = f->volume;
	return 0;
}

/* The number after those of all volumes that are or should be there. */
static int next_volume(struct set *set, struct catalog *c, uint32_t newest,
		       uint32_t *volume)
{
	struct medium_volume *all = NULL;
	uint32_t last = 0;
	size_t count = 0;
	int error = medium_list(set->medium, &all, &count);

	if (!error && newest)
		error = catalog_each_frame(c, newest, last_frame, &last);
	if (count && all[count - 1].number > last)
		last = all[count - 1].number;
	free(all);
	*volume = last + 1;
	return error;
}

/* Volumes on cartridges, for the stream to take over. */
static int open_tape(struct archive *a, uint32_t first)
{
	struct cartridge_table table = {0};
	struct append_options o;
	struct volumes_tape_options v = {
		.append = &o,
		.compression = a->set->config.compression,
		.first = first,
		.volume_size = a->set->config.volume_size,
		.ring = (size_t)a->buffer,
	};
	int error = tapes_append_options(a->catalog, first, a->session, a->time,
					 a->overwrite, &table, &o);

	o.stop = a->stop;
	return error ? error : volumes_tape_new(&v, &a->volumes);
}

int archive_open(struct archive *a, struct set *set, struct catalog *c,
		 bool full)
{
	struct stream_options o = {.directory = set->volumes,
				   .compression = set->config.compression,
				   .level = set->config.level,
				   .volume_size = set->config.volume_size,
				   .sync = true};
	uint32_t newest = 0;
	int error = catalog_newest(c, &newest);

	a->set = set;
	a->catalog = c;
	a->time = now_ns();
	a->problems = full ? 0 : catalog_missing(c);
	a->block = malloc(ARCHIVE_BLOCK);
	a->other = malloc(ARCHIVE_BLOCK);
	if (!a->block || !a->other)
		return REEL_ENOMEM;
	if (!error)
		error = builder_new(c, set, full, &a->builder);
	if (!error)
		a->session = builder_session(a->builder);
	if (!error)
		error = next_volume(set, c, newest, &o.first_volume);
	if (!error && set->config.tape)
		error = open_tape(a, o.first_volume);
	o.volumes = a->volumes;
	if (!error)
		error = stream_open(&o, &a->stream);
	if (!error && newest && !full)
		error = library_open(set, LIBRARY_CACHE, &a->library);
	return error;
}

void archive_close(struct archive *a)
{
	bool open = a->volumes && a->stream && !stream_published(a->stream) &&
		    !volumes_tape_ended(a->volumes);

	archive_list_release(&a->replaced);
	archive_list_release(&a->deleted);
	archive_list_release(&a->copies);
	archive_list_release(&a->meta);
	buffer_release(&a->carriers);
	buffer_release(&a->header);
	trail_release(&a->trail);
	groups_release(&a->groups);
	folder_put(a->root);
	library_close(a->library);
	stream_close(a->stream);
	if (open)
		tapes_abandoned(a->catalog);
	builder_free(a->builder);
	free(a->block);
	free(a->other);
}

/* ---- rows ---- */

void archive_row(struct inode_row *row, const struct item *i, bool atime)
{
	const struct statx *st = &i->st;

	*row = (struct inode_row){
		.mode = st->stx_mode,
		.uid = st->stx_uid,
		.gid = st->stx_gid,
		.size = st->stx_size,
		.mtime = statx_ns(st->stx_mtime),
		.ctime = statx_ns(st->stx_ctime),
		.atime = statx_ns(atime ? st->stx_atime : st->stx_mtime),
		.has_atime = atime,
		.nlink = st->stx_nlink,
		.source = st->stx_ino,
		.blocks = st->stx_blocks,
	};
	if (S_ISCHR(st->stx_mode) || S_ISBLK(st->stx_mode)) {
		row->major = st->stx_rdev_major;
		row->minor = st->stx_rdev_minor;
	}
	if (S_ISLNK(st->stx_mode)) {
		row->target = (char *)i->data;
		row->target_length = i->length;
		row->size = i->length;
	}
	if (st->stx_attributes & STATX_ATTR_IMMUTABLE)
		row->flags |= INODE_IMMUTABLE;
	if (st->stx_attributes & STATX_ATTR_APPEND)
		row->flags |= INODE_APPEND;
	if (st->stx_attributes & STATX_ATTR_NODUMP)
		row->flags |= INODE_NODUMP;
	if (i->racy || i->changed)
		row->flags |= INODE_RACY;
	if (i->changed)
		row->flags |= INODE_CHANGED;
	if (i->living)
		row->flags |= INODE_LIVING;
}

/* ---- folders ---- */

/* A directory whose xattrs are others is made anew by the recipe, which can
 * add xattrs but not take one away. */
static int renew_folder(struct archive *a, struct item *i)
{
	bool full = builder_epoch(a->builder) == a->session;
	struct folder *f = i->folder;
	int error;

	if (full || !f->parent || !i->old_node || !i->old.xattrs ||
	    i->old.xattrs == f->row.xattrs)
		return 0;
	error = archive_list_name(a, &a->copies, "d ", NULL, 0);
	return error ? error : archive_meta_folder(a, f);
}

static int add_folder(struct archive *a, struct item *i)
{
	struct folder *f = i->folder;
	uint64_t inode;
	int error = 0;

	archive_row(&f->row, i, a->atime);
	f->xattrs = i->xattrs;
	i->xattrs = (struct buffer){0};
	if (f->xattrs.length)
		error = builder_xattrs(a->builder, f->xattrs.data,
				       f->xattrs.length, &f->row.xattrs);
	if (!error)
		error = renew_folder(a, i);
	if (!error)
		error = builder_inode(a->builder, &f->row, &inode);
	if (!error)
		error = builder_entry(a->builder,
				      f->parent ? f->parent->node : 0, f->name,
				      f->name_length, f->node, inode);
	return error ? error : archive_need_folder(a, f);
}

/* What a plain extraction makes in a folder inherits from it: an ACL,
 * set-group-ID. The root gets its metadata when all is done. */
static int note_inheritance(struct archive *a, struct item *i)
{
	static const char name[] = "system.posix_acl_default";
	struct folder *f = i->folder;
	struct buffer xattrs = {0};
	struct xattr x;
	int error;

	if (builder_epoch(a->builder) == a->session || !f->parent)
		return 0;
	f->sets_group =
		f->parent->sets_group || (f->old_node && i->old.mode & S_ISGID);
	if (!f->old_node || !i->old.xattrs)
		return 0;
	error = tree_xattrs(a->catalog, i->old.xattrs, &xattrs);
	if (!error)
		f->hands_on = xattr_find(xattrs.data, xattrs.length, name,
					 sizeof(name) - 1, &x) == 1;
	buffer_release(&xattrs);
	return error;
}

static int take_folder(struct archive *a, struct item *i)
{
	struct folder *f = i->folder;
	bool full = builder_epoch(a->builder) == a->session;
	bool known = f->old_node && !full;
	int error = note_inheritance(a, i);

	if (error)
		return error;
	if (!f->parent) {
		a->root = folder_get(f);
		f->node = TREE_ROOT;
		/* the directory above the named paths is not theirs */
		known = known && (i->unchanged || f->unnamed);
	} else {
		known = known && i->unchanged;
		f->node = f->old_node && !full ? f->old_node
					       : builder_new_node(a->builder);
	}
	if (known) {
		f->row = i->old;
		if (f->row.xattrs)
			error = tree_xattrs(a->catalog, f->row.xattrs,
					    &f->xattrs);
		return error;
	}
	f->noted = f->unnamed;
	if (i->had && !full)
		a->changed++;
	else
		a->added++;
	if (i->had && !i->old_node && !full)
		error = archive_replaced(a, i);
	return error ? error : add_folder(a, i);
}

/* ---- items ---- */

static int take_removed(struct archive *a, struct item *i)
{
	int error = archive_lose(a, i);

	a->removed++;
	if (!error)
		error = archive_list_name(a, &a->deleted, "", NULL, 0);
	if (!error)
		error = archive_need_folder(a, i->folder);
	if (!error)
		error = archive_meta_folder(a, i->folder);
	if (!error)
		error = builder_remove(a->builder, i->folder->node, i->name,
				       i->name_length);
	return error;
}

int archive_item(struct archive *a, struct item *i)
{
	int error;

	/* a new epoch knows nothing of before */
	if (builder_epoch(a->builder) == a->session) {
		if (i->kind == ITEM_REMOVED)
			return 0;
		if (i->kind == ITEM_NAME)
			i->had = false;
	}
	error = trail_go(&a->trail, i->folder, i->name, i->name_length);
	if (error)
		return error;
	switch (i->kind) {
	case ITEM_FOLDER:
		return take_folder(a, i);
	case ITEM_NAME:
		return archive_take_name(a, i);
	case ITEM_REMOVED:
		return take_removed(a, i);
	case ITEM_SUBDIR:
	case ITEM_END:
		break;
	}
	return 0;
}

/* ---- the end of a session ---- */

static int put_index(struct archive *a, struct session_row *row,
		     struct trailer *t)
{
	const struct frame *frames;
	struct buffer packed = {0};
	char path[80];
	size_t count;
	int error = stream_flush(a->stream, &frames, &count);

	row->time = a->time;
	row->stream = stream_offset(a->stream);
	row->finished = now_ns();
	row->first_volume = count ? frames[0].volume : 0;
	if (!error)
		error = builder_finish(a->builder, row, frames, count, &packed);
	snprintf(path, sizeof(path), "%s/s%06u/index.zst", a->set->reserved,
		 (unsigned)a->session);
	if (!error)
		error = archive_put_data(a, path, packed.data, packed.length);
	t->index_offset = stream_offset(a->stream) - packed.length -
			  member_padding(packed.length);
	t->index_length = packed.length;
	digest_bytes(0, packed.data, packed.length, &t->index_digest);
	buffer_release(&packed);
	return error;
}

static int put_end(struct archive *a, struct trailer *t)
{
	static const uint8_t end[2 * MEMBER_BLOCK];
	uint8_t block[TRAILER_SIZE];
	char path[80];
	int error = stream_drain(a->stream);

	memcpy(t->set, a->set->config.uuid, sizeof(t->set));
	t->session = a->session;
	t->epoch = builder_epoch(a->builder);
	t->last_volume = stream_last_volume(a->stream);
	trailer_encode(t, block);
	snprintf(path, sizeof(path), "%s/s%06u/end", a->set->reserved,
		 (unsigned)a->session);
	if (!error)
		error = archive_put_data(a, path, block, sizeof(block));
	return error ? error : stream_write(a->stream, end, sizeof(end));
}

int archive_finish(struct archive *a, struct session_row *row)
{
	struct trailer t = {0};
	int error = 0;

	if (a->root)
		error = archive_meta_folder(a, a->root);
	if (!error)
		error = archive_put_lists(a);
	*row = (struct session_row){.new_files = a->new_files,
				    .new_bytes = a->new_bytes,
				    .unique_bytes = a->unique_bytes,
				    .copies = a->copied,
				    .problems = a->problems,
				    .label =
					    a->label ? strdup(a->label) : NULL};
	char host[256] = "";
	if (!gethostname(host, sizeof(host) - 1))
		row->host = strdup(host);
	if (!error)
		error = put_index(a, row, &t);
	t.first_volume = row->first_volume;
	if (!error)
		error = put_end(a, &t);
	stream_end(a->stream, &t);
	if (!error)
		error = stream_publish(a->stream);
	if (!error && a->volumes)
		error = tapes_written(a->catalog,
				      volumes_tape_table(a->volumes));
	if (!error)
		error = builder_ingest(a->builder);
	if (!error && a->volumes)
		error = tapes_committed(a->catalog,
					volumes_tape_full(a->volumes));
	session_row_release(row);
	if (!error)
		return catalog_session(a->catalog, a->session, row);
	*row = (struct session_row){0};
	if (stream_published(a->stream))
		row->id = a->session;
	return error;
}
