/* Checks of what system calls answer. A check is a function that runs in a
 * process of its own, in an empty directory of its own, with umask 0; each
 * call it looks at is one line of the result: CHECK: CALL. */
#ifndef REEL_TESTS_POSIX_CHECK_H
#define REEL_TESTS_POSIX_CHECK_H

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define USER  65534 /* the other user, and its group */
#define THIRD 65533

struct check {
	const char *name;
	void (*run)(void);
	bool root; /* needs root */
};

/* Ends with a check without a name. */
extern const struct check checks_open[], checks_data[], checks_space[],
	checks_names[], checks_rename[], checks_owner[], checks_time[],
	checks_xattr[], checks_acl[], checks_lock[], checks_directory[],
	checks_open_files[];

/* The call ends with this errno; 0: it succeeds. errno 0 besides another: both
 * are right. */
#define WANT(call, code) want(#call, (call) == -1 ? errno : 0, (code), (code))
#define EITHER(call, code, other)                                              \
	want(#call, (call) == -1 ? errno : 0, (code), (other))
#define SAME(got, wanted) same(#got, (int64_t)(got), (int64_t)(wanted))
#define TRUE(what)	  same(#what, (what) ? 1 : 0, 1)
/* The same call as another user. */
#define AS(uid, call, code)                                                    \
	do {                                                                   \
		become(uid);                                                   \
		int code_ = (call) == -1 ? errno : 0;                          \
		become(0);                                                     \
		want(#uid " " #call, code_, (code), (code));                   \
	} while (0)

void want(const char *what, int got, int code, int other);
void same(const char *what, int64_t got, int64_t wanted);
void skip(const char *what, const char *why);
void lacks(const char *what); /* the filesystem does not have it */
void become(uid_t uid);	      /* and its group alone */

/* Helpers end the check when they fail. */
void make_file(const char *path, mode_t mode);
void fill(const char *path, const char *text); /* makes it 0644 */
void make_dir(const char *path, mode_t mode);
int open_or_end(const char *path, int flags, mode_t mode);
struct stat status(const char *path); /* of a link itself */
bool holds(const char *path, const char *text);
bool there(const char *path);
int64_t changed(const char *path);  /* ctime, ns */
int64_t modified(const char *path); /* mtime, ns */
int64_t accessed(const char *path); /* atime, ns */
void tick(void);		    /* until clocks differ */
/* open, then close: 0 or -1. */
int open_close(const char *path, int flags, mode_t mode);
char *long_name(size_t length); /* 'n' so many times; the caller frees */
/* Names of a directory without . and .., or -1. */
int count_names(const char *path);
int mode_of(const char *path); /* without the type */
/* Runs what another process answers: its exit status. */
int in_child(int (*run)(void *context), void *context);

#endif
