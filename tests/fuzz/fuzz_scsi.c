/* What a SCSI device answers: the first byte chooses the parser. */
#include <string.h>
#include "tape/error.h"
#include "tape/scsi.h"
#include "tests/fuzz/fuzz.h"

static int element(void *context, const struct scsi_element *e)
{
	FUZZ_CHECK(strlen(e->barcode) < SCSI_TEXT);
	FUZZ_CHECK(strlen(e->serial) < SCSI_TEXT);
	return ++*(unsigned *)context > 100000;
}

static void sense(const uint8_t *data, size_t size)
{
	struct scsi_sense s;
	char text[160];

	scsi_sense_parse(data, size, &s);
	scsi_sense_text(&s, text, sizeof(text));
	FUZZ_CHECK(strlen(text) < sizeof(text));
	FUZZ_CHECK(scsi_sense_error(&s) <= 0);
}

static void mode(const uint8_t *data, size_t size, uint8_t page)
{
	struct scsi_mode m;

	if (!scsi_parse_mode(data, size, page, &m) || !m.page)
		return;
	FUZZ_CHECK(m.page >= data && m.page_length >= 2);
	FUZZ_CHECK(m.page + m.page_length <= data + size);
}

static void memory(const uint8_t *data, size_t size, uint16_t id)
{
	const uint8_t *value;
	size_t length;

	if (scsi_parse_attribute(data, size, id, &value, &length))
		FUZZ_CHECK(value >= data && value + length <= data + size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct scsi_inquiry inquiry;
	struct scsi_position p;
	char text[SCSI_TEXT];
	uint32_t min, max;
	unsigned count = 0;
	uint64_t value;

	if (size < 2)
		return 0;
	data++;
	size--;
	switch (data[-1] % 9) {
	case 0:
		sense(data, size);
		break;
	case 1:
		scsi_parse_elements(data, size, element, &count);
		break;
	case 2:
		mode(data, size, data[0] & 0x3f);
		mode(data, size, 0x11);
		break;
	case 3:
		scsi_parse_log(data, size, data[0] & 0x3f, 1, &value);
		scsi_parse_alerts(data, size, &value);
		break;
	case 4:
		memory(data, size, 0x0806);
		break;
	case 5:
		scsi_parse_density(data, size, 0x5e, text);
		break;
	case 6:
		scsi_parse_inquiry(data, size, &inquiry);
		break;
	case 7:
		scsi_parse_serial(data, size, text);
		if (scsi_parse_limits(data, size, &min, &max))
			FUZZ_CHECK(min && min <= max);
		break;
	default:
		scsi_parse_position(data, size, &p);
		scsi_parse_position_long(data, size, &p);
	}
	return 0;
}
