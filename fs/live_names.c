/* Names: what the spool says, else what the base has. */
#include "fs/live_state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include "fs/acl.h"
#include "tape/error.h"
#include "tape/xattrs.h"

#define LINK_LIMIT 65000 /* as ext4; tars lose files beyond */

/* ---- finding ---- */

int name_in_base(struct live *l, const struct live_node *parent,
		 const char *name, size_t length, struct entry_row *e)
{
	uint64_t node = node_base_directory(parent);
	uint32_t base = spool_base(l->spool);

	return node && base
		       ? tree_lookup(l->catalog, base, node, name, length, e)
		       : REEL_ENOENT;
}

int name_find(struct live *l, struct live_node *parent, const char *name,
	      size_t length, uint64_t *id)
{
	struct spool_entry s;
	struct entry_row e;
	int error = l->touched ? spool_lookup(l->spool, parent->row.id, name,
					      length, &s)
			       : REEL_ENOENT;

	if (!error) {
		*id = s.node;
		return s.node ? 0 : REEL_ENOENT;
	}
	if (error == REEL_ENOENT)
		error = name_in_base(l, parent, name, length, &e);
	if (!error)
		*id = live_id(&e);
	return error;
}

static int hold_directory(struct live *l, uint64_t id, struct live_node **out)
{
	int error = node_get(l, id, out);

	if (!error && !S_ISDIR((*out)->row.mode)) {
		node_put(l, *out);
		error = REEL_ENOTDIR;
	}
	if (error)
		*out = NULL;
	return error;
}

/* The node of a name, held. */
static int find(struct live *l, struct live_node *parent, const char *name,
		struct live_node **out)
{
	uint64_t id;
	int error = name_find(l, parent, name, strlen(name), &id);

	*out = NULL;
	return error ? error : node_get(l, id, out);
}

int live_lookup(struct live *l, uint64_t parent, const char *name,
		struct live_entry *out)
{
	struct live_node *p = NULL, *n = NULL;
	int error;

	if (strlen(name) > TREE_NAME_LIMIT)
		return REEL_ENAMETOOLONG;
	pthread_mutex_lock(&l->lock);
	error = hold_directory(l, parent, &p);
	if (!error)
		error = find(l, p, name, &n);
	if (!error)
		node_stat(n, out);
	node_put(l, n);
	node_put(l, p);
	pthread_mutex_unlock(&l->lock);
	return error;
}

void live_forget(struct live *l, uint64_t id)
{
	struct live_node *n;

	if (!(id & LIVE_NEW))
		return;
	pthread_mutex_lock(&l->lock);
	if (!node_get(l, id, &n)) {
		n->forgotten = !n->row.nlink && !n->opens;
		if (n->forgotten && n->stored && !n->changed)
			spool_forget(l->spool, id);
		node_put(l, n);
	}
	pthread_mutex_unlock(&l->lock);
}

/* ---- giving and taking names ---- */

static int name_give(struct live *l, struct live_node *parent, const char *name,
		     uint64_t id)
{
	l->touched = true;
	return spool_enter(l->spool, parent->row.id, name, strlen(name), id,
			   SPOOL_DIRTY, spool_new_change(l->spool));
}

/* What the base has, or a commit may be storing, leaves its mark (L3). */
static int name_take(struct live *l, struct live_node *parent, const char *name)
{
	struct entry_row e;
	int error = l->committing
			    ? 0
			    : name_in_base(l, parent, name, strlen(name), &e);

	if (!error)
		return name_give(l, parent, name, 0);
	return error == REEL_ENOENT ? spool_leave(l->spool, parent->row.id,
						  name, strlen(name))
				    : error;
}

/* A directory has got or lost a name; `directories` of them directories. */
static int parent_changed(struct live *l, struct live_node *parent,
			  int directories)
{
	int error = node_change(l, parent);

	if (!error) {
		parent->row.mtime = parent->row.ctime;
		parent->row.nlink += (uint64_t)directories;
	}
	return error;
}

/* One name less; with the last the node is dead, though it may be open. */
static int node_unlinked(struct live *l, struct live_node *n)
{
	int error = node_change(l, n);

	if (error)
		return error;
	if (n->row.nlink)
		n->row.nlink--;
	if (S_ISDIR(n->row.mode))
		n->row.nlink = 0;
	if (n->row.nlink)
		return 0;
	n->row.state = SPOOL_CLEAN; /* as in node_touch */
	if (!n->opens)
		bytes_drop(l, n);
	return 0;
}

/* ---- making ---- */

static int inherit_acl(struct live *l, struct live_node *parent,
		       struct live_node *n, const struct live_user *user)
{
	struct spool_node *r = &n->row;
	struct buffer access = {0};
	struct xattr x;
	int error = node_load_xattrs(l, parent);
	int found = error ? 0
			  : xattr_find(parent->row.xattrs.data,
				       parent->row.xattrs.length, ACL_DEFAULT,
				       strlen(ACL_DEFAULT), &x);

	if (error || found < 0)
		return error ? error : found;
	if (S_ISLNK(r->mode))
		return 0;
	if (!found) {
		r->mode &= ~user->umask;
		return 0;
	}
	error = acl_inherit(x.value, x.value_length, &r->mode, &access);
	if (!error && access.length)
		error = xattr_append(&r->xattrs, ACL_ACCESS, strlen(ACL_ACCESS),
				     access.data, access.length);
	if (!error && S_ISDIR(r->mode))
		error = xattr_append(&r->xattrs, ACL_DEFAULT,
				     strlen(ACL_DEFAULT), x.value,
				     x.value_length);
	buffer_release(&access);
	return error;
}

static int fill_new(struct live *l, struct live_node *parent,
		    struct live_node *n, const struct live_make *what,
		    const struct live_user *user)
{
	struct spool_node *r = &n->row;
	bool set_gid = parent->row.mode & S_ISGID;

	r->mode = what->mode;
	r->uid = user->uid;
	r->gid = set_gid ? parent->row.gid : user->gid;
	r->nlink = 1;
	r->mtime = r->atime = r->ctime = live_now();
	r->major = major(what->rdev);
	r->minor = minor(what->rdev);
	if (S_ISDIR(r->mode)) {
		r->nlink = 2;
		r->size = 4096;
		r->blocks = 8;
		r->parent = parent->row.id;
		r->mode |= set_gid ? S_ISGID : 0;
	}
	if (S_ISLNK(r->mode)) {
		r->mode = S_IFLNK | 0777;
		r->size = strlen(what->target);
		return buffer_append(&r->target, what->target, r->size);
	}
	return inherit_acl(l, parent, n, user);
}

/* Whether a name may be made there. */
static int name_free(struct live *l, struct live_node *parent, const char *name)
{
	uint64_t id;
	int error;

	if (strlen(name) > TREE_NAME_LIMIT)
		return REEL_ENAMETOOLONG;
	if (parent->row.id == LIVE_ROOT && !strcmp(name, l->set->reserved))
		return REEL_EPERM;
	if (!parent->row.nlink)
		return REEL_ENOENT; /* it was removed */
	error = live_may_change(l, 0);
	if (error)
		return error;
	error = name_find(l, parent, name, strlen(name), &id);
	return error == REEL_ENOENT ? 0 : error ? error : REEL_EEXIST;
}

int live_make(struct live *l, uint64_t parent, const struct live_make *what,
	      const struct live_user *user, struct live_entry *out)
{
	struct live_node *p = NULL, *n = NULL;
	int error;

	pthread_mutex_lock(&l->lock);
	error = hold_directory(l, parent, &p);
	if (!error)
		error = name_free(l, p, what->name);
	if (!error)
		error = node_new(l, &n);
	if (!error)
		error = fill_new(l, p, n, what, user);
	if (!error)
		error = node_touch(l, n);
	if (!error)
		error = name_give(l, p, what->name, n->row.id);
	if (!error)
		error = parent_changed(l, p, S_ISDIR(what->mode) ? 1 : 0);
	if (!error)
		node_stat(n, out);
	node_put(l, n);
	node_put(l, p);
	pthread_mutex_unlock(&l->lock);
	return error;
}

int live_link(struct live *l, uint64_t id, uint64_t parent, const char *name,
	      struct live_entry *out)
{
	struct live_node *p = NULL, *n = NULL;
	int error;

	pthread_mutex_lock(&l->lock);
	error = hold_directory(l, parent, &p);
	if (!error)
		error = node_get(l, id, &n);
	if (!error && S_ISDIR(n->row.mode))
		error = REEL_EPERM;
	if (!error && !n->row.nlink)
		error = REEL_ENOENT;
	if (!error && n->row.nlink >= LINK_LIMIT)
		error = REEL_EMLINK;
	if (!error)
		error = name_free(l, p, name);
	if (!error)
		error = node_change(l, n);
	if (!error)
		error = name_give(l, p, name, n->row.id);
	if (!error) {
		n->row.nlink++;
		error = parent_changed(l, p, 0);
	}
	if (!error)
		node_stat(n, out);
	node_put(l, n);
	node_put(l, p);
	pthread_mutex_unlock(&l->lock);
	return error;
}

/* ---- removing ---- */

/* REEL_ENOTEMPTY when a directory has a name in it. */
static int check_empty(struct live *l, struct live_node *n)
{
	uint64_t node = node_base_directory(n);
	struct tree_cursor *t = NULL;
	struct spool_entry s;
	struct entry_row e;
	int error = 0, step;

	if (l->touched) {
		error = spool_list(l->spool, n->row.id, "", 0);
		while (!error && (step = spool_step(l->spool, &s)))
			error = step < 0 ? step : s.node ? REEL_ENOTEMPTY : 0;
		spool_list_end(l->spool);
	}
	if (error || !node || !spool_base(l->spool))
		return error;
	error = tree_list(l->catalog, spool_base(l->spool), node, &t);
	while (!error && (step = tree_step(t, &e))) {
		error = step < 0      ? step
			: !l->touched ? REEL_ENOTEMPTY
				      : spool_lookup(l->spool, n->row.id,
						     e.name, e.name_length, &s);
		if (error == REEL_ENOENT)
			error = REEL_ENOTEMPTY;
	}
	tree_end(t);
	return error;
}

static int unlink_node(struct live *l, struct live_node *p, const char *name,
		       struct live_node *n)
{
	int error = node_unlinked(l, n);

	if (!error)
		error = name_take(l, p, name);
	if (!error)
		error = parent_changed(l, p, S_ISDIR(n->row.mode) ? -1 : 0);
	return error;
}

static int remove_name(struct live *l, uint64_t parent, const char *name,
		       bool directory)
{
	struct live_node *p = NULL, *n = NULL;
	int error;

	pthread_mutex_lock(&l->lock);
	error = hold_directory(l, parent, &p);
	if (!error)
		error = find(l, p, name, &n);
	if (!error && !!S_ISDIR(n->row.mode) != directory)
		error = directory ? REEL_ENOTDIR : REEL_EISDIR;
	if (!error && directory)
		error = check_empty(l, n);
	if (!error)
		error = unlink_node(l, p, name, n);
	node_put(l, n);
	node_put(l, p);
	pthread_mutex_unlock(&l->lock);
	return error;
}

int live_unlink(struct live *l, uint64_t parent, const char *name)
{
	return remove_name(l, parent, name, false);
}

int live_rmdir(struct live *l, uint64_t parent, const char *name)
{
	return remove_name(l, parent, name, true);
}

/* ---- renaming ---- */

struct move {
	struct live_node *from, *to;	 /* directories */
	struct live_node *node, *target; /* target: what the new name had */
	const char *name, *new_name;
};

static int moved(struct live *l, struct live_node *n, struct live_node *to)
{
	int error = node_change(l, n);

	if (error || !S_ISDIR(n->row.mode))
		return error;
	n->row.parent = to->row.id;
	/* rules may judge all below it otherwise now */
	return l->excluded ? live_include_all(l) : 0;
}

static int exchange(struct live *l, struct move *m)
{
	int a = S_ISDIR(m->node->row.mode) ? 1 : 0;
	int b = S_ISDIR(m->target->row.mode) ? 1 : 0;
	int error = moved(l, m->node, m->to);

	if (!error)
		error = moved(l, m->target, m->from);
	if (!error)
		error = name_give(l, m->to, m->new_name, m->node->row.id);
	if (!error)
		error = name_give(l, m->from, m->name, m->target->row.id);
	if (!error)
		error = parent_changed(l, m->from, b - a);
	return error ? error : parent_changed(l, m->to, a - b);
}

static int may_replace(struct live *l, const struct move *m)
{
	bool directory = S_ISDIR(m->node->row.mode);

	if (!m->target)
		return 0;
	if (directory != !!S_ISDIR(m->target->row.mode))
		return directory ? REEL_ENOTDIR : REEL_EISDIR;
	return directory ? check_empty(l, m->target) : 0;
}

static int replace(struct live *l, struct move *m)
{
	int directory = S_ISDIR(m->node->row.mode) ? 1 : 0;
	int error = may_replace(l, m);

	if (!error && m->target)
		error = node_unlinked(l, m->target);
	if (m->target && m->node->row.synced == SPOOL_UNSYNCED) {
		l->replaced |= m->node->row.file != 0;
		m->node->row.synced = SPOOL_SYNCED_ONCE; /* the name stays */
	}
	if (!error)
		error = moved(l, m->node, m->to);
	if (!error)
		error = name_give(l, m->to, m->new_name, m->node->row.id);
	if (!error)
		error = name_take(l, m->from, m->name);
	if (!error)
		error = parent_changed(l, m->from, -directory);
	if (error)
		return error;
	return parent_changed(l, m->to, m->target ? 0 : directory);
}

static int prepare_move(struct live *l, uint64_t from, uint64_t to,
			unsigned flags, struct move *m)
{
	int error = hold_directory(l, from, &m->from);

	if (!error)
		error = hold_directory(l, to, &m->to);
	if (!error)
		error = find(l, m->from, m->name, &m->node);
	if (!error && strlen(m->new_name) > TREE_NAME_LIMIT)
		error = REEL_ENAMETOOLONG;
	if (!error && m->to->row.id == LIVE_ROOT &&
	    !strcmp(m->new_name, l->set->reserved))
		error = REEL_EPERM;
	if (!error && !m->to->row.nlink)
		error = REEL_ENOENT;
	if (!error)
		error = live_may_change(l, 0);
	if (error)
		return error;
	error = find(l, m->to, m->new_name, &m->target);
	if (error == REEL_ENOENT && !(flags & RENAME_EXCHANGE))
		return 0;
	return !error && flags & RENAME_NOREPLACE ? REEL_EEXIST : error;
}

int live_rename(struct live *l, uint64_t from, const char *name, uint64_t to,
		const char *new_name, unsigned flags)
{
	struct move m = {.name = name, .new_name = new_name};
	int error;

	if (flags & ~(unsigned)(RENAME_EXCHANGE | RENAME_NOREPLACE))
		return REEL_EINVAL;
	pthread_mutex_lock(&l->lock);
	error = prepare_move(l, from, to, flags, &m);
	if (!error && m.node != m.target)
		error = flags & RENAME_EXCHANGE ? exchange(l, &m)
						: replace(l, &m);
	node_put(l, m.target);
	node_put(l, m.node);
	node_put(l, m.to);
	node_put(l, m.from);
	pthread_mutex_unlock(&l->lock);
	return error;
}

/* ---- paths ---- */

/* A name of a node in a directory: *parent and the name, appended. */
static int name_of(struct live *l, struct live_node *n, uint64_t *parent,
		   struct buffer *name)
{
	struct entry_row e;
	int error = l->touched
			    ? spool_name_of(l->spool, n->row.id, parent, name)
			    : REEL_ENOENT;

	if (error != REEL_ENOENT || n->row.id & LIVE_NEW)
		return error;
	if (!S_ISDIR(n->row.mode))
		return REEL_ENOENT; /* its names are asked of the base */
	error = tree_directory(l->catalog, spool_base(l->spool), n->row.base,
			       &e);
	*parent = e.parent == TREE_ROOT ? LIVE_ROOT : LIVE_DIR | e.parent;
	return error ? error : buffer_append(name, e.name, e.name_length);
}

struct first_name {
	uint64_t parent;
	struct buffer *name;
};

static int take_first(void *context, uint64_t parent, const char *name,
		      size_t length)
{
	struct first_name *f = context;
	int error = buffer_append(f->name, name, length);

	f->parent = parent == TREE_ROOT ? LIVE_ROOT : LIVE_DIR | parent;
	return error ? error : 1;
}

static int file_name_of(struct live *l, uint64_t id, uint64_t *parent,
			struct buffer *name)
{
	struct first_name f = {0, name};
	int error = spool_base(l->spool)
			    ? tree_names(l->catalog, spool_base(l->spool), id,
					 take_first, &f)
			    : 0;

	*parent = f.parent;
	return error < 0 ? error : error ? 0 : REEL_ENOENT;
}

/* Puts a name in front of a path. */
static int prepend(struct buffer *path, const struct buffer *name)
{
	struct buffer whole = {0};
	int error = buffer_append(&whole, name->data, name->length);

	if (!error && path->length)
		error = buffer_append(&whole, "/", 1);
	if (!error && path->length)
		error = buffer_append(&whole, path->data, path->length);
	buffer_release(path);
	*path = whole;
	return error;
}

static int path_step(struct live *l, uint64_t *id, struct buffer *path)
{
	struct live_node *n;
	struct buffer name = {0};
	uint64_t parent;
	int error = node_get(l, *id, &n);

	if (error)
		return error;
	error = name_of(l, n, &parent, &name);
	if (error == REEL_ENOENT && !(*id & (LIVE_NEW | LIVE_DIR)))
		error = file_name_of(l, *id, &parent, &name);
	if (!error)
		error = prepend(path, &name);
	node_put(l, n);
	buffer_release(&name);
	*id = parent;
	return error;
}

int live_path(struct live *l, uint64_t id, struct buffer *out)
{
	struct buffer path = {0};
	int error = 0;

	pthread_mutex_lock(&l->lock);
	while (!error && id != LIVE_ROOT)
		error = path_step(l, &id, &path);
	pthread_mutex_unlock(&l->lock);
	if (!error)
		error = buffer_append(out, path.data, path.length);
	buffer_release(&path);
	return error;
}
