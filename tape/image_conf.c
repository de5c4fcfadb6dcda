#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "tape/buffer.h"
#include "tape/error.h"
#include "tape/image_conf.h"
#include "tape/log.h"

void image_conf_init(struct image_conf *c)
{
	*c = (struct image_conf){.partitions = 1,
				 .medium = DRIVE_UNKNOWN,
				 .early = DRIVE_UNKNOWN,
				 .loaded = true,
				 .report = true,
				 .locate = true};
}

/* ---- values ---- */

int image_size_parse(const char *text, size_t length, uint64_t *size)
{
	static const char units[] = "KMGT";
	uint64_t value = 0;
	size_t n = 0;
	const char *unit;

	for (; n < length && text[n] >= '0' && text[n] <= '9'; n++) {
		if (value > (UINT64_MAX >> 8) / 10)
			return REEL_EINVAL;
		value = value * 10 + (uint64_t)(text[n] - '0');
	}
	if (!n || length - n > 1)
		return REEL_EINVAL;
	if (n < length) {
		unit = strchr(units, text[n]);
		if (!unit || !text[n])
			return REEL_EINVAL;
		for (ptrdiff_t k = 0; k <= unit - units; k++) {
			if (value > UINT64_MAX >> 11)
				return REEL_EINVAL;
			value <<= 10;
		}
	}
	*size = value;
	return 0;
}

static bool equals(const char *text, size_t length, const char *word)
{
	return strlen(word) == length && !memcmp(text, word, length);
}

static int parse_bool(const char *text, size_t length, bool *value)
{
	if (!equals(text, length, "yes") && !equals(text, length, "no"))
		return REEL_EINVAL;
	*value = *text == 'y';
	return 0;
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

static int parse_hex(const char *text, size_t length, uint8_t *out)
{
	if (length % 2)
		return REEL_EINVAL;
	for (size_t n = 0; n < length; n += 2) {
		int high = digit(text[n]), low = digit(text[n + 1]);

		if (high < 0 || low < 0)
			return REEL_EINVAL;
		out[n / 2] = (uint8_t)(high << 4 | low);
	}
	return 0;
}

/* "0806 4142" */
static int parse_attribute(struct image_conf *c, const char *text,
			   size_t length)
{
	uint8_t id[2], data[IMAGE_ATTRIBUTE_LIMIT];

	if (length < 7 || text[4] != ' ' || length - 5 > 2 * sizeof(data) ||
	    parse_hex(text, 4, id) || parse_hex(text + 5, length - 5, data))
		return REEL_EINVAL;
	return image_conf_put(c, (uint16_t)(id[0] << 8 | id[1]), data,
			      (length - 5) / 2);
}

static int parse_barcode(struct image_conf *c, const char *text, size_t length)
{
	char padded[32];

	if (!length || length > sizeof(padded))
		return REEL_EINVAL;
	memset(padded, ' ', sizeof(padded));
	memcpy(padded, text, length);
	return image_conf_put(c, DRIVE_ATTRIBUTE_BARCODE, padded,
			      sizeof(padded));
}

static int parse_partition(struct image_conf *c, const char *text,
			   size_t length)
{
	if (c->partitions == DRIVE_PARTITIONS)
		return REEL_EINVAL;
	if (image_size_parse(text, length, &c->capacity[c->partitions]))
		return REEL_EINVAL;
	c->partitions++;
	return 0;
}

static int parse_block(struct image_conf *c, const char *text, size_t length)
{
	uint64_t size;

	if (image_size_parse(text, length, &size) || size > DRIVE_BLOCK_LIMIT)
		return REEL_EINVAL;
	c->block = (uint32_t)size;
	return 0;
}

/* "1 270" */
static int parse_position(struct image_conf *c, const char *text, size_t length)
{
	const char *blank = memchr(text, ' ', length);
	size_t first = blank ? (size_t)(blank - text) : 0;
	uint64_t partition, object;

	if (!blank || image_size_parse(text, first, &partition) ||
	    image_size_parse(blank + 1, length - first - 1, &object) ||
	    partition >= DRIVE_PARTITIONS)
		return REEL_EINVAL;
	c->partition = (uint32_t)partition;
	c->object = object;
	return 0;
}

/* ---- keys ---- */

static int parse_flag(struct image_conf *c, const char *key, size_t key_length,
		      const char *value, size_t length)
{
	const struct {
		const char *name;
		bool *value;
	} flags[] = {
		{"protected", &c->is_protected}, {"loaded", &c->loaded},
		{"locked", &c->locked},		 {"setmarks", &c->setmarks},
		{"report", &c->report},		 {"locate", &c->locate},
		{"repair", &c->repair},
	};

	for (size_t n = 0; n < sizeof(flags) / sizeof(flags[0]); n++) {
		if (equals(key, key_length, flags[n].name))
			return parse_bool(value, length, flags[n].value);
	}
	return REEL_EINVAL;
}

static int parse_key(struct image_conf *c, const char *key, size_t key_length,
		     const char *value, size_t length)
{
	if (equals(key, key_length, "capacity"))
		return image_size_parse(value, length, &c->capacity[0]);
	if (equals(key, key_length, "medium"))
		return image_size_parse(value, length, &c->medium);
	if (equals(key, key_length, "early"))
		return image_size_parse(value, length, &c->early);
	if (equals(key, key_length, "block"))
		return parse_block(c, value, length);
	if (equals(key, key_length, "partition"))
		return parse_partition(c, value, length);
	if (equals(key, key_length, "attribute"))
		return parse_attribute(c, value, length);
	if (equals(key, key_length, "position"))
		return parse_position(c, value, length);
	if (equals(key, key_length, "barcode"))
		return parse_barcode(c, value, length);
	return parse_flag(c, key, key_length, value, length);
}

static int parse_line(struct image_conf *c, const char *line, size_t length,
		      char equal)
{
	const char *mark = memchr(line, equal, length);
	size_t key;

	if (!length || (*line == '#' && equal == ' '))
		return 0;
	if (!mark)
		return parse_key(c, line, length, "yes", 3);
	key = (size_t)(mark - line);
	return parse_key(c, line, key, mark + 1, length - key - 1);
}

int image_conf_parse(struct image_conf *c, const char *text, size_t length,
		     bool options, const char **wrong)
{
	char end = options ? '&' : '\n';
	size_t at = 0;

	while (at < length) {
		const char *stop = memchr(text + at, end, length - at);
		size_t line = stop ? (size_t)(stop - text) - at : length - at;

		*wrong = text + at;
		if (parse_line(c, text + at, line, options ? '=' : ' '))
			return REEL_EINVAL;
		at += line + 1;
	}
	return 0;
}

/* ---- attributes ---- */

const struct image_attribute *image_conf_find(const struct image_conf *c,
					      uint16_t id)
{
	for (size_t n = 0; n < c->attribute_count; n++) {
		if (c->attributes[n].id == id)
			return &c->attributes[n];
	}
	return NULL;
}

int image_conf_put(struct image_conf *c, uint16_t id, const void *data,
		   size_t length)
{
	size_t n = 0;

	if (length > IMAGE_ATTRIBUTE_LIMIT)
		return REEL_ERANGE;
	while (n < c->attribute_count && c->attributes[n].id != id)
		n++;
	if (n == IMAGE_ATTRIBUTES)
		return REEL_ENOSPC;
	if (!length) {
		if (n < c->attribute_count)
			c->attributes[n] = c->attributes[--c->attribute_count];
		return 0;
	}
	if (n == c->attribute_count)
		c->attribute_count++;
	c->attributes[n].id = id;
	c->attributes[n].length = (uint16_t)length;
	memcpy(c->attributes[n].data, data, length);
	return 0;
}

/* ---- the file ---- */

int image_conf_load(struct image_conf *c, const char *path)
{
	char text[IMAGE_CONF_LIMIT];
	const char *wrong;
	/* a pipe would be waited for */
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	ssize_t length;

	if (fd < 0 && errno == ENOENT)
		return 0;
	length = fd < 0 ? -1 : read(fd, text, sizeof(text));
	if (length < 0) {
		int error = error_from_errno(errno);

		log_error("%s: cannot be read: %s", path, strerror(errno));
		if (fd >= 0)
			close(fd);
		return error;
	}
	close(fd);
	if (length == sizeof(text)) {
		log_error("%s: cannot be read whole", path);
		return REEL_EDAMAGED;
	}
	text[length] = '\0';
	if (!image_conf_parse(c, text, (size_t)length, false, &wrong))
		return 0;
	log_error("%s: not understood: %.*s", path,
		  (int)strcspn(wrong, "\n") < 80 ? (int)strcspn(wrong, "\n")
						 : 80,
		  wrong);
	return REEL_EINVAL;
}

static const char *word(bool value)
{
	return value ? "yes" : "no";
}

static int print(const struct image_conf *c, struct buffer *b)
{
	int error = 0;

	if (c->capacity[0])
		error = buffer_printf(b, "capacity %" PRIu64 "\n",
				      c->capacity[0]);
	for (uint32_t n = 1; n < c->partitions && !error; n++)
		error = buffer_printf(b, "partition %" PRIu64 "\n",
				      c->capacity[n]);
	if (c->medium != DRIVE_UNKNOWN && !error)
		error = buffer_printf(b, "medium %" PRIu64 "\n", c->medium);
	if (c->early != DRIVE_UNKNOWN && !error)
		error = buffer_printf(b, "early %" PRIu64 "\n", c->early);
	if (!error)
		error = buffer_printf(b,
				      "block %u\nprotected %s\nloaded %s\n"
				      "locked %s\nsetmarks %s\nreport %s\n"
				      "locate %s\n",
				      (unsigned)c->block, word(c->is_protected),
				      word(c->loaded), word(c->locked),
				      word(c->setmarks), word(c->report),
				      word(c->locate));
	if (!error && (c->partition || c->object))
		error = buffer_printf(b, "position %u %" PRIu64 "\n",
				      (unsigned)c->partition, c->object);
	for (size_t n = 0; n < c->attribute_count && !error; n++) {
		const struct image_attribute *a = &c->attributes[n];

		error = buffer_printf(b, "attribute %04x ", a->id);
		for (size_t k = 0; k < a->length && !error; k++)
			error = buffer_printf(b, "%02x", a->data[k]);
		if (!error)
			error = buffer_printf(b, "\n");
	}
	return error;
}

static int replace(const char *path, const char *other, const struct buffer *b)
{
	int fd = open(other, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	ssize_t n;
	int error = 0;

	if (fd < 0)
		return error_from_errno(errno);
	n = write(fd, b->data, b->length);
	if (n < 0 || fsync(fd))
		error = error_from_errno(errno);
	else if ((size_t)n != b->length)
		error = REEL_ENOSPC;
	close(fd);
	if (!error && rename(other, path))
		error = error_from_errno(errno);
	if (error)
		unlink(other);
	return error;
}

int image_conf_save(const struct image_conf *c, const char *path)
{
	struct buffer text = {0}, other = {0};
	int error = print(c, &text);

	if (!error)
		error = buffer_printf(&other, "%s.new", path);
	if (!error)
		error = replace(path, (const char *)other.data, &text);
	if (error)
		log_error("%s: cannot be written: %s", path, error_text(error));
	buffer_release(&text);
	buffer_release(&other);
	return error;
}
