/* open, and the families of errors of every call that takes a path. */
#include "tests/posix/check.h"

#include <limits.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <sys/un.h>
#include <sys/xattr.h>

static void open_create(void)
{
	WANT(open_close("f", O_RDONLY, 0), ENOENT);
	WANT(open_close("f", O_WRONLY, 0), ENOENT);
	WANT(open_close("f", O_CREAT | O_WRONLY, 0640), 0);
	SAME(mode_of("f"), 0640);
	SAME(status("f").st_size, 0);
	SAME(status("f").st_nlink, 1);
	TRUE(S_ISREG(status("f").st_mode));
	WANT(open_close("f", O_CREAT | O_WRONLY, 0777), 0);
	SAME(mode_of("f"), 0640);
	WANT(open_close("f", O_CREAT | O_EXCL | O_WRONLY, 0640), EEXIST);
	symlink("nowhere", "dangling");
	WANT(open_close("dangling", O_CREAT | O_EXCL | O_WRONLY, 0644), EEXIST);
	TRUE(!there("nowhere"));
	WANT(open_close("dangling", O_CREAT | O_WRONLY, 0644), 0);
	TRUE(there("nowhere"));
	make_dir("d", 0755);
	WANT(open_close("d", O_CREAT | O_EXCL | O_WRONLY, 0644), EEXIST);
	WANT(open_close("d", O_CREAT | O_WRONLY, 0644), EISDIR);
	WANT(open_close("d", O_WRONLY, 0), EISDIR);
	WANT(open_close("d", O_RDWR, 0), EISDIR);
	WANT(open_close("d", O_RDONLY | O_TRUNC, 0), EISDIR);
	WANT(open_close("d", O_RDONLY, 0), 0);
	WANT(open_close("d", O_RDONLY | O_DIRECTORY, 0), 0);
	WANT(open_close("f", O_RDONLY | O_DIRECTORY, 0), ENOTDIR);
	WANT(open_close("f/x", O_CREAT | O_WRONLY, 0644), ENOTDIR);
	WANT(open_close("no/x", O_CREAT | O_WRONLY, 0644), ENOENT);
	WANT(open_close("f/", O_RDONLY, 0), ENOTDIR);
	EITHER(open_close("new/", O_CREAT | O_WRONLY, 0644), EISDIR, ENOENT);
	WANT(open_close("", O_RDONLY, 0), ENOENT);
}

static void open_umask(void)
{
	umask(027);
	WANT(open_close("f", O_CREAT | O_WRONLY, 0777), 0);
	SAME(mode_of("f"), 0750);
	WANT(mkdir("d", 0777), 0);
	SAME(mode_of("d"), 0750);
	WANT(mkfifo("p", 0666), 0);
	SAME(mode_of("p"), 0640);
	umask(0);
	WANT(open_close("g", O_CREAT | O_WRONLY, 07777), 0);
	SAME(mode_of("g"), 07777);
	/* what is created read-only may be written through this fd */
	int fd = open_or_end("h", O_CREAT | O_WRONLY, 0400);

	SAME(write(fd, "x", 1), 1);
	WANT(close(fd), 0);
	SAME(status("h").st_size, 1);
	fd = open_or_end("i", O_CREAT | O_RDWR, 0);
	SAME(write(fd, "yz", 2), 2);
	SAME(lseek(fd, 0, SEEK_SET), 0);
	char back[4];
	SAME(read(fd, back, 4), 2);
	close(fd);
}

static void open_truncate(void)
{
	fill("f", "hello");
	int64_t c = changed("f"), m = modified("f");
	tick();
	WANT(open_close("f", O_WRONLY | O_TRUNC, 0), 0);
	SAME(status("f").st_size, 0);
	TRUE(changed("f") > c);
	TRUE(modified("f") > m);
	fill("f", "hello");
	WANT(open_close("f", O_CREAT | O_TRUNC | O_RDWR, 0600), 0);
	SAME(status("f").st_size, 0);
	SAME(mode_of("f"), 0644);
	SAME(status("f").st_blocks, 0);
}

static void open_append(void)
{
	char back[16] = "";
	fill("f", "one");
	int fd = open_or_end("f", O_RDWR | O_APPEND, 0);
	int other = open_or_end("f", O_WRONLY | O_APPEND, 0);

	SAME(write(fd, "two", 3), 3);
	SAME(write(other, "three", 5), 5);
	SAME(lseek(fd, 0, SEEK_SET), 0);
	SAME(write(fd, "four", 4), 4);
	SAME(lseek(fd, 0, SEEK_CUR), 15);
	SAME(pread(fd, back, 3, 3), 3);
	TRUE(!memcmp(back, "two", 3));
	TRUE(holds("f", "onetwothreefour"));
	WANT(truncate("f", 1), 0);
	SAME(write(other, "X", 1), 1);
	TRUE(holds("f", "oX"));
	/* Linux: pwrite appends when O_APPEND is set */
	SAME(pwrite(fd, "Y", 1, 0), 1);
	TRUE(holds("f", "oXY"));
	WANT(fcntl(fd, F_SETFL, 0), 0);
	SAME(pwrite(fd, "Z", 1, 0), 1);
	TRUE(holds("f", "ZXY"));
	close(fd);
	close(other);
}

static void open_flags(void)
{
	static char block[4096] __attribute__((aligned(4096)));
	int fd = open("d", O_CREAT | O_RDWR | O_DIRECT, 0644);

	if (fd < 0) {
		EITHER(open_close("d", O_CREAT | O_RDWR | O_DIRECT, 0644),
		       EINVAL, ENOTSUP);
	} else {
		memset(block, 'd', sizeof(block));
		SAME(write(fd, block, sizeof(block)), 4096);
		memset(block, 0, sizeof(block));
		SAME(pread(fd, block, sizeof(block), 0), 4096);
		SAME(block[4095], 'd');
		close(fd);
		fd = open_or_end("d", O_RDONLY, 0);
		memset(block, 0, sizeof(block));
		SAME(read(fd, block, sizeof(block)), 4096);
		SAME(block[1], 'd');
		close(fd);
	}
	WANT(open_close("s", O_CREAT | O_WRONLY | O_SYNC, 0644), 0);
	WANT(open_close("s", O_WRONLY | O_DSYNC, 0644), 0);
	WANT(open_close("s", O_RDONLY | O_NOATIME, 0), 0);
	WANT(open_close("s", O_PATH, 0), 0);
	fd = open_or_end("s", O_RDONLY, 0);
	WANT(write(fd, "x", 1), EBADF);
	WANT(ftruncate(fd, 0), EINVAL);
	close(fd);
	fd = open_or_end("s", O_WRONLY, 0);
	WANT(read(fd, block, 1), EBADF);
	close(fd);
	fd = open_or_end(".", O_RDONLY, 0);
	WANT(read(fd, block, 1), EISDIR);
	close(fd);
	symlink("s", "l");
	WANT(open_close("l", O_RDONLY | O_NOFOLLOW, 0), ELOOP);
	WANT(open_close("l", O_PATH | O_NOFOLLOW, 0), 0);
}

static void open_unnamed(void)
{
	int fd = open(".", O_TMPFILE | O_RDWR, 0600);
	struct stat st;
	char path[64];

	if (fd < 0 && (errno == ENOTSUP || errno == EISDIR)) {
		lacks("O_TMPFILE");
		return;
	}
	TRUE(fd >= 0);
	SAME(write(fd, "unnamed", 7), 7);
	SAME(count_names("."), 0);
	WANT(fstat(fd, &st), 0);
	SAME(st.st_nlink, 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	WANT(linkat(AT_FDCWD, path, AT_FDCWD, "named", AT_SYMLINK_FOLLOW), 0);
	TRUE(holds("named", "unnamed"));
	SAME(status("named").st_nlink, 1);
	close(fd);
	fd = open(".", O_TMPFILE | O_RDWR | O_EXCL, 0600);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	WANT(linkat(AT_FDCWD, path, AT_FDCWD, "no", AT_SYMLINK_FOLLOW), ENOENT);
	close(fd);
}

static void open_permissions(void)
{
	fill("mine", "x");
	fill("theirs", "x");
	make_dir("shut", 0700);
	fill("shut/f", "x");
	make_dir("looked", 0711);
	fill("looked/f", "x");
	WANT(chown("theirs", USER, USER), 0);
	WANT(chmod("mine", 0604), 0);
	AS(USER, open_close("mine", O_RDONLY, 0), 0);
	AS(USER, open_close("mine", O_WRONLY, 0), EACCES);
	AS(USER, open_close("mine", O_RDONLY | O_TRUNC, 0), EACCES);
	AS(USER, open_close("theirs", O_RDWR, 0), 0);
	WANT(chmod("theirs", 0077), 0);
	AS(USER, open_close("theirs", O_RDONLY, 0), EACCES);
	WANT(chmod("theirs", 0), 0);
	AS(USER, open_close("theirs", O_RDWR, 0), EACCES);
	WANT(open_close("theirs", O_RDWR, 0), 0);
	AS(USER, open_close("shut/f", O_RDONLY, 0), EACCES);
	AS(USER, open_close("looked/f", O_RDONLY, 0), 0);
	AS(USER, open_close("looked", O_RDONLY, 0), EACCES);
	AS(USER, open_close("looked/new", O_CREAT | O_WRONLY, 0644), EACCES);
	AS(USER, mkdir("looked/d", 0755), EACCES);
	AS(USER, unlink("looked/f"), EACCES);
	AS(USER, rename("looked/f", "looked/g"), EACCES);
	AS(USER, link("theirs", "looked/l"), EACCES);
	AS(USER, symlink("x", "looked/s"), EACCES);
	AS(USER, faccessat(AT_FDCWD, "mine", R_OK, AT_EACCESS), 0);
	WANT(chmod("mine", 0640), 0);
	WANT(chown("mine", 0, USER), 0);
	AS(USER, open_close("mine", O_RDONLY, 0), 0);
	AS(USER, open_close("mine", O_WRONLY, 0), EACCES);
	AS(THIRD, open_close("mine", O_RDONLY, 0), EACCES);
	AS(USER, open_close("born", O_CREAT | O_WRONLY, 0600), 0);
	SAME(status("born").st_uid, USER);
	SAME(status("born").st_gid, USER);
	AS(USER, mkdir("dir", 0700), 0);
	SAME(status("dir").st_uid, USER);
	AS(USER, symlink("x", "sym"), 0);
	SAME(status("sym").st_uid, USER);
	AS(USER, mkfifo("fifo", 0600), 0);
	SAME(status("fifo").st_gid, USER);
}

/* ---- errors of every call that takes a path ---- */

static int call_chmod(const char *p)
{
	return chmod(p, 0600);
}

static int call_chown(const char *p)
{
	return chown(p, 0, 0);
}

static int call_link_from(const char *p)
{
	return link(p, "linked");
}

static int call_link_to(const char *p)
{
	return link("source", p);
}

static int call_mkdir(const char *p)
{
	return mkdir(p, 0755);
}

static int call_mkfifo(const char *p)
{
	return mkfifo(p, 0644);
}

static int call_open(const char *p)
{
	return open_close(p, O_RDONLY, 0);
}

static int call_create(const char *p)
{
	return open_close(p, O_CREAT | O_WRONLY, 0644);
}

static int call_readlink(const char *p)
{
	char to[8];

	return readlink(p, to, sizeof(to)) < 0 ? -1 : 0;
}

static int call_rename_from(const char *p)
{
	return rename(p, "renamed");
}

static int call_rename_to(const char *p)
{
	return rename("source", p);
}

static int call_stat(const char *p)
{
	struct stat st;

	return stat(p, &st);
}

static int call_lstat(const char *p)
{
	struct stat st;

	return lstat(p, &st);
}

static int call_statvfs(const char *p)
{
	struct statvfs st;

	return statvfs(p, &st);
}

static int call_symlink(const char *p)
{
	return symlink("to", p);
}

static int call_truncate(const char *p)
{
	return truncate(p, 0);
}

static int call_utimens(const char *p)
{
	return utimensat(AT_FDCWD, p, NULL, 0);
}

static int call_setxattr(const char *p)
{
	return setxattr(p, "user.x", "", 0, 0);
}

static int call_getxattr(const char *p)
{
	return getxattr(p, "user.x", NULL, 0) < 0 ? -1 : 0;
}

static int call_listxattr(const char *p)
{
	return listxattr(p, NULL, 0) < 0 ? -1 : 0;
}

static int call_access(const char *p)
{
	return faccessat(AT_FDCWD, p, F_OK, AT_EACCESS);
}

static const struct {
	const char *name;
	int (*call)(const char *path);
	bool makes; /* the last name need not be there */
} calls[] = {
	{"chmod", call_chmod, false},
	{"chown", call_chown, false},
	{"link from", call_link_from, false},
	{"link to", call_link_to, true},
	{"mkdir", call_mkdir, true},
	{"mkfifo", call_mkfifo, true},
	{"open", call_open, false},
	{"create", call_create, true},
	{"readlink", call_readlink, false},
	{"rename from", call_rename_from, false},
	{"rename to", call_rename_to, true},
	{"rmdir", rmdir, false},
	{"stat", call_stat, false},
	{"lstat", call_lstat, false},
	{"statvfs", call_statvfs, false},
	{"symlink", call_symlink, true},
	{"truncate", call_truncate, false},
	{"unlink", unlink, false},
	{"utimensat", call_utimens, false},
	{"setxattr", call_setxattr, false},
	{"getxattr", call_getxattr, false},
	{"listxattr", call_listxattr, false},
	{"access", call_access, false},
	{"chdir", chdir, false},
};

static void all_answer(const char *path, const char *why, int code, int made)
{
	char what[128];

	for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++) {
		int wanted = calls[i].makes ? made : code;
		int got = calls[i].call(path) ? errno : 0;

		snprintf(what, sizeof(what), "%s, %s", calls[i].name, why);
		want(what, got, wanted, wanted);
	}
}

static void path_errors(void)
{
	char *name255 = long_name(255), *name256 = long_name(256);
	char *path = malloc(2 * PATH_MAX), *inner = malloc(PATH_MAX);

	fill("file", "x");
	fill("source", "x");
	all_answer("file/below", "below a file", ENOTDIR, ENOTDIR);
	all_answer("gone/below", "below nothing", ENOENT, ENOENT);
	all_answer(name256, "256 bytes", ENAMETOOLONG, ENAMETOOLONG);
	snprintf(inner, PATH_MAX, "%s/x", name256);
	all_answer(inner, "below 256 bytes", ENAMETOOLONG, ENAMETOOLONG);
	symlink("loop", "loop");
	all_answer("loop/x", "below a loop", ELOOP, ELOOP);
	symlink("two", "one");
	symlink("one", "two");
	all_answer("one/x", "below two that loop", ELOOP, ELOOP);
	memset(path, 'a', 2 * PATH_MAX);
	for (size_t i = 1; i < 2 * PATH_MAX; i += 2)
		path[i] = '/';
	path[2 * PATH_MAX - 1] = '\0';
	all_answer(path, "beyond PATH_MAX", ENAMETOOLONG, ENAMETOOLONG);
	WANT(mkdir(name255, 0755), 0);
	snprintf(inner, PATH_MAX, "%s/%s", name255, name255);
	WANT(open_close(inner, O_CREAT | O_WRONLY, 0644), 0);
	WANT(rename(inner, "short"), 0);
	WANT(rename("short", inner), 0);
	WANT(unlink(inner), 0);
	WANT(symlink(name255, inner), 0);
	WANT(unlink(inner), 0);
	WANT(rmdir(name255), 0);
	free(name255);
	free(name256);
	free(path);
	free(inner);
}

static void path_search(void)
{
	make_dir("d", 0700);
	make_dir("d/e", 0777);
	fill("d/e/file", "x");
	fill("source", "x");
	chmod("source", 0666);
	for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++) {
		become(USER);
		int got = calls[i].call("d/e/file") ? errno : 0;
		become(0);
		want(calls[i].name, got, EACCES, EACCES);
	}
	TRUE(holds("d/e/file", "x"));
}

const struct check checks_open[] = {
	{"open-create", open_create, false},
	{"open-umask", open_umask, false},
	{"open-truncate", open_truncate, false},
	{"open-append", open_append, false},
	{"open-flags", open_flags, false},
	{"open-unnamed", open_unnamed, false},
	{"open-permissions", open_permissions, true},
	{"path-errors", path_errors, false},
	{"path-search", path_search, true},
	{0},
};
