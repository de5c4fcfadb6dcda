/* Paths below a directory, opened so that nothing outside it can be reached:
 * openat2(2) with RESOLVE_BENEATH and RESOLVE_NO_SYMLINKS, or, where the
 * kernel or a sandbox has no openat2, component by component.
 *
 * A path is relative, its components parted by single slashes, none of them
 * `.` or `..`; "" is the directory itself. When an error is returned, errno
 * says why, too. */
#ifndef REEL_CATALOG_BENEATH_H
#define REEL_CATALOG_BENEATH_H

#include <stdbool.h>
#include <stddef.h>

#define BENEATH_NAME_LIMIT 255
#define BENEATH_PATH_LIMIT 65536

/* One component. */
bool beneath_name_valid(const char *name, size_t length);
/* A path as above, not empty, at most BENEATH_PATH_LIMIT bytes. */
bool beneath_path_valid(const char *path, size_t length);
/* The directory at `path`; a descriptor (O_RDONLY) or an error. */
int beneath_open(int root, const char *path);
/* The directory that holds `path`, and its name there, which points into
 * `path`; a descriptor or an error. */
int beneath_parent(int root, const char *path, const char **name);
/* Whatever stands at `path`, a symlink, too, which must not lie on another
 * filesystem than `root`; a descriptor (O_PATH) or an error: REEL_EXDEV. */
int beneath_pin(int root, const char *path);
/* Makes what is missing of the directories of `path`, with this mode, each
 * made durable in its parent; a descriptor or an error. */
int beneath_make(int root, const char *path, unsigned mode);

#endif
