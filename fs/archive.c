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
	buffer_release(&a->path);
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

#define SHOWN_FLAGS (INODE_IMMUTABLE | INODE_APPEND | INODE_NODUMP)

/* Whether what a reader can see of two rows is the same. */
static bool looks_same(const struct inode_row *x, const struct inode_row *y)
{
	return x->mode == y->mode && x->uid == y->uid && x->gid == y->gid &&
	       x->size == y->size && x->mtime == y->mtime &&
	       x->nlink == y->nlink && x->xattrs == y->xattrs &&
	       x->content == y->content && x->major == y->major &&
	       x->minor == y->minor &&
	       (x->flags & SHOWN_FLAGS) == (y->flags & SHOWN_FLAGS);
}

/* ---- what is lost under a name ---- */

/* Gives a content its reserved name, linked to `path`, which has held it since
 * before this session (A3). */
static int keep(struct archive *a, uint64_t content, const char *path,
		size_t length)
{
	struct content_home home;
	struct buffer name = {0}, header = {0};
	int error = builder_home(a->builder, content, &home);

	if (error != REEL_ENOENT) {
		bool safe = !error && (home.kept || home.path);

		if (!error)
			free(home.path);
		if (error || safe)
			return error;
	}
	error = archive_keep_path(a, content, &name);
	struct member m = {.type = MEMBER_LINK,
			   .path = (char *)name.data,
			   .path_length = name.length,
			   .link = path,
			   .link_length = length,
			   .mode = 0600};
	size_t map;
	if (!error)
		error = member_encode(&m, &header, &map);
	if (!error)
		error = stream_write(a->stream, header.data, header.length);
	if (!error)
		error = builder_keep(a->builder, content);
	buffer_release(&header);
	buffer_release(&name);
	return error;
}

static int keep_below(struct archive *a, uint64_t node, struct buffer *path);

/* What stood under a name goes: large contents get their reserved name. */
static int keep_old(struct archive *a, uint64_t node,
		    const struct inode_row *old, struct buffer *path)
{
	if (node)
		return keep_below(a, node, path);
	if (!old->content || old->size < ARCHIVE_KEEP_LEAST)
		return 0;
	/* a content of an earlier epoch is not referred to in this one */
	if (builder_epoch(a->builder) == a->session)
		return 0;
	return keep(a, old->content, (char *)path->data, path->length);
}

static int keep_below(struct archive *a, uint64_t node, struct buffer *path)
{
	struct tree_cursor *t;
	struct entry_row e;
	size_t length = path->length;
	int error = tree_list(a->catalog, a->session - 1, node, &t);
	int step = 0;

	while (!error && (step = tree_step(t, &e)) == 1) {
		path->length = length;
		error = buffer_append(path, "/", 1);
		if (!error)
			error = buffer_append(path, e.name, e.name_length);
		if (!error)
			error = keep_old(a, e.node, &e.inode, path);
	}
	if (!error && step < 0)
		error = step;
	if (!error || t)
		tree_end(t);
	path->length = length;
	return error;
}

/* keep_old for the old side of an item whose path is a->path. */
static int lose(struct archive *a, const struct item *i)
{
	struct buffer path = {0};
	int error = buffer_append(&path, a->path.data, a->path.length);

	if (!error)
		error = keep_old(a, i->old_node, &i->old, &path);
	buffer_release(&path);
	return error;
}

static int path_of(struct archive *a, const struct folder *f, const char *name,
		   size_t length)
{
	struct buffer *p = &a->path;
	int error = 0;

	p->length = 0;
	if (f->path_length)
		error = buffer_append(p, f->path, f->path_length);
	if (!error && f->path_length && length)
		error = buffer_append(p, "/", 1);
	if (!error)
		error = buffer_append(p, name, length + 1);
	if (!error)
		p->length--; /* the NUL stays behind the path */
	return error;
}

int archive_list_name(struct archive *a, struct archive_list *l,
		      const char *verb, const char *target, size_t length)
{
	return archive_list_line(l, a->set->directory, verb,
				 (char *)a->path.data, a->path.length, target,
				 length);
}

/* A directory gives way to something else, or something else to one: the
 * recipe clears the way before it extracts. a->path is the name's. */
static int replaced(struct archive *a, const struct item *i)
{
	int error = lose(a, i);

	return error ? error : archive_list_name(a, &a->replaced, "", NULL, 0);
}

static int take_removed(struct archive *a, struct item *i)
{
	int error = path_of(a, i->folder, i->name, i->name_length);

	a->removed++;
	if (!error)
		error = lose(a, i);
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
	error = path_of(a, f, "", 0);
	if (!error)
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
		error = builder_entry(
			a->builder, f->parent ? f->parent->node : 0,
			f->path + f->name_offset,
			f->path_length - f->name_offset, f->node, inode);
	return error ? error : archive_need_folder(a, f);
}

/* Whether what a plain extraction makes in a folder inherits an ACL from it.
 * The root gets its metadata when all is done. */
static int note_default_acl(struct archive *a, struct item *i)
{
	static const char name[] = "system.posix_acl_default";
	struct folder *f = i->folder;
	struct buffer xattrs = {0};
	struct xattr x;
	int error;

	if (builder_epoch(a->builder) == a->session || !f->parent ||
	    !f->old_node || !i->old.xattrs)
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
	int error = note_default_acl(a, i);

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
	if (i->had && !i->old_node && !full) {
		error = path_of(a, f, "", 0);
		if (!error)
			error = replaced(a, i);
	}
	return error ? error : add_folder(a, i);
}

/* ---- names ---- */

int archive_enter(struct archive *a, struct item *i, uint64_t inode)
{
	i->stored_inode = inode;
	return builder_entry(a->builder, i->folder->node, i->name,
			     i->name_length, 0, inode);
}

/* Lists a name as one that stands on its own, with its metadata. */
static int list_alone(struct archive *a, struct item *i, struct member *m,
		      bool separate)
{
	int error = 0;

	if (separate)
		error = archive_list_name(a, &a->copies, "c ", NULL, 0);
	return error ? error : archive_carrier(a, i->folder, m);
}

/* Lists a copy that differs from what it is linked to by its time alone. */
static int list_timed(struct archive *a, struct item *i, int64_t mtime)
{
	uint64_t ns = mtime < 0 ? -(uint64_t)mtime : (uint64_t)mtime;
	char text[48];
	int n = snprintf(text, sizeof(text), "%s%" PRIu64 ".%09" PRIu64,
			 mtime < 0 ? "-" : "", ns / 1000000000,
			 ns % 1000000000);
	int error = archive_list_name(a, &a->copies, "t ", text, (size_t)n);

	return error ? error : archive_meta_folder(a, i->folder);
}

/* Where a copy can be linked to: *target is set (heap) or stays empty when the
 * content has to be stored again. */
static int find_target(struct archive *a, uint64_t content,
		       struct buffer *target, uint16_t *look)
{
	struct content_home home = {0};
	struct buffer live = {0};
	int error = builder_home(a->builder, content, &home);

	if (!error && home.path && home.links < ARCHIVE_LINK_LIMIT) {
		error = buffer_append(target, home.path, home.path_length);
		*look = home.look;
	} else if (!error && home.kept && !home.path &&
		   home.links < ARCHIVE_LINK_LIMIT) {
		error = archive_keep_path(a, content, target);
	} else if (error == REEL_ENOENT) {
		error = builder_live_path(a->builder, content, &live);
		if (!error)
			error = keep(a, content, (char *)live.data,
				     live.length);
		if (!error)
			error = archive_keep_path(a, content, target);
		if (error == REEL_ENOENT)
			error = 0;
	}
	free(home.path);
	buffer_release(&live);
	return error;
}

/* A link is about to be written under a name that is not alive: see
 * MEMBER_GAP. */
int archive_put_gap(struct archive *a, struct item *i, uint64_t content)
{
	struct member m = {.type = MEMBER_FILE,
			   .path = (char *)a->path.data,
			   .path_length = a->path.length,
			   .mode = 0600,
			   .comment = MEMBER_GAP,
			   .comment_length = sizeof(MEMBER_GAP) - 1};
	uint32_t epoch = builder_epoch(a->builder);
	uint64_t stale = 0;
	int error;

	if (i->had || epoch == a->session || !content)
		return 0;
	error = stale_content(a->catalog, epoch, i->folder, i->name,
			      i->name_length, &stale);
	return error || stale != content ? error : archive_put_member(a, &m);
}

/* A file whose content the set has: no member, a link member, or its bytes
 * again (A4). */
static int put_copy(struct archive *a, struct item *i, struct member *m,
		    struct inode_row *row, struct link_group *g)
{
	struct buffer target = {0};
	struct member carrier = *m;
	uint16_t look = archive_look(a, m), home_look = 0;
	bool stays = i->had && !i->old_node && i->old.content == row->content;
	int error;

	if (row->size < ARCHIVE_COPY_LEAST)
		return archive_store_again(a, i, m, &row->content);
	/* the recipe can add xattrs and special bits, and only lose them with
	 * the file */
	g->separated = !stays || i->old.source != row->source ||
		       i->old.xattrs != row->xattrs ||
		       (i->old.mode & ~row->mode & 07000);
	g->moved = g->separated;
	if (stays)
		return list_alone(a, i, m, g->separated);
	error = find_target(a, row->content, &target, &home_look);
	if (!error && !target.length) {
		g->separated = false;
		error = archive_store_again(a, i, m, &row->content);
		goto out;
	}
	/* bare: its line or its carrier has what is missing */
	m->type = MEMBER_LINK;
	m->minor = MEMBER_COPY;
	m->sparse = false;
	m->link = (char *)target.data;
	m->link_length = target.length;
	m->comment = NULL;
	m->xattrs_length = 0;
	m->mtime.tv_nsec = 0;
	m->has_atime = false;
	if (!error)
		error = archive_put_gap(a, i, row->content);
	if (!error)
		error = archive_put_member(a, m);
	if (!error)
		error = builder_home_linked(a->builder, row->content);
	if (!error && look && look == home_look)
		error = list_timed(a, i, row->mtime);
	else if (!error)
		error = list_alone(a, i, &carrier, true);
	a->copied++;
out:
	buffer_release(&target);
	return error;
}

static enum member_type type_of(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFLNK:
		return MEMBER_SYMLINK;
	case S_IFCHR:
		return MEMBER_CHARACTER;
	case S_IFBLK:
		return MEMBER_BLOCK_DEVICE;
	case S_IFIFO:
		return MEMBER_FIFO;
	default:
		return MEMBER_FILE;
	}
}

int archive_lose_old(struct archive *a, struct item *i, uint64_t content)
{
	if (!i->had)
		return 0;
	if (i->old_node)
		return replaced(a, i);
	if (i->old.content == content)
		return 0;
	return lose(a, i);
}

/* Bytes and members of a name that begins a group or stands alone. The member
 * is written before the row, which needs the content's number. */
static int put_file(struct archive *a, struct item *i, struct member *m,
		    struct inode_row *row, struct link_group *g)
{
	struct stored_content stored;
	int error;

	g->moved = true;
	error = archive_content(a, i, m, &stored);
	if (error)
		return error;
	if (i->again) {
		uint64_t xattrs = row->xattrs;

		archive_row(row, i, a->atime);
		row->xattrs = xattrs;
	}
	row->content = stored.id;
	if (i->racy || i->changed)
		row->flags |= INODE_RACY;
	if (!stored.existing)
		return 0;
	if (i->had && !i->old_node && looks_same(row, &i->old)) {
		g->moved = false;
		return 0;
	}
	error = archive_lose_old(a, i, stored.id);
	return error ? error : put_copy(a, i, m, row, g);
}

static int put_other(struct archive *a, struct item *i, struct member *m)
{
	int error = archive_lose_old(a, i, 0);

	m->type = type_of(i->st.stx_mode);
	if (m->type == MEMBER_SYMLINK) {
		m->link = (char *)i->data;
		m->link_length = i->length;
	}
	return error ? error : archive_put_member(a, m);
}

static int put_first(struct archive *a, struct item *i)
{
	struct member m = {.path = (char *)a->path.data,
			   .path_length = a->path.length};
	struct link_group g = {.moved = true};
	struct inode_row row;
	uint64_t inode;
	int error = 0;

	archive_row(&row, i, a->atime);
	if (i->xattrs.length)
		error = builder_xattrs(a->builder, i->xattrs.data,
				       i->xattrs.length, &row.xattrs);
	archive_fill(a, &m, &row, &i->xattrs);
	if (!error)
		error = archive_need_folder(a, i->folder);
	if (!error && S_ISREG(row.mode))
		error = put_file(a, i, &m, &row, &g);
	else if (!error)
		error = put_other(a, i, &m);
	if (error)
		return error;
	i->stored_content = row.content;
	if (S_ISREG(row.mode)) {
		a->new_files++;
		a->new_bytes += row.size;
	}
	if (i->had && !i->old_node && looks_same(&row, &i->old) &&
	    row.ctime == i->old.ctime && row.source == i->old.source &&
	    S_ISREG(row.mode)) {
		i->stored_inode = i->old.id;
		return archive_remember(a, i, &g, i->old.id, row.content);
	}
	if (i->had)
		a->changed++;
	else
		a->added++;
	error = builder_inode(a->builder, &row, &inode);
	if (!error)
		error = archive_enter(a, i, inode);
	return error ? error : archive_remember(a, i, &g, inode, row.content);
}

static int put_link(struct archive *a, struct item *i, struct link_group *g)
{
	struct buffer first = {0};
	int error = groups_path(g, &first);

	if (!error)
		error = archive_put_link(a, i, g, &first);
	buffer_release(&first);
	return error;
}

static int take_name(struct archive *a, struct item *i)
{
	struct link_group *g = NULL, fresh = {0};
	bool moved = i->living && i->version && S_ISREG(i->st.stx_mode);
	int error = path_of(a, i->folder, i->name, i->name_length);

	if (error)
		return error;
	if (i->st.stx_nlink > 1)
		g = groups_find(&a->groups, archive_device(&i->st),
				i->st.stx_ino);
	/* an unchanged name's group may have come to a new path before it */
	if (i->unchanged && !g)
		error = archive_remember(a, i, &fresh, i->old.id,
					 i->old.content);
	else if (i->unchanged && g->inode == i->old.id)
		error = 0;
	else if (g)
		error = put_link(a, i, g);
	else if (!moved || (error = archive_put_moved(a, i)) == REEL_ENOENT)
		return put_first(a, i);
	if (g)
		groups_seen(&a->groups, g);
	return error;
}

int archive_item(struct archive *a, struct item *i)
{
	/* a new epoch knows nothing of before */
	if (builder_epoch(a->builder) == a->session) {
		if (i->kind == ITEM_REMOVED)
			return 0;
		if (i->kind == ITEM_NAME)
			i->had = false;
	}
	switch (i->kind) {
	case ITEM_FOLDER:
		return take_folder(a, i);
	case ITEM_NAME:
		return take_name(a, i);
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
	if (!error)
		error = builder_ingest(a->builder);
	if (!error && a->volumes)
		error = tapes_committed(a->catalog,
					volumes_tape_table(a->volumes),
					volumes_tape_full(a->volumes));
	session_row_release(row);
	if (!error)
		return catalog_session(a->catalog, a->session, row);
	*row = (struct session_row){0};
	if (stream_published(a->stream))
		row->id = a->session;
	return error;
}
