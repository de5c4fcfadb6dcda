/* The rules of a set: SET/rules, a verb and its argument a line.
 *
 *     exclude PATTERN            is not stored, and nothing below it
 *     include PATTERN            is stored; the last rule that fits decides
 *     nosnapshot PATTERN         as exclude
 *     exclude-if-present NAME    directories that hold NAME are not stored
 *                                (CACHEDIR.TAG: with its signature)
 *     exclude-nodump             what has the nodump attribute is not stored
 *     preserve PATTERN           nothing is restored there, nor below it
 *     merge PATTERN              what is there stays, at any depth below it
 *                                too; what is missing is restored
 *     delay PATTERN              is restored at the next boot, and what lies
 *                                below it
 *     delay busy                 so is what is in use
 *     key-preserve, key-merge KEY
 *                                are for registry keys
 *
 * `#` begins a comment where a verb could. Blanks at the end of a line count
 * with a \ before them only. Patterns: pattern.h. What is named to be stored
 * (the paths of a backup) is stored; rules judge what lies below.
 *
 * Pure functions: nothing here reads a filesystem. A judgement looks at the
 * rules whose last name begins and ends as the path's does, so thousands cost
 * little. Rules that are sealed may be used by many threads. */
#ifndef REEL_CATALOG_RULES_H
#define REEL_CATALOG_RULES_H

#include <stdint.h>
#include "catalog/pattern.h"

enum rule_verb {
	RULE_EXCLUDE,
	RULE_INCLUDE,
	RULE_NOSNAPSHOT,
	RULE_IF_PRESENT,
	RULE_NODUMP,
	RULE_PRESERVE,
	RULE_MERGE,
	RULE_DELAY,
	RULE_DELAY_BUSY,
	RULE_KEY_PRESERVE,
	RULE_KEY_MERGE,
};
#define RULE_VERBS (RULE_KEY_MERGE + 1)

struct rule {
	enum rule_verb verb;
	char *text;	  /* as written, blanks at its ends removed */
	char *argument;	  /* a name or a key; "" for patterns */
	unsigned line;	  /* from 1; 0: not of a file */
	uint32_t next;	  /* of its verb: number + 1, 0 none */
	const char *hint; /* what its author may not have meant, or NULL */
	struct pattern pattern;
};

/* Verbs that are judged together: the last rule of them that fits decides. */
enum rules_family {
	RULES_STORING,	 /* exclude, include, nosnapshot */
	RULES_RESTORING, /* exclude, include */
	RULES_KEEPING,	 /* preserve, merge */
	RULES_DELAYING,	 /* delay */
	RULES_FAMILIES
};

struct rules {
	struct rule *rules;
	uint32_t count, room;
	uint32_t first[RULE_VERBS], last[RULE_VERBS]; /* number + 1 */
	struct rules_index *index[RULES_FAMILIES];    /* NULL: has no rule */
};

/* What lies below a directory: the highest rules that fit all of it. */
struct rules_place {
	uint32_t below, directories_below; /* number + 1, 0 none */
};

/* A mistake in a rules file: the line and what is wrong. */
typedef void (*rules_mistake)(void *context, unsigned line, const char *text,
			      const char *trouble);

/* Appends rules. REEL_EINVAL when there were mistakes (each was told). */
int rules_parse(struct rules *r, const char *text, size_t length,
		rules_mistake mistake, void *context);
/* Appends `exclude PATTERN`, line 0. NULL or what is wrong. */
const char *rules_exclude(struct rules *r, const char *pattern);
/* Due before the first judgement. */
int rules_seal(struct rules *r);
void rules_release(struct rules *r);

/* The rule among exclude, include and nosnapshot that decides about a path
 * (relative, no slash at its ends), or NULL. `above` is what its directory's
 * judgement gave as *below, zeros for the root's and for a path that is named
 * to be stored. */
const struct rule *rules_judge(const struct rules *r, struct rules_place above,
			       const char *path, size_t length, bool directory,
			       struct rules_place *below);
/* The same for the rules of any family. */
const struct rule *rules_decide(const struct rules *r, enum rules_family family,
				struct rules_place above, const char *path,
				size_t length, bool directory,
				struct rules_place *below);
/* Whether that rule leaves it out; NULL: no. */
bool rule_excludes(const struct rule *rule);
/* The first rule of a verb behind `after` (NULL: of all), or NULL. */
const struct rule *rules_next(const struct rules *r, enum rule_verb verb,
			      const struct rule *after);

#endif
