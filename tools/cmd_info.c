#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tape/error.h"
#include "tape/log.h"
#include "tape/stream.h"
#include "tape/text.h"
#include "tape/xattrs.h"
#include "tools/cartridges.h"
#include "tools/figures.h"
#include "tools/listing.h"
#include "tools/options.h"
#include "tools/sizes.h"

struct info {
	struct target target;
	struct sizes sizes;
	uint32_t session;
	bool json;
	/* sums over sessions */
	uint64_t sessions, epochs, problems;
	uint64_t new_bytes, unique_bytes, stream;
	uint64_t stored, volumes, missing;
	struct session_row shown; /* the newest, or the one that was named */
};

static uint64_t saved(uint64_t before, uint64_t after)
{
	return before > after ? before - after : 0;
}

static void line_bytes(const char *title, uint64_t bytes)
{
	char text[FIGURE_SIZE];

	printf("%-26s%s\n", title, figure_bytes(bytes, text));
}

static void line_number(const char *title, uint64_t number)
{
	printf("%-26s%" PRIu64 "\n", title, number);
}

static void line_text(const char *title, const char *text)
{
	char *shown = text_name(text, strlen(text));

	printf("%-26s%s\n", title, shown ? shown : text);
	free(shown);
}

/* `end`: the first volume of the session behind; 0: there is none. */
static void count_session(struct info *i, const struct session_row *s,
			  uint32_t end)
{
	uint64_t there =
		sizes_count(&i->sizes, s->first_volume, end ? end : UINT32_MAX);
	uint64_t due = end > s->first_volume ? end - s->first_volume
		       : there		     ? there
					     : 1;

	i->sessions++;
	i->problems += s->problems;
	i->new_bytes += s->new_bytes;
	i->unique_bytes += s->unique_bytes;
	i->stream += s->stream;
	i->stored += sizes_between(&i->sizes, s->first_volume,
				   end ? end : UINT32_MAX);
	i->volumes += there;
	i->missing += due > there ? due - there : 0;
}

/* All sessions, or with `only` that one. */
static int sum(struct info *i, uint32_t only)
{
	struct session_row row = {0}, next;
	uint32_t epoch = 0;
	int more;

	do {
		memset(&next, 0, sizeof(next));
		more = catalog_session_after(i->target.catalog, row.id, &next);
		if (more >= 0 && row.id && (!only || row.id == only)) {
			count_session(i, &row, more ? next.first_volume : 0);
			i->epochs += row.epoch != epoch;
			epoch = row.epoch;
		}
		session_row_release(&row);
		row = next;
	} while (more == 1);
	return more;
}

static const char *compression_text(const struct set_config *c, char *text,
				    size_t room)
{
	if (c->compression == COMPRESSION_NONE)
		return "none";
	if (!c->level)
		return "zstd";
	snprintf(text, room, "zstd:%d", c->level);
	return text;
}

static void set_json(struct info *i, const char *name)
{
	const struct set_config *c = &i->target.set->config;
	char uuid[37], how[24];
	struct json j;

	set_uuid_text(c->uuid, uuid);
	json_begin(&j);
	json_text(&j, "set", c->name ? c->name : "");
	json_text(&j, "uuid", uuid);
	json_text(&j, "compression", compression_text(c, how, sizeof(how)));
	json_number(&j, "volume_size", c->volume_size);
	if (*name)
		json_text(&j, "snapshot", name);
	json_number(&j, "sessions", i->sessions);
	json_number(&j, "epochs", i->epochs);
	json_number(&j, "volumes", i->volumes);
	json_number(&j, "missing_volumes", i->missing);
	json_number(&j, "files", i->shown.files);
	json_number(&j, "directories", i->shown.directories);
	json_number(&j, "logical_size", i->shown.bytes);
	json_number(&j, "read_size", i->new_bytes);
	json_number(&j, "unique_size", i->unique_bytes);
	json_number(&j, "stream_size", i->stream);
	json_number(&j, "stored_size", i->stored);
	json_number(&j, "saved_by_single_instance",
		    saved(i->new_bytes, i->unique_bytes));
	json_number(&j, "saved_by_compression", saved(i->stream, i->stored));
	json_number(&j, "problems", i->problems);
	json_end(&j);
}

static void set_text(struct info *i, const char *name)
{
	const struct set_config *c = &i->target.set->config;
	char uuid[37], how[24];

	set_uuid_text(c->uuid, uuid);
	line_text("set", c->name ? c->name : "");
	line_text("uuid", uuid);
	line_text("compression", compression_text(c, how, sizeof(how)));
	if (c->volume_size)
		line_bytes("volume size", c->volume_size);
	line_number("sessions", i->sessions);
	line_number("epochs", i->epochs);
	line_number("volumes", i->volumes);
	if (i->missing)
		line_number("missing volumes", i->missing);
	if (*name) {
		line_text("snapshot", name);
		line_number("  files", i->shown.files);
		line_number("  directories", i->shown.directories);
		line_bytes("  logical size", i->shown.bytes);
	}
	line_bytes("files read", i->new_bytes);
	line_bytes("saved by single instance",
		   saved(i->new_bytes, i->unique_bytes));
	line_bytes("archives", i->stream);
	line_bytes("saved by compression", saved(i->stream, i->stored));
	line_bytes("stored size", i->stored);
}

static int info_set(struct info *i)
{
	struct catalog *c = i->target.catalog;
	uint32_t id = 0;
	char name[40] = "";
	int error;

	if (i->target.snapped)
		error = target_session(&i->target, i->target.snapped, &id);
	else
		error = catalog_newest(c, &id);
	if (!error)
		error = sizes_read(&i->sizes, i->target.set);
	if (!error && id)
		error = catalog_session(c, id, &i->shown);
	if (!error && id)
		error = catalog_session_name(c, id, name);
	if (!error)
		error = sum(i, i->target.snapped ? id : 0);
	if (error)
		return target_trouble(&i->target, NULL, error);
	if (i->json)
		set_json(i, name);
	else
		set_text(i, name);
	return i->target.snapped || !i->target.set->config.tape
		       ? 0
		       : cartridges_print(c, i->json);
}

/* Where a content lies: the frames of its first and last byte. */
struct place_on_medium {
	bool known;
	struct content_row content;
	uint64_t copies;
	struct frame first, last;
};

static int locate(struct listing *l, const struct inode_row *i,
		  struct place_on_medium *p)
{
	uint64_t length;
	int error;

	memset(p, 0, sizeof(*p));
	if (!i->content)
		return 0;
	error = tree_content(l->lookup, i->content, &p->content);
	if (error)
		return error == REEL_ENOENT ? REEL_EDAMAGED : error;
	p->known = true;
	length = content_stored(&p->content);
	error = tree_content_copies(l->lookup, i->content, &p->copies);
	if (!error)
		error = catalog_find_frame(l->lookup, p->content.session,
					   p->content.offset, &p->first);
	if (!error)
		error = catalog_find_frame(l->lookup, p->content.session,
					   p->content.offset +
						   (length ? length - 1 : 0),
					   &p->last);
	return error == REEL_ENOENT ? REEL_EDAMAGED : error;
}

static void path_json(const struct place_on_medium *p, struct json *j)
{
	json_number(j, "content", p->content.id);
	json_number(j, "stored_in_session", p->content.session);
	json_number(j, "offset", p->content.offset);
	json_number(j, "stored_bytes", content_stored(&p->content));
	json_bool(j, "sparse", p->content.sparse);
	json_number(j, "copies", p->copies);
	json_number(j, "volume", p->first.volume);
	json_number(j, "last_volume", p->last.volume);
	json_number(j, "frame_position", p->first.position);
	json_number(j, "frame_stored", p->first.stored);
}

static void path_text(struct info *i, const struct place_on_medium *p)
{
	struct medium *m = i->target.set->medium;
	char volume[MEDIUM_NAME];

	medium_name(m, p->first.volume, p->first.position, volume);
	line_number("stored in session", p->content.session);
	line_text("volume", volume);
	if (p->last.volume != p->first.volume) {
		medium_name(m, p->last.volume, p->last.position, volume);
		line_text("  up to", volume);
	}
	line_number("frame at byte", p->first.position);
	line_number("offset in the archive", p->content.offset);
	line_bytes("bytes in the archive", content_stored(&p->content));
	line_number("names that share it", p->copies);
	if (p->content.sparse)
		line_number("runs of data (sparse)", p->content.run_count);
}

static int put_xattrs(struct listing *l, uint64_t id)
{
	struct buffer packed = {0};
	struct xattr_cursor c;
	struct xattr x;
	int more, error = tree_xattrs(l->lookup, id, &packed);

	if (error)
		return error;
	c = xattr_cursor(packed.data, packed.length);
	while ((more = xattr_next(&c, &x)) == 1) {
		char *name = text_name(x.name, x.name_length);

		printf("%-26s%s, %" PRIu32 " bytes\n", "xattr",
		       name ? name : "?", x.value_length);
		free(name);
	}
	buffer_release(&packed);
	return more;
}

static int put_path(struct info *i, struct listing *l, const char *path,
		    const struct entry_row *e, const struct place_on_medium *p)
{
	struct digest digest;
	struct json j;
	int has, error;

	if (i->json) {
		json_begin(&j);
		error = listing_fields(l, &j, path, e);
		if (p->known)
			path_json(p, &j);
		json_end(&j);
		return error;
	}
	l->details = true;
	error = listing_print(l, path, e);
	has = listing_digest(l, &e->inode, &digest);
	if (has == 1) {
		printf("%-26s", "hash");
		for (int n = 0; n < DIGEST_SIZE; n++)
			printf("%02x", digest.b[n]);
		putchar('\n');
	}
	line_number("inode", tree_pack(i->session, e));
	if (p->known)
		path_text(i, p);
	if (!error && has >= 0 && e->inode.xattrs)
		error = put_xattrs(l, e->inode.xattrs);
	return has < 0 ? has : error;
}

static int info_path(struct info *i, const char *path)
{
	struct place_on_medium place = {0};
	struct listing l = {0};
	struct entry_row e;
	int error = target_session(&i->target, i->target.snapped, &i->session);

	if (error)
		return error;
	error = listing_init(&l, &i->target, i->session);
	if (!error)
		error = tree_resolve(i->target.catalog, i->session, path,
				     strlen(path), &e);
	if (!error)
		error = locate(&l, &e.inode, &place);
	if (!error)
		error = put_path(i, &l, path, &e, &place);
	if (error)
		target_trouble(&i->target, path, error);
	if (place.known)
		content_row_release(&place.content);
	listing_release(&l);
	return error;
}

static int run(const struct command *self, int argc, char **argv)
{
	struct info i = {0};
	const struct option_spec specs[] = {{"json", 0, OPTION_FLAG, &i.json,
					     NULL, "the same as an object"},
					    {0}};
	char *path = NULL;
	int status, error = 0;

	if (!options_parse(self, specs, 1, 2, &argc, &argv, &status))
		return status;
	if (argc > 1)
		error = target_path(argv[1], &path);
	if (!error)
		error = target_open(&i.target, argv[0]);
	if (!error) {
		error = path ? info_path(&i, path) : info_set(&i);
		session_row_release(&i.shown);
		sizes_release(&i.sizes);
		target_close(&i.target);
	}
	free(path);
	return error_exit(error);
}

const struct command command_info = {
	.name = "info",
	.synopsis = "SET[@SNAP] [PATH] [--json]",
	.summary = "sizes and savings of a set; where a path lies",
	.details = "With PATH: its metadata, and which volume and place hold "
		   "its content.\n"
		   "A set on tape has its cartridges listed, too (with --json: "
		   "an object for each).\n",
	.run = run,
};
