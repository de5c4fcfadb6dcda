#include "tests/unit/sample.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "tape/buffer.h"

void sample_need(bool fine, const char *file, int line)
{
	if (fine)
		return;
	fprintf(stderr, "%s:%d: failed\n", file, line);
	abort();
}

void sample_begin(struct sample *s)
{
	static const struct set_config config = {.name = "sample",
						 .seed = 0x1234};

	memset(s, 0, sizeof(*s));
	strcpy(s->path, "/tmp/reel-sample-XXXXXX");
	NEED(mkdtemp(s->path));
	NEED_EQ(set_create(s->path, &config), 0);
	NEED_EQ(set_open(s->path, SET_WRITE, false, &s->set), 0);
	NEED_EQ(catalog_open(s->set, &s->catalog), 0);
}

void sample_end(struct sample *s)
{
	char command[100];

	catalog_close(s->catalog);
	set_close(s->set);
	snprintf(command, sizeof(command), "rm -rf %s", s->path);
	NEED_EQ(system(command), 0);
}

uint64_t sample_inode(struct builder *b, mode_t mode, uint64_t content)
{
	struct inode_row row = {.mode = mode,
				.uid = 1000,
				.gid = 100,
				.size = content ? SAMPLE_SIZE : 0,
				.mtime = SAMPLE_TIME - 5,
				.ctime = SAMPLE_TIME - 4,
				.nlink = 1,
				.source = 77,
				.blocks = 8,
				.content = content};
	uint64_t id = 0;

	NEED_EQ(builder_inode(b, &row, &id), 0);
	return id;
}

void sample_entry(struct builder *b, uint64_t parent, const char *name,
		  uint64_t node, uint64_t inode)
{
	NEED_EQ(builder_entry(b, parent, name, strlen(name), node, inode), 0);
}

uint64_t sample_file(struct builder *b, uint64_t parent, const char *name,
		     uint64_t content)
{
	uint64_t id = sample_inode(b, S_IFREG | 0644, content);

	sample_entry(b, parent, name, 0, id);
	return id;
}

uint64_t sample_directory(struct builder *b, uint64_t parent, const char *name)
{
	uint64_t node = builder_new_node(b);

	sample_entry(b, parent, name, node, sample_inode(b, S_IFDIR | 0755, 0));
	return node;
}

void sample_root(struct builder *b)
{
	sample_entry(b, 0, "", TREE_ROOT, sample_inode(b, S_IFDIR | 0755, 0));
}

struct content_row sample_content(char letter)
{
	struct content_row row = {.size = SAMPLE_SIZE,
				  .offset = (uint64_t)letter * 10};

	memset(&row.digest, letter, sizeof(row.digest));
	return row;
}

static void put_frames(struct frame *to, unsigned count, uint32_t volume)
{
	for (unsigned n = 0; n < count; n++)
		to[n] = (struct frame){.stream = (uint64_t)n * SAMPLE_FRAME,
				       .position = (uint64_t)(n % 5) * 100,
				       .volume = volume + n / 5,
				       .stored = 100,
				       .length = SAMPLE_FRAME,
				       .checksum = n};
}

/* Five frames a volume, so that there are several runs. */
void sample_finish(struct builder *b, int64_t time, const char *label,
		   unsigned frames)
{
	struct frame *all = calloc(frames, sizeof(*all));
	struct buffer packed = {0};
	struct session_row row = {.time = time,
				  .finished = time + 1000,
				  .label = (char *)label,
				  .host = (char *)"host",
				  .first_volume = 10 * builder_session(b),
				  .stream = (uint64_t)frames * SAMPLE_FRAME,
				  .new_files = 3,
				  .copies = 2};

	NEED(all);
	put_frames(all, frames, row.first_volume);
	NEED_EQ(builder_finish(b, &row, all, frames, &packed), 0);
	NEED(packed.length > 0);
	NEED_EQ(builder_ingest(b), 0);
	builder_free(b);
	buffer_release(&packed);
	free(all);
}

static void put_symlink(struct builder *b, const char *target)
{
	struct inode_row row = {.mode = S_IFLNK | 0777,
				.size = strlen(target),
				.nlink = 1,
				.target = target,
				.target_length = strlen(target)};
	uint64_t id;

	NEED_EQ(builder_inode(b, &row, &id), 0);
	sample_entry(b, TREE_ROOT, "to", 0, id);
}

static uint64_t put_content(struct builder *b, char letter, const char *home)
{
	struct content_row row = sample_content(letter);
	uint64_t id = 0;

	NEED_EQ(builder_content(b, &row, home, strlen(home), &id), 0);
	return id;
}

static void first(struct sample *s)
{
	struct builder *b;
	uint64_t inode;
	char name[8];

	NEED_EQ(builder_new(s->catalog, s->set, false, &b), 0);
	sample_root(b);
	s->a = put_content(b, 'A', "a");
	inode = sample_file(b, TREE_ROOT, "a", s->a);
	sample_entry(b, TREE_ROOT, "b", 0, inode);
	s->d = sample_directory(b, TREE_ROOT, "d");
	s->x = put_content(b, 'X', "d/x");
	sample_file(b, s->d, "x", s->x);
	s->sub = sample_directory(b, s->d, "sub");
	sample_file(b, s->sub, "deep", 0);
	sample_file(b, TREE_ROOT, "dup", s->a);
	for (int n = 0; n < 20; n++) {
		snprintf(name, sizeof(name), "n%02d", n);
		sample_file(b, TREE_ROOT, name, s->a);
	}
	sample_file(b, TREE_ROOT, "thing", 0);
	put_symlink(b, "one/target");
	NEED_EQ(builder_xattrs(b, "packed", 6, &s->xattrs), 0);
	NEED_EQ(builder_owner(b, false, 1000, "user"), 0);
	NEED_EQ(builder_owner(b, true, 1000, "users"), 0);
	NEED_EQ(builder_keep(b, s->x), 0);
	sample_finish(b, SAMPLE_TIME, "first", 12);
}

static void second(struct sample *s)
{
	struct builder *b;

	NEED_EQ(builder_new(s->catalog, s->set, false, &b), 0);
	s->b = put_content(b, 'B', "a");
	sample_file(b, TREE_ROOT, "a", s->b);
	NEED_EQ(builder_remove(b, TREE_ROOT, "b", 1), 0);
	sample_file(b, TREE_ROOT, "d", 0);
	s->thing = sample_directory(b, TREE_ROOT, "thing");
	sample_file(b, s->thing, "in", s->x);
	sample_finish(b, SAMPLE_TIME, NULL, 1);
}

static void third(struct sample *s)
{
	struct builder *b;
	char name[8];

	NEED_EQ(builder_new(s->catalog, s->set, false, &b), 0);
	s->new_d = sample_directory(b, TREE_ROOT, "d");
	sample_file(b, s->new_d, "x", s->x);
	for (int n = 1; n < 20; n += 2) {
		snprintf(name, sizeof(name), "n%02d", n);
		NEED_EQ(builder_remove(b, TREE_ROOT, name, 3), 0);
	}
	sample_file(b, TREE_ROOT, "thing", 0);
	put_symlink(b, "another");
	sample_finish(b, SAMPLE_TIME + INT64_C(3600000000000), "third", 1);
}

void sample_make(struct sample *s)
{
	sample_begin(s);
	first(s);
	second(s);
	third(s);
}
