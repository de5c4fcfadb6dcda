#include "tools/sizes.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "tape/error.h"
#include "tape/stream.h"

static int add(struct sizes *s, uint32_t volume, uint64_t bytes)
{
	if (s->count == s->room) {
		size_t room = s->room ? 2 * s->room : 16;
		void *grown = realloc(s->volumes, room * sizeof(*s->volumes));

		if (!grown)
			return REEL_ENOMEM;
		s->volumes = grown;
		s->room = room;
	}
	s->volumes[s->count++] = (struct volume_size){volume, bytes};
	return 0;
}

static int look(struct sizes *s, int directory, const char *name)
{
	enum compression c;
	uint32_t volume;
	bool partial;
	struct stat st;

	if (volume_parse_name(name, &volume, &c, &partial) || partial ||
	    fstatat(directory, name, &st, AT_SYMLINK_NOFOLLOW))
		return 0;
	return add(s, volume, (uint64_t)st.st_size);
}

static int ascending(const void *a, const void *b)
{
	const struct volume_size *x = a, *y = b;

	return (x->volume > y->volume) - (x->volume < y->volume);
}

int sizes_read(struct sizes *s, const struct set *set)
{
	int fd = openat(set->volumes, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;
	int error = 0;

	memset(s, 0, sizeof(*s));
	if (!d) {
		if (fd >= 0)
			close(fd);
		return REEL_EIO;
	}
	while (!error && (e = readdir(d)))
		error = look(s, fd, e->d_name);
	closedir(d);
	if (s->count)
		qsort(s->volumes, s->count, sizeof(*s->volumes), ascending);
	return error;
}

void sizes_release(struct sizes *s)
{
	free(s->volumes);
	memset(s, 0, sizeof(*s));
}

uint64_t sizes_between(const struct sizes *s, uint32_t first, uint32_t end)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < s->count; i++) {
		if (s->volumes[i].volume >= first && s->volumes[i].volume < end)
			sum += s->volumes[i].bytes;
	}
	return sum;
}

uint64_t sizes_count(const struct sizes *s, uint32_t first, uint32_t end)
{
	uint64_t n = 0;

	for (size_t i = 0; i < s->count; i++)
		n += s->volumes[i].volume >= first &&
		     s->volumes[i].volume < end;
	return n;
}
