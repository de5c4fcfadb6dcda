/* Contents of the session that is being built: finding them by digest, and
 * where copies can link to. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "catalog/builder_state.h"
#include "tape/buffer.h"
#include "tape/bytes.h"
#include "tape/error.h"

#define FIRST_ROOM 4096
#define SLOT_LIMIT (1u << 22) /* slots before the index takes over */
#define SIZE_LIMIT (1u << 20)
#define PATHS_TAIL (256u << 10)
#define PATHS_NEAR (16u << 10) /* read together: copies come in their order */

static uint32_t tag_of(const struct digest *d)
{
	struct le32 v;

	memcpy(&v, d->b, 4);
	return le32_get(v) ? le32_get(v) : 1;
}

int builder_contents_init(struct builder *b)
{
	struct builder_contents *k = &b->contents;

	k->first = b->next_content;
	k->paths = openat(b->set->directory, "spool/index.paths",
			  O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (k->paths < 0)
		return error_from_errno(errno);
	unlinkat(b->set->directory, "spool/index.paths", 0);
	k->slots = calloc(FIRST_ROOM, sizeof(*k->slots));
	k->room = FIRST_ROOM;
	k->sizes = calloc(FIRST_ROOM, sizeof(*k->sizes));
	k->size_room = FIRST_ROOM;
	return k->slots && k->sizes ? 0 : REEL_ENOMEM;
}

void builder_contents_release(struct builder_contents *k)
{
	free(k->slots);
	free(k->homes);
	free(k->old);
	free(k->sizes);
	buffer_release(&k->tail);
	buffer_release(&k->near);
	if (k->paths >= 0)
		close(k->paths);
}

/* ---- by digest ---- */

static void place_slot(struct content_slot *slots, size_t room,
		       struct content_slot s)
{
	size_t n = s.tag & (room - 1);

	while (slots[n].tag)
		n = (n + 1) & (room - 1);
	slots[n] = s;
}

/* Too many for memory: the index gets an index until the session ends. */
static int spill(struct builder *b)
{
	struct builder_contents *k = &b->contents;
	int error =
		database_run(b->db, b->path,
			     "CREATE INDEX spilled ON content (size, digest)");

	if (error)
		return error;
	k->spilled = true;
	free(k->slots);
	k->slots = NULL;
	return 0;
}

static int grow_slots(struct builder *b)
{
	struct builder_contents *k = &b->contents;
	size_t room = 2 * k->room;
	struct content_slot *more;

	if (room > SLOT_LIMIT)
		return spill(b);
	more = calloc(room, sizeof(*more));
	if (!more)
		return REEL_ENOMEM;
	for (size_t n = 0; n < k->room; n++)
		if (k->slots[n].tag)
			place_slot(more, room, k->slots[n]);
	free(k->slots);
	k->slots = more;
	k->room = room;
	return 0;
}

static int remember_digest(struct builder *b, const struct digest *d,
			   uint64_t id)
{
	struct builder_contents *k = &b->contents;
	int error = 0;

	if (!k->spilled && 4 * (k->count + 1) > 3 * k->room)
		error = grow_slots(b);
	if (error || k->spilled)
		return error;
	place_slot(k->slots, k->room,
		   (struct content_slot){tag_of(d), (uint32_t)(id - k->first)});
	k->count++;
	return 0;
}

/* One row of a content statement, read and reset; REEL_ENOENT. */
static int take_content(struct builder *b, sqlite3_stmt *s,
			struct content_row *out)
{
	int result = sqlite3_step(s);
	int error = result == SQLITE_ROW ? content_read_row(s, out)
		    : result == SQLITE_DONE
			    ? REEL_ENOENT
			    : database_error(b->db, b->path, result);

	sqlite3_reset(s);
	return error;
}

static int by_key(struct builder *b, enum builder_statement which,
		  uint64_t size, const struct digest *digest, uint64_t after,
		  struct content_row *out)
{
	sqlite3_stmt *s = builder_statement(b, which);

	if (!s)
		return REEL_EIO;
	sqlite3_bind_int64(s, 1, (int64_t)size);
	sqlite3_bind_blob(s, 2, digest, DIGEST_SIZE, SQLITE_STATIC);
	sqlite3_bind_int64(s, 3, (int64_t)after);
	if (which == B_OLD_CANDIDATE)
		sqlite3_bind_int64(s, 4, b->epoch);
	return take_content(b, s, out);
}

/* The smallest number behind `from` with this tag; UINT32_MAX: none. */
static uint32_t next_number(const struct builder_contents *k, uint32_t tag,
			    uint64_t from)
{
	uint32_t best = UINT32_MAX;

	for (size_t n = tag & (k->room - 1); k->slots[n].tag;
	     n = (n + 1) & (k->room - 1))
		if (k->slots[n].tag == tag && k->slots[n].number >= from &&
		    k->slots[n].number < best)
			best = k->slots[n].number;
	return best;
}

static int new_candidate(struct builder *b, uint64_t size,
			 const struct digest *digest, uint64_t after,
			 struct content_row *out)
{
	struct builder_contents *k = &b->contents;
	uint64_t from = after < k->first ? 0 : after - k->first + 1;
	uint32_t number;

	if (k->spilled)
		return by_key(b, B_SPILLED, size, digest, after, out);
	while ((number = next_number(k, tag_of(digest), from)) != UINT32_MAX) {
		sqlite3_stmt *s = builder_statement(b, B_GET_CONTENT);
		int error;

		if (!s)
			return REEL_EIO;
		sqlite3_bind_int64(s, 1, (int64_t)(k->first + number));
		error = take_content(b, s, out);
		if (error)
			return error;
		if (out->size == size &&
		    !memcmp(&out->digest, digest, sizeof(*digest)))
			return 0;
		content_row_release(out);
		from = (uint64_t)number + 1;
	}
	return REEL_ENOENT;
}

int builder_candidate(struct builder *b, uint64_t size,
		      const struct digest *digest, uint64_t after,
		      struct content_row *out)
{
	int error = REEL_ENOENT;

	if (b->old && after < b->contents.first) {
		error = builder_late_indexes(b);
		if (!error)
			error = by_key(b, B_OLD_CANDIDATE, size, digest, after,
				       out);
	}
	if (error == REEL_ENOENT)
		error = new_candidate(b, size, digest, after, out);
	return error;
}

/* ---- sizes ---- */

static bool find_size(const struct builder_contents *k, uint64_t size,
		      size_t *at)
{
	size_t n = (size_t)(size * UINT64_C(0x9e3779b97f4a7c15) >> 32) &
		   (k->size_room - 1);

	while (k->sizes[n] && k->sizes[n] != size)
		n = (n + 1) & (k->size_room - 1);
	*at = n;
	return k->sizes[n] == size;
}

static int remember_size(struct builder_contents *k, uint64_t size)
{
	size_t at;

	if (k->any_size || !size || find_size(k, size, &at))
		return 0;
	if (k->size_count >= SIZE_LIMIT) {
		k->any_size = true;
		return 0;
	}
	if (2 * (k->size_count + 1) > k->size_room) {
		uint64_t *before = k->sizes;
		size_t room = k->size_room;

		k->sizes = calloc(2 * room, sizeof(*k->sizes));
		if (!k->sizes) {
			k->sizes = before;
			return REEL_ENOMEM;
		}
		k->size_room = 2 * room;
		for (size_t n = 0; n < room; n++)
			if (before[n] && !find_size(k, before[n], &at))
				k->sizes[at] = before[n];
		free(before);
		find_size(k, size, &at);
	}
	k->sizes[at] = size;
	k->size_count++;
	return 0;
}

int builder_has_size(struct builder *b, uint64_t size, bool *has)
{
	size_t at;
	sqlite3_stmt *s;
	int error;

	*has = b->contents.any_size || find_size(&b->contents, size, &at);
	if (*has || !b->old)
		return 0;
	error = builder_late_indexes(b);
	s = error ? NULL : builder_statement(b, B_OLD_SIZE);
	if (!s)
		return error ? error : REEL_EIO;
	sqlite3_bind_int64(s, 1, (int64_t)size);
	sqlite3_bind_int64(s, 2, b->epoch);
	int result = sqlite3_step(s);
	*has = result == SQLITE_ROW;
	sqlite3_reset(s);
	return database_error(b->catalog->db, b->catalog->path, result);
}

/* ---- paths of homes ---- */

static int write_tail(struct builder_contents *k)
{
	const uint8_t *at = k->tail.data;
	uint64_t offset = k->paths_end - k->tail.length;
	size_t left = k->tail.length;

	while (left) {
		ssize_t n = pwrite(k->paths, at, left, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_from_errno(errno);
		at += n;
		offset += (uint64_t)n;
		left -= (size_t)n;
	}
	k->tail.length = 0;
	return 0;
}

static int put_path(struct builder_contents *k, const char *path, size_t length,
		    uint64_t *offset)
{
	int error = buffer_append(&k->tail, path, length);

	if (error)
		return error;
	*offset = k->paths_end;
	k->paths_end += length;
	return k->tail.length < PATHS_TAIL ? 0 : write_tail(k);
}

/* What was written from `offset` on, `length` bytes at least. */
static int read_near(struct builder_contents *k, uint64_t offset, size_t length)
{
	const size_t most = length > PATHS_NEAR ? length : PATHS_NEAR;
	ssize_t n;
	int error;

	k->near.length = 0;
	error = buffer_reserve(&k->near, most);
	if (error)
		return error;
	n = pread(k->paths, k->near.data, most, (off_t)offset);
	if (n < 0 || (size_t)n < length)
		return REEL_EIO;
	k->near_begin = offset;
	k->near.length = (size_t)n;
	return 0;
}

static int get_path(struct builder_contents *k, uint64_t offset, size_t length,
		    char *to)
{
	uint64_t begin = k->paths_end - k->tail.length;
	const struct buffer *from = &k->tail;
	int error = 0;

	if (offset < begin) {
		from = &k->near;
		if (offset < k->near_begin ||
		    offset + length > k->near_begin + k->near.length)
			error = read_near(k, offset, length);
		begin = k->near_begin;
	}
	if (error)
		return error;
	memcpy(to, from->data + (offset - begin), length);
	to[length] = '\0';
	return 0;
}

/* ---- homes ---- */

static struct old_home *old_slot(struct old_home *slots, size_t room,
				 uint64_t content)
{
	size_t n = (size_t)(content * UINT64_C(0x9e3779b97f4a7c15) >> 32) &
		   (room - 1);

	while (slots[n].content && slots[n].content != content)
		n = (n + 1) & (room - 1);
	return &slots[n];
}

static struct old_home *old_find(struct builder_contents *k, uint64_t content)
{
	struct old_home *h =
		k->old_room ? old_slot(k->old, k->old_room, content) : NULL;

	return h && h->content ? h : NULL;
}

static struct old_home *old_add(struct builder_contents *k, uint64_t content)
{
	struct old_home *h = old_find(k, content);

	if (h)
		return h;
	if (2 * (k->old_count + 1) > k->old_room) {
		size_t room = k->old_room ? 2 * k->old_room : 256;
		struct old_home *more = calloc(room, sizeof(*more));

		if (!more)
			return NULL;
		for (size_t n = 0; n < k->old_room; n++)
			if (k->old[n].content)
				*old_slot(more, room, k->old[n].content) =
					k->old[n];
		free(k->old);
		k->old = more;
		k->old_room = room;
	}
	h = old_slot(k->old, k->old_room, content);
	h->content = content;
	k->old_count++;
	return h;
}

/* Names that share the reserved name's inode, at most. */
static uint32_t old_links(struct builder *b, uint64_t content)
{
	uint64_t copies = 0;

	if (builder_late_indexes(b) ||
	    tree_content_copies(b->catalog, content, &copies) ||
	    copies > UINT32_MAX)
		return UINT32_MAX;
	return (uint32_t)copies;
}

/* What the catalogue knows of a content: whether it is kept. */
static int load_old(struct builder *b, uint64_t content, struct old_home **out)
{
	sqlite3_stmt *s = builder_statement(b, B_OLD_KEEP);

	if (!s)
		return REEL_EIO;
	sqlite3_bind_int64(s, 1, (int64_t)content);
	sqlite3_bind_int64(s, 2, b->epoch);
	int result = sqlite3_step(s);
	sqlite3_reset(s);
	if (result != SQLITE_ROW) {
		int error = database_error(b->catalog->db, b->catalog->path,
					   result);
		return error ? error : REEL_ENOENT;
	}
	*out = old_add(&b->contents, content);
	if (!*out)
		return REEL_ENOMEM;
	(*out)->kept = true;
	(*out)->links = old_links(b, content);
	return 0;
}

static int give_home(struct builder_contents *k, uint64_t offset,
		     uint32_t length, const struct content_home *like,
		     struct content_home *out)
{
	*out = *like;
	if (!length)
		return 0;
	out->path = malloc((size_t)length + 1);
	if (!out->path)
		return REEL_ENOMEM;
	out->path_length = length;
	int error = get_path(k, offset, length, out->path);
	if (error)
		free(out->path);
	return error;
}

int builder_home(struct builder *b, uint64_t content, struct content_home *out)
{
	struct builder_contents *k = &b->contents;

	if (content >= k->first) {
		const struct home_slot *h = &k->homes[content - k->first];
		struct content_home like = {.links = h->links, .look = h->look};

		return give_home(k, h->offset, h->length, &like, out);
	}
	struct old_home *h = old_find(k, content);
	int error = h ? 0 : load_old(b, content, &h);
	if (error)
		return error;
	struct content_home like = {.links = h->links, .kept = h->kept};
	return give_home(k, h->offset, h->length, &like, out);
}

int builder_home_linked(struct builder *b, uint64_t content)
{
	struct builder_contents *k = &b->contents;

	if (content >= k->first) {
		struct home_slot *h = &k->homes[content - k->first];

		h->links += h->links < UINT16_MAX;
		return 0;
	}
	struct old_home *h = old_add(k, content);
	if (!h)
		return REEL_ENOMEM;
	h->links++;
	return 0;
}

int builder_home_set(struct builder *b, uint64_t content, const char *path,
		     size_t length)
{
	struct builder_contents *k = &b->contents;
	uint64_t offset;
	int error = put_path(k, path, length, &offset);

	if (error)
		return error;
	if (content >= k->first) {
		k->homes[content - k->first] =
			(struct home_slot){offset, (uint32_t)length, 0, 0};
		return 0;
	}
	struct old_home *h = old_add(k, content);
	if (!h)
		return REEL_ENOMEM;
	h->offset = offset;
	h->length = (uint32_t)length;
	h->links = 0;
	return 0;
}

void builder_home_look(struct builder *b, uint64_t content, uint16_t look)
{
	struct builder_contents *k = &b->contents;

	if (content >= k->first)
		k->homes[content - k->first].look = look;
}

int builder_keep(struct builder *b, uint64_t content)
{
	sqlite3_stmt *s = builder_statement(b, B_KEEP);
	struct old_home *h = old_add(&b->contents, content);

	if (!s || !h)
		return s ? REEL_ENOMEM : REEL_EIO;
	h->kept = true;
	h->links = b->old ? old_links(b, content) : 0;
	sqlite3_bind_int64(s, 1, (int64_t)content);
	sqlite3_bind_int64(s, 2, b->session);
	return builder_step(b, s);
}

/* ---- adding ---- */

static int put_content(struct builder *b, const struct content_row *row,
		       uint64_t id)
{
	sqlite3_stmt *s = builder_statement(b, B_CONTENT);
	struct le64 *runs = NULL;
	int error;

	if (!s)
		return REEL_EIO;
	sqlite3_bind_int64(s, 1, (int64_t)id);
	sqlite3_bind_int64(s, 2, (int64_t)row->size);
	sqlite3_bind_blob(s, 3, &row->digest, DIGEST_SIZE, SQLITE_STATIC);
	sqlite3_bind_int64(s, 4, b->session);
	sqlite3_bind_int64(s, 5, (int64_t)row->offset);
	if (row->sparse) {
		runs = malloc(16 * row->run_count + 1);
		if (!runs)
			return REEL_ENOMEM;
		for (size_t n = 0; n < row->run_count; n++) {
			runs[2 * n] = le64_make(row->runs[n].offset);
			runs[2 * n + 1] = le64_make(row->runs[n].length);
		}
		sqlite3_bind_blob(s, 6, runs, (int)(16 * row->run_count),
				  SQLITE_STATIC);
		sqlite3_bind_int64(s, 7, (int64_t)row->map_bytes);
	} else {
		sqlite3_bind_null(s, 6);
		sqlite3_bind_null(s, 7);
	}
	if (row->has_sha256)
		sqlite3_bind_blob(s, 8, &row->sha256, SHA256_SIZE,
				  SQLITE_STATIC);
	else
		sqlite3_bind_null(s, 8);
	error = builder_step(b, s);
	free(runs);
	return error;
}

static int add_home(struct builder_contents *k, size_t number, const char *home,
		    size_t length)
{
	uint64_t offset;

	if (number >= k->home_room) {
		size_t room = k->home_room ? 2 * k->home_room : FIRST_ROOM;
		void *more = realloc(k->homes, room * sizeof(*k->homes));

		if (!more)
			return REEL_ENOMEM;
		k->homes = more;
		k->home_room = room;
	}
	int error = put_path(k, home, length, &offset);
	if (!error)
		k->homes[number] =
			(struct home_slot){offset, (uint32_t)length, 0, 0};
	return error;
}

int builder_content(struct builder *b, const struct content_row *row,
		    const char *home, size_t home_length, uint64_t *id)
{
	struct builder_contents *k = &b->contents;
	uint64_t number = b->next_content - k->first;
	int error = number < UINT32_MAX ? 0 : REEL_ERANGE;

	if (!error)
		error = put_content(b, row, b->next_content);
	if (!error)
		error = remember_digest(b, &row->digest, b->next_content);
	if (!error)
		error = remember_size(k, row->size);
	if (!error)
		error = add_home(k, (size_t)number, home, home_length);
	if (!error)
		*id = b->next_content++;
	return error;
}
