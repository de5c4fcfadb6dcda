#include "catalog/foreign.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "catalog/discard.h"
#include "catalog/foreign_state.h"
#include "catalog/import.h"
#include "tape/cartridge_walk.h"
#include "tape/error.h"
#include "tape/log.h"

#define NS	     1000000000
#define LEVELS	     3	   /* of directories: ours, the set, what is in it */
#define LOAD_SECONDS 10800 /* LTO-9 looks a new cartridge over for hours */

struct foreign {
	char *directory;       /* private; the set is `set` in it */
	char *path;	       /* of the set */
	int fd;		       /* the archive; volume 1 leads to it */
	struct medium *medium; /* the tape; the set's at last */
	struct set *set;
	bool is_set; /* of cartridges of reel */
};

bool foreign_is_drive(const char *name)
{
	struct stat st;

	return drive_is_name(name) || (!stat(name, &st) && S_ISCHR(st.st_mode));
}

bool foreign_is_archive(const char *name)
{
	struct stat st;

	return foreign_is_drive(name) ||
	       (!stat(name, &st) && S_ISREG(st.st_mode));
}

bool foreign_is_set(const struct foreign *f)
{
	return f->is_set;
}

struct set *foreign_set(struct foreign *f)
{
	return f->set;
}

/* ---- the directory ---- */

static int make_directory(struct foreign *f)
{
	const char *top = getenv("TMPDIR");

	if (!top || !*top)
		top = "/var/tmp";
	if (asprintf(&f->directory, "%s/reel-XXXXXX", top) < 0) {
		f->directory = NULL;
		return REEL_ENOMEM;
	}
	if (!mkdtemp(f->directory)) {
		log_error("%s: no directory can be made there for the names of "
			  "the archive: %s; set TMPDIR to another one",
			  top, strerror(errno));
		free(f->directory);
		f->directory = NULL;
		return error_from_errno(errno);
	}
	if (asprintf(&f->path, "%s/set", f->directory) < 0) {
		f->path = NULL;
		return REEL_ENOMEM;
	}
	return 0;
}

/* ---- the set ---- */

static int make_set(struct foreign *f, const char *name, bool packed)
{
	const char *slash = strrchr(name, '/');
	struct set_config c = {
		.name = (char *)(slash && slash[1] ? slash + 1 : name),
		.compression = packed ? COMPRESSION_ZSTD : COMPRESSION_NONE};
	int error = set_create(f->path, &c);

	return error ? error : set_open(f->path, SET_WRITE, false, &f->set);
}

/* Volume 1 leads to the archive that is open, whatever becomes of its name. */
static int link_volume(struct foreign *f)
{
	char name[32], to[64];

	volume_name(1, f->set->config.compression, name);
	snprintf(to, sizeof(to), "/proc/self/fd/%d", f->fd);
	if (!symlinkat(to, f->set->volumes, name))
		return 0;
	log_error("%s/%s: %s", f->path, name, strerror(errno));
	return error_from_errno(errno);
}

static int reopen(struct foreign *f)
{
	int error;

	set_close(f->set);
	f->set = NULL;
	error = set_open(f->path, SET_READ, false, &f->set);
	if (error)
		return error;
	f->set->foreign = true;
	if (f->medium) {
		medium_close(f->set->medium);
		f->set->medium = f->medium;
		f->medium = NULL;
	}
	return 0;
}

/* ---- scanning ---- */

static int finish(struct foreign_scan *s, const struct frame *frames,
		  size_t count)
{
	int error = s->changed ? builder_count_names(s->builder) : 0;

	s->row.time = s->row.finished = s->time;
	s->row.first_volume = 1;
	s->row.problems = s->left_out;
	if (count)
		s->row.stream =
			frames[count - 1].stream + frames[count - 1].length;
	if (!error)
		error = builder_finish(s->builder, &s->row, frames, count,
				       NULL);
	return error ? error : builder_ingest(s->builder);
}

static int say_end(const char *name, const struct foreign_source *s, int error)
{
	if (error == REEL_EINVAL || (error == REEL_EDAMAGED && !s->at)) {
		log_error("%s is no tar archive", name);
		return REEL_EINVAL;
	}
	if (error == REEL_ERANGE)
		log_error("%s was packed with a window of more than 128 MiB; "
			  "unpack it first (zstd -d --long=31)",
			  name);
	else if (error == REEL_ENOSPC)
		log_error("%s has no seek table, so it is copied into TMPDIR "
			  "(or /var/tmp), where there is too little room",
			  name);
	else if (error == REEL_EDAMAGED)
		log_warning("%s: damaged or cut off behind byte %llu; what "
			    "came before it is shown",
			    name, (unsigned long long)s->at);
	else if (error && error != REEL_ESTOPPED)
		log_error("%s: %s", name, error_text(error));
	return error == REEL_EDAMAGED ? 0 : error;
}

static int scan(struct foreign *f, const char *name,
		struct foreign_source *source, struct catalog *c, int64_t time)
{
	struct foreign_scan s = {
		.name = name, .time = time, .names.seed = f->set->config.seed};
	struct frame *frames = NULL;
	size_t count = 0;
	int error = builder_new(c, f->set, true, &s.builder);

	if (!error && !foreign_source_begins(source) && !source->error)
		error = REEL_EINVAL;
	if (!error)
		error = foreign_scan_begin(&s);
	if (!error)
		error = foreign_scan_archive(&s, foreign_source_read,
					     foreign_source_skip, source);
	error = say_end(name, source, error ? error : source->error);
	if (!error)
		error = foreign_source_frames(source, &frames, &count);
	if (!error)
		error = finish(&s, frames, count);
	free(frames);
	builder_free(s.builder);
	foreign_scan_release(&s);
	return error;
}

static int build(struct foreign *f, const char *name,
		 struct foreign_source *source)
{
	struct catalog *c = NULL;
	struct stat st;
	int error = make_set(f, name, source->kind != FOREIGN_PLAIN);

	if (!error && fstat(f->fd, &st))
		error = error_from_errno(errno);
	if (!error)
		error = catalog_open(f->set, &c);
	if (!error && source->kind == FOREIGN_PACKED)
		error = foreign_source_copy(source, f->set->volumes);
	if (!error)
		error = scan(f, name, source, c,
			     (int64_t)st.st_mtim.tv_sec * NS +
				     st.st_mtim.tv_nsec);
	catalog_close(c);
	if (!error && source->kind != FOREIGN_PACKED)
		error = link_volume(f);
	return error ? error : reopen(f);
}

static int open_file(struct foreign *f, const char *name,
		     const volatile int *stop)
{
	struct foreign_source source;
	int error;

	f->fd = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (f->fd < 0) {
		log_error("%s: %s", name, strerror(errno));
		return error_from_errno(errno);
	}
	error = foreign_source_open(&source, name, f->fd, stop);
	if (!error)
		error = make_directory(f);
	if (!error)
		error = build(f, name, &source);
	foreign_source_close(&source);
	return error;
}

/* ---- a tape ---- */

struct tape_scan {
	struct foreign_scan scan;
	struct medium *medium;
	const volatile int *stop;
	uint32_t archives, first; /* volume of the first archive */
	struct frame *frames;
	size_t count, room;
};

static int add_frame(struct tape_scan *t, uint32_t volume, uint64_t at,
		     uint32_t length)
{
	if (t->count == FRAME_COUNT_LIMIT)
		return REEL_ERANGE;
	if (t->count == t->room) {
		size_t room = t->room ? 2 * t->room : 64;
		void *more = realloc(t->frames, room * sizeof(*t->frames));

		if (!more)
			return REEL_ENOMEM;
		t->frames = more;
		t->room = room;
	}
	t->frames[t->count++] = (struct frame){.stream = t->scan.stream + at,
					       .position = at,
					       .volume = volume,
					       .stored = length,
					       .length = length};
	return 0;
}

/* Frames of a whole volume, behind those of the volumes before. A frame is read
 * whole or not at all, so a block that cannot be read has its own. */
static int add_volume(struct tape_scan *t, uint32_t volume, uint64_t size)
{
	uint64_t at = 0, gap = 0, behind = 0;
	int error = 0;

	while (!error && at < size) {
		uint64_t end = size - at < FRAME_SIZE ? size : at + FRAME_SIZE;

		if (at >= behind &&
		    !medium_blocks_gap(t->medium, volume, at, &gap, &behind))
			gap = behind = size;
		if (at < gap && gap < end)
			end = gap;
		else if (at >= gap && behind < end)
			end = behind;
		error = add_frame(t, volume, at, (uint32_t)(end - at));
		at = end;
	}
	t->scan.stream += size;
	return error;
}

/* One archive is the root; with the second each has a directory. */
static int begin_archive(struct tape_scan *t, uint32_t volume)
{
	char name[32];
	int error = 0;

	if (t->archives++ == 0) {
		t->first = volume;
		return 0;
	}
	snprintf(name, sizeof(name), "file-%u", (unsigned)t->first - 1);
	if (t->archives == 2)
		error = foreign_scan_base(&t->scan, name, true);
	snprintf(name, sizeof(name), "file-%u", (unsigned)volume - 1);
	return error ? error : foreign_scan_base(&t->scan, name, false);
}

static int scan_file(struct tape_scan *t, struct foreign_source *source,
		     uint32_t volume)
{
	int error = begin_archive(t, volume);

	if (!error)
		error = foreign_scan_archive(&t->scan, foreign_source_read,
					     foreign_source_skip, source);
	return error;
}

/* Looks through tape file `volume` - 1: 0, or REEL_ENOENT behind the last. */
static int scan_volume(struct tape_scan *t, uint32_t volume)
{
	struct foreign_source source;
	char name[MEDIUM_NAME];
	uint64_t size = 0;
	int error = foreign_source_tape(&source, t->medium, volume, t->stop);
	bool none = error == REEL_EINVAL;

	medium_name(t->medium, volume, 0, name);
	t->scan.name = name;
	if (!error)
		error = scan_file(t, &source, volume);
	if (!error || none)
		error = foreign_source_pass(&source, &size);
	if (none && !error && size)
		log_warning("%s is no tar archive; it is left out", name);
	if (error == REEL_EDAMAGED)
		log_warning("%s: nothing can be read behind byte %llu", name,
			    (unsigned long long)source.at);
	if (!error || error == REEL_EDAMAGED) {
		int added = add_volume(t, volume, size);

		error = added ? added : error;
	}
	foreign_source_close(&source);
	return error;
}

static int scan_tape(struct foreign *f, struct catalog *c, const char *name,
		     const volatile int *stop)
{
	struct tape_scan t = {.scan.time = time(NULL) * NS,
			      .scan.names.seed = f->set->config.seed,
			      .medium = f->medium,
			      .stop = stop};
	int error = builder_new(c, f->set, true, &t.scan.builder);

	if (!error)
		error = foreign_scan_begin(&t.scan);
	for (uint32_t volume = 1; !error; volume++)
		error = scan_volume(&t, volume);
	if (error == REEL_ENOENT || error == REEL_EDAMAGED)
		error = 0;
	if (!error && !t.archives) {
		log_error("%s: there is no tar archive on the tape", name);
		error = REEL_EINVAL;
	}
	if (!error)
		error = finish(&t.scan, t.frames, t.count);
	builder_free(t.scan.builder);
	foreign_scan_release(&t.scan);
	free(t.frames);
	return error;
}

static int open_drive(const char *name, const volatile int *stop,
		      struct drive **d)
{
	const struct drive_options o = {
		.read_only = true, .wait = LOAD_SECONDS, .stop = stop};
	struct drive_status status;
	int error = drive_open(name, &o, d);

	if (error)
		return error;
	error = drive_status(*d, &status);
	if (!error && status.state != DRIVE_READY) {
		log_error("%s: there is no cartridge in it", name);
		error = REEL_EMEDIUM;
	}
	if (error)
		drive_close(*d);
	return error;
}

/* A cartridge of reel: the set that it tells of, as far as it does. */
static int open_cartridge(struct foreign *f, const char *name, struct drive *d)
{
	char *drives[] = {(char *)name};
	const struct set_config media = {
		.tape = true, .drives = drives, .drive_count = 1};
	struct import_found found;
	struct import *i = NULL;
	int error = import_new(f->path, &media, &i);

	if (!error)
		error = import_cartridge(i, d);
	drive_close(d);
	if (!error)
		error = import_finish(i, &found);
	import_free(i);
	f->is_set = true;
	return error ? error : set_open(f->path, SET_READ, false, &f->set);
}

/* Any other tape. */
static int open_blocks(struct foreign *f, const char *name, struct drive *d,
		       const volatile int *stop)
{
	struct catalog *c = NULL;
	int error = medium_blocks_new(d, &f->medium);

	if (!error)
		error = make_set(f, name, false);
	if (!error)
		error = catalog_open(f->set, &c);
	if (!error)
		error = scan_tape(f, c, name, stop);
	catalog_close(c);
	return error ? error : reopen(f);
}

static int open_tape(struct foreign *f, const char *name,
		     const volatile int *stop)
{
	struct cartridge_label l;
	struct drive *d;
	int error = open_drive(name, stop, &d);

	if (error)
		return error;
	error = make_directory(f);
	if (!error)
		error = cartridge_read_label(d, &l);
	if (error && error != REEL_ENOENT) {
		drive_close(d);
		return error;
	}
	if (error)
		return open_blocks(f, name, d, stop);
	cartridge_label_release(&l);
	return open_cartridge(f, name, d);
}

int foreign_open(const char *name, const volatile int *stop,
		 struct foreign **out)
{
	struct foreign *f = calloc(1, sizeof(*f));
	int error;

	if (!f)
		return REEL_ENOMEM;
	f->fd = -1;
	error = foreign_is_drive(name) ? open_tape(f, name, stop)
				       : open_file(f, name, stop);
	if (error) {
		foreign_close(f);
		return error;
	}
	*out = f;
	return 0;
}

void foreign_close(struct foreign *f)
{
	if (!f)
		return;
	set_close(f->set);
	medium_close(f->medium);
	if (f->directory)
		discard(f->directory, LEVELS);
	if (f->fd >= 0)
		close(f->fd);
	free(f->path);
	free(f->directory);
	free(f);
}
