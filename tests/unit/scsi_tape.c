#include "tests/unit/scsi_tape.h"

#include <string.h>
#include "tape/error.h"

#define FM  0x80
#define EOM 0x40
#define ILI 0x20

static int check(struct scsi_command *c, uint8_t key, uint16_t code,
		 uint8_t bits, bool informed, int32_t information)
{
	memset(c->sense, 0, 18);
	c->status = SCSI_CHECK;
	c->sense[0] = informed ? 0xf0 : 0x70;
	c->sense[2] = (uint8_t)(key | bits);
	scsi_put32(c->sense + 3, (uint32_t)information);
	c->sense[7] = 10;
	scsi_put16(c->sense + 12, code);
	c->sense_length = 18;
	return 0;
}

static int answer(struct scsi_command *c, const void *data, size_t length)
{
	if (length > c->length)
		length = c->length;
	memcpy(c->in, data, length);
	c->transferred = length;
	return 0;
}

static int illegal(struct scsi_command *c, uint16_t code)
{
	return check(c, SCSI_ILLEGAL_REQUEST, code, 0, false, 0);
}

/* ---- blocks ---- */

static int do_read(struct scsi_tape *t, struct scsi_command *c)
{
	const struct scsi_object *o = &t->objects[t->partition][t->at];
	uint32_t asked = scsi_get24(c->cdb + 2), sent;

	if (c->cdb[1] & 1)
		asked = t->block;
	if (t->at == t->counts[t->partition])
		return check(c, SCSI_BLANK_CHECK, 0x0005, 0, !t->simple,
			     (int32_t)asked);
	t->at++;
	if (!o->length)
		return check(c, SCSI_NO_SENSE, 0x0001, FM, true,
			     (int32_t)asked);
	sent = o->length < asked ? o->length : asked;
	memset(c->in, o->byte, sent);
	c->transferred = sent;
	if (o->length == asked && t->reports && t->at > t->early)
		return check(c, SCSI_NO_SENSE, 0x0002, EOM, false, 0);
	if (o->length == asked)
		return 0;
	if (t->simple && o->length < asked) /* as tgt sends too little */
		c->transferred =
			asked - o->length < sent ? asked - o->length : sent;
	return check(c, SCSI_NO_SENSE, 0, ILI, true,
		     (int32_t)asked - (int32_t)o->length);
}

static int put(struct scsi_tape *t, struct scsi_command *c, uint32_t length,
	       uint8_t byte)
{
	if (t->protected)
		return check(c, SCSI_DATA_PROTECT, 0x2700, 0, false, 0);
	if (t->at >= t->capacity)
		return check(c, SCSI_VOLUME_OVERFLOW, 0x0002, EOM, true,
			     (int32_t)length);
	t->objects[t->partition][t->at++] = (struct scsi_object){length, byte};
	t->counts[t->partition] = t->at;
	if (t->at > t->early)
		return check(c, SCSI_NO_SENSE, 0x0002, EOM, false, 0);
	return 0;
}

static int do_marks(struct scsi_tape *t, struct scsi_command *c)
{
	uint32_t count = scsi_get24(c->cdb + 2);
	int error = 0;

	if (c->cdb[1] & 2)
		return illegal(c, 0x2400);
	while (count-- && !error)
		error = put(t, c, 0, 0);
	return error;
}

/* ---- moving ---- */

static bool space_one(struct scsi_tape *t, bool back, bool *mark)
{
	if (back ? !t->at : t->at == t->counts[t->partition])
		return false;
	t->at -= back;
	*mark = !t->objects[t->partition][t->at].length;
	t->at += !back;
	return true;
}

static int do_space(struct scsi_tape *t, struct scsi_command *c)
{
	uint32_t raw = scsi_get24(c->cdb + 2);
	int32_t count = (int32_t)(raw << 8) / 256, left;
	uint8_t code = c->cdb[1] & 7;
	bool back = count < 0, mark;

	if (code == 3) {
		t->at = t->counts[t->partition];
		return 0;
	}
	if (code > 1)
		return illegal(c, 0x2400);
	left = back ? -count : count;
	while (left) {
		if (!space_one(t, back, &mark))
			return check(c, back ? SCSI_NO_SENSE : SCSI_BLANK_CHECK,
				     back ? 0x0004 : 0x0005, back ? EOM : 0,
				     !t->simple, left);
		if (code == 0 && mark)
			return check(c, SCSI_NO_SENSE, 0x0001, FM, !t->simple,
				     left);
		left -= code == 0 || mark;
	}
	return 0;
}

static int do_locate(struct scsi_tape *t, struct scsi_command *c)
{
	uint32_t object = scsi_get32(c->cdb + 3);

	if (c->cdb[1] & 2) {
		if (c->cdb[8] > t->two)
			return illegal(c, 0x2400);
		t->partition = c->cdb[8];
	}
	t->at = t->counts[t->partition];
	if (object > t->at)
		return check(c, SCSI_BLANK_CHECK, 0x0005, 0, false, 0);
	t->at = object;
	return 0;
}

static int do_position(struct scsi_tape *t, struct scsi_command *c)
{
	uint8_t data[32] = {0};

	data[0] = t->at ? 0 : 0x80;
	if (c->cdb[1] == 0) {
		data[1] = (uint8_t)t->partition;
		scsi_put32(data + 4, t->at);
		if (t->simple)
			data[0] = 0x14;
		return answer(c, data, 20);
	}
	scsi_put32(data + 4, t->partition);
	scsi_put64(data + 8, t->at);
	for (uint32_t n = 0; n < t->at; n++)
		data[23] += !t->objects[t->partition][n].length;
	if (t->simple)
		data[0] = 0x20;
	return answer(c, data, 32);
}

/* ---- pages ---- */

static int do_mode(struct scsi_tape *t, struct scsi_command *c)
{
	uint8_t data[64] = {0}, page = c->cdb[2] & 0x3f;
	size_t length = 12;

	data[2] = t->protected ? 0x90 : 0x10;
	data[3] = 8;
	data[4] = 0x5e;
	scsi_put24(data + 9, t->block);
	if (t->simple && page && page != 0x3f)
		return illegal(c, 0x2400);
	if (page == 0x0f) {
		memcpy(data + 12, "\x0f\x0e\xc0\x80", 4);
		length += 16;
	} else if (page == 0x11) {
		memcpy(data + 12, "\x11\x0a\x01\x00\x1c\x03\x00\x00", 8);
		data[15] = t->two;
		length += 12;
	} else if (page == 0x10 && c->cdb[3] == 1) {
		memcpy(data + 12, "\x50\x01\x00\x1c", 4);
		scsi_put16(data + 18, 500);
		length += 32;
	} else if (page == 0x10) {
		memcpy(data + 12, "\x10\x0e", 2);
		length += 16;
	}
	data[0] = (uint8_t)(length - 1);
	return answer(c, data, length);
}

static int do_select(struct scsi_tape *t, struct scsi_command *c)
{
	const uint8_t *data = c->out;

	c->transferred = c->length;
	if (data[3] == 8 && c->length >= 12)
		t->block = scsi_get24(data + 9);
	return 0;
}

static int do_log(struct scsi_tape *t, struct scsi_command *c)
{
	static const uint8_t list[] = {0, 0, 0, 3, 0, 0x2e, 0x31};
	static const uint8_t alerts[] = {0x2e, 0, 0, 10,   0, 4, 0,
					 1,    1, 0, 0x14, 0, 1, 1};
	static const uint8_t room[] = {0x31, 0, 0, 8, 0, 1, 0, 4, 0, 0, 2, 0};

	if (t->simple)
		return illegal(c, 0x2000);
	switch (c->cdb[2] & 0x3f) {
	case 0:
		return answer(c, list, sizeof(list));
	case 0x2e:
		return answer(c, alerts, sizeof(alerts));
	case 0x31:
		return answer(c, room, sizeof(room));
	default:
		return illegal(c, 0x2400);
	}
}

static int do_attribute(struct scsi_tape *t, struct scsi_command *c)
{
	uint8_t data[41] = {0, 0, 0, 37, 8, 6, 1, 0, 32};

	if (t->simple)
		return illegal(c, 0x2000);
	if (scsi_get16(c->cdb + 8) != 0x0806)
		return illegal(c, 0x2400);
	memcpy(data + 9, t->barcode, 32);
	return answer(c, data, sizeof(data));
}

static int do_inquiry(struct scsi_command *c)
{
	uint8_t data[36] = {0x01, 0x80, 6, 2, 31};

	if (c->cdb[1] & 1)
		return answer(c, "\x01\x80\x00\x04S123", 8);
	memcpy(data + 8, "REEL    TEST TAPE       0001", 28);
	return answer(c, data, sizeof(data));
}

static int do_load(struct scsi_tape *t, struct scsi_command *c)
{
	if (!(c->cdb[4] & 1) && t->locked)
		return illegal(c, 0x5302);
	t->loaded = c->cdb[4] & 1;
	t->partition = t->at = 0;
	return 0;
}

static int with_cartridge(struct scsi_tape *t, struct scsi_command *c)
{
	switch (c->cdb[0]) {
	case SCSI_TEST_UNIT_READY:
		return 0;
	case SCSI_REWIND:
		t->at = 0;
		return 0;
	case SCSI_READ:
		return do_read(t, c);
	case SCSI_WRITE:
		c->transferred = c->length;
		return put(t, c, (uint32_t)c->length, *(const uint8_t *)c->out);
	case SCSI_WRITE_FILEMARKS:
		return do_marks(t, c);
	case SCSI_SPACE:
		return do_space(t, c);
	case SCSI_LOCATE:
		return t->simple ? illegal(c, 0x2000) : do_locate(t, c);
	case SCSI_READ_POSITION:
		return do_position(t, c);
	case SCSI_ERASE:
		t->counts[t->partition] = t->at;
		return 0;
	case SCSI_FORMAT_MEDIUM:
		t->counts[0] = t->counts[1] = t->at = t->partition = 0;
		t->two = c->cdb[2] == 1;
		return 0;
	case SCSI_PREVENT:
		t->locked = c->cdb[4];
		return 0;
	case SCSI_READ_ATTRIBUTE:
		return do_attribute(t, c);
	default:
		return illegal(c, 0x2000);
	}
}

static int perform(struct scsi_tape *t, struct scsi_command *c)
{
	switch (c->cdb[0]) {
	case SCSI_INQUIRY:
		return do_inquiry(c);
	case SCSI_READ_BLOCK_LIMITS:
		return answer(c, "\x00\x00\x10\x00\x00\x01", 6);
	case SCSI_MODE_SENSE:
		return do_mode(t, c);
	case SCSI_MODE_SELECT:
		return do_select(t, c);
	case SCSI_LOG_SENSE:
		return do_log(t, c);
	case SCSI_LOAD:
		return do_load(t, c);
	default:
		if (!t->loaded)
			return check(c, SCSI_NOT_READY, 0x3a00, 0, false, 0);
		return with_cartridge(t, c);
	}
}

static int run(struct scsi_transport *base, struct scsi_command *c)
{
	struct scsi_tape *t = (struct scsi_tape *)base;

	memcpy(t->last, c->cdb, 16);
	c->status = SCSI_GOOD;
	c->sense_length = c->transferred = 0;
	if ((t->armed || t->broken) && !t->delay--) {
		if (t->broken) {
			t->broken = false;
			base->generation++;
			return REEL_EIO;
		}
		t->armed = false;
		c->status = SCSI_CHECK;
		memcpy(c->sense, t->sense, 18);
		c->sense_length = 18;
		return 0;
	}
	return perform(t, c);
}

static void keep(struct scsi_transport *base)
{
	(void)base; /* the test's own */
}

void scsi_tape_init(struct scsi_tape *t)
{
	memset(t, 0, sizeof(*t));
	t->base = (struct scsi_transport){
		.run = run, .close = keep, .name = "test"};
	t->capacity = t->early = SCSI_TAPE_OBJECTS - 1;
	t->loaded = true;
	memset(t->barcode, ' ', 32);
	memcpy(t->barcode, "TEST01L8", 8);
}

void scsi_tape_arm(struct scsi_tape *t, unsigned delay, bool deferred,
		   uint8_t key, uint16_t code)
{
	memset(t->sense, 0, sizeof(t->sense));
	t->sense[0] = deferred ? 0x71 : 0x70;
	t->sense[2] = key;
	t->sense[7] = 10;
	scsi_put16(t->sense + 12, code);
	t->delay = delay;
	t->armed = true;
}
