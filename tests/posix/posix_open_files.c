/* Files that are open while their names change or go. */
#include "tests/posix/check.h"

#include <stdlib.h>
#include <sys/mman.h>

static bool reads(int fd, const char *text)
{
	char back[64];
	size_t n = strlen(text);

	return pread(fd, back, sizeof(back), 0) == (ssize_t)n &&
	       !memcmp(back, text, n);
}

static void open_files_unlinked(void)
{
	int fd = open_or_end("f", O_CREAT | O_RDWR, 0644);
	struct stat st;

	SAME(write(fd, "hello", 5), 5);
	WANT(unlink("f"), 0);
	TRUE(!there("f"));
	SAME(count_names("."), 0);
	WANT(fstat(fd, &st), 0);
	SAME(st.st_nlink, 0);
	SAME(st.st_size, 5);
	TRUE(reads(fd, "hello"));
	SAME(pwrite(fd, "J", 1, 0), 1);
	WANT(ftruncate(fd, 4), 0);
	TRUE(reads(fd, "Jell"));
	WANT(fchmod(fd, 0600), 0);
	WANT(fsync(fd), 0);
	fill("f", "another");
	TRUE(reads(fd, "Jell"));
	TRUE(holds("f", "another"));
	WANT(close(fd), 0);
	TRUE(holds("f", "another"));
	SAME(count_names("."), 1);
}

static void open_files_renamed(void)
{
	int fd = open_or_end("f", O_CREAT | O_RDWR, 0644);

	SAME(write(fd, "one", 3), 3);
	make_dir("d", 0755);
	WANT(rename("f", "d/g"), 0);
	SAME(write(fd, "two", 3), 3);
	TRUE(holds("d/g", "onetwo"));
	WANT(rename("d", "e"), 0);
	SAME(write(fd, "three", 5), 5);
	TRUE(holds("e/g", "onetwothree"));
	WANT(close(fd), 0);
	TRUE(holds("e/g", "onetwothree"));
}

static void open_files_replaced(void)
{
	fill("f", "old");
	int fd = open_or_end("f", O_RDWR, 0);
	struct stat st;

	fill("tmp", "new");
	WANT(rename("tmp", "f"), 0);
	TRUE(reads(fd, "old"));
	TRUE(holds("f", "new"));
	SAME(pwrite(fd, "O", 1, 0), 1);
	TRUE(reads(fd, "Old"));
	TRUE(holds("f", "new"));
	WANT(fstat(fd, &st), 0);
	SAME(st.st_nlink, 0);
	TRUE(st.st_ino != status("f").st_ino);
	close(fd);
	TRUE(holds("f", "new"));
}

static void open_files_twice(void)
{
	int a = open_or_end("f", O_CREAT | O_RDWR, 0644);
	int b = open_or_end("f", O_RDWR, 0);

	SAME(write(a, "from a", 6), 6);
	TRUE(reads(b, "from a"));
	SAME(pwrite(b, "B", 1, 5), 1);
	TRUE(reads(a, "from B"));
	WANT(ftruncate(a, 2), 0);
	TRUE(reads(b, "fr"));
	close(a);
	SAME(pwrite(b, "more", 4, 2), 4);
	TRUE(holds("f", "frmore"));
	WANT(unlink("f"), 0);
	a = open_or_end("f", O_CREAT | O_RDWR, 0644);
	SAME(write(a, "second", 6), 6);
	TRUE(reads(b, "frmore"));
	close(b);
	TRUE(reads(a, "second"));
	close(a);
}

static void open_files_shut(void)
{
	fill("f", "x");
	int fd = open_or_end("f", O_RDWR, 0);

	WANT(chmod("f", 0), 0);
	WANT(chown("f", USER, USER), 0);
	become(THIRD);
	SAME(pwrite(fd, "y", 1, 0), 1);
	TRUE(reads(fd, "y"));
	become(0);
	close(fd);
}

static void open_files_run(void)
{
	fill("script", "#!/bin/sh\nexit 7\n");
	WANT(chmod("script", 0755), 0);
	SAME(WEXITSTATUS(system("./script")), 7);
	WANT(chmod("script", 0644), 0);
	SAME(WEXITSTATUS(system("./script 2>/dev/null")), 126);
	SAME(system("cp /bin/true true"), 0);
	SAME(system("./true"), 0);
	WANT(open_close("true", O_RDWR, 0), 0);
	WANT(access("script", X_OK), EACCES);
	WANT(access("true", X_OK), 0);
}

/* Many files open at once. */
static void open_files_many(void)
{
	enum { COUNT = 500 };
	int fd[COUNT], bad = 0;
	char name[16];

	for (int i = 0; i < COUNT; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		fd[i] = open_or_end(name, O_CREAT | O_RDWR, 0644);
	}
	for (int i = 0; i < COUNT; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		bad += write(fd[i], name, strlen(name)) < 0;
		if (i % 2)
			bad += unlink(name) != 0;
	}
	for (int i = 0; i < COUNT; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		bad += !reads(fd[i], name);
		close(fd[i]);
	}
	SAME(bad, 0);
	SAME(count_names("."), COUNT / 2);
}

const struct check checks_open_files[] = {
	{"open-files-unlinked", open_files_unlinked, false},
	{"open-files-renamed", open_files_renamed, false},
	{"open-files-replaced", open_files_replaced, false},
	{"open-files-twice", open_files_twice, false},
	{"open-files-shut", open_files_shut, true},
	{"open-files-run", open_files_run, false},
	{"open-files-many", open_files_many, false},
	{0},
};
