/* rename and renameat2. */
#include "tests/posix/check.h"

#include <stdlib.h>

static int rename2(const char *from, const char *to, unsigned flags)
{
	return renameat2(AT_FDCWD, from, AT_FDCWD, to, flags);
}

static void rename_file(void)
{
	fill("a", "1");
	make_dir("d", 0755);
	ino_t ino = status("a").st_ino;
	int64_t m = modified("a"), dm = modified("."), c = changed("a");

	tick();
	WANT(rename("a", "b"), 0);
	TRUE(!there("a"));
	TRUE(holds("b", "1"));
	SAME(status("b").st_ino, ino);
	SAME(modified("b"), m);
	TRUE(modified(".") > dm);
	TRUE(changed("b") > c);
	dm = modified("d");
	tick();
	WANT(rename("b", "d/c"), 0);
	TRUE(modified("d") > dm);
	SAME(status("d/c").st_ino, ino);
	WANT(rename("d/c", "d/c"), 0);
	TRUE(holds("d/c", "1"));
	WANT(rename("no", "x"), ENOENT);
	WANT(rename("d/c", "no/x"), ENOENT);
	WANT(rename("", "x"), ENOENT);
	WANT(rename("d/c", ""), ENOENT);
	WANT(rename("d/c", "d/c/x"), ENOTDIR);
}

static void rename_over_file(void)
{
	fill("a", "new");
	fill("b", "old");
	link("b", "keep");
	ino_t a = status("a").st_ino, b = status("b").st_ino;
	int64_t c = changed("keep");

	tick();
	WANT(rename("a", "b"), 0);
	TRUE(holds("b", "new"));
	SAME(status("b").st_ino, a);
	TRUE(holds("keep", "old"));
	SAME(status("keep").st_ino, b);
	SAME(status("keep").st_nlink, 1);
	TRUE(changed("keep") > c);
	symlink("keep", "s");
	WANT(rename("b", "s"), 0);
	TRUE(S_ISREG(status("s").st_mode));
	TRUE(holds("keep", "old"));
	symlink("keep", "t");
	WANT(rename("t", "s"), 0);
	TRUE(S_ISLNK(status("s").st_mode));
	mkfifo("p", 0644);
	WANT(rename("keep", "p"), 0);
	TRUE(holds("p", "old"));
	SAME(count_names("."), 2);
}

static void rename_same_inode(void)
{
	fill("a", "x");
	link("a", "b");
	int64_t d = modified(".");

	tick();
	WANT(rename("a", "b"), 0);
	TRUE(there("a"));
	TRUE(there("b"));
	SAME(status("a").st_nlink, 2);
	SAME(modified("."), d);
}

static void rename_directory(void)
{
	make_dir("a", 0755);
	make_dir("a/sub", 0700);
	fill("a/sub/f", "deep");
	ino_t ino = status("a/sub/f").st_ino, dir = status("a/sub").st_ino;

	make_dir("empty", 0755);
	make_dir("full", 0755);
	fill("full/x", "x");
	fill("file", "x");
	WANT(rename("a", "full"), ENOTEMPTY);
	WANT(rename("a", "file"), ENOTDIR);
	WANT(rename("file", "empty"), EISDIR);
	WANT(rename("file", "full"), EISDIR);
	WANT(rename("a", "a/x"), EINVAL);
	WANT(rename("a", "a/sub/x"), EINVAL);
	WANT(rename("a/sub", "a"), ENOTEMPTY);
	WANT(rename("a/sub/f", "a"), ENOTEMPTY);
	WANT(rename("a", "a"), 0);
	EITHER(rename(".", "x"), EBUSY, EINVAL);
	EITHER(rename("a", "."), EBUSY, EINVAL);
	WANT(rename("a", "empty"), 0);
	TRUE(!there("a"));
	TRUE(holds("empty/sub/f", "deep"));
	SAME(status("empty/sub/f").st_ino, ino);
	SAME(status("empty/sub").st_ino, dir);
	SAME(mode_of("empty/sub"), 0700);
	WANT(rename("empty", "full/moved"), 0);
	TRUE(holds("full/moved/sub/f", "deep"));
	WANT(rename("full/moved/sub", "sub/"), 0);
	TRUE(holds("sub/f", "deep"));
	SAME(count_names("full/moved"), 0);
	symlink("sub", "s");
	WANT(rename("sub", "s"), ENOTDIR);
	WANT(rename("s", "sub"), EISDIR);
}

static void rename_parent(void)
{
	make_dir("a", 0755);
	make_dir("a/d", 0755);
	make_dir("b", 0755);
	int fd = open_or_end("a/d", O_RDONLY | O_DIRECTORY, 0);

	SAME(status("a/d/..").st_ino, status("a").st_ino);
	WANT(rename("a/d", "b/d"), 0);
	SAME(status("b/d/..").st_ino, status("b").st_ino);
	struct stat st;

	WANT(fstatat(fd, "..", &st, 0), 0);
	SAME(st.st_ino, status("b").st_ino);
	WANT(fchdir(fd), 0);
	fill("f", "here");
	TRUE(holds("../d/f", "here"));
	WANT(rename("../../b", "../../c"), 0);
	TRUE(holds("f", "here"));
	TRUE(holds("../../c/d/f", "here"));
	close(fd);
}

static void rename_no_replace(void)
{
	fill("a", "1");
	fill("b", "2");
	make_dir("d", 0755);
	WANT(rename2("a", "b", RENAME_NOREPLACE), EEXIST);
	TRUE(holds("a", "1") && holds("b", "2"));
	WANT(rename2("a", "d", RENAME_NOREPLACE), EEXIST);
	WANT(rename2("d", "a", RENAME_NOREPLACE), EEXIST);
	symlink("nowhere", "s");
	WANT(rename2("a", "s", RENAME_NOREPLACE), EEXIST);
	WANT(rename2("a", "c", RENAME_NOREPLACE), 0);
	TRUE(holds("c", "1") && !there("a"));
	WANT(rename2("d", "e", RENAME_NOREPLACE), 0);
	TRUE(there("e") && !there("d"));
	link("c", "l");
	WANT(rename2("c", "l", RENAME_NOREPLACE), EEXIST);
	WANT(rename2("c", "x", RENAME_NOREPLACE | RENAME_EXCHANGE), EINVAL);
	WANT(rename2("c", "x", 1 << 20), EINVAL);
}

static void rename_exchange(void)
{
	fill("a", "1");
	make_dir("d", 0755);
	make_dir("d/sub", 0755);
	fill("d/sub/f", "f");
	ino_t a = status("a").st_ino, d = status("d").st_ino;

	if (rename2("a", "d", RENAME_EXCHANGE) && errno == EINVAL) {
		lacks("exchange");
		return;
	}
	TRUE(holds("d", "1"));
	TRUE(holds("a/sub/f", "f"));
	SAME(status("d").st_ino, a);
	SAME(status("a").st_ino, d);
	WANT(rename2("a", "no", RENAME_EXCHANGE), ENOENT);
	WANT(rename2("a", "a/sub", RENAME_EXCHANGE), EINVAL);
	EITHER(rename2("a/sub", "a", RENAME_EXCHANGE), EINVAL, ENOTEMPTY);
	fill("x", "x");
	fill("y", "y");
	WANT(rename2("x", "y", RENAME_EXCHANGE), 0);
	TRUE(holds("x", "y") && holds("y", "x"));
	WANT(rename2("x", "a/y", RENAME_EXCHANGE), ENOENT);
	make_dir("p", 0755);
	make_dir("p/q", 0755);
	make_dir("r", 0755);
	fill("r/s", "s");
	SAME(status("p").st_nlink, 3);
	WANT(rename2("p/q", "r/s", RENAME_EXCHANGE), 0);
	SAME(status("p").st_nlink, 2);
	SAME(status("r").st_nlink, 3);
	TRUE(holds("p/q", "s"));
	SAME(status("r/s/..").st_ino, status("r").st_ino);
}

static void rename_permissions(void)
{
	make_dir("rw", 0777);
	make_dir("ro", 0755);
	make_dir("rw/theirs", 0755);
	WANT(chown("rw/theirs", USER, USER), 0);
	make_dir("rw/others", 0755);
	fill("rw/f", "x");
	fill("ro/f", "x");
	AS(USER, rename("rw/f", "rw/g"), 0);
	AS(USER, rename("rw/g", "ro/g"), EACCES);
	AS(USER, rename("ro/f", "rw/h"), EACCES);
	AS(USER, rename("rw/others", "rw/others2"), 0);
	make_dir("rw2", 0777);
	/* .. changes: the directory itself must be writable */
	AS(USER, rename("rw/others2", "rw2/others"), EACCES);
	AS(USER, rename("rw/theirs", "rw2/theirs"), 0);
}

static void rename_many(void)
{
	char from[32], to[32];
	int bad = 0;

	make_dir("d", 0755);
	for (int i = 0; i < 300; i++) {
		snprintf(from, sizeof(from), "d/f%d", i);
		fill(from, from);
	}
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 300; i++) {
			snprintf(from, sizeof(from), "d/f%d", i);
			snprintf(to, sizeof(to), "d/f%d", (i + 1) % 300);
			if (i == 299)
				snprintf(to, sizeof(to), "d/new");
			bad += rename2(from, i == 299 ? to : "d/t", 0) != 0;
			bad += i < 299 && rename2("d/t", from, 0) != 0;
		}
		bad += rename("d/new", "d/f299") != 0;
		bad += rename("d", "e") || rename("e", "d");
	}
	SAME(bad, 0);
	SAME(count_names("d"), 300);
	for (int i = 0; i < 300; i++) {
		snprintf(from, sizeof(from), "d/f%d", i);
		bad += !holds(from, from);
	}
	SAME(bad, 0);
}

const struct check checks_rename[] = {
	{"rename-file", rename_file, false},
	{"rename-over-file", rename_over_file, false},
	{"rename-same-inode", rename_same_inode, false},
	{"rename-directory", rename_directory, false},
	{"rename-parent", rename_parent, false},
	{"rename-no-replace", rename_no_replace, false},
	{"rename-exchange", rename_exchange, false},
	{"rename-permissions", rename_permissions, true},
	{"rename-many", rename_many, false},
	{0},
};
