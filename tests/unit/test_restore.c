#include <CUnit/CUnit.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "fs/restore_links.h"
#include "fs/restore_place.h"
#include "tape/error.h"

struct target {
	char path[64];
	struct restore_options options;
	struct restore restore;
	struct place *root;
};

static void target_init(struct target *t)
{
	struct restore_entry e = {.content = {.id = 0}};

	memset(t, 0, sizeof(*t));
	snprintf(t->path, sizeof(t->path), "/tmp/reel-test-XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(t->path));
	t->restore.options = &t->options;
	place_budget(1, &t->restore.open);
	t->restore.root = open(t->path, O_RDONLY | O_DIRECTORY);
	t->restore.uid = geteuid();
	t->restore.gid = getegid();
	pthread_mutex_init(&t->restore.telling, NULL);
	CU_ASSERT_FATAL(t->restore.root >= 0);
	CU_ASSERT_FATAL(clones_new(&t->restore, &t->restore.clones) == 0);
	CU_ASSERT_FATAL(place_root(&t->restore, t->restore.root, false, &e,
				   &t->root) == 0);
}

static void target_release(struct target *t)
{
	char command[128];

	place_put(&t->restore, t->root);
	clones_free(t->restore.clones);
	snprintf(command, sizeof(command), "rm -rf %s", t->path);
	CU_ASSERT(system(command) == 0);
}

static struct restore_entry entry_of(mode_t mode)
{
	struct restore_entry e = {.content = {.id = 0}};

	e.inode.mode = mode;
	e.inode.uid = geteuid();
	e.inode.gid = getegid();
	e.inode.nlink = 1;
	e.inode.mtime = 1600000000123456789;
	return e;
}

static struct place *enter(struct target *t, struct place *up, const char *name,
			   enum place_way way)
{
	struct restore_entry e = entry_of(S_IFDIR | 0750);
	struct place *p = NULL;

	CU_ASSERT_FATAL(place_enter(&t->restore, up, name, strlen(name), way,
				    &e, &p) == 0);
	return p;
}

static void test_names(void)
{
	char longest[TREE_NAME_LIMIT + 2];

	memset(longest, 'x', sizeof(longest));
	CU_ASSERT(place_name_valid("a", 1));
	CU_ASSERT(place_name_valid("...", 3));
	CU_ASSERT(place_name_valid(".a", 2));
	CU_ASSERT(place_name_valid(longest, TREE_NAME_LIMIT));
	CU_ASSERT(!place_name_valid(longest, TREE_NAME_LIMIT + 1));
	CU_ASSERT(!place_name_valid("", 0));
	CU_ASSERT(!place_name_valid(".", 1));
	CU_ASSERT(!place_name_valid("..", 2));
	CU_ASSERT(!place_name_valid("a/b", 3));
	CU_ASSERT(!place_name_valid("/", 1));
	CU_ASSERT(!place_name_valid("a\0b", 3));
}

static void test_times(void)
{
	struct timespec t = meta_time(-1);

	CU_ASSERT(t.tv_sec == -1 && t.tv_nsec == 999999999);
	t = meta_time(1500000000);
	CU_ASSERT(t.tv_sec == 1 && t.tv_nsec == 500000000);
	t = meta_time(INT64_MIN);
	CU_ASSERT(t.tv_nsec >= 0 && t.tv_nsec < 1000000000);
}

static void count_flags(void *context, const struct link_first *first,
			uint32_t flags)
{
	CU_ASSERT(flags == INODE_IMMUTABLE);
	CU_ASSERT_STRING_EQUAL(first->path, "first/name");
	CU_ASSERT(first->inode == 77);
	++*(int *)context;
}

static void test_links(void)
{
	struct restore_links *l;
	struct link_first first;
	int count = 0;

	CU_ASSERT_FATAL(links_new(&l) == 0);
	for (uint64_t i = 1; i <= 5000; i++) {
		char path[32];

		snprintf(path, sizeof(path), "p%llu", (unsigned long long)i);
		CU_ASSERT(links_add(l, i, 3, 0, path, i + 1) == 0);
	}
	CU_ASSERT(links_add(l, 1 << 20, 2, INODE_IMMUTABLE, "first/name", 77) ==
		  0);
	CU_ASSERT(links_find(l, 4999, &first) && first.inode == 5000);
	CU_ASSERT_STRING_EQUAL(first.path, "p4999");
	CU_ASSERT(!links_find(l, 5001, &first));
	links_met(l, 7);
	CU_ASSERT(links_find(l, 7, &first));
	links_met(l, 7);
	CU_ASSERT(!links_find(l, 7, &first));
	links_met(l, 7);
	links_met(l, 1 << 20);
	CU_ASSERT(links_find(l, 1 << 20, &first));
	links_each_flags(l, count_flags, &count);
	CU_ASSERT(count == 1);
	links_free(l);
	links_free(NULL);
}

/* A symlink where a directory belongs gives way; it is never followed. */
static void test_symlink_in_the_way(void)
{
	struct target t;
	struct place *p;
	struct stat st;

	target_init(&t);
	CU_ASSERT(symlinkat("/etc", t.root->fd, "d") == 0);
	CU_ASSERT(beneath_open(t.root->fd, "d") < 0);
	p = enter(&t, t.root, "d", PLACE_REPLACE);
	CU_ASSERT(p->fresh);
	place_put(&t.restore, p);
	CU_ASSERT(fstatat(t.root->fd, "d", &st, AT_SYMLINK_NOFOLLOW) == 0);
	CU_ASSERT(S_ISDIR(st.st_mode) && (st.st_mode & 07777) == 0750);
	CU_ASSERT(st.st_mtim.tv_sec == 1600000000);
	CU_ASSERT(st.st_mtim.tv_nsec == 123456789);
	CU_ASSERT(beneath_open(t.root->fd, "../etc") < 0);
	CU_ASSERT(beneath_open(t.root->fd, "/etc") < 0);
	target_release(&t);
}

static void test_file_over_file(void)
{
	struct restore_entry e = entry_of(S_IFREG | 0640);
	struct target t;
	struct stat st;
	int fd;

	target_init(&t);
	CU_ASSERT(symlinkat("outside", t.root->fd, "f") == 0);
	write_entry(&t.restore, t.root, "f", &e, NULL);
	CU_ASSERT(fstatat(t.root->fd, "f", &st, AT_SYMLINK_NOFOLLOW) == 0);
	CU_ASSERT(S_ISREG(st.st_mode) && (st.st_mode & 07777) == 0640);
	CU_ASSERT(faccessat(t.root->fd, "outside", F_OK, 0) != 0);
	fd = openat(t.root->fd, "f", O_WRONLY);
	CU_ASSERT(write(fd, "x", 1) == 1);
	close(fd);
	write_entry(&t.restore, t.root, "f", &e, NULL);
	CU_ASSERT(fstatat(t.root->fd, "f", &st, 0) == 0 && st.st_size == 0);
	write_entry(&t.restore, t.root, "f", &e, NULL);
	CU_ASSERT(atomic_load(&t.restore.same) == 1);
	CU_ASSERT(atomic_load(&t.restore.files) == 2);
	CU_ASSERT(atomic_load(&t.restore.problems) == 0);
	/* a directory that is not empty stays */
	CU_ASSERT(mkdirat(t.root->fd, "g", 0755) == 0);
	CU_ASSERT(mkdirat(t.root->fd, "g/h", 0755) == 0);
	write_entry(&t.restore, t.root, "g", &e, NULL);
	CU_ASSERT(faccessat(t.root->fd, "g/h", F_OK, 0) == 0);
	CU_ASSERT(atomic_load(&t.restore.problems) == 1);
	target_release(&t);
}

/* Deeper than a path can be long, with descriptors given up on the way. */
static void test_deep(void)
{
	const char *name = "a-name-of-some-length-for-deep-trees";
	struct target t;
	struct place *p, *up;
	char *path;
	int fd;

	target_init(&t);
	p = place_get(t.root);
	for (int i = 0; i < 200; i++) {
		up = p;
		p = enter(&t, up, name, PLACE_MAKE);
		place_put(&t.restore, up);
	}
	for (up = p->up; up->up; up = up->up)
		place_shut(&t.restore, up);
	path = place_path(p, NULL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(path);
	CU_ASSERT(strlen(path) > 4096);
	fd = beneath_open(t.root->fd, path);
	CU_ASSERT(fd >= 0);
	close(fd);
	free(path);
	while (p != t.root) {
		up = place_get(p->up);
		CU_ASSERT_FATAL(place_reopen(&t.restore, up) == 0);
		place_put(&t.restore, p);
		p = up;
	}
	place_put(&t.restore, p);
	CU_ASSERT(atomic_load(&t.restore.problems) == 0);
	target_release(&t);
}

void suite_restore(void);
void suite_restore(void)
{
	CU_pSuite s = CU_add_suite("restore", NULL, NULL);

	CU_add_test(s, "names", test_names);
	CU_add_test(s, "times", test_times);
	CU_add_test(s, "links", test_links);
	CU_add_test(s, "symlink in the way", test_symlink_in_the_way);
	CU_add_test(s, "file over file", test_file_over_file);
	CU_add_test(s, "deep", test_deep);
}
