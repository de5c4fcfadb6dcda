#include <CUnit/CUnit.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "tape/cartridge.h"
#include "tape/error.h"
#include "tape/station.h"
#include "tape/stop.h"

#define IMAGES 4

static char directory[] = "/tmp/reel-station.XXXXXX";
static char path[IMAGES][64]; /* the last one is a link in some tests */
static const char *const names[IMAGES] = {path[0], path[1], path[2], path[3]};

static int begin(void)
{
	if (!mkdtemp(directory))
		return -1;
	for (int n = 0; n < IMAGES; n++)
		snprintf(path[n], sizeof(path[n]), "%s/%d.tap", directory, n);
	return 0;
}

static int clean(void)
{
	for (int n = 0; n < IMAGES; n++) {
		char conf[128];

		snprintf(conf, sizeof(conf), "%.60s.conf", path[n]);
		unlink(path[n]);
		unlink(conf);
	}
	return 0;
}

static int end(void)
{
	clean();
	return rmdir(directory);
}

static struct cartridge_label label(uint8_t number)
{
	static char set_name[] = "daily";
	struct cartridge_label l = {
		.set = {7},
		.uuid = {number, 1},
		.number = number,
		.block_size = CARTRIDGE_BLOCK,
		.set_name = set_name,
	};

	cartridge_make_name("daily", number, l.name);
	snprintf(l.barcode, sizeof(l.barcode), "REEL%02uL8", number);
	return l;
}

/* An image with these bytes as tape file 0; none: blank. */
static void make_image(int n, const void *data, size_t length)
{
	const struct drive_options o = {.create = true};
	struct drive *d;

	unlink(path[n]);
	CU_ASSERT_EQUAL_FATAL(drive_open(path[n], &o, &d), 0);
	if (length) {
		CU_ASSERT_EQUAL(drive_write(d, data, length, NULL), 0);
		CU_ASSERT_EQUAL(drive_mark(d, DRIVE_MARK_FILE, 1, false, NULL),
				0);
	}
	CU_ASSERT_EQUAL(drive_close(d), 0);
}

static void make_cartridge(int n, uint8_t number)
{
	const struct cartridge_label l = label(number);
	struct buffer b = {0};

	CU_ASSERT_EQUAL_FATAL(cartridge_label_encode(&l, &b), 0);
	make_image(n, b.data, b.length);
	buffer_release(&b);
}

static struct station *with(size_t drives, unsigned timeout)
{
	const struct station_options o = {
		.drives = names, .drive_count = drives, .timeout = timeout};
	struct station *s = NULL;

	CU_ASSERT_EQUAL_FATAL(station_open(&o, &s), 0);
	return s;
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int get(struct station *s, uint8_t number, struct drive **d)
{
	const struct cartridge_label l = label(number);

	return station_get(s, &l, NULL, d);
}

static void gives_the_wanted_one(void)
{
	struct drive *one = NULL, *two = NULL;
	struct station *s;

	make_cartridge(0, 1);
	make_cartridge(1, 2);
	s = with(2, 0);
	CU_ASSERT_EQUAL_FATAL(get(s, 2, &two), 0);
	CU_ASSERT_STRING_EQUAL(drive_name(two), path[1]);
	CU_ASSERT_EQUAL_FATAL(get(s, 1, &one), 0); /* both at once */
	CU_ASSERT_STRING_EQUAL(drive_name(one), path[0]);
	station_put(s, one);
	station_put(s, two);
	CU_ASSERT_EQUAL(get(s, 3, &one), REEL_EMEDIUM);
	station_close(s);
	clean();
}

static void begins_only_blank_or_named(void)
{
	char barcode[CARTRIDGE_BARCODE];
	struct station_item *items = NULL;
	struct drive *d = NULL;
	struct station *s;
	char name[CARTRIDGE_NAME] = "";
	size_t count = 0;

	make_cartridge(0, 1);
	make_image(1, "somebody's data", 16);
	s = with(2, 0);
	CU_ASSERT_EQUAL(station_get_blank(s, NULL, NULL, &d, barcode),
			REEL_EMEDIUM);
	CU_ASSERT_EQUAL(station_get_blank(s, "daily-0002", NULL, &d, barcode),
			REEL_EMEDIUM);
	CU_ASSERT_EQUAL_FATAL(
		station_get_blank(s, "daily-0001", NULL, &d, barcode), 0);
	CU_ASSERT_STRING_EQUAL(drive_name(d), path[0]);
	station_put(s, d);
	CU_ASSERT_EQUAL_FATAL(station_list(s, &items, &count), 0);
	CU_ASSERT_EQUAL_FATAL(count, 2);
	CU_ASSERT_STRING_EQUAL(items[0].name, "daily-0001");
	CU_ASSERT_EQUAL(strncmp(items[1].name, "foreign-", 8), 0);
	memcpy(name, items[1].name, sizeof(name));
	free(items);
	CU_ASSERT_EQUAL_FATAL(station_get_blank(s, name, NULL, &d, barcode), 0);
	CU_ASSERT_STRING_EQUAL(drive_name(d), path[1]);
	station_put(s, d);
	station_close(s);
	clean();
}

static void passes_over_protected(void)
{
	char barcode[CARTRIDGE_BARCODE], conf[128];
	struct drive *d = NULL;
	struct station *s;
	FILE *f;

	make_image(0, NULL, 0);
	make_image(1, NULL, 0);
	snprintf(conf, sizeof(conf), "%.60s.conf", path[0]);
	f = fopen(conf, "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	fputs("protected yes\n", f);
	fclose(f);
	s = with(1, 0);
	CU_ASSERT_EQUAL(station_get_blank(s, NULL, NULL, &d, barcode),
			REEL_EMEDIUM);
	station_close(s);
	s = with(2, 0);
	CU_ASSERT_EQUAL_FATAL(station_get_blank(s, NULL, NULL, &d, barcode), 0);
	CU_ASSERT_STRING_EQUAL(drive_name(d), path[1]);
	station_put(s, d);
	station_close(s);
	clean();
}

/* ---- waits ---- */

struct waiter {
	struct station *station;
	uint8_t number;
	volatile int stop;
	int error;
	struct drive *drive;
	int64_t took; /* ms */
};

static void *wait_for(void *context)
{
	struct waiter *w = context;
	const struct cartridge_label l = label(w->number);
	int64_t began = now_ms();

	w->error = station_get(w->station, &l, &w->stop, &w->drive);
	w->took = now_ms() - began;
	return NULL;
}

static void sleep_ms(unsigned ms)
{
	usleep(ms * 1000);
}

static void held_drives_are_left_alone(void)
{
	struct waiter w = {.number = 1};
	struct drive *d = NULL;
	pthread_t t;

	make_cartridge(0, 1);
	w.station = with(1, 0);
	CU_ASSERT_EQUAL_FATAL(get(w.station, 1, &d), 0);
	CU_ASSERT_FALSE(station_is_wanted(w.station));
	pthread_create(&t, NULL, wait_for, &w);
	sleep_ms(300);
	CU_ASSERT_TRUE(station_is_wanted(w.station));
	station_put(w.station, d);
	pthread_join(t, NULL);
	CU_ASSERT_EQUAL_FATAL(w.error, 0);
	CU_ASSERT_TRUE(w.took >= 250 && w.took < 2000);
	station_put(w.station, w.drive);
	station_close(w.station);
	clean();
}

struct taking {
	struct station *station;
	uint8_t number;
	int refused;
};

static void *take_often(void *context)
{
	struct taking *t = context;
	struct drive *d;

	for (int n = 0; n < 500; n++) {
		if (get(t->station, t->number, &d))
			t->refused++;
		else
			station_put(t->station, d);
	}
	return NULL;
}

/* Who looked elsewhere while somebody else looked into the right drive was told
 * that the cartridge is needed, and gave up. */
static void lying_ready_is_never_refused(void)
{
	struct taking t[3];
	pthread_t threads[3];
	struct station *s;

	for (uint8_t n = 0; n < 3; n++)
		make_cartridge(n, n + 1);
	s = with(3, 0);
	for (uint8_t n = 0; n < 3; n++) {
		t[n] = (struct taking){s, n + 1, 0};
		pthread_create(&threads[n], NULL, take_often, &t[n]);
	}
	for (uint8_t n = 0; n < 3; n++) {
		pthread_join(threads[n], NULL);
		CU_ASSERT_EQUAL(t[n].refused, 0);
	}
	station_close(s);
	clean();
}

static void waits_end(void)
{
	struct waiter w = {.number = 2};
	char text[256];
	pthread_t t;

	make_cartridge(0, 1);
	w.station = with(1, 1);
	wait_for(&w);
	CU_ASSERT_EQUAL(w.error, REEL_EMEDIUM);
	CU_ASSERT_TRUE(w.took >= 900 && w.took < 3000);
	station_set_patience(w.station, STATION_FOREVER, false, NULL);
	pthread_create(&t, NULL, wait_for, &w);
	sleep_ms(300);
	station_needed(w.station, text, sizeof(text));
	CU_ASSERT_STRING_EQUAL(text, "cartridge daily-0002 (barcode REEL02L8) "
				     "is needed\n");
	stop_set(&w.stop, 1);
	pthread_join(t, NULL);
	CU_ASSERT_EQUAL(w.error, REEL_ESTOPPED);
	CU_ASSERT_TRUE(w.took < 600);
	station_needed(w.station, text, sizeof(text));
	CU_ASSERT_STRING_EQUAL(text, "");
	station_close(w.station);
	clean();
}

/* The drive is a link that somebody turns to another image. */
static void the_right_one_comes(void)
{
	struct waiter w = {.number = 2};
	pthread_t t;

	make_cartridge(0, 1);
	make_cartridge(1, 2);
	CU_ASSERT_EQUAL_FATAL(symlink(path[0], path[3]), 0);
	{
		const struct station_options o = {
			.drives = &names[3], .drive_count = 1, .timeout = 20};

		CU_ASSERT_EQUAL_FATAL(station_open(&o, &w.station), 0);
	}
	pthread_create(&t, NULL, wait_for, &w);
	sleep_ms(300);
	unlink(path[3]); /* the drive is empty for a while */
	sleep_ms(600);
	CU_ASSERT_EQUAL_FATAL(symlink(path[1], path[3]), 0);
	pthread_join(t, NULL);
	CU_ASSERT_EQUAL_FATAL(w.error, 0);
	CU_ASSERT_TRUE(w.took < 3000);
	station_put(w.station, w.drive);
	/* and back again, while nobody looks */
	unlink(path[3]);
	CU_ASSERT_EQUAL_FATAL(symlink(path[0], path[3]), 0);
	CU_ASSERT_EQUAL_FATAL(get(w.station, 1, &w.drive), 0);
	station_put(w.station, w.drive);
	station_set_patience(w.station, 20, true, NULL);
	CU_ASSERT_EQUAL(get(w.station, 2, &w.drive), REEL_EMEDIUM);
	station_close(w.station);
	clean();
}

void suite_station(void);
void suite_station(void)
{
	CU_pSuite s = CU_add_suite("station", begin, end);

	CU_add_test(s, "gives the wanted one", gives_the_wanted_one);
	CU_add_test(s, "begins only blank or named ones",
		    begins_only_blank_or_named);
	CU_add_test(s, "passes over protected ones", passes_over_protected);
	CU_add_test(s, "leaves held drives alone", held_drives_are_left_alone);
	CU_add_test(s, "what lies ready is never refused",
		    lying_ready_is_never_refused);
	CU_add_test(s, "waits end", waits_end);
	CU_add_test(s, "the right one comes", the_right_one_comes);
}
