#include "catalog/rules.h"

#include <stdlib.h>
#include <string.h>
#include "tape/error.h"

#define RULES_LIMIT (1u << 24)

static const struct {
	const char *name;
	enum rule_verb verb;
	enum { TAKES_NOTHING, TAKES_PATTERN, TAKES_NAME, TAKES_KEY } takes;
} verbs[] = {
	{"exclude", RULE_EXCLUDE, TAKES_PATTERN},
	{"include", RULE_INCLUDE, TAKES_PATTERN},
	{"nosnapshot", RULE_NOSNAPSHOT, TAKES_PATTERN},
	{"exclude-if-present", RULE_IF_PRESENT, TAKES_NAME},
	{"exclude-nodump", RULE_NODUMP, TAKES_NOTHING},
	{"preserve", RULE_PRESERVE, TAKES_PATTERN},
	{"merge", RULE_MERGE, TAKES_PATTERN},
	{"delay", RULE_DELAY, TAKES_PATTERN},
	{"key-preserve", RULE_KEY_PRESERVE, TAKES_KEY},
	{"key-merge", RULE_KEY_MERGE, TAKES_KEY},
};
#define VERBS (int)(sizeof(verbs) / sizeof(verbs[0]))

/* ---- parsing ---- */

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static void rule_release(struct rule *rule)
{
	pattern_release(&rule->pattern);
	free(rule->text);
	free(rule->argument);
}

/* The last rule becomes the last of its verb. */
static void link_last(struct rules *r)
{
	enum rule_verb verb = r->rules[r->count - 1].verb;
	uint32_t last = r->last[verb];

	*(last ? &r->rules[last - 1].next : &r->first[verb]) = r->count;
	r->last[verb] = r->count;
}

static int add(struct rules *r, struct rule *rule)
{
	if (r->count == RULES_LIMIT)
		return REEL_ENOMEM;
	if (r->count == r->room) {
		uint32_t room = r->room ? 2 * r->room : 64;
		struct rule *more = realloc(r->rules, room * sizeof(*r->rules));

		if (!more)
			return REEL_ENOMEM;
		r->rules = more;
		r->room = room;
	}
	r->rules[r->count++] = *rule;
	link_last(r);
	return 0;
}

static const char *hint_of(const struct rule *rule, const char *text,
			   size_t length)
{
	const char *slash = memchr(text, '/', length);

	if (length && *text == '!')
		return "the ! is part of the name; `include` takes back what "
		       "was excluded";
	if (length > 1 && !memcmp(text, "./", 2))
		return "fits nothing: paths begin without ./";
	if (slash && slash > text && slash < text + length - 1 &&
	    memcmp(text, "**/", 3) != 0)
		return "fits at the root only, as with / in front; begin it "
		       "with **/ for any depth";
	if (length && (*text == '~' || *text == '$'))
		return "~ and variables are not expanded";
	if (rule->verb > RULE_NODUMP)
		return "is for restoring; backups store it";
	return NULL;
}

static const char *take_pattern(struct rule *rule, const char *text,
				size_t length)
{
	const char *trouble;

	if (!length)
		return "a pattern is missing";
	if (rule->verb == RULE_DELAY && length == 4 &&
	    !memcmp(text, "busy", 4)) {
		rule->verb = RULE_DELAY_BUSY;
		return NULL;
	}
	trouble = pattern_parse(&rule->pattern, text, length);
	if (!trouble)
		rule->hint = hint_of(rule, text, length);
	return trouble;
}

static const char *take_argument(struct rule *rule, int verb, const char *text,
				 size_t length)
{
	switch (verbs[verb].takes) {
	case TAKES_NOTHING:
		return length ? "takes no argument" : NULL;
	case TAKES_PATTERN:
		return take_pattern(rule, text, length);
	case TAKES_NAME:
		if (!length || memchr(text, '/', length) || length > 255)
			return "takes the name of a file";
		break;
	case TAKES_KEY:
		if (!length)
			return "takes a registry key";
		break;
	}
	free(rule->argument);
	rule->argument = strndup(text, length);
	return rule->argument ? NULL : "out of memory";
}

static int find_verb(const char *text, size_t length)
{
	for (int n = 0; n < VERBS; n++)
		if (strlen(verbs[n].name) == length &&
		    !memcmp(verbs[n].name, text, length))
			return n;
	return -1;
}

/* The line without blanks (and a CR) at its end; those behind a \ stay. */
static size_t trimmed(const char *text, size_t length)
{
	if (length && text[length - 1] == '\r')
		length--;
	while (length && is_blank(text[length - 1])) {
		size_t slashes = 0;

		while (slashes + 1 < length &&
		       text[length - 2 - slashes] == '\\')
			slashes++;
		if (slashes % 2)
			break;
		length--;
	}
	return length;
}

static const char *take_line(struct rules *r, const char *text, size_t length,
			     unsigned line)
{
	struct rule rule = {.line = line};
	const char *trouble, *end;
	size_t word = 0;
	int verb;

	while (length && is_blank(*text)) {
		text++;
		length--;
	}
	length = trimmed(text, length);
	if (!length || *text == '#')
		return NULL;
	end = text + length;
	if (memchr(text, 0, length))
		return "there is a NUL in it";
	while (word < length && !is_blank(text[word]))
		word++;
	verb = find_verb(text, word);
	if (verb < 0)
		return "begins with no verb; exclude, include, nosnapshot, "
		       "exclude-if-present, exclude-nodump, preserve, merge, "
		       "delay, key-preserve and key-merge are known";
	rule.verb = verbs[verb].verb;
	rule.text = strndup(text, length);
	rule.argument = strdup("");
	for (text += word; text < end && is_blank(*text);)
		text++;
	trouble =
		rule.text && rule.argument
			? take_argument(&rule, verb, text, (size_t)(end - text))
			: "out of memory";
	if (!trouble && add(r, &rule))
		trouble = "out of memory";
	if (trouble)
		rule_release(&rule);
	return trouble;
}

int rules_parse(struct rules *r, const char *text, size_t length,
		rules_mistake mistake, void *context)
{
	const char *end = text + length;
	unsigned line = 0;
	int error = 0;

	if (length >= 3 && !memcmp(text, "\xef\xbb\xbf", 3))
		text += 3;
	while (text < end) {
		const char *next = memchr(text, '\n', (size_t)(end - text));
		size_t n = (size_t)((next ? next : end) - text);
		const char *trouble = take_line(r, text, n, ++line);

		if (trouble) {
			char *shown = strndup(text, trimmed(text, n));

			mistake(context, line, shown ? shown : "", trouble);
			free(shown);
			error = REEL_EINVAL;
		}
		text += n + (next != NULL);
	}
	return error;
}

const char *rules_exclude(struct rules *r, const char *pattern)
{
	size_t room = strlen(pattern) + sizeof("exclude ");
	struct rule rule = {.verb = RULE_EXCLUDE,
			    .text = malloc(room),
			    .argument = strdup("")};
	const char *trouble =
		rule.text && rule.argument
			? take_pattern(&rule, pattern, strlen(pattern))
			: "out of memory";

	if (!trouble) {
		strcpy(rule.text, "exclude ");
		strcat(rule.text, pattern);
	}
	if (!trouble && add(r, &rule))
		trouble = "out of memory";
	if (trouble)
		rule_release(&rule);
	return trouble;
}

/* ---- the index ----
 *
 * A rule stands under the hash of how its last name must look: all of it, or
 * its plain end, its plain beginning, plain bytes inside, or nothing; and of
 * the name before it when that is plain, or else of its first name when it is
 * anchored and that is plain. A path is looked up under each that occurs.
 *
 * Most looks of a name and most names before it occur in no rule at all: a
 * filter that fits into the nearest cache answers that. */

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

static void index_free(struct rules_index *x)
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
		index_free(x);
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

void rules_release(struct rules *r)
{
	for (uint32_t n = 0; n < r->count; n++)
		rule_release(&r->rules[n]);
	free(r->rules);
	for (int f = 0; f < RULES_FAMILIES; f++)
		index_free(r->index[f]);
	*r = (struct rules){0};
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

bool rule_excludes(const struct rule *rule)
{
	return rule && rule->verb != RULE_INCLUDE;
}

const struct rule *rules_next(const struct rules *r, enum rule_verb verb,
			      const struct rule *after)
{
	uint32_t n = after ? after->next : r->first[verb];

	return n ? &r->rules[n - 1] : NULL;
}
