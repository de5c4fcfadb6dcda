#include "catalog/set.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>
#include "catalog/media.h"
#include "catalog/rules_file.h"
#include "catalog/set_config.h"
#include "catalog/tapes.h"
#include "tape/buffer.h"
#include "tape/error.h"
#include "tape/log.h"
#include "tape/text.h"

void set_uuid_text(const uint8_t uuid[16], char text[37])
{
	int at = 0;

	for (int n = 0; n < 16; n++) {
		if (n == 4 || n == 6 || n == 8 || n == 10)
			text[at++] = '-';
		at += sprintf(text + at, "%02x", uuid[n]);
	}
}

int set_uuid_parse(const char *text, uint8_t uuid[16])
{
	uint8_t parsed[16];
	char again[37];

	for (int n = 0, at = 0; n < 16; n++) {
		unsigned byte;

		if (n == 4 || n == 6 || n == 8 || n == 10)
			at++;
		if (strlen(text) != 36 || sscanf(text + at, "%2x", &byte) != 1)
			return REEL_EINVAL;
		parsed[n] = (uint8_t)byte;
		at += 2;
	}
	set_uuid_text(parsed, again);
	if (strcasecmp(text, again))
		return REEL_EINVAL;
	memcpy(uuid, parsed, 16);
	return 0;
}

int set_parse_compression(const char *text, enum compression *c, int *level)
{
	char *end;

	if (!strcmp(text, "none")) {
		*c = COMPRESSION_NONE;
		*level = 0;
		return 0;
	}
	if (strncmp(text, "zstd", 4) || (text[4] && text[4] != ':'))
		return REEL_EINVAL;
	long n = text[4] ? strtol(text + 5, &end, 10) : 0;
	if (text[4] && (end == text + 5 || *end))
		return REEL_EINVAL;
	if (text[4] && (n < 1 || n > 19))
		return REEL_EINVAL;
	*c = COMPRESSION_ZSTD;
	*level = (int)n;
	return 0;
}

int set_parse_size(const char *text, uint64_t *size)
{
	static const char units[] = "KMGTP";
	char *end;
	double value;
	int power = 0;

	/* strtod knows more than we want: 0x10, 1e3 */
	if (!isdigit((unsigned char)*text) || strpbrk(text, "xXeE"))
		return REEL_EINVAL;
	value = strtod(text, &end);
	if (*end) {
		const char *unit = strchr(units, toupper((unsigned char)*end));

		if (!unit)
			return REEL_EINVAL;
		power = 10 * (int)(unit - units + 1);
		end++;
		if (*end == 'i')
			end++;
		if (*end == 'B')
			end++;
		if (*end)
			return REEL_EINVAL;
	}
	value = ldexp(value, power);
	if (!(value >= 0) || value > 9e18)
		return REEL_EINVAL;
	*size = (uint64_t)value;
	return 0;
}

/* ---- making and opening ---- */

static bool is_zero(const uint8_t *b, size_t length)
{
	while (length && !b[length - 1])
		length--;
	return !length;
}

static int fill_random(struct set_config *c)
{
	if (is_zero(c->uuid, sizeof(c->uuid))) {
		if (getrandom(c->uuid, sizeof(c->uuid), 0) != sizeof(c->uuid))
			return REEL_EIO;
		c->uuid[6] = (uint8_t)((c->uuid[6] & 0x0f) | 0x40);
		c->uuid[8] = (uint8_t)((c->uuid[8] & 0x3f) | 0x80);
	}
	if (!c->seed &&
	    getrandom(&c->seed, sizeof(c->seed), 0) != sizeof(c->seed))
		return REEL_EIO;
	return 0;
}

/* Nothing is there but what an interrupted set_create leaves; that goes. */
static bool clear_remains(const char *path)
{
	static const char *const names[] = {CONFIG_FILE ".new", "rules",
					    "volumes", "spool"};
	enum { FILES = 2, NAMES = 4 };
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;
	bool only = dir;
	int n;

	while (only && (e = readdir(dir))) {
		for (n = 0; n < NAMES && strcmp(e->d_name, names[n]); n++)
			;
		only = n < NAMES || !strcmp(e->d_name, ".") ||
		       !strcmp(e->d_name, "..");
	}
	for (n = 0; only && n < NAMES; n++)
		only = !unlinkat(fd, names[n], n < FILES ? 0 : AT_REMOVEDIR) ||
		       errno == ENOENT;
	if (dir)
		closedir(dir);
	else if (fd >= 0)
		close(fd);
	return only;
}

static bool is_set(const char *path)
{
	int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	bool there = fd >= 0 && !faccessat(fd, CONFIG_FILE, F_OK, 0);

	if (fd >= 0)
		close(fd);
	return there;
}

static int make_directory(const char *path)
{
	if (mkdir(path, 0777) && errno != EEXIST) {
		log_error("%s: cannot be made: %s", path, strerror(errno));
		return error_from_errno(errno);
	}
	if (is_set(path)) {
		log_error("%s is a set already; `reel backup` goes on with it",
			  path);
		return REEL_EEXIST;
	}
	clear_remains(path);
	if (!rmdir(path) && !mkdir(path, 0777))
		return 0;
	if (errno == ENOTEMPTY || errno == EEXIST)
		log_error("%s is not empty; a new set needs a directory of "
			  "its own",
			  path);
	else if (errno == EBUSY)
		return 0; /* a mount point: checked by what is made in it */
	else
		log_error("%s: %s", path, strerror(errno));
	return REEL_EEXIST;
}

/* So that the set's own name is still there after a power cut. */
static int sync_parent(int directory)
{
	int fd = openat(directory, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int error = fd < 0 || fsync(fd) ? error_from_errno(errno) : 0;

	if (fd >= 0)
		close(fd);
	/* a folder that may not be read cannot be synced either */
	return error == REEL_EPERM ? 0 : error;
}

int set_create(const char *path, const struct set_config *config)
{
	struct set_config c = *config;
	const char *slash = strrchr(path, '/');
	int error = fill_random(&c);
	bool logged = false;
	int fd;

	if (!c.name)
		c.name = (char *)(slash && slash[1] ? slash + 1 : path);
	if (!error)
		error = make_directory(path);
	if (error)
		return error;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || mkdirat(fd, "volumes", 0777) ||
	    mkdirat(fd, "spool", 0700)) {
		error = error_from_errno(errno);
		log_error("%s: %s", path, strerror(errno));
	}
	logged = error;
	if (!error)
		error = rules_file_create(fd);
	if (!error)
		error = set_config_write(fd, &c);
	if (!error)
		error = sync_parent(fd);
	if (error && !logged)
		log_error("%s/%s: %s", path, CONFIG_FILE, error_text(error));
	if (fd >= 0)
		close(fd);
	return error;
}

static void say_locked(const struct set *s)
{
	char text[512] = "";
	int fd = openat(s->directory, "lock", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = '\0';
	text[strcspn(text, "\n")] = '\0';
	log_error("the set %s is locked by %s; wait for it (--wait) or stop "
		  "it",
		  s->path, *text ? text : "another program");
}

/* pid, host and command, for whoever finds the set locked. */
static void sign_lock(const struct set *s)
{
	char host[128] = "?", command[256] = "", text[512];
	int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, command, sizeof(command) - 1);

	if (fd >= 0)
		close(fd);
	for (ssize_t at = 0; at + 1 < n; at++)
		if (!command[at] || command[at] == '\n')
			command[at] = ' ';
	gethostname(host, sizeof(host) - 1);
	n = snprintf(text, sizeof(text), "pid %ld on %s: %s\n", (long)getpid(),
		     host, command);
	if (ftruncate(s->lock, 0) || write(s->lock, text, (size_t)n) != n)
		log_warning("%s/lock cannot be written", s->path);
}

/* The file of an image and that of its settings. */
static int each_image(char *const *drives, size_t count,
		      int (*each)(void *context, const char *path),
		      void *context)
{
	int result = 0;

	for (size_t n = 0; !result && n < count; n++) {
		const int length = (int)strcspn(drives[n], "?");
		struct buffer path = {0};

		result = buffer_printf(&path, "%.*s.conf", length, drives[n]);
		if (!result)
			result = each(context, (char *)path.data);
		if (!result) {
			path.data[length] = '\0';
			result = each(context, (char *)path.data);
		}
		buffer_release(&path);
	}
	return result;
}

int set_each_place(const struct set *s,
		   int (*each)(void *context, const char *path), void *context)
{
	const struct set_config *c = &s->config;
	struct buffer volumes = {0};
	int result = each(context, s->path);

	if (!result)
		result = buffer_printf(&volumes, "%s/volumes", s->path);
	if (!result)
		result = each(context, (char *)volumes.data);
	buffer_release(&volumes);
	if (!result)
		result = each_image(c->drives, c->drive_count, each, context);
	if (!result)
		result = each_image(c->copy_drives, c->copy_drive_count, each,
				    context);
	return result;
}

bool set_is_locked(const struct set *s)
{
	int fd = openat(s->directory, "lock", O_RDONLY | O_CLOEXEC);
	bool locked = fd >= 0 && flock(fd, LOCK_SH | LOCK_NB);

	if (fd >= 0)
		close(fd);
	return locked;
}

static int take_lock(struct set *s, bool wait)
{
	s->lock = openat(s->directory, "lock", O_RDWR | O_CREAT | O_CLOEXEC,
			 0600);
	if (s->lock < 0) {
		int error = error_from_errno(errno);

		log_error("%s cannot be written: %s", s->path, strerror(errno));
		return errno == EROFS || errno == EACCES ? REEL_EROFS : error;
	}
	while (flock(s->lock, LOCK_EX | (wait ? 0 : LOCK_NB))) {
		if (errno == EINTR && !wait)
			continue;
		if (errno == EINTR)
			return REEL_ESTOPPED;
		if (errno != EWOULDBLOCK)
			return error_from_errno(errno);
		say_locked(s);
		return REEL_ELOCKED;
	}
	sign_lock(s);
	return 0;
}

int set_open(const char *path, enum set_access access, bool wait,
	     struct set **out)
{
	struct set *s = calloc(1, sizeof(*s));
	int error = 0;

	if (!s)
		return REEL_ENOMEM;
	s->directory = s->volumes = s->lock = -1;
	s->path = realpath(path, NULL);
	if (s->path)
		s->directory =
			open(s->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->directory < 0) {
		error = error_from_errno(errno);
		log_error("%s: cannot be opened: %s", path, strerror(errno));
	}
	if (!error)
		error = set_config_read(s);
	if (!error) {
		s->volumes = openat(s->directory,
				    s->config.tape ? "spool" : "volumes",
				    O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		s->read_only = faccessat(s->directory, ".", W_OK, AT_EACCESS);
		snprintf(s->reserved, sizeof(s->reserved),
			 ".reel-%02x%02x%02x%02x", s->config.uuid[0],
			 s->config.uuid[1], s->config.uuid[2],
			 s->config.uuid[3]);
	}
	if (!error && s->volumes < 0) {
		error = REEL_EMEDIUM;
		log_error(s->config.tape ? "%s/spool is missing"
					 : "%s/volumes is missing: put the "
					   "set's volumes back",
			  s->path);
	}
	if (!error)
		error = s->config.tape ? tapes_open(s)
				       : medium_dir_new(s->volumes,
							s->config.compression,
							&s->medium);
	if (!error && !s->config.tape)
		error = media_check_names(s);
	if (!error && access == SET_WRITE)
		error = take_lock(s, wait);
	if (error) {
		set_close(s);
		return error;
	}
	*out = s;
	return 0;
}

void set_close(struct set *s)
{
	if (!s)
		return;
	medium_close(s->medium);
	tapes_close(s->tapes);
	if (s->lock >= 0)
		close(s->lock);
	if (s->volumes >= 0)
		close(s->volumes);
	if (s->directory >= 0)
		close(s->directory);
	set_config_release(&s->config);
	free(s->path);
	free(s);
}
