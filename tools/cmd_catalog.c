#include "catalog/catalog.h"
#include "tape/error.h"
#include "tape/log.h"
#include "tools/options.h"
#include "tools/target.h"

static int run(const struct command *self, int argc, char **argv)
{
	bool wait = false;
	const struct option_spec specs[] = {{"wait", 0, OPTION_FLAG, &wait,
					     NULL,
					     "wait while the set is locked"},
					    {0}};
	struct set *set;
	int status, error;

	if (!options_parse(self, specs, 1, 1, &argc, &argv, &status))
		return status;
	error = set_open(argv[0], SET_WRITE, wait, &set);
	if (error)
		return error_exit(error);
	target_wait_for_media(set);
	error = catalog_rebuild(set);
	if (error)
		log_error("%s: rebuilding the catalogue: %s", argv[0],
			  error_text(error));
	set_close(set);
	return error_exit(error);
}

const struct command command_catalog_rebuild = {
	.name = "catalog rebuild",
	.synopsis = "SET [--wait]",
	.summary = "make the catalogue anew from the media",
	.details = "From the sessions' indexes, and where one is damaged from "
		   "its archive.\n",
	.run = run,
};
