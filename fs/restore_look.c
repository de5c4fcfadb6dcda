/* What the target has under a name, beside what the snapshot has. */
#include "fs/restore_place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static bool same_text(const struct place *p, const char *name,
		      const struct restore_entry *e)
{
	size_t length = e->inode.target_length;
	char *text = malloc(length + 1);
	bool same;

	if (!text)
		return false;
	same = readlinkat(p->fd, name, text, length + 1) == (ssize_t)length &&
	       memcmp(text, e->target, length) == 0;
	free(text);
	return same;
}

static int64_t later_by(const struct inode_row *i, const struct stat *st)
{
	struct timespec t = meta_time(i->mtime);

	if (t.tv_sec != st->st_mtim.tv_sec)
		return t.tv_sec > st->st_mtim.tv_sec ? 1 : -1;
	return t.tv_nsec - st->st_mtim.tv_nsec;
}

/* --checksum: the bytes themselves. */
static bool same_bytes(struct restore *r, const struct place *p,
		       const char *name, const struct restore_entry *e)
{
	int fd = openat(p->fd, name,
			O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	bool same = fd >= 0 && data_compare(r, fd, e) == 1;

	if (fd >= 0)
		close(fd);
	return same;
}

static bool same_kind(struct restore *r, const struct place *p,
		      const char *name, const struct restore_entry *e,
		      const struct stat *st)
{
	const struct inode_row *i = &e->inode;

	if ((st->st_mode & S_IFMT) != (i->mode & S_IFMT))
		return false;
	if (S_ISLNK(i->mode))
		return same_text(p, name, e);
	if (S_ISCHR(i->mode) || S_ISBLK(i->mode))
		return st->st_rdev == makedev(i->major, i->minor);
	if (!S_ISREG(i->mode))
		return true;
	if ((uint64_t)st->st_size != i->size)
		return false;
	return r->options->checksum ? same_bytes(r, p, name, e)
				    : later_by(i, st) == 0;
}

static bool same_owner(const struct restore *r, const struct inode_row *i,
		       const struct stat *st)
{
	return r->uid != 0 || (st->st_uid == i->uid && st->st_gid == i->gid);
}

static bool identical(const struct restore *r, const struct inode_row *i,
		      const struct stat *st)
{
	return (S_ISLNK(i->mode) ||
		(st->st_mode & 07777) == (i->mode & 07777)) &&
	       same_owner(r, i, st) && later_by(i, st) == 0;
}

/* The metadata that are compared only when something hangs on it, too. */
static bool identical_all(struct restore *r, const struct place *p,
			  const char *name, const struct restore_entry *e,
			  const struct stat *st)
{
	bool same = identical(r, &e->inode, st);
	int fd;

	if (!same || !S_ISREG(e->inode.mode))
		return same;
	fd = openat(p->fd, name,
		    O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	same = fd >= 0 && meta_matches(r, fd, e, st);
	if (fd >= 0)
		close(fd);
	return same;
}

void look_at(struct restore *r, const struct place *p, const char *name,
	     const struct restore_entry *e, struct look *out)
{
	const struct restore_options *o = r->options;
	struct plan_subject *s = &out->subject;
	bool linked;

	*s = (struct plan_subject){.wanted = e->inode.mode};
	if (p->fd < 0 || (p->fresh && !r->options->dry_run) ||
	    fstatat(p->fd, name, &out->st, AT_SYMLINK_NOFOLLOW))
		return;
	linked = out->st.st_nlink > 1;
	s->present = out->st.st_mode;
	s->later = later_by(&e->inode, &out->st) > 0;
	s->unfinished = S_ISREG(s->present) && out->st.st_nlink == 1 &&
			(s->present & 07777) == RESTORE_UNFINISHED &&
			out->st.st_uid == r->uid;
	s->same = same_kind(r, p, name, e, &out->st);
	if (s->same && (linked || o->plan.overwrite != OVERWRITE_ALWAYS))
		s->identical = identical_all(r, p, name, e, &out->st);
	/* P5: with other names it is the same only if nothing is to be done */
	if (linked)
		s->same = s->identical &&
			  (e->inode.nlink > 1 || o->link_duplicates);
}

void look_at_directory(const struct place *p, const char *name,
		       const struct inode_row *i, struct look *out)
{
	struct plan_subject *s = &out->subject;
	const struct restore unowned = {.uid = 0};

	*s = (struct plan_subject){.wanted = i->mode};
	if (p->fd < 0 || fstatat(p->fd, name, &out->st, AT_SYMLINK_NOFOLLOW))
		return;
	s->present = out->st.st_mode;
	s->later = later_by(i, &out->st) > 0;
	s->same = S_ISDIR(s->present);
	s->identical = s->same && identical(&unowned, i, &out->st);
	s->unfinished = s->same && out->st.st_uid == geteuid() &&
			(s->present & 07777) == RESTORE_UNFINISHED_DIRECTORY;
}

int look_opinion(struct restore *r, const struct place *p, const char *name,
		 mode_t wanted, struct plan_opinion *out,
		 struct plan_place *below)
{
	struct stat st = {0};
	char *path;

	*out = (struct plan_opinion){0};
	*below = (struct plan_place){0};
	if (!r->ruled)
		return 0;
	path = place_path(p, name);
	if (!path)
		return -1;
	if (p->fd >= 0)
		fstatat(p->fd, name, &st, AT_SYMLINK_NOFOLLOW);
	plan_opine(&r->options->plan, &p->plan, path, strlen(path), wanted,
		   st.st_mode, out, below);
	free(path);
	return 0;
}

void look_decide(struct restore *r, const struct place *p, const char *name,
		 const struct plan_opinion *o, const struct look *l,
		 struct plan_verdict *out)
{
	const char *border = border_in(r, p, name, l);

	if (border) {
		*out = (struct plan_verdict){PLAN_KEPT, NULL, border};
		return;
	}
	plan_decide(&r->options->plan, o, &l->subject, out);
	if (p->delayed && out->action == PLAN_NEW)
		*out = (struct plan_verdict){
			.action = PLAN_DELAYED,
			.why = "its directory is made at the next boot"};
	if (!r->busy ||
	    (out->action != PLAN_CHANGED && out->action != PLAN_EXTRA &&
	     (out->action != PLAN_NEW || p->fd < 0 || p->fresh)))
		return;
	out->why = busy_check(r->busy, p->fd, name);
	if (out->why) {
		out->action = PLAN_DELAYED;
		out->rule = r->busy_rule;
	}
}
