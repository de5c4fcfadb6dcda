/* A file of arbitrary bytes as a foreign archive: scanned into a set, and all
 * of it read. */
#include <stdlib.h>
#include <string.h>
#include "catalog/catalog.h"
#include "catalog/foreign.h"
#include "catalog/tree.h"
#include "tape/error.h"
#include "tests/fuzz/fuzz.h"

#define LEVELS 40

static void look_at(struct catalog *c, uint64_t node, int levels)
{
	struct tree_cursor *t;
	struct entry_row e;

	if (!levels || tree_list(c, 1, node, &t))
		return;
	while (tree_step(t, &e) == 1) {
		struct content_row content;

		FUZZ_CHECK(e.name_length && e.name_length <= TREE_NAME_LIMIT);
		FUZZ_CHECK(!memchr(e.name, '/', e.name_length));
		FUZZ_CHECK(e.name_length != 2 || memcmp(e.name, "..", 2));
		FUZZ_CHECK(e.inode.nlink >= 1);
		if (e.node) {
			look_at(c, e.node, levels - 1);
		} else if (e.inode.content) {
			FUZZ_CHECK(!tree_content(c, e.inode.content, &content));
			FUZZ_CHECK(content.size == e.inode.size);
			content_row_release(&content);
		}
	}
	tree_end(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *path = fuzz_file("archive", data, size);
	struct foreign *f;
	struct catalog *c;
	int error;

	setenv("TMPDIR", fuzz_place(), 1);
	error = foreign_open(path, NULL, &f);
	FUZZ_CHECK(!error || error == REEL_EINVAL || error == REEL_ERANGE);
	if (error)
		return 0;
	FUZZ_CHECK(!catalog_open_reader(foreign_set(f), &c));
	FUZZ_CHECK(!catalog_check(c));
	look_at(c, TREE_ROOT, LEVELS);
	catalog_close(c);
	foreign_close(f);
	return 0;
}
