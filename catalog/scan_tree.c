/* The second pass: each member becomes rows. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "catalog/member_row.h"
#include "catalog/scan_state.h"
#include "tape/error.h"
#include "tape/log.h"
#include "tape/text.h"
#include "tape/unpack.h"

#define CARRIER_LIMIT (64u << 20)

void scan_lose(struct scan *s, const char *path, size_t length,
	       const char *what)
{
	char *text = text_name(path, length);

	s->lost++;
	log_warning("%s: not recovered: %s", text ? text : "?", what);
	free(text);
}

/* ---- where a path stands ---- */

int scan_before(struct scan *s, const char *path, size_t length,
		struct entry_row *e)
{
	uint32_t before = builder_session(s->builder) - 1;

	if (s->full || before == 0)
		return REEL_ENOENT;
	return tree_resolve(s->catalog, before, path, length, e);
}

/* The entry of a path in the snapshot before; none in a new epoch, or when
 * the path or something above it was replaced. */
int scan_old(struct scan *s, const char *path, size_t length,
	     struct entry_row *e)
{
	for (size_t i = 1; i <= length; i++) {
		struct scan_path *p;

		if (i < length && path[i] != '/')
			continue;
		p = scan_paths_find(&s->paths, scan_hash(s, path, i));
		if (p && p->gone)
			return REEL_ENOENT;
	}
	return scan_before(s, path, length, e);
}

/* The node of a directory; made up, with plain metadata, when its member was
 * lost. */
static int directory_node(struct scan *s, const char *path, size_t length,
			  uint64_t *node);

int scan_parent(struct scan *s, const char *path, size_t length,
		uint64_t *parent, const char **name, size_t *name_length)
{
	const char *slash = memrchr(path, '/', length);
	size_t up = slash ? (size_t)(slash - path) : 0;

	*name = slash ? slash + 1 : path;
	*name_length = length - (size_t)(*name - path);
	if (*name_length == 0 || *name_length > TREE_NAME_LIMIT)
		return REEL_EDAMAGED;
	return directory_node(s, path, up, parent);
}

static int make_up(struct scan *s, const char *path, size_t length,
		   uint64_t *node)
{
	struct inode_row row = {.mode = S_IFDIR | 0755, .nlink = 1};
	struct scan_path *p;
	uint64_t parent, inode;
	const char *name;
	size_t name_length;
	int err = scan_parent(s, path, length, &parent, &name, &name_length);

	if (err)
		return err;
	row.mtime = row.ctime = row.atime = s->time;
	*node = builder_new_node(s->builder);
	err = builder_inode(s->builder, &row, &inode);
	if (!err)
		err = builder_entry(s->builder, parent, name, name_length,
				    *node, inode);
	if (err)
		return err;
	scan_lose(s, path, length, "metadata of the directory");
	p = scan_paths_add(&s->paths, scan_hash(s, path, length));
	if (!p)
		return REEL_ENOMEM;
	p->node = *node;
	p->inode = inode;
	return 0;
}

static int directory_node(struct scan *s, const char *path, size_t length,
			  uint64_t *node)
{
	struct scan_path *p =
		scan_paths_find(&s->paths, scan_hash(s, path, length));
	struct entry_row e;
	int err;

	if (length == 0) {
		*node = TREE_ROOT;
		return 0;
	}
	if (p && p->node) {
		*node = p->node;
		return 0;
	}
	err = scan_old(s, path, length, &e);
	if (!err && e.node) {
		*node = e.node;
		return 0;
	}
	if (err && err != REEL_ENOENT && err != REEL_ENOTDIR)
		return err;
	return make_up(s, path, length, node);
}

/* ---- rows ---- */

static bool same_row(const struct inode_row *a, const struct inode_row *b)
{
	return a->mode == b->mode && a->uid == b->uid && a->gid == b->gid &&
	       a->mtime == b->mtime && a->xattrs == b->xattrs &&
	       a->flags == (b->flags &
			    (INODE_IMMUTABLE | INODE_APPEND | INODE_NODUMP));
}

/* The path now stands for a new inode with this row. */
int scan_enter(struct scan *s, const char *path, size_t length,
	       struct inode_row *row, uint64_t node)
{
	uint64_t hash = scan_hash(s, path, length);
	struct scan_path *p = scan_paths_find(&s->paths, hash);
	const char *name = "";
	size_t name_length = 0;
	uint64_t parent = 0, inode;
	int err = 0;

	if (length)
		err = scan_parent(s, path, length, &parent, &name,
				  &name_length);
	p = scan_paths_find(&s->paths, hash);
	if (p && !node)
		row->nlink = 1 + p->names;
	if (!err)
		err = builder_inode(s->builder, row, &inode);
	if (!err)
		err = builder_entry(s->builder, parent, name, name_length, node,
				    inode);
	if (err)
		return err;
	if (node)
		p = scan_paths_add(&s->paths, hash);
	if (node && !p)
		return REEL_ENOMEM;
	if (p) {
		p->node = node;
		p->inode = inode;
		p->content = row->content;
		p->size = row->size;
	}
	return 0;
}

static int take_directory(struct scan *s, const struct member *m)
{
	struct scan_path *p = scan_paths_find(
		&s->paths, scan_hash(s, m->path, m->path_length));
	struct inode_row row;
	struct entry_row old;
	uint64_t node;
	int err = member_row(s->builder, m, &row);
	int had;

	if (err || (p && p->node))
		return err;
	row.size = 0;
	had = scan_old(s, m->path, m->path_length, &old);
	if (had && had != REEL_ENOENT && had != REEL_ENOTDIR)
		return had;
	if (!had && old.node && same_row(&row, &old.inode))
		return 0;
	node = m->path_length == 0 ? TREE_ROOT
	       : !had && old.node  ? old.node
				   : builder_new_node(s->builder);
	return scan_enter(s, m->path, m->path_length, &row, node);
}

int scan_member(struct scan *s, struct member_decoder *d,
		const struct member *m)
{
	size_t length = strlen(s->set->reserved);
	struct inode_row row;
	uint64_t keep;
	int err;

	if (m->type == MEMBER_GLOBAL || member_is_gap(m))
		return 0;
	if (m->path_length >= length &&
	    !memcmp(m->path, s->set->reserved, length) &&
	    (m->path_length == length || m->path[length] == '/')) {
		keep = scan_keep_number(s, m->path, m->path_length);
		return keep && m->type == MEMBER_LINK ? scan_keep(s, m, keep)
						      : 0;
	}
	switch (m->type) {
	case MEMBER_DIRECTORY:
		return take_directory(s, m);
	case MEMBER_FILE:
		return scan_file(s, d, m);
	case MEMBER_LINK:
		return member_is_copy(m) ? scan_copy(s, m)
					 : scan_join(s, m->path, m->path_length,
						     m->link, m->link_length);
	default:
		err = member_row(s->builder, m, &row);
		s->row.new_files++;
		return err ? err
			   : scan_enter(s, m->path, m->path_length, &row, 0);
	}
}

int scan_root(struct scan *s)
{
	struct scan_path *p = scan_paths_find(&s->paths, scan_hash(s, "", 0));
	struct inode_row row = {.mode = S_IFDIR | 0755, .nlink = 1};

	if (p && p->node)
		return 0;
	if (!s->full && builder_session(s->builder) > 1)
		return 0;
	return scan_enter(s, "", 0, &row, TREE_ROOT);
}

/* ---- what stands at the end ---- */

/* A copy's metadata: its member had only some. */
static int adorn_copy(struct scan *s, const struct member *m,
		      const struct scan_path *p)
{
	struct inode_row row;
	int err = member_row(s->builder, m, &row);

	row.id = p->inode;
	row.nlink = 1 + p->names;
	row.content = p->content;
	row.size = p->size;
	row.blocks = (p->size + 4095) / 4096 * 8;
	return err ? err : builder_change_inode(s->builder, &row);
}

/* A copy's, or a change of metadata alone: the content stays what it was. */
static int take_carrier(struct scan *s, const struct member *m)
{
	struct scan_path *p = scan_paths_find(
		&s->paths, scan_hash(s, m->path, m->path_length));
	struct inode_row row;
	struct entry_row old;
	int err;

	if (m->type == MEMBER_DIRECTORY)
		return take_directory(s, m);
	if (p && p->inode && p->copy)
		return adorn_copy(s, m, p);
	if ((p && p->inode) || scan_has_member(s, m->path, m->path_length))
		return 0;
	err = scan_old(s, m->path, m->path_length, &old);
	if (err == REEL_ENOENT || err == REEL_ENOTDIR || (!err && old.node))
		return 0;
	if (!err)
		err = member_row(s->builder, m, &row);
	if (err)
		return err;
	row.content = old.inode.content;
	row.size = old.inode.size;
	row.blocks = old.inode.blocks;
	return scan_enter(s, m->path, m->path_length, &row, 0);
}

int scan_carriers(struct scan *s)
{
	struct unpack u = {.data = s->meta.data,
			   .length = s->meta.length,
			   .limit = CARRIER_LIMIT};
	struct member_decoder *d;
	struct member m;
	int more, err = member_decoder_new(unpack_read, &u, &d);

	if (err)
		return err;
	while (!err && (more = member_next(d, &m)) != 0)
		err = more < 0 ? more : take_carrier(s, &m);
	if (err == REEL_EDAMAGED || err == REEL_ERANGE) {
		log_warning("session %u: the list of metadata is damaged",
			    s->session);
		s->lost++;
		err = 0;
	}
	member_decoder_free(d);
	unpack_release(&u);
	return err;
}

static int link_line(struct scan *s, char verb, const struct buffer *path,
		     const struct buffer *target)
{
	if (verb != 'l' || !target)
		return 0;
	return scan_join(s, (char *)path->data, path->length,
			 (char *)target->data, target->length);
}

int scan_apply_links(struct scan *s)
{
	return scan_lines(s, &s->copies, true, link_line);
}

/* By the snapshot before, since the path may be gone already. */
static int remove_path(struct scan *s, const struct buffer *path)
{
	uint32_t before = builder_session(s->builder) - 1;
	const char *text = (const char *)path->data;
	const char *slash = memrchr(text, '/', path->length);
	size_t up = slash ? (size_t)(slash - text) : 0;
	struct entry_row e = {.node = TREE_ROOT};
	int err = 0;

	if (s->full || !before || path->length == 0)
		return 0;
	if (up)
		err = tree_resolve(s->catalog, before, text, up, &e);
	if (!err && !e.node)
		err = REEL_ENOTDIR;
	up += slash != NULL;
	if (!err)
		err = builder_remove(s->builder, e.node, text + up,
				     path->length - up);
	return err == REEL_ENOENT || err == REEL_ENOTDIR ? 0 : err;
}

static int remove_line(struct scan *s, char verb, const struct buffer *path,
		       const struct buffer *target)
{
	(void)verb;
	(void)target;
	return remove_path(s, path);
}

int scan_apply_replaced(struct scan *s)
{
	return scan_lines(s, &s->replaced, false, remove_line);
}

int scan_apply_deleted(struct scan *s)
{
	return scan_lines(s, &s->deleted, false, remove_line);
}
