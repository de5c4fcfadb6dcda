/* The names of the target's files that have several: found by a walk over it
 * when they are first asked for, and each looked at again before it counts.
 * They are a help for D5, no more: a file of which one name was not found is
 * not changed in place. */
#include "fs/drop_state.h"

#include <fts.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "tape/error.h"

#define LINKS_BYTES (64u << 20) /* of memory; more are not looked for */
#define LINKS_PAUSE 10		/* so many times as long as the walk took */

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void forget(struct drop_links *k)
{
	for (size_t n = 0; n < k->count; n++)
		free(k->all[n].path);
	free(k->all);
	*k = (struct drop_links){.pause_until = k->pause_until};
}

void drop_links_release(struct drop_links *k)
{
	forget(k);
}

static int by_inode(const void *a, const void *b)
{
	const struct drop_link *x = a, *y = b;

	if (x->device != y->device)
		return x->device < y->device ? -1 : 1;
	return (x->inode > y->inode) - (x->inode < y->inode);
}

static int note(struct drop_links *k, const struct stat *st, const char *top,
		const char *below)
{
	size_t room = k->room ? 2 * k->room : 64;
	struct drop_link *l;
	int length;

	if (k->count == k->room) {
		l = realloc(k->all, room * sizeof(*l));
		if (!l)
			return REEL_ENOMEM;
		k->all = l;
		k->room = room;
	}
	l = &k->all[k->count];
	l->device = st->st_dev;
	l->inode = st->st_ino;
	length = asprintf(&l->path, "%s%s%s", top, *top ? "/" : "", below);
	if (length < 0)
		return REEL_ENOMEM;
	k->count++;
	k->bytes += sizeof(*l) + (size_t)length;
	return k->bytes > LINKS_BYTES ? REEL_ERANGE : 0;
}

/* Names lead where they led when they were read, or not: see above. */
static int walk(struct drop_links *k, const struct drop_root *root)
{
	char top[32];
	char *const tops[] = {top, NULL};
	size_t skip = (size_t)snprintf(top, sizeof(top), "/proc/self/fd/%d",
				       root->fd);
	FTS *t = fts_open(tops,
			  FTS_PHYSICAL | FTS_COMFOLLOW | FTS_NOCHDIR | FTS_XDEV,
			  NULL);
	FTSENT *e;
	int error = t ? 0 : REEL_ENOMEM;

	while (!error && (e = fts_read(t)))
		if ((e->fts_info == FTS_F || e->fts_info == FTS_SL ||
		     e->fts_info == FTS_DEFAULT) &&
		    e->fts_statp->st_nlink > 1)
			error = note(k, e->fts_statp, root->path,
				     e->fts_path + skip + 1);
	if (t)
		fts_close(t);
	return error;
}

static void walk_all(struct drop *d)
{
	int64_t began = now_ns();
	int error = 0;

	forget(&d->links);
	for (size_t n = 0; !error && n < d->root_count; n++)
		error = walk(&d->links, &d->roots[n]);
	if (error)
		forget(&d->links);
	if (d->links.count)
		qsort(d->links.all, d->links.count, sizeof(*d->links.all),
		      by_inode);
	d->links.pause_until = now_ns() + LINKS_PAUSE * (now_ns() - began);
}

/* The first of a file's, and how many. */
static struct drop_link *links_of(struct drop_links *k, const struct stat *st,
				  size_t *count)
{
	const struct drop_link key = {.device = st->st_dev,
				      .inode = st->st_ino};
	struct drop_link *at = NULL, *end = k->all + k->count;

	*count = 0;
	if (k->count)
		at = bsearch(&key, k->all, k->count, sizeof(key), by_inode);
	while (at && at > k->all && !by_inode(at - 1, &key))
		at--;
	while (at && at + *count < end && !by_inode(at + *count, &key))
		++*count;
	return at;
}

/* Whether the view shows the target's file under this name. */
static bool is_plain(struct drop *d, const char *path)
{
	const struct drop_node *n = &d->root;
	char name[NAME_MAX + 1];
	bool plain = true;

	pthread_mutex_lock(&d->lock);
	while (n && plain && *path) {
		size_t length = strcspn(path, "/");

		plain = length <= NAME_MAX;
		if (!plain)
			break;
		memcpy(name, path, length);
		name[length] = '\0';
		path += length + (path[length] == '/');
		n = drop_find(d, n, name);
		plain = !drop_is_shadow(n);
	}
	pthread_mutex_unlock(&d->lock);
	return plain;
}

/* 1 when the metadata may change under this name, 0 when not, or REEL_ENOENT
 * when it leads to another file by now. */
static int may_alter(struct drop *d, const char *path, const struct stat *st)
{
	struct drop_question q = {.path = path,
				  .wanted = st->st_mode & S_IFMT,
				  .lower = st,
				  .same = true};
	struct plan_verdict v;
	struct stat now;

	if (drop_look(d, DROP_TARGET, path, &now) || now.st_dev != st->st_dev ||
	    now.st_ino != st->st_ino)
		return REEL_ENOENT;
	return is_plain(d, path) && !drop_judge(d, &q, &v) && drop_passes(&v);
}

bool drop_may_alter_all(struct drop *d, const struct stat *st)
{
	size_t count, may = 0;
	struct drop_link *l = links_of(&d->links, st, &count);

	if (count < st->st_nlink && now_ns() >= d->links.pause_until) {
		walk_all(d);
		l = links_of(&d->links, st, &count);
	}
	for (size_t n = 0; n < count; n++) {
		int answer = may_alter(d, l[n].path, st);

		if (!answer)
			return false;
		may += answer > 0;
	}
	return may >= st->st_nlink;
}
