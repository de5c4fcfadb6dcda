#include "catalog/rules.h"

#include <stdlib.h>
#include <string.h>
#include "catalog/rules_judge.h"
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

/* ---- the whole ---- */

void rules_release(struct rules *r)
{
	for (uint32_t n = 0; n < r->count; n++)
		rule_release(&r->rules[n]);
	free(r->rules);
	for (int f = 0; f < RULES_FAMILIES; f++)
		rules_index_free(r->index[f]);
	*r = (struct rules){0};
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
