/* What a cartridge says of itself: labels and tables, taken apart and made
 * again. */
#include <stdlib.h>
#include <string.h>
#include "tape/cartridge.h"
#include "tape/error.h"
#include "tests/fuzz/fuzz.h"

static void label(const uint8_t *data, size_t size)
{
	struct cartridge_label l, again;
	struct buffer b = {0};
	int error = cartridge_label_decode(data, size, &l);

	FUZZ_CHECK(!error || error == REEL_ENOENT || error == REEL_EDAMAGED ||
		   error == REEL_EVERSION);
	if (error)
		return;
	FUZZ_CHECK(!cartridge_label_encode(&l, &b));
	FUZZ_CHECK(!cartridge_label_decode(b.data, b.length, &again));
	FUZZ_CHECK(!memcmp(l.uuid, again.uuid, 16));
	FUZZ_CHECK(!strcmp(l.set_name, again.set_name));
	cartridge_label_release(&again);
	cartridge_label_release(&l);
	buffer_release(&b);
}

static void table(const uint8_t *data, size_t size)
{
	struct cartridge_table t, again;
	struct buffer b = {0};
	int error = cartridge_table_decode(data, size, &t);

	FUZZ_CHECK(!error || error == REEL_ENOENT || error == REEL_EDAMAGED ||
		   error == REEL_EVERSION);
	if (error)
		return;
	FUZZ_CHECK(t.cartridge_count > 0);
	FUZZ_CHECK(!cartridge_table_encode(&t, &b));
	FUZZ_CHECK(!cartridge_table_decode(b.data, b.length, &again));
	FUZZ_CHECK(t.place_count == again.place_count);
	cartridge_table_release(&again);
	cartridge_table_release(&t);
	buffer_release(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	label(data, size);
	table(data, size);
	return 0;
}
