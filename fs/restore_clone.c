/* Copies of one content share their extents where the filesystem can: by
 * FICLONE, else by copy_file_range(2), which may share or at least copies
 * inside the kernel (or on a server); else they are written.
 *
 * A table remembers where contents stand by now; what it says is checked again
 * when it is used, by inode, mtime and ctime, so that a file which anybody
 * touched since is no source. It has a limit: what falls out is written again.
 * It is kept only where the filesystem shares (asked once, with two unnamed
 * files) or links are wanted. */
#include "fs/restore_place.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "tape/error.h"

#define HOLDS	       64
#define CLONE_SLOTS    (1u << 18) /* about 150 bytes each */
#define CLONE_SMALLEST (8u << 10)
#define COPY_SMALLEST  (256u << 10)
#define PATCH_SMALLEST (1u << 20) /* of contents of another size */

struct slot {
	uint64_t content;
	dev_t device;
	ino_t inode;
	struct timespec mtime, ctime;
	uint64_t xattrs;
	uint32_t uid, gid;
	uint32_t flags; /* that forbid links */
	mode_t mode;
	char *path;
};

struct restore_clones {
	bool shares; /* the target's filesystem does FICLONE */
	bool links;
	/* Of contents in work; taken before `lock`. */
	pthread_mutex_t held[HOLDS];
	pthread_mutex_t lock;
	struct slot *slots; /* NULL: nothing is remembered */
};

/* Whether FICLONE works there. */
static bool probe(int directory)
{
	int a = openat(directory, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	int b = openat(directory, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	bool works = a >= 0 && b >= 0 && write(a, "reel", 4) == 4 &&
		     ioctl(b, FICLONE, a) == 0;

	if (a >= 0)
		close(a);
	if (b >= 0)
		close(b);
	return works;
}

int clones_new(struct restore *r, struct restore_clones **out)
{
	struct restore_clones *c = calloc(1, sizeof(*c));

	if (!c)
		return REEL_ENOMEM;
	c->links = r->options->link_duplicates;
	c->shares = r->root >= 0 && !r->options->dry_run && probe(r->root);
	c->slots = calloc(CLONE_SLOTS, sizeof(*c->slots));
	if (!c->slots) {
		free(c);
		return REEL_ENOMEM;
	}
	for (int i = 0; i < HOLDS; i++)
		pthread_mutex_init(&c->held[i], NULL);
	pthread_mutex_init(&c->lock, NULL);
	*out = c;
	return 0;
}

void clones_free(struct restore_clones *c)
{
	if (!c)
		return;
	for (size_t i = 0; c->slots && i < CLONE_SLOTS; i++)
		free(c->slots[i].path);
	free(c->slots);
	for (int i = 0; i < HOLDS; i++)
		pthread_mutex_destroy(&c->held[i]);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

/* From which size on a content is remembered. */
static bool is_worth(const struct restore_clones *c, uint64_t size)
{
	return size && (c->links || size >= COPY_SMALLEST ||
			(c->shares && size >= CLONE_SMALLEST));
}

pthread_mutex_t *clones_hold(struct restore *r, const struct restore_entry *e)
{
	struct restore_clones *c = r->clones;
	pthread_mutex_t *held = &c->held[e->content.id % HOLDS];

	if (r->options->dry_run || !e->content.id ||
	    !is_worth(c, e->content.size))
		return NULL;
	pthread_mutex_lock(held);
	return held;
}

static struct slot *slot_of(struct restore_clones *c, uint64_t content)
{
	return &c->slots[content * UINT64_C(0x9e3779b97f4a7c15) >> 46];
}

/* A copy of what is remembered, with a path of its own. */
static bool find(struct restore_clones *c, uint64_t content, struct slot *out)
{
	struct slot *s = slot_of(c, content);

	out->path = NULL;
	pthread_mutex_lock(&c->lock);
	if (content && s->content == content && s->path) {
		*out = *s;
		out->path = strdup(s->path);
	}
	pthread_mutex_unlock(&c->lock);
	return out->path != NULL;
}

static bool same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static bool is_untouched(int fd, const struct slot *s)
{
	struct stat st;

	return fstat(fd, &st) == 0 && st.st_dev == s->device &&
	       st.st_ino == s->inode && same_time(&st.st_mtim, &s->mtime) &&
	       same_time(&st.st_ctim, &s->ctime);
}

static int open_source(struct restore *r, const struct slot *s)
{
	const char *name;
	int up = beneath_parent(r->root, s->path, &name);
	int fd;

	if (up < 0)
		return -1;
	fd = openat(up, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	close(up);
	if (fd >= 0 && !is_untouched(fd, s)) {
		close(fd);
		return -1;
	}
	return fd;
}

static bool copy_range(int from, int to, uint64_t size)
{
	loff_t in = 0, out = 0;

	while ((uint64_t)in < size) {
		ssize_t n = copy_file_range(from, &in, to, &out,
					    (size_t)(size - (uint64_t)in), 0);

		if (n <= 0)
			return false;
	}
	return true;
}

/* FICLONE, then copy_file_range; else `to` is empty again. */
static bool share(struct restore *r, int from, int to,
		  const struct content_row *content)
{
	if (ioctl(to, FICLONE, from) == 0) {
		atomic_fetch_add(&r->shared, 1);
		atomic_fetch_add(&r->shared_bytes, content->size);
		return true;
	}
	if (!content->sparse && content->size >= COPY_SMALLEST &&
	    copy_range(from, to, content->size))
		return true;
	return ftruncate(to, 0) && false;
}

bool clones_try(struct restore *r, int fd, const struct content_row *content)
{
	struct restore_clones *c = r->clones;
	struct slot s;
	bool done;
	int from;

	if (!is_worth(c, content->size) || !find(c, content->id, &s))
		return false;
	from = open_source(r, &s);
	free(s.path);
	if (from < 0)
		return false;
	done = share(r, from, fd, content);
	if (done && !is_untouched(from, &s))
		done = ftruncate(fd, 0) && false;
	close(from);
	if (done)
		atomic_fetch_add(&r->bytes, content->size);
	return done;
}

bool clones_base(struct restore *r, int fd, const struct place *p,
		 const char *name, const struct content_row *content)
{
	struct stat st;
	bool done;
	int from;

	if (!r->clones->shares || p->fd < 0 || content->sparse ||
	    content->size < CLONE_SMALLEST)
		return false;
	from = openat(p->fd, name,
		      O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	if (from < 0)
		return false;
	done = fstat(from, &st) == 0 && S_ISREG(st.st_mode) &&
	       ((uint64_t)st.st_size == content->size ||
		((uint64_t)st.st_size >= PATCH_SMALLEST &&
		 content->size >= PATCH_SMALLEST)) &&
	       ioctl(fd, FICLONE, from) == 0;
	close(from);
	return done;
}

static bool is_equal(const struct slot *s, const struct inode_row *i)
{
	struct timespec t = meta_time(i->mtime);

	return s->mode == i->mode && s->uid == i->uid && s->gid == i->gid &&
	       !s->flags && s->xattrs == i->xattrs && same_time(&s->mtime, &t);
}

bool clones_link(struct restore *r, const struct place *p, const char *name,
		 const struct restore_entry *e, const struct plan_verdict *v)
{
	const char *from;
	struct slot s;
	int up, err;

	if (!S_ISREG(e->inode.mode) || e->inode.nlink > 1 ||
	    meta_flags_wanted(e) || !e->content.size ||
	    !find(r->clones, e->content.id, &s))
		return false;
	up = is_equal(&s, &e->inode) ? beneath_parent(r->root, s.path, &from)
				     : REEL_ENOENT;
	err = up;
	if (up >= 0) {
		err = write_link_over(r, up, from, s.inode, p, name, v);
		close(up);
	}
	free(s.path);
	if (err)
		return false;
	atomic_fetch_add(&r->shared, 1);
	atomic_fetch_add(&r->shared_bytes, e->content.size);
	atomic_fetch_add(&r->bytes, e->content.size);
	return true;
}

void clones_note(struct restore *r, int fd, const struct place *p,
		 const char *name, const struct restore_entry *e)
{
	struct restore_clones *c = r->clones;
	const struct inode_row *i = &e->inode;
	struct slot *s;
	struct stat st;
	char *path;

	if (!e->content.id || !is_worth(c, e->content.size) || fstat(fd, &st))
		return;
	path = place_path(p, name);
	if (!path)
		return;
	s = slot_of(c, e->content.id);
	pthread_mutex_lock(&c->lock);
	free(s->path);
	*s = (struct slot){.content = e->content.id,
			   .device = st.st_dev,
			   .inode = st.st_ino,
			   .mtime = st.st_mtim,
			   .ctime = st.st_ctim,
			   .xattrs = i->xattrs,
			   .uid = i->uid,
			   .gid = i->gid,
			   .flags = meta_flags_wanted(e),
			   .mode = i->mode,
			   .path = path};
	pthread_mutex_unlock(&c->lock);
}
