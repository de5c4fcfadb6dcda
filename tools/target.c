#include "tools/target.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "catalog/tapes.h"
#include "tape/error.h"
#include "tape/log.h"
#include "tape/text.h"
#include "tools/signals.h"

bool target_is_set(const char *path)
{
	char *conf;
	bool found;

	if (asprintf(&conf, "%s/set.conf", path) < 0)
		return false;
	found = access(conf, F_OK) == 0;
	free(conf);
	return found;
}

/* The literal text wins, then what stands before the `@`; a text that is
 * neither is split only when the whole is not there at all. */
static int split(struct target *t, const char *text)
{
	char *at;

	t->name = strdup(text);
	if (!t->name)
		return REEL_ENOMEM;
	at = strrchr(t->name, '@');
	if (!at || at == t->name || target_is_set(text))
		return 0;
	*at = '\0';
	if (!target_is_set(t->name) &&
	    (access(text, F_OK) == 0 || access(t->name, F_OK))) {
		*at = '@';
		return 0;
	}
	t->snapped = strdup(at + 1);
	return t->snapped ? 0 : REEL_ENOMEM;
}

void target_wait_for_media(struct set *s)
{
	unsigned timeout = isatty(STDIN_FILENO) && isatty(STDERR_FILENO)
				   ? STATION_FOREVER
				   : 0;

	tapes_set_patience(s, timeout, false, signals_flag());
}

static int open_set(struct target *t, enum set_access access, bool wait)
{
	int error = set_open(t->name, access, wait, &t->set);

	if (error)
		return error;
	target_wait_for_media(t->set);
	return catalog_open(t->set, &t->catalog);
}

int target_open(struct target *t, const char *text)
{
	int error;

	memset(t, 0, sizeof(*t));
	error = split(t, text);
	if (!error)
		error = open_set(t, SET_READ, false);
	if (error)
		target_close(t);
	return error;
}

int target_open_whole(struct target *t, const char *text,
		      enum set_access access, bool wait)
{
	int error;

	memset(t, 0, sizeof(*t));
	error = split(t, text);
	if (!error && t->snapped) {
		log_error("%s: this command works on a whole set; give %s",
			  text, t->name);
		error = REEL_EINVAL;
	}
	if (!error)
		error = open_set(t, access, wait);
	if (error)
		target_close(t);
	return error;
}

void target_close(struct target *t)
{
	catalog_close(t->catalog);
	set_close(t->set);
	free(t->name);
	free(t->snapped);
	memset(t, 0, sizeof(*t));
}

int target_session(struct target *t, const char *snapshot, uint32_t *session)
{
	int error;

	if (snapshot) {
		error = catalog_find_session(t->catalog, snapshot, session);
		if (error == REEL_ENOENT)
			log_error("%s has no snapshot %s; `reel snapshots` "
				  "lists them",
				  t->name, snapshot);
		else if (error)
			target_trouble(t, NULL, error);
		return error;
	}
	error = catalog_newest(t->catalog, session);
	if (error)
		return target_trouble(t, NULL, error);
	if (*session)
		return 0;
	log_error("%s has no snapshots yet; `reel backup` makes one", t->name);
	return REEL_ENOENT;
}

int target_reader(struct target *t, struct catalog **out)
{
	return catalog_open_reader(t->set, out);
}

static int clean(const char *given, char *out)
{
	char *to = out;

	while (*given) {
		size_t length = strcspn(given, "/");

		if (length == 2 && !memcmp(given, "..", 2))
			return REEL_EINVAL;
		if (length && !(length == 1 && *given == '.')) {
			if (to != out)
				*to++ = '/';
			memcpy(to, given, length);
			to += length;
		}
		given += length + (given[length] == '/');
	}
	*to = '\0';
	return 0;
}

int target_path(const char *given, char **out)
{
	char *path = malloc(strlen(given) + 1);
	int error;

	if (!path)
		return REEL_ENOMEM;
	error = clean(given, path);
	if (error) {
		log_error("%s: paths with .. are not understood; give the path "
			  "as `reel ls` shows it",
			  given);
		free(path);
		return error;
	}
	*out = path;
	return 0;
}

int target_trouble(const struct target *t, const char *path, int error)
{
	char *name = path ? text_name(path, strlen(path)) : NULL;
	const char *hint =
		error == REEL_EDAMAGED ? "; try `reel catalog rebuild`" : "";

	log_error("%s%s%s: %s%s", t->name, name && *name ? ": " : "",
		  name ? name : "", error_text(error), hint);
	free(name);
	return error;
}
