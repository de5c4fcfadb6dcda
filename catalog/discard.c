#include "catalog/discard.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include "tape/log.h"

#define OPEN (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

static void empty(int fd, int levels)
{
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	while (dir && (e = readdir(dir))) {
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		if (!unlinkat(fd, e->d_name, 0) || levels <= 1)
			continue;
		empty(openat(fd, e->d_name, OPEN), levels - 1);
		unlinkat(fd, e->d_name, AT_REMOVEDIR);
	}
	if (dir)
		closedir(dir);
}

void discard(const char *path, int levels)
{
	empty(open(path, OPEN), levels);
	if (rmdir(path))
		log_warning("%s is left: %s", path, strerror(errno));
}
