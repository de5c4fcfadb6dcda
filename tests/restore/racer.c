/* Changes a tree underneath a restore, as one who may write to it: directories
 * become symlinks to OUTSIDE and back, files and the restore's own temporary
 * names become links to files there.
 *
 *     racer UID TREE OUTSIDE COUNTER DIRECTORIES
 *
 * Works as user UID, until it is killed; COUNTER holds how often a name was
 * changed. TREE's directories d0, d1 … are changed, in which f0 to f3 are;
 * OUTSIDE has a file `mine`, which belongs to UID, and one `theirs`. */
#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define FILES 4
#define DWELL 400 /* turns of an empty loop, at most */

static void swap(const char *name, const char *outside, volatile uint64_t *n)
{
	char link[64];

	/* what the restore puts in its place stays under the other name */
	snprintf(link, sizeof(link), ".swap-%d-%d", rand(), rand());
	if (symlink(outside, link))
		return;
	if (renameat2(AT_FDCWD, name, AT_FDCWD, link, RENAME_EXCHANGE) == 0)
		++*n;
	for (volatile int i = rand() % DWELL; i > 0; i--)
		;
	if (renameat2(AT_FDCWD, name, AT_FDCWD, link, RENAME_EXCHANGE) == 0)
		++*n;
	unlink(link);
}

static void swap_file(int directory, const char *name, const char *outside,
		      unsigned way, volatile uint64_t *n)
{
	char to[4096];

	snprintf(to, sizeof(to), "%s/%s", outside, way % 2 ? "mine" : "theirs");
	unlinkat(directory, name, 0);
	if (way % 4 < 2 ? linkat(AT_FDCWD, to, directory, name, 0) == 0
			: symlinkat(to, directory, name) == 0)
		++*n;
}

/* The names that the restore is working on. */
static void swap_temporaries(int directory, const char *outside, unsigned way,
			     volatile uint64_t *n)
{
	int fd = openat(directory, ".", O_RDONLY | O_DIRECTORY);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	while (d && (e = readdir(d)))
		if (!strncmp(e->d_name, ".reel-tmp-", 10))
			swap_file(directory, e->d_name, outside, way++, n);
	if (d)
		closedir(d);
	else if (fd >= 0)
		close(fd);
}

static volatile uint64_t *open_counter(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT, 0666);
	void *p;

	if (fd < 0 || ftruncate(fd, sizeof(uint64_t)))
		return NULL;
	p = mmap(NULL, sizeof(uint64_t), PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		 0);
	return p == MAP_FAILED ? NULL : p;
}

int main(int argc, char **argv)
{
	volatile uint64_t *n;
	unsigned turn = 0, at = 0, count;

	if (argc != 6 || !(n = open_counter(argv[4])) || chdir(argv[2]) ||
	    setgid((gid_t)atoi(argv[1])) || setuid((uid_t)atoi(argv[1]))) {
		perror("racer");
		return 2;
	}
	count = (unsigned)atoi(argv[5]);
	for (; count; turn++) {
		char name[64];
		int fd;

		/* mostly where the restore goes, from one to the next */
		at = (unsigned)rand() % 4 ? at : (at + 1) % count;
		snprintf(name, sizeof(name), "d%u", at);
		fd = open(name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
		swap(name, argv[3], n);
		if (fd < 0)
			continue;
		if (turn % 2)
			swap_temporaries(fd, argv[3], turn / 2, n);
		snprintf(name, sizeof(name), "f%u", (unsigned)rand() % FILES);
		if (turn % 3 == 0)
			swap_file(fd, name, argv[3], turn / 3, n);
		close(fd);
	}
	return 2;
}
