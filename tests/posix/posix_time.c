/* Times: utimensat, and what sets which time. */
#include "tests/posix/check.h"

#include <dirent.h>
#include <sys/xattr.h>
#include <time.h>

static int set_times(const char *path, struct timespec atime,
		     struct timespec mtime)
{
	struct timespec t[2] = {atime, mtime};

	return utimensat(AT_FDCWD, path, t, AT_SYMLINK_NOFOLLOW);
}

#define NOW	  ((struct timespec){0, UTIME_NOW})
#define OMIT	  ((struct timespec){0, UTIME_OMIT})
#define AT(s, ns) ((struct timespec){(s), (ns)})
#define NS(s, ns) ((s)*INT64_C(1000000000) + (ns))

static int64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return NS(t.tv_sec, t.tv_nsec);
}

static void time_set(void)
{
	fill("f", "x");
	int64_t c = changed("f"), before = now();

	tick();
	WANT(set_times("f", AT(1000000000, 123456789), AT(1234567890, 1)), 0);
	SAME(accessed("f"), NS(1000000000, 123456789));
	SAME(modified("f"), NS(1234567890, 1));
	TRUE(changed("f") > c);
	WANT(set_times("f", OMIT, AT(5, 999999999)), 0);
	SAME(accessed("f"), NS(1000000000, 123456789));
	SAME(modified("f"), NS(5, 999999999));
	WANT(set_times("f", AT(7, 0), OMIT), 0);
	SAME(accessed("f"), NS(7, 0));
	SAME(modified("f"), NS(5, 999999999));
	WANT(set_times("f", NOW, OMIT), 0);
	TRUE(accessed("f") >= before - 20000000);
	SAME(modified("f"), NS(5, 999999999));
	WANT(set_times("f", OMIT, NOW), 0);
	TRUE(modified("f") >= before - 20000000);
	TRUE(modified("f") <= now());
	c = changed("f");
	tick();
	WANT(set_times("f", OMIT, OMIT), 0);
	SAME(changed("f"), c);
	WANT(set_times("f", AT(0, 1000000000), OMIT), EINVAL);
	WANT(set_times("no", NOW, NOW), ENOENT);
	/* before 1970, and beyond 2038 */
	WANT(set_times("f", AT(-1, 500000000), AT(-100000, 5)), 0);
	SAME(accessed("f"), NS(-1, 500000000));
	SAME(modified("f"), NS(-100000, 5));
	WANT(set_times("f", AT(5000000000, 7), AT(6000000000, 8)), 0);
	SAME(accessed("f"), NS(5000000000, 7));
	SAME(modified("f"), NS(6000000000, 8));
}

static void time_set_kinds(void)
{
	fill("f", "x");
	WANT(set_times("f", AT(1, 0), AT(1, 0)), 0);
	symlink("f", "s");
	WANT(set_times("s", AT(10, 1), AT(20, 2)), 0);
	SAME(modified("s"), NS(20, 2));
	SAME(modified("f"), NS(1, 0));
	make_dir("d", 0755);
	WANT(set_times("d", AT(10, 1), AT(20, 3)), 0);
	SAME(modified("d"), NS(20, 3));
	mkfifo("p", 0644);
	WANT(set_times("p", AT(10, 1), AT(20, 4)), 0);
	SAME(modified("p"), NS(20, 4));
	WANT(set_times(".", AT(10, 1), AT(20, 5)), 0);
	SAME(modified("."), NS(20, 5));
	int fd = open_or_end("f", O_RDONLY, 0);
	struct timespec t[2] = {AT(3, 3), AT(4, 4)};

	WANT(futimens(fd, t), 0);
	SAME(modified("f"), NS(4, 4));
	WANT(rename("f", "g"), 0);
	SAME(modified("g"), NS(4, 4));
	close(fd);
	/* a time that was set stays when the file is closed after a write */
	fd = open_or_end("g", O_WRONLY, 0);
	SAME(write(fd, "y", 1), 1);
	WANT(futimens(fd, t), 0);
	WANT(close(fd), 0);
	tick();
	SAME(modified("g"), NS(4, 4));
	SAME(accessed("g"), NS(3, 3));
	TRUE(holds("g", "y"));
	SAME(modified("g"), NS(4, 4));
}

static void time_permissions(void)
{
	fill("ro", "x");
	fill("rw", "x");
	fill("own", "x");
	WANT(chmod("rw", 0666), 0);
	WANT(chown("own", USER, USER), 0);
	WANT(chmod("own", 0), 0);
	AS(USER, set_times("ro", NOW, NOW), EACCES);
	AS(USER, set_times("rw", NOW, NOW), 0);
	AS(USER, set_times("rw", AT(1, 0), AT(1, 0)), EPERM);
	AS(USER, set_times("rw", NOW, OMIT), EPERM);
	AS(USER, set_times("ro", OMIT, OMIT), 0);
	AS(USER, set_times("own", AT(1, 0), AT(2, 0)), 0);
	SAME(modified("own"), NS(2, 0));
	AS(USER, set_times("own", NOW, NOW), 0);
}

static void time_of_writes(void)
{
	fill("f", "x");
	int64_t m = modified("f"), c = changed("f"), a = accessed("f");
	int fd = open_or_end("f", O_RDWR, 0);

	tick();
	SAME(modified("f"), m);
	SAME(write(fd, "y", 1), 1);
	TRUE(modified("f") > m);
	TRUE(changed("f") > c);
	SAME(accessed("f"), a);
	SAME(modified("f"), changed("f"));
	m = modified("f");
	tick();
	SAME(write(fd, "", 0), 0);
	SAME(modified("f"), m);
	close(fd);
	SAME(modified("f"), m);
	tick();
	WANT(open_close("f", O_RDWR, 0), 0);
	SAME(modified("f"), m);
	SAME(changed("f"), m);
	/* reading changes neither */
	tick();
	TRUE(holds("f", "y"));
	SAME(modified("f"), m);
	SAME(changed("f"), m);
	TRUE(modified("f") <= now());
}

/* Relative atime: set when it is not after the others. */
static void time_of_reads(void)
{
	fill("f", "x");
	WANT(set_times("f", AT(1000, 0), AT(2000, 0)), 0);
	int64_t before = now();

	TRUE(holds("f", "x"));
	TRUE(accessed("f") == NS(1000, 0) ||
	     accessed("f") >= before - 20000000);
	WANT(set_times("f", AT(3000, 0), OMIT), 0);
	SAME(modified("f"), NS(2000, 0));
	int fd = open_or_end("f", O_RDONLY | O_NOATIME, 0);
	char b;

	SAME(read(fd, &b, 1), 1);
	close(fd);
	SAME(accessed("f"), NS(3000, 0));
}

static void time_of_names(void)
{
	make_dir("d", 0755);
	int64_t m = modified("d"), c = changed("d");
	int64_t f;

#define MOVED(call)                                                            \
	do {                                                                   \
		tick();                                                        \
		WANT(call, 0);                                                 \
		TRUE(modified("d") > m);                                       \
		TRUE(changed("d") > c);                                        \
		m = modified("d");                                             \
		c = changed("d");                                              \
	} while (0)
	MOVED(open_close("d/f", O_CREAT | O_WRONLY, 0644));
	MOVED(mkdir("d/e", 0755));
	MOVED(symlink("x", "d/s"));
	MOVED(link("d/f", "d/g"));
	MOVED(mkfifo("d/p", 0644));
	MOVED(rename("d/p", "d/q"));
	MOVED(unlink("d/q"));
	MOVED(rmdir("d/e"));
	MOVED(rename("d/g", "out"));
	MOVED(rename("out", "d/g"));
#undef MOVED
	tick();
	f = changed("d/f");
	WANT(open_close("d/f", O_CREAT | O_WRONLY, 0644), 0);
	WANT(chmod("d/f", 0600), 0);
	TRUE(changed("d/f") > f);
	fill("d/f", "more");
	SAME(modified("d"), m);
	SAME(count_names("d"), 3);
	SAME(modified("d"), m);
	WANT(chmod("d", 0700), 0);
	TRUE(changed("d") > c);
	SAME(modified("d"), m);
	WANT(mkdir("d", 0755), EEXIST);
	SAME(modified("d"), m);
}

static void time_of_xattrs(void)
{
	fill("f", "x");
	int64_t m = modified("f"), c = changed("f");

	tick();
	WANT(setxattr("f", "user.x", "1", 1, 0), 0);
	TRUE(changed("f") > c);
	SAME(modified("f"), m);
	c = changed("f");
	tick();
	WANT(removexattr("f", "user.x"), 0);
	TRUE(changed("f") > c);
	c = changed("f");
	tick();
	SAME(getxattr("f", "user.x", NULL, 0), -1);
	SAME(changed("f"), c);
	WANT(removexattr("f", "user.x"), ENODATA);
	SAME(changed("f"), c);
}

const struct check checks_time[] = {
	{"time-set", time_set, false},
	{"time-set-kinds", time_set_kinds, false},
	{"time-permissions", time_permissions, true},
	{"time-of-writes", time_of_writes, false},
	{"time-of-reads", time_of_reads, false},
	{"time-of-names", time_of_names, false},
	{"time-of-xattrs", time_of_xattrs, false},
	{0},
};
