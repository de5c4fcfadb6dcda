/* Members to rows; see foreign_state.h. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "catalog/foreign_state.h"
#include "catalog/member_row.h"
#include "tape/bytes.h"
#include "tape/error.h"
#include "tape/log.h"
#include "tape/text.h"

#define LINK_LIMIT 4095
#define SAID_LIMIT 100 /* names left out that are named */

static void leave_out(struct foreign_scan *s, const char *path, size_t length,
		      const char *why)
{
	char *text;

	if (s->left_out++ >= SAID_LIMIT)
		return;
	text = text_name(path, length);
	log_warning("%s: %s is left out: %s", s->name, text ? text : "?", why);
	if (s->left_out == SAID_LIMIT)
		log_warning("%s: what else is left out is counted only",
			    s->name);
	free(text);
}

/* ---- directories ---- */

/* One that has no member. */
static struct inode_row plain_directory(const struct foreign_scan *s)
{
	return (struct inode_row){.mode = S_IFDIR | 0755,
				  .uid = geteuid(),
				  .gid = getegid(),
				  .mtime = s->time,
				  .ctime = s->time,
				  .atime = s->time,
				  .nlink = 1};
}

/* The directory's node, made where there is none. With `row` its metadata are
 * these, else what it has, or plain ones. */
static int enter_directory(struct foreign_scan *s, uint64_t parent,
			   const char *name, size_t length,
			   struct inode_row *row, uint64_t *node)
{
	const struct inode_row plain = plain_directory(s);
	struct foreign_name *n =
		foreign_names_add(&s->names, parent, name, length);
	int error;

	if (!n)
		return REEL_ENOMEM;
	if (n->node) {
		*node = n->node;
		if (!row)
			return 0;
		row->id = n->inode;
		return builder_change_inode(s->builder, row);
	}
	s->changed |= n->inode != 0;
	error = builder_inode(s->builder, row ? row : &plain, &n->inode);
	n->node = builder_new_node(s->builder);
	*node = n->node;
	return error ? error
		     : builder_entry(s->builder, parent, name, length, n->node,
				     n->inode);
}

/* ---- paths ---- */

struct names {
	const char *at, *end;
};

/* The next name of a path, without those that stand for nothing. */
static bool next_name(struct names *p, const char **name, size_t *length)
{
	while (p->at < p->end) {
		const char *slash =
			memchr(p->at, '/', (size_t)(p->end - p->at));
		const char *stop = slash ? slash : p->end;

		*name = p->at;
		*length = (size_t)(stop - p->at);
		p->at = slash ? slash + 1 : stop;
		if (*length && !(*length == 1 && **name == '.'))
			return true;
	}
	return false;
}

/* NULL: the path can be shown; else why not. */
static const char *why_not(const char *path, size_t length)
{
	struct names p = {path, path + length};
	const char *name;
	size_t n;

	while (next_name(&p, &name, &n)) {
		if (n == 2 && !memcmp(name, "..", 2))
			return "its path leads upwards";
		if (n > TREE_NAME_LIMIT)
			return "a name of more than 255 bytes";
	}
	return NULL;
}

/* Where a path stands: the directory that holds it, and its last name (length
 * 0: the archive's root). */
struct where {
	uint64_t parent;
	const char *name;
	size_t length;
};

static int go_down(struct foreign_scan *s, bool make, struct where *w)
{
	const struct foreign_name *n;

	n = foreign_names_find(&s->names, w->parent, w->name, w->length);
	if (n && n->node) {
		w->parent = n->node;
		return 0;
	}
	return make ? enter_directory(s, w->parent, w->name, w->length, NULL,
				      &w->parent)
		    : REEL_ENOENT;
}

/* make: directories that are missing are made; else REEL_ENOENT. */
static int walk_to(struct foreign_scan *s, const char *path, size_t length,
		   bool make, struct where *w)
{
	struct names p = {path, path + length};
	const char *name;
	size_t n;
	int error = 0;

	*w = (struct where){.parent = s->base, .name = ""};
	while (!error && next_name(&p, &name, &n)) {
		if (w->length)
			error = go_down(s, make, w);
		w->name = name;
		w->length = n;
	}
	return error;
}

/* ---- members ---- */

static int take_directory(struct foreign_scan *s, const struct member *m,
			  const struct where *w)
{
	struct inode_row row;
	uint64_t node;
	int error = member_row(s->builder, m, &row);

	row.size = 0;
	row.blocks = 0;
	if (!error && w->length)
		return enter_directory(s, w->parent, w->name, w->length, &row,
				       &node);
	row.id = s->base_inode;
	return error ? error : builder_change_inode(s->builder, &row);
}

/* The name now stands for this inode, which is no directory. */
static int enter(struct foreign_scan *s, const struct member *m,
		 const struct where *w, uint64_t inode)
{
	struct foreign_name *n =
		foreign_names_add(&s->names, w->parent, w->name, w->length);

	if (!n)
		return REEL_ENOMEM;
	if (n->node || !w->length) {
		leave_out(s, m->path, m->path_length,
			  "the name is that of a directory");
		return 0;
	}
	s->changed |= n->inode != 0;
	n->inode = inode;
	return builder_entry(s->builder, w->parent, w->name, w->length, 0,
			     inode);
}

/* Nothing was read of it: an id that no other content has stands for its
 * digest. */
static int add_content(struct foreign_scan *s, const struct member *m,
		       uint64_t at, struct inode_row *row)
{
	struct content_row c = {.size = m->size,
				.session = builder_session(s->builder),
				.offset = s->stream + at,
				.sparse = m->sparse,
				.runs = (struct sparse_run *)m->runs,
				.run_count = m->run_count};
	struct le64 unique = le64_make(c.offset);
	uint64_t bytes = 0;

	digest_bytes(0, &unique, sizeof(unique), &c.digest);
	for (size_t n = 0; n < m->run_count; n++)
		bytes += m->runs[n].length;
	if (m->sparse)
		row->blocks = (bytes + 511) / 512;
	s->row.new_bytes += m->size;
	s->row.unique_bytes += m->size;
	return builder_content(s->builder, &c, "", 0, &row->content);
}

static int take_file(struct foreign_scan *s, struct member_decoder *d,
		     const struct member *m, const struct where *w)
{
	struct inode_row row;
	uint64_t inode;
	int error = member_row(s->builder, m, &row);

	if (!error && m->type == MEMBER_FILE && m->size)
		error = add_content(s, m, member_data_offset(d), &row);
	if (!error)
		error = builder_inode(s->builder, &row, &inode);
	s->row.new_files++;
	return error ? error : enter(s, m, w, inode);
}

static int take_link(struct foreign_scan *s, const struct member *m,
		     const struct where *w)
{
	const struct foreign_name *n = NULL;
	struct where to;
	int error = walk_to(s, m->link, m->link_length, false, &to);

	if (error && error != REEL_ENOENT)
		return error;
	if (!error)
		n = foreign_names_find(&s->names, to.parent, to.name,
				       to.length);
	if (!n || n->node) {
		leave_out(s, m->path, m->path_length,
			  "it is a link to what the archive does not hold");
		return 0;
	}
	s->changed = true;
	return enter(s, m, w, n->inode);
}

static int take(struct foreign_scan *s, struct member_decoder *d,
		const struct member *m)
{
	const char *why = why_not(m->path, m->path_length);
	struct where w;
	int error;

	s->members++;
	if (!why && m->type == MEMBER_LINK)
		why = why_not(m->link, m->link_length);
	if (!why && m->type == MEMBER_SYMLINK && m->link_length > LINK_LIMIT)
		why = "a symlink of more than 4095 bytes";
	if (why) {
		leave_out(s, m->path, m->path_length, why);
		return 0;
	}
	error = walk_to(s, m->path, m->path_length, true, &w);
	if (error)
		return error;
	if (m->type == MEMBER_DIRECTORY)
		return take_directory(s, m, &w);
	if (m->type == MEMBER_LINK)
		return take_link(s, m, &w);
	return take_file(s, d, m, &w);
}

/* ---- archives ---- */

int foreign_scan_begin(struct foreign_scan *s)
{
	const struct inode_row row = plain_directory(s);
	int error = builder_inode(s->builder, &row, &s->base_inode);

	s->base = TREE_ROOT;
	return error ? error
		     : builder_entry(s->builder, 0, "", 0, TREE_ROOT,
				     s->base_inode);
}

/* Members are borrowed from the decoder: their data are passed first (N3),
 * which leaves them. */
static int one(struct foreign_scan *s, struct member_decoder *d,
	       const struct member *m)
{
	int error;

	if (m->type == MEMBER_REST)
		leave_out(s, m->path, m->path_length,
			  "it is the rest of a file that begins on an earlier "
			  "volume");
	if (m->type == MEMBER_GLOBAL || m->type == MEMBER_OTHER ||
	    m->type == MEMBER_REST || member_is_gap(m)) {
		s->members++;
		return 0;
	}
	error = member_pass(d);
	if (error == REEL_EDAMAGED) {
		leave_out(s, m->path, m->path_length,
			  "its data are not all there");
		return 0;
	}
	return error ? error : take(s, d, m);
}

static int move_root(struct foreign_scan *s, uint64_t node)
{
	uint64_t inode = s->base_inode;
	int error = builder_move_names(s->builder, TREE_ROOT, node);

	if (!error)
		error = foreign_scan_begin(s);
	s->base_inode = inode;
	return error;
}

int foreign_scan_base(struct foreign_scan *s, const char *name, bool move)
{
	struct inode_row row = plain_directory(s);
	uint64_t node = builder_new_node(s->builder);
	int error = 0;

	if (move)
		error = move_root(s, node);
	else
		error = builder_inode(s->builder, &row, &s->base_inode);
	s->changed = true;
	s->base = node;
	return error ? error
		     : builder_entry(s->builder, TREE_ROOT, name, strlen(name),
				     node, s->base_inode);
}

int foreign_scan_archive(struct foreign_scan *s, member_source source,
			 member_skipper skipper, void *context)
{
	struct member_decoder *d;
	struct member m;
	bool within = false;
	int error = member_decoder_new(source, context, &d), more = 1;

	if (error)
		return error;
	member_decoder_foreign(d, skipper);
	while (!error && (more = member_next(d, &m)) != 0) {
		if (more == 1) {
			error = one(s, d, &m);
		} else if (more != REEL_EDAMAGED) {
			error = more;
		} else if (!within) {
			log_warning(
				"%s: damaged or cut off near byte %llu",
				s->name,
				(unsigned long long)member_header_offset(d));
		}
		within = more != 1;
	}
	member_decoder_free(d);
	return error;
}

void foreign_scan_release(struct foreign_scan *s)
{
	foreign_names_release(&s->names);
}
