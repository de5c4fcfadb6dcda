/* Few descriptors for many folders. */
#include "fs/folder_pool.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void suite_folder_pool(void);

#define LEVELS 40
#define LIMIT  3

struct chain {
	struct folder_pool pool;
	char path[64];
	struct folder *folders[LEVELS]; /* the root first */
};

static struct folder *enter(struct chain *c, struct folder *parent,
			    const char *name)
{
	int fd = parent ? openat(folder_use(parent), name,
				 O_RDONLY | O_DIRECTORY)
			: open(c->path, O_RDONLY | O_DIRECTORY);
	struct folder *f = folder_new(parent, parent ? name : "", fd);
	struct stat st;

	CU_ASSERT_FATAL(f && fd >= 0 && !fstat(fd, &st));
	f->device = st.st_dev;
	f->inode = st.st_ino;
	if (!parent)
		return f;
	folder_unuse(parent);
	folder_pool_add(&c->pool, f);
	return f;
}

static void begin(struct chain *c)
{
	snprintf(c->path, sizeof(c->path), "/tmp/reel-folders-XXXXXX");
	CU_ASSERT_FATAL(mkdtemp(c->path) != NULL);
	folder_pool_init(&c->pool, LIMIT);
	c->folders[0] = enter(c, NULL, "");
	for (int n = 1; n < LEVELS; n++) {
		int up = folder_use(c->folders[n - 1]);

		CU_ASSERT_EQUAL_FATAL(mkdirat(up, "d", 0700), 0);
		folder_unuse(c->folders[n - 1]);
		c->folders[n] = enter(c, c->folders[n - 1], "d");
	}
}

static void end(struct chain *c)
{
	char command[128];

	for (int n = LEVELS - 1; n >= 0; n--)
		folder_put(c->folders[n]);
	CU_ASSERT_EQUAL(c->pool.open, 0);
	CU_ASSERT_PTR_NULL(c->pool.newest);
	CU_ASSERT_PTR_NULL(c->pool.oldest);
	folder_pool_release(&c->pool);
	snprintf(command, sizeof(command), "rm -rf %s", c->path);
	CU_ASSERT_EQUAL(system(command), 0);
}

static bool is_itself(struct folder *f)
{
	struct stat st;
	int fd = folder_use(f);
	bool itself = fd >= 0 && !fstat(fd, &st) && st.st_ino == f->inode;

	if (fd >= 0)
		folder_unuse(f);
	return itself;
}

/* Whichever is asked for, in whatever order, it is that directory. */
static void deeper_than_descriptors(void)
{
	struct chain c;

	begin(&c);
	CU_ASSERT_EQUAL(c.pool.open, LIMIT);
	for (int n = 0; n < LEVELS; n++)
		CU_ASSERT(is_itself(c.folders[n * 7 % LEVELS]));
	for (int n = LEVELS - 1; n >= 0; n--)
		CU_ASSERT(is_itself(c.folders[n]));
	CU_ASSERT_EQUAL(c.pool.open, LIMIT);
	end(&c);
}

/* What is in use stays open, beyond the limit. */
static void in_use_stays(void)
{
	struct chain c;
	int fds[LEVELS];

	begin(&c);
	for (int n = 0; n < LEVELS; n++)
		fds[n] = folder_use(c.folders[n]);
	for (int n = 0; n < LEVELS; n++) {
		struct stat st;

		CU_ASSERT_EQUAL(fstat(fds[n], &st), 0);
		CU_ASSERT_EQUAL(st.st_ino, c.folders[n]->inode);
		folder_unuse(c.folders[n]);
	}
	CU_ASSERT(is_itself(c.folders[1]));
	end(&c);
}

/* Another directory under the name of one that was closed is not taken for
 * it, nor is a symlink to it. */
static void another_in_its_place(void)
{
	struct chain c;
	char path[96], aside[96];

	begin(&c);
	snprintf(path, sizeof(path), "%s/d/d", c.path);
	snprintf(aside, sizeof(aside), "%s/aside", c.path);
	CU_ASSERT_EQUAL_FATAL(rename(path, aside), 0);
	CU_ASSERT_EQUAL_FATAL(mkdir(path, 0700), 0);
	errno = 0;
	CU_ASSERT_EQUAL(folder_use(c.folders[2]), -1);
	CU_ASSERT_EQUAL(errno, ESTALE);
	CU_ASSERT_EQUAL(folder_use(c.folders[5]), -1);
	CU_ASSERT(is_itself(c.folders[1]));
	CU_ASSERT(is_itself(c.folders[LEVELS - 1]));
	CU_ASSERT_EQUAL_FATAL(rmdir(path), 0);
	CU_ASSERT_EQUAL_FATAL(symlink(aside, path), 0);
	CU_ASSERT_EQUAL(folder_use(c.folders[2]), -1);
	CU_ASSERT_EQUAL_FATAL(unlink(path), 0);
	CU_ASSERT_EQUAL_FATAL(rename(aside, path), 0);
	CU_ASSERT(is_itself(c.folders[5]));
	end(&c);
}

void suite_folder_pool(void)
{
	CU_pSuite suite = CU_add_suite("folder_pool", NULL, NULL);

	CU_add_test(suite, "deeper than descriptors", deeper_than_descriptors);
	CU_add_test(suite, "in use stays", in_use_stays);
	CU_add_test(suite, "another in its place", another_in_its_place);
}
