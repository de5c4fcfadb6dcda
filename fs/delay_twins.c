/* Where a filesystem takes two names for one (FILE and file, name. and name),
 * a boot refuses the second. That is told when it is staged: here the moves are
 * put in an order in which such names stand side by side, and the directory
 * they go to is asked whether it is of that kind. Letters beyond ASCII are left
 * to the boot. */
#include "fs/delay_twins.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "catalog/beneath.h"
#include "fs/name_alias.h"

struct foresight {
	int root;
	delay_refused refused;
	void *context;
	char *directory;	 /* that was asked last; heap */
	bool asked[2], folds[2]; /* of letters, of ends; its answers */
};

/* ---- equal but for letters and ends ---- */

/* Dots and blanks at the end of a component are passed. */
static const char *pass_end(const char *path)
{
	size_t ends = strspn(path, ". ");

	return !path[ends] || path[ends] == '/' ? path + ends : path;
}

static int compare_folded(const char *a, const char *b)
{
	for (;; a++, b++) {
		int x, y;

		a = pass_end(a);
		b = pass_end(b);
		x = tolower((unsigned char)*a);
		y = tolower((unsigned char)*b);
		if (x != y || !x)
			return x - y;
	}
}

static int by_folded(const void *a, const void *b)
{
	const char *x = *(const char *const *)a, *y = *(const char *const *)b;
	int order = compare_folded(x, y);

	return order ? order : strcmp(x, y);
}

/* ---- asking the target ---- */

/* The directory that will hold it, or the nearest above that is there. */
static int open_above(int root, const char *path, char **opened)
{
	char *above = strdup(path), *slash;
	int fd = -1;

	while (above && fd < 0) {
		slash = strrchr(above, '/');
		if (!*above)
			break;
		*(slash ? slash : above) = '\0';
		fd = beneath_open(root, above);
	}
	if (fd >= 0)
		*opened = above;
	else
		free(above);
	return fd;
}

static bool are_one(struct foresight *f, const char *path, const char *other)
{
	bool ends = strlen(path) != strlen(other);
	char *directory;
	int fd = open_above(f->root, path, &directory);

	if (fd < 0)
		return false;
	if (f->directory && !strcmp(f->directory, directory)) {
		free(directory);
	} else {
		free(f->directory);
		f->directory = directory;
		f->asked[0] = f->asked[1] = false;
	}
	if (!f->asked[ends])
		f->folds[ends] = names_fold(fd, ends);
	f->asked[ends] = true;
	close(fd);
	return f->folds[ends];
}

/* Something came there by another of its names. */
static void look_at_one(const struct foresight *f, const char *path)
{
	const char *name;
	int up = beneath_parent(f->root, path, &name);

	if (up < 0)
		return;
	if (name_aliased(up, name))
		f->refused(f->context, path, NULL);
	close(up);
}

/* ---- all ---- */

static size_t collect(struct delayed *journal, const char **paths)
{
	size_t count = 0;

	for (size_t n = 0; n < delayed_count(journal); n++) {
		const struct delayed_record *r = delayed_at(journal, n);

		if (r->kind == DELAYED_MOVE && !r->list)
			paths[count++] = r->path;
	}
	return count;
}

void delay_foresee(struct delayed *journal, delay_refused refused,
		   void *context)
{
	struct foresight f = {.root = delayed_root(journal),
			      .refused = refused,
			      .context = context};
	const char **paths = calloc(delayed_count(journal) + 1, sizeof(*paths));
	size_t count = paths ? collect(journal, paths) : 0;

	if (count)
		qsort(paths, count, sizeof(*paths), by_folded);
	for (size_t n = 0; n < count; n++) {
		if (n && !compare_folded(paths[n - 1], paths[n]) &&
		    are_one(&f, paths[n], paths[n - 1]))
			refused(context, paths[n], paths[n - 1]);
		else
			look_at_one(&f, paths[n]);
	}
	free(f.directory);
	free(paths);
}
