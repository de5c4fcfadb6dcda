#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "catalog/beneath.h"
#include "catalog/delayed_state.h"
#include "tape/error.h"
#include "tape/log.h"

/* Numbers of staged files that are waited for, ascending. */
struct awaited {
	uint64_t *numbers;
	size_t count;
};

static int by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void awaited_add(struct awaited *w, const struct delayed_journal *j)
{
	for (size_t n = 0; n < j->count; n++) {
		const struct delayed_record *r = &j->records[n];

		if (r->kind == DELAYED_MOVE && !r->list &&
		    r->state != DELAYED_DONE)
			w->numbers[w->count++] = r->number;
	}
}

static int awaited_init(struct awaited *w, const struct delayed *d)
{
	w->count = 0;
	w->numbers = malloc((d->journal.count + d->fresh.count + 1) *
			    sizeof(*w->numbers));
	if (!w->numbers)
		return REEL_ENOMEM;
	awaited_add(w, &d->journal);
	awaited_add(w, &d->fresh);
	qsort(w->numbers, w->count, sizeof(*w->numbers), by_number);
	return 0;
}

/* A name that we gave. */
static bool is_number(const char *name, uint64_t *number)
{
	if (strlen(name) != 16 || strspn(name, "0123456789abcdef") != 16)
		return false;
	*number = strtoull(name, NULL, 16);
	return true;
}

/* J4 */
static int sweep_directory(DIR *dir, const struct awaited *w, bool *empty)
{
	int fd = dirfd(dir);
	struct dirent *e;
	uint64_t number;

	*empty = true;
	while ((e = readdir(dir))) {
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		if (!is_number(e->d_name, &number) ||
		    bsearch(&number, w->numbers, w->count, sizeof(number),
			    by_number) ||
		    (unlinkat(fd, e->d_name, 0) &&
		     (errno != EISDIR ||
		      unlinkat(fd, e->d_name, AT_REMOVEDIR))))
			*empty = false;
	}
	return 0;
}

static int remove_area(const struct delayed *d, const struct delayed_area *a)
{
	const char *name;
	int up = beneath_parent(d->root, a->directory, &name);
	int error = up < 0 ? up : 0;

	if (!error && unlinkat(up, name, AT_REMOVEDIR) && errno != ENOENT)
		error = error_from_errno(errno);
	if (!error && fsync(up))
		error = error_from_errno(errno);
	if (up >= 0)
		close(up);
	return error;
}

/* Records that speak of it keep an area in the journal. */
static bool area_awaited(const struct delayed_journal *j,
			 const struct delayed_area *a)
{
	size_t length = strlen(a->directory);

	for (size_t n = 0; n < j->count; n++) {
		const struct delayed_record *r = &j->records[n];

		if (r->kind == DELAYED_MOVE && !r->list &&
		    !strncmp(r->source, a->directory, length) &&
		    r->source[length] == '/')
			return true;
	}
	return false;
}

/* True when there is nothing left of it. */
static bool sweep_area(const struct delayed *d, struct delayed_area *a,
		       const struct awaited *w)
{
	bool empty = false;
	DIR *dir;
	int fd;

	if (!delayed_mounted(d->root, a->place))
		return false;
	fd = beneath_open(d->root, a->directory);
	if (fd == REEL_ENOENT)
		return !area_awaited(&d->journal, a) &&
		       !area_awaited(&d->fresh, a);
	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		if (fd >= 0)
			close(fd);
		return false;
	}
	sweep_directory(dir, w, &empty);
	closedir(dir);
	return empty && !area_awaited(&d->journal, a) &&
	       !area_awaited(&d->fresh, a) && !remove_area(d, a);
}

static bool list_named(const struct delayed_journal *j, const char *name)
{
	char known[24];

	for (size_t n = 0; n < j->list_count; n++) {
		delayed_list_name(j->lists[n].number, known);
		if (!strcmp(known, name))
			return true;
	}
	return false;
}

static bool is_new(const char *name)
{
	size_t length = strlen(name);

	return length > 4 && !strcmp(name + length - 4, ".new");
}

/* What was not finished, and copies of lists that the journal does not name. */
void delayed_tidy(const struct delayed *d)
{
	int fd = openat(d->directory, ".",
			O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	while (dir && (e = readdir(dir)))
		if (is_new(e->d_name) || (!strncmp(e->d_name, "list-", 5) &&
					  !list_named(&d->journal, e->d_name)))
			unlinkat(fd, e->d_name, 0);
	if (dir)
		closedir(dir);
	else if (fd >= 0)
		close(fd);
}

int delayed_sweep(struct delayed *d, bool *changed)
{
	struct delayed_journal *j = &d->journal;
	struct awaited w;
	size_t kept = 0;
	int error = awaited_init(&w, d);

	*changed = false;
	if (!error)
		delayed_tidy(d);
	for (size_t n = 0; !error && n < j->area_count; n++) {
		struct delayed_area *a = &j->areas[n];

		if (!sweep_area(d, a, &w)) {
			j->areas[kept++] = *a;
			continue;
		}
		if (a->fd >= 0)
			close(a->fd);
		free(a->place);
		free(a->directory);
		*changed = true;
	}
	if (!error)
		j->area_count = kept;
	free(w.numbers);
	return error;
}
