/* What a restore does with one name: the snapshot, the target's present state
 * and the rules in, a verdict out. Pure functions: nothing here reads or
 * writes a filesystem, so that whoever restores, by whatever way, decides the
 * same.
 *
 * For every name, in this order (the first that fits decides):
 *   1 `exclude`              excluded; nothing below it either
 *   2 `preserve`             kept, there or not; all below it too
 *   3 `merge`, it is there   kept; below a directory each name is judged anew
 *   4 it is not there        new
 *   5 --overwrite says no    kept (same, when nothing at all differs)
 *   6 it matches             same; its metadata are put right
 *   7                        changed
 * What would be new or changed and fits `delay` is delayed instead. What is at
 * the target but not in the snapshot: kept by 1, 2 and 3 and else an extra,
 * which only --delete removes.
 *
 * (`reel restore` lets alone, too, what a `nosnapshot` kept out of backups:
 * no snapshot can tell that it is gone.)
 *
 * P1 Rules judge names, never what a symlink points to.
 * P2 Nothing below a preserved or excluded directory is taken back by a rule
 *    further down; a preserved name below a merged or delayed one stays.
 * P3 A rule for directories fits where either side has one, so that a file in
 *    the snapshot does not get around it. An exclude looks at the snapshot.
 * P4 What an interrupted restore left unfinished counts as not there, but for
 *    `preserve`. */
#ifndef REEL_FS_PLAN_H
#define REEL_FS_PLAN_H

#include <stdbool.h>
#include <sys/types.h>
#include "catalog/rules.h"

enum plan_action {
	PLAN_NEW,
	PLAN_SAME,
	PLAN_CHANGED,
	PLAN_KEPT,
	PLAN_DELAYED,
	PLAN_EXCLUDED,
	PLAN_EXTRA,
	PLAN_FAILED, /* never a verdict: what became of one */
	PLAN_ACTIONS
};

enum plan_overwrite {
	OVERWRITE_ALWAYS,
	OVERWRITE_NEWER, /* when the snapshot's mtime is later */
	OVERWRITE_NEVER,
};

struct plan {
	const struct rules *rules; /* sealed, borrowed; NULL: none */
	enum plan_overwrite overwrite;
};

/* What is carried from a directory to the names in it; zeros for the root's. */
struct plan_place {
	struct rules_place storing, restoring, keeping, delaying;
	const struct rule *merge, *delay; /* of a directory above, or NULL */
};

/* What the rules alone say about a name. */
struct plan_opinion {
	const struct rule *exclude, *keep, *delay; /* NULL: none */
	const struct rule *unstored; /* by which no backup has it, or NULL */
};

/* Modes of which the type counts; 0: it is not there. */
struct plan_subject {
	mode_t wanted;	 /* in the snapshot */
	mode_t present;	 /* at the target */
	bool same;	 /* kind and content match */
	bool identical;	 /* metadata do besides */
	bool later;	 /* the snapshot's mtime is later */
	bool unfinished; /* an interrupted restore left it */
};

struct plan_verdict {
	enum plan_action action;
	const struct rule *rule; /* that decided, or NULL */
	const char *why;	 /* static; NULL when the rule says it */
};

/* Whether any rule is for restoring names. */
bool plan_has_rules(const struct plan *p);
/* `wanted` and `present` as above; of `path` (relative, no slash at its ends)
 * the directories were asked about before, `above` is what came of the last.
 * *below is for the names in it. */
void plan_opine(const struct plan *p, const struct plan_place *above,
		const char *path, size_t length, mode_t wanted, mode_t present,
		struct plan_opinion *out, struct plan_place *below);
void plan_decide(const struct plan *p, const struct plan_opinion *o,
		 const struct plan_subject *s, struct plan_verdict *out);
/* "new", "same" … */
const char *plan_action_name(enum plan_action action);
/* "always", "newer", "never". */
bool plan_overwrite_parse(const char *text, enum plan_overwrite *out);

#endif
