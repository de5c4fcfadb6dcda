#include <CUnit/CUnit.h>
#include <stdlib.h>
#include <string.h>
#include "tape/drive_scsi.h"
#include "tape/error.h"
#include "tests/unit/scsi_tape.h"

/* ---- parsers ---- */

static void sense(void)
{
	static const uint8_t fixed[] = {0xf0, 0,    0xa0, 0xff, 0xff, 0xff,
					0x00, 10,   0,	  0,	0,    0,
					0,    0x01, 0,	  0,	0,    0};
	static const uint8_t described[] = {
		0x72, 0x08, 0x00, 0x05, 0, 0, 0, 16, 0x00, 10, 0x80, 0,
		0,    0,    0,	  0,	0, 0, 1, 0,  0x04, 2,  0,    0x40};
	static const uint8_t late[] = {0x71, 0, 0x03, 0, 0, 0,	 0,
				       10,   0, 0,    0, 0, 0x0c};
	struct scsi_sense s;
	char text[160];

	CU_ASSERT(scsi_sense_parse(fixed, sizeof(fixed), &s));
	CU_ASSERT(s.key == 0 && s.filemark && s.ili && !s.eom && !s.deferred);
	CU_ASSERT(s.informed && s.information == -256);
	CU_ASSERT_EQUAL(s.code, 0x0001);
	CU_ASSERT(scsi_sense_parse(described, sizeof(described), &s));
	CU_ASSERT(s.key == SCSI_BLANK_CHECK && s.code == 5 && s.eom);
	CU_ASSERT(s.informed && s.information == 256);
	CU_ASSERT(scsi_sense_parse(late, sizeof(late), &s));
	CU_ASSERT(s.deferred && s.key == SCSI_MEDIUM_ERROR);
	CU_ASSERT_EQUAL(scsi_sense_error(&s), REEL_EIO);
	CU_ASSERT(!scsi_sense_parse(fixed, 0, &s));
	CU_ASSERT(!scsi_sense_parse((const uint8_t *)"\x12\x34\x56", 3, &s));
	CU_ASSERT_EQUAL(scsi_sense_error(&s), REEL_EIO);
	s = (struct scsi_sense){.key = SCSI_DATA_PROTECT, .code = 0x2700};
	scsi_sense_text(&s, text, sizeof(text));
	CU_ASSERT_STRING_EQUAL(text,
			       "data protect: write-protected (sense 7/27/00)");
}

static void errors(void)
{
	static const struct {
		uint8_t key;
		uint16_t code;
		int error;
	} rows[] = {{SCSI_RECOVERED, 0x3700, 0},
		    {SCSI_NOT_READY, 0x3a00, REEL_EMEDIUM},
		    {SCSI_NOT_READY, 0x3003, REEL_EMEDIUM},
		    {SCSI_NOT_READY, 0x0401, REEL_EBUSY},
		    {SCSI_MEDIUM_ERROR, 0x1100, REEL_EDAMAGED},
		    {SCSI_MEDIUM_ERROR, 0x300c, REEL_EROFS},
		    {SCSI_HARDWARE_ERROR, 0x4400, REEL_EIO},
		    {SCSI_ILLEGAL_REQUEST, 0x2000, REEL_ENOTSUP},
		    {SCSI_ILLEGAL_REQUEST, 0x2400, REEL_EINVAL},
		    {SCSI_ILLEGAL_REQUEST, 0x5302, REEL_EBUSY},
		    {SCSI_UNIT_ATTENTION, 0x2900, REEL_ERESET},
		    {SCSI_DATA_PROTECT, 0x2700, REEL_EROFS},
		    {SCSI_DATA_PROTECT, 0x7401, REEL_EPERM},
		    {SCSI_BLANK_CHECK, 0x0005, REEL_ENOENT},
		    {SCSI_VOLUME_OVERFLOW, 0x0002, REEL_ENOSPC},
		    {SCSI_ABORTED, 0, REEL_EIO}};

	for (size_t n = 0; n < sizeof(rows) / sizeof(rows[0]); n++) {
		struct scsi_sense s = {.key = rows[n].key,
				       .code = rows[n].code};

		CU_ASSERT_EQUAL(scsi_sense_error(&s), rows[n].error);
	}
}

static int gather(void *context, const struct scsi_element *e)
{
	struct scsi_element **next = context;

	*(*next)++ = *e;
	return 0;
}

/* A page of two drives with tags and identifications, one of a slot. */
static void elements(void)
{
	uint8_t data[8 + 8 + 2 * 68 + 8 + 52] = {0, 100, 0, 3};
	struct scsi_element found[4], *next = found;
	uint8_t *page = data + 8, *e;

	memcpy(page, "\x04\x80\x00\x44\x00\x00\x00\x88", 8);
	for (int n = 0; n < 2; n++) {
		e = page + 8 + n * 68;
		scsi_put16(e, (uint16_t)(100 + n));
		e[2] = n ? 0x08 : 0x09;
		e[9] = n ? 0 : 0x80;
		scsi_put16(e + 10, 1003);
		memcpy(e + 12, "AB0001L8                        ", 32);
		memcpy(e + 48, "\x02\x01\x00\x08SERIAL 1", 12);
		e[59] = (uint8_t)('1' + n);
	}
	page += 8 + 2 * 68;
	memcpy(page, "\x02\x80\x00\x34\x00\x00\x00\x34", 8);
	scsi_put16(page + 8, 1000);
	page[10] = 1;
	memcpy(page + 20, "CD0002L8", 8);
	CU_ASSERT_EQUAL(scsi_parse_elements(data, sizeof(data), gather, &next),
			0);
	CU_ASSERT_EQUAL(next - found, 3);
	CU_ASSERT(found[0].type == SCSI_ELEMENT_DRIVE && found[0].full);
	CU_ASSERT_STRING_EQUAL(found[0].barcode, "AB0001L8");
	CU_ASSERT(found[0].has_source && found[0].source == 1003);
	CU_ASSERT(!found[1].full && !*found[1].barcode);
	CU_ASSERT_STRING_EQUAL(found[1].serial, "SERIAL 2");
	CU_ASSERT(found[2].address == 1000);
	CU_ASSERT_STRING_EQUAL(found[2].barcode, "CD0002L8");
	for (size_t cut = 0; cut < sizeof(data); cut++) {
		next = found;
		scsi_parse_elements(data, cut, gather, &next);
		CU_ASSERT(next - found <= 3);
	}
	data[8] = 9;
	CU_ASSERT_EQUAL(scsi_parse_elements(data, sizeof(data), gather, &next),
			REEL_EDAMAGED);
}

static void answers(void)
{
	static const uint8_t long_form[32] = {0x20};
	static const uint8_t densities[] = {
		0,   54,  0,   0,   0x5e, 0x5e, 0,   0,	  0,   0,   0,	 0,
		0,   0,	  0,   0,   0,	  0,	0,   0,	  'L', 'T', 'O', '-',
		'C', 'V', 'E', ' ', 'U',  '-',	'8', '1', '8', ' ', ' ', ' ',
		' ', ' ', ' ', ' ', ' ',  ' ',	' ', ' ', ' ', ' ', ' ', ' ',
		' ', ' ', ' ', ' ', ' ',  ' ',	' ', ' '};
	struct scsi_position p;
	uint32_t min, max;
	char text[SCSI_TEXT];

	/* tgt's long position is none */
	CU_ASSERT(!scsi_parse_position_long(long_form, 32, &p));
	CU_ASSERT(scsi_parse_density(densities, sizeof(densities), 0x5e, text));
	CU_ASSERT_STRING_EQUAL(text, "U-818");
	CU_ASSERT(!scsi_parse_density(densities, sizeof(densities), 1, text));
	CU_ASSERT(scsi_parse_limits((const uint8_t *)"\0\0\0\0\0\0", 6, &min,
				    &max));
	CU_ASSERT(min == 1 && max == 0xffffff);
	CU_ASSERT(!scsi_parse_limits((const uint8_t *)"\0\0\0\2\0\3", 6, &min,
				     &max));
}

/* ---- the drive ---- */

static struct scsi_tape tape;

static struct drive *begin_with(bool keep)
{
	const struct drive_options o = {.keep = keep, .wait = 1};
	struct drive *d = NULL;

	CU_ASSERT_EQUAL_FATAL(drive_scsi_open("test", &o, &tape.base, &d), 0);
	d->name = strdup("test");
	d->options = o;
	return d;
}

static struct drive *begin(void)
{
	scsi_tape_init(&tape);
	return begin_with(false);
}

static int put(struct drive *d, uint8_t byte, size_t length, bool *early)
{
	uint8_t block[SCSI_TAPE_BLOCK];

	memset(block, byte, length);
	return drive_write(d, block, length, early);
}

static int get(struct drive *d, size_t room, struct drive_read *r)
{
	uint8_t block[SCSI_TAPE_BLOCK];

	return drive_read(d, block, room, r);
}

static void expect(struct drive *d, enum drive_found found, size_t length)
{
	struct drive_read r;

	CU_ASSERT_EQUAL(get(d, SCSI_TAPE_BLOCK, &r), 0);
	CU_ASSERT_EQUAL(r.found, found);
	CU_ASSERT_EQUAL(r.length, length);
}

static void round_trip(bool simple)
{
	struct drive_position p = {0, 2, 0, 2}, now;
	struct drive_read r;
	struct drive *d;

	scsi_tape_init(&tape);
	tape.simple = simple;
	d = begin_with(false);
	for (uint8_t n = 1; n <= 3; n++)
		CU_ASSERT_EQUAL(put(d, n, 1000u * n, NULL), 0);
	CU_ASSERT_EQUAL(drive_mark(d, DRIVE_MARK_FILE, 1, false, NULL), 0);
	CU_ASSERT_EQUAL(put(d, 4, 10, NULL), 0);
	CU_ASSERT_EQUAL(drive_mark(d, DRIVE_MARK_FILE, 1, false, NULL), 0);
	CU_ASSERT_EQUAL(drive_tell(d, &now), 0);
	CU_ASSERT(now.object == 6 && now.file == 2 && now.block == 0);
	CU_ASSERT_EQUAL(drive_rewind(d, false), 0);
	expect(d, DRIVE_BLOCK, 1000);
	CU_ASSERT_EQUAL(get(d, 100, &r), REEL_ERANGE);
	CU_ASSERT_EQUAL(r.length, 2000);
	expect(d, DRIVE_BLOCK, 2000);
	expect(d, DRIVE_BLOCK, 3000);
	expect(d, DRIVE_FILEMARK, 0);
	expect(d, DRIVE_BLOCK, 10);
	expect(d, DRIVE_FILEMARK, 0);
	expect(d, DRIVE_END, 0);
	expect(d, DRIVE_END, 0);
	CU_ASSERT_EQUAL(drive_seek(d, &p), 0);
	expect(d, DRIVE_BLOCK, 3000);
	p = (struct drive_position){0, DRIVE_UNKNOWN, 1, 0};
	CU_ASSERT_EQUAL(drive_seek(d, &p), 0);
	expect(d, DRIVE_BLOCK, 10);
	p.file = 7;
	CU_ASSERT_EQUAL(drive_seek(d, &p), REEL_ENOENT);
	drive_close(d);
}

static void blocks_and_places(void)
{
	round_trip(false);

	round_trip(true);
}

static void spacing(void)
{
	struct drive *d = begin();
	struct drive_moved m;

	for (uint8_t n = 0; n < 3; n++)
		put(d, n, 10, NULL);
	drive_mark(d, DRIVE_MARK_FILE, 1, false, NULL);
	put(d, 9, 10, NULL);
	drive_rewind(d, false);
	CU_ASSERT_EQUAL(drive_space(d, DRIVE_BLOCKS, 9, &m), 0);
	CU_ASSERT(m.count == 3 && m.found == DRIVE_FILEMARK);
	CU_ASSERT_EQUAL(drive_space(d, DRIVE_BLOCKS, 9, &m), 0);
	CU_ASSERT(m.count == 1 && m.found == DRIVE_END);
	CU_ASSERT_EQUAL(drive_space(d, DRIVE_FILEMARKS, -1, &m), 0);
	CU_ASSERT(m.count == 1 && m.found == DRIVE_BLOCK);
	CU_ASSERT_EQUAL(drive_space(d, DRIVE_BLOCKS, -9, &m), 0);
	CU_ASSERT(m.count == 3 && m.found == DRIVE_BEGIN);
	CU_ASSERT_EQUAL(drive_space(d, DRIVE_SETMARKS, 1, &m), REEL_ENOTSUP);
	CU_ASSERT_EQUAL(drive_mark(d, DRIVE_MARK_SET, 1, false, NULL),
			REEL_ENOTSUP);
	drive_close(d);
}

static void ends(void)
{
	struct drive *d = begin();
	bool early;

	tape.early = 2;
	tape.capacity = 4;
	CU_ASSERT_EQUAL(put(d, 1, 10, &early), 0);
	CU_ASSERT_EQUAL(put(d, 1, 10, &early), 0);
	CU_ASSERT(!early);
	CU_ASSERT_EQUAL(put(d, 1, 10, &early), 0);
	CU_ASSERT(early);
	CU_ASSERT_EQUAL(drive_mark(d, DRIVE_MARK_FILE, 1, false, &early), 0);
	CU_ASSERT(early);
	CU_ASSERT_EQUAL(put(d, 1, 10, &early), REEL_ENOSPC);
	CU_ASSERT_EQUAL(put(d, 1, 10, &early), REEL_ENOSPC);
	CU_ASSERT_EQUAL(drive_flush(d), 0);
	drive_rewind(d, false);
	tape.protected = true;
	CU_ASSERT_EQUAL(put(d, 1, 10, NULL), REEL_EROFS);
	CU_ASSERT_EQUAL(put(d, 1, SCSI_TAPE_BLOCK, NULL), REEL_EROFS);
	CU_ASSERT_EQUAL(drive_write(d, "", 0, NULL), REEL_ERANGE);
	drive_close(d);
}

/* D2, D3: after each, nothing is written until the place is known again. */
static void loses(uint8_t key, uint16_t code, bool deferred, int error)
{
	struct drive *d = begin();

	CU_ASSERT_EQUAL(put(d, 1, 10, NULL), 0);
	scsi_tape_arm(&tape, 0, deferred, key, code);
	CU_ASSERT_EQUAL(put(d, 2, 10, NULL), error);
	CU_ASSERT_EQUAL(put(d, 3, 10, NULL), REEL_ERESET);
	CU_ASSERT_EQUAL(drive_mark(d, DRIVE_MARK_FILE, 1, true, NULL),
			REEL_ERESET);
	CU_ASSERT_EQUAL(tape.counts[0], 1);
	CU_ASSERT_EQUAL(drive_rewind(d, false), 0);
	expect(d, DRIVE_BLOCK, 10);
	CU_ASSERT_EQUAL(put(d, 3, 10, NULL), 0);
	drive_close(d);
}

static void late_and_reset(void)
{
	loses(SCSI_MEDIUM_ERROR, 0x0c00, true, REEL_EIO);
	loses(SCSI_MEDIUM_ERROR, 0x0c00, false, REEL_EIO);
	loses(SCSI_HARDWARE_ERROR, 0x4400, false, REEL_EIO);
	loses(SCSI_UNIT_ATTENTION, 0x2900, false, REEL_ERESET);
	loses(SCSI_UNIT_ATTENTION, 0x2800, false, REEL_ERESET);
	loses(SCSI_NOT_READY, 0x3a00, false, REEL_EMEDIUM);
}

static void harmless_attention(void)
{
	struct drive *d = begin();
	struct drive_status s;

	scsi_tape_arm(&tape, 0, false, SCSI_UNIT_ATTENTION, 0x2a01);
	CU_ASSERT_EQUAL(put(d, 1, 10, NULL), 0);
	CU_ASSERT_EQUAL(tape.counts[0], 1);
	scsi_tape_arm(&tape, 0, false, SCSI_UNIT_ATTENTION, 0x2800);
	CU_ASSERT_EQUAL(drive_status(d, &s), 0);
	CU_ASSERT(s.changed && !s.known && s.state == DRIVE_READY);
	CU_ASSERT_EQUAL(put(d, 1, 10, NULL), REEL_ERESET);
	drive_close(d);
}

static void broken_connection(void)
{
	struct drive *d = begin();
	struct drive_status s;

	put(d, 1, 10, NULL);
	tape.delay = 0;
	tape.broken = true;
	CU_ASSERT_EQUAL(put(d, 2, 10, NULL), REEL_EIO);
	CU_ASSERT_EQUAL(put(d, 2, 10, NULL), REEL_ERESET);
	CU_ASSERT_EQUAL(
		drive_space(d, DRIVE_TO_END, 0, &(struct drive_moved){0}), 0);
	CU_ASSERT_EQUAL(put(d, 2, 10, NULL), 0);
	/* also when it broke while asking */
	tape.delay = 0;
	tape.broken = true;
	CU_ASSERT_EQUAL(drive_status(d, &s), REEL_EIO);
	CU_ASSERT_EQUAL(put(d, 3, 10, NULL), REEL_ERESET);
	CU_ASSERT_EQUAL(tape.counts[0], 2);
	drive_close(d);
}

static void unreadable(void)
{
	struct drive *d = begin();
	struct drive_read r;

	for (uint8_t n = 0; n < 3; n++)
		put(d, n, 10, NULL);
	drive_rewind(d, false);
	expect(d, DRIVE_BLOCK, 10);
	scsi_tape_arm(&tape, 0, false, SCSI_MEDIUM_ERROR, 0x1100);
	CU_ASSERT_EQUAL(get(d, 100, &r), REEL_EDAMAGED);
	CU_ASSERT_EQUAL(tape.at, 2);
	expect(d, DRIVE_BLOCK, 10);
	expect(d, DRIVE_END, 0);
	drive_close(d);
}

static void cartridge(void)
{
	struct drive *d = begin();
	struct drive_partitioning two = {DRIVE_LAYOUT_SELECT, 2, {0}};
	struct drive_status s;

	CU_ASSERT_EQUAL(drive_prepare(d, DRIVE_LOCK, false), 0);
	CU_ASSERT_EQUAL(drive_prepare(d, DRIVE_UNLOAD, false), REEL_EBUSY);
	CU_ASSERT_EQUAL(drive_prepare(d, DRIVE_UNLOCK, false), 0);
	CU_ASSERT_EQUAL(drive_prepare(d, DRIVE_UNLOAD, false), 0);
	CU_ASSERT_EQUAL(drive_status(d, &s), 0);
	CU_ASSERT_EQUAL(s.state, DRIVE_EMPTY);
	CU_ASSERT_EQUAL(drive_rewind(d, false), REEL_EMEDIUM);
	CU_ASSERT_EQUAL(drive_prepare(d, DRIVE_LOAD, false), 0);
	CU_ASSERT_EQUAL(drive_partition(d, &two), 0);
	CU_ASSERT(tape.two);
	CU_ASSERT_EQUAL(put(d, 1, 10, NULL), 0);
	CU_ASSERT_EQUAL(drive_select(d, 1), 0);
	expect(d, DRIVE_END, 0);
	CU_ASSERT_EQUAL(put(d, 1, 20, NULL), 0);
	CU_ASSERT_EQUAL(drive_select(d, 0), 0);
	expect(d, DRIVE_BLOCK, 10);
	CU_ASSERT_EQUAL(drive_select(d, 2), REEL_EINVAL);
	two.count = 3;
	CU_ASSERT_EQUAL(drive_partition(d, &two), REEL_ERANGE);
	CU_ASSERT_EQUAL(drive_prepare(d, DRIVE_FORMAT, false), 0);
	CU_ASSERT(!tape.two && !tape.counts[0]);
	drive_close(d);
}

static void parameters(void)
{
	struct drive *d = begin();
	struct drive_parameters p;
	uint64_t alerts = 0;
	uint8_t text[32];
	size_t length = sizeof(text);

	CU_ASSERT_EQUAL(drive_parameters(d, &p), 0);
	CU_ASSERT_STRING_EQUAL(p.vendor, "REEL");
	CU_ASSERT_STRING_EQUAL(p.product, "TEST TAPE");
	CU_ASSERT_STRING_EQUAL(p.serial, "S123");
	CU_ASSERT(p.block_min == 1 && p.block_max == 4096);
	CU_ASSERT(p.compression && p.features & DRIVE_HAS_COMPRESSION);
	CU_ASSERT(p.partitions == 1 && p.partitions_max == 2);
	CU_ASSERT_EQUAL(p.density, 0x5e);
	CU_ASSERT_EQUAL(p.remaining, 512ull << 20);
	CU_ASSERT_EQUAL(p.early_size, 500000000);
	CU_ASSERT(p.features & DRIVE_HAS_LOCATE && p.features & DRIVE_HAS_TELL);
	CU_ASSERT_EQUAL(drive_alerts(d, &alerts), 0);
	CU_ASSERT_EQUAL(alerts, 1u << 4 | 1u << 20);
	CU_ASSERT_EQUAL(
		drive_attribute(d, DRIVE_ATTRIBUTE_BARCODE, text, &length), 0);
	CU_ASSERT(length == 32 && !memcmp(text, "TEST01L8 ", 9));
	CU_ASSERT_EQUAL(drive_attribute(d, 1, text, &length), REEL_ENOENT);
	CU_ASSERT_EQUAL(drive_set(d, DRIVE_SET_BLOCK_SIZE, 512), 0);
	CU_ASSERT_EQUAL(tape.block, 512);
	CU_ASSERT_EQUAL(put(d, 1, 1024, NULL), REEL_ERANGE);
	CU_ASSERT_EQUAL(put(d, 1, 512, NULL), 0);
	CU_ASSERT_EQUAL(tape.last[1] & 1, 1);
	CU_ASSERT_EQUAL(drive_parameters(d, &p), 0);
	CU_ASSERT(p.block_size == 512 && p.block_max == 4096);
	CU_ASSERT_EQUAL(drive_take_any(d), 0);
	CU_ASSERT_EQUAL(tape.block, 0);
	CU_ASSERT_EQUAL(drive_set(d, DRIVE_SET_COMPRESSION, 0), 0);
	CU_ASSERT_EQUAL(drive_set(d, DRIVE_SET_ECC, 1), REEL_ENOTSUP);
	drive_close(d);
}

/* As tgt: what it lacks is said by name, the rest works. */
static void simple_drive(void)
{
	struct drive_partitioning two = {DRIVE_LAYOUT_SELECT, 2, {0}};
	struct drive_position p = {0, 5, DRIVE_UNKNOWN, DRIVE_UNKNOWN};
	struct drive_parameters now;
	struct drive_moved m;
	uint64_t alerts;
	struct drive *d;

	scsi_tape_init(&tape);
	tape.simple = true;
	d = begin_with(false);
	CU_ASSERT_EQUAL(drive_parameters(d, &now), 0);
	CU_ASSERT(!(now.features & (DRIVE_HAS_LOCATE | DRIVE_HAS_TELL)));
	CU_ASSERT_EQUAL(drive_seek(d, &p), REEL_ENOTSUP);
	CU_ASSERT_EQUAL(drive_alerts(d, &alerts), REEL_ENOTSUP);
	CU_ASSERT_EQUAL(drive_partition(d, &two), REEL_ENOTSUP);
	CU_ASSERT_EQUAL(drive_select(d, 1), REEL_ENOTSUP);
	/* tgt at the end of the data: no key, no residue, the end's bit */
	scsi_tape_arm(&tape, 0, false, SCSI_NO_SENSE | 0x40, 0x0002);
	CU_ASSERT_EQUAL(drive_space(d, DRIVE_FILEMARKS, 1, &m), 0);
	CU_ASSERT(m.found == DRIVE_END && m.count == DRIVE_UNKNOWN);
	drive_close(d);
}

/* The next program finds the tape where the last one left it. */
static void keeps(void)
{
	struct drive *d = begin();
	struct drive_position p;

	put(d, 1, 10, NULL);
	drive_mark(d, DRIVE_MARK_FILE, 1, false, NULL);
	drive_close(d);
	d = begin_with(true);
	CU_ASSERT_EQUAL(tape.at, 2);
	CU_ASSERT_EQUAL(drive_tell(d, &p), 0);
	CU_ASSERT(p.object == 2 && p.file == 1);
	drive_close(d);
}

void suite_scsi(void);
void suite_scsi(void)
{
	CU_pSuite s = CU_add_suite("scsi", NULL, NULL);

	CU_add_test(s, "sense", sense);
	CU_add_test(s, "errors", errors);
	CU_add_test(s, "elements", elements);
	CU_add_test(s, "answers", answers);
	CU_add_test(s, "blocks and places", blocks_and_places);
	CU_add_test(s, "spacing", spacing);
	CU_add_test(s, "ends", ends);
	CU_add_test(s, "late and reset", late_and_reset);
	CU_add_test(s, "harmless attention", harmless_attention);
	CU_add_test(s, "broken connection", broken_connection);
	CU_add_test(s, "unreadable", unreadable);
	CU_add_test(s, "cartridge", cartridge);
	CU_add_test(s, "parameters", parameters);
	CU_add_test(s, "simple drive", simple_drive);
	CU_add_test(s, "keeps", keeps);
}
