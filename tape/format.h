/* The texts that lie in front of every session: what the volume is, and the
 * recipe that gets everything back without reel. */
#ifndef REEL_TAPE_FORMAT_H
#define REEL_TAPE_FORMAT_H

extern const char format_readme[];
extern const char format_recover[];

#endif
