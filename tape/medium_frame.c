/* What the drive reads without complaint may be wrong all the same: a frame's
 * checksum tells, and then each cartridge that has it is asked. */
#include "tape/medium.h"

#define COPIES_LIMIT 16

static int from_copy(struct medium *m, struct frame_codec *k,
		     const struct frame *f, void *stored, void *plain, size_t n,
		     const volatile int *stop)
{
	int error = m->ops->read_copy(m, f->volume, f->position, stored,
				      f->stored, n, stop);

	return error ? error : frame_decode(k, f, stored, plain);
}

static void tell(struct medium *m, const struct frame *f, const int *found,
		 size_t count, int error, enum medium_news news)
{
	for (size_t n = 0; n < count; n++)
		if (found[n] == error)
			m->ops->tell(m, f->volume, f->position, n, news);
}

static int from_copies(struct medium *m, struct frame_codec *k,
		       const struct frame *f, void *stored, void *plain,
		       const volatile int *stop)
{
	int found[COPIES_LIMIT];
	size_t n = 0;

	for (; n < COPIES_LIMIT; n++) {
		found[n] = from_copy(m, k, f, stored, plain, n, stop);
		if (found[n] == REEL_ESTOPPED)
			return REEL_ESTOPPED;
		if (!found[n] || found[n] == REEL_ENOENT)
			break;
	}
	if (n < COPIES_LIMIT && !found[n]) {
		tell(m, f, found, n, REEL_EDAMAGED, MEDIUM_HEALED);
		return 0;
	}
	tell(m, f, found, n, REEL_EMEDIUM, MEDIUM_ELSEWHERE);
	return REEL_EDAMAGED;
}

int medium_frame(struct medium *m, struct frame_codec *k, const struct frame *f,
		 void *stored, void *plain, const volatile int *stop)
{
	int error = medium_read_all(m, f->volume, f->position, stored,
				    f->stored, stop);

	if (!error)
		error = frame_decode(k, f, stored, plain);
	return error == REEL_EDAMAGED && m->ops->read_copy
		       ? from_copies(m, k, f, stored, plain, stop)
		       : error;
}
