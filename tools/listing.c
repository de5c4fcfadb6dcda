#include "tools/listing.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "catalog/needs.h"
#include "tape/buffer.h"
#include "tape/error.h"
#include "tape/text.h"
#include "tools/figures.h"

int listing_init(struct listing *l, struct target *t, uint32_t session)
{
	memset(l, 0, sizeof(*l));
	l->target = t;
	l->session = session;
	l->terminal = isatty(STDOUT_FILENO);
	return target_reader(t, &l->lookup);
}

void listing_release(struct listing *l)
{
	for (int kind = 0; kind < 2; kind++) {
		for (int i = 0; i < LISTING_OWNERS; i++)
			free(l->owners[kind][i].name);
	}
	catalog_close(l->lookup);
}

char listing_type(mode_t mode)
{
	char letter = figure_type(mode);

	return letter == '-' ? 'f' : letter;
}

static const char *type_word(mode_t mode)
{
	switch (listing_type(mode)) {
	case 'f':
		return "file";
	case 'd':
		return "directory";
	case 'l':
		return "symlink";
	case 'c':
		return "character";
	case 'b':
		return "block";
	case 'p':
		return "fifo";
	}
	return "unknown";
}

static bool is_device(mode_t mode)
{
	return S_ISCHR(mode) || S_ISBLK(mode);
}

int listing_digest(struct listing *l, const struct inode_row *i,
		   struct digest *out)
{
	struct content_row content;
	int error;

	if (!S_ISREG(i->mode))
		return 0;
	if (!i->content) {
		digest_bytes(l->target->set->config.seed, "", 0, out);
		return 1;
	}
	error = tree_content(l->lookup, i->content, &content);
	if (error)
		return error == REEL_ENOENT ? REEL_EDAMAGED : error;
	*out = content.digest;
	content_row_release(&content);
	return 1;
}

/* Owners are few; their names are asked for once. NULL: the id has none. */
static const char *owner(struct listing *l, bool group, uint32_t id)
{
	struct owner_name *o = &l->owners[group][id % LISTING_OWNERS];

	if (!o->known || o->id != id) {
		free(o->name);
		o->name = NULL;
		if (tree_owner_name(l->lookup, group, id, &o->name))
			o->name = NULL;
		o->known = true;
		o->id = id;
	}
	return o->name;
}

static void put_name(const struct listing *l, const char *name, size_t length)
{
	char *shown = NULL;

	if (l->terminal && !l->zeros)
		shown = text_name(name, length);
	if (shown)
		fputs_unlocked(shown, stdout);
	else
		fwrite_unlocked(name, 1, length, stdout);
	free(shown);
}

void listing_path(const struct listing *l, const char *path)
{
	put_name(l, path, strlen(path));
	putc_unlocked(l->zeros ? '\0' : '\n', stdout);
}

void listing_target(const struct listing *l, const struct inode_row *i)
{
	fputs_unlocked("-> ", stdout);
	put_name(l, i->target, i->target_length);
}

static void put_owner(struct listing *l, bool group, uint32_t id)
{
	const char *name = owner(l, group, id);

	if (name && *name)
		printf(" %-8s", name);
	else
		printf(" %-8" PRIu32, id);
}

static void put_details(struct listing *l, const char *path,
			const struct inode_row *i)
{
	char text[FIGURE_SIZE];

	printf("%s %3" PRIu64, figure_mode(i->mode, text), i->nlink);
	put_owner(l, false, i->uid);
	put_owner(l, true, i->gid);
	if (is_device(i->mode))
		printf(" %5" PRIu32 ", %4" PRIu32, i->major, i->minor);
	else if (l->terminal)
		printf(" %7s", figure_human(i->size, text));
	else
		printf(" %12" PRIu64, i->size);
	printf(" %s ", figure_local_exact(i->mtime, text));
	put_name(l, path, strlen(path));
	if (S_ISLNK(i->mode) && i->target) {
		putc_unlocked(' ', stdout);
		listing_target(l, i);
	}
	putc_unlocked('\n', stdout);
}

static int put_media(struct listing *l, struct json *j,
		     const struct inode_row *i)
{
	struct needs n;
	int error = needs_of(l->target->set, l->lookup, i, &n);

	if (error) {
		needs_release(&n);
		return error;
	}
	if (j) {
		json_texts(j, "media", (const char *)n.names, NEEDS_NAME,
			   n.count);
	} else {
		for (size_t k = 0; k < n.count; k++)
			printf("%s%s", k ? "," : "", n.names[k]);
		printf("%s\t", n.count ? "" : "-");
	}
	needs_release(&n);
	return 0;
}

int listing_fields(struct listing *l, struct json *j, const char *path,
		   const struct entry_row *e)
{
	const struct inode_row *i = &e->inode;
	struct digest digest;
	char mode[8];
	int has = listing_digest(l, i, &digest);
	const char *name;

	json_text(j, "path", path);
	json_text(j, "type", type_word(i->mode));
	snprintf(mode, sizeof(mode), "%04o", (unsigned)(i->mode & 07777));
	json_text(j, "mode", mode);
	json_number(j, "uid", i->uid);
	json_number(j, "gid", i->gid);
	name = owner(l, false, i->uid);
	if (name)
		json_text(j, "user", name);
	name = owner(l, true, i->gid);
	if (name)
		json_text(j, "group", name);
	json_number(j, "size", i->size);
	json_time(j, "mtime", i->mtime);
	if (i->has_atime)
		json_time(j, "atime", i->atime);
	json_number(j, "inode", tree_pack(l->session, e));
	json_number(j, "links", i->nlink);
	if (is_device(i->mode)) {
		json_number(j, "major", i->major);
		json_number(j, "minor", i->minor);
	}
	if (has == 1)
		json_hex(j, "hash", digest.b, sizeof(digest.b));
	if (S_ISLNK(i->mode) && i->target)
		json_bytes(j, "target", i->target, i->target_length);
	if (i->xattrs)
		json_bool(j, "xattrs", true);
	if (has >= 0 && l->media)
		return put_media(l, j, i);
	return has < 0 ? has : 0;
}

int listing_print(struct listing *l, const char *path,
		  const struct entry_row *e)
{
	struct json j;
	int error = l->media && !l->json && !l->zeros
			    ? put_media(l, NULL, &e->inode)
			    : 0;

	if (error)
		return error;
	if (l->details && !l->json) {
		put_details(l, path, &e->inode);
		return 0;
	}
	if (!l->json) {
		listing_path(l, path);
		return 0;
	}
	json_begin(&j);
	error = listing_fields(l, &j, path, e);
	json_end(&j);
	return error;
}
