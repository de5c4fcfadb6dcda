#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "tape/error.h"
#include "tape/log.h"
#include "tools/json.h"
#include "tools/signals.h"
#include "tools/tape.h"

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

/* ---- read ---- */

/* What was read; *closed: it is not wanted any more. */
static int put(const uint8_t *data, size_t length, bool *closed)
{
	while (length) {
		ssize_t n = write(STDOUT_FILENO, data, length);

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
	int error = drive_space(d, DRIVE_FILEMARKS, 1, &m);

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
		error = *stop ? REEL_ESTOPPED : next_block(d, &data, &room, &r);
		if (error || r.found == DRIVE_END)
			break;
		if (r.found == DRIVE_FILEMARK) {
			t->files++;
		} else if (r.found == DRIVE_BLOCK) {
			error = put(data, r.length, &t->closed);
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
	const volatile int *stop = signals_flag();
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
	int status, error;

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
	return tape_done(self, d, error, false);
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
static int get(uint8_t *data, size_t size, size_t *got)
{
	*got = 0;
	while (*got < size) {
		ssize_t n = read(STDIN_FILENO, data + *got, size - *got);

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

/* A drive with blocks of one size gets the last one filled up with zeros. */
static int write_file(struct drive *d, size_t size, bool pad,
		      const volatile int *stop, struct transfer *t)
{
	uint8_t *data = malloc(size);
	size_t got = size;
	bool early;
	int error = data ? 0 : REEL_ENOMEM;

	while (!error && got == size) {
		error = *stop ? REEL_ESTOPPED : get(data, size, &got);
		if (error || !got)
			break;
		if (pad && got < size)
			memset(data + got, 0, size - got);
		early = false;
		error = drive_write(d, data, pad ? size : got, &early);
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

static int write_tape(struct drive *d, uint64_t block, bool no_mark,
		      const volatile int *stop, struct transfer *t)
{
	struct drive_parameters p;
	int error = drive_parameters(d, &p), ended;
	bool fixed;

	if (error)
		return error;
	fixed = p.block_size != 0;
	if (!block)
		block = fixed				    ? p.block_size
			: DRIVE_DEFAULT_SIZE <= p.block_max ? DRIVE_DEFAULT_SIZE
							    : p.block_max;
	if (block > DRIVE_BLOCK_LIMIT) {
		log_error("%s: its blocks have at most %u bytes", drive_name(d),
			  (unsigned)p.block_max);
		return REEL_ERANGE;
	}
	error = write_file(d, (size_t)block, fixed, stop, t);
	if (error && error != REEL_ENOSPC && error != REEL_ESTOPPED)
		return error;
	ended = t->blocks || !error ? end_file(d, no_mark) : 0;
	t->files = !no_mark && !ended;
	if (error == REEL_ENOSPC)
		log_error("%s: the end of the medium after %" PRIu64
			  " bytes; the rest of the input is not on it",
			  drive_name(d), t->bytes);
	return error ? error : ended;
}

static int run_write(const struct command *self, int argc, char **argv)
{
	const volatile int *stop = signals_flag();
	bool json = false, no_mark = false, quiet = false;
	uint64_t block = 0;
	const struct option_spec specs[] = {
		{"block-size", 'b', OPTION_SIZE, &block, "SIZE",
		 "of all blocks but the last (256K)"},
		{"no-mark", 0, OPTION_FLAG, &no_mark, NULL,
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
	error = tape_open(argv[0], false, true, &d);
	if (error)
		return error_exit(error);
	error = write_tape(d, block, no_mark, stop, &t);
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
