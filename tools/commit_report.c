#include "tools/commit_report.h"

#include <inttypes.h>
#include <stdio.h>
#include "tools/figures.h"
#include "tools/json.h"

static void say_json(const struct commit_report *r)
{
	struct json j = {0};

	json_begin(&j);
	if (r->session) {
		json_text(&j, "name", r->name);
		json_number(&j, "session", r->session);
	}
	json_number(&j, "added", r->added);
	json_number(&j, "changed", r->changed);
	json_number(&j, "removed", r->removed);
	json_number(&j, "new_size", r->new_bytes);
	json_number(&j, "stored", r->stored);
	json_number(&j, "excluded", r->left_out);
	json_number(&j, "problems", r->problems);
	json_end(&j);
}

void commit_report(const struct commit_report *r, bool json)
{
	char a[FIGURE_SIZE], b[FIGURE_SIZE];

	if (json) {
		say_json(r);
		return;
	}
	if (r->session)
		printf("snapshot %s (session %" PRIu32 ")\n"
		       "%" PRIu64 " added, %" PRIu64 " changed, %" PRIu64
		       " removed; %s written, %s stored\n",
		       r->name, r->session, r->added, r->changed, r->removed,
		       figure_human(r->new_bytes, a),
		       figure_human(r->stored, b));
	else
		printf("nothing to commit\n");
	if (r->left_out)
		printf("%" PRIu64 " left out by rules\n", r->left_out);
}
