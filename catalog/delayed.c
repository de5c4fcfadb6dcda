/* The journal's directory:
 *
 *     lock       flock(2): who adds or runs
 *     journal    what waits, see delayed_text.c; not there: nothing does
 *     progress   of a run, see delayed_progress.c
 *     files/     staged files, named by their records' numbers
 *     list-N     imported lists as they were, see delayed_list.c
 *     result     what the last run did
 *
 * and, at the top of each further filesystem, an area `.reel-delayed` with
 * more staged files.
 *
 * J1 The journal names an area before anything is staged there, and until it
 *    is gone: whatever is cut off, the next who opens it finds what was left.
 * J2 Staged files are durable (syncfs) before the journal that speaks of them
 *    is; the journal is written beside, synced, renamed over, and its
 *    directory synced. A cut before the rename leaves the old journal, and
 *    the new files are swept; after it the new one, and replaced files are.
 * J3 progress belongs to one journal by its digest, which no other has. A new
 *    journal holds what progress said, so it may vanish any time after.
 * J4 A file is removed from an area only if it bears a number that no record
 *    waits for. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>
#include "catalog/beneath.h"
#include "catalog/delayed_state.h"
#include "tape/error.h"
#include "tape/log.h"

#define JOURNAL_LIMIT	(UINT64_C(2) << 30)
#define DIRECTORY_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
#define NEW		".new"

/* ---- small files ---- */

static int write_all(int fd, const void *data, size_t length)
{
	const char *at = data;

	while (length) {
		size_t some = length < (1 << 20) ? length : (1 << 20);
		ssize_t n = write(fd, at, some);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_from_errno(errno);
		at += n;
		length -= (size_t)n;
	}
	return 0;
}

/* The name beside which a file is made before it is renamed over. */
static int new_name(const char *name, char out[BENEATH_NAME_LIMIT + 1])
{
	int n = snprintf(out, BENEATH_NAME_LIMIT + 1, "%s%s", name, NEW);

	return n > BENEATH_NAME_LIMIT ? REEL_ERANGE : 0;
}

/* The new file is its owner's alone, as the old one was if there was one. */
static int make_new(int directory, const char *name, const char *beside)
{
	struct stat st;
	int fd;

	if (unlinkat(directory, beside, 0) && errno != ENOENT)
		return error_from_errno(errno);
	fd = openat(directory, beside,
		    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return error_from_errno(errno);
	if (!fstatat(directory, name, &st, AT_SYMLINK_NOFOLLOW) &&
	    S_ISREG(st.st_mode) && !fchown(fd, st.st_uid, st.st_gid))
		fchmod(fd, st.st_mode & 07777);
	return fd;
}

int delayed_replace(int directory, const char *name, const void *data,
		    size_t length)
{
	char beside[BENEATH_NAME_LIMIT + 1];
	int error = new_name(name, beside);
	int fd;

	if (error)
		return error;
	fd = make_new(directory, name, beside);
	if (fd < 0)
		return fd;
	error = write_all(fd, data, length);
	if (!error && fsync(fd))
		error = error_from_errno(errno);
	close(fd);
	if (!error && renameat(directory, beside, directory, name))
		error = error_from_errno(errno);
	if (!error && fsync(directory))
		error = error_from_errno(errno);
	if (error)
		unlinkat(directory, beside, 0);
	return error;
}

static int read_all(int fd, size_t limit, struct buffer *out)
{
	struct stat st;
	ssize_t n = 1;
	int error = 0;

	if (fstat(fd, &st))
		return error_from_errno(errno);
	if (!S_ISREG(st.st_mode))
		return REEL_EINVAL;
	if ((uint64_t)st.st_size > limit)
		return REEL_ERANGE;
	while (!error && n) {
		error = buffer_reserve(out, 65536);
		if (error)
			break;
		n = read(fd, out->data + out->length, 65536);
		if (n < 0)
			return error_from_errno(errno);
		out->length += (size_t)n;
		if (out->length > limit)
			return REEL_ERANGE;
	}
	return error;
}

int delayed_read(int directory, const char *name, size_t limit,
		 struct buffer *out)
{
	int fd = openat(directory, name,
			O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY |
				O_CLOEXEC);
	int error;

	if (fd < 0)
		return error_from_errno(errno);
	error = read_all(fd, limit, out);
	close(fd);
	return error;
}

/* ---- opening ---- */

/* On filesystems without owners whoever can write the journal can write all
 * the rest as well. */
static bool has_owners(int fd)
{
	static const long without[] = {
		0x65735546 /* fuse */, 0x4d44 /* msdos */,
		0x2011bab0 /* exfat */, 0x7366746e /* ntfs3 */};
	struct statfs fs;

	if (fstatfs(fd, &fs))
		return true;
	for (size_t n = 0; n < sizeof(without) / sizeof(without[0]); n++)
		if ((unsigned long)fs.f_type == (unsigned long)without[n])
			return false;
	return true;
}

static bool trusted(const struct delayed *d, int fd)
{
	struct delayed_identity here, top;
	struct stat st;

	if (fstat(fd, &st) || (st.st_uid && st.st_uid != geteuid()))
		return false;
	if (!(st.st_mode & 022))
		return true;
	return !has_owners(fd) && !delayed_identify(fd, &here) &&
	       !delayed_identify(d->root, &top) && here.device == top.device;
}

static int make_directory(struct delayed *d, const char *directory)
{
	int up, fd;

	if (directory) {
		if (mkdir(directory, 0700) && errno != EEXIST)
			return error_from_errno(errno);
		fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		return fd < 0 ? error_from_errno(errno) : fd;
	}
	up = beneath_make(d->root, "var/lib/reel", 0755);
	if (up < 0)
		return up;
	fd = beneath_make(up, "delayed", 0700);
	close(up);
	return fd;
}

static int find_directory(struct delayed *d, const char *directory,
			  enum delayed_access access)
{
	int fd;

	if (access == DELAYED_WRITE)
		return make_directory(d, directory);
	if (!directory)
		return beneath_open(d->root, DELAYED_DIRECTORY);
	fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? error_from_errno(errno) : fd;
}

static int take_lock(struct delayed *d)
{
	int fd = openat(d->directory, "lock",
			O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0)
		return error_from_errno(errno);
	if (flock(fd, LOCK_EX | LOCK_NB)) {
		int error = errno == EWOULDBLOCK ? REEL_ELOCKED
						 : error_from_errno(errno);

		close(fd);
		return error;
	}
	d->lock_fd = fd;
	return 0;
}

static int load_progress(struct delayed *d)
{
	struct buffer text = {0};
	size_t applied;
	int error = delayed_read(d->directory, DELAYED_PROGRESS, JOURNAL_LIMIT,
				 &text);

	if (error == REEL_ENOENT)
		error = 0;
	else if (!error)
		error = delayed_progress_apply(&d->journal, text.data,
					       text.length, &applied);
	buffer_release(&text);
	return error;
}

/* REEL_ENOENT: there is none. */
static int load(struct delayed *d)
{
	struct buffer text = {0};
	int error = delayed_read(d->directory, DELAYED_JOURNAL, JOURNAL_LIMIT,
				 &text);

	if (!error)
		error = delayed_journal_parse(text.data, text.length,
					      &d->journal);
	buffer_release(&text);
	if (!error && d->journal.finished)
		error = REEL_EDAMAGED;
	return error ? error : load_progress(d);
}

static void say_open(const struct delayed *d, int error)
{
	if (error == REEL_ELOCKED)
		log_error("%s: another process works with it; wait until it "
			  "is done",
			  d->name);
	else if (error == REEL_EPERM)
		log_error("%s: not to be used: you must be allowed to read "
			  "it, and it must belong to root or to you, writable "
			  "by nobody else",
			  d->name);
	else if (error == REEL_EDAMAGED)
		log_error("%s/%s is damaged; look at it, and remove it with "
			  "the staged files when what waits there is not "
			  "needed",
			  d->name, DELAYED_JOURNAL);
	else
		log_error("%s: the journal of delayed operations cannot be "
			  "used: %s",
			  d->name, error_text(error));
}

static int open_journal(struct delayed *d, const char *directory,
			enum delayed_access access)
{
	int error = 0;

	d->directory = find_directory(d, directory, access);
	if (d->directory < 0) {
		error = d->directory;
		d->directory = -1;
		return error;
	}
	if (!trusted(d, d->directory))
		return REEL_EPERM;
	if (access != DELAYED_READ)
		error = take_lock(d);
	return error ? error : load(d);
}

static struct delayed *journal_new(const char *root, const char *directory)
{
	struct delayed *d = calloc(1, sizeof(*d));
	bool slash = *root && root[strlen(root) - 1] == '/';

	if (!d)
		return NULL;
	pthread_mutex_init(&d->lock, NULL);
	d->root = d->directory = d->lock_fd = d->progress = -1;
	d->inside = !directory;
	d->journal.next = 1;
	if (directory)
		d->name = strdup(directory);
	else if (asprintf(&d->name, "%s%s%s", root, slash ? "" : "/",
			  DELAYED_DIRECTORY) < 0)
		d->name = NULL;
	if (!d->name) {
		free(d);
		return NULL;
	}
	return d;
}

static void journal_free(struct delayed *d)
{
	int fds[] = {d->progress, d->lock_fd, d->directory, d->root};

	for (size_t n = 0; n < d->journal.area_count; n++)
		if (d->journal.areas[n].fd >= 0)
			close(d->journal.areas[n].fd);
	for (size_t n = 0; n < sizeof(fds) / sizeof(fds[0]); n++)
		if (fds[n] >= 0)
			close(fds[n]);
	delayed_journal_release(&d->journal);
	delayed_journal_release(&d->fresh);
	buffer_release(&d->noted);
	pthread_mutex_destroy(&d->lock);
	free(d->name);
	free(d);
}

/* Of a journal that is gone, or never came to be. */
static void drop_remains(struct delayed *d)
{
	unlinkat(d->directory, DELAYED_PROGRESS, 0);
	delayed_tidy(d);
}

int delayed_open(const char *root, const char *directory,
		 enum delayed_access access, struct delayed **out)
{
	struct delayed *d = journal_new(root, directory);
	bool changed;
	int error;

	if (!d)
		return REEL_ENOMEM;
	d->root = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (d->root < 0) {
		error = error_from_errno(errno);
		log_error("%s: %s", root, strerror(errno));
		journal_free(d);
		return error;
	}
	error = open_journal(d, directory, access);
	if (error == REEL_ENOENT && d->lock_fd >= 0)
		drop_remains(d);
	if (error == REEL_ENOENT && access != DELAYED_RUN)
		error = 0;
	else if (error && error != REEL_ENOENT)
		say_open(d, error);
	if (!error && access == DELAYED_WRITE)
		error = delayed_sweep(d, &changed);
	if (error)
		journal_free(d);
	else
		*out = d;
	return error;
}

void delayed_close(struct delayed *d)
{
	bool changed = false;

	if (!d)
		return;
	if (d->lock_fd >= 0 && !d->altered) {
		delayed_journal_release(&d->fresh);
		if (!delayed_sweep(d, &changed) && changed)
			delayed_write(d);
	}
	journal_free(d);
}

int delayed_root(const struct delayed *d)
{
	return d->root;
}

size_t delayed_count(const struct delayed *d)
{
	return d->journal.count;
}

const struct delayed_record *delayed_at(const struct delayed *d, size_t n)
{
	return &d->journal.records[n];
}

/* ---- writing ---- */

/* Early at boot there may be no random numbers yet; the time and the process
 * do, since only numbers on this target must differ. */
static uint64_t draw(void)
{
	struct timespec now;
	uint64_t value;

	if (getrandom(&value, sizeof(value), GRND_NONBLOCK) == sizeof(value))
		return value;
	clock_gettime(CLOCK_REALTIME, &now);
	return ((uint64_t)now.tv_sec * 1000000007 + (uint64_t)now.tv_nsec) ^
	       (uint64_t)getpid() << 40;
}

static int remove_file(struct delayed *d, const char *name)
{
	if (unlinkat(d->directory, name, 0) == 0)
		return fsync(d->directory) ? error_from_errno(errno) : 0;
	return errno == ENOENT ? 0 : error_from_errno(errno);
}

int delayed_write(struct delayed *d)
{
	struct delayed_journal *j = &d->journal;
	struct buffer text = {0};
	int error;

	if (!j->count && !j->area_count && !j->list_count) {
		error = remove_file(d, DELAYED_JOURNAL);
	} else {
		j->nonce = draw();
		error = delayed_journal_text(j, &text);
		if (!error)
			error = delayed_replace(d->directory, DELAYED_JOURNAL,
						text.data, text.length);
	}
	buffer_release(&text);
	if (!error)
		error = remove_file(d, DELAYED_PROGRESS);
	if (error)
		log_error("%s/%s cannot be written: %s", d->name,
			  DELAYED_JOURNAL, error_text(error));
	return error;
}

/* J2 */
static int sync_areas(struct delayed *d)
{
	for (size_t n = 0; n < d->journal.area_count; n++) {
		struct delayed_area *a = &d->journal.areas[n];

		if (a->used && syncfs(a->fd)) {
			log_error("%s: staged files cannot be written: %s",
				  a->directory, strerror(errno));
			return error_from_errno(errno);
		}
		a->used = false;
	}
	return 0;
}

int delayed_commit(struct delayed *d)
{
	bool changed = false;
	int error;

	pthread_mutex_lock(&d->lock);
	error = sync_areas(d);
	if (!error) {
		d->altered = true;
		error = delayed_order(&d->journal, &d->fresh);
		if (error)
			log_error("%s: %s", d->name, error_text(error));
	}
	if (!error)
		error = delayed_lists_prune(d);
	if (!error)
		error = delayed_write(d);
	if (!error)
		d->altered = false;
	if (!error)
		error = delayed_sweep(d, &changed);
	if (!error && changed)
		error = delayed_write(d);
	pthread_mutex_unlock(&d->lock);
	return error;
}
