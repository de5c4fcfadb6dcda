#include "catalog/media.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "tape/error.h"
#include "tape/log.h"
#include "tape/member.h"

#define INDEX_LIMIT (UINT64_C(1) << 33) /* packed bytes of an index */

/* One volume's stream: its frames, or (none) the volume as one long run. */
struct open_volume {
	struct medium *medium;
	uint32_t number;
	struct frame *frames;
	size_t count;
	uint64_t length; /* stream bytes on it */
	int copy;	 /* read from that one alone; -1: as it comes */
};

static void volume_close(struct open_volume *o)
{
	free(o->frames);
}

static int volume_open(struct set *set, uint32_t number, struct open_volume *o)
{
	bool rebuilt;
	int error;

	*o = (struct open_volume){
		.medium = set->medium, .number = number, .copy = -1};
	if (set->medium->compression == COMPRESSION_NONE)
		return medium_size(set->medium, number, &o->length);
	error = medium_seek_table(set->medium, number, &o->frames, &o->count,
				  &rebuilt);
	if (!error && o->count)
		o->length = o->frames[o->count - 1].stream +
			    o->frames[o->count - 1].length;
	return error;
}

static int read_plain(struct open_volume *o, uint64_t at, uint8_t *to,
		      size_t length)
{
	if (o->copy >= 0)
		return o->medium->ops->read_copy(o->medium, o->number, at, to,
						 length, (size_t)o->copy, NULL);
	return medium_read_all(o->medium, o->number, at, to, length, NULL);
}

static int read_frame(struct open_volume *o, struct frame_codec *k,
		      const struct frame *f, uint8_t *plain)
{
	uint8_t *stored = malloc(f->stored + 1);
	struct frame here = *f;
	int error = stored ? 0 : REEL_ENOMEM;

	here.volume = o->number;
	if (!error)
		error = medium_frame(o->medium, k, &here, stored, plain, NULL);
	free(stored);
	return error;
}

/* Bytes [at, at + length) of the volume's stream. */
static int volume_read(struct open_volume *o, uint64_t at, uint8_t *to,
		       uint64_t length)
{
	enum compression compression = o->medium->compression;
	struct frame_codec *k = NULL;
	uint8_t *plain = NULL;
	int error;

	if (at > o->length || length > o->length - at)
		return REEL_EDAMAGED;
	if (compression == COMPRESSION_NONE)
		return read_plain(o, at, to, (size_t)length);
	error = frame_codec_new(compression, 0, &k);
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

/* Nothing but their digests tells that trailer and index are wrong, so each
 * cartridge that has them is asked. */
static bool has_copies(const struct set *set)
{
	return set->medium->ops->read_copy &&
	       set->medium->compression == COMPRESSION_NONE;
}

/* *got: what reading it alone came to. */
static int read_trailer(struct set *set, struct open_volume *o,
			struct media_session *out, int *got)
{
	uint8_t tail[TRAILER_TAIL];
	int error;

	*got = REEL_ENOENT;
	if (o->length < sizeof(tail))
		return REEL_ENOENT;
	error = *got =
		volume_read(o, o->length - sizeof(tail), tail, sizeof(tail));
	if (!error && memcmp(tail + TRAILER_SIZE, "REEL end", 8))
		error = REEL_ENOENT;
	if (!error)
		error = trailer_decode(tail + TRAILER_SIZE, &out->trailer);
	if (!error && memcmp(out->trailer.set, set->config.uuid, 16))
		error = REEL_ENOENT;
	return error;
}

int media_read_trailer(struct set *set, uint32_t volume,
		       struct media_session *out)
{
	struct open_volume o;
	int error = volume_open(set, volume, &o), other = error, got;

	if (error)
		return error;
	error = read_trailer(set, &o, out, &got);
	other = error;
	if (has_copies(set))
		for (int n = 0; other && got != REEL_ENOENT; n++) {
			o.copy = n;
			other = read_trailer(set, &o, out, &got);
		}
	volume_close(&o);
	if (other)
		return error;
	out->first_volume = out->trailer.first_volume;
	out->last_volume = volume;
	return 0;
}

enum media_heading media_heading(struct set *set, uint32_t volume)
{
	static const char mark[] = "REEL 1 set=";
	uint8_t head[2 * MEMBER_BLOCK];
	struct open_volume o;
	uint8_t *at = NULL;
	char uuid[37];
	int error = volume_open(set, volume, &o);

	if (error)
		return MEDIA_NONE;
	error = volume_read(&o, 0, head, sizeof(head));
	volume_close(&o);
	if (!error && head[156] == MEMBER_GLOBAL)
		at = memmem(head + MEMBER_BLOCK, MEMBER_BLOCK - 36, mark,
			    sizeof(mark) - 1);
	if (!at)
		return MEDIA_NONE;
	set_uuid_text(set->config.uuid, uuid);
	return memcmp(at + sizeof(mark) - 1, uuid, 36) ? MEDIA_FOREIGN
						       : MEDIA_OURS;
}

/* The piece of bytes [from, to) that lies on the volume, both counted from the
 * archive's end, of which `behind` bytes lie on later volumes. It is put in
 * front of what is in *packed already. */
static int read_piece(struct open_volume *o, uint64_t behind, uint64_t from,
		      uint64_t to, struct buffer *packed)
{
	uint64_t begin = behind + o->length < from ? behind + o->length : from;
	uint64_t end = behind > to ? behind : to;
	size_t length = begin > end ? (size_t)(begin - end) : 0;
	int error = length ? buffer_reserve(packed, length) : 0;

	if (error || !length)
		return error;
	memmove(packed->data + length, packed->data, packed->length);
	error = volume_read(o, behind + o->length - begin, packed->data,
			    length);
	packed->length += length;
	return error;
}

/* From the archive's end, where the index lies right before the end member:
 * so the sizes of the volumes before it need not be known. */
static int read_index(struct set *set, const struct media_session *m, int copy,
		      struct buffer *packed)
{
	uint64_t length = m->trailer.index_length, behind = 0, from, to;
	struct digest digest;
	int error = length > INDEX_LIMIT ? REEL_EDAMAGED : 0;

	packed->length = 0;
	to = TRAILER_TAIL + member_padding(length);
	from = to + length;
	for (uint32_t n = m->last_volume; !error && behind < from; n--) {
		struct open_volume o;

		if (!n || n < m->first_volume)
			return REEL_EDAMAGED;
		error = volume_open(set, n, &o);
		if (error)
			break;
		o.copy = copy;
		error = read_piece(&o, behind, from, to, packed);
		behind += o.length;
		volume_close(&o);
	}
	if (error)
		return error;
	digest_bytes(0, packed->data, packed->length, &digest);
	return memcmp(&digest, &m->trailer.index_digest, sizeof(digest))
		       ? REEL_EDAMAGED
		       : 0;
}

int media_read_index(struct set *set, const struct media_session *m,
		     struct buffer *packed)
{
	int error = read_index(set, m, -1, packed), other = error;

	if (error != REEL_EDAMAGED || !has_copies(set))
		return error;
	for (int n = 0; other != REEL_ENOENT && other; n++)
		other = read_index(set, m, n, packed);
	return other ? error : 0;
}

int media_check_names(const struct set *s)
{
	int fd = openat(s->volumes, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	char other[NAME_MAX + 1] = "";
	bool partial, right = !dir;
	enum compression c;
	struct dirent *e;
	uint32_t number;

	if (!dir && fd >= 0)
		close(fd);
	while (!right && (e = readdir(dir))) {
		if (volume_parse_name(e->d_name, &number, &c, &partial) ||
		    partial)
			continue;
		right = c == s->config.compression;
		if (!right)
			strcpy(other, e->d_name);
	}
	if (dir)
		closedir(dir);
	if (right || !*other)
		return 0;
	log_error("%s/set.conf: the compression is not that of volumes/%s; a "
		  "set keeps the one it was made with",
		  s->path, other);
	return REEL_EINVAL;
}
