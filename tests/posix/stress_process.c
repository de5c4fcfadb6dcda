#include "tests/posix/stress.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>
#include "tests/posix/random.h"

#define OWN_NAMES   24
#define PATH_BYTES  128
#define BLOCK_LIMIT 200

enum kind { NOTHING, FILE_KIND, LINK_KIND, DIRECTORY_KIND };

struct own {
	enum kind kind;
	int dir; /* sN */
	uint64_t file;
	uint64_t blocks;
	nlink_t links;
	mode_t mode;
	char value[16]; /* user.own; empty: none */
};

struct process {
	int number;
	uint64_t state;
	uint64_t files; /* numbers given so far */
	unsigned long step;
	struct own own[OWN_NAMES];
	int bad;
};

static uint64_t pick(struct process *p, uint64_t n)
{
	return random_below(&p->state, n);
}

static void wrong(struct process *p, const char *call, const char *path,
		  const char *what)
{
	p->bad++;
	printf("process %d, step %lu: %s %s: %s\n", p->number, p->step, call,
	       path, what);
}

/* C5: what other processes can make of a call on a shared name. */
static void may(struct process *p, int result, const char *call,
		const char *path)
{
	static const int right[] = {ENOENT, EEXIST, ENOTEMPTY, ENOTDIR,
				    EISDIR, EINVAL, ELOOP,     ENODATA,
				    EPERM,  EMLINK, ENXIO,     EOPNOTSUPP};

	if (result != -1)
		return;
	for (size_t i = 0; i < sizeof(right) / sizeof(*right); i++)
		if (errno == right[i])
			return;
	wrong(p, call, path, strerror(errno));
}

static void must(struct process *p, bool good, const char *call,
		 const char *path)
{
	if (!good)
		wrong(p, call, path, strerror(errno));
}

/* ---- shared names ---- */

static char *shared(struct process *p, char to[PATH_BYTES])
{
	int n = snprintf(to, PATH_BYTES, "tree/s%d", (int)pick(p, STRESS_DIRS));

	while (pick(p, 3) && n < PATH_BYTES - 20)
		n += snprintf(to + n, (size_t)(PATH_BYTES - n), "/d%d",
			      (int)pick(p, 4));
	snprintf(to + n, (size_t)(PATH_BYTES - n), "/%c%d",
		 pick(p, 4) ? 'f' : 'd', (int)pick(p, 12));
	return to;
}

static uint64_t new_file_number(struct process *p)
{
	return (uint64_t)(p->number + 1) << 40 | ++p->files;
}

/* `count` blocks from `first`; -1 with errno, an errno of 0: short. */
static int write_blocks(struct process *p, int fd, uint64_t file,
			uint64_t first, uint64_t count)
{
	static unsigned char bytes[BLOCK_LIMIT * STRESS_BLOCK];
	size_t length = count * STRESS_BLOCK;

	for (uint64_t i = 0; i < count; i++)
		stress_block(bytes + i * STRESS_BLOCK, file, first + i,
			     p->step);
	errno = 0;
	return pwrite(fd, bytes, length, (off_t)(first * STRESS_BLOCK)) ==
			       (ssize_t)length
		       ? 0
		       : -1;
}

/* A shared file tells its number itself, in an xattr that is set before the
 * file gets a shared name. */
static void make_shared(struct process *p)
{
	char path[PATH_BYTES], temporary[PATH_BYTES];
	uint64_t file = new_file_number(p);
	int fd;

	snprintf(temporary, sizeof(temporary), "tree/s%d/t%d",
		 (int)pick(p, STRESS_DIRS), p->number);
	fd = open(temporary, O_CREAT | O_EXCL | O_RDWR, 0644);
	must(p, fd >= 0, "create", temporary);
	if (fd < 0)
		return;
	must(p, !write_blocks(p, fd, file, 0, pick(p, 30)), "write", temporary);
	must(p, !fsetxattr(fd, "user.file", &file, 8, XATTR_CREATE), "setxattr",
	     temporary);
	shared(p, path);
	int got = pick(p, 2) ? rename(temporary, path) : link(temporary, path);

	may(p, got, "rename or link", path);
	if (unlink(temporary))
		must(p, errno == ENOENT, "unlink", temporary);
	must(p, !close(fd), "close", path);
}

static void write_shared(struct process *p)
{
	char path[PATH_BYTES], text[128];
	int fd = open(shared(p, path), O_RDWR | O_NONBLOCK);
	uint64_t file = 0, first = pick(p, 100), found;

	may(p, fd, "open", path);
	if (fd < 0)
		return;
	if (fgetxattr(fd, "user.file", &file, 8) != 8)
		must(p, false, "getxattr user.file", path);
	else
		must(p, !write_blocks(p, fd, file, first, 1 + pick(p, 20)),
		     "write", path);
	if (!pick(p, 4))
		must(p, !ftruncate(fd, (off_t)(STRESS_BLOCK * pick(p, 80))),
		     "ftruncate", path);
	if (!pick(p, 6))
		may(p,
		    fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			      (off_t)(STRESS_BLOCK * pick(p, 80)),
			      (off_t)(STRESS_BLOCK * (1 + pick(p, 9)))),
		    "punch", path);
	if (!pick(p, 8))
		must(p, !fsync(fd), "fsync", path);
	/* torn blocks may be seen while others write; another's not */
	if (file && stress_check_file(fd, &found, text) == 0 && found &&
	    found != file)
		wrong(p, "read", path, "blocks of another file");
	must(p, !close(fd), "close", path);
}

static void rename_shared(struct process *p)
{
	char from[PATH_BYTES], to[PATH_BYTES];
	unsigned flags[] = {0, 0, RENAME_NOREPLACE, RENAME_EXCHANGE};

	may(p,
	    renameat2(AT_FDCWD, shared(p, from), AT_FDCWD, shared(p, to),
		      flags[pick(p, 4)]),
	    "rename", from);
}

static void link_shared(struct process *p)
{
	char from[PATH_BYTES], to[PATH_BYTES];

	may(p, link(shared(p, from), shared(p, to)), "link", from);
}

static void symlink_shared(struct process *p)
{
	char path[PATH_BYTES], to[PATH_BYTES];

	snprintf(to, sizeof(to), "%s%d", pick(p, 2) ? "f" : "../d",
		 (int)pick(p, 12));
	may(p, symlink(to, shared(p, path)), "symlink", path);
	may(p, (int)readlink(shared(p, path), to, sizeof(to)), "readlink",
	    path);
}

static void unlink_shared(struct process *p)
{
	char path[PATH_BYTES];

	may(p, unlink(shared(p, path)), "unlink", path);
}

static void mkdir_shared(struct process *p)
{
	char path[PATH_BYTES];

	may(p, mkdir(shared(p, path), 0755), "mkdir", path);
}

static void rmdir_shared(struct process *p)
{
	char path[PATH_BYTES];

	may(p, rmdir(shared(p, path)), "rmdir", path);
}

static void change_shared(struct process *p)
{
	char path[PATH_BYTES], value[8];
	struct stat st;

	shared(p, path);
	may(p, chmod(path, (mode_t)(0600 | pick(p, 0200))), "chmod", path);
	may(p, utimensat(AT_FDCWD, path, NULL, AT_SYMLINK_NOFOLLOW),
	    "utimensat", path);
	may(p, setxattr(path, "user.x", "value", pick(p, 6), 0), "setxattr",
	    path);
	may(p, (int)getxattr(path, "user.x", value, sizeof(value)), "getxattr",
	    path);
	if (!pick(p, 3))
		may(p, removexattr(path, "user.x"), "removexattr", path);
	may(p, lstat(path, &st), "lstat", path);
}

static void list_shared(struct process *p)
{
	char path[PATH_BYTES];
	DIR *d = opendir(shared(p, path));
	int n = 0;

	if (!d) {
		may(p, -1, "opendir", path);
		return;
	}
	errno = 0;
	while (readdir(d))
		n++;
	/* removed meanwhile: a directory without names */
	if (errno && errno != ENOENT)
		wrong(p, "readdir", path, strerror(errno));
	closedir(d);
	(void)n;
}

static void sync_shared(struct process *p)
{
	char path[PATH_BYTES];
	int fd;

	snprintf(path, sizeof(path), "tree/s%d", (int)pick(p, STRESS_DIRS));
	fd = open(path, O_RDONLY | O_DIRECTORY);
	must(p, fd >= 0, "open", path);
	must(p, !fsync(fd), "fsync", path);
	close(fd);
}

/* ---- names of this process ---- */

static char *own_path(const struct process *p, int i, char to[PATH_BYTES])
{
	snprintf(to, PATH_BYTES, "tree/s%d/p%d-%d", p->own[i].dir, p->number,
		 i);
	return to;
}

static void check_own(struct process *p, int i)
{
	char path[PATH_BYTES], text[128], value[16] = "";
	const struct own *o = p->own + i;
	struct stat st;
	uint64_t file;
	int fd;

	if (lstat(own_path(p, i, path), &st)) {
		must(p, o->kind == NOTHING && errno == ENOENT, "lstat", path);
		return;
	}
	if (o->kind == NOTHING) {
		wrong(p, "lstat", path, "there, though it was removed");
		return;
	}
	if ((o->kind == DIRECTORY_KIND) != !!S_ISDIR(st.st_mode) ||
	    (o->kind == LINK_KIND) != !!S_ISLNK(st.st_mode)) {
		wrong(p, "lstat", path, "of another kind");
		return;
	}
	if (o->kind != FILE_KIND)
		return;
	if (st.st_size != (off_t)(o->blocks * STRESS_BLOCK) ||
	    st.st_nlink != o->links || (st.st_mode & 07777) != o->mode) {
		snprintf(text, sizeof(text),
			 "size %lld, %llu links, mode %o; wanted %llu, %llu, "
			 "%o",
			 (long long)st.st_size, (unsigned long long)st.st_nlink,
			 st.st_mode & 07777,
			 (unsigned long long)o->blocks * STRESS_BLOCK,
			 (unsigned long long)o->links, o->mode);
		wrong(p, "lstat", path, text);
	}
	if (getxattr(path, "user.own", value, sizeof(value)) < 0)
		must(p, errno == ENODATA && !o->value[0], "getxattr", path);
	if (strcmp(value, o->value))
		wrong(p, "getxattr", path, "another value");
	fd = open(path, O_RDONLY);
	must(p, fd >= 0, "open", path);
	if (fd >= 0 &&
	    (stress_check_file(fd, &file, text) || (file != o->file && file)))
		wrong(p, "read", path, "blocks that it did not write");
	close(fd);
}

static void make_own(struct process *p, int i)
{
	char path[PATH_BYTES];
	struct own *o = p->own + i;

	*o = (struct own){.dir = (int)pick(p, STRESS_DIRS)};
	own_path(p, i, path);
	if (!pick(p, 5)) {
		must(p, !mkdir(path, 0755), "mkdir", path);
		o->kind = DIRECTORY_KIND;
	} else if (!pick(p, 5)) {
		must(p, !symlink("somewhere", path), "symlink", path);
		o->kind = LINK_KIND;
	} else {
		int fd = open(path, O_CREAT | O_EXCL | O_RDWR, 0640);

		o->kind = FILE_KIND;
		o->file = new_file_number(p);
		o->links = 1;
		o->mode = 0640;
		o->blocks = pick(p, BLOCK_LIMIT);
		must(p, fd >= 0, "create", path);
		must(p, !write_blocks(p, fd, o->file, 0, o->blocks), "write",
		     path);
		must(p, !close(fd), "close", path);
	}
}

static void remove_own(struct process *p, int i)
{
	char path[PATH_BYTES];
	struct own *o = p->own + i;

	own_path(p, i, path);
	if (o->kind == DIRECTORY_KIND)
		must(p, !rmdir(path), "rmdir", path);
	else
		must(p, !unlink(path), "unlink", path);
	for (int k = 0; k < OWN_NAMES; k++)
		if (k != i && o->file && p->own[k].file == o->file)
			p->own[k].links--;
	*o = (struct own){.dir = o->dir};
}

static void move_own(struct process *p, int i)
{
	char from[PATH_BYTES], to[PATH_BYTES];

	own_path(p, i, from);
	p->own[i].dir = (int)pick(p, STRESS_DIRS);
	must(p, !rename(from, own_path(p, i, to)), "rename", from);
}

/* All names of the file change alike. */
static void change_own(struct process *p, int i)
{
	char path[PATH_BYTES];
	struct own *o = p->own + i, was = *o;
	uint64_t first = pick(p, o->blocks + 1);
	int fd = open(own_path(p, i, path), O_RDWR);

	must(p, fd >= 0, "open", path);
	if (pick(p, 2) && first < BLOCK_LIMIT - 20) {
		must(p, !write_blocks(p, fd, o->file, first, 20), "write",
		     path);
		o->blocks = first + 20 > o->blocks ? first + 20 : o->blocks;
	} else if (pick(p, 2)) {
		o->blocks = first;
		must(p, !ftruncate(fd, (off_t)(first * STRESS_BLOCK)),
		     "ftruncate", path);
	} else if (pick(p, 2)) {
		o->mode = (mode_t)(0600 | pick(p, 0200));
		must(p, !fchmod(fd, o->mode), "fchmod", path);
	} else {
		snprintf(o->value, sizeof(o->value), "%lu", p->step);
		must(p,
		     !fsetxattr(fd, "user.own", o->value, strlen(o->value), 0),
		     "setxattr", path);
	}
	must(p, !close(fd), "close", path);
	for (int k = 0; k < OWN_NAMES; k++)
		if (k != i && p->own[k].file == was.file) {
			int dir = p->own[k].dir;

			p->own[k] = *o;
			p->own[k].dir = dir;
		}
}

static void link_own(struct process *p, int i)
{
	char from[PATH_BYTES], to[PATH_BYTES];
	int k = (int)pick(p, OWN_NAMES);

	if (p->own[k].kind != NOTHING)
		return;
	p->own[k].dir = (int)pick(p, STRESS_DIRS);
	must(p, !link(own_path(p, i, from), own_path(p, k, to)), "link", from);
	int dir = p->own[k].dir;

	p->own[k] = p->own[i];
	p->own[k].dir = dir;
	for (int n = 0; n < OWN_NAMES; n++)
		if (p->own[n].file == p->own[i].file)
			p->own[n].links = p->own[i].links + (n != i);
	p->own[i].links++;
}

static void own_step(struct process *p)
{
	int i = (int)pick(p, OWN_NAMES);

	if (!pick(p, 4))
		check_own(p, i);
	if (p->own[i].kind == NOTHING) {
		make_own(p, i);
		return;
	}
	switch (pick(p, 4)) {
	case 0:
		remove_own(p, i);
		break;
	case 1:
		move_own(p, i);
		break;
	case 2:
		if (p->own[i].kind == FILE_KIND)
			link_own(p, i);
		break;
	default:
		if (p->own[i].kind == FILE_KIND)
			change_own(p, i);
	}
}

/* ---- all ---- */

static void (*const steps[])(struct process *p) = {
	own_step,      own_step,      own_step,	     own_step,
	make_shared,   make_shared,   make_shared,   write_shared,
	write_shared,  rename_shared, rename_shared, link_shared,
	unlink_shared, unlink_shared, mkdir_shared,  rmdir_shared,
	change_shared, list_shared,   sync_shared,   symlink_shared,
};

int stress_process(const struct stress_options *o, int number)
{
	struct process p = {.number = number};

	p.state = random_mix(o->seed * 1000 + (uint64_t)number);
	umask(0);
	while (p.bad < 5 &&
	       (o->until ? time(NULL) < o->until : p.step < o->count)) {
		p.step++;
		steps[pick(&p, sizeof(steps) / sizeof(*steps))](&p);
	}
	for (int i = 0; i < OWN_NAMES && p.bad < 20; i++)
		check_own(&p, i);
	return p.bad ? 1 : 0;
}

int stress_make_tree(void)
{
	char path[32];

	if (mkdir("tree", 0755)) {
		perror("tree");
		return -1;
	}
	for (int i = 0; i < STRESS_DIRS; i++) {
		snprintf(path, sizeof(path), "tree/s%d", i);
		if (mkdir(path, 0755)) {
			perror(path);
			return -1;
		}
	}
	return 0;
}
