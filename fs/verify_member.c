/* One member's header against the catalogue.
 *
 * After damage the decoder looks for the next header by itself and may find
 * one inside a file that is an archive. So a member counts then only when it
 * agrees with the catalogue in everything, data's place included. */
#include "fs/verify_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "tape/error.h"
#include "tape/text.h"
#include "tape/trailer.h"
#include "tape/unpack.h"
#include "tape/xattrs.h"

#define CARRIER_LIMIT (64u << 20)
#define META_LIMIT    (1u << 30)
#define BLOCK	      65536
#define NS	      1000000000

uint64_t verify_hash(const struct verify *v, const char *path, size_t length)
{
	struct digest d;
	uint64_t x;

	digest_bytes(v->set->config.seed, path, length, &d);
	memcpy(&x, d.b, sizeof(x));
	return x;
}

static int see(struct verify *v, const char *path, size_t length)
{
	if (v->seen_count == v->seen_room) {
		size_t room = v->seen_room ? 2 * v->seen_room : 4096;
		uint64_t *more = realloc(v->seen, room * sizeof(*more));

		if (!more)
			return REEL_ENOMEM;
		v->seen = more;
		v->seen_room = room;
	}
	v->seen[v->seen_count++] = verify_hash(v, path, length);
	return 0;
}

/* Of the last member's directory as much stays known as a path has in common
 * with it. Returns where the rest of the path begins. */
static size_t keep_common(struct verify *v, const char *path, size_t length)
{
	struct buffer *known = &v->parent_path;
	size_t n = 0, kept = 0, count = 0;

	while (n < known->length && n < length &&
	       known->data[n] == (uint8_t)path[n]) {
		if (path[n] == '/') {
			kept = n;
			count++;
		}
		n++;
	}
	if (n && (n == known->length || known->data[n] == '/') &&
	    (n == length || path[n] == '/')) {
		kept = n;
		count++;
	}
	known->length = kept;
	v->parents.length = kept ? count * sizeof(uint64_t) : 0;
	return kept ? kept + 1 : 0;
}

static uint64_t last_parent(const struct verify *v)
{
	uint64_t node = TREE_ROOT;

	if (v->parents.length)
		memcpy(&node,
		       v->parents.data + v->parents.length - sizeof(node),
		       sizeof(node));
	return node;
}

static int enter_parent(struct verify *v, const char *name, size_t length)
{
	struct buffer *known = &v->parent_path;
	size_t before = known->length;
	struct entry_row e = {.node = last_parent(v)};
	int err = 0;

	if (length && !(length == 1 && *name == '.'))
		err = tree_lookup(v->catalog, v->session, e.node, name, length,
				  &e);
	if (!err && !e.node)
		err = REEL_ENOTDIR;
	if (!err && before)
		err = buffer_append(known, "/", 1);
	if (!err)
		err = buffer_append(known, name, length);
	if (!err)
		err = buffer_append(&v->parents, &e.node, sizeof(e.node));
	if (err)
		known->length = before;
	return err;
}

/* Most members have much of their directory in common with the one before. */
static int find_entry(struct verify *v, const struct member *m,
		      struct entry_row *e)
{
	const char *slash = memrchr(m->path, '/', m->path_length);
	size_t up = slash ? (size_t)(slash - m->path) : 0;
	const char *name = slash ? slash + 1 : m->path;
	int err = 0;

	if (m->path_length == 0)
		return tree_directory(v->catalog, v->session, TREE_ROOT, e);
	for (size_t at = keep_common(v, m->path, up); !err && at < up;) {
		const char *end = memchr(m->path + at, '/', up - at);
		size_t length = end ? (size_t)(end - m->path) - at : up - at;

		err = enter_parent(v, m->path + at, length);
		at += length + 1;
	}
	if (err)
		return err;
	return tree_lookup(v->catalog, v->session, last_parent(v), name,
			   m->path_length - (size_t)(name - m->path), e);
}

static bool same_time(struct timespec t, int64_t ns)
{
	return (int64_t)t.tv_sec * NS + t.tv_nsec == ns;
}

static int same_xattrs(struct verify *v, const struct member *m,
		       const struct inode_row *i)
{
	struct buffer b = {0};
	int err = 0;

	if (i->xattrs)
		err = tree_xattrs(v->catalog, i->xattrs, &b);
	if (!err)
		err = b.length == m->xattrs_length &&
		      (!b.length || !memcmp(b.data, m->xattrs, b.length));
	buffer_release(&b);
	return err;
}

#define SECOND_NS 1000000000

/* 1 when the member's metadata are the entry's, 0 when not, or an error. */
static int same_metadata(struct verify *v, const struct member *m,
			 const struct inode_row *i)
{
	if ((i->mode & 07777) != m->mode || i->uid != m->uid ||
	    i->gid != m->gid)
		return 0;
	if (member_is_copy(m)) /* the rest stands in its carrier */
		return i->mtime / SECOND_NS - (i->mtime % SECOND_NS < 0) ==
		       m->mtime.tv_sec;
	if (!same_time(m->mtime, i->mtime))
		return 0;
	if (m->has_atime && i->has_atime && !same_time(m->atime, i->atime))
		return 0;
	if (m->type == MEMBER_SYMLINK &&
	    (!i->target || i->target_length != m->link_length ||
	     memcmp(i->target, m->link, m->link_length) != 0))
		return 0;
	if ((m->type == MEMBER_CHARACTER || m->type == MEMBER_BLOCK_DEVICE) &&
	    (m->major != i->major || m->minor != i->minor))
		return 0;
	return same_xattrs(v, m, i);
}

/* A small content that was stored once more: it is not the one that the
 * catalogue points to, so it is hashed here. */
static int same_again(struct verify *v, struct member_decoder *d,
		      const struct content_row *c)
{
	struct digester *digester;
	struct digest digest;
	uint8_t data[4096];
	int64_t n;
	int err = digester_new(v->set->config.seed, &digester);

	if (err)
		return err;
	while ((n = member_data(d, data, sizeof(data))) > 0)
		digester_add(digester, data, (size_t)n);
	digester_result(digester, &digest);
	digester_free(digester);
	if (n < 0)
		return n == REEL_EDAMAGED ? 0 : (int)n;
	return memcmp(&digest, &c->digest, sizeof(digest)) == 0;
}

static int same_content(struct verify *v, struct member_decoder *d,
			const struct member *m, const struct inode_row *i)
{
	uint64_t at = member_data_offset(d);
	struct content_row c = {0};
	int same = 1, err;

	if (m->type != MEMBER_FILE)
		return 1;
	if (m->size != i->size)
		return 0;
	if (!i->content)
		return m->size == 0;
	err = tree_content(v->catalog, i->content, &c);
	if (err)
		return err == REEL_ENOENT ? 0 : err;
	if (c.session != v->session ||
	    (c.offset != at && c.offset + c.map_bytes != at))
		same = v->astray ? 0 : same_again(v, d, &c);
	content_row_release(&c);
	return same;
}

static void blame(struct verify *v, uint64_t begin, uint64_t end)
{
	for (size_t i = 0; i < v->bad_count; i++)
		if (v->bad[i].begin < end && v->bad[i].end > begin)
			v->bad[i].named = true;
}

static int name_wrong(struct verify *v, const char *name, size_t length,
		      uint64_t begin, uint64_t end, const char *what)
{
	char *path = text_name(name, length);
	uint32_t volume;
	uint64_t position;

	if (!path)
		return REEL_ENOMEM;
	verify_locate(v, begin, end, &volume, &position);
	blame(v, begin, end);
	verify_say(v, length ? path : ".", v->session, volume, position, what);
	free(path);
	return 0;
}

int verify_settle(struct verify *v)
{
	if (!v->have_withdrawn)
		return 0;
	v->have_withdrawn = false;
	return name_wrong(v, (char *)v->withdrawn.data, v->withdrawn.length,
			  v->withdrawn_begin, v->withdrawn_end,
			  "differs from the catalogue");
}

static int suspect(struct verify *v, const struct member *m, uint64_t begin,
		   uint64_t end)
{
	int err;

	v->withdrawn.length = 0;
	err = buffer_append(&v->withdrawn, m->path, m->path_length);
	v->have_withdrawn = !err;
	v->withdrawn_begin = begin;
	v->withdrawn_end = end;
	return err;
}

static int check_entry(struct verify *v, struct member_decoder *d,
		       const struct member *m)
{
	uint64_t begin = member_header_offset(d);
	uint64_t end = member_data_offset(d);
	struct entry_row e;
	int same, err;

	if (member_is_gap(m) || v->partial)
		return 0;
	err = find_entry(v, m, &e);
	if (err == REEL_ENOENT || err == REEL_ENOTDIR) {
		bool hurt = verify_bad(v, begin, end) != NULL;

		/* A name that was flipped; the right one will be missed. */
		if (!v->astray)
			blame(v, begin, end);
		v->headers_hurt = true;
		return v->astray || hurt
			       ? 0
			       : name_wrong(v, m->path, m->path_length, begin,
					    end, "is not in the catalogue");
	}
	if (err)
		return err;
	/* further names may be of anything but a directory */
	same = m->type == MEMBER_LINK && !member_is_copy(m)
		       ? !S_ISDIR(e.inode.mode)
		       : (e.inode.mode & S_IFMT) == member_format(m->type);
	if (same)
		same = same_metadata(v, m, &e.inode);
	if (same == 1)
		same = same_content(v, d, m, &e.inode);
	if (same < 0)
		return same;
	if (same) {
		v->astray = false;
		return see(v, m->path, m->path_length);
	}
	if (v->astray)
		return 0;
	err = see(v, m->path, m->path_length);
	if (err)
		return err;
	return suspect(v, m, begin, end + m->stored);
}

static int take_index(struct verify *v, struct member_decoder *d)
{
	struct digester *digester;
	uint8_t *block;
	int64_t n;
	int err = digester_new(0, &digester);

	if (err)
		return err;
	v->index_offset = member_data_offset(d);
	v->index_length = 0;
	block = malloc(BLOCK);
	if (!block) {
		digester_free(digester);
		return REEL_ENOMEM;
	}
	while ((n = member_data(d, block, BLOCK)) > 0) {
		digester_add(digester, block, (size_t)n);
		v->index_length += (uint64_t)n;
	}
	digester_result(digester, &v->index_digest);
	v->index_seen = true;
	free(block);
	digester_free(digester);
	return (int)n;
}

static int check_end(struct verify *v, struct member_decoder *d)
{
	uint8_t block[TRAILER_SIZE] = {0};
	uint64_t at = member_header_offset(d);
	struct trailer t;
	uint32_t volume;
	uint64_t position;
	const char *what = NULL;

	v->end_seen = true;
	if (member_data(d, block, sizeof(block)) != (int64_t)sizeof(block) ||
	    trailer_decode(block, &t) != 0)
		what = "the end of the session is damaged";
	else if (!v->index_seen || t.index_offset != v->index_offset ||
		 t.index_length != v->index_length ||
		 memcmp(&t.index_digest, &v->index_digest,
			sizeof(t.index_digest)) != 0)
		what = "the session's index is damaged";
	if (!what)
		return 0;
	v->tail_said = true;
	if (v->index_seen)
		at = v->index_offset;
	verify_locate(v, at, at + v->index_length + 1, &volume, &position);
	blame(v, at, v->position);
	verify_say(v, NULL, v->session, volume, position, what);
	return 0;
}

/* Names that stayed what they were but for their link group: they have
 * neither member nor carrier, only a line `l PATH<TAB>TARGET`. */
static int see_line(struct verify *v, const char *line, size_t length)
{
	const char *tab = memchr(line, '\t', length);
	struct buffer path = {0};
	int err = 0;

	if (length > 2 && line[0] == 'l' && line[1] == ' ' && tab)
		err = text_unescape(&path, line + 2, (size_t)(tab - line) - 2);
	if (!err && path.length)
		err = see(v, (char *)path.data, path.length);
	buffer_release(&path);
	return err == REEL_EDAMAGED ? 0 : err;
}

static int take_copies(struct verify *v, struct member_decoder *d)
{
	struct buffer text = {0};
	int err = 0;
	int64_t n;

	do {
		const char *at, *end;
		size_t left;

		err = buffer_reserve(&text, BLOCK);
		n = err ? err : member_data(d, text.data + text.length, BLOCK);
		if (n > 0)
			text.length += (size_t)n;
		at = (char *)text.data;
		left = text.length;
		while (!err && left && (end = memchr(at, '\n', left))) {
			err = see_line(v, at, (size_t)(end - at));
			left -= (size_t)(end - at) + 1;
			at = end + 1;
		}
		if (left)
			memmove(text.data, at, left);
		text.length = left;
	} while (!err && n > 0 && text.length < 4 * MEMBER_PATH_LIMIT);
	buffer_release(&text);
	return n < 0 ? (int)n : err;
}

static int reserved_member(struct verify *v, struct member_decoder *d,
			   const struct member *m)
{
	char folder[64];
	const char *rest;
	size_t length;

	snprintf(folder, sizeof(folder), "%s/s%06u/", v->set->reserved,
		 v->session);
	length = strlen(folder);
	if (m->path_length <= length || memcmp(m->path, folder, length) != 0)
		return 0;
	rest = m->path + length;
	length = m->path_length - length;
	if (length == 9 && !memcmp(rest, "index.zst", 9)) {
		int err = verify_tail_index(v, m->size);

		return err ? err : take_index(v, d);
	}
	if (length == 12 && !memcmp(rest, "meta.tar.zst", 12))
		return member_collect(d, &v->meta, META_LIMIT);
	if (length == 6 && !memcmp(rest, "copies", 6))
		return take_copies(v, d);
	if (length == 3 && !memcmp(rest, "end", 3))
		return check_end(v, d);
	return 0;
}

int verify_member(struct verify *v, struct member_decoder *d,
		  const struct member *m)
{
	size_t length = strlen(v->set->reserved);
	int err;

	if (v->have_withdrawn && member_is_again(m) &&
	    m->path_length == v->withdrawn.length &&
	    !memcmp(m->path, v->withdrawn.data, m->path_length))
		v->have_withdrawn = false;
	err = verify_settle(v);
	if (err || m->type == MEMBER_GLOBAL)
		return err;
	v->result->members++;
	if (m->path_length >= length &&
	    !memcmp(m->path, v->set->reserved, length) &&
	    (m->path_length == length || m->path[length] == '/'))
		return reserved_member(v, d, m);
	return check_entry(v, d, m);
}

static int check_carrier(struct verify *v, const struct member *m)
{
	struct entry_row e;
	int same;
	int err = find_entry(v, m, &e);

	if (err == REEL_ENOENT || err == REEL_ENOTDIR)
		return 0;
	if (err)
		return err;
	same = same_metadata(v, m, &e.inode);
	if (same < 0)
		return same;
	err = see(v, m->path, m->path_length);
	if (err || same)
		return err;
	return name_wrong(v, m->path, m->path_length, 0, 0,
			  "differs from the catalogue");
}

int verify_meta(struct verify *v)
{
	struct unpack packed = {.data = v->meta.data,
				.length = v->meta.length,
				.limit = CARRIER_LIMIT};
	struct member_decoder *d = NULL;
	struct member m;
	int more, err;

	if (!v->meta.length)
		return 0;
	err = member_decoder_new(unpack_read, &packed, &d);
	while (!err && (more = member_next(d, &m)) != 0)
		err = more < 0 ? more : check_carrier(v, &m);
	if (err == REEL_EDAMAGED || err == REEL_ERANGE) {
		v->headers_hurt = true;
		err = 0;
	}
	member_decoder_free(d);
	unpack_release(&packed);
	return err;
}
