/* Whether a file is in use, so that replacing it now would leave programs with
 * the old one or would not work at all: a running executable, a mapped
 * library, a swap file, the file behind a loop device, what is open for
 * writing, a mount point, an immutable or append-only file, and what is or
 * would be in such a directory.
 *
 * Attributes and mount points are asked of statx(2). A write lease
 * (fcntl(2), F_SETLEASE) that is granted says that nobody has the file open or
 * mapped; one for reading that is refused, that somebody may write to it.
 * Else /proc and /sys are looked through, at most once a second.
 *
 * Limits: the answer is of the moment. Files that are only open for reading
 * count as free. An ordinary user gets leases on own files and sees own
 * processes only; of other files busy_check says less then. On filesystems
 * without leases (many on a network) and from inside a container, programs
 * elsewhere are not seen. */
#ifndef REEL_FS_BUSY_H
#define REEL_FS_BUSY_H

#include <sys/stat.h>

struct busy;

int busy_new(struct busy **out);
void busy_free(struct busy *b); /* accepts NULL */
/* NULL, or why `name`, there or not, is in use (static text). Safe for several
 * threads. */
const char *busy_check(struct busy *b, int directory, const char *name);

#endif
