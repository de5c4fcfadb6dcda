/* What ends sessions is saved to files, as volumes in a directory of which only
 * the ends are there, from which their indexes are read at last. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#include "catalog/import_state.h"
#include "catalog/media.h"
#include "tape/error.h"
#include "tape/log.h"

#define SLACK  65536	  /* what packing again may save of an index */
#define AROUND (1u << 20) /* what stands around an index in its frames */

static const struct piece *find_piece(const struct piece *list, size_t count,
				      const struct place *p)
{
	for (size_t n = 0; n < count; n++)
		if (list[n].volume == p->volume && list[n].begin == p->begin &&
		    list[n].session_time == p->session_time)
			return &list[n];
	return NULL;
}

static int add_piece(struct piece **list, size_t *count, const struct place *p,
		     uint64_t tail)
{
	struct piece *more;

	if (find_piece(*list, *count, p))
		return 0;
	more = realloc(*list, (*count + 1) * sizeof(*more));
	if (!more)
		return REEL_ENOMEM;
	*list = more;
	more[(*count)++] = (struct piece){.volume = p->volume,
					  .session_time = p->session_time,
					  .begin = p->begin,
					  .tail = tail};
	return 0;
}

bool import_is_saved(const struct import *i, const struct place *p)
{
	return find_piece(i->saved, i->saved_count, p);
}

/* Of another session of that number, on a copy that went apart. */
static bool is_taken(const struct import *i, const struct place *p)
{
	for (size_t n = 0; n < i->saved_count; n++)
		if (i->saved[n].volume == p->volume &&
		    i->saved[n].session_time != p->session_time)
			return true;
	return false;
}

static bool is_unread(const struct import *i, const struct place *p)
{
	for (size_t n = 0; n < i->unread_count; n++)
		if (!place_compare(&i->unread[n], p) &&
		    i->unread[n].session_time == p->session_time)
			return true;
	return false;
}

static int note_unread(struct import *i, const struct place *p)
{
	struct place *more =
		realloc(i->unread, (i->unread_count + 1) * sizeof(*more));

	if (!more)
		return REEL_ENOMEM;
	i->unread = more;
	more[i->unread_count++] = *p;
	return 0;
}

bool import_is_wanted(const struct import *i, const struct place *p)
{
	return !is_taken(i, p) && !is_unread(i, p) &&
	       (p->last || find_piece(i->wanted, i->wanted_count, p)) &&
	       !import_is_saved(i, p);
}

static int write_all(int fd, const uint8_t *data, size_t length, uint64_t at)
{
	while (length) {
		ssize_t n = pwrite(fd, data, length, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_from_errno(errno);
		data += n;
		at += (uint64_t)n;
		length -= (size_t)n;
	}
	return 0;
}

static int read_to(struct drive *d, const struct place *p, uint64_t at, int fd)
{
	uint8_t *block = malloc(DRIVE_BLOCK_LIMIT);
	struct drive_read r;
	int error = block ? 0 : REEL_ENOMEM;

	while (!error && at < p->size) {
		error = drive_read(d, block, DRIVE_BLOCK_LIMIT, &r);
		if (!error && r.found != DRIVE_BLOCK)
			error = REEL_EDAMAGED;
		if (error)
			break;
		if (r.length > p->size - at)
			r.length = (size_t)(p->size - at);
		error = write_all(fd, block, r.length, p->begin + at);
		at += r.length;
	}
	free(block);
	return error;
}

/* The last blocks of a volume or a part, `tail` bytes at least and without the
 * padding behind it, to where they are in the volume. */
static int copy_tail(struct drive *d, const struct place *p, uint64_t tail,
		     int fd)
{
	const uint64_t from = tail < p->size ? p->size - tail : 0;
	const uint64_t block = from / p->block_size;
	const struct drive_position at = {
		.object = p->object ? p->object + block : DRIVE_UNKNOWN,
		.file = p->file,
		.block = block};
	int error = drive_seek(d, &at);

	return error ? error : read_to(d, p, block * p->block_size, fd);
}

/* Bytes of the seek table at the end of a volume whose end is saved. */
static uint64_t table_size(const struct import *i, const struct place *p,
			   int fd)
{
	uint8_t foot[SEEK_TABLE_FOOT];

	if (i->set->config.compression == COMPRESSION_NONE || p->behind ||
	    place_total(p) < sizeof(foot) ||
	    pread(fd, foot, sizeof(foot),
		  (off_t)(place_total(p) - sizeof(foot))) != sizeof(foot))
		return 0;
	return seek_table_length(foot);
}

/* As much of it as may hold what is wanted; *table: of that its seek table. */
static int copy_wanted(struct import *i, struct drive *d, const struct place *p,
		       int fd, uint64_t *table)
{
	const struct piece *w = find_piece(i->wanted, i->wanted_count, p);
	uint64_t tail = w ? w->tail : UINT64_MAX;
	const bool has_table =
		i->set->config.compression == COMPRESSION_ZSTD && !p->behind;
	int error = 0;

	*table = 0;
	if (has_table) {
		error = copy_tail(d, p, SEEK_TABLE_FOOT, fd);
		*table = error ? 0 : table_size(i, p, fd);
	}
	if (tail < p->size)
		tail = *table || !has_table ? tail + *table : UINT64_MAX;
	return error ? error : copy_tail(d, p, tail, fd);
}

static int save_volume(struct import *i, struct drive *d, const struct place *p,
		       uint64_t *table)
{
	char name[MEDIUM_NAME];
	int fd, error;

	volume_name(p->volume, i->set->config.compression, name);
	fd = openat(i->ends, name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	error = fd < 0 ? error_from_errno(errno)
		       : copy_wanted(i, d, p, fd, table);
	if (fd >= 0)
		close(fd);
	if (!error)
		error = add_piece(&i->saved, &i->saved_count, p, *table);
	if (error == REEL_EDAMAGED) {
		log_error("%s: the index of session %u cannot be read (tape "
			  "file %llu)",
			  drive_name(d), (unsigned)p->session,
			  (unsigned long long)p->file);
		error = note_unread(i, p);
	} else if (error) {
		log_error("%s/" ENDS "/%s: %s", i->path, name,
			  error_text(error));
	}
	return error;
}

/* Whether `p` stands right before `q`, on the same cartridges. */
static bool is_before(const struct place *p, const struct place *q)
{
	if (p->session != q->session || p->session_time != q->session_time ||
	    cartridge_line(p->cartridge) != cartridge_line(q->cartridge))
		return false;
	return q->begin ? p->volume == q->volume &&
				  p->begin + p->size == q->begin
			: p->volume + 1 == q->volume && !p->behind;
}

/* Bytes that hold an index, its end member, and what of other things is in the
 * same frames. */
static uint64_t need_of(const struct cartridge_table *t)
{
	const uint64_t n = t->end.index_length;

	return n <= INT64_MAX / 2 ? n + n / 1024 + AROUND : UINT64_MAX;
}

/* An index that was too long for its cartridge begins on volumes before, or on
 * parts before: what of it is there, is at their end. */
static int want_front(struct import *i, const struct place *p,
		      const struct cartridge_table *t)
{
	const struct piece *end = find_piece(i->saved, i->saved_count, p);
	const uint64_t table = end ? end->tail : 0;
	uint64_t have = p->size > table ? p->size - table : 0;
	const struct place *front = p;
	int error = 0;

	for (size_t n = t->place_count; !error && n-- > 0;) {
		const struct place *q = &t->places[n];
		uint64_t need = front->begin ? need_of(t) : t->end.index_length;

		if (have + SLACK >= need && !front->begin)
			break;
		if (have >= need)
			break;
		if (!is_before(q, front))
			continue;
		error = add_piece(&i->wanted, &i->wanted_count, q,
				  front->begin ? need - have : UINT64_MAX);
		front = q;
		have += q->size;
	}
	return error;
}

/* What of a session's end lies here is saved first: it says how much more. */
static int take_end(struct import *i, struct drive *d, const struct place *p,
		    const struct cartridge_table *t)
{
	uint64_t table;
	int error = add_piece(&i->wanted, &i->wanted_count, p, need_of(t));

	if (!error && import_is_wanted(i, p))
		error = save_volume(i, d, p, &table);
	return error ? error : want_front(i, p, t);
}

int import_take_volume(void *context, struct drive *d, const struct place *p,
		       const struct cartridge_table *t)
{
	struct import *i = context;
	uint64_t table;
	int error = 0;

	if (p->last && t->has_end)
		error = take_end(i, d, p, t);
	for (size_t n = 0; !error && n < t->place_count; n++) {
		const struct place *q = &t->places[n];

		if (q->cartridge == p->cartridge && q->file <= p->file &&
		    import_is_wanted(i, q))
			error = save_volume(i, d, q, &table);
	}
	return error;
}
