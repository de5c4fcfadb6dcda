/* Inside a run of delayed operations: one record. */
#ifndef REEL_FS_DELAYED_ACT_H
#define REEL_FS_DELAYED_ACT_H

#include "catalog/delayed.h"

/* Directories that were changed and must be synced before their records count
 * as ended. */
#define DELAYED_BATCH 64

struct delayed_dirty {
	int fds[3 * DELAYED_BATCH];
	int count;
};

/* Looks at what is there before the record's first run and notes it in
 * r->witness, and, for moves that have no content yet, r->content. */
void delayed_look(int root, struct delayed_record *r);
/* Does it, or finds that it was done (`again`: an earlier run began it).
 * Returns its status. */
uint32_t delayed_act(int root, const struct delayed_record *r, bool again,
		     struct delayed_dirty *dirty);
/* What delayed_act would answer, as far as can be seen. */
uint32_t delayed_foresee(int root, const struct delayed_record *r);
/* It moves a staged directory. */
bool delayed_is_directory(int root, const struct delayed_record *r);
/* It is a move of ours, not done yet, to a name that stands there in other
 * letters, too. */
bool delayed_is_folded(int root, const struct delayed_record *r);
/* Syncs and closes; 0 or an error. */
int delayed_settle(struct delayed_dirty *dirty);

#endif
