#include "tape/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>
#include "tape/bytes.h"
#include "tape/error.h"
#include "tape/tap_item.h"

#define FIRST_STRIDE  32
#define PLACES_LIMIT  (1u << 18)
#define WRITE_BACK    (32ull << 20) /* bytes between two starts of it */
#define MARKS_AT_ONCE 1024
#define MENDED_LIMIT  64 /* each is looked for at length */

/* The item at p that counts; p moves over what is skipped. */
static int settle(struct tap *t, struct tap_place *p, struct tap_item *i)
{
	int error;

	for (;;) {
		if (p->offset >= t->end.offset) {
			*i = (struct tap_item){.what = t->damaged ? TAP_DAMAGE
								  : TAP_END,
					       .next = p->offset};
			return 0;
		}
		error = tap_look(t, p->offset, i);
		if (error || !i->skipped || i->what == TAP_END ||
		    i->what == TAP_DAMAGE)
			return error;
		p->offset = i->next;
	}
}

static bool is_mark(enum tap_object what)
{
	return what == TAP_FILEMARK || what == TAP_SETMARK;
}

static void pass(struct tap_place *p, const struct tap_item *i)
{
	p->offset = i->next;
	p->object++;
	p->block++;
	p->run++;
	p->marks++;
	if (i->what == TAP_FILEMARK) {
		p->file++;
		p->block = 0;
	}
	if (is_mark(i->what))
		p->run = 0;
	else
		p->marks = 0;
}

/* ---- places ---- */

static void thin(struct tap *t)
{
	size_t kept = 0;

	t->stride *= 2;
	for (size_t n = 0; n < t->count; n++) {
		if (t->places[n].object % t->stride == 0)
			t->places[kept++] = t->places[n];
	}
	t->count = kept;
}

static int remember(struct tap *t, const struct tap_place *p)
{
	struct tap_place *more;
	size_t room;

	if (p->object % t->stride)
		return 0;
	if (t->count == PLACES_LIMIT)
		thin(t);
	if (p->object % t->stride)
		return 0;
	if (t->count == t->room) {
		room = t->room ? 2 * t->room : 64;
		more = realloc(t->places, room * sizeof(*more));
		if (!more)
			return REEL_ENOMEM;
		t->places = more;
		t->room = room;
	}
	t->places[t->count++] = *p;
	return 0;
}

/* Forgets what lies at or behind an offset. */
static void forget(struct tap *t, const struct tap_place *p)
{
	while (t->count && t->places[t->count - 1].object >= p->object)
		t->count--;
}

/* The last place kept whose object (or file) is not behind the one wanted. */
static struct tap_place before(const struct tap *t, uint64_t wanted, bool file)
{
	size_t low = 0, high = t->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct tap_place *p = &t->places[middle];

		if ((file ? p->file : p->object) <= wanted)
			low = middle + 1;
		else
			high = middle;
	}
	return low ? t->places[low - 1] : (struct tap_place){0};
}

int tap_find_object(struct tap *t, uint64_t object, struct tap_place *p)
{
	struct tap_place at = before(t, object, false);
	struct tap_item i;
	int error;

	if (object > t->end.object) {
		*p = t->end;
		return REEL_ENOENT;
	}
	while (at.object < object) {
		error = settle(t, &at, &i);
		if (error)
			return error;
		pass(&at, &i);
	}
	*p = at;
	return 0;
}

int tap_find_mark(struct tap *t, uint64_t file, struct tap_place *p)
{
	struct tap_place at = before(t, file, true);
	struct tap_item i;
	int error;

	if (file >= t->end.file)
		return REEL_ENOENT;
	for (;;) {
		error = settle(t, &at, &i);
		if (error)
			return error;
		if (i.what == TAP_END || i.what == TAP_DAMAGE)
			return REEL_EIO; /* the file changed under us */
		if (i.what == TAP_FILEMARK && at.file == file)
			break;
		pass(&at, &i);
	}
	*p = at;
	return 0;
}

/* ---- opening ---- */

static int scan(struct tap *t)
{
	struct tap_place p = {0};
	struct tap_item i;
	int error;

	t->end.offset = UINT64_MAX; /* settle() stops at nothing yet */
	for (;;) {
		error = remember(t, &p);
		if (!error)
			error = settle(t, &p, &i);
		if (error)
			return error;
		if (p.marks == TAP_MARKS_LIMIT && is_mark(i.what))
			i.what = TAP_DAMAGE;
		if (i.mended && t->mended == MENDED_LIMIT)
			i.what = TAP_DAMAGE;
		if (i.what == TAP_END || i.what == TAP_DAMAGE)
			break;
		t->mended += i.mended;
		pass(&p, &i);
	}
	t->torn = i.torn;
	t->damaged = i.what == TAP_DAMAGE;
	t->end = p;
	return 0;
}

static bool may_begin(uint32_t word)
{
	return tap_class(word) == 0 || tap_class(word) == 8 ||
	       word == TAP_SETMARK_WORD || word == TAP_GAP_WORD ||
	       word == TAP_MEDIUM_END_WORD;
}

static int word_at_beginning(struct tap *t, uint32_t *word, bool *there,
			     struct tap_item *first)
{
	int error = tap_word_at(t, 0, word, there);

	*first = (struct tap_item){0};
	return error || !*there ? error : tap_look(t, 0, first);
}

/* T4 */
static int check_beginning(struct tap *t, bool repair)
{
	bool bare = t->end.marks == t->end.object, there, right;
	struct tap_item first;
	uint32_t word;
	int error;

	if (!t->size)
		return 0;
	error = word_at_beginning(t, &word, &there, &first);
	if (error)
		return error;
	right = there && (may_begin(word) || first.mended) &&
		!(bare && t->damaged);
	if (right && bare && t->torn && !repair) {
		error = tap_word_at(t, t->end.offset, &word, &there);
		right = !there ||
			(!tap_class(word) && tap_length(word) % TAP_UNIT == 0);
	}
	return error || right ? error : REEL_EDAMAGED;
}

int tap_init(struct tap *t, int fd, bool repair)
{
	struct stat st;
	int error;

	*t = (struct tap){.fd = fd, .stride = FIRST_STRIDE};
	if (fstat(fd, &st))
		return REEL_EIO;
	t->size = (uint64_t)st.st_size;
	error = scan(t);
	if (!error)
		error = check_beginning(t, repair);
	if (error) {
		free(t->places);
		return error;
	}
	if (repair)
		t->damaged = false;
	t->written_back = t->end.offset;
	return 0;
}

void tap_release(struct tap *t)
{
	free(t->places);
	close(t->fd);
}

/* ---- reading ---- */

int tap_peek(struct tap *t, const struct tap_place *p, enum tap_object *what,
	     uint32_t *length)
{
	struct tap_place at = *p;
	struct tap_item i;
	int error = settle(t, &at, &i);

	*what = i.what;
	*length = i.length;
	return error;
}

int tap_step(struct tap *t, struct tap_place *p, enum tap_object *what)
{
	struct tap_item i;
	int error = settle(t, p, &i);

	*what = i.what;
	if (!error && i.what != TAP_END && i.what != TAP_DAMAGE)
		pass(p, &i);
	return error;
}

/* A block of the expected length with both its words in one call. *done false:
 * something else stands there. */
static int read_expected(struct tap *t, struct tap_place *p, void *to,
			 bool *done)
{
	struct le32 head, tail;
	uint32_t length = t->expected;
	uint8_t pad;
	struct iovec parts[4] = {
		{&head, TAP_WORD}, {to, length}, {&pad, 0}, {&tail, TAP_WORD}};
	struct tap_item i = {.what = TAP_BLOCK};
	size_t whole = (size_t)tap_footprint(t, length);
	ssize_t n;

	*done = false;
	if (p->offset + whole > t->end.offset)
		return 0;
	parts[2].iov_len = whole - 2 * TAP_WORD - length;
	n = preadv(t->fd, parts, 4, (off_t)p->offset);
	if (n < 0 && errno != EINTR)
		return REEL_EIO;
	if (n != (ssize_t)whole || le32_get(head) != length ||
	    le32_get(tail) != length)
		return 0;
	i.next = p->offset + whole;
	pass(p, &i);
	*done = true;
	return 0;
}

int tap_read(struct tap *t, struct tap_place *p, void *to, size_t room,
	     enum tap_object *what, uint32_t *length)
{
	struct tap_item i;
	size_t got;
	bool done = false;
	int error = 0;

	if (t->expected && t->expected <= room)
		error = read_expected(t, p, to, &done);
	if (done) {
		*what = TAP_BLOCK;
		*length = t->expected;
	}
	if (error || done)
		return error;
	error = settle(t, p, &i);
	if (error)
		return error;
	*what = i.what;
	*length = i.length;
	if (i.what == TAP_END || i.what == TAP_DAMAGE)
		return 0;
	if (i.what == TAP_BLOCK) {
		if (i.length > room)
			return REEL_ERANGE;
		t->expected = i.length;
		error = tap_read_at(t->fd, to, i.length, p->offset + TAP_WORD,
				    &got);
		if (error || got != i.length)
			return REEL_EIO;
	}
	pass(p, &i);
	return 0;
}

/* ---- writing ---- */

static int write_word(const struct tap *t, uint64_t offset, uint32_t word)
{
	struct le32 raw = le32_make(word);
	ssize_t n;

	do
		n = pwrite(t->fd, &raw, sizeof(raw), (off_t)offset);
	while (n < 0 && errno == EINTR);
	return n == sizeof(raw) ? 0
	       : n < 0		? error_from_errno(errno)
				: REEL_EIO;
}

/* T5: what mends a length may be written over next. */
static int heal(struct tap *t)
{
	struct tap_place p = {0};
	struct tap_item i;
	int error = 0;

	while (!error && t->mended) {
		error = settle(t, &p, &i);
		if (error || i.what == TAP_END || i.what == TAP_DAMAGE)
			break;
		if (i.mended) {
			error = write_word(t, p.offset, i.length);
			if (!error)
				error = write_word(t, i.next - TAP_WORD,
						   i.length);
			t->mended--;
		}
		pass(&p, &i);
	}
	return error;
}

static int cut_file(struct tap *t, uint64_t size)
{
	if (t->size == size)
		return 0;
	if (ftruncate(t->fd, (off_t)size))
		return error_from_errno(errno);
	t->size = size;
	return 0;
}

bool tap_is_barred(const struct tap *t, const struct tap_place *p)
{
	return t->damaged && p->offset >= t->end.offset;
}

int tap_cut(struct tap *t, const struct tap_place *p)
{
	int error;

	if (tap_is_barred(t, p))
		return REEL_EDAMAGED;
	error = heal(t);
	if (!error)
		error = cut_file(t, p->offset);
	if (error)
		return error;
	forget(t, p);
	t->end = *p;
	t->torn = t->damaged = false;
	if (t->written_back > p->offset)
		t->written_back = p->offset;
	return remember(t, p);
}

static void skip(struct iovec **parts, int *count, size_t n)
{
	while (*count && n >= (*parts)->iov_len) {
		n -= (*parts)->iov_len;
		(*parts)++;
		(*count)--;
	}
	if (*count) {
		(*parts)->iov_base = (uint8_t *)(*parts)->iov_base + n;
		(*parts)->iov_len -= n;
	}
}

static int append(struct tap *t, struct iovec *parts, int count)
{
	uint64_t offset = t->size;
	int error;

	while (count) {
		ssize_t n = pwritev(t->fd, parts, count, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			error = n ? error_from_errno(errno) : REEL_EIO;
			if (ftruncate(t->fd, (off_t)t->size))
				t->torn = true;
			return error;
		}
		offset += (uint64_t)n;
		skip(&parts, &count, (size_t)n);
	}
	t->size = offset;
	return 0;
}

/* The disk works while the next blocks come. */
static void write_back(struct tap *t)
{
	if (t->size - t->written_back < WRITE_BACK)
		return;
	sync_file_range(t->fd, (off_t)t->written_back,
			(off_t)(t->size - t->written_back),
			SYNC_FILE_RANGE_WRITE);
	t->written_back = t->size;
}

static int grow(struct tap *t, struct tap_place *p, const struct tap_item *i)
{
	pass(p, i);
	t->end = *p;
	write_back(t);
	return remember(t, p);
}

/* Writing begins where the file ends. */
static int prepare(struct tap *t, const struct tap_place *p)
{
	if (p->offset == t->end.offset && t->size == p->offset && !t->torn &&
	    !t->damaged)
		return heal(t);
	return tap_cut(t, p);
}

int tap_write(struct tap *t, struct tap_place *p, const void *data,
	      uint32_t length)
{
	struct le32 word = le32_make(length);
	uint8_t pad = 0;
	struct iovec parts[] = {{&word, TAP_WORD},
				{(void *)(uintptr_t)data, length},
				{&pad, 0},
				{&word, TAP_WORD}};
	struct tap_item i = {.what = TAP_BLOCK};
	int error = prepare(t, p);

	if (error)
		return error;
	parts[2].iov_len = t->unpadded ? 0 : length & 1;
	error = append(t, parts, 4);
	i.next = t->size;
	return error ? error : grow(t, p, &i);
}

int tap_mark(struct tap *t, struct tap_place *p, bool setmark, uint32_t count)
{
	const struct tap_place start = *p;
	struct le32 words[MARKS_AT_ONCE];
	struct tap_item i = {.what = setmark ? TAP_SETMARK : TAP_FILEMARK};
	int error = p->marks + count > TAP_MARKS_LIMIT ? REEL_ERANGE
						       : prepare(t, p);

	for (size_t n = 0; n < MARKS_AT_ONCE; n++)
		words[n] =
			le32_make(setmark ? TAP_SETMARK_WORD : TAP_MARK_WORD);
	for (uint32_t left = count; !error && left;) {
		uint32_t now = left < MARKS_AT_ONCE ? left : MARKS_AT_ONCE;
		struct iovec part = {words, now * TAP_WORD};

		i.next = t->size;
		error = append(t, &part, 1);
		for (uint32_t n = 0; !error && n < now; n++) {
			i.next += TAP_WORD;
			error = grow(t, p, &i);
		}
		left -= now;
	}
	if (error && p->offset > start.offset && !tap_cut(t, &start))
		*p = start;
	return error;
}
