/* Names: link, symlink, mknod, unlink, mkdir, rmdir. */
#include "tests/posix/check.h"

#include <limits.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>

static void names_link(void)
{
	fill("a", "x");
	ino_t ino = status("a").st_ino;
	int64_t c = changed("a"), d = modified("."), m = modified("a");

	tick();
	WANT(link("a", "b"), 0);
	SAME(status("b").st_ino, ino);
	SAME(status("a").st_nlink, 2);
	TRUE(changed("a") > c);
	SAME(modified("a"), m);
	TRUE(modified(".") > d);
	fill("b", "other");
	TRUE(holds("a", "other"));
	WANT(link("a", "b"), EEXIST);
	WANT(link("no", "c"), ENOENT);
	make_dir("dir", 0755);
	WANT(link("dir", "c"), EPERM);
	WANT(link("a", "dir"), EEXIST);
	WANT(link("a", "dir/c"), 0);
	SAME(status("a").st_nlink, 3);
	c = changed("a");
	tick();
	WANT(unlink("b"), 0);
	TRUE(changed("a") > c);
	SAME(status("a").st_nlink, 2);
	symlink("a", "s");
	WANT(link("s", "t"), 0);
	TRUE(S_ISLNK(status("t").st_mode));
	SAME(status("s").st_nlink, 2);
	WANT(linkat(AT_FDCWD, "s", AT_FDCWD, "u", AT_SYMLINK_FOLLOW), 0);
	SAME(status("u").st_ino, ino);
	mkfifo("p", 0644);
	WANT(link("p", "q"), 0);
	SAME(status("p").st_nlink, 2);
	WANT(chmod("q", 0600), 0);
	SAME(mode_of("p"), 0600);
	WANT(unlink("a"), 0);
	WANT(unlink("u"), 0);
	TRUE(holds("dir/c", "other"));
	SAME(status("dir/c").st_nlink, 1);
	SAME(status("dir/c").st_ino, ino);
}

static void names_many_links(void)
{
	char name[16];
	int bad = 0;

	fill("f", "x");
	for (int i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "l%d", i);
		bad += link("f", name) != 0;
	}
	SAME(bad, 0);
	SAME(status("f").st_nlink, 1001);
	for (int i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "l%d", i);
		bad += unlink(name) != 0;
	}
	SAME(bad, 0);
	SAME(status("f").st_nlink, 1);
}

static void names_symlink(void)
{
	char to[PATH_MAX], *target = long_name(PATH_MAX - 1);
	char *longest = long_name(PATH_MAX);

	WANT(symlink("to/nowhere", "s"), 0);
	SAME(readlink("s", to, sizeof(to)), 10);
	TRUE(!memcmp(to, "to/nowhere", 10));
	SAME(status("s").st_size, 10);
	SAME(status("s").st_mode, S_IFLNK | 0777);
	SAME(readlink("s", to, 3), 3);
	WANT(readlink("s", to, 0), EINVAL);
	WANT(symlink("x", "s"), EEXIST);
	WANT(symlink("", "e"), ENOENT);
	WANT(symlink(target, "long"), 0);
	SAME(readlink("long", to, sizeof(to)), PATH_MAX - 1);
	TRUE(!memcmp(to, target, PATH_MAX - 1));
	WANT(symlink(longest, "toolong"), ENAMETOOLONG);
	WANT(symlink("\xff\x01 \n", "bytes"), 0);
	SAME(readlink("bytes", to, sizeof(to)), 4);
	TRUE(!memcmp(to, "\xff\x01 \n", 4));
	fill("f", "x");
	WANT(readlink("f", to, sizeof(to)), EINVAL);
	WANT(readlink(".", to, sizeof(to)), EINVAL);
	WANT(readlink("no", to, sizeof(to)), ENOENT);
	make_dir("d", 0755);
	symlink("../f", "d/up");
	TRUE(holds("d/up", "x"));
	symlink("d", "dl");
	TRUE(holds("dl/up", "x"));
	WANT(rmdir("dl"), ENOTDIR);
	WANT(unlink("dl"), 0);
	TRUE(there("d/up"));
	free(target);
	free(longest);
}

static void names_nodes(void)
{
	WANT(mkfifo("fifo", 0640), 0);
	TRUE(S_ISFIFO(status("fifo").st_mode));
	SAME(mode_of("fifo"), 0640);
	WANT(mkfifo("fifo", 0640), EEXIST);
	WANT(mknod("reg", S_IFREG | 0600, 0), 0);
	TRUE(S_ISREG(status("reg").st_mode));
	SAME(status("reg").st_size, 0);
	/* a fifo works */
	int in = open_or_end("fifo", O_RDONLY | O_NONBLOCK, 0);
	int out = open_or_end("fifo", O_WRONLY, 0);
	char back[4];

	SAME(write(out, "abc", 3), 3);
	SAME(read(in, back, 4), 3);
	close(in);
	close(out);
	SAME(status("fifo").st_size, 0);
}

static void names_devices(void)
{
	WANT(mknod("c", S_IFCHR | 0600, makedev(1, 3)), 0);
	TRUE(S_ISCHR(status("c").st_mode));
	SAME(status("c").st_rdev, makedev(1, 3));
	WANT(mknod("b", S_IFBLK | 0640, makedev(259, 70000)), 0);
	TRUE(S_ISBLK(status("b").st_mode));
	SAME(status("b").st_rdev, makedev(259, 70000));
	SAME(mode_of("b"), 0640);
	make_dir("open", 0777);
	AS(USER, mknod("open/c", S_IFCHR | 0600, makedev(1, 3)), EPERM);
	AS(USER, mknod("open/p", S_IFIFO | 0600, 0), 0);
	WANT(chmod("c", 0666), 0);
	SAME(status("c").st_rdev, makedev(1, 3));
	WANT(rename("c", "d"), 0);
	SAME(status("d").st_rdev, makedev(1, 3));
	WANT(unlink("d"), 0);
}

static void names_socket(void)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	int peer = socket(AF_UNIX, SOCK_STREAM, 0);

	strcpy(to.sun_path, "sock");
	WANT(bind(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	TRUE(S_ISSOCK(status("sock").st_mode));
	WANT(listen(fd, 1), 0);
	WANT(connect(peer, (struct sockaddr *)&to, sizeof(to)), 0);
	close(peer);
	peer = socket(AF_UNIX, SOCK_STREAM, 0);
	WANT(bind(peer, (struct sockaddr *)&to, sizeof(to)), EADDRINUSE);
	WANT(open_close("sock", O_RDONLY, 0), ENXIO);
	close(peer);
	close(fd);
	WANT(unlink("sock"), 0);
}

static void names_unlink(void)
{
	int64_t d;

	fill("f", "x");
	make_dir("d", 0755);
	WANT(unlink("no"), ENOENT);
	WANT(unlink("d"), EISDIR);
	WANT(unlinkat(AT_FDCWD, "f", AT_REMOVEDIR), ENOTDIR);
	WANT(unlink("f/"), ENOTDIR);
	d = modified(".");
	tick();
	WANT(unlink("f"), 0);
	TRUE(modified(".") > d);
	TRUE(changed(".") > d);
	WANT(unlink("f"), ENOENT);
	fill("f", "again");
	TRUE(holds("f", "again"));
}

static void names_mkdir(void)
{
	int64_t d = modified(".");

	tick();
	WANT(mkdir("d", 0751), 0);
	SAME(mode_of("d"), 0751);
	TRUE(S_ISDIR(status("d").st_mode));
	TRUE(modified(".") > d);
	SAME(count_names("d"), 0);
	WANT(mkdir("d", 0755), EEXIST);
	fill("f", "x");
	WANT(mkdir("f", 0755), EEXIST);
	symlink("nowhere", "s");
	WANT(mkdir("s", 0755), EEXIST);
	WANT(mkdir(".", 0755), EEXIST);
	WANT(mkdir("..", 0755), EEXIST);
	WANT(mkdir("no/d", 0755), ENOENT);
	WANT(mkdir("t", 01777), 0);
	SAME(mode_of("t"), 01777);
	WANT(mkdir("slash/", 0755), 0);
}

static void names_links_of_dirs(void)
{
	SAME(status(".").st_nlink, 2);
	make_dir("a", 0755);
	SAME(status("a").st_nlink, 2);
	SAME(status(".").st_nlink, 3);
	make_dir("b", 0755);
	make_dir("a/x", 0755);
	SAME(status(".").st_nlink, 4);
	SAME(status("a").st_nlink, 3);
	fill("a/f", "x");
	SAME(status("a").st_nlink, 3);
	WANT(rename("a/x", "b/x"), 0);
	SAME(status("a").st_nlink, 2);
	SAME(status("b").st_nlink, 3);
	WANT(rename("a/f", "b/f"), 0);
	SAME(status("b").st_nlink, 3);
	WANT(rmdir("b/x"), 0);
	SAME(status("b").st_nlink, 2);
	WANT(rename("a", "c"), 0);
	SAME(status(".").st_nlink, 4);
	WANT(rmdir("c"), 0);
	SAME(status(".").st_nlink, 3);
	make_dir("over", 0755);
	make_dir("from", 0755);
	WANT(rename("from", "over"), 0);
	SAME(status(".").st_nlink, 4);
}

static void names_rmdir(void)
{
	make_dir("d", 0755);
	make_dir("d/e", 0755);
	fill("d/f", "x");
	symlink("d", "s");
	WANT(rmdir("d"), ENOTEMPTY);
	WANT(rmdir("d/f"), ENOTDIR);
	WANT(rmdir("s"), ENOTDIR);
	WANT(rmdir("no"), ENOENT);
	WANT(rmdir("d/e/."), EINVAL);
	WANT(rmdir("d/e/.."), ENOTEMPTY);
	WANT(rmdir("d/e"), 0);
	WANT(rmdir("d"), ENOTEMPTY);
	WANT(unlink("d/f"), 0);
	WANT(rmdir("d"), 0);
	WANT(rmdir("d"), ENOENT);
}

static void names_bytes(void)
{
	char name[2] = "x";
	int bad = 0;

	for (int i = 1; i < 256; i++) {
		name[0] = (char)i;
		if (i == '/' || i == '.')
			continue;
		bad += open_close(name, O_CREAT | O_EXCL | O_WRONLY, 0644) != 0;
	}
	SAME(bad, 0);
	SAME(count_names("."), 253);
	for (int i = 1; i < 256; i++) {
		name[0] = (char)i;
		if (i == '/' || i == '.')
			continue;
		bad += unlink(name) != 0;
	}
	SAME(bad, 0);
	/* neither case nor Unicode is folded */
	fill("A", "1");
	fill("a", "2");
	fill("\xc3\xa4", "composed");
	fill("a\xcc\x88", "decomposed");
	TRUE(holds("A", "1") && holds("a", "2"));
	TRUE(holds("\xc3\xa4", "composed"));
	SAME(count_names("."), 4);
	fill("...", "dots");
	fill(" ", "space");
	fill("trailing ", "space");
	fill("@1", "at");
	fill("@@1", "atat");
	fill(".reel-00000000", "reserved");
	fill(".fuse_hidden0000000100000001", "hidden");
	SAME(count_names("."), 11);
	TRUE(holds("@1", "at") && holds("@@1", "atat"));
}

static void names_setgid(void)
{
	make_dir("d", 0755);
	WANT(chown("d", 0, THIRD), 0);
	WANT(chmod("d", 02777), 0);
	WANT(mkdir("d/sub", 0755), 0);
	SAME(status("d/sub").st_gid, THIRD);
	SAME(mode_of("d/sub"), 02755);
	WANT(open_close("d/f", O_CREAT | O_WRONLY, 0644), 0);
	SAME(status("d/f").st_gid, THIRD);
	SAME(mode_of("d/f"), 0644);
	WANT(symlink("x", "d/s"), 0);
	SAME(status("d/s").st_gid, THIRD);
	AS(USER, open_close("d/u", O_CREAT | O_WRONLY, 02755), 0);
	SAME(status("d/u").st_gid, THIRD);
	SAME(mode_of("d/u"), 0755);
	AS(USER, mkdir("d/ud", 0700), 0);
	SAME(status("d/ud").st_gid, THIRD);
	SAME(mode_of("d/ud"), 02700);
	AS(USER, mkfifo("d/p", 0600), 0);
	SAME(status("d/p").st_gid, THIRD);
}

static void names_sticky(void)
{
	make_dir("d", 01777);
	fill("d/root", "x");
	fill("d/third", "x");
	make_dir("d/dir", 0777);
	make_dir("mine", 01777);
	WANT(chown("d/third", THIRD, THIRD), 0);
	WANT(chown("mine", USER, USER), 0);
	AS(USER, unlink("d/root"), EPERM);
	AS(USER, unlink("d/third"), EPERM);
	AS(USER, rmdir("d/dir"), EPERM);
	AS(USER, rename("d/root", "d/x"), EPERM);
	AS(USER, open_close("d/own", O_CREAT | O_WRONLY, 0644), 0);
	AS(USER, rename("d/own", "d/root"), EPERM);
	AS(USER, rename("d/own", "d/own2"), 0);
	AS(THIRD, unlink("d/own2"), EPERM);
	AS(USER, unlink("d/own2"), 0);
	AS(THIRD, unlink("d/third"), 0);
	fill("mine/f", "x");
	AS(USER, unlink("mine/f"), 0);
	make_dir("mine/e", 0755);
	AS(USER, rmdir("mine/e"), 0);
	TRUE(there("d/root") && there("d/dir"));
}

const struct check checks_names[] = {
	{"names-link", names_link, false},
	{"names-many-links", names_many_links, false},
	{"names-symlink", names_symlink, false},
	{"names-nodes", names_nodes, false},
	{"names-devices", names_devices, true},
	{"names-socket", names_socket, false},
	{"names-unlink", names_unlink, false},
	{"names-mkdir", names_mkdir, false},
	{"names-links-of-dirs", names_links_of_dirs, false},
	{"names-rmdir", names_rmdir, false},
	{"names-bytes", names_bytes, false},
	{"names-setgid", names_setgid, true},
	{"names-sticky", names_sticky, true},
	{0},
};
