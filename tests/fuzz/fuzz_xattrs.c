/* A packed set of arbitrary bytes: what is read is packed to the same. */
#include <string.h>
#include "tape/error.h"
#include "tape/xattrs.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct xattr_cursor c = xattr_cursor(data, size);
	struct buffer again = {0};
	struct xattr x, found;
	int more;

	while ((more = xattr_next(&c, &x)) == 1) {
		FUZZ_CHECK(x.name_length && x.name_length <= XATTR_NAME_LIMIT);
		FUZZ_CHECK(!memchr(x.name, '\0', x.name_length));
		FUZZ_CHECK(xattr_find(data, size, x.name, x.name_length,
				      &found) == 1);
		FUZZ_CHECK(found.name <= x.name);
		FUZZ_CHECK(!xattr_append(&again, x.name, x.name_length, x.value,
					 x.value_length));
	}
	FUZZ_CHECK(!more || more == REEL_EDAMAGED);
	FUZZ_CHECK(again.length <= size);
	FUZZ_CHECK(!again.length || !memcmp(again.data, data, again.length));
	FUZZ_CHECK(more || again.length == size);
	more = xattr_find(data, size, "user.a", 6, &found);
	FUZZ_CHECK(more <= 1);
	buffer_release(&again);
	return 0;
}
