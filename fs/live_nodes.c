/* Nodes: found or loaded, kept while in use and some while longer, changed. */
#include "fs/live_state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include "fs/view_state.h"
#include "tape/error.h"
#include "tape/log.h"

#define NODE_MASK ((UINT64_C(1) << TREE_ID_BITS) - 1)
/* ---- in memory ---- */

static struct live_node **slot_of(struct live *l, uint64_t id)
{
	return &l->slots[(id ^ id >> 43) % LIVE_SLOTS];
}

static struct live_node *node_find(struct live *l, uint64_t id)
{
	struct live_node *n = *slot_of(l, id);

	while (n && n->row.id != id)
		n = n->next;
	return n;
}

bool node_is_loaded(struct live *l, uint64_t id)
{
	return node_find(l, id) != NULL;
}

static struct live_node *node_alloc(void)
{
	struct live_node *n = calloc(1, sizeof(*n));

	if (n) {
		n->fd = -1;
		n->pins = 1;
		pthread_mutex_init(&n->bytes, NULL);
	}
	return n;
}

static void node_free(struct live_node *n)
{
	if (n->fd >= 0)
		close(n->fd);
	pthread_mutex_destroy(&n->bytes);
	spool_node_release(&n->row);
	free(n);
}

static void node_add(struct live *l, struct live_node *n)
{
	struct live_node **slot = slot_of(l, n->row.id);

	n->next = *slot;
	*slot = n;
}

static void idle_remove(struct live *l, struct live_node *n)
{
	*(n->newer ? &n->newer->older : &l->newest) = n->older;
	*(n->older ? &n->older->newer : &l->oldest) = n->newer;
	n->newer = n->older = NULL;
	l->idle--;
}

static void node_evict(struct live *l, struct live_node *n)
{
	struct live_node **at = slot_of(l, n->row.id);

	while (*at != n)
		at = &(*at)->next;
	*at = n->next;
	idle_remove(l, n);
	node_free(n);
}

/* The oldest that nobody uses; what is to be written stays until it is. */
static void evict_some(struct live *l)
{
	struct live_node *n = l->oldest;

	if (n && n->changed && live_flush(l))
		return;
	while (l->idle > LIVE_CACHED && (n = l->oldest) && !n->changed)
		node_evict(l, n);
}

void node_forget_idle(struct live *l)
{
	while (l->oldest)
		node_evict(l, l->oldest);
}

void node_put(struct live *l, struct live_node *n)
{
	if (!n || --n->pins)
		return;
	n->older = l->newest;
	*(l->newest ? &l->newest->newer : &l->oldest) = n;
	l->newest = n;
	if (++l->idle > LIVE_CACHED)
		evict_some(l);
}

void nodes_free(struct live *l)
{
	for (int n = 0; n < LIVE_SLOTS; n++) {
		while (l->slots[n]) {
			struct live_node *node = l->slots[n];

			l->slots[n] = node->next;
			node_free(node);
		}
	}
}

/* ---- loading ---- */

static uint64_t living_inode(const struct inode_row *i, uint64_t id)
{
	return i->flags & INODE_LIVING ? i->source : id;
}

int live_fill(struct spool_node *r, uint64_t id, const struct inode_row *i,
	      uint64_t base, uint64_t parent)
{
	*r = (struct spool_node){
		.id = id,
		.inode = living_inode(i, id),
		.base = base,
		.parent = parent,
		.mode = i->mode,
		.uid = i->uid,
		.gid = i->gid,
		.nlink = i->nlink,
		.size = i->size,
		.blocks = i->blocks,
		.major = i->major,
		.minor = i->minor,
		.mtime = i->mtime,
		.atime = i->atime,
		.ctime = i->ctime,
		.flags = i->flags & ~(uint32_t)INODE_LIVING,
		.content = i->content,
	};
	if (S_ISDIR(r->mode) && !r->size)
		r->size = 4096;
	return i->target
		       ? buffer_append(&r->target, i->target, i->target_length)
		       : 0;
}

/* The root of a set without snapshots, or of sessions that named none. */
static void make_up_root(struct live *l, struct live_node *n)
{
	struct stat st;

	if (fstat(l->set->directory, &st))
		memset(&st, 0, sizeof(st));
	n->row = (struct spool_node){.id = LIVE_ROOT,
				     .inode = LIVE_ROOT,
				     .base = TREE_ROOT,
				     .mode = S_IFDIR | 0755,
				     .uid = st.st_uid,
				     .gid = st.st_gid,
				     .nlink = 2,
				     .size = 4096,
				     .blocks = 8};
	n->row.mtime = n->row.atime = n->row.ctime =
		(int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
}

static int load_directory(struct live *l, uint64_t id, struct live_node *n)
{
	uint64_t node = id == LIVE_ROOT ? TREE_ROOT : id & NODE_MASK;
	uint32_t base = spool_base(l->spool);
	struct entry_row e;
	int error =
		base ? tree_directory(l->catalog, base, node, &e) : REEL_ENOENT;

	if (error == REEL_ENOENT && id == LIVE_ROOT) {
		make_up_root(l, n);
		return 0;
	}
	if (error)
		return error == REEL_ENOENT ? REEL_ESTALE : error;
	n->xattrs = e.inode.xattrs;
	return live_fill(&n->row, id, &e.inode, node,
			 e.parent == TREE_ROOT ? LIVE_ROOT
					       : LIVE_DIR | e.parent);
}

static int load_file(struct live *l, uint64_t id, struct live_node *n)
{
	struct inode_row i;
	int error = tree_inode(l->catalog, id, &i);

	if (error)
		return error == REEL_ENOENT ? REEL_ESTALE : error;
	n->xattrs = i.xattrs;
	return live_fill(&n->row, id, &i, i.id, 0);
}

static int node_load(struct live *l, uint64_t id, struct live_node *n)
{
	int error = l->touched ? spool_get(l->spool, id, &n->row) : REEL_ENOENT;

	if (!error)
		n->stored = true;
	if (error != REEL_ENOENT)
		return error;
	if (id & LIVE_NEW)
		return REEL_ESTALE;
	return id & LIVE_DIR || id == LIVE_ROOT ? load_directory(l, id, n)
						: load_file(l, id, n);
}

int node_get(struct live *l, uint64_t id, struct live_node **out)
{
	struct live_node *n = node_find(l, id);
	int error;

	if (n) {
		if (!n->pins++)
			idle_remove(l, n);
		*out = n;
		return 0;
	}
	n = node_alloc();
	if (!n)
		return REEL_ENOMEM;
	error = node_load(l, id, n);
	if (error) {
		node_free(n);
		return error;
	}
	node_add(l, n);
	*out = n;
	return 0;
}

int node_new(struct live *l, struct live_node **out)
{
	struct live_node *n = node_alloc();

	if (!n)
		return REEL_ENOMEM;
	n->row.inode = spool_new_inode(l->spool);
	n->row.id = LIVE_NEW | n->row.inode;
	node_add(l, n);
	*out = n;
	return 0;
}

int node_load_xattrs(struct live *l, struct live_node *n)
{
	int error = 0;

	if (n->xattrs)
		error = tree_xattrs(l->catalog, n->xattrs, &n->row.xattrs);
	if (!error)
		n->xattrs = 0;
	return error;
}

uint64_t node_base_directory(const struct live_node *n)
{
	return S_ISDIR(n->row.mode) ? n->row.base : 0;
}

/* ---- changing ---- */

struct naming {
	struct live *live;
	uint64_t id;
	uint64_t change;
};

static int give_entry(void *context, uint64_t parent, const char *name,
		      size_t length)
{
	struct naming *g = context;
	uint64_t at = parent == TREE_ROOT ? LIVE_ROOT : LIVE_DIR | parent;
	struct spool_entry e;
	int error = spool_lookup(g->live->spool, at, name, length, &e);

	if (error != REEL_ENOENT)
		return error;
	return spool_enter(g->live->spool, at, name, length, g->id, SPOOL_CLEAN,
			   g->change);
}

/* A file of the base changes for the first time: all its names. */
static int give_names(struct live *l, struct naming *g, uint64_t version)
{
	int error = l->indexed ? 0 : catalog_index_names(l->catalog);

	l->indexed = !error;
	return error ? error
		     : tree_names(l->catalog, spool_base(l->spool), version,
				  give_entry, g);
}

int node_touch(struct live *l, struct live_node *n)
{
	struct naming g = {l, n->row.id, spool_last_change(l->spool)};
	int error = node_load_xattrs(l, n);

	l->touched = l->dirty = true;
	if (!error && !n->stored && n->row.base && !S_ISDIR(n->row.mode))
		error = give_names(l, &g, n->row.base);
	if (error)
		return error;
	n->stored = true;
	/* what has no name is nobody's to commit */
	n->row.state = n->row.nlink ? SPOOL_DIRTY : SPOOL_CLEAN;
	n->row.change = spool_new_change(l->spool);
	if (!n->changed) {
		n->changed = true;
		n->next_changed = l->first_changed;
		l->first_changed = n;
	}
	return 0;
}

int node_change(struct live *l, struct live_node *n)
{
	int error = node_touch(l, n);

	if (!error)
		n->row.ctime = live_now();
	return error;
}

/* L6 */
static int sync_replaced(struct live *l)
{
	if (!l->replaced)
		return 0;
	if (syncfs(spool_files(l->spool)))
		return error_from_errno(errno);
	l->replaced = false;
	return 0;
}

int live_flush(struct live *l)
{
	int error = sync_replaced(l);

	while (!error && l->first_changed) {
		struct live_node *n = l->first_changed;

		error = n->forgotten ? spool_forget(l->spool, n->row.id)
				     : spool_put(l->spool, &n->row);
		if (!error) {
			l->first_changed = n->next_changed;
			n->changed = false;
		}
	}
	if (!error)
		error = spool_flush(l->spool);
	if (error && !l->failed)
		log_error("%s/spool: what was changed in current/ cannot be "
			  "noted: %s; make room, or it is lost when the mount "
			  "ends",
			  l->set->path, error_text(error));
	l->failed = error;
	return error;
}

void node_drop_set_id(struct live_node *n)
{
	if (S_ISDIR(n->row.mode))
		return;
	n->row.mode &= ~(mode_t)S_ISUID;
	if (n->row.mode & S_IXGRP)
		n->row.mode &= ~(mode_t)S_ISGID;
}

/* ---- stat ---- */

void node_stat(const struct live_node *n, struct live_entry *out)
{
	const struct spool_node *r = &n->row;

	*out = (struct live_entry){
		.id = r->id,
		.st = {.st_ino = r->inode,
		       .st_mode = r->mode,
		       .st_nlink = r->nlink,
		       .st_uid = r->uid,
		       .st_gid = r->gid,
		       .st_size = (off_t)r->size,
		       .st_blocks = (blkcnt_t)r->blocks,
		       .st_blksize = 4096,
		       .st_rdev = makedev(r->major, r->minor),
		       .st_mtim = view_time(r->mtime),
		       .st_atim = view_time(r->atime),
		       .st_ctim = view_time(r->ctime)},
	};
	if (n->fd >= 0 && r->file) {
		struct stat st;

		if (!fstat(n->fd, &st))
			out->st.st_blocks = st.st_blocks;
	}
}
