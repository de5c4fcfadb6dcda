#include <CUnit/CUnit.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "tape/error.h"
#include "tape/xattrs.h"
#include "tests/unit/members.h"

static bool same_name(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : !a && !b;
}

static bool same_time(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static void check_member(const struct member *got, const struct member *want)
{
	CU_ASSERT_EQUAL(got->type, want->type);
	CU_ASSERT(members_same_text(got->path, got->path_length, want->path,
				    want->path_length));
	CU_ASSERT(members_same_text(got->link, got->link_length, want->link,
				    want->link_length));
	CU_ASSERT_EQUAL(got->mode, want->mode);
	CU_ASSERT_EQUAL(got->uid, want->uid);
	CU_ASSERT_EQUAL(got->gid, want->gid);
	CU_ASSERT(same_name(got->owner, want->owner));
	CU_ASSERT(same_name(got->group, want->group));
	CU_ASSERT_EQUAL(got->size, want->size);
	CU_ASSERT_EQUAL(got->stored, want->stored);
	CU_ASSERT(same_time(got->mtime, want->mtime));
	CU_ASSERT_EQUAL(got->has_atime, want->has_atime);
	if (want->has_atime)
		CU_ASSERT(same_time(got->atime, want->atime));
	CU_ASSERT_EQUAL(got->major, want->major);
	CU_ASSERT_EQUAL(got->minor, want->minor);
	CU_ASSERT(members_same_text(got->xattrs, got->xattrs_length,
				    want->xattrs, want->xattrs_length));
	CU_ASSERT_EQUAL(!got->comment, !want->comment);
	CU_ASSERT(members_same_text(got->comment, got->comment_length,
				    want->comment, want->comment_length));
	CU_ASSERT_EQUAL(got->sparse, want->sparse);
	CU_ASSERT_EQUAL_FATAL(got->run_count, want->run_count);
	for (size_t n = 0; n < want->run_count; n++) {
		CU_ASSERT_EQUAL(got->runs[n].offset, want->runs[n].offset);
		CU_ASSERT_EQUAL(got->runs[n].length, want->runs[n].length);
	}
}

/* The headers alone, so that a member may claim any size. */
static void round_trip(struct member *m)
{
	struct buffer b = {0};
	struct member got;
	struct members_input i;
	struct member_decoder *d;

	members_append(&b, m, NULL);
	CU_ASSERT_EQUAL(b.length % MEMBER_BLOCK, 0);
	d = members_decoder(&i, &b);
	CU_ASSERT_EQUAL_FATAL(member_next(d, &got), 1);
	check_member(&got, m);
	CU_ASSERT_EQUAL(member_header_offset(d), 0);
	CU_ASSERT_EQUAL(member_data_offset(d), b.length);
	member_decoder_free(d);
	buffer_release(&b);
}

static void types(void)
{
	static const char all[] = "0123456";

	for (const char *t = all; *t; t++) {
		struct member m =
			members_plain((enum member_type) * t, "dir/name");

		if (*t == MEMBER_LINK || *t == MEMBER_SYMLINK) {
			m.link = "some/where";
			m.link_length = 10;
		}
		if (*t == MEMBER_CHARACTER || *t == MEMBER_BLOCK_DEVICE) {
			m.major = 2097151;
			m.minor = 259;
		}
		round_trip(&m);
		m.mode = 07777;
		m.owner = m.group = NULL;
		round_trip(&m);
	}
	struct member copy = members_plain(MEMBER_LINK, "copy");
	copy.link = "x";
	copy.link_length = 1;
	copy.minor = MEMBER_COPY;
	round_trip(&copy);
	struct member root = members_plain(MEMBER_DIRECTORY, "");
	round_trip(&root);
	struct member device = members_plain(MEMBER_CHARACTER, "null");
	struct buffer b = {0};
	size_t map_bytes;
	device.major = 2097152;
	CU_ASSERT_EQUAL(member_encode(&device, &b, &map_bytes), REEL_ERANGE);
	CU_ASSERT_EQUAL(b.length, 0);
	buffer_release(&b);
}

static void global(void)
{
	struct member m = {.type = MEMBER_GLOBAL,
			   .comment = "REEL set\nof \"things\"=1",
			   .comment_length = 22};
	struct buffer b = {0};
	struct member got;
	struct members_input i;
	struct member_decoder *d;

	members_append(&b, &m, NULL);
	members_append_file(&b, "after", "text");
	d = members_decoder(&i, &b);
	CU_ASSERT_EQUAL_FATAL(member_next(d, &got), 1);
	CU_ASSERT_EQUAL(got.type, MEMBER_GLOBAL);
	CU_ASSERT(members_same_text(got.comment, got.comment_length, m.comment,
				    m.comment_length));
	CU_ASSERT_EQUAL_FATAL(member_next(d, &got), 1);
	CU_ASSERT(members_path_is(&got, "after"));
	CU_ASSERT_PTR_NULL(got.comment);
	CU_ASSERT_EQUAL(member_header_offset(d), 2 * MEMBER_BLOCK);
	CU_ASSERT_EQUAL(member_next(d, &got), 0);
	member_decoder_free(d);
	buffer_release(&b);
}

static void fill(char *to, size_t length, const char *pattern)
{
	size_t n = strlen(pattern);

	for (size_t i = 0; i < length; i++)
		to[i] = i % 50 == 49 ? '/' : pattern[i % n];
	to[length - 1] = 'x';
	to[length] = '\0';
}

/* Around every border: of the field, of a record, of a block; and absurd. */
static void names(void)
{
	static const size_t lengths[] = {1,    2,    98,   99,	 100,  101,
					 102,  511,  512,  513,	 1023, 1024,
					 1025, 4096, 5000, 65536};
	static const char *const patterns[] = {"name", "n\xc3\xa4me",
					       "\xff\xfe", "\n=\\ \t"};
	static const char all[] = "0125";
	char *text = malloc(65537);

	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	for (size_t p = 0; p < 4; p++)
		for (size_t n = 0; n < sizeof(lengths) / sizeof(*lengths); n++)
			for (const char *t = all; *t; t++) {
				struct member m;

				fill(text, lengths[n], patterns[p]);
				m = members_plain((enum member_type) * t, text);
				if (*t == MEMBER_LINK || *t == MEMBER_SYMLINK) {
					m.link = text;
					m.link_length = lengths[n];
				}
				round_trip(&m);
			}
	free(text);
}

static void owners(void)
{
	char name[80];
	struct member m = members_plain(MEMBER_FILE, "f");

	for (size_t n = 30; n < 70; n++) {
		memset(name, 'o', n);
		name[n] = '\0';
		m.owner = name;
		m.group = name;
		round_trip(&m);
	}
	m.owner = "\xff\xfe";
	round_trip(&m);
}

static void numbers(void)
{
	static const uint32_t ids[] = {0, 2097151, 2097152, 65536, UINT32_MAX};
	static const uint64_t sizes[] = {0,
					 1,
					 UINT64_C(8589934591),
					 UINT64_C(8589934592),
					 UINT64_C(1) << 40,
					 INT64_MAX};
	struct member m = members_plain(MEMBER_FILE, "f");

	for (size_t n = 0; n < sizeof(ids) / sizeof(*ids); n++) {
		m.uid = ids[n];
		m.gid = ids[sizeof(ids) / sizeof(*ids) - 1 - n];
		round_trip(&m);
	}
	for (size_t n = 0; n < sizeof(sizes) / sizeof(*sizes); n++) {
		m.size = sizes[n];
		round_trip(&m);
	}
}

static void times(void)
{
	static const struct timespec all[] = {{0, 0},
					      {0, 1},
					      {-1, 0},
					      {-1, 1},
					      {-1, 999999999},
					      {-1000000000, 500000000},
					      {-2, 100000000},
					      {8589934591, 999999999},
					      {8589934592, 0},
					      {8589934592, 5},
					      {9223372035, 999999999},
					      {-9223372035, 1}};
	struct member m = members_plain(MEMBER_FILE, "f");

	for (size_t n = 0; n < sizeof(all) / sizeof(*all); n++) {
		m.mtime = all[n];
		m.has_atime = n & 1;
		m.atime = all[(n + 3) % (sizeof(all) / sizeof(*all))];
		round_trip(&m);
	}
}

static void xattrs(void)
{
	static const char *const keys[] = {"security.capability", "user.%3D",
					   "user.100%",		  "user.a=b",
					   "user.b%zz",		  "user.\xff",
					   "user.line\nfeed"};
	struct member m = members_plain(MEMBER_FILE, "f");
	struct buffer set = {0};
	char longest[XATTR_NAME_LIMIT];
	uint8_t *big = malloc(XATTR_VALUE_LIMIT);

	CU_ASSERT_PTR_NOT_NULL_FATAL(big);
	for (size_t n = 0; n < sizeof(keys) / sizeof(*keys); n++)
		CU_ASSERT_EQUAL_FATAL(xattr_append(&set, keys[n],
						   strlen(keys[n]),
						   "\0=\n\xff%", n % 6),
				      0);
	memset(longest, '=', sizeof(longest));
	for (size_t n = 0; n < XATTR_VALUE_LIMIT; n++)
		big[n] = (uint8_t)n;
	CU_ASSERT_EQUAL_FATAL(xattr_append(&set, longest, sizeof(longest), big,
					   XATTR_VALUE_LIMIT),
			      0);
	m.xattrs = set.data;
	m.xattrs_length = set.length;
	m.comment = "REEL x";
	m.comment_length = 6;
	round_trip(&m);
	m.xattrs_length--;
	struct buffer b = {0};
	size_t map_bytes;
	CU_ASSERT_EQUAL(member_encode(&m, &b, &map_bytes), REEL_EDAMAGED);
	CU_ASSERT_EQUAL(b.length, 0);
	buffer_release(&b);
	buffer_release(&set);
	free(big);
}

static void sparse(void)
{
	static const struct sparse_run runs[] = {
		{0, 3}, {4096, 4}, {1 << 20, 5}, {UINT64_C(1) << 40, 1}};
	struct member m = members_plain(MEMBER_FILE, "sparse");

	m.sparse = true;
	m.runs = runs;
	for (size_t n = 0; n <= 4; n++) {
		m.run_count = n;
		m.size = n == 4 ? (UINT64_C(1) << 40) + 1 : UINT64_C(1) << 39;
		round_trip(&m);
	}
}

/* A map longer than a block, and the data behind it. */
static void long_map(void)
{
	struct sparse_run runs[300];
	struct member m = members_plain(MEMBER_FILE, "sparse"), got;
	struct buffer b = {0};
	struct members_input i;
	struct member_decoder *d;
	char text[301], back[400];

	for (unsigned n = 0; n < 300; n++) {
		runs[n] = (struct sparse_run){(uint64_t)n * 5000000, 1};
		text[n] = (char)('a' + n % 26);
	}
	m.sparse = true;
	m.runs = runs;
	m.run_count = 300;
	m.size = UINT64_C(300) * 5000000;
	members_append(&b, &m, text);
	members_append_file(&b, "after", "");
	d = members_decoder(&i, &b);
	CU_ASSERT_EQUAL_FATAL(member_next(d, &got), 1);
	check_member(&got, &m);
	CU_ASSERT_EQUAL(member_data(d, back, sizeof(back)), 300);
	CU_ASSERT_EQUAL(memcmp(back, text, 300), 0);
	CU_ASSERT_EQUAL(member_data(d, back, sizeof(back)), 0);
	CU_ASSERT_EQUAL_FATAL(member_next(d, &got), 1);
	CU_ASSERT(members_path_is(&got, "after"));
	member_decoder_free(d);
	buffer_release(&b);
}

/* All of it or nothing: a list that were read in part would pass for whole. */
static void collected(void)
{
	char text[200001];
	const struct {
		size_t limit;
		int error;
	} cases[] = {{200000, 0},
		     {1u << 30, 0},
		     {199999, REEL_ERANGE},
		     {0, REEL_ERANGE}};
	struct buffer b = {0}, got = {0};

	for (size_t n = 0; n < sizeof(text); n++)
		text[n] = (char)('a' + n % 23);
	text[sizeof(text) - 1] = '\0';
	members_append_file(&b, "list", text);
	members_append_file(&b, "after", "");
	for (size_t n = 0; n < sizeof(cases) / sizeof(*cases); n++) {
		struct member m;
		struct members_input i;
		struct member_decoder *d = members_decoder(&i, &b);

		CU_ASSERT_EQUAL_FATAL(member_next(d, &m), 1);
		CU_ASSERT_EQUAL(member_collect(d, &got, cases[n].limit),
				cases[n].error);
		CU_ASSERT(cases[n].error ||
			  members_same_text(text, sizeof(text) - 1,
					    (char *)got.data, got.length));
		CU_ASSERT_EQUAL_FATAL(member_next(d, &m), 1);
		CU_ASSERT(members_path_is(&m, "after"));
		member_decoder_free(d);
	}
	buffer_release(&got);
	buffer_release(&b);
}

static void formats(void)
{
	static const enum member_type types[] = {
		MEMBER_FILE,	     MEMBER_SYMLINK,   MEMBER_CHARACTER,
		MEMBER_BLOCK_DEVICE, MEMBER_DIRECTORY, MEMBER_FIFO};

	for (size_t n = 0; n < sizeof(types) / sizeof(*types); n++)
		CU_ASSERT_EQUAL(member_type_of(member_format(types[n]) | 0755),
				types[n]);
	CU_ASSERT_EQUAL(member_format(MEMBER_BLOCK_DEVICE), S_IFBLK);
	CU_ASSERT_EQUAL(member_format(MEMBER_LINK), S_IFREG);
}

void suite_member(void);
void suite_member(void)
{
	CU_pSuite s = CU_add_suite("member", NULL, NULL);

	CU_add_test(s, "types", types);
	CU_add_test(s, "global", global);
	CU_add_test(s, "names", names);
	CU_add_test(s, "owners", owners);
	CU_add_test(s, "numbers", numbers);
	CU_add_test(s, "times", times);
	CU_add_test(s, "xattrs", xattrs);
	CU_add_test(s, "sparse", sparse);
	CU_add_test(s, "long map", long_map);
	CU_add_test(s, "collected", collected);
	CU_add_test(s, "formats", formats);
}
