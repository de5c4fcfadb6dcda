#include "tests/posix/durable.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "tests/posix/random.h"

enum { NONE = -1, ROOT = 0 };

struct thing {
	bool directory;
	int parent, name; /* NONE: gone */
	int units;
	int generation;
	int names; /* in a directory */
};

struct run {
	uint64_t state;
	struct thing things[DURABLE_FILES];
	int count;
	int names[DURABLE_FILES][DURABLE_NAMES]; /* of directories */
};

static uint64_t pick(struct run *r, uint64_t n)
{
	return random_below(&r->state, n);
}

void durable_unit(char to[DURABLE_UNIT], int file, int unit, int generation)
{
	int n = snprintf(to, DURABLE_UNIT, "file %d unit %d generation %d\n",
			 file, unit, generation);

	for (int i = n; i < DURABLE_UNIT; i++)
		to[i] = (char)('a' +
			       random_mix((uint64_t)(file * 7919 + unit * 31 +
						     generation + i / 8)) %
				       26);
}

static void say(const char *format, ...)
{
	char line[128];
	va_list args;

	va_start(args, format);
	int n = vsnprintf(line, sizeof(line), format, args);

	va_end(args);
	if (write(STDOUT_FILENO, line, (size_t)n) != n)
		exit(0); /* nobody listens */
}

/* The filesystem is gone: that is what is tried. */
static void must(bool good, const char *call, const char *path)
{
	if (good)
		return;
	if (errno == ENOTCONN || errno == ECONNABORTED || errno == ENODEV)
		exit(0);
	fprintf(stderr, "durable: %s %s: %s\n", call, path, strerror(errno));
	exit(1);
}

static void path_of(const struct run *r, int thing, char *to, size_t size)
{
	char below[2048] = "", longer[2100];

	for (; thing != ROOT; thing = r->things[thing].parent) {
		snprintf(longer, sizeof(longer), "/n%d%s",
			 r->things[thing].name, below);
		snprintf(below, sizeof(below), "%.2047s", longer);
	}
	snprintf(to, size, ".%s", below);
}

static void name_path(const struct run *r, int dir, int name, char *to,
		      size_t size)
{
	char base[2048];

	path_of(r, dir, base, sizeof(base));
	snprintf(to, size, "%s/n%d", base, name);
}

static int depth_of(const struct run *r, int thing)
{
	int depth = 0;

	for (; thing != ROOT; thing = r->things[thing].parent)
		depth++;
	return depth;
}

static int pick_thing(struct run *r, bool directory)
{
	for (int i = 0; i < 50; i++) {
		int thing = (int)pick(r, (uint64_t)r->count);
		const struct thing *t = r->things + thing;

		if (t->directory == directory &&
		    (thing == ROOT || t->parent != NONE))
			return thing;
	}
	return directory ? ROOT : NONE;
}

static void bind_name(struct run *r, int dir, int name, int thing)
{
	if (r->names[dir][name] == NONE)
		r->things[dir].names++;
	r->names[dir][name] = thing;
	r->things[thing].parent = dir;
	r->things[thing].name = name;
}

static void free_name(struct run *r, int dir, int name)
{
	r->names[dir][name] = NONE;
	r->things[dir].names--;
}

/* ---- operations ---- */

static void write_unit(struct run *r, int fd, int file, int unit,
		       const char *path)
{
	char bytes[DURABLE_UNIT];
	struct thing *t = r->things + file;

	say("W %d %d %d\n", file, unit, ++t->generation);
	durable_unit(bytes, file, unit, t->generation);
	/* a write that was cut short goes on, or says why it cannot */
	for (int at = 0; at < DURABLE_UNIT;) {
		ssize_t n = pwrite(fd, bytes + at, (size_t)(DURABLE_UNIT - at),
				   (off_t)unit * DURABLE_UNIT + at);

		must(n > 0, "pwrite", path);
		at += (int)n;
	}
	if (unit == t->units)
		t->units++;
}

static void sync_file(int fd, int file, const char *path, bool data)
{
	must(!(data ? fdatasync(fd) : fsync(fd)), "fsync", path);
	say("f %d\n", file);
}

static void sync_directory(struct run *r, int dir)
{
	char path[2200];
	int fd;

	path_of(r, dir, path, sizeof(path));
	fd = open(path, O_RDONLY | O_DIRECTORY);
	must(fd >= 0, "open", path);
	must(!fsync(fd), "fsync", path);
	say("y %d\n", dir);
	close(fd);
}

static int make_file(struct run *r, int dir, int name, int units, bool sync)
{
	char path[2200];
	int file = r->count, fd;

	name_path(r, dir, name, path, sizeof(path));
	say("C %d %d %d\n", dir, name, file);
	fd = open(path, O_CREAT | O_EXCL | O_RDWR, 0644);
	must(fd >= 0, "create", path);
	r->count++;
	r->things[file] = (struct thing){.parent = NONE};
	bind_name(r, dir, name, file);
	for (int i = 0; i < units; i++)
		write_unit(r, fd, file, i, path);
	if (sync)
		sync_file(fd, file, path, false);
	must(!close(fd), "close", path);
	return file;
}

static void do_make(struct run *r)
{
	int dir = pick_thing(r, true), name = (int)pick(r, DURABLE_NAMES);

	if (r->names[dir][name] == NONE && r->count < DURABLE_FILES)
		make_file(r, dir, name, (int)pick(r, pick(r, 9) ? 12 : 150),
			  pick(r, 2));
}

static void move(struct run *r, int thing, int dir, int name)
{
	char from[2200], to[2200];
	struct thing *t = r->things + thing;
	int over = r->names[dir][name];

	path_of(r, thing, from, sizeof(from));
	name_path(r, dir, name, to, sizeof(to));
	say("R %d %d %d %d\n", t->parent, t->name, dir, name);
	must(!rename(from, to), "rename", from);
	free_name(r, t->parent, t->name);
	if (over != NONE)
		r->things[over].parent = NONE;
	bind_name(r, dir, name, thing);
}

/* As careful programs save: another file, fsync, rename, fsync of the
 * directory. */
static void do_save(struct run *r)
{
	int file = pick_thing(r, false), dir, name, other;

	if (file == NONE || r->count >= DURABLE_FILES)
		return;
	dir = r->things[file].parent;
	name = (int)pick(r, DURABLE_NAMES);
	if (r->names[dir][name] != NONE)
		return;
	other = make_file(r, dir, name, 1 + (int)pick(r, 20), pick(r, 4));
	move(r, other, dir, r->things[file].name);
	if (pick(r, 2))
		sync_directory(r, dir);
}

static void do_write(struct run *r)
{
	int file = pick_thing(r, false), fd;
	char path[2200];

	if (file == NONE)
		return;
	struct thing *t = r->things + file;

	path_of(r, file, path, sizeof(path));
	fd = open(path, O_RDWR);
	must(fd >= 0, "open", path);
	for (int i = (int)pick(r, 8); i >= 0; i--) {
		int unit = pick(r, 2) ? t->units
				      : (int)pick(r, (uint64_t)t->units + 1);

		if (unit < DURABLE_UNITS)
			write_unit(r, fd, file, unit, path);
	}
	if (!pick(r, 6)) {
		t->units = (int)pick(r, (uint64_t)t->units + 1);
		say("T %d %d\n", file, t->units);
		must(!ftruncate(fd, (off_t)t->units * DURABLE_UNIT),
		     "ftruncate", path);
	}
	if (pick(r, 2))
		sync_file(fd, file, path, pick(r, 3) == 0);
	must(!close(fd), "close", path);
}

static void do_rename(struct run *r)
{
	int thing = pick_thing(r, !pick(r, 4)), dir = pick_thing(r, true);
	int name = (int)pick(r, DURABLE_NAMES), over = r->names[dir][name];

	if (thing == NONE || thing == ROOT || over == thing ||
	    depth_of(r, dir) > 5)
		return;
	for (int d = dir; d != ROOT; d = r->things[d].parent)
		if (d == thing)
			return;
	if (over != NONE &&
	    (r->things[over].directory || r->things[thing].directory))
		return;
	move(r, thing, dir, name);
	if (!pick(r, 3))
		sync_directory(r, dir);
}

static void do_unlink(struct run *r)
{
	int file = pick_thing(r, false), dir;
	char path[2200];

	if (file == NONE)
		return;
	dir = r->things[file].parent;
	path_of(r, file, path, sizeof(path));
	say("U %d %d\n", dir, r->things[file].name);
	must(!unlink(path), "unlink", path);
	free_name(r, dir, r->things[file].name);
	r->things[file].parent = NONE;
	if (!pick(r, 3))
		sync_directory(r, dir);
}

static void do_mkdir(struct run *r)
{
	int dir = pick_thing(r, true), name = (int)pick(r, DURABLE_NAMES);
	char path[2200];

	if (r->names[dir][name] != NONE || r->count >= DURABLE_FILES ||
	    depth_of(r, dir) > 4)
		return;
	name_path(r, dir, name, path, sizeof(path));
	say("M %d %d %d\n", dir, name, r->count);
	must(!mkdir(path, durable_mode(r->count)), "mkdir", path);
	r->things[r->count] = (struct thing){.directory = true, .parent = NONE};
	bind_name(r, dir, name, r->count++);
	if (!pick(r, 2))
		sync_directory(r, dir);
}

static void do_rmdir(struct run *r)
{
	int dir = pick_thing(r, true), parent;
	char path[2200];

	if (dir == ROOT || r->things[dir].names)
		return;
	parent = r->things[dir].parent;
	path_of(r, dir, path, sizeof(path));
	say("D %d %d\n", parent, r->things[dir].name);
	must(!rmdir(path), "rmdir", path);
	free_name(r, parent, r->things[dir].name);
	r->things[dir].parent = NONE;
}

static void do_sync(struct run *r)
{
	if (!pick(r, 20)) {
		int fd = open(".", O_RDONLY | O_DIRECTORY);

		must(fd >= 0, "open", ".");
		must(!syncfs(fd), "syncfs", ".");
		say("a\n");
		close(fd);
		return;
	}
	sync_directory(r, pick_thing(r, true));
}

static void (*const operations[])(struct run *r) = {
	do_make,  do_make,   do_make,	do_save,   do_save,  do_write, do_write,
	do_write, do_rename, do_rename, do_unlink, do_mkdir, do_rmdir, do_sync,
};

int durable_run(const struct durable_options *o, const char *dir)
{
	struct run *r = calloc(1, sizeof(*r));

	if (!r || chdir(dir)) {
		perror(dir);
		return 2;
	}
	memset(r->names, 0xff, sizeof(r->names));
	umask(0);
	r->state = random_mix(o->seed);
	r->things[ROOT] = (struct thing){.directory = true, .parent = NONE};
	r->count = 1;
	for (unsigned long i = 0;
	     o->until ? time(NULL) < o->until : i < o->count; i++) {
		if (r->count >= DURABLE_FILES)
			break;
		operations[pick(r, sizeof(operations) / sizeof(*operations))](
			r);
	}
	free(r);
	return 0;
}
