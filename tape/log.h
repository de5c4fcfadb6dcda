/* One line each on stderr, "reel: " in front. Said once, where path, volume
 * and block are known. Names in messages are escaped (see text.h);
 * control characters that come nevertheless are shown as question marks. */
#ifndef REEL_TAPE_LOG_H
#define REEL_TAPE_LOG_H

void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warning(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
