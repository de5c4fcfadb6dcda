/* The thread of a mount that commits: when asked, every -o commit=SECONDS,
 * and when the spool has grown beyond -o spool-size. One commit at a time;
 * who asks meanwhile gets the next. */
#ifndef REEL_FS_COMMITTER_H
#define REEL_FS_COMMITTER_H

#include "fs/commit.h"
#include "fs/mount.h"

struct committer;

int committer_new(struct set *set, struct live *live,
		  const struct mount_options *o, struct committer **out);
/* Ends the thread; a commit under way is given up. Accepts NULL. */
void committer_stop(struct committer *c);
void committer_free(struct committer *c); /* accepts NULL */

/* `done` is called by the thread when a commit that began after this call has
 * ended. */
typedef void (*committer_done)(void *context, int error);
int committer_ask(struct committer *c, const char *label, committer_done done,
		  void *context);
/* One who asked waits no more: a commit that nobody else waits for is given up,
 * and it is answered with REEL_ESTOPPED. */
void committer_withdraw(struct committer *c);
/* How things stand, as lines of `key value`, appended: see README. */
int committer_status(struct committer *c, struct buffer *out);

#endif
