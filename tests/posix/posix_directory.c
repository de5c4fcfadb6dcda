/* Directories as they are read. */
#include "tests/posix/check.h"

#include <dirent.h>
#include <stdlib.h>

static void directory_types(void)
{
	DIR *d;
	struct dirent *e;
	int seen = 0, dots = 0;

	fill("f", "x");
	make_dir("d", 0755);
	symlink("f", "l");
	mkfifo("p", 0644);
	d = opendir(".");
	while ((e = readdir(d))) {
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..")) {
			dots++;
			TRUE(e->d_type == DT_DIR || e->d_type == DT_UNKNOWN);
			continue;
		}
		struct stat st = status(e->d_name);

		seen++;
		SAME(e->d_ino, st.st_ino);
		if (e->d_type != DT_UNKNOWN)
			SAME(e->d_type, IFTODT(st.st_mode));
	}
	SAME(seen, 4);
	SAME(dots, 2);
	closedir(d);
	SAME(status("d/..").st_ino, status(".").st_ino);
	SAME(status("d/.").st_ino, status("d").st_ino);
	WANT(open_close("f/.", O_RDONLY, 0), ENOTDIR);
}

static void make_many(int count)
{
	char name[16];

	for (int i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "f%05d", i);
		make_file(name, 0644);
	}
}

/* Names that stay while it is read are seen exactly once. */
static void directory_changes(void)
{
	enum { COUNT = 2000 };
	char *seen = calloc(COUNT, 1), name[16];
	int n = 0, twice = 0, missing = 0;
	struct dirent *e;
	DIR *d;

	make_many(COUNT);
	d = opendir(".");
	while ((e = readdir(d))) {
		if (e->d_name[0] == 'f' && strlen(e->d_name) == 6) {
			int i = atoi(e->d_name + 1);

			twice += i < COUNT && seen[i];
			seen[i] = 1;
			if (i % 4 == 1)
				unlink(e->d_name);
		}
		if (++n % 10 == 0) {
			snprintf(name, sizeof(name), "new%d", n);
			make_file(name, 0644);
		}
		if (n > 20 * COUNT)
			break;
	}
	closedir(d);
	for (int i = 0; i < COUNT; i++)
		missing += !seen[i];
	SAME(twice, 0);
	SAME(missing, 0);
	TRUE(n < 20 * COUNT);
	free(seen);
}

/* rm -r as the simplest programs do it. */
static void directory_emptied(void)
{
	struct dirent *e;
	DIR *d;
	int bad = 0;

	make_many(1500);
	d = opendir(".");
	while ((e = readdir(d)))
		if (e->d_name[0] != '.')
			bad += unlink(e->d_name) != 0;
	closedir(d);
	SAME(bad, 0);
	SAME(count_names("."), 0);
}

static void directory_seek(void)
{
	enum { COUNT = 500 };
	long at[COUNT + 2];
	char names[COUNT + 2][16];
	struct dirent *e;
	DIR *d;
	int n = 0, bad = 0;

	make_many(COUNT);
	d = opendir(".");
	for (;;) {
		long here = telldir(d);

		if (!(e = readdir(d)) || n >= COUNT + 2)
			break;
		at[n] = here;
		snprintf(names[n++], 16, "%.15s", e->d_name);
	}
	SAME(n, COUNT + 2);
	for (int i = n - 1; i >= 0; i -= 7) {
		seekdir(d, at[i]);
		e = readdir(d);
		bad += !e || strcmp(e->d_name, names[i]);
		e = readdir(d);
		bad += i + 1 < n && (!e || strcmp(e->d_name, names[i + 1]));
	}
	SAME(bad, 0);
	rewinddir(d);
	e = readdir(d);
	TRUE(e && !strcmp(e->d_name, names[0]));
	/* rewinding sees what is new */
	make_file("zz-new", 0644);
	rewinddir(d);
	n = 0;
	while ((e = readdir(d)))
		n += !strcmp(e->d_name, "zz-new");
	SAME(n, 1);
	closedir(d);
}

static void directory_deep(void)
{
	char name[16];
	int depth = 0, fd;

	/* beyond PATH_MAX, step by step */
	for (; depth < 600; depth++) {
		snprintf(name, sizeof(name), "deep%06d", depth);
		if (mkdir(name, 0755) || chdir(name))
			break;
	}
	SAME(depth, 600);
	fill("bottom", "deep down");
	fd = open_or_end("bottom", O_RDONLY, 0);
	TRUE(holds("bottom", "deep down"));
	close(fd);
	WANT(rename("bottom", "../bottom"), 0);
	WANT(unlink("../bottom"), 0);
	while (depth-- > 0) {
		snprintf(name, sizeof(name), "deep%06d", depth);
		if (chdir("..") || rmdir(name))
			break;
	}
	SAME(depth, -1);
	SAME(count_names("."), 0);
}

static void directory_removed(void)
{
	struct stat st;
	int fd;

	make_dir("d", 0755);
	fd = open_or_end("d", O_RDONLY | O_DIRECTORY, 0);
	WANT(rmdir("d"), 0);
	WANT(fstat(fd, &st), 0);
	SAME(st.st_nlink, 0);
	WANT(openat(fd, "f", O_CREAT | O_WRONLY, 0644), ENOENT);
	WANT(mkdirat(fd, "e", 0755), ENOENT);
	WANT(fstatat(fd, "f", &st, 0), ENOENT);
	WANT(fsync(fd), 0);
	DIR *d = fdopendir(fd);

	errno = 0;
	TRUE(!d || !readdir(d) || !strcmp(".", "."));
	closedir(d);
	make_dir("d", 0700);
	SAME(count_names("d"), 0);
}

static void directory_negative(void)
{
	/* a name that was not there is there as soon as it is made */
	for (int i = 0; i < 5; i++) {
		TRUE(!there("f"));
		fill("f", "x");
		TRUE(there("f"));
		WANT(rename("f", "g"), 0);
		TRUE(!there("f") && there("g"));
		WANT(link("g", "f"), 0);
		TRUE(there("f"));
		WANT(unlink("f"), 0);
		WANT(symlink("g", "f"), 0);
		TRUE(holds("f", "x"));
		WANT(unlink("f"), 0);
		WANT(unlink("g"), 0);
		WANT(mkdir("f", 0755), 0);
		TRUE(S_ISDIR(status("f").st_mode));
		WANT(rmdir("f"), 0);
	}
}

static int other_process(void *context)
{
	(void)context;
	if (rename("a", "b") || mkdir("d", 0755) || truncate("b", 3) ||
	    chmod("b", 0600))
		return 1;
	fill("d/f", "made there");
	return 0;
}

static void directory_other_process(void)
{
	fill("a", "hello");
	TRUE(there("a") && !there("b") && !there("d"));
	SAME(in_child(other_process, NULL), 0);
	TRUE(!there("a") && there("b") && there("d/f"));
	SAME(status("b").st_size, 3);
	SAME(mode_of("b"), 0600);
	TRUE(holds("b", "hel"));
	TRUE(holds("d/f", "made there"));
	SAME(count_names("."), 2);
}

const struct check checks_directory[] = {
	{"directory-types", directory_types, false},
	{"directory-changes", directory_changes, false},
	{"directory-emptied", directory_emptied, false},
	{"directory-seek", directory_seek, false},
	{"directory-deep", directory_deep, false},
	{"directory-removed", directory_removed, false},
	{"directory-negative", directory_negative, false},
	{"directory-other-process", directory_other_process, false},
	{0},
};
