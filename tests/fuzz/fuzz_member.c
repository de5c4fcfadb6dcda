/* An archive of arbitrary bytes. What is understood is written anew and must
 * be understood as the same. */
#include <string.h>
#include "tape/error.h"
#include "tape/member.h"
#include "tape/xattrs.h"
#include "tests/fuzz/fuzz.h"

struct input {
	const uint8_t *data;
	size_t length;
	size_t at;
};

static int64_t read_input(void *context, void *to, size_t length)
{
	struct input *i = context;
	size_t n = i->length - i->at < length ? i->length - i->at : length;

	if (n)
		memcpy(to, i->data + i->at, n);
	i->at += n;
	return (int64_t)n;
}

static int same(const void *a, size_t an, const void *b, size_t bn)
{
	return an == bn && (!an || !memcmp(a, b, an));
}

static void check_again(const struct member *m, struct buffer *b)
{
	struct input i = {b->data, b->length, 0};
	struct member_decoder *d;
	struct member n;

	if (member_decoder_new(read_input, &i, &d))
		return;
	FUZZ_CHECK(member_next(d, &n) == 1);
	FUZZ_CHECK(n.type == m->type);
	FUZZ_CHECK(same(n.path, n.path_length, m->path, m->path_length));
	FUZZ_CHECK(same(n.link, n.link_length, m->link, m->link_length));
	FUZZ_CHECK(
		same(n.xattrs, n.xattrs_length, m->xattrs, m->xattrs_length));
	FUZZ_CHECK(same(n.comment, n.comment_length, m->comment,
			m->comment_length));
	FUZZ_CHECK(n.uid == m->uid && n.gid == m->gid && n.mode == m->mode);
	FUZZ_CHECK(n.size == m->size);
	FUZZ_CHECK(n.mtime.tv_sec == m->mtime.tv_sec);
	FUZZ_CHECK(n.mtime.tv_nsec == m->mtime.tv_nsec);
	FUZZ_CHECK(n.run_count == m->run_count);
	member_decoder_free(d);
}

static void check_member(const struct member *from)
{
	struct member m = *from;
	struct buffer b = {0};
	size_t map_bytes;

	FUZZ_CHECK(!memchr(m.path, '\0', m.path_length));
	FUZZ_CHECK(!m.path_length || m.path[0] != '/');
	FUZZ_CHECK(!m.path_length || m.path[m.path_length - 1] != '/');
	FUZZ_CHECK(m.size <= INT64_MAX && m.stored <= INT64_MAX);
	FUZZ_CHECK(m.mtime.tv_nsec >= 0 && m.mtime.tv_nsec < 1000000000);
	FUZZ_CHECK(m.xattrs_length <= XATTR_SET_LIMIT);
	if (!member_encode(&m, &b, &map_bytes))
		check_again(&m, &b);
	buffer_release(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input i = {data, size, 0};
	struct member_decoder *d;
	struct member m;
	size_t calls = 0;
	uint8_t part[1000];
	int more;

	if (member_decoder_new(read_input, &i, &d))
		return 0;
	while ((more = member_next(d, &m)) != 0) {
		FUZZ_CHECK(calls++ <= size / MEMBER_BLOCK + 2);
		FUZZ_CHECK(more == 1 || more == REEL_EDAMAGED);
		if (more < 0)
			continue;
		FUZZ_CHECK(member_header_offset(d) < member_data_offset(d));
		FUZZ_CHECK(member_data_offset(d) <= size);
		if (m.type != MEMBER_GLOBAL)
			check_member(&m);
		while (calls % 3 && member_data(d, part, sizeof(part)) > 0)
			;
	}
	member_decoder_free(d);
	return 0;
}
