#include "catalog/foreign.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "catalog/foreign_state.h"
#include "tape/error.h"
#include "tape/log.h"

#define NS 1000000000

struct foreign {
	char *directory; /* private; the set is `set` in it */
	char *path;	 /* of the set */
	int fd;		 /* the archive; volume 1 leads to it */
	struct set *set;
};

bool foreign_is_file(const char *name)
{
	struct stat st;

	return !stat(name, &st) && S_ISREG(st.st_mode);
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

/* Files and directories, two levels: a set has no more. */
static void empty_directory(int fd, int levels)
{
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	while (dir && (e = readdir(dir))) {
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		if (!unlinkat(fd, e->d_name, 0) || !levels)
			continue;
		empty_directory(
			openat(fd, e->d_name,
			       O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC),
			levels - 1);
		unlinkat(fd, e->d_name, AT_REMOVEDIR);
	}
	if (dir)
		closedir(dir);
}

static void remove_directory(struct foreign *f)
{
	if (!f->directory)
		return;
	empty_directory(open(f->directory,
			     O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC),
			2);
	if (rmdir(f->directory))
		log_warning("%s is left: %s", f->directory, strerror(errno));
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
	if (!error)
		f->set->foreign = true;
	return error;
}

/* ---- scanning ---- */

static int finish(struct foreign_scan *s, struct foreign_source *source)
{
	struct frame *frames = NULL;
	size_t count = 0;
	int error = s->changed ? builder_count_names(s->builder) : 0;

	if (!error)
		error = foreign_source_frames(source, &frames, &count);
	s->row.time = s->row.finished = s->time;
	s->row.first_volume = 1;
	s->row.problems = s->left_out;
	if (count)
		s->row.stream =
			frames[count - 1].stream + frames[count - 1].length;
	if (!error)
		error = builder_finish(s->builder, &s->row, frames, count,
				       NULL);
	free(frames);
	return error ? error : builder_ingest(s->builder);
}

static int say_end(const char *name, const struct foreign_source *s, int error)
{
	if (error == REEL_EINVAL)
		log_error("%s is no tar archive", name);
	else if (error == REEL_ERANGE)
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
	int error = builder_new(c, f->set, true, &s.builder);

	if (!error)
		error = foreign_scan_begin(&s);
	if (!error)
		error = foreign_scan_archive(&s, foreign_source_read,
					     foreign_source_skip, source);
	if (!error || error == REEL_EINVAL)
		error = say_end(name, source,
				source->error && !(error && !source->at)
					? source->error
					: error);
	if (!error)
		error = finish(&s, source);
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

int foreign_open(const char *name, const volatile int *stop,
		 struct foreign **out)
{
	struct foreign *f = calloc(1, sizeof(*f));
	int error;

	if (!f)
		return REEL_ENOMEM;
	f->fd = -1;
	error = open_file(f, name, stop);
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
	remove_directory(f);
	if (f->fd >= 0)
		close(f->fd);
	free(f->path);
	free(f->directory);
	free(f);
}
