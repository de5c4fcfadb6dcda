#include "fs/capture.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include "catalog/follow.h"
#include "catalog/tapes.h"
#include "fs/archive.h"
#include "fs/change.h"
#include "fs/verify.h"
#include "fs/walk.h"
#include "tape/error.h"
#include "tape/log.h"
#include "tape/stop.h"
#include "tape/volume.h"

#define PROGRESS_EVERY 256 /* items */

struct pipeline {
	struct folder_pool folders;
	struct queue listed;  /* walk -> change */
	struct queue changed; /* change -> archive */
	struct walk walk;
	struct change change;
	struct archive archive;
	struct trail shown; /* to the folder that the progress tells of */
	pthread_t walker, changer;
};

static void *walk_thread(void *context)
{
	walk_run(context);
	return NULL;
}

static void *change_thread(void *context)
{
	change_run(context);
	return NULL;
}

/* The more folders in flight may keep their descriptors. */
static void raise_file_limit(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) || r.rlim_cur == r.rlim_max)
		return;
	r.rlim_cur = r.rlim_max;
	setrlimit(RLIMIT_NOFILE, &r);
}

static int start(struct pipeline *p, struct set *set, struct catalog *c,
		 const struct capture_options *o)
{
	struct stat st;
	uint32_t newest;
	int error = catalog_newest(c, &newest);

	if (error)
		return error;
	if (fstat(set->directory, &st))
		return REEL_EIO;
	queue_init(&p->listed);
	queue_init(&p->changed);
	p->walk = (struct walk){
		.directory = o->directory,
		.paths = o->paths,
		.path_count = o->path_count,
		.one_file_system = o->one_file_system,
		.avoid_dev = st.st_dev,
		.avoid_ino = st.st_ino,
		.reserved = set->reserved,
		.exclusion.rules = o->rules,
		.stop = o->stop,
		.folders = &p->folders,
		.out.queue = &p->listed,
	};
	p->change.in = &p->listed;
	p->change.out.queue = &p->changed;
	p->change.newest = o->full ? 0 : newest;
	p->change.seed = set->config.seed;
	p->change.reread = o->reread;
	p->change.atime = o->atime;
	p->change.stop = o->stop;
	error = catalog_open_reader(set, &p->change.catalog);
	if (error)
		return error;
	if (pthread_create(&p->walker, NULL, walk_thread, &p->walk))
		return REEL_ENOMEM;
	if (pthread_create(&p->changer, NULL, change_thread, &p->change)) {
		queue_stop(&p->listed);
		pthread_join(p->walker, NULL);
		return REEL_ENOMEM;
	}
	return 0;
}

static void stop(struct pipeline *p)
{
	queue_stop(&p->listed);
	queue_stop(&p->changed);
	pthread_join(p->walker, NULL);
	pthread_join(p->changer, NULL);
	queue_release(&p->listed);
	queue_release(&p->changed);
	exclusion_release(&p->walk.exclusion);
	trail_release(&p->shown);
	catalog_close(p->change.catalog);
}

static void tell(struct pipeline *p, const struct capture_options *o,
		 struct folder *f)
{
	struct capture_progress now = {
		.entries = p->change.entries,
		.files = p->change.files,
		.bytes = p->change.bytes,
		.stored = p->archive.stream ? stream_stored(p->archive.stream)
					    : 0,
	};

	if (!o->progress)
		return;
	if (f && !trail_go(&p->shown, f, "", 0))
		now.path = (char *)p->shown.path.data;
	o->progress(o->context, &now);
}

static void count_only(struct capture_result *r, const struct item *i)
{
	if (i->kind == ITEM_REMOVED)
		r->removed++;
	else if (i->unchanged)
		return;
	else if (i->had)
		r->changed++;
	else
		r->added++;
}

static int drain(struct pipeline *p, const struct capture_options *o,
		 struct capture_result *r)
{
	struct batch *b;
	unsigned turn = 0;
	int error = 0;

	while ((b = queue_get(&p->changed))) {
		for (int n = 0; n < b->count; n++) {
			struct item *i = b->items[n];

			if (!error && stop_is_set(o->stop))
				error = REEL_ESTOPPED;
			if (!error && o->dry_run)
				count_only(r, i);
			else if (!error)
				error = archive_item(&p->archive, i);
			if (++turn % PROGRESS_EVERY == 0)
				tell(p, o, i->folder);
			item_close(i);
		}
		queue_give_back(&p->changed, b);
		if (error)
			queue_stop(&p->changed);
	}
	return error;
}

static int finish(struct pipeline *p, struct capture_result *r)
{
	int error = archive_finish(&p->archive, &r->session);

	r->added = p->archive.added;
	r->changed = p->archive.changed;
	r->removed = p->archive.removed;
	r->stored = p->archive.stream ? stream_stored(p->archive.stream) : 0;
	r->stops =
		p->archive.volumes ? volumes_tape_stops(p->archive.volumes) : 0;
	if (!error)
		follow_wait(p->archive.set, r->session.id);
	return error;
}

static int verify_session(struct set *set, struct catalog *c,
			  const struct capture_options *o, uint32_t session)
{
	struct verify_options v = {.session = session, .stop = o->stop};
	struct verify_result result;

	return verify_run(set, c, &v, &result);
}

int capture_run(struct set *set, struct catalog *c,
		const struct capture_options *o, struct capture_result *result)
{
	struct pipeline p;
	int error;

	memset(&p, 0, sizeof(p));
	memset(result, 0, sizeof(*result));
	raise_file_limit();
	folder_pool_init(&p.folders, 0);
	p.archive.overwrite = o->overwrite;
	p.archive.stop = o->stop;
	p.archive.buffer = o->buffer;
	error = o->dry_run ? 0 : tapes_catch_up(c);
	if (!error && !o->dry_run)
		error = archive_open(&p.archive, set, c, o->full);
	p.archive.atime = o->atime;
	p.archive.label = o->label;
	if (!error && !o->dry_run)
		error = archive_begin(&p.archive);
	if (!error)
		error = start(&p, set, c, o);
	if (error) {
		archive_close(&p.archive);
		folder_pool_release(&p.folders);
		return error;
	}
	error = drain(&p, o, result);
	stop(&p);
	if (!error && p.walk.error)
		error = p.walk.error;
	if (!error && p.change.error)
		error = p.change.error;
	p.archive.problems += p.walk.problems + p.change.problems;
	if (!error && !o->dry_run)
		error = finish(&p, result);
	result->problems = p.archive.problems;
	result->unchanged = p.change.unchanged;
	result->excluded = p.walk.excluded;
	tell(&p, o, NULL);
	archive_close(&p.archive);
	folder_pool_release(&p.folders);
	if (!error && o->verify && !o->dry_run)
		error = verify_session(set, c, o, result->session.id);
	return error;
}
