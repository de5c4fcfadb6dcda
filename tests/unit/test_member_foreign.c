/* Archives that others wrote, and damaged ones. */
#include <CUnit/CUnit.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "tape/error.h"
#include "tape/ustar.h"
#include "tests/unit/members.h"

/* ---- what GNU tar writes ---- */

#define BIG_SIZE 1000000

static void write_at(const char *path, const char *text, off_t at)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0640);

	CU_ASSERT_FATAL(fd >= 0);
	CU_ASSERT_EQUAL_FATAL(pwrite(fd, text, strlen(text), at),
			      (ssize_t)strlen(text));
	close(fd);
}

/* Files in a fresh directory, which is entered. */
static void make_tree(char *top)
{
	static const struct timespec old[2] = {{-86400, 0}, {-86400, 0}};
	char deep[180];

	strcpy(top, "/tmp/reel-member-XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(top));
	CU_ASSERT_EQUAL_FATAL(chdir(top), 0);
	write_at("file", "hello", 0);
	CU_ASSERT_EQUAL_FATAL(chmod("file", 0640), 0);
	CU_ASSERT_EQUAL_FATAL(link("file", "hard"), 0);
	CU_ASSERT_EQUAL_FATAL(symlink("to/where", "soft"), 0);
	CU_ASSERT_EQUAL_FATAL(mkfifo("fifo", 0600), 0);
	CU_ASSERT_EQUAL_FATAL(mkdir("sub", 0755), 0);
	write_at("old", "", 0);
	CU_ASSERT_EQUAL_FATAL(utimensat(AT_FDCWD, "old", old, 0), 0);
	write_at("sparse", "abc", 0);
	write_at("sparse", "def", 500000);
	CU_ASSERT_EQUAL_FATAL(truncate("sparse", BIG_SIZE), 0);
	write_at("hole", "", 0);
	CU_ASSERT_EQUAL_FATAL(truncate("hole", BIG_SIZE), 0);
	memset(deep, 'd', sizeof(deep));
	memcpy(deep, "sub/\xc3\xa4\xff", 7);
	deep[sizeof(deep) - 1] = '\0';
	write_at(deep, "deep", 0);
}

static void remove_tree(const char *top)
{
	char command[100];

	CU_ASSERT_EQUAL(chdir("/"), 0);
	snprintf(command, sizeof(command), "rm -rf %s", top);
	CU_ASSERT_EQUAL(system(command), 0);
}

/* `tar OPTIONS` of the present directory's files, into *out. */
static void run_tar(const char *options, struct buffer *out)
{
	char command[400];
	FILE *f;
	size_t n;

	snprintf(command, sizeof(command), "tar -b 2 --sort=name %s -cf - %s",
		 options, strstr(options, "=v7") ? "file hard soft sub" : ".");
	f = popen(command, "r");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	do {
		CU_ASSERT_EQUAL_FATAL(buffer_reserve(out, 65536), 0);
		n = fread(out->data + out->length, 1, 65536, f);
		out->length += n;
	} while (n);
	CU_ASSERT_EQUAL(pclose(f), 0);
}

static int find(struct member_decoder *d, const char *path, struct member *m)
{
	int more;

	while ((more = member_next(d, m)) == 1)
		if (members_path_is(m, path))
			return 1;
	return more;
}

static bool finds(const struct buffer *b, const char *path,
		  struct members_input *i, struct member_decoder **d,
		  struct member *m)
{
	member_decoder_free(*d);
	*d = members_decoder(i, b);
	return find(*d, path, m) == 1;
}

static void check_tree(const struct buffer *b, bool old)
{
	struct member_decoder *d = NULL;
	struct members_input i;
	struct member m;
	char text[10];
	int damaged;

	CU_ASSERT(members_walk(b, &damaged) >= 4);
	CU_ASSERT_EQUAL(damaged, 0);
	CU_ASSERT_FATAL(finds(b, "file", &i, &d, &m));
	CU_ASSERT_EQUAL(m.type, MEMBER_FILE);
	CU_ASSERT_EQUAL(m.mode, 0640);
	CU_ASSERT_EQUAL(m.size, 5);
	CU_ASSERT_EQUAL(member_data(d, text, sizeof(text)), 5);
	CU_ASSERT_EQUAL(memcmp(text, "hello", 5), 0);
	CU_ASSERT_EQUAL(m.uid, old ? 5 : 3000000);
	CU_ASSERT_FATAL(finds(b, "hard", &i, &d, &m));
	CU_ASSERT_EQUAL(m.type, MEMBER_LINK);
	CU_ASSERT(members_same_text(m.link, m.link_length, "file", 4));
	CU_ASSERT_FATAL(finds(b, "soft", &i, &d, &m));
	CU_ASSERT_EQUAL(m.type, MEMBER_SYMLINK);
	CU_ASSERT(members_same_text(m.link, m.link_length, "to/where", 8));
	CU_ASSERT_FATAL(finds(b, "sub", &i, &d, &m));
	CU_ASSERT_EQUAL(m.type, MEMBER_DIRECTORY);
	member_decoder_free(d);
}

static void check_old_time(const struct buffer *b)
{
	struct member_decoder *d = NULL;
	struct members_input i;
	struct member m;

	CU_ASSERT_FATAL(finds(b, "old", &i, &d, &m));
	CU_ASSERT_EQUAL(m.mtime.tv_sec, -86400);
	CU_ASSERT_EQUAL(m.mtime.tv_nsec, 0);
	member_decoder_free(d);
}

static void check_deep(const struct buffer *b)
{
	char deep[180];
	struct member_decoder *d = NULL;
	struct members_input i;
	struct member m;

	memset(deep, 'd', sizeof(deep));
	memcpy(deep, "sub/\xc3\xa4\xff", 7);
	deep[sizeof(deep) - 1] = '\0';
	CU_ASSERT_FATAL(finds(b, deep, &i, &d, &m));
	CU_ASSERT_EQUAL(m.size, 4);
	member_decoder_free(d);
}

static void foreign(void)
{
	static const char owner[] = "--owner=o:3000000 --group=g:3000001";
	char top[40], options[200];
	struct buffer b = {0};

	make_tree(top);
	snprintf(options, sizeof(options), "--format=gnu %s", owner);
	run_tar(options, &b);
	check_tree(&b, false);
	check_old_time(&b);
	check_deep(&b);
	b.length = 0;
	snprintf(options, sizeof(options), "--format=pax %s", owner);
	run_tar(options, &b);
	check_tree(&b, false);
	check_old_time(&b);
	check_deep(&b);
	b.length = 0;
	run_tar("--format=ustar --owner=o:5 --exclude=old --exclude=ddd*"
		" --exclude=sub/*",
		&b);
	check_tree(&b, true);
	b.length = 0;
	run_tar("--format=v7 --owner=o:5 --no-recursion", &b);
	check_tree(&b, true);
	buffer_release(&b);
	remove_tree(top);
}

static void check_sparse(const struct buffer *b)
{
	struct member_decoder *d = NULL;
	struct members_input i;
	struct member m;
	struct sparse_run *last;
	char *text = calloc(1, BIG_SIZE);
	int64_t n;

	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	CU_ASSERT_FATAL(finds(b, "sparse", &i, &d, &m));
	CU_ASSERT(m.sparse);
	CU_ASSERT_EQUAL(m.size, BIG_SIZE);
	CU_ASSERT_EQUAL_FATAL(m.run_count, 2);
	last = (struct sparse_run *)&m.runs[1];
	CU_ASSERT_EQUAL(m.runs[0].offset, 0);
	CU_ASSERT(last->offset <= 500000 &&
		  last->offset + last->length >= 500003);
	n = member_data(d, text, BIG_SIZE);
	CU_ASSERT_EQUAL(n, (int64_t)(m.runs[0].length + last->length));
	CU_ASSERT_EQUAL(memcmp(text, "abc", 4), 0);
	CU_ASSERT_EQUAL(
		memcmp(text + m.runs[0].length + (500000 - last->offset), "def",
		       3),
		0);
	CU_ASSERT_FATAL(finds(b, "hole", &i, &d, &m));
	CU_ASSERT(m.sparse);
	CU_ASSERT_EQUAL(m.size, BIG_SIZE);
	CU_ASSERT_EQUAL(m.run_count, 0);
	CU_ASSERT_EQUAL(member_data(d, text, BIG_SIZE), 0);
	member_decoder_free(d);
	free(text);
}

static void foreign_sparse(void)
{
	static const char *const versions[] = {"0.0", "0.1", "1.0"};
	char top[40], options[100];
	struct buffer b = {0};
	int damaged;

	make_tree(top);
	for (int n = 0; n < 3; n++) {
		snprintf(options, sizeof(options),
			 "--format=pax --hole-detection=raw "
			 "--sparse-version=%s",
			 versions[n]);
		b.length = 0;
		run_tar(options, &b);
		CU_ASSERT(members_walk(&b, &damaged) > 5);
		CU_ASSERT_EQUAL(damaged, 0);
		check_sparse(&b);
	}
	buffer_release(&b);
	remove_tree(top);
}

/* ---- headers made by hand ---- */

static void put_number(char *field, size_t size, uint64_t value)
{
	snprintf(field, size, "%0*llo", (int)size - 1,
		 (unsigned long long)value);
}

static void put_header(struct buffer *out, struct ustar *h)
{
	snprintf(h->checksum, sizeof(h->checksum), "%06o", ustar_checksum(h));
	CU_ASSERT_EQUAL_FATAL(buffer_append(out, h, sizeof(*h)), 0);
}

static struct ustar header_of(char type, const char *name, uint64_t size)
{
	struct ustar h;

	ustar_init(&h);
	h.type = type;
	strcpy(h.name, name);
	put_number(h.mode, sizeof(h.mode), 0644);
	put_number(h.size, sizeof(h.size), size);
	return h;
}

static void put_extended(struct buffer *out, char type, const char *data,
			 size_t length)
{
	struct ustar h = header_of(type, "x", length);

	put_header(out, &h);
	CU_ASSERT_EQUAL_FATAL(buffer_append(out, data, length), 0);
	CU_ASSERT_EQUAL_FATAL(buffer_append_zeros(out, member_padding(length)),
			      0);
}

/* Numbers in base 256: sizes beyond octal, times before 1970. */
static void base_256(void)
{
	struct buffer b = {0};
	struct ustar h = header_of('0', "big", 0);
	struct member m;
	struct members_input i;
	struct member_decoder *d;

	memcpy(h.size, "\x80\0\0\0\0\0\0\x03\0\0\0\x07", 12);
	memset(h.mtime, 0xff, 12);
	h.mtime[11] = (char)0xfe;
	memcpy(h.uid, "\x80\0\0\0\xff\xff\xff\xff", 8);
	put_header(&b, &h);
	d = members_decoder(&i, &b);
	CU_ASSERT_EQUAL_FATAL(member_next(d, &m), 1);
	CU_ASSERT_EQUAL(m.size, (UINT64_C(3) << 32) + 7);
	CU_ASSERT_EQUAL(m.mtime.tv_sec, -2);
	CU_ASSERT_EQUAL(m.uid, UINT32_MAX);
	CU_ASSERT_EQUAL(member_next(d, &m), REEL_EDAMAGED);
	CU_ASSERT_EQUAL(member_next(d, &m), 0);
	member_decoder_free(d);
	/* below zero is nothing that a size can be */
	memset(h.size, 0xff, 12);
	b.length = 0;
	put_header(&b, &h);
	d = members_decoder(&i, &b);
	CU_ASSERT_EQUAL(member_next(d, &m), REEL_EDAMAGED);
	member_decoder_free(d);
	buffer_release(&b);
}

/* Sums of signed bytes, blanks in numbers, a slash for a directory. */
static void old_headers(void)
{
	struct buffer b = {0};
	struct ustar h = header_of('\0', "d\xff/", 0);
	const signed char *bytes = (const signed char *)&h;
	struct member m;
	struct members_input i;
	struct member_decoder *d;
	int sum = 0;

	memset(h.magic, 0, 8);
	strcpy(h.prefix, "junk");
	memcpy(h.uid, "    7  \0", 8);
	memset(h.checksum, ' ', 8);
	for (size_t n = 0; n < sizeof(h); n++)
		sum += bytes[n];
	snprintf(h.checksum, 8, "%06o", (unsigned)sum);
	CU_ASSERT_EQUAL_FATAL(buffer_append(&b, &h, sizeof(h)), 0);
	d = members_decoder(&i, &b);
	CU_ASSERT_EQUAL_FATAL(member_next(d, &m), 1);
	CU_ASSERT_EQUAL(m.type, MEMBER_DIRECTORY);
	CU_ASSERT(members_path_is(&m, "d\xff"));
	CU_ASSERT_EQUAL(m.uid, 7);
	CU_ASSERT_PTR_NULL(m.owner);
	member_decoder_free(d);
	buffer_release(&b);
}

/* ---- damage ---- */

/* One file of zeros between two of text. */
static void make_three(struct buffer *b)
{
	static const char zeros[5 * MEMBER_BLOCK];
	struct member m = members_plain(MEMBER_FILE, "zeros");

	members_append_file(b, "first", "one");
	m.size = sizeof(zeros);
	m.mtime.tv_nsec = 0;
	members_append(b, &m, zeros);
	members_append_file(b, "third", "three");
	CU_ASSERT_EQUAL_FATAL(buffer_append_zeros(b, 2 * MEMBER_BLOCK), 0);
}

/* Whatever byte of a header is hurt, the members behind it are found; zeros
 * in the data of the lost one are not the end. */
static void lost_headers(void)
{
	struct buffer b = {0};
	struct member_decoder *d = NULL;
	struct members_input i;
	struct member m;
	int damaged;

	make_three(&b);
	CU_ASSERT_EQUAL(members_walk(&b, &damaged), 3);
	CU_ASSERT_EQUAL(damaged, 0);
	for (size_t at = 1024; at < 1536; at++) {
		b.data[at] ^= 0x40;
		d = members_decoder(&i, &b);
		CU_ASSERT_EQUAL_FATAL(member_next(d, &m), 1);
		CU_ASSERT(members_path_is(&m, "first"));
		CU_ASSERT_EQUAL(member_next(d, &m), REEL_EDAMAGED);
		CU_ASSERT_EQUAL_FATAL(member_next(d, &m), 1);
		CU_ASSERT(members_path_is(&m, "third"));
		CU_ASSERT_EQUAL(member_next(d, &m), 0);
		member_decoder_free(d);
		b.data[at] ^= 0x40;
	}
	buffer_release(&b);
}

static void cuts(void)
{
	struct buffer b = {0}, part;
	struct member x = members_plain(MEMBER_FILE, "x");
	int damaged;

	x.mtime.tv_nsec = 5;
	x.size = 3;
	members_append(&b, &x, "abc");
	make_three(&b);
	for (size_t n = 0; n < b.length; n += n % 512 == 510 ? 1 : 17) {
		/* memory of exactly that size, for the sanitizer */
		part = (struct buffer){malloc(n ? n : 1), n, n};
		CU_ASSERT_PTR_NOT_NULL_FATAL(part.data);
		memcpy(part.data, b.data, n);
		CU_ASSERT(members_walk(&part, &damaged) <= 4);
		CU_ASSERT(damaged <= 2);
		buffer_release(&part);
	}
	buffer_release(&b);
}

/* Every byte, three flips each: no crash, no endless loop, never more
 * members than there are. */
static void flips(void)
{
	static const struct sparse_run runs[] = {{0, 3}, {100000, 4}};
	struct member m = members_plain(MEMBER_FILE, "sparse");
	struct buffer b = {0};
	uint8_t masks[] = {1, 0x40, 0xff};
	int damaged;

	m.sparse = true;
	m.runs = runs;
	m.run_count = 2;
	m.size = 200000;
	members_append(&b, &m, "abcdefg");
	make_three(&b);
	for (size_t at = 0; at < b.length; at++)
		for (size_t k = 0; k < sizeof(masks); k++) {
			b.data[at] ^= masks[k];
			CU_ASSERT(members_walk(&b, &damaged) <= 4);
			b.data[at] ^= masks[k];
		}
	buffer_release(&b);
}

static void absurd_sizes(void)
{
	static const char types[] = "0xgLK5";
	struct buffer b = {0};
	int damaged;

	for (const char *t = types; *t; t++) {
		struct ustar h = header_of(*t, "huge", 077777777777);

		b.length = 0;
		put_header(&b, &h);
		members_append_file(&b, "after", "text");
		members_walk(&b, &damaged);
		if (strchr("xgLK", *t))
			CU_ASSERT_EQUAL(members_walk(&b, &damaged), 1);
		memcpy(h.size, "\x80\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff",
		       12);
		b.length = 0;
		put_header(&b, &h);
		members_append_file(&b, "after", "text");
		if (*t == '5')
			continue;
		members_walk(&b, &damaged);
		CU_ASSERT(damaged >= 1);
	}
	buffer_release(&b);
}

static const struct {
	const char *text;
	size_t length;
} bad_records[] = {
#define BAD(s)                                                                 \
	{                                                                      \
		s, sizeof(s) - 1                                               \
	}
	BAD("5 ab=\n"),
	BAD("0 a=b\n"),
	BAD("99999999999999999999999 a=b\n"),
	BAD("7 a=b\n"),
	BAD("7 ab=\n"),
	BAD(" a=b\n"),
	BAD("6 a=b\n6"),
	BAD("6\n"),
	BAD("6 aab\n"),
	BAD("12 mtime=1x\n"),
	BAD("11 mtime=-\n"),
	BAD("27 mtime=99999999999999999\n"),
	BAD("10 uid=-1\n"),
	BAD("18 uid=4294967296\n"),
	BAD("28 size=9223372036854775808\n"),
	BAD("12 path=a\0b\n"),
	BAD("25 GNU.sparse.map=5,5,4,\n"),
	BAD("26 GNU.sparse.map=5,5,1,1\n"),
	BAD("29 GNU.sparse.numbytes=99999\n"),
	BAD("22 GNU.sparse.major=2\n"),
	BAD("22 GNU.sparse.major=1\n"),
#undef BAD
};

static void hostile_records(void)
{
	struct buffer b = {0};
	struct member m;

	for (size_t n = 0; n < sizeof(bad_records) / sizeof(*bad_records);
	     n++) {
		struct members_input i;
		struct member_decoder *d;

		b.length = 0;
		put_extended(&b, 'x', bad_records[n].text,
			     bad_records[n].length);
		members_append_file(&b, "after", "");
		d = members_decoder(&i, &b);
		if (member_next(d, &m) != REEL_EDAMAGED)
			CU_FAIL(bad_records[n].text);
		member_decoder_free(d);
	}
	buffer_release(&b);
}

/* Maps inside the data: counts, orders and ends that cannot be. */
static void hostile_maps(void)
{
	static const char *const maps[] = {
		"",
		"\n",
		"1",
		"99999999999\n",
		"1\n5\n",
		"2\n0\n5\n3\n5\n",
		"1\n0\n99\n",
		"1\n18446744073709551615\n5\n",
		"111111111111111111111111111111111\n",
		"x\n",
		"-1\n"};
	static const char records[] = "22 GNU.sparse.major=1\n"
				      "22 GNU.sparse.minor=0\n"
				      "26 GNU.sparse.realsize=10\n";
	struct buffer b = {0};
	struct member m;

	for (size_t n = 0; n < sizeof(maps) / sizeof(*maps); n++) {
		struct ustar h = header_of('0', "s", MEMBER_BLOCK);
		struct members_input i;
		struct member_decoder *d;

		b.length = 0;
		put_extended(&b, 'x', records, sizeof(records) - 1);
		put_header(&b, &h);
		CU_ASSERT_EQUAL(buffer_append(&b, maps[n], strlen(maps[n])), 0);
		CU_ASSERT_EQUAL(
			buffer_append_zeros(&b, MEMBER_BLOCK - strlen(maps[n])),
			0);
		members_append_file(&b, "after", "");
		d = members_decoder(&i, &b);
		CU_ASSERT_EQUAL(member_next(d, &m), REEL_EDAMAGED);
		CU_ASSERT_EQUAL(find(d, "after", &m), 1);
		member_decoder_free(d);
	}
	buffer_release(&b);
}

/* Errors of the source come through; nothing is read in a loop. */
static int64_t no_input(void *context, void *to, size_t length)
{
	(void)to;
	(void)length;
	++*(int *)context;
	return REEL_EIO;
}

static void source_errors(void)
{
	struct member_decoder *d;
	struct member m;
	int calls = 0;

	CU_ASSERT_EQUAL_FATAL(member_decoder_new(no_input, &calls, &d), 0);
	CU_ASSERT_EQUAL(member_next(d, &m), REEL_EIO);
	CU_ASSERT_EQUAL(calls, 1);
	member_decoder_free(d);
	member_decoder_free(NULL);
}

void suite_member_foreign(void);
void suite_member_foreign(void)
{
	CU_pSuite s = CU_add_suite("member_foreign", NULL, NULL);

	CU_add_test(s, "GNU tar", foreign);
	CU_add_test(s, "GNU tar, sparse", foreign_sparse);
	CU_add_test(s, "base 256", base_256);
	CU_add_test(s, "old headers", old_headers);
	CU_add_test(s, "lost headers", lost_headers);
	CU_add_test(s, "cuts", cuts);
	CU_add_test(s, "flips", flips);
	CU_add_test(s, "absurd sizes", absurd_sizes);
	CU_add_test(s, "hostile records", hostile_records);
	CU_add_test(s, "hostile maps", hostile_maps);
	CU_add_test(s, "source errors", source_errors);
}
