/* A list of srdelayed: read, its paths there and back, written as it was. */
#include <string.h>
#include "catalog/beneath.h"
#include "catalog/srdelayed.h"
#include "tape/error.h"
#include "tests/fuzz/fuzz.h"

static const struct srdelayed_map two[] = {{"C:", "c"}, {"D:", ""}};

static void check_path(const struct srdelayed_list *l,
		       const struct srdelayed_text *text)
{
	static const struct srdelayed_maps none = {NULL, 0}, some = {two, 2};
	struct buffer windows = {0}, path = {0}, back = {0};
	int error;

	FUZZ_CHECK(!srdelayed_utf8(l, text, &windows));
	FUZZ_CHECK(!buffer_append(&windows, "", 1));
	FUZZ_CHECK(!srdelayed_put(&back, (char *)windows.data));
	FUZZ_CHECK(back.length == text->length + 2);
	FUZZ_CHECK(!memcmp(back.data, l->data + text->at, back.length));
	back.length = 0;
	error = srdelayed_path_in(&none, (char *)windows.data, &path);
	FUZZ_CHECK(!error || error == REEL_EINVAL);
	FUZZ_CHECK(error ||
		   beneath_path_valid((char *)path.data, path.length - 1));
	path.length = 0;
	error = srdelayed_path_in(&some, (char *)windows.data, &path);
	FUZZ_CHECK(!error || error == REEL_EINVAL || error == REEL_ENOENT);
	if (!error) {
		FUZZ_CHECK(
			beneath_path_valid((char *)path.data, path.length - 1));
		srdelayed_path_out(&some, SRDELAYED_PREFIX, (char *)path.data,
				   &back);
	}
	buffer_release(&windows);
	buffer_release(&path);
	buffer_release(&back);
}

static void check_list(const struct srdelayed_list *l)
{
	struct buffer out = {0};
	const uint32_t status = 0xC0000034;

	if (l->mark)
		FUZZ_CHECK(!buffer_append(&out, "\xff\xfe", 2));
	for (size_t n = 0; n < l->count; n++) {
		const struct srdelayed_record *r = &l->records[n];

		for (int f = 0; f < 4; f++)
			check_path(l, &r->fields[f]);
		FUZZ_CHECK(!srdelayed_put_record(&out, l, r, NULL));
	}
	FUZZ_CHECK(out.length <= l->length);
	FUZZ_CHECK(!out.length || !memcmp(out.data, l->data, out.length));
	FUZZ_CHECK(l->rest >= out.length && l->rest <= l->length);
	for (size_t n = 0; n < l->count; n++)
		FUZZ_CHECK(!srdelayed_put_record(&out, l, &l->records[n],
						 &status));
	buffer_release(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct srdelayed_list l;
	const char *trouble = NULL;
	struct digest digest;
	size_t record = 0;
	int error = srdelayed_parse(data, size, &l, &record, &trouble);

	FUZZ_CHECK(!error || error == REEL_EDAMAGED);
	FUZZ_CHECK(!error || (trouble && record));
	if (error)
		return 0;
	check_list(&l);
	FUZZ_CHECK(!srdelayed_digest(&l, &digest));
	srdelayed_release(&l);
	return 0;
}
