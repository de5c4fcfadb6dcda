#include "tools/figures.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SECOND 1000000000

const char *figure_human(uint64_t bytes, char text[FIGURE_SIZE])
{
	static const char units[] = "KMGTPE";
	double v = (double)bytes;
	int unit = -1;

	while (v >= 1023.5 && unit < 5) {
		v /= 1024;
		unit++;
	}
	if (unit < 0)
		snprintf(text, FIGURE_SIZE, "%" PRIu64, bytes);
	else
		snprintf(text, FIGURE_SIZE, "%.*f%c", v < 9.95, v, units[unit]);
	return text;
}

const char *figure_bytes(uint64_t bytes, char text[FIGURE_SIZE])
{
	if (isatty(STDOUT_FILENO))
		return figure_human(bytes, text);
	snprintf(text, FIGURE_SIZE, "%" PRIu64, bytes);
	return text;
}

static time_t split(int64_t ns, long *rest)
{
	int64_t seconds = ns / SECOND;

	*rest = (long)(ns % SECOND);
	if (*rest < 0) {
		*rest += SECOND;
		seconds--;
	}
	return (time_t)seconds;
}

const char *figure_time(int64_t ns, char text[FIGURE_SIZE])
{
	long rest;
	time_t seconds = split(ns, &rest);
	struct tm t;

	gmtime_r(&seconds, &t);
	snprintf(text, FIGURE_SIZE, "%04d-%02d-%02dT%02d:%02d:%02d.%09ldZ",
		 t.tm_year + 1900, t.tm_mon + 1, t.tm_mday, t.tm_hour, t.tm_min,
		 t.tm_sec, rest);
	return text;
}

const char *figure_local(int64_t ns, char text[FIGURE_SIZE])
{
	long rest;
	time_t seconds = split(ns, &rest);
	struct tm t;

	localtime_r(&seconds, &t);
	strftime(text, FIGURE_SIZE, "%Y-%m-%d %H:%M:%S", &t);
	return text;
}

const char *figure_local_exact(int64_t ns, char text[FIGURE_SIZE])
{
	long rest;
	time_t seconds = split(ns, &rest);
	struct tm t;
	char day[24], zone[8];

	localtime_r(&seconds, &t);
	strftime(day, sizeof(day), "%Y-%m-%d %H:%M:%S", &t);
	strftime(zone, sizeof(zone), "%z", &t);
	snprintf(text, FIGURE_SIZE, "%s.%09ld %s", day, rest, zone);
	return text;
}

char figure_type(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFDIR:
		return 'd';
	case S_IFLNK:
		return 'l';
	case S_IFCHR:
		return 'c';
	case S_IFBLK:
		return 'b';
	case S_IFIFO:
		return 'p';
	case S_IFREG:
		return '-';
	}
	return '?';
}

const char *figure_mode(mode_t mode, char text[FIGURE_SIZE])
{
	static const char bits[] = "rwxrwxrwx";

	text[0] = figure_type(mode);
	for (int i = 0; i < 9; i++)
		text[1 + i] = mode & (0400u >> i) ? bits[i] : '-';
	if (mode & S_ISUID)
		text[3] = mode & S_IXUSR ? 's' : 'S';
	if (mode & S_ISGID)
		text[6] = mode & S_IXGRP ? 's' : 'S';
	if (mode & S_ISVTX)
		text[9] = mode & S_IXOTH ? 't' : 'T';
	text[10] = '\0';
	return text;
}
