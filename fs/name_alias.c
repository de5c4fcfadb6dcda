#include "fs/name_alias.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME_ROOM 256

bool name_listed(int directory, const char *name)
{
	int fd = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;
	bool found = false;

	while (dir && !found && (e = readdir(dir)))
		found = !strcmp(e->d_name, name);
	if (dir)
		closedir(dir);
	else if (fd >= 0)
		close(fd);
	return found;
}

static bool stands(int directory, const char *name)
{
	struct stat st;

	return fstatat(directory, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static char other_case(char c)
{
	bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');

	return letter ? (char)(c ^ 0x20) : c;
}

/* Letters beyond ASCII, and the short names of vfat (LONGNA~1), only the list
 * tells. */
static bool only_list_tells(const char *name)
{
	for (; *name; name++)
		if (*name == '~' || (unsigned char)*name >= 0x80)
			return true;
	return false;
}

/* A name of other letters, or of another end, leads somewhere, too. */
static bool may_be_alias(int directory, const char *name)
{
	size_t length = strlen(name);
	char other[NAME_ROOM + 1];

	if (length >= NAME_ROOM || only_list_tells(name))
		return true;
	for (size_t i = 0; i <= length; i++)
		other[i] = other_case(name[i]);
	if (strcmp(other, name) && stands(directory, other))
		return true;
	snprintf(other, sizeof(other), "%s.", name);
	return stands(directory, other) || name[length - 1] == '.' ||
	       name[length - 1] == ' ';
}

bool name_folded(int directory, const char *name)
{
	size_t length = strlen(name);
	char other[NAME_ROOM];
	struct stat a, b;

	if (length >= sizeof(other))
		return false;
	for (size_t i = 0; i <= length; i++)
		other[i] = other_case(name[i]);
	return strcmp(other, name) &&
	       !fstatat(directory, name, &a, AT_SYMLINK_NOFOLLOW) &&
	       !fstatat(directory, other, &b, AT_SYMLINK_NOFOLLOW) &&
	       a.st_dev == b.st_dev && a.st_ino == b.st_ino &&
	       !(name_listed(directory, name) && name_listed(directory, other));
}

bool name_aliased(int directory, const char *name)
{
	return stands(directory, name) && may_be_alias(directory, name) &&
	       !name_listed(directory, name);
}

static bool has_letter(const char *name)
{
	while (*name && other_case(*name) == *name)
		name++;
	return *name;
}

static bool folds_ends(int directory, const char *name)
{
	char longer[NAME_ROOM + 1];

	snprintf(longer, sizeof(longer), "%s.", name);
	return stands(directory, longer) && !name_listed(directory, longer);
}

/* Asked of a name that is there: a probe of our own would move the times of a
 * directory that a rule keeps. */
bool name_may_fold(int directory, const char *name)
{
	return !has_letter(name) || name_folded(directory, name) ||
	       folds_ends(directory, name) || !stands(directory, name);
}

static bool folds(int directory, const char *name, bool ends)
{
	return ends ? folds_ends(directory, name)
		    : name_folded(directory, name);
}

/* In a directory that has no name to ask about. */
static bool probe(int directory, bool ends)
{
	const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
	unsigned number = 0;
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}};
	struct stat st;
	char name[32];
	bool fold;
	int fd;

	if (getrandom(&number, sizeof(number), 0) < 0 || fstat(directory, &st))
		return false;
	snprintf(name, sizeof(name), ".reel-probe-%08x", number);
	fd = openat(directory, name, flags, 0600);
	if (fd < 0)
		return false;
	close(fd);
	fold = folds(directory, name, ends);
	unlinkat(directory, name, 0);
	times[1] = st.st_mtim;
	futimens(directory, times);
	return fold;
}

bool names_fold(int directory, bool ends)
{
	int fd = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;
	bool fold;

	if (!dir) {
		if (fd >= 0)
			close(fd);
		return false;
	}
	do {
		e = readdir(dir);
	} while (e && !has_letter(e->d_name));
	fold = e ? folds(fd, e->d_name, ends) : probe(fd, ends);
	closedir(dir);
	return fold;
}
