/* A set.conf of arbitrary bytes. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "catalog/set.h"
#include "tape/error.h"
#include "tests/fuzz/fuzz.h"

static void parse_words(const uint8_t *data, size_t size)
{
	char text[64] = "";
	uint8_t uuid[16];
	enum compression c;
	uint64_t bytes;
	int level;

	if (size)
		memcpy(text, data, size < 63 ? size : 63);
	if (!set_parse_compression(text, &c, &level))
		FUZZ_CHECK(level >= 0 && level <= 19);
	if (!set_parse_size(text, &bytes))
		FUZZ_CHECK(bytes <= INT64_MAX);
	if (!set_uuid_parse(text, uuid))
		FUZZ_CHECK(strlen(text) == 36);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char volumes[128];
	struct set *s = NULL;

	snprintf(volumes, sizeof(volumes), "%s/volumes", fuzz_place());
	mkdir(volumes, 0700);
	fuzz_file("set.conf", data, size);
	if (!set_open(fuzz_place(), SET_READ, false, &s)) {
		FUZZ_CHECK(s->config.name);
		FUZZ_CHECK(strlen(s->reserved) == 14);
		FUZZ_CHECK(s->config.compression <= COMPRESSION_ZSTD);
		set_close(s);
	}
	parse_words(data, size);
	return 0;
}
