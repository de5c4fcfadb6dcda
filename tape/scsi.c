#include <string.h>
#include "tape/scsi.h"

void scsi_put16(uint8_t *at, uint16_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

void scsi_put24(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 16);
	scsi_put16(at + 1, (uint16_t)value);
}

void scsi_put32(uint8_t *at, uint32_t value)
{
	scsi_put16(at, (uint16_t)(value >> 16));
	scsi_put16(at + 2, (uint16_t)value);
}

void scsi_put64(uint8_t *at, uint64_t value)
{
	scsi_put32(at, (uint32_t)(value >> 32));
	scsi_put32(at + 4, (uint32_t)value);
}

uint16_t scsi_get16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

uint32_t scsi_get24(const uint8_t *at)
{
	return (uint32_t)at[0] << 16 | scsi_get16(at + 1);
}

uint32_t scsi_get32(const uint8_t *at)
{
	return (uint32_t)scsi_get16(at) << 16 | scsi_get16(at + 2);
}

uint64_t scsi_get64(const uint8_t *at)
{
	return (uint64_t)scsi_get32(at) << 32 | scsi_get32(at + 4);
}

/* The group of an operation tells the length (SPC-4, 4.2.5). */
static uint8_t cdb_length(uint8_t operation)
{
	switch (operation >> 5) {
	case 0:
		return 6;
	case 1:
	case 2:
		return 10;
	case 4:
		return 16;
	default:
		return 12;
	}
}

void scsi_begin(struct scsi_command *c, uint8_t operation, unsigned timeout)
{
	memset(c, 0, sizeof(*c));
	c->cdb[0] = operation;
	c->cdb_length = cdb_length(operation);
	c->timeout = timeout;
}
