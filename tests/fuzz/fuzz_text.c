/* Any name escaped and back; any text as if it were escaped. */
#include <stdlib.h>
#include <string.h>
#include "tape/error.h"
#include "tape/text.h"
#include "tests/fuzz/fuzz.h"

static int same(const struct buffer *b, const void *data, size_t size)
{
	return b->length == size && (!size || !memcmp(b->data, data, size));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buffer line = {0}, back = {0};
	char *name = text_name(data, size);
	int error;

	FUZZ_CHECK(!text_escape(&line, data, size));
	FUZZ_CHECK(!line.length || !memchr(line.data, '\n', line.length));
	FUZZ_CHECK(!line.length || !memchr(line.data, '\0', line.length));
	FUZZ_CHECK(!text_unescape(&back, (char *)line.data, line.length));
	FUZZ_CHECK(same(&back, data, size));
	FUZZ_CHECK(name && strlen(name) == line.length);
	free(name);
	back.length = line.length = 0;
	error = text_unescape(&back, (const char *)data, size);
	FUZZ_CHECK(!error || error == REEL_EDAMAGED);
	FUZZ_CHECK(!error || !back.length);
	if (!error) {
		struct buffer again = {0};

		FUZZ_CHECK(!text_escape(&line, back.data, back.length));
		FUZZ_CHECK(
			!text_unescape(&again, (char *)line.data, line.length));
		FUZZ_CHECK(same(&again, back.data, back.length));
		buffer_release(&again);
	}
	buffer_release(&line);
	buffer_release(&back);
	return 0;
}
