/* Verify reads every session once, from its first byte to its last.
 *
 * Three things are checked side by side: each frame's checksum (the reader's
 * thread), each content's digest at the place the catalogue has for it, and
 * each member's header against the entry of that path in that snapshot. A
 * compressed frame that fails takes everything in it along. An uncompressed
 * one says only that a byte is wrong: the digests and the headers then tell
 * whose byte it is, and when it is nobody's (padding, lists) only the place
 * is reported. */
#include "fs/verify.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "catalog/compare.h"
#include "catalog/media.h"
#include "fs/verify_state.h"
#include "tape/error.h"
#include "tape/log.h"

static int read_members(struct verify *v)
{
	struct member_decoder *d = NULL;
	struct member m;
	int err = member_decoder_new(verify_source, v, &d);

	while (!err && !v->ended) {
		int more = member_next(d, &m);

		if (v->error) {
			err = v->error;
		} else if (more == 1) {
			err = verify_member(v, d, &m);
		} else if (more == REEL_EDAMAGED) {
			v->astray = true;
			v->headers_hurt = true;
			err = 0;
		} else if (more < 0) {
			err = more;
		} else if (v->astray) {
			/* An end inside something; go on behind it. */
			member_decoder_free(d);
			d = NULL;
			err = member_decoder_new(verify_source, v, &d);
		} else {
			break;
		}
		if (err == REEL_EDAMAGED && !v->error) {
			v->astray = true;
			v->headers_hurt = true;
			err = 0;
		}
	}
	member_decoder_free(d);
	if (!err)
		err = verify_settle(v);
	return err ? err : verify_drain(v);
}

/* Bad places that nothing was blamed for. */
static void say_places(struct verify *v)
{
	for (size_t i = 0; i < v->bad_count; i++)
		if (!v->bad[i].named)
			verify_say(v, NULL, v->session, v->bad[i].volume,
				   v->bad[i].position, v->bad[i].what);
}

static void forget_session(struct verify *v)
{
	v->session_missing = false;
	v->headers_hurt = false;
	v->astray = false;
	v->position = 0;
	v->ended = false;
	v->error = 0;
	v->bad_count = 0;
	v->seen_count = 0;
	v->parent_path.length = 0;
	v->parents.length = 0;
	v->have_withdrawn = false;
	v->index_seen = false;
	v->index_length = 0;
	v->tail_length = 0;
	v->tail_wrong = v->tail_said = v->end_seen = false;
	v->meta.length = 0;
}

/* Damage of the catalogue that no member's header shows. */
static int check_rows(struct verify *v, uint32_t session, uint32_t last_volume)
{
	int err = last_volume && !v->session_missing
			  ? compare_session(v->set, session, last_volume)
			  : 0;

	if (err != REEL_EDAMAGED)
		return err;
	verify_say(v, NULL, session, last_volume, 0,
		   "the catalogue differs from the session's index; run "
		   "`reel catalog rebuild`");
	return 0;
}

static int check_session(struct verify *v, const struct session_row *s,
			 uint32_t last_volume)
{
	struct catalog *reader;
	int err = catalog_open_reader(v->set, &reader);

	if (err)
		return err;
	forget_session(v);
	v->session = s->id;
	v->covered = s->stream;
	v->time = s->time;
	err = verify_stream_open(v, reader, s->first_volume, last_volume);
	if (!err)
		err = read_members(v);
	if (!err)
		err = verify_stream_finish(v);
	if (!err)
		err = verify_tail(v);
	if (!err && !v->partial)
		err = verify_meta(v);
	if (!err)
		err = check_rows(v, s->id, last_volume);
	for (size_t i = 0; i < v->bad_count; i++)
		if (v->bad[i].lost && v->bad[i].error != REEL_EMEDIUM)
			v->headers_hurt = true;
	if (!err && v->headers_hurt && !v->session_missing && !v->partial)
		err = verify_name_unseen(v);
	if (!err)
		say_places(v);
	verify_stream_close(v);
	catalog_close(reader);
	return err;
}

/* The newest session ends where its trailer lies; volumes behind that are an
 * interrupted backup's. 0, all files that are there, when it is damaged. */
static int find_trailer(struct verify *v, const struct session_row *s,
			uint32_t *last)
{
	struct medium_volume *all = NULL;
	size_t count = 0;
	int err = medium_list(v->set->medium, &all, &count);

	for (size_t n = count; !err && n-- > 0 && !*last;) {
		struct media_session m;

		if (!all[n].partial && all[n].number >= s->first_volume &&
		    !media_read_trailer(v->set, all[n].number, &m) &&
		    m.trailer.session == s->id)
			*last = all[n].number;
	}
	free(all);
	return err;
}

static int last_volume_of(struct verify *v, const struct session_row *s,
			  uint32_t *last)
{
	struct session_row next = {0};
	int more = catalog_session_after(v->catalog, s->id, &next);

	*last = 0;
	if (more == 1) {
		*last = next.first_volume - 1;
		session_row_release(&next);
	} else if (more == 0) {
		more = find_trailer(v, s, last);
	}
	return more < 0 ? more : 0;
}

static int totals(struct verify *v)
{
	struct session_row s = {0};
	uint32_t id = 0;
	int more;

	while ((more = catalog_session_after(v->catalog, id, &s)) == 1) {
		id = s.id;
		if (!v->options->session || v->options->session == id)
			v->progress.bytes_total += s.stream;
		session_row_release(&s);
	}
	return more;
}

/* Sessions that are missing, of an import without some cartridges, take along
 * what the names of later ones of their epoch rest on: frames and contents of
 * these are checked, names are not. */
static void find_gap(struct verify *v, const struct session_row *s,
		     uint32_t before)
{
	bool gap = s->id != before + 1 || v->partial;

	v->partial = s->id != s->epoch && gap;
	if (v->partial && !v->said_partial)
		log_note("session %" PRIu32 " builds upon sessions that are "
			 "missing: its frames and contents are checked, its "
			 "names are not",
			 s->id);
	v->said_partial |= v->partial;
}

static int check_sessions(struct verify *v)
{
	struct session_row s = {0};
	uint32_t id = 0, last;
	int more, err;

	while ((more = catalog_session_after(v->catalog, id, &s)) == 1) {
		find_gap(v, &s, id);
		id = s.id;
		err = 0;
		if (!v->options->session || v->options->session == id) {
			err = last_volume_of(v, &s, &last);
			if (!err)
				err = check_session(v, &s, last);
		}
		session_row_release(&s);
		if (err)
			return err;
	}
	return more;
}

int verify_run(struct set *set, struct catalog *c,
	       const struct verify_options *o, struct verify_result *result)
{
	struct verify v = {
		.set = set, .catalog = c, .options = o, .result = result};
	int err;

	const uint64_t healed = set->medium->healed;

	memset(result, 0, sizeof(*result));
	err = totals(&v);
	if (!err)
		err = check_sessions(&v);
	/* what hurts names was named; the rest of the catalogue's structure */
	if (!err)
		err = catalog_check(c);
	if (!err)
		err = verify_name_hurt(&v);
	free(v.hurt);
	free(v.bad);
	free(v.seen);
	buffer_release(&v.parent_path);
	buffer_release(&v.parents);
	buffer_release(&v.withdrawn);
	buffer_release(&v.meta);
	if (err)
		return err;
	/* said as they were met, with the cartridge */
	result->damaged_places += set->medium->healed - healed;
	if (v.missing) {
		char name[MEDIUM_NAME];

		medium_name(set->medium, v.missing, v.missing_at, name);
		log_error("%s%s%s is missing; put it back and verify again",
			  set->medium->tape ? "" : set->path,
			  set->medium->tape ? "" : "/volumes/", name);
	}
	if (result->damaged_files || result->damaged_places)
		return REEL_EDAMAGED;
	return v.missing ? REEL_EMEDIUM : 0;
}
