/* chmod, chown, and the bits that other calls clear. */
#include "tests/posix/check.h"

#include <grp.h>
#include <sys/mman.h>

static void owner_chmod(void)
{
	fill("f", "x");
	int64_t c = changed("f"), m = modified("f");

	tick();
	WANT(chmod("f", 0751), 0);
	SAME(mode_of("f"), 0751);
	TRUE(changed("f") > c);
	SAME(modified("f"), m);
	WANT(chmod("f", 07777), 0);
	SAME(mode_of("f"), 07777);
	WANT(chmod("f", 0), 0);
	SAME(mode_of("f"), 0);
	make_dir("d", 0755);
	WANT(chmod("d", 03711), 0);
	SAME(mode_of("d"), 03711);
	TRUE(S_ISDIR(status("d").st_mode));
	symlink("f", "s");
	WANT(chmod("s", 0644), 0);
	SAME(mode_of("f"), 0644);
	SAME(mode_of("s"), 0777);
	int fd = open_or_end("f", O_RDONLY, 0);

	WANT(fchmod(fd, 0600), 0);
	SAME(mode_of("f"), 0600);
	close(fd);
	mkfifo("p", 0600);
	WANT(chmod("p", 0666), 0);
	SAME(status("p").st_mode, S_IFIFO | 0666);
	WANT(chmod(".", 0700), 0);
	SAME(mode_of("."), 0700);
	WANT(chmod(".", 0777), 0);
}

static void owner_chmod_others(void)
{
	fill("root", "x");
	fill("theirs", "x");
	WANT(chown("theirs", USER, USER), 0);
	AS(USER, chmod("root", 0666), EPERM);
	SAME(mode_of("root"), 0644);
	AS(USER, chmod("theirs", 0600), 0);
	SAME(mode_of("theirs"), 0600);
	AS(USER, chmod("theirs", 06755), 0);
	SAME(mode_of("theirs"), 06755);
	/* setgid needs the group */
	WANT(chown("theirs", USER, THIRD), 0);
	AS(USER, chmod("theirs", 02755), 0);
	SAME(mode_of("theirs"), 0755);
	WANT(chmod("theirs", 02755), 0);
	SAME(mode_of("theirs"), 02755);
	make_dir("d", 0755);
	WANT(chown("d", USER, USER), 0);
	AS(USER, chmod("d", 01700), 0);
	SAME(mode_of("d"), 01700);
}

static void owner_chown(void)
{
	fill("f", "x");
	int64_t c = changed("f"), m = modified("f");

	tick();
	WANT(chown("f", USER, THIRD), 0);
	SAME(status("f").st_uid, USER);
	SAME(status("f").st_gid, THIRD);
	TRUE(changed("f") > c);
	SAME(modified("f"), m);
	WANT(chown("f", (uid_t)-1, 7), 0);
	SAME(status("f").st_uid, USER);
	SAME(status("f").st_gid, 7);
	WANT(chown("f", 9, (gid_t)-1), 0);
	SAME(status("f").st_uid, 9);
	SAME(status("f").st_gid, 7);
	WANT(chown("f", 4000000000u, 4000000001u), 0);
	SAME(status("f").st_uid, 4000000000u);
	SAME(status("f").st_gid, 4000000001u);
	symlink("f", "s");
	WANT(lchown("s", 11, 12), 0);
	SAME(status("s").st_uid, 11);
	SAME(status("f").st_uid, 4000000000u);
	WANT(chown("s", 1, 1), 0);
	SAME(status("f").st_uid, 1);
	SAME(status("s").st_uid, 11);
	make_dir("d", 0755);
	WANT(chown("d", 5, 6), 0);
	SAME(status("d").st_gid, 6);
}

static void owner_chown_others(void)
{
	gid_t groups[] = {THIRD};

	fill("f", "x");
	WANT(chown("f", USER, USER), 0);
	AS(USER, chown("f", THIRD, (gid_t)-1), EPERM);
	AS(USER, chown("f", (uid_t)-1, THIRD), EPERM);
	AS(USER, chown("f", USER, USER), 0);
	AS(USER, chown("f", (uid_t)-1, (gid_t)-1), 0);
	AS(THIRD, chown("f", THIRD, THIRD), EPERM);
	AS(THIRD, chown("f", (uid_t)-1, THIRD), EPERM);
	/* the owner may give it to a group that he is in */
	if (seteuid(0) || setgroups(1, groups) || setegid(USER) ||
	    seteuid(USER))
		skip("groups", "cannot be set");
	WANT(chown("f", (uid_t)-1, THIRD), 0);
	WANT(chown("f", (uid_t)-1, 0), EPERM);
	become(0);
	SAME(status("f").st_gid, THIRD);
}

/* chown clears suid and sgid of files, not of directories. */
static void owner_chown_clears(void)
{
	fill("f", "x");
	WANT(chmod("f", 06755), 0);
	WANT(chown("f", USER, USER), 0);
	SAME(mode_of("f"), 0755);
	/* without group execution setgid means a lock, and stays */
	WANT(chmod("f", 06745), 0);
	WANT(chown("f", USER, USER), 0);
	SAME(mode_of("f"), 02745);
	WANT(chmod("f", 06755), 0);
	AS(USER, chown("f", USER, USER), 0);
	SAME(mode_of("f"), 0755);
	make_dir("d", 0755);
	WANT(chmod("d", 06755), 0);
	WANT(chown("d", USER, USER), 0);
	SAME(mode_of("d"), 06755);
}

static void set_bits(const char *path, mode_t mode)
{
	WANT(chown(path, USER, USER), 0);
	WANT(chmod(path, mode), 0);
}

/* Who writes without CAP_FSETID clears them; root does not. */
static void owner_write_clears(void)
{
	int fd;

	fill("f", "hello");
	set_bits("f", 06777);
	fd = open_or_end("f", O_RDWR, 0);
	SAME(pwrite(fd, "x", 1, 0), 1);
	SAME(mode_of("f"), 06777);
	AS(USER, pwrite(fd, "y", 1, 0) == 1 ? 0 : -1, 0);
	SAME(mode_of("f"), 0777);
	set_bits("f", 06777);
	AS(USER, ftruncate(fd, 2), 0);
	SAME(mode_of("f"), 0777);
	set_bits("f", 06777);
	AS(USER, truncate("f", 1), 0);
	SAME(mode_of("f"), 0777);
	set_bits("f", 06777);
	AS(USER, open_close("f", O_WRONLY | O_TRUNC, 0), 0);
	SAME(mode_of("f"), 0777);
	set_bits("f", 06767);
	AS(USER, pwrite(fd, "y", 1, 0) == 1 ? 0 : -1, 0);
	SAME(mode_of("f"), 02767);
	set_bits("f", 06777);
	AS(USER, fallocate(fd, 0, 0, 5000), 0);
	SAME(mode_of("f"), 0777);
	set_bits("f", 06777);
	AS(THIRD, open_close("f", O_RDONLY, 0), 0);
	SAME(mode_of("f"), 06777);
	close(fd);
}

static void owner_map_clears(void)
{
	int fd;
	char *map;

	fill("f", "hello");
	set_bits("f", 06777);
	fd = open_or_end("f", O_RDWR, 0);
	map = mmap(NULL, 5, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	become(USER);
	map[0] = 'j';
	msync(map, 5, MS_SYNC);
	become(0);
	/* Linux leaves them: what is mapped was opened for writing */
	TRUE(holds("f", "jello"));
	munmap(map, 5);
	close(fd);
}

static void owner_stable_inode(void)
{
	fill("f", "x");
	ino_t ino = status("f").st_ino;

	WANT(chmod("f", 0600), 0);
	SAME(status("f").st_ino, ino);
	fill("f", "quite other bytes");
	SAME(status("f").st_ino, ino);
	WANT(truncate("f", 0), 0);
	SAME(status("f").st_ino, ino);
	WANT(rename("f", "g"), 0);
	SAME(status("g").st_ino, ino);
	WANT(link("g", "h"), 0);
	WANT(unlink("g"), 0);
	SAME(status("h").st_ino, ino);
	make_dir("d", 0755);
	ino = status("d").st_ino;
	fill("d/x", "x");
	WANT(rename("d", "e"), 0);
	SAME(status("e").st_ino, ino);
	int fd = open_or_end("h", O_RDONLY, 0);
	struct stat st;

	WANT(fstat(fd, &st), 0);
	SAME(st.st_ino, status("h").st_ino);
	SAME(st.st_dev, status("h").st_dev);
	SAME(status("e").st_dev, status("h").st_dev);
	close(fd);
}

const struct check checks_owner[] = {
	{"owner-chmod", owner_chmod, false},
	{"owner-chmod-others", owner_chmod_others, true},
	{"owner-chown", owner_chown, true},
	{"owner-chown-others", owner_chown_others, true},
	{"owner-chown-clears", owner_chown_clears, true},
	{"owner-write-clears", owner_write_clears, true},
	{"owner-map-clears", owner_map_clears, true},
	{"owner-stable-inode", owner_stable_inode, false},
	{0},
};
