#include "catalog/media.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "tape/error.h"
#include "tape/member.h"

#define INDEX_LIMIT (UINT64_C(1) << 33) /* packed bytes of an index */

static int compare_volumes(const void *a, const void *b)
{
	const struct media_volume *x = a, *y = b;

	if (x->number != y->number)
		return x->number < y->number ? -1 : 1;
	return x->partial - y->partial;
}

int media_list(struct set *set, struct media_volume **out, size_t *count)
{
	int fd = openat(set->volumes, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct media_volume *list = NULL;
	size_t n = 0, room = 0;
	struct dirent *e;

	if (!dir)
		return error_from_errno(errno);
	while ((e = readdir(dir))) {
		struct media_volume v;

		if (volume_parse_name(e->d_name, &v.number, &v.compression,
				      &v.partial))
			continue;
		if (n == room) {
			room = room ? 2 * room : 64;
			void *more = realloc(list, room * sizeof(*list));

			if (!more) {
				free(list);
				closedir(dir);
				return REEL_ENOMEM;
			}
			list = more;
		}
		list[n++] = v;
	}
	closedir(dir);
	if (n)
		qsort(list, n, sizeof(*list), compare_volumes);
	*out = list;
	*count = n;
	return 0;
}

/* One volume's stream: its frames, or (none) the file as one long run. */
struct open_volume {
	int fd;
	enum compression compression;
	struct frame *frames;
	size_t count;
	uint64_t length; /* stream bytes on it */
};

static void volume_close(struct open_volume *o)
{
	if (o->fd >= 0)
		close(o->fd);
	free(o->frames);
}

static int volume_open(struct set *set, const struct media_volume *v,
		       struct open_volume *o)
{
	char name[64];
	struct stat st;
	bool rebuilt;
	int error = 0;

	memset(o, 0, sizeof(*o));
	volume_name(v->number, v->compression, name);
	o->compression = v->compression;
	o->fd = openat(set->volumes, name, O_RDONLY | O_CLOEXEC);
	if (o->fd < 0 || fstat(o->fd, &st))
		error = error_from_errno(errno);
	else if (v->compression == COMPRESSION_NONE)
		o->length = (uint64_t)st.st_size;
	else
		error = seek_table_read(o->fd, &o->frames, &o->count, &rebuilt);
	if (!error && o->count)
		o->length = o->frames[o->count - 1].stream +
			    o->frames[o->count - 1].length;
	if (error)
		volume_close(o);
	return error;
}

static int read_plain(struct open_volume *o, uint64_t at, uint8_t *to,
		      size_t length)
{
	while (length) {
		ssize_t n = pread(o->fd, to, length, (off_t)at);

		if (n <= 0)
			return n ? error_from_errno(errno) : REEL_EDAMAGED;
		to += n;
		at += (uint64_t)n;
		length -= (size_t)n;
	}
	return 0;
}

static int read_frame(struct open_volume *o, struct frame_codec *k,
		      const struct frame *f, uint8_t *plain)
{
	uint8_t *stored = malloc(f->stored + 1);
	int error = stored ? read_plain(o, f->position, stored, f->stored)
			   : REEL_ENOMEM;

	if (!error)
		error = frame_decode(k, f, stored, plain);
	free(stored);
	return error;
}

/* Bytes [at, at + length) of the volume's stream. */
static int volume_read(struct open_volume *o, uint64_t at, uint8_t *to,
		       uint64_t length)
{
	struct frame_codec *k = NULL;
	uint8_t *plain = NULL;
	int error;

	if (at > o->length || length > o->length - at)
		return REEL_EDAMAGED;
	if (o->compression == COMPRESSION_NONE)
		return read_plain(o, at, to, (size_t)length);
	error = frame_codec_new(o->compression, 0, &k);
	for (size_t n = 0; !error && n < o->count && length; n++) {
		const struct frame *f = &o->frames[n];

		if (f->stream + f->length <= at)
			continue;
		free(plain);
		plain = malloc(f->length + 1);
		error = plain ? read_frame(o, k, f, plain) : REEL_ENOMEM;
		if (error)
			break;
		size_t into = (size_t)(at - f->stream);
		size_t piece = f->length - into;

		if (piece > length)
			piece = (size_t)length;
		memcpy(to, plain + into, piece);
		to += piece;
		at += piece;
		length -= piece;
	}
	free(plain);
	frame_codec_free(k);
	return error;
}

int media_read_trailer(struct set *set, const struct media_volume *v,
		       struct media_session *out)
{
	struct open_volume o;
	uint8_t tail[TRAILER_TAIL];
	int error = volume_open(set, v, &o);

	if (error)
		return error;
	if (o.length < sizeof(tail))
		error = REEL_ENOENT;
	if (!error)
		error = volume_read(&o, o.length - sizeof(tail), tail,
				    sizeof(tail));
	volume_close(&o);
	if (!error && memcmp(tail + TRAILER_SIZE, "REEL end", 8))
		error = REEL_ENOENT;
	if (!error)
		error = trailer_decode(tail + TRAILER_SIZE, &out->trailer);
	if (!error && memcmp(out->trailer.set, set->config.uuid, 16))
		error = REEL_ENOENT;
	if (!error) {
		out->first_volume = out->trailer.first_volume;
		out->last_volume = v->number;
	}
	return error;
}

bool media_begins_session(struct set *set, const struct media_volume *v)
{
	uint8_t head[2 * MEMBER_BLOCK];
	struct open_volume o;
	int error = volume_open(set, v, &o);

	if (error)
		return false;
	error = volume_read(&o, 0, head, sizeof(head));
	volume_close(&o);
	return !error && head[156] == MEMBER_GLOBAL &&
	       memmem(head + MEMBER_BLOCK, MEMBER_BLOCK, "REEL 1 set=", 11);
}

int media_read_index(struct set *set, const struct media_session *m,
		     struct buffer *packed)
{
	uint64_t at = m->trailer.index_offset;
	uint64_t left = m->trailer.index_length, begin = 0;
	struct digest digest;
	int error = left > INDEX_LIMIT ? REEL_EDAMAGED : 0;

	for (uint32_t n = m->first_volume;
	     !error && left && n <= m->last_volume; n++) {
		struct media_volume v = {
			.number = n, .compression = set->config.compression};
		struct open_volume o;

		error = volume_open(set, &v, &o);
		if (error)
			break;
		if (at < begin + o.length) {
			uint64_t piece = begin + o.length - at;

			if (piece > left)
				piece = left;
			error = buffer_reserve(packed, (size_t)piece);
			if (!error)
				error = volume_read(
					&o, at - begin,
					packed->data + packed->length, piece);
			packed->length += error ? 0 : (size_t)piece;
			at += piece;
			left -= piece;
		}
		begin += o.length;
		volume_close(&o);
	}
	if (!error && left)
		error = REEL_EDAMAGED;
	if (error)
		return error;
	digest_bytes(0, packed->data, packed->length, &digest);
	return memcmp(&digest, &m->trailer.index_digest, sizeof(digest))
		       ? REEL_EDAMAGED
		       : 0;
}
