#include "fs/busy.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "tape/error.h"

#define SCAN_AGE_NS 1000000000
#define LINE_ROOM   8192

enum use {
	USE_NONE,
	USE_WRITTEN,
	USE_MAPPED,
	USE_RUNNING,
	USE_LOOP,
	USE_SWAP,
};

static const char *const reasons[] = {
	[USE_WRITTEN] = "is open for writing",
	[USE_MAPPED] = "is mapped by a program",
	[USE_RUNNING] = "is running",
	[USE_LOOP] = "is behind a loop device",
	[USE_SWAP] = "is swapped to",
};

struct used {
	dev_t device;
	ino_t inode;
	enum use use;
};

struct busy {
	pthread_mutex_t lock; /* of all below */
	struct used *table;   /* open addressing; use USE_NONE: free */
	size_t mask, count;
	bool writers; /* descriptors open for writing are in it */
	int64_t scanned;
};

/* ---- the table ---- */

static size_t slot_of(const struct busy *b, dev_t device, ino_t inode)
{
	uint64_t key = (uint64_t)inode * UINT64_C(0x9e3779b97f4a7c15) + device;
	size_t at = (size_t)(key >> 20) & b->mask;

	while (b->table[at].use &&
	       (b->table[at].device != device || b->table[at].inode != inode))
		at = (at + 1) & b->mask;
	return at;
}

static void note(struct busy *b, const struct stat *st, enum use use);

static void grow(struct busy *b)
{
	struct used *old = b->table;
	size_t count = b->mask + 1;
	struct used *table = calloc(2 * count, sizeof(*table));

	if (!table)
		return;
	b->table = table;
	b->mask = 2 * count - 1;
	for (size_t n = 0; n < count; n++)
		if (old[n].use)
			table[slot_of(b, old[n].device, old[n].inode)] = old[n];
	free(old);
}

static void note(struct busy *b, const struct stat *st, enum use use)
{
	struct used *u;

	if (2 * b->count > b->mask)
		grow(b);
	if (b->count == b->mask)
		return;
	u = &b->table[slot_of(b, st->st_dev, st->st_ino)];
	b->count += u->use == USE_NONE;
	if (use > u->use)
		*u = (struct used){st->st_dev, st->st_ino, use};
}

/* ---- looking through /proc and /sys ---- */

static FILE *open_text(int directory, const char *name)
{
	int fd = openat(directory, name, O_RDONLY | O_CLOEXEC);
	FILE *f = fd < 0 ? NULL : fdopen(fd, "r");

	if (!f && fd >= 0)
		close(fd);
	return f;
}

/* \040 and the like, in place. */
static void unescape(char *text)
{
	char *to = text;

	while (*text) {
		if (text[0] == '\\' && isdigit((unsigned char)text[1]) &&
		    isdigit((unsigned char)text[2]) &&
		    isdigit((unsigned char)text[3])) {
			*to++ = (char)((text[1] - '0') << 6 |
				       (text[2] - '0') << 3 | (text[3] - '0'));
			text += 4;
		} else {
			*to++ = *text++;
		}
	}
	*to = '\0';
}

/* A mapped file: by its range where we may, else by the name that is shown. */
static void note_mapping(struct busy *b, int process, const char *range,
			 char *path)
{
	char name[128];
	struct stat st;

	snprintf(name, sizeof(name), "map_files/%s", range);
	if (fstatat(process, name, &st, 0) == 0) {
		note(b, &st, USE_MAPPED);
		return;
	}
	path[strcspn(path, "\n")] = '\0';
	unescape(path);
	if (*path == '/' && stat(path, &st) == 0)
		note(b, &st, USE_MAPPED);
}

static void scan_maps(struct busy *b, int process)
{
	char line[LINE_ROOM], last[64] = "";
	FILE *f = open_text(process, "maps");

	while (f && fgets(line, sizeof(line), f)) {
		char range[64], file[64], device[32];
		unsigned long long inode;
		int at = 0;

		if (sscanf(line, "%63s %*s %*s %31s %llu %n", range, device,
			   &inode, &at) < 3 ||
		    !inode)
			continue;
		snprintf(file, sizeof(file), "%s %llu", device, inode);
		if (strcmp(file, last) != 0)
			note_mapping(b, process, range, line + at);
		memcpy(last, file, sizeof(last));
	}
	if (f)
		fclose(f);
}

static bool is_writing(int process, const char *number)
{
	char name[300], line[128];
	unsigned long flags = O_RDONLY;
	FILE *f;

	snprintf(name, sizeof(name), "fdinfo/%s", number);
	f = open_text(process, name);
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "flags: %lo", &flags) == 1)
			break;
	if (f)
		fclose(f);
	return (flags & O_ACCMODE) != O_RDONLY;
}

static DIR *open_directory(int directory, const char *name)
{
	int fd = openat(directory, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);

	if (!d && fd >= 0)
		close(fd);
	return d;
}

static void scan_descriptors(struct busy *b, int process)
{
	DIR *d = open_directory(process, "fd");
	struct dirent *e;
	struct stat st;

	while (d && (e = readdir(d)))
		if (e->d_name[0] != '.' &&
		    fstatat(dirfd(d), e->d_name, &st, 0) == 0 &&
		    S_ISREG(st.st_mode) && is_writing(process, e->d_name))
			note(b, &st, USE_WRITTEN);
	if (d)
		closedir(d);
}

static void scan_processes(struct busy *b)
{
	DIR *d = open_directory(AT_FDCWD, "/proc");
	struct dirent *e;
	struct stat st;

	while (d && (e = readdir(d))) {
		int process;

		if (!isdigit((unsigned char)e->d_name[0]))
			continue;
		process = openat(dirfd(d), e->d_name,
				 O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (process < 0)
			continue;
		if (fstatat(process, "exe", &st, 0) == 0)
			note(b, &st, USE_RUNNING);
		scan_maps(b, process);
		if (b->writers)
			scan_descriptors(b, process);
		close(process);
	}
	if (d)
		closedir(d);
}

static void scan_swaps(struct busy *b)
{
	char line[LINE_ROOM];
	FILE *f = open_text(AT_FDCWD, "/proc/swaps");
	struct stat st;

	while (f && fgets(line, sizeof(line), f)) {
		line[strcspn(line, " \t\n")] = '\0';
		unescape(line);
		if (line[0] == '/' && stat(line, &st) == 0)
			note(b, &st, USE_SWAP);
	}
	if (f)
		fclose(f);
}

static void scan_loops(struct busy *b)
{
	DIR *d = open_directory(AT_FDCWD, "/sys/block");
	char name[300], line[LINE_ROOM];
	struct dirent *e;
	struct stat st;

	while (d && (e = readdir(d))) {
		FILE *f;

		if (strncmp(e->d_name, "loop", 4) != 0)
			continue;
		snprintf(name, sizeof(name), "%s/loop/backing_file", e->d_name);
		f = open_text(dirfd(d), name);
		if (!f)
			continue;
		if (fgets(line, sizeof(line), f)) {
			line[strcspn(line, "\n")] = '\0';
			if (stat(line, &st) == 0)
				note(b, &st, USE_LOOP);
		}
		fclose(f);
	}
	if (d)
		closedir(d);
}

static int64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static enum use find(struct busy *b, const struct stat *st, bool writers)
{
	enum use use;

	pthread_mutex_lock(&b->lock);
	if (!b->scanned || now() - b->scanned > SCAN_AGE_NS ||
	    (writers && !b->writers)) {
		b->writers = b->writers || writers;
		memset(b->table, 0, (b->mask + 1) * sizeof(*b->table));
		b->count = 0;
		scan_processes(b);
		scan_swaps(b);
		scan_loops(b);
		b->scanned = now();
	}
	use = b->table[slot_of(b, st->st_dev, st->st_ino)].use;
	pthread_mutex_unlock(&b->lock);
	return use;
}

/* ---- one file ---- */

/* 0 when the lease was granted (and given back), else errno. */
static int try_lease(int fd, int kind)
{
	/* who breaks it sends a signal, which would end us: one that is
	 * ignored unless somebody waits for it */
	fcntl(fd, F_SETSIG, SIGURG);
	if (fcntl(fd, F_SETLEASE, kind))
		return errno;
	fcntl(fd, F_SETLEASE, F_UNLCK);
	return 0;
}

static enum use use_of(struct busy *b, int fd, const struct stat *st)
{
	int err = fd < 0 ? EACCES : try_lease(fd, F_WRLCK);
	enum use use;

	if (!err)
		return USE_NONE;
	use = find(b, st, err != EAGAIN);
	if (!use && err == EAGAIN && try_lease(fd, F_RDLCK) == EAGAIN)
		use = USE_WRITTEN;
	return use;
}

static const char *check(struct busy *b, int directory, const char *name)
{
	const int flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT;
	struct statx x;
	struct stat st;
	enum use use;
	int fd;

	if (statx(directory, name, flags, STATX_TYPE, &x) ||
	    fstatat(directory, name, &st, flags))
		return NULL;
	if (x.stx_attributes & STATX_ATTR_MOUNT_ROOT)
		return "is a mount point";
	if (x.stx_attributes & (STATX_ATTR_IMMUTABLE | STATX_ATTR_APPEND))
		return "is immutable";
	if (!S_ISREG(st.st_mode))
		return NULL;
	fd = openat(directory, name,
		    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	use = use_of(b, fd, &st);
	if (fd >= 0)
		close(fd);
	return use ? reasons[use] : NULL;
}

/* In it no name can be made, replaced or removed. */
static const char *check_directory(int directory)
{
	struct statx x;

	if (statx(directory, "", AT_EMPTY_PATH, STATX_TYPE, &x) ||
	    !(x.stx_attributes & (STATX_ATTR_IMMUTABLE | STATX_ATTR_APPEND)))
		return NULL;
	return "its directory is immutable";
}

const char *busy_check(struct busy *b, int directory, const char *name)
{
	const char *why = check(b, directory, name);

	return why ? why : check_directory(directory);
}

int busy_new(struct busy **out)
{
	struct busy *b = calloc(1, sizeof(*b));

	if (!b)
		return REEL_ENOMEM;
	b->mask = 4095;
	b->table = calloc(b->mask + 1, sizeof(*b->table));
	if (!b->table) {
		free(b);
		return REEL_ENOMEM;
	}
	pthread_mutex_init(&b->lock, NULL);
	*out = b;
	return 0;
}

void busy_free(struct busy *b)
{
	if (!b)
		return;
	pthread_mutex_destroy(&b->lock);
	free(b->table);
	free(b);
}
