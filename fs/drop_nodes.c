/* The names of restore/ that the kernel knows or that have a shadow. */
#include "fs/drop_state.h"

#include <stdlib.h>
#include <string.h>
#include "catalog/beneath.h"
#include "tape/error.h"

#define FIRST_ROOM 1024

struct drop_node *drop_node_of(struct drop *d, uint64_t id)
{
	return id == DROP_ROOT ? &d->root : (struct drop_node *)(uintptr_t)id;
}

uint64_t drop_id(const struct drop *d, const struct drop_node *n)
{
	return n == &d->root ? DROP_ROOT : (uintptr_t)n;
}

/* ---- the table ---- */

static size_t slot_of(const struct drop *d, const struct drop_node *up,
		      const char *name)
{
	uint64_t h = (uintptr_t)up * UINT64_C(0x9e3779b97f4a7c15);

	while (*name)
		h = (h ^ (unsigned char)*name++) * UINT64_C(0x100000001b3);
	return (size_t)(h ^ h >> 29) & (d->room - 1);
}

static int grow(struct drop *d)
{
	size_t room = d->room ? 2 * d->room : FIRST_ROOM, old = d->room;
	struct drop_node **table = calloc(room, sizeof(*table)), **from;

	if (!table)
		return d->room ? 0 : REEL_ENOMEM;
	from = d->table;
	d->table = table;
	d->room = room;
	for (size_t n = 0; n < old; n++) {
		while (from[n]) {
			struct drop_node *one = from[n], **to;

			from[n] = one->chain;
			to = &table[slot_of(d, one->up, one->name)];
			one->chain = *to;
			*to = one;
		}
	}
	free(from);
	return 0;
}

struct drop_node *drop_find(struct drop *d, const struct drop_node *up,
			    const char *name)
{
	struct drop_node *n = d->room ? d->table[slot_of(d, up, name)] : NULL;

	while (n && (n->up != up || strcmp(n->name, name) != 0))
		n = n->chain;
	return n;
}

static void link_sibling(struct drop_node *n, struct drop_node **at)
{
	n->next = *at;
	if (n->next)
		n->next->link = &n->next;
	n->link = at;
	*at = n;
}

static void unlink_sibling(struct drop_node *n)
{
	*n->link = n->next;
	if (n->next)
		n->next->link = n->link;
}

static void link_in(struct drop *d, struct drop_node *n, struct drop_node *up)
{
	struct drop_node **slot = &d->table[slot_of(d, up, n->name)];

	n->up = up;
	n->chain = *slot;
	*slot = n;
	link_sibling(n, &up->first);
	d->count++;
}

static void link_out(struct drop *d, struct drop_node *n)
{
	struct drop_node **at = &d->table[slot_of(d, n->up, n->name)];

	while (*at != n)
		at = &(*at)->chain;
	*at = n->chain;
	unlink_sibling(n);
	n->up = NULL;
	d->count--;
}

struct drop_node *drop_add(struct drop *d, struct drop_node *up,
			   const char *name)
{
	struct drop_node *n = calloc(1, sizeof(*n));

	if (n)
		n->name = strdup(name);
	if (!n || !n->name || (d->count >= d->room && grow(d))) {
		if (n)
			free(n->name);
		free(n);
		return NULL;
	}
	link_in(d, n, up);
	return n;
}

void drop_settle_node(struct drop *d, struct drop_node *n)
{
	while (n && n != &d->root && !n->lookups && !n->files && !n->first &&
	       (!n->up || n->state == DROP_PLAIN)) {
		struct drop_node *up = n->up;

		if (up)
			link_out(d, n);
		else
			unlink_sibling(n);
		drop_peer_remove(n);
		free(n->last);
		free(n->name);
		free(n);
		n = up;
	}
}

void drop_detach(struct drop *d, struct drop_node *n)
{
	struct drop_node *up = n->up;

	/* what the kernel still knows below has no name either */
	n->lookups++;
	while (n->first)
		drop_detach(d, n->first);
	link_out(d, n);
	link_sibling(n, &d->gone);
	n->state = DROP_PLAIN;
	n->lookups--;
	drop_settle_node(d, n);
	drop_settle_node(d, up);
}

void drop_adopt(struct drop *d, struct drop_node *from, struct drop_node *to)
{
	struct drop_node *n = from->first, *next;

	for (; n; n = next) {
		next = n->next;
		if (n->state == DROP_PLAIN && !drop_is_shadowed(n))
			continue;
		link_out(d, n);
		link_in(d, n, to);
	}
}

struct drop_node *drop_renew(struct drop *d, struct drop_node *n)
{
	struct drop_node *new = calloc(1, sizeof(*new));

	if (new)
		new->name = strdup(n->name);
	if (!new || !new->name) {
		free(new);
		return NULL;
	}
	new->state = n->state;
	new->verdict = n->verdict;
	new->handed = n->handed;
	link_in(d, new, n->up);
	drop_adopt(d, n, new);
	drop_detach(d, n);
	return new;
}

int drop_move(struct drop *d, struct drop_node *n, struct drop_node *up,
	      const char *name)
{
	struct drop_node *old = n->up;
	char *copy = strdup(name);

	if (!copy)
		return REEL_ENOMEM;
	link_out(d, n);
	free(n->name);
	n->name = copy;
	link_in(d, n, up);
	drop_settle_node(d, old);
	return 0;
}

/* ---- paths ---- */

static int append(struct buffer *out, const char *name)
{
	int error = out->length ? buffer_append(out, "/", 1) : 0;

	return error ? error : buffer_append(out, name, strlen(name));
}

static int append_path(struct drop *d, const struct drop_node *n,
		       struct buffer *out)
{
	const struct drop_node *ways[BENEATH_PATH_LIMIT / 2];
	size_t depth = 0;
	int error = 0;

	for (; n != &d->root; n = n->up) {
		if (!n->up)
			return n->last ? REEL_ENOENT : REEL_ESTALE;
		if (depth == sizeof(ways) / sizeof(ways[0]))
			return REEL_ENAMETOOLONG;
		ways[depth++] = n;
	}
	while (!error && depth)
		error = append(out, ways[--depth]->name);
	return error;
}

int drop_path(struct drop *d, const struct drop_node *n, const char *name,
	      struct buffer *out)
{
	int error;

	out->length = 0;
	if (name && !beneath_name_valid(name, strlen(name)))
		return strlen(name) > BENEATH_NAME_LIMIT ? REEL_ENAMETOOLONG
							 : REEL_EINVAL;
	error = append_path(d, n, out);
	if (!error && name)
		error = append(out, name);
	if (!error && out->length > BENEATH_PATH_LIMIT)
		error = REEL_ENAMETOOLONG;
	if (!error)
		error = buffer_append(out, "", 1);
	if (!error)
		out->length--;
	return error;
}

bool drop_is_shadowed(const struct drop_node *directory)
{
	const struct drop_node *n = directory->first;

	while (n && n->state == DROP_PLAIN && !drop_is_shadowed(n))
		n = n->next;
	return n;
}

bool drop_shows(const struct drop_node *directory)
{
	return directory->state == DROP_PLAIN || directory->over;
}
