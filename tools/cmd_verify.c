#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "catalog/foreign.h"
#include "fs/verify.h"
#include "fs/verify_cartridge.h"
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

static int read_set(struct verifying *v, struct target *t,
		    struct verify_result *result)
{
	int error;

	progress_init(&v->progress, false);
	error = verify_run(t->set, t->catalog, &v->options, result);
	progress_end(&v->progress);
	return error;
}

static void say_error(const char *name, int error)
{
	if (error)
		log_error("%s: %s", name,
			  error == REEL_EDAMAGED ? "damage was found"
						 : error_text(error));
}

static int verify(struct verifying *v, struct target *t)
{
	struct verify_result result = {0};
	int error = read_set(v, t, &result);

	if (!error || error == REEL_EDAMAGED)
		report(v, &result);
	say_error(t->name, error);
	return error_exit(error);
}

/* ---- a cartridge by itself ---- */

/* What its indexes tell of: sessions, contents, digests. */
static int read_known(struct verifying *v, const char *name,
		      struct verify_cartridge *c, struct verify_result *result)
{
	struct foreign *f;
	struct target t = {.name = (char *)name};
	struct session_row s = {0};
	uint32_t id = 0;
	int error = foreign_open(name, signals_flag(), &f);
	int read = 0, more = 0;

	if (error)
		return error;
	t.set = foreign_set(f);
	if (!foreign_is_set(f)) {
		log_error("%s is no set and no cartridge of one; there is "
			  "nothing to compare it with",
			  name);
		error = REEL_EINVAL;
	}
	if (!error)
		error = catalog_open_reader(t.set, &t.catalog);
	if (!error)
		read = read_set(v, &t, result);
	while (!error && c &&
	       (more = catalog_session_after(t.catalog, id, &s)) == 1) {
		id = s.id;
		verify_cartridge_known(c, &s);
		session_row_release(&s);
	}
	catalog_close(t.catalog);
	foreign_close(f);
	return error ? error : more < 0 ? more : read;
}

static void report_json(const struct verify_cartridge *c,
			const struct verify_cartridge_result *r,
			const struct verify_result *k, const char *needs)
{
	struct json j;

	json_begin(&j);
	json_text(&j, "cartridge", verify_cartridge_name(c));
	json_number(&j, "volumes", r->volumes);
	json_number(&j, "bytes", r->bytes);
	json_number(&j, "frames", r->frames + k->frames);
	json_number(&j, "members", r->members + k->members);
	json_number(&j, "contents", k->contents);
	json_number(&j, "without_checksum", r->bare);
	json_number(&j, "damaged_files", k->damaged_files);
	json_number(&j, "damaged_places",
		    k->damaged_places + r->damaged_places);
	json_text(&j, "needs", needs);
	json_end(&j);
}

static void report_cartridge(const struct verify_cartridge *c,
			     const struct verify_cartridge_result *r,
			     const struct verify_result *k, const char *needs)
{
	uint64_t places = k->damaged_places + r->damaged_places;
	char bytes[FIGURE_SIZE];

	printf("cartridge %s alone: %" PRIu32 " volume%s read, %s: %" PRIu64
	       " frames, the headers of %" PRIu64 " members, %" PRIu64
	       " contents by their digests: ",
	       verify_cartridge_name(c), r->volumes, r->volumes == 1 ? "" : "s",
	       figure_human(r->bytes, bytes), r->frames + k->frames,
	       r->members + k->members, k->contents);
	if (k->damaged_files || places)
		printf("damaged: %" PRIu64 " files, %" PRIu64 " places\n",
		       k->damaged_files, places);
	else
		puts("what lies here is well");
	if (r->bare)
		printf("%s of it could be read and compared with nothing: "
		       "its digests are in indexes that are not whole here\n",
		       figure_human(r->bare, bytes));
	if (*needs)
		printf("the set as a whole is not verified: sessions that are "
		       "not all on this cartridge need %s\n",
		       needs);
}

static bool all_known(const struct verify_cartridge_result *r)
{
	return !r->frames && !r->bare && !r->damaged_places;
}

/* What it holds beside, and what is said of it. 4: more is needed. */
static int read_rest(struct verifying *v, struct verify_cartridge *c, int error,
		     const struct verify_result *known)
{
	struct verify_cartridge_result r;
	struct buffer needs = {0};
	int rest = verify_cartridge_needs(c, &needs);

	if (!rest)
		rest = buffer_append_zeros(&needs, 1);
	progress_init(&v->progress, false);
	if (!rest)
		rest = verify_cartridge_run(c, &r);
	progress_end(&v->progress);
	if (rest && rest != REEL_EDAMAGED)
		goto out;
	if (!*needs.data && all_known(&r))
		report(v, known);
	else if (v->json)
		report_json(c, &r, known, (char *)needs.data);
	else
		report_cartridge(c, &r, known, (char *)needs.data);
	if (!rest && *needs.data && !error)
		rest = REEL_EMEDIUM;
out:
	buffer_release(&needs);
	return rest ? rest : error;
}

static int verify_device(struct verifying *v, const char *name)
{
	struct verify_cartridge *c = NULL;
	struct verify_result known = {0};
	int error = 0;

	if (foreign_is_drive(name))
		error = verify_cartridge_open(name, &v->options, &c);
	if (!error && (!c || verify_cartridge_has_end(c)))
		error = read_known(v, name, c, &known);
	else if (error)
		return error_exit(error);
	if (c && (!error || error == REEL_EMEDIUM || error == REEL_EDAMAGED))
		error = read_rest(v, c, error, &known);
	if (c || !error || error == REEL_EDAMAGED)
		say_error(name, error);
	verify_cartridge_close(c);
	return error_exit(error);
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
	v.options.stop = signals_flag();
	v.options.damage = on_damage;
	v.options.progress = on_progress;
	v.options.context = &v;
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
