/* The log, read again: what each file, unit and name was when it was durable,
 * and what it may have become since. */
#include "tests/posix/durable.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NONE = -1, ROOT = 0 };

/* Values since the last one that was durable, that one first. */
struct history {
	int *values;
	int count;
};

struct unit {
	struct history generations; /* NONE: zeros */
};

struct file {
	bool directory, made;
	bool durable;	      /* D5 */
	bool may_go;	      /* removed or replaced since */
	int parent, name;     /* now; NONE: gone */
	struct history sizes; /* in units; -1 first: never durable */
	struct unit *units;
	struct history *names; /* of directories, DURABLE_NAMES */
	int seen;
	bool perhaps; /* seen: it or another */
};

struct check {
	struct file *files;
	int bad;
	char path[4096]; /* where the walk is */
};

static void add(struct history *h, int value)
{
	h->values =
		realloc(h->values, (size_t)(h->count + 1) * sizeof(*h->values));
	h->values[h->count++] = value;
}

static int last(const struct history *h)
{
	return h->values[h->count - 1];
}

static void settle(struct history *h)
{
	h->values[0] = last(h);
	h->count = 1;
}

static bool may_be(const struct history *h, int value)
{
	for (int i = 0; i < h->count; i++)
		if (h->values[i] == value)
			return true;
	return false;
}

/* ---- the log ---- */

static struct file *make(struct check *c, int number, bool directory)
{
	struct file *f = c->files + number;

	*f = (struct file){
		.directory = directory, .made = true, .parent = NONE};
	if (directory) {
		f->names = calloc(DURABLE_NAMES, sizeof(*f->names));
		for (int i = 0; i < DURABLE_NAMES; i++)
			add(f->names + i, NONE);
	} else {
		f->units = calloc(DURABLE_UNITS, sizeof(*f->units));
		for (int i = 0; i < DURABLE_UNITS; i++)
			add(&f->units[i].generations, NONE);
		add(&f->sizes, 0);
	}
	return f;
}

static void bind_name(struct check *c, int dir, int name, int number)
{
	struct file *f;

	add(c->files[dir].names + name, number);
	if (number == NONE)
		return;
	f = c->files + number;
	f->parent = dir;
	f->name = name;
}

static void goes(struct check *c, int number)
{
	if (number == NONE)
		return;
	c->files[number].parent = NONE;
	c->files[number].may_go = true;
}

static void unbind(struct check *c, int dir, int name)
{
	goes(c, last(c->files[dir].names + name));
	bind_name(c, dir, name, NONE);
}

static void moves(struct check *c, const int n[4])
{
	int number = last(c->files[n[0]].names + n[1]);

	bind_name(c, n[0], n[1], NONE);
	goes(c, last(c->files[n[2]].names + n[3]));
	bind_name(c, n[2], n[3], number);
}

static void writes(struct file *f, int unit, int generation)
{
	add(&f->units[unit].generations, generation);
	if (unit == last(&f->sizes))
		add(&f->sizes, unit + 1);
}

static void truncates(struct file *f, int units)
{
	for (int i = units; i < DURABLE_UNITS; i++)
		if (last(&f->units[i].generations) != NONE)
			add(&f->units[i].generations, NONE);
	add(&f->sizes, units);
}

/* The names that lead to it. A rename is whole: the name that it had before
 * leads to it no more. */
static void names_durable(struct check *c, int number)
{
	while (number != ROOT && c->files[number].parent != NONE) {
		struct file *f = c->files + number;

		f->durable = true;
		f->may_go = false;
		settle(c->files[f->parent].names + f->name);
		number = f->parent;
	}
}

static void file_durable(struct check *c, int number)
{
	struct file *f = c->files + number;

	settle(&f->sizes);
	for (int i = 0; i < DURABLE_UNITS; i++)
		settle(&f->units[i].generations);
	names_durable(c, number);
}

static void directory_durable(struct check *c, int number)
{
	struct file *d = c->files + number;

	for (int i = 0; i < DURABLE_NAMES; i++) {
		settle(d->names + i);
		int below = last(d->names + i);

		if (below == NONE)
			continue;
		c->files[below].durable = true;
		c->files[below].may_go = false;
	}
	names_durable(c, number);
}

static void all_durable(struct check *c)
{
	for (int i = 0; i < DURABLE_FILES; i++) {
		if (!c->files[i].made ||
		    (i != ROOT && c->files[i].parent == NONE))
			continue;
		if (c->files[i].directory)
			directory_durable(c, i);
		else
			file_durable(c, i);
	}
}

static bool in_range(int value, int limit)
{
	return value >= 0 && value < limit;
}

/* -1: no such line. */
static int read_line(struct check *c, const char *line)
{
	int n[4] = {0}, count;
	char what;

	count = sscanf(line, "%c %d %d %d %d", &what, n, n + 1, n + 2, n + 3);
	if (count < 1 || !in_range(n[0], DURABLE_FILES) || n[1] < 0 ||
	    !in_range(n[2], 1 << 30))
		return -1;
	if (strchr("CMRUD", what) && !in_range(n[1], DURABLE_NAMES))
		return -1;
	switch (what) {
	case 'C':
	case 'M':
		make(c, n[2] % DURABLE_FILES, what == 'M');
		bind_name(c, n[0], n[1], n[2] % DURABLE_FILES);
		return 0;
	case 'R':
		moves(c, n);
		return 0;
	case 'U':
	case 'D':
		unbind(c, n[0], n[1]);
		return 0;
	case 'W':
		writes(c->files + n[0], n[1] % DURABLE_UNITS, n[2]);
		return 0;
	case 'T':
		truncates(c->files + n[0], n[1]);
		return 0;
	case 'f':
		file_durable(c, n[0]);
		return 0;
	case 'y':
		directory_durable(c, n[0]);
		return 0;
	case 'a':
		all_durable(c);
		return 0;
	}
	return -1;
}

/* ---- the tree ---- */

static void wrong(struct check *c, const char *what)
{
	c->bad++;
	printf("%s: %s\n", c->path, what);
}

/* Every byte is one of those that the unit may have. */
static bool unit_may_be(const struct unit *u, int file, int unit,
			const char *got, int length)
{
	static char right[DURABLE_UNIT];
	bool good[DURABLE_UNIT] = {false};

	for (int i = 0; i < u->generations.count; i++) {
		int generation = u->generations.values[i];

		if (generation == NONE)
			memset(right, 0, sizeof(right));
		else
			durable_unit(right, file, unit, generation);
		for (int k = 0; k < length; k++)
			good[k] |= right[k] == got[k];
	}
	for (int k = 0; k < length; k++)
		if (!good[k])
			return false;
	return true;
}

/* Why it cannot be this file; NULL when it can. */
static const char *cannot_be(struct check *c, int number, int fd)
{
	static char text[128];
	const struct file *f = c->files + number;
	int least = f->sizes.values[0], most = f->sizes.values[0];
	char got[DURABLE_UNIT];
	off_t size = lseek(fd, 0, SEEK_END);

	for (int i = 0; i < f->sizes.count; i++) {
		least = f->sizes.values[i] < least ? f->sizes.values[i] : least;
		most = f->sizes.values[i] > most ? f->sizes.values[i] : most;
	}
	if (size < (off_t)least * DURABLE_UNIT ||
	    size > (off_t)most * DURABLE_UNIT) {
		snprintf(text, sizeof(text),
			 "file %d: %lld bytes, not %d to %d units", number,
			 (long long)size, least, most);
		return text;
	}
	for (int i = 0; (off_t)i * DURABLE_UNIT < size; i++) {
		int n = (int)pread(fd, got, DURABLE_UNIT,
				   (off_t)i * DURABLE_UNIT);

		if (n > 0 && unit_may_be(f->units + i, number, i, got, n))
			continue;
		snprintf(text, sizeof(text),
			 "file %d: unit %d is not what was written: %.40s",
			 number, i, n > 0 ? got : strerror(errno));
		text[strcspn(text, "\n")] = '\0';
		return text;
	}
	return NULL;
}

/* It is there. A file without bytes may be one of several: that which had the
 * name before, or a new one that has none yet; neither is there twice then. */
static void found(struct check *c, const int *numbers, int count)
{
	for (int i = 0; i < count; i++) {
		struct file *f = c->files + numbers[i];

		if (count > 1)
			f->perhaps = true;
		else if (f->seen++)
			wrong(c, "the file is there twice");
	}
}

static bool has(const int *numbers, int count, int number)
{
	for (int i = 0; i < count; i++)
		if (numbers[i] == number)
			return true;
	return false;
}

static void check_file(struct check *c, const struct history *names, int at,
		       const char *name)
{
	int fd = openat(at, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
	int *can = calloc((size_t)names->count, sizeof(*can)), count = 0;
	char why[256] = "a file that never had this name";

	for (int i = names->count - 1; fd >= 0 && i >= 0; i--) {
		int number = names->values[i];

		if (number == NONE || c->files[number].directory ||
		    has(can, count, number))
			continue;
		const char *not = cannot_be(c, number, fd);

		if (not )
			snprintf(why, sizeof(why), "%s", not );
		else
			can[count++] = number;
	}
	if (fd < 0)
		snprintf(why, sizeof(why), "%s", strerror(errno));
	else
		close(fd);
	if (count)
		found(c, can, count);
	else
		wrong(c, why);
	free(can);
}

static void check_directory(struct check *c, int number, int fd);

static void check_name(struct check *c, int dir, int name, int at)
{
	const struct history *names = c->files[dir].names + name;
	size_t length = strlen(c->path);
	char text[16];
	struct stat st;

	snprintf(text, sizeof(text), "n%d", name);
	snprintf(c->path + length, sizeof(c->path) - length, "/%s", text);
	if (fstatat(at, text, &st, AT_SYMLINK_NOFOLLOW)) {
		if (errno != ENOENT)
			wrong(c, strerror(errno));
		else if (!may_be(names, NONE))
			wrong(c, "is missing");
	} else if (!S_ISDIR(st.st_mode)) {
		check_file(c, names, at, text);
	} else {
		int number = NONE;

		for (int i = 0; i < names->count; i++)
			if (names->values[i] != NONE &&
			    c->files[names->values[i]].directory &&
			    (st.st_mode & 07777) ==
				    durable_mode(names->values[i]))
				number = names->values[i];
		if (number == NONE)
			wrong(c, "a directory that never had this name");
		else if (c->files[number].seen)
			wrong(c, "the directory is there twice");
		else
			check_directory(
				c, number,
				openat(at, text, O_RDONLY | O_DIRECTORY));
	}
	c->path[length] = '\0';
}

/* D6 */
static void check_listing(struct check *c, int fd)
{
	DIR *d = fdopendir(fd);
	struct dirent *e;
	char what[300];

	while (d && (e = readdir(d))) {
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		if (e->d_name[0] == 'n' &&
		    in_range(atoi(e->d_name + 1), DURABLE_NAMES))
			continue;
		snprintf(what, sizeof(what), "%.200s is there", e->d_name);
		wrong(c, what);
	}
	closedir(d);
}

static void check_directory(struct check *c, int number, int fd)
{
	c->files[number].seen++;
	if (fd < 0) {
		wrong(c, strerror(errno));
		return;
	}
	for (int i = 0; i < DURABLE_NAMES; i++)
		check_name(c, number, i, fd);
	check_listing(c, fd);
}

/* D5 */
static void check_found(struct check *c)
{
	for (int i = 1; i < DURABLE_FILES; i++) {
		const struct file *f = c->files + i;

		if (!f->made || !f->durable || f->may_go || f->seen ||
		    f->perhaps)
			continue;
		c->bad++;
		printf("%s %d was durable, and is at no name\n",
		       f->directory ? "directory" : "file", i);
	}
}

static void release(struct check *c)
{
	for (int i = 0; i < DURABLE_FILES; i++) {
		struct file *f = c->files + i;

		for (int k = 0; f->units && k < DURABLE_UNITS; k++)
			free(f->units[k].generations.values);
		for (int k = 0; f->names && k < DURABLE_NAMES; k++)
			free(f->names[k].values);
		free(f->units);
		free(f->names);
		free(f->sizes.values);
	}
	free(c->files);
}

int durable_check(const char *dir, FILE *log)
{
	struct check c = {.files = calloc(DURABLE_FILES, sizeof(*c.files))};
	char line[128];
	int lines = 0, synced = 0;

	make(&c, ROOT, true);
	while (fgets(line, sizeof(line), log)) {
		if (!strchr(line, '\n'))
			break; /* cut short: its call was never made */
		if (read_line(&c, line)) {
			printf("no line of a log: %s", line);
			return 2;
		}
		lines++;
		synced += strchr("fya", line[0]) != NULL;
	}
	snprintf(c.path, sizeof(c.path), "%s", dir);
	check_directory(&c, ROOT, open(dir, O_RDONLY | O_DIRECTORY));
	check_found(&c);
	if (!c.bad)
		printf("%d lines, %d of them acknowledged: all is there\n",
		       lines, synced);
	release(&c);
	return c.bad ? 1 : 0;
}
