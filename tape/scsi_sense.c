#include <stdio.h>
#include <string.h>
#include "tape/error.h"
#include "tape/scsi.h"

#define FIXED_NOW	    0x70
#define FIXED_DEFERRED	    0x71
#define DESCRIPTOR_NOW	    0x72
#define DESCRIPTOR_DEFERRED 0x73
#define FIXED_LENGTH	    14 /* up to the additional sense code */
#define STREAM_BITS(s, byte)                                                   \
	((s)->filemark = ((byte)&0x80) != 0, (s)->eom = ((byte)&0x40) != 0,    \
	 (s)->ili = ((byte)&0x20) != 0)

static bool parse_fixed(const uint8_t *data, size_t length,
			struct scsi_sense *s)
{
	if (length < 3)
		return false;
	s->key = data[2] & 0x0f;
	STREAM_BITS(s, data[2]);
	if (length >= 7 && data[0] & 0x80) {
		s->informed = true;
		s->information = (int32_t)scsi_get32(data + 3);
	}
	if (length >= FIXED_LENGTH)
		s->code = scsi_get16(data + 12);
	return true;
}

static bool parse_descriptors(const uint8_t *data, size_t length,
			      struct scsi_sense *s)
{
	size_t at = 8, stop;

	if (length < 8)
		return false;
	s->key = data[1] & 0x0f;
	s->code = scsi_get16(data + 2);
	stop = 8 + (size_t)data[7];
	if (stop > length)
		stop = length;
	while (at + 2 <= stop && at + 2 + data[at + 1] <= stop) {
		const uint8_t *d = data + at;

		if (d[0] == 0x00 && d[1] >= 10 && d[2] & 0x80) {
			s->informed = true;
			s->information = (int64_t)scsi_get64(d + 4);
		}
		if (d[0] == 0x04 && d[1] >= 2)
			STREAM_BITS(s, d[3]);
		at += 2 + (size_t)d[1];
	}
	return true;
}

bool scsi_sense_parse(const uint8_t *data, size_t length, struct scsi_sense *s)
{
	struct scsi_sense got = {0};
	uint8_t format = length ? data[0] & 0x7f : 0;
	bool right = false;

	if (format == FIXED_NOW || format == FIXED_DEFERRED)
		right = parse_fixed(data, length, &got);
	else if (format == DESCRIPTOR_NOW || format == DESCRIPTOR_DEFERRED)
		right = parse_descriptors(data, length, &got);
	got.deferred =
		format == FIXED_DEFERRED || format == DESCRIPTOR_DEFERRED;
	*s = right ? got : (struct scsi_sense){.key = SCSI_ABORTED};
	return right;
}

/* ---- words ---- */

static const char *const key_names[16] = {
	"no sense",	      "recovered error", "not ready",
	"medium error",	      "hardware error",	 "illegal request",
	"unit attention",     "data protect",	 "blank check",
	"vendor specific",    "copy aborted",	 "aborted command",
	"obsolete sense key", "volume overflow", "miscompare",
	"completed"};

struct code {
	uint16_t code;
	const char *text;
};

/* SPC-4, annex D: those that tapes and changers give. */
static const struct code codes[] = {
	{0x0001, "filemark"},
	{0x0002, "end of the medium"},
	{0x0004, "beginning of the medium"},
	{0x0005, "end of the data"},
	{0x0007, "programmable early warning"},
	{0x0016, "operation in progress"},
	{0x0017, "cleaning requested"},
	{0x0303, "excessive write current"},
	{0x0400, "not ready"},
	{0x0401, "becoming ready"},
	{0x0402, "a load command is needed"},
	{0x0403, "someone must see to the drive"},
	{0x0404, "being formatted"},
	{0x0407, "an operation is in progress"},
	{0x0412, "offline"},
	{0x0800, "the connection inside the device failed"},
	{0x0900, "track following error"},
	{0x0c00, "write error"},
	{0x1100, "unrecovered read error"},
	{0x1101, "read retries exhausted"},
	{0x1108, "incomplete block read"},
	{0x1400, "the block was not found"},
	{0x1403, "the end of the data was not found"},
	{0x1500, "positioning error"},
	{0x1a00, "parameter list length error"},
	{0x2000, "unknown command"},
	{0x2101, "invalid element address"},
	{0x2400, "invalid field in the command"},
	{0x2500, "no such unit"},
	{0x2600, "invalid field in the parameters"},
	{0x2602, "invalid parameter value"},
	{0x2700, "write-protected"},
	{0x2800, "the medium may have changed"},
	{0x2801, "the port was accessed"},
	{0x2900, "power on or reset"},
	{0x2901, "power on"},
	{0x2902, "bus reset"},
	{0x2903, "device reset"},
	{0x2904, "internal reset"},
	{0x2907, "the connection was lost"},
	{0x2a01, "mode parameters changed"},
	{0x2d00, "overwriting an update in place"},
	{0x3000, "incompatible medium"},
	{0x3001, "unknown format"},
	{0x3002, "incompatible format"},
	{0x3003, "a cleaning cartridge is in the drive"},
	{0x3005, "cannot write this medium"},
	{0x3006, "cannot format this medium"},
	{0x3007, "cleaning failed"},
	{0x300c, "a WORM medium cannot be overwritten"},
	{0x300d, "a WORM medium's integrity is in doubt"},
	{0x3100, "the medium's format is corrupt"},
	{0x3700, "rounded parameter"},
	{0x3a00, "no cartridge"},
	{0x3a01, "no cartridge, tray closed"},
	{0x3a02, "no cartridge, tray open"},
	{0x3b00, "sequential positioning error"},
	{0x3b01, "the tape is at its beginning"},
	{0x3b02, "the tape is at its end"},
	{0x3b0d, "the destination is full"},
	{0x3b0e, "the source is empty"},
	{0x3b11, "the magazine is not accessible"},
	{0x3b12, "the magazine was removed"},
	{0x3b13, "the magazine was inserted"},
	{0x3f0e, "the list of units changed"},
	{0x4400, "internal failure"},
	{0x5000, "write append error"},
	{0x5100, "erase failure"},
	{0x5200, "cartridge fault"},
	{0x5300, "the cartridge does not load or eject"},
	{0x5302, "the cartridge is locked"},
	{0x5303, "the drive holds on to the cartridge"},
	{0x5a01, "the operator asks for the cartridge"},
	{0x7400, "encryption"},
	{0x7401, "the data cannot be decrypted"},
	{0x7402, "the data are not encrypted"},
	{0x7403, "wrong key"},
};

static const char *code_text(uint16_t code)
{
	for (size_t n = 0; n < sizeof(codes) / sizeof(codes[0]); n++) {
		if (codes[n].code == code)
			return codes[n].text;
	}
	return NULL;
}

void scsi_sense_text(const struct scsi_sense *s, char *room, size_t size)
{
	const char *text = code_text(s->code);

	snprintf(room, size, "%s%s%s (sense %x/%02x/%02x)%s",
		 key_names[s->key & 15], text ? ": " : "", text ? text : "",
		 s->key, s->code >> 8, s->code & 0xff,
		 s->deferred ? ", of an earlier command" : "");
}

static int not_ready_error(uint16_t code)
{
	switch (code >> 8) {
	case 0x3a: /* no cartridge */
	case 0x30: /* one that does not belong here */
		return REEL_EMEDIUM;
	case 0x04:
		return code == 0x0402 ? REEL_EMEDIUM : REEL_EBUSY;
	default:
		return REEL_EIO;
	}
}

static int illegal_error(uint16_t code)
{
	switch (code >> 8) {
	case 0x20:
		return REEL_ENOTSUP;
	case 0x53:
		return REEL_EBUSY;
	case 0x3b:
	case 0x21:
		return REEL_ENOENT;
	default:
		return REEL_EINVAL;
	}
}

int scsi_sense_error(const struct scsi_sense *s)
{
	if (s->deferred && s->key != SCSI_NO_SENSE && s->key != SCSI_RECOVERED)
		return REEL_EIO;
	switch (s->key) {
	case SCSI_NO_SENSE:
	case SCSI_RECOVERED:
		return 0;
	case SCSI_NOT_READY:
		return not_ready_error(s->code);
	case SCSI_MEDIUM_ERROR:
		return s->code == 0x300c ? REEL_EROFS : REEL_EDAMAGED;
	case SCSI_ILLEGAL_REQUEST:
		return illegal_error(s->code);
	case SCSI_UNIT_ATTENTION:
		return REEL_ERESET;
	case SCSI_DATA_PROTECT:
		return s->code >> 8 == 0x74 ? REEL_EPERM : REEL_EROFS;
	case SCSI_BLANK_CHECK:
		return REEL_ENOENT;
	case SCSI_VOLUME_OVERFLOW:
		return REEL_ENOSPC;
	default:
		return REEL_EIO;
	}
}
