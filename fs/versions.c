#include "fs/versions.h"

#include <stdlib.h>
#include <string.h>
#include "tape/error.h"

#define FIRST_ROOM  64
#define DEPTH_LIMIT 16384

/* Found by id, and by parent and name: each node is in two chains. */
struct version_node {
	struct version_node *next_id, *next_name;
	uint64_t id, parent;
	uint64_t references; /* lookups and children */
	char name[];
};

/* slots: `room` chains by id, then `room` by name. */
static size_t id_slot(const struct versions *v, uint64_t id)
{
	return (size_t)id & (v->room - 1);
}

static size_t name_slot(const struct versions *v, uint64_t parent,
			const char *name)
{
	uint64_t h = parent * UINT64_C(0x9e3779b97f4a7c15);

	for (; *name; name++)
		h = (h ^ (uint8_t)*name) * UINT64_C(0x100000001b3);
	return v->room + ((size_t)(h >> 20) & (v->room - 1));
}

int versions_init(struct versions *v, uint64_t first)
{
	memset(v, 0, sizeof(*v));
	pthread_mutex_init(&v->lock, NULL);
	v->next = first;
	v->slots = calloc(2 * FIRST_ROOM, sizeof(*v->slots));
	v->room = v->slots ? FIRST_ROOM : 0;
	return v->slots ? 0 : REEL_ENOMEM;
}

void versions_release(struct versions *v)
{
	for (size_t n = 0; n < v->room; n++) {
		while (v->slots[n]) {
			struct version_node *one = v->slots[n];

			v->slots[n] = one->next_id;
			free(one);
		}
	}
	free(v->slots);
	pthread_mutex_destroy(&v->lock);
}

static void link_node(struct versions *v, struct version_node *one)
{
	size_t by_id = id_slot(v, one->id);
	size_t by_name = name_slot(v, one->parent, one->name);

	one->next_id = v->slots[by_id];
	v->slots[by_id] = one;
	one->next_name = v->slots[by_name];
	v->slots[by_name] = one;
}

static void unlink_node(struct versions *v, struct version_node *one)
{
	struct version_node **at = &v->slots[id_slot(v, one->id)];

	while (*at != one)
		at = &(*at)->next_id;
	*at = one->next_id;
	at = &v->slots[name_slot(v, one->parent, one->name)];
	while (*at != one)
		at = &(*at)->next_name;
	*at = one->next_name;
}

static struct version_node *find_id(const struct versions *v, uint64_t id)
{
	struct version_node *one = v->slots[id_slot(v, id)];

	while (one && one->id != id)
		one = one->next_id;
	return one;
}

static void grow(struct versions *v)
{
	struct version_node **before = v->slots, *one;
	size_t room = v->room;
	void *more = calloc(4 * room, sizeof(*v->slots));

	if (!more)
		return; /* longer chains, no harm */
	v->slots = more;
	v->room = 2 * room;
	for (size_t n = 0; n < room; n++) {
		while ((one = before[n])) {
			before[n] = one->next_id;
			link_node(v, one);
		}
	}
	free(before);
}

static struct version_node *add(struct versions *v, uint64_t parent,
				const char *name)
{
	size_t length = strlen(name) + 1;
	struct version_node *one = malloc(sizeof(*one) + length);
	struct version_node *above = find_id(v, parent);

	if (!one)
		return NULL;
	if (v->count >= v->room)
		grow(v);
	one->id = v->next++;
	one->parent = parent;
	one->references = 0;
	memcpy(one->name, name, length);
	if (above)
		above->references++;
	link_node(v, one);
	v->count++;
	return one;
}

uint64_t versions_get(struct versions *v, uint64_t parent, const char *name)
{
	struct version_node *one;
	uint64_t id = 0;

	pthread_mutex_lock(&v->lock);
	one = v->slots[name_slot(v, parent, name)];
	while (one && (one->parent != parent || strcmp(one->name, name) != 0))
		one = one->next_name;
	if (!one)
		one = add(v, parent, name);
	if (one) {
		one->references++;
		id = one->id;
	}
	pthread_mutex_unlock(&v->lock);
	return id;
}

void versions_forget(struct versions *v, uint64_t id, uint64_t times)
{
	struct version_node *one;

	pthread_mutex_lock(&v->lock);
	while (times && (one = find_id(v, id))) {
		one->references -=
			times < one->references ? times : one->references;
		if (one->references)
			break;
		unlink_node(v, one);
		v->count--;
		id = one->parent;
		times = 1;
		free(one);
	}
	pthread_mutex_unlock(&v->lock);
}

static int append_names(const struct versions *v, uint64_t id,
			struct buffer *out, int depth)
{
	const struct version_node *one = find_id(v, id);
	int error = 0;

	if (!one || depth > DEPTH_LIMIT)
		return REEL_ENOENT;
	if (find_id(v, one->parent))
		error = append_names(v, one->parent, out, depth + 1);
	if (!error)
		error = buffer_append(out, one->name, strlen(one->name) + 1);
	return error;
}

int versions_names(struct versions *v, uint64_t id, struct buffer *out)
{
	pthread_mutex_lock(&v->lock);
	int error = append_names(v, id, out, 0);
	pthread_mutex_unlock(&v->lock);
	return error;
}
