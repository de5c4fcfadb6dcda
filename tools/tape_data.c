#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "tape/error.h"
#include "tape/log.h"
#include "tape/stop.h"
#include "tools/json.h"
#include "tools/signals.h"
#include "tools/tape.h"

#define LOOK_PERIOD 500 /* ms between two looks whether to stop */

/* What a transfer came to. */
struct transfer {
	uint64_t bytes, blocks, files;
	bool early, closed; /* who reads our output wants no more */
};

static void say(const char *device, const struct transfer *t)
{
	fprintf(stderr,
		"%s: %" PRIu64 " bytes in %" PRIu64 " %s, %" PRIu64 " %s\n",
		device, t->bytes, t->blocks,
		t->blocks == 1 ? "block" : "blocks", t->files,
		t->files == 1 ? "file" : "files");
}

static void begin_object(struct json *j, FILE *to, const char *device,
			 const struct transfer *t)
{
	json_begin_at(j, to);
	json_bytes(j, "device", device, strlen(device));
	json_number(j, "size", t->bytes);
	json_number(j, "blocks", t->blocks);
}

/* Until it can be read or written: a program at the other end may take its
 * time, and the user may have enough. */
static int await(int fd, short what, const volatile int *stop)
{
	struct pollfd p = {.fd = fd, .events = what};

	while (!stop_is_set(stop))
		if (poll(&p, 1, LOOK_PERIOD) > 0)
			return 0;
	return REEL_ESTOPPED;
}

/* What a verb that takes the image for its tape must not have at its other end:
 * it would read what it writes. */
static int check_other(const char *device, int fd)
{
	struct stat image, other;
	size_t length = strcspn(device, "?");
	char *path = strndup(device, length);
	bool same = path && !stat(path, &image) && !fstat(fd, &other) &&
		    S_ISREG(image.st_mode) && image.st_dev == other.st_dev &&
		    image.st_ino == other.st_ino;

	free(path);
	if (!same)
		return 0;
	log_error("%s: the image is the %s, too", device,
		  fd == STDIN_FILENO ? "input" : "output");
	return REEL_EINVAL;
}

/* ---- read ---- */

/* What was read; *closed: it is not wanted any more. */
static int put(const uint8_t *data, size_t length, const volatile int *stop,
	       bool *closed)
{
	while (length) {
		int error = await(STDOUT_FILENO, POLLOUT, stop);
		ssize_t n = error ? 0 : write(STDOUT_FILENO, data, length);

		if (error)
			return error;
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EPIPE) {
			*closed = true;
			return 0;
		}
		if (n < 0) {
			log_error("the output cannot be written: %s",
				  strerror(errno));
			return error_from_errno(errno);
		}
		data += n;
		length -= (size_t)n;
	}
	return 0;
}

/* One block; `*room` grows when a larger one comes. */
static int next_block(struct drive *d, uint8_t **data, size_t *room,
		      struct drive_read *r)
{
	for (;;) {
		int error = drive_read(d, *data, *room, r);
		size_t more;
		uint8_t *grown;

		if (error != REEL_ERANGE)
			return error;
		more = r->length > *room ? r->length : 2 * *room;
		if (*room >= DRIVE_BLOCK_LIMIT) {
			log_error("%s: a block of more than %u bytes",
				  drive_name(d), DRIVE_BLOCK_LIMIT);
			return error;
		}
		if (more > DRIVE_BLOCK_LIMIT)
			more = DRIVE_BLOCK_LIMIT;
		grown = realloc(*data, more);
		if (!grown)
			return REEL_ENOMEM;
		*data = grown;
		*room = more;
	}
}

/* tar leaves what lies behind the end of an archive unread: the tape goes on to
 * the next tape file all the same. */
static int leave_file(struct drive *d, struct transfer *t)
{
	struct drive_moved m;
	int error;

	do
		error = drive_space(d, DRIVE_FILEMARKS, 1, &m);
	while (!error && m.found == DRIVE_SETMARK);
	t->files += !error && m.found == DRIVE_BLOCK;
	return error;
}

static int read_files(struct drive *d, uint64_t files, size_t room,
		      const volatile int *stop, struct transfer *t)
{
	uint8_t *data = malloc(room);
	struct drive_read r;
	int error = data ? 0 : REEL_ENOMEM;

	while (!error && !t->closed && t->files < files) {
		error = stop_is_set(stop) ? REEL_ESTOPPED
					  : next_block(d, &data, &room, &r);
		if (error || r.found == DRIVE_END)
			break;
		if (r.found == DRIVE_FILEMARK) {
			t->files++;
		} else if (r.found == DRIVE_BLOCK) {
			error = put(data, r.length, stop, &t->closed);
			t->blocks++;
			t->bytes += r.length;
		}
	}
	if (!error && t->closed)
		error = leave_file(d, t);
	free(data);
	return error;
}

static void say_read(const char *device, const struct transfer *t, bool json)
{
	struct json j;

	if (!json) {
		say(device, t);
		return;
	}
	begin_object(&j, stderr, device, t);
	json_number(&j, "files", t->files);
	json_end(&j);
}

static int run_read(const struct command *self, int argc, char **argv)
{
	const volatile int *stop = signals_flag_waking();
	uint64_t block = DRIVE_DEFAULT_SIZE, files = 1;
	const char *count = NULL;
	bool all = false, quiet = false, json = false;
	const struct option_spec specs[] = {
		{"block-size", 'b', OPTION_SIZE, &block, "SIZE",
		 "what blocks are expected to have (256K)"},
		{"files", 0, OPTION_TEXT, &count, "N",
		 "so many tape files (1)"},
		{"all", 0, OPTION_FLAG, &all, NULL, "to the end of the data"},
		{"quiet", 'q', OPTION_FLAG, &quiet, NULL, "no summary"},
		{"json", 0, OPTION_FLAG, &json, NULL,
		 "the summary, on stderr, as an object"},
		{0}};
	struct transfer t = {0};
	struct drive *d;
	int status, error, closed;

	if (!options_parse(self, specs, 1, 1, &argc, &argv, &status))
		return status;
	if (count && !tape_number(self, count, "files", INT64_MAX, &files))
		return EXIT_FAILED;
	if (!files)
		return options_misuse(self, "at least one file");
	if (!block || block > DRIVE_BLOCK_LIMIT)
		return options_misuse(self, "a block has 1 byte to 16M");
	if (isatty(STDOUT_FILENO))
		return options_misuse(self, "send the output to a file or a "
					    "pipe, not to a terminal");
	error = check_other(argv[0], STDOUT_FILENO);
	if (!error)
		error = tape_open(argv[0], false, true, &d);
	if (error)
		return error_exit(error);
	error = read_files(d, all ? UINT64_MAX : files, (size_t)block, stop,
			   &t);
	if (!error && !t.blocks && !t.files) {
		log_error("%s: the tape ends here; `reel tape seek %s 0` "
			  "rewinds it",
			  argv[0], argv[0]);
		error = REEL_ENOENT;
	}
	if (!error && !quiet)
		say_read(argv[0], &t, json);
	/* all was read, though the tape does not stay behind it */
	closed = drive_close(d);
	if (!error && closed != REEL_EROFS)
		error = closed;
	return error_exit(error);
}

const struct command tape_read = {
	.name = "tape read",
	.synopsis = "DEVICE [-b SIZE] [--files N|--all] [-q] [--json]",
	.summary = "tape files to the standard output",
	.details = "From where the tape is, up to behind a filemark, also when "
		   "who reads the output\nwants no more. Blocks of any size "
		   "are read.\n",
	.run = run_read,
};

/* ---- write ---- */

/* A full block of the standard input, or its last one. */
static int get(uint8_t *data, size_t size, const volatile int *stop,
	       size_t *got)
{
	*got = 0;
	while (*got < size) {
		int error = await(STDIN_FILENO, POLLIN, stop);
		ssize_t n =
			error ? 0
			      : read(STDIN_FILENO, data + *got, size - *got);

		if (error)
			return error;
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			log_error("the input cannot be read: %s",
				  strerror(errno));
			return error_from_errno(errno);
		}
		if (!n)
			break;
		*got += (size_t)n;
	}
	return 0;
}

struct write_options {
	size_t block;
	size_t least; /* of the last block, too, which zeros fill up */
	bool no_mark;
	const volatile int *stop;
};

/* *input: the error is the input's, not the drive's. */
static int write_blocks(struct drive *d, const struct write_options *o,
			struct transfer *t, bool *input)
{
	uint8_t *data = malloc(o->block);
	size_t got = o->block;
	bool early;
	int error = data ? 0 : REEL_ENOMEM;

	*input = false;
	while (!error && got == o->block) {
		error = get(data, o->block, o->stop, &got);
		*input = error;
		/* who gives the input is stopped by the same Ctrl-C */
		if (!error && got < o->block && stop_is_set(o->stop))
			error = REEL_ESTOPPED;
		if (error || !got)
			break;
		if (got < o->least)
			memset(data + got, 0, o->least - got);
		early = false;
		error = drive_write(d, data, got < o->least ? o->least : got,
				    &early);
		if (error)
			break;
		t->blocks++;
		t->bytes += got;
		t->early |= early;
	}
	free(data);
	return error;
}

static int end_file(struct drive *d, bool no_mark)
{
	return no_mark ? drive_flush(d)
		       : drive_mark(d, DRIVE_MARK_FILE, 1, false, NULL);
}

/* What came before the input failed, the medium ended or the user had enough is
 * a tape file all the same. */
static int write_file(struct drive *d, const struct write_options *o,
		      struct transfer *t)
{
	bool input;
	int error = write_blocks(d, o, t, &input), ended = 0;

	if (!error && !t->blocks) {
		log_error("%s: the input is empty: nothing was written; `reel "
			  "tape mark` writes a filemark alone",
			  drive_name(d));
		return REEL_EINVAL;
	}
	if (error && error != REEL_ENOSPC && error != REEL_ESTOPPED && !input)
		return error;
	if (t->blocks)
		ended = end_file(d, o->no_mark);
	t->files = t->blocks && !o->no_mark && !ended;
	if (error == REEL_ENOSPC)
		log_error("%s: the end of the medium after %" PRIu64
			  " bytes; the rest of the input is not on it",
			  drive_name(d), t->bytes);
	else if (error && t->blocks)
		log_error("%s: only the first %" PRIu64
			  " bytes of the input are on the tape",
			  drive_name(d), t->bytes);
	return error ? error : ended;
}

/* A drive with blocks of one size gets the last one filled up, and one that
 * takes none as small as it. */
static int write_tape(struct drive *d, struct write_options *o,
		      struct transfer *t)
{
	struct drive_parameters p;
	int error = drive_parameters(d, &p);

	if (error)
		return error;
	if (!o->block)
		o->block = p.block_size ? p.block_size
			   : DRIVE_DEFAULT_SIZE <= p.block_max
				   ? DRIVE_DEFAULT_SIZE
				   : p.block_max;
	if (o->block > DRIVE_BLOCK_LIMIT) {
		log_error("%s: its blocks have at most %u bytes", drive_name(d),
			  (unsigned)p.block_max);
		return REEL_ERANGE;
	}
	o->least = p.block_size ? o->block : p.block_min;
	if (o->least > o->block)
		o->least = 0; /* the drive says what is wrong */
	return write_file(d, o, t);
}

static int run_write(const struct command *self, int argc, char **argv)
{
	struct write_options o = {.stop = signals_flag_waking()};
	bool json = false, quiet = false;
	uint64_t block = 0;
	const struct option_spec specs[] = {
		{"block-size", 'b', OPTION_SIZE, &block, "SIZE",
		 "of all blocks but the last (256K)"},
		{"no-mark", 0, OPTION_FLAG, &o.no_mark, NULL,
		 "no filemark at the end (Linux writes one nevertheless)"},
		{"quiet", 'q', OPTION_FLAG, &quiet, NULL, "no summary"},
		{"json", 0, OPTION_FLAG, &json, NULL, "one object"},
		{0}};
	struct transfer t = {0};
	struct drive *d;
	struct json j;
	int status, error;

	if (!options_parse(self, specs, 1, 1, &argc, &argv, &status))
		return status;
	error = check_other(argv[0], STDIN_FILENO);
	if (!error)
		error = tape_open(argv[0], false, true, &d);
	if (error)
		return error_exit(error);
	o.block = (size_t)block;
	error = write_tape(d, &o, &t);
	status = tape_done(self, d, error, false);
	if (json && !status) {
		begin_object(&j, stdout, argv[0], &t);
		json_bool(&j, "early_warning", t.early);
		json_end(&j);
	} else if (!quiet && !status) {
		say(argv[0], &t);
	}
	if (t.early && !quiet && !status)
		log_note("%s: the end of the medium is near", argv[0]);
	return status;
}

const struct command tape_write = {
	.name = "tape write",
	.synopsis = "DEVICE [-b SIZE] [--no-mark] [-q] [--json]",
	.summary = "the standard input as a tape file",
	.details =
		"At the place where the tape is: what lies behind is lost. "
		"Ends with a filemark,\nand when it ends all of it is on the "
		"tape.\n",
	.run = run_write,
};
