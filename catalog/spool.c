#include "catalog/spool_state.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "catalog/database.h"
#include "tape/error.h"
#include "tape/log.h"

#define SPOOL_VERSION 1
#define SPOOL_FILE    "spool.db"
#define BOOT_ID	      "/proc/sys/kernel/random/boot_id"
#define OWNER_LIMIT   4096
#define LOG_FRAMES    1000
/* Numbers for new files begin where no other spool's did: seconds, shifted.
 * Inode versions of the catalogue stay below 1 << 43. */
#define INODE_BIT   (UINT64_C(1) << 60)
#define INODE_SHIFT 26

extern const char spool_schema[];

/* ---- making and opening ---- */

static int open_folder(int base, const char *name, bool make, int *out)
{
	if (make && mkdirat(base, name, 0700) && errno != EEXIST)
		return error_from_errno(errno);
	*out = openat(base, name,
		      O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	return *out < 0 ? error_from_errno(errno) : 0;
}

static int open_folders(struct spool *s, bool make)
{
	int spool = -1;
	int error = open_folder(s->set->directory, "spool", make, &spool);

	if (!error && make && fsync(s->set->directory))
		error = error_from_errno(errno);
	if (!error)
		error = open_folder(spool, "current", make, &s->directory);
	if (!error && make)
		error = fsync(spool) ? error_from_errno(errno) : 0;
	if (!error)
		error = open_folder(s->directory, "files", make, &s->files);
	if (!error && make)
		error = fsync(s->directory) ? error_from_errno(errno) : 0;
	if (spool >= 0)
		close(spool);
	return error;
}

static int take_lock(struct spool *s, const char *owner)
{
	char *holder;

	s->lock = openat(s->directory, "lock",
			 O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (s->lock < 0)
		return error_from_errno(errno);
	if (!flock(s->lock, LOCK_EX | LOCK_NB)) {
		if (ftruncate(s->lock, 0) ||
		    write(s->lock, owner, strlen(owner)) < 0)
			return error_from_errno(errno);
		return 0;
	}
	holder = spool_owner(s->set);
	log_error("the spool of %s is in use by %s", s->set->path,
		  holder ? holder : "another program");
	free(holder);
	return REEL_ELOCKED;
}

static int read_boot(char boot[40])
{
	int fd = open(BOOT_ID, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, boot, 39);

	if (fd >= 0)
		close(fd);
	boot[n > 0 ? n : 0] = '\0';
	boot[strcspn(boot, "\n")] = '\0';
	return n > 0 ? 0 : REEL_EIO;
}

static int open_boot(struct spool *s)
{
	return openat(s->directory, "boot",
		      O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
}

/* Whether the machine was started anew since the spool was written to. */
static bool is_rebooted(struct spool *s)
{
	char now[40], then[40] = "";
	int fd = open_boot(s);
	ssize_t n = fd < 0 ? -1 : read(fd, then, sizeof(then) - 1);

	if (fd >= 0)
		close(fd);
	then[n > 0 ? n : 0] = '\0';
	return read_boot(now) || strcmp(now, then) != 0;
}

/* Notes this start; once the spool was repaired. */
static int note_boot(struct spool *s)
{
	char now[40];
	int fd, error = 0;

	if (!s->rebooted || read_boot(now))
		return 0;
	fd = open_boot(s);
	if (fd < 0 || pwrite(fd, now, strlen(now), 0) < 0 || fsync(fd))
		error = error_from_errno(errno);
	if (fd >= 0)
		close(fd);
	return error;
}

static int meta(struct spool *s, const char *key, uint64_t *value)
{
	char sql[80];
	int64_t v = 0;
	int error;

	snprintf(sql, sizeof(sql), "SELECT value FROM meta WHERE key = '%s'",
		 key);
	error = database_integer(s->db, sql, &v);
	if (error == REEL_ENOENT)
		error = 0;
	if (!error && v < 0)
		error = database_error(s->db, s->path, SQLITE_CORRUPT);
	*value = (uint64_t)v;
	return error;
}

static int load_numbers(struct spool *s)
{
	uint64_t base = 0;
	int error = meta(s, "base", &base);

	if (!error)
		error = meta(s, "inode", &s->inode);
	if (!error)
		error = meta(s, "change", &s->change);
	if (!error)
		error = meta(s, "file", &s->file);
	if (!error)
		error = meta(s, "tick", &s->tick);
	s->base = (uint32_t)base;
	if (!s->inode)
		s->inode = INODE_BIT | (uint64_t)time(NULL) << INODE_SHIFT;
	return error;
}

/* REEL_ENOENT: nothing was ever noted in it, and a view changes nothing. */
static int check_version(struct spool *s)
{
	int64_t version = 0;
	char sql[64];
	int error = database_integer(s->db, "PRAGMA user_version", &version);

	if (error)
		return database_error(s->db, s->path, SQLITE_CORRUPT);
	if (version > SPOOL_VERSION) {
		log_error("%s was made by a newer version of reel; use that "
			  "version",
			  s->path);
		return REEL_EVERSION;
	}
	if (version == SPOOL_VERSION)
		return 0;
	if (s->view)
		return REEL_ENOENT;
	snprintf(sql, sizeof(sql), "PRAGMA user_version=%d", SPOOL_VERSION);
	error = database_run(s->db, s->path, "BEGIN IMMEDIATE");
	if (!error)
		error = database_run(s->db, s->path, spool_schema);
	if (!error)
		error = database_run(s->db, s->path, sql);
	return error ? error : database_run(s->db, s->path, "COMMIT");
}

static int note_frames(void *context, sqlite3 *db, const char *name, int frames)
{
	struct spool *s = context;

	(void)db;
	(void)name;
	s->frames = frames;
	return SQLITE_OK;
}

static int connect_to(struct spool *s)
{
	int error = database_open(
		s->path, s->view ? DATABASE_READ : DATABASE_SPOOL, &s->db);

	if (!error && !s->view) /* instead of checkpoints at any commit */
		sqlite3_wal_hook(s->db, note_frames, s);
	if (!error)
		error = check_version(s);
	return error;
}

static struct spool *spool_alloc(struct set *set)
{
	struct spool *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->set = set;
	s->directory = s->files = s->lock = -1;
	if (asprintf(&s->path, "%s/spool/current/" SPOOL_FILE, set->path) < 0) {
		free(s);
		return NULL;
	}
	return s;
}

static void spool_free(struct spool *s)
{
	spool_forget_statements(s);
	sqlite3_close(s->db);
	if (s->lock >= 0)
		close(s->lock);
	if (s->files >= 0)
		close(s->files);
	if (s->directory >= 0)
		close(s->directory);
	buffer_release(&s->name);
	buffer_release(&s->redo);
	free(s->dropped);
	free(s->path);
	free(s);
}

int spool_open(struct set *set, const char *owner, struct spool **out)
{
	struct spool *s = spool_alloc(set);
	int error;

	if (!s)
		return REEL_ENOMEM;
	error = open_folders(s, true);
	if (!error)
		error = take_lock(s, owner);
	if (error && error != REEL_ELOCKED)
		log_error("%s/spool: %s", set->path, error_text(error));
	s->rebooted = !error && is_rebooted(s);
	if (!error)
		error = connect_to(s);
	if (!error)
		error = load_numbers(s);
	if (!error)
		error = spool_repair(s);
	if (!error)
		error = note_boot(s);
	if (error) {
		spool_free(s);
		return error;
	}
	*out = s;
	return 0;
}

int spool_view(struct spool *s, struct spool **out)
{
	struct spool *v = spool_alloc(s->set);
	int error;

	if (!v)
		return REEL_ENOMEM;
	v->view = true;
	v->base = s->base;
	v->change = s->change;
	v->file = s->file;
	error = open_folders(v, false);
	if (!error)
		error = database_open(v->path, DATABASE_READ, &v->db);
	if (!error)
		error = database_run(v->db, v->path,
				     "BEGIN; SELECT count(*) FROM meta");
	if (error) {
		spool_free(v);
		return error;
	}
	*out = v;
	return 0;
}

void spool_close(struct spool *s)
{
	if (!s)
		return;
	if (!s->view && s->db && !spool_sync(s))
		while (s->dropped_count)
			spool_remove_file(s, s->dropped[--s->dropped_count]);
	spool_free(s);
}

char *spool_owner(struct set *set)
{
	int fd = openat(set->directory, "spool/current/lock",
			O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	char *text = NULL;

	if (fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) && errno == EWOULDBLOCK) {
		text = calloc(1, OWNER_LIMIT + 1);
		if (text && pread(fd, text, OWNER_LIMIT, 0) < 0)
			*text = '\0';
	}
	if (fd >= 0)
		close(fd);
	return text;
}

static bool has_files(const struct spool *s)
{
	int fd = openat(s->set->directory, "spool/current/files",
			O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;
	bool has = false;

	while (dir && !has && (e = readdir(dir)))
		has = *e->d_name != '.';
	if (dir)
		closedir(dir);
	else if (fd >= 0)
		close(fd);
	return has;
}

static int has_dirty(struct spool *s, bool *dirty)
{
	int64_t any = 0;
	struct stat st;
	int error =
		stat(s->path, &st) ? error_from_errno(errno) : connect_to(s);

	if (!error)
		error = database_integer(s->db,
					 "SELECT EXISTS (SELECT 1 FROM node "
					 "WHERE state = 1) OR EXISTS (SELECT 1 "
					 "FROM entry WHERE state = 1)",
					 &any);
	*dirty = any;
	return error == REEL_ENOENT ? 0 : error;
}

bool spool_pending(struct set *set)
{
	struct spool *s = spool_alloc(set);
	bool pending;

	if (!s)
		return true;
	s->view = true;
	if (has_dirty(s, &pending))
		pending = true;
	pending |= has_files(s);
	spool_free(s);
	return pending;
}

/* ---- numbers ---- */

uint32_t spool_base(const struct spool *s)
{
	return s->base;
}

int spool_set_base(struct spool *s, uint32_t session)
{
	s->base = session;
	return spool_meta_put(s, "base", session);
}

uint64_t spool_new_inode(struct spool *s)
{
	return ++s->inode;
}

uint64_t spool_new_change(struct spool *s)
{
	return ++s->change;
}

uint64_t spool_last_change(const struct spool *s)
{
	return s->change;
}

/* ---- files ---- */

int spool_files(const struct spool *s)
{
	return s->files;
}

uint64_t spool_new_file(struct spool *s)
{
	return ++s->file;
}

uint64_t spool_last_file(const struct spool *s)
{
	return s->file;
}

static int open_file(const struct spool *s, uint64_t file, int flags)
{
	char name[24];
	int fd;

	snprintf(name, sizeof(name), "%llu", (unsigned long long)file);
	fd = openat(s->files, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW | flags,
		    0600);
	return fd < 0 ? error_from_errno(errno) : fd;
}

int spool_open_file(const struct spool *s, uint64_t file)
{
	return open_file(s, file, 0);
}

int spool_make_file(struct spool *s, uint64_t file)
{
	s->files_made = true;
	return open_file(s, file, O_CREAT | O_TRUNC);
}

void spool_drop(struct spool *s, uint64_t file)
{
	if (s->dropped_count == s->dropped_room) {
		size_t room = s->dropped_room ? s->dropped_room * 2 : 64;
		void *more = realloc(s->dropped, room * sizeof(*s->dropped));

		if (!more)
			return; /* removed when the spool is opened again */
		s->dropped = more;
		s->dropped_room = room;
	}
	s->dropped[s->dropped_count++] = file;
}

size_t spool_removable(struct spool *s, uint64_t *files, size_t limit)
{
	size_t count = s->removable < limit ? s->removable : limit;
	size_t first = s->removable - count;

	if (!count)
		return 0;
	memcpy(files, s->dropped + first, count * sizeof(*files));
	memmove(s->dropped + first, s->dropped + s->removable,
		(s->dropped_count - s->removable) * sizeof(*files));
	s->dropped_count -= count;
	s->removable = first;
	return count;
}

void spool_remove_file(const struct spool *s, uint64_t file)
{
	char name[24];

	snprintf(name, sizeof(name), "%llu", (unsigned long long)file);
	unlinkat(s->files, name, 0);
}

/* ---- making it last ---- */

bool spool_unflushed(const struct spool *s)
{
	return s->unflushed;
}

size_t spool_dropped(const struct spool *s)
{
	return s->dropped_count;
}

int spool_flush(struct spool *s)
{
	int error = spool_restore(s);

	if (error || !s->begun)
		return error;
	error = spool_meta_put(s, "inode", s->inode);
	if (!error)
		error = spool_meta_put(s, "change", s->change);
	if (!error)
		error = spool_meta_put(s, "file", s->file);
	if (!error)
		error = spool_commit(s);
	if (!error)
		s->unsynced = true;
	return error;
}

/* With synchronous=FULL the end of a transaction syncs the log, with all that
 * earlier ones wrote into it. */
static int sync_log(struct spool *s)
{
	int error = database_run(s->db, s->path, "PRAGMA synchronous=FULL");

	if (!error)
		error = spool_meta_put(s, "tick", ++s->tick);
	if (!error)
		error = spool_commit(s);
	if (!error)
		error = database_run(s->db, s->path,
				     "PRAGMA synchronous=NORMAL");
	return error;
}

int spool_sync_names(struct spool *s)
{
	if (!s->files_made)
		return 0;
	s->files_made = false;
	if (!fsync(s->files))
		return 0;
	s->files_made = true;
	return error_from_errno(errno);
}

/* The log into its database, when it has grown. A view may be in the way. */
static void checkpoint(struct spool *s)
{
	if (s->frames < LOG_FRAMES)
		return;
	s->frames = 0;
	sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL,
				  NULL);
}

int spool_sync(struct spool *s)
{
	int error = spool_sync_names(s);

	if (!error)
		error = spool_flush(s);
	if (!error && (s->unsynced || s->removable < s->dropped_count))
		error = sync_log(s);
	if (!error) {
		s->unsynced = false;
		s->removable = s->dropped_count;
		checkpoint(s);
	}
	return error;
}
