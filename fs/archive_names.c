/* Names of files in an archive: a new content as a member with its bytes, a
 * known one as a link member, or as a line of a list alone. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "fs/archive.h"
#include "fs/change.h"
#include "fs/stale.h"
#include "tape/error.h"

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
			error = archive_keep(a, content, (char *)live.data,
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

int archive_put_gap(struct archive *a, struct item *i, uint64_t content)
{
	struct member m = {.type = MEMBER_FILE,
			   .path = (char *)a->trail.path.data,
			   .path_length = a->trail.path.length,
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
	/* what lies on a cartridge is not fetched to be stored once more */
	bool far = i->content && a->set->medium->tape;
	int error;

	if (row->size < ARCHIVE_COPY_LEAST && !far)
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

int archive_lose_old(struct archive *a, struct item *i, uint64_t content)
{
	if (!i->had)
		return 0;
	if (i->old_node)
		return archive_replaced(a, i);
	if (i->old.content == content)
		return 0;
	return archive_lose(a, i);
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

	m->type = member_type_of(i->st.stx_mode);
	if (m->type == MEMBER_SYMLINK) {
		m->link = (char *)i->data;
		m->link_length = i->length;
	}
	return error ? error : archive_put_member(a, m);
}

static int put_first(struct archive *a, struct item *i)
{
	struct member m = {.path = (char *)a->trail.path.data,
			   .path_length = a->trail.path.length};
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

int archive_take_name(struct archive *a, struct item *i)
{
	struct link_group *g = NULL, fresh = {0};
	bool moved = i->living && i->version && S_ISREG(i->st.stx_mode);
	int error = 0;

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
