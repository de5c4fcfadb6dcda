#include <CUnit/CUnit.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "catalog/catalog.h"
#include "catalog/set.h"
#include "tape/error.h"

static char top[64];

static int begin(void)
{
	strcpy(top, "/tmp/reel-set-XXXXXX");
	return mkdtemp(top) ? 0 : 1;
}

static int end(void)
{
	char command[100];

	snprintf(command, sizeof(command), "rm -rf %s", top);
	return system(command) != 0;
}

static const char *in_top(const char *name)
{
	static char path[400];

	snprintf(path, sizeof(path), "%s/%s", top, name);
	return path;
}

static int create(const char *name)
{
	static const struct set_config config = {.compression =
							 COMPRESSION_ZSTD,
						 .level = 7,
						 .volume_size = 1 << 20};

	return set_create(in_top(name), &config);
}

static int open_set(const char *name, enum set_access access, struct set **s)
{
	*s = NULL;
	return set_open(in_top(name), access, false, s);
}

static void write_config(const char *name, const char *text)
{
	char path[420];
	FILE *f;

	snprintf(path, sizeof(path), "%s/set.conf", in_top(name));
	f = fopen(path, "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	CU_ASSERT(fputs(text, f) >= 0);
	CU_ASSERT_EQUAL(fclose(f), 0);
}

static void create_and_open(void)
{
	struct set *s, *again;
	struct stat st;

	CU_ASSERT_EQUAL_FATAL(create("one"), 0);
	CU_ASSERT_EQUAL_FATAL(open_set("one", SET_READ, &s), 0);
	CU_ASSERT_STRING_EQUAL(s->config.name, "one");
	CU_ASSERT_EQUAL(s->config.compression, COMPRESSION_ZSTD);
	CU_ASSERT_EQUAL(s->config.level, 7);
	CU_ASSERT_EQUAL(s->config.volume_size, 1 << 20);
	CU_ASSERT_NOT_EQUAL(s->config.seed, 0);
	CU_ASSERT_EQUAL(s->lock, -1);
	CU_ASSERT_EQUAL(strlen(s->reserved), 14);
	CU_ASSERT_EQUAL(memcmp(s->reserved, ".reel-", 6), 0);
	CU_ASSERT_EQUAL(fstatat(s->directory, "set.conf", &st, 0), 0);
	CU_ASSERT_EQUAL(st.st_mode & 07777, 0600);
	CU_ASSERT_EQUAL_FATAL(open_set("one", SET_READ, &again), 0);
	CU_ASSERT_EQUAL(memcmp(s->config.uuid, again->config.uuid, 16), 0);
	CU_ASSERT_EQUAL(s->config.seed, again->config.seed);
	set_close(again);
	set_close(s);
	set_close(NULL);
	CU_ASSERT_EQUAL_FATAL(create("two"), 0);
	CU_ASSERT_EQUAL_FATAL(open_set("one", SET_READ, &s), 0);
	CU_ASSERT_EQUAL_FATAL(open_set("two", SET_READ, &again), 0);
	CU_ASSERT_NOT_EQUAL(memcmp(s->config.uuid, again->config.uuid, 16), 0);
	CU_ASSERT_NOT_EQUAL(s->config.seed, again->config.seed);
	set_close(again);
	set_close(s);
}

static void create_errors(void)
{
	CU_ASSERT_EQUAL_FATAL(mkdir(in_top("full"), 0755), 0);
	CU_ASSERT_EQUAL_FATAL(mkdir(in_top("full/of"), 0755), 0);
	CU_ASSERT_EQUAL(create("full"), REEL_EEXIST);
	CU_ASSERT_EQUAL_FATAL(mkdir(in_top("empty"), 0755), 0);
	CU_ASSERT_EQUAL(create("empty"), 0);
	CU_ASSERT_EQUAL(create("empty"), REEL_EEXIST);
	CU_ASSERT_EQUAL(create("no/such"), REEL_ENOENT);
	close(open(in_top("file"), O_CREAT | O_CLOEXEC, 0600));
	CU_ASSERT(create("file") < 0);
	CU_ASSERT_EQUAL(access(in_top("file"), F_OK), 0);
}

/* A directory may have any name; its set takes it as it is. */
static void odd_names(void)
{
	static const char *const names[] = {" a ", "a\nuuid = x", "# x", "\\",
					    "a=b", "\xff\xfe",	  "\t"};

	for (size_t n = 0; n < sizeof(names) / sizeof(*names); n++) {
		struct set *s;

		CU_ASSERT_EQUAL_FATAL(create(names[n]), 0);
		CU_ASSERT_EQUAL_FATAL(open_set(names[n], SET_READ, &s), 0);
		CU_ASSERT_STRING_EQUAL(s->config.name, names[n]);
		set_close(s);
	}
}

static void open_errors(void)
{
	struct set *s;

	CU_ASSERT_EQUAL(open_set("none", SET_READ, &s), REEL_ENOENT);
	CU_ASSERT_EQUAL(open_set("file", SET_READ, &s), REEL_ENOTDIR);
	CU_ASSERT_EQUAL(open_set("full", SET_READ, &s), REEL_ENOENT);
	CU_ASSERT_EQUAL_FATAL(create("bare"), 0);
	CU_ASSERT_EQUAL_FATAL(rmdir(in_top("bare/volumes")), 0);
	CU_ASSERT_EQUAL(open_set("bare", SET_READ, &s), REEL_EMEDIUM);
	CU_ASSERT_PTR_NULL(s);
}

#define HEAD                                                                   \
	"format = 1\nname = x\n"                                               \
	"uuid = 01234567-89ab-cdef-0123-456789abcdef\n"                        \
	"media = dir\ncompression = none\nvolume-size = 0\n"
#define SEED "seed = 0123456789abcdef\n"

static const struct {
	const char *text;
	int error;
} configs[] = {
	{HEAD SEED "digest = xxh3\n", 0},
	{"# remark\n\n" HEAD SEED "  digest=xxh3  \n# end", 0},
	{HEAD SEED "digest = sha256\n", 0},
	{HEAD SEED "digest = sha512\n", REEL_EVERSION},
	{HEAD SEED "colour = blue\n", REEL_EVERSION},
	{HEAD SEED "media = /dev/nst0\n", REEL_EVERSION},
	{HEAD SEED "format = 2\n", REEL_EVERSION},
	{HEAD SEED "format = one\n", REEL_EVERSION},
	{HEAD SEED "compression = zstd:40\n", REEL_EINVAL},
	{HEAD SEED "volume-size = -1\n", REEL_EINVAL},
	{HEAD SEED "volume-size = 1x\n", REEL_EINVAL},
	{HEAD SEED "volume-size = 99999999999999999999\n", REEL_EINVAL},
	{HEAD SEED "volume-size =\n", REEL_EINVAL},
	{HEAD SEED "seed = xyz\n", REEL_EINVAL},
	{HEAD SEED "seed = \n", REEL_EINVAL},
	{HEAD SEED "seed = 1123456789abcdef0\n", REEL_EINVAL},
	{HEAD SEED "uuid = 1\n", REEL_EINVAL},
	{HEAD SEED "first-cartridge = 1\n", 0},
	{HEAD SEED "first-cartridge = 100001\n", 0},
	{HEAD SEED "first-cartridge = 0\n", REEL_EINVAL},
	{HEAD SEED "first-cartridge = 2\n", REEL_EINVAL},
	{HEAD SEED "first-cartridge = 1000001\n", REEL_EINVAL},
	{HEAD SEED "first-cartridge = 4295067297\n", REEL_EINVAL},
	{HEAD SEED "nothing\n", REEL_EINVAL},
	{HEAD, REEL_EINVAL},
	{"", REEL_EINVAL},
	{"format = 1\n", REEL_EINVAL},
	{"name = x\nformat = 1\n" SEED, REEL_EINVAL},
	{"\xff\xfe=\x01", REEL_EVERSION},
};

static void formats(void)
{
	CU_ASSERT_EQUAL_FATAL(create("conf"), 0);
	for (size_t n = 0; n < sizeof(configs) / sizeof(*configs); n++) {
		struct set *s;
		int error;

		write_config("conf", configs[n].text);
		error = open_set("conf", SET_READ, &s);
		CU_ASSERT_EQUAL(error, configs[n].error);
		if (error != configs[n].error)
			fprintf(stderr, "%s\n", configs[n].text);
		if (!error)
			CU_ASSERT_EQUAL(s->config.seed,
					UINT64_C(0x0123456789abcdef));
		set_close(s);
	}
}

/* Readers never mind the lock; a second writer is told. */
static void locks(void)
{
	struct set *s, *other, *reader;
	int status = -1;
	pid_t child;

	CU_ASSERT_EQUAL_FATAL(create("lock me"), 0);
	CU_ASSERT_EQUAL_FATAL(open_set("lock me", SET_WRITE, &s), 0);
	CU_ASSERT(s->lock >= 0);
	CU_ASSERT_EQUAL(open_set("lock me", SET_WRITE, &other), REEL_ELOCKED);
	CU_ASSERT_EQUAL_FATAL(open_set("lock me", SET_READ, &reader), 0);
	set_close(reader);
	child = fork();
	if (child == 0)
		_exit(open_set("lock me", SET_WRITE, &other) == REEL_ELOCKED
			      ? 0
			      : 1);
	CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
	CU_ASSERT_EQUAL(status, 0);
	set_close(s);
	CU_ASSERT_EQUAL_FATAL(open_set("lock me", SET_WRITE, &s), 0);
	set_close(s);
}

/* Waits until the other is done. */
static void waiting(void)
{
	struct set *s = NULL;
	int ready[2];
	char byte;
	pid_t child;

	CU_ASSERT_EQUAL_FATAL(create("wait"), 0);
	CU_ASSERT_EQUAL_FATAL(pipe(ready), 0);
	child = fork();
	if (child == 0) {
		int error = open_set("wait", SET_WRITE, &s);

		if (write(ready[1], "x", 1) != 1)
			error = -1;
		usleep(100000);
		_exit(error != 0);
	}
	CU_ASSERT_EQUAL(read(ready[0], &byte, 1), 1);
	CU_ASSERT_EQUAL_FATAL(set_open(in_top("wait"), SET_WRITE, true, &s), 0);
	CU_ASSERT_EQUAL(waitpid(child, NULL, WNOHANG) >= 0, 1);
	set_close(s);
	close(ready[0]);
	close(ready[1]);
}

/* A reader needs a catalogue; a writer makes one. */
static void catalogues(void)
{
	struct catalog *c = NULL;
	struct set *s;
	FILE *f;

	CU_ASSERT_EQUAL_FATAL(create("cat"), 0);
	CU_ASSERT_EQUAL_FATAL(open_set("cat", SET_READ, &s), 0);
	CU_ASSERT_EQUAL(catalog_open(s, &c), REEL_ENOENT);
	set_close(s);
	CU_ASSERT_EQUAL_FATAL(open_set("cat", SET_WRITE, &s), 0);
	CU_ASSERT_EQUAL_FATAL(catalog_open(s, &c), 0);
	catalog_close(c);
	set_close(s);
	CU_ASSERT_EQUAL_FATAL(open_set("cat", SET_READ, &s), 0);
	CU_ASSERT_EQUAL(catalog_open(s, &c), 0);
	catalog_close(c);
	catalog_close(NULL);
	f = fopen(in_top("cat/catalog.db"), "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	fputs("no database, whatever it is, but longer than its header is: "
	      "that much is needed for it to be looked at more closely.",
	      f);
	fclose(f);
	unlink(in_top("cat/catalog.db-wal"));
	CU_ASSERT_EQUAL(catalog_open(s, &c), REEL_EDAMAGED);
	set_close(s);
}

static void uuids(void)
{
	static const char *const wrong[] = {
		"",
		"x",
		"01234567-89ab-cdef-0123-456789abcde",
		"01234567-89ab-cdef-0123-456789abcdef0",
		"01234567x89ab-cdef-0123-456789abcdef",
		"01234567-89ab-cdef-0123-456789abcdeg",
		"0 234567-89ab-cdef-0123-456789abcdef",
		"0x234567-89ab-cdef-0123-456789abcdef",
		"+1234567-89ab-cdef-0123-456789abcdef"};
	uint8_t uuid[16];
	char text[37];

	CU_ASSERT_EQUAL(
		set_uuid_parse("01234567-89AB-cdef-0123-456789abcdef", uuid),
		0);
	set_uuid_text(uuid, text);
	CU_ASSERT_STRING_EQUAL(text, "01234567-89ab-cdef-0123-456789abcdef");
	for (size_t n = 0; n < sizeof(wrong) / sizeof(*wrong); n++)
		CU_ASSERT_EQUAL(set_uuid_parse(wrong[n], uuid), REEL_EINVAL);
}

static void sizes(void)
{
	static const struct {
		const char *text;
		uint64_t size;
	} right[] = {{"0", 0},
		     {"12", 12},
		     {"64K", 65536},
		     {"64k", 65536},
		     {"64M", 64 << 20},
		     {"1.5G", UINT64_C(3) << 29},
		     {"1T", UINT64_C(1) << 40},
		     {"2GiB", UINT64_C(2) << 30},
		     {"2MB", 2 << 20}};
	static const char *const wrong[] = {"",	   "K",		"-1",	"1X",
					    "1KK", " 1",	"1 K",	"nan",
					    "inf", "99999999P", "0x10", "1e3"};
	uint64_t size;

	for (size_t n = 0; n < sizeof(right) / sizeof(*right); n++) {
		CU_ASSERT_EQUAL(set_parse_size(right[n].text, &size), 0);
		CU_ASSERT_EQUAL(size, right[n].size);
	}
	for (size_t n = 0; n < sizeof(wrong) / sizeof(*wrong); n++)
		if (set_parse_size(wrong[n], &size) != REEL_EINVAL)
			CU_FAIL(wrong[n]);
}

static void compressions(void)
{
	static const char *const wrong[] = {
		"",	  "zst",     "zstd:", "zstd:0", "zstd:20",
		"zstd:x", "zstd:3x", "zstd3", "nonee",	"zstd:-1"};
	enum compression c;
	int level;

	CU_ASSERT_EQUAL(set_parse_compression("none", &c, &level), 0);
	CU_ASSERT_EQUAL(c, COMPRESSION_NONE);
	CU_ASSERT_EQUAL(set_parse_compression("zstd", &c, &level), 0);
	CU_ASSERT_EQUAL(c, COMPRESSION_ZSTD);
	CU_ASSERT_EQUAL(level, 0);
	CU_ASSERT_EQUAL(set_parse_compression("zstd:19", &c, &level), 0);
	CU_ASSERT_EQUAL(level, 19);
	for (size_t n = 0; n < sizeof(wrong) / sizeof(*wrong); n++)
		CU_ASSERT_EQUAL(set_parse_compression(wrong[n], &c, &level),
				REEL_EINVAL);
}

void suite_set(void);
void suite_set(void)
{
	CU_pSuite s = CU_add_suite("set", begin, end);

	CU_add_test(s, "create and open", create_and_open);
	CU_add_test(s, "create, errors", create_errors);
	CU_add_test(s, "odd names", odd_names);
	CU_add_test(s, "open, errors", open_errors);
	CU_add_test(s, "formats", formats);
	CU_add_test(s, "locks", locks);
	CU_add_test(s, "waiting", waiting);
	CU_add_test(s, "catalogues", catalogues);
	CU_add_test(s, "uuids", uuids);
	CU_add_test(s, "sizes", sizes);
	CU_add_test(s, "compressions", compressions);
}
