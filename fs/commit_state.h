/* Inside commit: what the walk asks of a frozen tree. commit_visits.c which
 * directories to visit, commit_item.c nodes as items, commit_judge.c rules. */
#ifndef REEL_FS_COMMIT_STATE_H
#define REEL_FS_COMMIT_STATE_H

#include "fs/commit_walk.h"
#include "fs/live_state.h"

/* ---- commit_visits.c ---- */

struct visits;

int visits_new(struct commit_walk *w, struct visits **out);
void visits_free(struct visits *v); /* accepts NULL */
bool visits_has(const struct visits *v, uint64_t directory);
/* Whether a directory has one to visit in it that the base named. */
bool visits_has_base(const struct visits *v, uint64_t directory);

/* ---- commit_item.c ---- */

/* A node as the frozen tree has it; the caller's to release. */
int commit_node(struct commit_walk *w, uint64_t id, struct spool_node *out);
/* The node's metadata, and where its bytes are, into an item. */
int commit_fill(struct item *i, struct spool_node *n);
/* What the newest snapshot has at a folder's path, into its item. */
int commit_old_folder(struct commit_walk *w, struct item *i);
/* Order of names: bytes. */
int commit_order(const void *a, size_t a_length, const void *b,
		 size_t b_length);

/* ---- commit_judge.c ---- */

/* *rule is the text of the rule that leaves a name out (heap), or NULL. */
int commit_judge(struct commit_walk *w, struct folder *f, const char *name,
		 const struct spool_node *n, struct rules_place *below,
		 char **rule);
/* What is dirty below a directory that is left out is left out, too. */
int commit_exclude_below(struct commit_walk *w, uint64_t directory);

#endif
