/* A block that says it is a session's end; and any end there can be. */
#include <string.h>
#include "tape/error.h"
#include "tape/trailer.h"
#include "tests/fuzz/fuzz.h"

static void round_trip(const uint8_t *data, size_t size)
{
	uint8_t block[TRAILER_SIZE], again[TRAILER_SIZE];
	struct trailer t, got;

	memset(&t, 0, sizeof(t));
	memcpy(&t, data, size < sizeof(t) ? size : sizeof(t));
	trailer_encode(&t, block);
	FUZZ_CHECK(!trailer_decode(block, &got));
	trailer_encode(&got, again);
	FUZZ_CHECK(!memcmp(block, again, TRAILER_SIZE));
	if (size > sizeof(t) + 2 && data[size - 1]) {
		size_t at = data[size - 2] + 256u * (data[size - 3] & 1);

		block[at] ^= data[size - 1];
		FUZZ_CHECK(trailer_decode(block, &got) < 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t block[TRAILER_SIZE], again[TRAILER_SIZE];
	struct trailer t;
	int error;

	memset(block, '\n', sizeof(block));
	if (size)
		memcpy(block, data,
		       size < sizeof(block) ? size : sizeof(block));
	error = trailer_decode(block, &t);
	FUZZ_CHECK(!error || error == REEL_EDAMAGED || error == REEL_EVERSION);
	if (!error) {
		trailer_encode(&t, again);
		FUZZ_CHECK(!memcmp(block, again, TRAILER_SIZE));
	}
	round_trip(data, size);
	return 0;
}
