#include "fs/live_virtual.h"

#include <string.h>
#include "catalog/rules_file.h"
#include "fs/view.h"
#include "tape/error.h"

bool live_virtual_is(const char *name)
{
	return virtual_is(name);
}

/* The rule that leaves a path out, or NULL. */
static const struct rule *judge(const struct rules *rules, const char *path,
				size_t length, bool directory)
{
	struct rules_place place = {0}, below;
	const struct rule *rule = NULL;
	size_t end = 0;

	while (end < length && !rule_excludes(rule)) {
		const char *slash = memchr(path + end, '/', length - end);

		end = slash ? (size_t)(slash - path) : length;
		rule = rules_judge(rules, place, path, end, slash || directory,
				   &below);
		place = below;
		end++;
	}
	return rule_excludes(rule) ? rule : NULL;
}

static int get_excluded(const struct live_virtual *v, uint64_t id,
			struct buffer *out)
{
	struct buffer path = {0};
	struct rules rules = {0};
	const struct rule *rule = NULL;
	struct live_entry e;
	uint64_t content;
	bool left_out;
	int error = live_whereabouts(v->live, id, &content, &left_out);

	if (!error)
		error = live_stat(v->live, id, &e);
	if (!error)
		error = live_path(v->live, id, &path);
	if (!error)
		error = rules_file_load(v->set, NULL, &rules);
	if (!error && rules.count)
		error = rules_seal(&rules);
	if (!error && rules.count)
		rule = judge(&rules, (char *)path.data, path.length,
			     S_ISDIR(e.st.st_mode));
	if (!error && rule)
		error = buffer_append(out, rule->text, strlen(rule->text));
	else if (!error && left_out)
		error = buffer_printf(out, "left out of the last commit");
	else if (!error)
		error = REEL_ENOENT;
	rules_release(&rules);
	buffer_release(&path);
	return error;
}

int live_virtual_get(const struct live_virtual *v, struct catalog *c,
		     uint64_t id, const char *name, struct buffer *out)
{
	uint64_t content;
	bool excluded;
	int error;

	if (!strcmp(name, "user.reel.excluded"))
		return get_excluded(v, id, out);
	if (id == LIVE_ROOT && !strcmp(name, MOUNT_STATUS))
		return committer_status(v->committer, out);
	if (id == LIVE_ROOT) /* of the mount as a whole */
		return virtual_get(v->set, c, VIEW_ROOT, name, out);
	error = live_whereabouts(v->live, id, &content, &excluded);
	return error ? error
		     : virtual_of_content(v->set, c, content, name, out);
}
