/* A tape image of arbitrary bytes: opened, read to its end, sought in. The
 * first byte chooses what of. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "tape/error.h"
#include "tape/image_conf.h"
#include "tape/tap.h"
#include "tests/fuzz/fuzz.h"

#define ROOM  4096
#define STEPS 4096

static void check_place(const struct tap *t, const struct tap_place *p)
{
	FUZZ_CHECK(p->offset <= t->end.offset);
	FUZZ_CHECK(p->object <= t->end.object);
	FUZZ_CHECK(p->file <= t->end.file);
	FUZZ_CHECK(p->block <= p->object && p->run <= p->block);
}

/* Forward; every place is found again by its number. */
static void read_all(struct tap *t)
{
	static uint8_t data[ROOM];
	struct tap_place p = {0}, found;
	enum tap_object what = TAP_BLOCK;
	uint32_t length;

	for (int n = 0; n < STEPS; n++) {
		int error;

		FUZZ_CHECK(!tap_find_object(t, p.object, &found));
		FUZZ_CHECK(found.object == p.object && found.file == p.file);
		FUZZ_CHECK(found.block == p.block && found.run == p.run);
		error = tap_read(t, &p, data, ROOM, &what, &length);
		if (error == REEL_ERANGE) {
			FUZZ_CHECK(length > ROOM);
			error = tap_step(t, &p, &what);
		}
		FUZZ_CHECK(!error);
		check_place(t, &p);
		if (what == TAP_END || what == TAP_DAMAGE)
			break;
		if (what == TAP_FILEMARK) {
			FUZZ_CHECK(!tap_find_mark(t, p.file - 1, &found));
			FUZZ_CHECK(found.object == p.object - 1);
		}
	}
	FUZZ_CHECK(tap_find_object(t, t->end.object + 1, &found) ==
		   REEL_ENOENT);
	FUZZ_CHECK(tap_find_mark(t, t->end.file, &found) == REEL_ENOENT);
}

/* Writing behind what is there keeps it. */
static void append(struct tap *t)
{
	struct tap_place p = t->end, at;
	enum tap_object what;
	uint32_t length;
	uint8_t data[8];
	int error = tap_write(t, &p, "reel", 4);

	FUZZ_CHECK(!error || error == REEL_EDAMAGED);
	if (error)
		return;
	FUZZ_CHECK(!tap_find_object(t, p.object - 1, &at));
	FUZZ_CHECK(!tap_read(t, &at, data, sizeof(data), &what, &length));
	FUZZ_CHECK(what == TAP_BLOCK && length == 4);
	FUZZ_CHECK(!memcmp(data, "reel", 4));
}

static void image(const uint8_t *data, size_t size, bool repair)
{
	struct tap t;
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	FUZZ_CHECK(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	if (tap_init(&t, fd, repair)) {
		close(fd);
		return;
	}
	read_all(&t);
	append(&t);
	tap_release(&t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct image_conf conf;
	const char *wrong;

	if (!size)
		return 0;
	if (data[0] & 4) {
		image_conf_init(&conf);
		image_conf_parse(&conf, (const char *)data + 1, size - 1,
				 data[0] & 1, &wrong);
		FUZZ_CHECK(conf.partitions >= 1 &&
			   conf.partitions <= DRIVE_PARTITIONS);
		return 0;
	}
	image(data + 1, size - 1, data[0] & 1);
	return 0;
}
