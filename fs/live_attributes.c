#include "fs/live_state.h"

#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include "fs/acl.h"
#include "tape/error.h"
#include "tape/xattrs.h"

/* ---- stat ---- */

int live_stat(struct live *l, uint64_t id, struct live_entry *out)
{
	struct live_node *n;
	int error;

	pthread_mutex_lock(&l->lock);
	error = node_get(l, id, &n);
	if (!error) {
		node_stat(n, out);
		node_put(l, n);
	}
	pthread_mutex_unlock(&l->lock);
	return error;
}

int live_readlink(struct live *l, uint64_t id, struct buffer *out)
{
	struct live_node *n;
	int error;

	pthread_mutex_lock(&l->lock);
	error = node_get(l, id, &n);
	if (!error) {
		error = S_ISLNK(n->row.mode)
				? buffer_append(out, n->row.target.data,
						n->row.target.length)
				: REEL_EINVAL;
		node_put(l, n);
	}
	pthread_mutex_unlock(&l->lock);
	return error;
}

int live_whereabouts(struct live *l, uint64_t id, uint64_t *content,
		     bool *excluded)
{
	struct live_node *n;
	int error;

	pthread_mutex_lock(&l->lock);
	error = node_get(l, id, &n);
	if (!error) {
		*content = n->row.file ? 0 : n->row.content;
		*excluded = n->row.state == SPOOL_EXCLUDED;
		node_put(l, n);
	}
	pthread_mutex_unlock(&l->lock);
	return error;
}

/* ---- changing ---- */

static int64_t nanoseconds(struct timespec t)
{
	const int64_t limit = INT64_MAX / 1000000000 - 1;

	if (t.tv_sec > limit)
		return limit * 1000000000;
	if (t.tv_sec < -limit)
		return -limit * 1000000000;
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int change_mode(struct live_node *n, mode_t mode)
{
	struct buffer *x = &n->row.xattrs;
	struct xattr acl;
	int found = xattr_find(x->data, x->length, ACL_ACCESS,
			       strlen(ACL_ACCESS), &acl);

	n->row.mode = (n->row.mode & S_IFMT) | (mode & 07777);
	if (found != 1)
		return found;
	return acl_chmod((void *)acl.value, acl.value_length, mode);
}

/* Under lock. */
static int set_attributes(struct live *l, struct live_node *n,
			  const struct stat *to, unsigned changes)
{
	struct spool_node *r = &n->row;
	int error = l->failed ? live_may_change(l, 0) : 0;

	if (!error)
		error = node_change(l, n);
	if (!error && changes & (LIVE_UID | LIVE_GID))
		node_drop_set_id(n);
	if (!error && changes & LIVE_MODE)
		error = change_mode(n, to->st_mode);
	if (error)
		return error;
	if (changes & LIVE_UID)
		r->uid = to->st_uid;
	if (changes & LIVE_GID)
		r->gid = to->st_gid;
	if (changes & LIVE_ATIME)
		r->atime = nanoseconds(to->st_atim);
	if (changes & LIVE_MTIME)
		r->mtime = nanoseconds(to->st_mtim);
	if (changes & LIVE_ATIME_NOW)
		r->atime = r->ctime;
	if (changes & LIVE_MTIME_NOW)
		r->mtime = r->ctime;
	return 0;
}

int live_set(struct live *l, uint64_t id, const struct stat *to,
	     unsigned changes, const struct live_user *user,
	     struct live_entry *out)
{
	struct live_node *n;
	int error;

	pthread_mutex_lock(&l->lock);
	error = node_get(l, id, &n);
	pthread_mutex_unlock(&l->lock);
	if (error)
		return error;
	if (changes & LIVE_SIZE) {
		pthread_rwlock_rdlock(&l->freeze);
		error = S_ISREG(n->row.mode)
				? bytes_truncate(l, n, (uint64_t)to->st_size,
						 user)
				: REEL_EINVAL;
		pthread_rwlock_unlock(&l->freeze);
	}
	pthread_mutex_lock(&l->lock);
	if (!error && changes & ~(unsigned)LIVE_SIZE)
		error = set_attributes(l, n, to, changes);
	if (!error)
		node_stat(n, out);
	node_put(l, n);
	pthread_mutex_unlock(&l->lock);
	return error;
}

/* ---- extended attributes ---- */

int live_xattr(struct live *l, uint64_t id, const char *name,
	       struct buffer *out)
{
	struct live_node *n;
	struct xattr x;
	int error, found;

	pthread_mutex_lock(&l->lock);
	error = node_get(l, id, &n);
	if (!error) {
		error = node_load_xattrs(l, n);
		found = error ? 0
			      : xattr_find(n->row.xattrs.data,
					   n->row.xattrs.length, name,
					   strlen(name), &x);
		if (found == 1)
			error = buffer_append(out, x.value, x.value_length);
		else if (!error)
			error = found ? found : REEL_ENODATA;
		node_put(l, n);
	}
	pthread_mutex_unlock(&l->lock);
	return error;
}

static bool begins(const char *name, size_t length, const char *with)
{
	return length > strlen(with) && !memcmp(name, with, strlen(with));
}

/* The names that filesystems of disks have. */
static bool is_known(const char *name)
{
	size_t length = strlen(name);

	return begins(name, length, "user.") ||
	       begins(name, length, "trusted.") ||
	       begins(name, length, "security.") || !strcmp(name, ACL_ACCESS) ||
	       !strcmp(name, ACL_DEFAULT);
}

static int append_names(const struct buffer *packed, bool all,
			struct buffer *out)
{
	struct xattr_cursor c = xattr_cursor(packed->data, packed->length);
	struct xattr x;
	int error = 0, step = 0;

	while (!error && (step = xattr_next(&c, &x)) == 1) {
		if (!all && begins(x.name, x.name_length, "trusted."))
			continue;
		error = buffer_append(out, x.name, x.name_length);
		if (!error)
			error = buffer_append(out, "", 1);
	}
	return error ? error : step;
}

int live_xattrs(struct live *l, uint64_t id, bool all, struct buffer *out)
{
	struct live_node *n;
	int error;

	pthread_mutex_lock(&l->lock);
	error = node_get(l, id, &n);
	if (!error) {
		error = node_load_xattrs(l, n);
		if (!error)
			error = append_names(&n->row.xattrs, all, out);
		node_put(l, n);
	}
	pthread_mutex_unlock(&l->lock);
	return error;
}

static int order(const struct xattr *x, const char *name, size_t length)
{
	size_t shorter = x->name_length < length ? x->name_length : length;
	int d = memcmp(x->name, name, shorter);

	return d ? d : (x->name_length > length) - (x->name_length < length);
}

/* The set with `name` set, or (value NULL) without it, into *out. */
static int rebuild(const struct buffer *packed, const char *name,
		   const void *value, size_t length, struct buffer *out)
{
	struct xattr_cursor c = xattr_cursor(packed->data, packed->length);
	size_t name_length = strlen(name);
	bool put = !value;
	struct xattr x;
	int error = 0, step = 0;

	while (!error && (step = xattr_next(&c, &x)) == 1) {
		int d = order(&x, name, name_length);

		if (d >= 0 && !put) {
			error = xattr_append(out, name, name_length, value,
					     length);
			put = true;
		}
		if (d && !error)
			error = xattr_append(out, x.name, x.name_length,
					     x.value, x.value_length);
	}
	if (!error && step < 0)
		error = step;
	if (!error && !put)
		error = xattr_append(out, name, name_length, value, length);
	if (!error && out->length > XATTR_SET_LIMIT)
		error = REEL_ENOSPC;
	return error;
}

static int replace_xattr(struct live *l, struct live_node *n, const char *name,
			 const void *value, size_t length)
{
	struct buffer packed = {0};
	int error = live_may_change(l, length);

	if (!error)
		error = node_change(l, n); /* loads them, too */
	if (!error)
		error = rebuild(&n->row.xattrs, name, value, length, &packed);
	if (error) {
		buffer_release(&packed);
		return error;
	}
	buffer_release(&n->row.xattrs);
	n->row.xattrs = packed;
	return 0;
}

/* An access ACL is the mode, too; one that says no more is not kept. */
static int set_acl(struct live *l, struct live_node *n, const void *value,
		   size_t length)
{
	mode_t mode = n->row.mode;
	bool plain;
	int error = acl_to_mode(value, length, &mode, &plain);

	if (!error)
		error = replace_xattr(l, n, ACL_ACCESS, plain ? NULL : value,
				      length);
	if (!error)
		n->row.mode = mode;
	return error;
}

static int check_flags(struct live_node *n, const char *name, int flags)
{
	struct xattr x;
	int found = xattr_find(n->row.xattrs.data, n->row.xattrs.length, name,
			       strlen(name), &x);

	if (found < 0)
		return found;
	if (found && flags & XATTR_CREATE)
		return REEL_EEXIST;
	return !found && flags & XATTR_REPLACE ? REEL_ENODATA : 0;
}

static int set_xattr(struct live *l, struct live_node *n, const char *name,
		     const void *value, size_t length, int flags)
{
	mode_t mode = 0;
	bool plain;
	int error = node_load_xattrs(l, n);

	if (!error)
		error = check_flags(n, name, flags);
	if (error)
		return error;
	if (!strcmp(name, ACL_ACCESS))
		return set_acl(l, n, value, length);
	if (!strcmp(name, ACL_DEFAULT)) {
		if (!S_ISDIR(n->row.mode))
			return REEL_EPERM;
		error = acl_to_mode(value, length, &mode, &plain);
	}
	return error ? error : replace_xattr(l, n, name, value, length);
}

int live_set_xattr(struct live *l, uint64_t id, const char *name,
		   const void *value, size_t length, int flags)
{
	struct live_node *n;
	int error;

	if (strlen(name) > XATTR_NAME_LIMIT || length > XATTR_VALUE_LIMIT)
		return REEL_ERANGE;
	if (!is_known(name))
		return REEL_ENOTSUP;
	pthread_mutex_lock(&l->lock);
	error = node_get(l, id, &n);
	if (!error) {
		error = set_xattr(l, n, name, value, length, flags);
		node_put(l, n);
	}
	pthread_mutex_unlock(&l->lock);
	return error;
}

int live_remove_xattr(struct live *l, uint64_t id, const char *name)
{
	struct live_node *n;
	int error;

	pthread_mutex_lock(&l->lock);
	error = node_get(l, id, &n);
	if (!error) {
		error = node_load_xattrs(l, n);
		if (!error)
			error = check_flags(n, name, XATTR_REPLACE);
		if (!error)
			error = replace_xattr(l, n, name, NULL, 0);
		node_put(l, n);
	}
	pthread_mutex_unlock(&l->lock);
	return error;
}
