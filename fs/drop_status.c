/* What restore/ says of itself. */
#include "fs/drop_state.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "catalog/beneath.h"
#include "tape/error.h"

#define PART 60000 /* of the names: an attribute has 64 KiB */

struct told {
	char *path;
	const struct drop_node *node;
};

static int order(const void *a, const void *b)
{
	return strcmp(((const struct told *)a)->path,
		      ((const struct told *)b)->path);
}

static int collect(struct drop *d, const struct drop_node *up,
		   struct buffer *out)
{
	struct buffer path = {0};
	int error = 0;

	for (const struct drop_node *n = up->first; !error && n; n = n->next) {
		struct told t = {.node = n};

		if (n->state != DROP_PLAIN) {
			error = drop_path(d, n, NULL, &path);
			if (!error)
				t.path = strdup((char *)path.data);
			if (t.path)
				error = buffer_append(out, &t, sizeof(t));
		}
		if (!error)
			error = collect(d, n, out);
	}
	buffer_release(&path);
	return error;
}

void drop_tell(struct drop *d, drop_told told, void *context)
{
	struct buffer all = {0};
	struct told *t;
	size_t count;

	pthread_mutex_lock(&d->lock);
	if (d->root.state != DROP_PLAIN) {
		struct told root = {strdup(""), &d->root};

		if (root.path)
			buffer_append(&all, &root, sizeof(root));
	}
	collect(d, &d->root, &all);
	pthread_mutex_unlock(&d->lock);
	t = (struct told *)(void *)all.data;
	count = all.length / sizeof(*t);
	if (count)
		qsort(t, count, sizeof(*t), order);
	for (size_t n = 0; n < count; n++) {
		told(context, t[n].path, t[n].node);
		free(t[n].path);
	}
	buffer_release(&all);
}

int drop_reason(const struct drop_node *n, struct buffer *out)
{
	const struct plan_verdict *v = &n->verdict;
	int error = 0;

	if (v->why)
		error = buffer_printf(out, "%s%s", v->why, v->rule ? ": " : "");
	if (!error && v->rule)
		error = buffer_printf(out, "%s (line %u)", v->rule->text,
				      v->rule->line);
	return error;
}

/* ---- the names ---- */

struct listing_of {
	struct buffer *out;
	int error;
};

static void list_one(void *context, const char *path, const struct drop_node *n)
{
	struct listing_of *l = context;
	const char *action = plan_action_name(n->verdict.action);

	if (!l->error)
		l->error = buffer_printf(l->out, "%s\t", action);
	for (const char *at = path; !l->error && *at; at++)
		l->error = *at == '\n'	 ? buffer_append(l->out, "\\012", 4)
			   : *at == '\t' ? buffer_append(l->out, "\\011", 4)
					 : buffer_append(l->out, at, 1);
	if (!l->error)
		l->error = buffer_append(l->out, "\t", 1);
	if (!l->error)
		l->error = drop_reason(n, l->out);
	if (!l->error)
		l->error = buffer_append(l->out, "\n", 1);
}

static int part_of_names(struct drop *d, const char *number, struct buffer *out)
{
	unsigned long part = strtoul(number, NULL, 10);
	struct listing_of l = {&d->names, 0};
	size_t from, left;

	if (!part) {
		d->names.length = 0;
		drop_tell(d, list_one, &l);
		if (l.error)
			return l.error;
	}
	from = part < d->names.length / PART + 1 ? part * PART
						 : d->names.length;
	left = d->names.length - from;
	return buffer_append(out, d->names.data ? d->names.data + from : NULL,
			     left < PART ? left : PART);
}

/* ---- the counts ---- */

struct counts {
	struct drop *d;
	uint64_t told[PLAN_ACTIONS];
	uint64_t files, bytes; /* in the area, that the set does not have */
};

static void count_one(void *context, const char *path,
		      const struct drop_node *n)
{
	struct counts *c = context;
	struct stat st;

	c->told[n->verdict.action]++;
	if (n->state != DROP_OBJECT || n->over ||
	    n->verdict.action == PLAN_DELAYED ||
	    (n->held && n->settled == n->written) ||
	    drop_look(c->d, DROP_AREA_SIDE, path, &st) ||
	    !(S_ISREG(st.st_mode) || S_ISLNK(st.st_mode)) || !st.st_size)
		return;
	c->files++;
	c->bytes += (uint64_t)st.st_size;
}

/* Areas of earlier mounts. */
static uint64_t count_earlier(const struct drop *d)
{
	int fd = openat(d->set->directory, DROP_AREA,
			O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *all = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;
	uint64_t count = 0;

	if (!all && fd >= 0)
		close(fd);
	while (all && (e = readdir(all)))
		count +=
			e->d_name[0] != '.' && strcmp(e->d_name, d->stamp) != 0;
	if (all)
		closedir(all);
	return count;
}

static int put_counts(struct drop *d, struct buffer *out)
{
	struct counts c = {.d = d};

	drop_tell(d, count_one, &c);
	return buffer_printf(
		out,
		"restore-target %s\nrestore-kept %llu\nrestore-delayed %llu\n"
		"restore-excluded %llu\nkept-files %llu\nkept-bytes %llu\n"
		"kept-area %s/" DROP_AREA "/%s\nkept-earlier %llu\n",
		d->target, (unsigned long long)c.told[PLAN_KEPT],
		(unsigned long long)c.told[PLAN_DELAYED],
		(unsigned long long)c.told[PLAN_EXCLUDED],
		(unsigned long long)c.files, (unsigned long long)c.bytes,
		d->set->path, d->stamp, (unsigned long long)count_earlier(d));
}

int drop_status(struct drop *d, const char *name, struct buffer *out)
{
	int error = REEL_ENODATA;

	pthread_mutex_lock(&d->turn);
	if (!strcmp(name, DROP_STATUS)) {
		drop_hand_over(d);
		error = put_counts(d, out);
	} else if (!strncmp(name, DROP_NAMES, sizeof(DROP_NAMES) - 1)) {
		error = part_of_names(d, name + sizeof(DROP_NAMES) - 1, out);
	}
	pthread_mutex_unlock(&d->turn);
	return error;
}
