/* What rules put off goes to the journal of delayed operations (delay.h): a
 * copy of what the shadow shows, or a delete of what it hides. A shadow that
 * changes afterwards is handed over again, and replaces its record. A file
 * that turns out to have the bytes the target has is not put off: its metadata
 * are put right at once, as `reel restore` does. What a program has open for
 * writing is not handed over: a machine that goes down now would bring half a
 * file at the next boot. What cannot be staged is told and tried again later,
 * with what would lie below it; the rest does not wait for it. */
#include "fs/drop_state.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>
#include "fs/delay.h"
#include "fs/name_alias.h"
#include "fs/restore_place.h"
#include "tape/error.h"
#include "tape/log.h"

#define AGAIN	   60 /* seconds, when it did not work */
#define NAME_LIMIT 20
#define TOLD	   20 /* of those that could not be staged, by name */

/* Files with several names, staged already. */
struct staged {
	ino_t inode;
	int directory;
	char name[NAME_LIMIT];
};

struct handing {
	struct drop *d;
	struct delay *delay;
	struct buffer staged; /* struct staged each */
	struct buffer done;   /* nodes */
	struct buffer same;   /* nodes that need not wait */
	struct buffer left;   /* nodes that could not be staged */
	bool written;	      /* something is being written */
	bool again;	      /* something is owed anew */
	int error;
};

/* ---- what is the same already ---- */

static bool put_right(int area, const char *from, int target, const char *to)
{
	int a = drop_open_at(area, from, O_RDONLY), b = -1;
	struct stat st, now;
	bool same = false;

	if (a >= 0)
		b = drop_open_at(target, to, O_RDONLY);
	if (b >= 0 && !fstat(a, &st) && !fstat(b, &now) &&
	    S_ISREG(st.st_mode) && S_ISREG(now.st_mode) &&
	    st.st_size == now.st_size && st.st_nlink == 1 &&
	    now.st_nlink == 1 && drop_same_bytes(a, b))
		same = !drop_copy_metadata(a, b, &st);
	if (a >= 0)
		close(a);
	if (b >= 0)
		close(b);
	return same;
}

static bool is_same(struct drop *d, const char *path, int area,
		    const char *name)
{
	const char *to;
	int target = drop_parent(d, DROP_TARGET, path, &to);
	bool same = target >= 0 && put_right(area, name, target, to);

	if (target >= 0)
		close(target);
	return same;
}

/* The name is the target's again. */
static void make_plain(struct drop *d, struct drop_node *n)
{
	struct buffer path = {0};
	const char *name;
	struct stat st;
	int fd;

	pthread_mutex_lock(&d->lock);
	if (drop_path(d, n, NULL, &path)) {
		pthread_mutex_unlock(&d->lock);
		return;
	}
	n->state = DROP_PLAIN;
	n->owed = false;
	if (!drop_look(d, DROP_TARGET, (char *)path.data, &st)) {
		n->device = st.st_dev;
		n->inode = st.st_ino;
	}
	pthread_mutex_unlock(&d->lock);
	drop_redirect(d, n);
	fd = drop_parent(d, DROP_AREA_SIDE, (char *)path.data, &name);
	if (fd >= 0) {
		unlinkat(fd, name, 0);
		close(fd);
	}
	buffer_release(&path);
	pthread_mutex_lock(&d->lock);
	drop_settle_node(d, n);
	pthread_mutex_unlock(&d->lock);
}

/* ---- handing over ---- */

static const struct staged *find_staged(const struct handing *h, ino_t inode)
{
	const struct staged *s = (const void *)h->staged.data;
	size_t count = h->staged.length / sizeof(*s);

	for (size_t n = 0; n < count; n++)
		if (s[n].inode == inode)
			return &s[n];
	return NULL;
}

static int copy_staged(struct handing *h, int area, const char *name,
		       const struct stat *st, const struct delayed_stage *s)
{
	const struct staged *first =
		S_ISDIR(st->st_mode) ? NULL : find_staged(h, st->st_ino);
	struct staged one = {.inode = st->st_ino, .directory = s->directory};
	int error;

	if (first &&
	    !linkat(first->directory, first->name, s->directory, s->name, 0))
		return 0;
	error = drop_copy(area, name, s->directory, s->name, true);
	if (!error && st->st_nlink > 1 && !S_ISDIR(st->st_mode)) {
		memcpy(one.name, s->name, sizeof(s->name));
		error = buffer_append(&h->staged, &one, sizeof(one));
	}
	return error;
}

static size_t left_count(const struct handing *h)
{
	return h->left.length / sizeof(struct drop_node *);
}

static int leave(struct handing *h, const struct drop_node *n, const char *path,
		 int error)
{
	if (error == REEL_ENOMEM)
		return error;
	if (left_count(h) < TOLD)
		log_error("%s/%s: could not be handed over to the next boot "
			  "yet: %s",
			  h->d->target, path, error_text(error));
	return buffer_append(&h->left, &n, sizeof(n));
}

static bool is_left(const struct handing *h, const struct drop_node *n)
{
	const struct drop_node *const *all = (const void *)h->left.data;

	for (size_t i = left_count(h); i > 0; i--)
		if (all[i - 1] == n)
			return true;
	return false;
}

static int stage(struct handing *h, const char *path, int area,
		 const char *name, const struct stat *st,
		 const struct drop_node *n)
{
	struct delayed_stage s;
	int error = delay_stage(h->delay, path, &s);

	if (error)
		return error;
	error = copy_staged(h, area, name, st, &s);
	if (error) {
		delay_unstage(h->delay, &s);
		return n ? leave(h, n, path, error) : error;
	}
	return delay_move(h->delay, &s, path, 0);
}

/* The shadow at `path`, to be moved to `to`. */
static int hand_object(struct handing *h, const char *path, const char *to,
		       const struct drop_node *n, const struct stat *below)
{
	const char *name;
	struct stat st;
	int fd = drop_parent(h->d, DROP_AREA_SIDE, path, &name), error = 0;

	if (fd < 0)
		return fd;
	if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW)) {
		error = drop_failed();
	} else if (below && is_same(h->d, path, fd, name)) {
		error = n->handed ? delay_cancel(h->delay, to) : 0;
		if (!error)
			error = buffer_append(&h->same, &n, sizeof(n));
	} else {
		bool clears = below && S_ISDIR(below->st_mode) &&
			      !S_ISDIR(st.st_mode);

		if (clears)
			error = delay_delete(h->delay, to);
		if (!error)
			error = stage(h, to, fd, name, &st, clears ? NULL : n);
	}
	close(fd);
	return error;
}

/* ---- where two names are one to the target ---- */

/* Another name of it went to this one, which now has a shadow itself: what was
 * handed over for the other would be replaced. */
static void owe_twins(struct handing *h, const struct drop_node *n)
{
	pthread_mutex_lock(&h->d->lock);
	for (struct drop_node *t = n->up->first; t; t = t->next)
		if (t != n && t->handed && t->state == DROP_OBJECT &&
		    !strcasecmp(t->name, n->name)) {
			drop_owe(h->d, t);
			h->again = true;
		}
	pthread_mutex_unlock(&h->d->lock);
}

/* A name by which the directory does not list what is there is refused at
 * boot: it goes by the listed one, unless that has a shadow of its own. */
static int name_to(struct handing *h, const struct drop_node *n,
		   const char *path, struct buffer *out)
{
	char other[TREE_NAME_LIMIT + 1];
	const char *name;
	int fd = drop_parent(h->d, DROP_TARGET, path, &name);
	size_t above = strlen(path) - strlen(n->name);
	bool taken;

	if (fd < 0 || !name_aliased(fd, name) || !alias_find(fd, name, other)) {
		if (fd >= 0 && !n->handed && name_folded(fd, name))
			owe_twins(h, n);
		above = strlen(path);
		other[0] = '\0';
	}
	if (fd >= 0)
		close(fd);
	pthread_mutex_lock(&h->d->lock);
	taken = *other && drop_is_shadow(drop_find(h->d, n->up, other));
	pthread_mutex_unlock(&h->d->lock);
	return taken ? buffer_append(out, path, strlen(path) + 1)
		     : buffer_printf(out, "%.*s%s", (int)above, path, other);
}

static int hand(struct handing *h, const char *path, const char *to,
		const struct drop_node *n, const struct stat *below)
{
	size_t left = left_count(h);
	int error = 0;

	if (n->state == DROP_OBJECT && n->over)
		error = drop_complete(h->d, (struct drop_node *)n);
	if (error)
		return leave(h, n, path, error);
	if (n->state == DROP_OBJECT)
		error = hand_object(h, path, to, n, below);
	else if (!error && below)
		error = delay_delete(h->delay, to);
	else if (!error && n->handed)
		error = delay_cancel(h->delay, to);
	if (!error && left == left_count(h))
		error = buffer_append(&h->done, &n, sizeof(n));
	return error;
}

/* A directory above is not going to be there. */
static bool is_below_left(const struct handing *h, const struct drop_node *n)
{
	for (n = n->up; h->left.length && n; n = n->up)
		if (!drop_shows(n) && is_left(h, n))
			return true;
	return false;
}

static void hand_one(void *context, const char *path, const struct drop_node *n)
{
	struct handing *h = context;
	struct buffer to = {0};
	struct stat below;
	bool there;

	if (h->error || !n->owed || is_below_left(h, n))
		return;
	if (n->state == DROP_OBJECT && n->writers) {
		h->written = true;
		return;
	}
	there = !drop_look(h->d, DROP_TARGET, path, &below);
	if (n->up)
		h->error = name_to(h, n, path, &to);
	else
		h->error = buffer_append(&to, path, strlen(path) + 1);
	if (!h->error)
		h->error = buffer_append(&to, "", 1);
	if (!h->error)
		h->error = hand(h, path, (char *)to.data, n,
				there ? &below : NULL);
	buffer_release(&to);
}

/* All is in the journal. */
static void handed(struct handing *h)
{
	struct drop_node **all = (void *)h->done.data;
	size_t count = h->done.length / sizeof(*all);

	pthread_mutex_lock(&h->d->lock);
	for (size_t n = 0; n < count; n++) {
		all[n]->owed = false;
		all[n]->handed = true;
	}
	h->d->owes = h->written || h->again || h->left.length;
	h->d->altered = time(NULL) + (h->left.length ? AGAIN : 0);
	pthread_mutex_unlock(&h->d->lock);
	all = (void *)h->same.data;
	count = h->same.length / sizeof(*all);
	for (size_t n = 0; n < count; n++)
		make_plain(h->d, all[n]);
}

static void refused(void *context, const char *path, const char *other)
{
	(void)context;
	log_warning("%s: delayed, but will be refused at the next boot: the "
		    "target takes its name for that of %s",
		    path, other ? other : "a file that is there");
}

static int hand_over(struct drop *d, bool *again)
{
	struct handing h = {.d = d};
	int error;

	h.error = delay_new(d->target, NULL, &h.delay);
	if (!h.error)
		drop_tell(d, hand_one, &h);
	error = delay_end(h.delay, !h.error, refused, NULL);
	if (!h.error)
		h.error = error;
	if (!h.error)
		handed(&h);
	else
		d->altered = time(NULL) + AGAIN;
	if (h.error)
		log_error("%s: what is delayed could not be handed over to the "
			  "next boot yet: %s",
			  d->target, error_text(h.error));
	if (left_count(&h) > TOLD)
		log_error("%s: %zu names in all could not be handed over to "
			  "the next boot yet",
			  d->target, left_count(&h));
	buffer_release(&h.staged);
	buffer_release(&h.done);
	buffer_release(&h.same);
	buffer_release(&h.left);
	*again = h.again;
	return h.error;
}

int drop_hand_over(struct drop *d)
{
	bool again = d->owes;
	int error = 0;

	for (int n = 0; n < 2 && again && !error; n++)
		error = hand_over(d, &again);
	return error;
}

void drop_tend(struct drop *d)
{
	pthread_mutex_lock(&d->turn);
	if (d->owes && time(NULL) - d->altered >= DROP_QUIET)
		drop_hand_over(d);
	pthread_mutex_unlock(&d->turn);
}
