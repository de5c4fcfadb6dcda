/* A set as a filesystem: low-level FUSE, read-only. */
#ifndef REEL_FS_MOUNT_H
#define REEL_FS_MOUNT_H

#include <stdbool.h>
#include <stddef.h>
#include "catalog/set.h"

struct mount_options {
	const char *mountpoint;
	const char *snapshot; /* this one at the root; NULL: the views */
	size_t cache;	      /* bytes of decoded frames; default 16 MiB */
	bool foreground;
	bool allow_other;
	bool offline_fail;
	const char *fuse_options; /* further -o text for libfuse; may be NULL */
	int ready; /* fd that gets one byte when the mount answers, -1 none */
};

/* Serves until unmounted. */
int mount_run(struct set *set, const struct mount_options *o);
/* Takes a reel mount down: waits until it is really gone. */
int mount_umount(const char *mountpoint);

#endif
