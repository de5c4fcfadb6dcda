/* The background: reel mount forks, the child serves. Until the mount answers
 * the child keeps the caller's stderr, so its messages are seen; then a thread
 * moves stderr to SET/mount.log, lets the caller's terminal go, and tells the
 * parent, which ends. A child that fails before is waited for, and its exit
 * status handed on. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "catalog/foreign.h"
#include "catalog/tapes.h"
#include "fs/mount.h"
#include "tape/buffer.h"
#include "tape/drive.h"
#include "tape/error.h"
#include "tape/log.h"
#include "tools/media_option.h"
#include "tools/options.h"
#include "tools/signals.h"
#include "tools/target.h"

#define DEFAULT_CACHE (16u << 20)
#define SMALL_CACHE   (1u << 20)
#define MEDIA_TIMEOUT 300

struct mounting {
	struct mount_options mount;
	struct set *set;
	struct foreign *foreign; /* whose set it is; NULL: a real one */
	struct buffer rest;	 /* options for libfuse, NUL at the end */
	char *snapshot;
	char *restore;	    /* its target */
	char **filesystems; /* within it; heap */
	char *name;	    /* of the set */
	char *mountpoint;
	unsigned media_timeout; /* seconds */
	bool offline_fail;
	bool cache_given;
};

/* What the thread of the child needs. */
struct handover {
	struct set *set;
	int answered; /* one byte from mount_run */
	int parent;
};

static bool begins(const char *text, const char *front)
{
	return strncmp(text, front, strlen(front)) == 0;
}

/* Words of fstab that are not the filesystem's. */
static bool for_mount_only(const char *word)
{
	static const char *const words[] = {"auto",   "noauto",	  "user",
					    "nouser", "users",	  "owner",
					    "group",  "nofail",	  "_netdev",
					    "rw",     "defaults", "nodefaults"};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (!strcmp(word, words[i]))
			return true;
	}
	return begins(word, "x-") || begins(word, "X-") ||
	       begins(word, "comment=");
}

static int pass_on(struct mounting *m, const char *word)
{
	int error = 0;

	if (m->rest.length)
		error = buffer_append(&m->rest, ",", 1);
	return error ? error : buffer_append(&m->rest, word, strlen(word));
}

/* WORD=NUMBER */
static int parse_number(const struct command *self, const char *word, int base,
			unsigned *out)
{
	const char *text = strchr(word, '=') + 1;
	char *end;
	unsigned long number = strtoul(text, &end, base);

	if (*text < '0' || *text > '9' || *end || number > UINT_MAX)
		return options_misuse(self, "-o %s: give a number", word);
	*out = (unsigned)number;
	return 0;
}

static int parse_filesystem(struct mounting *m, const char *path)
{
	size_t count = m->mount.restore_filesystem_count;
	char **all = realloc(m->filesystems, (count + 1) * sizeof(*all));

	if (!all)
		return EXIT_FAILED;
	m->filesystems = all;
	all[count] = strdup(path);
	if (!all[count])
		return EXIT_FAILED;
	m->mount.restore_filesystem_count++;
	m->mount.restore_filesystems = (const char *const *)all;
	return 0;
}

/* Words of restore/; *known is false for others. */
static int parse_restore(const struct command *self, struct mounting *m,
			 const char *word, bool *known)
{
	*known = true;
	if (begins(word, "restore-filesystem="))
		return parse_filesystem(m, strchr(word, '=') + 1);
	if (begins(word, "restore=")) {
		free(m->restore);
		m->restore = strdup(strchr(word, '=') + 1);
		m->mount.restore = m->restore;
		if (m->restore && !*m->restore)
			return options_misuse(self, "-o restore=DIR: give the "
						    "directory");
		return m->restore ? 0 : EXIT_FAILED;
	}
	if (!strcmp(word, "restore-strict"))
		m->mount.restore_strict = true;
	else if (!strcmp(word, "restore-only"))
		m->mount.restore_alone = true;
	else
		*known = false;
	return 0;
}

/* What does not go together. */
static int check_restore(const struct command *self, const struct mounting *m)
{
	const struct mount_options *o = &m->mount;

	if (!o->restore && (o->restore_alone || o->restore_strict ||
			    o->restore_filesystem_count))
		return options_misuse(self, "-o restore=DIR is missing");
	if (o->restore && (m->snapshot || o->alone))
		return options_misuse(self, "restore=DIR does not go with %s",
				      m->snapshot ? "one snapshot alone"
						  : "current/ alone");
	return 0;
}

/* Sizes and texts; *known is false for other words. */
static int parse_value(const struct command *self, struct mounting *m,
		       const char *word, bool *known)
{
	uint64_t size;

	*known = true;
	if (begins(word, "snapshot=")) {
		free(m->snapshot);
		m->snapshot = strdup(word + strlen("snapshot="));
		return m->snapshot ? 0 : EXIT_FAILED;
	}
	if (begins(word, "cache=")) {
		if (set_parse_size(word + strlen("cache="), &size) ||
		    size < SMALL_CACHE)
			return options_misuse(self, "-o %s: give 1M or more",
					      word);
		m->mount.cache = (size_t)size;
		m->cache_given = true;
		return 0;
	}
	if (begins(word, "spool-size=")) {
		if (set_parse_size(word + strlen("spool-size="),
				   &m->mount.spool_size))
			return options_misuse(self, "-o %s: no size", word);
		return 0;
	}
	if (begins(word, "commit="))
		return parse_number(self, word, 10, &m->mount.commit);
	if (begins(word, "umask="))
		return parse_number(self, word, 8, &m->mount.umask);
	if (begins(word, "media-timeout="))
		return parse_number(self, word, 10, &m->media_timeout);
	m->mount.set_uid |= begins(word, "uid=");
	m->mount.set_gid |= begins(word, "gid=");
	if (begins(word, "uid="))
		return parse_number(self, word, 10, &m->mount.uid);
	if (begins(word, "gid="))
		return parse_number(self, word, 10, &m->mount.gid);
	*known = false;
	return 0;
}

static int parse_word(const struct command *self, struct mounting *m,
		      char *word)
{
	bool known;
	int status;

	if (!*word || for_mount_only(word))
		return 0;
	status = parse_value(self, m, word, &known);
	if (known)
		return status;
	status = parse_restore(self, m, word, &known);
	if (known)
		return status;
	if (!strcmp(word, "ro"))
		m->mount.read_only = true;
	else if (!strcmp(word, "current"))
		m->mount.alone = true;
	else if (!strcmp(word, "allow_other"))
		m->mount.allow_other = true;
	else if (!strcmp(word, "offline=fail"))
		m->offline_fail = true;
	else if (pass_on(m, word))
		return EXIT_FAILED;
	return 0;
}

static int parse_options(const struct command *self, struct mounting *m,
			 const char *text)
{
	char *copy = strdup(text), *rest = copy, *word;
	int status = copy ? 0 : EXIT_FAILED;

	while (!status && (word = strsep(&rest, ",")))
		status = parse_word(self, m, word);
	free(copy);
	return status;
}

/* stderr goes to the log, or nowhere; the rest of the terminal is let go. */
static void leave_terminal(const struct set *set)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int log = openat(set->directory, "mount.log",
			 O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW,
			 0600);

	if (null >= 0) {
		dup2(null, STDIN_FILENO);
		dup2(null, STDOUT_FILENO);
	}
	if (log >= 0 || null >= 0)
		dup2(log >= 0 ? log : null, STDERR_FILENO);
	if (log > STDERR_FILENO)
		close(log);
	if (null > STDERR_FILENO)
		close(null);
	if (chdir("/"))
		log_warning("/: %s", strerror(errno));
}

static void *hand_over(void *context)
{
	struct handover *h = context;
	char byte;

	if (read(h->answered, &byte, 1) == 1) {
		leave_terminal(h->set);
		if (write(h->parent, &byte, 1) != 1)
			log_note("the command that mounted is gone");
	}
	close(h->parent);
	return NULL;
}

/* An archive that belongs to no set: its tree is the root. Or a cartridge of
 * reel, with the views of a set. */
static int open_foreign(struct mounting *m)
{
	int error;

	if (m->mount.alone) {
		log_error("%s is no set: it has no current/", m->name);
		return REEL_EINVAL;
	}
	if (drive_is_name(m->name)) {
		char *full = media_option_full(m->name);

		free(m->name);
		m->name = full;
		if (!full)
			return REEL_EINVAL;
	}
	error = foreign_open(m->name, signals_flag(), &m->foreign);
	if (error)
		return error;
	m->set = foreign_set(m->foreign);
	m->mount.read_only = true;
	m->mount.snapshot = m->snapshot;
	if (foreign_is_set(m->foreign))
		return 0;
	if (m->snapshot) {
		log_error("%s is no set: it has no snapshots", m->name);
		return REEL_EINVAL;
	}
	m->mount.snapshot = "1";
	return 0;
}

static int open_set(struct mounting *m)
{
	int error = foreign_is_archive(m->name)
			    ? open_foreign(m)
			    : set_open(m->name, SET_READ, false, &m->set);

	if (error)
		return error;
	if (!m->foreign)
		m->mount.snapshot = m->snapshot;
	m->mount.fuse_options = (const char *)m->rest.data;
	if (m->set->tapes && m->cache_given) {
		tapes_set_cache(m->set, m->mount.cache);
		m->mount.cache = DEFAULT_CACHE;
	}
	tapes_set_patience(m->set, m->offline_fail ? 0 : m->media_timeout,
			   m->offline_fail, NULL);
	return 0;
}

/* Serves; `parent` (-1: none) gets a byte when the mount answers. */
static int serve(struct mounting *m, int parent)
{
	struct handover h = {.parent = parent};
	pthread_t thread;
	int pipes[2];
	int error = open_set(m);

	if (error)
		return error;
	signals_default();
	m->mount.ready = -1;
	if (parent >= 0) {
		if (pipe2(pipes, O_CLOEXEC))
			return error_from_errno(errno);
		h.set = m->set;
		h.answered = pipes[0];
		m->mount.ready = pipes[1];
		if (pthread_create(&thread, NULL, hand_over, &h))
			return REEL_ENOMEM;
	}
	error = mount_run(m->set, &m->mount);
	if (parent >= 0) {
		close(pipes[1]);
		pthread_join(thread, NULL);
		close(pipes[0]);
	}
	return error;
}

/* Until the child answers or ends; Ctrl-C takes it along. */
static int wait_for(pid_t child, int answer, const volatile int *stop)
{
	struct pollfd p = {.fd = answer, .events = POLLIN};
	char byte;
	int status;

	while (poll(&p, 1, -1) < 0 && errno == EINTR) {
		if (*stop)
			kill(child, SIGTERM);
	}
	if (read(answer, &byte, 1) == 1)
		return 0;
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	if (*stop)
		return EXIT_INTERRUPTED;
	if (WIFEXITED(status) && WEXITSTATUS(status))
		return WEXITSTATUS(status);
	log_error("the mount ended before it answered");
	return EXIT_FAILED;
}

static int background(struct mounting *m)
{
	const volatile int *stop = signals_flag();
	int pipes[2];
	pid_t child;
	int status;

	if (pipe2(pipes, O_CLOEXEC)) {
		log_error("a pipe: %s", strerror(errno));
		return EXIT_FAILED;
	}
	child = fork();
	if (child < 0) {
		log_error("a process for the mount: %s", strerror(errno));
		close(pipes[0]);
		close(pipes[1]);
		return EXIT_FAILED;
	}
	if (child == 0) {
		close(pipes[0]);
		setsid();
		return error_exit(serve(m, pipes[1]));
	}
	close(pipes[1]);
	status = wait_for(child, pipes[0], stop);
	close(pipes[0]);
	return status;
}

/* The kernel would take a file for one, and answer EIO there. */
static bool is_directory(const char *path)
{
	int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static int mount_it(const struct command *self, struct mounting *m,
		    const char *text)
{
	int status = 0;

	if (text)
		status = parse_options(self, m, text);
	if (!status)
		status = check_restore(self, m);
	if (status)
		return status;
	/* The child works in /, and unmounts by this path. */
	m->mountpoint = realpath(m->mount.mountpoint, NULL);
	if (!m->mountpoint || !is_directory(m->mountpoint)) {
		log_error("%s: cannot be mounted on: %s", m->mount.mountpoint,
			  strerror(errno));
		return EXIT_FAILED;
	}
	if (mount_is_there(m->mountpoint)) {
		log_error("%s: a reel mount is there already; end it with "
			  "`reel umount` first",
			  m->mount.mountpoint);
		return EXIT_FAILED;
	}
	m->mount.mountpoint = m->mountpoint;
	if (m->rest.length && buffer_append(&m->rest, "", 1))
		return EXIT_FAILED;
	if (m->mount.foreground)
		return error_exit(serve(m, -1));
	return background(m);
}

/* SET@SNAP is short for -o snapshot=SNAP. */
static int name_set(struct mounting *m, const char *text)
{
	char *at;

	m->name = strdup(text);
	if (!m->name)
		return EXIT_FAILED;
	at = strrchr(m->name, '@');
	if (!at || target_is_set(text) || foreign_is_archive(text))
		return 0;
	*at = '\0';
	if (!target_is_set(m->name)) {
		*at = '@';
		return 0;
	}
	m->snapshot = strdup(at + 1);
	return m->snapshot ? 0 : EXIT_FAILED;
}

static int run(const struct command *self, int argc, char **argv)
{
	struct mounting m = {.mount.cache = DEFAULT_CACHE,
			     .media_timeout = MEDIA_TIMEOUT};
	bool helper = strcmp(argv[0], self->name) != 0; /* mount.reel */
	bool unused, f = false;
	const char *text = NULL, *ignored;
	const struct option_spec specs[] = {
		{NULL, 'o', OPTION_TEXT, &text, "OPTIONS",
		 "as below, separated by commas"},
		{"foreground", 'f', OPTION_FLAG, &f, NULL,
		 "stay in the foreground, say everything on stderr"},
		{0}};
	/* mount(8), "External helpers" */
	const struct option_spec helper_specs[] = {
		{NULL, 'o', OPTION_TEXT, &text, "OPTIONS", "of fstab"},
		{NULL, 'f', OPTION_FLAG, &f, NULL, "only pretend"},
		{NULL, 's', OPTION_FLAG, &unused, NULL, "ignored"},
		{NULL, 'n', OPTION_FLAG, &unused, NULL, "ignored"},
		{NULL, 'v', OPTION_FLAG, &unused, NULL, "ignored"},
		{NULL, 't', OPTION_TEXT, &ignored, "TYPE", "ignored"},
		{0}};
	int status;

	if (!options_parse(self, helper ? helper_specs : specs, 2, 2, &argc,
			   &argv, &status))
		return status;
	if (helper && f)
		return 0;
	m.mount.foreground = f;
	m.mount.mountpoint = argv[1];
	status = name_set(&m, argv[0]);
	if (!status)
		status = mount_it(self, &m, text);
	if (!m.foreign)
		set_close(m.set);
	foreign_close(m.foreign);
	buffer_release(&m.rest);
	for (size_t n = 0; n < m.mount.restore_filesystem_count; n++)
		free(m.filesystems[n]);
	free(m.filesystems);
	free(m.restore);
	free(m.snapshot);
	free(m.name);
	free(m.mountpoint);
	return status;
}

const struct command command_mount = {
	.name = "mount",
	.synopsis = "SET[@SNAP]|ARCHIVE|DEVICE MNT [-o OPTIONS] [-f]",
	.summary = "show a set as a filesystem",
	.details =
		"ARCHIVE is a tar or tar.zst of any making; its tree is "
		"the root.\n"
		"DEVICE: the cartridge in it, of reel with no set at hand, or "
		"written by any tar.\n"
		"mount options:\n"
		"  snapshot=SNAP    that snapshot alone, at the root\n"
		"  cache=SIZE       memory for unpacked data (default 16M); of "
		"a "
		"set on tape: disk\n"
		"                   space for what was read (default 256M)\n"
		"  current          current/ alone, at the root, to be "
		"written to (as an\n"
		"                   ordinary user, too)\n"
		"  ro               current/ is read-only, too\n"
		"  commit=SECONDS   commit what was written to current/ "
		"that often\n"
		"  spool-size=SIZE  commit when so much of it waits\n"
		"  restore=DIR      MNT/restore shows DIR; what is put there "
		"is restored under\n"
		"                   the rules\n"
		"  restore-filesystem=DIR\n"
		"                   what is mounted on DIR, within it, too "
		"(again for more)\n"
		"  restore-strict   what rules keep out or put off is "
		"refused, not shown\n"
		"  restore-only     restore/ alone, at the root (as an "
		"ordinary user, too)\n"
		"  uid=N, gid=N     every file belongs to them\n"
		"  umask=OCTAL      permissions that no file has\n"
		"  allow_other      other users may look, as modes permit\n"
		"  media-timeout=SECONDS\n"
		"                   how long reading waits for a cartridge "
		"(default 300)\n"
		"  offline=fail     reading fails at once when the cartridge "
		"is in no drive\n"
		"Others go to libfuse. In the background messages go to "
		"SET/mount.log.\n"
		"As mount.reel it serves lines of fstab: SET MNT reel "
		"OPTIONS.\n",
	.run = run,
};
