/* What a set on tape knows of its copy on other cartridges. The copy's numbers
 * are a line of their own, so that places of both stand side by side; labels
 * and tables of the copy say the same, for who rebuilds. */
#include <string.h>
#include "catalog/copy.h"
#include "catalog/database.h"
#include "catalog/places.h"
#include "catalog/set_config.h"
#include "tape/error.h"
#include "tape/log.h"

static bool has_name(char *const *names, size_t count, const char *name)
{
	for (size_t n = 0; n < count; n++)
		if (!strcmp(names[n], name))
			return true;
	return false;
}

/* A line of set.conf for each that the set has not; what else stands there
 * stays. */
static int add_names(struct set *s, const char *key, char *const *more,
		     size_t count, bool *added)
{
	const struct set_config *c = &s->config;
	int error = 0;

	for (size_t n = 0; !error && n < count; n++) {
		if (has_name(c->drives, c->drive_count, more[n]) ||
		    has_name(c->copy_drives, c->copy_drive_count, more[n]) ||
		    has_name(c->changers, c->changer_count, more[n]))
			continue;
		error = set_config_append(s->directory, key, more[n]);
		*added |= !error;
	}
	return error;
}

/* The copy's cartridges are read where they were written. */
static int add_devices(struct set *s, const struct set_config *copy)
{
	bool added = false;
	int error = add_names(s, "copy-drive", copy->drives, copy->drive_count,
			      &added);

	if (!error)
		error = add_names(s, "changer", copy->changers,
				  copy->changer_count, &added);
	if (!error && added)
		log_note("%s: the copy's drives are now in its set.conf, for "
			 "reading the copy",
			 s->path);
	if (error)
		log_error("%s/" CONFIG_FILE ": %s", s->path, error_text(error));
	return error;
}

int copy_make_known(struct set *s, struct catalog *copy)
{
	const struct set_config *to = &copy->set->config;
	const uint32_t line = cartridge_line(to->line);
	struct cartridge_table t = {0};
	struct catalog *c = NULL;
	int error = catalog_open(s, &c);

	if (!error)
		error = places_own(copy, &t);
	if (!error)
		error = places_put_copy(c, line, &t);
	if (!error)
		error = add_devices(s, to);
	cartridge_table_release(&t);
	catalog_close(c);
	return error;
}

bool copy_can_be_known(const struct set *s, const struct set *copy)
{
	return s->config.tape && copy->config.tape &&
	       cartridge_line(copy->config.line) >
		       cartridge_line(s->config.line);
}
