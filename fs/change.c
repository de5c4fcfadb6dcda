#include "fs/change.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>
#include "fs/folder_pool.h"
#include "tape/error.h"
#include "tape/log.h"
#include "tape/stop.h"
#include "tape/text.h"
#include "tape/xattrs.h"

/* ctimes come from a coarse clock (one tick, 10 ms at most); filesystems
 * without nanoseconds keep two seconds at worst. */
#define TICK_NS	  INT64_C(20000000)
#define SECOND_NS INT64_C(1000000000)
/* Holes below this are not worth a sparse member. */
#define SPARSE_SAVING (64u << 10)

/* The listing being compared: the old names of one folder, in step with the
 * new ones. */
struct comparison {
	struct tree_cursor *cursor;
	struct entry_row old;
	bool have; /* `old` waits to be matched */
	struct folder *folder;
	int64_t now; /* ns, when this batch was begun */
};

static bool pass_on(struct change *c, struct item *i)
{
	return outlet_put(&c->out, i,
			  sizeof(*i) + i->length +
				  (i->fd >= 0 ? ITEM_SMALL : 0));
}

static void say(struct change *c, const struct item *i, const char *what,
		int err)
{
	char *path = folder_text(i->folder, i->name);

	log_warning("%s: %s%s%s", path ? path : "?", what, err ? ": " : "",
		    err ? strerror(err) : "");
	free(path);
	c->problems++;
}

static bool same_file(const struct item *i)
{
	const struct statx *st = &i->st;
	const struct inode_row *old = &i->old;

	return !i->old_node && old->mode == st->stx_mode &&
	       (!S_ISREG(st->stx_mode) || old->size == st->stx_size) &&
	       old->mtime == statx_ns(st->stx_mtime) &&
	       old->ctime == statx_ns(st->stx_ctime) &&
	       old->source == st->stx_ino && old->uid == st->stx_uid &&
	       old->gid == st->stx_gid && !(old->flags & INODE_RACY);
}

static bool same_folder(const struct item *i)
{
	const struct statx *st = &i->st;
	const struct inode_row *old = &i->old;

	return old->mode == st->stx_mode &&
	       old->mtime == statx_ns(st->stx_mtime) &&
	       old->ctime == statx_ns(st->stx_ctime) &&
	       old->source == st->stx_ino && old->uid == st->stx_uid &&
	       old->gid == st->stx_gid;
}

/* ---- xattrs ---- */

struct xattr_name {
	const char *name;
	size_t length;
};

static int compare_xattrs(const void *a, const void *b)
{
	return strcmp(((const struct xattr_name *)a)->name,
		      ((const struct xattr_name *)b)->name);
}

static ssize_t list_xattrs(int fd, const char *path, char *to, size_t room)
{
	return fd >= 0 ? flistxattr(fd, to, room) : llistxattr(path, to, room);
}

static ssize_t get_xattr(int fd, const char *path, const char *name, void *to,
			 size_t room)
{
	return fd >= 0 ? fgetxattr(fd, name, to, room)
		       : lgetxattr(path, name, to, room);
}

static int append_xattr(struct item *i, int fd, const char *path,
			const struct xattr_name *n)
{
	size_t room = 4096;
	int error = REEL_EIO;

	for (int tries = 0; tries < 3; tries++) {
		char *value = malloc(room);
		ssize_t length;

		if (!value)
			return REEL_ENOMEM;
		length = get_xattr(fd, path, n->name, value, room);
		if (length >= 0)
			error = xattr_append(&i->xattrs, n->name, n->length,
					     value, (size_t)length);
		free(value);
		if (length >= 0)
			return error;
		if (errno == ENODATA)
			return 0;
		if (errno != ERANGE)
			return error_from_errno(errno);
		length = get_xattr(fd, path, n->name, NULL, 0);
		room = length > 0 ? (size_t)length + 256 : room * 16;
	}
	return error;
}

/* The names in the kernel's answer, sorted, into a heap array; how many. */
static ssize_t sort_xattrs(const char *names, ssize_t length,
			   struct xattr_name **out)
{
	ssize_t count = 0;

	for (ssize_t n = 0; n < length; n++)
		count += !names[n];
	*out = malloc((size_t)count * sizeof(**out) + 1);
	if (!*out)
		return -1;
	count = 0;
	for (const char *at = names; at < names + length; at += strlen(at) + 1)
		if (strncmp(at, "user.reel.", 10) != 0)
			(*out)[count++] = (struct xattr_name){at, strlen(at)};
	qsort(*out, (size_t)count, sizeof(**out), compare_xattrs);
	return count;
}

/* All extended attributes of an open file (fd >= 0) or a path. */
static void read_xattrs(struct change *c, struct item *i, int fd,
			const char *path)
{
	char small[1024], *names = small;
	ssize_t length = list_xattrs(fd, path, small, sizeof(small));
	struct xattr_name *list = NULL;

	if (length < 0 && errno == ERANGE) {
		names = malloc(XATTR_LIST_MAX);
		length = names ? list_xattrs(fd, path, names, XATTR_LIST_MAX)
			       : -1;
	}
	if (length < 0 && errno != ENOTSUP && errno != ENOENT)
		say(c, i, "its extended attributes cannot be listed", errno);
	ssize_t count = length > 0 ? sort_xattrs(names, length, &list) : 0;
	if (count < 0)
		say(c, i, "its extended attributes cannot be listed", ENOMEM);
	for (ssize_t n = 0; n < count; n++) {
		int error = append_xattr(i, fd, path, &list[n]);

		if (error)
			say(c, i, "an extended attribute cannot be read",
			    errno);
	}
	free(list);
	if (names != small)
		free(names);
}

static void read_folder_xattrs(struct change *c, struct item *i)
{
	int fd = folder_use(i->folder);

	if (fd < 0) {
		say(c, i, "its extended attributes cannot be listed", errno);
		return;
	}
	read_xattrs(c, i, fd, NULL);
	folder_unuse(i->folder);
}

/* ---- contents ---- */

static bool maybe_sparse(const struct statx *st)
{
	return st->stx_blocks * 512 + SPARSE_SAVING <= st->stx_size;
}

/* The whole file into i->data: 0, 1 when it changed under us, or an error. */
static int read_once(struct item *i, int fd, uint64_t seed)
{
	size_t size = (size_t)i->st.stx_size, got = 0;
	struct statx after;

	free(i->data);
	i->data = malloc(size + 1);
	if (!i->data)
		return REEL_ENOMEM;
	while (got <= size) {
		ssize_t n =
			pread(fd, i->data + got, size + 1 - got, (off_t)got);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_from_errno(errno);
		if (n == 0)
			break;
		got += (size_t)n;
		if (got == size)
			break;
	}
	i->length = size;
	if (got < size)
		memset(i->data + got, 0, size - got);
	if (statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &after))
		return error_from_errno(errno);
	bool same = got == size && after.stx_size == size &&
		    statx_ns(after.stx_mtime) == statx_ns(i->st.stx_mtime) &&
		    statx_ns(after.stx_ctime) == statx_ns(i->st.stx_ctime);
	if (!same) {
		i->st = after;
		return 1;
	}
	digest_bytes(seed, i->data, size, &i->digest);
	return 0;
}

/* Reads a small file; one that changes meanwhile is read once more, then
 * taken as it was read. */
static int read_small(struct change *c, struct item *i, int fd)
{
	int result = read_once(i, fd, c->seed);

	/* its xattrs, and the clock that it was judged by, are of before */
	i->racy |= result == 1;
	if (result == 1 && i->st.stx_size <= ITEM_SMALL)
		result = read_once(i, fd, c->seed);
	if (result == 1 && i->st.stx_size <= ITEM_SMALL) {
		say(c, i, "changes while it is read; stored as read", 0);
		i->changed = true;
		i->st.stx_size = i->length;
		digest_bytes(c->seed, i->data, i->length, &i->digest);
		result = 0;
	}
	c->bytes += i->length;
	return result;
}

static bool is_racy(const struct item *i, int64_t now)
{
	int64_t ctime = statx_ns(i->st.stx_ctime);
	int64_t grain = ctime % SECOND_NS ? TICK_NS : 2 * SECOND_NS;

	return ctime > now - grain;
}

/* Its name on the disk: a reserved one is stored under another. */
static const char *source_name(const struct item *i, char room[NAME_MAX + 1])
{
	if (!i->escape)
		return i->name;
	snprintf(room, NAME_MAX + 1, "%.*s", i->name_length - i->escape,
		 i->name);
	return room;
}

static int open_file(const struct item *i)
{
	int flags = O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
	char room[NAME_MAX + 1];
	const char *name = source_name(i, room);
	int fd = openat(i->folder->fd, name, flags | O_NOATIME);

	if (fd < 0 && errno == EPERM)
		fd = openat(i->folder->fd, name, flags);
	return fd;
}

/* Opens and, when small, reads a regular file. False: it is left out. */
static bool take_file(struct change *c, struct item *i, int64_t now)
{
	int fd = open_file(i);

	if (fd < 0) {
		if (errno != ENOENT)
			say(c, i, "cannot be read; left out", errno);
		return false;
	}
	read_xattrs(c, i, fd, NULL);
	i->racy = is_racy(i, now);
	c->files++;
	if (i->st.stx_size > ITEM_SMALL || maybe_sparse(&i->st)) {
		i->fd = fd;
		return true;
	}
	int result = i->st.stx_size ? read_small(c, i, fd) : 0;
	if (result == 1) { /* it grew beyond what is read here */
		free(i->data);
		i->data = NULL;
		i->length = 0;
		i->fd = fd;
		return true;
	}
	close(fd);
	if (result < 0)
		say(c, i, error_text(result), 0);
	return !result;
}

static bool take_symlink(struct change *c, struct item *i)
{
	char target[65536], room[NAME_MAX + 1];
	ssize_t n = readlinkat(i->folder->fd, source_name(i, room), target,
			       sizeof(target));

	if (n < 0) {
		say(c, i, "cannot be read; left out", errno);
		return false;
	}
	i->data = malloc((size_t)n + 1);
	if (!i->data)
		return false;
	memcpy(i->data, target, (size_t)n);
	i->length = (size_t)n;
	return true;
}

/* What is no regular file. */
static bool take_other(struct change *c, struct item *i)
{
	char path[300], room[NAME_MAX + 1];

	if (S_ISLNK(i->st.stx_mode) && !take_symlink(c, i))
		return false;
	snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", i->folder->fd,
		 source_name(i, room));
	read_xattrs(c, i, -1, path);
	return true;
}

/* Reads what archive needs of a changed name. False: it is left out. */
static bool take_name(struct change *c, struct item *i, int64_t now)
{
	bool taken;

	if (folder_use(i->folder) < 0) {
		say(c, i, "cannot be read; left out", errno);
		return false;
	}
	taken = S_ISREG(i->st.stx_mode) ? take_file(c, i, now)
					: take_other(c, i);
	folder_unuse(i->folder);
	return taken;
}

/* ---- comparing ---- */

static int removed(struct change *c, struct comparison *m)
{
	struct item *i = item_new(ITEM_REMOVED, m->folder, m->old.name,
				  m->old.name_length);

	if (!i)
		return REEL_ENOMEM;
	i->had = true;
	i->old_node = m->old.node;
	i->old = m->old.inode;
	i->old.target = NULL;
	return pass_on(c, i) ? 0 : REEL_ESTOPPED;
}

static int advance(struct comparison *m)
{
	int result = tree_step(m->cursor, &m->old);

	m->have = result == 1;
	return result < 0 ? result : 0;
}

static int begin(struct change *c, struct comparison *m, struct folder *f)
{
	tree_end(m->cursor);
	m->cursor = NULL;
	m->have = false;
	folder_put(m->folder);
	m->folder = folder_get(f);
	if (!f->whole || !f->old_node)
		return 0;
	int error = tree_list(c->catalog, c->newest, f->old_node, &m->cursor);
	return error ? error : advance(m);
}

static int order(const struct entry_row *old, const struct item *i)
{
	size_t shorter = old->name_length < i->name_length ? old->name_length
							   : i->name_length;
	int d = memcmp(old->name, i->name, shorter);

	if (d)
		return d;
	return (old->name_length > i->name_length) -
	       (old->name_length < i->name_length);
}

static void note_old(struct item *i, const struct entry_row *e)
{
	i->had = true;
	i->old_node = e->node;
	i->old = e->inode;
	i->old.target = NULL;
}

/* What the newest snapshot has under this name: from the listing in step, or
 * (a folder that is not listed whole) by a look-up. */
static int find_old(struct change *c, struct comparison *m, struct item *i)
{
	struct entry_row e;
	int error;

	if (!i->folder->old_node)
		return 0;
	if (!m->cursor || m->folder != i->folder) {
		error = tree_lookup(c->catalog, c->newest, i->folder->old_node,
				    i->name, i->name_length, &e);
		if (error == REEL_ENOENT)
			return 0;
		if (!error)
			note_old(i, &e);
		return error;
	}
	while (m->have && order(&m->old, i) < 0) {
		error = removed(c, m);
		if (!error)
			error = advance(m);
		if (error)
			return error;
	}
	if (!m->have || order(&m->old, i))
		return 0;
	note_old(i, &m->old);
	return advance(m);
}

static int find_old_folder(struct change *c, struct item *i)
{
	struct folder *f = i->folder;
	struct entry_row e;
	int error;

	if (!c->newest)
		return 0;
	if (!f->parent)
		error = tree_directory(c->catalog, c->newest, TREE_ROOT, &e);
	else if (!f->parent->old_node)
		return 0;
	else
		error = tree_lookup(c->catalog, c->newest, f->parent->old_node,
				    f->name, f->name_length, &e);
	if (error == REEL_ENOENT)
		return 0;
	if (error)
		return error;
	note_old(i, &e);
	f->old_node = e.node;
	return 0;
}

static int take_folder(struct change *c, struct comparison *m, struct item *i)
{
	int error = find_old_folder(c, i);

	c->entries++;
	if (!error)
		error = begin(c, m, i->folder);
	if (error) {
		item_free(i);
		return error;
	}
	i->unchanged = i->old_node && same_folder(i);
	if (i->unchanged)
		c->unchanged++;
	else
		read_folder_xattrs(c, i);
	return pass_on(c, i) ? 0 : REEL_ESTOPPED;
}

static int take_entry(struct change *c, struct comparison *m, struct item *i)
{
	int error = find_old(c, m, i);

	c->entries++;
	if (error) {
		item_free(i);
		return error;
	}
	i->unchanged = i->had && same_file(i) && !c->reread;
	if (i->unchanged) {
		c->unchanged++;
		if (i->st.stx_nlink < 2) {
			item_free(i);
			return 0;
		}
	} else if (!take_name(c, i, m->now)) {
		item_free(i);
		return 0;
	}
	return pass_on(c, i) ? 0 : REEL_ESTOPPED;
}

static int finish(struct change *c, struct comparison *m)
{
	int error = 0;

	while (!error && m->have) {
		error = removed(c, m);
		if (!error)
			error = advance(m);
	}
	return error;
}

static int take(struct change *c, struct comparison *m, struct item *i)
{
	int error = 0;

	switch (i->kind) {
	case ITEM_FOLDER:
		return take_folder(c, m, i);
	case ITEM_NAME:
		return take_entry(c, m, i);
	case ITEM_SUBDIR:
		error = find_old(c, m, i);
		break;
	case ITEM_END:
		error = finish(c, m);
		break;
	case ITEM_REMOVED:
		break;
	}
	item_free(i);
	return error;
}

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return t.tv_sec * SECOND_NS + t.tv_nsec;
}

int change_run(struct change *c)
{
	struct comparison m = {0};
	struct batch *b;

	while (!c->error && (b = queue_get(c->in))) {
		m.now = now_ns();
		for (int n = 0; n < b->count; n++) {
			if (!c->error && stop_is_set(c->stop))
				c->error = REEL_ESTOPPED;
			if (c->error)
				item_free(b->items[n]);
			else
				c->error = take(c, &m, b->items[n]);
		}
		free(b);
	}
	tree_end(m.cursor);
	folder_put(m.folder);
	queue_stop(c->in);
	if (!c->error && !outlet_flush(&c->out))
		c->error = REEL_ESTOPPED;
	queue_end(c->out.queue);
	return c->error;
}
