#include "tools/status.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include "fs/drop.h"
#include "fs/mount.h"
#include "tape/buffer.h"
#include "tape/error.h"
#include "tape/log.h"

#define STATUS_LIMIT (64u << 10)

/* An attribute of MNT/NAME, or of MNT itself when that is mounted alone. */
static int read_attribute(const char *mountpoint, const char *within,
			  const char *name, struct status *out)
{
	char *path = NULL;
	ssize_t n;

	*out = (struct status){calloc(1, STATUS_LIMIT + 1)};
	if (!out->text || asprintf(&path, "%s/%s", mountpoint, within) < 0) {
		status_release(out);
		return REEL_ENOMEM;
	}
	n = getxattr(path, name, out->text, STATUS_LIMIT);
	if (n < 0)
		n = getxattr(mountpoint, name, out->text, STATUS_LIMIT);
	if (n < 0)
		status_release(out);
	free(path);
	return n < 0 ? REEL_EINVAL : 0;
}

int status_read(const char *mountpoint, bool quiet, struct status *out)
{
	int error = read_attribute(mountpoint, "current", MOUNT_STATUS, out);

	if (error == REEL_EINVAL && !quiet)
		log_error("%s: no writable current/ is mounted there",
			  mountpoint);
	return error;
}

int status_read_restore(const char *mountpoint, struct status *out)
{
	return read_attribute(mountpoint, "restore", DROP_STATUS, out);
}

int status_read_names(const char *mountpoint, struct status *out)
{
	struct buffer all = {0};
	struct status part;
	char name[64];
	size_t length = 1;
	int error = 0;

	*out = (struct status){0};
	for (unsigned n = 0; !error && length; n++) {
		snprintf(name, sizeof(name), DROP_NAMES "%u", n);
		error = read_attribute(mountpoint, "restore", name, &part);
		length = error ? 0 : strlen(part.text);
		if (!error)
			error = buffer_append(&all, part.text, length);
		if (part.text)
			status_release(&part);
	}
	if (!error)
		error = buffer_append(&all, "", 1);
	if (error)
		buffer_release(&all);
	else
		out->text = (char *)all.data;
	return error;
}

void status_release(struct status *s)
{
	free(s->text);
	s->text = NULL;
}

/* The line behind `at` that begins with the key, or NULL. */
static const char *find(const char *at, const char *key)
{
	size_t length = strlen(key);

	while (at && *at) {
		if (!strncmp(at, key, length) && at[length] == ' ')
			return at + length + 1;
		at = strchr(at, '\n');
		at = at ? at + 1 : NULL;
	}
	return NULL;
}

char *status_get(const struct status *s, const char *key)
{
	const char *value = find(s->text, key);

	return value ? strndup(value, strcspn(value, "\n")) : NULL;
}

uint64_t status_number(const struct status *s, const char *key)
{
	const char *value = find(s->text, key);

	return value ? strtoull(value, NULL, 10) : 0;
}

void status_say_left_out(const struct status *s)
{
	const char *at = s->text;

	while ((at = find(at, "left-out"))) {
		size_t path = strcspn(at, "\t\n"), rule;

		if (at[path] != '\t')
			break;
		rule = strcspn(at + path + 1, "\n");
		fprintf(stderr, "%.*s: left out: %.*s\n", (int)path, at,
			(int)rule, at + path + 1);
		at += path + 1 + rule;
	}
}
