#include "tools/status.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include "fs/mount.h"
#include "tape/error.h"
#include "tape/log.h"

#define STATUS_LIMIT (64u << 10)

int status_read(const char *mountpoint, bool quiet, struct status *out)
{
	char *current = NULL;
	ssize_t n;

	*out = (struct status){calloc(1, STATUS_LIMIT + 1)};
	if (!out->text || asprintf(&current, "%s/current", mountpoint) < 0) {
		status_release(out);
		return REEL_ENOMEM;
	}
	n = getxattr(current, MOUNT_STATUS, out->text, STATUS_LIMIT);
	if (n < 0) /* -o current */
		n = getxattr(mountpoint, MOUNT_STATUS, out->text, STATUS_LIMIT);
	if (n < 0) {
		if (!quiet)
			log_error("%s: no writable current/ is mounted there",
				  mountpoint);
		status_release(out);
	}
	free(current);
	return n < 0 ? REEL_EINVAL : 0;
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
