#include "tools/sizes.h"

#include <stdlib.h>
#include <string.h>

int sizes_read(struct sizes *s, const struct set *set)
{
	size_t count = 0, n = 0;
	int error;

	memset(s, 0, sizeof(*s));
	error = medium_list(set->medium, &s->volumes, &count);
	if (error)
		return error;
	for (size_t i = 0; i < count; i++)
		if (!s->volumes[i].partial)
			s->volumes[n++] = s->volumes[i];
	s->count = n;
	return 0;
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
		if (s->volumes[i].number >= first && s->volumes[i].number < end)
			sum += s->volumes[i].size;
	}
	return sum;
}

uint64_t sizes_count(const struct sizes *s, uint32_t first, uint32_t end)
{
	uint64_t n = 0;

	for (size_t i = 0; i < s->count; i++)
		n += s->volumes[i].number >= first &&
		     s->volumes[i].number < end;
	return n;
}
