/* What is lost under a name of an archive: large contents that a later member
 * overwrites get their reserved name first (A3), and the recipe's list clears
 * the way where a type changes. */
#include <stdlib.h>
#include "fs/archive.h"
#include "tape/error.h"

int archive_keep(struct archive *a, uint64_t content, const char *path,
		 size_t length)
{
	struct content_home home;
	struct buffer name = {0}, header = {0};
	int error = builder_home(a->builder, content, &home);

	if (error != REEL_ENOENT) {
		bool safe = !error && (home.kept || home.path);

		if (!error)
			free(home.path);
		if (error || safe)
			return error;
	}
	error = archive_keep_path(a, content, &name);
	struct member m = {.type = MEMBER_LINK,
			   .path = (char *)name.data,
			   .path_length = name.length,
			   .link = path,
			   .link_length = length,
			   .mode = 0600};
	size_t map;
	if (!error)
		error = member_encode(&m, &header, &map);
	if (!error)
		error = stream_write(a->stream, header.data, header.length);
	if (!error)
		error = builder_keep(a->builder, content);
	buffer_release(&header);
	buffer_release(&name);
	return error;
}

static int keep_below(struct archive *a, uint64_t node, struct buffer *path);

/* What stood under a name goes: large contents get their reserved name. */
static int keep_old(struct archive *a, uint64_t node,
		    const struct inode_row *old, struct buffer *path)
{
	if (node)
		return keep_below(a, node, path);
	if (!old->content || old->size < ARCHIVE_KEEP_LEAST)
		return 0;
	/* a content of an earlier epoch is not referred to in this one */
	if (builder_epoch(a->builder) == a->session)
		return 0;
	return archive_keep(a, old->content, (char *)path->data, path->length);
}

static int keep_below(struct archive *a, uint64_t node, struct buffer *path)
{
	struct tree_cursor *t;
	struct entry_row e;
	size_t length = path->length;
	int error = tree_list(a->catalog, a->session - 1, node, &t);
	int step = 0;

	while (!error && (step = tree_step(t, &e)) == 1) {
		path->length = length;
		error = buffer_append(path, "/", 1);
		if (!error)
			error = buffer_append(path, e.name, e.name_length);
		if (!error)
			error = keep_old(a, e.node, &e.inode, path);
	}
	if (!error && step < 0)
		error = step;
	if (!error || t)
		tree_end(t);
	path->length = length;
	return error;
}

int archive_lose(struct archive *a, const struct item *i)
{
	struct buffer path = {0};
	int error =
		buffer_append(&path, a->trail.path.data, a->trail.path.length);

	if (!error)
		error = keep_old(a, i->old_node, &i->old, &path);
	buffer_release(&path);
	return error;
}

int archive_list_name(struct archive *a, struct archive_list *l,
		      const char *verb, const char *target, size_t length)
{
	return archive_list_line(l, a->set->directory, verb,
				 (char *)a->trail.path.data,
				 a->trail.path.length, target, length);
}

int archive_replaced(struct archive *a, const struct item *i)
{
	int error = archive_lose(a, i);

	return error ? error : archive_list_name(a, &a->replaced, "", NULL, 0);
}
