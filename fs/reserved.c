#include "fs/reserved.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define ESCAPE_LENGTH (sizeof(RESERVED_ESCAPE) - 1)

/* The set's reserved name, or one that its escaped form could be taken for. */
static bool is_reserved(const char *name, const char *reserved)
{
	size_t length = strlen(reserved);

	if (strncmp(name, reserved, length) != 0)
		return false;
	name += length;
	while (!strncmp(name, RESERVED_ESCAPE, ESCAPE_LENGTH))
		name += ESCAPE_LENGTH;
	return !*name;
}

const char *reserved_stored(const char *reserved, const char *name, char *room)
{
	if (!is_reserved(name, reserved))
		return name;
	snprintf(room, RESERVED_ROOM, "%s" RESERVED_ESCAPE, name);
	return room;
}
