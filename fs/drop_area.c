/* SET/kept: a directory for each mount, beside it its note:
 *
 *     "reel-kept 1" NUL target NUL [temporary name in it NUL]
 *
 * Whose note is locked lives. What one that was killed left is looked through
 * by the next mount: temporary names go, what the set holds goes, the rest
 * stays, without a note, until somebody takes it away. */
#include "fs/drop_state.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>
#include "catalog/beneath.h"
#include "tape/error.h"
#include "tape/log.h"

#define HEAD	   "reel-kept 1"
#define NOTE_LIMIT (2 * BENEATH_PATH_LIMIT + 64)
#define TRIES	   100
#define TEMPORARY  ".reel-tmp-"

static int open_kept(struct drop *d)
{
	int set = d->set->directory, fd;

	if (mkdirat(set, DROP_AREA, 0700) && errno != EEXIST)
		return drop_failed();
	fd = openat(set, DROP_AREA,
		    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return drop_failed();
	if (fsync(set)) {
		close(fd);
		return drop_failed();
	}
	return fd;
}

/* ---- notes ---- */

static void stamp_of(const struct drop *d, char note[48])
{
	snprintf(note, 48, ".%s", d->stamp);
}

static int write_note(struct drop *d)
{
	struct buffer b = {0};
	int error = buffer_append(&b, HEAD, sizeof(HEAD));

	if (!error)
		error = buffer_append(&b, d->target, strlen(d->target) + 1);
	if (!error && pwrite(d->note, b.data, b.length, 0) != (ssize_t)b.length)
		error = drop_failed();
	if (!error && fsync(d->note))
		error = drop_failed();
	d->note_length = b.length;
	buffer_release(&b);
	return error;
}

int drop_area_note(struct drop *d, const char *path)
{
	size_t length = path ? strlen(path) + 1 : 0;

	if (path && pwrite(d->note, path, length, (off_t)d->note_length) !=
			    (ssize_t)length)
		return drop_failed();
	if (!path && ftruncate(d->note, (off_t)d->note_length))
		return drop_failed();
	return 0;
}

/* A note that is not there yet, and its directory. */
static int make_area(struct drop *d, int kept)
{
	char time_text[24], note[48];
	time_t now = time(NULL);
	struct tm tm;

	strftime(time_text, sizeof(time_text), "%Y%m%dT%H%M%SZ",
		 gmtime_r(&now, &tm));
	for (int n = 0; n < TRIES; n++) {
		snprintf(d->stamp, sizeof(d->stamp), n ? "%s-%d" : "%s",
			 time_text, n);
		stamp_of(d, note);
		d->note = openat(kept, note,
				 O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW |
					 O_CLOEXEC,
				 0600);
		if (d->note < 0 && errno == EEXIST)
			continue;
		if (d->note < 0 || flock(d->note, LOCK_EX | LOCK_NB))
			return drop_failed();
		if (!mkdirat(kept, d->stamp, 0700))
			return write_note(d);
		unlinkat(kept, note, 0);
		close(d->note);
		d->note = -1;
		if (errno != EEXIST)
			return drop_failed();
	}
	return REEL_EEXIST;
}

/* ---- what was left ---- */

struct sweep {
	struct drop *d;
	struct buffer path; /* below the area, NUL behind */
	uint64_t files;
};

static void sweep_below(struct sweep *s, int directory);

static void sweep_entry(struct sweep *s, int directory, const char *name)
{
	size_t length = s->path.length;
	struct stat st;
	int below;

	if (fstatat(directory, name, &st, AT_SYMLINK_NOFOLLOW) ||
	    (length && buffer_append(&s->path, "/", 1)) ||
	    buffer_append(&s->path, name, strlen(name) + 1))
		return;
	s->path.length--;
	if (S_ISDIR(st.st_mode)) {
		below = drop_open_at(directory, name, O_RDONLY | O_DIRECTORY);
		if (below >= 0)
			sweep_below(s, below);
		unlinkat(directory, name, AT_REMOVEDIR);
	} else if (drop_is_held(s->d, directory, name, (char *)s->path.data)) {
		unlinkat(directory, name, 0);
	} else {
		s->files++;
	}
	s->path.length = length;
}

/* Closes the descriptor. */
static void sweep_below(struct sweep *s, int directory)
{
	DIR *d = fdopendir(directory);
	struct dirent *e;

	if (!d)
		close(directory);
	while (d && (e = readdir(d)))
		if (beneath_name_valid(e->d_name, strlen(e->d_name)))
			sweep_entry(s, directory, e->d_name);
	if (d)
		closedir(d);
}

static void sweep_area(struct drop *d, int kept, const char *stamp)
{
	struct sweep s = {.d = d};
	int fd = drop_open_at(kept, stamp, O_RDONLY | O_DIRECTORY);

	if (fd < 0)
		return;
	sweep_below(&s, fd);
	unlinkat(kept, stamp, AT_REMOVEDIR);
	buffer_release(&s.path);
	if (s.files)
		log_warning("%s/" DROP_AREA "/%s: %llu files that rules kept "
			    "out of a restore, and that the set does not have",
			    d->set->path, stamp, (unsigned long long)s.files);
}

static void remove_temporary(const char *target, const char *path)
{
	int root = open(target, O_PATH | O_DIRECTORY | O_CLOEXEC), fd;
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;
	char *above;

	if (root < 0)
		return;
	above = strndup(path, slash ? (size_t)(slash - path) : 0);
	if (above && beneath_path_valid(path, strlen(path)) &&
	    !strncmp(name, TEMPORARY, sizeof(TEMPORARY) - 1)) {
		fd = beneath_open(root, above);
		if (fd >= 0) {
			unlinkat(fd, name, 0);
			close(fd);
		}
	}
	free(above);
	close(root);
}

static void read_note(int fd)
{
	char *text = malloc(NOTE_LIMIT + 1);
	ssize_t n = text ? pread(fd, text, NOTE_LIMIT, 0) : -1;
	const char *target = text ? text + sizeof(HEAD) : NULL, *temporary;

	if (n > (ssize_t)sizeof(HEAD) && !text[n - 1] &&
	    !memcmp(text, HEAD, sizeof(HEAD))) {
		temporary = target + strlen(target) + 1;
		if (*target == '/' && temporary < text + n)
			remove_temporary(target, temporary);
	}
	free(text);
}

static void sweep_note(struct drop *d, int kept, const char *note)
{
	int fd = openat(kept, note, O_RDWR | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return;
	if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
		read_note(fd);
		sweep_area(d, kept, note + 1);
		unlinkat(kept, note, 0);
	}
	close(fd);
}

static void sweep_kept(struct drop *d, int kept)
{
	int fd = openat(kept, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *all = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (!all && fd >= 0)
		close(fd);
	while (all && (e = readdir(all)))
		if (e->d_name[0] == '.' &&
		    beneath_name_valid(e->d_name, strlen(e->d_name)))
			sweep_note(d, kept, e->d_name);
	if (all)
		closedir(all);
}

/* ---- from open to close ---- */

int drop_area_open(struct drop *d)
{
	int kept = open_kept(d), error;

	if (kept < 0) {
		error = kept;
	} else {
		sweep_kept(d, kept);
		error = make_area(d, kept);
		if (!error)
			d->area = openat(kept, d->stamp,
					 O_RDONLY | O_DIRECTORY | O_NOFOLLOW |
						 O_CLOEXEC);
		if (!error && (d->area < 0 || fsync(kept)))
			error = drop_failed();
		close(kept);
	}
	if (error)
		log_error("%s/" DROP_AREA ": %s; what rules keep out of a "
			  "restore is put there",
			  d->set->path, error_text(error));
	return error;
}

static bool may_go(const struct drop_node *n)
{
	if (n->over || (n->verdict.action == PLAN_DELAYED && !n->owed))
		return true;
	return n->held && n->settled == n->written;
}

static void drop_away(void *context, const char *path,
		      const struct drop_node *n)
{
	struct drop *d = context;
	const char *name;
	struct stat st;
	int fd;

	if (n->state != DROP_OBJECT)
		return;
	fd = drop_parent(d, DROP_AREA_SIDE, path, &name);
	if (fd < 0)
		return;
	if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    !S_ISDIR(st.st_mode) &&
	    (may_go(n) || drop_is_held(d, fd, name, path)))
		unlinkat(fd, name, 0);
	close(fd);
}

void drop_area_close(struct drop *d)
{
	int kept = openat(d->set->directory, DROP_AREA,
			  O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	char note[48];

	drop_tell(d, drop_away, d);
	drop_area_clear(d, "");
	if (kept < 0)
		return;
	if (unlinkat(kept, d->stamp, AT_REMOVEDIR) && errno == ENOTEMPTY)
		log_warning("%s/" DROP_AREA "/%s has what rules kept out of "
			    "%s and the set does not have",
			    d->set->path, d->stamp, d->target);
	stamp_of(d, note);
	unlinkat(kept, note, 0);
	fsync(kept);
	close(kept);
	unlinkat(d->set->directory, DROP_AREA, AT_REMOVEDIR);
}
