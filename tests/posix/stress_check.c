#include "tests/posix/stress.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "tests/posix/random.h"

#define MAGIC UINT64_C(0x4b434f4c42204553)

struct block {
	uint64_t magic, file, number, generation;
	uint64_t fill[STRESS_BLOCK / 8 - 5];
	uint64_t sum;
};
_Static_assert(sizeof(struct block) == STRESS_BLOCK, "a block");

static uint64_t sum_of(const struct block *b)
{
	const uint64_t *w = (const uint64_t *)b;
	uint64_t sum = 1;

	for (size_t i = 0; i < STRESS_BLOCK / 8 - 1; i++)
		sum = random_mix(sum + w[i]);
	return sum;
}

void stress_block(unsigned char to[STRESS_BLOCK], uint64_t file,
		  uint64_t number, uint64_t generation)
{
	struct block b = {MAGIC, file, number, generation, {0}, 0};

	for (size_t i = 0; i < sizeof(b.fill) / 8; i++)
		b.fill[i] = random_mix(file + number + generation + i);
	b.sum = sum_of(&b);
	memcpy(to, &b, STRESS_BLOCK);
}

static bool is_zero(const struct block *b)
{
	static const struct block zero;

	return !memcmp(b, &zero, sizeof(zero));
}

int stress_check_file(int fd, uint64_t *file, char text[128])
{
	struct block b;
	uint64_t number = 0;
	ssize_t n;

	*file = 0;
	for (; (n = pread(fd, &b, sizeof(b), (off_t)(number * sizeof(b)))) > 0;
	     number++) {
		if (n == sizeof(b) && is_zero(&b))
			continue;
		if (n != sizeof(b) || b.magic != MAGIC || b.sum != sum_of(&b)) {
			snprintf(text, 128, "block %llu is torn (%zd bytes)",
				 (unsigned long long)number, n);
			return -1;
		}
		if (b.number != number || (*file && b.file != *file)) {
			snprintf(text, 128,
				 "block %llu is block %llu of file %llx",
				 (unsigned long long)number,
				 (unsigned long long)b.number,
				 (unsigned long long)b.file);
			return -1;
		}
		*file = b.file;
	}
	if (n < 0) {
		snprintf(text, 128, "reading: %s", strerror(errno));
		return -1;
	}
	return 0;
}

/* ---- the tree ---- */

struct seen {
	ino_t ino;
	nlink_t links, names;
	char name[300];
};

struct check {
	struct seen *seen;
	size_t count, space;
	int bad;
};

static void wrong(struct check *c, const char *dir, const char *name,
		  const char *what)
{
	c->bad++;
	printf("%s/%s: %s\n", dir, name, what);
}

static void add_seen(struct check *c, const char *dir, const char *name,
		     const struct stat *st)
{
	if (c->count == c->space) {
		c->space = c->space ? 2 * c->space : 1024;
		c->seen = realloc(c->seen, c->space * sizeof(*c->seen));
	}
	struct seen *s = c->seen + c->count++;

	s->ino = st->st_ino;
	s->links = st->st_nlink;
	snprintf(s->name, sizeof(s->name), "%s/%s", dir, name);
}

static void check_content(struct check *c, int at, const char *dir,
			  const char *name)
{
	int fd = openat(at, name, O_RDONLY | O_NOFOLLOW);
	char text[128];
	uint64_t file;

	if (fd < 0) {
		wrong(c, dir, name, strerror(errno));
		return;
	}
	if (stress_check_file(fd, &file, text))
		wrong(c, dir, name, text);
	close(fd);
}

static int check_directory(struct check *c, int at, const char *path);

static int check_name(struct check *c, DIR *d, const struct dirent *e,
		      const char *path)
{
	struct stat st;
	char below[4096];

	if (fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW)) {
		wrong(c, path, e->d_name, strerror(errno));
		return 0;
	}
	if (st.st_ino != e->d_ino ||
	    (e->d_type != DT_UNKNOWN && e->d_type != IFTODT(st.st_mode)))
		wrong(c, path, e->d_name, "readdir and stat differ");
	if (S_ISDIR(st.st_mode)) {
		snprintf(below, sizeof(below), "%s/%s", path, e->d_name);
		int subs = check_directory(
			c, openat(dirfd(d), e->d_name, O_RDONLY | O_DIRECTORY),
			below);

		if (subs >= 0 && st.st_nlink != (nlink_t)subs + 2)
			wrong(c, path, e->d_name, "a wrong count of links");
		return 1;
	}
	add_seen(c, path, e->d_name, &st);
	if (S_ISREG(st.st_mode))
		check_content(c, dirfd(d), path, e->d_name);
	return 0;
}

/* How many directories are in it, or -1; closes `at`. */
static int check_directory(struct check *c, int at, const char *path)
{
	DIR *d = at < 0 ? NULL : fdopendir(at);
	struct dirent *e;
	int subs = 0;

	if (!d) {
		wrong(c, path, "", strerror(errno));
		return -1;
	}
	for (errno = 0; (e = readdir(d)); errno = 0)
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
			subs += check_name(c, d, e, path);
	if (errno)
		wrong(c, path, "", strerror(errno));
	closedir(d);
	return subs;
}

static int by_inode(const void *x, const void *y)
{
	const struct seen *a = x, *b = y;

	return a->ino < b->ino ? -1 : a->ino > b->ino;
}

static void check_links(struct check *c)
{
	if (!c->count)
		return;
	qsort(c->seen, c->count, sizeof(*c->seen), by_inode);
	for (size_t i = 0, end; i < c->count; i = end) {
		for (end = i; end < c->count; end++)
			if (c->seen[end].ino != c->seen[i].ino)
				break;
		if (c->seen[i].links == end - i)
			continue;
		c->bad++;
		printf("%s: %llu links, but %zu names\n", c->seen[i].name,
		       (unsigned long long)c->seen[i].links, end - i);
	}
}

int stress_check_tree(const char *dir)
{
	struct check c = {0};

	check_directory(&c, open(dir, O_RDONLY | O_DIRECTORY), dir);
	check_links(&c);
	free(c.seen);
	return c.bad;
}
