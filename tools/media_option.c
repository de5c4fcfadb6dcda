#include "tools/media_option.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "tape/buffer.h"
#include "tape/drive.h"
#include "tape/error.h"
#include "tape/log.h"
#include "tape/tap.h"

#define IMAGE_END ".tap"
#define FAULT	  "fault:"

/* The length of an image's path in its name, before its options; 0: no image.
 */
static size_t image_length(const char *name)
{
	const char *options = strchr(name, '?');
	size_t length = options ? (size_t)(options - name) : strlen(name);
	size_t end = sizeof(IMAGE_END) - 1;

	if (!strncmp(name, FAULT, sizeof(FAULT) - 1) || strstr(name, "://"))
		return 0;
	return length > end && !memcmp(name + length - end, IMAGE_END, end)
		       ? length
		       : 0;
}

static int add_one(const char *name, size_t length, bool changer,
		   struct set_config *c)
{
	struct buffer b = {0};
	char *copy = strndup(name, length);
	char *here = NULL;
	int error = copy ? 0 : REEL_ENOMEM;

	if (!error && image_length(copy) && *copy != '/') {
		here = getcwd(NULL, 0);
		error = here ? buffer_printf(&b, "%s/", here) : REEL_EIO;
	}
	if (!error)
		error = buffer_append(&b, copy, length + 1);
	if (!error && !changer && !drive_is_name((char *)b.data)) {
		log_error("--media %s: neither `dir` nor a drive: /dev/nst0, "
			  "iscsi://host:port/target/lun, FILE.tap",
			  copy);
		error = REEL_EINVAL;
	}
	if (!error && changer)
		error = set_config_add(&c->changers, &c->changer_count,
				       (char *)b.data);
	else if (!error)
		error = set_config_add(&c->drives, &c->drive_count,
				       (char *)b.data);
	free(here);
	free(copy);
	buffer_release(&b);
	return error;
}

int media_option_add(const char *text, bool changers, struct set_config *c)
{
	int error = 0;

	if (!text[strspn(text, ",")]) {
		log_error("%s: no %s is named",
			  changers ? "--changer" : "--media",
			  changers ? "changer" : "drive");
		return REEL_EINVAL;
	}
	while (!error && *text) {
		size_t length = strncmp(text, FAULT, sizeof(FAULT) - 1)
					? strcspn(text, ",")
					: strlen(text);

		if (length)
			error = add_one(text, length, changers, c);
		text += length + (text[length] == ',');
	}
	return error;
}

char *media_option_full(const char *name)
{
	struct set_config c = {0};
	char *full = NULL;

	if (!add_one(name, strlen(name), false, &c))
		full = strdup(c.drives[0]);
	set_config_release(&c);
	return full;
}

static bool is_missing_image(const char *name)
{
	size_t length = image_length(name);
	char *path = length ? strndup(name, length) : NULL;
	bool missing = path && access(path, F_OK);

	free(path);
	return missing;
}

static int check_one(const struct set_config *c, const char *name)
{
	struct drive_parameters p;
	struct drive *d;
	struct drive_options o = {.read_only = true};
	int error = drive_open(name, &o, &d);

	if (error)
		return error;
	error = drive_parameters(d, &p);
	if (!error && p.block_max && c->block_size > p.block_max) {
		log_error("%s takes blocks of up to %" PRIu32
			  " bytes; give --block-size",
			  name, p.block_max);
		error = REEL_ERANGE;
	}
	drive_close(d);
	return error;
}

/* What is not there is made, which cannot be otherwise. */
static int check_missing(const struct set_config *c, const char *name)
{
	if (c->block_size <= TAP_BLOCK_LIMIT)
		return 0;
	log_error("%s: an image takes blocks of up to %u bytes; give "
		  "--block-size",
		  name, TAP_BLOCK_LIMIT);
	return REEL_ERANGE;
}

static bool same_inode(const char *one, const char *other)
{
	struct stat a, b;

	return !stat(one, &a) && !stat(other, &b) && a.st_dev == b.st_dev &&
	       a.st_ino == b.st_ino;
}

/* Of two images that may not be there yet; paths are absolute. */
static bool same_image(char *one, char *other)
{
	char *name = strrchr(one, '/'), *second = strrchr(other, '/');

	if (same_inode(one, other))
		return true;
	if (strcmp(name, second) != 0)
		return false;
	name[1] = second[1] = '\0';
	return same_inode(one, other);
}

static bool is_same(const char *one, const char *other)
{
	char *a = strndup(one, image_length(one));
	char *b = strndup(other, image_length(other));
	bool same = a && b && *a && *b ? same_image(a, b) : !strcmp(one, other);

	free(a);
	free(b);
	return same;
}

static int check_alone(const struct set_config *c, size_t n)
{
	for (size_t other = 0; other < n; other++) {
		if (!is_same(c->drives[n], c->drives[other]))
			continue;
		log_error("--media: %s is named twice", c->drives[n]);
		return REEL_EINVAL;
	}
	return 0;
}

int media_option_check(const struct set_config *c)
{
	int error = 0;

	for (size_t n = 0; !error && n < c->drive_count; n++) {
		error = check_alone(c, n);
		if (!error)
			error = is_missing_image(c->drives[n])
					? check_missing(c, c->drives[n])
					: check_one(c, c->drives[n]);
	}
	return error;
}

int media_option_make(const struct set_config *c)
{
	struct drive_options o = {.create = true};
	int error = 0;

	for (size_t n = 0; !error && n < c->drive_count; n++) {
		struct drive *d = NULL;

		if (!is_missing_image(c->drives[n]))
			continue;
		error = drive_open(c->drives[n], &o, &d);
		drive_close(d);
	}
	return error;
}
