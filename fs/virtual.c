#include "fs/virtual.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "catalog/needs.h"
#include "catalog/places.h"
#include "catalog/tapes.h"
#include "fs/view.h"
#include "tape/error.h"
#include "tape/medium_tape.h"

#define PREFIX "user.reel."

struct asked {
	struct set *set;
	struct catalog *catalog;
	struct content_row content;
};

/* ---- of the mount's root ---- */

static int get_pid(struct asked *a, struct buffer *out)
{
	(void)a;
	return buffer_printf(out, "%ld", (long)getpid());
}

static int get_set(struct asked *a, struct buffer *out)
{
	return buffer_append(out, a->set->path, strlen(a->set->path));
}

static int get_uuid(struct asked *a, struct buffer *out)
{
	char uuid[37];

	set_uuid_text(a->set->config.uuid, uuid);
	return buffer_append(out, uuid, strlen(uuid));
}

static int get_needed(struct asked *a, struct buffer *out)
{
	return tapes_needed(a->set, out);
}

static int get_moves(struct asked *a, struct buffer *out)
{
	uint64_t moves;

	if (!a->set->tapes)
		return REEL_ENODATA;
	moves = medium_tape_moves(a->set->medium);
	return buffer_printf(out, "%llu", (unsigned long long)moves);
}

/* ---- of files with content ---- */

static int get_hash(struct asked *a, struct buffer *out)
{
	int error = a->set->foreign ? REEL_ENOENT : 0;

	for (int n = 0; !error && n < DIGEST_SIZE; n++)
		error = buffer_printf(out, "%02x", a->content.digest.b[n]);
	return error;
}

static int get_sha256(struct asked *a, struct buffer *out)
{
	int error =
		a->content.has_sha256 && !a->content.sparse ? 0 : REEL_ENODATA;

	for (int n = 0; !error && n < SHA256_SIZE; n++)
		error = buffer_printf(out, "%02x", a->content.sha256.b[n]);
	return error;
}

static int get_session(struct asked *a, struct buffer *out)
{
	return buffer_printf(out, "%u", (unsigned)a->content.session);
}

/* All that it lies on, in the order of its bytes. */
static int get_volume(struct asked *a, struct buffer *out)
{
	struct needs n;
	int error = needs_of_content(a->set, a->catalog, &a->content, &n);

	for (size_t i = 0; !error && i < n.count; i++)
		error = buffer_printf(out, "%s%s", i ? ", " : "", n.names[i]);
	needs_release(&n);
	return error;
}

/* Of the cartridge that it begins on. */
static int get_barcode(struct asked *a, struct buffer *out)
{
	struct cartridge_label l = {0};
	struct place *p = NULL;
	struct frame f;
	size_t count, n = 0;
	int error = a->set->tapes
			    ? catalog_find_frame(a->catalog, a->content.session,
						 a->content.offset, &f)
			    : REEL_ENODATA;

	if (!error)
		error = places_of(a->catalog, f.volume, &p, &count);
	if (!error)
		while (n + 1 < count && !place_has(&p[n], f.position))
			n++;
	if (!error)
		error = places_cartridge(a->catalog, p[n].cartridge, &l);
	if (!error)
		error = *l.barcode ? buffer_append(out, l.barcode,
						   strlen(l.barcode))
				   : REEL_ENODATA;
	cartridge_label_release(&l);
	free(p);
	return error;
}

static int get_block(struct asked *a, struct buffer *out)
{
	bool plain = a->set->config.compression == COMPRESSION_NONE;
	struct frame f;
	int error = catalog_find_frame(a->catalog, a->content.session,
				       a->content.offset, &f);

	if (error)
		return error;
	return buffer_printf(
		out, "%llu",
		(unsigned long long)(f.position +
				     (plain ? a->content.offset - f.stream
					    : 0)));
}

static int get_copies(struct asked *a, struct buffer *out)
{
	uint64_t copies;
	int error = tree_content_copies(a->catalog, a->content.id, &copies);

	return error ? error
		     : buffer_printf(out, "%llu", (unsigned long long)copies);
}

static const struct {
	const char *name;
	bool root;
	int (*get)(struct asked *a, struct buffer *out);
} table[] = {
	{"pid", true, get_pid},		 {"set", true, get_set},
	{"uuid", true, get_uuid},	 {"hash", false, get_hash},
	{"needed", true, get_needed},	 {"moves", true, get_moves},
	{"barcode", false, get_barcode}, {"sha256", false, get_sha256},
	{"session", false, get_session}, {"volume", false, get_volume},
	{"block", false, get_block},	 {"copies", false, get_copies},
};

bool virtual_is(const char *name)
{
	return !strncmp(name, PREFIX, sizeof(PREFIX) - 1);
}

static int find_content(struct catalog *c, uint64_t id, uint64_t *content)
{
	struct inode_row row;
	int error = view_is_file(id) ? tree_inode(c, id, &row) : REEL_ENOENT;

	*content = error ? 0 : row.content;
	return error;
}

int virtual_of_content(struct set *set, struct catalog *c, uint64_t content,
		       const char *name, struct buffer *out)
{
	struct asked a = {.set = set, .catalog = c};
	int error = REEL_ENOENT;

	for (size_t n = 0; content && n < sizeof(table) / sizeof(table[0]);
	     n++) {
		if (table[n].root ||
		    strcmp(name + sizeof(PREFIX) - 1, table[n].name) != 0)
			continue;
		error = tree_content(c, content, &a.content);
		if (!error)
			error = table[n].get(&a, out);
		content_row_release(&a.content);
	}
	return error;
}

int virtual_get(struct set *set, struct catalog *c, uint64_t id,
		const char *name, struct buffer *out)
{
	struct asked a = {.set = set, .catalog = c};
	uint64_t content;
	int error;

	for (size_t n = 0; n < sizeof(table) / sizeof(table[0]); n++) {
		if (table[n].root &&
		    !strcmp(name + sizeof(PREFIX) - 1, table[n].name))
			return id == VIEW_ROOT ? table[n].get(&a, out)
					       : REEL_ENOENT;
	}
	error = find_content(c, id, &content);
	return error ? error : virtual_of_content(set, c, content, name, out);
}
