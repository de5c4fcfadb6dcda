/* What came out: counted over all processes, a line a failure. Failures whose
 * name begins as a line of the file of exceptions says are known. */
#ifndef REEL_TESTS_POSIX_RESULT_H
#define REEL_TESTS_POSIX_RESULT_H

#include <stdbool.h>

/* Exceptions: a line each, `NAME -- REASON`; # begins a comment. NULL: none.
 * Before the first fork. 0 or -1 with a message. */
int result_init(const char *exceptions, bool verbose);
/* The check that what follows belongs to; borrowed. */
void result_check(const char *name);
void result_ok(const char *what);
void result_not_ok(const char *what, const char *text);
void result_skip(const char *what, const char *why);
/* The filesystem does not have it: skipped, but a failure where there are
 * exceptions, which are to name it. */
void result_lacks(const char *what);
/* Prints the last lines; the exit status. */
int result_end(void);

#endif
