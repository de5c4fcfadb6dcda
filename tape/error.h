/* The one list of errors. Functions return 0 (or a count) on success and one
 * of these negative values otherwise; errno values never travel upwards. */
#ifndef REEL_TAPE_ERROR_H
#define REEL_TAPE_ERROR_H

/*        name             value  errno       exit  text */
#define REEL_ERRORS(X)                                                         \
	X(REEL_EIO, -1, EIO, 2, "input/output error")                          \
	X(REEL_ENOMEM, -2, ENOMEM, 2, "out of memory")                         \
	X(REEL_EDAMAGED, -3, EIO, 5, "damaged data")                           \
	X(REEL_ENOENT, -4, ENOENT, 2, "no such file or directory")             \
	X(REEL_EEXIST, -5, EEXIST, 2, "exists already")                        \
	X(REEL_ELOCKED, -6, EBUSY, 3, "the set is locked")                     \
	X(REEL_ENOSPC, -7, ENOSPC, 2, "no space left on device")               \
	X(REEL_EMEDIUM, -8, ENOMEDIUM, 4, "a medium is needed")                \
	X(REEL_EROFS, -9, EROFS, 2, "read-only file system")                   \
	X(REEL_EVERSION, -10, ENOTSUP, 2, "made by a newer version of reel")   \
	X(REEL_EINVAL, -11, EINVAL, 2, "invalid argument")                     \
	X(REEL_EPERM, -12, EACCES, 2, "permission denied")                     \
	X(REEL_ENOTDIR, -13, ENOTDIR, 2, "not a directory")                    \
	X(REEL_ESTOPPED, -14, EINTR, 130, "interrupted")                       \
	X(REEL_ENOTSUP, -15, ENOTSUP, 2, "not supported")                      \
	X(REEL_ERANGE, -16, ERANGE, 2, "too large")                            \
	X(REEL_ENOTEMPTY, -17, ENOTEMPTY, 2, "directory not empty")            \
	X(REEL_EISDIR, -18, EISDIR, 2, "is a directory")                       \
	X(REEL_ENAMETOOLONG, -19, ENAMETOOLONG, 2, "name too long")            \
	X(REEL_ENODATA, -20, ENODATA, 2, "no such attribute")                  \
	X(REEL_EFBIG, -21, EFBIG, 2, "file too large")                         \
	X(REEL_EMLINK, -22, EMLINK, 2, "too many links")                       \
	X(REEL_EDQUOT, -23, EDQUOT, 2, "disk quota exceeded")                  \
	X(REEL_ESTALE, -24, ESTALE, 2, "stale file handle")                    \
	X(REEL_EBUSY, -25, EBUSY, 2, "the device is in use")                   \
	X(REEL_ERESET, -26, EIO, 2, "the position on the medium is lost")      \
	X(REEL_EXDEV, -27, EXDEV, 2, "on another filesystem")                  \
	X(REEL_EREFUSED, -28, EPERM, 2, "not permitted")                       \
	X(REEL_ETXTBSY, -29, ETXTBSY, 2, "the program is running")

enum reel_error {
#define X(name, value, err, status, text) name = value,
	REEL_ERRORS(X)
#undef X
};

/* A sentence fragment for an error; never NULL. */
const char *error_text(int error);
/* The errno that FUSE or a system call answers for an error (positive). */
int error_errno(int error);
/* The exit status of a command that ended with this error; 0 for 0. */
int error_exit(int error);
/* The error for an errno value; REEL_EIO for those that have none. */
int error_from_errno(int err);

#endif
