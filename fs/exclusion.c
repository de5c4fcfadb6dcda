#include "fs/exclusion.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* https://bford.info/cachedir/ */
#define CACHE_TAG "CACHEDIR.TAG"
static const char cache_signature[] =
	"Signature: 8a477f597d28d172789f06886806bc55";
_Static_assert(sizeof(cache_signature) - 1 == EXCLUSION_SIGNATURE,
	       "exclusion.h");

bool exclusion_is_cache_tag(const char *name)
{
	return !strcmp(name, CACHE_TAG);
}

bool exclusion_is_signature(const char head[EXCLUSION_SIGNATURE])
{
	return !memcmp(head, cache_signature, EXCLUSION_SIGNATURE);
}

int exclusion_enter(struct exclusion *e, struct folder *f)
{
	return e->rules ? trail_go(&e->trail, f, "", 0) : 0;
}

void exclusion_release(struct exclusion *e)
{
	trail_release(&e->trail);
}

static bool is_signed(int directory, const char *path)
{
	char text[EXCLUSION_SIGNATURE];
	int fd = openat(directory, path,
			O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text));

	if (fd >= 0)
		close(fd);
	return n == (ssize_t)sizeof(text) && exclusion_is_signature(text);
}

/* Whether the directory holds a name that has it left out. */
static bool is_tagged(const struct exclusion *e, const char *name)
{
	const struct rule *rule = NULL;
	char path[520];

	while ((rule = rules_next(e->rules, RULE_IF_PRESENT, rule))) {
		struct stat st;

		snprintf(path, sizeof(path), "%s/%s", name, rule->argument);
		if (exclusion_is_cache_tag(rule->argument)
			    ? is_signed(e->trail.at->fd, path)
			    : !fstatat(e->trail.at->fd, path, &st,
				       AT_SYMLINK_NOFOLLOW))
			return true;
	}
	return false;
}

bool exclusion_covers(struct exclusion *e, const char *name,
		      const struct statx *st, struct rules_place *below)
{
	bool directory = S_ISDIR(st->stx_mode);
	const struct rule *rule;

	*below = (struct rules_place){0};
	if (!e->rules)
		return false;
	if (trail_go(&e->trail, e->trail.at, name, strlen(name)))
		return false;
	rule = rules_judge(e->rules, e->trail.at->place,
			   (const char *)e->trail.path.data,
			   e->trail.path.length, directory, below);
	if (rule_excludes(rule))
		return true;
	if (st->stx_attributes & STATX_ATTR_NODUMP &&
	    rules_next(e->rules, RULE_NODUMP, NULL))
		return true;
	return directory && is_tagged(e, name);
}
