/* Blocks of the same size that follow each other are one run, found by
 * bisection; one block is kept in memory.
 *
 * B1 Runs describe a file from its first block on, without a gap, up to
 *    `size`; they are only added to, by whoever reads on at the end of what is
 *    known.
 * B2 `lock` is held for as long as the drive moves: one thread at a time. */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tape/error.h"
#include "tape/log.h"
#include "tape/medium_blocks.h"
#include "tape/stop.h"

#define FIRST_BLOCK (256u << 10)
#define RUN_LIMIT   (1u << 20) /* of one tape file: 32 MiB of memory */
#define FILE_LIMIT  65536
#define GAP_SIZE    512

struct run {
	uint64_t byte;	/* of its first block, in the file */
	uint64_t block; /* in the file */
	uint32_t size;	/* of each block, never 0 */
};

/* A block that could not be read. */
struct gap {
	uint64_t byte;
	uint32_t size;
};

struct tape_file {
	struct run *runs;
	size_t count, room;
	struct gap *gaps;
	size_t gap_count, gap_room;
	uint64_t object; /* of its first block, in partition 0 */
	uint64_t size;	 /* bytes known */
	uint64_t blocks;
	bool ended;
};

struct medium_blocks {
	struct medium medium;
	pthread_mutex_t lock; /* of all below */
	struct drive *drive;
	struct tape_file *files;
	size_t count, room;
	bool ended; /* no file behind the last one */
	uint8_t *data;
	size_t data_room;
	/* where the drive is; SIZE_MAX: not known */
	size_t at_file;
	uint64_t at_block;
	/* the block in `data` */
	size_t file; /* SIZE_MAX: none */
	uint64_t block, byte;
	size_t length;
	/* the block that could not be read last, which is not tried again */
	size_t bad_file; /* SIZE_MAX: none */
	uint64_t bad_block;
};

/* ---- what is known ---- */

static int add_file(struct medium_blocks *m)
{
	if (m->count == FILE_LIMIT)
		return REEL_ERANGE;
	if (m->count == m->room) {
		size_t room = m->room ? 2 * m->room : 8;
		void *more = realloc(m->files, room * sizeof(*m->files));

		if (!more)
			return REEL_ENOMEM;
		m->files = more;
		m->room = room;
	}
	m->files[m->count] = (struct tape_file){0};
	if (m->count)
		m->files[m->count].object = m->files[m->count - 1].object +
					    m->files[m->count - 1].blocks + 1;
	m->count++;
	return 0;
}

static int add_block(struct medium_blocks *m, struct tape_file *f, size_t size)
{
	const struct run *last = f->count ? &f->runs[f->count - 1] : NULL;

	if (!last || last->size != size) {
		if (f->count == RUN_LIMIT) {
			log_error("%s: its blocks change their size too often",
				  drive_name(m->drive));
			return REEL_ERANGE;
		}
		if (f->count == f->room) {
			size_t room = f->room ? 2 * f->room : 4;
			void *more = realloc(f->runs, room * sizeof(*f->runs));

			if (!more)
				return REEL_ENOMEM;
			f->runs = more;
			f->room = room;
		}
		f->runs[f->count++] =
			(struct run){f->size, f->blocks, (uint32_t)size};
	}
	f->blocks++;
	f->size += size;
	return 0;
}

/* A block that nothing is known of but that it is there: it has the size of the
 * one before it, or one that any block of an archive is a multiple of. */
static int add_gap(struct tape_file *f, uint32_t *size)
{
	*size = f->count ? f->runs[f->count - 1].size : GAP_SIZE;
	if (f->gap_count == f->gap_room) {
		size_t room = f->gap_room ? 2 * f->gap_room : 4;
		void *more = realloc(f->gaps, room * sizeof(*f->gaps));

		if (!more)
			return REEL_ENOMEM;
		f->gaps = more;
		f->gap_room = room;
	}
	f->gaps[f->gap_count++] = (struct gap){f->size, *size};
	return 0;
}

/* The block that holds a byte that is known: its run, and its number in it. */
static const struct run *find_run(const struct tape_file *f, uint64_t at,
				  uint64_t *number)
{
	size_t low = 0, high = f->count;

	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;

		*(f->runs[middle].byte <= at ? &low : &high) = middle;
	}
	*number = (at - f->runs[low].byte) / f->runs[low].size;
	return &f->runs[low];
}

/* ---- the drive ---- */

/* The next object; the buffer grows for a larger block. */
static int read_object(struct medium_blocks *m, struct drive_read *r)
{
	for (;;) {
		int error = drive_read(m->drive, m->data, m->data_room, r);
		size_t want =
			r->length > m->data_room ? r->length : 2 * m->data_room;
		void *more;

		if (error != REEL_ERANGE || m->data_room >= DRIVE_BLOCK_LIMIT)
			return error;
		more = realloc(m->data, want);
		if (!more)
			return REEL_ENOMEM;
		m->data = more;
		m->data_room = want;
	}
}

static int go_to(struct medium_blocks *m, size_t file, uint64_t block)
{
	const struct drive_position to = {.object =
						  m->files[file].object + block,
					  .file = file,
					  .block = block};
	int error = 0;

	if (m->at_file != file || m->at_block != block)
		error = drive_seek(m->drive, &to);
	m->at_file = error ? SIZE_MAX : file;
	m->at_block = block;
	return error;
}

/* Block `block` of a file into m->data; r->length is its size. */
static int load(struct medium_blocks *m, size_t file, uint64_t block,
		struct drive_read *r)
{
	int error = go_to(m, file, block);

	m->file = SIZE_MAX;
	*r = (struct drive_read){.found = DRIVE_END};
	if (!error)
		error = read_object(m, r);
	if (!error && r->found == DRIVE_BLOCK && !r->length)
		error = REEL_EDAMAGED;
	if (error == REEL_EDAMAGED) {
		m->bad_file = file;
		m->bad_block = block;
	}
	m->at_block++;
	if (error || r->found != DRIVE_BLOCK)
		m->at_file = SIZE_MAX;
	m->block = block;
	m->length = r->length;
	return error;
}

/* The block with byte `at`, which is known. */
static int load_again(struct medium_blocks *m, size_t file, uint64_t at)
{
	uint64_t number;
	const struct run *run = find_run(&m->files[file], at, &number);
	struct drive_read r;
	int error = m->bad_file == file && m->bad_block == run->block + number
			    ? REEL_EDAMAGED
			    : load(m, file, run->block + number, &r);

	if (!error && (r.found != DRIVE_BLOCK || r.length != run->size)) {
		log_error("%s: tape file %zu, block %" PRIu64
			  " is not what it was",
			  drive_name(m->drive), file, run->block + number);
		error = REEL_EDAMAGED;
	}
	if (error)
		return error;
	m->file = file;
	m->byte = run->byte + number * run->size;
	return 1;
}

static int load_gap(struct medium_blocks *m, struct tape_file *f)
{
	uint32_t size;
	int error = add_gap(f, &size);

	if (!error)
		error = add_block(m, f, size);
	return error ? error : REEL_EDAMAGED;
}

/* The first block that is not known yet: 1, or 0 at the end of the file, which
 * is noted. REEL_EDAMAGED: it cannot be read; where others follow it counts. */
static int load_new(struct medium_blocks *m, size_t file)
{
	struct tape_file *f = &m->files[file];
	uint64_t byte = f->size;
	struct drive_read r;
	int error = load(m, file, f->blocks, &r);

	if (error == REEL_EDAMAGED && r.found != DRIVE_END)
		return load_gap(m, f);
	if (error)
		return error;
	if (r.found != DRIVE_BLOCK) {
		f->ended = true;
		m->ended |= r.found != DRIVE_FILEMARK;
		return 0;
	}
	error = add_block(m, f, r.length);
	m->file = error ? SIZE_MAX : file;
	m->byte = byte;
	return error ? error : 1;
}

/* The block with byte `at` into m->data: 1, 0 behind the end of the file. */
static int reach(struct medium_blocks *m, size_t file, uint64_t at)
{
	struct tape_file *f = &m->files[file];

	if (m->file == file && at >= m->byte && at < m->byte + m->length)
		return 1;
	if (at < f->size)
		return load_again(m, file, at);
	while (at >= f->size) {
		int more = f->ended ? 0 : load_new(m, file);

		if (more <= 0)
			return more;
	}
	return 1;
}

/* ---- the medium ---- */

static struct medium_blocks *of(struct medium *m)
{
	return (struct medium_blocks *)m;
}

/* The volume's file, once it is known to be there. */
static int file_of(struct medium_blocks *m, uint32_t volume)
{
	int error = 0;

	while (!error && m->count < volume) {
		if (m->ended || (m->count && !m->files[m->count - 1].ended))
			return m->ended ? REEL_ENOENT : REEL_EINVAL;
		error = add_file(m);
	}
	return error;
}

static int64_t read_bytes(struct medium_blocks *m, size_t file, uint64_t at,
			  uint8_t *to, size_t length, const volatile int *stop)
{
	size_t done = 0;

	while (done < length) {
		int more = stop_is_set(stop) ? REEL_ESTOPPED
					     : reach(m, file, at + done);
		size_t n, skip;

		if (more < 0 && !done)
			return more;
		if (more <= 0)
			break;
		skip = (size_t)(at + done - m->byte);
		n = m->length - skip;
		if (n > length - done)
			n = length - done;
		memcpy(to + done, m->data + skip, n);
		done += n;
	}
	return (int64_t)done;
}

static int64_t blocks_read(struct medium *medium, uint32_t volume, uint64_t at,
			   void *to, size_t length, const volatile int *stop)
{
	struct medium_blocks *m = of(medium);
	int64_t n;

	pthread_mutex_lock(&m->lock);
	n = volume ? file_of(m, volume) : REEL_EINVAL;
	if (!n)
		n = read_bytes(m, volume - 1, at, to, length, stop);
	pthread_mutex_unlock(&m->lock);
	return n;
}

static int blocks_size(struct medium *medium, uint32_t volume, uint64_t *size)
{
	struct medium_blocks *m = of(medium);
	int error;

	pthread_mutex_lock(&m->lock);
	error = volume ? file_of(m, volume) : REEL_EINVAL;
	if (!error && !m->files[volume - 1].ended)
		error = REEL_EINVAL;
	if (!error)
		*size = m->files[volume - 1].size;
	/* nothing but the end of the data was found where it would begin */
	if (!error && !*size && m->ended && volume == m->count)
		error = REEL_ENOENT;
	pthread_mutex_unlock(&m->lock);
	return error;
}

static int blocks_list(struct medium *medium, struct medium_volume **out,
		       size_t *count)
{
	struct medium_blocks *m = of(medium);
	struct medium_volume *list;

	pthread_mutex_lock(&m->lock);
	list = calloc(m->count + 1, sizeof(*list));
	*count = list ? m->count : 0;
	for (size_t n = 0; n < *count; n++)
		list[n] =
			(struct medium_volume){.number = (uint32_t)n + 1,
					       .compression = COMPRESSION_NONE,
					       .size = m->files[n].size};
	pthread_mutex_unlock(&m->lock);
	*out = list;
	return list ? 0 : REEL_ENOMEM;
}

uint64_t medium_blocks_known(struct medium *medium, uint32_t volume)
{
	struct medium_blocks *m = of(medium);
	uint64_t known;

	pthread_mutex_lock(&m->lock);
	known = volume && volume <= m->count ? m->files[volume - 1].size : 0;
	pthread_mutex_unlock(&m->lock);
	return known;
}

bool medium_blocks_gap(struct medium *medium, uint32_t volume, uint64_t from,
		       uint64_t *begin, uint64_t *end)
{
	struct medium_blocks *m = of(medium);
	const struct tape_file *f;
	size_t low = 0, high;
	bool found;

	pthread_mutex_lock(&m->lock);
	f = &m->files[volume - 1];
	high = f->gap_count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct gap *g = &f->gaps[middle];

		if (g->byte + g->size <= from)
			low = middle + 1;
		else
			high = middle;
	}
	found = low < f->gap_count;
	if (found) {
		*begin = f->gaps[low].byte;
		*end = f->gaps[low].byte + f->gaps[low].size;
	}
	pthread_mutex_unlock(&m->lock);
	return found;
}

static void blocks_name(struct medium *medium, uint32_t volume, uint64_t at,
			char *name)
{
	(void)at;
	snprintf(name, MEDIUM_NAME, "%.60s, tape file %" PRIu32,
		 drive_name(of(medium)->drive), volume - 1);
}

static void blocks_close(struct medium *medium)
{
	struct medium_blocks *m = of(medium);

	drive_close(m->drive);
	for (size_t n = 0; n < m->count; n++) {
		free(m->files[n].runs);
		free(m->files[n].gaps);
	}
	free(m->files);
	free(m->data);
	pthread_mutex_destroy(&m->lock);
	free(m);
}

static const struct medium_ops operations = {
	.list = blocks_list,
	.size = blocks_size,
	.read = blocks_read,
	.name = blocks_name,
	.close = blocks_close,
};

int medium_blocks_new(struct drive *d, struct medium **out)
{
	struct medium_blocks *m = calloc(1, sizeof(*m));
	uint8_t *data = malloc(FIRST_BLOCK);

	if (!m || !data) {
		free(m);
		free(data);
		drive_close(d);
		return REEL_ENOMEM;
	}
	m->medium = (struct medium){.ops = &operations,
				    .compression = COMPRESSION_NONE,
				    .tape = true};
	pthread_mutex_init(&m->lock, NULL);
	m->drive = d;
	m->data = data;
	m->data_room = FIRST_BLOCK;
	m->file = m->at_file = m->bad_file = SIZE_MAX;
	*out = &m->medium;
	return 0;
}
