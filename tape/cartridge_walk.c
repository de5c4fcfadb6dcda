#include "tape/cartridge_walk.h"

#include <stdlib.h>
#include <string.h>
#include "tape/append.h"
#include "tape/error.h"
#include "tape/log.h"

#define LABEL_LIMIT (1u << 20)

int cartridge_read_label(struct drive *d, struct cartridge_label *out)
{
	struct buffer b = {0};
	struct drive_status status;
	int error = drive_status(d, &status);

	if (!error && status.state != DRIVE_READY) {
		log_error("%s: there is no cartridge in it", drive_name(d));
		return REEL_EMEDIUM;
	}
	if (!error)
		error = drive_take_any(d);
	if (!error)
		error = drive_rewind(d, false);
	if (!error)
		error = append_read_file(d, LABEL_LIMIT, &b);
	if (!error)
		error = cartridge_label_decode(b.data, b.length, out);
	else if (error == REEL_EDAMAGED)
		error = REEL_ENOENT;
	buffer_release(&b);
	return error;
}

bool cartridge_ends_in_damage(struct drive *d)
{
	uint8_t start[512];
	struct drive_read r = {0};

	return drive_read(d, start, sizeof(start), &r) == REEL_EDAMAGED &&
	       r.found == DRIVE_END;
}

/* The next tape file that should be a table: 1; 0 when none follows,
 * REEL_EDAMAGED when it is none or not whole. */
static int next_table(struct drive *d, struct buffer *b,
		      struct cartridge_table *t)
{
	struct drive_moved m;
	int error = drive_space(d, DRIVE_FILEMARKS, 1, &m);

	if (error) /* what is not passed once is not passed again */
		return error == REEL_EDAMAGED ? REEL_EIO : error;
	if (m.found != DRIVE_BLOCK)
		return 0;
	error = append_read_file(d, CARTRIDGE_TABLE_LIMIT, b);
	if (error == REEL_ENOENT)
		return 0;
	if (!error)
		error = cartridge_table_decode(b->data, b->length, t);
	return error == REEL_ENOENT ? REEL_EDAMAGED : error ? error : 1;
}

/* The volume in front of the table that ended at tape file `file`. */
static const struct place *place_before(const struct cartridge_table *t,
					uint32_t cartridge, uint64_t file)
{
	for (size_t n = 0; n < t->place_count; n++)
		if (t->places[n].cartridge == cartridge &&
		    t->places[n].file == file)
			return &t->places[n];
	return NULL;
}

static bool is_ours(const struct cartridge_table *t,
		    const struct cartridge_label *l)
{
	for (size_t n = 0; n < t->cartridge_count; n++)
		if (t->cartridges[n].number == l->number)
			return !memcmp(t->cartridges[n].uuid, l->uuid,
				       sizeof(l->uuid)) &&
			       !memcmp(t->cartridges[n].set, l->set,
				       sizeof(l->set));
	return false;
}

static int visit(struct drive *d, const struct place *p, cartridge_each each,
		 void *context, const struct cartridge_table *t)
{
	struct drive_position behind;
	int error = drive_tell(d, &behind);

	if (!error)
		error = each(context, d, p, t);
	return error ? error : drive_seek(d, &behind);
}

/* What is before the table; NULL: it is of something else, said. */
static const struct place *place_of(struct drive *d,
				    const struct cartridge_table *t,
				    const struct cartridge_label *l,
				    uint64_t file)
{
	const struct place *p = place_before(t, l->number, file);

	if (p && is_ours(t, l))
		return p;
	log_warning("%s: the table in tape file %llu of cartridge %s is not of "
		    "this cartridge; what lies there is passed over",
		    drive_name(d), (unsigned long long)file + 1, l->name);
	return NULL;
}

/* Tables that were passed over, when more follow that are whole. */
static void say_broken(struct drive *d, const struct cartridge_label *l,
		       uint64_t file, unsigned count)
{
	if (count)
		log_warning("%s: before tape file %llu of cartridge %s %u %s "
			    "cannot be read; the one there lists all that was "
			    "in them",
			    drive_name(d), (unsigned long long)file + 1,
			    l->name, count, count == 1 ? "table" : "tables");
}

int cartridge_walk(struct drive *d, const struct cartridge_label *l,
		   cartridge_each each, void *context,
		   struct cartridge_table *last)
{
	struct buffer b = {0};
	struct cartridge_table t;
	const struct place *p;
	unsigned broken = 0;
	int error = 0, more = 1;

	memset(last, 0, sizeof(*last));
	for (uint64_t file = 1; !error && (more == 1 || more == REEL_EDAMAGED);
	     file += 2) {
		more = next_table(d, &b, &t);
		broken += more == REEL_EDAMAGED;
		if (more != 1)
			continue;
		say_broken(d, l, file, broken);
		broken = 0;
		p = place_of(d, &t, l, file);
		if (p)
			error = visit(d, p, each, context, &t);
		cartridge_table_release(p ? last : &t);
		if (p)
			*last = t;
	}
	buffer_release(&b);
	if (!error && !more && cartridge_ends_in_damage(d))
		return REEL_EDAMAGED;
	return error ? error : more;
}
