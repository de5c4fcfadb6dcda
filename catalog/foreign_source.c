/* Where the bytes of an archive in a file come from; see foreign_state.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "catalog/foreign_state.h"
#include "tape/error.h"
#include "tape/log.h"
#include "tape/stop.h"

#define COPY_LEVEL 1
#define FILL	   0xff			/* no header of a member */
#define MANY	   (UINT64_C(64) << 30) /* bytes; beyond it frames are larger */
#define MANY_FRAME (1u << 20)

/* ---- opening ---- */

/* What a file that is no tar begins with. */
static const struct {
	const char *bytes;
	size_t length;
	const char *name, *unpack;
} packers[] = {
	{"\x1f\x8b", 2, "gzip", "gzip -dc"},
	{"BZh", 3, "bzip2", "bzip2 -dc"},
	{"\xfd"
	 "7zXZ",
	 5, "xz", "xz -dc"},
	{"\x04\x22\x4d\x18", 4, "lz4", "lz4 -dc"},
};

static int refuse(const char *name, const uint8_t *head, size_t length)
{
	for (size_t n = 0; n < sizeof(packers) / sizeof(*packers); n++) {
		if (length < packers[n].length ||
		    memcmp(head, packers[n].bytes, packers[n].length) != 0)
			continue;
		log_error("%s is packed with %s; only tar and tar.zst are "
			  "shown: unpack it (%s)",
			  name, packers[n].name, packers[n].unpack);
		return REEL_EINVAL;
	}
	log_error("%s is neither a set nor a tar archive", name);
	return REEL_EINVAL;
}

static int64_t read_file(void *context, uint64_t at, void *to, size_t length)
{
	const struct foreign_source *s = context;
	size_t done = 0;

	while (done < length) {
		ssize_t n = pread(s->fd, (uint8_t *)to + done, length - done,
				  (off_t)(at + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_from_errno(errno);
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (int64_t)done;
}

static int open_zstd(struct foreign_source *s)
{
	const struct frame_source file = {read_file, s, s->size};
	int error = seek_table_find(&file, &s->frames, &s->count);

	if (error == REEL_EDAMAGED) {
		s->kind = FOREIGN_PACKED;
		return frame_reader_new(s->fd, &s->reader);
	}
	if (error)
		return error;
	s->kind = FOREIGN_SEEKABLE;
	s->size =
		s->frames[s->count - 1].stream + s->frames[s->count - 1].length;
	s->room = FRAME_LIMIT;
	return frame_codec_new(COMPRESSION_ZSTD, 0, &s->codec);
}

int foreign_source_open(struct foreign_source *s, const char *name, int fd,
			const volatile int *stop)
{
	uint8_t head[MEMBER_BLOCK];
	struct stat st;
	ssize_t n;

	*s = (struct foreign_source){
		.fd = fd, .stop = stop, .room = FOREIGN_CHUNK};
	n = fstat(fd, &st) ? -1 : pread(fd, head, sizeof(head), 0);
	if (n < 0) {
		log_error("%s: %s", name, strerror(errno));
		return error_from_errno(errno);
	}
	s->size = (uint64_t)st.st_size;
	if (frame_reader_knows(head, (size_t)n))
		return open_zstd(s);
	if (n < (ssize_t)sizeof(head) || !member_begins(head))
		return refuse(name, head, (size_t)n);
	return 0;
}

int foreign_source_tape(struct foreign_source *s, struct medium *m,
			uint32_t volume, const volatile int *stop)
{
	uint8_t head[MEMBER_BLOCK];
	uint64_t size;
	int64_t n;

	*s = (struct foreign_source){.fd = -1,
				     .kind = FOREIGN_TAPE,
				     .stop = stop,
				     .room = FOREIGN_CHUNK,
				     .medium = m,
				     .volume = volume};
	n = medium_read(m, volume, 0, head, sizeof(head), stop);
	if (n == 0 && medium_size(m, volume, &size) == REEL_ENOENT)
		return REEL_ENOENT;
	/* it begins with a bad block: who knows with what */
	if (n == REEL_EDAMAGED && medium_blocks_known(m, volume))
		return 0;
	if (n < 0)
		return (int)n;
	return n == sizeof(head) && member_begins(head) ? 0 : REEL_EINVAL;
}

int foreign_source_copy(struct foreign_source *s, int directory)
{
	const struct stream_options o = {.directory = directory,
					 .compression = COMPRESSION_ZSTD,
					 .level = COPY_LEVEL,
					 .first_volume = 1};

	return stream_open(&o, &s->copy);
}

void foreign_source_close(struct foreign_source *s)
{
	stream_close(s->copy);
	frame_reader_free(s->reader);
	frame_codec_free(s->codec);
	free(s->frames);
	free(s->stored);
	free(s->data);
}

/* ---- reading ---- */

/* The frame that holds s->at, into s->data. */
static int64_t read_frame(struct foreign_source *s)
{
	size_t low = 0, high = s->count;
	const struct frame *f;
	int64_t n;

	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;

		*(s->frames[middle].stream <= s->at ? &low : &high) = middle;
	}
	f = &s->frames[low];
	if (!s->stored)
		s->stored = malloc(FRAME_LIMIT);
	if (!s->stored)
		return REEL_ENOMEM;
	n = read_file(s, f->position, s->stored, f->stored);
	if (n >= 0 &&
	    (n != f->stored || frame_decode(s->codec, f, s->stored, s->data)))
		memset(s->data, FILL, f->length);
	s->begin = f->stream;
	return n < 0 ? n : f->length;
}

/* A block that cannot be read is filled with what is no header. */
static int64_t read_tape(struct foreign_source *s)
{
	int64_t n = medium_read(s->medium, s->volume, s->at, s->data, s->room,
				s->stop);

	if (n != REEL_EDAMAGED ||
	    s->at >= medium_blocks_known(s->medium, s->volume))
		return n;
	memset(s->data, FILL, MEMBER_BLOCK);
	return MEMBER_BLOCK;
}

/* What was decoded is kept in the copy before it is given. */
static int64_t read_packed(struct foreign_source *s)
{
	int64_t n = frame_reader_read(s->reader, s->data, s->room);
	int error = n > 0 ? stream_write(s->copy, s->data, (size_t)n) : 0;

	return error ? error : n;
}

/* Bytes from s->at on, or 0 at the end. */
static int fill(struct foreign_source *s)
{
	int64_t n;

	if (!s->data)
		s->data = malloc(s->room);
	if (!s->data)
		return REEL_ENOMEM;
	s->begin = s->at;
	s->length = 0;
	if (stop_is_set(s->stop))
		return REEL_ESTOPPED;
	if (s->kind == FOREIGN_PACKED)
		n = read_packed(s);
	else if (s->kind == FOREIGN_TAPE)
		n = read_tape(s);
	else if (s->at >= s->size)
		n = 0;
	else
		n = s->kind == FOREIGN_PLAIN
			    ? read_file(s, s->at, s->data, s->room)
			    : read_frame(s);
	if (n > 0)
		s->length = (size_t)n;
	return n < 0 ? (int)n : 0;
}

/* An error of the medium ends the archive: what came before it is shown. */
static size_t there(struct foreign_source *s)
{
	if (s->at >= s->begin && s->at < s->begin + s->length)
		return (size_t)(s->begin + s->length - s->at);
	if (!s->error)
		s->error = fill(s);
	if (s->error || s->at < s->begin)
		return 0;
	return (size_t)(s->begin + s->length - s->at);
}

int64_t foreign_source_read(void *context, void *to, size_t length)
{
	struct foreign_source *s = context;
	size_t done = 0;

	while (done < length) {
		size_t n = there(s);

		if (!n)
			break;
		if (n > length - done)
			n = length - done;
		memcpy((uint8_t *)to + done, s->data + (s->at - s->begin), n);
		s->at += n;
		done += n;
	}
	return (int64_t)done;
}

bool foreign_source_begins(struct foreign_source *s)
{
	uint8_t head[MEMBER_BLOCK];
	bool begins =
		foreign_source_read(s, head, sizeof(head)) == sizeof(head) &&
		member_begins(head);

	s->at = 0; /* still in s->data */
	return begins;
}

/* Where it can only be read through. */
static int read_through(struct foreign_source *s, uint64_t length)
{
	while (length) {
		size_t n = there(s);

		if (!n)
			return REEL_EDAMAGED;
		if (n > length)
			n = (size_t)length;
		s->at += n;
		length -= n;
	}
	return 0;
}

int foreign_source_skip(void *context, uint64_t length)
{
	struct foreign_source *s = context;
	bool cut;

	if (s->kind == FOREIGN_PACKED || s->kind == FOREIGN_TAPE)
		return read_through(s, length);
	cut = s->at > s->size || length > s->size - s->at;
	s->at = cut ? s->size : s->at + length;
	return cut ? REEL_EDAMAGED : 0;
}

int foreign_source_pass(struct foreign_source *s, uint64_t *size)
{
	read_through(s, UINT64_MAX);
	*size = medium_blocks_known(s->medium, s->volume);
	return s->error;
}

/* ---- frames ---- */

static int cut_plain(const struct foreign_source *s, struct frame **frames,
		     size_t *count)
{
	const uint32_t step = s->size > MANY ? MANY_FRAME : FRAME_SIZE;
	size_t n = (size_t)((s->size + step - 1) / step);
	struct frame *list =
		n > FRAME_COUNT_LIMIT ? NULL : malloc((n + 1) * sizeof(*list));

	if (!list)
		return n > FRAME_COUNT_LIMIT ? REEL_ERANGE : REEL_ENOMEM;
	for (size_t i = 0; i < n; i++) {
		uint64_t at = (uint64_t)i * step, left = s->size - at;
		uint32_t length = left < step ? (uint32_t)left : step;

		list[i] = (struct frame){.stream = at,
					 .position = at,
					 .volume = 1,
					 .stored = length,
					 .length = length};
	}
	*frames = list;
	*count = n;
	return 0;
}

static int take_copy(struct foreign_source *s, struct frame **frames,
		     size_t *count)
{
	const struct frame *written;
	int error = 0;

	while (!s->error && there(s))
		s->at = s->begin + s->length;
	error = stream_publish(s->copy);
	if (!error)
		error = stream_flush(s->copy, &written, count);
	if (error)
		return error;
	*frames = malloc((*count + 1) * sizeof(**frames));
	if (!*frames)
		return REEL_ENOMEM;
	memcpy(*frames, written, *count * sizeof(**frames));
	return 0;
}

int foreign_source_frames(struct foreign_source *s, struct frame **frames,
			  size_t *count)
{
	if (s->kind == FOREIGN_PLAIN)
		return cut_plain(s, frames, count);
	if (s->kind == FOREIGN_PACKED)
		return take_copy(s, frames, count);
	*count = 0;
	for (size_t n = 0; n < s->count; n++) {
		s->frames[n].volume = 1;
		if (s->frames[n].length)
			s->frames[(*count)++] = s->frames[n];
	}
	*frames = s->frames;
	s->frames = NULL;
	return 0;
}
