/* Another snapshot becomes the base of the living tree. What is dirty stays;
 * what is clean keeps its number where the new base has it as it was, so that
 * open files and directories that programs stand in go on; else its row goes
 * and the base shows. */
#include "fs/live_state.h"

#include <string.h>
#include "tape/error.h"

static int at_least_one(void *context, uint64_t parent, const char *name,
			size_t length)
{
	(void)context;
	(void)parent;
	(void)name;
	(void)length;
	return 1;
}

/* 1: the base has the version under a name; 0: it does not. */
static int base_has(struct live *l, uint64_t version)
{
	uint32_t base = spool_base(l->spool);

	return base && version ? tree_names(l->catalog, base, version,
					    at_least_one, NULL)
			       : 0;
}

int live_restore_file(struct live *l, struct spool_node *r)
{
	struct inode_row i;
	int error = tree_inode(l->catalog, r->base, &i);

	if (error)
		return error;
	r->content = i.content;
	r->size = i.size;
	r->blocks = i.blocks;
	r->mtime = i.mtime;
	return 0;
}

/* ---- rows ---- */

/* A directory as the base has it; REEL_ENOENT: it has it no more. */
static int refill(struct live *l, struct spool_node *r)
{
	struct spool_node fresh;
	struct entry_row e;
	int error =
		tree_directory(l->catalog, spool_base(l->spool), r->base, &e);

	if (error)
		return error;
	uint64_t xattrs = e.inode.xattrs;

	error = live_fill(&fresh, r->id, &e.inode, r->base, r->parent);
	if (!error && xattrs)
		error = tree_xattrs(l->catalog, xattrs, &fresh.xattrs);
	fresh.inode = r->inode;
	fresh.change = r->change;
	spool_node_release(r);
	*r = fresh;
	return error;
}

static int follow_node(struct live *l, uint64_t id)
{
	struct spool_node r;
	int error = spool_get(l->spool, id, &r), has;

	if (error)
		return error;
	if (r.nlink && S_ISDIR(r.mode)) {
		error = refill(l, &r);
		error = error == REEL_ENOENT ? spool_forget(l->spool, id)
			: error		     ? error
					     : spool_put(l->spool, &r);
	} else if (r.nlink) {
		has = base_has(l, r.base);
		error = has < 0 ? has : has ? 0 : spool_forget(l->spool, id);
	}
	spool_node_release(&r);
	return error;
}

static int follow_nodes(struct live *l)
{
	uint64_t id = SPOOL_FIRST;
	int error;

	while (!(error = spool_next_clean(l->spool, id, &id))) {
		error = follow_node(l, id);
		if (error)
			return error;
	}
	return error == REEL_ENOENT ? 0 : error;
}

/* ---- names ---- */

/* The base's number for a node: of a version, or of a directory. */
static int base_number(struct live *l, uint64_t id, uint64_t *base,
		       bool *changed)
{
	struct spool_node r;
	int error = spool_get(l->spool, id, &r);

	*base = 0;
	*changed = false;
	if (error == REEL_ENOENT && !(id & LIVE_NEW)) {
		*base = id == LIVE_ROOT ? TREE_ROOT : id & ~LIVE_DIR;
		return 0;
	}
	if (error)
		return error == REEL_ENOENT ? 0 : error;
	*base = r.base;
	*changed = r.state != SPOOL_CLEAN;
	spool_node_release(&r);
	return 0;
}

/* Whether a clean name stays: it still leads where the base has it, or to
 * what was changed. */
static int is_right(struct live *l, uint64_t parent, const struct buffer *name,
		    uint64_t node, bool *right)
{
	uint64_t above, version;
	struct entry_row e;
	bool changed;
	int error = base_number(l, parent, &above, &changed);

	*right = false;
	if (error || !node)
		return error;
	error = base_number(l, node, &version, &changed);
	*right = changed;
	if (error || changed || !above || !version)
		return error;
	error = tree_lookup(l->catalog, spool_base(l->spool), above,
			    (char *)name->data, name->length, &e);
	*right = !error && version == (e.node ? e.node : e.inode.id);
	return error == REEL_ENOENT ? 0 : error;
}

static int follow_names(struct live *l)
{
	struct buffer name = {0};
	uint64_t parent = SPOOL_FIRST, node;
	bool right;
	int error = 0;

	while (!error && !(error = spool_next_clean_entry(l->spool, &parent,
							  &name, &node))) {
		error = is_right(l, parent, &name, node, &right);
		if (!error && !right)
			error = spool_leave(l->spool, parent, (char *)name.data,
					    name.length);
	}
	buffer_release(&name);
	return error == REEL_ENOENT ? 0 : error;
}

/* ---- what is dirty ---- */

static int gather(void *context, uint64_t directory)
{
	return buffer_append(context, &directory, sizeof(directory));
}

/* A directory gets a row and a name of its own. */
static int pin(struct live *l, struct live_node *n)
{
	struct buffer name = {0};
	struct entry_row e;
	uint64_t parent;
	int error = node_touch(l, n);

	if (error || n->row.id == LIVE_ROOT)
		return error;
	error = spool_name_of(l->spool, n->row.id, &parent, &name);
	buffer_release(&name);
	if (error != REEL_ENOENT || n->row.id & LIVE_NEW)
		return error == REEL_ENOENT ? 0 : error;
	error = tree_directory(l->catalog, spool_base(l->spool), n->row.base,
			       &e);
	if (error)
		return error == REEL_ENOENT ? 0 : error;
	return spool_enter(l->spool, n->row.parent, e.name, e.name_length,
			   n->row.id, SPOOL_DIRTY, n->row.change);
}

/* Directories above what is dirty are dirty, too: the new base may not have
 * them. */
static int pin_above(struct live *l, uint64_t id)
{
	int error = 0;

	while (!error && id) {
		struct live_node *n;

		error = node_get(l, id, &n);
		if (error)
			return error == REEL_ESTALE ? 0 : error;
		if (n->row.nlink)
			error = pin(l, n);
		id = n->row.nlink && id != LIVE_ROOT ? n->row.parent : 0;
		node_put(l, n);
	}
	return error;
}

static int pin_dirty(struct live *l)
{
	struct buffer all = {0};
	int error = spool_each_dirty(l->spool, gather, &all);

	for (size_t at = 0; !error && at < all.length; at += sizeof(uint64_t)) {
		uint64_t id;

		memcpy(&id, all.data + at, sizeof(id));
		error = pin_above(l, id);
	}
	buffer_release(&all);
	return error ? error : live_flush(l);
}

/* ---- what is in memory ---- */

/* Somebody uses it: an open file whose last name may be gone. */
static int follow_held(struct live *l, struct live_node *n)
{
	struct spool_node r;
	int error, has;

	if (!n->row.nlink || n->row.state != SPOOL_CLEAN)
		return 0;
	if (!n->stored) {
		has = S_ISDIR(n->row.mode) ? 1 : base_has(l, n->row.base);
		n->row.nlink = has == 0 ? 0 : n->row.nlink;
		return has < 0 ? has : 0;
	}
	error = spool_get(l->spool, n->row.id, &r);
	if (error == REEL_ENOENT) {
		n->row.nlink = 0;
		return 0;
	}
	if (error)
		return error;
	if (S_ISDIR(r.mode)) {
		spool_node_release(&n->row);
		n->row = r;
		n->xattrs = 0;
		return 0;
	}
	spool_node_release(&r);
	return 0;
}

int live_rebase(struct live *l, uint32_t session)
{
	int error = live_flush(l);

	if (!error)
		error = pin_dirty(l);
	if (!error)
		error = spool_set_base(l->spool, session);
	if (!error)
		error = live_load_epoch(l);
	if (!error)
		error = follow_names(l);
	if (!error)
		error = follow_nodes(l);
	if (!error)
		node_forget_idle(l);
	for (int slot = 0; !error && slot < LIVE_SLOTS; slot++)
		for (struct live_node *n = l->slots[slot]; !error && n;
		     n = n->next)
			error = follow_held(l, n);
	return error ? error : spool_flush(l->spool);
}
