/* The mounts of this process's namespace (proc(5), /proc/self/mountinfo). */
#ifndef REEL_FS_MOUNTINFO_H
#define REEL_FS_MOUNTINFO_H

/* Calls `each` for every mount in order, with its mountpoint and its type
 * ("fuse.reel"), until it returns non-zero, which is passed on. 0 without
 * /proc. */
int mountinfo_each(int (*each)(void *context, const char *place,
			       const char *type),
		   void *context);

#endif
