/* A session's index of arbitrary columns, as it would come from a medium:
 * what is unpacked is packed again and then stays the same. */
#include <string.h>
#include <unistd.h>
#include "catalog/index.h"
#include "tape/error.h"
#include "tape/frame.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buffer packed = {0}, again = {0}, third = {0};
	const char *path = fuzz_file("index.db", "", 0);
	int error;

	unlink(path);
	FUZZ_CHECK(!frame_pack(data, size, 1, &packed));
	error = index_unpack(packed.data, packed.length, path);
	FUZZ_CHECK(!error || error == REEL_EDAMAGED || error == REEL_EVERSION ||
		   error == REEL_ERANGE);
	if (!error) {
		FUZZ_CHECK(!index_pack(path, &again));
		unlink(path);
		FUZZ_CHECK(!index_unpack(again.data, again.length, path));
		FUZZ_CHECK(!index_pack(path, &third));
		FUZZ_CHECK(again.length == third.length &&
			   !memcmp(again.data, third.data, third.length));
	}
	unlink(path);
	index_unpack(data, size, path);
	unlink(path);
	buffer_release(&packed);
	buffer_release(&again);
	buffer_release(&third);
	return 0;
}
