/* See scan_state.h for how it goes. */
#include <stdlib.h>
#include <string.h>
#include "catalog/scan.h"
#include "catalog/scan_state.h"
#include "tape/error.h"
#include "tape/log.h"

static int read_members(struct scan *s)
{
	struct member_decoder *d = NULL;
	struct member m;
	bool said = false, astray = false;
	int err, more = 1;

	scan_source_rewind(&s->source);
	err = member_decoder_new(scan_source_read, &s->source, &d);
	while (!err && more) {
		more = member_next(d, &m);
		if (s->stream && member_header_offset(d) >= s->stream)
			break; /* the index, and what is behind it */
		if (more == 1) {
			astray = false;
			err = scan_member(s, d, &m);
			if (err == REEL_EDAMAGED) {
				scan_lose(s, m.path, m.path_length, "damaged");
				err = 0;
			}
		} else if (more == REEL_EDAMAGED) {
			if (!said)
				log_warning("session %u: headers are damaged; "
					    "what they named is lost",
					    s->session);
			s->lost += !astray;
			said = astray = true;
			if (scan_source_ended(&s->source))
				break;
		} else if (more < 0) {
			err = more;
		}
	}
	member_decoder_free(d);
	return err;
}

/* Frames before the index, as the index itself would have listed them. */
static size_t frames_before(const struct scan *s)
{
	size_t n = 0;

	while (n < s->source.count &&
	       (!s->stream ||
		s->source.frames[n].stream + s->source.frames[n].length <=
			s->stream))
		n++;
	return n;
}

static int finish(struct scan *s)
{
	struct buffer packed = {0};
	size_t count = frames_before(s);
	int err;

	s->row.time = s->time;
	s->row.finished = s->time;
	s->row.label = s->label;
	s->row.first_volume = s->source.first_volume;
	s->row.stream = s->stream;
	if (!s->stream && count)
		s->row.stream = s->source.frames[count - 1].stream +
				s->source.frames[count - 1].length;
	err = builder_finish(s->builder, &s->row, s->source.frames, count,
			     &packed);
	buffer_release(&packed);
	return err ? err : builder_ingest(s->builder);
}

static int build(struct scan *s)
{
	int err = scan_prepare(s);

	if (err)
		return err;
	if (s->stream)
		err = scan_source_split(&s->source, s->stream);
	if (err)
		return err;
	if (!s->known)
		log_warning("a session's first header is damaged: its time "
			    "and label are lost");
	s->full = s->known && s->epoch == s->session;
	err = builder_new(s->catalog, s->set, s->full, &s->builder);
	if (err)
		return err;
	if (!s->known)
		s->session = builder_session(s->builder);
	if (s->session != builder_session(s->builder)) {
		log_error("session %u cannot be read from its archive before "
			  "session %u",
			  s->session, builder_session(s->builder));
		return REEL_EDAMAGED;
	}
	err = scan_apply_replaced(s);
	if (!err)
		err = read_members(s);
	if (!err)
		err = scan_carriers(s);
	if (!err)
		err = scan_apply_links(s);
	if (!err)
		err = scan_apply_deleted(s);
	if (!err)
		err = scan_root(s);
	return err ? err : finish(s);
}

static void release(struct scan *s)
{
	builder_free(s->builder);
	scan_source_close(&s->source);
	scan_paths_release(&s->paths);
	buffer_release(&s->replaced);
	buffer_release(&s->deleted);
	buffer_release(&s->copies);
	buffer_release(&s->meta);
	free(s->members);
	free(s->label);
}

int scan_session(struct set *set, struct catalog *c, uint32_t first_volume,
		 uint32_t last_volume, uint64_t *lost)
{
	struct scan s = {.set = set, .catalog = c};
	int err = scan_source_open(&s.source, set, first_volume, last_volume);

	*lost = 0;
	if (!err)
		err = build(&s);
	if (!err) {
		log_note("session %u: made out from its archive; change times "
			 "and inode numbers of the source are not in it",
			 s.session);
		*lost = s.lost;
	}
	release(&s);
	return err;
}
