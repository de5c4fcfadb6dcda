#include "fs/mountinfo.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOUNT_LIMIT 65536 /* lines */

/* Octal escapes undone, in place. */
static void unescape(char *text)
{
	char *to = text;

	for (; *text; text++) {
		if (*text == '\\' && text[1] && text[2] && text[3]) {
			*to++ = (char)((text[1] - '0') << 6 |
				       (text[2] - '0') << 3 | (text[3] - '0'));
			text += 3;
		} else {
			*to++ = *text;
		}
	}
	*to = '\0';
}

/* The fifth field, and the first behind " - ". */
static int split(char *line, char **place, char **type)
{
	char *at = line;

	for (int field = 0; field < 5 && at; field++)
		*place = strsep(&at, " ");
	*type = at ? strstr(at, " - ") : NULL;
	if (!*type)
		return 0;
	*type += 3;
	(*type)[strcspn(*type, " ")] = '\0';
	unescape(*place);
	return 1;
}

int mountinfo_each(int (*each)(void *context, const char *place,
			       const char *type),
		   void *context)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	char *line = NULL, *place, *type;
	size_t room = 0;
	int result = 0;

	for (int n = 0;
	     f && !result && n < MOUNT_LIMIT && getline(&line, &room, f) > 0;
	     n++) {
		if (split(line, &place, &type))
			result = each(context, place, type);
	}
	free(line);
	if (f)
		fclose(f);
	return result;
}
