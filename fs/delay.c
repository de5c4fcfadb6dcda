#include "fs/delay.h"

#include <pthread.h>
#include <stdlib.h>
#include "fs/delay_twins.h"
#include "tape/error.h"

struct delay {
	const char *root, *directory;
	pthread_mutex_t lock; /* of all below */
	struct delayed *journal;
	int error; /* of opening: once is enough */
};

int delay_new(const char *root, const char *directory, struct delay **out)
{
	struct delay *d = calloc(1, sizeof(*d));

	if (!d)
		return REEL_ENOMEM;
	d->root = root;
	d->directory = directory;
	pthread_mutex_init(&d->lock, NULL);
	*out = d;
	return 0;
}

static int ready(struct delay *d)
{
	int error;

	pthread_mutex_lock(&d->lock);
	if (!d->journal && !d->error)
		d->error = delayed_open(d->root, d->directory, DELAYED_WRITE,
					&d->journal);
	error = d->error;
	pthread_mutex_unlock(&d->lock);
	return error;
}

int delay_stage(struct delay *d, const char *path, struct delayed_stage *out)
{
	int error = ready(d);

	return error ? error : delayed_stage(d->journal, path, out);
}

void delay_unstage(struct delay *d, struct delayed_stage *s)
{
	delayed_unstage(d->journal, s);
}

int delay_move(struct delay *d, struct delayed_stage *s, const char *path,
	       uint32_t flags)
{
	return delayed_move(d->journal, s, path, NULL, flags);
}

int delay_delete(struct delay *d, const char *path)
{
	int error = ready(d);

	return error ? error : delayed_delete(d->journal, path);
}

int delay_cancel(struct delay *d, const char *path)
{
	int error = ready(d);

	if (!error)
		error = delayed_cancel(d->journal, 0, path);
	return error == REEL_ENOENT ? 0 : error;
}

int delay_end(struct delay *d, bool keep, delay_refused refused, void *context)
{
	int error = 0;

	if (!d)
		return 0;
	if (d->journal && keep)
		error = delayed_commit(d->journal);
	if (d->journal && keep && !error)
		delay_foresee(d->journal, refused, context);
	delayed_close(d->journal);
	pthread_mutex_destroy(&d->lock);
	free(d);
	return error;
}
