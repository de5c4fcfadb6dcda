/* A catalogue of arbitrary bytes, opened as a reader and asked everything. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "catalog/catalog.h"
#include "catalog/contents.h"
#include "catalog/tree.h"
#include "tape/buffer.h"
#include "tape/error.h"
#include "tests/fuzz/fuzz.h"

#define STEPS 300 /* of one walk, one listing, one cursor */

static int few(void *context, const void *row)
{
	(void)row;
	return ++*(int *)context >= STEPS;
}

static int few_frames(void *context, const struct frame *f)
{
	FUZZ_CHECK(f->length && f->length <= FRAME_LIMIT);
	FUZZ_CHECK(f->stored <= FRAME_LIMIT);
	return few(context, f);
}

static int few_inodes(void *context, const struct inode_row *i)
{
	return few(context, i);
}

static int few_entries(void *context, const struct entry_row *e)
{
	FUZZ_CHECK(e->name_length <= TREE_NAME_LIMIT);
	return few(context, e);
}

static void ask_content(struct catalog *c, uint64_t id)
{
	struct content_row row;
	struct frame f;
	uint64_t copies;

	if (tree_content(c, id, &row))
		return;
	FUZZ_CHECK(row.size <= INT64_MAX);
	for (size_t n = 0; n < row.run_count; n++)
		FUZZ_CHECK(row.runs[n].length <= row.size);
	content_stored(&row);
	catalog_find_frame(c, row.session, row.offset, &f);
	tree_content_copies(c, id, &copies);
	content_row_release(&row);
}

static void ask_entry(struct catalog *c, uint32_t session,
		      const struct entry_row *e)
{
	struct buffer text = {0};
	struct tree_trail trail = {0};
	struct entry_row again;
	char *name = NULL;
	int calls = 0;

	FUZZ_CHECK(e->name_length && e->name_length <= TREE_NAME_LIMIT);
	FUZZ_CHECK(!memchr(e->name, '/', e->name_length));
	FUZZ_CHECK(!memchr(e->name, '\0', e->name_length));
	FUZZ_CHECK(!(e->name_length == 1 && e->name[0] == '.'));
	FUZZ_CHECK(!(e->name_length == 2 && !memcmp(e->name, "..", 2)));
	tree_path(c, &trail, session, e->parent, e->name, e->name_length,
		  &text);
	tree_trail_release(&trail);
	text.length = 0;
	tree_lookup(c, session, e->parent, e->name, e->name_length, &again);
	tree_versions(c, e->parent, e->name, e->name_length, few_entries,
		      &calls);
	if (e->node)
		tree_directory(c, session, e->node, &again);
	if (e->inode.content)
		ask_content(c, e->inode.content);
	if (e->inode.xattrs)
		tree_xattrs(c, e->inode.xattrs, &text);
	if (!tree_owner_name(c, false, e->inode.uid, &name))
		free(name);
	buffer_release(&text);
}

static void walk(struct catalog *c, uint32_t session, uint64_t node, int depth,
		 int *steps)
{
	struct tree_cursor *t;
	struct entry_row e;

	if (depth > 20 || tree_list(c, session, node, &t))
		return;
	while (++*steps < STEPS && tree_step(t, &e) == 1) {
		ask_entry(c, session, &e);
		if (e.node)
			walk(c, session, e.node, depth + 1, steps);
	}
	tree_end(t);
}

static void ask_session(struct catalog *c, uint32_t id)
{
	struct content_cursor *k;
	struct content_row row;
	struct entry_row e;
	struct frame f;
	char name[40];
	uint32_t found;
	int calls = 0, steps = 0;

	if (!catalog_session_name(c, id, name))
		catalog_find_session(c, name, &found);
	catalog_each_frame(c, id, few_frames, &calls);
	for (uint64_t at = 0; at < 5; at++)
		if (!catalog_find_frame(c, id, at << (8 * at), &f))
			FUZZ_CHECK(f.stream <= at << (8 * at));
	tree_resolve(c, id, "d/x", 3, &e);
	walk(c, id, TREE_ROOT, 0, &steps);
	if (contents_open(c, id, &k))
		return;
	for (steps = 0; steps < STEPS && contents_step(k, &row) == 1; steps++)
		content_row_release(&row);
	contents_close(k);
}

static void ask(struct catalog *c)
{
	struct session_row row;
	struct buffer name = {0}, after = {0};
	bool xattrs, acls;
	uint32_t newest, id = 0;
	int calls = 0;

	catalog_newest(c, &newest);
	for (int n = 0; n < 5 && catalog_session_after(c, id, &row) == 1; n++) {
		id = row.id;
		session_row_release(&row);
		ask_session(c, id);
	}
	catalog_find_session(c, "latest", &id);
	catalog_find_session(c, "label", &id);
	tree_inodes_after(c, 0, STEPS, few_inodes, &calls);
	calls = 0;
	contents_each_name(c, 0, few_entries, &calls);
	tree_has_xattrs(c, &xattrs, &acls);
	for (int n = 0; n < STEPS && !tree_next_name(c, 1, (char *)after.data,
						     after.length, &name);
	     n++) {
		after.length = 0;
		if (buffer_append(&after, name.data, name.length))
			break;
	}
	buffer_release(&name);
	buffer_release(&after);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct set s = {.path = (char *)fuzz_place(),
			.directory = -1,
			.volumes = -1,
			.lock = -1,
			.read_only = true};
	struct catalog *c;

	fuzz_file("catalog.db", data, size);
	if (catalog_open_reader(&s, &c))
		return 0;
	ask(c);
	catalog_close(c);
	return 0;
}
