#include "catalog/fold.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "catalog/beneath.h"

#define DIRECTORY_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

/* Two bytes reach U+07FF, which holds all that is mapped. */
static uint32_t next_character(const unsigned char **text)
{
	const unsigned char *t = *text;

	if (t[0] >= 0xc2 && t[0] < 0xe0 && (t[1] & 0xc0) == 0x80) {
		*text += 2;
		return (uint32_t)(t[0] & 0x1f) << 6 | (t[1] & 0x3f);
	}
	*text += 1;
	return t[0] < 0x80 ? t[0] : 0x110000u + t[0];
}

static uint32_t upper(uint32_t c)
{
	if ((c >= 'a' && c <= 'z') || (c >= 0xe0 && c <= 0xfe && c != 0xf7) ||
	    (c >= 0x3b1 && c <= 0x3c9 && c != 0x3c2) ||
	    (c >= 0x430 && c <= 0x44f))
		return c - 0x20;
	if (c >= 0x450 && c <= 0x45f)
		return c - 0x50;
	if (c == 0xff)
		return 0x178;
	if ((c >= 0x100 && c <= 0x12f) || (c >= 0x132 && c <= 0x137) ||
	    (c >= 0x14a && c <= 0x177) || (c >= 0x460 && c <= 0x481))
		return c & ~UINT32_C(1);
	if ((c >= 0x139 && c <= 0x148) || (c >= 0x179 && c <= 0x17e))
		return c - !(c & 1);
	return c;
}

bool fold_equal(const char *a, const char *b)
{
	const unsigned char *x = (const unsigned char *)a;
	const unsigned char *y = (const unsigned char *)b;

	while (*x && *y)
		if (upper(next_character(&x)) != upper(next_character(&y)))
			return false;
	return !*x && !*y;
}

/* The one name in the directory that is equal but for case. */
static bool find_other(int fd, const char *name,
		       char found[BENEATH_NAME_LIMIT + 1])
{
	int again = openat(fd, ".", DIRECTORY_FLAGS);
	DIR *dir = again < 0 ? NULL : fdopendir(again);
	struct dirent *e;
	int count = 0;

	while (dir && (e = readdir(dir))) {
		if (strlen(e->d_name) != strlen(name) ||
		    !fold_equal(e->d_name, name))
			continue;
		strcpy(found, e->d_name);
		count++;
	}
	if (dir)
		closedir(dir);
	else if (again >= 0)
		close(again);
	return count == 1;
}

void fold_path(int root, char *path)
{
	int fd = fcntl(root, F_DUPFD_CLOEXEC, 0);
	char name[BENEATH_NAME_LIMIT + 1], found[BENEATH_NAME_LIMIT + 1];

	while (fd >= 0 && *path) {
		size_t length = strcspn(path, "/");
		struct stat st;
		int next;

		if (!beneath_name_valid(path, length))
			break;
		memcpy(name, path, length);
		name[length] = '\0';
		if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) &&
		    find_other(fd, name, found))
			memcpy(path, strcpy(name, found), length);
		next = openat(fd, name, DIRECTORY_FLAGS);
		close(fd);
		fd = next;
		path += length + (path[length] == '/');
	}
	if (fd >= 0)
		close(fd);
}
