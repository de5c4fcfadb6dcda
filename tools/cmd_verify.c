#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "catalog/foreign.h"
#include "fs/verify.h"
#include "tape/error.h"
#include "tape/log.h"
#include "tape/text.h"
#include "tools/figures.h"
#include "tools/json.h"
#include "tools/options.h"
#include "tools/progress.h"
#include "tools/signals.h"
#include "tools/target.h"

struct verifying {
	struct verify_options options;
	bool json;
	struct progress progress;
};

static void on_progress(void *context, const struct verify_progress *p)
{
	struct verifying *v = context;
	struct progress_state s = {
		.done = p->bytes,
		.total = p->bytes_total,
		.bytes = p->bytes,
	};

	progress_update(&v->progress, &s);
}

/* The engine hands paths over escaped. */
static void put_path(struct json *j, const char *path)
{
	struct buffer raw = {0};

	if (text_unescape(&raw, path, strlen(path)) == 0)
		json_bytes(j, "path", raw.data, raw.length);
	else
		json_text(j, "path", path);
	buffer_release(&raw);
}

static void on_damage(void *context, const char *path, uint32_t session,
		      uint32_t volume, uint64_t offset, const char *what)
{
	struct verifying *v = context;
	struct json j;

	progress_end(&v->progress);
	if (!v->json) {
		printf("%s: session %" PRIu32 ", volume %06" PRIu32
		       ", byte %" PRIu64 ": %s\n",
		       path ? path : "(no file)", session, volume, offset,
		       what);
		return;
	}
	json_begin(&j);
	if (path)
		put_path(&j, path);
	json_number(&j, "session", session);
	json_number(&j, "volume", volume);
	json_number(&j, "offset", offset);
	json_text(&j, "damage", what);
	json_end(&j);
}

static void report(const struct verifying *v, const struct verify_result *r)
{
	char bytes[FIGURE_SIZE];
	struct json j;

	if (v->json) {
		json_begin(&j);
		json_number(&j, "contents", r->contents);
		json_number(&j, "members", r->members);
		json_number(&j, "bytes", r->bytes);
		json_number(&j, "damaged_files", r->damaged_files);
		json_number(&j, "damaged_places", r->damaged_places);
		json_end(&j);
		return;
	}
	printf("%" PRIu64 " members and %" PRIu64 " contents read, %s: ",
	       r->members, r->contents, figure_human(r->bytes, bytes));
	if (r->damaged_files || r->damaged_places)
		printf("damaged: %" PRIu64 " files, %" PRIu64 " places\n",
		       r->damaged_files, r->damaged_places);
	else
		puts("all is well");
}

static int verify(struct verifying *v, struct target *t)
{
	struct verify_result result = {0};
	int error;

	v->options.stop = signals_flag();
	v->options.damage = on_damage;
	v->options.progress = on_progress;
	v->options.context = v;
	progress_init(&v->progress, false);
	error = verify_run(t->set, t->catalog, &v->options, &result);
	progress_end(&v->progress);
	if (!error || error == REEL_EDAMAGED)
		report(v, &result);
	if (error)
		log_error("%s: %s", t->name,
			  error == REEL_EDAMAGED ? "damage was found"
						 : error_text(error));
	return error_exit(error);
}

/* A cartridge by itself: what it tells of its set, and all that lies on it. */
static int verify_device(struct verifying *v, const char *name)
{
	struct foreign *f;
	struct target t = {.name = (char *)name};
	int error = foreign_open(name, signals_flag(), &f);
	int status;

	if (error)
		return error_exit(error);
	t.set = foreign_set(f);
	if (!foreign_is_set(f)) {
		log_error("%s is no set and no cartridge of one; there is "
			  "nothing to compare it with",
			  name);
		error = REEL_EINVAL;
	}
	if (!error)
		error = catalog_open_reader(t.set, &t.catalog);
	status = error ? error_exit(error) : verify(v, &t);
	catalog_close(t.catalog);
	foreign_close(f);
	return status;
}

static int run(const struct command *self, int argc, char **argv)
{
	struct verifying v = {0};
	const struct option_spec specs[] = {{"json", 0, OPTION_FLAG, &v.json,
					     NULL, "an object for each damage"},
					    {0}};
	struct target t;
	int status, error;

	if (!options_parse(self, specs, 1, 1, &argc, &argv, &status))
		return status;
	if (foreign_is_archive(argv[0]))
		return verify_device(&v, argv[0]);
	error = target_open(&t, argv[0]);
	if (error)
		return error_exit(error);
	if (t.snapped)
		error = target_session(&t, t.snapped, &v.options.session);
	status = error ? error_exit(error) : verify(&v, &t);
	target_close(&t);
	return status;
}

const struct command command_verify = {
	.name = "verify",
	.synopsis = "SET[@SNAP]|DEVICE [--json]",
	.summary = "read everything back and say what is damaged",
	.details = "Without @SNAP all sessions are read, with it that "
		   "session's.\nDEVICE: the cartridge in it, with no set at "
		   "hand.\nPaths are escaped as in \\0NNN (octal).\n",
	.run = run,
};
