/* Status codes as srdelayed writes them: NTSTATUS (MS-ERREF 2.3). 0: done. */
#ifndef REEL_CATALOG_NTSTATUS_H
#define REEL_CATALOG_NTSTATUS_H

#include <stdint.h>

/*        name                  value       errno   text */
#define NTSTATUSES(X)                                                          \
	X(NTSTATUS_UNSUCCESSFUL, 0xC0000001, EIO, "failed")                    \
	X(NTSTATUS_NO_MEMORY, 0xC0000017, ENOMEM, "out of memory")             \
	X(NTSTATUS_ACCESS_DENIED, 0xC0000022, EACCES, "access denied")         \
	X(NTSTATUS_NAME_INVALID, 0xC0000033, EINVAL, "the name is not valid")  \
	X(NTSTATUS_NAME_NOT_FOUND, 0xC0000034, ENOENT, "it is not there")      \
	X(NTSTATUS_NAME_COLLISION, 0xC0000035, EEXIST,                         \
	  "the name is taken already")                                         \
	X(NTSTATUS_PATH_NOT_FOUND, 0xC000003A, ENOTDIR,                        \
	  "its directory is not there")                                        \
	X(NTSTATUS_CRC_ERROR, 0xC000003F, EBADMSG,                             \
	  "the staged content is not what was staged")                         \
	X(NTSTATUS_SHARING_VIOLATION, 0xC0000043, EBUSY, "it is in use")       \
	X(NTSTATUS_DISK_FULL, 0xC000007F, ENOSPC, "the disk is full")          \
	X(NTSTATUS_WRITE_PROTECTED, 0xC00000A2, EROFS,                         \
	  "the filesystem is read-only")                                       \
	X(NTSTATUS_IS_A_DIRECTORY, 0xC00000BA, EISDIR, "it is a directory")    \
	X(NTSTATUS_NOT_SUPPORTED, 0xC00000BB, EOPNOTSUPP,                      \
	  "the filesystem has no short names")                                 \
	X(NTSTATUS_NOT_SAME_DEVICE, 0xC00000D4, EXDEV,                         \
	  "source and destination are on different filesystems")               \
	X(NTSTATUS_NOT_EMPTY, 0xC0000101, ENOTEMPTY,                           \
	  "the directory is not empty")                                        \
	X(NTSTATUS_NAME_TOO_LONG, 0xC0000106, ENAMETOOLONG,                    \
	  "the name is too long")                                              \
	X(NTSTATUS_LINK, 0xC0000280, ELOOP,                                    \
	  "a symbolic link stands in the way")                                 \
	X(NTSTATUS_IO_ERROR, 0xC0000185, EIO, "input/output error")

enum ntstatus {
	NTSTATUS_SUCCESS = 0,
#define X(name, value, err, text) name = (int)value,
	NTSTATUSES(X)
#undef X
};

/* For an errno value; NTSTATUS_UNSUCCESSFUL for those that have none. */
uint32_t ntstatus_from_errno(int err);
/* A sentence fragment; never NULL. */
const char *ntstatus_text(uint32_t status);

#endif
