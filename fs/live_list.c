/* A listing is the names as they were when it began (or was rewound), so
 * that what is made or removed meanwhile neither shows twice nor hides
 * others. Offsets: 1 behind ".", 2 behind "..", then one a name. */
#include "fs/live_state.h"

#include <stdlib.h>
#include <string.h>
#include "tape/error.h"

struct listed {
	uint64_t id;
	size_t name; /* offset in names */
};

struct live_list {
	uint64_t directory;
	struct buffer names;   /* a NUL behind each */
	struct buffer entries; /* struct listed each */
	bool read;
};

int live_list_open(struct live *l, uint64_t id, struct live_list **out)
{
	struct live_list *d = calloc(1, sizeof(*d));

	(void)l;
	if (!d)
		return REEL_ENOMEM;
	d->directory = id;
	*out = d;
	return 0;
}

void live_list_close(struct live_list *d)
{
	if (!d)
		return;
	buffer_release(&d->names);
	buffer_release(&d->entries);
	free(d);
}

static int add(struct live_list *d, const char *name, size_t length,
	       uint64_t id)
{
	struct listed e = {id, d->names.length};
	int error = buffer_append(&d->entries, &e, sizeof(e));

	if (!error)
		error = buffer_append(&d->names, name, length);
	return error ? error : buffer_append(&d->names, "", 1);
}

/* ---- reading: the spool's entries over the base's, both sorted ---- */

struct merge {
	struct live *live;
	struct live_list *list;
	struct tree_cursor *base;
	struct entry_row below;
	struct spool_entry above;
	int have_below, have_above; /* or an error */
};

static void step_above(struct merge *m)
{
	m->have_above = spool_step(m->live->spool, &m->above);
}

static void step_below(struct merge *m)
{
	m->have_below = tree_step(m->base, &m->below);
}

static int order(const struct merge *m)
{
	size_t a = m->above.name_length, b = m->below.name_length;
	int d;

	if (!m->have_below || !m->have_above)
		return m->have_above ? -1 : 1;
	d = memcmp(m->above.name, m->below.name, a < b ? a : b);
	return d ? d : (a > b) - (a < b);
}

static int merge_step(struct merge *m)
{
	int d = order(m), error = 0;

	if (d <= 0 && m->above.node)
		error = add(m->list, m->above.name, m->above.name_length,
			    m->above.node);
	else if (d > 0)
		error = add(m->list, m->below.name, m->below.name_length,
			    live_id(&m->below));
	if (d <= 0)
		step_above(m);
	if (d >= 0)
		step_below(m);
	return error;
}

static int merge(struct live *l, struct live_list *d, struct live_node *n)
{
	struct merge m = {.live = l, .list = d};
	uint64_t node = node_base_directory(n);
	uint32_t base = spool_base(l->spool);
	int error = 0;

	if (node && base)
		error = tree_list(l->catalog, base, node, &m.base);
	if (!error && l->touched)
		error = spool_list(l->spool, n->row.id, "", 0);
	if (!error && m.base)
		step_below(&m);
	if (!error && l->touched)
		step_above(&m);
	while (!error && (m.have_above || m.have_below)) {
		if (m.have_above < 0 || m.have_below < 0)
			error = m.have_above < 0 ? m.have_above : m.have_below;
		else
			error = merge_step(&m);
	}
	if (l->touched)
		spool_list_end(l->spool);
	tree_end(m.base);
	return error;
}

static int read_names(struct live *l, struct live_list *d)
{
	struct live_node *n;
	int error = node_get(l, d->directory, &n);

	if (error)
		return error;
	d->names.length = d->entries.length = 0;
	error = n->row.nlink ? merge(l, d, n) : 0;
	node_put(l, n);
	d->read = !error;
	return error;
}

/* ---- giving ---- */

/* The st_ino of a directory and of the one above it. */
static void numbers(struct live *l, uint64_t id, ino_t *self, ino_t *up)
{
	uint64_t parent = 0;
	struct live_node *n;

	*self = *up = LIVE_ROOT;
	if (!node_get(l, id, &n)) {
		*self = *up = n->row.inode;
		parent = id == LIVE_ROOT ? 0 : n->row.parent;
		node_put(l, n);
	}
	if (parent && !node_get(l, parent, &n)) {
		*up = n->row.inode;
		node_put(l, n);
	}
}

static int give_dots(struct live *l, struct live_list *d, uint64_t *offset,
		     live_each each, void *context)
{
	struct live_entry e = {0};
	ino_t self, up;
	int error = 0;

	numbers(l, d->directory, &self, &up);
	e.st.st_mode = S_IFDIR;
	e.st.st_ino = self;
	if (*offset < 1) {
		error = each(context, ".", &e, 1);
		*offset = error ? 0 : 1;
	}
	if (!error && *offset < 2) {
		e.st.st_ino = up;
		error = each(context, "..", &e, 2);
		*offset = error ? 1 : 2;
	}
	return error;
}

/* REEL_ESTALE: it is gone meanwhile. */
static int stat_listed(struct live *l, const struct listed *at,
		       struct live_entry *out)
{
	struct live_node *n;
	int error = node_get(l, at->id, &n);

	if (error)
		return error;
	node_stat(n, out);
	if (!n->row.nlink)
		error = REEL_ESTALE;
	node_put(l, n);
	return error;
}

static int give(struct live *l, struct live_list *d, uint64_t n, bool plus,
		live_each each, void *context)
{
	const struct listed *at = (struct listed *)d->entries.data + n;
	const char *name = (char *)d->names.data + at->name;
	struct live_entry e;
	int error = stat_listed(l, at, &e);

	if (error == REEL_ESTALE)
		return 0;
	if (error)
		return error;
	if (plus) {
		/* it may have another name by now */
		struct live_node *p;
		uint64_t id = 0;

		error = node_get(l, d->directory, &p);
		if (!error) {
			error = name_find(l, p, name, strlen(name), &id);
			node_put(l, p);
		}
		if (error == REEL_ENOENT || (!error && id != at->id))
			return 0;
		if (error)
			return error;
	}
	return each(context, name, &e, n + 3);
}

int live_list_step(struct live *l, struct live_list *d, uint64_t offset,
		   bool plus, live_each each, void *context)
{
	int error = 0;

	pthread_mutex_lock(&l->lock);
	if (!offset || !d->read)
		error = read_names(l, d);
	if (!error && offset < 2)
		error = give_dots(l, d, &offset, each, context);
	for (uint64_t n = offset < 2 ? 0 : offset - 2;
	     !error && n < d->entries.length / sizeof(struct listed); n++)
		error = give(l, d, n, plus, each, context);
	pthread_mutex_unlock(&l->lock);
	return error;
}
