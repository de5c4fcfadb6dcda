/* POSIX ACLs: enforced, masked by chmod, inherited. Written as xattrs in the
 * kernel's form (linux/posix_acl_xattr.h): version 2, then 8 bytes an entry. */
#include "tests/posix/check.h"

#include <endian.h>
#include <stdlib.h>
#include <sys/xattr.h>

#define ACCESS	"system.posix_acl_access"
#define DEFAULT "system.posix_acl_default"

enum {
	OWNER = 1,
	NAMED = 2,
	GROUP = 4,
	NAMED_GROUP = 8,
	MASK = 16,
	OTHER = 32
};

struct entry {
	unsigned tag, rights, id;
};

static size_t pack(const struct entry *e, size_t count, unsigned char *to)
{
	uint32_t version = htole32(2);

	memcpy(to, &version, 4);
	for (size_t i = 0; i < count; i++) {
		uint16_t tag = htole16((uint16_t)e[i].tag);
		uint16_t rights = htole16((uint16_t)e[i].rights);
		uint32_t id = htole32(e[i].id);

		memcpy(to + 4 + 8 * i, &tag, 2);
		memcpy(to + 6 + 8 * i, &rights, 2);
		memcpy(to + 8 + 8 * i, &id, 4);
	}
	return 4 + 8 * count;
}

static int set_acl(const char *path, const char *name, const struct entry *e,
		   size_t count)
{
	unsigned char packed[256];

	return setxattr(path, name, packed, pack(e, count, packed), 0);
}

static bool has_acl(const char *path, const char *name, const struct entry *e,
		    size_t count)
{
	unsigned char packed[256], got[256];
	size_t length = pack(e, count, packed);

	return getxattr(path, name, got, sizeof(got)) == (ssize_t)length &&
	       !memcmp(packed, got, length);
}

#define ENTRIES(...)                                                           \
	(const struct entry[]){__VA_ARGS__},                                   \
		sizeof((const struct entry[]){__VA_ARGS__}) /                  \
			sizeof(struct entry)
#define NONE 0xffffffffu

static bool supported(void)
{
	make_file("probe", 0644);
	if (!set_acl("probe", ACCESS,
		     ENTRIES({OWNER, 6, NONE}, {NAMED, 6, USER},
			     {GROUP, 4, NONE}, {MASK, 6, NONE},
			     {OTHER, 4, NONE})) ||
	    errno != EOPNOTSUPP)
		return true;
	lacks("ACLs");
	return false;
}

static void acl_enforced(void)
{
	if (!supported())
		return;
	fill("f", "x");
	int64_t c = changed("f");

	tick();
	WANT(set_acl("f", ACCESS,
		     ENTRIES({OWNER, 6, NONE}, {NAMED, 6, USER},
			     {GROUP, 0, NONE}, {MASK, 6, NONE},
			     {OTHER, 0, NONE})),
	     0);
	SAME(mode_of("f"), 0660);
	TRUE(changed("f") > c);
	AS(USER, open_close("f", O_RDWR, 0), 0);
	AS(THIRD, open_close("f", O_RDONLY, 0), EACCES);
	WANT(chmod("f", 0640), 0);
	AS(USER, open_close("f", O_RDONLY, 0), 0);
	AS(USER, open_close("f", O_RDWR, 0), EACCES);
	TRUE(has_acl("f", ACCESS,
		     ENTRIES({OWNER, 6, NONE}, {NAMED, 6, USER},
			     {GROUP, 0, NONE}, {MASK, 4, NONE},
			     {OTHER, 0, NONE})));
	/* a group of its own */
	WANT(set_acl("f", ACCESS,
		     ENTRIES({OWNER, 6, NONE}, {GROUP, 0, NONE},
			     {NAMED_GROUP, 4, THIRD}, {MASK, 7, NONE},
			     {OTHER, 0, NONE})),
	     0);
	SAME(mode_of("f"), 0670);
	AS(THIRD, open_close("f", O_RDONLY, 0), 0);
	AS(THIRD, open_close("f", O_WRONLY, 0), EACCES);
	AS(USER, open_close("f", O_RDONLY, 0), EACCES);
	/* denied by name, though others may */
	WANT(set_acl("f", ACCESS,
		     ENTRIES({OWNER, 6, NONE}, {NAMED, 0, USER},
			     {GROUP, 4, NONE}, {MASK, 4, NONE},
			     {OTHER, 4, NONE})),
	     0);
	AS(USER, open_close("f", O_RDONLY, 0), EACCES);
	AS(THIRD, open_close("f", O_RDONLY, 0), 0);
	WANT(removexattr("f", ACCESS), 0);
	AS(USER, open_close("f", O_RDONLY, 0), 0);
	WANT(getxattr("f", ACCESS, NULL, 0), ENODATA);
}

/* An ACL that says no more than a mode is the mode. */
static void acl_is_mode(void)
{
	if (!supported())
		return;
	fill("f", "x");
	WANT(set_acl("f", ACCESS,
		     ENTRIES({OWNER, 7, NONE}, {GROUP, 5, NONE},
			     {OTHER, 1, NONE})),
	     0);
	SAME(mode_of("f"), 0751);
	WANT(getxattr("f", ACCESS, NULL, 0), ENODATA);
	WANT(setxattr("f", ACCESS, "garbage", 7, 0), EOPNOTSUPP);
	WANT(setxattr("f", ACCESS, "\2\0\0\0odd", 7, 0), EINVAL);
	WANT(set_acl("f", ACCESS,
		     ENTRIES({OWNER, 7, NONE}, {NAMED, 5, USER},
			     {GROUP, 5, NONE}, {OTHER, 1, NONE})),
	     EINVAL);
	WANT(set_acl("f", DEFAULT,
		     ENTRIES({OWNER, 7, NONE}, {GROUP, 5, NONE},
			     {OTHER, 1, NONE})),
	     EACCES);
	AS(USER,
	   set_acl("f", ACCESS,
		   ENTRIES({OWNER, 7, NONE}, {GROUP, 7, NONE},
			   {OTHER, 7, NONE})),
	   EPERM);
	SAME(mode_of("f"), 0751);
}

static void acl_inherited(void)
{
	if (!supported())
		return;
	make_dir("d", 0755);
	umask(077);
	WANT(set_acl("d", DEFAULT,
		     ENTRIES({OWNER, 7, NONE}, {NAMED, 6, USER},
			     {GROUP, 5, NONE}, {MASK, 7, NONE},
			     {OTHER, 4, NONE})),
	     0);
	SAME(mode_of("d"), 0755);
	WANT(open_close("d/f", O_CREAT | O_WRONLY, 0666), 0);
	/* the umask does not count; the mode masks */
	SAME(mode_of("d/f"), 0664);
	TRUE(has_acl("d/f", ACCESS,
		     ENTRIES({OWNER, 6, NONE}, {NAMED, 6, USER},
			     {GROUP, 5, NONE}, {MASK, 6, NONE},
			     {OTHER, 4, NONE})));
	WANT(getxattr("d/f", DEFAULT, NULL, 0), ENODATA);
	WANT(open_close("d/g", O_CREAT | O_WRONLY, 0600), 0);
	SAME(mode_of("d/g"), 0600);
	AS(USER, open_close("d/g", O_RDONLY, 0), EACCES);
	AS(USER, open_close("d/f", O_RDWR, 0), 0);
	AS(THIRD, open_close("d/f", O_WRONLY, 0), EACCES);
	WANT(mkdir("d/e", 0777), 0);
	SAME(mode_of("d/e"), 0774);
	TRUE(has_acl("d/e", DEFAULT,
		     ENTRIES({OWNER, 7, NONE}, {NAMED, 6, USER},
			     {GROUP, 5, NONE}, {MASK, 7, NONE},
			     {OTHER, 4, NONE})));
	TRUE(has_acl("d/e", ACCESS,
		     ENTRIES({OWNER, 7, NONE}, {NAMED, 6, USER},
			     {GROUP, 5, NONE}, {MASK, 7, NONE},
			     {OTHER, 4, NONE})));
	WANT(mkfifo("d/p", 0666), 0);
	SAME(mode_of("d/p"), 0664);
	WANT(symlink("x", "d/s"), 0);
	SAME(mode_of("d/s"), 0777);
	WANT(rename("d/f", "f"), 0);
	TRUE(getxattr("f", ACCESS, NULL, 0) == 44);
	WANT(removexattr("d", DEFAULT), 0);
	WANT(open_close("d/h", O_CREAT | O_WRONLY, 0666), 0);
	SAME(mode_of("d/h"), 0600);
	umask(0);
}

static void acl_directories(void)
{
	if (!supported())
		return;
	make_dir("d", 0700);
	fill("d/f", "x");
	AS(USER, open_close("d/f", O_RDONLY, 0), EACCES);
	WANT(set_acl("d", ACCESS,
		     ENTRIES({OWNER, 7, NONE}, {NAMED, 7, USER},
			     {GROUP, 0, NONE}, {MASK, 7, NONE},
			     {OTHER, 0, NONE})),
	     0);
	AS(USER, open_close("d/f", O_RDONLY, 0), 0);
	AS(USER, open_close("d/new", O_CREAT | O_WRONLY, 0644), 0);
	AS(USER, unlink("d/f"), 0);
	AS(THIRD, open_close("d/new", O_RDONLY, 0), EACCES);
	AS(USER, faccessat(AT_FDCWD, "d", W_OK, AT_EACCESS), 0);
}

const struct check checks_acl[] = {
	{"acl-enforced", acl_enforced, true},
	{"acl-is-mode", acl_is_mode, true},
	{"acl-inherited", acl_inherited, true},
	{"acl-directories", acl_directories, true},
	{0},
};
