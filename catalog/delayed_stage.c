#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include "catalog/beneath.h"
#include "catalog/delayed_state.h"
#include "tape/error.h"
#include "tape/log.h"
#include "tape/text.h"

#define READ_SIZE  (256 << 10)
#define PATH_FLAGS (O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

/* ---- filesystems ---- */

int delayed_identify(int fd, struct delayed_identity *out)
{
	struct statx st;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_TYPE | STATX_MNT_ID, &st))
		return error_from_errno(errno);
	out->device = makedev(st.stx_dev_major, st.stx_dev_minor);
	out->mount = st.stx_mask & STATX_MNT_ID ? st.stx_mnt_id : 0;
	return 0;
}

static bool identity_same(const struct delayed_identity *a,
			  const struct delayed_identity *b)
{
	return a->device == b->device && a->mount == b->mount;
}

bool delayed_mounted(int root, const char *place)
{
	struct delayed_identity above, here;
	const char *name;
	bool mounted;
	int up, fd;

	if (!*place)
		return true;
	up = beneath_parent(root, place, &name);
	fd = up < 0 ? -1 : openat(up, name, PATH_FLAGS);
	mounted = fd >= 0 && !delayed_identify(up, &above) &&
		  !delayed_identify(fd, &here) && !identity_same(&above, &here);
	if (fd >= 0)
		close(fd);
	if (up >= 0)
		close(up);
	return mounted;
}

int delayed_place(int root, const char *path, char **place)
{
	struct delayed_identity now, next;
	char *name = strdup(path);
	size_t top = 0;
	int fd = fcntl(root, F_DUPFD_CLOEXEC, 0);
	int error =
		fd < 0 ? error_from_errno(errno) : delayed_identify(fd, &now);

	if (!name || error) {
		free(name);
		if (fd >= 0)
			close(fd);
		return name ? error : REEL_ENOMEM;
	}
	for (char *at = name, *slash; (slash = strchr(at, '/')); at = slash) {
		int below;

		*slash = '\0';
		below = openat(fd, at, PATH_FLAGS);
		close(fd);
		fd = below;
		if (fd < 0 || delayed_identify(fd, &next))
			break;
		*slash++ = '/';
		if (!identity_same(&now, &next))
			top = (size_t)(slash - 1 - name);
		now = next;
	}
	if (fd >= 0)
		close(fd);
	memcpy(name, path, top);
	name[top] = '\0';
	*place = name;
	return 0;
}

/* ---- areas ---- */

/* Its owner's alone, and ours. */
static int open_area(struct delayed *d, struct delayed_area *a)
{
	struct stat st;
	int error = 0;

	a->fd = beneath_make(d->root, a->directory, 0700);
	if (a->fd < 0) {
		error = a->fd;
		a->fd = -1;
		return error;
	}
	if (fstat(a->fd, &st))
		error = error_from_errno(errno);
	else if (st.st_uid && st.st_uid != geteuid())
		error = REEL_EPERM;
	if (error) {
		close(a->fd);
		a->fd = -1;
	}
	return error;
}

/* Of the journal's own filesystem the files lie with the journal. */
static char *area_directory(struct delayed *d, const char *place)
{
	struct delayed_identity journal, there;
	char *directory;
	int fd = beneath_open(d->root, place);
	bool same = fd >= 0 && d->inside &&
		    !delayed_identify(d->directory, &journal) &&
		    !delayed_identify(fd, &there) &&
		    identity_same(&journal, &there);

	if (fd >= 0)
		close(fd);
	if (same)
		return strdup(DELAYED_DIRECTORY "/" DELAYED_FILES);
	if (asprintf(&directory, "%s%s%s", place, *place ? "/" : "",
		     DELAYED_AREA) < 0)
		return NULL;
	return directory;
}

/* J1 */
static int new_area(struct delayed *d, const char *place)
{
	char *directory = area_directory(d, place);
	int error = REEL_ENOMEM;

	if (directory && d->journal.area_count >= DELAYED_AREA_LIMIT)
		error = REEL_ERANGE;
	else if (directory)
		error = delayed_journal_add_area(&d->journal, place, directory);
	free(directory);
	return error ? error : delayed_write(d);
}

static int area_for(struct delayed *d, const char *place,
		    struct delayed_area **out)
{
	struct delayed_journal *j = &d->journal;
	size_t n = 0;
	int error = 0;

	while (n < j->area_count && strcmp(j->areas[n].place, place))
		n++;
	if (n == j->area_count)
		error = new_area(d, place);
	if (!error && j->areas[n].fd < 0)
		error = open_area(d, &j->areas[n]);
	if (!error)
		*out = &j->areas[n];
	return error;
}

/* ---- adding ---- */

static int refuse(struct delayed *d, const char *path, int error)
{
	char *name = text_name(path, strlen(path));

	log_error("%s: cannot be delayed (%s): %s", name ? name : "?", d->name,
		  error_text(error));
	free(name);
	return error;
}

int delayed_stage(struct delayed *d, const char *path,
		  struct delayed_stage *out)
{
	struct delayed_area *area = NULL;
	char *place = NULL;
	int error = delayed_path_valid(path) ? 0 : REEL_EINVAL;

	if (!error)
		error = delayed_place(d->root, path, &place);
	pthread_mutex_lock(&d->lock);
	if (!error)
		error = area_for(d, place, &area);
	if (!error) {
		area->used = true;
		out->directory = area->fd;
		out->number = d->journal.next++;
		out->place = place;
		snprintf(out->name, sizeof(out->name), "%016" PRIx64,
			 out->number);
	}
	pthread_mutex_unlock(&d->lock);
	if (!error)
		return 0;
	free(place);
	return refuse(d, path, error);
}

static void remove_staged(int directory, const char *name)
{
	if (unlinkat(directory, name, 0) && errno == EISDIR)
		unlinkat(directory, name, AT_REMOVEDIR);
}

void delayed_unstage(struct delayed *d, struct delayed_stage *s)
{
	(void)d;
	remove_staged(s->directory, s->name);
	free(s->place);
	s->place = NULL;
}

int delayed_content_read(int fd, struct delayed_content *out)
{
	struct digester *digester;
	uint8_t *room = malloc(READ_SIZE);
	int error = room ? digester_new(DELAYED_SEED, &digester) : REEL_ENOMEM;
	uint64_t size = 0;
	ssize_t n;

	if (error) {
		free(room);
		return error;
	}
	while ((n = read(fd, room, READ_SIZE)) > 0) {
		digester_add(digester, room, (size_t)n);
		size += (uint64_t)n;
	}
	if (n < 0)
		error = error_from_errno(errno);
	else
		out->size = size;
	if (!error)
		digester_result(digester, &out->digest);
	digester_free(digester);
	free(room);
	return error;
}

static int read_regular(int directory, const char *name,
			struct delayed_content *out)
{
	int fd = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	int error = fd < 0 ? error_from_errno(errno)
			   : delayed_content_read(fd, out);

	if (fd >= 0)
		close(fd);
	return error;
}

static int read_link(int directory, const char *name,
		     struct delayed_content *out)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(directory, name, target, sizeof(target));

	if (n < 0)
		return error_from_errno(errno);
	out->size = (uint64_t)n;
	digest_bytes(DELAYED_SEED, target, (size_t)n, &out->digest);
	return 0;
}

int delayed_content_at(int directory, const char *name, bool *known,
		       struct delayed_content *out)
{
	struct stat st;

	*known = false;
	if (fstatat(directory, name, &st, AT_SYMLINK_NOFOLLOW))
		return error_from_errno(errno);
	*known = S_ISREG(st.st_mode) || S_ISLNK(st.st_mode);
	if (S_ISREG(st.st_mode))
		return read_regular(directory, name, out);
	return S_ISLNK(st.st_mode) ? read_link(directory, name, out) : 0;
}

/* A record in `fresh`; takes over place. */
static int add(struct delayed *d, enum delayed_kind kind, const char *path,
	       const char *source, char *place, struct delayed_record **out)
{
	struct delayed_record *r = delayed_journal_add(&d->fresh);

	if (!r) {
		free(place);
		return REEL_ENOMEM;
	}
	r->kind = kind;
	r->path = strdup(path);
	r->source = source ? strdup(source) : NULL;
	r->place = place;
	if (!r->path || (source && !r->source)) {
		delayed_record_release(r);
		d->fresh.count--;
		return REEL_ENOMEM;
	}
	*out = r;
	return 0;
}

static int add_move(struct delayed *d, struct delayed_stage *s,
		    const char *path, bool checked,
		    const struct delayed_content *content, uint32_t flags)
{
	struct delayed_record *r;
	struct delayed_area *area;
	char *source = NULL;
	int error = area_for(d, s->place, &area);

	if (!error && asprintf(&source, "%s/%s", area->directory, s->name) < 0)
		error = REEL_ENOMEM;
	if (!error) {
		error = add(d, DELAYED_MOVE, path, source, s->place, &r);
		s->place = NULL;
		free(source);
	}
	if (error)
		return error;
	r->number = s->number;
	r->checked = checked;
	if (checked)
		r->content = *content;
	r->flags = flags;
	area->used = true;
	return 0;
}

int delayed_move(struct delayed *d, struct delayed_stage *s, const char *path,
		 const struct delayed_content *content, uint32_t flags)
{
	struct delayed_content read;
	bool known = content;
	int error = delayed_path_valid(path) ? 0 : REEL_EINVAL;

	if (!error && !content) {
		error = delayed_content_at(s->directory, s->name, &known,
					   &read);
		content = &read;
	}
	pthread_mutex_lock(&d->lock);
	if (!error)
		error = add_move(d, s, path, known, content, flags);
	pthread_mutex_unlock(&d->lock);
	if (!error)
		return 0;
	delayed_unstage(d, s);
	return refuse(d, path, error);
}

static int add_other(struct delayed *d, enum delayed_kind kind,
		     const char *path, const char *source)
{
	struct delayed_record *r;
	char *place = NULL;
	int error = delayed_path_valid(path) ? 0 : REEL_EINVAL;

	if (!error && source && !beneath_name_valid(source, strlen(source)))
		error = REEL_EINVAL;
	if (!error)
		error = delayed_place(d->root, path, &place);
	pthread_mutex_lock(&d->lock);
	if (!error)
		error = add(d, kind, path, source, place, &r);
	if (!error)
		r->number = d->journal.next++;
	pthread_mutex_unlock(&d->lock);
	return error ? refuse(d, path, error) : 0;
}

int delayed_delete(struct delayed *d, const char *path)
{
	return add_other(d, DELAYED_DELETE, path, NULL);
}

int delayed_short_name(struct delayed *d, const char *path, const char *name)
{
	return add_other(d, DELAYED_SHORT_NAME, path, name);
}

static size_t cancel_in(struct delayed_journal *j, uint64_t number,
			const char *path)
{
	size_t kept = 0, found;

	for (size_t n = 0; n < j->count; n++) {
		struct delayed_record *r = &j->records[n];

		if (number ? r->number == number
			   : !path || !strcmp(r->path, path))
			delayed_record_release(r);
		else
			j->records[kept++] = *r;
	}
	found = j->count - kept;
	j->count = kept;
	return found;
}

int delayed_cancel(struct delayed *d, uint64_t number, const char *path)
{
	size_t found;

	pthread_mutex_lock(&d->lock);
	found = cancel_in(&d->journal, number, path);
	found += cancel_in(&d->fresh, number, path);
	d->altered |= found != 0;
	pthread_mutex_unlock(&d->lock);
	return found ? 0 : REEL_ENOENT;
}
