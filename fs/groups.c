#include "fs/groups.h"

#include <stdlib.h>
#include <string.h>
#include "tape/error.h"

#define FIRST_SLOTS 1024

/* Counted: held by its groups, and while it is the last. */
struct link_directory {
	size_t references;
	size_t length;
	char path[]; /* with the slash behind it */
};

static void directory_put(struct link_directory *d)
{
	if (d && !--d->references)
		free(d);
}

/* The directory of a path, held. */
static struct link_directory *directory_of(struct link_groups *g,
					   const char *path, size_t length)
{
	struct link_directory *d = g->last;

	if (!d || d->length != length || memcmp(d->path, path, length) != 0) {
		d = malloc(sizeof(*d) + length);
		if (!d)
			return NULL;
		d->references = 1;
		d->length = length;
		memcpy(d->path, path, length);
		directory_put(g->last);
		g->last = d;
	}
	d->references++;
	return d;
}

static void group_free(struct link_group *one)
{
	directory_put(one->directory);
	free(one);
}

static size_t slot_of(const struct link_groups *g, uint64_t device,
		      uint64_t source)
{
	uint64_t h = (source ^ device << 32) * UINT64_C(0x9E3779B97F4A7C15);

	return (size_t)(h >> 20) & (g->slot_count - 1);
}

void groups_release(struct link_groups *g)
{
	for (size_t n = 0; n < g->slot_count; n++) {
		while (g->slots[n]) {
			struct link_group *next = g->slots[n]->next;

			group_free(g->slots[n]);
			g->slots[n] = next;
		}
	}
	free(g->slots);
	directory_put(g->last);
	memset(g, 0, sizeof(*g));
}

struct link_group *groups_find(struct link_groups *g, uint64_t device,
			       uint64_t source)
{
	struct link_group *one;

	if (!g->slot_count)
		return NULL;
	one = g->slots[slot_of(g, device, source)];
	while (one && (one->source != source || one->device != device))
		one = one->next;
	return one;
}

static int grow(struct link_groups *g)
{
	struct link_groups bigger = {
		.slot_count = g->slot_count ? g->slot_count * 2 : FIRST_SLOTS,
		.count = g->count,
		.last = g->last};

	bigger.slots = calloc(bigger.slot_count, sizeof(*bigger.slots));
	if (!bigger.slots)
		return REEL_ENOMEM;
	for (size_t n = 0; n < g->slot_count; n++) {
		struct link_group *one = g->slots[n];

		while (one) {
			struct link_group *next = one->next;
			size_t s = slot_of(&bigger, one->device, one->source);

			one->next = bigger.slots[s];
			bigger.slots[s] = one;
			one = next;
		}
	}
	free(g->slots);
	*g = bigger;
	return 0;
}

int groups_add(struct link_groups *g, const struct link_group *like,
	       uint32_t links, const char *path, size_t length)
{
	const char *slash = memrchr(path, '/', length);
	size_t above = slash ? (size_t)(slash - path) + 1 : 0;
	struct link_group *one;

	length -= above;
	if (g->count >= g->slot_count && grow(g))
		return REEL_ENOMEM;
	one = malloc(offsetof(struct link_group, name) + length);
	if (!one)
		return REEL_ENOMEM;
	memcpy(one, like, offsetof(struct link_group, name));
	one->directory = directory_of(g, path, above);
	if (!one->directory) {
		free(one);
		return REEL_ENOMEM;
	}
	one->left = links - 1;
	one->name_length = (uint16_t)length;
	memcpy(one->name, path + above, length);
	size_t s = slot_of(g, one->device, one->source);
	one->next = g->slots[s];
	g->slots[s] = one;
	g->count++;
	return 0;
}

void groups_seen(struct link_groups *g, struct link_group *one)
{
	if (--one->left)
		return;
	struct link_group **at =
		&g->slots[slot_of(g, one->device, one->source)];

	while (*at != one)
		at = &(*at)->next;
	*at = one->next;
	g->count--;
	group_free(one);
}

int groups_path(const struct link_group *one, struct buffer *out)
{
	int error;

	out->length = 0;
	error = buffer_append(out, one->directory->path,
			      one->directory->length);
	return error ? error : buffer_append(out, one->name, one->name_length);
}
