/* A path, a newline, a rules file: the index finds the rule that trying all of
 * them does. */
#include <string.h>
#include "catalog/rules.h"
#include "tape/error.h"
#include "tests/fuzz/fuzz.h"

static void count(void *context, unsigned line, const char *text,
		  const char *trouble)
{
	FUZZ_CHECK(line && text && trouble);
	++*(int *)context;
}

static const struct rule *try_all(const struct rules *r, const char *path,
				  size_t length, bool directory)
{
	const struct rule *best = NULL;

	for (uint32_t n = 0; n < r->count; n++) {
		const struct rule *rule = &r->rules[n];
		const struct pattern *p = &rule->pattern;

		if (rule->verb <= RULE_NOSNAPSHOT && !p->below &&
		    (directory || !p->directories) &&
		    pattern_fits(p, path, length))
			best = rule;
	}
	return best;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *end = memchr(data, '\n', size);
	size_t length = end ? (size_t)(end - data) : 0;
	const char *path = (const char *)data;
	struct rules_place none = {0}, below;
	struct rules r = {0};
	int mistakes = 0;

	if (!length || length > 512 || memchr(path, 0, length) ||
	    path[0] == '/' || path[length - 1] == '/')
		return 0;
	FUZZ_CHECK((rules_parse(&r, path + length + 1, size - length - 1, count,
				&mistakes) == 0) == !mistakes);
	FUZZ_CHECK(!rules_seal(&r));
	for (int directory = 0; directory < 2; directory++)
		FUZZ_CHECK(rules_judge(&r, none, path, length, directory,
				       &below) ==
			   try_all(&r, path, length, directory));
	rules_release(&r);
	return 0;
}
