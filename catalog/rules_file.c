#include "catalog/rules_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "tape/buffer.h"
#include "tape/error.h"
#include "tape/log.h"
#include "tape/text.h"

#define RULES_FILE "rules"
#define FILE_LIMIT (16u << 20)

extern const char catalog_default_rules[];

static void say_mistake(void *context, unsigned line, const char *text,
			const char *trouble)
{
	char *shown = text_name(text, strlen(text));

	log_error("%s:%u: %s: %s", (const char *)context, line,
		  shown ? shown : "?", trouble);
	free(shown);
}

static int read_all(int fd, struct buffer *out)
{
	ssize_t n = 1;
	int error = 0;

	while (!error && n && out->length <= FILE_LIMIT) {
		error = buffer_reserve(out, 65536);
		if (error)
			break;
		n = read(fd, out->data + out->length, 65536);
		if (n < 0)
			return error_from_errno(errno);
		out->length += (size_t)n;
	}
	return out->length > FILE_LIMIT ? REEL_ERANGE : error;
}

int rules_file_load(const struct set *set, const char *path, struct rules *out)
{
	struct buffer text = {0};
	char shown[4096];
	int error = 0;
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY)
		      : openat(set->directory, RULES_FILE,
			       O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fd < 0 && errno == ENOENT && !path)
		return 0;
	snprintf(shown, sizeof(shown), "%s%s", path ? path : set->path,
		 path ? "" : "/" RULES_FILE);
	if (fd < 0)
		error = error_from_errno(errno);
	if (!error)
		error = read_all(fd, &text);
	if (error)
		log_error("%s: the rules cannot be read: %s", shown,
			  error == REEL_ERANGE ? "more than 16 MiB"
					       : error_text(error));
	else
		error = rules_parse(out, (const char *)text.data, text.length,
				    say_mistake, shown);
	buffer_release(&text);
	if (fd >= 0)
		close(fd);
	return error;
}

int rules_file_create(int directory)
{
	size_t length = strlen(catalog_default_rules);
	int fd = openat(directory, RULES_FILE,
			O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	int error = fd < 0 ? error_from_errno(errno) : 0;

	if (!error &&
	    write(fd, catalog_default_rules, length) != (ssize_t)length)
		error = REEL_EIO;
	if (!error && fsync(fd))
		error = error_from_errno(errno);
	if (fd >= 0)
		close(fd);
	return error;
}
