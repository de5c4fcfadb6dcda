#include <CUnit/CUnit.h>
#include <string.h>
#include <sys/stat.h>
#include "fs/plan.h"

static void no_mistake(void *context, unsigned line, const char *text,
		       const char *trouble)
{
	(void)context;
	(void)line;
	(void)text;
	(void)trouble;
	CU_FAIL(trouble);
}

static void load(struct rules *r, const char *text)
{
	*r = (struct rules){0};
	CU_ASSERT_FATAL(rules_parse(r, text, strlen(text), no_mistake, NULL) ==
			0);
	CU_ASSERT_FATAL(rules_seal(r) == 0);
}

/* The path's directories are asked about first, as a walk does. */
static enum plan_action judge(const struct plan *p, const char *path,
			      struct plan_subject s)
{
	struct plan_place above = {0}, below;
	struct plan_opinion o;
	struct plan_verdict v;

	for (const char *at = strchr(path, '/'); at; at = strchr(at + 1, '/')) {
		plan_opine(p, &above, path, (size_t)(at - path), S_IFDIR,
			   S_IFDIR, &o, &below);
		above = below;
	}
	plan_opine(p, &above, path, strlen(path), s.wanted, s.present, &o,
		   &below);
	plan_decide(p, &o, &s, &v);
	return v.action;
}

static const struct plan_subject
	fresh = {.wanted = S_IFREG},
	equal = {.wanted = S_IFREG, .present = S_IFREG, .same = true},
	other = {.wanted = S_IFREG, .present = S_IFREG},
	typed = {.wanted = S_IFREG, .present = S_IFDIR},
	extra = {.present = S_IFREG},
	half = {.wanted = S_IFREG, .present = S_IFREG, .unfinished = true};

static void test_without_rules(void)
{
	const struct plan p = {0};

	CU_ASSERT(judge(&p, "a/b", fresh) == PLAN_NEW);
	CU_ASSERT(judge(&p, "a/b", equal) == PLAN_SAME);
	CU_ASSERT(judge(&p, "a/b", other) == PLAN_CHANGED);
	CU_ASSERT(judge(&p, "a/b", typed) == PLAN_CHANGED);
	CU_ASSERT(judge(&p, "a/b", extra) == PLAN_EXTRA);
	CU_ASSERT(judge(&p, "a/b", half) == PLAN_CHANGED);
}

static void test_verbs(void)
{
	struct rules r;
	const struct plan p = {.rules = &r};

	load(&r, "preserve /p\nmerge /m\nexclude /e\ndelay /d\nnosnapshot /n");
	CU_ASSERT(plan_has_rules(&p));
	CU_ASSERT(judge(&p, "p", fresh) == PLAN_KEPT);
	CU_ASSERT(judge(&p, "p", half) == PLAN_KEPT);
	CU_ASSERT(judge(&p, "p", extra) == PLAN_KEPT);
	CU_ASSERT(judge(&p, "m", fresh) == PLAN_NEW);
	CU_ASSERT(judge(&p, "m", equal) == PLAN_KEPT);
	CU_ASSERT(judge(&p, "m", typed) == PLAN_KEPT);
	CU_ASSERT(judge(&p, "m", half) == PLAN_CHANGED);
	CU_ASSERT(judge(&p, "m", extra) == PLAN_KEPT);
	CU_ASSERT(judge(&p, "m/x/y", other) == PLAN_KEPT);
	CU_ASSERT(judge(&p, "m/x/y", fresh) == PLAN_NEW);
	CU_ASSERT(judge(&p, "e", fresh) == PLAN_EXCLUDED);
	CU_ASSERT(judge(&p, "e", extra) == PLAN_EXCLUDED);
	CU_ASSERT(judge(&p, "d", fresh) == PLAN_DELAYED);
	CU_ASSERT(judge(&p, "d", equal) == PLAN_SAME);
	CU_ASSERT(judge(&p, "d/x", other) == PLAN_DELAYED);
	CU_ASSERT(judge(&p, "d/x", extra) == PLAN_DELAYED);
	CU_ASSERT(judge(&p, "n", other) == PLAN_CHANGED);
	rules_release(&r);
}

static void test_order(void)
{
	struct rules r;
	const struct plan p = {.rules = &r};

	load(&r, "merge /a\npreserve /a/b\ndelay /a\ninclude *\n"
		 "exclude *.tmp\ninclude /keep.tmp\npreserve dir/\n"
		 "preserve /below/**\nmerge /x\npreserve /x");
	CU_ASSERT(judge(&p, "a/b", fresh) == PLAN_KEPT);
	CU_ASSERT(judge(&p, "a/c", fresh) == PLAN_DELAYED);
	CU_ASSERT(judge(&p, "a/c", other) == PLAN_KEPT);
	CU_ASSERT(judge(&p, "a/b.tmp", fresh) == PLAN_EXCLUDED);
	CU_ASSERT(judge(&p, "keep.tmp", fresh) == PLAN_NEW);
	/* either side may be the directory */
	CU_ASSERT(judge(&p, "dir", typed) == PLAN_KEPT);
	CU_ASSERT(judge(&p, "dir", other) == PLAN_CHANGED);
	CU_ASSERT(judge(&p, "below", other) == PLAN_CHANGED);
	CU_ASSERT(judge(&p, "below/x", other) == PLAN_KEPT);
	CU_ASSERT(judge(&p, "x", fresh) == PLAN_KEPT); /* the last one */
	rules_release(&r);
}

static void test_overwrite(void)
{
	struct plan p = {.overwrite = OVERWRITE_NEVER};
	struct plan_subject later = other, exact = equal;

	later.later = true;
	exact.identical = true;
	CU_ASSERT(judge(&p, "a", fresh) == PLAN_NEW);
	CU_ASSERT(judge(&p, "a", other) == PLAN_KEPT);
	CU_ASSERT(judge(&p, "a", later) == PLAN_KEPT);
	CU_ASSERT(judge(&p, "a", equal) == PLAN_KEPT);
	CU_ASSERT(judge(&p, "a", exact) == PLAN_SAME);
	CU_ASSERT(judge(&p, "a", half) == PLAN_CHANGED);
	CU_ASSERT(judge(&p, "a", extra) == PLAN_EXTRA);
	p.overwrite = OVERWRITE_NEWER;
	CU_ASSERT(judge(&p, "a", other) == PLAN_KEPT);
	CU_ASSERT(judge(&p, "a", later) == PLAN_CHANGED);
	CU_ASSERT(plan_overwrite_parse("newer", &p.overwrite));
	CU_ASSERT(!plan_overwrite_parse("new", &p.overwrite));
}

void suite_plan(void);
void suite_plan(void)
{
	CU_pSuite s = CU_add_suite("plan", NULL, NULL);

	CU_add_test(s, "without rules", test_without_rules);
	CU_add_test(s, "verbs", test_verbs);
	CU_add_test(s, "order", test_order);
	CU_add_test(s, "overwrite", test_overwrite);
}
