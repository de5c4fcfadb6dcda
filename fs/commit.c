#include "fs/commit.h"

#include <stdlib.h>
#include <string.h>
#include "catalog/follow.h"
#include "catalog/media.h"
#include "catalog/rules_file.h"
#include "catalog/tapes.h"
#include "fs/archive.h"
#include "fs/commit_read.h"
#include "fs/commit_walk.h"
#include "tape/error.h"
#include "tape/log.h"
#include "tape/stop.h"

#define COMMIT_CACHE   (16u << 20)
#define PROGRESS_EVERY 64 /* items */

struct committing {
	const struct commit_options *options;
	struct commit_result *result;
	struct set *set;
	struct catalog *catalog; /* open for writing */
	struct rules rules;
	struct live_frozen frozen;
	struct queue walked; /* walk -> read */
	struct queue read;   /* read -> archive */
	struct commit_walk walk;
	struct commit_read reading;
	struct archive archive;
	pthread_t walker, reader;
	struct buffer results; /* struct live_result each */
	struct commit_progress progress;
	bool walking;
};

static void *walk_thread(void *context)
{
	commit_walk_run(context);
	return NULL;
}

static void *read_thread(void *context)
{
	commit_read_run(context);
	return NULL;
}

/* ---- beginning ---- */

static int load_rules(struct committing *c)
{
	int error = rules_file_load(c->set, NULL, &c->rules);

	if (error) {
		log_error("%s: the commit waits until the rules are mended",
			  c->set->path);
		return error;
	}
	return c->rules.count ? rules_seal(&c->rules) : 0;
}

/* Where the volumes should be mounted there may be an empty directory. */
static int check_volumes(struct committing *c)
{
	struct medium_volume *volumes = NULL;
	uint32_t newest = 0;
	size_t count = 0;
	int error = catalog_newest(c->catalog, &newest);

	if (c->set->medium->tape)
		return error;
	if (!error && newest)
		error = medium_list(c->set->medium, &volumes, &count);
	free(volumes);
	if (error || !newest || count)
		return error;
	log_error("%s/volumes is empty: put the set's volumes back, then "
		  "commit again",
		  c->set->path);
	return REEL_EMEDIUM;
}

static int begin(struct committing *c, struct live *live, const char *set)
{
	int error = set_open(set, SET_WRITE, c->options->wait, &c->set);

	if (!error)
		tapes_share(c->set, live_home(live));
	if (!error)
		tapes_set_stop(c->set, c->options->stop);
	if (!error)
		error = load_rules(c);
	if (!error)
		error = catalog_open(c->set, &c->catalog);
	if (!error)
		error = tapes_catch_up(c->catalog);
	if (!error)
		error = check_volumes(c);
	if (!error)
		error = live_freeze(live, &c->frozen);
	return error;
}

static int start_walk(struct committing *c, struct live *live, uint32_t newest)
{
	int error;

	queue_init(&c->walked);
	queue_init(&c->read);
	c->walk = (struct commit_walk){
		.live = live,
		.frozen = &c->frozen,
		.set = c->set,
		.rules = c->rules.count ? &c->rules : NULL,
		.newest = newest,
		.options = c->options,
		.out.queue = &c->walked,
	};
	c->reading = (struct commit_read){.in = &c->walked,
					  .out.queue = &c->read,
					  .view = c->frozen.view,
					  .seed = c->set->config.seed};
	error = catalog_open_reader(c->set, &c->walk.catalog);
	if (!error)
		error = library_open(c->set, COMMIT_CACHE, &c->walk.library);
	if (!error &&
	    pthread_create(&c->reader, NULL, read_thread, &c->reading))
		return REEL_ENOMEM;
	c->walking = !error;
	if (!error && pthread_create(&c->walker, NULL, walk_thread, &c->walk)) {
		queue_stop(&c->walked);
		pthread_join(c->reader, NULL);
		c->walking = false;
		error = REEL_ENOMEM;
	}
	return error;
}

static void stop_walk(struct committing *c)
{
	queue_stop(&c->walked);
	queue_stop(&c->read);
	if (c->walking) {
		pthread_join(c->walker, NULL);
		pthread_join(c->reader, NULL);
	}
	c->walking = false;
	queue_release(&c->walked);
	queue_release(&c->read);
	library_close(c->walk.library);
	catalog_close(c->walk.catalog);
}

/* ---- the archive ---- */

static int note_result(struct committing *c, const struct item *i)
{
	struct live_result r = {i->live, i->stored_inode, i->stored_content,
				i->file};

	if (i->kind == ITEM_FOLDER)
		r.base = i->folder->node;
	if (!r.id || !r.base)
		return 0;
	return buffer_append(&c->results, &r, sizeof(r));
}

static int take_item(struct committing *c, struct item *i)
{
	int error = archive_item(&c->archive, i);

	c->progress.names++;
	c->progress.bytes += S_ISREG(i->st.stx_mode) ? i->st.stx_size : 0;
	if (c->options->progress && c->progress.names % PROGRESS_EVERY == 0)
		c->options->progress(c->options->context, &c->progress);
	return error ? error : note_result(c, i);
}

static int drain(struct committing *c)
{
	const volatile int *stop = c->options->stop;
	struct batch *b;
	int error = 0;

	while ((b = queue_get(&c->read))) {
		for (int n = 0; n < b->count; n++) {
			if (!error && stop_is_set(stop))
				error = REEL_ESTOPPED;
			if (!error)
				error = take_item(c, b->items[n]);
			item_close(b->items[n]);
		}
		queue_give_back(&c->read, b);
		if (error)
			queue_stop(&c->read);
	}
	return error;
}

/* Whether anything differs from the newest snapshot. */
static bool has_news(const struct archive *a)
{
	return a->added || a->changed || a->removed;
}

static int finish(struct committing *c)
{
	struct commit_result *r = c->result;
	struct archive *a = &c->archive;
	struct session_row row = {0};
	int error;

	r->added = a->added;
	r->changed = a->changed;
	r->removed = a->removed;
	r->new_bytes = a->new_bytes;
	r->unique_bytes = a->unique_bytes;
	r->problems = a->problems;
	if (!has_news(a))
		return 0;
	a->problems = r->problems;
	error = archive_finish(a, &row);
	r->session = row.id;
	r->stored = stream_stored(a->stream);
	session_row_release(&row);
	return error;
}

static int write_session(struct committing *c, struct live *live,
			 uint32_t *newest)
{
	int error = catalog_newest(c->catalog, newest);

	c->archive.stop = c->options->stop;
	if (!error)
		error = archive_open(&c->archive, c->set, c->catalog, false);
	c->archive.label = c->options->label;
	if (!error)
		error = archive_begin(&c->archive);
	if (!error)
		error = start_walk(c, live, *newest);
	if (!error) {
		error = drain(c);
		stop_walk(c);
	}
	if (!error)
		error = c->reading.error;
	if (c->walk.error && (!error || error == REEL_ESTOPPED))
		error = c->walk.error;
	c->result->excluded = c->walk.excluded;
	return error ? error : finish(c);
}

int commit_run(struct live *live, const char *set,
	       const struct commit_options *o, struct commit_result *result)
{
	struct committing c = {.options = o, .result = result};
	struct live_count count;
	uint32_t newest = 0;
	int error = live_count(live, &count), thawed;

	memset(result, 0, sizeof(*result));
	if (error || !count.names)
		return error;
	c.progress.names_total = count.names;
	c.progress.bytes_total = count.bytes;
	error = begin(&c, live, set);
	if (!error)
		error = write_session(&c, live, &newest);
	if (c.frozen.view) {
		uint32_t session = error	     ? 0
				   : result->session ? result->session
						     : newest;

		c.frozen.newest = newest;
		thawed = live_thaw(live, &c.frozen, session,
				   (struct live_result *)c.results.data,
				   c.results.length /
					   sizeof(struct live_result));
		error = error ? error : thawed;
	}
	if (result->session) {
		catalog_session_name(c.catalog, result->session, result->name);
		follow_wait(c.set, result->session);
	}
	archive_close(&c.archive);
	buffer_release(&c.results);
	catalog_close(c.catalog);
	rules_release(&c.rules);
	set_close(c.set);
	return error;
}
