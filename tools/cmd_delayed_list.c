#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "catalog/beneath.h"
#include "catalog/delayed_list.h"
#include "tape/error.h"
#include "tape/log.h"
#include "tools/delays.h"

/* A list: by its path here, or by the one that SetupExecute has. */
struct list_place {
	char *path;  /* here; heap */
	char *below; /* the target; heap; NULL: outside */
};

static void list_place_release(struct list_place *p)
{
	free(p->path);
	free(p->below);
}

static bool is_windows(const char *path)
{
	return path[0] == '\\' && (path[1] == '\\' || path[1] == '?');
}

/* `%20` is a blank there, since blanks part the words of SetupExecute. */
static void decode_blanks(char *text)
{
	char *to = text;

	for (; *text; text++) {
		if (!strncmp(text, "%20", 3)) {
			*to++ = ' ';
			text += 2;
		} else {
			*to++ = *text;
		}
	}
	*to = '\0';
}

static int find_windows(const char *root, const char *text,
			const struct srdelayed_maps *maps,
			struct list_place *out)
{
	char *windows = strdup(text);
	struct buffer below = {0};
	int error = windows ? 0 : REEL_ENOMEM;

	if (!error) {
		decode_blanks(windows);
		error = srdelayed_path_in(maps, windows, &below);
	}
	free(windows);
	if (error) {
		buffer_release(&below);
		return error;
	}
	out->below = (char *)below.data;
	if (asprintf(&out->path, "%s/%s", root, out->below) < 0)
		out->path = NULL;
	return out->path ? 0 : REEL_ENOMEM;
}

/* The directory's real path decides whether the list lies in the target. */
static int find_here(const char *root, const char *text, struct list_place *out)
{
	const char *slash = strrchr(text, '/');
	char *above =
		slash ? strndup(text, (size_t)(slash + 1 - text)) : strdup(".");
	char *real = above ? realpath(above, NULL) : NULL;
	char *top = realpath(root, NULL);
	size_t length = top && strcmp(top, "/") ? strlen(top) : 0;

	out->path = strdup(text);
	if (real && top && !strncmp(real, top, length) &&
	    (real[length] == '/' || !real[length])) {
		const char *rest = real + length + (real[length] == '/');

		if (asprintf(&out->below, "%s%s%s", rest, *rest ? "/" : "",
			     slash ? slash + 1 : text) < 0)
			out->below = NULL;
	}
	if (out->below && !beneath_path_valid(out->below, strlen(out->below))) {
		free(out->below);
		out->below = NULL;
	}
	free(above);
	free(real);
	free(top);
	return out->path ? 0 : REEL_ENOMEM;
}

static int list_find(const struct delays_where *where, const char *text,
		     const struct srdelayed_maps *maps, struct list_place *out)
{
	const char *root = where->root ? where->root : "/";
	int error;

	memset(out, 0, sizeof(*out));
	error = is_windows(text) ? find_windows(root, text, maps, out)
				 : find_here(root, text, out);
	if (error == REEL_ENOENT || error == REEL_EINVAL)
		log_error("%s: this volume is not mapped; --map says where it "
			  "is",
			  text);
	if (error)
		list_place_release(out);
	return error;
}

/* ---- import ---- */

static int read_list(const struct list_place *p, struct buffer *out)
{
	int fd = open(p->path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	ssize_t n = 1;
	int error = fd < 0 ? error_from_errno(errno) : 0;

	while (!error && n > 0) {
		error = buffer_reserve(out, 65536);
		if (error)
			break;
		n = read(fd, out->data + out->length, 65536);
		if (n < 0)
			error = error_from_errno(errno);
		else
			out->length += (size_t)n;
		if (out->length > SRDELAYED_LIMIT)
			error = REEL_ERANGE;
	}
	if (fd >= 0)
		close(fd);
	if (error)
		log_error("%s: %s", p->path, error_text(error));
	return error;
}

static int import_list(const struct delays_where *where,
		       const struct list_place *p,
		       const struct srdelayed_maps *maps, bool dry_run)
{
	struct buffer data = {0};
	struct delayed *d;
	int error = read_list(p, &data);

	if (!error)
		error = delays_open(where,
				    dry_run ? DELAYED_READ : DELAYED_WRITE, &d);
	if (error) {
		buffer_release(&data);
		return error;
	}
	error = delayed_import(d, data.data, data.length, p->below, maps,
			       p->path);
	if (!error && dry_run) {
		error = delayed_preview(d);
		if (!error)
			error = delays_print_all(d, false);
	} else if (!error) {
		error = delayed_commit(d);
		if (!error)
			printf("%zu waiting\n", delayed_count(d));
		if (!error && !p->below)
			log_note("%s lies outside the target: `reel delayed "
				 "run --list` writes states into it",
				 p->path);
	}
	delayed_close(d);
	buffer_release(&data);
	return error;
}

static int run_import(const struct command *self, int argc, char **argv)
{
	struct delays_where where = {0};
	struct option_list list = {0};
	bool dry_run = false;
	const struct option_spec specs[] = {DELAYS_ROOT(where),
					    DELAYS_JOURNAL(where),
					    DELAYS_MAP(list),
					    {"dry-run", 0, OPTION_FLAG,
					     &dry_run, NULL,
					     "show what would wait"},
					    {0}};
	struct list_place place;
	struct delays_maps maps;
	int status, error;

	if (!options_parse(self, specs, 1, 1, &argc, &argv, &status))
		return status;
	error = delays_maps_read(&list, &maps);
	if (error)
		return error_exit(error);
	error = list_find(&where, argv[0], &maps.maps, &place);
	if (!error) {
		error = import_list(&where, &place, &maps.maps, dry_run);
		list_place_release(&place);
	}
	delays_maps_release(&maps);
	return error_exit(error);
}

const struct command command_delayed_import = {
	.name = "delayed import",
	.synopsis = "LIST [--root DIR] [--map VOLUME=DIR]... [--dry-run]",
	.summary = "take in a list of Windows' srdelayed",
	.details =
		"LIST is a file here, or named as SetupExecute names it "
		"(\\??\\C:\\dir\\list, %20 for\na blank). Without --map every "
		"volume is the target. After the run the records'\nstates are "
		"written into LIST, if it lies on the target.\n",
	.run = run_import,
};

/* ---- export ---- */

static int write_here(int fd, const struct buffer *data)
{
	size_t at = 0;

	while (at < data->length) {
		ssize_t n = write(fd, data->data + at, data->length - at);

		if (n < 0 && errno != EINTR)
			return error_from_errno(errno);
		at += n > 0 ? (size_t)n : 0;
	}
	return fsync(fd) && errno != EINVAL ? error_from_errno(errno) : 0;
}

/* Beside it first: a list that Windows may read is never half written. */
static int write_list(const char *path, const struct buffer *data)
{
	char *beside;
	int fd, error = 0;

	if (!strcmp(path, "-"))
		return write_here(STDOUT_FILENO, data);
	if (asprintf(&beside, "%s.new", path) < 0)
		return REEL_ENOMEM;
	fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC,
		  0644);
	error = fd < 0 ? error_from_errno(errno) : write_here(fd, data);
	if (fd >= 0 && close(fd) && !error)
		error = error_from_errno(errno);
	if (!error && rename(beside, path))
		error = error_from_errno(errno);
	if (error && fd >= 0)
		unlink(beside);
	if (error)
		log_error("%s: %s", path, error_text(error));
	free(beside);
	return error;
}

/* What SetupExecute must hold, when Windows can reach the list. */
static void say_setup(const struct list_place *p,
		      const struct delayed_export *how)
{
	struct buffer windows = {0};

	if (!p->below ||
	    srdelayed_path_out(how->maps, how->prefix, p->below, &windows)) {
		buffer_release(&windows);
		return;
	}
	printf("SetupExecute: C:\\Windows\\System32\\srdelayed.exe ");
	for (const char *c = (char *)windows.data; *c; c++) {
		if (*c == ' ')
			printf("%%20");
		else
			putchar(*c);
	}
	printf("\n");
	buffer_release(&windows);
}

static int export_list(const struct delays_where *where,
		       const struct list_place *p,
		       const struct delayed_export *how, int *status)
{
	struct buffer data = {0};
	struct delayed *d;
	size_t left_out;
	int error = delays_open(where, DELAYED_READ, &d);

	if (error)
		return error;
	error = delayed_export(d, how, &data, &left_out);
	if (!error)
		error = write_list(p->path, &data);
	if (!error && strcmp(p->path, "-"))
		say_setup(p, how);
	if (!error && left_out)
		*status = EXIT_INCOMPLETE;
	delayed_close(d);
	buffer_release(&data);
	return error;
}

static int run_export(const struct command *self, int argc, char **argv)
{
	struct delays_where where = {0};
	struct option_list list = {0};
	struct delayed_export how = {.prefix = SRDELAYED_PREFIX};
	const struct option_spec specs[] = {
		DELAYS_ROOT(where),
		DELAYS_JOURNAL(where),
		DELAYS_MAP(list),
		{"prefix", 0, OPTION_TEXT, &how.prefix, "TEXT",
		 "in front of paths (default: \\??\\)"},
		{"bom", 0, OPTION_FLAG, &how.mark, NULL,
		 "begin with a byte order mark"},
		{0}};
	struct list_place place;
	struct delays_maps maps;
	int status, error;

	if (!options_parse(self, specs, 1, 1, &argc, &argv, &status))
		return status;
	error = delays_maps_read(&list, &maps);
	if (error)
		return error_exit(error);
	how.maps = &maps.maps;
	status = 0;
	error = list_find(&where, argv[0], &maps.maps, &place);
	if (!error) {
		error = export_list(&where, &place, &how, &status);
		list_place_release(&place);
	}
	delays_maps_release(&maps);
	return error ? error_exit(error) : status;
}

const struct command command_delayed_export = {
	.name = "delayed export",
	.synopsis = "LIST|- [--root DIR] [--map VOLUME=DIR]... [--prefix TEXT]",
	.summary = "write what waits as a list of Windows' srdelayed",
	.details = "Without --map the target is C:. Imported records are "
		   "written as they came. Says what\nSetupExecute must hold "
		   "for Windows to carry them out itself; `reel delayed "
		   "cancel\n--all` would remove the staged files it needs.\n",
	.run = run_export,
};
