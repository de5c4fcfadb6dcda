#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "tape/log.h"
#include "tools/command.h"
#include "tools/signals.h"

#define OUTPUT_BUFFER (64 << 10)

static const struct command *const commands[] = {
	&command_init,
	&command_backup,
	&command_mount,
	&command_umount,
	&command_commit,
	&command_status,
	&command_snapshots,
	&command_ls,
	&command_find,
	&command_diff,
	&command_history,
	&command_info,
	&command_restore,
	&command_verify,
	&command_copy,
	&command_import,
	&command_rules_check,
	&command_rules_test,
	&command_catalog_rebuild,
	&command_delayed_list,
	&command_delayed_run,
	&command_delayed_cancel,
	&command_delayed_status,
	&command_delayed_export,
	&command_delayed_import,
	&command_media_list,
	&command_media_load,
	&command_media_unload,
	&command_media_move,
	&command_media_needed,
	&command_tape,
};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static const char epilogue[] =
	"\n"
	"`reel COMMAND --help` says more. SET is a directory; SET@SNAP one of\n"
	"its snapshots, by name, number, label, time or its beginning, or\n"
	"`latest`, which is also meant when @SNAP is missing.\n"
	"\n"
	"exit status: 0 done, 1 done but something was left out or changed\n"
	"meanwhile, 2 failed, 3 the set is locked, 4 a medium is needed,\n"
	"5 damage found, 130 interrupted; diff: 0 same, 1 different, 2 "
	"trouble\n";

static int help(void)
{
	printf("reel presents backups as a filesystem.\n\n"
	       "usage: reel COMMAND ...\n\n");
	for (size_t i = 0; i < COMMANDS; i++)
		printf("  %-16s %s\n", commands[i]->name, commands[i]->summary);
	fputs(epilogue, stdout);
	return 0;
}

/* Words of argv that name the command; 0 when they do not. */
static int matches(const struct command *c, int argc, char **argv)
{
	size_t first = strcspn(c->name, " ");

	if (argc < 1 || strlen(argv[0]) != first ||
	    memcmp(argv[0], c->name, first))
		return 0;
	if (!c->name[first])
		return 1;
	return argc > 1 && !strcmp(argv[1], c->name + first + 1) ? 2 : 0;
}

static const struct command *find(int argc, char **argv, int *words)
{
	for (size_t i = 0; i < COMMANDS; i++) {
		*words = matches(commands[i], argc, argv);
		if (*words)
			return commands[i];
	}
	return NULL;
}

/* Whether the word begins names of several words. */
static bool in_group(const struct command *c, const char *word)
{
	size_t first = strcspn(c->name, " ");

	return c->name[first] && strlen(word) == first &&
	       !memcmp(word, c->name, first);
}

static bool is_group(const char *word)
{
	for (size_t i = 0; i < COMMANDS; i++)
		if (in_group(commands[i], word))
			return true;
	return false;
}

static int group_help(const char *word)
{
	printf("usage: reel %s VERB ...\n\n", word);
	for (size_t i = 0; i < COMMANDS; i++)
		if (in_group(commands[i], word))
			printf("  %-16s %s\n", commands[i]->name,
			       commands[i]->summary);
	return 0;
}

static int unknown(int argc, char **argv)
{
	if (!is_group(argv[0])) {
		log_error("there is no command %s; `reel help` lists them",
			  argv[0]);
		return EXIT_FAILED;
	}
	if (argc > 1 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")))
		return group_help(argv[0]);
	log_error("%s what? `reel help %s` lists its verbs", argv[0], argv[0]);
	return EXIT_FAILED;
}

static int help_for(int argc, char **argv)
{
	char option[] = "--help";
	char *help_argv[] = {argv[0], option, NULL};
	const struct command *c;
	int words;

	if (argc < 1)
		return help();
	c = find(argc, argv, &words);
	if (!c && argc == 1 && is_group(argv[0]))
		return group_help(argv[0]);
	if (!c)
		return unknown(argc, argv);
	return c->run(c, 2, help_argv);
}

static int run(int argc, char **argv)
{
	const char *slash = strrchr(argv[0], '/');
	const char *name = slash ? slash + 1 : argv[0];
	const struct command *c;
	int words;

	if (!strcmp(name, "mount.reel"))
		return command_mount.run(&command_mount, argc, argv);
	if (!strcmp(name, "umount.fuse.reel"))
		return command_umount.run(&command_umount, argc, argv);
	argc--;
	argv++;
	if (argc < 1) {
		log_error("which command? `reel help` lists them");
		return EXIT_FAILED;
	}
	if (!strcmp(argv[0], "--version")) {
		printf("reel %s\n", REEL_VERSION);
		return 0;
	}
	if (!strcmp(argv[0], "help") || !strcmp(argv[0], "--help") ||
	    !strcmp(argv[0], "-h"))
		return help_for(argc - 1, argv + 1);
	c = find(argc, argv, &words);
	if (!c)
		return unknown(argc, argv);
	return c->run(c, argc - words + 1, argv + words - 1);
}

/* What was printed must have arrived: a full disk is no success. */
static int finish(int status)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	log_error("the output cannot be written: %s", strerror(errno));
	return EXIT_FAILED;
}

/* Where the caller closed the input or an output, the next file that is opened
 * would take its place: a message must not go into an image. What stands there
 * now can neither be read nor written, so that its use is an error. */
static bool fill_standard(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		int flags = fd == STDIN_FILENO ? O_WRONLY : O_RDONLY;

		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", flags) != fd)
			return false;
	}
	return true;
}

int main(int argc, char **argv)
{
	static char buffer[OUTPUT_BUFFER];

	if (argc < 1 || !fill_standard())
		return EXIT_FAILED;
	setvbuf(stdout, buffer, _IOFBF, sizeof(buffer));
	signals_begin();
	return finish(run(argc, argv));
}
