/* Names that a filesystem takes for one: FILE and file where letters are
 * folded (vfat, ntfs, ext4 with casefold), "name." and "name" where ends are
 * cut. The snapshot may have both; the target holds one.
 *
 * Which these are nobody can tell but the filesystem, so it is asked: what
 * stands at a name that its directory did not list before has another name
 * there, which is the one that lists the same file now. It is never written
 * over. In order:
 *   - the walk looks before it goes on with a name that was not listed;
 *   - a name that was free is taken with RENAME_NOREPLACE (O_EXCL, in a fresh
 *     place), so that of two threads with such names one is told;
 *   - extras are removed last where names may be folded, when it is known
 *     which of them are the snapshot's files. */
#include "fs/restore_place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

/* ---- which name it is ---- */

static bool is_file(int directory, const char *name, const struct stat *file)
{
	struct stat st;

	return fstatat(directory, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       st.st_dev == file->st_dev && st.st_ino == file->st_ino;
}

/* Its own name if it is listed, else one of the same letters, else any. */
static const char *listed_as(int directory, const struct sweep_names *n,
			     const char *name, const struct stat *file)
{
	const char *found = NULL;

	for (size_t i = 0; i < n->count; i++)
		if (!strcmp(n->text + n->at[i], name))
			return name;
	for (size_t i = 0; i < n->count && !found; i++)
		if (!strcasecmp(n->text + n->at[i], name) &&
		    is_file(directory, n->text + n->at[i], file))
			found = n->text + n->at[i];
	for (size_t i = 0; i < n->count && !found; i++)
		if (is_file(directory, n->text + n->at[i], file))
			found = n->text + n->at[i];
	return found;
}

bool alias_find(int directory, const char *name,
		char other[TREE_NAME_LIMIT + 1])
{
	int fd = openat(directory, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	const char *found = NULL;
	struct sweep_names n;
	struct stat st;

	if (fd < 0)
		return false;
	/* Open, so that its inode number stays (vfat makes them up). */
	if (fstat(fd, &st) == 0 && sweep_list(directory, &n) == 0) {
		found = listed_as(directory, &n, name, &st);
		if (found && strcmp(found, name))
			snprintf(other, TREE_NAME_LIMIT + 1, "%s", found);
		else
			found = NULL;
		sweep_release(&n);
	}
	close(fd);
	return found != NULL;
}

bool alias_is(int directory, const char *name, const char *other)
{
	int fd = openat(directory, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;
	bool is = fd >= 0 && fstat(fd, &st) == 0 &&
		  (S_ISDIR(st.st_mode) || st.st_nlink == 1) &&
		  is_file(directory, other, &st);

	if (fd >= 0)
		close(fd);
	return is;
}

/* ---- saying so ---- */

void alias_problem_with(struct restore *r, const struct place *p,
			const char *name, const char *other)
{
	char *path = place_path(p, other), *what = NULL;

	if (path &&
	    asprintf(&what,
		     "not restored: the target takes its name for that of %s, "
		     "which stays; restore it into another directory",
		     path) < 0)
		what = NULL;
	restore_problem(r, PROBLEM_OTHER, p, name,
			what ? what : "not restored: its name is taken", 0);
	free(what);
	free(path);
}

void alias_problem(struct restore *r, const struct place *p, const char *name)
{
	char other[TREE_NAME_LIMIT + 1];

	if (alias_find(p->fd, name, other))
		alias_problem_with(r, p, name, other);
	else
		restore_problem(r, PROBLEM_OTHER, p, name,
				"not restored: something of that name came "
				"meanwhile, and stays; run the restore again",
				0);
}
