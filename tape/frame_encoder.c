/* What level 0 is, measured on frames of 256 KiB.
 *
 * Small files: level 5 is up to 9 % smaller than 3 for twice its time or more,
 * and keeps up with reading them. How much smaller depends on what they are, so
 * one frame of PROBE_EVERY is compressed both ways, and where less is gained
 * than a PROBE_WORTH-th those behind it are too slight for a search. Three
 * steps of search along chains, in two tables of 256 KiB, take an eighth less
 * time than the level's own choice, rows of sixteen, for the same size, once
 * noise is apart.
 *
 * Within large contents level 5 would cost four times as much as level 3,
 * sevenfold where nothing can be gained; with tables of 64 KiB all that a core
 * needs stays in its cache: 20 % of the time for up to 1.3 % of the size. */
#define ZSTD_STATIC_LINKING_ONLY /* for one parameter, see set_effort */
#include "tape/frame_encoder.h"

#include <zstd.h>
#include "tape/error.h"
#include "tape/noise.h"

#define PROBE_EVERY 64u
#define PROBE_WORTH 50u

static const struct frame_effort searched = {5, 3, 16, 16, true, true};
static const struct frame_effort slight = {3, 0, 0, 0, false, true};
static const struct frame_effort large = {3, 0, 14, 14, false, false};

void frame_encoder_release(struct frame_encoder *k)
{
	ZSTD_freeCCtx(k->compress);
}

static int set_effort(ZSTD_CCtx *c, const struct frame_effort *e)
{
	const struct {
		ZSTD_cParameter name;
		int value;
	} parameters[] = {
		{ZSTD_c_compressionLevel, e->level},
		{ZSTD_c_searchLog, e->search_log},
		{ZSTD_c_hashLog, e->hash_log},
		{ZSTD_c_chainLog, e->chain_log},
	};

	for (size_t i = 0; i < sizeof(parameters) / sizeof(*parameters); i++) {
		if (ZSTD_isError(ZSTD_CCtx_setParameter(c, parameters[i].name,
							parameters[i].value)))
			return REEL_EINVAL;
	}
	/* a library that has these no more is slower, that is all */
	ZSTD_CCtx_setParameter(c, ZSTD_c_stableInBuffer, 1);
	ZSTD_CCtx_setParameter(c, ZSTD_c_useRowMatchFinder,
			       e->chains ? ZSTD_ps_disable : ZSTD_ps_auto);
	return 0;
}

static int prepare(struct frame_encoder *k, const struct frame_effort *e)
{
	int error;

	if (k->effort == e)
		return 0;
	if (!k->compress)
		k->compress = ZSTD_createCCtx();
	if (!k->compress)
		return REEL_ENOMEM;
	error = set_effort(k->compress, e);
	k->effort = error ? NULL : e;
	return error;
}

/* One frame in which noise begins and ends where blocks do, since literals
 * have their statistics by the block. Bytes written; 0 when they have no room.
 */
static size_t encode_apart(ZSTD_CCtx *c, const uint8_t *from, size_t length,
			   void *to, size_t room)
{
	ZSTD_outBuffer out = {to, room, 0};
	ZSTD_inBuffer in = {from, 0, 0};
	bool noisy = false;

	ZSTD_CCtx_reset(c, ZSTD_reset_session_only);
	ZSTD_CCtx_setPledgedSrcSize(c, length);
	while (in.size < length) {
		in.size += noise_run(from + in.size, length - in.size, &noisy);
		if (ZSTD_compressStream2(c, &out, &in,
					 in.size == length ? ZSTD_e_end
							   : ZSTD_e_flush) ||
		    in.pos < in.size)
			return 0;
	}
	return out.pos;
}

static int64_t encode(struct frame_encoder *k, const struct frame_effort *e,
		      const void *from, size_t length, void *to, size_t room)
{
	int error = prepare(k, e);
	size_t n = 0;

	if (error)
		return error;
	if (e->apart)
		n = encode_apart(k->compress, from, length, to, room);
	if (!n)
		n = ZSTD_compress2(k->compress, to, room, from, length);
	return ZSTD_isError(n) ? REEL_ERANGE : (int64_t)n;
}

/* A probe leaves what the search made. */
static int64_t encode_mixed(struct frame_encoder *k, const void *from,
			    size_t length, void *to, size_t room)
{
	bool probe = k->turn++ % PROBE_EVERY == 0;
	int64_t quick, n;

	if (!probe)
		return encode(k, k->slight ? &slight : &searched, from, length,
			      to, room);
	quick = encode(k, &slight, from, length, to, room);
	n = encode(k, &searched, from, length, to, room);
	k->slight = quick - n < quick / PROBE_WORTH;
	return n;
}

int64_t frame_encoder_encode(struct frame_encoder *k, enum frame_matter matter,
			     const void *from, size_t length, void *to,
			     size_t room)
{
	if (k->own.level)
		return encode(k, &k->own, from, length, to, room);
	if (matter == FRAME_LARGE)
		return encode(k, &large, from, length, to, room);
	return encode_mixed(k, from, length, to, room);
}
