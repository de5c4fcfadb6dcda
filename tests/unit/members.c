#include "tests/unit/members.h"

#include <CUnit/CUnit.h>
#include <string.h>
#include "tape/error.h"

static int64_t read_input(void *context, void *to, size_t length)
{
	struct members_input *i = context;
	size_t n = i->length - i->at < length ? i->length - i->at : length;

	if (n)
		memcpy(to, i->data + i->at, n);
	i->at += n;
	return (int64_t)n;
}

struct member_decoder *members_decoder(struct members_input *i,
				       const struct buffer *b)
{
	struct member_decoder *d = NULL;

	*i = (struct members_input){b->data, b->length, 0};
	CU_ASSERT_EQUAL_FATAL(member_decoder_new(read_input, i, &d), 0);
	return d;
}

int members_walk(const struct buffer *b, int *damaged)
{
	size_t calls = 0;
	struct members_input i;
	struct member_decoder *d = members_decoder(&i, b);
	struct member m;
	uint8_t part[777];
	int members = 0, more;

	*damaged = 0;
	while ((more = member_next(d, &m)) != 0) {
		CU_ASSERT_FATAL(calls++ <= b->length / MEMBER_BLOCK + 2);
		if (more < 0) {
			CU_ASSERT_EQUAL(more, REEL_EDAMAGED);
			++*damaged;
			continue;
		}
		members++;
		while (member_data(d, part, sizeof(part)) > 0)
			;
	}
	member_decoder_free(d);
	return members;
}

void members_append(struct buffer *out, struct member *m, const char *data)
{
	size_t map_bytes;

	CU_ASSERT_EQUAL_FATAL(member_encode(m, out, &map_bytes), 0);
	if (!data)
		return;
	CU_ASSERT_EQUAL_FATAL(buffer_append(out, data, m->stored - map_bytes),
			      0);
	CU_ASSERT_EQUAL_FATAL(
		buffer_append_zeros(out, member_padding(m->stored)), 0);
}

void members_append_file(struct buffer *out, const char *path, const char *data)
{
	struct member m = {.type = MEMBER_FILE,
			   .path = path,
			   .path_length = strlen(path),
			   .mode = 0644,
			   .size = strlen(data)};

	members_append(out, &m, data);
}

bool members_same_text(const char *a, size_t an, const char *b, size_t bn)
{
	return an == bn && (!an || !memcmp(a, b, an));
}

bool members_path_is(const struct member *m, const char *path)
{
	return members_same_text(m->path, m->path_length, path, strlen(path));
}

struct member members_plain(enum member_type type, const char *path)
{
	return (struct member){.type = type,
			       .path = path,
			       .path_length = strlen(path),
			       .mode = 0640,
			       .uid = 1000,
			       .gid = 100,
			       .owner = "user",
			       .group = "users",
			       .mtime = {1700000000, 123456789}};
}
