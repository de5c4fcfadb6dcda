/* A foreign archive as a set: a plain tar, written by any program, in a file,
 * a zstd file or on a tape. It is looked through once; a set of one session is
 * made of it, in a private directory that foreign_close() removes, and its
 * volumes are the archive itself (zstd without a usable seek table: a copy in
 * frames of ours).
 *
 *     one archive      its tree is the root
 *     a tape of many   file-0, file-1 ..., by tape file
 *
 * What is whole is shown. What cannot be is said: names with "..", links to
 * what the archive does not hold, what damage or a missing end took. */
#ifndef REEL_CATALOG_FOREIGN_H
#define REEL_CATALOG_FOREIGN_H

#include <stdbool.h>
#include "catalog/set.h"

struct foreign;

/* Whether the name is a file or a drive. */
bool foreign_is_archive(const char *name);
bool foreign_is_drive(const char *name);
/* Says what is wrong. REEL_EINVAL: it is no archive; *stop ends it. */
int foreign_open(const char *name, const volatile int *stop,
		 struct foreign **out);
/* Opened for reading; its `foreign` is set. Borrowed. */
struct set *foreign_set(struct foreign *f);
/* It is a cartridge of reel in a drive, and the set is what that tells: with
 * snapshots, contents of this cartridge alone. `foreign` is not set then. */
bool foreign_is_set(const struct foreign *f);
void foreign_close(struct foreign *f);

#endif
