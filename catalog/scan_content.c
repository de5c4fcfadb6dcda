/* Contents and what links to them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "catalog/member_row.h"
#include "catalog/scan_state.h"
#include "tape/error.h"

#define BLOCK 65536

/* ---- contents ---- */

/* The map as it stands before the runs belongs to the content's bytes. */
static int take_map(const struct member *m, uint64_t at, struct content_row *c,
		    struct digester *digester)
{
	struct buffer header = {0};
	struct member again = *m;
	size_t map = 0;
	int err = member_encode(&again, &header, &map);

	if (!err && (again.stored != m->stored || map > at))
		err = REEL_EDAMAGED;
	c->runs = err ? NULL : malloc((m->run_count + 1) * sizeof(*c->runs));
	if (!err && !c->runs)
		err = REEL_ENOMEM;
	if (!err) {
		digester_add(digester, header.data + header.length - map, map);
		if (m->run_count)
			memcpy(c->runs, m->runs,
			       m->run_count * sizeof(*c->runs));
		c->run_count = m->run_count;
		c->sparse = true;
		c->map_bytes = map;
		c->offset = at - map;
	}
	buffer_release(&header);
	return err;
}

static int hash_data(struct scan *s, struct member_decoder *d,
		     const struct member *m, struct content_row *c)
{
	struct digester *digester;
	uint64_t at = member_data_offset(d);
	uint8_t *block = malloc(BLOCK);
	int64_t n;
	bool sha256 = s->set->config.sha256;
	int err = !block   ? REEL_ENOMEM
		  : sha256 ? digester_new_sha256(s->set->config.seed, &digester)
			   : digester_new(s->set->config.seed, &digester);

	if (err) {
		free(block);
		return err;
	}
	c->size = m->size;
	c->session = builder_session(s->builder);
	c->offset = at;
	if (m->sparse)
		err = take_map(m, at, c, digester);
	while (!err && (n = member_data(d, block, BLOCK)) != 0) {
		if (n < 0)
			err = (int)n;
		else
			digester_add(digester, block, (size_t)n);
	}
	digester_result(digester, &c->digest);
	if (!err && sha256)
		err = digester_sha256(digester, &c->sha256);
	c->has_sha256 = !err && sha256;
	digester_free(digester);
	free(block);
	return err;
}

/* The number of a content that was just read: its own, or that of the same
 * one stored before. */
static int number(struct scan *s, const struct member *m,
		  const struct content_row *c, uint64_t *id)
{
#ifndef REEL_WEAK_DIGEST
	struct content_row same;
	int err = builder_candidate(s->builder, c->size, &c->digest, 0, &same);

	if (!err) {
		*id = same.id;
		content_row_release(&same);
		return builder_home_set(s->builder, *id, m->path,
					m->path_length);
	}
	if (err != REEL_ENOENT)
		return err;
#endif
	s->row.unique_bytes += c->size;
	return builder_content(s->builder, c, m->path, m->path_length, id);
}

/* A reading that was withdrawn has a content's number, and that is all. */
static bool is_withdrawn(const struct scan *s, const struct member *m)
{
	const struct scan_path *p = scan_paths_find(
		&s->paths, scan_hash(s, m->path, m->path_length));

	return p && p->again && !member_is_again(m);
}

int scan_file(struct scan *s, struct member_decoder *d, const struct member *m)
{
	struct content_row c = {.runs = NULL};
	struct inode_row row;
	uint64_t damaged = s->source.damaged;
	int err = member_row(s->builder, m, &row);

	if (!err && m->size)
		err = hash_data(s, d, m, &c);
	if (!err && m->size)
		err = number(s, m, &c, &row.content);
	if (is_withdrawn(s, m)) {
		content_row_release(&c);
		return err;
	}
	if (c.sparse) {
		uint64_t bytes = 0;

		for (size_t i = 0; i < c.run_count; i++)
			bytes += c.runs[i].length;
		row.blocks = (bytes + 511) / 512;
	}
	if (s->source.damaged != damaged)
		scan_lose(s, m->path, m->path_length, "damaged content");
	s->row.new_files++;
	s->row.new_bytes += m->size;
	content_row_release(&c);
	return err ? err : scan_enter(s, m->path, m->path_length, &row, 0);
}

/* ---- links ---- */

/* The number in R/keep/C, 0 when the path is no such name. */
uint64_t scan_keep_number(const struct scan *s, const char *path, size_t length)
{
	char text[64], digits[17];
	char *end;
	int n = snprintf(text, sizeof(text), "%s/keep/", s->set->reserved);

	if (length != (size_t)n + 16 || memcmp(path, text, (size_t)n) != 0)
		return 0;
	memcpy(digits, path + n, 16);
	digits[16] = '\0';
	n = (int)strspn(digits, "0123456789abcdef");
	return n == 16 ? strtoull(digits, &end, 16) : 0;
}

static int kept(struct scan *s, uint64_t number, struct content_row *out)
{
	struct content_home home;
	int err = builder_home(s->builder, number, &home);

	if (err)
		return err;
	free(home.path);
	return home.kept ? tree_content(s->catalog, number, out) : REEL_ENOENT;
}

/* What a link's target holds now: content and size. */
static int target_content(struct scan *s, const char *path, size_t length,
			  uint64_t *content, uint64_t *size)
{
	struct scan_path *p =
		scan_paths_find(&s->paths, scan_hash(s, path, length));
	uint64_t reserved = scan_keep_number(s, path, length);
	struct content_row row;
	struct entry_row e;
	int err;

	if (p && (p->inode || p->content)) {
		*content = p->content;
		*size = p->size;
		return 0;
	}
	if (reserved) {
		err = kept(s, reserved, &row);
		if (err)
			return err;
		*content = row.id;
		*size = row.size;
		content_row_release(&row);
		return 0;
	}
	err = scan_old(s, path, length, &e);
	if (!err && !S_ISREG(e.inode.mode))
		err = REEL_ENOENT;
	if (err)
		return err;
	*content = e.inode.content;
	*size = e.inode.size;
	return 0;
}

int scan_keep(struct scan *s, const struct member *m, uint64_t want)
{
	struct scan_path *p;
	struct entry_row e;
	/* what it names stands there from before, whatever comes now */
	int err = scan_before(s, m->link, m->link_length, &e);

	if (!err && !S_ISREG(e.inode.mode))
		err = REEL_ENOENT;
	if (err == REEL_ENOENT || err == REEL_ENOTDIR) {
		s->shifted = true;
		return 0;
	}
	if (err)
		return err;
	p = scan_paths_add(&s->paths, scan_hash(s, m->path, m->path_length));
	if (!p)
		return REEL_ENOMEM;
	p->content = e.inode.content;
	p->size = e.inode.size;
	if (p->content == want)
		return builder_keep(s->builder, want);
	s->shifted = true;
	return 0;
}

int scan_copy(struct scan *s, const struct member *m)
{
	struct scan_path *p;
	struct inode_row row;
	uint64_t content, size;
	int err = target_content(s, m->link, m->link_length, &content, &size);

	if (err == REEL_ENOENT || err == REEL_ENOTDIR) {
		scan_lose(s, m->path, m->path_length,
			  "what it is a copy of is lost");
		return 0;
	}
	if (!err)
		err = member_row(s->builder, m, &row);
	if (err)
		return err;
	p = scan_paths_find(&s->paths, scan_hash(s, m->path, m->path_length));
	if (p && p->timed)
		row.mtime = row.atime = row.ctime = p->mtime;
	row.content = content;
	row.size = size;
	row.blocks = (size + 4095) / 4096 * 8;
	s->row.copies++;
	s->row.new_files++;
	s->row.new_bytes += size;
	err = scan_enter(s, m->path, m->path_length, &row, 0);
	p = scan_paths_find(&s->paths, scan_hash(s, m->path, m->path_length));
	if (p)
		p->copy = true;
	return err;
}

/* A further name of an inode that was entered in this session. */
int scan_join(struct scan *s, const char *path, size_t length,
	      const char *target, size_t target_length)
{
	struct scan_path *p =
		scan_paths_find(&s->paths, scan_hash(s, target, target_length));
	struct scan_path *mine;
	struct scan_path found;
	struct entry_row old;
	uint64_t parent;
	const char *name;
	size_t name_length;
	int err;

	if (p && p->inode && !p->node) {
		found = *p;
	} else if ((p && p->inode) ||
		   scan_old(s, target, target_length, &old) || old.node) {
		scan_lose(s, path, length, "what it is a hard link of is lost");
		return 0;
	} else {
		found = (struct scan_path){.inode = old.inode.id,
					   .content = old.inode.content,
					   .size = old.inode.size};
	}
	err = scan_parent(s, path, length, &parent, &name, &name_length);
	if (!err)
		err = builder_entry_again(s->builder, parent, name, name_length,
					  found.inode);
	mine = scan_paths_find(&s->paths, scan_hash(s, path, length));
	if (mine && !err) {
		mine->inode = found.inode;
		mine->content = found.content;
		mine->size = found.size;
	}
	return err;
}
