/* What a restore leaves for the next boot: the one place that knows the
 * journal (catalog/delayed.h). It is opened when the first operation is
 * delayed. Paths are relative to the target. Safe for several threads. */
#ifndef REEL_FS_DELAY_H
#define REEL_FS_DELAY_H

#include <stdbool.h>
#include <stdint.h>
#include "catalog/delayed.h"

struct delay;

/* `directory`: of the journal, or NULL; both borrowed. */
int delay_new(const char *root, const char *directory, struct delay **out);
/* Where to write what will go to `path`. */
int delay_stage(struct delay *d, const char *path, struct delayed_stage *out);
void delay_unstage(struct delay *d, struct delayed_stage *s);
/* It was written. `flags`: of inodes, FS_IOC_SETFLAGS. Takes over *s. */
int delay_move(struct delay *d, struct delayed_stage *s, const char *path,
	       uint32_t flags);
int delay_delete(struct delay *d, const char *path);
/* Takes back what is about `path`, if anything is. */
int delay_cancel(struct delay *d, const char *path);
/* What will be refused at the next boot: the target takes `path` for `other`,
 * which is there, or goes there before. */
typedef void (*delay_refused)(void *context, const char *path,
			      const char *other);
/* Makes everything durable and tells what will be refused, or forgets it; and
 * closes. Accepts NULL. */
int delay_end(struct delay *d, bool keep, delay_refused refused, void *context);

#endif
