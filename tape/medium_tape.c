#include "tape/medium_tape.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct medium_tape {
	struct medium medium;
	struct medium_tape_options options;
	pthread_mutex_t lock;
};

static struct medium_tape *of(struct medium *m)
{
	return (struct medium_tape *)(void *)m;
}

static int tape_list(struct medium *m, struct medium_volume **out,
		     size_t *count)
{
	struct medium_tape *t = of(m);
	struct place *p = NULL;
	size_t places = 0, n = 0;
	int error = t->options.places(t->options.context, 0, &p, &places);

	*count = 0;
	if (error)
		return error == REEL_ENOENT ? 0 : error;
	*out = calloc(places + 1, sizeof(**out));
	for (size_t i = 0; *out && i < places; i++) {
		if (n && (*out)[n - 1].number == p[i].volume)
			continue;
		(*out)[n++] =
			(struct medium_volume){.number = p[i].volume,
					       .compression = m->compression,
					       .size = p[i].size};
	}
	free(p);
	*count = n;
	return *out ? 0 : REEL_ENOMEM;
}

static int find(struct medium_tape *t, uint32_t volume, struct place *place)
{
	struct place *p = NULL;
	size_t count = 0;
	int error = t->options.places(t->options.context, volume, &p, &count);

	if (!error)
		*place = p[0];
	if (!error)
		free(p);
	return error == REEL_ENOENT ? REEL_EMEDIUM : error;
}

static int tape_size(struct medium *m, uint32_t volume, uint64_t *size)
{
	struct place p;
	int error = find(of(m), volume, &p);

	if (!error)
		*size = p.size;
	return error;
}

static int64_t read_blocks(struct drive *d, const struct place *p, uint64_t at,
			   uint8_t *to, size_t length)
{
	struct drive_position where = {
		.object = p->object ? p->object + at / p->block_size
				    : DRIVE_UNKNOWN,
		.file = p->file,
		.block = at / p->block_size};
	uint8_t *block = malloc(DRIVE_BLOCK_LIMIT);
	size_t done = 0, skip = (size_t)(at % p->block_size);
	int error = block ? drive_seek(d, &where) : REEL_ENOMEM;

	while (!error && done < length) {
		struct drive_read r;
		size_t n;

		error = drive_read(d, block, DRIVE_BLOCK_LIMIT, &r);
		if (error || r.found != DRIVE_BLOCK || r.length <= skip)
			break;
		n = r.length - skip < length - done ? r.length - skip
						    : length - done;
		memcpy(to + done, block + skip, n);
		done += n;
		skip = 0;
	}
	free(block);
	return error ? error : (int64_t)done;
}

static int64_t tape_read(struct medium *m, uint32_t volume, uint64_t at,
			 void *to, size_t length, const volatile int *stop)
{
	struct medium_tape *t = of(m);
	struct cartridge_label l = {0};
	struct drive *d = NULL;
	struct place p;
	int64_t n = find(t, volume, &p);

	if (n)
		return n;
	if (at >= p.size)
		return 0;
	if (length > p.size - at)
		length = (size_t)(p.size - at);
	n = t->options.cartridge(t->options.context, p.cartridge, &l);
	pthread_mutex_lock(&t->lock);
	if (!n)
		n = station_get(t->options.station, &l, stop, &d);
	if (!n) {
		n = read_blocks(d, &p, at, to, length);
		station_put(t->options.station, d);
	}
	pthread_mutex_unlock(&t->lock);
	cartridge_label_release(&l);
	return n;
}

static void tape_name(struct medium *m, uint32_t volume, char *name)
{
	struct medium_tape *t = of(m);
	struct cartridge_label l = {0};
	struct place p;

	snprintf(name, MEDIUM_NAME, "part %06u", (unsigned)volume);
	if (find(t, volume, &p) ||
	    t->options.cartridge(t->options.context, p.cartridge, &l))
		return;
	snprintf(name, MEDIUM_NAME, "%s%s%s%s", l.name,
		 *l.barcode ? " (barcode " : "", l.barcode,
		 *l.barcode ? ")" : "");
	cartridge_label_release(&l);
}

static void tape_forget(struct medium *m)
{
	(void)m;
}

static void tape_close(struct medium *m)
{
	pthread_mutex_destroy(&of(m)->lock);
	free(m);
}

static const struct medium_ops tape_ops = {
	.list = tape_list,
	.size = tape_size,
	.read = tape_read,
	.name = tape_name,
	.forget = tape_forget,
	.close = tape_close,
};

int medium_tape_new(const struct medium_tape_options *o, struct medium **out)
{
	struct medium_tape *t = calloc(1, sizeof(*t));

	if (!t)
		return REEL_ENOMEM;
	t->medium = (struct medium){
		.ops = &tape_ops, .compression = o->compression, .tape = true};
	t->options = *o;
	pthread_mutex_init(&t->lock, NULL);
	*out = &t->medium;
	return 0;
}
