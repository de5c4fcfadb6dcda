/* POSIX ACLs in the kernel's xattr form (linux/posix_acl_xattr.h): le32
 * version 2, then entries of le16 tag, le16 permissions, le32 id. Pure
 * functions; acl(5) and POSIX 1003.1e draft 17 say what they mean. A list
 * that is none is REEL_EINVAL. */
#ifndef REEL_FS_ACL_H
#define REEL_FS_ACL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "tape/buffer.h"

#define ACL_ACCESS  "system.posix_acl_access"
#define ACL_DEFAULT "system.posix_acl_default"

/* The permission bits of a file with this access ACL put into *mode; *plain:
 * the ACL says no more than these bits do. */
int acl_to_mode(const void *acl, size_t length, mode_t *mode, bool *plain);
/* The access ACL after chmod to `mode`, in place. */
int acl_chmod(void *acl, size_t length, mode_t mode);
/* What a new file gets from its directory's default ACL: *mode (as asked for)
 * is reduced, *access is the file's access ACL, or stays empty when the mode
 * says all. */
int acl_inherit(const void *acl, size_t length, mode_t *mode,
		struct buffer *access);

#endif
