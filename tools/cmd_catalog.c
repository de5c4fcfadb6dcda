#include "catalog/catalog.h"
#include "tape/error.h"
#include "tape/log.h"
#include "tools/options.h"
#include "tools/target.h"

static int run(const struct command *self, int argc, char **argv)
{
	bool wait = false, all = false;
	const struct option_spec specs[] = {{"all", 0, OPTION_FLAG, &all, NULL,
					     "on tape: there are no more "
					     "cartridges than these"},
					    {"wait", 0, OPTION_FLAG, &wait,
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
	error = catalog_rebuild(set, all);
	if (error)
		log_error("%s: rebuilding the catalogue: %s", argv[0],
			  error_text(error));
	set_close(set);
	return error_exit(error);
}

const struct command command_catalog_rebuild = {
	.name = "catalog rebuild",
	.synopsis = "SET [--all] [--wait]",
	.summary = "make the catalogue anew from the media",
	.details = "From the sessions' indexes, and where one is damaged from "
		   "its archive.\n"
		   "A part of a session that may go on on a cartridge that is "
		   "not at hand is kept;\nwith --all it is given up, and the "
		   "next backup writes over it.\n",
	.run = run,
};
