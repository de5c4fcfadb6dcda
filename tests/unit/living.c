#include "tests/unit/living.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "catalog/catalog.h"
#include "tape/error.h"
#include "tests/unit/sample.h"

#define CACHE (4u << 20)

const struct live_user living_user = {1000, 100, 022};

static void open_all(struct living *v)
{
	NEED_EQ(set_open(v->path, SET_READ, false, &v->set), 0);
	NEED_EQ(library_open(v->set, CACHE, &v->library), 0);
	NEED_EQ(live_open(v->set, v->library, "/mnt", &v->live), 0);
}

static void close_all(struct living *v)
{
	live_close(v->live);
	library_close(v->library);
	set_close(v->set);
}

static void make_set(struct living *v)
{
	static const struct set_config config = {.name = "living",
						 .seed = 0x4321,
						 .compression =
							 COMPRESSION_ZSTD};
	struct catalog *catalog;

	strcpy(v->path, "/tmp/reel-living-XXXXXX");
	NEED(mkdtemp(v->path));
	NEED_EQ(set_create(v->path, &config), 0);
	NEED_EQ(set_open(v->path, SET_WRITE, false, &v->set), 0);
	NEED_EQ(catalog_open(v->set, &catalog), 0);
	catalog_close(catalog);
	set_close(v->set);
}

void living_begin(struct living *v, const char *rules)
{
	char name[80];
	FILE *f;

	memset(v, 0, sizeof(*v));
	make_set(v);
	snprintf(name, sizeof(name), "%s/rules", v->path);
	f = fopen(name, "w");
	NEED(f);
	fputs(rules, f);
	fclose(f);
	open_all(v);
}

void living_end(struct living *v)
{
	char command[100];

	close_all(v);
	snprintf(command, sizeof(command), "rm -rf %s", v->path);
	NEED_EQ(system(command), 0);
}

void living_again(struct living *v)
{
	close_all(v);
	open_all(v);
}

uint32_t living_commit(struct living *v, const struct commit_options *o)
{
	static const struct commit_options none = {.label = NULL};

	NEED_EQ(commit_run(v->live, v->path, o ? o : &none, &v->last), 0);
	return v->last.session;
}

uint64_t living_find(struct living *v, uint64_t parent, const char *name)
{
	struct live_entry e;
	int error = live_lookup(v->live, parent, name, &e);

	NEED(!error || error == REEL_ENOENT);
	return error ? 0 : e.id;
}

struct stat living_stat(struct living *v, uint64_t id)
{
	struct live_entry e = {.id = 0};

	NEED_EQ(live_stat(v->live, id, &e), 0);
	NEED_EQ(e.id, id);
	return e.st;
}

static uint64_t make(struct living *v, uint64_t parent, const char *name,
		     mode_t mode)
{
	const struct live_make what = {.name = name, .mode = mode};
	struct live_entry e = {.id = 0};

	NEED_EQ(live_make(v->live, parent, &what, &living_user, &e), 0);
	return e.id;
}

uint64_t living_directory(struct living *v, uint64_t parent, const char *name)
{
	return make(v, parent, name, S_IFDIR | 0777);
}

uint64_t living_file(struct living *v, uint64_t parent, const char *name,
		     const void *bytes, size_t length)
{
	uint64_t id = make(v, parent, name, S_IFREG | 0666);

	if (length)
		NEED_EQ(living_write(v, id, 0, bytes, length), 0);
	return id;
}

int living_write(struct living *v, uint64_t id, uint64_t offset,
		 const void *bytes, size_t length)
{
	struct live_file *f;
	int error = live_file_open(v->live, id, &f);

	if (error)
		return error;
	error = live_write(v->live, f, offset, bytes, length, &living_user);
	live_file_close(v->live, f);
	return error;
}

bool living_has(struct living *v, uint64_t id, const void *bytes, size_t length)
{
	uint8_t *got = malloc(length + 1);
	struct live_file *f;
	bool has;

	NEED(got);
	NEED_EQ(live_file_open(v->live, id, &f), 0);
	has = live_read(v->live, f, 0, got, length + 1) == (int64_t)length &&
	      !memcmp(got, bytes, length) &&
	      living_stat(v, id).st_size == (off_t)length;
	live_file_close(v->live, f);
	free(got);
	return has;
}

struct listing {
	char *to;
	size_t room;
};

static int add_name(void *context, const char *name, const struct live_entry *e,
		    uint64_t next)
{
	struct listing *l = context;
	int length = 0;

	(void)e;
	(void)next;
	if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0)
		length = snprintf(l->to, l->room, " %s", name);
	NEED((size_t)length < l->room);
	l->to += length;
	l->room -= (size_t)length;
	return 0;
}

void living_list(struct living *v, uint64_t id, char *to, size_t room)
{
	struct listing l = {to, room};
	struct live_list *d;

	*to = '\0';
	NEED_EQ(live_list_open(v->live, id, &d), 0);
	NEED_EQ(live_list_step(v->live, d, 0, true, add_name, &l), 0);
	live_list_close(d);
}

int living_spooled(struct living *v)
{
	int fd = openat(v->set->directory, "spool/current/files",
			O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;
	int count = 0;

	NEED(dir);
	while ((e = readdir(dir)))
		count += *e->d_name != '.';
	closedir(dir);
	return count;
}

uint64_t living_dirty(struct living *v)
{
	struct live_count count = {.names = 0};

	NEED_EQ(live_count(v->live, &count), 0);
	return count.names;
}

void living_bytes(unsigned seed, uint8_t *to, size_t length)
{
	uint64_t x = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;

	for (size_t n = 0; n < length; n++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		to[n] = (uint8_t)(x >> 24);
	}
}
