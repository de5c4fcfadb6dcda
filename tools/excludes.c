#include "tools/excludes.h"

#include "tape/error.h"
#include "tape/log.h"

int excludes_add(struct rules *r, const struct option_list *patterns)
{
	for (int n = 0; n < patterns->count; n++) {
		const char *trouble = rules_exclude(r, patterns->items[n]);

		if (trouble) {
			log_error("--exclude %s: %s", patterns->items[n],
				  trouble);
			return REEL_EINVAL;
		}
	}
	return 0;
}
