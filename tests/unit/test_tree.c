#include <CUnit/CUnit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "tape/buffer.h"
#include "tape/error.h"
#include "tests/unit/sample.h"

static struct sample s;

static int begin(void)
{
	sample_make(&s);
	return 0;
}

static int end(void)
{
	sample_end(&s);
	return 0;
}

static int resolve(uint32_t session, const char *path, struct entry_row *e)
{
	return tree_resolve(s.catalog, session, path, strlen(path), e);
}

/* The names of a listing in one string, each behind a blank. */
static void names_of(struct tree_cursor *t, struct buffer *out)
{
	struct entry_row e;
	int step;

	out->length = 0;
	while ((step = tree_step(t, &e)) == 1)
		CU_ASSERT_EQUAL(
			buffer_printf(out, " %.*s", (int)e.name_length, e.name),
			0);
	CU_ASSERT_EQUAL(step, 0);
	CU_ASSERT_EQUAL(tree_step(t, &e), 0);
	tree_end(t);
}

static void check_list(uint32_t session, uint64_t parent, const char *after,
		       const char *want)
{
	struct tree_cursor *t;
	struct buffer got = {0};

	CU_ASSERT_EQUAL_FATAL(tree_list_after(s.catalog, session, parent, after,
					      strlen(after), &t),
			      0);
	names_of(t, &got);
	CU_ASSERT_EQUAL_FATAL(buffer_append(&got, "", 1), 0);
	CU_ASSERT_STRING_EQUAL((char *)got.data, want);
	buffer_release(&got);
}

#define EVEN " n00 n02 n04 n06 n08 n10 n12 n14 n16 n18"
#define ALL                                                                    \
	" n00 n01 n02 n03 n04 n05 n06 n07 n08 n09 n10 n11 n12 n13 n14 n15"     \
	" n16 n17 n18 n19"

static void listings(void)
{
	check_list(1, TREE_ROOT, "", " a b d dup" ALL " thing to");
	check_list(2, TREE_ROOT, "", " a d dup" ALL " thing to");
	check_list(3, TREE_ROOT, "", " a d dup" EVEN " thing to");
	check_list(1, s.d, "", " sub x");
	check_list(2, s.d, "", "");
	check_list(3, s.d, "", "");
	check_list(3, s.new_d, "", " x");
	check_list(2, s.new_d, "", "");
	check_list(2, s.thing, "", " in");
	check_list(1, s.sub, "", " deep");
	check_list(2, s.sub, "", "");
	check_list(1, 12345, "", "");
	check_list(1, 0, "", "");
}

static void listings_after(void)
{
	check_list(1, TREE_ROOT, "n18", " n19 thing to");
	check_list(3, TREE_ROOT, "n16", " n18 thing to");
	check_list(1, TREE_ROOT, "a", " b d dup" ALL " thing to");
	check_list(2, TREE_ROOT, "a", " d dup" ALL " thing to");
	check_list(1, TREE_ROOT, "nz", " thing to");
	check_list(1, TREE_ROOT, "thing", " to");
	check_list(1, TREE_ROOT, "to", "");
	check_list(1, TREE_ROOT, "\xff", "");
}

/* More cursors at once than are kept for use again. */
static void many_cursors(void)
{
	struct tree_cursor *t[20];
	struct entry_row e;
	struct buffer got = {0};

	for (int n = 0; n < 20; n++)
		CU_ASSERT_EQUAL_FATAL(tree_list(s.catalog, 1, TREE_ROOT, &t[n]),
				      0);
	for (int n = 0; n < 20; n++)
		for (int k = 0; k <= n; k++)
			CU_ASSERT_EQUAL(tree_step(t[n], &e), 1);
	for (int n = 0; n < 20; n += 2)
		tree_end(t[n]);
	for (int n = 1; n < 20; n += 2)
		names_of(t[n], &got);
	check_list(1, s.d, "", " sub x");
	tree_end(NULL);
	buffer_release(&got);
}

static void lookups(void)
{
	struct entry_row a, b, dup, e;

	CU_ASSERT_EQUAL_FATAL(resolve(1, "a", &a), 0);
	CU_ASSERT_EQUAL_FATAL(resolve(1, "b", &b), 0);
	CU_ASSERT_EQUAL_FATAL(resolve(1, "dup", &dup), 0);
	CU_ASSERT_EQUAL(a.inode.id, b.inode.id);
	CU_ASSERT_NOT_EQUAL(a.inode.id, dup.inode.id);
	CU_ASSERT_EQUAL(a.inode.content, dup.inode.content);
	CU_ASSERT_EQUAL(a.inode.content, s.a);
	CU_ASSERT_EQUAL(a.inode.size, SAMPLE_SIZE);
	CU_ASSERT_EQUAL(a.inode.mode, S_IFREG | 0644);
	CU_ASSERT_EQUAL(a.inode.mtime, SAMPLE_TIME - 5);
	CU_ASSERT_EQUAL(a.inode.atime, a.inode.mtime);
	CU_ASSERT_EQUAL(a.inode.ctime, SAMPLE_TIME - 4);
	CU_ASSERT_EQUAL(a.since, 1);
	CU_ASSERT_EQUAL(a.until, 2);
	CU_ASSERT_EQUAL(dup.until, 0);
	CU_ASSERT_EQUAL(a.parent, TREE_ROOT);
	CU_ASSERT_EQUAL_FATAL(resolve(2, "a", &e), 0);
	CU_ASSERT_EQUAL(e.inode.content, s.b);
	CU_ASSERT_EQUAL(e.since, 2);
	CU_ASSERT_EQUAL_FATAL(resolve(3, "a", &a), 0);
	CU_ASSERT_EQUAL(e.inode.id, a.inode.id);
	CU_ASSERT_EQUAL(resolve(2, "b", &e), REEL_ENOENT);
	CU_ASSERT_EQUAL(resolve(0, "a", &e), REEL_ENOENT);
	CU_ASSERT_EQUAL(tree_lookup(s.catalog, 1, TREE_ROOT, "A", 1, &e),
			REEL_ENOENT);
}

static void paths(void)
{
	struct entry_row e;

	CU_ASSERT_EQUAL_FATAL(resolve(1, "", &e), 0);
	CU_ASSERT_EQUAL(e.node, TREE_ROOT);
	CU_ASSERT_EQUAL_FATAL(resolve(1, "d/sub/deep", &e), 0);
	CU_ASSERT_EQUAL(e.inode.size, 0);
	CU_ASSERT_EQUAL(e.parent, s.sub);
	CU_ASSERT_EQUAL(resolve(1, "./d//sub/", &e), 0);
	CU_ASSERT_EQUAL(e.node, s.sub);
	CU_ASSERT_EQUAL(resolve(1, "a/x", &e), REEL_ENOTDIR);
	CU_ASSERT_EQUAL(resolve(2, "d/x", &e), REEL_ENOTDIR);
	CU_ASSERT_EQUAL(resolve(1, "d/y", &e), REEL_ENOENT);
	CU_ASSERT_EQUAL(resolve(1, "y/x", &e), REEL_ENOENT);
}

static void is_path(struct tree_trail *t, uint64_t parent, const char *name,
		    const char *wanted)
{
	struct buffer path = {0};

	CU_ASSERT_EQUAL(
		tree_path(s.catalog, t, 1, parent, name, strlen(name), &path),
		0);
	CU_ASSERT_EQUAL_FATAL(path.length, strlen(wanted));
	CU_ASSERT(!path.length || !memcmp(path.data, wanted, strlen(wanted)));
	buffer_release(&path);
}

/* One after the other on one trail, down, up, aside, after an error. */
static void paths_upwards(void)
{
	struct tree_trail t = {0};
	struct buffer path = {0};

	is_path(&t, s.sub, "deep", "d/sub/deep");
	is_path(&t, s.sub, "deep", "d/sub/deep");
	is_path(&t, TREE_ROOT, "", "");
	is_path(&t, s.d, "x", "d/x");
	is_path(&t, s.sub, "", "d/sub");
	is_path(&t, s.d, "x", "d/x");
	CU_ASSERT_EQUAL(tree_path(s.catalog, &t, 2, s.sub, "deep", 4, &path),
			REEL_ENOENT);
	is_path(&t, TREE_ROOT, "a", "a");
	is_path(&t, s.sub, "deep", "d/sub/deep");
	buffer_release(&path);
	tree_trail_release(&t);
}

/* A directory, a file, a directory again: each under its own number. */
static void changed_kinds(void)
{
	struct entry_row e;

	CU_ASSERT_EQUAL_FATAL(resolve(1, "d", &e), 0);
	CU_ASSERT_EQUAL(e.node, s.d);
	CU_ASSERT_EQUAL(tree_pack(1, &e), UINT64_C(1) << TREE_ID_BITS | s.d);
	CU_ASSERT_EQUAL_FATAL(resolve(2, "d", &e), 0);
	CU_ASSERT_EQUAL(e.node, 0);
	CU_ASSERT(S_ISREG(e.inode.mode));
	CU_ASSERT_EQUAL(tree_pack(2, &e), e.inode.id);
	CU_ASSERT_EQUAL_FATAL(resolve(3, "d", &e), 0);
	CU_ASSERT_EQUAL(e.node, s.new_d);
	CU_ASSERT_NOT_EQUAL(s.d, s.new_d);
	CU_ASSERT_EQUAL(resolve(1, "d/x", &e), 0);
	CU_ASSERT_EQUAL(e.until, 2);
	CU_ASSERT_EQUAL(resolve(3, "d/x", &e), 0);
	CU_ASSERT_EQUAL(e.since, 3);
	CU_ASSERT_EQUAL(resolve(2, "thing/in", &e), 0);
	CU_ASSERT_EQUAL(e.until, 3);
	CU_ASSERT_EQUAL(resolve(3, "thing/in", &e), REEL_ENOTDIR);
	CU_ASSERT_EQUAL(tree_directory(s.catalog, 1, s.d, &e), 0);
	CU_ASSERT_EQUAL(e.name_length, 1);
	CU_ASSERT_EQUAL(memcmp(e.name, "d", 1), 0);
	CU_ASSERT_EQUAL(tree_directory(s.catalog, 2, s.d, &e), REEL_ENOENT);
	CU_ASSERT_EQUAL(tree_directory(s.catalog, 2, s.new_d, &e), REEL_ENOENT);
}

static void symlinks(void)
{
	struct entry_row e;

	CU_ASSERT_EQUAL_FATAL(resolve(2, "to", &e), 0);
	CU_ASSERT_EQUAL(e.inode.target_length, 10);
	CU_ASSERT_EQUAL(memcmp(e.inode.target, "one/target", 10), 0);
	CU_ASSERT_EQUAL_FATAL(resolve(3, "to", &e), 0);
	CU_ASSERT_EQUAL(e.inode.target_length, 7);
	CU_ASSERT_EQUAL(memcmp(e.inode.target, "another", 7), 0);
}

static int add_since(void *context, const struct entry_row *e)
{
	return buffer_printf(context, " %u-%u%s", (unsigned)e->since,
			     (unsigned)e->until, e->node ? "/" : "");
}

static int stop(void *context, const struct entry_row *e)
{
	(void)e;
	++*(int *)context;
	return 42;
}

static void check_versions(const char *name, const char *want)
{
	struct buffer got = {0};

	CU_ASSERT_EQUAL(tree_versions(s.catalog, TREE_ROOT, name, strlen(name),
				      add_since, &got),
			0);
	CU_ASSERT_EQUAL_FATAL(buffer_append(&got, "", 1), 0);
	CU_ASSERT_STRING_EQUAL((char *)got.data, want);
	buffer_release(&got);
}

static void versions(void)
{
	int calls = 0;

	check_versions("a", " 1-2 2-0");
	check_versions("b", " 1-2");
	check_versions("d", " 1-2/ 2-3 3-0/");
	check_versions("thing", " 1-2 2-3/ 3-0");
	check_versions("dup", " 1-0");
	check_versions("none", "");
	CU_ASSERT_EQUAL(
		tree_versions(s.catalog, TREE_ROOT, "d", 1, stop, &calls), 42);
	CU_ASSERT_EQUAL(calls, 1);
}

/* Every name that ever was, in order and once. */
static void next_names(void)
{
	struct buffer name = {0}, all = {0}, after = {0};

	while (!tree_next_name(s.catalog, TREE_ROOT, (char *)after.data,
			       after.length, &name)) {
		CU_ASSERT_EQUAL(buffer_printf(&all, " %.*s", (int)name.length,
					      (char *)name.data),
				0);
		after.length = 0;
		CU_ASSERT_EQUAL(buffer_append(&after, name.data, name.length),
				0);
	}
	CU_ASSERT_EQUAL_FATAL(buffer_append(&all, "", 1), 0);
	CU_ASSERT_STRING_EQUAL((char *)all.data, " a b d dup" ALL " thing to");
	CU_ASSERT_EQUAL(tree_next_name(s.catalog, TREE_ROOT, "to", 2, &name),
			REEL_ENOENT);
	buffer_release(&name);
	buffer_release(&all);
	buffer_release(&after);
}

static int count_inode(void *context, const struct inode_row *i)
{
	uint64_t *last = context;

	CU_ASSERT(i->id > *last);
	*last = i->id;
	return 0;
}

static void inodes(void)
{
	struct entry_row e;
	struct inode_row row;
	uint64_t last = 0;

	CU_ASSERT_EQUAL_FATAL(resolve(1, "a", &e), 0);
	CU_ASSERT_EQUAL(tree_inode(s.catalog, e.inode.id, &row), 0);
	CU_ASSERT_EQUAL(row.content, s.a);
	CU_ASSERT_EQUAL(row.source, 77);
	CU_ASSERT_EQUAL(tree_inode(s.catalog, 999999, &row), REEL_ENOENT);
	CU_ASSERT_EQUAL(
		tree_inodes_after(s.catalog, 0, 1000, count_inode, &last), 0);
	CU_ASSERT(last > 25);
	last = e.inode.id;
	CU_ASSERT_EQUAL(
		tree_inodes_after(s.catalog, last, 2, count_inode, &last), 0);
	CU_ASSERT_EQUAL(last, e.inode.id + 2);
}

static void contents(void)
{
	struct content_row row;
	uint64_t copies = 0;

	CU_ASSERT_EQUAL_FATAL(tree_content(s.catalog, s.b, &row), 0);
	CU_ASSERT_EQUAL(row.id, s.b);
	CU_ASSERT_EQUAL(row.size, SAMPLE_SIZE);
	CU_ASSERT_EQUAL(row.session, 2);
	CU_ASSERT_EQUAL(row.offset, 'B' * 10);
	CU_ASSERT_EQUAL(row.digest.b[15], 'B');
	CU_ASSERT_FALSE(row.sparse);
	CU_ASSERT_EQUAL(content_stored(&row), SAMPLE_SIZE);
	content_row_release(&row);
	CU_ASSERT_EQUAL(tree_content(s.catalog, 999, &row), REEL_ENOENT);
	CU_ASSERT_EQUAL(tree_content_copies(s.catalog, s.a, &copies), 0);
	CU_ASSERT_EQUAL(copies, 11);
	CU_ASSERT_EQUAL(tree_content_copies(s.catalog, s.x, &copies), 0);
	CU_ASSERT_EQUAL(copies, 1);
}

static void xattrs_and_owners(void)
{
	struct buffer set = {0};
	bool xattrs = false, acls = true;
	char *name = NULL;

	CU_ASSERT_EQUAL(tree_xattrs(s.catalog, s.xattrs, &set), 0);
	CU_ASSERT_EQUAL(set.length, 6);
	CU_ASSERT_EQUAL(memcmp(set.data, "packed", 6), 0);
	CU_ASSERT_EQUAL(tree_xattrs(s.catalog, 99, &set), REEL_EDAMAGED);
	buffer_release(&set);
	CU_ASSERT_EQUAL(tree_has_xattrs(s.catalog, &xattrs, &acls), 0);
	CU_ASSERT_TRUE(xattrs);
	CU_ASSERT_FALSE(acls);
	CU_ASSERT_EQUAL_FATAL(tree_owner_name(s.catalog, false, 1000, &name),
			      0);
	CU_ASSERT_STRING_EQUAL(name, "user");
	free(name);
	CU_ASSERT_EQUAL_FATAL(tree_owner_name(s.catalog, true, 1000, &name), 0);
	CU_ASSERT_STRING_EQUAL(name, "users");
	free(name);
	CU_ASSERT_EQUAL(tree_owner_name(s.catalog, true, 5, &name),
			REEL_ENOENT);
}

/* A reader of its own connection sees the same, held or not. */
static void readers(void)
{
	struct catalog *writer = s.catalog;

	CU_ASSERT_EQUAL_FATAL(catalog_open_reader(s.set, &s.catalog), 0);
	catalog_hold(s.catalog);
	catalog_hold(s.catalog);
	listings();
	catalog_let_go(s.catalog);
	catalog_let_go(s.catalog);
	lookups();
	catalog_close(s.catalog);
	s.catalog = writer;
}

void suite_tree(void);
void suite_tree(void)
{
	CU_pSuite suite = CU_add_suite("tree", begin, end);

	CU_add_test(suite, "listings", listings);
	CU_add_test(suite, "listings after a name", listings_after);
	CU_add_test(suite, "many cursors", many_cursors);
	CU_add_test(suite, "lookups", lookups);
	CU_add_test(suite, "paths", paths);
	CU_add_test(suite, "paths upwards", paths_upwards);
	CU_add_test(suite, "changed kinds", changed_kinds);
	CU_add_test(suite, "symlinks", symlinks);
	CU_add_test(suite, "versions", versions);
	CU_add_test(suite, "next names", next_names);
	CU_add_test(suite, "inodes", inodes);
	CU_add_test(suite, "contents", contents);
	CU_add_test(suite, "xattrs and owners", xattrs_and_owners);
	CU_add_test(suite, "readers", readers);
}
