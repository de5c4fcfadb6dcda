#include "fs/view_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include "tape/error.h"

#define NODE_MASK ((UINT64_C(1) << TREE_ID_BITS) - 1)

static bool is_current(uint64_t id)
{
	return id >> 62 == 3;
}

static bool is_version(uint64_t id)
{
	return !is_current(id) && id >= VIEW_VERSION_FIRST;
}

static bool is_latest(uint64_t id)
{
	return id >= VIEW_LATEST_FIRST && id < VIEW_VERSION_FIRST;
}

int view_init(struct view *v, struct set *set, uint32_t only)
{
	struct stat st;

	memset(v, 0, sizeof(*v));
	v->set = set;
	v->only = only;
	if (fstat(set->directory, &st))
		return REEL_EIO;
	v->uid = st.st_uid;
	v->gid = st.st_gid;
	v->began = st.st_mtim;
	places_init(&v->places);
	return versions_init(&v->versions, VIEW_VERSION_FIRST);
}

void view_release(struct view *v)
{
	versions_release(&v->versions);
	places_release(&v->places);
}

void view_forget(struct view *v, uint64_t id, uint64_t times)
{
	if (is_version(id))
		versions_forget(&v->versions, id, times);
}

/* ---- stats ---- */

struct timespec view_time(int64_t ns)
{
	struct timespec t = {ns / 1000000000, ns % 1000000000};

	if (t.tv_nsec < 0) {
		t.tv_nsec += 1000000000;
		t.tv_sec--;
	}
	return t;
}

void view_stat_of_row(const struct inode_row *row, uint64_t id, struct stat *st)
{
	*st = (struct stat){
		.st_ino = id,
		.st_mode = row->mode,
		.st_nlink = row->nlink,
		.st_uid = row->uid,
		.st_gid = row->gid,
		.st_size = (off_t)row->size,
		.st_blocks = (blkcnt_t)row->blocks,
		.st_blksize = 4096,
		.st_rdev = makedev(row->major, row->minor),
		.st_mtim = view_time(row->mtime),
		.st_atim = view_time(row->atime),
		.st_ctim = view_time(row->ctime),
	};
}

void view_make_up(const struct view *v, uint64_t id, mode_t mode,
		  struct timespec time, struct view_entry *out)
{
	*out = (struct view_entry){
		.id = id,
		.st = {.st_ino = id,
		       .st_mode = mode,
		       .st_nlink = S_ISDIR(mode) ? 2 : 1,
		       .st_uid = v->uid,
		       .st_gid = v->gid,
		       .st_blksize = 4096,
		       .st_mtim = time,
		       .st_atim = time,
		       .st_ctim = time},
	};
}

static void entry_of_row(const struct entry_row *e, uint64_t id, bool fixed,
			 struct view_entry *out)
{
	out->id = id;
	out->fixed = fixed;
	out->fixed_stat = fixed || !e->node;
	out->told = false;
	out->content = S_ISREG(e->inode.mode) ? e->inode.content : 0;
	view_stat_of_row(&e->inode, id, &out->st);
}

/* When the newest session ended: what changes in the views changes then. */
static int news(struct view *v, struct catalog *c, uint32_t *newest,
		struct timespec *when)
{
	struct session_row row;
	int error = catalog_newest(c, newest);

	*when = v->began;
	if (error || !*newest)
		return error;
	error = catalog_session(c, *newest, &row);
	if (!error) {
		*when = view_time(row.finished);
		session_row_release(&row);
	}
	return error;
}

/* ---- directories of snapshots and of current/ ---- */

struct where {
	uint32_t session; /* 0: current/ of an empty set */
	uint64_t node;
	bool current;
};

/* REEL_ENOTDIR when the id is no directory of a tree. */
static int where_of(struct view *v, struct catalog *c, uint64_t id,
		    struct where *w)
{
	memset(w, 0, sizeof(*w));
	w->node = id & NODE_MASK;
	if (is_current(id)) {
		w->current = true;
		return catalog_newest(c, &w->session);
	}
	if (id == VIEW_ROOT && v->only) {
		w->session = v->only;
		w->node = TREE_ROOT;
		return 0;
	}
	w->session = (uint32_t)(id >> TREE_ID_BITS);
	return id & VIEW_BIT || !w->session ? REEL_ENOTDIR : 0;
}

static uint64_t id_in(const struct view *v, const struct where *w,
		      const struct entry_row *e)
{
	if (!e->node)
		return e->inode.id;
	if (w->current)
		return VIEW_BIT | VIEW_CURRENT_BIT | e->node;
	if (v->only && e->node == TREE_ROOT)
		return VIEW_ROOT;
	return tree_pack(w->session, e);
}

/* The root of a session that named none has no entry: it is made up. */
static int stat_directory(struct view *v, struct catalog *c, uint64_t id,
			  struct view_entry *out)
{
	struct entry_row e;
	struct where w;
	int error = where_of(v, c, id, &w);

	if (error)
		return error;
	if (w.current && v->writable) { /* lies under the living tree */
		view_make_up(v, id, S_IFDIR | 0755, v->began, out);
		out->fixed_stat = true;
		return 0;
	}
	error = w.session ? tree_directory(c, w.session, w.node, &e)
			  : REEL_ENOENT;
	if (error == REEL_ENOENT && w.node == TREE_ROOT) {
		view_make_up(v, id, S_IFDIR | 0555, v->began, out);
		out->fixed_stat = !w.current;
		return 0;
	}
	if (!error)
		entry_of_row(&e, id, !w.current, out);
	return error;
}

/* The entry of a name in a directory of a tree; REEL_ENOENT. */
static int lookup_in(struct view *v, struct catalog *c, const struct where *w,
		     const char *name, struct view_entry *out)
{
	size_t length = strlen(name);
	struct entry_row e;
	int error =
		w->session && length <= TREE_NAME_LIMIT
			? tree_lookup(c, w->session, w->node, name, length, &e)
			: REEL_ENOENT;

	if (!error)
		entry_of_row(&e, id_in(v, w, &e), !w->current, out);
	return error;
}

static int give_dots(struct view *v, struct catalog *c, uint64_t id,
		     uint64_t above, uint64_t *offset, view_each each,
		     void *context)
{
	struct view_entry e;
	int error = 0;

	view_make_up(v, 0, S_IFDIR | 0555, v->began, &e);
	e.st.st_ino = id;
	if (id == VIEW_VERSIONS || id >= VIEW_VERSION_FIRST) {
		error = view_stat(v, c, id, &e);
		e.id = 0;
	}
	if (!error && *offset < VIEW_OFFSET_DOT) {
		error = each(context, ".", &e, VIEW_OFFSET_DOT);
		*offset = VIEW_OFFSET_DOT;
	}
	if (!error && *offset < VIEW_OFFSET_DOTDOT) {
		e.st.st_ino = above;
		error = each(context, "..", &e, VIEW_OFFSET_DOTDOT);
		*offset = VIEW_OFFSET_DOTDOT;
	}
	return error;
}

/* The number of the directory above one of a tree. */
static uint64_t above(struct view *v, struct catalog *c, const struct where *w)
{
	struct entry_row e;

	if (w->node == TREE_ROOT || !w->session ||
	    tree_directory(c, w->session, w->node, &e))
		return w->current || v->only ? VIEW_ROOT : VIEW_SNAPSHOTS;
	e.node = e.parent;
	return id_in(v, w, &e);
}

static int list_tree(struct view *v, struct catalog *c, uint64_t id,
		     const struct where *w, uint64_t offset, view_each each,
		     void *context)
{
	struct list_place place = {0};
	struct tree_cursor *t = NULL;
	struct entry_row e;
	uint64_t at = VIEW_OFFSET_FIRST - 1;
	char name[TREE_NAME_LIMIT + 1] = "";
	size_t length = 0;
	int error, step = 0;

	if (offset >= VIEW_OFFSET_FIRST &&
	    places_find(&v->places, id, offset, &place)) {
		if (place.end)
			return 0;
		at = offset;
	}
	error = w->session ? tree_list_after(c, w->session, w->node, place.name,
					     place.length, &t)
			   : 0;
	while (!error && t && (step = tree_step(t, &e)) == 1) {
		struct view_entry out;

		if (++at <= offset)
			continue;
		char next[TREE_NAME_LIMIT + 1];
		memcpy(next, e.name, e.name_length);
		next[e.name_length] = '\0';
		entry_of_row(&e, id_in(v, w, &e), !w->current, &out);
		error = each(context, next, &out, at);
		if (error)
			break;
		length = e.name_length;
		memcpy(name, next, length + 1);
	}
	tree_end(t);
	if (!error && step < 0)
		error = step;
	if (error > 0 && length)
		places_note(&v->places, id, at - 1, name, length, false);
	else if (!error && at >= VIEW_OFFSET_FIRST)
		places_note(&v->places, id, at, "", 0, true);
	return error;
}

/* ---- the top, snapshots/ ---- */

static int stat_latest(struct view *v, struct catalog *c,
		       struct view_entry *out)
{
	char name[40];
	struct timespec when;
	uint32_t newest;
	int error = news(v, c, &newest, &when);

	if (!error)
		error = newest ? catalog_session_name(c, newest, name)
			       : REEL_ENOENT;
	view_make_up(v, VIEW_LATEST_FIRST + newest, S_IFLNK | 0777, when, out);
	out->st.st_ino = VIEW_LATEST_FIRST;
	out->st.st_size = error ? 0 : (off_t)strlen(name);
	out->told = true;
	return error;
}

static int stat_made_up(struct view *v, struct catalog *c, uint64_t id,
			struct view_entry *out)
{
	struct timespec when;
	uint32_t newest;
	int error = news(v, c, &newest, &when);

	view_make_up(v, id, S_IFDIR | 0555, when, out);
	out->told = true;
	return error;
}

/* A snapshot by exactly its name. */
static int lookup_snapshot(struct view *v, struct catalog *c, const char *name,
			   struct view_entry *out)
{
	char right[40];
	uint32_t session;
	int error = catalog_find_session(c, name, &session);

	if (!error)
		error = catalog_session_name(c, session, right);
	if (!error && strcmp(right, name) != 0)
		error = REEL_ENOENT;
	if (error)
		return error;
	return view_stat(v, c, (uint64_t)session << TREE_ID_BITS | TREE_ROOT,
			 out);
}

static int list_snapshots(struct view *v, struct catalog *c, uint64_t offset,
			  view_each each, void *context)
{
	struct session_row row;
	struct view_entry e;
	uint32_t id = 0;
	int error = 0, more = 0;

	if (offset < VIEW_OFFSET_FIRST && !(error = stat_latest(v, c, &e)))
		error = each(context, "latest", &e, VIEW_OFFSET_FIRST);
	if (error == REEL_ENOENT)
		error = 0;
	if (offset > VIEW_OFFSET_FIRST)
		id = (uint32_t)(offset - VIEW_OFFSET_FIRST);
	while (!error && (more = catalog_session_after(c, id, &row)) == 1) {
		char name[40];

		id = row.id;
		session_row_release(&row);
		error = catalog_session_name(c, id, name);
		if (!error)
			error = view_stat(
				v, c, (uint64_t)id << TREE_ID_BITS | TREE_ROOT,
				&e);
		if (!error)
			error = each(context, name, &e, id + VIEW_OFFSET_FIRST);
	}
	return error ? error : more;
}

static const struct {
	const char *name;
	uint64_t id;
} top[] = {
	{"current", VIEW_BIT | VIEW_CURRENT_BIT | TREE_ROOT},
	{"snapshots", VIEW_SNAPSHOTS},
	{"versions", VIEW_VERSIONS},
	{"restore", VIEW_RESTORE},
};

static size_t top_count(const struct view *v)
{
	return sizeof(top) / sizeof(top[0]) - !v->restores;
}

static int stat_restore(const struct view *v, struct view_entry *out)
{
	view_make_up(v, VIEW_RESTORE, S_IFDIR | 0755, v->began, out);
	out->fixed = out->fixed_stat = true;
	return 0;
}

static int stat_top(struct view *v, struct catalog *c, uint64_t id,
		    struct view_entry *out)
{
	int error = view_stat(v, c, id, out);

	/* what is mounted on current/ would go with its name */
	out->fixed = !is_current(id) || v->writable;
	return error;
}

static int lookup_top(struct view *v, struct catalog *c, const char *name,
		      struct view_entry *out)
{
	for (size_t n = 0; n < top_count(v); n++)
		if (!strcmp(name, top[n].name))
			return stat_top(v, c, top[n].id, out);
	return REEL_ENOENT;
}

static int list_top(struct view *v, struct catalog *c, uint64_t offset,
		    view_each each, void *context)
{
	struct view_entry e;
	int error = 0;

	for (size_t n = 0; !error && n < top_count(v); n++) {
		if (VIEW_OFFSET_FIRST + n <= offset)
			continue;
		error = stat_top(v, c, top[n].id, &e);
		if (!error)
			error = each(context, top[n].name, &e,
				     VIEW_OFFSET_FIRST + n);
	}
	return error;
}

/* ---- all of them ---- */

int view_stat(struct view *v, struct catalog *c, uint64_t id,
	      struct view_entry *out)
{
	struct entry_row e = {0};
	int error;

	if (view_is_file(id)) {
		error = tree_inode(c, id, &e.inode);
		if (!error)
			entry_of_row(&e, id, true, out);
		return error;
	}
	if (is_latest(id))
		return stat_latest(v, c, out);
	if (id == VIEW_SNAPSHOTS || (id == VIEW_ROOT && !v->only))
		return stat_made_up(v, c, id, out);
	if (id == VIEW_RESTORE)
		return stat_restore(v, out);
	if (id == VIEW_VERSIONS || is_version(id))
		return versions_view_stat(v, c, id, out);
	return stat_directory(v, c, id, out);
}

int view_lookup(struct view *v, struct catalog *c, uint64_t parent,
		const char *name, struct view_entry *out)
{
	struct where w;
	int error;

	if (parent == VIEW_ROOT && !v->only)
		return lookup_top(v, c, name, out);
	if (parent == VIEW_SNAPSHOTS)
		return strcmp(name, "latest") ? lookup_snapshot(v, c, name, out)
					      : stat_latest(v, c, out);
	if (parent == VIEW_VERSIONS || is_version(parent))
		return versions_view_lookup(v, c, parent, name, out);
	error = where_of(v, c, parent, &w);
	return error ? error : lookup_in(v, c, &w, name, out);
}

int view_readlink(struct view *v, struct catalog *c, uint64_t id,
		  struct buffer *out)
{
	struct inode_row row;
	char name[40];
	int error;

	if (is_latest(id)) {
		error = catalog_session_name(
			c, (uint32_t)(id - VIEW_LATEST_FIRST), name);
		return error ? error : buffer_append(out, name, strlen(name));
	}
	if (is_version(id))
		return versions_view_link(v, c, id, out);
	error = tree_inode(c, id, &row);
	if (!error && !S_ISLNK(row.mode))
		error = REEL_EINVAL;
	return error ? error
		     : buffer_append(out, row.target, row.target_length);
}

int view_list(struct view *v, struct catalog *c, uint64_t id, uint64_t offset,
	      view_each each, void *context)
{
	bool made_up = (id == VIEW_ROOT && !v->only) || id == VIEW_SNAPSHOTS ||
		       id == VIEW_VERSIONS || id == VIEW_RESTORE ||
		       is_version(id);
	struct where w;
	int error = made_up ? 0 : where_of(v, c, id, &w);

	if (!error && offset < VIEW_OFFSET_DOTDOT)
		error = give_dots(v, c, id,
				  made_up ? VIEW_ROOT : above(v, c, &w),
				  &offset, each, context);
	if (error)
		return error;
	if (!made_up)
		return list_tree(v, c, id, &w, offset, each, context);
	if (id == VIEW_ROOT)
		return list_top(v, c, offset, each, context);
	if (id == VIEW_SNAPSHOTS)
		return list_snapshots(v, c, offset, each, context);
	if (id == VIEW_RESTORE)
		return 0;
	return versions_view_list(v, c, id, offset, each, context);
}

int view_xattrs(struct view *v, struct catalog *c, uint64_t id, uint64_t *set)
{
	struct entry_row e = {0};
	struct where w;
	int error;

	*set = 0;
	if (view_is_file(id)) {
		error = tree_inode(c, id, &e.inode);
	} else {
		error = where_of(v, c, id, &w);
		if (!error && w.session)
			error = tree_directory(c, w.session, w.node, &e);
	}
	if (error == REEL_ENOTDIR || error == REEL_ENOENT)
		return 0; /* made up by the mount */
	*set = e.inode.xattrs;
	return error;
}

bool view_is_fixed(const struct view *v, uint64_t id)
{
	return id == VIEW_ROOT ? v->only
			       : !(id & VIEW_BIT) && id >> TREE_ID_BITS;
}
