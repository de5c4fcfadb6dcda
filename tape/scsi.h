/* SCSI as tape drives and changers speak it (SPC-4, SSC-4, SMC-3), apart from
 * what carries it: a command is filled here, run by a transport, and what came
 * back is taken apart here. All that a device answers is hostile: parsers take
 * the bytes that arrived and no more. */
#ifndef REEL_TAPE_SCSI_H
#define REEL_TAPE_SCSI_H

#include "tape/scsi_transport.h"

#define SCSI_LENGTH_24 0xffffffu /* the most a READ or WRITE(6) moves */

/* Seconds; a tape may be wound from end to end, or calibrated. */
#define SCSI_TIME_SHORT 60
#define SCSI_TIME_DATA	1800
#define SCSI_TIME_MOVE	3600
#define SCSI_TIME_LOAD	(3 * 3600)
#define SCSI_TIME_ERASE (12 * 3600)

enum scsi_status {
	SCSI_GOOD = 0x00,
	SCSI_CHECK = 0x02,
	SCSI_BUSY = 0x08,
	SCSI_CONFLICT = 0x18, /* reserved for another host */
	SCSI_QUEUE_FULL = 0x28,
};

/* ---- filling ---- */

/* Zeroes *c and sets the first byte, the length and the timeout. */
void scsi_begin(struct scsi_command *c, uint8_t operation, unsigned timeout);
void scsi_put16(uint8_t *at, uint16_t value);
void scsi_put24(uint8_t *at, uint32_t value);
void scsi_put32(uint8_t *at, uint32_t value);
void scsi_put64(uint8_t *at, uint64_t value);
uint16_t scsi_get16(const uint8_t *at);
uint32_t scsi_get24(const uint8_t *at);
uint32_t scsi_get32(const uint8_t *at);
uint64_t scsi_get64(const uint8_t *at);

enum scsi_operation {
	SCSI_TEST_UNIT_READY = 0x00,
	SCSI_REWIND = 0x01,
	SCSI_FORMAT_MEDIUM = 0x04,
	SCSI_READ_BLOCK_LIMITS = 0x05,
	SCSI_INITIALIZE_ELEMENTS = 0x07,
	SCSI_READ = 0x08,
	SCSI_WRITE = 0x0a,
	SCSI_WRITE_FILEMARKS = 0x10,
	SCSI_SPACE = 0x11,
	SCSI_INQUIRY = 0x12,
	SCSI_MODE_SELECT = 0x15,
	SCSI_ERASE = 0x19,
	SCSI_MODE_SENSE = 0x1a,
	SCSI_LOAD = 0x1b,
	SCSI_PREVENT = 0x1e,
	SCSI_LOCATE = 0x2b,
	SCSI_READ_POSITION = 0x34,
	SCSI_REPORT_DENSITY = 0x44,
	SCSI_LOG_SENSE = 0x4d,
	SCSI_READ_ATTRIBUTE = 0x8c,
	SCSI_WRITE_ATTRIBUTE = 0x8d,
	SCSI_SPACE_16 = 0x91,
	SCSI_LOCATE_16 = 0x92,
	SCSI_MOVE_MEDIUM = 0xa5,
	SCSI_READ_ELEMENTS = 0xb8,
};

/* ---- sense ---- */

enum scsi_key {
	SCSI_NO_SENSE = 0x0,
	SCSI_RECOVERED = 0x1,
	SCSI_NOT_READY = 0x2,
	SCSI_MEDIUM_ERROR = 0x3,
	SCSI_HARDWARE_ERROR = 0x4,
	SCSI_ILLEGAL_REQUEST = 0x5,
	SCSI_UNIT_ATTENTION = 0x6,
	SCSI_DATA_PROTECT = 0x7,
	SCSI_BLANK_CHECK = 0x8,
	SCSI_ABORTED = 0xb,
	SCSI_VOLUME_OVERFLOW = 0xd,
};

struct scsi_sense {
	uint8_t key;
	uint16_t code; /* additional sense code and its qualifier */
	bool deferred; /* of an earlier command; this one was not done */
	bool filemark, eom, ili;
	bool informed;	     /* `information` came */
	int64_t information; /* a residue, negative when there was more */
};

/* Fixed and descriptor formats. False: these are no sense data (then *s is
 * key SCSI_ABORTED with no code). */
bool scsi_sense_parse(const uint8_t *data, size_t length, struct scsi_sense *s);
/* "medium error: write error (3/0c00)"; into `room` of `size`. */
void scsi_sense_text(const struct scsi_sense *s, char *room, size_t size);
/* The error of a command that answered a CHECK with this sense, without what
 * FM, EOM and ILI mean; 0 for no sense and recovered. */
int scsi_sense_error(const struct scsi_sense *s);

/* ---- what devices answer ---- */

#define SCSI_TEXT 64

struct scsi_inquiry {
	uint8_t type; /* 1 tape, 8 changer; 0x1f none */
	char vendor[SCSI_TEXT], product[SCSI_TEXT], revision[SCSI_TEXT];
};

#define SCSI_TYPE_TAPE	  0x01
#define SCSI_TYPE_CHANGER 0x08

/* These answer false when the data are too short or make no sense; *out is
 * then not set. */
bool scsi_parse_inquiry(const uint8_t *data, size_t length,
			struct scsi_inquiry *out);
/* VPD page 0x80. `to` has SCSI_TEXT bytes. */
bool scsi_parse_serial(const uint8_t *data, size_t length, char *to);
bool scsi_parse_limits(const uint8_t *data, size_t length, uint32_t *min,
		       uint32_t *max);

struct scsi_position {
	bool begin, end, early;
	bool known; /* partition and object are */
	uint32_t partition;
	uint64_t object;
	uint64_t file; /* UINT64_MAX: not told (short form) */
};

bool scsi_parse_position(const uint8_t *data, size_t length,
			 struct scsi_position *out);
bool scsi_parse_position_long(const uint8_t *data, size_t length,
			      struct scsi_position *out);

struct scsi_mode {
	bool write_protected;
	uint8_t buffered;
	bool described; /* density and block are known */
	uint8_t density;
	uint32_t block;	     /* bytes; 0 variable */
	const uint8_t *page; /* into the data, with its two bytes of header
				(four with a subpage); NULL: not there */
	size_t page_length;
};

/* MODE SENSE(6); looks for a page, 0 for none. */
bool scsi_parse_mode(const uint8_t *data, size_t length, uint8_t page,
		     struct scsi_mode *out);
/* One parameter of a LOG SENSE page, as an unsigned number. */
bool scsi_parse_log(const uint8_t *data, size_t length, uint8_t page,
		    uint16_t parameter, uint64_t *value);
/* TapeAlert flags of page 0x2e: bit N is flag N, 1..63. */
bool scsi_parse_alerts(const uint8_t *data, size_t length, uint64_t *flags);
/* One attribute of READ ATTRIBUTE; *value points into the data. */
bool scsi_parse_attribute(const uint8_t *data, size_t length, uint16_t id,
			  const uint8_t **value, size_t *value_length);
/* The name of a density of REPORT DENSITY SUPPORT; SCSI_TEXT bytes. */
bool scsi_parse_density(const uint8_t *data, size_t length, uint8_t density,
			char *to);

enum scsi_element_type {
	SCSI_ELEMENT_ALL,
	SCSI_ELEMENT_PICKER,
	SCSI_ELEMENT_SLOT,
	SCSI_ELEMENT_PORT, /* import and export */
	SCSI_ELEMENT_DRIVE,
};

struct scsi_element {
	enum scsi_element_type type;
	uint16_t address;
	bool full, except, accessible;
	bool has_source;
	uint16_t source;	 /* where its cartridge came from */
	char barcode[SCSI_TEXT]; /* "" when not told */
	char serial[SCSI_TEXT];	 /* of a drive (DVCID), or "" */
};

/* Calls `each` for all elements of READ ELEMENT STATUS, until it answers
 * something else than 0, which is returned. REEL_EDAMAGED: not such data. */
int scsi_parse_elements(const uint8_t *data, size_t length,
			int (*each)(void *context,
				    const struct scsi_element *e),
			void *context);

#endif
