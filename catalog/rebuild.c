/* A catalogue made anew from the media alone. It is built beside the old one
 * and takes its name when it is whole, so a cut leaves the old one. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "catalog/database.h"
#include "catalog/media.h"
#include "catalog/places.h"
#include "catalog/tapes.h"
#include "catalog/scan.h"
#include "tape/error.h"
#include "tape/log.h"

struct rebuild {
	struct set *set;
	struct catalog *fresh;
	bool incomplete; /* something was lost; it was said */
	uint32_t last_volume;
};

static int from_archive(struct set *set, struct catalog *c, uint32_t first,
			uint32_t last, uint64_t *lost)
{
	int error;

	log_warning("volumes %06u to %06u: the session's index is damaged; "
		    "reading its archive",
		    (unsigned)first, (unsigned)last);
	error = scan_session(set, c, first, last, lost);
	if (*lost)
		log_error("volumes %06u to %06u: %llu paths could not be "
			  "recovered",
			  (unsigned)first, (unsigned)last,
			  (unsigned long long)*lost);
	return error;
}

int ingest_session(struct set *set, struct catalog *c,
		   const struct media_session *m, bool trailer, uint64_t *lost)
{
	struct buffer packed = {0};
	int error = trailer ? media_read_index(set, m, &packed) : REEL_EDAMAGED;

	*lost = 0;
	if (!error)
		error = ingest_packed(c, packed.data, packed.length,
				      m->trailer.session);
	buffer_release(&packed);
	return error == REEL_EDAMAGED ? from_archive(set, c, m->first_volume,
						     m->last_volume, lost)
				      : error;
}

/* One session, from its index or else from its archive. What cannot be had is
 * said, and the others go on. */
static int take_session(struct rebuild *b, const struct media_session *m,
			bool trailer)
{
	uint64_t lost = 0;
	uint32_t newest = 0;
	int error = catalog_newest(b->fresh, &newest);

	if (!error && trailer && m->trailer.session <= newest) {
		log_error("volumes %06u to %06u: session %u again; left as "
			  "they are",
			  (unsigned)m->first_volume, (unsigned)m->last_volume,
			  (unsigned)m->trailer.session);
		b->incomplete = true;
		return 0;
	}
	if (!error && trailer && m->trailer.session > newest + 1 &&
	    m->trailer.epoch != m->trailer.session) {
		log_error("sessions %u to %u are on none of the volumes of %s; "
			  "what they hold is missing from later snapshots",
			  (unsigned)newest + 1,
			  (unsigned)m->trailer.session - 1, b->set->path);
		b->incomplete = true;
	}
	if (!error)
		error = ingest_session(b->set, b->fresh, m, trailer, &lost);
	b->incomplete |= lost > 0;
	if (error != REEL_EDAMAGED && error != REEL_ENOENT)
		return error;
	log_error("volumes %06u to %06u: nothing of the session could be "
		  "recovered",
		  (unsigned)m->first_volume, (unsigned)m->last_volume);
	b->incomplete = true;
	return 0;
}

/* Volumes from the first on that make up one session: how many. */
static size_t one_session(struct rebuild *b, const struct medium_volume *v,
			  size_t count, struct media_session *m, bool *trailer)
{
	size_t n = 0;

	*trailer = false;
	while (n < count && !v[n].partial) {
		int error = media_read_trailer(b->set, v[n].number, m);

		n++;
		*trailer = !error;
		if (!error ||
		    (n < count &&
		     media_heading(b->set, v[n].number) != MEDIA_NONE))
			break;
	}
	m->first_volume = v[0].number;
	m->last_volume = v[n ? n - 1 : 0].number;
	return n;
}

/* Volumes that are not there, of a session that its index makes known all the
 * same. */
static void say_gaps(struct rebuild *b, const struct medium_volume *v,
		     size_t count, uint32_t first)
{
	char name[64];

	for (size_t n = 0; n < count; n++) {
		if (v[n].number > first) {
			volume_name(first, v->compression, name);
			log_warning("%s/volumes/%s%s missing: put %s back to "
				    "read what %s",
				    b->set->path, name,
				    v[n].number > first + 1
					    ? " and those after it are"
					    : " is",
				    v[n].number > first + 1 ? "them" : "it",
				    v[n].number > first + 1 ? "they hold"
							    : "it holds");
		}
		first = v[n].number + 1;
	}
}

/* Volumes of which no session of this set can be made. */
static void pass_over(struct rebuild *b, const struct medium_volume *v,
		      size_t count)
{
	log_error("volumes %06u to %06u: %s; left as they are",
		  (unsigned)v[0].number, (unsigned)v[count - 1].number,
		  media_heading(b->set, v[0].number) == MEDIA_FOREIGN
			  ? "of another set than set.conf says"
			  : "neither beginning nor end of a session can be "
			    "read");
	b->incomplete = true;
}

static int take_volumes(struct rebuild *b)
{
	struct medium_volume *v = NULL;
	size_t count = 0;
	int error = medium_list(b->set->medium, &v, &count);

	for (size_t at = 0; !error && at < count;) {
		struct media_session m;
		bool trailer;
		size_t n;

		if (v[at].partial) {
			at++;
			continue;
		}
		b->last_volume = v[at].number;
		n = one_session(b, v + at, count - at, &m, &trailer);
		/* Without an end, and the next one never got its name: an
		 * interrupted backup (stream.h, S3). */
		if (!trailer && at + n < count && v[at + n].partial)
			break;
		if (trailer)
			say_gaps(b, &v[at], n, m.trailer.first_volume);
		if (trailer ||
		    media_heading(b->set, v[at].number) == MEDIA_OURS)
			error = take_session(b, &m, trailer);
		else
			pass_over(b, &v[at], n);
		at += n;
	}
	free(v);
	return error;
}

/* Media that are none of this set's, or cannot be read at all, do not replace
 * what the old catalogue knows. */
static int keep_old(struct rebuild *b, const char *old)
{
	uint32_t newest = 0;
	int error = catalog_newest(b->fresh, &newest);

	return error || newest || access(old, F_OK) ? error : REEL_EDAMAGED;
}

/* Newest sessions whose volumes are gone: forgotten, their numbers would be
 * given again, and nothing but one of the two could be kept once the volumes
 * come back. */
static int miss_newest(struct rebuild *b, const char *old)
{
	int64_t volume = 0, session = 0;
	uint32_t newest = 0;
	char sql[200], name[64], uuid[37];
	int error = catalog_newest(b->fresh, &newest);

	set_uuid_text(b->set->config.uuid, uuid);
	snprintf(sql, sizeof(sql),
		 "SELECT first_volume FROM session WHERE id > %u AND "
		 "(SELECT value FROM meta WHERE key = 'set') = '%s' "
		 "ORDER BY id LIMIT 1",
		 (unsigned)newest, uuid);
	if (error || access(old, F_OK) || database_peek(old, sql, &volume) ||
	    database_peek(old, "SELECT max(id) FROM session", &session) ||
	    volume <= b->last_volume || volume > UINT32_MAX)
		return error;
	volume_name((uint32_t)volume, b->set->config.compression, name);
	log_error("sessions %u to %lld are on none of the volumes: put "
		  "%s/volumes/%s and what follows it back (or, if they are "
		  "lost for good, move catalog.db away and rebuild)",
		  (unsigned)newest + 1, (long long)session, b->set->path, name);
	return REEL_EMEDIUM;
}

/* What the old catalogue knew of copies that are in no drive now: it is they
 * alone who tell of themselves. */
static int keep_copies(struct rebuild *b)
{
	struct catalog *old = NULL;
	unsigned kept = 0;
	int error = catalog_open_reader(b->set, &old);

	if (!error)
		error = places_keep_copies(b->fresh, old, &kept);
	if (!error && kept)
		log_note("%u cartridge%s of a copy %s not looked at; what the "
			 "old catalogue knows of %s is kept",
			 kept, kept == 1 ? "" : "s", kept == 1 ? "was" : "were",
			 kept == 1 ? "it" : "them");
	catalog_close(old);
	return error == REEL_ENOMEM ? error : 0;
}

/* Of a tape set: places first, then the sessions that they say are whole. */
static int take_cartridges(struct rebuild *b, bool all)
{
	struct cartridge_table t = {0};
	uint32_t first = 0;
	bool ends = false;
	int error = tapes_gather(b->set, b->fresh, all, &b->incomplete);

	if (!error)
		error = places_table(b->fresh, &t);
	b->set->tapes->other = b->fresh;
	for (size_t n = 0; !error && n < t.place_count; n++) {
		const struct place *p = &t.places[n];
		struct media_session m = {.first_volume =
						  first ? first : p->volume,
					  .last_volume = p->volume};
		bool trailer;

		first = m.first_volume;
		ends |= p->last;
		/* copies and parts of a volume stand together */
		if (n + 1 < t.place_count &&
		    t.places[n + 1].volume == p->volume)
			continue;
		if (!ends)
			continue;
		ends = false;
		trailer = !media_read_trailer(b->set, p->volume, &m);
		error = take_session(b, &m, trailer);
		first = 0;
	}
	b->set->tapes->other = NULL;
	cartridge_table_release(&t);
	return error;
}

int catalog_rebuild(struct set *set, bool all)
{
	struct rebuild b = {.set = set};
	struct catalog *old = catalog_new(set, CATALOG_FILE, true);
	int error = REEL_ENOMEM;

	b.fresh = catalog_new(set, CATALOG_FILE ".new", true);
	if (!old || !b.fresh)
		goto out;
	error = catalog_make(b.fresh);
	if (!error)
		error = catalog_reopen(b.fresh);
	if (!error)
		error = set->config.tape ? take_cartridges(&b, all)
					 : take_volumes(&b);
	if (!error && set->config.tape && !access(old->path, F_OK))
		error = keep_copies(&b);
	if (!error && !set->config.tape)
		error = miss_newest(&b, old->path);
	/* all of it into the one file that is renamed */
	if (!error)
		error = database_error(
			b.fresh->db, b.fresh->path,
			sqlite3_wal_checkpoint_v2(b.fresh->db, NULL,
						  SQLITE_CHECKPOINT_TRUNCATE,
						  NULL, NULL));
	if (!error && b.incomplete)
		error = keep_old(&b, old->path);
	catalog_disconnect(b.fresh);
	if (!error)
		error = catalog_install(old, b.fresh->path);
	else
		unlink(b.fresh->path);
	if (!error && b.incomplete)
		error = REEL_EDAMAGED;
out:
	catalog_close(b.fresh);
	catalog_close(old);
	return error;
}
