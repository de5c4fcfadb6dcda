/* set.conf, as set.h says. */
#include "catalog/set_config.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "tape/buffer.h"
#include "tape/cartridge.h"
#include "tape/error.h"
#include "tape/log.h"
#include "tape/text.h"

#define CONFIG_LIMIT  65536
#define FORMAT	      1
#define DEVICES_LIMIT 256 /* drives of a set, and changers */

/* A name of any bytes as one line, whose outer blanks would be lost. */
static int name_text(const char *name, struct buffer *out)
{
	const char *end = name + strlen(name), *at = name;
	int error = 0;

	while (*at == ' ')
		at++;
	while (end > at && end[-1] == ' ')
		end--;
	for (const char *c = name; !error && c < at; c++)
		error = buffer_printf(out, "\\0040");
	if (!error)
		error = text_escape(out, at, (size_t)(end - at));
	for (; !error && *end; end++)
		error = buffer_printf(out, "\\0040");
	return error;
}

static int names_text(const char *key, char *const *names, size_t count,
		      struct buffer *out)
{
	int error = 0;

	for (size_t n = 0; !error && n < count; n++) {
		error = buffer_printf(out, "%s = ", key);
		if (!error)
			error = name_text(names[n], out);
		if (!error)
			error = buffer_append(out, "\n", 1);
	}
	return error;
}

static int tape_text(const struct set_config *c, struct buffer *out)
{
	int error = names_text("drive", c->drives, c->drive_count, out);

	if (!error)
		error = names_text("changer", c->changers, c->changer_count,
				   out);
	if (!error)
		error = names_text("copy-drive", c->copy_drives,
				   c->copy_drive_count, out);
	if (!error)
		error = buffer_printf(out, "block-size = %u\n",
				      (unsigned)c->block_size);
	if (!error && c->line > 1)
		error = buffer_printf(out, "first-cartridge = %u\n",
				      (unsigned)c->line);
	return error;
}

static int config_text(const struct set_config *c, struct buffer *out)
{
	char uuid[37];
	int error;

	set_uuid_text(c->uuid, uuid);
	error = buffer_printf(out,
			      "# reel set; only its owner may read this\n"
			      "format = %d\n"
			      "name = ",
			      FORMAT);
	if (!error)
		error = name_text(c->name, out);
	if (!error)
		error = buffer_printf(out, "\nuuid = %s\nmedia = %s\n", uuid,
				      c->tape ? "tape" : "dir");
	if (!error && c->tape)
		error = tape_text(c, out);
	if (!error && c->compression == COMPRESSION_NONE)
		error = buffer_printf(out, "compression = none\n");
	else if (!error && !c->level)
		error = buffer_printf(out, "compression = zstd\n");
	else if (!error)
		error = buffer_printf(out, "compression = zstd:%d\n", c->level);
	if (!error)
		error = buffer_printf(out,
				      "volume-size = %llu\nseed = %016llx\n",
				      (unsigned long long)c->volume_size,
				      (unsigned long long)c->seed);
	if (!error)
		error = buffer_printf(out, "digest = %s\n",
				      c->sha256 ? "sha256" : "xxh3");
	return error;
}

static int write_all(int fd, const void *data, size_t length)
{
	const char *at = data;

	while (length) {
		ssize_t n = write(fd, at, length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_from_errno(errno);
		at += n;
		length -= (size_t)n;
	}
	return 0;
}

static int replace(int directory, const struct buffer *text)
{
	int fd = openat(directory, CONFIG_FILE ".new",
			O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	int error = fd < 0 ? error_from_errno(errno) : 0;

	if (!error)
		error = write_all(fd, text->data, text->length);
	if (!error && fsync(fd))
		error = error_from_errno(errno);
	if (fd >= 0)
		close(fd);
	if (!error &&
	    renameat(directory, CONFIG_FILE ".new", directory, CONFIG_FILE))
		error = error_from_errno(errno);
	if (!error && fsync(directory))
		error = error_from_errno(errno);
	return error;
}

int set_config_write(int directory, const struct set_config *c)
{
	struct buffer text = {0};
	int error = config_text(c, &text);

	if (!error)
		error = replace(directory, &text);
	buffer_release(&text);
	return error;
}

/* *text (heap, CONFIG_LIMIT + 1 bytes) ends with a NUL. */
static int read_text(int directory, char **text)
{
	int fd = openat(directory, CONFIG_FILE, O_RDONLY | O_CLOEXEC);
	char *room = calloc(1, CONFIG_LIMIT + 1);
	ssize_t n = fd < 0 || !room ? -1 : read(fd, room, CONFIG_LIMIT);
	int error = n >= 0 ? 0 : !room ? REEL_ENOMEM : error_from_errno(errno);

	if (fd >= 0)
		close(fd);
	if (error)
		free(room);
	else
		*text = room;
	return error;
}

int set_config_append(int directory, const char *key, const char *value)
{
	struct buffer all = {0};
	char *text = NULL;
	int error = read_text(directory, &text);

	if (!error)
		error = buffer_append(&all, text, strlen(text));
	if (!error && all.length && all.data[all.length - 1] != '\n')
		error = buffer_append(&all, "\n", 1);
	if (!error)
		error = buffer_printf(&all, "%s = ", key);
	if (!error)
		error = name_text(value, &all);
	if (!error)
		error = buffer_append(&all, "\n", 1);
	if (!error && all.length > CONFIG_LIMIT)
		error = REEL_ERANGE;
	if (!error)
		error = replace(directory, &all);
	buffer_release(&all);
	free(text);
	return error;
}

static int config_string(const char *value, char **out)
{
	struct buffer name = {0};
	int error = text_unescape(&name, value, strlen(value));

	if (!error)
		error = buffer_append(&name, "", 1);
	if (error) {
		buffer_release(&name);
		return error == REEL_ENOMEM ? error : REEL_EINVAL;
	}
	free(*out);
	*out = (char *)name.data;
	return 0;
}

int set_config_add(char ***names, size_t *count, const char *name)
{
	char **more = *count < DEVICES_LIMIT
			      ? realloc(*names, (*count + 1) * sizeof(*more))
			      : NULL;

	if (!more)
		return *count < DEVICES_LIMIT ? REEL_ENOMEM : REEL_ERANGE;
	*names = more;
	more[*count] = strdup(name);
	if (!more[*count])
		return REEL_ENOMEM;
	++*count;
	return 0;
}

static int config_device(char ***names, size_t *count, const char *value)
{
	char *name = NULL;
	int error = config_string(value, &name);

	if (!error)
		error = set_config_add(names, count, name);
	free(name);
	return error;
}

void set_config_release(struct set_config *c)
{
	free(c->name);
	for (size_t n = 0; n < c->drive_count; n++)
		free(c->drives[n]);
	for (size_t n = 0; n < c->changer_count; n++)
		free(c->changers[n]);
	for (size_t n = 0; n < c->copy_drive_count; n++)
		free(c->copy_drives[n]);
	free(c->drives);
	free(c->changers);
	free(c->copy_drives);
	memset(c, 0, sizeof(*c));
}

/* Digits and nothing else. */
static int config_number(const char *value, int base, uint64_t *out)
{
	const char *digits =
		base == 16 ? "0123456789abcdefABCDEF" : "0123456789";
	unsigned long long n;

	errno = 0;
	n = strtoull(value, NULL, base);
	if (!*value || value[strspn(value, digits)] || errno)
		return REEL_EINVAL;
	*out = n;
	return 0;
}

static int config_media(struct set_config *c, const char *value)
{
	c->tape = !strcmp(value, "tape");
	if (c->tape && !c->block_size)
		c->block_size = CARTRIDGE_BLOCK;
	return c->tape || !strcmp(value, "dir") ? 0 : REEL_EVERSION;
}

static int config_block(struct set_config *c, const char *value)
{
	uint64_t size;
	int error = config_number(value, 10, &size);

	if (error || size < CARTRIDGE_BLOCK_MIN ||
	    size > CARTRIDGE_BLOCK_LIMIT || size % CARTRIDGE_BLOCK_MIN)
		return REEL_EINVAL;
	c->block_size = (uint32_t)size;
	return 0;
}

static int config_line(struct set_config *c, const char *value)
{
	uint64_t number;
	int error = config_number(value, 10, &number);

	if (error || number > CARTRIDGE_LIMIT ||
	    cartridge_line((uint32_t)number) != number)
		return REEL_EINVAL;
	c->line = (uint32_t)number;
	return 0;
}

static int config_value(struct set_config *c, const char *key,
			const char *value)
{
	if (!strcmp(key, "format"))
		return atoi(value) == FORMAT ? 0 : REEL_EVERSION;
	if (!strcmp(key, "name"))
		return config_string(value, &c->name);
	if (!strcmp(key, "uuid"))
		return set_uuid_parse(value, c->uuid);
	if (!strcmp(key, "media"))
		return config_media(c, value);
	if (!strcmp(key, "drive"))
		return config_device(&c->drives, &c->drive_count, value);
	if (!strcmp(key, "changer"))
		return config_device(&c->changers, &c->changer_count, value);
	if (!strcmp(key, "copy-drive"))
		return config_device(&c->copy_drives, &c->copy_drive_count,
				     value);
	if (!strcmp(key, "block-size"))
		return config_block(c, value);
	if (!strcmp(key, "first-cartridge"))
		return config_line(c, value);
	if (!strcmp(key, "compression"))
		return set_parse_compression(value, &c->compression, &c->level);
	if (!strcmp(key, "volume-size"))
		return config_number(value, 10, &c->volume_size);
	if (!strcmp(key, "seed"))
		return config_number(value, 16, &c->seed);
	if (!strcmp(key, "digest")) {
		c->sha256 = !strcmp(value, "sha256");
		return !c->sha256 && strcmp(value, "xxh3") ? REEL_EVERSION : 0;
	}
	return REEL_EVERSION;
}

static char *trim(char *text)
{
	char *end = text + strlen(text);

	while (end > text && isspace((unsigned char)end[-1]))
		*--end = '\0';
	while (isspace((unsigned char)*text))
		text++;
	return text;
}

static int config_parse(const char *path, char *text, struct set_config *c)
{
	bool have_uuid = false, have_format = false, have_seed = false;
	char *save = NULL;
	int number = 0;

	for (char *line = strtok_r(text, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		char *key = trim(line), *value = strchr(key, '=');
		int error;

		number++;
		if (!*key || *key == '#')
			continue;
		if (value)
			*value++ = '\0';
		key = trim(key);
		error = value ? config_value(c, key, trim(value)) : REEL_EINVAL;
		if (error == REEL_EVERSION)
			log_error("%s/%s: `%s` is from a newer version of "
				  "reel; use that version",
				  path, CONFIG_FILE, key);
		else if (error)
			log_error("%s/%s, line %d: `%s` is not understood",
				  path, CONFIG_FILE, number, key);
		if (error)
			return error;
		have_uuid |= !strcmp(key, "uuid");
		have_format |= !strcmp(key, "format");
		have_seed |= !strcmp(key, "seed");
	}
	if (have_uuid && have_format && have_seed && c->name)
		return 0;
	log_error("%s/%s: format, name, uuid or seed is missing", path,
		  CONFIG_FILE);
	return REEL_EINVAL;
}

int set_config_read(struct set *s)
{
	char *text = NULL;
	int error = read_text(s->directory, &text);

	if (error == REEL_ENOENT)
		log_error("%s is no set (it has no %s); `reel init` makes one",
			  s->path, CONFIG_FILE);
	else if (error)
		log_error("%s/%s: %s", s->path, CONFIG_FILE, error_text(error));
	else
		error = config_parse(s->path, text, &s->config);
	free(text);
	return error;
}
