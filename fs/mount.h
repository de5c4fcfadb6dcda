/* A set as a filesystem: low-level FUSE. */
#ifndef REEL_FS_MOUNT_H
#define REEL_FS_MOUNT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include "catalog/set.h"

struct mount_options {
	const char *mountpoint;
	const char *snapshot; /* this one at the root; NULL: the views */
	size_t cache;	      /* bytes of decoded frames; default 16 MiB */
	bool foreground;
	bool allow_other;
	bool alone;	     /* current/ is the root, and all there is */
	bool read_only;	     /* current/ too */
	const char *restore; /* the target that restore/ shows; NULL: none */
	const char *const *restore_filesystems; /* below it */
	size_t restore_filesystem_count;
	bool restore_strict;   /* no shadows */
	bool restore_alone;    /* restore/ is the root, and all there is */
	bool set_uid, set_gid; /* every file shows these owners */
	uid_t uid;
	gid_t gid;
	mode_t umask;		  /* permissions that no file shows */
	unsigned commit;	  /* seconds between commits; 0: when asked */
	uint64_t spool_size;	  /* bytes that make a commit begin; 0: none */
	const char *fuse_options; /* further -o text for libfuse; may be NULL */
	int ready; /* fd that gets one byte when the mount answers, -1 none */
};

/* Serves until unmounted. */
int mount_run(struct set *set, const struct mount_options *o);
/* Commits what was written to MNT/current and waits. The commit's end stands in
 * the status then. Logs what the daemon does not. */
int mount_commit(const char *mountpoint, const char *label);
/* From another thread: a mount_commit is given up, unless others wait for the
 * same commit. */
void mount_withdraw(const char *mountpoint);
/* Attributes of MNT/current by which its daemon is spoken to. */
#define MOUNT_COMMIT   "user.reel.commit"   /* written: a label, or nothing */
#define MOUNT_WITHDRAW "user.reel.withdraw" /* asked for: no value */
#define MOUNT_STATUS   "user.reel.status"   /* lines: committer.h */

/* Takes a reel mount down: waits until it is really gone. What was written
 * stays in the spool. One that a program uses stays as it was (said). */
int mount_umount(const char *mountpoint);
/* Whether mount_commit has anything to commit there. */
bool mount_takes_writes(const char *mountpoint);
/* Whether one lies on the path (absolute), topmost. */
bool mount_is_there(const char *path);

#endif
