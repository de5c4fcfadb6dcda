#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "tape/error.h"
#include "tape/log.h"
#include "tape/text.h"
#include "tools/json.h"
#include "tools/signals.h"
#include "tools/tape.h"

static const struct command *const verbs[] = {
	&tape_status, &tape_load,    &tape_unload,    &tape_lock,
	&tape_unlock, &tape_tension, &tape_format,    &tape_partition,
	&tape_erase,  &tape_seek,    &tape_tell,      &tape_space,
	&tape_mark,   &tape_params,  &tape_set,	      &tape_attribute,
	&tape_read,   &tape_write,   &tape_inventory, &tape_move,
};

#define VERBS	    (sizeof(verbs) / sizeof(verbs[0]))
#define FRONT	    5  /* of "tape " in a verb's name */
#define LOAD_PERIOD 30 /* seconds for a cartridge that is being loaded */

/* ---- what the verbs share ---- */

int tape_open(const char *name, bool reading, bool needs, struct drive **d)
{
	struct drive_options o = {.read_only = reading,
				  .keep = true,
				  .wait = LOAD_PERIOD,
				  .stop = (const volatile int *)signals_flag()};
	struct drive_status s;
	int error = drive_open(name, &o, d);

	if (error || !needs)
		return error;
	error = drive_status(*d, &s);
	if (!error && s.state == DRIVE_EMPTY) {
		log_error("%s: no cartridge is loaded; put one in, or `reel "
			  "tape load %s`",
			  name, name);
		error = REEL_EMEDIUM;
	} else if (!error && s.state == DRIVE_LOADING) {
		log_error("%s: not ready yet: %s", name, s.text);
		error = REEL_EBUSY;
	}
	if (error)
		drive_close(*d);
	return error;
}

int tape_done(const struct command *self, struct drive *d, int error, bool json)
{
	char name[1024];
	struct json j;
	int closed;

	snprintf(name, sizeof(name), "%s", drive_name(d));
	closed = drive_close(d);
	if (!error)
		error = closed;
	if (error || !json)
		return error_exit(error);
	json_begin(&j);
	json_bytes(&j, "device", name, strlen(name));
	json_text(&j, "verb", self->name + FRONT);
	json_bool(&j, "done", true);
	json_end(&j);
	return 0;
}

static void name_cartridge(struct drive *d, char *to, size_t size)
{
	struct drive_parameters p;
	char *barcode;

	*to = '\0';
	if (drive_parameters(d, &p) || !p.barcode[0])
		return;
	barcode = text_name(p.barcode, strlen(p.barcode));
	snprintf(to, size, " (cartridge %s)", barcode ? barcode : "?");
	free(barcode);
}

bool tape_consent(struct drive *d, const char *what, bool yes)
{
	char cartridge[5 * DRIVE_TEXT + 16], answer[16] = "";

	if (yes)
		return true;
	name_cartridge(d, cartridge, sizeof(cartridge));
	if (!isatty(STDIN_FILENO)) {
		log_error("%s%s: this would %s; give --yes to do it",
			  drive_name(d), cartridge, what);
		return false;
	}
	fprintf(stderr, "%s%s: this will %s. Go on? Type yes: ", drive_name(d),
		cartridge, what);
	if (fgets(answer, sizeof(answer), stdin) && !strcmp(answer, "yes\n"))
		return true;
	log_error("%s: nothing was done", drive_name(d));
	return false;
}

bool tape_number(const struct command *self, const char *text, const char *what,
		 uint64_t limit, uint64_t *number)
{
	unsigned long long value;
	char *end;

	errno = 0;
	value = strtoull(text, &end,
			 text[0] == '0' && text[1] == 'x' ? 16 : 10);
	if (text[0] >= '0' && text[0] <= '9' && !*end && !errno &&
	    value <= limit) {
		*number = value;
		return true;
	}
	options_misuse(self, "%s: not a number of %s", text, what);
	return false;
}

/* ---- the command ---- */

static int list(void)
{
	printf("usage: reel tape VERB DEVICE ...\n\n"
	       "drives and cartridges: one verb for each thing they do\n\n");
	for (size_t n = 0; n < VERBS; n++)
		printf("  %-10s %s\n", verbs[n]->name + FRONT,
		       verbs[n]->summary);
	printf("\nDEVICE is /dev/nst0, iscsi://HOST[:PORT]/TARGET/LUN, or an "
	       "image FILE.tap.\nThe tape stays where a verb leaves it. `reel "
	       "tape VERB --help` says more.\n");
	return 0;
}

static int run(const struct command *self, int argc, char **argv)
{
	if (argc < 2)
		return options_misuse(self, "which verb?");
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))
		return list();
	for (size_t n = 0; n < VERBS; n++) {
		if (!strcmp(argv[1], verbs[n]->name + FRONT))
			return verbs[n]->run(verbs[n], argc - 1, argv + 1);
	}
	return options_misuse(self, "there is no verb %s", argv[1]);
}

const struct command command_tape = {
	.name = "tape",
	.synopsis = "VERB DEVICE ...",
	.summary = "drives and cartridges: status, load, seek, erase ...",
	.run = run,
};
