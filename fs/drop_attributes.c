/* Metadata: of the target, or of the shadow over it. */
#include "fs/drop_state.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>
#include "tape/error.h"

#define VALUE_LIMIT 65536
#define TRIES	    16 /* against who swaps files underneath */

/* A file that has no name any more and is open: a copy of its descriptor. */
static int open_of(struct drop *d, uint64_t id)
{
	struct drop_node *n;
	int fd = REEL_ESTALE;

	pthread_mutex_lock(&d->lock);
	n = drop_node_of(d, id);
	if (n != &d->root && !n->up && n->files)
		fd = fcntl(n->files->fd, F_DUPFD_CLOEXEC, 0);
	if (fd == -1)
		fd = drop_failed();
	pthread_mutex_unlock(&d->lock);
	return fd;
}

/* A directory that was removed. */
static int stat_last(struct drop *d, uint64_t id, struct drop_entry *out)
{
	const struct drop_node *n = drop_node_of(d, id);
	int error = REEL_ESTALE;

	pthread_mutex_lock(&d->lock);
	if (n->last) {
		*out = (struct drop_entry){.id = id, .st = *n->last};
		error = 0;
	}
	pthread_mutex_unlock(&d->lock);
	return error;
}

static int stat_open(struct drop *d, uint64_t id, struct drop_entry *out)
{
	int fd = open_of(d, id), error = 0;

	if (fd < 0)
		return fd;
	*out = (struct drop_entry){.id = id};
	if (fstat(fd, &out->st))
		error = drop_failed();
	close(fd);
	return error;
}

static void show(struct drop *d, const struct drop_survey *s,
		 struct drop_entry *out)
{
	pthread_mutex_lock(&d->lock);
	drop_fill(d, s, out);
	pthread_mutex_unlock(&d->lock);
}

int drop_stat(struct drop *d, uint64_t id, struct drop_entry *out)
{
	struct drop_survey s;
	int error = drop_survey_node(d, id, &s);

	if (!error)
		show(d, &s, out);
	drop_survey_release(&s);
	if (error == REEL_ENOENT)
		return stat_last(d, id, out);
	return error == REEL_ESTALE ? stat_open(d, id, out) : error;
}

/* ---- changing ---- */

static int owner_of(int fd, const struct stat *to, unsigned changes)
{
	uid_t uid = changes & DROP_UID ? to->st_uid : (uid_t)-1;
	gid_t gid = changes & DROP_GID ? to->st_gid : (gid_t)-1;

	if (!(changes & (DROP_UID | DROP_GID)))
		return 0;
	return fchownat(fd, "", uid, gid, AT_EMPTY_PATH) ? drop_failed() : 0;
}

static struct timespec time_of(struct timespec t, unsigned changes,
			       unsigned given, unsigned now)
{
	if (changes & now)
		return (struct timespec){.tv_nsec = UTIME_NOW};
	return changes & given ? t : (struct timespec){.tv_nsec = UTIME_OMIT};
}

static int times_of(int fd, const struct stat *to, unsigned changes)
{
	const struct timespec times[2] = {
		time_of(to->st_atim, changes, DROP_ATIME, DROP_ATIME_NOW),
		time_of(to->st_mtim, changes, DROP_MTIME, DROP_MTIME_NOW)};

	if (!(changes &
	      (DROP_ATIME | DROP_ATIME_NOW | DROP_MTIME | DROP_MTIME_NOW)))
		return 0;
	return utimensat(fd, "", times, AT_EMPTY_PATH) ? drop_failed() : 0;
}

/* Of a descriptor, pinned or open. */
static int change(int fd, const struct stat *to, unsigned changes)
{
	char path[32];
	int error = owner_of(fd, to, changes);

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (!error && changes & DROP_MODE && chmod(path, to->st_mode & 07777))
		error = drop_failed();
	return error ? error : times_of(fd, to, changes);
}

/* D5: looked at once it is pinned, since it may be another by then. */
static int pin_alone(struct drop *d, struct drop_survey *s, bool peers)
{
	const char *path = (char *)s->path.data;
	int error = 0;

	for (int n = 0; n < TRIES && !error; n++) {
		int fd = drop_pin(d, DROP_TARGET, path);
		struct stat st;

		if (fd < 0)
			return fd;
		if (fstat(fd, &st))
			error = drop_failed();
		else if (!drop_is_shared(d, &st))
			return fd;
		close(fd);
		if (!error)
			error = peers ? drop_unshare_peers(d, s->node, path)
				      : drop_unshare(d, s->node, path, false);
	}
	return error ? error : REEL_ESTALE;
}

/* Makes a node ready for a change of metadata: the file to be changed, pinned,
 * or an error. s->side says where it is. `peers`: its other names follow. */
static int pin_to_change(struct drop *d, struct drop_survey *s, bool peers)
{
	struct plan_verdict v;
	int error;

	if (drop_is_shadow(s->node))
		return drop_pin(d, DROP_AREA_SIDE, (char *)s->path.data);
	error = drop_survey_judge(d, s, s->st.st_mode, true, &v);
	if (!error && drop_passes(&v))
		return pin_alone(d, s, peers);
	if (!error) {
		error = drop_overlay(d, s->node, false, &v);
		s->side = DROP_AREA_SIDE;
	}
	return error ? error : drop_pin(d, s->side, (char *)s->path.data);
}

/* A shadow that is to be handed over again. */
static void changed(struct drop *d, struct drop_node *n)
{
	pthread_mutex_lock(&d->lock);
	if (drop_is_shadow(n))
		drop_owe(d, n);
	pthread_mutex_unlock(&d->lock);
}

static int set_unnamed(struct drop *d, uint64_t id, const struct stat *to,
		       unsigned changes)
{
	int fd = open_of(d, id), error;

	if (fd < 0)
		return fd;
	error = changes & DROP_SIZE && ftruncate(fd, to->st_size)
			? drop_failed()
			: 0;
	if (!error)
		error = change(fd, to, changes);
	close(fd);
	return error;
}

static int set_metadata(struct drop *d, struct drop_survey *s,
			const struct stat *to, unsigned changes)
{
	int fd = pin_to_change(d, s, false), error;

	if (fd < 0)
		return fd;
	error = change(fd, to, changes);
	if (!error && fstat(fd, &s->st))
		error = drop_failed();
	close(fd);
	changed(d, s->node);
	return error;
}

int drop_set(struct drop *d, uint64_t id, struct drop_file *file,
	     const struct stat *to, unsigned changes,
	     const struct drop_user *user, struct drop_entry *out)
{
	bool fresh = changes & ~(unsigned)DROP_SIZE;
	struct drop_survey s;
	int error;

	pthread_mutex_lock(&d->turn);
	error = drop_survey_node(d, id, &s);
	if (error == REEL_ESTALE) {
		fresh = false;
		error = set_unnamed(d, id, to, changes);
	} else {
		if (!error && changes & DROP_SIZE)
			error = drop_truncate(d, &s, file, to->st_size, user);
		if (!error && fresh)
			error = set_metadata(d, &s, to, changes);
		if (!error && fresh)
			show(d, &s, out);
	}
	pthread_mutex_unlock(&d->turn);
	drop_survey_release(&s);
	return error || fresh ? error : drop_stat(d, id, out);
}

/* ---- reading ---- */

/* The file with the metadata of a node, pinned. */
static int pin(struct drop *d, uint64_t id)
{
	struct drop_survey s;
	int fd = drop_survey_node(d, id, &s);

	if (!fd)
		fd = drop_pin(d, s.side, (char *)s.path.data);
	drop_survey_release(&s);
	return fd == REEL_ESTALE ? open_of(d, id) : fd;
}

int drop_readlink(struct drop *d, uint64_t id, struct buffer *out)
{
	int fd = pin(d, id),
	    error = fd < 0 ? fd : buffer_reserve(out, PATH_MAX);
	ssize_t n;

	if (!error) {
		n = readlinkat(fd, "", (char *)out->data + out->length,
			       PATH_MAX);
		error = n < 0 ? drop_failed() : 0;
		out->length += n > 0 ? (size_t)n : 0;
	}
	if (fd >= 0)
		close(fd);
	return error;
}

int drop_xattr(struct drop *d, uint64_t id, const char *name,
	       struct buffer *out)
{
	int fd = pin(d, id), error = fd < 0 ? fd : 0;
	char path[32];
	ssize_t n = 0;

	if (!error)
		error = buffer_reserve(out, VALUE_LIMIT);
	if (!error) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		n = getxattr(path, name, out->data + out->length, VALUE_LIMIT);
		error = n < 0 ? drop_failed() : 0;
	}
	if (!error)
		out->length += (size_t)n;
	if (fd >= 0)
		close(fd);
	return error;
}

static int keep_name(struct buffer *out, const char *name, bool all)
{
	if (!all && !strncmp(name, "trusted.", 8))
		return 0;
	return buffer_append(out, name, strlen(name) + 1);
}

int drop_xattrs(struct drop *d, uint64_t id, bool all, struct buffer *out)
{
	int fd = pin(d, id), error = 0;
	char path[32], *names;
	ssize_t n;

	if (fd < 0)
		return fd;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	names = malloc(VALUE_LIMIT);
	n = names ? listxattr(path, names, VALUE_LIMIT) : -1;
	if (n < 0)
		error = names ? drop_failed() : REEL_ENOMEM;
	for (ssize_t at = 0; !error && at < n;
	     at += (ssize_t)strlen(names + at) + 1)
		error = keep_name(out, names + at, all);
	free(names);
	close(fd);
	return error;
}

/* rsync -H asks for the values of xattrs, finds meanwhile that the other names
 * are linked to this one, and sets what comes by this one alone: they have to
 * follow. All other metadata, ACLs too, it sets before it looks at the other
 * names, and links them then; who has files apart that are one here wants them
 * to part. */
static bool is_late(const char *name)
{
	return strncmp(name, "system.", 7) != 0;
}

/* value NULL: removes it. */
static int put_xattr(struct drop *d, uint64_t id, const char *name,
		     const void *value, size_t length, int flags)
{
	struct drop_survey s;
	char path[32];
	int fd;

	pthread_mutex_lock(&d->turn);
	fd = drop_survey_node(d, id, &s);
	if (!fd)
		fd = pin_to_change(d, &s, is_late(name));
	else if (fd == REEL_ESTALE)
		fd = open_of(d, id);
	if (fd >= 0) {
		int error = 0;

		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		if (value ? setxattr(path, name, value, length, flags)
			  : removexattr(path, name))
			error = drop_failed();
		close(fd);
		fd = error;
		if (s.node)
			changed(d, s.node);
	}
	pthread_mutex_unlock(&d->turn);
	drop_survey_release(&s);
	return fd;
}

int drop_set_xattr(struct drop *d, uint64_t id, const char *name,
		   const void *value, size_t length, int flags)
{
	return put_xattr(d, id, name, value ? value : "", length, flags);
}

int drop_remove_xattr(struct drop *d, uint64_t id, const char *name)
{
	return put_xattr(d, id, name, NULL, 0, 0);
}

int drop_verdict(struct drop *d, uint64_t id, const char *name,
		 struct buffer *out)
{
	static const struct {
		const char *name;
		enum plan_action action;
	} table[] = {{DROP_KEPT, PLAN_KEPT},
		     {DROP_DELAYED, PLAN_DELAYED},
		     {DROP_EXCLUDED, PLAN_EXCLUDED}};
	const struct drop_node *n;
	int error = REEL_ENODATA;

	pthread_mutex_lock(&d->lock);
	n = drop_node_of(d, id);
	for (size_t t = 0; t < sizeof(table) / sizeof(table[0]); t++)
		if (!strcmp(name, table[t].name) && drop_is_shadow(n) &&
		    n->verdict.action == table[t].action)
			error = drop_reason(n, out);
	pthread_mutex_unlock(&d->lock);
	return error;
}
