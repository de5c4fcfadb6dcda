#include "tools/progress.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>
#include "tape/text.h"
#include "tools/figures.h"

#define REDRAW	  150000000 /* ns */
#define BAR	  20	    /* columns */
#define LINE	  512
#define SECOND	  1e9
#define SETTLE	  1e9 /* ns before a time left is worth saying */
#define WIPE_TAIL "\033[K"

static int64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static size_t columns(void)
{
	struct winsize w;

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &w) || w.ws_col < 20)
		return 79;
	return w.ws_col < LINE / 2 ? w.ws_col - 1u : LINE / 2;
}

void progress_init(struct progress *p, bool quiet)
{
	const char *terminal = getenv("TERM");

	memset(p, 0, sizeof(*p));
	p->shown = !quiet && isatty(STDERR_FILENO) && terminal &&
		   strcmp(terminal, "dumb");
	p->began = p->last = now();
}

__attribute__((format(printf, 3, 4))) static size_t add(char *line, size_t at,
							const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(line + at, LINE - at, format, args);
	va_end(args);
	if (n < 0)
		return at;
	return at + (size_t)n < LINE ? at + (size_t)n : LINE - 1;
}

static size_t add_bar(char *line, size_t at, double part)
{
	char bar[BAR + 1];
	int full = (int)(part * BAR);

	for (int i = 0; i < BAR; i++)
		bar[i] = i < full ? '#' : '-';
	bar[BAR] = '\0';
	return add(line, at, "[%s] %3.0f%%  ", bar, part * 100);
}

static size_t add_left(char *line, size_t at, double part, double spent)
{
	double left = part > 0 ? spent / SECOND * (1 - part) / part : 0;
	uint64_t s = left < 1e9 ? (uint64_t)left : 0;

	if (spent < SETTLE || part <= 0)
		return at;
	if (s >= 3600)
		return add(line, at, "  %" PRIu64 ":%02u:%02u left", s / 3600,
			   (unsigned)(s / 60 % 60), (unsigned)(s % 60));
	return add(line, at, "  %u:%02u left", (unsigned)(s / 60),
		   (unsigned)(s % 60));
}

/* As much of the path as fits, its end first. */
static size_t add_path(char *line, size_t at, const char *path, size_t room)
{
	char *name = text_name(path, strlen(path));
	size_t length = name ? strlen(name) : 0;
	const char *from = name;

	if (room > at + 8 && length) {
		size_t fits = room - at - 2;

		if (length > fits) {
			from += length - fits;
			while (((unsigned char)*from & 0xc0) == 0x80)
				from++;
		}
		at = add(line, at, "  %s", from);
	}
	free(name);
	return at;
}

static void draw(struct progress *p, const struct progress_state *s, int64_t t)
{
	char line[LINE], a[FIGURE_SIZE], b[FIGURE_SIZE];
	size_t room = columns(), at = 0;
	double part = 0;

	if (s->total) {
		part = (double)s->done / (double)s->total;
		part = part > 1 ? 1 : part;
		at = add_bar(line, at, part);
	}
	if (s->entries)
		at = add(line, at, "%" PRIu64 " entries  ", s->entries);
	at = add(line, at, "%sB  %sB/s", figure_human(s->bytes, a),
		 figure_human((uint64_t)p->rate, b));
	if (s->total)
		at = add_left(line, at, part, (double)(t - p->began));
	if (at > room)
		at = room;
	if (s->path)
		at = add_path(line, at, s->path, room);
	/* The cursor goes back, so that a message begins its own line. */
	fprintf(stderr, "\r%.*s" WIPE_TAIL "\r", (int)at, line);
	p->drawn = true;
}

void progress_update(struct progress *p, const struct progress_state *s)
{
	int64_t t;
	double rate;

	if (!p->shown)
		return;
	t = now();
	if (t - p->last < REDRAW)
		return;
	rate = s->bytes > p->last_bytes ? (double)(s->bytes - p->last_bytes) /
						  (double)(t - p->last) * SECOND
					: 0;
	p->rate = p->drawn ? 0.85 * p->rate + 0.15 * rate : rate;
	p->last = t;
	p->last_bytes = s->bytes;
	draw(p, s, t);
}

void progress_end(struct progress *p)
{
	if (p->drawn)
		fputs("\r" WIPE_TAIL, stderr);
	p->drawn = false;
}
