#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "tape/log.h"

/* One write(2) a line, so that lines of several threads and processes do not
 * mix. */
static void put(const char *line, size_t length)
{
	while (length) {
		ssize_t n = write(STDERR_FILENO, line, length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return;
		line += n;
		length -= (size_t)n;
	}
}

/* A name may bring what makes a terminal act, or a second line. */
static void tame(char *text, size_t length)
{
	for (size_t n = 0; n < length; n++)
		if ((unsigned char)text[n] < 0x20 || text[n] == 0x7f)
			text[n] = '?';
}

static void say(const char *front, const char *format, va_list args)
{
	char small[1024];
	char *line = small;
	size_t begin = strlen(front);
	int saved = errno;
	va_list again;
	int n;

	va_copy(again, args);
	n = vsnprintf(NULL, 0, format, again);
	va_end(again);
	if (n < 0)
		return;
	if (begin + (size_t)n + 2 > sizeof(small))
		line = malloc(begin + (size_t)n + 2);
	if (!line) {
		line = small;
		n = (int)(sizeof(small) - begin - 2);
	}
	memcpy(line, front, begin);
	vsnprintf(line + begin, (size_t)n + 1, format, args);
	tame(line + begin, (size_t)n);
	line[begin + (size_t)n] = '\n';
	put(line, begin + (size_t)n + 1);
	if (line != small)
		free(line);
	errno = saved;
}

void log_error(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say("reel: ", format, args);
	va_end(args);
}

void log_warning(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say("reel: warning: ", format, args);
	va_end(args);
}

void log_note(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say("reel: ", format, args);
	va_end(args);
}
