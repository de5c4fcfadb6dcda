/* Hard links, and files that came to another path: names of a file that the
 * medium has under another one. */
#include "fs/archive.h"

#include <stdlib.h>
#include <string.h>
#include "tape/error.h"

/* An inode has one set of metadata, though it may change between the looks at
 * two of its names. */
static void as_first(struct inode_row *row, const struct link_group *g)
{
	row->mode = g->mode;
	row->uid = g->uid;
	row->gid = g->gid;
	row->flags = g->flags;
	row->mtime = g->mtime;
	row->atime = g->atime;
}

/* Everything but the first name of a hard-link group. */
int archive_put_link(struct archive *a, struct item *i, struct link_group *g,
		     const struct buffer *first)
{
	bool shared = i->had && g->old_inode && i->old.id == g->old_inode;
	bool stays = i->had && !i->old_node && g->content &&
		     i->old.content == g->content;
	struct member m = {.type = MEMBER_LINK,
			   .path = (char *)a->trail.path.data,
			   .path_length = a->trail.path.length,
			   .link = (char *)first->data,
			   .link_length = first->length};
	/* the first name changed by its carrier, without a member */
	bool adorned = !g->moved && g->inode != g->old_inode;
	struct inode_row row;
	int error = archive_enter(a, i, g->inode);

	i->stored_content = g->content;
	if (error)
		return error;
	/* nothing to extract; the line is for reading the archive alone */
	if (shared && !g->moved)
		return g->inode == g->old_inode
			       ? 0
			       : archive_list_name(a, &a->copies, "l ",
						   (char *)first->data,
						   first->length);
	error = archive_need_folder(a, i->folder);
	if (!error && !stays)
		error = archive_lose_old(a, i, 0);
	/* of an unchanged name no xattrs were read */
	if (!error && i->unchanged && i->old.xattrs)
		error = tree_xattrs(a->catalog, i->old.xattrs, &i->xattrs);
	archive_row(&row, i, a->atime);
	as_first(&row, g);
	archive_fill(a, &m, &row, &i->xattrs);
	m.major = 0; /* a device's numbers would be read as MEMBER_COPY */
	m.minor = 0;
	if (!error && !stays)
		error = archive_put_gap(a, i, g->content);
	if (!error && !stays)
		error = archive_put_member(a, &m);
	if (!error && (stays || g->separated || adorned))
		error = archive_list_name(a, &a->copies, "l ",
					  (char *)first->data, first->length);
	if (!error && (stays || g->separated || adorned))
		error = archive_meta_folder(a, i->folder);
	return error;
}

uint64_t archive_device(const struct statx *st)
{
	return (uint64_t)st->stx_dev_major << 32 | st->stx_dev_minor;
}

static void group_look(struct archive *a, const struct item *i,
		       struct link_group *g)
{
	struct inode_row row;

	archive_row(&row, i, a->atime);
	g->mode = row.mode;
	g->uid = row.uid;
	g->gid = row.gid;
	g->flags = row.flags;
	g->mtime = row.mtime;
	g->atime = row.atime;
}

int archive_remember(struct archive *a, struct item *i, struct link_group *g,
		     uint64_t inode, uint64_t content)
{
	if (i->st.stx_nlink < 2)
		return 0;
	group_look(a, i, g);
	g->device = archive_device(&i->st);
	g->source = i->st.stx_ino;
	g->inode = inode;
	g->old_inode = i->had ? i->old.id : 0;
	g->content = content;
	return groups_add(&a->groups, g, i->st.stx_nlink,
			  (char *)a->trail.path.data, a->trail.path.length);
}

/* A file that came to another path with its directory: it is the version that
 * it was, and one more name of a path that has it since before this session,
 * even if that goes with this session (what is deleted goes at the end).
 * REEL_ENOENT when there is none. */
int archive_put_moved(struct archive *a, struct item *i)
{
	struct link_group fresh = {.inode = i->version,
				   .old_inode = i->version,
				   .content = i->content};
	struct buffer first = {0};
	int error;

	/* what stays gets a line, which is read when all is extracted: the
	 * target may be another file by then */
	if (i->had && !i->old_node && i->old.content == i->content)
		return REEL_ENOENT;
	error = builder_live_name(a->builder, i->version, &first);
	group_look(a, i, &fresh);
	if (!error)
		error = archive_put_link(a, i, &fresh, &first);
	if (!error) {
		*(i->had ? &a->changed : &a->added) += 1;
		error = archive_remember(a, i, &fresh, i->version, i->content);
	}
	buffer_release(&first);
	return error;
}
