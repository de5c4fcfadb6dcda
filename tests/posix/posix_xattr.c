/* Extended attributes. */
#include "tests/posix/check.h"

#include <stdlib.h>
#include <sys/xattr.h>

static void xattr_set(void)
{
	char back[64];

	fill("f", "x");
	WANT(setxattr("f", "user.a", "one", 3, 0), 0);
	SAME(getxattr("f", "user.a", back, sizeof(back)), 3);
	TRUE(!memcmp(back, "one", 3));
	SAME(getxattr("f", "user.a", NULL, 0), 3);
	WANT(getxattr("f", "user.a", back, 2), ERANGE);
	WANT(getxattr("f", "user.b", back, 9), ENODATA);
	WANT(setxattr("f", "user.a", "x", 1, XATTR_CREATE), EEXIST);
	WANT(setxattr("f", "user.b", "x", 1, XATTR_REPLACE), ENODATA);
	WANT(setxattr("f", "user.b", "x", 1, XATTR_CREATE), 0);
	WANT(setxattr("f", "user.a", "longer", 6, XATTR_REPLACE), 0);
	SAME(getxattr("f", "user.a", back, sizeof(back)), 6);
	WANT(setxattr("f", "user.empty", "", 0, 0), 0);
	SAME(getxattr("f", "user.empty", back, sizeof(back)), 0);
	SAME(listxattr("f", NULL, 0), 7 + 7 + 11);
	WANT(listxattr("f", back, 10), ERANGE);
	SAME(listxattr("f", back, sizeof(back)), 25);
	WANT(removexattr("f", "user.a"), 0);
	WANT(removexattr("f", "user.a"), ENODATA);
	SAME(listxattr("f", NULL, 0), 18);
	WANT(setxattr("f", "none", "x", 1, 0), EOPNOTSUPP);
	WANT(setxattr("f", "foo.bar", "x", 1, 0), EOPNOTSUPP);
	WANT(setxattr("f", "", "x", 1, 0), ERANGE);
	WANT(setxattr("f", "user.a", "x", 1, 99), EINVAL);
	int fd = open_or_end("f", O_RDONLY, 0);

	WANT(fsetxattr(fd, "user.fd", "v", 1, 0), 0);
	SAME(fgetxattr(fd, "user.fd", back, 9), 1);
	WANT(fremovexattr(fd, "user.fd"), 0);
	close(fd);
	WANT(rename("f", "g"), 0);
	SAME(getxattr("g", "user.b", back, 9), 1);
	WANT(link("g", "h"), 0);
	WANT(removexattr("h", "user.b"), 0);
	WANT(getxattr("g", "user.b", back, 9), ENODATA);
	fill("g", "other bytes");
	SAME(getxattr("g", "user.empty", NULL, 0), 0);
}

static void xattr_sizes(void)
{
	char name[300] = "user.", *big = calloc(1, 70000), *back;

	back = malloc(70000);
	fill("f", "x");
	memset(name + 5, 'n', 250);
	WANT(setxattr("f", name, "x", 1, 0), 0);
	SAME(getxattr("f", name, back, 9), 1);
	name[255] = 'n';
	WANT(setxattr("f", name, "x", 1, 0), ERANGE);
	name[255] = '\0';
	WANT(removexattr("f", name), 0);
	memset(big, 'v', 70000);
	for (size_t size = 1; size <= 3000; size = size * 3 + 1) {
		SAME(setxattr("f", "user.v", big, size, 0), 0);
		SAME(getxattr("f", "user.v", back, 70000), size);
		TRUE(!memcmp(big, back, size));
	}
	/* E2BIG is the kernel's, the others a filesystem's */
	WANT(setxattr("f", "user.v", big, 65537, 0), E2BIG);
	bool has = !setxattr("f", "user.v", big, 65536, 0);

	if (!has && (errno == ENOSPC || errno == ERANGE)) {
		lacks("xattrs of 64 KiB");
	} else {
		TRUE(has);
		SAME(getxattr("f", "user.v", back, 70000), 65536);
		TRUE(!memcmp(big, back, 65536));
	}
	WANT(setxattr("f", "user.bin", "\0\xff\n\0", 4, 0), 0);
	SAME(getxattr("f", "user.bin", back, 9), 4);
	TRUE(!memcmp(back, "\0\xff\n\0", 4));
	free(big);
	free(back);
}

static void xattr_many(void)
{
	char name[32], list[4096];
	int bad = 0;

	fill("f", "x");
	for (int i = 0; i < 50; i++) {
		snprintf(name, sizeof(name), "user.number%02d", i);
		bad += setxattr("f", name, name, strlen(name), 0) != 0;
	}
	SAME(bad, 0);
	SAME(listxattr("f", list, sizeof(list)), 50 * 14);
	for (int i = 0; i < 50; i += 2) {
		snprintf(name, sizeof(name), "user.number%02d", i);
		bad += removexattr("f", name) != 0;
	}
	for (int i = 0; i < 50; i++) {
		char back[32];

		snprintf(name, sizeof(name), "user.number%02d", i);
		bad += getxattr("f", name, back, 32) != (i % 2 ? 13 : -1);
	}
	SAME(bad, 0);
}

static void xattr_kinds(void)
{
	make_dir("d", 0755);
	WANT(setxattr("d", "user.x", "1", 1, 0), 0);
	symlink("nowhere", "s");
	WANT(lsetxattr("s", "user.x", "1", 1, 0), EPERM);
	WANT(setxattr("s", "user.x", "1", 1, 0), ENOENT);
	EITHER(lgetxattr("s", "user.x", NULL, 0), ENODATA, EPERM);
	SAME(llistxattr("s", NULL, 0), 0);
	mkfifo("p", 0644);
	WANT(setxattr("p", "user.x", "1", 1, 0), EPERM);
}

static void xattr_root(void)
{
	char back[64];

	fill("f", "x");
	symlink("f", "s");
	WANT(setxattr("f", "trusted.t", "1", 1, 0), 0);
	WANT(lsetxattr("s", "trusted.t", "22", 2, 0), 0);
	SAME(lgetxattr("s", "trusted.t", back, 9), 2);
	SAME(getxattr("s", "trusted.t", back, 9), 1);
	AS(USER, getxattr("f", "trusted.t", back, 9), ENODATA);
	AS(USER, setxattr("f", "trusted.t", "1", 1, 0), EPERM);
	SAME(listxattr("f", back, 64), 10);
	become(USER);
	SAME(listxattr("f", back, 64), 0);
	become(0);
	WANT(setxattr("f", "security.other", "x", 1, 0), 0);
	AS(USER, setxattr("f", "security.other", "y", 1, 0), EPERM);
	AS(USER, setxattr("f", "user.x", "y", 1, 0), EACCES);
	WANT(setxattr("f", "user.x", "y", 1, 0), 0);
	AS(USER, getxattr("f", "user.x", back, 9) == 1 ? 0 : -1, 0);
	AS(USER, removexattr("f", "user.x"), EACCES);
	WANT(chmod("f", 0600), 0);
	AS(USER, getxattr("f", "user.x", back, 9), EACCES);
	make_dir("t", 01777);
	AS(USER, setxattr("t", "user.x", "y", 1, 0), EPERM);
	mkfifo("p", 0666);
	WANT(setxattr("p", "trusted.p", "1", 1, 0), 0);
}

/* Who changes a file takes its capabilities from it. */
static void xattr_capability(void)
{
	/* VFS_CAP_REVISION_2, cap_net_bind_service */
	static const unsigned char cap[20] = {1, 0, 0, 2, 0, 4};
	char back[64];
	int fd;

	fill("f", "x");
	fd = open_or_end("f", O_RDWR, 0);
	WANT(setxattr("f", "security.capability", cap, 20, 0), 0);
	SAME(getxattr("f", "security.capability", back, 64), 20);
	SAME(write(fd, "y", 1), 1);
	WANT(getxattr("f", "security.capability", back, 64), ENODATA);
	WANT(setxattr("f", "security.capability", cap, 20, 0), 0);
	WANT(ftruncate(fd, 0), 0);
	WANT(getxattr("f", "security.capability", back, 64), ENODATA);
	WANT(setxattr("f", "security.capability", cap, 20, 0), 0);
	WANT(chown("f", USER, USER), 0);
	WANT(getxattr("f", "security.capability", back, 64), ENODATA);
	WANT(setxattr("f", "security.capability", cap, 20, 0), 0);
	WANT(chmod("f", 0700), 0);
	SAME(getxattr("f", "security.capability", back, 64), 20);
	AS(USER, removexattr("f", "security.capability"), EPERM);
	close(fd);
}

/* Names of our own never show and cannot be written, where they exist. */
static void xattr_virtual(void)
{
	char list[256];

	fill("f", "x");
	if (getxattr("f", "user.reel.sha256", NULL, 0) < 0 &&
	    getxattr("f", "user.reel.session", NULL, 0) < 0) {
		skip("user.reel.*", "not a mount of reel");
		return;
	}
	SAME(listxattr("f", list, sizeof(list)), 0);
	TRUE(setxattr("f", "user.reel.sha256", "x", 1, 0) == -1);
}

const struct check checks_xattr[] = {
	{"xattr-set", xattr_set, false},
	{"xattr-sizes", xattr_sizes, false},
	{"xattr-many", xattr_many, false},
	{"xattr-kinds", xattr_kinds, false},
	{"xattr-root", xattr_root, true},
	{"xattr-capability", xattr_capability, true},
	{"xattr-virtual", xattr_virtual, false},
	{0},
};
