/* Numbers and times as people and programs read them. */
#ifndef REEL_TOOLS_FIGURES_H
#define REEL_TOOLS_FIGURES_H

#include <stdint.h>
#include <sys/types.h>

#define FIGURE_SIZE 48 /* room that each of these needs */

/* 1023, 1.5K, 12M, 3.4G: powers of 1024. */
const char *figure_human(uint64_t bytes, char text[FIGURE_SIZE]);
/* Human on a terminal, else the exact number. */
const char *figure_bytes(uint64_t bytes, char text[FIGURE_SIZE]);
/* 2026-11-22T10:15:00.000000000Z */
const char *figure_time(int64_t ns, char text[FIGURE_SIZE]);
/* 2026-11-22 10:15:00, local */
const char *figure_local(int64_t ns, char text[FIGURE_SIZE]);
/* 2026-11-22 10:15:00.000000000 +0100, local */
const char *figure_local_exact(int64_t ns, char text[FIGURE_SIZE]);
/* What such a line begins with: - d l c b p, or ?. */
char figure_type(mode_t mode);
/* -rwsr-xr-x */
const char *figure_mode(mode_t mode, char text[FIGURE_SIZE]);

#endif
