/* Which rule decides about a path.
 *
 * A rule stands under the hash of how its last name must look: all of it, or
 * its plain end, its plain beginning, plain bytes inside, or nothing; and of
 * the name before it when that is plain, or else of its first name when it is
 * anchored and that is plain. A path is looked up under each that occurs.
 *
 * Most looks of a name and most names before it occur in no rule at all: a
 * filter that fits into the nearest cache answers that. */
#include "catalog/rules_judge.h"

#include <stdlib.h>
#include <string.h>
#include "tape/error.h"

enum place_kind { ALL, TAIL, HEAD, INSIDE, ANY, BEFORE };
enum under_kind { UNDER_NOTHING, UNDER_PARENT, UNDER_FIRST, UNDER_KINDS };

#define FILTER_WORDS 2048 /* 16 KiB */

struct rules_index {
	uint64_t filter[FILTER_WORDS]; /* a bit for each look that occurs */
	uint32_t *slots;	       /* first rule + 1 of a chain, 0 none */
	uint32_t *next;		       /* for each rule */
	uint64_t *keys;		       /* for each rule */
	size_t mask;
	bool heads[257], tails[257]; /* lengths that occur */
	bool insides[PATTERN_RUN + 1], any_inside;
	bool under[UNDER_KINDS]; /* that occur */
};

#define HASH_BASIS UINT64_C(14695981039346656037)
#define HASH_PRIME UINT64_C(1099511628211)

static uint64_t hash_more(uint64_t hash, char c)
{
	return (hash ^ (unsigned char)c) * HASH_PRIME;
}

static uint64_t hash_of(const char *text, size_t length)
{
	uint64_t hash = HASH_BASIS;

	while (length--)
		hash = hash_more(hash, *text++);
	return hash;
}

/* Tails are hashed from their end. */
static uint64_t hash_back(const char *text, size_t length)
{
	uint64_t hash = HASH_BASIS;

	while (length--)
		hash = hash_more(hash, text[length]);
	return hash;
}

static uint64_t key_of(enum place_kind kind, uint64_t name, uint64_t under)
{
	uint64_t key = (name + kind) * HASH_PRIME ^ under;

	key ^= key >> 29;
	key *= UINT64_C(0xbf58476d1ce4e5b9);
	return key ^ key >> 32;
}

/* ---- the index ---- */

static bool is_of(const struct rule *rule, enum rules_family family)
{
	if (!rule->pattern.names)
		return false;
	switch (rule->verb) {
	case RULE_EXCLUDE:
	case RULE_INCLUDE:
		return family == RULES_STORING || family == RULES_RESTORING;
	case RULE_NOSNAPSHOT:
		return family == RULES_STORING;
	case RULE_PRESERVE:
	case RULE_MERGE:
		return family == RULES_KEEPING;
	case RULE_DELAY:
		return family == RULES_DELAYING;
	default:
		return false;
	}
}

static void filter_add(struct rules_index *x, uint64_t key)
{
	x->filter[key / 64 % FILTER_WORDS] |= UINT64_C(1) << key % 64;
}

static bool filter_has(const struct rules_index *x, uint64_t key)
{
	return x->filter[key / 64 % FILTER_WORDS] >> key % 64 & 1;
}

/* Whether a name of a pattern is plain, and then its hash. */
static bool plain_hash(const char *name, uint64_t *hash)
{
	struct pattern_plain p;

	pattern_plain(name, &p);
	*hash = hash_of(p.head, p.head_length);
	return p.plain && p.head_length < sizeof(p.head);
}

static uint64_t under_key(struct rules_index *x, const struct pattern *p,
			  const char *before)
{
	enum under_kind kind = UNDER_NOTHING;
	uint64_t hash;

	if (before && plain_hash(before, &hash))
		kind = UNDER_PARENT;
	else if (p->anchored && p->count > 1 && strcmp(p->names, "**") != 0 &&
		 plain_hash(p->names, &hash))
		kind = UNDER_FIRST;
	x->under[kind] = true;
	if (kind == UNDER_NOTHING)
		return 0;
	filter_add(x, key_of(BEFORE, hash + kind, 0));
	return hash + kind;
}

static uint64_t note_key(struct rules_index *x, enum place_kind kind,
			 uint64_t name, uint64_t under)
{
	filter_add(x, key_of(kind, name, 0));
	return key_of(kind, name, under);
}

static uint64_t rule_key(struct rules_index *x, const struct pattern *p)
{
	const char *before, *name = pattern_last(p, &before);
	uint64_t under = under_key(x, p, before);
	struct pattern_plain last;

	pattern_plain(name, &last);
	if (last.plain && last.head_length < sizeof(last.head))
		return note_key(x, ALL, hash_of(last.head, last.head_length),
				under);
	if (last.tail_length) {
		x->tails[last.tail_length] = true;
		return note_key(x, TAIL, hash_back(last.tail, last.tail_length),
				under);
	}
	if (last.head_length) {
		x->heads[last.head_length] = true;
		return note_key(x, HEAD, hash_of(last.head, last.head_length),
				under);
	}
	if (last.run_length) {
		x->insides[last.run_length] = x->any_inside = true;
		return note_key(x, INSIDE, hash_of(last.run, last.run_length),
				under);
	}
	return note_key(x, ANY, 0, under);
}

void rules_index_free(struct rules_index *x)
{
	if (!x)
		return;
	free(x->slots);
	free(x->next);
	free(x->keys);
	free(x);
}

/* Later rules come first in their chains. */
static void index_fill(struct rules_index *x, const struct rules *r,
		       enum rules_family family)
{
	for (uint32_t n = 0; n < r->count; n++) {
		uint32_t *slot;

		if (!is_of(&r->rules[n], family))
			continue;
		x->keys[n] = rule_key(x, &r->rules[n].pattern);
		slot = &x->slots[x->keys[n] & x->mask];
		x->next[n] = *slot;
		*slot = n + 1;
	}
}

static int index_new(const struct rules *r, enum rules_family family,
		     struct rules_index **out)
{
	struct rules_index *x;
	size_t slots = 16;
	uint32_t n = 0;

	while (n < r->count && !is_of(&r->rules[n], family))
		n++;
	if (n == r->count)
		return 0;
	while (slots < 2 * (size_t)r->count)
		slots *= 2;
	x = calloc(1, sizeof(*x));
	if (!x)
		return REEL_ENOMEM;
	x->mask = slots - 1;
	x->slots = calloc(slots, sizeof(*x->slots));
	x->next = calloc(r->count + 1, sizeof(*x->next));
	x->keys = calloc(r->count + 1, sizeof(*x->keys));
	if (!x->slots || !x->next || !x->keys) {
		rules_index_free(x);
		return REEL_ENOMEM;
	}
	index_fill(x, r, family);
	*out = x;
	return 0;
}

int rules_seal(struct rules *r)
{
	int error = 0;

	for (int f = 0; f < RULES_FAMILIES && !error; f++)
		error = index_new(r, f, &r->index[f]);
	return error;
}

/* ---- judging ---- */

struct judgement {
	const struct rules *rules;
	const struct rules_index *index;
	const char *path;
	size_t length;
	bool directory;
	uint64_t under[UNDER_KINDS]; /* keys of the names before the last */
	uint32_t best;		     /* number + 1 */
	struct rules_place below;
};

/* A rule for what lies below counts for the directory's place, not for
 * itself. */
static void try_rule(struct judgement *j, uint32_t number)
{
	const struct pattern *p = &j->rules->rules[number - 1].pattern;
	uint32_t *to = !p->below	? &j->best
		       : p->directories ? &j->below.directories_below
					: &j->below.below;

	if (number <= *to ||
	    (p->below ? !j->directory : p->directories && !j->directory))
		return;
	if (pattern_fits(p, j->path, j->length))
		*to = number;
}

static void try_key(struct judgement *j, uint64_t key)
{
	const struct rules_index *x = j->index;
	uint32_t n = x->slots[key & x->mask];

	for (; n; n = x->next[n - 1])
		if (x->keys[n - 1] == key)
			try_rule(j, n);
}

static void try_under(struct judgement *j, enum place_kind kind, uint64_t name)
{
	const struct rules_index *x = j->index;

	if (!filter_has(x, key_of(kind, name, 0)))
		return;
	if (x->under[UNDER_NOTHING])
		try_key(j, key_of(kind, name, 0));
	for (int n = UNDER_PARENT; n < UNDER_KINDS; n++)
		if (x->under[n] &&
		    filter_has(x, key_of(BEFORE, j->under[n], 0)))
			try_key(j, key_of(kind, name, j->under[n]));
}

/* The bytes inside the name at each place, as long as they occur. */
static void try_insides(struct judgement *j, const char *name, size_t length)
{
	const bool *lengths = j->index->insides;

	for (size_t at = 0; at < length; at++) {
		uint64_t hash = HASH_BASIS;

		for (size_t n = 1; n <= PATTERN_RUN && at + n <= length; n++) {
			hash = hash_more(hash, name[at + n - 1]);
			if (lengths[n])
				try_under(j, INSIDE, hash);
		}
	}
}

static void try_name(struct judgement *j, const char *name, size_t length)
{
	const struct rules_index *x = j->index;
	uint64_t hash = HASH_BASIS;

	for (size_t n = 1; n <= length; n++) {
		hash = hash_more(hash, name[n - 1]);
		if (n <= 256 && x->heads[n])
			try_under(j, HEAD, hash);
	}
	try_under(j, ALL, hash);
	hash = HASH_BASIS;
	for (size_t n = 1; n <= length && n <= 256; n++) {
		hash = hash_more(hash, name[length - n]);
		if (x->tails[n])
			try_under(j, TAIL, hash);
	}
	if (x->any_inside)
		try_insides(j, name, length);
	try_under(j, ANY, 0);
}

static void set_under(struct judgement *j, const char *slash)
{
	size_t before = (size_t)(slash - j->path);
	const char *parent = memrchr(j->path, '/', before);
	const char *first = memchr(j->path, '/', j->length);

	parent = parent ? parent + 1 : j->path;
	j->under[UNDER_PARENT] =
		hash_of(parent, (size_t)(slash - parent)) + UNDER_PARENT;
	j->under[UNDER_FIRST] =
		hash_of(j->path, (size_t)(first - j->path)) + UNDER_FIRST;
}

const struct rule *rules_decide(const struct rules *r, enum rules_family family,
				struct rules_place above, const char *path,
				size_t length, bool directory,
				struct rules_place *below)
{
	const char *slash = memrchr(path, '/', length);
	const char *name = slash ? slash + 1 : path;
	struct judgement j = {.rules = r,
			      .index = r->index[family],
			      .path = path,
			      .length = length,
			      .directory = directory,
			      .best = above.below,
			      .below = above};

	*below = above;
	if (!j.index)
		return NULL;
	if (directory && above.directories_below > j.best)
		j.best = above.directories_below;
	if (slash)
		set_under(&j, slash);
	try_name(&j, name, (size_t)(path + length - name));
	*below = j.below;
	return j.best ? &r->rules[j.best - 1] : NULL;
}

const struct rule *rules_judge(const struct rules *r, struct rules_place above,
			       const char *path, size_t length, bool directory,
			       struct rules_place *below)
{
	return rules_decide(r, RULES_STORING, above, path, length, directory,
			    below);
}
