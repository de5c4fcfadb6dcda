#include "fs/archive.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "tape/error.h"
#include "tape/format.h"
#include "tape/log.h"
#include "tape/text.h"

#define LIST_TAIL    (256u << 10) /* of a list kept in memory */
#define CARRIER_PACK (4u << 20)	  /* carriers packed at a time */
#define META_LEVEL   1

static const uint8_t zeros[2 * MEMBER_BLOCK];

int archive_put_padding(struct archive *a, uint64_t stored)
{
	size_t padding = member_padding(stored);

	return padding ? stream_write(a->stream, zeros, padding) : 0;
}

int archive_put_member(struct archive *a, struct member *m)
{
	size_t map;
	int error;

	a->header.length = 0;
	error = member_encode(m, &a->header, &map);
	if (error)
		return error;
	return stream_write(a->stream, a->header.data, a->header.length);
}

static int put_stamped(struct archive *a, const char *path, uint64_t size,
		       mode_t mode)
{
	struct member m = {
		.type = MEMBER_FILE,
		.path = path,
		.path_length = strlen(path),
		.mode = mode,
		.size = size,
		.mtime.tv_sec = a->time / 1000000000,
	};

	return archive_put_member(a, &m);
}

int archive_put_data(struct archive *a, const char *path, const void *data,
		     size_t length)
{
	int error = put_stamped(a, path, length, 0644);

	if (!error)
		error = stream_write(a->stream, data, length);
	return error ? error : archive_put_padding(a, length);
}

/* ---- lists ---- */

static int list_spill(struct archive_list *l, int spool)
{
	const uint8_t *at = l->tail.data;
	size_t left = l->tail.length;

	if (l->fd <= 0)
		l->fd = openat(spool, ".", O_TMPFILE | O_RDWR | O_CLOEXEC,
			       0600);
	if (l->fd < 0) {
		int fd = openat(spool, "list.tmp",
				O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC, 0600);
		if (fd < 0)
			return error_from_errno(errno);
		unlinkat(spool, "list.tmp", 0);
		l->fd = fd;
	}
	while (left) {
		ssize_t n = write(l->fd, at, left);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_from_errno(errno);
		at += n;
		left -= (size_t)n;
	}
	l->tail.length = 0;
	return 0;
}

int archive_list_bytes(struct archive_list *l, int spool, const void *data,
		       size_t length)
{
	int error = buffer_append(&l->tail, data, length);

	if (error)
		return error;
	l->length += length;
	return l->tail.length < LIST_TAIL ? 0 : list_spill(l, spool);
}

int archive_list_line(struct archive_list *l, int spool, const char *verb,
		      const char *path, size_t length, const char *target,
		      size_t target_length)
{
	struct buffer line = {0};
	int error = buffer_append(&line, verb, strlen(verb));

	if (!error)
		error = text_escape(&line, path, length);
	if (!error && target)
		error = buffer_append(&line, "\t", 1);
	if (!error && target)
		error = text_escape(&line, target, target_length);
	if (!error)
		error = buffer_append(&line, "\n", 1);
	if (!error)
		error = archive_list_bytes(l, spool, line.data, line.length);
	buffer_release(&line);
	return error;
}

void archive_list_release(struct archive_list *l)
{
	if (l->fd > 0)
		close(l->fd);
	buffer_release(&l->tail);
}

static int put_list_data(struct archive *a, struct archive_list *l)
{
	uint64_t spilled = l->length - l->tail.length;
	int error = 0;

	for (uint64_t at = 0; !error && at < spilled;) {
		ssize_t n = pread(l->fd, a->block, ARCHIVE_BLOCK, (off_t)at);

		if (n <= 0)
			return n ? error_from_errno(errno) : REEL_EIO;
		error = stream_write(a->stream, a->block, (size_t)n);
		at += (uint64_t)n;
	}
	if (!error && l->tail.length)
		error = stream_write(a->stream, l->tail.data, l->tail.length);
	return error ? error : archive_put_padding(a, l->length);
}

static int put_list(struct archive *a, struct archive_list *l, const char *name)
{
	char path[80];
	int error;

	if (!l->length)
		return 0;
	snprintf(path, sizeof(path), "%s/s%06u/%s", a->set->reserved,
		 (unsigned)a->session, name);
	error = put_stamped(a, path, l->length, 0600);
	return error ? error : put_list_data(a, l);
}

static int pack_carriers(struct archive *a)
{
	struct buffer packed = {0};
	int error = frame_pack(a->carriers.data, a->carriers.length, META_LEVEL,
			       &packed);

	if (!error)
		error = archive_list_bytes(&a->meta, a->set->directory,
					   packed.data, packed.length);
	buffer_release(&packed);
	a->carriers.length = 0;
	return error;
}

int archive_put_lists(struct archive *a)
{
	int error = put_list(a, &a->replaced, "replaced");

	if (!error)
		error = put_list(a, &a->deleted, "deleted");
	if (!error)
		error = put_list(a, &a->copies, "copies");
	if (!error && a->carriers.length)
		error = buffer_append_zeros(&a->carriers, 2 * MEMBER_BLOCK);
	if (!error && a->carriers.length)
		error = pack_carriers(a);
	return error ? error : put_list(a, &a->meta, "meta.tar.zst");
}

/* ---- metadata ---- */

static const char *look_up(bool group, uint32_t id, char *room, size_t size)
{
	char text[4096];

	if (group) {
		struct group g, *found = NULL;

		getgrgid_r(id, &g, text, sizeof(text), &found);
		snprintf(room, size, "%s", found ? g.gr_name : "");
	} else {
		struct passwd p, *found = NULL;

		getpwuid_r(id, &p, text, sizeof(text), &found);
		snprintf(room, size, "%s", found ? p.pw_name : "");
	}
	return room;
}

/* The name of an owner, looked up once while it stays in the table. */
static const char *owner_name(struct archive *a, bool group, uint32_t id)
{
	size_t slot = id % 64 + (group ? 64 : 0);

	if (a->owner_ids[slot] != (uint64_t)id + 1) {
		a->owner_ids[slot] = (uint64_t)id + 1;
		look_up(group, id, a->owner_names[slot],
			sizeof(a->owner_names[slot]) - 1);
		if (a->owner_names[slot][0])
			builder_owner(a->builder, group, id,
				      a->owner_names[slot]);
	}
	return a->owner_names[slot][0] ? a->owner_names[slot] : NULL;
}

static struct timespec as_time(int64_t ns)
{
	struct timespec t = {ns / 1000000000, ns % 1000000000};

	if (t.tv_nsec < 0) {
		t.tv_nsec += 1000000000;
		t.tv_sec--;
	}
	return t;
}

static const char *flag_comment(uint32_t flags)
{
	static const char *const texts[8] = {
		NULL,
		"REEL flags=i",
		"REEL flags=a",
		"REEL flags=ia",
		"REEL flags=n",
		"REEL flags=in",
		"REEL flags=an",
		"REEL flags=ian",
	};

	return texts[(flags & INODE_IMMUTABLE ? 1 : 0) |
		     (flags & INODE_APPEND ? 2 : 0) |
		     (flags & INODE_NODUMP ? 4 : 0)];
}

void archive_fill(struct archive *a, struct member *m,
		  const struct inode_row *row, const struct buffer *xattrs)
{
	m->mode = row->mode & 07777;
	m->uid = row->uid;
	m->gid = row->gid;
	m->owner = owner_name(a, false, row->uid);
	m->group = owner_name(a, true, row->gid);
	m->mtime = as_time(row->mtime);
	m->has_atime = row->has_atime;
	m->atime = as_time(row->atime);
	m->major = row->major;
	m->minor = row->minor;
	m->xattrs = xattrs->data;
	m->xattrs_length = xattrs->length;
	m->comment = flag_comment(row->flags);
	m->comment_length = m->comment ? strlen(m->comment) : 0;
}

uint16_t archive_look(struct archive *a, const struct member *m)
{
	struct archive_look look = {m->mode, m->uid, m->gid};
	unsigned n = 0;

	if (m->xattrs_length || m->comment || m->has_atime)
		return 0;
	while (n < a->look_count &&
	       memcmp(&a->looks[n], &look, sizeof(look)) != 0)
		n++;
	if (n == ARCHIVE_LOOKS)
		return 0;
	if (n == a->look_count)
		a->looks[a->look_count++] = look;
	return (uint16_t)(n + 1);
}

static void folder_member(struct archive *a, struct folder *f, struct member *m)
{
	*m = (struct member){.type = MEMBER_DIRECTORY,
			     .path = (char *)a->trail.path.data,
			     .path_length = f->path_length};
	archive_fill(a, m, &f->row, &f->xattrs);
}

/* GNU tar leaves directories that are closed to their owner the set-group-ID
 * that they inherited. */
static bool keeps_group(const struct folder *f)
{
	return f->parent && f->parent->sets_group && !(f->row.mode & S_ISGID) &&
	       (f->row.mode & S_IRWXU) != S_IRWXU;
}

static int list_folder(struct archive *a, const struct folder *f,
		       const char *verb)
{
	return archive_list_line(&a->copies, a->set->directory, verb,
				 (char *)a->trail.path.data, f->path_length,
				 NULL, 0);
}

int archive_need_folder(struct archive *a, struct folder *f)
{
	struct member m;
	int error = 0;

	if (f->in_archive || f->unnamed)
		return 0;
	f->in_archive = true;
	if (f->hands_on)
		error = list_folder(a, f, "a ");
	if (!error && f->hands_on)
		error = archive_meta_folder(a, f);
	if (!error && keeps_group(f))
		error = list_folder(a, f, "g ");
	folder_member(a, f, &m);
	return error ? error : archive_put_member(a, &m);
}

static int add_carrier(struct archive *a, struct member *m)
{
	size_t map;
	int error = member_encode(m, &a->carriers, &map);

	if (!error && a->carriers.length >= CARRIER_PACK)
		error = pack_carriers(a);
	return error;
}

int archive_meta_folder(struct archive *a, struct folder *f)
{
	struct folder *top = NULL;
	int error = 0;

	for (; f && !f->in_meta; f = f->parent) {
		f->in_meta = true;
		f->next = top;
		top = f;
	}
	for (; !error && top; top = top->next) {
		struct member m;

		folder_member(a, top, &m);
		if (!top->unnamed || top->noted)
			error = add_carrier(a, &m);
	}
	return error;
}

int archive_carrier(struct archive *a, struct folder *f, struct member *m)
{
	struct member carrier = *m;
	int error = archive_meta_folder(a, f);

	carrier.type = MEMBER_FILE;
	carrier.link_length = 0;
	carrier.size = 0;
	carrier.sparse = false;
	return error ? error : add_carrier(a, &carrier);
}

int archive_keep_path(struct archive *a, uint64_t content, struct buffer *out)
{
	out->length = 0;
	return buffer_printf(out, "%s/keep/%016llx", a->set->reserved,
			     (unsigned long long)content);
}

/* ---- the session's first members ---- */

int archive_begin(struct archive *a)
{
	struct buffer text = {0};
	char uuid[37], path[80];
	int error;

	set_uuid_text(a->set->config.uuid, uuid);
	error = buffer_printf(&text,
			      "REEL 1 set=%s epoch=%u session=%u "
			      "time=%lld.%09lld",
			      uuid, (unsigned)builder_epoch(a->builder),
			      (unsigned)a->session,
			      (long long)(a->time / 1000000000),
			      (long long)(a->time % 1000000000));
	if (!error && a->label)
		error = buffer_append(&text, " label=", 7);
	if (!error && a->label)
		error = text_escape(&text, a->label, strlen(a->label));
	struct member m = {.type = MEMBER_GLOBAL,
			   .comment = (char *)text.data,
			   .comment_length = text.length};
	if (!error)
		error = archive_put_member(a, &m);
	snprintf(path, sizeof(path), "%s/README", a->set->reserved);
	if (!error)
		error = archive_put_data(a, path, format_readme,
					 strlen(format_readme));
	snprintf(path, sizeof(path), "%s/recover.sh", a->set->reserved);
	if (!error)
		error = archive_put_data(a, path, format_recover,
					 strlen(format_recover));
	buffer_release(&text);
	return error;
}
