/* Storing a content, once: its digest, who has the same bytes already, and the
 * member. */
#include "fs/archive.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "fs/archive_source.h"
#include "fs/change.h"
#include "tape/error.h"
#include "tape/log.h"
#include "tape/stop.h"
#include "tape/text.h"

static int new_digester(struct archive *a, struct digester **out)
{
	const struct set_config *c = &a->set->config;

	return c->sha256 ? digester_new_sha256(c->seed, out)
			 : digester_new(c->seed, out);
}

static int take_digests(struct archive *a, struct source *s, struct digester *d,
			struct digest *out)
{
	digester_result(d, out);
	s->has_sha256 = a->set->config.sha256;
	return s->has_sha256 ? digester_sha256(d, &s->sha256) : 0;
}

static int digest_source(struct archive *a, struct source *s,
			 struct digest *out)
{
	struct digester *d;
	int error = new_digester(a, &d);

	if (error)
		return error;
	for (uint64_t at = 0; !error && at < s->stored;) {
		size_t n = s->stored - at < ARCHIVE_BLOCK
				   ? (size_t)(s->stored - at)
				   : ARCHIVE_BLOCK;

		error = source_read(a, s, at, a->block, n);
		if (!error)
			digester_add(d, a->block, n);
		at += n;
	}
	if (!error)
		error = take_digests(a, s, d, out);
	digester_free(d);
	return error;
}

/* What cannot be read back without moving a tape has this as proof. */
static bool same_sha256(const struct content_row *row, struct source *s)
{
	if (!s->has_sha256 && s->data)
		s->has_sha256 =
			!sha256_bytes(s->data, (size_t)s->stored, &s->sha256);
	return row->has_sha256 && s->has_sha256 &&
	       !memcmp(&row->sha256, &s->sha256, sizeof(s->sha256));
}

/* Whether a stored content has exactly these bytes. Content that cannot be
 * read is different (A5). */
static bool same_bytes(struct archive *a, const struct content_row *row,
		       struct source *s)
{
	if (content_stored(row) != s->stored || row->sparse != !!s->map ||
	    (s->map && row->map_bytes != s->map_bytes))
		return false;
	if (a->set->medium->tape)
		return same_sha256(row, s);
	for (uint64_t at = 0; at < s->stored;) {
		size_t want = s->stored - at < ARCHIVE_BLOCK
				      ? (size_t)(s->stored - at)
				      : ARCHIVE_BLOCK;
		const uint8_t *mine = s->data ? s->data + at : a->other;
		const uint8_t *theirs;
		int64_t n = source_view_stored(a, row, at, want, &theirs);

		if (n < 0)
			return false;
		if (!s->data && source_read(a, s, at, a->other, (size_t)n))
			return false;
		if (memcmp(theirs, mine, (size_t)n))
			return false;
		at += (uint64_t)n;
	}
	return true;
}

/* The content with these bytes; 0 when there is none. */
static int find_content(struct archive *a, uint64_t size, struct source *s,
			const struct digest *digest, uint64_t *id)
{
	struct content_row row = {0};
	uint64_t after = 0;
	int error;

	*id = 0;
	while (!(error = builder_candidate(a->builder, size, digest, after,
					   &row))) {
		bool same = same_bytes(a, &row, s);

		after = row.id;
		content_row_release(&row);
		if (same) {
			*id = after;
			return 0;
		}
	}
	return error == REEL_ENOENT ? 0 : error;
}

static int copy_source(struct archive *a, struct source *s, uint64_t from,
		       struct digester *d)
{
	for (uint64_t at = from; at < s->stored;) {
		void *room;
		size_t n;
		int error = stop_is_set(a->stop)
				    ? REEL_ESTOPPED
				    : stream_reserve(a->stream, &room, &n);

		if (error)
			return error;
		if (n > s->stored - at)
			n = (size_t)(s->stored - at);
		error = source_read(a, s, at, room, n);
		if (error)
			return error;
		if (d)
			digester_add(d, room, n);
		error = stream_commit(a->stream, n);
		if (error)
			return error;
		at += n;
	}
	return archive_put_padding(a, s->stored);
}

/* The same of a content that the set has: reading it may pause the stream, so
 * no room of the stream is held meanwhile. */
static int copy_stored(struct archive *a, struct source *s, uint64_t from,
		       struct digester *d)
{
	int error = 0;

	for (uint64_t at = from; !error && at < s->stored;) {
		size_t n = s->stored - at < ARCHIVE_BLOCK
				   ? (size_t)(s->stored - at)
				   : ARCHIVE_BLOCK;

		error = stop_is_set(a->stop)
				? REEL_ESTOPPED
				: source_read(a, s, at, a->block, n);
		if (!error && d)
			digester_add(d, a->block, n);
		if (!error)
			error = stream_write(a->stream, a->block, n);
		at += n;
	}
	return error ? error : archive_put_padding(a, s->stored);
}

/* What lies on a cartridge is made to be at hand before a member begins, so
 * that a pause comes between members, but for large ones. */
static int fetch(struct archive *a, struct source *s)
{
	uint64_t n = s->stored - s->map_bytes;

	if (!s->stored_row.id || !a->set->medium->tape)
		return 0;
	return source_read(a, s, s->map_bytes, a->block,
			   n < ARCHIVE_BLOCK ? (size_t)n : ARCHIVE_BLOCK);
}

/* Writes header (already encoded) and stored bytes; the digest is computed on
 * the way when `digest` is given. *offset is where the stored bytes lie. */
static int put_source(struct archive *a, struct source *s,
		      struct digest *digest, uint64_t *offset)
{
	struct digester *d = NULL;
	int error = fetch(a, s);

	if (!error)
		error = stream_write(a->stream, a->header.data,
				     a->header.length);
	*offset = stream_offset(a->stream) - s->map_bytes;
	if (!error && digest)
		error = new_digester(a, &d);
	if (!error && d)
		digester_add(d, s->map, s->map_bytes);
	if (!error && s->data && !d) {
		error = stream_write(a->stream, s->data, (size_t)s->stored);
		if (!error)
			error = archive_put_padding(a, s->stored);
	} else if (!error) {
		error = s->stored_row.id ? copy_stored(a, s, s->map_bytes, d)
					 : copy_source(a, s, s->map_bytes, d);
	}
	if (!error && d)
		error = take_digests(a, s, d, digest);
	else if (!error && s->data && a->set->config.sha256 && !s->has_sha256)
		error = sha256_bytes(s->data, (size_t)s->stored, &s->sha256);
	s->has_sha256 = !error && a->set->config.sha256;
	digester_free(d);
	return error;
}

static void say_changed(struct archive *a, struct item *i,
			const struct member *m)
{
	char *name = text_name(m->path, m->path_length);

	log_warning("%s: changes while it is read; stored as read",
		    name ? name : "?");
	free(name);
	a->problems++;
	i->changed = true;
}

/* Whether an open file is what it was when it was looked at; *now: what it is.
 * A name more or less does not count. */
static bool held_still(const struct item *i, const struct source *s,
		       struct statx *now)
{
	const struct statx *st = &i->st;

	*now = *st;
	if (i->fd < 0)
		return true;
	if (i->living) /* frozen; its times are not the file's */
		return !s->shrank;
	return !statx(i->fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, now) &&
	       !s->shrank && now->stx_size == st->stx_size &&
	       statx_ns(now->stx_mtime) == statx_ns(st->stx_mtime) &&
	       (statx_ns(now->stx_ctime) == statx_ns(st->stx_ctime) ||
		now->stx_nlink != st->stx_nlink);
}

/* The file as it is now, to be read once more. Its xattrs are of before, so
 * the next backup reads it anyway. */
static void look_again(struct archive *a, struct item *i, struct member *m,
		       const struct statx *now)
{
	uint32_t links = i->st.stx_nlink;
	struct inode_row row;

	i->st = *now;
	i->st.stx_nlink = links;
	i->again = i->racy = true;
	archive_row(&row, i, a->atime);
	archive_fill(a, m, &row, &i->xattrs);
}

/* ---- storing ---- */

static struct content_row
new_row(const struct archive *a, const struct member *m, const struct source *s)
{
	return (struct content_row){.size = m->size,
				    .session = a->session,
				    .sparse = s->map != NULL,
				    .map_bytes = s->map_bytes,
				    .runs = s->map ? s->runs : NULL,
				    .run_count = s->map ? s->run_count : 0};
}

/* What was just written at row->offset may be what lay there before. */
static int add_again(struct archive *a, const struct member *m,
		     const struct source *s, const struct content_row *row,
		     uint64_t *id)
{
	struct source written = {.has_sha256 = row->has_sha256,
				 .sha256 = row->sha256,
				 .stored_row = *row,
				 .stored = s->stored,
				 .map = s->map,
				 .map_bytes = s->map_bytes};
	int error;

	written.stored_row.id = UINT64_MAX;
	error = find_content(a, m->size, &written, &row->digest, id);
	if (error)
		return error;
	return *id ? builder_home_set(a->builder, *id, m->path, m->path_length)
		   : builder_content(a->builder, row, m->path, m->path_length,
				     id);
}

static int store_over(struct archive *a, struct item *i, struct member *m,
		      struct source *s, const struct statx *now, uint64_t *id);

static int store_new(struct archive *a, struct item *i, struct member *m,
		     struct source *s, const struct digest *known, uint64_t *id)
{
	struct content_row row = new_row(a, m, s);
	struct statx now;
	int error;

	if (known)
		row.digest = *known;
	error = put_source(a, s, known ? NULL : &row.digest, &row.offset);
	if (error)
		return error;
	row.has_sha256 = s->has_sha256;
	row.sha256 = s->sha256;
	a->unique_bytes += m->size;
	error = i->again ? add_again(a, m, s, &row, id)
			 : builder_content(a->builder, &row, m->path,
					   m->path_length, id);
	if (error)
		return error;
	builder_home_look(a->builder, *id, archive_look(a, m));
	if (held_still(i, s, &now))
		return 0;
	if (!i->again && !i->living)
		return store_over(a, i, m, s, &now, id);
	say_changed(a, i, m);
	return 0;
}

/* Content *id was torn while it was read: its path gets a second member. */
static int store_over(struct archive *a, struct item *i, struct member *m,
		      struct source *s, const struct statx *now, uint64_t *id)
{
	int error = builder_home_set(a->builder, *id, "", 0);

	look_again(a, i, m, now);
	snprintf(a->comment, sizeof(a->comment), MEMBER_AGAIN "%s",
		 m->comment ? m->comment + strlen("REEL") : "");
	m->comment = a->comment;
	m->comment_length = strlen(a->comment);
	source_release(s);
	if (!error)
		error = source_open(a, i, m, s);
	if (error)
		return error;
	if (m->size)
		return store_new(a, i, m, s, NULL, id);
	*id = 0;
	return stream_write(a->stream, a->header.data, a->header.length);
}

/* A content of the set that this epoch may refer to needs no second look. */
static bool may_refer(const struct archive *a, const struct source *s)
{
	return s->stored_row.id &&
	       s->stored_row.session >= builder_epoch(a->builder);
}

int archive_content(struct archive *a, struct item *i, struct member *m,
		    struct stored_content *out)
{
	struct digest digest = i->digest;
	bool known = i->data != NULL, has = true;
	struct source s;
	struct statx now;
	int error = source_open(a, i, m, &s);

	memset(out, 0, sizeof(*out));
	if (!error && may_refer(a, &s)) {
		out->id = i->content;
		out->existing = true;
		source_release(&s);
		return 0;
	}
	if (!error && !m->size) {
		error = archive_lose_old(a, i, 0);
		return error ? error
			     : stream_write(a->stream, a->header.data,
					    a->header.length);
	}
	if (!error && !known)
		error = builder_has_size(a->builder, m->size, &has);
	if (!error && !known && has) {
		error = digest_source(a, &s, &digest);
		i->digest = digest;
		known = true;
	}
	if (!error && has)
		error = find_content(a, m->size, &s, &digest, &out->id);
	out->existing = out->id != 0;
	if (!error && out->id && !i->living && !held_still(i, &s, &now)) {
		bool again = !i->again;

		if (again)
			look_again(a, i, m, &now);
		else
			say_changed(a, i, m);
		if (again) {
			source_release(&s);
			return archive_content(a, i, m, out);
		}
	}
	if (!error && !out->id)
		error = archive_lose_old(a, i, 0);
	/* a size seen for the first time is hashed while it is stored; one
	 * that changed after it was hashed is hashed anew */
	if (!error && !out->id)
		error = store_new(a, i, m, &s, i->data ? &digest : NULL,
				  &out->id);
	source_release(&s);
	return error;
}

int archive_store_again(struct archive *a, struct item *i, struct member *m,
			uint64_t *content)
{
	bool read = i->fd >= 0 && !i->living;
	struct content_row row;
	struct source s;
	int error = source_open(a, i, m, &s);

	row = new_row(a, m, &s);
	if (!error)
		error = put_source(a, &s, read ? &row.digest : NULL,
				   &row.offset);
	if (!error && read &&
	    memcmp(&row.digest, &i->digest, sizeof(row.digest)) != 0) {
		say_changed(a, i, m);
		error = builder_content(a->builder, &row, m->path,
					m->path_length, content);
	} else if (!error) {
		error = builder_home_set(a->builder, *content, m->path,
					 m->path_length);
	}
	source_release(&s);
	if (!error)
		builder_home_look(a->builder, *content, archive_look(a, m));
	return error;
}
