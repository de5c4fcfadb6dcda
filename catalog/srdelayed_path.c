#include <string.h>
#include <strings.h>
#include "catalog/beneath.h"
#include "catalog/srdelayed.h"
#include "tape/error.h"

#define VOLUME	    "Volume{"
#define GUID_LENGTH 36

static const char *behind_prefix(const char *windows)
{
	static const char *const prefixes[] = {"\\\\??\\", "\\??\\", "\\\\?\\"};

	for (int n = 0; n < 3; n++)
		if (!strncmp(windows, prefixes[n], strlen(prefixes[n])))
			return windows + strlen(prefixes[n]);
	return windows;
}

static size_t drive_length(const char *at)
{
	bool letter = (*at >= 'A' && *at <= 'Z') || (*at >= 'a' && *at <= 'z');

	return letter && at[1] == ':' ? 2 : 0;
}

static size_t guid_length(const char *at)
{
	size_t front = strlen(VOLUME), length;

	if (strncasecmp(at, VOLUME, front))
		return 0;
	length = strspn(at + front, "0123456789abcdefABCDEF-");
	if (length != GUID_LENGTH || at[front + length] != '}')
		return 0;
	return front + length + 1;
}

size_t srdelayed_volume(const char *windows, const char **at)
{
	size_t length;

	*at = behind_prefix(windows);
	length = drive_length(*at);
	if (!length)
		length = guid_length(*at);
	return length;
}

int srdelayed_map_parse(char *text, struct srdelayed_map *out)
{
	char *is = strchr(text, '='), *directory = is ? is + 1 : NULL;
	const char *volume;
	size_t length;

	if (!is)
		return REEL_EINVAL;
	*is = '\0';
	length = srdelayed_volume(text, &volume);
	while (*directory == '/')
		directory++;
	if (!strcmp(directory, "."))
		directory++;
	for (char *end = directory + strlen(directory);
	     end > directory && end[-1] == '/'; end--)
		end[-1] = '\0';
	if (!length || volume[length] ||
	    (*directory && !beneath_path_valid(directory, strlen(directory))))
		return REEL_EINVAL;
	out->volume = volume;
	out->directory = directory;
	return 0;
}

static const char *directory_of(const struct srdelayed_maps *maps,
				const char *volume, size_t length)
{
	if (!maps->count)
		return "";
	for (size_t n = 0; n < maps->count; n++) {
		const struct srdelayed_map *m = &maps->all[n];

		if (strlen(m->volume) == length &&
		    !strncasecmp(m->volume, volume, length))
			return m->directory;
	}
	return NULL;
}

int srdelayed_path_in(const struct srdelayed_maps *maps, const char *windows,
		      struct buffer *out)
{
	const char *volume, *rest, *directory;
	size_t length = srdelayed_volume(windows, &volume);
	size_t begin = out->length;
	int error;

	rest = volume + length;
	if (!length || *rest != '\\' || strchr(rest, '/'))
		return REEL_EINVAL;
	directory = directory_of(maps, volume, length);
	if (!directory)
		return REEL_ENOENT;
	error = buffer_append(out, directory, strlen(directory));
	if (!error)
		error = buffer_append(out, rest + !*directory,
				      strlen(rest) - !*directory + 1);
	if (error)
		return error;
	for (size_t n = begin + strlen(directory); n < out->length; n++)
		if (out->data[n] == '\\')
			out->data[n] = '/';
	if (beneath_path_valid((char *)out->data + begin,
			       out->length - begin - 1))
		return 0;
	out->length = begin;
	return REEL_EINVAL;
}

static const struct srdelayed_map *map_above(const struct srdelayed_maps *maps,
					     const char *path)
{
	const struct srdelayed_map *best = NULL;

	for (size_t n = 0; n < maps->count; n++) {
		const struct srdelayed_map *m = &maps->all[n];
		size_t length = strlen(m->directory);

		if (length && (strncmp(path, m->directory, length) ||
			       path[length] != '/'))
			continue;
		if (!best || length > strlen(best->directory))
			best = m;
	}
	return best;
}

int srdelayed_path_out(const struct srdelayed_maps *maps, const char *prefix,
		       const char *path, struct buffer *out)
{
	static const struct srdelayed_map whole = {"C:", ""};
	const struct srdelayed_map *m =
		maps->count ? map_above(maps, path) : &whole;
	size_t begin;
	int error;

	if (!m)
		return REEL_ENOENT;
	if (strpbrk(path, "\\:*?\"<>|"))
		return REEL_EINVAL;
	error = buffer_printf(out, "%s%s", prefix, m->volume);
	begin = out->length;
	if (!error && !*m->directory)
		error = buffer_append(out, "/", 1);
	if (!error)
		error = buffer_append(out, path + strlen(m->directory),
				      strlen(path + strlen(m->directory)) + 1);
	for (size_t n = begin; !error && n < out->length; n++)
		if (out->data[n] == '/')
			out->data[n] = '\\';
	return error;
}
